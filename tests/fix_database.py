"""Databases for tests: each test gets its own, on SQLite and on a private PostgreSQL cluster.

`database_url` is empty, `migrated_url` holds the schema; both are gone after the test. The cluster starts when the
first test wants it; the workers of a parallel run share it, and it ends with the process that started the run.
"""

import fcntl
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Engine, create_engine, event

from archive.database import engine, migrate, transaction
from archive.database.engine import Database
from archive.lifecycle import founding
from archive.registry import changes
from scripts.postgresql_cluster import Cluster, ClusterFolder, start

_FOLDER_VARIABLE = "ARCHIVE_TEST_CLUSTER"  # how the workers of a parallel run learn the folder
_OURS = pytest.StashKey[ClusterFolder]()


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder that all workers share; only in the process that the developer started."""
    if not hasattr(config, "workerinput"):
        folder = config.stash[_OURS] = ClusterFolder()
        os.environ[_FOLDER_VARIABLE] = str(folder.path)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the cluster."""
    if _OURS in config.stash:
        config.stash[_OURS].close()
        os.environ.pop(_FOLDER_VARIABLE, None)


class _Statements(dict[Any, Any]):
    """Statements as SQLAlchemy compiled them; it keys them by the dialect of one engine, we by that of them all."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get((key[0].name, *key[1:]), default)

    def __setitem__(self, key: Any, compiled: Any) -> None:
        super().__setitem__((key[0].name, *key[1:]), compiled)


@pytest.fixture(scope="session", autouse=True)
def statements_are_compiled_once() -> Iterator[None]:
    """Each test has engines of its own, and to compile the same SQL for each of them took half of the time."""
    shared = {"compiled_cache": _Statements()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "create_engine", partial(create_engine, execution_options=shared))
        yield


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """A folder that all workers of this run share."""
    return Path(os.environ[_FOLDER_VARIABLE])


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Only one worker of this run is inside."""
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def cluster(shared_folder: Path, pytestconfig: pytest.Config) -> Cluster:
    """The private PostgreSQL cluster of this run."""
    started = shared_folder / "started"
    with _one_at_a_time(shared_folder):
        if not started.exists():
            start(shared_folder, is_durable=bool(pytestconfig.getoption("--durable")))
            started.touch()
    return Cluster(shared_folder)


@contextmanager
def _postgresql_database(cluster: Cluster, template: str) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    with psycopg.connect(cluster.conninfo(), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
        yield cluster.url(name)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def sqlite_url(path: Path) -> str:
    """The SQLAlchemy URL of a SQLite file."""
    return f"sqlite:///{path}"


@pytest.fixture
def database_url(dialect: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an empty database of this dialect."""
    if dialect == "sqlite":
        yield sqlite_url(tmp_path / "index.sqlite")
        return
    with _postgresql_database(request.getfixturevalue("cluster"), "template0") as url:
        yield url


@pytest.fixture
def migrated_url(dialect: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a database of this dialect that holds the schema of the newest migration, and no rows of its own.

    Where the test asks for `founded` too, it holds what the first start of an archive writes.
    """
    kind = "founded_" if "founded" in request.fixturenames else ""
    if dialect == "sqlite":
        path = tmp_path / "index.sqlite"
        shutil.copyfile(request.getfixturevalue(f"{kind}sqlite_template"), path)
        yield sqlite_url(path)
        return
    with _postgresql_database(
        request.getfixturevalue("cluster"), request.getfixturevalue(f"{kind}postgresql_template")
    ) as url:
        yield url


@pytest.fixture(scope="session")
def sqlite_template(shared_folder: Path) -> Path:
    """A SQLite file with the schema, to be copied."""
    return _sqlite_template(shared_folder, "migrated", migrate.upgrade)


@pytest.fixture(scope="session")
def founded_sqlite_template(shared_folder: Path) -> Path:
    """A SQLite file of an archive as the first start makes it, to be copied."""
    return _sqlite_template(shared_folder, "founded", _found)


@pytest.fixture(scope="session")
def postgresql_template(cluster: Cluster, shared_folder: Path) -> str:
    """The name of a database with the schema, to be a template."""
    return _postgresql_template(cluster, shared_folder, "migrated", migrate.upgrade)


@pytest.fixture(scope="session")
def founded_postgresql_template(cluster: Cluster, shared_folder: Path) -> str:
    """The name of a database of an archive as the first start makes it, to be a template."""
    return _postgresql_template(cluster, shared_folder, "founded", _found)


def _found(database: Database) -> None:
    migrate.upgrade(database)
    transaction.write(
        database, lambda connection: changes.found(connection, founding.FIRST_AREA, founding.FIRST_AREA_PATH)
    )


def _sqlite_template(folder: Path, name: str, fill: Callable[[Database], object]) -> Path:
    template, unfinished = folder / f"{name}.sqlite", folder / f"unfinished-{name}.sqlite"
    with _one_at_a_time(folder):
        if not template.exists():
            with closing(Database(sqlite_url(unfinished))) as database:
                fill(database)
            with closing(sqlite3.connect(unfinished)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # all of it in the one file
            unfinished.rename(template)
    return template


def _postgresql_template(cluster: Cluster, folder: Path, name: str, fill: Callable[[Database], object]) -> str:
    with _one_at_a_time(folder):
        if not (folder / name).exists():
            with psycopg.connect(cluster.conninfo(), autocommit=True) as connection:
                connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
                connection.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
            with closing(Database(cluster.url(name))) as database:
                fill(database)
            (folder / name).touch()
    return name


@pytest.fixture
def database(migrated_url: str) -> Iterator[Database]:
    """The archive's own engine on a migrated database."""
    with closing(Database(migrated_url)) as opened:
        yield opened


@dataclass(frozen=True, slots=True)
class Recorded:
    """The statements an engine executed, in order."""

    statements: list[str] = field(default_factory=list)

    def starting(self, *verbs: str) -> list[str]:
        """Those that begin with one of `verbs`, such as INSERT."""
        return [text for text in self.statements if text.lstrip().upper().startswith(verbs)]


@contextmanager
def _record(engine: Engine) -> Iterator[Recorded]:
    recorded = Recorded()

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        recorded.statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield recorded
    finally:
        event.remove(engine, "before_cursor_execute", note)


@pytest.fixture
def query_recorder() -> Callable[[Engine], AbstractContextManager[Recorded]]:
    """`with query_recorder(engine) as recorded:` notes each statement that `engine` executes."""
    return _record
