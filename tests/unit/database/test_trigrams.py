"""Without full-text search SQLite cannot hold the archive, and who opens it learns why."""

import sqlite3
from contextlib import closing

import pytest

from archive.database import trigrams
from archive.errors import Misconfigured


class Limited(sqlite3.Connection):
    """A connection to a SQLite that was built without FTS5."""

    def execute(self, sql: str, parameters: object = (), /) -> sqlite3.Cursor:
        return super().execute(sql.replace("'ENABLE_FTS5'", "'ENABLE_NOTHING'"))


def test_a_sqlite_with_full_text_search_will_do() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        trigrams.require(connection)


def test_a_sqlite_without_full_text_search_is_refused_with_what_to_do() -> None:
    with (
        closing(sqlite3.connect(":memory:", factory=Limited)) as connection,
        pytest.raises(Misconfigured, match="use another Python, or PostgreSQL"),
    ):
        trigrams.require(connection)
