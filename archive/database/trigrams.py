"""SQLite finds parts of a text by a table of trigrams beside the column; PostgreSQL has an index that does.

FTS5's trigram tokenizer (https://sqlite.org/fts5.html, section 4.3.4) without positions (detail=none): a search asks
for the rows that have all trigrams of a pattern, and looks at each of them. Triggers keep it in the transactions of its
rows; only a new or removed patient or study pays for it.
"""

import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, Integer, Select, column, literal_column, select, table
from sqlalchemy.sql.util import ClauseAdapter

from archive.errors import Misconfigured

TABLES: Mapping[tuple[str, str], str] = {
    ("patients", "patient_name_alphabetic_folded"): "patient_name_trigrams",
    ("studies", "study_description"): "study_description_trigrams",
}
"""By table and column: where its trigrams are."""

_MOST_TRIGRAMS = 16  # more make a search no narrower


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for in a text column: the predicate, and the wild card pattern that is part of it."""

    column: Column[Any]
    pattern: str
    matching: ColumnElement[bool]


def require(connection: sqlite3.Connection) -> None:
    """Raises Misconfigured where SQLite was built without full-text search: its triggers would fail each store."""
    (has_it,) = connection.execute("SELECT sqlite_compileoption_used('ENABLE_FTS5')").fetchone()
    if not has_it:
        raise Misconfigured(
            f"The SQLite {sqlite3.sqlite_version} of this Python has no full-text search (FTS5), by which parts of "
            "names are found; use another Python, or PostgreSQL"
        )


def keys_found(area_pk: int, search: Search) -> Select[Any]:
    """The keys of an area's rows for which the search is true; a pattern without three characters in a row reads all
    of the column's index.
    """
    of_column = search.column.table
    rows = of_column.alias("searched")
    # That it is not NULL is there for partial indexes.
    wanted = [rows.c[search.column.name].is_not(None), ClauseAdapter(rows).traverse(search.matching)]
    name, expression = TABLES.get((of_column.name, search.column.name)), _expression(search.pattern)
    if name is None or not expression:
        return select(rows.c.pk).where(rows.c.area_pk == area_pk, *wanted)
    held = table(name, column("rowid", Integer))
    having_all = literal_column(name).op("MATCH", is_comparison=True)(expression)
    # Adding 0 keeps the indexes of the area out of it.
    return select(rows.c.pk).where(
        rows.c.pk.in_(select(held.c.rowid).where(having_all)), rows.c.area_pk + 0 == area_pk, *wanted
    )


def _expression(pattern: str) -> str:
    """What FTS5 is asked for: all trigrams of a wild card pattern; empty if it has none."""
    runs = re.split(r"[*?]", pattern)
    found = dict.fromkeys(run[at : at + 3] for run in runs for at in range(len(run) - 2))
    return " AND ".join('"' + each.replace('"', '""') + '"' for each in list(found)[:_MOST_TRIGRAMS])


def statements(table_name: str, column_name: str) -> Sequence[str]:
    """What makes the trigrams of a column, and keeps them."""
    name = TABLES[table_name, column_name]
    take_out = f"INSERT INTO {name} ({name}, rowid, {column_name}) SELECT 'delete', OLD.pk, OLD.{column_name}"
    put_in = f"INSERT INTO {name} (rowid, {column_name}) SELECT NEW.pk, NEW.{column_name}"
    was, is_there = f"WHERE OLD.{column_name} IS NOT NULL", f"WHERE NEW.{column_name} IS NOT NULL"
    return (
        f"CREATE VIRTUAL TABLE {name} USING fts5({column_name}, content='{table_name}', content_rowid='pk', "
        "tokenize='trigram case_sensitive 1', detail=none, columnsize=0)",
        f"CREATE TRIGGER {name}_insert AFTER INSERT ON {table_name} BEGIN {put_in} {is_there}; END",
        f"CREATE TRIGGER {name}_delete AFTER DELETE ON {table_name} BEGIN {take_out} {was}; END",
        f"CREATE TRIGGER {name}_update AFTER UPDATE OF {column_name} ON {table_name} "
        f"BEGIN {take_out} {was}; {put_in} {is_there}; END",
    )
