"""The first change of all, and what a new archive begins with."""

from sqlalchemy import Connection

from archive.database import dialects
from archive.registry.changes.areas import add_area
from archive.registry.changes.rules import add_rule
from archive.registry.changes.titles import add_title
from archive.registry.tables import registry_revision


def begin(connection: Connection) -> bool:
    """The first change of all makes the row that counts them; False if that is there already."""
    # Whoever else is at it holds us up here until it is done, and then there is nothing left to do.
    first = dialects.insert_once(connection.dialect.name, registry_revision, "pk")
    return connection.scalar(first, {"pk": 1, "revision": 0}) is not None


def found(connection: Connection, area: str, path: str) -> bool:
    """The first start: one area, one title of the same name, anybody on this machine; False if that is done already."""
    if not begin(connection):
        return False
    add_area(connection, area, path, {})
    add_title(connection, area, area, "RW")
    for network in ("127.0.0.0/8", "::1/128"):
        add_rule(connection, area, allows=True, network=network)
    return True
