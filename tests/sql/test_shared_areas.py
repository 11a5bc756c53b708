"""Stores into an area with a quota: beside each other where they can pass no limit, else one after the other.

Threads stand for processes, each with a database object of its own. SQLite has one writer at a time anyway.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any

import pytest
from pydicom.dataset import FileDataset
from sqlalchemy import event, select, text

from archive.database import transaction
from archive.database.engine import Database
from archive.errors import OutOfResources
from archive.index import remove, usage
from archive.index.tables import area_usage, evictions, studies
from archive.lifecycle import evict, holding
from archive.lifecycle.store import Store
from archive.registry import changes
from archive.registry.snapshot import Area
from archive.storage.disk import Disk
from tests.fix_archive import FoundedArchive
from tests.fix_instances import encoded, instance
from tests.sql.fix_holdings import MOMENT, Shelf

SENDERS = 8
WAIT_SECONDS = 60.0
FAR = 10**12
USUAL_STORE = "WITH counted_in_study"
SHARE, WHOLE = "pg_advisory_xact_lock_shared", "SELECT pg_advisory_xact_lock("

QUOTAS = [
    pytest.param({"max_studies": 100}, id="studies"),
    pytest.param({"max_bytes": FAR}, id="bytes"),
    pytest.param({"max_study_bytes": FAR}, id="bytes of a study"),
    pytest.param({"min_free_bytes": 1}, id="free bytes"),
]


@pytest.fixture
def shelf(founded: FoundedArchive) -> Shelf:
    return Shelf(founded.database, founded.area.pk)


@pytest.fixture
def processes(founded: FoundedArchive) -> Iterator[list[tuple[Database, Store]]]:
    """As many processes as senders."""
    url = founded.database.url.render_as_string(hide_password=False)
    with ExitStack() as stack:
        databases = [stack.enter_context(closing(Database(url))) for _ in range(SENDERS)]
        yield [(each, Store(each, founded.data, shard=n)) for n, each in enumerate(databases)]


@pytest.fixture
def many_writers(dialect: str) -> None:
    """Skip where transactions that write come one after the other."""
    if dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time")


def _limit(founded: FoundedArchive, **settings: Any) -> Area:
    def work(connection) -> None:
        changes.set_area(connection, founded.area.name, settings)
        evict.follow_policy(connection, founded.area)

    transaction.write(founded.database, work)
    return founded.area


def _send(store: Store, area: Area, *data_sets: FileDataset) -> None:
    sink = store.sink(area, "STORESCU")
    for data_set in data_sets:
        uids = data_set.SOPClassUID, data_set.SOPInstanceUID, data_set.file_meta.TransferSyntaxUID
        with sink.begin(*uids) as incoming:
            incoming.write(memoryview(encoded(data_set)))
            incoming.finish()


def _small(study: int, number: int = 1) -> FileDataset:
    return instance(study=study, number=number, side_pixels=0)


def _once_before(database: Database, beginning: str, work: Callable[[], object]) -> None:
    """Do some work of somebody else just before the first statement that begins so."""
    done: list[bool] = []

    def interfere(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith(beginning) and not done:
            done.append(True)
            work()

    event.listen(database.engine, "before_cursor_execute", interfere)


def _locks(database: Database) -> list[str]:
    """What this process asks for from now on: a share of an area, or the whole."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if SHARE in statement:
            asked.append("share")
        elif statement.startswith(WHOLE):
            asked.append("whole")

    event.listen(database.engine, "before_cursor_execute", note)
    return asked


def _waits_for_the_area(database: Database) -> bool:
    with transaction.read(database) as connection:
        waiting = text(
            "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database "
            "WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted"
        )
        return bool(connection.scalar(waiting))


@pytest.mark.usefixtures("many_writers")
@pytest.mark.parametrize("quota", QUOTAS)
def test_stores_into_studies_that_are_there_do_not_wait_for_each_other(founded, shelf: Shelf, processes, quota):
    (first_database, first), (_, second) = processes[:2]
    area = _limit(founded, **quota, on_full="evict")
    _send(first, area, _small(study=1))
    _send(second, area, _small(study=2))
    ended: list[bool] = []

    def go_on_meanwhile() -> None:  # it would wait until its patience ended: the first is in its transaction
        _send(second, area, _small(study=2, number=2))
        ended.append(True)

    _once_before(first_database, USUAL_STORE, go_on_meanwhile)
    _send(first, area, _small(study=1, number=2))

    assert ended == [True]
    assert shelf.usage().number_of_instances == 4
    shelf.assert_sound()


@pytest.mark.usefixtures("many_writers")
def test_a_store_that_makes_a_study_waits_for_those_that_do_not(founded: FoundedArchive, shelf: Shelf, processes):
    (first_database, first), (_, second) = processes[:2]
    area = _limit(founded, max_studies=2, on_full="evict")
    _send(first, area, _small(study=1), _small(study=2))
    is_in, may_end = threading.Event(), threading.Event()
    _once_before(first_database, USUAL_STORE, lambda: (is_in.set(), may_end.wait(WAIT_SECONDS)))

    with ThreadPoolExecutor(2) as pool:
        touching = pool.submit(_send, first, area, _small(study=1, number=2))
        assert is_in.wait(WAIT_SECONDS)
        making = pool.submit(_send, second, area, _small(study=3))
        while not _waits_for_the_area(founded.database):
            assert not making.done()
        may_end.set()
        touching.result(WAIT_SECONDS)
        making.result(WAIT_SECONDS)

    # It has seen that study 1 was stored to last.
    assert {row.study_instance_uid for row in shelf.rows(studies)} == {_small(study=n).StudyInstanceUID for n in (1, 3)}
    shelf.assert_sound()


def test_a_study_that_was_thought_to_be_there_is_made_within_the_limit(founded, shelf: Shelf, processes):
    (_, first), (database, second) = processes[:2]
    area = _limit(founded, max_studies=1, on_full="evict")
    _send(first, area, _small(study=1))
    with transaction.read(founded.database) as connection:
        pk = connection.scalars(select(studies.c.pk)).one()
    transaction.write(database, lambda connection: remove.remove_study(connection, pk, 1, "removed", MOMENT))
    _send(second, area, _small(study=2))

    _send(first, area, _small(study=1, number=2))  # whose key it has remembered

    assert [row.study_instance_uid for row in shelf.rows(studies)] == [_small(study=1).StudyInstanceUID]
    assert shelf.one(evictions).study_instance_uid == _small(study=2).StudyInstanceUID
    shelf.assert_sound()


def test_a_store_that_finds_its_disk_full_makes_room_although_its_study_is_there(founded, shelf: Shelf, monkeypatch):
    area = _limit(founded, min_free_bytes=1_000_000, on_full="evict")
    store = Store(founded.database, founded.data)
    _send(store, area, _small(study=1), _small(study=2))
    monkeypatch.setattr(Disk, "free_bytes", lambda disk: 1_000_000)
    monkeypatch.setattr(Disk, "is_that_of", lambda one, other: True)

    _send(store, area, _small(study=2, number=2))

    assert [row.study_instance_uid for row in shelf.rows(studies)] == [_small(study=2).StudyInstanceUID]
    assert shelf.one(evictions).reason == "min_free_bytes"
    shelf.assert_sound()


@pytest.mark.usefixtures("many_writers")
def test_an_area_near_its_limit_gives_no_shares_and_is_not_asked_for_them(
    founded, shelf: Shelf, processes, monkeypatch
):
    monkeypatch.setattr(holding, "CROWDED_SECONDS", 3600.0)
    (database, store), *_ = processes
    area = _limit(founded, max_bytes=holding.MOST_SHARED_BYTES + 4000, on_full="evict")
    asked = _locks(database)

    _send(store, area, _small(study=1))  # makes the counters of its shard
    _send(store, area, _small(study=1, number=2))
    far = list(asked)
    _send(store, area, *(_small(study=1, number=n) for n in range(3, 9)))

    assert far == ["share", "whole", "share"]
    assert asked[-2:] == ["whole", "whole"]
    assert asked.count("share") < 8
    assert shelf.usage().number_of_instances == 8


@pytest.mark.usefixtures("many_writers")
def test_what_is_larger_than_a_share_takes_the_whole(founded: FoundedArchive, shelf: Shelf, processes, monkeypatch):
    (database, store), *_ = processes
    area = _limit(founded, max_bytes=FAR)
    _send(store, area, _small(study=1), _small(study=1, number=2))
    monkeypatch.setattr(holding, "MOST_SHARED_BYTES", 2000)
    asked = _locks(database)

    _send(store, area, _small(study=1, number=3), instance(study=1, number=4, side_pixels=64))

    assert asked == ["share", "whole"]


@pytest.mark.parametrize("on_full", ["evict", "reject"])
def test_eight_senders_never_pass_the_bytes_of_their_area(founded, shelf: Shelf, processes, monkeypatch, on_full: str):
    """From empty to full, through the bytes where some have shares, to those where each has to be alone."""
    size_bytes = 2 * len(encoded(_small(study=1)))  # as much as an instance, its File Meta Information included
    monkeypatch.setattr(holding, "MOST_SHARED_BYTES", size_bytes)
    monkeypatch.setattr(holding, "CROWDED_SECONDS", 0.0)  # all of them try to get a share again and again
    max_bytes = 16 * size_bytes
    area = _limit(founded, max_bytes=max_bytes, on_full=on_full)
    asked = [_locks(database) for database, _ in processes]
    start = threading.Barrier(SENDERS)
    most: list[int] = []

    def send(number: int, store: Store) -> int:
        start.wait(WAIT_SECONDS)
        refused = 0
        for n in range(10):
            try:
                _send(store, area, _small(study=number, number=n))
            except OutOfResources:
                refused += 1
            most.append(shelf.usage().size_bytes)
        return refused

    with ThreadPoolExecutor(SENDERS) as pool:
        sent = [pool.submit(send, number, store) for number, (_, store) in enumerate(processes)]
        refused = sum(each.result(2 * WAIT_SECONDS) for each in sent)

    assert max(most) <= max_bytes
    if on_full == "reject":
        assert refused > 0
        assert shelf.usage().size_bytes > max_bytes - size_bytes  # none was refused that would have fitted
    else:
        assert refused == 0
        assert {row.reason for row in shelf.rows(evictions)} == {"max_bytes"}
    if founded.database.writers is None:
        assert {lock for of_process in asked for lock in of_process} == {"share", "whole"}
    shelf.assert_sound()


def test_writers_of_one_node_have_shards_of_their_own():
    shards = {usage.shard_of("pacs1/0.0.0.0:11112", worker) for worker in range(usage.SHARDS)}

    assert shards == set(range(usage.SHARDS))
    assert usage.shard_of("pacs1/0.0.0.0:11112", 0) != usage.shard_of("pacs2/0.0.0.0:11112", 0)


def test_counters_of_an_area_are_added_up_over_its_shards(founded: FoundedArchive, shelf: Shelf, processes):
    area = founded.area
    for number, (_, store) in enumerate(processes[:3]):
        _send(store, area, _small(study=number))

    with transaction.read(founded.database) as connection:
        held = usage.by_shards(connection, area.pk, 2)
        other = usage.by_shards(connection, area.pk, 60)

    assert (held.size_bytes, held.number_of_shards, held.has_shard) == (shelf.usage().size_bytes, 3, True)
    assert not other.has_shard
    assert {row.shard for row in shelf.rows(area_usage)} == {0, 1, 2}
