"""Every question on a large table uses the index that was made for it (see index/indexes.py), on both databases.

Some thousand rows and statistics are enough for PostgreSQL to prefer an index by its own choice; no setting forces it.
SQLite plans by the figures that the migrations gave it.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from sqlalchemy import Connection, text

from archive.database import transaction
from archive.database.engine import Database
from archive.dicom.attributes import Level
from archive.index import checks, evictable, holdings, locate, remove, upsert
from archive.index import select as questions
from archive.index.record import Duplicates
from archive.query.model import Model, Options, Query
from archive.query.response import Source
from tests.sql.fix_holdings import MOMENT, Shelf, find, new_shelf, record
from tests.sql.fix_plans import FIRST, LARGE_TABLES, Plan, fill, plans

BY_PATIENT_ID = "ix_patients_area_pk_patient_id"
BY_PATIENT_NAME = "ix_patients_area_pk_patient_name_alphabetic_folded"
STUDIES_OF_PATIENT = "ix_studies_patient_pk"
BY_STUDY_UID = "uq_studies_area_pk_study_instance_uid"
SERIES_OF_STUDY = "uq_series_study_pk_series_instance_uid"
BY_SERIES_UID = "ix_series_area_pk_series_instance_uid"
BY_MODALITY = "ix_series_area_pk_modality_study_pk"
INSTANCES_OF_SERIES = "ix_instances_series_pk"
EVICTABLE = "ix_study_usage_evictable"
BY_SOP_INSTANCE_UID = "uq_instances_area_pk_sop_instance_uid"


@pytest.fixture(scope="module")
def filled_shelves(new_database: Callable[[str], Database]) -> Callable[[str], Shelf]:
    """A database of each dialect with thousands of rows, filled when it is first asked for."""

    @cache
    def filled(dialect: str) -> Shelf:
        shelf = new_shelf(new_database(dialect), "FILLED")
        transaction.write(shelf.database, lambda connection: fill(connection, shelf.area_pk))
        if dialect == "postgresql":
            with shelf.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("VACUUM ANALYZE"))  # new trigrams wait in a list, which it sorts in
        return shelf

    return filled


@pytest.fixture
def filled(dialect: str, filled_shelves: Callable[[str], Shelf]) -> Shelf:
    """An area with thousands of rows."""
    return filled_shelves(dialect)


@pytest.fixture
def connection(filled: Shelf) -> Iterator[Connection]:
    """A connection whose changes are taken back."""
    with filled.database.engine.connect().execution_options(is_write=True) as opened:
        yield opened
        opened.rollback()


def assert_indexed(found: list[Plan], **looked_up: str) -> None:
    """No large table is read whole, and each index is used to look up its column."""
    for plan in found:
        assert not plan.read_whole & LARGE_TABLES, plan
    for index, column in looked_up.items():
        assert any(plan.looks_up(index, column) for plan in found), (index, found)


def asked(level: str, model: Model = Model.STUDY_ROOT, **values: Any) -> Query:
    return find(level, model=model, options=Options(), **values)


N = FIRST + 1234
ONE_INSTANCE = {
    "StudyInstanceUID": f"1.2.{N}",
    "SeriesInstanceUID": f"1.2.{N}.1",
    "SOPInstanceUID": f"1.3.{4 * N + 2}",
}


@pytest.mark.parametrize(
    "query, looked_up",
    [
        pytest.param(
            asked("STUDY", PatientID=f"P{N}"),
            {BY_PATIENT_ID: "patient_id", STUDIES_OF_PATIENT: "patient_pk"},
            id="studies by PatientID",
        ),
        pytest.param(
            asked("PATIENT", Model.PATIENT_ROOT, PatientID=f"P{N}"), {BY_PATIENT_ID: "patient_id"}, id="PatientID"
        ),
        pytest.param(
            asked("PATIENT", Model.PATIENT_ROOT, PatientID=f"P{N}*"),
            {BY_PATIENT_ID: "patient_id"},
            id="PatientID prefix",
        ),
        pytest.param(
            asked("PATIENT", Model.PATIENT_ROOT, PatientName="Name01234^Given"),
            {BY_PATIENT_NAME: "patient_name_alphabetic_folded"},
            id="PatientName",
        ),
        pytest.param(
            asked("PATIENT", Model.PATIENT_ROOT, PatientName="Name0123*"),
            {BY_PATIENT_NAME: "patient_name_alphabetic_folded"},
            id="PatientName prefix",
        ),
        pytest.param(
            asked("STUDY", PatientName="Name01234*"),
            {BY_PATIENT_NAME: "patient_name_alphabetic_folded", STUDIES_OF_PATIENT: "patient_pk"},
            id="studies by PatientName prefix",
        ),
        pytest.param(
            asked("STUDY", PatientName="Name01234^G*"),
            {BY_PATIENT_NAME: "patient_name_alphabetic_folded"},
            id="PatientName by components",
        ),
        pytest.param(
            asked("PATIENT", Model.PATIENT_ROOT, PatientName="=山田*"),
            {"ix_patients_area_pk_patient_name_ideographic_folded": "patient_name_ideographic_folded"},
            id="PatientName ideographic",
        ),
        pytest.param(
            asked("STUDY", AccessionNumber=f"A{N}"),
            {"ix_studies_area_pk_accession_number": "accession_number"},
            id="AccessionNumber",
        ),
        pytest.param(asked("STUDY", StudyID=f"S{N}"), {"ix_studies_area_pk_study_id": "study_id"}, id="StudyID"),
        pytest.param(
            asked("STUDY", ReferringPhysicianName=f"Referrer{N}"),
            {"ix_studies_area_pk_referring_physician_name_alphabetic_folded": "referring_physician_name_alphabetic"},
            id="ReferringPhysicianName",
        ),
        pytest.param(
            asked("STUDY", StudyDate="20251230-20260101"),
            {"ix_studies_area_pk_study_date_pk": "study_date"},
            id="StudyDate range",
        ),
        pytest.param(
            asked("STUDY", StudyDate="20251230"), {"ix_studies_area_pk_study_date_pk": "study_date"}, id="StudyDate"
        ),
        pytest.param(
            find("STUDY", options=Options(combined_date_time=True), StudyDate="20251230-20260101", StudyTime="10-11"),
            {"ix_studies_area_pk_study_date_pk": "study_date"},
            id="StudyDate and StudyTime",
        ),
        pytest.param(
            asked("STUDY", StudyInstanceUID=f"1.2.{N}"), {BY_STUDY_UID: "study_instance_uid"}, id="StudyInstanceUID"
        ),
        pytest.param(
            asked("STUDY", StudyInstanceUID=f"1.2.{N}\\1.2.{N + 1}"),
            {BY_STUDY_UID: "study_instance_uid"},
            id="list of StudyInstanceUID",
        ),
        pytest.param(asked("STUDY", ModalitiesInStudy="PT"), {BY_MODALITY: "modality"}, id="ModalitiesInStudy"),
        pytest.param(
            asked("STUDY", ModalitiesInStudy="PT\\US"), {BY_MODALITY: "modality"}, id="several ModalitiesInStudy"
        ),
        pytest.param(
            asked("SERIES", StudyInstanceUID=f"1.2.{N}"),
            {BY_STUDY_UID: "study_instance_uid", SERIES_OF_STUDY: "study_pk"},
            id="series of a study",
        ),
        pytest.param(
            asked("SERIES", StudyInstanceUID=f"1.2.{N}", SeriesInstanceUID=f"1.2.{N}.1"),
            {SERIES_OF_STUDY: "series_instance_uid"},
            id="SeriesInstanceUID in a study",
        ),
        pytest.param(
            asked("IMAGE", StudyInstanceUID=f"1.2.{N}", SeriesInstanceUID=f"1.2.{N}.1"),
            {BY_STUDY_UID: "study_instance_uid", INSTANCES_OF_SERIES: "series_pk"},
            id="instances of a series",
        ),
        pytest.param(
            asked(
                "IMAGE", StudyInstanceUID=f"1.2.{N}", SeriesInstanceUID=f"1.2.{N}.1", SOPInstanceUID=f"1.3.{4 * N + 2}"
            ),
            {},
            id="SOPInstanceUID in its series",
        ),
        pytest.param(
            find("SERIES", SeriesInstanceUID=f"1.2.{N}.1"),
            {BY_SERIES_UID: "series_instance_uid"},
            id="relational SeriesInstanceUID",
        ),
        pytest.param(
            find("STUDY", SeriesInstanceUID=f"1.2.{N}.1"),
            {BY_SERIES_UID: "series_instance_uid"},
            id="study of a SeriesInstanceUID",
        ),
        pytest.param(
            find("IMAGE", SOPInstanceUID=f"1.3.{4 * N}"),
            {BY_SOP_INSTANCE_UID: "sop_instance_uid"},
            id="relational SOPInstanceUID",
        ),
        pytest.param(
            find("STUDY", SOPInstanceUID=f"1.3.{4 * N}"),
            {BY_SOP_INSTANCE_UID: "sop_instance_uid"},
            id="study of a SOPInstanceUID",
        ),
        pytest.param(find("SERIES", Modality="PT"), {BY_MODALITY: "modality"}, id="relational Modality"),
        pytest.param(
            find("SERIES", RequestAttributesSequence=[{"RequestedProcedureID": f"R{2 * N}"}]),
            {"ix_series_requests_requested_procedure_id": "requested_procedure_id"},
            id="RequestedProcedureID",
        ),
    ],
)
def test_query_looks_up_its_key(filled, connection, query, looked_up):
    found = plans(connection, lambda opened: questions.matching(opened, query, filled.area_pk))
    find_few = questions.few(query, filled.area_pk, [Source(Level.PATIENT, "patient_id")], 500)

    assert_indexed(found, **looked_up)
    if find_few is not None:
        assert_indexed(plans(connection, find_few), **looked_up)


@pytest.mark.parametrize(
    "query, index, table",
    [
        pytest.param(
            asked("PATIENT", Model.PATIENT_ROOT, PatientName="*me0123*"),
            "ix_patients_patient_name_trigram",
            "patient_name_trigrams",
            id="PatientName",
        ),
        pytest.param(
            asked("STUDY", PatientName="?ame0123*", ModalitiesInStudy="CT"),
            "ix_patients_patient_name_trigram",
            "patient_name_trigrams",
            id="PatientName and ModalitiesInStudy",
        ),
        pytest.param(
            asked("STUDY", StudyDescription="*tion 0123*"),
            "ix_studies_study_description_trigram",
            "study_description_trigrams",
            id="StudyDescription",
        ),
    ],
)
def test_query_for_a_part_uses_trigrams(filled, connection, dialect, query, index, table):
    (plan,) = plans(connection, lambda opened: questions.matching(opened, query, filled.area_pk))

    assert (index if dialect == "postgresql" else table) in plan.indexes
    assert not plan.read_whole & LARGE_TABLES


@pytest.mark.parametrize(
    "query, looked_up",
    [
        pytest.param(
            asked("STUDY", StudyInstanceUID=f"1.2.{N}"),
            {BY_STUDY_UID: "study_instance_uid", SERIES_OF_STUDY: "study_pk", INSTANCES_OF_SERIES: "series_pk"},
            id="study",
        ),
        pytest.param(
            asked("SERIES", StudyInstanceUID=f"1.2.{N}", SeriesInstanceUID=f"1.2.{N}.0"),
            {SERIES_OF_STUDY: "series_instance_uid", INSTANCES_OF_SERIES: "series_pk"},
            id="series",
        ),
        pytest.param(
            asked("PATIENT", Model.PATIENT_ROOT, PatientID=f"P{N}"),
            {BY_PATIENT_ID: "patient_id", STUDIES_OF_PATIENT: "patient_pk", INSTANCES_OF_SERIES: "series_pk"},
            id="patient",
        ),
        pytest.param(
            asked(
                "IMAGE", StudyInstanceUID=f"1.2.{N}", SeriesInstanceUID=f"1.2.{N}.1", SOPInstanceUID=f"1.3.{4 * N + 2}"
            ),
            {},
            id="instance",
        ),
    ],
)
def test_retrieve_looks_up_its_instances(filled, connection, query, looked_up):
    found = plans(connection, lambda opened: locate.locate(opened, query, filled.area_pk))

    assert_indexed(found, **looked_up)


@pytest.mark.parametrize(
    "level, column",
    [
        pytest.param(Level.PATIENT, "number_of_instances", id="patients with their counts"),
        pytest.param(Level.STUDY, "patient_id", id="studies"),
        pytest.param(Level.SERIES, "modality", id="series"),
        pytest.param(Level.IMAGE, "instance_number", id="instances"),
    ],
)
def test_answers_are_looked_up_by_primary_key(filled, connection, level, column):
    own = Level.PATIENT if level is Level.STUDY else level
    pks = [FIRST + 3, FIRST + 5]

    found = plans(connection, lambda opened: questions.answers(opened, level, [Source(own, column)], pks))

    assert_indexed(found)


def test_usual_store_looks_up_by_primary_key(filled, connection):
    def store(opened: Connection) -> None:
        first = upsert.add(opened, filled.area_pk, record(number=1), duplicates=Duplicates.REPLACE, shard=0)
        upsert.add(
            opened, filled.area_pk, record(number=2), duplicates=Duplicates.REPLACE, shard=0, known=first.parents
        )

    found = plans(connection, store)

    assert_indexed(found, **{BY_STUDY_UID: "study_instance_uid", SERIES_OF_STUDY: "series_instance_uid"})
    assert_indexed(found, pk_series="pk", pk_study_usage="study_pk")


def test_replacing_store_looks_up_the_duplicate(filled, connection):
    def replace(opened: Connection) -> None:
        moved = record(SOPInstanceUID=f"1.3.{4 * N}")
        upsert.add(opened, filled.area_pk, moved, duplicates=Duplicates.REPLACE, shard=0)

    found = plans(connection, replace)

    assert_indexed(found, **{BY_SOP_INSTANCE_UID: "sop_instance_uid"}, pk_instances="pk")


def test_removal_looks_up_what_it_removes(filled, connection):
    found = plans(connection, lambda opened: remove.remove_study(opened, N, 0, "removed", MOMENT))

    assert_indexed(found, **{INSTANCES_OF_SERIES: "series_pk", SERIES_OF_STUDY: "study_pk"})
    assert_indexed(found, **{STUDIES_OF_PATIENT: "patient_pk"})


def test_files_to_be_verified_come_by_primary_key(filled, connection):
    found = plans(connection, lambda opened: checks.files_after(opened, filled.area_pk, 4 * FIRST + 5000, 100))

    assert_indexed(found, pk_instances="pk")


def test_the_newest_studies_of_a_year_are_found_by_their_date(filled, connection):
    year = asked("STUDY", StudyDate="20250101-20251231")

    (plan,) = plans(connection, lambda opened: holdings.list_studies(opened, year, filled.area_pk, 20))

    assert plan.looks_up("ix_studies_area_pk_study_date_pk", "study_date")


def test_a_shown_study_looks_up_its_series(filled, connection):
    found = plans(connection, lambda opened: holdings.series_of(opened, N))

    assert_indexed(found, **{SERIES_OF_STUDY: "study_pk"})


def test_studies_that_may_go_come_in_the_order_of_their_index(filled, connection):
    def first_pages(opened: Connection) -> None:
        candidates = evictable.studies_in_order(opened, filled.area_pk)
        for _ in range(250):
            next(candidates)

    found = plans(connection, first_pages)

    assert len(found) == 3
    assert_indexed(found[:1], **{EVICTABLE: "area_pk"})
    assert_indexed(found[1:], **{EVICTABLE: "last_stored_at"})
    assert not any(plan.sorts for plan in found)


def test_studies_that_are_too_old_are_looked_up(filled, connection):
    found = plans(
        connection,
        lambda opened: next(
            evictable.studies_in_order(opened, filled.area_pk, stored_before=MOMENT + timedelta(seconds=3))
        ),
    )

    assert_indexed(found, **{EVICTABLE: "last_stored_at"})


def test_the_oldest_instances_of_a_study_are_looked_up_series_by_series(filled, connection):
    found = plans(connection, lambda opened: list(evictable.oldest_instances(opened, N)))

    assert_indexed(found, **{SERIES_OF_STUDY: "study_pk", INSTANCES_OF_SERIES: "series_pk"})
    assert_indexed(found[1:], **{INSTANCES_OF_SERIES: "pk"})
    assert not any(plan.sorts for plan in found)


def test_a_study_that_shrinks_looks_up_what_goes(filled, connection):
    found = plans(
        connection,
        lambda opened: remove.remove_instances(opened, filled.area_pk, N, [4 * N, 4 * N + 1], 0, "evicted", MOMENT),
    )

    assert_indexed(found, pk_instances="pk")


def test_a_pin_looks_up_its_study(filled, connection):
    found = plans(connection, lambda opened: evictable.pin(opened, N, is_pinned=True))

    assert_indexed(found, pk_study_usage="study_pk")


def test_what_went_from_an_area_last_is_looked_up(filled, connection):
    found = plans(
        connection, lambda opened: evictable.noted(opened, filled.area_pk, MOMENT + timedelta(seconds=3000), None, 10)
    )

    assert_indexed(found, ix_evictions_area_pk_evicted_at="evicted_at")


def test_evictions_that_are_forgotten_are_looked_up(filled, connection):
    found = plans(
        connection, lambda opened: evictable.forget(opened, filled.area_pk, MOMENT + timedelta(seconds=5), 200)
    )

    assert_indexed(found, ix_evictions_area_pk_evicted_at="evicted_at")
