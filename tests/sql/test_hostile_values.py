"""Values that nobody should send are stored all the same, and what is held of them can be found."""

import random
from typing import Any

import pytest

from archive.index.tables import instances, patients, series, series_requests, studies
from tests.sql.fix_holdings import Shelf, find, record


def counts(shelf: Shelf) -> tuple[int, ...]:
    return tuple(len(shelf.rows(table)) for table in (patients, studies, series, instances))


def random_text(length: int, alphabet: str) -> str:
    """Text that no database can compress."""
    return "".join(random.Random(length).choices(alphabet, k=length))


LETTERS = "".join(map(chr, range(0x21, 0x5B))) + "".join(map(chr, range(0x61, 0x7F)))
CJK = "".join(map(chr, range(0x4E00, 0x9FA5)))
LIGATURES = "\ufdfa\ufb03\ufdfb\u3316"  # each folds to several letters
TEXT_KEYWORDS = (
    *("PatientID", "IssuerOfPatientID", "PatientName", "PatientSex", "OtherPatientIDs", "OtherPatientNames"),
    *("EthnicGroup", "PatientComments", "AccessionNumber", "StudyID", "ReferringPhysicianName", "StudyDescription"),
    *("PatientAge", "Modality", "SeriesDescription", "BodyPartExamined", "OperatorsName", "StationName"),
)
TYPED_KEYWORDS = (
    *("PatientBirthDate", "PatientBirthTime", "StudyDate", "StudyTime", "PatientSize", "PatientWeight"),
    *("OtherStudyNumbers", "SeriesNumber", "SeriesDate", "SeriesTime", "InstanceNumber", "ContentDate", "ContentTime"),
    "NumberOfFrames",
)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"A\0B", id="NUL"),
        pytest.param(b"\xff\xfe\xc3", id="no UTF-8"),
        pytest.param(b"\xed\xa0\x80", id="surrogate in UTF-8"),
        pytest.param(b"\x1b$B\x1b(B\x1b", id="escape sequences"),
        pytest.param(random_text(50_000, LETTERS), id="50 KB of letters"),
        pytest.param(random_text(15_000, CJK), id="45 KB of ideographs"),
        pytest.param(f"{random_text(6000, CJK)}={random_text(6000, LETTERS)}={random_text(6000, CJK)}", id="groups"),
        pytest.param(random_text(20_000, LIGATURES), id="what grows when folded"),
        pytest.param("%_'\"\\;--\r\n\t", id="punctuation"),
        pytest.param(b"\\\\\\", id="backslashes"),
        pytest.param(b"^^^^==", id="empty components"),
    ],
)
def test_any_text_is_stored(shelf, text):
    values: dict[str, Any] = dict.fromkeys(TEXT_KEYWORDS, text)

    shelf.store(record(number=1, **values))
    shelf.store(record(number=2, **values))

    assert counts(shelf) == (1, 1, 1, 2)
    shelf.assert_sound()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"00000000", id="zeros"),
        pytest.param(b"99999999", id="nines"),
        pytest.param(b"20260230", id="no such day"),
        pytest.param(b"00010101", id="year 1"),
        pytest.param(b"99991231", id="year 9999"),
        pytest.param(b"2147483648", id="33 bits"),
        pytest.param(b"9" * 60, id="60 digits"),
        pytest.param(b"1e308", id="largest double"),
        pytest.param(b"-1e-300", id="smallest double"),
        pytest.param(b"NaN", id="no number"),
        pytest.param(b"\xff\0\xfe", id="bytes"),
        pytest.param(b"1\\2\\3", id="several values"),
        pytest.param(b"A" * 60_000, id="60 KB"),
    ],
)
def test_any_date_time_or_number_is_stored(shelf, text):
    values: dict[str, Any] = dict.fromkeys(TYPED_KEYWORDS, text)

    shelf.store(record(number=1, **values))

    assert counts(shelf) == (1, 1, 1, 1)
    shelf.assert_sound()


@pytest.mark.parametrize(
    "character_set", [b"ISO_IR 100\0\0X", b"A" * 60_000, b"\xff\\\\\xfe"], ids=["NUL", "long", "odd"]
)
def test_any_character_set_is_stored(shelf, character_set):
    shelf.store(record(SpecificCharacterSet=character_set))

    assert counts(shelf) == (1, 1, 1, 1)


def test_any_request_item_is_stored(shelf):
    hostile = {"RequestedProcedureID": random_text(9000, LETTERS), "ScheduledProcedureStepID": "\0A\0"}

    shelf.store(record(RequestAttributesSequence=[hostile, {}, {"AccessionNumber": random_text(9000, CJK)}]))

    assert len(shelf.rows(series_requests)) == 3


def test_long_values_are_found_by_what_is_held_of_them(shelf):
    shelf.store(record(AccessionNumber=random_text(50_000, LETTERS).replace("*", "x").replace("?", "x")))
    held = shelf.one(studies).accession_number

    found = shelf.matching(find("STUDY", AccessionNumber=f"{held[:200]}*"))

    assert found == [shelf.one(studies).pk]
