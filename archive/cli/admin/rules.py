"""`archive rule`: who may do what at which of our AE titles, and why."""

from collections.abc import Callable
from typing import Any

import click

from archive.cli import output
from archive.cli.name_completion import names_of
from archive.cli.options import Archive, Operations, example, json_option, named, with_archive, with_outcome
from archive.cli.output import Outcome
from archive.errors import Misconfigured
from archive.registry import changes
from archive.registry.tables import RULED

__all__ = ["allow", "deny", "list_rules", "remove"]

_COLUMNS = ("number", "at", "action", "who", "can")


def _who_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--can",
            type=Operations(),
            metavar="LIST",
            help=f"Operations, separated by commas: {','.join(RULED)}; by default all, but an allow without shutdown.",
        ),
        click.option("--from", "network", metavar="HOST|CIDR", help="Only from this host or network."),
        click.option("--any", "anybody", is_flag=True, help="Anybody."),
        click.option("--title", shell_complete=names_of("peer_title"), metavar="AET", help="Whoever calls itself so."),
        click.option("--vendor", shell_complete=names_of("vendor"), metavar="NAME", help="Every peer of a vendor."),
        click.option("--group", shell_complete=names_of("group"), metavar="NAME", help="Every peer in a group."),
        click.option(
            "--peer", shell_complete=names_of("peer"), metavar="NAME", help="A peer: its title from its host."
        ),
        click.option(
            "--at",
            shell_complete=names_of("ae_title"),
            required=True,
            metavar="TITLE",
            help="At this AE title of ours.",
        ),
    ):
        command = option(command)
    return command


def _add(
    archive: Archive,
    outcome: Outcome,
    allows: bool,
    at: str,
    title: str | None,
    anybody: bool,
    network: str | None,
    can: tuple[str, ...] | None,
    **who: str | None,
) -> None:
    known = [name for name in who.values() if name is not None]
    if len(known) + (title is not None) + anybody != 1:
        raise Misconfigured(
            "Say for whom the rule is, by one of --peer NAME, --group NAME, --vendor NAME, --title AET and --any"
        )
    if known and network is not None:
        raise Misconfigured("--from does not go with peers, whose hosts are known; use --title AET --from HOST|CIDR")
    number = archive.write(
        lambda connection: changes.add_rule(
            connection, at, allows=allows, calling_ae_title=title, network=network, operations=can, **who
        )
    )
    rule = next(rule for rule in archive.registry().titles[at].rules if rule.pk == number)
    outcome.say(f"At {at}: {rule}.")


@click.command(
    "allow",
    epilog=example(
        "archive rule allow --at ARCHIVE --peer CT1 --can echo,store",
        "archive rule allow --at ARCHIVE --title WORKSTATION --from 10.1.0.0/16",
        "archive rule allow --at ARCHIVE --group SCANNERS --can echo,store",
    ),
)
@_who_options
@with_outcome
def allow(archive: Archive, outcome: Outcome, **given: Any) -> None:
    """Allow operations at one of our AE titles. Holds for the next association."""
    _add(archive, outcome, True, **given)


@click.command("deny", epilog=example("archive rule deny --at ARCHIVE --any --from 10.1.66.0/24"))
@_who_options
@with_outcome
def deny(archive: Archive, outcome: Outcome, **given: Any) -> None:
    """Deny operations at one of our AE titles; a deny outweighs every allow. Holds for the next association."""
    _add(archive, outcome, False, **given)


@click.command("list", epilog=example("archive rule list --at ARCHIVE"))
@click.option("--at", shell_complete=names_of("ae_title"), metavar="TITLE", help="Only those at this AE title of ours.")
@json_option
@with_archive
def list_rules(archive: Archive, at: str | None, as_json: bool) -> None:
    """List the rules with their numbers."""
    titles = archive.registry().titles
    chosen = list(titles.values()) if at is None else [named(titles, at, "AE title of ours", "archive ae list")]
    rows = [
        {
            "number": rule.pk,
            "at": title.title,
            "action": "allow" if rule.allows else "deny",
            "who": rule.who,
            "can": [operation for operation in RULED if operation in rule.operations],
        }
        for title in chosen
        for rule in title.rules
    ]
    output.table(
        _COLUMNS, rows, as_json=as_json, if_empty="No rules, so nobody may enter; see: archive rule allow --help"
    )


@click.command("remove", epilog=example("archive rule remove 3"))
@click.argument("number", type=click.IntRange(1, 2**63 - 1))
@with_outcome
def remove(archive: Archive, outcome: Outcome, number: int) -> None:
    """Remove a rule by its number; archive rule list shows the numbers."""
    archive.write(lambda connection: changes.remove_rule(connection, number))
    outcome.say(f"Rule {number} is removed.")
