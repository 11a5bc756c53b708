"""One row of the registry: found by its name, made, changed, dropped; and what every change leaves behind.

Whoever decides what may be changed is in `changes`, `groups` and `network_changes`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, Connection, Row, Table, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from archive.errors import Misconfigured
from archive.registry import audit
from archive.registry.tables import registry_revision


def one_at_a_time(connection: Connection) -> None:
    """Until this transaction ends, nobody else changes the registry: for what depends on several rows."""
    connection.execute(select(registry_revision.c.pk).with_for_update())  # SQLite has one writer anyway


def named(connection: Connection, column: Column[Any], value: object, noun: str, listing: str) -> Row[Any]:
    """The row; raises Misconfigured that says how to list them."""
    row = connection.execute(select(column.table).where(column == value)).one_or_none()
    if row is None:
        raise Misconfigured(f"There is no {noun} {value}; run: {listing}")
    return row


def insert_row(connection: Connection, table: Table, values: Mapping[str, Any], *, taken: str) -> None:
    try:
        connection.execute(insert(table).values(created_at=datetime.now(UTC), **values))
    except IntegrityError as error:
        raise Misconfigured(taken) from error


def update_row(
    connection: Connection, table: Table, row: Row[Any], values: Mapping[str, Any], *, taken: str = "That is taken"
) -> None:
    try:
        connection.execute(update(table).where(table.c.pk == row.pk).values(**values))
    except IntegrityError as error:
        raise Misconfigured(taken) from error


def delete_row(connection: Connection, table: Table, row: Row[Any], *, in_use: str) -> None:
    try:
        connection.execute(delete(table).where(table.c.pk == row.pk))
    except IntegrityError as error:
        raise Misconfigured(in_use) from error


def changed(
    connection: Connection,
    action: str,
    subject: str,
    name: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Services read the registry again, and there is a note of why."""
    connection.execute(update(registry_revision).values(revision=registry_revision.c.revision + 1))
    audit.note(connection, action, subject, name, before=before, after=after)


def differing(row: Row[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """What the row says where `values` say something else."""
    return {name: value for name, value in row._asdict().items() if name in values}
