"""Fill an empty SQLite index at the speed of the disk: no journal, secondary indexes made afterwards.

A load that fails leaves a file to be thrown away. Statistics stay those that the migrations wrote, as in an archive
where nobody has said ANALYZE.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from archive.database import trigrams
from benchmarks.growth.made_rows import COLUMNS, Batch

_CACHE_KIBIBYTES = 2 * 1024 * 1024  # unique constraints cannot wait: their trees stay in memory


def load(database: Path, batches: Iterable[Batch]) -> None:
    """Insert all rows into a migrated database that nobody else has open."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "foreign_keys = OFF", "locking_mode = EXCLUSIVE"):
            connection.execute(f"PRAGMA {pragma}").close()
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIBIBYTES}")
        connection.execute("PRAGMA threads = 2")  # they sort for indexes
        again = _drop(connection)
        connection.execute("BEGIN")
        for batch in batches:
            for table, rows in batch.items():
                places = ", ".join("?" * len(COLUMNS[table]))
                connection.executemany(f"INSERT INTO {table.name} ({_listed(COLUMNS[table])}) VALUES ({places})", rows)
        connection.execute("COMMIT")
        for statement in again:
            connection.execute(statement)
        for name in trigrams.TABLES.values():
            connection.execute(f"INSERT INTO {name} ({name}) VALUES ('rebuild')")
        _restore_statistics(connection)
        for pragma in ("locking_mode = NORMAL", "journal_mode = WAL"):
            connection.execute(f"PRAGMA {pragma}").close()


def _listed(columns: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


def _drop(connection: sqlite3.Connection) -> list[str]:
    """Drop triggers, and what a CREATE INDEX made, of the tables to be filled; the statements that make them again."""
    connection.execute("CREATE TEMP TABLE statistics AS SELECT tbl, idx, stat FROM sqlite_stat1")
    tables = ", ".join(f"'{table.name}'" for table in COLUMNS)
    made = "SELECT type, name, sql FROM sqlite_schema WHERE type IN ('index', 'trigger') AND sql IS NOT NULL"
    found = connection.execute(f"{made} AND tbl_name IN ({tables})").fetchall()
    for kind, name, _ in found:
        connection.execute(f'DROP {kind} "{name}"')
    return [statement for _, _, statement in found]


def _restore_statistics(connection: sqlite3.Connection) -> None:
    """DROP INDEX took its index's figures with it."""
    connection.execute("DELETE FROM sqlite_stat1")
    connection.execute("INSERT INTO sqlite_stat1 (tbl, idx, stat) SELECT tbl, idx, stat FROM temp.statistics")
