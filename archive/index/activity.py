"""Write what has happened, a batch in one short transaction; forget it when it is old.

A row that is gone meanwhile, because it grew too old, is made again: its association still goes on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, bindparam, delete, select, update

from archive.database import dialects
from archive.index.activity_tables import associations, operations, received_by_day


@dataclass(frozen=True, slots=True)
class AssociationRow:
    """The columns of `associations`, but for its key."""

    began_at: datetime
    ended_at: datetime | None
    node: str
    worker: int
    called_ae_title: str
    calling_ae_title: str
    peer_host: str
    outcome: str
    implementation_version_name: str | None = None
    area: str | None = None
    rejection: str | None = None
    refused_operations: str | None = None
    refused_because: str | None = None
    reason: str | None = None
    number_of_requests: int = 1
    contexts_accepted: int | None = None
    contexts_refused: int | None = None
    number_of_operations: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0


@dataclass(frozen=True, slots=True)
class OperationRow:
    """The columns of `operations`, but for its keys."""

    operation: str
    began_at: datetime
    ended_at: datetime
    status: str | None
    duration_seconds: float
    longest_seconds: float
    number_of_requests: int = 1
    information_model: str | None = None
    level: str | None = None
    move_destination: str | None = None
    error_comment: str | None = None
    number_of_matches: int | None = None
    sub_operations_completed: int | None = None
    sub_operations_failed: int | None = None
    sub_operations_warning: int | None = None
    number_replaced: int | None = None
    number_kept: int | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Happened:
    """An association as it stands, with those of its operations that are new or have changed; None: no row yet."""

    pk: int | None
    association: AssociationRow
    operations: Sequence[tuple[int | None, OperationRow]] = ()


class Source(NamedTuple):
    """Whose instances of which kind went where on which day: the key of `received_by_day`."""

    day: date
    area: str
    source_ae_title: str
    modality: str


class Written(NamedTuple):
    """The keys of an association and of its operations, in their order."""

    pk: int
    operations: list[int]


def write(
    connection: Connection, happened: Sequence[Happened], received: Mapping[Source, tuple[int, int]]
) -> list[Written]:
    """Write associations and operations, and add instances and bytes to what was received."""
    pks = _write(connection, associations, [(each.pk, _values(each.association)) for each in happened])
    below = [
        (pk, _values(operation) | {"association_pk": association_pk})
        for association_pk, each in zip(pks, happened, strict=True)
        for pk, operation in each.operations
    ]
    written = iter(_write(connection, operations, below))
    _add_received(connection, received)
    return [Written(pk, [next(written) for _ in each.operations]) for pk, each in zip(pks, happened, strict=True)]


def _values(row: AssociationRow | OperationRow) -> dict[str, Any]:
    return {field.name: getattr(row, field.name) for field in fields(row)}


def _write(connection: Connection, table: Table, rows: Sequence[tuple[int | None, dict[str, Any]]]) -> list[int]:
    """Update the rows that have a key and insert the others; the keys of all."""
    there = _updated(connection, table, [(pk, values) for pk, values in rows if pk is not None])
    keys = [pk if pk in there else None for pk, _ in rows]
    new = [values for key, (_, values) in zip(keys, rows, strict=True) if key is None]
    if not new:
        return [key for key in keys if key is not None]
    made = iter(dialects.insert_many(connection, table, new))
    return [next(made) if key is None else key for key in keys]


def _updated(connection: Connection, table: Table, rows: Sequence[tuple[int, dict[str, Any]]]) -> set[int]:
    """Update the rows of these keys, by one round trip if all of them are there; the keys of those that are."""
    if not rows:
        return set()
    statement = update(table).where(table.c.pk == bindparam("key"))
    changed = [values | {"key": pk} for pk, values in rows]
    if connection.execute(statement, changed).rowcount == len(rows):
        return {pk for pk, _ in rows}
    # Some were forgotten meanwhile; to update the others twice does no harm.
    return {each["key"] for each in changed if connection.execute(statement, each).rowcount > 0}


def _add_received(connection: Connection, received: Mapping[Source, tuple[int, int]]) -> None:
    if not received:
        return
    table = received_by_day
    statement = dialects.insert(connection.dialect.name, table)
    counters = ("number_of_instances", "size_bytes")
    added = {name: table.c[name] + statement.excluded[name] for name in counters}
    statement = statement.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=added)
    # In one order, so that two workers do not wait for each other in a circle.
    rows = [key._asdict() | dict(zip(counters, counts, strict=True)) for key, counts in sorted(received.items())]
    connection.execute(statement, rows)


def close_lost(connection: Connection, node: str, worker: int, now: datetime) -> int:
    """Associations that a process of this place left open when it was killed are lost; returns how many."""
    of_process = (associations.c.node == node, associations.c.worker == worker, associations.c.outcome == "open")
    lost = {"outcome": "lost", "ended_at": now, "reason": "The process that served it ended"}
    return connection.execute(update(associations).where(*of_process).values(lost)).rowcount


def forget(connection: Connection, before: datetime, most: int) -> int:
    """Drop the oldest associations that began before a moment, at most so many, with their operations."""
    old = select(associations.c.pk).where(associations.c.began_at < before)
    oldest = old.order_by(associations.c.began_at).limit(most)
    return connection.execute(delete(associations).where(associations.c.pk.in_(oldest))).rowcount
