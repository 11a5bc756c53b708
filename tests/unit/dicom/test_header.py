"""header.py: what the scan finds, where it stops, and what it refuses."""

import mmap
import pickle
import struct
import zlib
from pathlib import Path

import pytest

from archive import errors
from archive.dicom.attributes import Level
from archive.dicom.encode import Element, element, encode
from archive.dicom.header import MAX_REST_BYTES, scan
from archive.dicom.uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)

EXPLICIT = EXPLICIT_VR_LITTLE_ENDIAN
SYNTAXES = (EXPLICIT, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)
PIXELS = Element(0x7FE00010, "OW", bytes(64))
ELEMENTS = (
    Element(0x00080005, "CS", b"ISO_IR 100"),
    Element(0x00080016, "UI", b"1.2.840.10008.5.1.4.1.1.2"),
    Element(0x00080018, "UI", b"1.2.3.4"),
    Element(0x00080201, "SH", b"+0100"),
    Element(0x00081090, "LO", b"Scanner 1"),
    Element(0x00100010, "PN", b"M\xfcller^J\xf6rg"),
    Element(0x00100020, "LO", b" A \\ B "),
    Element(0x00104000, "LT", b" two\\lines "),
    Element(0x00181111, "DS", b"1.5"),
    Element(0x0020000D, "UI", b"1.2.3"),
    Element(0x0020000E, "UI", b"1.2.3.5"),
    Element(0x00280010, "US", struct.pack("<H", 512)),
    Element(
        0x00400275,
        "SQ",
        ((Element(0x00401001, "SH", b"RP1"),), (Element(0x00401001, "SH", b"RP2"), Element(0x00400009, "SH", b"S2"))),
    ),
    PIXELS,
)
SEQUENCE_START = b"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff"
ITEM_START = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
ITEM_END = b"\xfe\xff\x0d\xe0\x00\x00\x00\x00"
SEQUENCE_END = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
PATIENT_ID = element(0x00100020, "LO", b"P1", EXPLICIT)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_header_that_is_detached_says_the_same_elsewhere_without_the_pixels(syntax: str) -> None:
    pixels = Element(0x7FE00010, "OW", bytes(100_000))
    header = scan(encode((*ELEMENTS[:-1], pixels), syntax), syntax, is_whole=True)

    sent = pickle.dumps(header.detached())
    there = pickle.loads(sent)

    assert len(sent) < 2000
    assert there.tags == header.tags
    assert (there.character_sets, there.series_instance_uid) == (header.character_sets, header.series_instance_uid)
    assert [there.text(tag) for tag in header.tags] == [header.text(tag) for tag in header.tags]
    assert [there.rest(level) for level in Level] == [header.rest(level) for level in Level]
    assert [item.raws(item.tags) for item in there.items(0x00400275)] == [
        item.raws(item.tags) for item in header.items(0x00400275)
    ]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_scan_finds_values_in_every_uncompressed_syntax(syntax: str) -> None:
    header = scan(encode(ELEMENTS, syntax), syntax, is_whole=True)

    assert header.complete
    assert header.character_sets == ("ISO_IR 100",)
    assert header.sop_class_uid == "1.2.840.10008.5.1.4.1.1.2"
    assert header.sop_instance_uid == "1.2.3.4"
    assert header.study_instance_uid == "1.2.3"
    assert header.series_instance_uid == "1.2.3.5"
    assert header.text(0x00100010) == "Müller^Jörg"
    assert header.text(0x00100020) == "A\\B"
    assert header.text(0x00104000) == " two\\lines"
    assert header.text(0x00280010) == "512"
    assert header.raw(0x00280010) == struct.pack("<H", 512)
    assert header.text(0x7FE00010) is None
    assert header.text(0x00400275) is None
    assert [item.text(0x00401001) for item in header.items(0x00400275)] == ["RP1", "RP2"]
    assert header.items(0x00400275)[1].character_sets == ("ISO_IR 100",)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_rest_holds_what_has_no_column_at_its_level(syntax: str) -> None:
    header = scan(encode(ELEMENTS, syntax), syntax, is_whole=True)

    def tags(level: Level) -> list[int]:
        return list(scan(header.rest(level), EXPLICIT, is_whole=True).tags)

    every = [0x00080005, 0x00080201]
    assert tags(Level.PATIENT) == every
    assert tags(Level.STUDY) == every
    assert tags(Level.SERIES) == [*every, 0x00081090, 0x00400275]
    assert tags(Level.IMAGE) == [*every, 0x00181111]


def test_rest_leaves_bulk_out_and_stays_small() -> None:
    long_texts = [Element(0x00190010 + number, "UT", b"x" * 9000) for number in range(20)]
    elements = (
        Element(0x00091001, "OB", bytes(2000)),
        Element(0x00091002, "OB", bytes(1000)),
        Element(0x00091003, "UT", b"x" * 20000),
        *long_texts,
    )

    rest = scan(encode(elements, EXPLICIT), EXPLICIT, is_whole=True).rest(Level.IMAGE)

    tags = scan(rest, EXPLICIT, is_whole=True).tags
    assert len(rest) <= MAX_REST_BYTES
    assert 0x00091002 in tags
    assert not {0x00091001, 0x00091003} & set(tags)


def test_header_without_pixels_is_complete_only_when_nothing_follows() -> None:
    assert scan(PATIENT_ID, EXPLICIT, is_whole=True).complete
    assert not scan(PATIENT_ID, EXPLICIT).complete
    assert scan(b"", EXPLICIT, is_whole=True).complete
    assert not scan(b"", EXPLICIT).complete


def test_padding_after_the_last_element_is_no_element() -> None:
    for padding in (b"\0", bytes(7), bytes(100)):
        header = scan(PATIENT_ID + padding, EXPLICIT, is_whole=True)

        assert header.complete
        assert header.tags == (0x00100020,)


def test_header_that_ends_in_the_middle_of_an_element_is_not_complete() -> None:
    for size_bytes in range(1, len(PATIENT_ID)):
        header = scan(PATIENT_ID + PATIENT_ID[:size_bytes], EXPLICIT, is_whole=True)

        assert not header.complete, size_bytes


def test_header_can_be_scanned_in_a_memory_mapped_file(tmp_path: Path) -> None:
    path = tmp_path / "data_set"
    path.write_bytes(encode(ELEMENTS, EXPLICIT))

    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        header = scan(mapped, EXPLICIT)

        assert header.complete
        assert header.text(0x00100010) == "Müller^Jörg"
    assert scan(memoryview(encode(ELEMENTS, EXPLICIT)), EXPLICIT).text(0x00100020) == "A\\B"


def test_private_sequence_of_unknown_vr_is_skipped_as_implicit() -> None:
    inside = element(0x00091002, "UN", b"ab", IMPLICIT_VR_LITTLE_ENDIAN)
    sequence = b"\x09\x00\x01\x10UN\x00\x00\xff\xff\xff\xff" + ITEM_START + inside + ITEM_END + SEQUENCE_END

    header = scan(sequence + PATIENT_ID, EXPLICIT, is_whole=True)

    assert header.tags == (0x00091001, 0x00100020)
    assert [item.tags for item in header.items(0x00091001)] == [(0x00091002,)]


def test_sequences_in_sequences_of_undefined_length_are_skipped() -> None:
    inner = SEQUENCE_START + ITEM_START + PATIENT_ID + ITEM_END + SEQUENCE_END
    data = SEQUENCE_START + ITEM_START + inner + ITEM_END + ITEM_START + ITEM_END + SEQUENCE_END + PATIENT_ID

    header = scan(data, EXPLICIT, is_whole=True)

    assert header.text(0x00100020) == "P1"
    assert len(header.items(0x00081140)) == 2
    assert header.items(0x00081140)[0].items(0x00081140)[0].text(0x00100020) == "P1"


def test_a_vr_nobody_knows_goes_the_plain_lane() -> None:
    new_vr = b"\x09\x00\x01\x10ZZ\x00\x00\x04\x00\x00\x00abcd"
    no_vr = b"\x09\x00\x02\x10??\x02\x00ab"

    header = scan(new_vr + no_vr + PATIENT_ID, EXPLICIT, is_whole=True)

    assert header.complete
    assert header.raw(0x00091001) == b"abcd"
    assert header.raw(0x00091002) == b"ab"
    assert header.text(0x00100020) == "P1"


def test_data_set_in_another_syntax_than_declared_is_understood() -> None:
    implicit = encode(ELEMENTS, IMPLICIT_VR_LITTLE_ENDIAN)
    explicit = encode(ELEMENTS, EXPLICIT)

    assert scan(implicit, EXPLICIT).study_instance_uid == "1.2.3"
    assert scan(explicit, IMPLICIT_VR_LITTLE_ENDIAN).study_instance_uid == "1.2.3"


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT_VR_LITTLE_ENDIAN])
def test_an_element_that_comes_twice_has_its_last_value(syntax: str) -> None:
    first = element(0x00181111, "DS", b"1", syntax) + element(0x00181110, "DS", b"7", syntax)
    second = element(0x00181111, "DS", b"2345", syntax)

    header = scan(first + second, syntax, is_whole=True)

    assert header.text(0x00181111) == "2345"
    rest = scan(header.rest(Level.IMAGE), EXPLICIT, is_whole=True)
    assert (rest.text(0x00181111), rest.text(0x00181110)) == ("2345", "7")


def test_group_lengths_are_not_kept() -> None:
    group_length = element(0x00180000, "UL", bytes(4), EXPLICIT)

    header = scan(group_length + element(0x00181111, "DS", b"1", EXPLICIT), EXPLICIT, is_whole=True)

    assert scan(header.rest(Level.IMAGE), EXPLICIT, is_whole=True).tags == (0x00181111,)


def test_sequences_nested_too_deeply_are_refused() -> None:
    data = (SEQUENCE_START + ITEM_START) * 5000

    with pytest.raises(errors.UnreadableDataSet):
        scan(data, EXPLICIT, is_whole=True)


def test_more_elements_than_any_object_has_are_refused() -> None:
    data = element(0x00091001, "LO", b"", EXPLICIT) * 300_000

    with pytest.raises(errors.UnreadableDataSet):
        scan(data, EXPLICIT, is_whole=True)


def test_deflated_header_that_never_ends_is_refused() -> None:
    huge = element(0x00091001, "UT", bytes(70 << 20), EXPLICIT)
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    bomb = deflate.compress(huge) + deflate.flush()

    with pytest.raises(errors.UnreadableDataSet):
        scan(bomb, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, is_whole=True)


def test_deflated_rubbish_is_refused() -> None:
    with pytest.raises(errors.UnreadableDataSet):
        scan(b"\xff" * 50, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, is_whole=True)


def test_text_in_the_middle_of_the_data_set_is_refused() -> None:
    with pytest.raises(errors.UnreadableDataSet):
        scan(PATIENT_ID + SEQUENCE_START + b"this is no item at all", EXPLICIT, is_whole=True)
