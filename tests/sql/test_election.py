"""One of several nodes keeps house; another takes its place when it dies or leaves."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from archive.database import transaction
from archive.database.engine import Database
from archive.errors import DiskFailed
from archive.index import housekeeping as books
from archive.index import tables
from archive.server.election import Lease
from archive.server.housekeeping import Housekeeping
from archive.storage.local import LocalArea
from tests.fix_archive import FoundedArchive
from tests.fix_instances import instance

TERM_SECONDS = 60.0
NODES = 8


def _lease(database: Database, node: str) -> Lease:
    return Lease(database, node, TERM_SECONDS)


def _let_the_term_end(database: Database) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    statement = update(tables.housekeeping).values(lease_until=past)
    transaction.write(database, lambda connection: connection.execute(statement))


def _state(database: Database) -> books.State:
    with transaction.read(database) as connection:
        found = books.state(connection)
    assert found is not None
    return found


def test_the_first_is_elected_and_stays_so(database: Database):
    one, two = _lease(database, "one"), _lease(database, "two")

    assert [one.take(), two.take(), one.take()] == [True, False, True]
    assert (one.is_ours, two.is_ours) == (True, False)
    assert _state(database).node == "one"


def test_of_many_who_come_at_once_one_is_elected(database: Database):
    start = threading.Barrier(NODES)

    def come(node: Database, number: int) -> bool:
        start.wait(60)
        return _lease(node, f"node {number}").take()

    with ExitStack() as stack, ThreadPoolExecutor(NODES) as pool:
        url = database.url.render_as_string(hide_password=False)
        nodes = [stack.enter_context(closing(Database(url))) for _ in range(NODES)]
        elected = list(pool.map(come, nodes, range(NODES)))

    assert elected.count(True) == 1
    assert _state(database).node == f"node {elected.index(True)}"


def test_who_gives_no_sign_of_life_for_a_term_is_followed_by_another(database: Database):
    one, two = _lease(database, "one"), _lease(database, "two")
    one.take()
    _let_the_term_end(database)

    assert two.take() is True
    assert one.take() is False
    assert _state(database).elected_at <= _state(database).lease_until


def test_who_is_started_again_needs_no_new_term(database: Database):
    _lease(database, "one").take()
    since = _state(database).elected_at

    assert _lease(database, "one").take() is True
    assert _state(database).elected_at == since


def test_who_leaves_is_followed_at_once(database: Database):
    one, two = _lease(database, "one"), _lease(database, "two")
    one.take()

    one.give_up()

    assert two.take() is True
    one.give_up()  # it has nothing to give up any more
    assert two.take() is True
    assert _state(database).node == "two"


def test_a_sign_of_life_is_given_in_the_middle_of_long_work(database: Database):
    clock = [0.0]
    one = Lease(database, "one", TERM_SECONDS, lambda: clock[0])
    one.take()
    first = _state(database).lease_until

    assert one.keep()
    assert _state(database).lease_until == first
    clock[0] = one.pause_seconds + 1
    assert one.keep()
    assert _state(database).lease_until > first


def test_who_has_lost_the_election_stops_in_the_middle_of_its_work(founded: FoundedArchive, monkeypatch):
    monkeypatch.setattr("archive.lifecycle.filing.BATCH", 1)
    founded.store(*(instance(number=number) for number in range(5)), is_filed=False)
    asked: list[int] = []

    def may_go_on() -> bool:
        asked.append(1)
        return len(asked) < 4

    Housekeeping(founded.database, founded.data, "one", may_go_on).round()

    assert 0 < len(founded.files()) < 5


def test_a_round_is_written_down(founded: FoundedArchive):
    _lease(founded.database, "one").take()
    before = _state(founded.database).last_round_at

    Housekeeping(founded.database, founded.data, "one").round()

    state = _state(founded.database)
    assert before is None
    assert state.last_round_at is not None
    assert state.last_round_seconds is not None
    assert 0 < state.last_round_seconds < 60
    assert (state.last_error, state.last_error_at) == (None, None)


def test_a_defect_in_a_round_is_written_down(founded: FoundedArchive, monkeypatch):
    _lease(founded.database, "one").take()
    work = Housekeeping(founded.database, founded.data, "one")
    with monkeypatch.context() as patched:
        patched.setattr(LocalArea, "write_durably", lambda area, contents: 1 // 0)
        founded.store(instance(), is_filed=False)
        with pytest.raises(ZeroDivisionError):
            work.round()

    assert "ZeroDivisionError" in str(_state(founded.database).last_error)


def test_what_goes_wrong_in_an_area_is_written_down_until_it_goes_well(founded: FoundedArchive, monkeypatch):
    founded.store(instance(), is_filed=False)
    area_pk = founded.area.pk

    def fail(area: LocalArea, contents: object) -> list[str]:
        raise DiskFailed(reason="the disk is on fire")

    with monkeypatch.context() as patched:
        patched.setattr(LocalArea, "write_durably", fail)
        Housekeeping(founded.database, founded.data).round()
    with transaction.read(founded.database) as connection:
        (failing,) = books.errors(connection)
        waiting = books.backlog(connection, area_pk)
    Housekeeping(founded.database, founded.data).round()
    with transaction.read(founded.database) as connection:
        (mended,) = books.errors(connection)

    assert (failing.area_pk, failing.work, failing.is_mended) == (area_pk, "file", False)
    assert "on fire" in failing.error
    assert waiting == books.Backlog(files_to_unlink=0, instances_to_file=1)
    assert (mended.error, mended.is_mended) == (failing.error, True)
