"""Identifiers become queries, or refusals that name the offending element."""

from datetime import date, datetime, time
from typing import Any

import pytest

from archive.dicom.attributes import BY_KEYWORD, Level
from archive.dicom.encode import Element, encode
from archive.dicom.uids import EXPLICIT_VR_BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from archive.errors import InvalidIdentifier, MissingUniqueKey, UnknownLevel
from archive.query.identifier import parse_find, parse_retrieve
from archive.query.model import (
    NEVER,
    AnyOf,
    DateTimeRange,
    Model,
    Operation,
    Options,
    PersonName,
    Query,
    Range,
    SequenceItem,
    SingleValue,
    UidList,
    WildCard,
)

PLAIN, RELATIONAL = Options(), Options(relational=True)
OTHERS = {
    "QueryRetrieveLevel": (0x00080052, "CS"),
    "SpecificCharacterSet": (0x00080005, "CS"),
    "SliceThickness": (0x00180050, "DS"),
    "PatientAddress": (0x00101040, "LO"),
    "ScheduledProcedureStepID": (0x00400009, "SH"),
    "RequestedProcedureID": (0x00401001, "SH"),
    "ScheduledProtocolCodeSequence": (0x00400008, "SQ"),
    "CodeValue": (0x00080100, "SH"),
}


def elements(values):
    found = []
    for keyword, value in values.items():
        attribute = BY_KEYWORD.get(keyword)
        tag, vr = (attribute.tag, attribute.vr) if attribute else OTHERS[keyword]
        if isinstance(value, dict):
            value = (tuple(elements(value)),)
        elif isinstance(value, str):
            value = value.encode("utf-8")
        found.append(Element(tag, vr, value))
    return sorted(found, key=lambda element: element.tag)


def find(level, model=Model.STUDY_ROOT, options=PLAIN, syntax=EXPLICIT_VR_LITTLE_ENDIAN, **values) -> Query:
    data = encode(elements({"QueryRetrieveLevel": level, **values}), syntax)
    return parse_find(data, syntax, model, options)


def retrieve(level, model=Model.STUDY_ROOT, options=PLAIN, **values) -> Query:
    data = encode(elements({"QueryRetrieveLevel": level, **values}), IMPLICIT_VR_LITTLE_ENDIAN)
    return parse_retrieve(data, IMPLICIT_VR_LITTLE_ENDIAN, model, options)


def conditions(query):
    return {key.attribute.keyword: key.condition for key in query.keys}


def tag(keyword):
    return BY_KEYWORD[keyword].tag if keyword in BY_KEYWORD else OTHERS[keyword][0]


# Levels


@pytest.mark.parametrize("word", ["STUDY", "study", " STUDY ", "Study"])
def test_level_word_is_trimmed_and_in_any_case(word):
    assert find(word).level is Level.STUDY


@pytest.mark.parametrize("word", ["", "  "])
def test_missing_level_is_an_invalid_identifier(word):
    with pytest.raises(InvalidIdentifier) as refusal:
        find(word)

    assert refusal.value.offending_element == 0x00080052
    assert not isinstance(refusal.value, UnknownLevel)


@pytest.mark.parametrize(
    "word, model",
    [
        pytest.param("STUD", Model.STUDY_ROOT, id="shorter word"),
        pytest.param("STUDYX", Model.STUDY_ROOT, id="longer word"),
        pytest.param("PATIENT", Model.STUDY_ROOT, id="above Study Root"),
        pytest.param("SERIES", Model.PATIENT_STUDY_ONLY, id="below Patient/Study Only"),
        pytest.param("INSTANCE", Model.PATIENT_ROOT, id="no level word"),
    ],
)
def test_level_that_the_model_has_not_is_unknown(word, model):
    with pytest.raises(UnknownLevel) as refusal:
        find(word, model)

    assert refusal.value.offending_element == 0x00080052


STRICT = Options(strict_keys=True)


@pytest.mark.parametrize("word, model", [("PATIENT", Model.STUDY_ROOT), ("IMAGE", Model.PATIENT_STUDY_ONLY)])
def test_level_that_the_model_has_not_is_invalid_where_keys_are_checked(word, model):
    for ask in (find, retrieve):
        with pytest.raises(InvalidIdentifier, match=f"has no {word} level") as refusal:
            ask(word, model, STRICT, PatientID="P")

        assert not isinstance(refusal.value, UnknownLevel)


def test_word_that_is_no_level_is_unknown_where_keys_are_checked():
    with pytest.raises(UnknownLevel):
        find("FRAME", options=STRICT)


@pytest.mark.parametrize(
    "values, offender",
    [
        ({"Modality": "", "StudyDate": ""}, "Modality"),
        ({"NumberOfSeriesRelatedInstances": "", "StudyDate": ""}, "NumberOfSeriesRelatedInstances"),
        ({"PatientName": ""}, None),
    ],
)
def test_strict_find_names_the_key_that_has_no_place(values, offender):
    with pytest.raises(InvalidIdentifier) as refusal:
        find("STUDY", options=STRICT, **values)

    assert refusal.value.values.get("offending_element") == (tag(offender) if offender else None)


def test_strict_find_lets_stand_what_is_no_key_or_says_nothing_of_a_level():
    query = find("STUDY", options=STRICT, StudyDate="", SliceThickness="", RetrieveAETitle="", ModalitiesInStudy="")

    assert query.level is Level.STUDY


def test_strict_retrieve_takes_the_unique_keys_alone():
    assert set(conditions(retrieve("SERIES", options=STRICT, StudyInstanceUID="1.2", SeriesInstanceUID="1.3"))) == {
        "StudyInstanceUID",
        "SeriesInstanceUID",
    }
    with pytest.raises(InvalidIdentifier) as refusal:
        retrieve("SERIES", options=STRICT, StudyInstanceUID="1.2", SeriesInstanceUID="1.3", Modality="CT")

    assert refusal.value.offending_element == tag("Modality")


def test_damaged_identifier_is_invalid():
    with pytest.raises(InvalidIdentifier):
        parse_find(b"\x08\x00\x52\x00CS\xff", EXPLICIT_VR_LITTLE_ENDIAN, Model.STUDY_ROOT, PLAIN)


# Unique keys of a find


def test_unique_key_above_the_query_level_must_be_there():
    with pytest.raises(MissingUniqueKey) as refusal:
        find("SERIES", Modality="CT")

    assert refusal.value.offending_element == tag("StudyInstanceUID")


def test_study_root_never_needs_a_patient_id():
    query = find("SERIES", StudyInstanceUID="1.2", Modality="CT")

    assert conditions(query) == {"StudyInstanceUID": UidList(("1.2",)), "Modality": SingleValue("CT")}


def test_patient_root_needs_the_patient_id():
    with pytest.raises(MissingUniqueKey) as refusal:
        find("STUDY", Model.PATIENT_ROOT, StudyDate="")

    assert refusal.value.offending_element == tag("PatientID")


def test_empty_unique_key_above_matches_all_in_a_find():
    assert conditions(find("SERIES", StudyInstanceUID="", Modality="MR")) == {"Modality": SingleValue("MR")}


def test_relational_find_needs_no_unique_key_above():
    query = find("IMAGE", options=RELATIONAL, PatientName="Doe", Modality="CT")

    assert set(conditions(query)) == {"PatientName", "Modality"}


# Which keys restrict


def test_study_root_matches_patient_keys_at_study_level():
    query = find("STUDY", PatientID="P*", PatientName="Doe", StudyDate="20240101-")

    assert conditions(query)["PatientID"] == WildCard("P*")
    assert isinstance(conditions(query)["PatientName"], PersonName)
    assert query.unsupported == ()


@pytest.mark.parametrize("keyword", ["PatientName", "PatientID", "StudyDate"])
def test_other_key_of_a_level_above_is_returned_and_not_matched(keyword):
    values: dict[str, Any] = {"StudyInstanceUID": "1.2", keyword: "20240101"}

    query = find("SERIES", **values)

    assert set(conditions(query)) == {"StudyInstanceUID"}
    assert tag(keyword) in [key.tag for key in query.return_keys]
    assert query.unsupported == (tag(keyword),)


def test_key_of_a_lower_level_is_unsupported():
    query = find("STUDY", Modality="CT", SeriesDescription="", ModalitiesInStudy="CT")

    assert conditions(query) == {"ModalitiesInStudy": SingleValue("CT")}
    assert query.unsupported == (tag("Modality"),)


def test_relational_find_matches_lower_levels():
    assert conditions(find("STUDY", options=RELATIONAL, Modality="CT")) == {"Modality": SingleValue("CT")}


def test_relational_find_has_no_level_that_the_model_has_not():
    query = find("STUDY", Model.PATIENT_STUDY_ONLY, RELATIONAL, Modality="CT")

    assert query.keys == ()
    assert query.unsupported == (tag("Modality"),)


@pytest.mark.parametrize(
    "values, unsupported",
    [
        pytest.param({"SliceThickness": "1.0"}, ["SliceThickness"], id="not in the table"),
        pytest.param({"SliceThickness": ""}, [], id="not in the table, empty"),
        pytest.param({"PatientAddress": "*"}, [], id="not in the table, universal"),
        pytest.param({"RetrieveAETitle": "PACS"}, ["RetrieveAETitle"], id="return key"),
        pytest.param({"TimezoneOffsetFromUTC": "+0100"}, [], id="says how to read the query"),
        pytest.param(
            {"ScheduledProtocolCodeSequence": {"CodeValue": "X"}}, ["ScheduledProtocolCodeSequence"], id="sequence"
        ),
        pytest.param({"ScheduledProtocolCodeSequence": {"CodeValue": ""}}, [], id="sequence of empty keys"),
    ],
)
def test_key_that_cannot_be_matched_is_named_if_it_has_a_value(values, unsupported):
    query = find("STUDY", **values)

    assert query.keys == ()
    assert query.unsupported == tuple(tag(keyword) for keyword in unsupported)


def test_return_keys_are_the_identifier_in_ascending_order():
    query = find("STUDY", StudyInstanceUID="", StudyDate="", SliceThickness="", PatientName="", SpecificCharacterSet="")

    keywords = ["StudyDate", "PatientName", "SliceThickness", "StudyInstanceUID"]
    assert [key.tag for key in query.return_keys] == [tag(keyword) for keyword in keywords]
    assert [key.level for key in query.return_keys] == [Level.STUDY, Level.PATIENT, Level.IMAGE, Level.STUDY]


# Values


def test_value_is_decoded_by_the_character_set_of_the_identifier():
    query = find("STUDY", SpecificCharacterSet="ISO_IR 100", StudyDescription="Schädel".encode("latin-1"))

    assert conditions(query) == {"StudyDescription": SingleValue("Schädel")}
    assert query.character_sets == ("ISO_IR 100",)
    assert query.is_character_set_requested


@pytest.mark.parametrize("syntax", [EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN])
def test_binary_numbers_are_read_in_every_byte_order(syntax):
    query = find("IMAGE", options=RELATIONAL, syntax=syntax, Rows=b"\0\2", Columns=b"\0\2\0\4")

    assert conditions(query) == {"Rows": SingleValue(512), "Columns": AnyOf((SingleValue(512), SingleValue(1024)))}


def test_value_that_its_vr_does_not_allow_names_the_element():
    with pytest.raises(InvalidIdentifier) as refusal:
        find("STUDY", StudyDate="yesterday")

    assert refusal.value.offending_element == tag("StudyDate")
    assert "StudyDate" in refusal.value.message


def test_wild_card_in_a_date_matches_nothing():
    assert conditions(find("STUDY", StudyDate="2024*")) == {"StudyDate": NEVER}


def test_date_and_time_are_matched_together_where_negotiated():
    values: dict[str, Any] = {"StudyDate": "20240101-20240102", "StudyTime": "12-"}

    apart, together = find("STUDY", **values), find("STUDY", options=Options(combined_date_time=True), **values)

    assert conditions(apart) == {
        "StudyDate": Range(date(2024, 1, 1), date(2024, 1, 2)),
        "StudyTime": Range(time(12), None),
    }
    first, last = datetime(2024, 1, 1, 12), datetime.combine(date(2024, 1, 2), time.max)
    assert together.keys == ()
    assert together.date_time_ranges == (DateTimeRange(BY_KEYWORD["StudyDate"], BY_KEYWORD["StudyTime"], first, last),)


def test_sequence_key_matches_one_item():
    item = {
        "ScheduledProcedureStepID": "S1",
        "RequestedProcedureID": "",
        "ScheduledProtocolCodeSequence": {"CodeValue": "X"},
    }

    query = find("SERIES", StudyInstanceUID="1.2", RequestAttributesSequence=item)

    condition = conditions(query)["RequestAttributesSequence"]
    assert isinstance(condition, SequenceItem)
    assert [(key.attribute.column, key.condition) for key in condition.keys] == [
        ("scheduled_procedure_step_id", SingleValue("S1"))
    ]
    assert query.unsupported == (tag("ScheduledProtocolCodeSequence"),)
    requested = next(key for key in query.return_keys if key.tag == tag("RequestAttributesSequence"))
    assert [key.tag for key in requested.item_keys] == [0x00400008, 0x00400009, 0x00401001]


def test_sequence_key_with_an_empty_item_is_universal():
    query = find("SERIES", StudyInstanceUID="", RequestAttributesSequence={})

    assert query.keys == ()


# Retrievals


@pytest.mark.parametrize("level", ["PATIENT", "STUDY", "SERIES", "IMAGE"])
def test_retrieval_without_keys_is_refused(level):
    with pytest.raises(MissingUniqueKey):
        retrieve(level, Model.PATIENT_ROOT)


@pytest.mark.parametrize("options", [PLAIN, RELATIONAL])
@pytest.mark.parametrize(
    "values",
    [
        pytest.param({}, id="absent"),
        pytest.param({"PatientID": ""}, id="empty"),
        pytest.param({"PatientID": "*"}, id="star"),
        pytest.param({"PatientID": "?*"}, id="any text"),
        pytest.param({"PatientID": "P1\\?*"}, id="any text as second value"),
        pytest.param({"PatientName": "Doe"}, id="another key"),
    ],
)
def test_retrieval_by_less_than_its_unique_key_is_refused(values, options):
    with pytest.raises(MissingUniqueKey) as refusal:
        retrieve("PATIENT", Model.PATIENT_ROOT, options, **values)

    assert refusal.value.offending_element == tag("PatientID")


def test_retrieval_needs_the_unique_keys_above():
    with pytest.raises(MissingUniqueKey) as refusal:
        retrieve("IMAGE", StudyInstanceUID="1.2", SOPInstanceUID="1.2.3")

    assert refusal.value.offending_element == tag("SeriesInstanceUID")


def test_relational_retrieval_needs_that_of_its_level_only():
    query = retrieve("IMAGE", options=RELATIONAL, SOPInstanceUID="1.2.3")

    assert conditions(query) == {"SOPInstanceUID": UidList(("1.2.3",))}


def test_retrieval_takes_a_list_of_uids():
    query = retrieve("SERIES", StudyInstanceUID="1.2", SeriesInstanceUID="1.3\\1.4")

    assert conditions(query)["SeriesInstanceUID"] == UidList(("1.3", "1.4"))


def test_other_keys_of_the_query_level_narrow_a_retrieval():
    query = retrieve("STUDY", StudyInstanceUID="1.2", AccessionNumber="A1")

    assert set(conditions(query)) == {"StudyInstanceUID", "AccessionNumber"}


def test_every_operation_has_its_sop_class():
    assert {Operation.of_sop_class(f"1.2.840.10008.5.1.4.1.2.2.{number}") for number in (1, 2, 3)} == set(Operation)
