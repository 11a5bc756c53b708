"""SQLite as a service of ours uses it: how its connections are set up, its writers' queue, its write-ahead log.

SQLite has one writer at a time. Its own waiting for that place is a poll with growing sleeps, so our writers queue on
a file lock beside the database instead: blocking, fair enough, and released by the kernel when a process dies.
"""

import fcntl
import os
import re
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError

from archive.database import trigrams
from archive.errors import DatabaseFailed

# For a stranger who holds SQLite's own lock (a person at the sqlite3 prompt); our own writers never meet there.
BUSY_MILLISECONDS = 10_000
# Pages of 4 KiB. A process has one writer, for whom 64 MiB are enough for the inner pages of the indexes of some ten
# million instances, and up to some dozens of readers: what these miss is mostly in the cache of the system.
WRITER_CACHE_KIBIBYTES = 65_536
CACHE_KIBIBYTES = 16_384

# A checkpoint syncs twice and writes each changed page once: 32 MiB of WAL are some 750 stores.
CHECKPOINT_PAGES = 8192

# A frame is a page and 24 bytes; the checkpoint comes with the commit that passes the limit.
LOG_BYTES = (CHECKPOINT_PAGES + 64) * (4096 + 24)


class WriterQueue:
    """The queue of SQLite's writers: threads of this process first, then processes."""

    def __init__(self, database: Path) -> None:
        self._threads = threading.Lock()
        self._path = database.with_name(database.name + ".writer")
        self._descriptor: int | None = None

    @contextmanager
    def turn(self) -> Iterator[None]:
        with self._threads:
            if self._descriptor is None:
                self._descriptor = self._open()
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise DatabaseFailed(
                "The database cannot be written", path=str(self._path), reason=error.strerror
            ) from error

    def close(self) -> None:
        with self._threads:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None


def prepare(engine: Engine) -> None:
    """Make `engine` a SQLite engine of ours: WAL, foreign keys, and BEGIN under our control (IMMEDIATE to write)."""

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, record: Any) -> None:
        trigrams.require(connection)
        connection.isolation_level = None  # sqlite3 would begin by itself, and too late
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
        cursor.execute(f"PRAGMA cache_size = -{CACHE_KIBIBYTES}")
        cursor.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        cursor.close()
        connection.create_function("regexp", 2, _regexp, deterministic=True)
        record.info["synchronous"] = "FULL"

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        statement = "BEGIN IMMEDIATE" if connection.get_execution_options().get("is_write", False) else "BEGIN"
        driver = connection.connection.driver_connection
        assert driver is not None
        try:
            driver.execute(statement)  # past SQLAlchemy, which takes ten times as long
        except sqlite3.Error as error:
            raise DBAPIError.instance(statement, None, error, sqlite3.Error, dialect=connection.dialect) from error


def writer(engine: Engine) -> Connection:
    """A connection for all turns of SQLite's one writer."""
    connection = engine.connect().execution_options(is_write=True)
    driver = connection.connection.dbapi_connection
    assert driver is not None
    driver.cursor().execute(f"PRAGMA cache_size = -{WRITER_CACHE_KIBIBYTES}").close()
    return connection


def roll_back(connection: Connection) -> None:
    """Undo what is not committed.

    SQLite may keep a transaction open whose COMMIT failed, while SQLAlchemy takes it for ended and does not tell it.
    """
    connection.rollback()
    driver: Any = connection.connection.dbapi_connection
    if driver.in_transaction:
        driver.rollback()


def grow_log(database: Path) -> None:
    """Make the file of SQLite's log as long as it gets between checkpoints; inside a write transaction, so that nobody
    else writes there.

    A COMMIT that makes a file longer takes twice as long to sync as one that writes within it (ext4, November 2026).
    SQLite stops reading its log at the first frame without a checksum, as these zeros are, and writes over them
    (https://sqlite.org/fileformat2.html, section 4.1).
    """
    log = os.open(f"{database}-wal", os.O_RDWR | os.O_CLOEXEC)
    try:
        size_bytes = os.fstat(log).st_size
        missing_bytes = LOG_BYTES - size_bytes
        if missing_bytes > 0:
            try:
                os.pwrite(log, bytes(missing_bytes), size_bytes)
                os.fsync(log)
            except OSError:  # no room for it: what there is belongs to instances
                os.ftruncate(log, size_bytes)
                raise
    finally:
        os.close(log)


# In an expression of query/patterns.py: a star, and plain text or question marks up to the next star.
_STAR = r"\[\^\\\\\^?\]\*"
_PLAIN = r"(?:\\.|\[\^\\\\\^?\](?!\*)|[^\\()\[\]|?*])"
_BETWEEN_STARS = re.compile(rf"({_STAR})({_PLAIN}+)(?={_STAR})", re.DOTALL)


@lru_cache(maxsize=256)
def _compiled(expression: str) -> re.Pattern[str]:
    """The expression, so that it never goes back over what lies between two stars.

    The first place where a star is satisfied is as good as any other (an atomic group). Without that, one value of a
    thousand letters and a pattern of five stars keep Python busy for hours; PostgreSQL needs no such help.
    """
    return re.compile(_BETWEEN_STARS.sub(r"(?>\1?\2)", expression))


def _regexp(expression: str, value: str | None) -> bool | None:
    """SQLite's REGEXP operator."""
    return None if value is None else _compiled(expression).search(value) is not None
