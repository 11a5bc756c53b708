"""Questions about holdings: which entities match a query, and what is answered about each.

Two steps, so that no transaction is open while a peer reads: first the primary keys of all that match, eight bytes
each; then, a chunk at a time, the columns that the answer needs. An entity removed in between is left out.
Both in one statement where an index leads to few entities, as of a patient, an accession number, a study: to a server
that is one trip.
"""

from array import array
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from archive.database import dialects
from archive.database.prepared import Prepared
from archive.dicom.attributes import Level
from archive.index import columns, shapes
from archive.index.leading import leading
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


class Found(NamedTuple):
    """What matches, in the order it arrived."""

    pks: "array[int]"
    answers: list[tuple[Any, ...]]
    """What is held about each, or about the first of them."""


def few(query: Query, area_pk: int, wanted: Sequence[Any], most: int) -> Callable[[Connection], Found | None] | None:
    """How to find in one statement what matches, and what `wanted` is of it; None if it may well be much.

    What is returned says None where there are more than `most` after all.
    """
    parted = shapes.split(query, most + 1)
    leads = leading(query) if parted is None else parted[0].leading
    if not leads.is_to_few:  # a database that is told to stop early may begin elsewhere, and be late
        return None
    kind = _kind(wanted)

    def find(connection: Connection) -> Found | None:
        if parted is None:
            statement = matching_statement(connection.dialect.name, query, area_pk, query.level, leads.keys, kind)
            rows = connection.execute(statement.limit(most + 1)).all()
        else:
            shape, values = parted
            rows = shapes.answering(shape, kind).run(connection, {**values, "area": area_pk}).rows
        if len(rows) > most:
            return None
        held = sorted(rows, key=itemgetter(0))
        return Found(array("q", [row[0] for row in held]), [tuple(row[1:]) for row in held])

    return find


def answers(connection: Connection, level: Level, wanted: Sequence[Any], pks: Sequence[int]) -> list[tuple[Any, ...]]:
    """What is held about these entities: a tuple each, in the order of their primary keys.

    `wanted` are the sources of a response plan: a level, the query's or one above it, and a column's name.
    """
    given = dialects.list_of(connection.dialect.name, pks)
    return [tuple(row) for row in _answers(level, _kind(wanted)).run(connection, {"pks": given}).rows]


def _kind(wanted: Sequence[Any]) -> tuple[tuple[Level, str], ...]:
    return tuple((source.level, source.column) for source in wanted)


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
