"""An instance that says otherwise than the first is stored, and what it says is a row."""

from datetime import timedelta

import pytest

from archive.index.tables import disagreements, patients, series, studies
from tests.sql.fix_holdings import MOMENT, Shelf, record, series_uid, study_uid


def noted(shelf: Shelf) -> list[tuple[str, str, str, str]]:
    return [(row.level, row.keyword, row.held, row.received) for row in shelf.rows(disagreements)]


def test_instances_that_agree_leave_no_note(shelf):
    shelf.store(record(number=1), record(number=2), record(series=2))
    shelf.store(record(study=2))

    assert noted(shelf) == []


@pytest.mark.parametrize(
    "keyword, held, received, level",
    [
        pytest.param("PatientName", "Doe^John", "Doe^Jon", "PATIENT", id="PN"),
        pytest.param("PatientName", "Doe^J=漢=か", "Doe^J=字=か", "PATIENT", id="PN with groups"),
        pytest.param("PatientBirthDate", "19700101", "19700102", "PATIENT", id="DA"),
        pytest.param("PatientBirthDate", "19700101", "unknown", "PATIENT", id="DA that is none"),
        pytest.param("StudyDescription", "Head", "", "STUDY", id="missing later"),
        pytest.param("StudyDescription", "", "Head", "STUDY", id="missing at first"),
        pytest.param("PatientWeight", "70", "70.0", "STUDY", id="DS by its text"),
        pytest.param("SeriesNumber", "1", "01", "SERIES", id="IS by its text"),
        pytest.param("OperatorsName", "A^B\\C^D", "A^B", "SERIES", id="several names"),
    ],
)
def test_what_differs_is_noted_and_the_first_is_kept(shelf, keyword, held, received, level):
    shelf.store(record(number=1, **{keyword: held}))

    shelf.store(record(number=2, **{keyword: received}))

    assert noted(shelf) == [(level, keyword, held, received)]
    shelf.assert_sound()


def test_rows_keep_what_the_first_instance_said(shelf):
    shelf.store(record(number=1, PatientSex="M", StudyID="1", StationName="A"))

    shelf.store(record(number=2, PatientSex="F", StudyID="2", StationName="B"))

    kept = shelf.one(patients).patient_sex, shelf.one(studies).study_id, shelf.one(series).station_name
    assert kept == ("M", "1", "A")
    assert len(noted(shelf)) == 3


def test_note_names_its_study_series_and_first_instance(shelf):
    shelf.store(record(number=1, StudyID="1", StationName="A"))

    shelf.store(second := record(number=2, StudyID="2", StationName="B"))

    of_study, of_series = shelf.rows(disagreements)
    assert (of_study.study_instance_uid, of_study.series_instance_uid) == (study_uid(), "")
    assert (of_series.study_instance_uid, of_series.series_instance_uid) == (study_uid(), series_uid())
    assert of_study.sop_instance_uid == of_series.sop_instance_uid == second.header.sop_instance_uid


def test_the_same_disagreement_is_counted(shelf):
    shelf.store(record(number=1, StudyID="1"))

    for number in (2, 3, 4):
        shelf.store(record(number=number, StudyID="2", received_at=MOMENT + timedelta(seconds=number)))

    note = shelf.one(disagreements)
    assert note.number_of_instances == 3
    assert (note.first_at, note.last_at) == (MOMENT + timedelta(seconds=2), MOMENT + timedelta(seconds=4))


def test_another_study_of_a_patient_may_disagree_about_the_patient(shelf):
    shelf.store(record(study=1, PatientName="Doe^John"))

    shelf.store(record(study=2, PatientName="Doe^Jane"))

    assert noted(shelf) == [("PATIENT", "PatientName", "Doe^John", "Doe^Jane")]
    assert shelf.one(disagreements).study_instance_uid == study_uid(study=2)


def test_long_values_are_noted_by_their_beginning(shelf):
    shelf.store(record(number=1, StudyDescription="a" * 900))

    shelf.store(record(number=2, StudyDescription="b" * 900))

    assert noted(shelf) == [("STUDY", "StudyDescription", "a" * 256, "b" * 256)]


def test_equal_long_text_is_no_disagreement(shelf):
    comment = "comment " * 1000
    shelf.store(record(number=1, PatientComments=comment, StudyID="1"))

    shelf.store(record(number=2, PatientComments=comment, StudyID="2"))

    assert noted(shelf) == [("STUDY", "StudyID", "1", "2")]


def test_another_character_set_alone_is_no_disagreement(shelf):
    shelf.store(record(number=1, PatientName="Müller"))

    shelf.store(record(number=2, SpecificCharacterSet="ISO_IR 100", PatientName="Müller".encode("latin-1")))

    assert noted(shelf) == []


@pytest.mark.parametrize(
    "hostile", [b"\0\0", b"\xff\xfe", "漢" * 20_000, "\U0010ffff"], ids=["NUL", "bytes", "long", "last"]
)
def test_any_value_can_be_noted(shelf, hostile):
    shelf.store(record(number=1, StudyDescription="Head"))

    shelf.store(record(number=2, StudyDescription=hostile))

    assert len(noted(shelf)) == 1
