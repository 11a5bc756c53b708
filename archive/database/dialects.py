"""All that differs between statements of SQLite and PostgreSQL: no other file asks which database it is on."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from functools import cache
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

SQLITE = "sqlite"
POSTGRESQL = "postgresql"
SUPPORTED = (SQLITE, POSTGRESQL)

# serialization_failure; deadlock_detected; foreign_key_violation, where the parent was removed under our hands;
# admin_shutdown, crash_shutdown, cannot_connect_now. Class 08: the connection.
RETRYABLE_SQLSTATES = frozenset({"40001", "40P01", "23503", "57P01", "57P02", "57P03"})

DIVISION_BY_ZERO = "22012"

# psycopg's words where the server ended in the moment of its answer to BEGIN or COMMIT: "received 2 results from
# command". Of a COMMIT it is not known then whether it was, as when the connection is lost.
_ANSWER_AND_GOODBYE = " results from command "

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
    if sqlstate in RETRYABLE_SQLSTATES or sqlstate.startswith("08") or _ANSWER_AND_GOODBYE in str(error.orig):
        return True
    return getattr(error.orig, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def took_itself_back(error: DBAPIError) -> bool:
    """Whether a statement divided by zero to undo what it had done."""
    return getattr(error.orig, "sqlstate", None) == DIVISION_BY_ZERO


def for_readers(engine: Engine) -> Engine:
    """The engine for transactions that only read, each from one snapshot of the database.

    SQLite's are so by themselves; PostgreSQL's would take a new snapshot for each statement.
    """
    if engine.dialect.name == SQLITE:
        return engine
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def for_statements(engine: Engine) -> Engine:
    """The engine for transactions of one statement, which a server begins and ends by itself."""
    return engine if engine.dialect.name == SQLITE else engine.execution_options(isolation_level="AUTOCOMMIT")


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
