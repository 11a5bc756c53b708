"""A query of a usual shape finds what the same query finds by a statement of its own."""

from typing import Any

import pytest

from archive.database import transaction
from archive.dicom.attributes import Level
from archive.index import select as questions
from archive.index import shapes
from archive.index.matching import matching_statement
from archive.query.model import Model, Options
from tests.sql.fix_holdings import MR, Shelf, find, record, series_uid, study_uid

VALUES: list[dict[str, Any]] = [
    {},
    {"PatientID": "P1"},
    {"PatientID": "nobody's"},
    {"PatientID": '""'},
    {"PatientSex": "F"},
    {"StudyInstanceUID": study_uid(1, 2)},
    {"SeriesInstanceUID": series_uid(1, 1, 2), "StudyInstanceUID": study_uid(1, 1)},
    {"StudyDate": "20260102"},
    {"StudyDate": "20260102-20260103"},
    {"StudyDate": "20260103-"},
    {"StudyDate": "-20260102"},
    {"StudyDate": "-"},
    {"StudyTime": "101500"},
    {"StudyTime": "1000-1100"},
    {"ModalitiesInStudy": "MR"},
    {"ModalitiesInStudy": "CT", "StudyDate": "20260102"},
    {"PatientSize": "1.75"},
    {"PatientWeight": "70"},
    {"SeriesNumber": "2"},
    {"InstanceNumber": "1", "Modality": "CT"},
    {"Rows": 512},
    {"NumberOfStudyRelatedInstances": "2"},
    {"AccessionNumber": "A1", "PatientID": "P2"},
]
OPTIONS = Options(relational=True, empty_value=True)


@pytest.fixture
def ward(shelf: Shelf) -> Shelf:
    """Two patients, and three studies that differ in all that is asked for."""
    shelf.store(
        record(1, 1, 1, 1, StudyTime="101500", PatientSize="1.75", Rows=512),
        record(1, 1, 2, 1, StudyTime="101500", PatientSize="1.75"),
        record(1, 2, 1, 1, Modality="MR", SOPClassUID=MR, PatientWeight="70", StudyTime="1230"),
        record(2, 1, 1, 1, PatientSex="F", PatientID=None),
        record(2, 1, 1, 2, PatientSex="F", PatientID=None),
    )
    return shelf


@pytest.mark.parametrize("level", list(Level), ids=lambda level: level.name)
@pytest.mark.parametrize("values", VALUES, ids=str)
def test_a_shared_statement_finds_the_same(ward: Shelf, level: Level, values: dict[str, Any]) -> None:
    query = find(level.name, model=Model.PATIENT_ROOT, options=OPTIONS, **values)
    assert shapes.split(query, None) is not None

    with transaction.read(ward.database) as connection:
        plain = matching_statement(connection.dialect.name, query, ward.area_pk, level)
        assert list(questions.matching(connection, query, ward.area_pk)) == sorted(connection.scalars(plain))


def test_queries_that_differ_in_values_only_have_one_shape() -> None:
    split = [shapes.split(find("STUDY", PatientID=patient_id), 5) for patient_id in ("P1", "P2")]

    ((first, its_values), (second, other_values)) = filter(None, split)
    assert first == second
    assert its_values != other_values


@pytest.mark.parametrize(
    "values", [{"PatientName": "A^B"}, {"PatientID": "P*"}, {"StudyInstanceUID": "1.2\\1.3"}, {"StudyDescription": "x"}]
)
def test_what_depends_on_values_has_no_shape(values: dict[str, Any]) -> None:
    assert shapes.split(find("STUDY", **values), None) is None
