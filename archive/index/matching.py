"""A query as one SELECT: the rows of a level that match it, through the tables of the levels above and below."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, select

from archive.dicom.attributes import UNIQUE_KEYS, Level
from archive.index import columns
from archive.index.leading import leading
from archive.index.predicates import Predicates
from archive.query.model import Query


def matching_statement(
    dialect_name: str,
    query: Query,
    area_pk: int,
    level: Level,
    leads: Sequence[bool] | None = None,
    wanted: Sequence[tuple[Level, str]] = (),
) -> Select[Any]:
    """The rows of `level` that match the query, or lie below entities that do: their keys, then what is `wanted`.

    `leads` tells of each key whether it does, where the query itself does not. `wanted` are columns of the level and
    those above it.
    """
    predicates = Predicates(dialect_name, area_pk)
    keys = zip(query.keys, leading(query).keys if leads is None else leads, strict=True)
    asked = [(key.attribute.level, predicates.of_key(key, leads=is_first)) for key, is_first in keys]
    asked += [(moments.date_attribute.level, predicates.of_moments(moments)) for moments in query.date_time_ranges]
    named = [(key.attribute.level, key.attribute.column) for key in query.keys]
    with_counters = any(columns.is_counter(of_level, column) for of_level, column in (*named, *wanted))
    highest = min([level, *(of_level for of_level, _ in asked)])
    conditions = [columns.TABLES[highest].c.area_pk == area_pk]
    if level is Level.IMAGE and any(key.attribute is UNIQUE_KEYS[level] for key in query.keys):
        conditions.append(columns.TABLES[level].c.area_pk == area_pk)  # its unique constraint leads with the area
    conditions += [condition for of_level, condition in asked if of_level <= level]
    below = [(of_level, condition) for of_level, condition in asked if of_level > level]
    if below:
        conditions.append(_contains(area_pk, level, below, with_counters=with_counters))
    table = columns.TABLES[level]
    top = min([highest, *(of_level for of_level, _ in wanted)])
    tables = columns.joined(top, level, with_counters=with_counters)
    answered = (columns.named(of_level, column) for of_level, column in wanted)
    return select(table.c.pk, *answered).select_from(tables).where(and_(*conditions))


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
