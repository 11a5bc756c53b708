"""What an index consists of, on the disk: each table and each index with its bytes."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, text

from archive.database.metadata import metadata
from benchmarks.growth.made_rows import COLUMNS

# Added up, `pageno` is a number of pages; `pgsize` overflows at 2 GiB (SQLite 3.40).
_SQLITE = """
    SELECT stat.name, coalesce(made.tbl_name, stat.name), stat.pageno * (SELECT page_size FROM pragma_page_size)
    FROM dbstat AS stat LEFT JOIN sqlite_schema AS made ON made.name = stat.name WHERE stat.aggregate = TRUE
"""
# A table's TOAST is its own.
_POSTGRESQL = """
    SELECT each.relname, coalesce(indexed.relname, each.relname),
           CASE WHEN each.relkind = 'i' THEN pg_relation_size(each.oid) ELSE pg_table_size(each.oid) END
    FROM pg_class AS each
    LEFT JOIN pg_index ON pg_index.indexrelid = each.oid
    LEFT JOIN pg_class AS indexed ON indexed.oid = pg_index.indrelid
    WHERE each.relnamespace = 'public'::regnamespace AND each.relkind IN ('r', 'i')
"""


@dataclass(frozen=True, slots=True)
class Part:
    """A table, or an index of one."""

    name: str
    table: str
    size_bytes: int


def parts(connection: Connection) -> list[Part]:
    """All that takes room."""
    query = _SQLITE if connection.dialect.name == "sqlite" else _POSTGRESQL
    return [Part(name, table, int(size_bytes)) for name, table, size_bytes in connection.execute(text(query))]


def rows(connection: Connection) -> Mapping[str, int]:
    """How many rows the large tables have."""
    return {
        name: connection.scalar(select(func.count()).select_from(metadata.tables[name])) or 0
        for name in (table.name for table in COLUMNS)
    }
