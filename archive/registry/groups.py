"""What the administrator changes about groups of peers, vendors, and listed move destinations; see `changes`."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from archive.errors import Misconfigured
from archive.registry import changes, names
from archive.registry.steps import changed, delete_row, insert_row, named, one_at_a_time
from archive.registry.tables import (
    access_rules,
    ae_titles,
    move_destinations,
    peer_group_members,
    peer_groups,
    peers,
)


def add_group(connection: Connection, name: str, members: Iterable[str] = (), *, is_vendor: bool = False) -> None:
    """A group of peers, or a vendor; members are the names of peers and of other groups."""
    kind = "vendor" if is_vendor else "group"
    names.require_group_name(name, kind)
    changes.require_free_name(connection, name)
    insert_row(connection, peer_groups, {"name": name, "kind": kind}, taken=f"There is a group {name} already")
    row = changes.group_row(connection, name)
    chosen = list(dict.fromkeys(members))
    for member in chosen:
        _put_in(connection, row, member)
    changed(connection, "add", kind, name, after={"members": chosen})


def set_group(connection: Connection, name: str, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
    """Put members into a group or vendor, and take members out."""
    one_at_a_time(connection)
    row = changes.group_row(connection, name)
    before = members_of(connection, row.pk)
    for member in dict.fromkeys(remove):
        if member not in before:
            raise Misconfigured(f"{member} is not in {row.kind} {name}; run: archive group list")
        _take_out(connection, row, member)
    for member in dict.fromkeys(add):
        if member not in before:
            _put_in(connection, row, member)
    after = members_of(connection, row.pk)
    changed(connection, "set", row.kind, name, before={"members": before}, after={"members": after})


def remove_group(connection: Connection, name: str) -> None:
    """Remove a group or vendor, and the rules that speak of it; the peers in it stay."""
    one_at_a_time(connection)
    row = changes.group_row(connection, name)
    changes.remove_rules(connection, access_rules.c.group_pk == row.pk)
    joined = ae_titles.join(move_destinations)
    to = select(ae_titles.c.title).select_from(joined).where(move_destinations.c.group_pk == row.pk)
    before = {"members": members_of(connection, row.pk), "destination_of": list(connection.scalars(to))}
    delete_row(connection, peer_groups, row, in_use=f"{name} is still in use")
    changed(connection, "remove", row.kind, name, before=before)


def members_of(connection: Connection, group_pk: int) -> list[str]:
    """The names of what was put into a group."""
    mine = peer_group_members.c.group_pk == group_pk
    of_peers = select(peers.c.name).join(peer_group_members, peer_group_members.c.peer_pk == peers.c.pk).where(mine)
    of_groups = (
        select(peer_groups.c.name)
        .join(peer_group_members, peer_group_members.c.member_group_pk == peer_groups.c.pk)
        .where(mine)
    )
    return sorted([*connection.scalars(of_peers), *connection.scalars(of_groups)])


def set_destinations(
    connection: Connection, title: str, *, add: Iterable[str] = (), remove: Iterable[str] = ()
) -> None:
    """Put peers and groups on the list of move destinations of one of our titles, and take some off."""
    one_at_a_time(connection)
    row = named(connection, ae_titles.c.title, title, "AE title of ours", "archive ae list")
    before = destinations_of(connection, row.pk)
    for name in dict.fromkeys(remove):
        if name not in before:
            raise Misconfigured(f"{name} is not among the destinations of {title}; run: archive ae show {title}")
        column, entry = _peer_or_group(connection, name)
        mine = (move_destinations.c.ae_title_pk == row.pk) & (move_destinations.c[column] == entry.pk)
        connection.execute(delete(move_destinations).where(mine))
    for name in dict.fromkeys(add):
        column, entry = _peer_or_group(connection, name)
        if column == "peer_pk" and entry.port is None:
            raise Misconfigured(f"Peer {name} only calls; give it a port: archive peer set {name} --port PORT")
        if name not in before:
            connection.execute(insert(move_destinations).values({"ae_title_pk": row.pk, column: entry.pk}))
    after = destinations_of(connection, row.pk)
    changed(connection, "set", "ae_title", title, before={"destinations": before}, after={"destinations": after})


def destinations_of(connection: Connection, title_pk: int) -> list[str]:
    """The names on a title's list of move destinations."""
    mine = move_destinations.c.ae_title_pk == title_pk
    of_peers = select(peers.c.name).join(move_destinations).where(mine)
    of_groups = select(peer_groups.c.name).join(move_destinations).where(mine)
    return sorted([*connection.scalars(of_peers), *connection.scalars(of_groups)])


def _put_in(connection: Connection, group: Row[Any], name: str) -> None:
    column, member = _peer_or_group(connection, name)
    if column == "peer_pk":
        values = {"group_pk": group.pk, "peer_pk": member.pk}
    elif member.pk == group.pk or group.pk in _within(connection, member.pk):
        raise Misconfigured(f"{name} cannot be in {group.name}, which is in {name}: a circle has no end")
    else:
        values = {"group_pk": group.pk, "member_group_pk": member.pk}
    connection.execute(insert(peer_group_members).values(values))


def _take_out(connection: Connection, group: Row[Any], name: str) -> None:
    column, member = _peer_or_group(connection, name)
    which = peer_group_members.c.peer_pk if column == "peer_pk" else peer_group_members.c.member_group_pk
    mine = (peer_group_members.c.group_pk == group.pk) & (which == member.pk)
    connection.execute(delete(peer_group_members).where(mine))


def _within(connection: Connection, group_pk: int) -> set[int]:
    """The groups in a group, at any depth."""
    found: set[int] = set()
    waiting = {group_pk}
    while waiting:
        inside = select(peer_group_members.c.member_group_pk).where(
            peer_group_members.c.group_pk.in_(waiting), peer_group_members.c.member_group_pk.is_not(None)
        )
        waiting = set(connection.scalars(inside)) - found
        found |= waiting
    return found


def _peer_or_group(connection: Connection, name: str) -> tuple[str, Row[Any]]:
    """What has this name, and the column that names such a thing in a list of destinations."""
    peer = connection.execute(select(peers).where(peers.c.name == name)).one_or_none()
    if peer is not None:
        return "peer_pk", peer
    group = connection.execute(select(peer_groups).where(peer_groups.c.name == name)).one_or_none()
    if group is not None:
        return "group_pk", group
    raise Misconfigured(f"There is no peer and no group {name}; run: archive peer list, archive group list")
