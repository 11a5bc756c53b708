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
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Date,
    Engine,
    Integer,
    Numeric,
    Table,
    bindparam,
    event,
    func,
    literal,
    literal_column,
    or_,
    select,
    text,
    type_coerce,
    union_all,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from archive.database import trigrams
from archive.database.prepared import Prepared
from archive.database.trigrams import Search
from archive.errors import DatabaseFailed

SQLITE = "sqlite"
POSTGRESQL = "postgresql"
SUPPORTED = (SQLITE, POSTGRESQL)

# For a stranger who holds SQLite's own lock (a person at the sqlite3 prompt); our own writers never meet there.
SQLITE_BUSY_MILLISECONDS = 10_000
# Pages of 4 KiB. A process has one writer, for whom 64 MiB are enough for the inner pages of the indexes of some ten
# million instances, and up to some dozens of readers: what these miss is mostly in the cache of the system.
SQLITE_WRITER_CACHE_KIBIBYTES = 65_536
SQLITE_CACHE_KIBIBYTES = 16_384

# serialization_failure; deadlock_detected; foreign_key_violation, where the parent was removed under our hands;
# admin_shutdown, crash_shutdown, cannot_connect_now. Class 08: the connection.
RETRYABLE_SQLSTATES = frozenset({"40001", "40P01", "23503", "57P01", "57P02", "57P03"})

# A checkpoint syncs twice and writes each changed page once: 32 MiB of WAL are some 750 stores.
SQLITE_CHECKPOINT_PAGES = 8192

# A frame is a page and 24 bytes; the checkpoint comes with the commit that passes the limit.
SQLITE_LOG_BYTES = (SQLITE_CHECKPOINT_PAGES + 64) * (4096 + 24)

# One key for all archives of a database: "PACS" in ASCII. Transaction-scoped, so that pgbouncer may sit in between.
MIGRATION_LOCK_KEY = 0x50414353


# Locks on areas and on shards of them, in the space of pairs of numbers, which is another: "AREA" and "SHAR".
_AREA_LOCKS, _SHARD_LOCKS = 0x41524541, 0x53484152
_MOST_SHARDS = 64


def _lock(name: str, space: int, parameter: str) -> ColumnElement[Any]:
    return getattr(func, name)(literal(space, Integer), bindparam(parameter, type_=Integer))


# They queue in the order in which they came: locks on rows would let those who share go before who waits for all.
_hold_area = Prepared(lambda _: select(_lock("pg_advisory_xact_lock", _AREA_LOCKS, "area")))
_share_area = Prepared(
    lambda _: select(
        _lock("pg_advisory_xact_lock_shared", _AREA_LOCKS, "area"),
        _lock("pg_advisory_xact_lock", _SHARD_LOCKS, "area_and_shard"),
    )
)


def has_one_writer(connection: Connection) -> bool:
    """Whether transactions that write come one after the other anyway."""
    return connection.dialect.name == SQLITE


def changes_rows_in_with(connection: Connection) -> bool:
    """Whether a WITH may insert and update, so that several such statements are one."""
    return connection.dialect.name == POSTGRESQL


def hold_area(connection: Connection, area_pk: int) -> None:
    """Wait until nobody holds the area or a share of it; it is held until this transaction ends."""
    if not has_one_writer(connection):
        _hold_area.run(connection, {"area": _key(area_pk)})


def share_area(connection: Connection, area_pk: int, shard: int) -> None:
    """Wait until nobody holds the area, or a share of it for this shard (0 to 63); ours until this transaction ends."""
    if not has_one_writer(connection):
        _share_area.run(connection, {"area": _key(area_pk), "area_and_shard": _key(_MOST_SHARDS * area_pk + shard)})


def _key(number: int) -> int:
    """A number for a lock; two numbers that give the same wait for each other without need, and no harm."""
    return number % 2**31


def insert(dialect_name: str, table: Table) -> Any:
    """An INSERT that knows ON CONFLICT; both dialects spell it alike.

    The dialect of the database has been imported when it was opened; the other one would only cost time.
    """
    if dialect_name == SQLITE:
        from sqlalchemy.dialects.sqlite import insert as dialect_insert
    else:
        from sqlalchemy.dialects.postgresql import insert as dialect_insert
    return dialect_insert(table)


@cache
def insert_once(dialect_name: str, table: Table, *returning: str) -> Any:
    """An INSERT that does nothing where a unique constraint says that the row is there; made once, for speed."""
    statement = insert(dialect_name, table).on_conflict_do_nothing()
    return statement.returning(*(table.c[name] for name in returning)) if returning else statement


def insert_many(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> list[int]:
    """Insert rows, many by one statement, and return their keys `pk` in the same order.

    SQLAlchemy would insert them one by one on SQLite, which promises no order of what is returned. But it inserts in
    the order of the values, and each key of an AUTOINCREMENT is larger than those before.
    """
    if connection.dialect.name == POSTGRESQL:
        statement = table.insert().returning(table.c.pk, sort_by_parameter_order=True)
        return list(connection.scalars(statement, rows))
    return sorted(connection.scalars(table.insert().returning(table.c.pk), rows))


def wild_card(dialect_name: str, column: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
    """The values of `column` that match a DICOM wild card pattern, case by case (PS3.4 C.2.2.2.4)."""
    if dialect_name == POSTGRESQL:
        return column.like(pattern.translate(_LIKE), escape="\\")
    # GLOB is SQLite's case-sensitive matcher; `*` and `?` mean what DICOM means, `[` has to be quoted by a class.
    return column.op("GLOB", is_comparison=True)(pattern.replace("[", "[[]"))


def searched(dialect_name: str, area_pk: int, searches: Sequence[Search]) -> ColumnElement[bool]:
    """The rows of an area's table of which one of the searches is true, where no index looks them up.

    SQLite is given the keys of the rows: by trigrams where there are any, else by reading an index of the column, which
    takes a third of the time that the whole table takes.
    """
    if dialect_name == POSTGRESQL:
        return or_(*(each.matching for each in searches))
    of_column = searches[0].column.table
    return of_column.c.pk.in_(union_all(*(trigrams.keys_found(area_pk, each) for each in searches)))


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
    return _among(dialect_name, column, list_of(dialect_name, values))


def among_those(dialect_name: str, column: ColumnElement[Any], parameter: str) -> ColumnElement[bool]:
    """The same with a parameter of this name, which takes what `list_of` makes of the values."""
    return _among(dialect_name, column, bindparam(parameter))


def list_of(dialect_name: str, values: Iterable[int] | Iterable[str]) -> Any:
    """Any number of values as one."""
    return list(values) if dialect_name == POSTGRESQL else json.dumps(list(values))


def _among(dialect_name: str, column: ColumnElement[Any], listed: Any) -> ColumnElement[bool]:
    if dialect_name == POSTGRESQL:
        return column == func.any(type_coerce(listed, ARRAY(column.type)))
    return column.in_(select(literal_column("value")).select_from(func.json_each(listed)))


class _Day(FunctionElement[date]):
    """The day, in UTC, of a moment."""

    type = Date()
    name = "day"
    inherit_cache = True


@compiles(_Day, SQLITE)
def _sqlite_day(element: _Day, compiler: Any, **kw: Any) -> str:
    return f"date({compiler.process(element.clauses, **kw)})"


@compiles(_Day, POSTGRESQL)
def _postgresql_day(element: _Day, compiler: Any, **kw: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **kw)} AT TIME ZONE 'UTC' AS DATE)"


class _Seconds(FunctionElement[float]):
    """Seconds from one moment to another, in thousandths."""

    type = Numeric(asdecimal=False)
    name = "seconds"
    inherit_cache = True


@compiles(_Seconds, SQLITE)
def _sqlite_seconds(element: _Seconds, compiler: Any, **kw: Any) -> str:
    first, last = (compiler.process(each, **kw) for each in element.clauses)
    return f"round((julianday({last}) - julianday({first})) * 86400, 3)"


@compiles(_Seconds, POSTGRESQL)
def _postgresql_seconds(element: _Seconds, compiler: Any, **kw: Any) -> str:
    first, last = (compiler.process(each, **kw) for each in element.clauses)
    return f"round(CAST(extract(epoch FROM {last} - {first}) AS NUMERIC), 3)"


def day_of(moment: ColumnElement[Any]) -> ColumnElement[date]:
    """The day of a moment, in UTC."""
    return _Day(moment)


def seconds_between(first: ColumnElement[Any], last: ColumnElement[Any]) -> ColumnElement[float]:
    """Seconds from one moment to another, rounded to thousandths."""
    return _Seconds(first, last)


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


def for_readers(engine: Engine) -> Engine:
    """The engine for transactions that only read, each from one snapshot of the database.

    SQLite's are so by themselves; PostgreSQL's would take a new snapshot for each statement.
    """
    if engine.dialect.name == SQLITE:
        return engine
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def prepare_sqlite(engine: Engine) -> None:
    """Make `engine` a SQLite engine of ours: WAL, foreign keys, and BEGIN under our control (IMMEDIATE to write)."""

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, record: Any) -> None:
        trigrams.require(connection)
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


def writer(engine: Engine) -> Connection:
    """A connection for all turns of SQLite's one writer."""
    connection = engine.connect().execution_options(is_write=True)
    driver = connection.connection.dbapi_connection
    assert driver is not None
    driver.cursor().execute(f"PRAGMA cache_size = -{SQLITE_WRITER_CACHE_KIBIBYTES}").close()
    return connection


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


def now(connection: Connection) -> datetime:
    """The time by the clock that everybody shares who works on this database."""
    if connection.dialect.name == POSTGRESQL:
        return connection.execute(select(func.clock_timestamp())).scalar_one().astimezone(UTC)
    return datetime.now(UTC)  # all of them are on this machine


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
