"""A short look into a database, by who must neither wait for it nor leave a trace."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, NullPool, create_engine
from sqlalchemy.exc import SQLAlchemyError

from archive.database import dialects
from archive.database.engine import Database, parse
from archive.errors import DatabaseFailed

# What holds up a reader of SQLite is the recovery of its log after a crash.
_BUSY_SECONDS = 0.5


@contextmanager
def glance(url: str) -> Iterator[Connection]:
    """A connection to read on, of a database as it is: no file is made, and no schema is asked for.

    Raises Misconfigured or DatabaseFailed, also where there is no such database.
    """
    parsed = parse(url)
    is_embedded = parsed.get_backend_name() == dialects.SQLITE
    engine = _embedded(Path(parsed.database or "")) if is_embedded else Database(url).engine
    try:
        with engine.connect() as connection:
            yield connection
    except SQLAlchemyError as error:
        raise DatabaseFailed(reason=str(error)) from error
    finally:
        engine.dispose()


def _embedded(database: Path) -> Engine:
    """To read a log, SQLite makes files beside it; without one, all is in the database, which is read as it lies."""
    has_log = database.with_name(f"{database.name}-wal").exists()
    uri = f"file:{quote(str(database.absolute()))}?mode=ro{'' if has_log else '&immutable=1'}"
    return create_engine(
        "sqlite://", creator=lambda: sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS), poolclass=NullPool
    )
