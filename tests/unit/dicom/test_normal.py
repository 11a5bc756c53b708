"""normal.py: each option in the bytes, what is refused, and memory. That it equals DCMTK is a property test."""

import struct
import tracemalloc
import zlib
from dataclasses import replace

import pytest

from archive import errors
from archive.dicom import normal
from archive.dicom.convert import CHUNK_BYTES, BufferReader, Read
from archive.dicom.encode import Element, encode, parse
from archive.dicom.normal import EncodingOptions, GroupLengths, SequenceLengths, normalised
from archive.dicom.uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)

EXPLICIT, IMPLICIT, BIG = EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN
DEFLATED = DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
JPEG, JPIP, GE_PRIVATE = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.94", "1.2.840.113619.5.2"

AS_DCMTK = EncodingOptions()
SEQUENCE, UNKNOWN = 0x00081140, 0x00091001


def item(*elements: Element) -> tuple[Element, ...]:
    return elements


def rewritten(data: bytes, syntax: str = EXPLICIT, offset_bytes: int = 0, **options: object) -> bytes:
    chosen = replace(AS_DCMTK, **options)
    return b"".join(normalised(lambda: BufferReader(data).read, syntax, chosen, offset_bytes=offset_bytes))


MODALITY = Element(0x00080060, "CS", b"CT")
NESTED = Element(SEQUENCE, "SQ", (item(MODALITY), item(), item(MODALITY, Element(SEQUENCE, "SQ", (item(MODALITY),)))))
UNDEFINED_NESTED = (
    b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff"
    b"\xfe\xff\x00\xe0\xff\xff\xff\xff\x08\x00\x60\x00CS\x02\x00CT\xfe\xff\x0d\xe0\0\0\0\0"
    b"\xfe\xff\x00\xe0\xff\xff\xff\xff\xfe\xff\x0d\xe0\0\0\0\0"
    b"\xfe\xff\x00\xe0\xff\xff\xff\xff\x08\x00\x60\x00CS\x02\x00CT"
    b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff"
    b"\xfe\xff\x00\xe0\xff\xff\xff\xff\x08\x00\x60\x00CS\x02\x00CT\xfe\xff\x0d\xe0\0\0\0\0"
    b"\xfe\xff\xdd\xe0\0\0\0\0"
    b"\xfe\xff\x0d\xe0\0\0\0\0"
    b"\xfe\xff\xdd\xe0\0\0\0\0"
)


def group_length(group: int, length: int) -> bytes:
    return struct.pack("<HH2sHI", group, 0, b"UL", 4, length)


def test_sequences_get_their_length_or_a_delimiter() -> None:
    explicit = encode([NESTED], EXPLICIT)

    assert rewritten(UNDEFINED_NESTED) == explicit
    assert rewritten(explicit, sequence_lengths=SequenceLengths.UNDEFINED) == UNDEFINED_NESTED


def test_group_lengths_are_corrected_where_they_are() -> None:
    study = encode([Element(0x0020000D, "UI", b"1.2.3")], EXPLICIT)
    modality = encode([MODALITY], EXPLICIT)

    data = rewritten(group_length(0x0008, 9999) + modality + study)

    assert data == group_length(0x0008, len(modality)) + modality + study


def test_group_lengths_are_made_for_every_group_of_every_item() -> None:
    inner = encode([MODALITY], EXPLICIT)
    whole = group_length(8, len(inner)) + inner
    study = encode([Element(0x0020000D, "UI", b"1.2.3")], EXPLICIT)
    sequence = struct.pack("<HH2sHIHHI", 8, 0x1140, b"SQ", 0, len(whole) + 8, 0xFFFE, 0xE000, len(whole)) + whole

    data = rewritten(
        encode([Element(SEQUENCE, "SQ", (item(MODALITY),))], EXPLICIT) + study, group_lengths=GroupLengths.CREATE
    )

    assert data == group_length(8, len(sequence)) + sequence + group_length(0x20, len(study)) + study


@pytest.mark.parametrize("mode", [GroupLengths.CREATE, GroupLengths.REMOVE])
def test_group_length_without_its_group_is_dropped(mode: GroupLengths) -> None:
    assert rewritten(group_length(0x0008, 0) + encode([], EXPLICIT), group_lengths=mode) == b""


def test_a_group_that_comes_again_has_one_group_length() -> None:
    patient, modality = (encode([each], EXPLICIT) for each in (Element(0x00100020, "LO", b"P1"), MODALITY))

    data = rewritten(patient + modality + patient, group_lengths=GroupLengths.CREATE)

    assert data == group_length(0x10, len(patient)) + patient + modality + patient


def test_files_and_items_are_padded_to_a_multiple() -> None:
    data = rewritten(encode([NESTED], EXPLICIT), offset_bytes=350, file_padding_bytes=512, item_padding_bytes=64)

    assert (350 + len(data)) % 512 == 0
    assert data[-(len(data) - data.rindex(b"\xfc\xff\xfc\xffOB")) :].endswith(bytes(8))
    padded_items = data.split(b"\xfe\xff\x00\xe0")[1:]
    assert [int.from_bytes(each[:4], "little") for each in padded_items] == [64, 0, 128, 64]


@pytest.mark.parametrize("syntax, head_bytes", [(EXPLICIT, 12), (IMPLICIT, 8)])
def test_padding_has_room_for_its_own_head(syntax: str, head_bytes: int) -> None:
    data = encode([Element(0x00100020, "LO", b"P1")], syntax)  # 10 bytes

    padded = rewritten(data, syntax, file_padding_bytes=6)

    assert len(data) == 10
    assert len(padded) == 10 + {12: 14, 8: 8}[head_bytes]


def test_padding_that_came_is_removed() -> None:
    modality = encode([MODALITY], EXPLICIT)

    assert rewritten(modality + b"\xfc\xff\xfc\xffOB\0\0\4\0\0\0" + bytes(4)) == modality


def test_later_vrs_become_ob() -> None:
    elements = [
        Element(0x00080119, "UC", b"long"),
        Element(UNKNOWN, "UN", b"what"),
        Element(0x0040A160, "UT", b"text"),
        Element(0x00660016, "OF", b"\x01\x02\x03\x04"),
    ]

    data = rewritten(encode(elements, EXPLICIT), old_vrs_only=True)

    assert parse(data, EXPLICIT) == [replace(each, vr="OB") for each in elements]


def test_value_too_long_for_its_vr_is_un_or_ob() -> None:
    long = Element(0x30060050, "DS", b"1\\" * 40_000)

    assert parse(rewritten(encode([long], IMPLICIT), IMPLICIT, transfer_syntax_uid=EXPLICIT), EXPLICIT)[0].vr == "UN"
    old = rewritten(encode([long], IMPLICIT), IMPLICIT, transfer_syntax_uid=BIG, old_vrs_only=True)
    assert parse(old, BIG) == [replace(long, vr="OB")]


@pytest.mark.parametrize("source", [EXPLICIT, BIG])
@pytest.mark.parametrize("target", [EXPLICIT, BIG])
def test_un_becomes_what_the_dictionary_says(source: str, target: str) -> None:
    items = (item(MODALITY), item())
    inner = encode([Element(SEQUENCE, "SQ", items)], IMPLICIT)[8:]  # UN is implicit VR little endian inside
    elements = [
        Element(SEQUENCE, "UN", inner),
        Element(0x00100020, "UN", b"P1"),
        Element(0x00186020, "UN", b"\x01\x02\x03\x04"),
        Element(0x00186022, "UN", b"\x01\x02"),  # not of the length of an SL
        Element(UNKNOWN, "UN", b"what"),
    ]

    data = rewritten(encode(elements, source), source, transfer_syntax_uid=target, converts_un=True)

    assert parse(data, target) == [
        Element(SEQUENCE, "SQ", items),
        Element(0x00100020, "LO", b"P1"),
        Element(0x00186020, "SL", b"\x01\x02\x03\x04"),
        Element(0x00186022, "UN", b"\x01\x02"),
        Element(UNKNOWN, "UN", b"what"),
    ]
    assert parse(rewritten(encode(elements, source), source, transfer_syntax_uid=target), target) == elements


def test_values_get_an_even_length() -> None:
    data = b"\x10\x00\x20\x00LO\x03\x00ABC" + b"\x08\x00\x18\x00UI\x03\x001.2" + b"\x09\x00\x01\x10OB\0\0\x01\0\0\0\xff"

    assert [each.value for each in parse(rewritten(data), EXPLICIT)] == [b"ABC ", b"1.2\0", b"\xff\0"]


def test_elements_of_commands_and_files_do_not_get_into_a_data_set() -> None:
    foreign = b"\0\0\x00\x01US\x02\x00\x01\x00" + b"\x02\x00\x10\x00UI\x04\x001.2\0"

    assert rewritten(foreign + encode([MODALITY], EXPLICIT)) == encode([MODALITY], EXPLICIT)


def test_implicit_vr_that_was_declared_explicit_is_written_as_declared() -> None:
    assert rewritten(encode([MODALITY], IMPLICIT), EXPLICIT) == encode([MODALITY], EXPLICIT)


@pytest.mark.parametrize("level", [0, 1, 9])
def test_deflate_level_decides_about_the_size(level: int) -> None:
    elements = [Element(0x00104000, "LT", b"the quick brown fox " * 400)]
    data = rewritten(encode(elements, EXPLICIT), transfer_syntax_uid=DEFLATED, deflate_level=level)

    assert zlib.decompress(data, -zlib.MAX_WBITS) == encode(elements, EXPLICIT)
    assert (len(data) > 8000) == (level == 0)


def test_private_sequence_in_implicit_vr_is_still_known_as_one() -> None:
    private = replace(NESTED, tag=UNKNOWN)

    data = rewritten(encode([private], EXPLICIT), transfer_syntax_uid=IMPLICIT)

    assert data == b"\x09\x00\x01\x10\xff\xff\xff\xff" + encode([NESTED], IMPLICIT)[8:] + b"\xfe\xff\xdd\xe0\0\0\0\0"
    assert parse(data, IMPLICIT) == [private]


# Compressed pixels

FRAGMENTS = (
    b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff"
    b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\x04\0\0\0\xff\xd8\xff\xd9\xfe\xff\xdd\xe0\0\0\0\0"
)


def test_compressed_pixels_stay_as_they_are_in_their_own_syntax() -> None:
    data = rewritten(UNDEFINED_NESTED + FRAGMENTS, JPEG)

    assert data == encode([NESTED], EXPLICIT) + FRAGMENTS


@pytest.mark.parametrize("received, written", [(JPEG, EXPLICIT), (JPEG, DEFLATED), (EXPLICIT, None), (EXPLICIT, BIG)])
def test_compressed_pixels_cannot_be_in_another_syntax(received: str, written: str | None) -> None:
    with pytest.raises(errors.CannotConvert):
        rewritten(encode([MODALITY], EXPLICIT) + FRAGMENTS, received, transfer_syntax_uid=written)


@pytest.mark.parametrize("received", [JPIP, GE_PRIVATE, "1.2.3.4"])
def test_what_only_one_syntax_can_say_cannot_be_in_another(received: str) -> None:
    with pytest.raises(errors.CannotConvert):
        rewritten(encode([MODALITY], EXPLICIT), received, transfer_syntax_uid=EXPLICIT)


def test_data_set_without_pixels_can_leave_a_compressed_syntax() -> None:
    assert rewritten(encode([MODALITY], EXPLICIT), JPEG, transfer_syntax_uid=IMPLICIT) == encode([MODALITY], IMPLICIT)


# What is refused


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(encode([MODALITY], EXPLICIT)[:-1], id="cut in a value"),
        pytest.param(UNDEFINED_NESTED[:-8], id="a sequence without an end"),
        pytest.param(
            b"\x08\x00\x40\x11SQ\0\0\x0a\0\0\0\xfe\xff\x00\xe0\x02\0\0\0\0\0", id="half an element in an item"
        ),
        pytest.param(b"\x08\x00\x40\x11SQ\0\0\x08\0\0\0\x08\x00\x60\x00CS\x00\x00", id="no item in a sequence"),
        pytest.param(b"\xfe\xff\x0d\xe0\0\0\0\0", id="a delimiter of nothing"),
        pytest.param(b"\xfc\xff\xfc\xffOB\0\0\xff\xff\xff\xff", id="padding of undefined length"),
        pytest.param(b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 70, id="too deep"),
    ],
)
def test_malformed_data_set_is_refused_before_anything_is_written(data: bytes) -> None:
    with pytest.raises(errors.UnreadableDataSet):
        normalised(lambda: BufferReader(data).read, EXPLICIT, AS_DCMTK)


def test_fragments_without_an_end_are_refused() -> None:
    with pytest.raises(errors.UnreadableDataSet):
        rewritten(FRAGMENTS[:-8], JPEG)
    with pytest.raises(errors.UnreadableDataSet):
        rewritten(FRAGMENTS[:-8] + encode([MODALITY], EXPLICIT), JPEG)


def test_number_of_elements_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(normal, "MAX_ELEMENTS", 10)

    with pytest.raises(errors.UnreadableDataSet, match="too many elements"):
        rewritten(encode([Element(SEQUENCE, "SQ", (item(),) * 11)], EXPLICIT))
    with pytest.raises(errors.UnreadableDataSet, match="too many elements"):
        rewritten(FRAGMENTS[:12] + b"\xfe\xff\x00\xe0\0\0\0\0" * 11, JPEG)


def test_what_inflates_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(normal, "MAX_INFLATED_BYTES", 1 << 21)
    bomb = rewritten(encode([Element(0x7FE00010, "OW", bytes(1 << 24))], EXPLICIT), transfer_syntax_uid=DEFLATED)

    assert len(bomb) < 1 << 16
    with pytest.raises(errors.UnreadableDataSet, match="inflates beyond"):
        rewritten(bomb, DEFLATED)


def test_lengths_that_32_bits_cannot_say_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(normal, "UNDEFINED_LENGTH", 40)  # as if a length had not more

    data = rewritten(encode([NESTED], EXPLICIT), group_lengths=GroupLengths.REMOVE)

    assert data.startswith(UNDEFINED_NESTED[:8] + (40).to_bytes(4, "little"))  # stands for undefined
    assert data.endswith(b"\xfe\xff\xdd\xe0\0\0\0\0")
    assert data.count(b"\xfe\xff\x0d\xe0") == 1


@pytest.mark.parametrize(
    "options",
    [
        {"transfer_syntax_uid": JPEG},
        {"file_padding_bytes": 7},
        {"item_padding_bytes": 1 << 20},
        {"item_padding_bytes": -2},
        {"deflate_level": 10},
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(errors.Misconfigured):
        replace(AS_DCMTK, **options)


# Memory


def endless(size_bytes: int) -> Read:
    """Reads a data set of one huge pixel value, made while it is read."""
    head = BufferReader(struct.pack("<HHI", 0x7FE0, 0x0010, size_bytes))
    left = size_bytes

    def read(wanted: int) -> bytes:
        nonlocal left
        if found := head.read(wanted):
            return found
        wanted = min(wanted, left)
        left -= wanted
        return bytes(wanted)

    return read


@pytest.mark.parametrize("target", [None, EXPLICIT, BIG])
def test_pixels_of_any_size_pass_in_pieces(target: str | None) -> None:
    size_bytes = 64 << 20
    options = replace(AS_DCMTK, transfer_syntax_uid=target, group_lengths=GroupLengths.CREATE)
    tracemalloc.start()

    total = sum(len(piece) for piece in normalised(lambda: endless(size_bytes), IMPLICIT, options))

    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 10 * CHUNK_BYTES
    assert total > size_bytes


def test_a_length_costs_four_bytes() -> None:
    few, many = peak_bytes(12_000), peak_bytes(40_000)

    assert many - few < 8 * 28_000  # the first object of any kind would cost more


def peak_bytes(items: int) -> int:
    """The most memory that it takes to write a sequence of so many items."""
    data = encode([Element(SEQUENCE, "SQ", (item(),) * items)], EXPLICIT)
    tracemalloc.start()
    total = sum(len(piece) for piece in normalised(lambda: BufferReader(data).read, EXPLICIT, AS_DCMTK))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == len(data)
    return peak
