"""Quotas: who goes, who stays, who is refused; inside the transaction of the store that needs the room."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from archive.database import transaction
from archive.database.engine import Database
from archive.errors import OutOfResources
from archive.index import evictable
from archive.index.tables import deletions, evictions, instances, studies, study_usage, unfiled_instances
from archive.lifecycle import evict
from archive.lifecycle.store import Store
from archive.registry import changes, snapshot
from archive.registry.snapshot import Area
from archive.server.housekeeping import Housekeeping
from archive.storage.local import LocalArea
from tests.fix_archive import FoundedArchive
from tests.fix_instances import encoded, instance
from tests.sql.fix_holdings import Shelf

SENDERS = 8


@pytest.fixture
def shelf(founded: FoundedArchive) -> Shelf:
    return Shelf(founded.database, founded.area.pk)


@pytest.fixture
def limit(founded: FoundedArchive) -> Callable[..., None]:
    """`limit(max_studies=2)`: an area that evicts, within these limits."""

    def work(connection, **settings: Any) -> None:
        changes.set_area(connection, founded.area.name, {"on_full": "evict", **settings})
        area = snapshot.read(connection).areas[founded.area.name]
        evict.follow_policy(connection, area, 0, datetime.now(UTC), None)

    return lambda **settings: transaction.write(founded.database, lambda connection: work(connection, **settings))


def _studies(shelf: Shelf) -> set[str]:
    return {row.study_instance_uid for row in shelf.rows(studies)}


def _uid(study: int) -> str:
    return str(instance(study=study).StudyInstanceUID)


def _pin(founded: FoundedArchive, study: int, *, is_pinned: bool = True) -> None:
    def work(connection) -> None:
        pk = connection.scalar(select(studies.c.pk).where(studies.c.study_instance_uid == _uid(study)))
        assert evictable.pin(connection, pk, is_pinned=is_pinned)

    transaction.write(founded.database, work)


def _make_old(founded: FoundedArchive, study: int, days: int) -> None:
    then = datetime.now(UTC) - timedelta(days=days)
    of_study = select(studies.c.pk).where(studies.c.study_instance_uid == _uid(study)).scalar_subquery()
    statement = update(study_usage).where(study_usage.c.study_pk == of_study).values(last_stored_at=then)
    transaction.write(founded.database, lambda connection: connection.execute(statement))


def _size(**what: Any) -> int:
    """Bytes of the file of an instance: the data set and 350 or so of File Meta Information."""
    return len(encoded(instance(**what)))


def test_an_area_without_a_quota_keeps_everything(founded: FoundedArchive, shelf: Shelf):
    founded.store(*(instance(study=n) for n in range(6)))

    assert len(_studies(shelf)) == 6
    assert shelf.rows(evictions) == []


def test_the_study_that_was_stored_to_least_recently_goes(founded: FoundedArchive, shelf: Shelf, limit):
    limit(max_studies=2)
    founded.store(instance(study=1), instance(study=2))
    founded.store(instance(study=1, number=2))  # touched: study 2 is the older one now

    founded.store(instance(study=3))

    assert _studies(shelf) == {_uid(1), _uid(3)}
    gone = shelf.one(evictions)
    assert (gone.study_instance_uid, gone.patient_id, gone.reason) == (_uid(2), "P000001", "max_studies")
    assert (gone.is_whole_study, gone.number_of_instances) == (True, 1)
    assert gone.size_bytes > _size(study=2)
    assert gone.caused_by_sop_instance_uid == instance(study=3).SOPInstanceUID
    shelf.assert_sound()


def test_files_of_what_was_evicted_are_unlinked(founded: FoundedArchive, shelf: Shelf, limit):
    limit(max_studies=1)
    founded.store(instance(study=1))
    founded.store(instance(study=2))
    waiting = shelf.one(deletions)

    Housekeeping(founded.database, founded.data).round()

    assert (waiting.reason, waiting.size_bytes) == ("evicted", shelf.one(instances).size_bytes)
    assert [str(path.relative_to(founded.folder)) for path in founded.files()] == [shelf.one(instances).path]
    assert shelf.rows(deletions) == []


def test_what_has_no_file_yet_is_evicted_with_its_bytes(founded: FoundedArchive, shelf: Shelf, limit):
    limit(max_studies=1)
    founded.store(instance(study=1), instance(study=2), is_filed=False)

    with transaction.read(founded.database) as connection:
        assert connection.scalar(select(func.count()).select_from(unfiled_instances)) == 1
    shelf.assert_sound()


def test_an_area_that_does_not_evict_refuses_a_new_study_and_takes_more_of_the_old_ones(
    founded: FoundedArchive, shelf: Shelf, limit
):
    limit(max_studies=1, on_full="reject")
    founded.store(instance(study=1))

    with pytest.raises(OutOfResources, match="full"):
        founded.store(instance(study=2))
    founded.store(instance(study=1, number=2))

    assert shelf.usage().number_of_instances == 2
    assert shelf.rows(evictions) == []
    shelf.assert_sound()


def test_bytes_of_an_area_are_kept_below_their_limit(founded: FoundedArchive, shelf: Shelf, limit):
    limit(max_bytes=3 * _size() + 2000)
    founded.store(*(instance(study=n) for n in range(5)))

    assert _studies(shelf) == {_uid(2), _uid(3), _uid(4)}
    assert {row.reason for row in shelf.rows(evictions)} == {"max_bytes"}
    shelf.assert_sound()


def test_the_oldest_instances_of_a_study_that_grew_too_large_go(founded: FoundedArchive, shelf: Shelf, limit):
    limit(max_study_bytes=3 * _size() + 2000)
    founded.store(*(instance(number=n) for n in range(1, 5)))

    held = {row.sop_instance_uid for row in shelf.rows(instances)}
    assert held == {instance(number=n).SOPInstanceUID for n in (2, 3, 4)}
    gone = shelf.one(evictions)
    assert (gone.is_whole_study, gone.number_of_instances, gone.reason) == (False, 1, "max_study_bytes")
    shelf.assert_sound()


def test_a_study_that_may_not_grow_refuses_where_nothing_may_go(founded: FoundedArchive, shelf: Shelf, limit):
    limit(max_study_bytes=2 * _size() + 2000)
    founded.store(instance(number=1), instance(number=2))
    _pin(founded, 1)

    with pytest.raises(OutOfResources, match="as large as"):
        founded.store(instance(number=3))

    assert shelf.usage().number_of_instances == 2
    shelf.assert_sound()


@pytest.mark.parametrize("which", ["max_study_bytes", "max_bytes"])
def test_an_instance_larger_than_a_limit_is_refused_and_nothing_goes(founded, shelf: Shelf, limit, which: str):
    limit(**{which: _size() + 2000})
    founded.store(instance(study=1))

    with pytest.raises(OutOfResources, match="larger than"):
        founded.store(instance(study=2, side_pixels=128))

    assert _studies(shelf) == {_uid(1)}
    assert founded.files() != []
    assert shelf.rows(evictions) == []


def test_pinned_studies_never_go_and_when_only_they_are_left_the_store_is_refused(
    founded: FoundedArchive, shelf: Shelf, limit
):
    limit(max_studies=2)
    founded.store(instance(study=1), instance(study=2))
    _pin(founded, 1)
    founded.store(instance(study=3))
    _pin(founded, 3)

    with pytest.raises(OutOfResources, match="nothing in it may go"):
        founded.store(instance(study=4))

    assert _studies(shelf) == {_uid(1), _uid(3)}
    _pin(founded, 1, is_pinned=False)
    founded.store(instance(study=4))
    assert _studies(shelf) == {_uid(3), _uid(4)}
    shelf.assert_sound()


def test_a_study_that_came_before_the_area_evicted_may_go_too(founded: FoundedArchive, shelf: Shelf, limit):
    founded.store(instance(study=1), instance(study=2))
    limit(max_studies=2)

    founded.store(instance(study=3))

    assert _studies(shelf) == {_uid(2), _uid(3)}


def test_a_lower_limit_acts_at_once(founded: FoundedArchive, shelf: Shelf, limit):
    founded.store(*(instance(study=n) for n in range(5)))

    limit(max_studies=2)

    assert _studies(shelf) == {_uid(3), _uid(4)}
    assert {row.caused_by_sop_instance_uid for row in shelf.rows(evictions)} == {None}
    shelf.assert_sound()


def test_what_is_too_old_goes_whether_the_area_is_full_or_not(founded: FoundedArchive, shelf: Shelf, limit):
    limit(max_age_days=30, on_full="reject")
    founded.store(instance(study=1), instance(study=2), instance(study=3))
    _make_old(founded, 1, days=31)
    _make_old(founded, 2, days=31)
    _pin(founded, 2)

    assert Housekeeping(founded.database, founded.data).round() is True

    assert _studies(shelf) == {_uid(2), _uid(3)}
    assert shelf.one(evictions).reason == "max_age_days"
    shelf.assert_sound()


def test_housekeeping_keeps_the_disk_from_getting_full(
    founded: FoundedArchive, shelf: Shelf, limit, monkeypatch: pytest.MonkeyPatch
):
    limit(min_free_bytes=1_000_000)
    founded.store(*(instance(study=n) for n in range(4)))
    lacking = 2 * shelf.rows(instances)[0].size_bytes - 10
    monkeypatch.setattr(LocalArea, "free_bytes", lambda area: 1_000_000 - lacking)
    keeper = Housekeeping(founded.database, founded.data)
    monkeypatch.setattr(keeper, "unlink_some", lambda: 0)

    keeper.round()
    keeper.round()  # what waits to be unlinked will be free: nothing more goes

    assert _studies(shelf) == {_uid(2), _uid(3)}
    assert {row.reason for row in shelf.rows(evictions)} == {"min_free_bytes"}


def test_a_full_disk_refuses_where_nothing_is_evicted(founded, shelf: Shelf, limit, monkeypatch):
    limit(min_free_bytes=1_000_000, on_full="reject")
    monkeypatch.setattr(LocalArea, "free_bytes", lambda area: 1_000_100)

    with pytest.raises(OutOfResources, match="disk"):
        founded.store(instance())

    assert _studies(shelf) == set()


def test_a_dry_run_names_what_would_go_and_changes_nothing(founded: FoundedArchive, shelf: Shelf):
    founded.store(*(instance(study=n) for n in range(4)))
    transaction.write(
        founded.database,
        lambda connection: changes.set_area(connection, founded.area.name, {"max_studies": 3, "on_full": "evict"}),
    )
    transaction.write(founded.database, lambda connection: evictable.follow_policy(connection, founded.area.pk))

    with transaction.read(founded.database) as connection:
        due = list(evict.due(connection, founded.area, datetime.now(UTC), None))

    assert [each.study.study_instance_uid for each in due] == [_uid(0)]
    assert len(_studies(shelf)) == 4


@pytest.fixture
def senders(founded: FoundedArchive) -> Iterator[list[Store]]:
    """As many processes as senders: threads, each with a database object of its own."""
    url = founded.database.url.render_as_string(hide_password=False)
    with ExitStack() as stack:
        databases = [stack.enter_context(closing(Database(url))) for _ in range(SENDERS)]
        yield [Store(database, founded.data, shard=n) for n, database in enumerate(databases)]


def test_eight_senders_never_pass_ten_studies(founded: FoundedArchive, shelf: Shelf, limit, senders: list[Store]):
    limit(max_studies=10)
    area, start = founded.area, threading.Barrier(SENDERS)
    most: list[int] = []

    def send(number: int, store: Store, area: Area) -> None:
        sink = store.sink(area, f"SENDER{number}")
        start.wait(60)
        for n in range(12):
            data_set = instance(study=100 * number + n // 2, number=n, side_pixels=0)
            syntax = data_set.file_meta.TransferSyntaxUID
            with sink.begin(data_set.SOPClassUID, data_set.SOPInstanceUID, syntax) as incoming:
                incoming.write(memoryview(encoded(data_set)))
                incoming.finish()
            most.append(len(_studies(shelf)))

    with ThreadPoolExecutor(SENDERS) as pool:
        for done in [pool.submit(send, n, store, area) for n, store in enumerate(senders)]:
            done.result(120)

    assert max(most) <= 10
    assert len(_studies(shelf)) == 10
    # Two instances a study: one that came after its study was evicted has made the study anew.
    assert len(shelf.rows(evictions)) >= SENDERS * 6 - 10
    assert shelf.usage().number_of_studies == 10
    shelf.assert_sound()
