"""A retrieve gets every instance at or below what it names, with where its bytes lie."""

import pytest

from archive.database import transaction
from archive.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN
from archive.index import locate
from archive.index.locate import Location
from archive.index.tables import instances
from archive.query.model import Model, Query
from tests.sql.fix_holdings import CT, Shelf, find, record, series_uid, study_uid


def located(shelf: Shelf, query: Query) -> list[Location]:
    with transaction.read(shelf.database) as connection:
        return locate.locate(connection, query, shelf.area_pk)


def test_location_says_what_the_instance_is_and_where(shelf):
    shelf.store(stored := record(size_bytes=777))

    found = located(shelf, find("STUDY", StudyInstanceUID=study_uid()))

    uid = stored.header.sop_instance_uid
    (row,) = shelf.rows(instances)
    assert found == [Location(row.pk, CT, uid, EXPLICIT_VR_LITTLE_ENDIAN, stored.path, 777, 300)]


@pytest.mark.parametrize(
    "level, keys, wanted",
    [
        pytest.param("PATIENT", {"PatientID": "P1"}, [0, 1, 2, 3], id="patient"),
        pytest.param("STUDY", {"StudyInstanceUID": study_uid(study=1)}, [0, 1, 2], id="study"),
        pytest.param("STUDY", {"StudyInstanceUID": f"{study_uid()}\\{study_uid(2)}"}, [0, 1, 2, 4], id="studies"),
        pytest.param("SERIES", {"SeriesInstanceUID": series_uid(series=1)}, [0, 1], id="series"),
        pytest.param("IMAGE", {"SOPInstanceUID": record(number=2).header.sop_instance_uid}, [1], id="instance"),
        pytest.param("STUDY", {"StudyInstanceUID": study_uid(), "PatientID": "P2"}, [], id="of another patient"),
        pytest.param("STUDY", {"StudyInstanceUID": "1.2.3"}, [], id="nothing"),
    ],
)
def test_instances_at_and_below_a_level_are_found_in_the_order_they_came(shelf, level, keys, wanted):
    stored = [record(number=1), record(number=2), record(series=2), record(study=2), record(patient=2)]
    shelf.store(*stored)

    found = located(shelf, find(level, model=Model.PATIENT_ROOT, **keys))

    assert [each.path for each in found] == [stored[index].path for index in wanted]


def test_replaced_instance_is_found_once_and_last(shelf):
    shelf.store(record(number=1), second := record(number=2))
    shelf.store(again := record(number=1))

    found = located(shelf, find("STUDY", StudyInstanceUID=study_uid()))

    assert [each.path for each in found] == [second.path, again.path]
