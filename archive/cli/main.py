"""The command `archive`: which commands there are, where their code lies, and how a run of one ends.

Help and unknown commands are answered from the tables here; a command's module, and with it the database, is imported
when the command is run. A mistake of the caller ends with exit code 2, a failure with 1; both say one sentence on
standard error.
"""

import re
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import click

from archive.errors import ArchiveError, DatabaseFailed, Refused

PROGRAM = "archive"

OK = 0
FAILED = 1
MISTAKE = 2

# Groups of commands, by their words.
GROUPS: dict[str, str] = {
    "area": "Storage areas: where instances are kept, and how.",
    "ae": "Our own AE titles: each works in one area.",
    "peer": "Remote application entities.",
    "rule": "Who may do what at which of our AE titles.",
    "study": "What the archive holds.",
    "check": "Rows against files, counters against sums.",
    "db": "The database and its schema.",
}

# Commands by their words: where the code lies, and one line of help.
COMMANDS: dict[str, tuple[str, str]] = {
    "serve": ("archive.cli.serve:serve", "Run the archive."),
    "area add": ("archive.cli.admin.areas:add", "Add a storage area."),
    "area list": ("archive.cli.admin.areas:list_areas", "List the storage areas."),
    "area show": ("archive.cli.admin.areas:show", "Show one area: settings, AE titles, contents."),
    "area set": ("archive.cli.admin.areas:change", "Change settings of an area."),
    "area evict": ("archive.cli.admin.areas:evict_now", "Bring an area within its quota now."),
    "area remove": ("archive.cli.admin.areas:remove", "Remove an empty area."),
    "area usage": ("archive.cli.admin.areas:usage", "Show what areas hold and what room is left."),
    "ae add": ("archive.cli.admin.entities:add", "Add an AE title of ours."),
    "ae list": ("archive.cli.admin.entities:list_titles", "List our AE titles."),
    "ae set": ("archive.cli.admin.entities:change", "Change the area or the access of an AE title."),
    "ae remove": ("archive.cli.admin.entities:remove", "Remove an AE title and its rules."),
    "peer add": ("archive.cli.admin.peers:add", "Add a remote application entity."),
    "peer list": ("archive.cli.admin.peers:list_peers", "List the peers."),
    "peer set": ("archive.cli.admin.peers:change", "Change a peer's title, host or port."),
    "peer remove": ("archive.cli.admin.peers:remove", "Remove a peer and the rules that name it."),
    "peer echo": ("archive.cli.admin.peers:echo", "Send a C-ECHO to a peer."),
    "rule allow": ("archive.cli.admin.rules:allow", "Allow operations at one of our AE titles."),
    "rule deny": ("archive.cli.admin.rules:deny", "Deny operations; outweighs every allow."),
    "rule list": ("archive.cli.admin.rules:list_rules", "List the rules."),
    "rule remove": ("archive.cli.admin.rules:remove", "Remove a rule by its number."),
    "rule explain": ("archive.cli.admin.rules:explain", "Say what a caller may do, and why."),
    "study list": ("archive.cli.admin.holdings:list_studies", "List studies, newest first."),
    "study pin": ("archive.cli.admin.holdings:pin", "Keep a study from being evicted."),
    "study unpin": ("archive.cli.admin.holdings:unpin", "Let a quota take a study again."),
    "study show": ("archive.cli.admin.holdings:show", "Show a study and its series."),
    "study remove": ("archive.cli.admin.holdings:remove", "Remove a study for good."),
    "check verify": ("archive.cli.admin.checks:verify", "Look for rows without files and wrong counters."),
    "check reconcile": ("archive.cli.admin.checks:reconcile", "Look for files without rows, and clear them away."),
    "db upgrade": ("archive.cli.admin.database:upgrade", "Bring the schema to this version."),
    "db current": ("archive.cli.admin.database:current", "Show the revision of the schema."),
    "db check": ("archive.cli.admin.database:check", "Check that the database can be used."),
}


class LazyGroup(click.Group):
    """The commands below some words of the tables, imported when they are run."""

    def __init__(self, words: str, help: str) -> None:
        super().__init__(words.rpartition(" ")[2] or PROGRAM, help=help)
        self._words = words

    def _below(self) -> dict[str, str]:
        """The next word and its line of help, for all that lies below."""
        lines = {words: line for words, (_, line) in COMMANDS.items() if " " not in words} | GROUPS
        lines |= {words: line for words, (_, line) in COMMANDS.items()}
        split = {words.rpartition(" ")[::2]: line for words, line in lines.items()}
        return {name: line for (parent, name), line in split.items() if parent == self._words}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._below())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        words = f"{self._words} {cmd_name}".strip()
        if words in GROUPS:
            return LazyGroup(words, GROUPS[words])
        if words not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[words][0].partition(":")
        return getattr(import_module(module), attribute)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        below = self._below()
        if args[0] not in below and not args[0].startswith("-"):
            raise click.exceptions.NoSuchCommand(args[0], possibilities=below, ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self._below().items()))


archive = LazyGroup(
    "",
    "A DICOM archive over SQL. `archive serve` runs it; the other commands look after it, and what they change holds "
    "for the next association, without a restart.",
)
archive.epilog = "\b\nExample:\n  archive serve --data /srv/archive"


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and end the process with its exit code."""
    try:
        code = archive.main(arguments, prog_name=PROGRAM, standalone_mode=False)
        sys.exit(code if isinstance(code, int) else OK)
    except click.Abort:
        _say("Stopped; nothing has changed.")
        sys.exit(FAILED)
    except click.UsageError as error:
        _say(_usage_sentence(error))
        sys.exit(MISTAKE)
    except click.ClickException as error:
        _say(error.format_message())
        sys.exit(error.exit_code)
    except Refused as error:
        _say(_sentence(error))
        sys.exit(MISTAKE)
    except DatabaseFailed as error:
        _say(f"{_sentence(error)} Look at --database, then run: archive db check")
        sys.exit(FAILED)
    except ArchiveError as error:
        _say(_sentence(error))
        sys.exit(FAILED)


def _usage_sentence(error: click.UsageError) -> str:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error.format_message()
    message = error.format_message()
    where = error.ctx.command_path if error.ctx else PROGRAM
    return f"{message}{'' if message.endswith(('.', '?')) else '.'} See: {where} --help"


def _sentence(error: ArchiveError) -> str:
    """What happened, for a person: the message, its facts, the reason."""
    values = {name: value for name, value in error.values.items() if value not in ("", None)}
    reason = re.sub(r"\[Errno \d+\] ", "", str(values.pop("reason", ""))).rstrip(".")
    facts = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items())
    return f"{error.message.rstrip('.')}{f' ({facts})' if facts else ''}{f': {reason}' if reason else ''}."


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)


if __name__ == "__main__":
    main()
