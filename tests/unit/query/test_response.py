"""Rows become identifiers, as pydicom reads them."""

import zlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset

from archive.dicom.attributes import BY_KEYWORD, Level
from archive.dicom.encode import ENCODERS, Element, encode, parse
from archive.dicom.uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from archive.query.model import Model, Query, ReturnKey
from archive.query.response import Source, plan, wanted_elements

SLICE_THICKNESS = ReturnKey(0x00180050, "DS", Level.IMAGE, None)
ADDRESS = ReturnKey(0x00101040, "LO", Level.PATIENT, None)


def key(keyword, *item_keys):
    attribute = BY_KEYWORD[keyword]
    return ReturnKey(attribute.tag, attribute.vr, attribute.level, attribute, item_keys)


def query(*return_keys, level=Level.STUDY, **values):
    return Query(Model.STUDY_ROOT, level, keys=(), return_keys=return_keys, **values)


def answer(asked, syntax=EXPLICIT_VR_LITTLE_ENDIAN, title="ARCHIVE", **columns) -> Dataset:
    made = plan(asked, syntax, title)
    data = made.encode(tuple(columns.get(source.column) for source in made.columns))
    return read(data, syntax)


def read(data, syntax) -> Dataset:
    meta = encode([Element(0x00020010, "UI", syntax.encode())], EXPLICIT_VR_LITTLE_ENDIAN)
    return dcmread(BytesIO(bytes(128) + b"DICM" + meta + data))


def deflated(*elements):
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(encode(elements, EXPLICIT_VR_LITTLE_ENDIAN)) + deflater.flush()


def test_plan_names_the_columns_it_needs():
    made = plan(query(key("StudyDate"), key("Modality")), EXPLICIT_VR_LITTLE_ENDIAN, "ARCHIVE")

    assert made.columns == (Source(Level.STUDY, "study_date_text"), Source(Level.STUDY, "study_instance_uid"))


@pytest.mark.parametrize("syntax", ENCODERS)
def test_answer_is_readable_in_every_transfer_syntax(syntax):
    asked = query(
        key("StudyDate"), key("PatientName"), key("Rows"), key("NumberOfSeriesRelatedInstances"), level=Level.IMAGE
    )

    found = answer(
        asked,
        syntax,
        study_date_text="20240102",
        patient_name_alphabetic="Doe^John",
        rows=512,
        number_of_instances=7,
        study_instance_uid="1.2.3",
        series_instance_uid="1.2.3.4",
        sop_instance_uid="1.2.3.4.5",
    )

    assert [element.tag for element in found] == sorted(element.tag for element in found)
    assert found.QueryRetrieveLevel == "IMAGE"
    assert found.RetrieveAETitle == "ARCHIVE"
    assert (found.StudyDate, found.PatientName, found.Rows) == ("20240102", "Doe^John", 512)
    assert found.NumberOfSeriesRelatedInstances == 7
    uids = (found.StudyInstanceUID, found.SeriesInstanceUID, found.SOPInstanceUID)
    assert uids == ("1.2.3", "1.2.3.4", "1.2.3.4.5")
    assert "SpecificCharacterSet" not in found


def test_attribute_without_a_value_is_answered_empty_and_a_lower_one_not_at_all():
    found = answer(query(key("StudyDate"), key("PatientName"), key("Modality"), ADDRESS, SLICE_THICKNESS))

    assert found["StudyDate"].is_empty
    assert found["PatientName"].is_empty
    assert found["PatientAddress"].is_empty
    assert "Modality" not in found
    assert "SliceThickness" not in found


def test_retrieve_ae_title_is_left_out_where_there_is_none():
    assert "RetrieveAETitle" not in answer(query(), title="")
    assert answer(query(key("RetrieveAETitle")), title="")["RetrieveAETitle"].is_empty


def test_retrieve_ae_title_needs_no_column():
    made = plan(query(key("RetrieveAETitle")), EXPLICIT_VR_LITTLE_ENDIAN, "ARCHIVE")

    assert made.columns == (Source(Level.STUDY, "study_instance_uid"),)
    assert answer(query(key("RetrieveAETitle"))).RetrieveAETitle == "ARCHIVE"


def test_instance_availability_is_answered_when_asked_for():
    assert "InstanceAvailability" not in answer(query())
    assert answer(query(key("InstanceAvailability"))).InstanceAvailability == "ONLINE"


@pytest.mark.parametrize(
    "asked, name, character_set",
    [
        pytest.param(None, "Doe", None, id="ASCII, nothing asked"),
        pytest.param((), "Doe", "", id="ASCII, asked without a value"),
        pytest.param(("ISO_IR 100",), "Doe", "ISO_IR 100", id="ASCII, asked"),
        pytest.param(None, "Müller", "ISO_IR 192", id="Latin, nothing asked"),
        pytest.param((), "Müller", "ISO_IR 192", id="Latin, asked without a value"),
        pytest.param(("ISO_IR 100",), "Müller", "ISO_IR 100", id="Latin fits"),
        pytest.param(("ISO_IR 100",), "山田", "ISO_IR 192", id="Japanese does not fit"),
        pytest.param(("", "ISO 2022 IR 87"), "山田", ["", "ISO 2022 IR 87"], id="Japanese with code extensions"),
        pytest.param(("FOO",), "Müller", "ISO_IR 192", id="unknown set"),
    ],
)
def test_answer_goes_in_the_set_asked_for_when_it_fits(asked, name, character_set):
    wanted = query(key("PatientName"), character_sets=asked or (), is_character_set_requested=asked is not None)

    found = answer(wanted, patient_name_alphabetic=name)

    assert found.get("SpecificCharacterSet") == character_set
    assert ("SpecificCharacterSet" in found) == (character_set is not None)
    assert str(found.PatientName) == name


def test_text_outside_the_character_set_vrs_stays_in_the_default_repertoire():
    found = answer(query(key("PatientSex"), key("PatientName")), patient_sex="Ä", patient_name_alphabetic="Ä")

    assert (found.PatientSex, str(found.PatientName)) == ("?", "Ä")


@pytest.mark.parametrize(
    "groups, name",
    [
        (("Yamada^Tarou", "山田^太郎", "やまだ^たろう"), "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (("Yamada", None, "やまだ"), "Yamada==やまだ"),
        ((None, "山田", None), "=山田"),
        (("A\\B", "\\山", None), "A\\B=山"),
    ],
)
def test_name_is_joined_from_its_groups(groups, name):
    columns = {
        f"other_patient_names_{group}": text
        for group, text in zip(("alphabetic", "ideographic", "phonetic"), groups, strict=True)
    }

    found = answer(query(key("OtherPatientNames")), **columns)

    names = found.OtherPatientNames
    assert (str(names) if isinstance(names, str) or "\\" not in name else "\\".join(map(str, names))) == name


def test_attribute_without_a_column_comes_from_the_rest_of_its_level():
    rest = deflated(Element(ADDRESS.tag, "LO", "Straße 1".encode("latin-1")), Element(0x00102150, "LO", b"XY"))

    found = answer(query(ADDRESS), rest=rest, specific_character_set="ISO_IR 100")

    assert found.PatientAddress == "Straße 1"
    assert found.SpecificCharacterSet == "ISO_IR 192"
    assert "CountryOfResidence" not in found


def test_rest_of_the_header_is_written_in_the_byte_order_of_the_answer():
    pixels = ReturnKey(0x00280002, "US", Level.IMAGE, None)

    found = answer(
        query(pixels, level=Level.IMAGE), EXPLICIT_VR_BIG_ENDIAN, rest=deflated(Element(pixels.tag, "US", b"\3\0"))
    )

    assert found.SamplesPerPixel == 3


SCHEDULED_ID = ReturnKey(0x00400009, "SH", Level.IMAGE, None)
REQUESTED_ID = ReturnKey(0x00401001, "SH", Level.IMAGE, None)
DESCRIPTION = Element(0x00400007, "LO", b"K\xf6pf")


@pytest.mark.parametrize("syntax", [IMPLICIT_VR_LITTLE_ENDIAN, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN])
def test_sequence_is_limited_to_the_item_keys(syntax):
    item = (DESCRIPTION, Element(SCHEDULED_ID.tag, "SH", b"S1"))
    asked = query(key("RequestAttributesSequence", SCHEDULED_ID, REQUESTED_ID), level=Level.SERIES)

    found = answer(asked, syntax, rest=deflated(Element(0x00400275, "SQ", (item, item))))

    assert len(found.RequestAttributesSequence) == 2
    only = found.RequestAttributesSequence[0]
    assert only.ScheduledProcedureStepID == "S1"
    assert only["RequestedProcedureID"].is_empty
    assert "ScheduledProcedureStepDescription" not in only


def test_whole_sequence_is_answered_in_one_character_set():
    item = (Element(0x00080005, "CS", b"ISO_IR 100"), DESCRIPTION)
    asked = query(key("RequestAttributesSequence"), level=Level.SERIES)

    found = answer(asked, rest=deflated(Element(0x00400275, "SQ", (item,))), specific_character_set="ISO_IR 144")

    assert found.SpecificCharacterSet == "ISO_IR 192"
    assert found.RequestAttributesSequence[0].ScheduledProcedureStepDescription == "Köpf"
    assert "SpecificCharacterSet" not in found.RequestAttributesSequence[0]


def test_row_without_a_rest_answers_empty():
    found = answer(query(key("RequestAttributesSequence"), key("TimezoneOffsetFromUTC"), level=Level.SERIES))

    assert len(found.RequestAttributesSequence) == 0
    assert found["TimezoneOffsetFromUTC"].is_empty


NESTED = (
    b"\x40\x00\x75\x02SQ\0\0\xff\xff\xff\xff"
    + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    + encode([DESCRIPTION], EXPLICIT_VR_LITTLE_ENDIAN)
    + b"\xfe\xff\x0d\xe0\0\0\0\0"
    + b"\xfe\xff\xdd\xe0\0\0\0\0"
)  # undefined lengths (PS3.5 7.5.2)


@given(st.lists(st.sampled_from([0x00100010, 0x00180050, 0x00400275, 0x00420011, 0x00420013]), unique=True), st.data())
def test_wanted_elements_are_those_of_a_whole_parse(tags, data):
    wanted = data.draw(st.sets(st.sampled_from([0x00100010, 0x00180050, 0x00400275, 0x00420011, 0x00420013])))
    rest = b"".join(
        NESTED
        if tag == 0x00400275
        else encode([Element(tag, "OB" if tag > 0x00420000 else "LO", b"ab")], EXPLICIT_VR_LITTLE_ENDIAN)
        for tag in sorted(tags)
    )

    found = wanted_elements(rest, wanted)

    assert found == [element for element in parse(rest, EXPLICIT_VR_LITTLE_ENDIAN) if element.tag in wanted]
