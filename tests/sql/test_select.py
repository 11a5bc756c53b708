"""Which entities a query finds, and what is answered about each; the kinds of matching have test_predicates.py."""

from collections.abc import Sequence
from typing import Any

import pytest

from archive.database import transaction
from archive.dicom.attributes import Level
from archive.index import select as questions
from archive.index.tables import instances, patients, series, studies
from archive.query.model import Model, Options
from archive.query.response import Source
from tests.sql.fix_holdings import CT, MR, Shelf, find, new_shelf, record, series_uid, study_uid

TABLES = {"PATIENT": patients, "STUDY": studies, "SERIES": series, "IMAGE": instances}


@pytest.fixture
def ward(shelf: Shelf) -> Shelf:
    """Two patients: the first with two studies, CT with two series and MR; the second with one study of CT."""
    shelf.store(
        record(1, 1, 1, 1, SeriesDescription="Head"),
        record(1, 1, 1, 2, SeriesDescription="Head"),
        record(1, 1, 2, 1, SeriesDescription="Neck"),
        record(1, 2, 1, 1, Modality="MR", SOPClassUID=MR, SeriesDescription="Head"),
        record(2, 1, 1, 1, SeriesDescription="Knee", PatientSex="F"),
    )
    return shelf


def found(shelf: Shelf, level: str, *, model: Model = Model.PATIENT_ROOT, **values: Any) -> list[int]:
    """Which of the rows of this level match, counted from 0 in the order they came."""
    pks = [row.pk for row in shelf.rows(TABLES[level])]
    return [pks.index(pk) for pk in shelf.matching(find(level, model=model, **values))]


@pytest.mark.parametrize("level, number", [("PATIENT", 2), ("STUDY", 3), ("SERIES", 4), ("IMAGE", 5)])
def test_query_without_keys_finds_all_of_its_level(ward, level, number):
    assert found(ward, level) == list(range(number))


def test_other_areas_are_not_looked_into(ward):
    other = new_shelf(ward.database, f"OTHER-{ward.area_pk}")
    other.store(record(1, 1, 1, 1), record(7))

    assert found(other, "PATIENT") == [0, 1]
    assert found(other, "PATIENT", Modality="MR") == []
    assert found(ward, "PATIENT", PatientID="P7") == []
    assert found(ward, "STUDY", ModalitiesInStudy="CT") == [0, 2]
    assert len(other.matching(find("STUDY", ModalitiesInStudy="CT"))) == 2


def test_no_more_are_found_than_the_limit(ward):
    with transaction.read(ward.database) as connection:
        pks = questions.matching(connection, find("IMAGE"), ward.area_pk, 3)

    assert len(pks) == 3


@pytest.mark.parametrize(
    "level, values, wanted",
    [
        pytest.param("STUDY", {"PatientID": "P1"}, [0, 1], id="patient of studies"),
        pytest.param("SERIES", {"PatientSex": "F"}, [3], id="patient of series"),
        pytest.param("IMAGE", {"PatientID": "P1", "Modality": "CT"}, [0, 1, 2], id="patient and series of instances"),
        pytest.param("PATIENT", {"Modality": "MR"}, [0], id="series of patients"),
        pytest.param("PATIENT", {"SOPClassUID": CT}, [0, 1], id="instances of patients"),
        pytest.param("STUDY", {"SeriesDescription": "Head"}, [0, 1], id="series of studies"),
        pytest.param("SERIES", {"InstanceNumber": "2"}, [0], id="instances of series"),
        pytest.param("STUDY", {"PatientID": "P1", "SeriesDescription": "Head"}, [0, 1], id="above and below"),
        pytest.param("PATIENT", {"Modality": "MR", "SeriesDescription": "Neck"}, [], id="one series meets both"),
        pytest.param("PATIENT", {"Modality": "CT", "SOPClassUID": MR}, [], id="one chain meets all"),
        pytest.param("STUDY", {"SeriesInstanceUID": series_uid(1, 1, 2)}, [0], id="study of a series"),
        pytest.param("PATIENT", {"StudyInstanceUID": study_uid(1, 2)}, [0], id="patient of a study"),
        pytest.param("PATIENT", {"ModalitiesInStudy": "MR"}, [0], id="list of studies of patients"),
        pytest.param("PATIENT", {"NumberOfStudyRelatedInstances": "3"}, [0], id="count of studies of patients"),
    ],
)
def test_relational_query_matches_keys_of_any_level(ward, level, values, wanted):
    assert found(ward, level, **values) == wanted


def test_relational_date_and_time_of_a_lower_level_are_taken_together(shelf):
    shelf.store(record(patient=1, SeriesDate="20260101", SeriesTime="23"), record(patient=2, SeriesDate="20260103"))
    options = Options(relational=True, combined_date_time=True)

    query = find("STUDY", options=options, SeriesDate="20260101-20260102", SeriesTime="22-01")

    assert shelf.matching(query) == [shelf.rows(studies)[0].pk]


@pytest.mark.parametrize(
    "level, keyword, value, wanted",
    [
        ("PATIENT", "NumberOfPatientRelatedStudies", "2", [0]),
        ("PATIENT", "NumberOfPatientRelatedSeries", "3", [0]),
        ("PATIENT", "NumberOfPatientRelatedInstances", "1", [1]),
        ("STUDY", "NumberOfStudyRelatedSeries", "2", [0]),
        ("STUDY", "NumberOfStudyRelatedInstances", "1", [1, 2]),
        ("SERIES", "NumberOfSeriesRelatedInstances", "2", [0]),
        ("STUDY", "NumberOfPatientRelatedStudies", "2", [0, 1]),
    ],
)
def test_counts_match_as_numbers(ward, level, keyword, value, wanted):
    assert found(ward, level, **{keyword: value}) == wanted


@pytest.mark.parametrize(
    "values, wanted",
    [
        pytest.param({"PatientID": "P1"}, [0, 1], id="PatientID"),
        pytest.param({"PatientName": "synthetic^patient 2"}, [2], id="PatientName"),
        pytest.param({"PatientID": "P1", "StudyInstanceUID": study_uid(1, 2)}, [1], id="with a study key"),
    ],
)
def test_study_root_matches_patients_at_study_level(ward, values, wanted):
    pks = [row.pk for row in ward.rows(studies)]

    query = find("STUDY", model=Model.STUDY_ROOT, options=Options(), **values)

    assert [pks.index(pk) for pk in ward.matching(query)] == wanted


# Answers


def answered(shelf: Shelf, level: Level, wanted: list[Source], pks: Sequence[int]) -> list[tuple[Any, ...]]:
    with transaction.read(shelf.database) as connection:
        return questions.answers(connection, level, wanted, pks)


def test_answers_have_the_columns_of_all_levels_in_the_order_they_were_asked_for(ward):
    wanted = [
        Source(Level.SERIES, "series_description"),
        Source(Level.PATIENT, "patient_id"),
        Source(Level.STUDY, "number_of_instances"),
        Source(Level.PATIENT, "number_of_studies"),
    ]
    pks = [row.pk for row in ward.rows(series)]

    found = answered(ward, Level.SERIES, wanted, [pks[3], pks[0]])

    assert found == [("Head", "P1", 3, 2), ("Knee", "P2", 1, 1)]


def test_answers_leave_out_what_is_gone(ward):
    pks = [row.pk for row in ward.rows(studies)]
    ward.remove_study(study_uid(1, 2))

    assert answered(ward, Level.STUDY, [Source(Level.STUDY, "number_of_series")], pks) == [(2,), (1,)]


def test_no_keys_have_no_answers(ward):
    assert answered(ward, Level.STUDY, [Source(Level.STUDY, "study_id")], []) == []


def test_many_answers_come_in_one_statement(shelf, query_recorder):
    with query_recorder(shelf.database.engine) as recorded:
        answered(shelf, Level.IMAGE, [Source(Level.IMAGE, "instance_number")], list(range(1, 70_000)))

    assert len(recorded.starting("SELECT")) == 1


def test_find_executes_one_statement_and_one_for_each_chunk(ward, query_recorder):
    with query_recorder(ward.database.engine) as recorded:
        pks = ward.matching(find("STUDY", PatientName="Synth*", ModalitiesInStudy="CT"))
        answered(ward, Level.STUDY, [Source(Level.PATIENT, "patient_id"), Source(Level.STUDY, "rest")], pks)

    assert len(recorded.starting("SELECT")) == 2


# Few


EVERY_SOURCE = {
    Level.PATIENT: [Source(Level.PATIENT, "patient_id"), Source(Level.PATIENT, "number_of_instances")],
    Level.STUDY: [Source(Level.STUDY, "number_of_series"), Source(Level.PATIENT, "patient_name_alphabetic")],
    Level.SERIES: [Source(Level.SERIES, "series_description"), Source(Level.STUDY, "number_of_instances")],
    Level.IMAGE: [Source(Level.IMAGE, "sop_class_uid"), Source(Level.PATIENT, "rest")],
}


@pytest.mark.parametrize("level", [Level.PATIENT, Level.STUDY, Level.SERIES], ids=lambda level: level.name)
@pytest.mark.parametrize(
    "values",
    [
        {"PatientID": "P1"},
        {"PatientID": "nobody's"},
        {"PatientID": "P1", "Modality": "CT"},
        {"PatientID": "P1\\P2"},
        {"PatientName": "Syn*"},
        {"PatientName": "synthetic^patient 2"},
        {"StudyInstanceUID": study_uid(1, 1)},
        {"StudyInstanceUID": f"{study_uid(1, 1)}\\{study_uid(2, 1)}"},
        {"SeriesInstanceUID": series_uid(1, 1, 2), "NumberOfStudyRelatedInstances": "3"},
        {"StudyDate": "20260102", "PatientSex": "F"},
        {"StudyDate": "20260101-20261231", "PatientID": "P2"},
    ],
    ids=str,
)
def test_few_are_found_in_one_statement_as_in_two(ward, query_recorder, level, values):
    query, wanted = find(level.name, model=Model.PATIENT_ROOT, **values), EVERY_SOURCE[level]
    find_few = questions.few(query, ward.area_pk, wanted, 5)
    assert find_few is not None

    with transaction.read_once(ward.database) as connection, query_recorder(ward.database.engine) as recorded:
        few = find_few(connection)

    assert few is not None
    assert list(few.pks) == ward.matching(query)
    assert few.answers == answered(ward, level, wanted, few.pks)
    assert len(recorded.starting("SELECT")) == 1


@pytest.mark.parametrize("values", [{"PatientID": "P1"}, {"PatientName": "Synthetic*"}])
@pytest.mark.parametrize("most", [2, 3, 4])
def test_more_than_few_are_not_answered_at_once(ward, values, most):
    new_shelf(ward.database, f"OTHER-{ward.area_pk}").store(record(1, 3), record(1, 4))
    find_few = questions.few(find("SERIES", **values), ward.area_pk, EVERY_SOURCE[Level.SERIES], most)
    assert find_few is not None

    with transaction.read_once(ward.database) as connection:
        assert (find_few(connection) is None) == (most < len(ward.matching(find("SERIES", **values))))


def test_an_instance_is_found_at_once_by_its_own_uid_only(ward):
    uid = record(1, 1, 2, 1).header.sop_instance_uid
    wanted = EVERY_SOURCE[Level.IMAGE]
    find_few = questions.few(find("IMAGE", SOPInstanceUID=uid), ward.area_pk, wanted, 10)

    assert find_few is not None
    with transaction.read_once(ward.database) as connection:
        few = find_few(connection)
    pks = ward.matching(find("IMAGE", SOPInstanceUID=uid))
    assert few is not None
    assert (list(few.pks), few.answers) == (pks, answered(ward, Level.IMAGE, wanted, pks))
    assert questions.few(find("IMAGE", SeriesInstanceUID=series_uid()), ward.area_pk, wanted, 10) is None


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"PatientSex": "F"},
        {"ModalitiesInStudy": "CT"},
        {"PatientName": "*patient*"},
        {"StudyDate": "20260101-20260131"},
        {"AccessionNumber": "A*"},
        {"SOPClassUID": CT},
    ],
)
def test_what_no_index_narrows_is_not_found_at_once(values):
    assert questions.few(find("STUDY", **values), 1, [], 100) is None
