"""The strongest key of a query leads, and all others are looked at row by row."""

from datetime import date

import pytest

from archive.dicom.attributes import BY_KEYWORD, Level
from archive.index.leading import Strength, leading, strength
from archive.query.conditions import condition
from archive.query.model import Key, Model, Options, Query

TODAY = date(2026, 6, 1)


def key(keyword: str, value: str) -> Key:
    attribute = BY_KEYWORD[keyword]
    wanted = condition(attribute.vr, value, Options())
    assert wanted is not None
    return Key(attribute, wanted)


@pytest.mark.parametrize(
    "keyword, value, expected",
    [
        ("PatientID", "P1", Strength.LOOKED_UP),
        ("PatientID", "P*", Strength.LOOKED_UP),
        ("PatientID", "*1", Strength.SEARCHED),
        ("PatientName", "Doe^J*", Strength.LOOKED_UP),
        ("PatientName", "?oe", Strength.SEARCHED),
        ("StudyInstanceUID", "1.2.3", Strength.LOOKED_UP),
        ("StudyDate", "20260101", Strength.LOOKED_UP),
        ("StudyDate", "20250601-20260601", Strength.LOOKED_UP),
        ("StudyDate", "20200101-20260601", Strength.NONE),
        ("StudyDate", "20260101-", Strength.LOOKED_UP),
        ("StudyDate", "20200101-", Strength.NONE),
        ("StudyDate", "-20260101", Strength.NONE),
        ("StudyDescription", "*head*", Strength.SEARCHED),
        ("ModalitiesInStudy", "CT", Strength.LISTED),
        ("PatientSex", "F", Strength.NONE),
    ],
)
def test_a_key_is_as_strong_as_its_index(keyword: str, value: str, expected: Strength) -> None:
    assert strength(key(keyword, value), TODAY) is expected


@pytest.mark.parametrize(
    "values, expected",
    [
        ({"ModalitiesInStudy": "CT"}, ["ModalitiesInStudy"]),
        ({"ModalitiesInStudy": "CT", "PatientSex": "F"}, ["ModalitiesInStudy"]),
        ({"ModalitiesInStudy": "CT", "StudyDate": "20260101"}, ["StudyDate"]),
        ({"ModalitiesInStudy": "CT", "StudyDate": "20000101-20260101"}, ["ModalitiesInStudy"]),
        ({"ModalitiesInStudy": "CT", "PatientName": "*doe*"}, ["PatientName"]),
        ({"PatientName": "*doe*", "StudyDate": "20260101"}, ["StudyDate"]),
        ({"PatientName": "*doe*", "PatientID": "P1"}, ["PatientID"]),
        ({"PatientSex": "F"}, ["PatientSex"]),
    ],
)
def test_the_strongest_key_leads(values: dict[str, str], expected: list[str]) -> None:
    keys = tuple(key(keyword, value) for keyword, value in values.items())
    query = Query(Model.STUDY_ROOT, Level.STUDY, keys)

    found = zip(keys, leading(query, TODAY).keys, strict=True)
    assert [each.attribute.keyword for each, leads in found if leads] == expected
