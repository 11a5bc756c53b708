"""Statements of the hot path: compiled once for each dialect, then run on the driver's own cursor.

SQLAlchemy's execution of a cached statement costs some 27 us, the driver's 3 us (SQLite, one row, November 2026), and a
store runs four. The text comes from the same compiler, values pass the same bind processors, and errors are turned into
SQLAlchemy's, so a `Prepared` does what its statement does; a test holds the two against each other.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError


class Outcome(NamedTuple):
    """How many rows a statement touched, and those it returned."""

    rowcount: int
    rows: Sequence[Any]


class Prepared:
    """A statement with named parameters; `run` takes a value for each."""

    def __init__(self, build: Callable[[Dialect], Any], columns: Sequence[str] | None = None) -> None:
        """`build` makes the statement for a dialect; `columns` are those of an INSERT that names no values itself."""
        self._build = build
        self._columns = columns
        self._compiled: dict[str, _Compiled] = {}

    def run(self, connection: Connection, values: Mapping[str, Any]) -> Outcome:
        """Execute with these values, in the transaction that the connection is in or now begins."""
        compiled = self._compiled_for(connection)
        return compiled.run(connection, compiled.parameters(values))

    def portions(self, connection: Connection, values: Mapping[str, Any], rows: int) -> Iterator[Sequence[Any]]:
        """Execute with these values, and fetch so many rows at a time."""
        compiled = self._compiled_for(connection)
        return compiled.portions(connection, compiled.parameters(values), rows)

    def run_many(self, connection: Connection, rows: Iterable[Mapping[str, Any]]) -> int:
        """Execute once for each of the rows, in one trip to the database; how many rows were touched in all."""
        compiled = self._compiled_for(connection)
        return compiled.run(connection, [compiled.parameters(values) for values in rows], is_many=True).rowcount

    def _compiled_for(self, connection: Connection) -> "_Compiled":
        if not connection.in_transaction():
            connection.begin()  # as SQLAlchemy's own execution does; the driver would commit each statement
        compiled = self._compiled.get(connection.dialect.name)
        if compiled is None:
            dialect = connection.dialect
            compiled = self._compiled[dialect.name] = _Compiled(self._build(dialect), dialect, self._columns)
        return compiled


class _Compiled:
    """The text of a statement, and how its parameters are handed to the driver."""

    def __init__(self, statement: Any, dialect: Dialect, columns: Sequence[str] | None) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=None if columns is None else list(columns))
        self._text = str(compiled)
        self._dialect = dialect
        self._names: list[str] = list(compiled.positiontup if compiled.positional else compiled.binds)
        self._is_positional = compiled.positional
        processors = (compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect) for name in self._names)
        self._processors = [(at, processor) for at, processor in enumerate(processors) if processor is not None]
        self._constants = {name: bind.value for name, bind in compiled.binds.items() if bind.value is not None}

    def run(self, connection: Connection, parameters: Any, *, is_many: bool = False) -> Outcome:
        cursor = self._cursor(connection, parameters, is_many=is_many)
        try:
            if is_many:
                cursor.executemany(self._text, parameters)
                return Outcome(cursor.rowcount, ())
            cursor.execute(self._text, parameters)
            return Outcome(cursor.rowcount, cursor.fetchall() if cursor.description else ())
        except self._dialect.loaded_dbapi.Error as error:
            raise self._wrapped(error, connection, cursor) from error
        finally:
            cursor.close()

    def portions(self, connection: Connection, parameters: Any, rows: int) -> Iterator[Sequence[Any]]:
        cursor = self._cursor(connection, parameters)
        try:
            cursor.execute(self._text, parameters)
            while portion := cursor.fetchmany(rows):
                yield portion
        except self._dialect.loaded_dbapi.Error as error:
            raise self._wrapped(error, connection, cursor) from error
        finally:
            cursor.close()

    def _cursor(self, connection: Connection, parameters: Any, *, is_many: bool = False) -> Any:
        cursor = connection.connection.cursor()
        for listener in connection.dispatch.before_cursor_execute:  # whoever watches statements sees these too
            listener(connection, cursor, self._text, parameters, None, is_many)
        return cursor

    def _wrapped(self, error: Any, connection: Connection, cursor: Any) -> Exception:
        """SQLAlchemy's error for one of the driver's."""
        is_lost = self._dialect.is_disconnect(error, connection.connection.driver_connection, cursor)
        if is_lost:
            connection.invalidate(error)
        base = self._dialect.loaded_dbapi.Error
        return DBAPIError.instance(self._text, None, error, base, connection_invalidated=is_lost, dialect=self._dialect)

    def parameters(self, values: Mapping[str, Any]) -> tuple[Any, ...] | dict[str, Any]:
        if self._constants:
            values = {**self._constants, **values}
        given = [values[name] for name in self._names]
        for at, processor in self._processors:
            given[at] = processor(given[at])
        return tuple(given) if self._is_positional else dict(zip(self._names, given, strict=True))
