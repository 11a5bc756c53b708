"""Fill an empty PostgreSQL index by COPY, one for each table; constraints and indexes are made afterwards."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any

import psycopg
from psycopg import sql

from benchmarks.growth.made_rows import COLUMNS, Batch

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_TABLES = [table.name for table in COLUMNS]
_HAS_SEQUENCE = [table.name for table in COLUMNS if "pk" in table.columns]

# Foreign keys last and first: those that refer to a table hold its primary key.
_CONSTRAINTS = """
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE contype = ANY(%s) AND (conrelid::regclass::text = ANY(%s) OR confrelid::regclass::text = ANY(%s))
    ORDER BY conrelid::regclass::text, conname
"""
_INDEXES = """
    SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
    WHERE indrelid::regclass::text = ANY(%s)
      AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid) ORDER BY 1
"""


def load(conninfo: str, batches: Iterable[Batch]) -> None:
    """Insert all rows into a migrated database that nobody else works on."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        again = _drop(connection)
        _copy(conninfo, batches)
        connection.execute("SET maintenance_work_mem = '1GB'")
        for statement in again:
            connection.execute(statement)
        for name in _HAS_SEQUENCE:
            last = sql.SQL("SELECT setval(pg_get_serial_sequence({}, 'pk'), max(pk)) FROM {}")
            connection.execute(last.format(name, sql.Identifier(name)))
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def _drop(connection: psycopg.Connection) -> list[sql.Composed]:
    """Drop what slows a load; the statements that make it again."""
    unique = connection.execute(_CONSTRAINTS, (["p", "u"], _TABLES, [])).fetchall()
    foreign = connection.execute(_CONSTRAINTS, (["f"], _TABLES, _TABLES)).fetchall()
    indexes = connection.execute(_INDEXES, (_TABLES,)).fetchall()
    for table, name, _ in [*foreign, *unique]:
        drop = sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}")
        connection.execute(drop.format(sql.Identifier(table), sql.Identifier(name)))
    for name, _ in indexes:
        connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
    return [
        *(_add(*constraint) for constraint in unique),
        *(sql.Composed([sql.SQL(definition)]) for _, definition in indexes),
        *(_add(*constraint) for constraint in foreign),
    ]


def _add(table: str, name: str, definition: Any) -> sql.Composed:
    add = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}")
    return add.format(sql.Identifier(table), sql.Identifier(name), sql.SQL(definition))


def _copy(conninfo: str, batches: Iterable[Batch]) -> None:
    """Each table has a connection of its own, since a COPY keeps one busy until its end."""
    with ExitStack() as stack:
        copies: dict[Any, psycopg.Copy] = {}
        for table, columns in COLUMNS.items():
            # Moments come without a zone; they are in UTC.
            connection = stack.enter_context(psycopg.connect(conninfo, options="-c TimeZone=UTC"))
            names = sql.SQL(", ").join(map(sql.Identifier, columns))
            statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), names)
            copies[table] = stack.enter_context(connection.cursor().copy(statement))
        for batch in batches:
            for table, rows in batch.items():
                copies[table].write(
                    "".join("\t".join([_SPELT[type(value)](value) for value in row]) + "\n" for row in rows)
                )


def _spelt_text(value: str) -> str:
    return value.translate(_ESCAPES) if "\\" in value else value


# COPY's text format: https://www.postgresql.org/docs/current/sql-copy.html
_SPELT: Mapping[type, Callable[[Any], str]] = {
    str: _spelt_text,
    int: str,
    bytes: lambda value: "\\\\x" + value.hex(),
    type(None): lambda _: "\\N",
}
