"""What a file of unknown origin is taken for, and whether its pixels are all there."""

import struct

import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from archive.dicom import header, recognize
from archive.errors import UnreadableDataSet
from tests.fix_instances import encoded, instance, part10_bytes


def is_cut(content: bytes) -> bool:
    """The judgement about a file."""
    recognized = recognize.recognize(content)
    scanned = header.scan(content[recognized.data_set_offset :], recognized.transfer_syntax_uid, is_whole=True)
    read = lambda position, most_bytes: content[position : position + most_bytes]  # noqa: E731
    return recognize.is_cut_short(scanned, recognized, read, len(content))


def encapsulated(*frames: bytes) -> bytes:
    data_set = instance(transfer_syntax=RLELossless, NumberOfFrames=len(frames))
    data_set.PixelData = encapsulate(list(frames))
    data_set["PixelData"].is_undefined_length = True
    data_set["PixelData"].VR = "OB"
    return part10_bytes(data_set)


def test_a_part_10_file_says_what_it_is():
    data_set = instance(transfer_syntax=ImplicitVRLittleEndian)
    data_set.file_meta.SourceApplicationEntityTitle = "CT1"

    found = recognize.recognize(part10_bytes(data_set))

    assert (found.transfer_syntax_uid, found.has_meta) == (ImplicitVRLittleEndian, True)
    assert found.source_ae_title == "CT1"
    assert part10_bytes(data_set)[found.data_set_offset :] == encoded(data_set)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_a_bare_data_set_is_taken_for_what_it_looks_like(syntax):
    found = recognize.recognize(encoded(instance(transfer_syntax=syntax)))

    assert (found.transfer_syntax_uid, found.data_set_offset, found.has_meta) == (syntax, 0, False)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"DICM",
        b"\x08\x00\x05",
        bytes(132) + b"DICM" + bytes(100),
        encoded(instance(transfer_syntax=ExplicitVRBigEndian)),
        b"\x10\x00\x10\x00PN\x04\x00A^B ",  # begins behind the elements that every instance has
        b"\x08\x00\x05\x00\x00\x00\x01\x00" + bytes(100),  # an implicit length of 64 KiB
        b"%PDF-1.7\n" + bytes(1000),
    ],
    ids=["nothing", "word", "few", "prefix alone", "big endian", "patient first", "long", "PDF"],
)
def test_what_is_not_clearly_dicom_is_not_guessed(content):
    with pytest.raises(UnreadableDataSet):
        recognize.recognize(content)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
@pytest.mark.parametrize("missing_bytes", [0, 1, 4000, 8192])
def test_native_pixels_are_held_against_their_length(syntax, missing_bytes):
    content = part10_bytes(instance(transfer_syntax=syntax))

    assert is_cut(content[: len(content) - missing_bytes]) == (missing_bytes > 0)


def test_what_lies_behind_the_pixels_is_looked_at_too():
    data_set = instance()
    data_set.add_new(0xFFFCFFFC, "OB", bytes(100))  # Data Set Trailing Padding
    content = part10_bytes(data_set)

    assert not is_cut(content)
    assert is_cut(content[:-1])


def test_encapsulated_pixels_are_walked_fragment_by_fragment():
    content = encapsulated(bytes(500), bytes(300), bytes(20))

    assert not is_cut(content)
    assert not is_cut(content + bytes(4))  # less than an element: padding
    for missing_bytes in (1, 8, 9, 40, 350, 700):
        assert is_cut(content[:-missing_bytes]), missing_bytes


def test_what_is_not_understood_is_not_judged():
    content = encapsulated(bytes(500))
    at = content.rindex(struct.pack("<HH", 0xFFFE, 0xE0DD))
    strange = content[:at] + b"\x01\x02\x03\x04" + content[at + 4 :]

    assert not is_cut(strange)
