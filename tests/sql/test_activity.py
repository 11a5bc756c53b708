"""The access log is written behind the service's back: in batches, within bounds, and again when it could not be."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from archive.database import transaction
from archive.database.engine import Database
from archive.errors import ConnectionLost, DatabaseFailed, DiskFailed
from archive.index import activity
from archive.index.activity import Source
from archive.index.activity_tables import associations, operations, received_by_day
from archive.lifecycle import activity as noted
from archive.lifecycle import recorder as recording
from archive.lifecycle.activity import Admittance, Caller, Entry, Served, Station
from archive.lifecycle.recorder import Recorder
from archive.storage.sink import Outcome
from tests.fix_archive import FoundedArchive
from tests.fix_instances import encoded, instance
from tests.sql.fix_activity import association, find, happened, store

WHO = Caller("10.1.2.3", "ARCHIVE", "CT1", "OFFIS_DCMTK_367")
LET_IN = Admittance("ARCHIVE", contexts_accepted=2, contexts_refused=0)
STORED = Served("C-STORE", 0, outcome=Outcome.NEW)
FOUND = Served("C-FIND", 0, "study_root", "STUDY", matches=3)
OURS = Station("here:104", 1)


@pytest.fixture
def recorder(database: Database) -> Recorder:
    """One that writes when it is told to, and not by itself."""
    return Recorder(database, OURS)


def rows(database: Database, table: Any) -> list[Any]:
    with transaction.read(database) as connection:
        return list(connection.execute(select(table).order_by(*table.primary_key.columns)))


@contextmanager
def broken(database: Database) -> Iterator[None]:
    """The database does not take what is written."""
    transaction.write(database, lambda connection: connection.execute(text("ALTER TABLE operations RENAME TO away")))
    yield
    transaction.write(database, lambda connection: connection.execute(text("ALTER TABLE away RENAME TO operations")))


def test_stores_of_an_association_are_one_row_for_each_status(recorder: Recorder, database: Database) -> None:
    with recorder.accepted(WHO, LET_IN, lambda: (5000, 70)) as entry:
        for seconds in (0.25, 0.5, 0.125):
            entry.served(STORED, "", seconds, 1000)
        entry.served(Served("C-STORE", 0, outcome=Outcome.REPLACED), "", 0.125, 500)
        entry.served(Served("C-STORE", 0, outcome=Outcome.KEPT), "", 0.125, 500)
        entry.served(Served("C-STORE", 0xA700), "No room", 0.5, 10)
    recorder.flush()

    (whole,) = rows(database, associations)
    assert (whole.outcome, whole.calling_ae_title, whole.area) == ("released", "CT1", "ARCHIVE")
    assert (whole.node, whole.worker, whole.implementation_version_name) == ("here:104", 1, "OFFIS_DCMTK_367")
    assert (whole.number_of_operations, whole.received_bytes, whole.sent_bytes) == (6, 5000, 70)
    taken, refused = rows(database, operations)
    assert (taken.association_pk, taken.status, taken.number_of_requests, taken.size_bytes) == (
        whole.pk,
        "0000",
        5,
        4000,
    )
    assert (taken.number_replaced, taken.number_kept) == (1, 1)
    assert (taken.duration_seconds, taken.longest_seconds) == (1.125, 0.5)
    assert (refused.status, refused.error_comment, refused.number_of_requests) == ("A700", "No room", 1)


def test_what_goes_on_updates_its_rows(recorder: Recorder, database: Database) -> None:
    entry = recorder.accepted(WHO, LET_IN)
    entry.served(STORED, "", 0.25, 1000)
    recorder.flush()
    before = [row.number_of_requests for row in rows(database, operations)]
    entry.served(STORED, "", 0.25, 1000)
    entry.end("released")
    recorder.flush()

    assert before == [1]
    assert [row.number_of_requests for row in rows(database, operations)] == [2]
    assert [row.outcome for row in rows(database, associations)] == ["released"]


def test_queries_have_rows_of_their_own_until_there_are_too_many(recorder: Recorder, database: Database) -> None:
    with recorder.accepted(WHO, LET_IN) as entry:
        for _ in range(noted.MOST_APART + 7):
            entry.served(FOUND, "", 0.25)
    recorder.flush()

    numbers = sorted((row.number_of_requests, row.number_of_matches) for row in rows(database, operations))
    assert numbers == [(1, 3)] * noted.MOST_APART + [(7, 21)]


def test_kinds_of_operations_are_bounded(recorder: Recorder, database: Database) -> None:
    with recorder.accepted(WHO, LET_IN) as entry:
        for number in range(500):
            entry.served(Served("C-STORE", 0xC000), f"comment {number}", 0.25, 1)
            entry.served(Served(f"{number:04X}", 0x0211), "unknown", 0.25)
    recorder.flush()

    held = rows(database, operations)
    assert len(held) <= noted.MOST_KINDS + 2
    assert sum(row.number_of_requests for row in held) == 1000
    assert {("C-STORE", "various"), ("other", "various")} <= {(row.operation, row.error_comment) for row in held}


@pytest.mark.parametrize(
    "error, outcome, reason",
    [
        (ConnectionLost(), "aborted", "The connection ended without a release."),
        (DiskFailed(), "failed", "The storage area cannot be written."),
        (ZeroDivisionError("secret"), "failed", "A defect of the archive: ZeroDivisionError"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_how_it_ended_is_told(
    recorder: Recorder, database: Database, error: Exception, outcome: str, reason: str
) -> None:
    with pytest.raises(type(error)), recorder.accepted(WHO, LET_IN):
        raise error
    recorder.flush()

    assert [(row.outcome, row.reason) for row in rows(database, associations)] == [(outcome, reason)]


def test_refusals_that_are_alike_share_a_row_until_they_are_written(recorder: Recorder, database: Database) -> None:
    for _ in range(1000):
        recorder.rejected(WHO, "1/1/3", "no rule")
    recorder.rejected(WHO, "1/1/7", "no title")
    recorder.closed("10.9.9.9", "Too many connections")
    recorder.flush()
    recorder.rejected(WHO, "1/1/3", "no rule")
    recorder.flush()

    held = [(row.outcome, row.rejection, row.reason, row.number_of_requests) for row in rows(database, associations)]
    assert held == [
        ("rejected", "1/1/3", "no rule", 1000),
        ("rejected", "1/1/7", "no title", 1),
        ("closed", None, "Too many connections", 1),
        ("rejected", "1/1/3", "no rule", 1),
    ]


def test_a_flood_of_strangers_takes_bounded_room_and_every_one_is_counted(
    recorder: Recorder, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MOST_REFUSALS", 10)
    for number in range(100):
        recorder.rejected(Caller("10.1.2.3", "ARCHIVE", f"STRANGER{number}"), "1/1/3", f"reason {number % 50}")
    recorder.flush()

    held = rows(database, associations)
    assert len(held) <= 2 * 10 + 1
    assert sum(row.number_of_requests for row in held) == 100


def test_what_cannot_be_written_is_written_later(recorder: Recorder, database: Database) -> None:
    recorder.flush()
    entry = recorder.accepted(WHO, LET_IN)
    entry.served(FOUND, "", 0.25)
    recorder.rejected(WHO, "1/1/3", "no rule")
    recorder.received.count(datetime(2026, 3, 1, tzinfo=UTC), "ARCHIVE", "CT1", "CT", 1000)
    with broken(database):
        with pytest.raises(DatabaseFailed):
            recorder.flush()
        entry.served(FOUND, "", 0.25)
        recorder.rejected(WHO, "1/1/3", "no rule")
        recorder.received.count(datetime(2026, 3, 1, tzinfo=UTC), "ARCHIVE", "CT1", "CT", 500)
        with pytest.raises(DatabaseFailed):
            recorder.flush()
        nothing = rows(database, associations)
    recorder.flush()

    assert nothing == []
    assert [(row.outcome, row.number_of_requests) for row in rows(database, associations)] == [
        ("open", 1),
        ("rejected", 2),
    ]
    assert [row.number_of_requests for row in rows(database, operations)] == [1, 1]
    assert [(row.number_of_instances, row.size_bytes) for row in rows(database, received_by_day)] == [(2, 1500)]


def test_a_database_that_is_away_for_long_costs_bounded_memory(recorder: Recorder, database: Database) -> None:
    recorder.flush()
    entry = recorder.accepted(WHO, LET_IN)
    number = 5 * noted.MOST_APART
    with broken(database):
        for _ in range(number):
            entry.served(FOUND, "", 0.25)
            if entry._writing == [] or len(entry._apart) == noted.MOST_APART:
                with pytest.raises(DatabaseFailed):
                    recorder.flush()
        held = len(entry._writing) + len(entry._apart) + len(entry._sums)
    recorder.flush()
    recorder.flush()

    assert held <= 2 * noted.MOST_APART + 1
    assert sum(row.number_of_requests for row in rows(database, operations)) == number


def test_associations_beyond_the_bound_are_lost_and_the_log_says_how_many(
    recorder: Recorder, database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(recording, "MOST_WAITING", 3)
    for _ in range(5):
        with recorder.accepted(WHO, LET_IN) as entry:
            entry.served(STORED, "", 0.25, 1)
    recorder.flush()

    assert len(rows(database, associations)) == 3
    assert "2 associations are missing from the access log" in caplog.text


def test_a_long_association_outlives_its_forgotten_rows(recorder: Recorder, database: Database) -> None:
    entry = recorder.accepted(WHO, LET_IN)
    entry.served(STORED, "", 0.25, 1000)
    recorder.flush()
    later = datetime.now(UTC) + timedelta(days=1)
    assert transaction.write(database, lambda connection: activity.forget(connection, later, 10)) == 1
    entry.served(STORED, "", 0.25, 1000)
    recorder.flush()

    assert [row.outcome for row in rows(database, associations)] == ["open"]
    assert [row.number_of_requests for row in rows(database, operations)] == [2]


def test_a_forgotten_association_among_others_is_made_again_and_they_go_on(
    recorder: Recorder, database: Database
) -> None:
    entries = [recorder.accepted(WHO, LET_IN) for _ in range(3)]
    for entry in entries:
        entry.served(STORED, "", 0.25, 1000)
    recorder.flush()
    later = datetime.now(UTC) + timedelta(days=1)
    assert transaction.write(database, lambda connection: activity.forget(connection, later, 1)) == 1
    for entry in entries:
        entry.served(STORED, "", 0.25, 1000)
    recorder.flush()

    assert [row.outcome for row in rows(database, associations)] == ["open"] * 3
    assert [row.number_of_requests for row in rows(database, operations)] == [2] * 3


def test_many_associations_that_go_on_are_written_by_few_statements(
    recorder: Recorder, database: Database, query_recorder
) -> None:
    entries = [recorder.accepted(WHO, LET_IN) for _ in range(100)]
    for entry in entries:
        entry.served(STORED, "", 0.25, 1000)
    recorder.flush()
    for entry in entries:
        entry.served(STORED, "", 0.25, 1000)
    with query_recorder(database.engine) as recorded:
        recorder.flush()

    assert len(recorded.starting("UPDATE")) == 2  # associations, operations
    assert [row.number_of_requests for row in rows(database, operations)] == [2] * 100


def test_only_what_the_process_before_left_open_is_lost(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    began_at = datetime(2026, 3, 1, tzinfo=UTC)
    open_ones = [
        association(began_at, node=node, worker=worker, outcome="open", ended_at=None)
        for node, worker in (("here:104", 1), ("here:104", 0), ("there:104", 1))
    ]
    happened(database, *((each,) for each in (*open_ones, association(began_at, node="here:104", worker=1))))

    Recorder(database, OURS).flush()

    assert [row.outcome for row in rows(database, associations)] == ["lost", "open", "open", "released"]
    assert "1 associations were open when the process before this one ended" in caplog.text


def test_text_that_no_database_takes_is_cleaned(recorder: Recorder, database: Database) -> None:
    with recorder.accepted(Caller("::1", "A\0B", "C\ud800D", "x" * 5000), LET_IN) as entry:
        entry.served(Served("C-MOVE", 0xA801, move_destination="\0"), "no\0peer", 0.25)
    recorder.flush()

    (whole,) = rows(database, associations)
    assert (whole.called_ae_title, whole.calling_ae_title) == ("AB", "C?D")
    assert len(whole.implementation_version_name) == noted.MOST_TEXT_CHARACTERS
    assert [row.error_comment for row in rows(database, operations)] == ["nopeer"]


def test_nothing_new_is_no_statement(recorder: Recorder, database: Database, query_recorder: Callable) -> None:
    recorder.accepted(WHO, LET_IN)
    recorder.flush()

    with query_recorder(database.engine) as recorded:
        recorder.flush()

    assert recorded.statements == []


def test_a_flush_of_many_associations_takes_short_transactions(
    recorder: Recorder, database: Database, query_recorder: Callable
) -> None:
    recorder.flush()
    for _ in range(2 * recording.MOST_IN_ONE_TRANSACTION + 1):
        with recorder.accepted(WHO, LET_IN) as entry:
            entry.served(STORED, "", 0.25, 1)

    with query_recorder(database.engine) as recorded:
        recorder.flush()

    assert len(rows(database, associations)) == 2 * recording.MOST_IN_ONE_TRANSACTION + 1
    assert len(recorded.starting("INSERT")) < 100, "rows are inserted in batches"


def test_a_thread_writes_by_itself_and_close_writes_the_rest(
    recorder: Recorder, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "FLUSH_SECONDS", 3600.0)
    recorder.start()
    open_entry = recorder.accepted(WHO, LET_IN)
    open_entry.served(STORED, "", 0.25, 1)
    with recorder.accepted(WHO, LET_IN):
        pass

    recorder.close()

    assert [(row.outcome, row.reason) for row in rows(database, associations)] == [
        ("aborted", "The archive was stopped"),
        ("released", None),
    ]


def test_a_database_that_fails_is_said_once_and_tried_again(
    recorder: Recorder, database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(recording, "FLUSH_SECONDS", 0.0)
    monkeypatch.setattr(recording, "RETRY_SECONDS", 0.01)
    said = threading.Event()
    monkeypatch.setattr(recording.log, "filter", lambda record: said.set() or True)
    recorder.flush()
    with broken(database):
        recorder.start()
        recorder.accepted(WHO, LET_IN).served(STORED, "", 0.25, 1)
        assert said.wait(30)

    recorder.close()

    assert caplog.text.count("cannot be written") == 1
    assert [row.outcome for row in rows(database, associations)] == ["aborted"]


def test_received_is_added_up_by_day_area_sender_and_modality(recorder: Recorder, database: Database) -> None:
    evening, morning = datetime(2026, 3, 1, 23, 59, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
    for moment, modality in ((evening, "CT"), (evening, "CT"), (morning, "CT"), (morning, "MR")):
        recorder.received.count(moment, "ARCHIVE", "CT1", modality, 100)
    recorder.flush()
    recorder.received.count(morning, "ARCHIVE", "CT1", "MR", 11)
    recorder.flush()

    assert [tuple(row) for row in rows(database, received_by_day)] == [
        (date(2026, 3, 1), "ARCHIVE", "CT1", "CT", 2, 200),
        (date(2026, 3, 2), "ARCHIVE", "CT1", "CT", 1, 100),
        (date(2026, 3, 2), "ARCHIVE", "CT1", "MR", 2, 111),
    ]


def test_a_store_counts_what_it_takes_in_by_the_modality_of_the_series(founded: FoundedArchive) -> None:
    recorder = Recorder(founded.database, OURS)
    outcomes = [
        founded.store_one(data_set, recorder.received)
        for data_set in (
            instance(number=1, Modality="US"),
            instance(number=2, Modality="US"),
            instance(number=2, Modality="US"),
            instance(number=3, series=2, Modality=None),
        )
    ]
    recorder.flush()

    assert outcomes == [Outcome.NEW, Outcome.NEW, Outcome.REPLACED, Outcome.NEW]
    assert [(row.modality, row.number_of_instances) for row in rows(founded.database, received_by_day)] == [
        ("", 1),
        ("US", 3),
    ]
    size = rows(founded.database, received_by_day)[1].size_bytes
    assert size > 3 * len(encoded(instance(number=1, Modality="US")))


def test_what_an_area_keeps_is_not_received(founded: FoundedArchive) -> None:
    founded.set_area(duplicates="keep")
    recorder = Recorder(founded.database, OURS)

    outcomes = [founded.store_one(instance(), recorder.received) for _ in range(2)]
    recorder.flush()

    assert outcomes == [Outcome.NEW, Outcome.KEPT]
    assert [row.number_of_instances for row in rows(founded.database, received_by_day)] == [1]


def test_operations_go_with_their_association(database: Database) -> None:
    old, young = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
    happened(
        database,
        (association(old), find(old), store(old)),
        (association(young), find(young)),
        received={Source(old.date(), "ARCHIVE", "CT1", "CT"): (1, 1)},
    )

    forgotten = transaction.write(database, lambda connection: activity.forget(connection, young, 10))

    assert forgotten == 1
    assert [row.began_at for row in rows(database, operations)] == [young]
    assert len(rows(database, received_by_day)) == 1, "what was received by day stays"


def test_an_entry_that_ended_does_not_hold_its_connection(recorder: Recorder) -> None:
    traffic = [(1, 2)]
    entry: Entry = recorder.accepted(WHO, LET_IN, lambda: traffic[0])
    entry.end("released")
    traffic.clear()

    recorder.flush()  # asks for the traffic once more
