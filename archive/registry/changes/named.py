"""Rows of the registry by the names that the administrator gave them, or Misconfigured that says how to list them."""

from typing import Any

from sqlalchemy import Connection, Row, select

from archive.errors import Misconfigured
from archive.registry import steps
from archive.registry.tables import ae_titles, association_profiles, peer_groups, peers, storage_areas


def area_row(connection: Connection, name: str) -> Row[Any]:
    return steps.named(connection, storage_areas.c.name, name, "area", "archive area list")


def title_row(connection: Connection, title: str) -> Row[Any]:
    return steps.named(connection, ae_titles.c.title, title, "AE title of ours", "archive ae list")


def peer_row(connection: Connection, name: str) -> Row[Any]:
    return steps.named(connection, peers.c.name, name, "peer", "archive peer list")


def group_row(connection: Connection, name: str, *, is_vendor: bool | None = None) -> Row[Any]:
    """A group or vendor by its name; raises Misconfigured, also where it is the other of both."""
    noun = {True: "vendor", False: "group", None: "group or vendor"}[is_vendor]
    row = steps.named(connection, peer_groups.c.name, name, noun, "archive group list")
    if is_vendor is not None and row.kind != noun:
        raise Misconfigured(f"{name} is a {row.kind}; write --{row.kind} {name}")
    return row


def profile_row(connection: Connection, name: str) -> Row[Any]:
    """By its name, whatever its case."""
    known = connection.scalars(select(association_profiles.c.name))
    name = next((each for each in known if each.upper() == name.upper()), name)
    return steps.named(connection, association_profiles.c.name, name, "association profile", "archive profile list")


def require_free_name(connection: Connection, name: str) -> None:
    """Peers and groups share one space of names: members and destinations are found by it."""
    steps.one_at_a_time(connection)
    for table, noun in ((peers, "peer"), (peer_groups, "group or vendor")):
        if connection.scalar(select(table.c.pk).where(table.c.name == name)) is not None:
            raise Misconfigured(f"There is a {noun} {name} already")
