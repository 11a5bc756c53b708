"""`archive ae`: our own AE titles; whoever calls one of them works in its area."""

from collections.abc import Callable
from shlex import quote
from typing import Any

import click

from archive.cli import output
from archive.cli.admin import answering
from archive.cli.name_completion import names_of
from archive.cli.options import Archive, Limit, example, json_option, with_archive, with_outcome
from archive.cli.output import Outcome
from archive.database.dialects import Connection
from archive.errors import Misconfigured
from archive.registry import changes, groups, snapshot
from archive.registry.snapshot import MovePolicy, OwnTitle

__all__ = ["add", "change", "list_titles", "remove", "show"]

_COLUMNS = ("title", "area", "access", "moves_to", "restrictions", "rules")

_ACCESS = click.Choice(["RW", "R", "W"], case_sensitive=False)

_ANYWHERE = "anywhere"
# The words of --moves-to, and the columns that they set.
_MOVES_TO = {
    "same-title": "moves_to_same_title",
    "same-host": "moves_to_same_host",
    "same-vendor": "moves_to_same_vendor",
    "listed": "moves_to_listed",
}

# The columns that are shown by the words of the options.
_SHOWN_OTHERWISE = {
    *("can_read", "can_write", *_MOVES_TO.values()),
    *("allows_get", "allows_patient_root", "allows_study_root", "allows_patient_study_only", "allows_parallel_store"),
    *("requires_find", "requires_implementation_uid", "requires_user", "refuses"),
}


class MovesTo(click.ParamType[frozenset[str]]):
    """Which move destinations are allowed: anywhere, or a list of words that must all hold."""

    name = "moves to"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> frozenset[str]:
        if isinstance(value, frozenset):
            return value
        words = frozenset(word.strip().lower() for word in value.split(","))
        if words == {_ANYWHERE}:
            return frozenset()
        if not words <= _MOVES_TO.keys():
            self.fail(f"{value!r}: expected {_ANYWHERE}, or a list of {','.join(_MOVES_TO)}", param, ctx)
        return words


def _access_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What associations at the title are held to, whoever calls; columns of ae_titles and its list of destinations."""
    for option in (
        click.option(
            "--max-associations-per-caller",
            type=Limit(),
            help="Most associations of one calling AE title at a time; by default none.",
        ),
        click.option("--max-associations", type=Limit(), help="Most associations at a time; by default none."),
        click.option(
            "--require-implementation-uid/--no-require-implementation-uid",
            "requires_implementation_uid",
            default=None,
            help="Reject peers that name no Implementation Class UID; by default they may.",
        ),
        click.option(
            "--refuse/--no-refuse", "refuses", default=None, help="Reject every association; by default rules decide."
        ),
        click.option(
            "--require-user/--no-require-user",
            "requires_user",
            default=None,
            help="Let in only who proves to be a user of ours (User Identity); by default anybody whom a rule allows.",
        ),
        click.option(
            "--parallel-store/--no-parallel-store",
            "allows_parallel_store",
            default=None,
            help="Let several associations store at a time; by default they may.",
        ),
        click.option(
            "--require-find/--no-require-find",
            "requires_find",
            default=None,
            help="Move and get only beside a C-FIND of the same model; by default alone, too.",
        ),
        click.option(
            "--patient-study-only/--no-patient-study-only",
            "allows_patient_study_only",
            default=None,
            help="Offer Patient/Study Only; by default it is.",
        ),
        click.option(
            "--study-root/--no-study-root",
            "allows_study_root",
            default=None,
            help="Offer Study Root; by default it is.",
        ),
        click.option(
            "--patient-root/--no-patient-root",
            "allows_patient_root",
            default=None,
            help="Offer Patient Root; by default it is.",
        ),
        click.option("--get/--no-get", "allows_get", default=None, help="Offer C-GET; by default it is."),
        click.option(
            "--add-destination",
            "add_destinations",
            shell_complete=names_of("peer", "group", "vendor"),
            metavar="NAME",
            multiple=True,
            help="Put a peer, group or vendor on the list of move destinations; from then on only those are allowed.",
        ),
        click.option(
            "--moves-to",
            type=MovesTo(),
            metavar="LIST",
            help=f"Where a C-MOVE may go: {_ANYWHERE} (default), or a list of {','.join(_MOVES_TO)}, which must all "
            "hold.",
        ),
    ):
        command = option(command)
    return command


def _chosen(given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options that were given as columns, and what becomes of the list of destinations."""
    given = dict(given)
    listing = {"add": given.pop("add_destinations", ()), "remove": given.pop("remove_destinations", ())}
    moves_to = given.pop("moves_to", None)
    chosen = answering.settings(given)
    if moves_to is not None:
        if listing["add"] and "listed" not in moves_to:
            raise Misconfigured("Destinations are added to the list, and --moves-to is without listed; add that word")
        chosen |= {column: word in moves_to for word, column in _MOVES_TO.items()}
    elif listing["add"]:
        chosen["moves_to_listed"] = True
    return chosen, listing


@click.command("add", epilog=example("archive ae add RESEARCH --area RESEARCH --access RW"))
@click.argument("title")
@click.option("--area", shell_complete=names_of("area"), required=True, help="The area in which the title works.")
@click.option("--access", required=True, type=_ACCESS, help="R: find, move and get; W: store; RW: both.")
@_access_options
@answering.answering_options
@with_outcome
def add(archive: Archive, outcome: Outcome, title: str, area: str, access: str, **given: Any) -> None:
    """Add an AE title of ours; nobody may call it until a rule allows it."""
    columns, listing = _chosen(given)

    def work(connection: Connection) -> None:
        changes.add_title(connection, title, area, access, columns)
        if any(listing.values()):
            groups.set_destinations(connection, title, **listing)

    archive.write(work)
    outcome.say(f"AE title {title} works in area {area} ({access.upper()}).")
    outcome.hint(
        f"Nobody may enter until a rule allows it, for instance: archive rule allow --at {quote(title)} --peer NAME"
    )


@click.command("list", epilog=example("archive ae list --json"))
@json_option
@with_archive
def list_titles(archive: Archive, as_json: bool) -> None:
    """List our AE titles: area, access, what they are restricted to, and how many rules there are."""
    rows = [
        {
            "title": title.title,
            "area": title.area.name,
            "access": title.access,
            "moves_to": _moves_to(title.policy.moves),
            "restrictions": _restrictions(title),
            "rules": len(title.rules),
        }
        for title in archive.registry().titles.values()
    ]
    output.table(_COLUMNS, rows, as_json=as_json, if_empty="No AE titles; add one: archive ae add TITLE --area NAME")


def _moves_to(moves: MovePolicy) -> list[str]:
    """In the words of --moves-to."""
    return [word for word, column in _MOVES_TO.items() if getattr(moves, column.removeprefix("moves_"))] or [_ANYWHERE]


def _restrictions(title: OwnTitle) -> list[str]:
    """What differs from the defaults, in the words of the options."""
    policy = title.policy
    flags = {
        "no-get": not policy.allows_get,
        "no-patient-root": not policy.allows_patient_root,
        "no-study-root": not policy.allows_study_root,
        "no-patient-study-only": not policy.allows_patient_study_only,
        "require-find": policy.requires_find,
        "no-parallel-store": not policy.allows_parallel_store,
        "refuse": policy.refuses,
        "require-implementation-uid": policy.requires_implementation_uid,
        "require-user": title.requires_user,
        f"max-associations={policy.max_associations}": policy.max_associations is not None,
        f"max-associations-per-caller={policy.max_associations_per_caller}": (
            policy.max_associations_per_caller is not None
        ),
    }
    return [word for word, holds in flags.items() if holds]


@click.command("show", epilog=example("archive ae show ARCHIVE"))
@click.argument("title", shell_complete=names_of("ae_title"))
@json_option
@with_archive
def show(archive: Archive, title: str, as_json: bool) -> None:
    """Show one AE title of ours: its area, what it holds associations to, how it answers, and its rules."""
    with archive.read() as connection:
        columns = snapshot.settings_of_title(connection, title)
        own = snapshot.read(connection).titles[title]
    policy = own.policy
    settings = {
        "title": own.title,
        "area": own.area.name,
        "access": own.access,
        "moves_to": _moves_to(policy.moves),
        "destinations": [each.name for each in policy.moves.listed],
        "get": policy.allows_get,
        "patient_root": policy.allows_patient_root,
        "study_root": policy.allows_study_root,
        "patient_study_only": policy.allows_patient_study_only,
        "require_find": policy.requires_find,
        "parallel_store": policy.allows_parallel_store,
        "refuse": policy.refuses,
        "require_implementation_uid": policy.requires_implementation_uid,
        "require_user": own.requires_user,
    }
    settings |= {name: value for name, value in columns.items() if name not in _SHOWN_OTHERWISE}
    rules = [str(rule) for rule in own.rules]
    output.facts(settings | ({"rules": rules} if as_json else {}), as_json=as_json)
    if not as_json:
        for line in rules or ["no rules, so nobody may enter; see: archive rule allow --help"]:
            click.echo(line)


@click.command(
    "set",
    epilog=example("archive ae set RESEARCH --access R", "archive ae set RESEARCH --moves-to same-host --no-get"),
)
@click.argument("title", shell_complete=names_of("ae_title"))
@click.option(
    "--area", shell_complete=names_of("area"), help="Work in this area from now on; what is in the old one stays there."
)
@click.option("--access", type=_ACCESS, help="R: find, move and get; W: store; RW: both.")
@click.option(
    "--remove-destination",
    "remove_destinations",
    shell_complete=names_of("peer", "group", "vendor"),
    metavar="NAME",
    multiple=True,
    help="Take a peer, group or vendor off the list of move destinations.",
)
@_access_options
@answering.answering_options
@with_outcome
def change(archive: Archive, outcome: Outcome, title: str, **given: Any) -> None:
    """Change settings of an AE title; what is not named stays. Holds for the next association."""
    columns, listing = _chosen(given)

    def work(connection: Connection) -> None:
        if any(listing.values()):
            groups.set_destinations(connection, title, **listing)
        if columns or not any(listing.values()):
            changes.set_title(connection, title, columns)

    archive.write(work)
    outcome.say(f"AE title {title} is changed.")


@click.command("remove", epilog=example("archive ae remove RESEARCH"))
@click.argument("title", shell_complete=names_of("ae_title"))
@with_outcome
def remove(archive: Archive, outcome: Outcome, title: str) -> None:
    """Remove an AE title of ours and its rules; its area and what that holds stay."""
    archive.write(lambda connection: changes.remove_title(connection, title))
    outcome.say(f"AE title {title} is removed, and its rules with it.")
