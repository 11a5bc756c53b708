"""`archive network`: whose connections are taken, and whose are closed before anything is read of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from archive.cli import output
from archive.cli.main import FAILED
from archive.cli.options import Archive, example, json_option, with_archive, with_outcome
from archive.cli.output import Outcome
from archive.cli.reading import read_file
from archive.errors import Misconfigured
from archive.registry import access, hosts_access, network_changes
from archive.registry.hosts_access import Line, Problem
from archive.services.lookups import Lookups
from archive.upper_layer import connection as wire

__all__ = ["allow", "deny", "explain", "import_files", "list_rules", "remove"]

_COLUMNS = ("number", "action", "clients")
_IMPORTED = ("file", "line", "action", "clients")

_RESOLVE_SECONDS = 5.0


def _where_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--before", type=click.IntRange(1, 2**63 - 1), metavar="NUMBER", help="Before this rule."),
        click.option("--first", is_flag=True, help="Before all others; by default behind them."),
    ):
        command = option(command)
    return command


def _add(
    archive: Archive, outcome: Outcome, accepts: bool, clients: tuple[str, ...], first: bool, before: int | None
) -> None:
    if first and before is not None:
        raise Misconfigured("--first and --before exclude each other")
    number = archive.write(
        lambda connection: network_changes.add_rule(
            connection, " ".join(clients), accepts=accepts, before=before, first=first
        )
    )
    rules = archive.registry().network_rules
    place = next(index for index, rule in enumerate(rules, start=1) if rule.pk == number)
    outcome.say(f"N{str(rules[place - 1])[1:]} (place {place} of {len(rules)}).")


@click.command(
    "allow",
    epilog=example(
        "archive network allow 10.1.0.0/16 .hospital.example EXCEPT 10.1.66.0/24",
        "archive network allow 192.0.2.7 --first",
    ),
)
@click.argument("clients", nargs=-1, required=True)
@_where_options
@with_outcome
def allow(archive: Archive, outcome: Outcome, clients: tuple[str, ...], **where: Any) -> None:
    """Take connections of CLIENTS: addresses, networks, host names, .domains, ALL. The first rule that fits decides."""
    _add(archive, outcome, True, clients, **where)


@click.command("deny", epilog=example("archive network deny ALL", "archive network deny 198.51.100.0/24 --first"))
@click.argument("clients", nargs=-1, required=True)
@_where_options
@with_outcome
def deny(archive: Archive, outcome: Outcome, clients: tuple[str, ...], **where: Any) -> None:
    """Close connections of CLIENTS before anything is read of them. The first rule that fits decides."""
    _add(archive, outcome, False, clients, **where)


@click.command("list", epilog=example("archive network list"))
@json_option
@with_archive
def list_rules(archive: Archive, as_json: bool) -> None:
    """List the network rules in the order in which they are asked; whom none speaks of is taken."""
    rows = [
        {"number": rule.pk, "action": "allow" if rule.accepts else "deny", "clients": str(rule.clients)}
        for rule in archive.registry().network_rules
    ]
    output.table(_COLUMNS, rows, as_json=as_json, if_empty="No network rules, so every connection is taken")


@click.command("remove", epilog=example("archive network remove 3"))
@click.argument("number", type=click.IntRange(1, 2**63 - 1))
@with_outcome
def remove(archive: Archive, outcome: Outcome, number: int) -> None:
    """Remove a network rule by its number; archive network list shows the numbers."""
    archive.write(lambda connection: network_changes.remove_rule(connection, number))
    outcome.say(f"Network rule {number} is removed.")


@click.command("explain", epilog=example("archive network explain 10.1.2.3"))
@click.argument("host")
@json_option
@with_archive
def explain(archive: Archive, host: str, as_json: bool) -> None:
    """Say whether a connection from HOST is taken, and the rule that decides; exit code 1 if it is not."""
    address = wire.resolve(host, _RESOLVE_SECONDS)[0]
    lookups = Lookups(_RESOLVE_SECONDS)
    decision = access.connection(archive.registry(), address, lookups.addresses_of, lookups.name_of)
    output.facts({"address": address, "allowed": decision.allowed, "reason": decision.reason}, as_json=as_json)
    if not decision.allowed:
        click.get_current_context().exit(FAILED)


@click.command(
    "import",
    epilog=example("archive network import /etc/hosts.allow /etc/hosts.deny --daemon dcmqrscp --dry-run"),
)
@click.argument("hosts_allow", type=click.Path(path_type=Path))
@click.argument("hosts_deny", required=False, type=click.Path(path_type=Path))
@click.option("--daemon", default="dcmqrscp", help="Take the lines that speak of this daemon; by default dcmqrscp.")
@click.option("--dry-run", is_flag=True, help="Show the rules; change nothing.")
@with_outcome
def import_files(
    archive: Archive, outcome: Outcome, hosts_allow: Path, hosts_deny: Path | None, daemon: str, dry_run: bool
) -> None:
    """Take over the rules of TCP wrappers, behind the network rules there are.

    Lines that run commands, and clients that we cannot ask for (netgroups, users, files), are refused; then nothing is
    taken over.
    """
    found: list[tuple[Path, Line]] = []
    problems: list[tuple[Path, Problem]] = []
    for path, accepts in ((hosts_allow, True), (hosts_deny, False)):
        if path is not None:
            lines, refused = hosts_access.parse(read_hosts_file(path), daemon, accepts=accepts)
            found += [(path, line) for line in lines]
            problems += [(path, problem) for problem in refused]
    for path, problem in problems:
        click.echo(f"{path}, line {problem.number}: {problem.reason}.", err=True)
    if problems:
        raise Misconfigured("Nothing is taken over; mend these lines, or a copy of the file, and run this again")
    rules = [(line.accepts, line.clients) for _, line in found]
    archive.write(lambda connection: network_changes.append_rules(connection, rules), is_dry_run=dry_run)
    rows = [
        {
            "file": str(path),
            "line": line.number,
            "action": "allow" if line.accepts else "deny",
            "clients": str(line.clients),
        }
        for path, line in found
    ]
    outcome.tell(is_dry_run=dry_run, rules=rows)
    if not outcome.as_json:
        output.table(_IMPORTED, rows, as_json=False, if_empty=f"No line speaks of {daemon}")
    outcome.hint(f"{output.counted(len(rows), 'rule')} {'would be' if dry_run else 'are'} taken over.")


def read_hosts_file(path: Path) -> str:
    """A file of hosts_access(5); raises Misconfigured."""
    return read_file(path).decode(errors="replace")
