"""Transactions: retries, errors of ours and of the database, and commits shared by many threads."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, event, func, insert, select
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError

from archive.database import dialects, sqlite, transaction
from archive.database.engine import Database
from archive.database.transaction import GroupCommit
from archive.errors import DatabaseFailed, Misconfigured
from archive.registry.tables import registry_revision

THREADS = 16


def put(number: int) -> Callable[[Connection], int]:
    """Work that adds one row and returns its number."""

    def work(connection: Connection) -> int:
        connection.execute(insert(registry_revision).values(pk=number, revision=number))
        return number

    return work


def held_up(number: int = 0) -> tuple[Callable[[Connection], int], threading.Event, threading.Event]:
    """Work that says when it has begun, and adds its row when it is told to go on."""
    has_begun, may_go_on = threading.Event(), threading.Event()

    def work(connection: Connection) -> int:
        has_begun.set()
        assert may_go_on.wait(30)
        return put(number)(connection)

    return work, has_begun, may_go_on


def held(database: Database) -> list[int]:
    with transaction.read(database) as connection:
        return list(connection.scalars(select(registry_revision.c.pk).order_by(registry_revision.c.pk)))


def refuse(connection: Connection) -> int:
    put(999)(connection)
    raise Misconfigured("No")


class _Told(Exception):
    """What a driver raises."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


def take_back(_: Connection) -> int:
    raise DBAPIError("SELECT 1 / 0", None, _Told(dialects.DIVISION_BY_ZERO))


def collide(_: Connection) -> int:
    raise DBAPIError("SELECT 1", None, _Told("40P01"))


def test_a_write_returns_what_its_work_returned_and_is_kept(database: Database) -> None:
    assert transaction.write(database, put(1)) == 1
    assert held(database) == [1]


def test_all_statements_of_a_reader_see_one_moment(database: Database) -> None:
    everything = select(registry_revision.c.pk)
    with transaction.read(database) as connection:
        before = connection.scalars(everything).all()
        transaction.write(database, put(1))
        after = connection.scalars(everything).all()

    assert (before, after, held(database)) == ([], [], [1])


def test_who_reads_after_the_server_has_closed_all_connections_gets_a_new_one(
    database: Database, dialect: str, request: pytest.FixtureRequest
) -> None:
    if dialect == "sqlite":
        pytest.skip("SQLite has no server")
    name = database.url.database
    transaction.write(database, put(1))
    held(database)

    with psycopg.connect(request.getfixturevalue("cluster").conninfo(), autocommit=True) as server:
        server.execute("SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = %s", [name])

    assert held(database) == [1]


def test_a_reader_cannot_write_and_leaves_nothing_to_the_next_writer(database: Database, dialect: str) -> None:
    if dialect == "postgresql":
        with pytest.raises(DatabaseFailed, match="read-only"), transaction.read(database) as connection:
            put(1)(connection)

    transaction.write(database, put(2))

    assert held(database) == [2]


@pytest.mark.parametrize("durable", [True, False])
def test_full_and_relaxed_durability_follow_each_other(database: Database, durable: bool) -> None:
    for number, chosen in enumerate([durable, not durable, durable]):
        transaction.write(database, put(number), durable=chosen)

    assert held(database) == [0, 1, 2]


def test_an_error_of_ours_rolls_back_and_passes(database: Database) -> None:
    with pytest.raises(Misconfigured, match="No"):
        transaction.write(database, refuse)

    assert held(database) == []


def test_the_writer_of_sqlite_keeps_its_large_cache_and_readers_have_small_ones(tmp_path: Path) -> None:
    def cache_kibibytes(connection: Connection) -> int:
        return -connection.exec_driver_sql("PRAGMA cache_size").scalar_one()

    def fail(connection: Connection) -> None:
        raise Misconfigured(str(cache_kibibytes(connection)))

    with closing(Database(f"sqlite:///{tmp_path / 'archive.db'}")) as database:
        with pytest.raises(Misconfigured, match=str(sqlite.WRITER_CACHE_KIBIBYTES)):
            transaction.write(database, fail)
        writer = transaction.write(database, cache_kibibytes)
        with transaction.read(database) as first, transaction.read(database) as second:
            readers = [cache_kibibytes(first), cache_kibibytes(second)]

    assert writer == sqlite.WRITER_CACHE_KIBIBYTES
    assert readers == [sqlite.CACHE_KIBIBYTES] * 2


def test_a_commit_that_failed_leaves_nothing_to_the_next_writer(database: Database) -> None:
    def break_a_promise(connection: Connection) -> None:
        promise = "CREATE TABLE promises (number INT REFERENCES kept DEFERRABLE INITIALLY DEFERRED)"
        for statement in ("CREATE TABLE kept (number INT PRIMARY KEY)", promise, "INSERT INTO promises VALUES (1)"):
            connection.exec_driver_sql(statement)

    with pytest.raises(DatabaseFailed, match=r"(?i)foreign key"):
        transaction.write(database, break_a_promise)

    assert transaction.write(database, put(1)) == 1
    assert held(database) == [1]


def test_what_was_not_committed_in_a_turn_is_not_the_next_writers(database: Database) -> None:
    with database.writing() as connection:
        put(1)(connection)

    transaction.write(database, put(2))

    assert held(database) == [2]


def test_a_database_of_sqlite_closes_after_what_is_being_written(tmp_path: Path) -> None:
    has_put, may_end = threading.Event(), threading.Event()

    def work(connection: Connection) -> int:
        connection.exec_driver_sql("INSERT INTO kept VALUES (1)")
        has_put.set()
        assert may_end.wait(30)
        return 1

    with closing(Database(f"sqlite:///{tmp_path / 'archive.db'}")) as database, ThreadPoolExecutor(2) as threads:
        transaction.write(database, lambda connection: connection.exec_driver_sql("CREATE TABLE kept (number INT)"))
        written = threads.submit(transaction.write, database, work)
        assert has_put.wait(30)
        closed = threads.submit(database.close)
        wait([closed], 0.2)  # it gets as far as it can
        may_end.set()
        assert written.result(30) == 1
        closed.result(30)

        with transaction.read(database) as connection:
            assert connection.exec_driver_sql("SELECT number FROM kept").scalars().all() == [1]


def test_an_error_of_the_database_is_told_as_ours(database: Database) -> None:
    transaction.write(database, put(1))

    with pytest.raises(DatabaseFailed) as raised:
        transaction.write(database, put(1))

    assert "unique" in str(raised.value.reason).lower()


def test_work_that_collided_runs_again(database: Database, dialect: str) -> None:
    class Collision(Exception):
        sqlstate = "40001"
        sqlite_errorname = "SQLITE_BUSY"

    tries: list[int] = []

    def work(connection: Connection) -> int:
        tries.append(put(len(tries))(connection))
        if len(tries) < 3:
            raise OperationalError("", {}, Collision())
        return len(tries)

    assert transaction.write(database, work) == 3
    assert held(database) == [2]


def test_work_whose_commit_the_server_answered_in_the_moment_of_its_end_runs_again(database: Database) -> None:
    tries: list[int] = []

    def work(connection: Connection) -> int:
        tries.append(put(len(tries))(connection))
        if len(tries) == 1:
            raise InternalError("", {}, psycopg.InternalError("received 2 results from command 'COMMIT'"))
        return len(tries)

    assert transaction.write(database, work) == 2
    assert held(database) == [1]


def test_work_that_collides_for_ever_is_given_up(database: Database) -> None:
    class Collision(Exception):
        sqlstate = "40P01"
        sqlite_errorname = "SQLITE_BUSY"

    def work(_: Connection) -> None:
        raise OperationalError("", {}, Collision("again"))

    with pytest.raises(DatabaseFailed, match="again"):
        transaction.write(database, work)


def test_a_database_that_is_not_there_is_told_as_ours(dialect: str, tmp_path) -> None:
    url = f"sqlite:///{tmp_path}/file.db" if dialect == "sqlite" else f"postgresql://nobody@/none?host={tmp_path}"
    (tmp_path / "file.db").write_text("This is no database, and it is long enough to be looked at." * 100)
    database = Database(url)

    with pytest.raises(DatabaseFailed), transaction.read(database) as connection:
        connection.execute(select(func.count()).select_from(registry_revision))


@pytest.mark.parametrize("at_once, attempts", [(lambda _: 7, 0), (lambda _: None, 1), (take_back, 1), (collide, 1)])
def test_who_is_alone_tries_one_statement_first(
    database: Database, at_once: Callable[[Connection], int | None], attempts: int
) -> None:
    done: list[int] = []

    def work(connection: Connection) -> int:
        done.append(1)
        return put(7)(connection)

    assert GroupCommit(database).write(work, key=1, at_once=at_once) == 7
    assert len(done) == len(held(database)) == attempts


def test_a_statement_that_fails_for_another_reason_is_not_tried_in_another_way(database: Database) -> None:
    def fail(connection: Connection) -> int:
        return connection.exec_driver_sql("SELECT abs(-9223372036854775807 - 1)").scalar_one()

    with pytest.raises(DatabaseFailed):
        GroupCommit(database).write(put(7), key=1, at_once=fail)

    assert held(database) == []


def test_who_shares_a_commit_does_not_try_one_statement(database: Database) -> None:
    commits = GroupCommit(database)
    first, first_is_in, others_wait = held_up()

    with ThreadPoolExecutor(THREADS) as threads:
        leader = threads.submit(commits.write, first, key=0)
        assert first_is_in.wait(30)
        others = [threads.submit(commits.write, put(n), key=n, at_once=lambda _: 999) for n in range(1, 4)]
        while len(commits._waiting) < 3:
            first_is_in.wait(0.01)
        others_wait.set()

        assert [each.result(30) for each in (leader, *others)] == [0, 1, 2, 3]


def test_many_threads_get_each_its_own_result(database: Database) -> None:
    commits = GroupCommit(database)

    with ThreadPoolExecutor(THREADS) as threads:
        results = list(threads.map(lambda number: commits.write(put(number), key=number), range(200)))

    assert results == list(range(200))
    assert held(database) == list(range(200))


def test_work_that_arrives_during_a_commit_shares_the_next(database: Database, query_recorder) -> None:
    commits = GroupCommit(database)
    first, first_is_in, others_wait = held_up()
    begun: list[object] = []
    event.listen(database.engine, "begin", begun.append)
    with query_recorder(database.engine) as recorded, ThreadPoolExecutor(THREADS) as threads:
        leader = threads.submit(commits.write, first, key=0)
        assert first_is_in.wait(30)
        others = [threads.submit(commits.write, put(number), key=number) for number in range(1, 10)]
        while len(commits._waiting) < 9:
            first_is_in.wait(0.01)
        others_wait.set()
        results = [leader.result(30), *(other.result(30) for other in others)]

    assert results == list(range(10))
    assert len(recorded.starting("INSERT")) == 10
    assert len(begun) == 2


def test_who_is_done_goes_while_the_next_commit_still_runs(database: Database) -> None:
    commits = GroupCommit(database)
    work, entered, may_end = zip(*(held_up(commit) for commit in range(3)), strict=True)

    with ThreadPoolExecutor(THREADS) as threads:
        first = threads.submit(commits.write, work[0], key=0)
        assert entered[0].wait(30)
        second = [threads.submit(commits.write, put(number), key=number) for number in range(10, 14)]
        while len(commits._waiting) < 4:
            entered[0].wait(0.01)
        second.append(threads.submit(commits.write, work[1], key=99))
        while len(commits._waiting) < 5:
            entered[0].wait(0.01)
        may_end[0].set()
        assert entered[1].wait(30)
        third = threads.submit(commits.write, work[2], key=0)
        while not commits._waiting:
            entered[0].wait(0.01)
        may_end[1].set()
        assert entered[2].wait(30)

        assert [each.result(30) for each in (first, *second)] == [0, 10, 11, 12, 13, 1]  # and the third is under way

        may_end[2].set()
        assert third.result(30) == 2


def test_what_was_broken_off_has_failed_and_the_next_go_on(database: Database) -> None:
    commits = GroupCommit(database)

    def break_off(_: Connection) -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        commits.write(break_off, key=0)

    assert commits.write(put(1), key=1) == 1
    assert held(database) == [1]


def test_one_failing_piece_of_work_does_not_hurt_the_others(database: Database) -> None:
    commits = GroupCommit(database)
    together = threading.Barrier(THREADS)

    def write(number: int) -> int | str:
        together.wait(30)
        try:
            return commits.write(refuse if number % 4 == 0 else put(number), key=number)
        except Misconfigured as error:
            return str(error)

    with ThreadPoolExecutor(THREADS) as threads:
        results = list(threads.map(write, range(THREADS)))

    assert results == ["No" if number % 4 == 0 else number for number in range(THREADS)]
    assert held(database) == [number for number in range(THREADS) if number % 4]


def test_a_commit_begins_with_the_claims_of_all_whose_work_is_in_it(database: Database) -> None:
    happened: list[object] = []
    commits: GroupCommit[str] = GroupCommit(database, lambda _, claims: happened.append(list(claims)))
    first_is_in, others_wait = threading.Event(), threading.Event()

    def work(number: int) -> Callable[[Connection], None]:
        def done(_: Connection) -> None:
            happened.append(number)
            if number == 0:
                first_is_in.set()
                assert others_wait.wait(30)

        return done

    with ThreadPoolExecutor(THREADS) as threads:
        leader = threads.submit(commits.write, work(0), key=0, claim="0")
        assert first_is_in.wait(30)
        others = [threads.submit(commits.write, work(number), key=number, claim=str(number)) for number in (1, 2)]
        others.append(threads.submit(commits.write, work(3), key=3))
        while len(commits._waiting) < 3:
            first_is_in.wait(0.01)
        others_wait.set()
        for each in (leader, *others):
            each.result(30)

    assert happened == [["0"], 0, ["1", "2"], 1, 2, 3]


def test_a_duplicate_in_a_shared_commit_is_told_to_its_own_thread(database: Database) -> None:
    commits = GroupCommit(database)
    together = threading.Barrier(8)

    def write(_: int) -> int:
        together.wait(30)
        try:
            return commits.write(put(5), key=5)
        except DatabaseFailed:
            return -1

    with ThreadPoolExecutor(8) as threads:
        results = sorted(threads.map(write, range(8)))

    assert results == [-1] * 7 + [5]


def test_a_reader_sees_one_moment_when_told_to(database: Database) -> None:
    transaction.write(database, put(1))

    with transaction.read(database) as connection:
        dialects.see_one_moment(connection)
        before = connection.scalar(select(func.count()).select_from(registry_revision))
        transaction.write(database, put(2))
        after = connection.scalar(select(func.count()).select_from(registry_revision))

    assert (before, after) == (1, 1)
