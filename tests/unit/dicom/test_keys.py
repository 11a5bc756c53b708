"""keys.py: what is typed behind -k, and what it makes of an identifier."""

import os
import struct

import pytest

from archive.dicom import keys
from archive.dicom.encode import Element
from archive.errors import Misconfigured

STEPS = 0x00400100  # Scheduled Procedure Step Sequence
MODALITY = 0x00080060
NAME = 0x00100010
CHARACTER_SET = 0x00080005


def applied(*typed: str, to: tuple[Element, ...] = ()) -> tuple[Element, ...]:
    return keys.applied(to, [keys.read(each) for each in typed])


def value(typed: str) -> bytes:
    [element] = applied(typed)
    assert isinstance(element.value, bytes)
    return element.value


@pytest.mark.parametrize(
    "typed, path, text",
    [
        ("0010,0010=Miller*", (NAME,), "Miller*"),
        ("(0010,0010)=Miller*", (NAME,), "Miller*"),
        ("10,10=Miller*", (NAME,), "Miller*"),
        ("PatientName=Miller*", (NAME,), "Miller*"),
        ("PatientsName=Miller*", (NAME,), "Miller*"),
        ("PatientName", (NAME,), ""),
        ("PatientName=", (NAME,), ""),
        ("StudyDescription=a=b.c[0](x)", (0x00081030,), "a=b.c[0](x)"),
        ("RETIRED_StudyComponentStatusID", (0x00321055,), ""),
        ("(0040,0100)[0].Modality=MR", (STEPS, 0, MODALITY), "MR"),
        ("0040,0100[0].0008,0060=MR", (STEPS, 0, MODALITY), "MR"),
        ("ScheduledProcedureStepSequence[2].(0008,0060)", (STEPS, 2, MODALITY), ""),
        ("ScheduledProcedureStepSequence[0]Modality=MR", (STEPS, 0, MODALITY), "MR"),
        ("ScheduledProcedureStepSequence", (STEPS,), ""),
        ("ScheduledProcedureStepSequence[0]", (STEPS, 0), ""),
        ("0019,1001=00\\FF", (0x00191001,), "00\\FF"),
    ],
)
def test_a_key_is_a_path_and_a_value(typed: str, path: tuple[int, ...], text: str) -> None:
    assert keys.read(typed) == keys.Key(path, text)


@pytest.mark.parametrize(
    "typed, said",
    [
        ("NoSuchName=1", "dictionary name not found in dictionary: NoSuchName"),
        ("patientname=1", "dictionary name not found in dictionary: patientname"),
        ("", "bad key format"),
        ("=x", "bad key format"),
        ("0010", "bad key format"),
        ("0010,0010,0010=x", "bad key format"),
        ("(0010,0010=x", "bad key format"),
        ("00100010=x", "bad key format"),
        ("Pätient=x", "bad key format"),
        ("PatientName.Modality=x", "bad key format"),
        ("(0040,0100).Modality=x", "bad key format"),
        ("(0040,0100)[*].Modality=x", "bad key format"),
        ("(0040,0100)[-1].Modality=x", "bad key format"),
        ("(0040,0100)[0].=x", "bad key format"),
        ("(0040,0100)[0]..Modality", "bad key format"),
        ("(0040,0100)[1000].Modality=x", "beyond the limit of 1000 items"),
        ("(0040,0100)[0]=x", "an item of a sequence has no value"),
        ("0000,0900=0", r"unknown tag: \(0000,0900\)"),
        ("0002,0010=1.2", "unknown tag"),
        ("0008,0000=4", "unknown tag"),
        ("fffe,e000", "unknown tag"),
        ("(0040,0100)[0]." * 65 + "Modality", "nested too deeply"),
    ],
)
def test_a_key_that_is_none_is_said_so(typed: str, said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        keys.read(typed)


def test_keys_make_an_identifier_in_the_order_of_tags() -> None:
    found = applied("PatientID", "PatientName=Miller*", "QueryRetrieveLevel=STUDY")

    assert found == (
        Element(0x00080052, "CS", b"STUDY"),
        Element(NAME, "PN", b"Miller*"),
        Element(0x00100020, "LO", b""),
    )


def test_of_two_alike_the_later_counts() -> None:
    assert applied("PatientID=1", "PatientID=22", "0010,0020=33") == (Element(0x00100020, "LO", b"33"),)
    assert applied("PatientID=1", "PatientID") == (Element(0x00100020, "LO", b""),)


def test_a_path_makes_the_items_that_it_needs_whatever_the_order() -> None:
    first = ("(0040,0100)[0].Modality=MR", "(0040,0100)[1].ScheduledStationAETitle=A")
    second = (first[1], "ScheduledProcedureStepSequence", first[0])
    expected = (
        Element(
            STEPS,
            "SQ",
            ((Element(MODALITY, "CS", b"MR"),), (Element(0x00400001, "AE", b"A"),)),
        ),
    )

    assert applied(*first) == applied(*second) == expected
    assert applied("(0040,0100)[1]") == (Element(STEPS, "SQ", ((), ())),)
    assert applied("(0040,0100)") == (Element(STEPS, "SQ", ()),)


def test_keys_replace_what_a_query_file_asks_and_leave_the_rest() -> None:
    asked = (
        Element(0x00100020, "LO", b"4711"),
        Element(NAME, "PN", b"Old "),
        Element(STEPS, "SQ", ((Element(MODALITY, "CS", b"CT"), Element(0x00400001, "AE", b"A")),)),
    )

    found = applied("PatientName=New", "(0040,0100)[0].Modality=MR", to=asked)

    assert found == (
        Element(NAME, "PN", b"New"),
        Element(0x00100020, "LO", b"4711"),
        Element(STEPS, "SQ", ((Element(MODALITY, "CS", b"MR"), Element(0x00400001, "AE", b"A")),)),
    )


def test_the_vr_of_a_query_file_counts_where_it_says_one() -> None:
    odd = Element(0x00191001, "LO", b"x ")

    assert applied("0019,1001=Miller", to=(odd,)) == (Element(0x00191001, "LO", b"Miller"),)


def test_a_private_attribute_goes_by_its_creator() -> None:
    found = applied("0019,100c=100", "0019,0010=SIEMENS MR HEADER")

    assert found == (Element(0x00190010, "LO", b"SIEMENS MR HEADER"), Element(0x0019100C, "IS", b"100"))


@pytest.mark.parametrize(
    "typed, expected",
    [
        ("Rows=512", struct.pack("<H", 512)),
        ("Rows=1\\2", struct.pack("<2H", 1, 2)),
        ("(0018,9087)=0.5", struct.pack("<d", 0.5)),
        ("(0008,2130)=-1.5", b"-1.5"),
        ("(0028,0009)=0018,1063\\(0018,1065)", struct.pack("<4H", 0x18, 0x1063, 0x18, 0x1065)),
        ("0019,1001=0\\ff", b"\0\xff"),
        ("(5400,1010)=01ff", b"\xff\x01"),
        ("StudyInstanceUID=1.2.3", b"1.2.3"),
        ("ModalitiesInStudy=CT\\MR", b"CT\\MR"),
        ("(0028,0106)=7", b"\x07\0"),
    ],
)
def test_a_value_is_what_its_vr_says(typed: str, expected: bytes) -> None:
    assert value(typed) == expected


@pytest.mark.parametrize(
    "typed, said",
    [
        ("Rows=many", r'cannot put tag value: \(0028,0010\)="many": VR US holds numbers'),
        ("Rows=70000", "beyond what VR US holds"),
        ("Rows=-1", "beyond what VR US holds"),
        ("(0028,0009)=Rows", "VR AT holds tags"),
        ("0019,1001=Miller", "VR UN holds hexadecimal numbers"),
        ("(0040,0100)=x", "a sequence has items, and no value"),
        ("PatientName[0].Modality=x", "is no sequence"),
        ("StudyDate=2026–2027", "VR DA holds ASCII only"),
    ],
)
def test_a_value_that_cannot_be_is_said_so(typed: str, said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        applied(typed)


def test_text_beyond_ascii_is_sent_in_utf_8_where_nothing_else_is_said() -> None:
    expected = (Element(CHARACTER_SET, "CS", b"ISO_IR 192"), Element(NAME, "PN", "Müller*".encode()))
    ascii_only = applied("PatientName=Miller")

    assert applied("PatientName=Müller*") == expected
    assert applied("PatientName=Müller*", "SpecificCharacterSet") == expected
    assert ascii_only == (Element(NAME, "PN", b"Miller"),)


def test_text_beyond_ascii_is_sent_in_the_character_set_that_is_said() -> None:
    latin = Element(CHARACTER_SET, "CS", b"ISO_IR 100")

    by_key = applied("PatientName=Müller", "SpecificCharacterSet=ISO_IR 100")
    by_file = applied("PatientName=Müller", to=(latin,))

    assert by_key == by_file == (latin, Element(NAME, "PN", "Müller".encode("latin-1")))
    japanese = applied("PatientName=Yamada=山田", "SpecificCharacterSet=\\ISO 2022 IR 87")
    assert japanese[1].value == b"Yamada=\x1b$B;3ED\x1b(B"


def test_an_item_has_the_character_set_of_the_data_set_around_it() -> None:
    found = applied("(0040,0100)[0].ScheduledProcedureStepDescription=Schädel", "SpecificCharacterSet=ISO_IR 100")

    assert found[1].value == ((Element(0x00400007, "LO", "Schädel".encode("latin-1")),),)


def test_text_that_does_not_fit_its_character_set_is_a_mistake() -> None:
    with pytest.raises(Misconfigured, match="it does not fit the Specific Character Set ISO_IR 100"):
        applied("PatientName=山田", "SpecificCharacterSet=ISO_IR 100")


def test_bytes_that_are_no_text_of_the_terminal_are_sent_as_they_are() -> None:
    typed = os.fsdecode("PatientName=Müller".encode("latin-1"))

    assert applied(typed) == (Element(NAME, "PN", "Müller".encode("latin-1")),)
    assert applied("PatientName=\x1b$B;3ED\x1b(B") == (Element(NAME, "PN", b"\x1b$B;3ED\x1b(B"),)


def test_old_receivers_get_no_vr_of_later_times() -> None:
    found = keys.with_old_vrs(
        applied("(0040,0100)[0].(0019,1001)=00", "(0008,0120)=http://x", "LongCodeValue", "PatientID")
    )

    assert [element.vr for element in found] == ["OB", "OB", "LO", "SQ"]
    assert found[3].value == ((Element(0x00191001, "OB", b"\0\0"),),)
