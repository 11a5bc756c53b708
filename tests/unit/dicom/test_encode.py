"""encode.py: elements to bytes and back, within bounds."""

import struct

import pytest

from archive import errors
from archive.dicom.encode import ENCODERS, MAX_ELEMENTS, Element, element, encode, parse
from archive.dicom.uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)

EXPLICIT, IMPLICIT, BIG = EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN


@pytest.mark.parametrize(
    "vr, value, syntax, expected",
    [
        ("LO", b"P1", EXPLICIT, b"\x10\x00\x20\x00LO\x02\x00P1"),
        ("LO", b"P", EXPLICIT, b"\x10\x00\x20\x00LO\x02\x00P "),
        ("UI", b"1.2", EXPLICIT, b"\x10\x00\x20\x00UI\x04\x001.2\x00"),
        ("UT", b"a", EXPLICIT, b"\x10\x00\x20\x00UT\x00\x00\x02\x00\x00\x00a "),
        ("LO", b"P1", IMPLICIT, b"\x10\x00\x20\x00\x02\x00\x00\x00P1"),
        ("LO", b"P1", BIG, b"\x00\x10\x00\x20LO\x00\x02P1"),
        ("US", b"\x01\x02", BIG, b"\x00\x10\x00\x20US\x00\x02\x02\x01"),
        ("UL", b"\x01\x02\x03\x04", BIG, b"\x00\x10\x00\x20UL\x00\x04\x04\x03\x02\x01"),
        ("LO", b"", EXPLICIT, b"\x10\x00\x20\x00LO\x00\x00"),
    ],
)
def test_element_is_written_as_the_standard_says(vr: str, value: bytes, syntax: str, expected: bytes) -> None:
    assert element(0x00100020, vr, value, syntax) == expected


@pytest.mark.parametrize("syntax", [EXPLICIT, BIG])
def test_value_too_long_for_its_length_field_is_written_as_un(syntax: str) -> None:
    data = element(0x00200032, "DS", b"1" * 70_001, syntax)

    assert parse(data, syntax) == [Element(0x00200032, "UN", b"1" * 70_001 + b" ")]


@pytest.mark.parametrize("length", [0, 1, 126, 127, 128, 129, 65534])
def test_length_of_every_size_is_right(length: int) -> None:
    for syntax in ENCODERS:
        data = encode([Element(0x00100020, "LT", b"x" * length)], syntax)

        assert parse(data, syntax) == [
            Element(0x00100020, "LO" if syntax == IMPLICIT else "LT", b"x" * length + b" " * (length & 1))
        ]


def test_deflated_data_set_has_an_even_length() -> None:
    for length in range(1, 20):
        data = encode([Element(0x00100020, "LO", b"x" * length)], DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)

        assert len(data) % 2 == 0


def test_group_lengths_are_left_out() -> None:
    data = element(0x00080000, "UL", struct.pack("<I", 20), EXPLICIT) + element(0x00080052, "CS", b"STUDY", EXPLICIT)

    assert parse(data, EXPLICIT) == [Element(0x00080052, "CS", b"STUDY ")]


def test_sequence_of_undefined_length_is_parsed() -> None:
    item = element(0x00401001, "SH", b"RP", EXPLICIT)
    data = (
        b"\x40\x00\x75\x02SQ\x00\x00\xff\xff\xff\xff"
        + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
        + item
        + b"\xfe\xff\x0d\xe0\x00\x00\x00\x00"
        + b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
    )

    assert parse(data, EXPLICIT) == [Element(0x00400275, "SQ", ((Element(0x00401001, "SH", b"RP"),),))]


@pytest.mark.parametrize(
    "data",
    [
        b"\x10\x00\x20\x00LO\x04\x00P1",
        b"\x10\x00\x20",
        b"\x40\x00\x75\x02SQ\x00\x00\xff\xff\xff\xff",
        b"\x40\x00\x75\x02SQ\x00\x00\x08\x00\x00\x00\x10\x00\x20\x00LO\x00\x00",
        b"\xfe\xff\x00\xe0\x00\x00\x00\x00",
        (b"\x40\x00\x75\x02SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff") * 500,
        b"\x10\x00\x20\x00LO\x00\x00" * (MAX_ELEMENTS + 1),
        bytes(2 << 20),
    ],
    ids=["cut value", "cut tag", "no end", "no item", "stray item", "too deep", "too many", "too large"],
)
def test_damaged_or_excessive_identifier_is_refused(data: bytes) -> None:
    with pytest.raises(errors.UnreadableDataSet):
        parse(data, EXPLICIT)


def test_deflated_identifier_that_grows_without_bound_is_refused() -> None:
    bomb = encode([Element(0x00100020, "UT", bytes(8 << 20))], DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)

    with pytest.raises(errors.UnreadableDataSet):
        parse(bomb, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)
