"""What the administrator is shown of the holdings."""

from datetime import date

from archive.database import transaction
from archive.dicom.attributes import BY_KEYWORD, Level
from archive.index import holdings, housekeeping
from archive.query.conditions import condition
from archive.query.model import Key, Model, Options, Query
from tests.fix_archive import FoundedArchive
from tests.fix_instances import instance


def query(**asked: str) -> Query:
    keys: list[Key] = []
    for keyword, value in asked.items():
        wanted = condition(BY_KEYWORD[keyword].vr, value, Options())
        assert wanted is not None
        keys.append(Key(BY_KEYWORD[keyword], wanted))
    return Query(Model.STUDY_ROOT, Level.STUDY, tuple(keys))


def listed(archive: FoundedArchive, limit: int | None = None, **asked: str) -> list[str | None]:
    with transaction.read(archive.database) as connection:
        found = holdings.list_studies(connection, query(**asked), archive.area.pk, limit)
        return [study.accession_number for study in found]


def test_studies_are_listed_the_last_that_came_first_and_by_the_keys_of_a_query(founded: FoundedArchive) -> None:
    founded.store(
        instance(study=1, PatientName="Müller^Änne", StudyDate="20260105"),
        instance(study=2, PatientName="Smith^John", PatientID="OTHER", StudyDate="20260210"),
        instance(study=3, patient=3, PatientName=None, StudyDate=None),
    )

    assert listed(founded) == ["A000003", "A000002", "A000001"]
    assert listed(founded, limit=1) == ["A000003"]
    assert listed(founded, PatientName="muller*") == ["A000001"]
    assert listed(founded, PatientID="OTH*") == ["A000002"]
    assert listed(founded, StudyDate="20260101-20260131") == ["A000001"]
    assert listed(founded, StudyDate="20260201-") == ["A000002"]


def test_a_study_comes_with_its_patient_and_its_counters(founded: FoundedArchive) -> None:
    founded.store(instance(number=1), instance(number=2), instance(series=2, Modality="MR", SeriesDescription="T1"))

    with transaction.read(founded.database) as connection:
        [study] = holdings.list_studies(connection, query(), founded.area.pk, None)
        first, second = holdings.series_of(connection, study.pk)

    assert (study.patient_name, study.patient_id, study.study_date) == (
        "Synthetic^Patient 1",
        "P000001",
        date(2026, 2, 2),
    )
    assert (study.number_of_series, study.number_of_instances, study.modalities) == (2, 3, "MR\\OT")
    assert study.size_bytes == sum(path.stat().st_size for path in founded.files())
    assert (first.series_number, first.modality, first.number_of_instances) == (1, "OT", 2)
    assert (second.series_number, second.modality, second.series_description) == (2, "MR", "T1")


def test_an_area_tells_what_is_left_in_it(founded: FoundedArchive) -> None:
    founded.store(instance(study=1), instance(study=2))
    founded.store(instance(study=1))

    with transaction.read(founded.database) as connection:
        assert holdings.studies_left(connection, founded.area.pk) == 2
        assert housekeeping.backlog(connection, founded.area.pk) == housekeeping.Backlog(1, 0)
