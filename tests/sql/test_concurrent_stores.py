"""Several processes store at once: none fails, nothing is doubled, and the books are right.

Threads stand for processes, each with a database object of its own, which share nothing but the database.
"""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing

import pytest
from sqlalchemy import Connection, Table, event, text, update
from sqlalchemy.exc import DBAPIError

from archive.database import dialects, transaction
from archive.database.engine import Database
from archive.index import remove, upsert, usage
from archive.index.record import AlreadyHeld, Duplicates, Parents, Stored, UsageChange
from archive.index.tables import area_usage, instances, patients, series, studies, study_usage
from archive.index.usage import Usage
from tests.sql.fix_holdings import MR, Shelf, record, small, study_uid

WRITERS = 8
WAIT_SECONDS = 60.0


@pytest.fixture
def writers(shelf: Shelf) -> Iterator[list[Shelf]]:
    """The same area, seen by as many processes."""
    url = shelf.database.url.render_as_string(hide_password=False)
    with ExitStack() as stack:
        yield [Shelf(stack.enter_context(closing(Database(url))), shelf.area_pk) for _ in range(WRITERS)]


def at_once(works: Sequence[Callable[[], object]]) -> list[BaseException | None]:
    """Do all the works in threads that begin together; what each of them raised."""
    start = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> object:
        start.wait(WAIT_SECONDS)
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        futures = [pool.submit(run, work) for work in works]
        return [future.exception(WAIT_SECONDS) for future in futures]


def test_first_instances_of_one_series_make_one_of_each(shelf, writers):
    raised = at_once([lambda w=w, n=n: w.store(record(number=n), shard=n) for n, w in enumerate(writers)])

    assert raised == [None] * WRITERS
    assert [len(shelf.rows(table)) for table in (patients, studies, series, instances)] == [1, 1, 1, WRITERS]
    assert shelf.usage() == Usage(1, 1, WRITERS, WRITERS * 1000)
    shelf.assert_sound()


def test_first_series_of_one_study_make_one_study(shelf, writers):
    modalities = ("CT", "MR", "PT", "US")
    raised = at_once(
        [lambda w=w, n=n: w.store(record(series=n, Modality=modalities[n % 4]), shard=n) for n, w in enumerate(writers)]
    )

    assert raised == [None] * WRITERS
    assert len(shelf.rows(series)) == WRITERS
    assert shelf.one(studies).modalities_in_study == "CT\\MR\\PT\\US"
    shelf.assert_sound()


def test_first_studies_of_one_patient_make_one_patient(shelf, writers):
    raised = at_once([lambda w=w, n=n: w.store(record(study=n)) for n, w in enumerate(writers)])

    assert raised == [None] * WRITERS
    assert shelf.one(patients).patient_id == "P1"
    assert len(shelf.rows(studies)) == WRITERS
    shelf.assert_sound()


def test_one_study_under_several_patients_leaves_no_empty_patient(shelf, writers):
    raised = at_once([lambda w=w, n=n: w.store(record(number=n, PatientID=f"P{n}")) for n, w in enumerate(writers)])

    assert raised == [None] * WRITERS
    assert len(shelf.rows(patients)) == len(shelf.rows(studies)) == 1
    shelf.assert_sound()


def test_the_same_instance_from_everybody_is_held_once(shelf, writers):
    received = [record(size_bytes=100 + n) for n in range(WRITERS)]

    raised = at_once([lambda w=w, n=n: w.store(received[n], shard=n) for n, w in enumerate(writers)])

    assert raised == [None] * WRITERS
    held = shelf.one(instances)
    assert sorted([held.path, *shelf.deleted_paths()]) == sorted(str(each.path) for each in received)
    assert shelf.usage() == Usage(1, 1, 1, held.size_bytes)
    shelf.assert_sound()


def test_the_same_instance_is_kept_from_whoever_was_first(shelf, writers):
    raised = at_once([lambda w=w: w.store(record(), duplicates=Duplicates.KEEP) for w in writers])

    assert sorted(map(type, raised), key=str) == sorted([type(None), *[AlreadyHeld] * (WRITERS - 1)], key=str)
    assert shelf.deleted_paths() == []
    shelf.assert_sound()


def test_an_instance_that_everybody_moves_elsewhere_ends_in_one_place(shelf, writers):
    shelf.store(first := record(study=99))
    uid = first.header.sop_instance_uid

    raised = at_once([lambda w=w, n=n: w.store(record(study=n, SOPInstanceUID=uid)) for n, w in enumerate(writers)])

    assert raised == [None] * WRITERS
    assert len(shelf.rows(instances)) == len(shelf.rows(studies)) == 1
    assert len(shelf.deleted_paths()) == WRITERS
    shelf.assert_sound()


def test_instances_that_swap_studies_over_and_over_are_never_lost(shelf, writers):
    uids = [record(number=n).header.sop_instance_uid for n in range(WRITERS)]

    def swap(writer: Shelf, turn: int) -> None:
        for n in range(4):
            writer.store(record(study=(turn + n) % 2, SOPInstanceUID=uids[(turn * 3 + n) % WRITERS]), shard=turn)

    raised = at_once([lambda w=w, n=n: swap(w, n) for n, w in enumerate(writers)])

    assert raised == [None] * WRITERS
    assert len(shelf.rows(instances)) + len(shelf.deleted_paths()) == WRITERS * 4
    shelf.assert_sound()


def test_stores_and_removals_of_one_study_do_not_harm_each_other(shelf, writers):
    stored = shelf.store(record(number=1000)).parents

    def store(writer: Shelf, turn: int) -> None:
        known: Parents | None = stored
        for n in range(6):
            known = writer.store(record(number=10 * turn + n), known=known, shard=turn).parents

    def remove(writer: Shelf) -> None:
        for _ in range(6):
            writer.remove_study(study_uid(), shard=9)

    works = [lambda w=w, n=n: store(w, n) for n, w in enumerate(writers[:6])]
    raised = at_once([*works, *(lambda w=w: remove(w) for w in writers[6:])])

    assert raised == [None] * WRITERS
    assert len(shelf.rows(instances)) + len(shelf.deleted_paths()) == 37
    shelf.assert_sound()


def test_processes_share_a_study(shelf):
    url = shelf.database.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "tests.sql.store_process", url, str(shelf.area_pk)]
    processes = [
        subprocess.Popen([*command, str(n), "15"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for n in (1, 2)
    ]

    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    ended = [process.communicate("go\n", timeout=WAIT_SECONDS) and process.returncode for process in processes]

    assert ended == [0, 0]
    assert shelf.usage() == Usage(1, 3, 60, 60_000)
    shelf.assert_sound()


# What only a database with several writers can do: each collision is brought about at the one moment that matters.


@pytest.fixture
def many_writers(dialect: str) -> None:
    """Skip where transactions that write come one after the other."""
    if dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time")


def before(database: Database, beginning: str, work: Callable[[], object]) -> Callable[[], None]:
    """Do some work of somebody else once, just before a statement that begins so; the result ends the waiting."""
    done: list[bool] = []

    def interfere(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith(beginning) and not done:
            done.append(True)
            work()

    event.listen(database.engine, "before_cursor_execute", interfere)

    def stop() -> None:
        event.remove(database.engine, "before_cursor_execute", interfere)
        assert done

    return stop


@pytest.mark.usefixtures("many_writers")
@pytest.mark.parametrize(
    "beginning",
    [
        pytest.param("SELECT patients.pk", id="before the patient is looked up"),
        pytest.param("INSERT INTO studies", id="before the study is inserted"),
    ],
)
def test_patient_that_is_removed_meanwhile_is_made_anew(shelf, writers, beginning):
    shelf.store(record(study=1))
    stop = before(writers[0].database, beginning, lambda: shelf.remove_study(study_uid(study=1)))

    writers[0].store(record(study=2))

    stop()
    assert shelf.one(patients).patient_id == "P1"
    assert shelf.one(studies).study_instance_uid == study_uid(study=2)
    shelf.assert_sound()


@pytest.mark.usefixtures("many_writers")
@pytest.mark.parametrize(
    "beginning",
    [
        pytest.param("UPDATE study_usage SET number_of_series", id="before a series joins it"),
        pytest.param("SELECT studies.pk", id="before it is looked up"),
    ],
)
def test_study_that_is_removed_meanwhile_is_made_anew(shelf, writers, beginning):
    shelf.store(record(series=1))
    stop = before(writers[0].database, beginning, lambda: shelf.remove_study(study_uid()))

    writers[0].store(record(series=2))

    stop()
    assert shelf.usage() == Usage(1, 1, 1, 1000)
    shelf.assert_sound()


def is_anybody_waiting(database: Database) -> bool:
    """Whether a session of PostgreSQL waits for a lock of another."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    with transaction.read(database) as connection:
        return bool(connection.scalar(text(waiting)))


def touch(table: Table) -> Callable[[Connection, Shelf], object]:
    """Write each row of a table as it is, which makes whoever saw them before look again."""
    return lambda connection, _: connection.execute(update(table).values(size_bytes=table.c.size_bytes))


def store_elsewhere(connection: Connection, shelf: Shelf) -> None:
    """Store the second instance into another study."""
    moved = record(study=2, SOPInstanceUID=record(number=2).header.sop_instance_uid)
    upsert.add(connection, shelf.area_pk, moved, duplicates=Duplicates.REPLACE, shard=1)


def remove_first(connection: Connection, shelf: Shelf) -> None:
    """Remove the first instance, and the series of which it is the only one."""
    held = remove.lock_instance(connection, shelf.area_pk, record(number=1).header.sop_instance_uid)
    assert held is not None
    change = UsageChange()
    remove.remove_instance(connection, held, "removed", change, record().received_at)
    usage.count_in_area(connection, shelf.area_pk, 0, change)


@pytest.mark.usefixtures("many_writers")
@pytest.mark.parametrize(
    "somebody_else, held",
    [
        pytest.param(touch(study_usage), Usage(2, 2, 3, 3000), id="writes the study's usage"),
        pytest.param(touch(series), Usage(2, 2, 3, 3000), id="writes the series"),
        pytest.param(touch(area_usage), Usage(2, 2, 3, 3000), id="writes the area's usage"),
        pytest.param(store_elsewhere, Usage(2, 2, 3, 3000), id="stores the instance elsewhere"),
        pytest.param(remove_first, Usage(2, 2, 2, 2000), id="removes the series"),
    ],
)
def test_usual_store_sees_what_it_waited_for(shelf, writers, somebody_else, held):
    known = shelf.store(record()).parents
    shelf.store(record(study=3))

    with ThreadPoolExecutor(1) as thread, shelf.database.engine.connect() as connection:
        somebody_else(connection, shelf)
        storing = thread.submit(writers[0].store, record(number=2), known=known)
        while not storing.done() and not is_anybody_waiting(shelf.database):
            wait([storing], 0.01)
        assert not storing.done()
        connection.commit()
        storing.result(WAIT_SECONDS)

    assert shelf.usage() == held
    shelf.assert_sound()


def remove_whole_study(connection: Connection, shelf: Shelf) -> None:
    """Remove the study of the first instance."""
    remove.remove_study(connection, shelf.rows(studies)[0].pk, 0, "removed", record().received_at)


def remove_the_only_one_of_its_class(connection: Connection, shelf: Shelf) -> None:
    """Put an instance of another SOP Class in the place of the first, whose class is then on no list."""
    for each in (record(number=9, SOPClassUID=MR), record(number=1, SOPClassUID=MR)):
        upsert.add(connection, shelf.area_pk, each, duplicates=Duplicates.REPLACE, shard=1)


def store_at_once_beside(
    shelf: Shelf, writer: Shelf, known: Parents, somebody_else: Callable[[Connection, Shelf], object]
) -> Future[Stored | None]:
    """Store the second instance by one statement that waits for what somebody else has not committed yet."""

    def store() -> Stored | None:
        with writer.database.statements.connect() as connection:
            return upsert.add_at_once(connection, shelf.area_pk, small(record(number=2)), shard=0, known=known)

    with ThreadPoolExecutor(1) as thread, shelf.database.engine.connect() as connection:
        somebody_else(connection, shelf)
        storing = thread.submit(store)
        while not storing.done() and not is_anybody_waiting(shelf.database):
            wait([storing], 0.01)
        assert not storing.done()
        connection.commit()
        wait([storing], WAIT_SECONDS)
    return storing


@pytest.mark.usefixtures("many_writers")
@pytest.mark.parametrize("table", [study_usage, series, area_usage], ids=str)
def test_a_store_at_once_counts_beside_who_changed_the_row_meanwhile(shelf, writers, table):
    known = shelf.store(small(record())).parents

    storing = store_at_once_beside(shelf, writers[0], known, touch(table))

    assert storing.result() is not None
    assert shelf.usage() == Usage(1, 1, 2, 2000)
    shelf.assert_sound()


@pytest.mark.usefixtures("many_writers")
@pytest.mark.parametrize(
    "somebody_else", [store_elsewhere, remove_first, remove_whole_study, remove_the_only_one_of_its_class]
)
def test_a_store_at_once_that_is_not_usual_any_more_is_taken_back(shelf, writers, somebody_else):
    known = shelf.store(small(record())).parents
    shelf.store(record(study=3))

    storing = store_at_once_beside(shelf, writers[0], known, somebody_else)

    failed = storing.exception()
    assert isinstance(failed, DBAPIError)
    assert dialects.took_itself_back(failed)
    shelf.assert_sound()


@pytest.mark.usefixtures("many_writers")
def test_duplicate_that_is_removed_meanwhile_makes_no_replacement(shelf, writers):
    shelf.store(first := record())
    uid = first.header.sop_instance_uid
    stop = before(writers[0].database, "SELECT instances.pk", lambda: shelf.remove_study(study_uid()))

    stored = writers[0].store(record(patient=2, SOPInstanceUID=uid))

    stop()
    assert not stored.replaced
    assert shelf.usage() == Usage(1, 1, 1, 1000)
    shelf.assert_sound()


@pytest.mark.usefixtures("many_writers")
def test_stores_that_deadlock_are_done_again(shelf, writers):
    shelf.store(record(study=1))
    shelf.store(record(study=2))
    both_hold_one = threading.Barrier(2)
    attempts: list[int] = []

    def store_into(first: int, second: int) -> Callable[[Connection], None]:
        tried: list[bool] = []

        def work(connection: Connection) -> None:
            attempts.append(first)
            connection.exec_driver_sql("SET LOCAL deadlock_timeout = '20ms'")
            _add(connection, shelf.area_pk, first, number=10 + first)
            if not tried:
                tried.append(True)
                both_hold_one.wait(WAIT_SECONDS)
            _add(connection, shelf.area_pk, second, number=20 + first)

        return work

    raised = at_once(
        [
            lambda: transaction.write(writers[0].database, store_into(1, 2)),
            lambda: transaction.write(writers[1].database, store_into(2, 1)),
        ]
    )

    assert raised == [None, None]
    assert len(attempts) >= 3
    assert shelf.usage() == Usage(2, 2, 6, 6000)
    shelf.assert_sound()


def _add(connection: Connection, area_pk: int, study: int, *, number: int) -> None:
    upsert.add(connection, area_pk, record(study=study, number=number), duplicates=Duplicates.REPLACE, shard=study)
