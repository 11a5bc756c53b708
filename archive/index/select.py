"""Questions about holdings: which entities match a query, and what is answered about each.

Two steps, so that no transaction is open while a peer reads: first the primary keys of all that match, eight bytes
each; then, a chunk at a time, the columns that the answer needs. An entity removed in between is left out.
"""

from array import array
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, select

from archive.database import dialects
from archive.database.prepared import Prepared
from archive.dicom.attributes import Level
from archive.index import columns, shapes
from archive.index.matching import matching_statement
from archive.query.model import Query

# Kinds of answer, by their return keys; who invents others for ever has those of long ago forgotten.
MOST_KINDS_OF_ANSWER = 256

# Made of the database's rows at a time.
_KEYS = 10_000


def matching(connection: Connection, query: Query, area_pk: int, limit: int | None = None) -> "array[int]":
    """The primary keys of the entities of the query's level that match, in the order they arrived.

    With a limit, of at most that many entities, whichever the database finds first.
    """
    found: array[int] = array("q")
    parted = shapes.split(query, limit)
    if parted is None:
        statement = matching_statement(connection.dialect.name, query, area_pk, query.level)
        asked = connection.execute(statement if limit is None else statement.limit(limit)).partitions(_KEYS)
    else:
        shape, values = parted
        asked = shapes.prepared(shape).portions(connection, {**values, "area": area_pk}, _KEYS)
    for rows in asked:
        found.extend([pk for (pk,) in rows])
    return array("q", sorted(found))


def answers(connection: Connection, level: Level, wanted: Sequence[Any], pks: Sequence[int]) -> list[tuple[Any, ...]]:
    """What is held about these entities: a tuple each, in the order of their primary keys.

    `wanted` are the sources of a response plan: a level, the query's or one above it, and a column's name.
    """
    kind = tuple((source.level, source.column) for source in wanted)
    given = dialects.list_of(connection.dialect.name, pks)
    return [tuple(row) for row in _answers(level, kind).run(connection, {"pks": given}).rows]


@lru_cache(maxsize=MOST_KINDS_OF_ANSWER)
def _answers(level: Level, wanted: tuple[tuple[Level, str], ...]) -> Prepared:
    """The columns are text, integers and bytes, which come from the driver as they are."""
    table = columns.TABLES[level]
    highest = min((of_level for of_level, _ in wanted), default=level)
    with_counters = any(columns.is_counter(of_level, column) for of_level, column in wanted)
    return Prepared(
        lambda dialect: (
            select(*(columns.named(of_level, column) for of_level, column in wanted))
            .select_from(columns.joined(highest, level, with_counters=with_counters))
            .where(dialects.among_those(dialect.name, table.c.pk, "pks"))
            .order_by(table.c.pk)
        )
    )
