"""SQLite's log is carried into the database beside the writers."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import exc, text

from archive.database import sqlite, transaction
from archive.database.checkpoints import TRANSACTIONS_BETWEEN
from archive.database.engine import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database(f"sqlite:///{tmp_path}/archive.db")) as opened:
        transaction.write(opened, lambda connection: connection.execute(text("CREATE TABLE t (x BLOB)")))
        yield opened


def write(database: Database, number_of_transactions: int) -> None:
    insert = text("INSERT INTO t VALUES (zeroblob(8000))")
    for _ in range(number_of_transactions):
        transaction.write(database, lambda connection: connection.execute(insert), durable=False)


def size_bytes(path: Path) -> int:
    return path.stat().st_size


def test_the_log_of_a_service_is_carried_over_before_a_commit_has_to(database: Database, tmp_path: Path) -> None:
    database.prepare_for_writers()

    write(database, TRANSACTIONS_BETWEEN)

    assert TRANSACTIONS_BETWEEN * 3 < sqlite.CHECKPOINT_PAGES  # SQLite itself would have waited
    deadline = time.monotonic() + 30
    while size_bytes(tmp_path / "archive.db") < TRANSACTIONS_BETWEEN * 8000:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_log_does_not_grow_while_writers_go_on(database: Database, tmp_path: Path) -> None:
    database.prepare_for_writers()
    log_bytes = size_bytes(tmp_path / "archive.db-wal")

    write(database, sqlite.CHECKPOINT_PAGES)  # three pages and more each

    assert size_bytes(tmp_path / "archive.db-wal") <= 2 * log_bytes


def test_a_command_leaves_the_log_to_sqlite(database: Database, tmp_path: Path) -> None:
    write(database, TRANSACTIONS_BETWEEN)

    assert size_bytes(tmp_path / "archive.db") < TRANSACTIONS_BETWEEN * 8000


def test_a_database_closes_while_its_log_is_carried_over(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/archive.db")
    transaction.write(database, lambda connection: connection.execute(text("CREATE TABLE t (x BLOB)")))
    database.prepare_for_writers()
    write(database, TRANSACTIONS_BETWEEN)

    database.close()

    with closing(Database(f"sqlite:///{tmp_path}/archive.db")) as again, transaction.read(again) as connection:
        assert connection.scalar(text("SELECT count(*) FROM t")) == TRANSACTIONS_BETWEEN


def test_who_closes_while_the_thread_wakes_up_is_not_overlooked(database: Database) -> None:
    database.prepare_for_writers()
    checkpoints = database._checkpoints
    assert checkpoints is not None
    is_waking, may_go_on = threading.Event(), threading.Event()
    due, clear = checkpoints._due, checkpoints._due.clear

    def clear_late() -> None:
        is_waking.set()
        assert may_go_on.wait(30)
        clear()

    due.clear = clear_late
    due.set()
    assert is_waking.wait(30)
    checkpoints._is_closed = True
    due.set()
    may_go_on.set()

    checkpoints._thread.join(30)

    assert not checkpoints._thread.is_alive()


def test_a_pool_without_connections_does_not_end_the_thread(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    database.prepare_for_writers()
    has_failed = threading.Event()

    def exhausted() -> None:
        has_failed.set()
        raise exc.TimeoutError("QueuePool limit reached")

    with monkeypatch.context() as patched:
        patched.setattr(database.engine, "raw_connection", exhausted)
        write(database, TRANSACTIONS_BETWEEN)
        assert has_failed.wait(30)
    write(database, TRANSACTIONS_BETWEEN)

    deadline = time.monotonic() + 30
    while size_bytes(tmp_path / "archive.db") < 2 * TRANSACTIONS_BETWEEN * 8000:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert "will be later" in caplog.text
