"""Rows go, their files are queued, and parents go with their last child."""

from sqlalchemy import Connection

from archive.database import transaction
from archive.index import remove
from archive.index.record import UsageChange
from archive.index.tables import deletions, instances, patients, series, series_requests, studies, study_usage
from archive.index.usage import Usage
from tests.sql.fix_holdings import MOMENT, Shelf, new_shelf, record, study_uid


def test_removed_study_takes_all_that_is_in_it(shelf):
    items = [{"RequestedProcedureID": "RP1"}]
    stored = [record(series=s, number=n, RequestAttributesSequence=items) for s in (1, 2) for n in (1, 2)]
    shelf.store(*stored)

    change = shelf.remove_study(study_uid())

    assert change == UsageChange(-1, -2, -4, -4000)
    tables = (patients, studies, study_usage, series, series_requests, instances)
    assert [shelf.rows(table) for table in tables] == [[], [], [], [], [], []]
    assert shelf.deleted_paths() == [each.path for each in stored]
    assert shelf.usage() == Usage(0, 0, 0, 0)
    shelf.assert_sound()


def test_files_of_a_removed_study_say_why_and_since_when(shelf):
    shelf.store(record())

    shelf.remove_study(study_uid())

    queued = shelf.one(deletions)
    assert (queued.reason, queued.queued_at, queued.attempts, queued.last_error) == ("removed", MOMENT, 0, None)


def test_removed_study_leaves_other_studies_and_their_patient(shelf):
    shelf.store(record(study=1))
    shelf.store(record(study=2), record(patient=2))

    shelf.remove_study(study_uid(study=1))

    assert [row.study_instance_uid for row in shelf.rows(studies)] == [study_uid(study=2), study_uid(2)]
    assert len(shelf.rows(patients)) == 2
    shelf.assert_sound()


def test_study_that_is_gone_cannot_be_removed_again(shelf):
    shelf.store(record())
    pk = shelf.one(studies).pk
    shelf.remove_study(study_uid())

    def again(connection: Connection) -> UsageChange | None:
        return remove.remove_study(connection, pk, 0, "removed", MOMENT)

    assert transaction.write(shelf.database, again) is None
    assert len(shelf.deleted_paths()) == 1
    shelf.assert_sound()


def test_removal_by_another_process_counts_in_the_area(shelf):
    shelf.store(record(study=1), shard=1)
    shelf.store(record(study=2), shard=2)

    shelf.remove_study(study_uid(study=1), shard=7)

    assert shelf.usage() == Usage(1, 1, 1, 1000)
    shelf.assert_sound()


def test_study_comes_back_after_its_removal(shelf):
    shelf.store(record())
    first = shelf.one(studies).pk
    shelf.remove_study(study_uid())

    shelf.store(record())

    assert shelf.one(studies).pk > first
    shelf.assert_sound()


# The queue of files to be unlinked


def _queue(shelf: Shelf, number: int) -> list[tuple[int, str]]:
    shelf.store(*(record(number=n) for n in range(number)))
    shelf.remove_study(study_uid())
    return [(row.pk, row.path) for row in shelf.rows(deletions)]


def test_unlinked_files_leave_the_queue_and_the_others_say_why_not(shelf):
    (done, _), (failed, _), (waiting, _) = _queue(shelf, 3)
    with transaction.read(shelf.database) as connection:
        tried = [each for each in remove.queued_deletions(connection, 1000) if each.pk in (done, failed)]

    transaction.write(shelf.database, lambda connection: remove.note_attempts(connection, tried))
    transaction.write(
        shelf.database,
        lambda connection: remove.settle_deletions(connection, [done], [(failed, "Read-only file system")]),
    )

    left = [(row.pk, row.attempts, row.last_error) for row in shelf.rows(deletions)]
    assert left == [(failed, 1, "Read-only file system"), (waiting, 0, None)]


def test_files_that_never_failed_are_unlinked_first(database):
    shelf = new_shelf(database, "QUEUE")
    queued = _queue(shelf, 3)
    with transaction.read(database) as connection:
        tried = remove.queued_deletions(connection, 1)
    transaction.write(database, lambda connection: remove.note_attempts(connection, tried))

    with transaction.read(database) as connection:
        first = remove.queued_deletions(connection, 2)
        every = remove.queued_deletions(connection, 10)

    assert [(row.pk, row.path) for row in first] == queued[1:]
    assert [row.path for row in every] == [path for _, path in [*queued[1:], queued[0]]]
    assert {row.area_pk for row in every} == {shelf.area_pk}


def test_nothing_to_settle_changes_nothing(shelf):
    _queue(shelf, 1)

    transaction.write(shelf.database, lambda connection: remove.settle_deletions(connection, [], []))

    assert len(shelf.rows(deletions)) == 1
