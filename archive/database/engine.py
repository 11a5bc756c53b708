"""Open the database: one engine per process, made after the process has started.

`sqlite:///path/archive.db` or `postgresql://user:password@host/name` (psycopg 3). A PostgreSQL address may carry
`prepared_statements=off` for a pooler in transaction mode (pgbouncer), which keeps no session state.
"""

import select
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DisconnectionError, NoSuchModuleError, SQLAlchemyError

from archive.database import dialects, pooler, sqlite
from archive.database.checkpoints import Checkpoints
from archive.errors import DatabaseFailed, Misconfigured

# Threads that wait for a connection are stores and finds, which hold one for milliseconds.
POOL_SIZE = 8
POOL_OVERFLOW = 24
POOL_WAIT_SECONDS = 30

CONNECT_SECONDS = 10
# A server that is gone without a word, with its machine or the network: whoever waits for it learns of it in half a
# minute, while the kernel alone would take a quarter of an hour to give up what was sent, and for ever to notice that
# nothing comes. Parameters of libpq, which an address may set otherwise.
ALIVE: Mapping[str, int] = {
    "keepalives_idle": 10,  # seconds
    "keepalives_interval": 5,  # seconds
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,  # milliseconds
}
SESSION_OPTIONS = " ".join(f"-c {name}={limit}" for name, limit in pooler.SESSION_LIMITS.items())


class Database:
    """An engine, as it is, for who only reads, and for single statements; on SQLite, the queue of its writers."""

    def __init__(self, url: str) -> None:
        self.url = parse(url)
        self.writers: sqlite.WriterQueue | None = None
        self._writer: Connection | None = None
        self._checkpoints: Checkpoints | None = None
        if self.url.get_backend_name() == dialects.SQLITE:
            path = Path(self.url.database or "")
            if not path.parent.is_dir():
                raise DatabaseFailed("The folder of the database does not exist", path=str(path))
            self.engine = _engine(self.url)
            sqlite.prepare(self.engine)
            self.writers = sqlite.WriterQueue(path)
        else:
            self.engine = _postgresql(self.url)
        self.readers = dialects.for_readers(self.engine)
        self.statements = dialects.for_statements(self.engine)

    @property
    def is_embedded(self) -> bool:
        """Whether the database is a file of ours, with nobody else to look after it."""
        return self.writers is not None

    @property
    def folder(self) -> Path | None:
        """Where an embedded database has its files; None where it is somebody else's business."""
        return Path(self.url.database or "").absolute().parent if self.is_embedded else None

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection to write on; what is not committed is rolled back.

        SQLite has one writer at a time, so in its turn that keeps one connection for all turns.
        """
        if self.writers is None:
            with self.engine.connect() as connection:
                yield connection
            return
        with self.writers.turn():
            if self._writer is None:
                self._writer = sqlite.writer(self.engine)
            try:
                yield self._writer
            finally:
                self._roll_back()
            checkpoints = self._checkpoints  # which a close takes away
            if checkpoints is not None:
                checkpoints.count()

    def _roll_back(self) -> None:
        """At the end of a writer's turn: undo what is not committed; a connection that cannot do that is given up."""
        writer = self._writer
        assert writer is not None
        try:
            sqlite.roll_back(writer)
        except (SQLAlchemyError, sqlite3.Error):
            self._writer = None
            writer.invalidate()
            writer.close()

    def prepare_for_writers(self) -> None:
        """Spend now, and from now on beside them, what would make write transactions of a service slower than others.

        Starts a thread where the database is embedded. Raises DatabaseFailed.
        """
        if self.writers is None:
            return
        if self._checkpoints is None:
            self._checkpoints = Checkpoints(self.engine, self.writers)
        try:
            with self.writing() as connection, connection.begin():
                sqlite.grow_log(Path(self.url.database or ""))
        except (OSError, SQLAlchemyError) as error:
            raise DatabaseFailed("The log of the database cannot be made longer", reason=str(error)) from error

    def __str__(self) -> str:
        return self.url.render_as_string(hide_password=True)

    def close(self) -> None:
        if self._checkpoints is not None:
            self._checkpoints.close()
            self._checkpoints = None
        if self.writers is not None and self._writer is not None:
            with self.writers.turn():  # whoever writes now would take what we roll back for committed
                writer, self._writer = self._writer, None
                if writer is not None:
                    writer.close()
        self.engine.dispose()
        if self.writers is not None:
            self.writers.close()


def parse(url: str) -> URL:
    """The address of a database, or Misconfigured with what it should look like."""
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
        parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise Misconfigured(
            "This is not the address of a database; write sqlite:///path/to/archive.db or "
            "postgresql://user:password@host/name"
        ) from error
    if backend not in dialects.SUPPORTED:
        raise Misconfigured("Only sqlite and postgresql are supported", database=backend)
    if backend == dialects.SQLITE and parsed.database in (None, "", ":memory:"):
        raise Misconfigured("An archive in memory would be lost; name a file: sqlite:///path/to/archive.db")
    if backend == dialects.POSTGRESQL:
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def _engine(url: URL, **connect_args: object) -> Engine:
    return create_engine(
        url,
        connect_args=connect_args,
        pool_size=POOL_SIZE,
        max_overflow=POOL_OVERFLOW,
        pool_timeout=POOL_WAIT_SECONDS,
        pool_use_lifo=True,
    )


def _postgresql(url: URL) -> Engine:
    try:
        import psycopg  # noqa: F401 - only to say clearly that it is missing
    except ImportError as error:
        raise Misconfigured("PostgreSQL needs psycopg: pip install 'pacs-archive[postgres]'") from error
    alive = {name: value for name, value in ALIVE.items() if name not in url.query}
    prepared = url.query.get("prepared_statements", "on")
    if prepared not in ("on", "off"):
        raise Misconfigured("prepared_statements of the database's address is on or off")
    url = url.difference_update_query(["prepared_statements"])
    if prepared == "off":
        engine = _engine(url, connect_timeout=CONNECT_SECONDS, prepare_threshold=None, **alive)
        pooler.look_for_limits(engine)
    else:
        engine = _engine(url, connect_timeout=CONNECT_SECONDS, options=SESSION_OPTIONS, **alive)
    _replace_the_closed(engine)
    return engine


def _replace_the_closed(engine: Engine) -> None:
    """Whoever takes a connection from the pool gets a new one where the server has closed it, as when it was restarted.

    Nobody was asked anything, so what there is to read is the server's goodbye. To look takes no trip.
    """

    @event.listens_for(engine, "checkout")
    def _look(connection: Any, _record: object, _proxy: object) -> None:
        heard = select.poll()
        heard.register(connection.fileno(), select.POLLIN)
        if heard.poll(0):
            raise DisconnectionError
