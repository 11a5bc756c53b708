"""`archive peer`: remote application entities, of whom rules speak and to whom a C-MOVE may go."""

from collections.abc import Callable
from typing import Any

import click

from archive.cli import output
from archive.cli.options import Archive, example, json_option, named, with_archive
from archive.registry import changes
from archive.server import wiring
from archive.services import client

__all__ = ["add", "change", "echo", "list_peers", "remove"]

_COLUMNS = ("name", "title", "host", "port")


def _where_options(required: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def add_to(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            click.option("--port", type=click.IntRange(1, 65535), required=required, help="Where it listens."),
            click.option("--host", required=required, help="Its address or host name."),
            click.option("--title", metavar="AET", required=required, help="The AE title it has."),
        ):
            command = option(command)
        return command

    return add_to


@click.command("add", epilog=example("archive peer add CT1 --title CT_SCANNER --host 10.1.2.3 --port 104"))
@click.argument("name")
@_where_options(required=True)
@with_archive
def add(archive: Archive, name: str, title: str, host: str, port: int) -> None:
    """Add a remote application entity under a NAME of your choice."""
    archive.write(lambda connection: changes.add_peer(connection, name, title, host, port))
    click.echo(f"Peer {name} is {title} at {host} port {port}.")
    click.echo(f"A C-MOVE may go to it; to let it in: archive rule allow --at TITLE --peer {name}", err=True)


@click.command("list", epilog=example("archive peer list"))
@json_option
@with_archive
def list_peers(archive: Archive, as_json: bool) -> None:
    """List the peers."""
    rows = [
        {"name": peer.name, "title": peer.ae_title, "host": peer.host, "port": peer.port}
        for peer in archive.registry().peers.values()
    ]
    output.table(_COLUMNS, rows, as_json=as_json, if_empty="No peers; see: archive peer add --help")


@click.command("set", epilog=example("archive peer set CT1 --host 10.1.2.4"))
@click.argument("name")
@_where_options(required=False)
@with_archive
def change(archive: Archive, name: str, title: str | None, host: str | None, port: int | None) -> None:
    """Change a peer's AE title, host or port. Holds for the next association."""
    archive.write(lambda connection: changes.set_peer(connection, name, title, host, port))
    click.echo(f"Peer {name} is changed.")


@click.command("remove", epilog=example("archive peer remove CT1"))
@click.argument("name")
@with_archive
def remove(archive: Archive, name: str) -> None:
    """Remove a peer, and the rules that name it."""
    archive.write(lambda connection: changes.remove_peer(connection, name))
    click.echo(f"Peer {name} is removed, and the rules that named it.")


@click.command("echo", epilog=example("archive peer echo CT1 --as ARCHIVE"))
@click.argument("name")
@click.option("--as", "calling", metavar="TITLE", help="Call with this AE title; by default the first of ours.")
@with_archive
def echo(archive: Archive, name: str, calling: str | None) -> None:
    """Send a C-ECHO to a peer; exit code 1 and the reason if it does not answer with success."""
    registry = archive.registry()
    peer = named(registry.peers, name, "peer", "archive peer list")
    if calling is None:
        calling = next(iter(registry.titles), "ARCHIVE")
    changes.require_ae_title(calling)
    waits = wiring.timeouts(archive.settings)
    seconds = client.echo(peer.host, peer.port, called=peer.ae_title, calling=calling, timeouts=waits)
    click.echo(f"{peer.ae_title} at {peer.host} port {peer.port} answered {calling} in {seconds * 1000:.1f} ms.")
