"""Each report view tells the same on both databases, from rows that a test put there; and what is asked of it."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, text

from archive.database import transaction
from archive.errors import Misconfigured
from archive.index import report_rows
from archive.index.activity import Source
from archive.index.report_rows import Wanted
from archive.index.reports import REPORTS
from archive.index.tables import deletions, evictions
from archive.registry import changes
from tests.fix_archive import FoundedArchive
from tests.fix_instances import instance, uid
from tests.sql.fix_activity import association, find, happened, operation, store

MARCH = datetime(2026, 3, 1, 14, 5, 9, 250_000, tzinfo=UTC)


def report(archive: FoundedArchive, name: str, *columns: str, **wanted: Any) -> list[tuple[Any, ...]]:
    """The rows of a report, these columns of each."""
    asked = REPORTS[name]
    with transaction.read(archive.database) as connection:
        return list(report_rows.rows(connection, asked, Wanted(**wanted), columns or tuple(asked.columns)))


def test_studies_have_their_counts_and_bytes(founded: FoundedArchive) -> None:
    founded.store(
        instance(number=1, PatientName="=山田^太郎"),
        instance(number=2, PatientName="=山田^太郎"),
        instance(study=2, number=3, series=2, Modality="CT", PatientName="=山田^太郎"),
    )

    rows = report(
        founded,
        "studies",
        *("area", "study_instance_uid", "patient_id", "patient_name", "study_date", "accession_number"),
        *("modalities_in_study", "number_of_series", "number_of_instances", "is_pinned"),
        order=[("study_date", False)],
    )
    sizes = report(founded, "studies", "size_bytes", "first_stored_at", "last_stored_at")

    assert rows == [
        ("ARCHIVE", uid("study", 1, 1), "P000001", "山田^太郎", date(2026, 2, 2), "A000001", "OT", 1, 2, False),
        ("ARCHIVE", uid("study", 1, 2), "P000001", "山田^太郎", date(2026, 3, 3), "A000002", "CT", 1, 1, False),
    ]
    assert all(size > 8192 and first <= last for size, first, last in sizes)


def test_storage_has_quota_and_headroom(founded: FoundedArchive) -> None:
    founded.store(instance(number=1), instance(study=2, number=2))
    founded.set_area(max_studies=3, max_bytes=100_000)
    transaction.write(founded.database, lambda connection: changes.add_area(connection, "EMPTY", "areas/EMPTY", {}))
    waiting = {"path": "a", "size_bytes": 70, "reason": "removed", "queued_at": MARCH, "area_pk": founded.area.pk}
    transaction.write(founded.database, lambda connection: connection.execute(insert(deletions), waiting))

    (held, empty) = [dict(zip(REPORTS["storage"].columns, row, strict=True)) for row in report(founded, "storage")]

    assert {name: held[name] for name in ("area", "number_of_studies", "number_of_series", "number_of_instances")} == {
        "area": "ARCHIVE",
        "number_of_studies": 2,
        "number_of_series": 2,
        "number_of_instances": 2,
    }
    assert held["headroom_studies"] == 1
    assert held["headroom_bytes"] == 100_000 - held["size_bytes"]
    assert held["used_percent"] == pytest.approx(held["size_bytes"] / 1000, abs=0.051)
    assert (held["files_to_unlink"], held["bytes_to_unlink"], held["on_full"]) == (1, 70, "reject")
    assert (empty["area"], empty["size_bytes"], empty["files_to_unlink"]) == ("EMPTY", 0, 0)
    assert (empty["headroom_studies"], empty["headroom_bytes"], empty["used_percent"]) == (None, None, None)


def test_received_is_by_day_area_modality_and_sender(founded: FoundedArchive) -> None:
    first, second = date(2026, 2, 28), date(2026, 3, 1)
    received = {
        Source(first, "ARCHIVE", "CT1", "CT"): (10, 1000),
        Source(second, "ARCHIVE", "CT1", "CT"): (20, 2000),
        Source(second, "ARCHIVE", "MR1", ""): (5, 500),
    }
    happened(founded.database, received=received)

    assert report(founded, "received") == [
        (second, "ARCHIVE", "CT", "CT1", 20, 2000),
        (second, "ARCHIVE", None, "MR1", 5, 500),
        (first, "ARCHIVE", "CT", "CT1", 10, 1000),
    ]
    assert report(founded, "received", "number_of_instances", since=MARCH) == [(20,), (5,)]
    assert report(founded, "received", "number_of_instances", until=datetime(2026, 3, 1, tzinfo=UTC)) == [(10,)]


def test_peers_have_their_last_contact_and_strangers_too(founded: FoundedArchive) -> None:
    def add(connection: Any) -> None:
        changes.add_peer(connection, "scanner", "CT1", "ct1.example", 104)
        changes.add_peer(connection, "silent", "US1", "10.7.7.7", 104)

    transaction.write(founded.database, add)
    hour = timedelta(hours=1)
    happened(
        founded.database,
        (association(MARCH, received_bytes=100, sent_bytes=10),),
        (association(MARCH + hour, received_bytes=50),),
        (association(MARCH + 2 * hour, outcome="rejected", number_of_requests=3, ended_at=MARCH + 2 * hour),),
        (association(MARCH, calling_ae_title="STRANGER", outcome="rejected"),),
        (association(MARCH, calling_ae_title="", peer_host="10.9.9.9", outcome="closed"),),
    )

    assert report(founded, "peers") == [
        ("scanner", "CT1", "ct1.example", 104, MARCH, MARCH + 2 * hour, MARCH + hour, 2, 3, 150, 10),
        (None, "STRANGER", "10.1.2.3", None, MARCH, MARCH, None, 0, 1, 0, 0),
        ("silent", "US1", "10.7.7.7", 104, None, None, None, 0, 0, 0, 0),
    ]


def test_associations_have_their_outcome_and_duration(founded: FoundedArchive) -> None:
    happened(
        founded.database,
        (association(MARCH, area="ARCHIVE", contexts_accepted=3, contexts_refused=1, number_of_operations=7),),
        (association(MARCH + timedelta(hours=1), outcome="open", ended_at=None),),
    )

    shown = ("began_at", "duration_seconds", "calling_ae_title", "area", "outcome", "number_of_operations")
    assert report(founded, "associations", *shown) == [
        (MARCH + timedelta(hours=1), None, "CT1", None, "open", 0),
        (MARCH, 10.0, "CT1", "ARCHIVE", "released", 7),
    ]
    shown = ("called_ae_title", "peer_host", "contexts_accepted", "contexts_refused", "node", "worker")
    assert report(founded, "associations", *shown, area="ARCHIVE") == [("ARCHIVE", "10.1.2.3", 3, 1, "node", 0)]


STATUSES = {
    "0000": ("success", False),
    "FE00": ("cancelled", False),
    "B000": ("warning", False),
    "0107": ("warning", False),
    "A801": ("refused", True),
    "0124": ("refused", True),
    "C000": ("refused", True),
    None: ("unanswered", False),
}


def test_the_access_log_tells_associations_contexts_and_operations(founded: FoundedArchive) -> None:
    minute = timedelta(minutes=1)
    asked = [find(MARCH + (n + 1) * minute, status=status) for n, status in enumerate(STATUSES)]
    move = operation("C-MOVE", MARCH + 20 * minute, 2.0, level="STUDY", move_destination="WS1", size_bytes=30)
    refused = {"refused_operations": "store", "refused_because": "store: read only"}
    whole = association(MARCH, area="ARCHIVE", received_bytes=5, sent_bytes=6, **refused)
    happened(founded.database, (whole, *asked, move))

    rows = report(
        founded, "access", "event", "detail", "outcome", "status", "is_refused", order=[("at", False), ("event", False)]
    )
    details = report(
        founded, "access", "size_bytes", "duration_seconds", "number", "reason", where=[("event", "C-MOVE")]
    )

    assert rows == [
        ("association", None, "released", None, False),
        ("contexts", "store", "refused", None, True),
        *(("C-FIND", "STUDY", outcome, status, is_refused) for status, (outcome, is_refused) in STATUSES.items()),
        ("C-MOVE", "STUDY to WS1", "success", "0000", False),
    ]
    assert details == [(30, 2.0, 1, None)]


def test_refusals_are_of_associations_contexts_and_operations(founded: FoundedArchive) -> None:
    minute = timedelta(minutes=1)
    happened(
        founded.database,
        (association(MARCH, outcome="rejected", rejection="1/1/3", reason="no rule", number_of_requests=9),),
        (
            association(MARCH + minute, refused_operations="find", refused_because="find: write only"),
            operation("C-MOVE", MARCH + 2 * minute, status="A801", error_comment="WS9 is not a peer of ours"),
            find(MARCH + 3 * minute),
        ),
        (association(MARCH + 4 * minute, calling_ae_title="", outcome="closed", reason="Too many connections"),),
    )

    shown = ("at", "calling_ae_title", "event", "detail", "outcome", "status", "number", "reason")
    assert report(founded, "refusals", *shown) == [
        (MARCH + 4 * minute, "", "association", None, "closed", None, 1, "Too many connections"),
        (MARCH + 2 * minute, "CT1", "C-MOVE", None, "refused", "A801", 1, "WS9 is not a peer of ours"),
        (MARCH + minute, "CT1", "contexts", "find", "refused", None, 1, "find: write only"),
        (MARCH, "CT1", "association", None, "rejected", "1/1/3", 9, "no rule"),
    ]


def test_evictions_say_what_went_and_why(founded: FoundedArchive) -> None:
    row = {
        "area_pk": founded.area.pk,
        "study_instance_uid": "1.2.3",
        "patient_id": "P1",
        "is_whole_study": True,
        "number_of_instances": 4,
        "size_bytes": 400,
        "reason": "max_studies",
        "caused_by_sop_instance_uid": "1.2.4",
        "evicted_at": MARCH,
    }
    transaction.write(founded.database, lambda connection: connection.execute(insert(evictions), row))

    assert report(founded, "evictions") == [(MARCH, "ARCHIVE", "1.2.3", "P1", True, 4, 400, "max_studies", "1.2.4")]


def test_disagreements_say_what_was_held_and_what_came(founded: FoundedArchive) -> None:
    founded.store(instance(number=1), instance(number=2, PatientSex="M"), instance(number=3, PatientSex="M"))

    shown = ("area", "level", "study_instance_uid", "series_instance_uid", "keyword", "held", "received")
    assert report(founded, "disagreements", *shown, "sop_instance_uid", "number_of_instances") == [
        (
            *("ARCHIVE", "PATIENT", uid("study", 1, 1), None, "PatientSex", "O", "M"),
            *(uid("instance", 1, 1, 1, 2), 2),
        )
    ]


def test_duplicates_are_counted_by_day_and_sender(founded: FoundedArchive) -> None:
    whole = association(MARCH, area="ARCHIVE")
    happened(
        founded.database,
        (
            whole,
            store(MARCH, 10, number_replaced=2, number_kept=1),
            store(MARCH, 3, status="0111", number_replaced=0, number_kept=0),
            find(MARCH),
        ),
        (association(MARCH, area="ARCHIVE", calling_ae_title="MR1"), store(MARCH, 10)),
        (association(MARCH, area="ARCHIVE"), store(MARCH + timedelta(days=1), 5, number_replaced=5)),
    )

    assert report(founded, "duplicates") == [
        (date(2026, 3, 2), "ARCHIVE", "CT1", 5, 5, 0, 0),
        (date(2026, 3, 1), "ARCHIVE", "CT1", 13, 2, 1, 3),
    ]


def test_slow_operations_took_a_second_at_least(founded: FoundedArchive) -> None:
    happened(
        founded.database,
        (
            association(MARCH, area="ARCHIVE"),
            find(MARCH, 0.999, number_of_matches=5),
            find(MARCH, 1.5, number_of_matches=7),
            operation("C-GET", MARCH, 4.0, level="STUDY", sub_operations_completed=3, size_bytes=1000),
        ),
    )

    shown = ("operation", "level", "number_of_matches", "sub_operations_completed", "longest_seconds")
    assert report(founded, "slow-operations", *shown, "bytes_per_second") == [
        ("C-GET", "STUDY", None, 3, 4.0, 250),
        ("C-FIND", "STUDY", 7, None, 1.5, None),
    ]


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_can_be_asked_in_all_ways_while_it_is_empty(founded: FoundedArchive, name: str) -> None:
    asked = REPORTS[name]
    wanted: dict[str, Any] = {"order": [(each, True) for each in asked.columns], "limit": 3}
    wanted["where"] = [(each, "") for each in asked.columns]
    if asked.moment:
        wanted |= {"since": MARCH, "until": MARCH}
    if "area" in asked.columns:
        wanted["area"] = "NOWHERE"

    assert report(founded, name, **wanted) == []
    assert set(asked.brief) <= set(asked.columns)
    if asked.chart:
        with transaction.read(founded.database) as connection:
            totals = report_rows.totals(connection, asked, Wanted(), asked.chart)
        assert totals == ([("ARCHIVE", 0)] if name == "storage" else [])


@pytest.mark.parametrize("name", REPORTS)
def test_the_columns_of_a_view_are_those_of_its_report(founded: FoundedArchive, name: str) -> None:
    with transaction.read(founded.database) as connection:
        found = connection.execute(text(f"SELECT * FROM {REPORTS[name].view}"))
        assert list(found.keys()) == list(REPORTS[name].columns)


def test_values_are_read_as_the_column_has_them(founded: FoundedArchive) -> None:
    happened(founded.database, (association(MARCH, area="ARCHIVE", worker=3, reason="'; DROP TABLE studies; --"),))

    for column, value in (
        ("worker", "3"),
        ("began_at", "2026-03-01T14:05:09.250"),
        ("began_at", "2026-03-01T15:05:09.250+01:00"),
        ("duration_seconds", "10"),
        ("reason", "'; DROP TABLE studies; --"),
        ("rejection", ""),
    ):
        assert len(report(founded, "associations", where=[(column, value)])) == 1, column
    assert report(founded, "associations", where=[("worker", "4")]) == []
    assert report(founded, "access", where=[("is_refused", "yes")]) == []
    assert len(report(founded, "access", where=[("is_refused", "no")])) == 1


@pytest.mark.parametrize(
    "name, wanted, said",
    [
        ("studies", {"where": [("no_such; --", "1")]}, "has no column no_such; --; it has area, "),
        ("studies", {"order": [("pk", True)]}, "has no column pk"),
        ("studies", {"where": [("number_of_series", "many")]}, "expected a whole number"),
        ("studies", {"where": [("study_date", "yesterday")]}, "expected a date"),
        ("studies", {"where": [("is_pinned", "perhaps")]}, "expected yes or no"),
        ("slow-operations", {"where": [("longest_seconds", "long")]}, "expected a number"),
        ("access", {"where": [("at", "noon")]}, "expected a moment"),
        ("storage", {"since": MARCH}, "has no --since"),
        ("peers", {"area": "ARCHIVE"}, "has no column area"),
    ],
)
def test_what_a_report_has_not_is_said(founded: FoundedArchive, name: str, wanted: dict[str, Any], said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        report(founded, name, **wanted)
