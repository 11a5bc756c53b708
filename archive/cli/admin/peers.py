"""`archive peer`: remote application entities, of whom rules speak and to whom a C-MOVE may go."""

from collections.abc import Callable, Iterable
from typing import Any

import click

from archive.cli import output
from archive.cli.name_completion import names_of
from archive.cli.options import NONE, Archive, columns, example, json_option, named, with_archive, with_outcome
from archive.cli.output import Outcome
from archive.database.dialects import Connection
from archive.dicom.transfer_syntax_presets import PROPOSE
from archive.errors import Misconfigured
from archive.registry import certificates, changes, groups, names
from archive.registry.snapshot import Peer
from archive.server import wiring
from archive.services import client, delivery
from archive.upper_layer.tls import Tls

__all__ = ["add", "change", "echo", "list_peers", "remove"]

_COLUMNS = (
    "name",
    "title",
    "host",
    "port",
    "tls",
    "check_host",
    "certificate",
    "proposes",
    "profile",
    "groups",
    "vendors",
)


class Port(click.ParamType[int | str]):
    """A port, or none for a peer that only calls."""

    name = "PORT|none"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if str(value).lower() == NONE:
            return NONE
        return click.IntRange(1, 65535).convert(value, param, ctx)


def _where_options(required: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def add_to(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            click.option(
                "--profile",
                shell_complete=names_of("profile"),
                metavar="NAME|none",
                help="Propose by this association profile to it, whatever is sent; it replaces --proposes.",
            ),
            click.option(
                "--proposes",
                type=click.Choice([*PROPOSE, NONE]),
                metavar="PRESET|none",
                help="Transfer syntaxes offered to it, best first, for all that is sent; by default none: "
                "each as it is stored, and uncompressed.",
            ),
            click.option(
                "--certificate",
                metavar="FORM|none",
                help=f"Nobody may use its title without this certificate: {certificates.FORMS}.",
            ),
            click.option(
                "--check-host/--no-check-host",
                "checks_host",
                default=None,
                help="In TLS, its certificate must name its host; by default it must.",
            ),
            click.option("--tls/--no-tls", "uses_tls", default=None, help="Call it in TLS; by default without."),
            click.option(
                "--port",
                type=Port(),
                help="Where it listens; none if it only calls: then no C-MOVE can go to it.",
            ),
            click.option(
                "--host",
                metavar="HOST|CIDR",
                required=required,
                help="Its address or host name; a network if it only calls.",
            ),
            click.option("--title", metavar="AET", required=required, help="The AE title it has."),
        ):
            command = option(command)
        return command

    return add_to


def _group_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--vendor",
            "vendors",
            shell_complete=names_of("vendor"),
            metavar="NAME",
            multiple=True,
            help="Put it under this vendor.",
        ),
        click.option(
            "--group",
            "into_groups",
            shell_complete=names_of("group"),
            metavar="NAME",
            multiple=True,
            help="Put it into this group.",
        ),
    ):
        command = option(command)
    return command


def _put_into(connection: Connection, name: str, into_groups: Iterable[str], vendors: Iterable[str]) -> None:
    for chosen, is_vendor in ((into_groups, False), (vendors, True)):
        for group in chosen:
            changes.group_row(connection, group, is_vendor=is_vendor)
            groups.set_group(connection, group, add=(name,))


def _settings(given: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, as settings of a peer."""
    settings = columns(given)
    if str(settings.get("certificate", "")).lower() == NONE:
        settings["certificate"] = None
    return settings


@click.command(
    "add",
    epilog=example(
        "archive peer add CT1 --title CT_SCANNER --host 10.1.2.3 --port 104",
        "archive peer add WARD --title WARD --host 10.1.6.0/24",
        "archive peer add WS1 --title WS1 --host ws1.example --port 2762 --tls --certificate san:dns:ws1.example",
    ),
)
@click.argument("name")
@_where_options(required=True)
@_group_options
@with_outcome
def add(
    archive: Archive,
    outcome: Outcome,
    name: str,
    title: str,
    host: str,
    port: int | str | None,
    into_groups: tuple[str, ...],
    vendors: tuple[str, ...],
    **given: Any,
) -> None:
    """Add a remote application entity under a NAME of your choice."""
    number = port if isinstance(port, int) else None

    def work(connection: Connection) -> None:
        changes.add_peer(connection, name, title, host, number, _settings(given))
        _put_into(connection, name, into_groups, vendors)

    archive.write(work)
    if number is None:
        outcome.say(f"Peer {name} is {title} at {host}; it only calls: without a port no C-MOVE can go to it.")
        outcome.hint(f"To let it in: archive rule allow --at TITLE --peer {name}")
    else:
        outcome.say(f"Peer {name} is {title} at {host} port {port}.")
        outcome.hint(f"A C-MOVE may go to it; to let it in: archive rule allow --at TITLE --peer {name}")


@click.command("list", epilog=example("archive peer list"))
@json_option
@with_archive
def list_peers(archive: Archive, as_json: bool) -> None:
    """List the peers, and the groups and vendors they were put into."""
    registry = archive.registry()

    def holding(peer: Peer, *, is_vendor: bool) -> list[str]:
        return [
            group.name
            for group in registry.groups.values()
            if group.is_vendor is is_vendor and peer.name in group.members
        ]

    rows = [
        {
            "name": peer.name,
            "title": peer.ae_title,
            "host": peer.host,
            "port": peer.port,
            "tls": peer.uses_tls,
            "check_host": peer.checks_host,
            "certificate": peer.certificate,
            "proposes": peer.proposes,
            "profile": peer.profile.name if peer.profile else None,
            "groups": holding(peer, is_vendor=False),
            "vendors": holding(peer, is_vendor=True),
        }
        for peer in registry.peers.values()
    ]
    output.table(_COLUMNS, rows, as_json=as_json, if_empty="No peers; see: archive peer add --help")


@click.command(
    "set",
    epilog=example(
        "archive peer set CT1 --host 10.1.2.4",
        "archive peer set CT1 --group SCANNERS",
        "archive peer set CT1 --certificate subject:CN=CT1",
    ),
)
@click.argument("name", shell_complete=names_of("peer"))
@_where_options(required=False)
@_group_options
@click.option(
    "--leave",
    shell_complete=names_of("group", "vendor"),
    metavar="NAME",
    multiple=True,
    help="Take it out of this group or vendor.",
)
@with_outcome
def change(
    archive: Archive,
    outcome: Outcome,
    name: str,
    title: str | None,
    into_groups: tuple[str, ...],
    vendors: tuple[str, ...],
    leave: tuple[str, ...],
    **given: Any,
) -> None:
    """Change settings of a peer; what is not named stays. Holds for the next association."""
    settings = _settings(given | {"ae_title": title})

    def work(connection: Connection) -> None:
        if settings or not (into_groups or vendors or leave):
            changes.set_peer(connection, name, settings)
        for group in leave:
            groups.set_group(connection, group, remove=(name,))
        _put_into(connection, name, into_groups, vendors)

    archive.write(work)
    outcome.say(f"Peer {name} is changed.")


@click.command("remove", epilog=example("archive peer remove CT1"))
@click.argument("name", shell_complete=names_of("peer"))
@with_outcome
def remove(archive: Archive, outcome: Outcome, name: str) -> None:
    """Remove a peer, the rules that name it, and its places in groups and among move destinations."""
    archive.write(lambda connection: changes.remove_peer(connection, name))
    outcome.say(f"Peer {name} is removed, and the rules that named it.")


@click.command("echo", epilog=example("archive peer echo CT1 --as ARCHIVE"))
@click.argument("name", shell_complete=names_of("peer"))
@click.option(
    "--as",
    "calling",
    shell_complete=names_of("ae_title"),
    metavar="TITLE",
    help="Call with this AE title; by default the first of ours.",
)
@json_option
@with_archive
def echo(archive: Archive, name: str, calling: str | None, as_json: bool) -> None:
    """Send a C-ECHO to a peer; exit code 1 and the reason if it does not answer with success."""
    registry = archive.registry()
    peer = named(registry.peers, name, "peer", "archive peer list")
    if peer.port is None:
        raise Misconfigured(f"Peer {name} only calls; give it a port: archive peer set {name} --port PORT")
    if calling is None:
        calling = next(iter(registry.titles), "ARCHIVE")
    names.require_ae_title(calling)
    waits = wiring.timeouts(archive.settings)
    session = delivery.session_for(peer, Tls(wiring.tls_policy(archive.settings)))
    seconds = client.echo(peer.host, peer.port, called=peer.ae_title, calling=calling, timeouts=waits, session=session)
    if as_json:
        answered = {"peer": name, "title": peer.ae_title, "host": peer.host, "port": peer.port, "called_by": calling}
        agreed = None if session is None else str(session.agreed)
        output.facts(answered | {"tls": agreed, "seconds": round(seconds, 6)}, as_json=True)
        return
    how = f" over {session.agreed}" if session is not None else ""
    click.echo(f"{peer.ae_title} at {peer.host} port {peer.port} answered {calling} in {seconds * 1000:.1f} ms{how}.")
