"""convert.py: streaming, byte order, VRs, and what is refused. Equality with pydicom is a property test."""

import io
import struct
import tracemalloc
from typing import BinaryIO, cast

import pytest

from archive import errors
from archive.dicom.convert import CHUNK_BYTES, can_convert, convert
from archive.dicom.encode import Element, encode, parse
from archive.dicom.uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)

EXPLICIT, IMPLICIT, BIG = EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN
JPEG = "1.2.840.10008.1.2.4.50"


def converted(data: bytes, source: str, target: str) -> bytes:
    return b"".join(convert(io.BytesIO(data), source, target))


@pytest.mark.parametrize(
    "bits, expected", [(8, b"\x01\x02\x03\x04"), (16, b"\x02\x01\x04\x03")], ids=["8 bits", "16 bits"]
)
def test_pixels_turn_by_their_bits_allocated(bits: int, expected: bytes) -> None:
    elements = [Element(0x00280100, "US", struct.pack("<H", bits)), Element(0x7FE00010, "OW", b"\x01\x02\x03\x04")]

    data = converted(encode(elements, IMPLICIT), IMPLICIT, BIG)

    assert data.endswith(expected)
    assert (b"OB" if bits == 8 else b"OW") in data


def test_pixel_representation_decides_between_us_and_ss() -> None:
    elements = [Element(0x00280103, "US", b"\x01\x00"), Element(0x00280106, "SS", b"\xff\xff")]

    data = converted(encode(elements, IMPLICIT), IMPLICIT, EXPLICIT)

    assert [each.vr for each in parse(data, EXPLICIT)] == ["US", "SS"]


def test_private_and_unknown_elements_become_un_and_creators_lo() -> None:
    elements = [
        Element(0x00090010, "LO", b"ACME"),
        Element(0x00091001, "DS", b"1.50"),
        Element(0x00080001, "UL", bytes(4)),
    ]

    data = converted(encode(elements, IMPLICIT), IMPLICIT, EXPLICIT)

    assert [(each.tag, each.vr) for each in parse(data, EXPLICIT)][:2] == [(0x00090010, "LO"), (0x00091001, "UN")]


def test_value_too_long_for_explicit_vr_becomes_un() -> None:
    element = Element(0x30060050, "DS", b"1\\" * 40_000)

    data = converted(encode([element], IMPLICIT), IMPLICIT, BIG)

    assert parse(data, BIG) == [Element(0x30060050, "UN", element.value)]


def test_group_lengths_are_dropped() -> None:
    data = b"\x08\x00\x00\x00\x04\x00\x00\x00\x0a\x00\x00\x00" + encode([Element(0x00080060, "CS", b"CT")], IMPLICIT)

    assert converted(data, IMPLICIT, EXPLICIT) == encode([Element(0x00080060, "CS", b"CT")], EXPLICIT)


@pytest.mark.parametrize("source, target", [(JPEG, EXPLICIT), (EXPLICIT, JPEG), ("1.2.3", IMPLICIT)])
def test_compressed_syntaxes_are_refused_at_once(source: str, target: str) -> None:
    assert not can_convert(source, target)
    with pytest.raises(errors.CannotConvert):
        convert(io.BytesIO(b""), source, target)


def test_encapsulated_pixels_are_refused() -> None:
    data = b"\xe0\x7f\x10\x00OB\x00\x00\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\x00\x00\x00\x00"

    with pytest.raises(errors.CannotConvert):
        converted(data, EXPLICIT, IMPLICIT)


@pytest.mark.parametrize("source", [EXPLICIT, IMPLICIT, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN])
def test_data_set_that_is_cut_is_refused(source: str) -> None:
    data = encode([Element(0x00100020, "LO", b"0123456789"), Element(0x00104000, "LT", b"0123456789" * 9)], EXPLICIT)
    whole = data if source == EXPLICIT else converted(data, EXPLICIT, source)

    with pytest.raises(errors.UnreadableDataSet):
        converted(whole[:-20], source, BIG)


class _Zeros:
    """An implicit VR data set of one huge pixel value, made while it is read."""

    def __init__(self, size_bytes: int) -> None:
        self._head = encode([Element(0x00280100, "US", b"\x10\x00")], IMPLICIT)
        self._head += struct.pack("<HHI", 0x7FE0, 0x0010, size_bytes)
        self._left = size_bytes

    def read(self, size_bytes: int = -1) -> bytes:
        if self._head:
            part, self._head = self._head[:size_bytes], self._head[size_bytes:]
            return part
        size_bytes = min(size_bytes, self._left)
        self._left -= size_bytes
        return bytes(size_bytes)


@pytest.mark.parametrize("target", [EXPLICIT, BIG, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN])
def test_pixels_of_any_size_pass_in_pieces(target: str) -> None:
    size_bytes = 64 << 20
    tracemalloc.start()

    total = sum(len(piece) for piece in convert(cast(BinaryIO, _Zeros(size_bytes)), IMPLICIT, target))

    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 10 * CHUNK_BYTES
    assert total > size_bytes or target == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
