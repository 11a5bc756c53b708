"""What the administrator changes about remote application entities."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, select

from archive.errors import Misconfigured
from archive.registry import answering, certificates, names, networks, steps
from archive.registry.association_profiles import AssociationProfile
from archive.registry.changes.named import peer_row, require_free_name
from archive.registry.changes.profiles import with_profile_key, with_profile_name
from archive.registry.changes.rules import remove_rules
from archive.registry.tables import (
    access_rules,
    ae_titles,
    move_destinations,
    peer_group_members,
    peer_groups,
    peers,
)


def add_peer(
    connection: Connection,
    name: str,
    title: str,
    host: str,
    port: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """A remote application entity; one without a port, or with a network for host, only calls.

    `settings` as for `set_peer`; by default it is called without TLS, and its host is checked where it has TLS.
    """
    names.require_name(name, "a peer")
    require_free_name(connection, name)
    values = {"name": name, "ae_title": title, "host": host, "port": port}
    values |= with_profile_key(connection, _secured(settings or {}), AssociationProfile.check_requestor)
    _require_peer(values)
    taken = f"There is a peer {name}, or one with this title, host and port, already"
    steps.insert_row(connection, peers, values, taken=taken)
    steps.changed(connection, "add", "peer", name, after=with_profile_name(connection, values))


def set_peer(connection: Connection, name: str, settings: Mapping[str, Any]) -> None:
    """Change where a peer is, what it calls itself, how it is secured: `profile` (its name), and columns of peers."""
    row = peer_row(connection, name)
    if not settings:
        raise Misconfigured("Nothing to change; archive peer set --help lists the settings")
    values = with_profile_key(connection, _secured(settings), AssociationProfile.check_requestor)
    _require_peer({**row._asdict(), **values})
    steps.update_row(connection, peers, row, values, taken="There is a peer with this title, host and port already")
    before, after = with_profile_name(connection, steps.differing(row, values)), with_profile_name(connection, values)
    steps.changed(connection, "set", "peer", name, before=before, after=after)


def remove_peer(connection: Connection, name: str) -> None:
    """Remove a peer, and with it the rules that speak of it, its places in groups and among move destinations."""
    row = peer_row(connection, name)
    remove_rules(connection, access_rules.c.peer_pk == row.pk)
    before = {**row._asdict(), "groups": _groups_with(connection, row), "destination_of": _titles_to(connection, row)}
    steps.delete_row(connection, peers, row, in_use=f"Peer {name} is still in use")
    steps.changed(connection, "remove", "peer", name, before=with_profile_name(connection, before))


def _secured(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a peer with a certificate as it is compared; raises Misconfigured."""
    certificate = settings.get("certificate")
    return dict(settings) if certificate is None else {**settings, "certificate": certificates.parse(certificate)}


def _require_peer(values: Mapping[str, Any]) -> None:
    names.require_ae_title(values["ae_title"])
    names.require_network(values["host"])
    answering.require(values)
    if values["port"] is None:
        return
    names.require_port(values["port"])
    if networks.is_network(values["host"]):
        raise Misconfigured(
            "A peer whose host is a network only calls: give it no port, or an address or host name",
            host=values["host"],
            port=values["port"],
        )


def _groups_with(connection: Connection, peer: Row[Any]) -> list[str]:
    joined = peer_groups.join(peer_group_members, peer_group_members.c.group_pk == peer_groups.c.pk)
    statement = select(peer_groups.c.name).select_from(joined).where(peer_group_members.c.peer_pk == peer.pk)
    return list(connection.scalars(statement.order_by(peer_groups.c.name)))


def _titles_to(connection: Connection, peer: Row[Any]) -> list[str]:
    joined = ae_titles.join(move_destinations)
    statement = select(ae_titles.c.title).select_from(joined).where(move_destinations.c.peer_pk == peer.pk)
    return list(connection.scalars(statement.order_by(ae_titles.c.title)))
