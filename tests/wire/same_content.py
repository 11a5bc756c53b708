"""Whether two encodings hold the same data set, by pydicom."""

import zlib
from io import BytesIO

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from tests.wire.raw_messages import BIG_ENDIAN, DEFLATED, IMPLICIT


def read(content: bytes, transfer_syntax: str) -> Dataset:
    """A data set from its bytes."""
    if transfer_syntax == DEFLATED:
        content = zlib.decompress(content, -zlib.MAX_WBITS)
    return read_dataset(
        BytesIO(content),
        is_implicit_VR=transfer_syntax == IMPLICIT,
        is_little_endian=transfer_syntax != BIG_ENDIAN,
    )


def same_content(one: bytes, one_syntax: str, other: bytes, other_syntax: str) -> None:
    """Assert that they are equal element by element; 16-bit pixels are compared as numbers."""
    first, second = read(one, one_syntax), read(other, other_syntax)
    assert list(first.keys()) == list(second.keys())
    for left, right in zip(first, second, strict=True):
        if left.tag == 0x7FE00010:
            pixels = [_words(each.value, syntax) for each, syntax in ((left, one_syntax), (right, other_syntax))]
            assert pixels[0] == pixels[1]
        else:
            assert left.value == right.value, left
            assert left.VR == right.VR, left


def _words(value: bytes, transfer_syntax: str) -> bytes:
    """The pixels, little endian."""
    if transfer_syntax != BIG_ENDIAN:
        return value
    swapped = bytearray(value)
    swapped[0::2], swapped[1::2] = value[1::2], value[0::2]
    return bytes(swapped)
