"""What SQLite cannot know is told by the shape of a statement: which key leads, and where parts of names are found.

PostgreSQL has statistics of its own and plans these questions as it likes.
"""

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from sqlalchemy import Connection, text

from archive.database import transaction, trigrams
from archive.database.engine import Database
from archive.dicom.attributes import Level
from archive.index import holdings
from archive.index import select as questions
from archive.query.model import Model
from tests.sql.fix_holdings import Shelf, find, new_shelf, record
from tests.sql.fix_plans import LARGE_TABLES, fill, plans
from tests.sql.test_plans import BY_MODALITY, BY_PATIENT_ID, BY_PATIENT_NAME, N, asked, assert_indexed


@pytest.fixture(scope="module")
def filled(new_database: Callable[[str], Database]) -> Shelf:
    """An area with thousands of rows."""
    shelf = new_shelf(new_database("sqlite"), "FILLED")
    transaction.write(shelf.database, lambda connection: fill(connection, shelf.area_pk))
    return shelf


@pytest.fixture
def connection(filled: Shelf) -> Iterator[Connection]:
    """A connection whose changes are taken back."""
    with filled.database.engine.connect().execution_options(is_write=True) as opened:
        yield opened
        opened.rollback()


def assert_trigrams_agree(connection: Connection) -> None:
    """Raises where a table of trigrams differs from its column."""
    for name in trigrams.TABLES.values():
        connection.execute(text(f"INSERT INTO {name} ({name}, rank) VALUES ('integrity-check', 1)"))


def test_query_for_two_letters_reads_the_index_of_names_and_no_table(filled, connection):
    query = asked("STUDY", PatientName="*e0*")

    (plan,) = plans(connection, lambda opened: questions.matching(opened, query, filled.area_pk))

    assert not plan.read_whole & LARGE_TABLES
    assert plan.looks_up(BY_PATIENT_NAME, "area_pk")
    assert plan.looks_up("ix_patients_area_pk_patient_name_ideographic_folded", "patient_name_ideographic_folded")
    assert plan.looks_up("ix_patients_area_pk_patient_name_phonetic_folded", "patient_name_phonetic_folded")


@pytest.mark.parametrize(
    "values, looked_up",
    [
        pytest.param(
            {"StudyDate": "20251230"},
            {"ix_studies_area_pk_study_date_pk": "study_date", BY_MODALITY: "study_pk"},
            id="of a day",
        ),
        pytest.param(
            {"StudyDate": "20251201-20251231"},
            {"ix_studies_area_pk_study_date_pk": "study_date", BY_MODALITY: "study_pk"},
            id="of a month",
        ),
        pytest.param({"PatientID": f"P{N}"}, {BY_PATIENT_ID: "patient_id", BY_MODALITY: "study_pk"}, id="of a patient"),
        pytest.param(
            {"PatientName": "Name0123*"},
            {BY_PATIENT_NAME: "patient_name_alphabetic_folded", BY_MODALITY: "study_pk"},
            id="of a name",
        ),
        pytest.param({"StudyDate": "20010101-20261231"}, {BY_MODALITY: "modality"}, id="of many years"),
    ],
)
def test_modalities_are_looked_up_study_by_study_where_another_key_leaves_few(filled, connection, values, looked_up):
    query = asked("STUDY", ModalitiesInStudy="CT", **values)

    found = plans(connection, lambda opened: questions.matching(opened, query, filled.area_pk))

    assert_indexed(found, **looked_up)


def test_the_newest_studies_come_by_key(filled, connection):
    found = plans(connection, lambda opened: holdings.list_studies(opened, asked("STUDY"), filled.area_pk, 20))

    assert not any(plan.sorts for plan in found)


def test_a_description_that_begins_so_is_found_by_trigrams(filled, connection):
    query = asked("STUDY", StudyDescription="description 0123*")

    (plan,) = plans(connection, lambda opened: questions.matching(opened, query, filled.area_pk))

    assert "study_description_trigrams" in plan.indexes
    assert not plan.read_whole & LARGE_TABLES


def names_found(connection: Connection, shelf: Shelf, pattern: str) -> int:
    query = asked("PATIENT", Model.PATIENT_ROOT, PatientName=pattern)
    return len(questions.matching(connection, query, shelf.area_pk))


def test_trigrams_follow_their_rows(filled: Shelf, connection: Connection) -> None:
    shelf = new_shelf(filled.database, "FOLLOWED")

    shelf.store(record(patient=1, PatientName="Quixote^Alonso"), record(patient=2, PatientName="Panza^Sancho"))
    with transaction.read(shelf.database) as reading:
        assert names_found(reading, shelf, "*uixot*") == 1
        assert names_found(reading, filled, "*uixot*") == 0

    def refold(opened: Connection) -> None:
        renamed = (
            "UPDATE patients SET patient_name_alphabetic_folded = :name WHERE patient_name_alphabetic_folded = :was"
        )
        opened.execute(text(renamed), {"name": "don quixano^alonso", "was": "quixote^alonso"})
        opened.execute(text(renamed), {"name": None, "was": "panza^sancho"})

    transaction.write(shelf.database, refold)
    with transaction.read(shelf.database) as reading:
        assert names_found(reading, shelf, "*uixot*") == names_found(reading, shelf, "*anza*") == 0
        assert names_found(reading, shelf, "*uixan*") == 1
    for patient in (1, 2):
        shelf.remove_study(record(patient=patient).header.study_instance_uid)

    assert_trigrams_agree(connection)
    with transaction.read(shelf.database) as reading:
        assert names_found(reading, shelf, "*uixan*") == 0


def test_trigrams_that_differ_from_their_column_are_told(connection: Connection) -> None:
    connection.execute(text("DROP TRIGGER patient_name_trigrams_update"))
    connection.execute(text("UPDATE patients SET patient_name_alphabetic_folded = 'else'"))

    with pytest.raises(Exception, match="malformed"):
        assert_trigrams_agree(connection)


@pytest.mark.parametrize(
    "pattern, found",
    [
        ('*O"Br*', 1),
        ('*o"b?ien*', 1),
        ("*AND*", 1),
        ("*ßen*", 1),
        ("*asse*", 2),
        ("*-*", 1),
        ("*xyz*", 0),
    ],
)
def test_any_character_may_be_in_a_part(filled: Shelf, pattern: str, found: int) -> None:
    shelf = new_shelf(filled.database, f"CHARACTERS-{uuid4().hex}")
    shelf.store(
        record(patient=1, PatientName='O"Brien^Ada'),
        record(patient=2, PatientName="Straßen^Andrea"),
        record(patient=3, PatientName="Wasser-Fall^Ida"),
    )
    query = find("PATIENT", model=Model.PATIENT_ROOT, PatientName=pattern)

    assert len(shelf.matching(query)) == found
    assert query.level is Level.PATIENT
