"""All that differs between SQLite and PostgreSQL: no other file asks which database it is on.

SQLite has one writer at a time. Its own waiting for that place is a poll with growing sleeps, so our writers queue on
a file lock beside the database instead: blocking, fair enough, and released by the kernel when a process dies.
"""

import fcntl
import json
import os
import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Table,
    event,
    func,
    literal,
    literal_column,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from archive.errors import DatabaseFailed

SQLITE = "sqlite"
POSTGRESQL = "postgresql"
SUPPORTED = (SQLITE, POSTGRESQL)

# For a stranger who holds SQLite's own lock (a person at the sqlite3 prompt); our own writers never meet there.
SQLITE_BUSY_MILLISECONDS = 10_000
# Pages of 4 KiB: 64 MiB, enough for the inner pages of the indexes of some ten million instances.
SQLITE_CACHE_KIBIBYTES = 65_536

# serialization_failure; deadlock_detected; foreign_key_violation, where the parent was removed under our hands;
# admin_shutdown, crash_shutdown, cannot_connect_now. Class 08: the connection.
RETRYABLE_SQLSTATES = frozenset({"40001", "40P01", "23503", "57P01", "57P02", "57P03"})

# A checkpoint syncs twice and writes each changed page once: 32 MiB of WAL are some 750 stores.
SQLITE_CHECKPOINT_PAGES = 8192

# A frame is a page and 24 bytes; the checkpoint comes with the commit that passes the limit.
SQLITE_LOG_BYTES = (SQLITE_CHECKPOINT_PAGES + 64) * (4096 + 24)

# One key for all archives of a database: "PACS" in ASCII. Transaction-scoped, so that pgbouncer may sit in between.
MIGRATION_LOCK_KEY = 0x50414353


def insert(dialect_name: str, table: Table) -> Any:
    """An INSERT that knows ON CONFLICT; both dialects spell it alike."""
    return sqlite.insert(table) if dialect_name == SQLITE else postgresql.insert(table)


@cache
def insert_once(dialect_name: str, table: Table, *returning: str) -> Any:
    """An INSERT that does nothing where a unique constraint says that the row is there; made once, for speed."""
    statement = insert(dialect_name, table).on_conflict_do_nothing()
    return statement.returning(*(table.c[name] for name in returning)) if returning else statement


def wild_card(dialect_name: str, column: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
    """The values of `column` that match a DICOM wild card pattern, case by case (PS3.4 C.2.2.2.4)."""
    if dialect_name == POSTGRESQL:
        return column.like(pattern.translate(_LIKE), escape="\\")
    # GLOB is SQLite's case-sensitive matcher; `*` and `?` mean what DICOM means, `[` has to be quoted by a class.
    return column.op("GLOB", is_comparison=True)(pattern.replace("[", "[[]"))


# SQLite takes 50,000 bytes for GLOB, and a character may have four; the longest value, an LT, has 10,240 characters.
MAX_PATTERN_CHARACTERS = 12_500

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


_LIKE = str.maketrans({"\\": "\\\\", "%": "\\%", "_": "\\_", "*": "%", "?": "_"})


def among(dialect_name: str, column: ColumnElement[Any], values: Iterable[int] | Iterable[str]) -> ColumnElement[bool]:
    """The rows with one of these values, by one bound value however many there are."""
    if dialect_name == POSTGRESQL:
        return column == func.any(literal(list(values), postgresql.ARRAY(column.type)))
    listed = json.dumps(list(values))
    return column.in_(select(literal_column("value")).select_from(func.json_each(listed)))


def is_retryable(error: DBAPIError) -> bool:
    """Whether the same transaction, done again, may well succeed."""
    if error.connection_invalidated:
        return True
    sqlstate = getattr(error.orig, "sqlstate", None) or ""
    if sqlstate in RETRYABLE_SQLSTATES or sqlstate.startswith("08"):
        return True
    return getattr(error.orig, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


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


def prepare_sqlite(engine: Engine) -> None:
    """Make `engine` a SQLite engine of ours: WAL, foreign keys, and BEGIN under our control (IMMEDIATE to write)."""

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # sqlite3 would begin by itself, and too late
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_MILLISECONDS}")
        cursor.execute(f"PRAGMA cache_size = -{SQLITE_CACHE_KIBIBYTES}")
        cursor.execute(f"PRAGMA wal_autocheckpoint = {SQLITE_CHECKPOINT_PAGES}")
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


def grow_write_ahead_log(database: Path) -> None:
    """Make the file of SQLite's log as long as it gets between checkpoints; inside a write transaction, so that nobody
    else writes there.

    A COMMIT that makes a file longer takes twice as long to sync as one that writes within it (ext4, November 2026).
    SQLite stops reading its log at the first frame without a checksum, as these zeros are, and writes over them
    (https://sqlite.org/fileformat2.html, section 4.1).
    """
    log = os.open(f"{database}-wal", os.O_RDWR | os.O_CLOEXEC)
    try:
        size_bytes = os.fstat(log).st_size
        missing_bytes = SQLITE_LOG_BYTES - size_bytes
        if missing_bytes > 0:
            try:
                os.pwrite(log, bytes(missing_bytes), size_bytes)
                os.fsync(log)
            except OSError:  # no room for it: what there is belongs to instances
                os.ftruncate(log, size_bytes)
                raise
    finally:
        os.close(log)


def choose_durability(connection: Connection, durable: bool) -> None:
    """Before a write transaction on SQLite, at its start on PostgreSQL: whether COMMIT waits for the disk."""
    if connection.dialect.name == POSTGRESQL:
        if not durable:
            connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
        return
    wanted = "FULL" if durable else "NORMAL"
    info = connection.connection.info
    if info.get("synchronous") != wanted:
        driver = connection.connection.dbapi_connection
        assert driver is not None
        driver.cursor().execute(f"PRAGMA synchronous = {wanted}").close()
        info["synchronous"] = wanted


def version(connection: Connection) -> str:
    """Which database this is, with its version."""
    numbers = connection.dialect.server_version_info or ()
    return " ".join((connection.dialect.name, ".".join(map(str, numbers)))).strip()


def see_one_moment(connection: Connection) -> None:
    """As the first statement of a read transaction: all its statements see the database as it is now.

    SQLite's transactions do so anyway; PostgreSQL's see each statement's own moment unless told.
    """
    if connection.dialect.name == POSTGRESQL:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


def lock_for_migration(connection: Connection) -> None:
    """Wait, within limits, until no other process migrates; held until this transaction ends."""
    if connection.dialect.name == POSTGRESQL:
        connection.execute(text("SET LOCAL lock_timeout = '10s'"))
        connection.execute(text("SET LOCAL statement_timeout = '30s'"))
        connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK_KEY)))
        connection.execute(text("SET LOCAL statement_timeout = 0"))
