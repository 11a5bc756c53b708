"""Quotas: who goes, who stays, who is refused; inside the transaction of the store that needs the room."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, func, insert, select, update

from archive.database import transaction
from archive.database.engine import Database
from archive.dicom import part10
from archive.errors import Misconfigured, OutOfResources
from archive.index import evictable, upsert
from archive.index.record import Duplicates, Record
from archive.index.tables import deletions, evictions, instances, series, studies, study_usage, unfiled_instances
from archive.lifecycle import evict, holding, reconcile
from archive.lifecycle.evict import Disks, Eviction
from archive.lifecycle.store import Store
from archive.registry import changes
from archive.registry.model import Area
from archive.server.housekeeping import Housekeeping
from archive.storage.disk import Disk
from archive.storage.paths import new_path
from tests.fix_archive import FoundedArchive
from tests.fix_command import Run
from tests.fix_instances import encoded, instance
from tests.sql.fix_holdings import MOMENT, Shelf, record, study_uid

SENDERS = 8


@pytest.fixture
def shelf(founded: FoundedArchive) -> Shelf:
    return Shelf(founded.database, founded.area.pk)


@pytest.fixture
def limit(founded: FoundedArchive) -> Callable[..., list[Eviction]]:
    """`limit(max_studies=2)`: an area that evicts, brought within these limits."""

    def work(**settings: Any) -> list[Eviction]:
        _set(founded, **{"on_full": "evict", **settings})
        return _enforce(founded)

    return work


def _set(founded: FoundedArchive, **settings: Any) -> None:
    """Change the limits, and let everything be that is too much."""

    def work(connection) -> None:
        changes.set_area(connection, founded.area.name, settings)
        evict.follow_policy(connection, founded.area)

    transaction.write(founded.database, work)


def _disks(founded: FoundedArchive) -> Disks:
    return Disks.of(founded.area, founded.data, founded.database)


def _enforce(founded: FoundedArchive) -> list[Eviction]:
    return list(evict.enforce(founded.database, founded.area, 0, _disks(founded)))


def _due(founded: FoundedArchive) -> list[Eviction]:
    with transaction.read(founded.database) as connection:
        return list(evict.due(connection, founded.area, _disks(founded), datetime.now(UTC)))


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
    monkeypatch.setattr(Disk, "free_bytes", lambda disk: 1_000_000 - lacking)
    keeper = Housekeeping(founded.database, founded.data)
    monkeypatch.setattr(keeper, "unlink_some", lambda: 0)

    keeper.round()
    keeper.round()  # what waits to be unlinked will be free: nothing more goes

    assert _studies(shelf) == {_uid(2), _uid(3)}
    assert {row.reason for row in shelf.rows(evictions)} == {"min_free_bytes"}


def test_a_full_disk_refuses_where_nothing_is_evicted(founded, shelf: Shelf, limit, monkeypatch):
    limit(min_free_bytes=1_000_000, on_full="reject")
    monkeypatch.setattr(Disk, "free_bytes", lambda disk: 1_000_100)

    with pytest.raises(OutOfResources, match="disk"):
        founded.store(instance())

    assert _studies(shelf) == set()


def test_a_dry_run_names_what_would_go_and_changes_nothing(founded: FoundedArchive, shelf: Shelf):
    founded.store(*(instance(study=n) for n in range(4)))
    _set(founded, max_studies=3, on_full="evict")

    due = _due(founded)

    assert [each.study.study_instance_uid for each in due] == [_uid(0)]
    assert len(_studies(shelf)) == 4


def test_a_dry_run_says_exactly_what_a_real_one_takes(founded: FoundedArchive, shelf: Shelf):
    """Study 1 is too old, 2 too large in part, 3 too large by its one instance; then 2, shrunk, and 4 are too much."""
    limit_bytes = 3 * _stored_bytes() - 10
    founded.store(instance(study=1))
    founded.store(*(instance(study=2, number=n) for n in range(5)))
    founded.store(instance(study=3, side_pixels=160))
    founded.store(*(instance(study=n) for n in (4, 5, 6)))
    _make_old(founded, 1, days=400)
    _set(founded, max_age_days=365, max_study_bytes=limit_bytes, max_bytes=2 * _stored_bytes() + 20, on_full="evict")

    due = _due(founded)
    took = _enforce(founded)

    assert [(each.study.study_instance_uid, each.is_whole_study, each.number_of_instances) for each in due] == [
        (_uid(1), True, 1),
        (_uid(2), False, 3),
        (_uid(3), True, 1),
        (_uid(2), True, 2),
        (_uid(4), True, 1),
    ]
    assert [_facts(each) for each in took] == [_facts(each) for each in due]
    assert [_noted(row) for row in shelf.rows(evictions)] == [_facts(each) for each in due]
    assert _studies(shelf) == {_uid(5), _uid(6)}
    assert _due(founded) == []
    shelf.assert_sound()


def _facts(eviction: Eviction) -> tuple[str, bool, int, int, str]:
    uid, reason = eviction.study.study_instance_uid, eviction.reason.value
    return uid, eviction.is_whole_study, eviction.number_of_instances, eviction.size_bytes, reason


def _noted(row: Any) -> tuple[str, bool, int, int, str]:
    return row.study_instance_uid, row.is_whole_study, row.number_of_instances, row.size_bytes, row.reason


def _stored_bytes() -> int:
    """Bytes of the file of a small instance, as the archive counts them."""
    first = instance()
    meta = part10.file_meta(first.SOPClassUID, first.SOPInstanceUID, first.file_meta.TransferSyntaxUID, "STORESCU")
    return len(encoded(first)) + len(meta)


def test_a_large_surplus_goes_in_several_transactions(founded: FoundedArchive, shelf: Shelf, monkeypatch):
    founded.store(*(instance(study=n) for n in range(6)))
    _set(founded, max_studies=1, on_full="evict")
    monkeypatch.setattr(evict, "INSTANCES_IN_ONE_TRANSACTION", 2)
    commits: list[int] = []
    event.listen(founded.database.engine, "commit", lambda connection: commits.append(1))

    took = _enforce(founded)

    assert len(took) == 5
    assert len(commits) >= 3
    assert _studies(shelf) == {_uid(5)}
    shelf.assert_sound()


def test_a_store_makes_room_for_itself_and_leaves_the_rest_of_a_lowered_limit(founded: FoundedArchive, shelf: Shelf):
    founded.store(*(instance(study=n) for n in range(6)))
    _set(founded, max_studies=2, on_full="evict")

    founded.store(instance(study=7))

    assert _studies(shelf) == {_uid(n) for n in (1, 2, 3, 4, 5, 7)}
    assert len(_enforce(founded)) == 4
    shelf.assert_sound()


@pytest.mark.parametrize("on_full", ["reject", "evict"])
def test_an_area_over_a_lowered_limit_takes_more_of_the_studies_it_holds(founded, shelf: Shelf, on_full: str):
    founded.store(instance(study=1), instance(study=2))
    _pin(founded, 1)
    _pin(founded, 2)
    _set(founded, max_studies=1, on_full=on_full)

    founded.store(instance(study=1, number=2))
    with pytest.raises(OutOfResources, match="max_studies"):
        founded.store(instance(study=3))

    assert shelf.usage().number_of_instances == 3
    assert shelf.rows(evictions) == []
    shelf.assert_sound()


@pytest.mark.parametrize("which", ["max_study_bytes", "max_bytes"])
def test_an_area_over_a_lowered_limit_lets_an_instance_be_replaced_by_one_that_is_no_larger(founded, shelf, which: str):
    founded.store(instance(number=1), instance(number=2))
    _set(founded, **{which: _stored_bytes() + 500}, on_full="reject")

    founded.store(instance(number=1))
    with pytest.raises(OutOfResources, match=which):
        founded.store(instance(number=3))

    assert shelf.usage().number_of_instances == 2
    shelf.assert_sound()


def test_a_limit_that_was_lowered_holds_for_an_association_that_is_older(founded: FoundedArchive, shelf: Shelf, limit):
    limit(max_studies=5)
    sink = Store(founded.database, founded.data).sink(founded.area, "STORESCU")
    founded.store(instance(study=1), instance(study=2))
    limit(max_studies=2)

    data_set = instance(study=3)
    with sink.begin(data_set.SOPClassUID, data_set.SOPInstanceUID, data_set.file_meta.TransferSyntaxUID) as incoming:
        incoming.write(memoryview(encoded(data_set)))
        incoming.finish()

    assert _studies(shelf) == {_uid(2), _uid(3)}


def test_room_that_must_stay_free_holds_for_an_association_that_is_older(founded, shelf: Shelf, limit, monkeypatch):
    limit(max_studies=5)
    sink = Store(founded.database, founded.data).sink(founded.area, "STORESCU")
    limit(max_studies=5, min_free_bytes=1_000_000, on_full="reject")
    monkeypatch.setattr(Disk, "free_bytes", lambda disk: 1_000_100)

    data_set = instance(study=3)
    with sink.begin(data_set.SOPClassUID, data_set.SOPInstanceUID, data_set.file_meta.TransferSyntaxUID) as incoming:
        incoming.write(memoryview(encoded(data_set)))
        with pytest.raises(OutOfResources, match="disk"):
            incoming.finish()

    assert _studies(shelf) == set()


def test_the_oldest_instances_of_several_series_go_in_the_order_they_came(
    founded: FoundedArchive, shelf: Shelf, monkeypatch
):
    monkeypatch.setattr(evictable, "_INSTANCES_IN_ONE_FETCH", 2)
    came = [instance(series=number % 3, number=number) for number in range(9)]
    founded.store(*came[:4], *came[5:], came[4], came[0])  # the last replaces the first, and is the youngest

    with transaction.read(founded.database) as connection:
        found = [each.sop_instance_uid for each in evictable.oldest_instances(connection, shelf.one(studies).pk)]

    assert found == [each.SOPInstanceUID for each in (*came[1:4], *came[5:], came[4], came[0])]


def test_shrinking_a_study_takes_series_that_hold_nothing_any_more(founded: FoundedArchive, shelf: Shelf):
    founded.store(*(instance(series=number // 2, number=number) for number in range(6)))
    _set(founded, max_study_bytes=3 * _stored_bytes() + 20, on_full="evict")

    (took,) = _enforce(founded)

    assert (took.is_whole_study, took.number_of_instances) == (False, 3)
    assert [row.number_of_instances for row in shelf.rows(series)] == [1, 2]
    shelf.assert_sound()


def test_housekeeping_keeps_headroom_that_stores_do_not_touch(founded: FoundedArchive, shelf: Shelf, limit):
    size_bytes = _stored_bytes()
    limit(max_bytes=5 * size_bytes + 20, headroom_bytes=2 * size_bytes)
    founded.store(*(instance(study=n) for n in range(5)))
    stored = len(_studies(shelf))

    Housekeeping(founded.database, founded.data).round()

    assert stored == 5
    assert _studies(shelf) == {_uid(n) for n in (2, 3, 4)}
    assert {row.reason for row in shelf.rows(evictions)} == {"max_bytes"}
    assert _due(founded) == []


def test_headroom_alone_never_takes_the_study_that_was_stored_to_last(founded: FoundedArchive, shelf: Shelf, limit):
    limit(max_bytes=2 * _stored_bytes() + 20, headroom_bytes=_stored_bytes() + 20)
    founded.store(instance(study=1), instance(study=2))
    founded.store(instance(study=2, number=2))

    Housekeeping(founded.database, founded.data).round()

    assert _studies(shelf) == {_uid(2)}
    assert shelf.usage().number_of_instances == 2


def test_headroom_leaves_the_number_of_studies_alone(founded: FoundedArchive, shelf: Shelf, limit):
    limit(max_studies=3, max_study_bytes=10**9, headroom_bytes=10**6)
    founded.store(*(instance(study=n) for n in range(3)))

    assert Housekeeping(founded.database, founded.data).round() is False
    assert len(_studies(shelf)) == 3


def test_as_much_headroom_as_room_is_refused(founded: FoundedArchive):
    with pytest.raises(Misconfigured, match="headroom"):
        _set(founded, max_bytes=1000, headroom_bytes=1000)


def test_an_eviction_says_whose_instance_needed_the_room(founded: FoundedArchive, shelf: Shelf, limit):
    limit(max_studies=1)

    founded.store(instance(study=1), instance(study=2))

    assert shelf.one(evictions).caused_by_ae_title == "STORESCU"


def test_a_study_that_missed_the_change_of_policy_is_found_by_housekeeping(founded: FoundedArchive, shelf: Shelf):
    founded.store(instance(study=1), instance(study=2))
    transaction.write(
        founded.database,
        lambda connection: changes.set_area(connection, founded.area.name, {"max_studies": 1, "on_full": "evict"}),
    )

    Housekeeping(founded.database, founded.data).round()

    assert _studies(shelf) == {_uid(2)}


def test_a_disk_where_only_the_database_is_refuses_although_the_area_evicts(
    founded: FoundedArchive, shelf: Shelf, limit, dialect: str, monkeypatch
):
    limit(min_free_bytes=1_000_000)
    founded.store(instance(study=1))
    of_database = founded.database.folder
    monkeypatch.setattr(Disk, "is_that_of", lambda one, other: False)
    monkeypatch.setattr(Disk, "free_bytes", lambda disk: 1_000_100 if disk._folder == of_database else 10**9)

    if dialect == "sqlite":
        with pytest.raises(OutOfResources, match="disk of the database"):
            founded.store(instance(study=2))
    else:
        founded.store(instance(study=2))

    assert len(_studies(shelf)) == (1 if dialect == "sqlite" else 2)
    assert shelf.rows(evictions) == []


def test_a_file_that_is_written_already_needs_no_room_a_second_time(founded, shelf: Shelf, limit, monkeypatch):
    limit(min_free_bytes=1_000_000, on_full="reject")
    monkeypatch.setattr(Disk, "free_bytes", lambda disk: 1_000_000)

    founded.store(instance(study=1, side_pixels=256))
    with pytest.raises(OutOfResources, match="disk"):
        founded.store(instance(study=2))

    assert _studies(shelf) == {_uid(1)}


# What dcmqrscp gets wrong about its limits.


def test_more_than_500_studies_are_held_where_the_quota_says_so(shelf: Shelf, founded: FoundedArchive):
    """dcmqrscp holds 500 at most."""
    _set(founded, max_studies=505, on_full="evict")
    _store_records(founded, shelf, *(record(study=n, received_at=MOMENT + timedelta(seconds=n)) for n in range(510)))

    assert {row.study_instance_uid for row in shelf.rows(studies)} == {study_uid(1, n) for n in range(5, 510)}
    shelf.assert_sound()


def test_a_study_may_be_larger_than_4_gib(shelf: Shelf, founded: FoundedArchive):
    """dcmqrscp: 1 GiB at most, and sizes of 32 bits."""
    _set(founded, max_study_bytes=20 * 2**30, on_full="evict")

    _store_records(founded, shelf, *(record(number=n, size_bytes=6 * 2**30) for n in range(4)))

    assert shelf.usage().size_bytes == 18 * 2**30
    assert shelf.one(evictions).size_bytes == 6 * 2**30
    shelf.assert_sound()


def test_the_same_instance_in_two_studies_wipes_nothing(founded: FoundedArchive, shelf: Shelf, limit):
    """dcmqrscp: counters go below zero, and unrelated studies and files are deleted."""
    limit(max_studies=10, max_study_bytes=10 * _stored_bytes())
    founded.store(instance(study=9), instance(study=8))
    moving = {"SOPInstanceUID": instance().SOPInstanceUID}

    founded.store(instance(study=1, **moving), instance(study=2, **moving), instance(study=1, **moving))

    assert _studies(shelf) == {_uid(1), _uid(8), _uid(9)}
    assert shelf.rows(evictions) == []
    assert shelf.usage().number_of_instances == 3
    shelf.assert_sound()


def test_a_study_goes_and_none_whose_uid_begins_with_its(founded: FoundedArchive, shelf: Shelf, limit):
    """dcmqrscp compares UIDs by the length of the one that goes: with 5.1 go 5.10 and 5.11."""
    limit(max_studies=3)
    uids = ("1.2.5.1", "1.2.5.10", "1.2.5.11")
    founded.store(*(instance(number=n, series=n, StudyInstanceUID=uid) for n, uid in enumerate(uids)))

    founded.store(instance(study=4))

    assert _studies(shelf) == {"1.2.5.10", "1.2.5.11", _uid(4)}


def test_a_lowered_number_of_studies_is_kept_to_by_the_stores_that_follow(founded: FoundedArchive, shelf: Shelf, limit):
    """dcmqrscp stops evicting once it holds more than the limit."""
    limit(max_studies=6)
    founded.store(*(instance(study=n) for n in range(6)))
    limit(max_studies=3)

    founded.store(instance(study=7), instance(study=8))

    assert _studies(shelf) == {_uid(5), _uid(7), _uid(8)}


def test_studies_stored_within_a_second_go_in_their_order(shelf: Shelf, founded: FoundedArchive):
    """dcmqrscp tells studies apart by whole seconds."""
    _set(founded, max_studies=2, on_full="evict")
    touched = [(1, 1), (2, 1), (1, 2), (3, 1)]

    _store_records(
        founded,
        shelf,
        *(
            record(study=study, number=number, received_at=MOMENT + timedelta(microseconds=after))
            for after, (study, number) in enumerate(touched)
        ),
    )

    assert {row.study_instance_uid for row in shelf.rows(studies)} == {study_uid(1, 1), study_uid(1, 3)}


def test_a_study_of_more_than_10000_instances_shrinks_at_once(shelf: Shelf, founded: FoundedArchive):
    """dcmqrscp's table of a study's instances overflows."""
    shelf.store(*(record(series=n, number=n, size_bytes=10) for n in range(7)))
    _multiply_instances(founded, shelf, 10_050)
    _set(founded, max_study_bytes=500, on_full="evict")

    (took,) = _enforce(founded)

    assert (took.number_of_instances, took.size_bytes) == (10_000, 100_000)
    assert shelf.usage().number_of_instances == 50
    assert len(shelf.rows(deletions)) == 10_000
    shelf.assert_sound()


def _multiply_instances(founded: FoundedArchive, shelf: Shelf, number: int) -> None:
    """Give a study so many instances, spread over its series."""
    held = [dict(row._mapping) for row in shelf.rows(instances)]
    more = [
        {name: value for name, value in held[n % len(held)].items() if name != "pk"}
        | {"sop_instance_uid": f"1.2.3.{n}", "path": new_path(MOMENT)}
        for n in range(len(held), number)
    ]
    transaction.write(founded.database, lambda connection: connection.execute(insert(instances), more))
    transaction.write(founded.database, lambda connection: reconcile.repair_counters(connection, founded.area))


def _store_records(founded: FoundedArchive, shelf: Shelf, *records: Record) -> None:
    """As a store does it, without the bytes: sizes and moments are what the record says."""
    area = founded.area

    def work(connection) -> None:
        for each in records:
            evict.require_room(area, each.size_bytes, None, is_written=each.is_written)
            now = holding.whole(connection, area)
            stored = upsert.add(connection, area.pk, each, duplicates=Duplicates.REPLACE, shard=0)
            evict.make_room(connection, now, each, stored, 0, None)

    transaction.write(founded.database, work)


def test_a_study_that_is_pinned_while_a_store_makes_room_is_kept_or_gone_and_never_both(
    founded: FoundedArchive, shelf: Shelf, limit, run: Run, archive: FoundedArchive
):
    limit(max_studies=2)
    _store_records(founded, shelf, record(study=1), record(study=2))
    pinned: list[bool] = []

    def pin() -> None:
        with suppress(AssertionError):  # it came too late, and says so
            run("study", "pin", study_uid(study=1))
            pinned.append(True)

    other = threading.Thread(target=pin)

    def interfere(connection: Any, _cursor: object, statement: str, *_rest: object) -> None:
        if "FROM study_usage" in statement and "FOR UPDATE" in statement and not other.ident:
            other.start()
            while other.is_alive() and not _number_waiting(founded):
                other.join(0.05)

    event.listen(founded.database.engine, "before_cursor_execute", interfere)
    try:
        _store_records(founded, shelf, record(study=3))
    finally:
        event.remove(founded.database.engine, "before_cursor_execute", interfere)
    if other.ident is None:  # SQLite has one writer, and takes no locks of rows
        pin()
    else:
        other.join(60)

    assert (study_uid(study=1) in _studies(shelf)) == bool(pinned)
    assert len(_studies(shelf)) == 2


def _number_waiting(founded: FoundedArchive) -> int:
    """Sessions of this PostgreSQL database that wait for a lock."""
    with transaction.read(founded.database) as connection:
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return connection.exec_driver_sql(waiting).scalar_one()


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
