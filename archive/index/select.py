"""Questions about holdings: which entities match a query, and what is answered about each.

Two steps, so that no transaction is open while a peer reads: first the primary keys of all that match, eight bytes
each; then, a chunk at a time, the columns that the answer needs. An entity removed in between is left out.
"""

from array import array
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, select

from archive.database import dialects
from archive.dicom.attributes import UNIQUE_KEYS, Level
from archive.index import columns
from archive.index.leading import leads
from archive.index.predicates import Predicates
from archive.query.model import Query


def matching(connection: Connection, query: Query, area_pk: int, limit: int | None = None) -> "array[int]":
    """The primary keys of the entities of the query's level that match, in the order they arrived.

    With a limit, of at most that many entities, whichever the database finds first.
    """
    statement = matching_statement(connection.dialect.name, query, area_pk, query.level)
    found = connection.execute(statement if limit is None else statement.limit(limit)).scalars().all()
    return array("q", sorted(found))


def matching_statement(dialect_name: str, query: Query, area_pk: int, level: Level) -> Select[int]:
    """The rows of `level` that match the query, or lie below entities that do."""
    predicates = Predicates(dialect_name, area_pk)
    today = datetime.now(UTC).date()
    asked = [(key.attribute.level, predicates.of_key(key, leads=leads(query, key, today))) for key in query.keys]
    asked += [(moments.date_attribute.level, predicates.of_moments(moments)) for moments in query.date_time_ranges]
    with_counters = any(columns.is_counter(key.attribute.level, key.attribute.column) for key in query.keys)
    highest = min([level, *(of_level for of_level, _ in asked)])
    conditions = [columns.TABLES[highest].c.area_pk == area_pk]
    if level is Level.IMAGE and any(key.attribute is UNIQUE_KEYS[level] for key in query.keys):
        conditions.append(columns.TABLES[level].c.area_pk == area_pk)  # its unique constraint leads with the area
    conditions += [condition for of_level, condition in asked if of_level <= level]
    below = [(of_level, condition) for of_level, condition in asked if of_level > level]
    if below:
        conditions.append(_contains(area_pk, level, below, with_counters=with_counters))
    table = columns.TABLES[level]
    tables = columns.joined(highest, level, with_counters=with_counters)
    return select(table.c.pk).select_from(tables).where(and_(*conditions))


def _contains(
    area_pk: int, level: Level, below: Sequence[tuple[Level, ColumnElement[bool]]], *, with_counters: bool
) -> ColumnElement[bool]:
    """Relational queries: one and the same chain of lower entities meets all conditions of the levels below.

    By IN, not EXISTS: SQLite then begins with the lower entities where an index finds them. Their area is named again
    for the sake of these indexes.
    """
    first = Level(level + 1)
    parent = {
        Level.STUDY: columns.TABLES[Level.STUDY].c.patient_pk,
        Level.SERIES: columns.TABLES[Level.SERIES].c.study_pk,
        Level.IMAGE: columns.TABLES[Level.IMAGE].c.series_pk,
    }[first]
    levels = sorted({of_level for of_level, _ in below})
    within = (
        select(parent)
        .select_from(columns.joined(first, levels[-1], with_counters=with_counters))
        .where(*(columns.TABLES[each].c.area_pk == area_pk for each in levels), *(condition for _, condition in below))
        .correlate(None)
    )
    return columns.TABLES[level].c.pk.in_(within)


def answers(connection: Connection, level: Level, wanted: Sequence[Any], pks: Sequence[int]) -> list[tuple[Any, ...]]:
    """What is held about these entities: a tuple each, in the order of their primary keys.

    `wanted` are the sources of a response plan: a level, the query's or one above it, and a column's name.
    """
    table = columns.TABLES[level]
    highest = min((source.level for source in wanted), default=level)
    with_counters = any(columns.is_counter(source.level, source.column) for source in wanted)
    statement = (
        select(*(columns.named(source.level, source.column) for source in wanted))
        .select_from(columns.joined(highest, level, with_counters=with_counters))
        .where(dialects.among(connection.dialect.name, table.c.pk, pks))
        .order_by(table.c.pk)
    )
    return [tuple(row) for row in connection.execute(statement)]
