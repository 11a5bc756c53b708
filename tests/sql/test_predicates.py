"""Each kind of matching (PS3.4 C.2.2.2), case by case: what is held, what is asked, and whether it is found.

A property test (tests/property/test_matching_equals_reference.py) tries all of this together; here it can be read.
"""

from typing import Any

import pytest

from archive.dicom.attributes import BY_KEYWORD
from archive.errors import InvalidIdentifier
from archive.query.model import Model, Options
from tests.sql.fix_holdings import CT, MR, Shelf, find, record

RELATIONAL = Options(relational=True)
EMPTY = Options(relational=True, empty_value=True)
STRICT = Options(relational=True, strict_names=True)
TOGETHER = Options(relational=True, combined_date_time=True)


def is_found(shelf: Shelf, held: dict[str, Any], asked: dict[str, Any], options: Options = RELATIONAL) -> bool:
    """Whether the only instance of the area is found, at the level of the first key."""
    shelf.store(record(**held))
    level = BY_KEYWORD[next(iter(asked))].level
    return len(shelf.matching(find(level.name, model=Model.PATIENT_ROOT, options=options, **asked))) == 1


@pytest.mark.parametrize(
    "keyword, held, asked, expected",
    [
        # Single value
        pytest.param("PatientID", "P1", "P1", True, id="LO equal"),
        pytest.param("PatientID", "P1", "p1", False, id="LO in another case"),
        pytest.param("PatientID", "P1", " P1 ", True, id="LO with spaces around"),
        pytest.param("PatientID", "P1", "P", False, id="LO beginning"),
        pytest.param("StudyDescription", "Schädel", "Schädel", True, id="LO not ASCII"),
        pytest.param("StudyDescription", "Schädel", "Schadel", False, id="LO without its accent"),
        pytest.param("PatientAge", "030Y", "030Y", True, id="AS equal"),
        pytest.param("PatientAge", "030Y", "03*", False, id="AS has no wild card"),
        pytest.param("PatientComments", "a\\b", "a\\b", True, id="LT with a backslash"),
        pytest.param("PatientComments", "a\\b", "a", False, id="LT is one value"),
        # Wild cards
        pytest.param("AccessionNumber", "A123", "A1*", True, id="star at the end"),
        pytest.param("AccessionNumber", "A123", "*23", True, id="star at the beginning"),
        pytest.param("AccessionNumber", "A123", "*12*", True, id="star at both ends"),
        pytest.param("AccessionNumber", "A123", "A*3", True, id="star within"),
        pytest.param("AccessionNumber", "A123", "A1??", True, id="question marks"),
        pytest.param("AccessionNumber", "A123", "A1?", False, id="too few question marks"),
        pytest.param("AccessionNumber", "A123", "A123?", False, id="question mark for nothing"),
        pytest.param("AccessionNumber", "A123", "a1*", False, id="star in another case"),
        pytest.param("AccessionNumber", "日本語", "日?語", True, id="question mark is a character"),
        pytest.param("AccessionNumber", "🙂x", "?x", True, id="question mark beyond 16 bits"),
        pytest.param("AccessionNumber", "A%C", "A%*", True, id="percent sign"),
        pytest.param("AccessionNumber", "ABC", "A%*", False, id="percent sign is no wild card"),
        pytest.param("AccessionNumber", "ABC", "A_*", False, id="underscore is no wild card"),
        pytest.param("AccessionNumber", "A[B]C", "A[B]*", True, id="bracket"),
        pytest.param("AccessionNumber", "ABC", "A[B]*", False, id="bracket is no class"),
        pytest.param("AccessionNumber", "A*C", "A*C", True, id="held star"),
        pytest.param("AccessionNumber", "ABC", "*", True, id="only a star"),
        pytest.param("AccessionNumber", None, "*", True, id="only a star where nothing is held"),
        pytest.param("AccessionNumber", None, "?*", False, id="something where nothing is held"),
        pytest.param("AccessionNumber", "\U0010ffff1", "\U0010ffff*", True, id="star after the last character"),
        pytest.param("Modality", "CT", "C*", True, id="CS"),
        pytest.param("StudyInstanceUID", "1.2.3", "1.2.*", False, id="UI has no wild card"),
        # Lists and several values
        pytest.param("StudyInstanceUID", "1.2.3", "1.2.4\\1.2.3", True, id="UID list"),
        pytest.param("StudyInstanceUID", "1.2.3", "1.2.4\\1.2.5", False, id="UID list without it"),
        pytest.param("Modality", "CT", "MR\\CT", True, id="one of several"),
        pytest.param("OtherPatientIDs", "A\\B\\C", "B", True, id="value in the middle"),
        pytest.param("OtherPatientIDs", "A\\B\\C", "A\\X", True, id="one of several in one of several"),
        pytest.param("OtherPatientIDs", "AB\\C", "B", False, id="part of a value"),
        pytest.param("OtherPatientIDs", "A\\B", "A*B", False, id="star stays in its value"),
        pytest.param("OtherPatientIDs", "A\\BC", "B*", True, id="star in the second value"),
        pytest.param("OtherPatientIDs", "A.C", "A.C", True, id="point is a point"),
        pytest.param("OtherPatientIDs", "ABC", "A.C", False, id="point is no pattern"),
        # Numbers
        pytest.param("SeriesNumber", "2", "02", True, id="IS as a number"),
        pytest.param("SeriesNumber", "+2", "2", True, id="IS with a sign"),
        pytest.param("SeriesNumber", "-2", "2", False, id="IS negative"),
        pytest.param("SeriesNumber", "two", "2", False, id="IS that is none"),
        pytest.param("OtherStudyNumbers", "1\\007", "7", True, id="one of several IS as a number"),
        pytest.param("OtherStudyNumbers", "1\\70", "7", False, id="part of one of several IS"),
        pytest.param("PatientWeight", "70.0", "70", True, id="DS as a number"),
        pytest.param("PatientWeight", "7e1", "70", True, id="DS with an exponent"),
        pytest.param("PatientWeight", "70.1", "70", False, id="another DS"),
        pytest.param("PatientWeight", "1234567890.12345", "1234567890.12345", True, id="DS of 16 characters"),
        pytest.param("PatientWeight", "0.10000000000001", "0.10000000000002", False, id="DS that differs at the end"),
        pytest.param("Rows", 512, 512, True, id="US"),
        pytest.param("Rows", 512, 256, False, id="another US"),
        # Dates and times
        pytest.param("StudyDate", "20260102", "20260102", True, id="DA"),
        pytest.param("StudyDate", "2026.01.02", "20260102", True, id="DA in the old form"),
        pytest.param("StudyDate", "20260102", "20260101-20260102", True, id="DA in a range"),
        pytest.param("StudyDate", "20260103", "20260101-20260102", False, id="DA after a range"),
        pytest.param("StudyDate", "20260103", "20260102-", True, id="DA in an open range"),
        pytest.param("StudyDate", "20260103", "-20260102", False, id="DA after an open range"),
        pytest.param("StudyDate", "20260103", "-", True, id="any DA"),
        pytest.param("StudyDate", None, "-", False, id="any DA where none is held"),
        pytest.param("StudyDate", "soon", "-20300101", False, id="DA that is none"),
        pytest.param("StudyDate", "20260102", "2026*", False, id="DA has no wild card"),
        pytest.param("StudyTime", "101010", "101010", True, id="TM"),
        pytest.param("StudyTime", "1010", "101000", True, id="TM with less precision"),
        pytest.param("StudyTime", "101010", "1010", False, id="TM asked with less precision"),
        pytest.param("StudyTime", "101059.9", "10-1010", True, id="TM at the end of a range"),
        pytest.param("StudyTime", "1011", "10-1010", False, id="TM after a range"),
        # What a study holds
        pytest.param("SOPClassesInStudy", CT, f"{MR}\\{CT}", True, id="SOP Class of the study"),
        pytest.param("SOPClassesInStudy", CT, MR, False, id="no SOP Class of the study"),
    ],
)
def test_value_matches(shelf, keyword, held, asked, expected):
    values = {"SOPClassUID": held} if keyword == "SOPClassesInStudy" else {keyword: held}

    assert is_found(shelf, values, {keyword: asked}) is expected


@pytest.mark.parametrize(
    "held, asked, expected",
    [
        pytest.param("Doe^John", "doe^john", True, id="another case"),
        pytest.param("Müller^Jörg", "MULLER^JORG", True, id="without accents"),
        pytest.param("Muller^Jorg", "Müller^*", True, id="with accents"),
        pytest.param("Straße", "STRASSE", True, id="sharp s"),
        pytest.param("Doe^John^^", "Doe^John", True, id="empty components at the end"),
        pytest.param("Doe^John", "Doe", False, id="only the first component"),
        pytest.param("Doe^John", "Doe*", True, id="star over the rest"),
        pytest.param("Doe^John^M", "Doe^J*", True, id="star over components behind it"),
        pytest.param("Doe^John^M", "D*^M", False, id="star within its component"),
        pytest.param("Doe^John", "*^John", True, id="any family name"),
        pytest.param("Doe^John", "Do?^John", True, id="question mark"),
        pytest.param("Doe^John", "Doe?John", False, id="question mark is no delimiter"),
        pytest.param("Doe^John", "*oh*", True, id="infix"),
        pytest.param("Doe", "Doe^*", True, id="any other component"),
        pytest.param("Yamada^Tarou=山田^太郎=やまだ^たろう", "山田*", True, id="ideographic group"),
        pytest.param("Yamada^Tarou=山田^太郎=やまだ^たろう", "やまだ^たろう", True, id="phonetic group"),
        pytest.param("Yamada^Tarou=山田^太郎=やまだ^たろう", "=山田^太郎", True, id="its own group"),
        pytest.param("Yamada^Tarou=山田^太郎=やまだ^たろう", "山田^太郎=", False, id="another group"),
        pytest.param("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada*=山*", True, id="two groups"),
        pytest.param("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada*=川*", False, id="one of two groups"),
        pytest.param("Do%^J_hn", "do%^j_hn", True, id="signs of LIKE"),
        pytest.param("Doe^John", "D%", False, id="percent sign is no wild card"),
        pytest.param(None, "Doe", False, id="no name"),
        pytest.param(None, "*", True, id="any name where there is none"),
    ],
)
def test_person_name_matches(shelf, held, asked, expected):
    assert is_found(shelf, {"PatientName": held}, {"PatientName": asked}) is expected


@pytest.mark.parametrize(
    "held, asked, expected",
    [
        pytest.param("Doe^John", "Doe^John", True, id="equal"),
        pytest.param("Doe^John", "doe^john", False, id="another case"),
        pytest.param("Müller", "Muller", False, id="without accents"),
        pytest.param("Doe^John^^", "Doe^John", True, id="empty components at the end"),
        pytest.param("Doe^John", "D*", True, id="star"),
        pytest.param("Doe^John", "Doe", False, id="only the first component"),
    ],
)
def test_strict_person_name_matches(shelf, held, asked, expected):
    assert is_found(shelf, {"PatientName": held}, {"PatientName": asked}, STRICT) is expected


@pytest.mark.parametrize(
    "held, asked, expected",
    [
        pytest.param("Doe^A\\Roe^B", "roe^b", True, id="second of two"),
        pytest.param("Doe^A\\Roe^B", "Doe*B", False, id="star stays in its name"),
        pytest.param("Doe^A\\Roe^B", "Roe*", True, id="star in the second"),
        pytest.param("Doe^A\\\\Roe^B", "^*", False, id="an empty name is none"),
    ],
)
@pytest.mark.parametrize("options", [RELATIONAL, STRICT], ids=["folded", "strict"])
def test_one_of_several_person_names_matches(shelf, held, asked, expected, options):
    if options is STRICT:
        asked = asked.title()

    assert is_found(shelf, {"OperatorsName": held}, {"OperatorsName": asked}, options) is expected


@pytest.mark.parametrize(
    "dates, times, expected",
    [
        pytest.param(("20260102", "1200"), ("20260101-20260103", "10-11"), True, id="day in between, any time"),
        pytest.param(("20260101", "0900"), ("20260101-20260103", "10-11"), False, id="first day, too early"),
        pytest.param(("20260101", "1000"), ("20260101-20260103", "10-11"), True, id="first moment"),
        pytest.param(("20260103", "115959.999"), ("20260101-20260103", "10-11"), True, id="last moment"),
        pytest.param(("20260103", "12"), ("20260101-20260103", "10-11"), False, id="last day, too late"),
        pytest.param(("20260102", None), ("20260101-20260103", "10-11"), True, id="day in between, no time"),
        pytest.param(("20260101", None), ("20260101-20260103", "10-11"), False, id="first day, no time"),
        pytest.param((None, "1200"), ("20260101-20260103", "10-11"), False, id="no date"),
        pytest.param(("20270101", "00"), ("20260101-", "10-"), True, id="open end"),
        pytest.param(("20250101", "23"), ("-20260101", "-10"), True, id="open beginning"),
    ],
)
def test_date_and_time_match_together(shelf, dates, times, expected):
    held = {"StudyDate": dates[0], "StudyTime": dates[1]}

    assert is_found(shelf, held, {"StudyDate": times[0], "StudyTime": times[1]}, TOGETHER) is expected


@pytest.mark.parametrize(
    "held, asked, expected",
    [
        pytest.param([{"RequestedProcedureID": "R1"}], {"RequestedProcedureID": "R1"}, True, id="equal"),
        pytest.param([{"RequestedProcedureID": "R1"}], {"RequestedProcedureID": "R*"}, True, id="wild card"),
        pytest.param([{"RequestedProcedureID": "R1"}], {"RequestedProcedureID": "R2"}, False, id="another"),
        pytest.param([{}, {"RequestedProcedureID": "R1"}], {"RequestedProcedureID": "R1"}, True, id="second item"),
        pytest.param(None, {"RequestedProcedureID": "R1"}, False, id="no sequence"),
        pytest.param(None, {"RequestedProcedureID": ""}, True, id="universal"),
        pytest.param([{"StudyInstanceUID": "1.2"}], {"StudyInstanceUID": "1.3\\1.2"}, True, id="UID list"),
        pytest.param(
            [{"RequestedProcedureID": "R1", "AccessionNumber": "A1"}, {"RequestedProcedureID": "R2"}],
            {"RequestedProcedureID": "R2", "AccessionNumber": "A1"},
            False,
            id="one item meets all keys",
        ),
    ],
)
def test_item_of_a_sequence_matches(shelf, held, asked, expected):
    values = {"RequestAttributesSequence": held}

    assert is_found(shelf, values, {"RequestAttributesSequence": [asked]}) is expected


@pytest.mark.parametrize(
    "keyword, held, expected",
    [
        pytest.param("AccessionNumber", None, True, id="absent"),
        pytest.param("AccessionNumber", "", True, id="empty"),
        pytest.param("AccessionNumber", "  ", True, id="blank"),
        pytest.param("AccessionNumber", "A1", False, id="value"),
        pytest.param("StudyDate", "", True, id="empty DA"),
        pytest.param("StudyDate", "soon", False, id="DA that is none"),
        pytest.param("PatientName", "", True, id="empty PN"),
        pytest.param("PatientName", "=山田", False, id="PN of another group"),
        pytest.param("OtherPatientIDs", "\\\\", True, id="several that are all empty"),
        pytest.param("OtherPatientIDs", "\\A", False, id="several that are not all empty"),
        pytest.param("OtherPatientNames", "\\", True, id="several names that are all empty"),
    ],
)
def test_empty_value_matches_where_it_was_negotiated(shelf, keyword, held, expected):
    assert is_found(shelf, {keyword: held}, {keyword: '""'}, EMPTY) is expected


def test_empty_value_is_one_of_several(shelf):
    assert is_found(shelf, {"AccessionNumber": None}, {"AccessionNumber": '""\\A1'}, EMPTY)


@pytest.mark.parametrize(
    "asked, expected",
    [
        pytest.param("CT", True, id="one of them"),
        pytest.param("MR\\PT", True, id="one of several"),
        pytest.param("US", False, id="another"),
        pytest.param("M?", True, id="wild card"),
        pytest.param("CT*MR", False, id="wild card over both"),
        pytest.param('""', False, id="empty"),
        pytest.param('""\\CT', True, id="empty or one of them"),
    ],
)
def test_modalities_in_study_match_by_any(shelf, asked, expected):
    shelf.store(record(series=2, Modality="MR"), record(series=3, Modality=None))

    assert is_found(shelf, {"Modality": "CT"}, {"ModalitiesInStudy": asked}, EMPTY) is expected


def test_study_without_modalities_is_empty(shelf):
    assert is_found(shelf, {"Modality": None}, {"ModalitiesInStudy": '""'}, EMPTY)


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param("\0A\0", id="NUL"),
        pytest.param("*a" * 5000, id="thousands of wild cards"),
        pytest.param("*" + "a*" * 500 + "b", id="hundreds of wild cards"),
        pytest.param("?" * 1000, id="hundreds of question marks"),
        pytest.param("x" * 60_000, id="60 KB"),
        pytest.param("?" * 60_000, id="60 KB of wild cards"),
        pytest.param("[^-]*(((", id="signs of patterns"),
        pytest.param("\\".join(map(str, range(1000))), id="a thousand values"),
        pytest.param("\\".join(f"{n}*" for n in range(1000)), id="a thousand wild cards"),
    ],
)
@pytest.mark.parametrize("keyword", ["PatientID", "PatientName", "OtherPatientIDs", "OtherPatientNames"])
def test_any_key_is_answered(shelf, keyword, asked):
    assert not is_found(shelf, {keyword: "a" * 990}, {keyword: asked})


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SOPClassesInStudy"])
def test_a_list_of_thousands_of_uids_is_answered(shelf, keyword):
    asked = "\\".join([*(f"1.2.{n}" for n in range(5000)), CT])

    assert is_found(shelf, {"StudyInstanceUID": "1.2.4711"}, {keyword: asked})


def test_more_values_than_anybody_means_are_refused():
    with pytest.raises(InvalidIdentifier):
        find("STUDY", AccessionNumber="\\".join(map(str, range(1001))))
    with pytest.raises(InvalidIdentifier):
        find("IMAGE", Rows=bytes(2002))


@pytest.mark.parametrize("options", [RELATIONAL, STRICT], ids=["folded", "strict"])
@pytest.mark.parametrize(
    "keyword, asked",
    [
        ("OtherPatientIDs", "*a*a*a*a*a*a*b"),
        ("OtherPatientNames", "*a*a*a*a*a*a*b"),
        ("PatientName", "*a*a*a*a*a*a*b^?"),
        ("PatientName", "*a*a*a*a*a*a*b^*c"),
        ("PatientComments", "*a*a*a*a*a*a*b"),
    ],
)
def test_no_pattern_keeps_the_database_busy(shelf, keyword, asked, options):
    assert not is_found(shelf, {keyword: "a" * 1000}, {keyword: asked}, options)
