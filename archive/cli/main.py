"""The command `archive`: which commands there are, where their code lies, and how a run of one ends.

Help and unknown commands are answered from the tables here; a command's module, and with it the database, is imported
when the command is run. A mistake of the caller ends with exit code 2, a failure with 1; both say one sentence on
standard error.
"""

import gc
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import NoReturn

import click
from click.shell_completion import CompletionItem

from archive import __version__
from archive.errors import ArchiveError, DatabaseFailed, Refused

PROGRAM = "archive"

OK = 0
FAILED = 1
MISTAKE = 2

# What Python's codec says of bytes of the command line that it could not decode.
_NO_TEXT = "surrogates not allowed"

# Groups of commands, by their words.
GROUPS: dict[str, str] = {
    "area": "Storage areas: where instances are kept, and how.",
    "ae": "Our own AE titles: each works in one area.",
    "peer": "Remote application entities.",
    "group": "Peers under one name; vendors.",
    "user": "Who may prove itself by a name and a password.",
    "profile": "All that is negotiated, as profiles in DCMTK's files.",
    "rule": "Who may do what at which of our AE titles.",
    "network": "Whose connections are taken at all.",
    "study": "What the archive holds.",
    "log": "What happened, and why.",
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
    "area evict": ("archive.cli.admin.usage:evict_now", "Bring an area within its quota now."),
    "area remove": ("archive.cli.admin.areas:remove", "Remove an empty area."),
    "area usage": ("archive.cli.admin.usage:usage", "Show what areas hold and what room is left."),
    "ae add": ("archive.cli.admin.entities:add", "Add an AE title of ours."),
    "ae list": ("archive.cli.admin.entities:list_titles", "List our AE titles."),
    "ae show": ("archive.cli.admin.entities:show", "Show one AE title: all its settings and rules."),
    "ae set": ("archive.cli.admin.entities:change", "Change settings of an AE title."),
    "ae remove": ("archive.cli.admin.entities:remove", "Remove an AE title and its rules."),
    "peer add": ("archive.cli.admin.peers:add", "Add a remote application entity."),
    "peer list": ("archive.cli.admin.peers:list_peers", "List the peers."),
    "peer set": ("archive.cli.admin.peers:change", "Change settings of a peer."),
    "peer remove": ("archive.cli.admin.peers:remove", "Remove a peer and the rules that name it."),
    "peer echo": ("archive.cli.admin.peers:echo", "Send a C-ECHO to a peer."),
    "profile import": ("archive.cli.admin.profiles:import_file", "Import the profiles of a DCMTK file."),
    "profile export": ("archive.cli.admin.profiles:export", "Print profiles as a DCMTK file."),
    "profile list": ("archive.cli.admin.profiles:list_profiles", "List the profiles, and who uses them."),
    "profile show": ("archive.cli.admin.profiles:show", "Show the presentation contexts of a profile."),
    "profile remove": ("archive.cli.admin.profiles:remove", "Remove a profile that nobody uses."),
    "group add": ("archive.cli.admin.groups:add", "Add a group of peers, or a vendor."),
    "group list": ("archive.cli.admin.groups:list_groups", "List groups and vendors, and who is in them."),
    "group set": ("archive.cli.admin.groups:change", "Change who is in a group or vendor."),
    "group remove": ("archive.cli.admin.groups:remove", "Remove a group and the rules that name it."),
    "user add": ("archive.cli.admin.users:add", "Add a user."),
    "user list": ("archive.cli.admin.users:list_users", "List the users."),
    "user set": ("archive.cli.admin.users:change", "Change a user's password, or disable it."),
    "user remove": ("archive.cli.admin.users:remove", "Remove a user."),
    "rule allow": ("archive.cli.admin.rules:allow", "Allow operations at one of our AE titles."),
    "rule deny": ("archive.cli.admin.rules:deny", "Deny operations; outweighs every allow."),
    "rule list": ("archive.cli.admin.rules:list_rules", "List the rules."),
    "rule remove": ("archive.cli.admin.rules:remove", "Remove a rule by its number."),
    "rule explain": ("archive.cli.admin.explanations:explain", "Say what a caller may do, and why."),
    "network allow": ("archive.cli.admin.networks:allow", "Take connections of these clients."),
    "network deny": ("archive.cli.admin.networks:deny", "Close connections of these clients unread."),
    "network list": ("archive.cli.admin.networks:list_rules", "List the network rules in their order."),
    "network remove": ("archive.cli.admin.networks:remove", "Remove a network rule by its number."),
    "network explain": ("archive.cli.admin.networks:explain", "Say if a connection is taken, and why."),
    "network import": ("archive.cli.admin.networks:import_files", "Take over hosts.allow and hosts.deny."),
    "study list": ("archive.cli.admin.holdings:list_studies", "List studies, newest first."),
    "study pin": ("archive.cli.admin.holdings:pin", "Keep a study from being evicted."),
    "study unpin": ("archive.cli.admin.holdings:unpin", "Let a quota take a study again."),
    "study show": ("archive.cli.admin.holdings:show", "Show a study and its series."),
    "study send": ("archive.cli.admin.sending:send", "Send a study to a peer."),
    "study remove": ("archive.cli.admin.holdings:remove", "Remove a study for good."),
    "import": ("archive.cli.admin.importing:import_files", "Take in files and folders."),
    "import-config": ("archive.cli.admin.configuration:import_config", "Take over a dcmqrscp.cfg."),
    "export-config": ("archive.cli.admin.configuration:export_config", "Write the registry as a dcmqrscp.cfg."),
    "report": ("archive.cli.admin.reports:report", "Reports: views for people who write SQL."),
    "log access": ("archive.cli.admin.logs:access", "Show who associated, asked for what, was refused."),
    "log changes": ("archive.cli.admin.logs:changes", "List who changed what, and how it was before."),
    "log evictions": ("archive.cli.admin.logs:evictions", "List what quotas took, and why."),
    "check verify": ("archive.cli.admin.checks:verify", "Look for rows without files and wrong counters."),
    "check reconcile": ("archive.cli.admin.checks:reconcile", "Look for files without rows, and clear them away."),
    "db upgrade": ("archive.cli.admin.database:upgrade", "Bring the schema to this version."),
    "db current": ("archive.cli.admin.database:current", "Show the revision of the schema."),
    "db check": ("archive.cli.admin.database:check", "Check that the database can be used."),
    "completion": ("archive.cli.completion:completion", "Print what makes a shell complete commands."),
}

# DCMTK's programs, with its grammar of options: they speak for themselves.
FACES: dict[str, tuple[str, str]] = {
    "dcmqrscp": ("archive.cli.dcmtk.dcmqrscp:dcmqrscp", "As DCMTK's dcmqrscp, with its configuration file."),
    "storescp": ("archive.cli.dcmtk.storescp_options:storescp", "As DCMTK's storescp: receive into a folder."),
    "dcmrecv": ("archive.cli.dcmtk.dcmrecv_options:dcmrecv", "As DCMTK's dcmrecv: receive into a folder."),
    "echoscu": ("archive.cli.dcmtk.echoscu_options:echoscu", "As DCMTK's echoscu: ask whether a peer is there."),
    "findscu": ("archive.cli.dcmtk.findscu_options:findscu", "As DCMTK's findscu: ask a peer what it holds."),
    "movescu": ("archive.cli.dcmtk.movescu_options:movescu", "As DCMTK's movescu: have studies sent somewhere."),
    "getscu": ("archive.cli.dcmtk.getscu_options:getscu", "As DCMTK's getscu: fetch over one association."),
    "storescu": ("archive.cli.dcmtk.storescu_options:storescu", "As DCMTK's storescu: send files to a peer."),
}


class LazyGroup(click.Group):
    """The commands below some words of the tables, imported when they are run."""

    def __init__(self, words: str, help: str) -> None:
        super().__init__(words.rpartition(" ")[2] or PROGRAM, help=help)
        self._words = words

    def _below(self) -> dict[str, str]:
        """The next word and its line of help, for all that lies below."""
        lines = {words: line for words, (_, line) in COMMANDS.items() if " " not in words} | GROUPS
        lines |= {words: line for words, (_, line) in (COMMANDS | FACES).items()}
        split = {words.rpartition(" ")[::2]: line for words, line in lines.items()}
        return {name: line for (parent, name), line in split.items() if parent == self._words}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._below())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        words = f"{self._words} {cmd_name}".strip()
        if words in GROUPS:
            return LazyGroup(words, GROUPS[words])
        known = COMMANDS | FACES
        if words not in known:
            return None
        module, _, attribute = known[words][0].partition(":")
        return getattr(_imported(module), attribute)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        below = self._below()
        if args[0] not in below and not args[0].startswith("-"):
            raise click.exceptions.NoSuchCommand(args[0], possibilities=below, ctx=ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        words = [CompletionItem(name, help=line) for name, line in self._below().items() if name.startswith(incomplete)]
        return words + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self._below().items()))


def _imported(module: str) -> ModuleType:
    """A command's module. What an import makes stays, so nobody looks for garbage in it, which takes a tenth longer."""
    if module in sys.modules:
        return sys.modules[module]
    gc.disable()
    try:
        return import_module(module)
    finally:
        gc.freeze()
        gc.enable()


archive = LazyGroup(
    "",
    "A DICOM archive over SQL. `archive serve` runs it; the other commands look after it, and what they change holds "
    "for the next association, without a restart.",
)
archive.epilog = "\b\nExample:\n  archive serve --data /srv/archive"
click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")(archive)


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
    except UnicodeEncodeError as error:  # a database takes text only; files may be called by any bytes
        if error.reason != _NO_TEXT:
            raise
        _say("An argument is no text in UTF-8; write it in the character set of this terminal.")
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
