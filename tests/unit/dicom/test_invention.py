"""New patients, studies, series and instances, counted."""

from itertools import count

from archive.dicom import invention
from archive.dicom.invention import Counts, Inventor
from archive.dicom.uids import is_uid


def inventor(images: int = 2, series: int = 2, studies: int = 2) -> Inventor:
    numbers = count(1)
    return Inventor(Counts(images, series, studies), clock=lambda: 1000.0, uid=lambda: f"1.{next(numbers)}")


def test_each_instance_has_a_uid_of_its_own() -> None:
    made = inventor()

    uids = [made.invent().sop_instance_uid for _ in range(20)]

    assert len(set(uids)) == 20


def test_series_studies_and_patients_begin_when_the_one_before_is_full() -> None:
    made = inventor()

    places = [(each.patient, each.study, each.series, each.image) for each in (made.invent() for _ in range(10))]

    assert places == [
        (0, 0, 0, 0),
        (0, 0, 0, 1),
        (0, 0, 1, 0),
        (0, 0, 1, 1),
        (0, 1, 0, 0),
        (0, 1, 0, 1),
        (0, 1, 1, 0),
        (0, 1, 1, 1),
        (1, 0, 0, 0),
        (1, 0, 0, 1),
    ]


def test_uids_of_a_series_are_shared_by_its_images_and_those_of_a_study_by_its_series() -> None:
    made = inventor()
    values = [made.invent().values for _ in range(10)]

    def shared(tag: int, first: int, second: int) -> bool:
        return values[first][tag] == values[second][tag]

    assert shared(invention.SERIES_INSTANCE_UID, 0, 1)
    assert not shared(invention.SERIES_INSTANCE_UID, 1, 2)
    assert shared(invention.STUDY_INSTANCE_UID, 0, 3)
    assert not shared(invention.STUDY_INSTANCE_UID, 3, 4)
    assert shared(invention.PATIENT_ID, 0, 7)
    assert not shared(invention.PATIENT_ID, 7, 8)
    assert len({each[invention.SERIES_INSTANCE_UID] for each in values}) == 5


def test_all_that_says_who_and_what_it_is_is_new() -> None:
    assert inventor().invent().values == {
        invention.PATIENT_NAME: "INVENTED^10000",
        invention.PATIENT_ID: "PID_10000",
        invention.STUDY_INSTANCE_UID: "1.1",
        invention.STUDY_ID: "SID_10000",
        invention.SERIES_INSTANCE_UID: "1.2",
        invention.SERIES_NUMBER: "0",
        invention.SOP_INSTANCE_UID: "1.3",
        invention.INSTANCE_NUMBER: "0",
    }


def test_uids_are_random_and_well_formed() -> None:
    values = Inventor(Counts()).invent().values

    uids = {values[tag] for tag in (0x00080018, 0x0020000D, 0x0020000E)}
    assert len(uids) == 3
    assert all(is_uid(uid) and uid.startswith("2.25.") for uid in uids)


def test_a_study_id_has_sixteen_characters_at_most() -> None:
    made = Inventor(Counts(1, 1, 10_000), clock=lambda: 1_790_000_000.0)

    assert all(len(made.invent().values[invention.STUDY_ID]) <= 16 for _ in range(1200))
