"""Give elements of a data set other values, and leave every other byte as it is (PS3.5 7.1); pure.

For explicit and implicit VR little endian. Nothing is added: what is not there stays away. Only the length of a group
that has another one now goes, as it would be wrong (PS3.5 7.2).
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from archive.dicom.elements import UNDEFINED_LENGTH, padded, vr_of
from archive.dicom.positions import LONG_CODES, Stop, explicit, implicit, key_of, tag_of

_HEAD = struct.Struct("<IHH").unpack_from  # key, VR, 16-bit length
_LENGTH = struct.Struct("<I")
_SHORT_LENGTH = struct.Struct("<H")


@dataclass(frozen=True, slots=True)
class Edited:
    """A data set with other values, and the tags that it has no value of."""

    data_set: bytes
    missing: frozenset[int]
    is_sure: bool
    """Whether all elements before the pixels were seen, and each is there once: else some may keep their values."""


def edited(data_set: bytes, values: Mapping[int, str], *, is_implicit: bool) -> Edited:
    """`data_set`, or its beginning, with these values in ASCII, by tag."""
    walked = (implicit if is_implicit else explicit)(data_set, 0, len(data_set))
    positions = walked.positions
    pieces: list[tuple[int, int, bytes]] = []  # start, end, what comes in their place
    missing: set[int] = set()
    resized: set[int] = set()  # groups
    for tag, text in values.items():
        position = positions.get(key_of(tag))
        span = None if position is None else _span(data_set, position, is_implicit)
        if span is None:
            missing.add(tag)
            continue
        start, end, length_bytes = span
        value = padded(text.encode("ascii"), vr_of(tag))
        length = (_LENGTH if length_bytes == 4 else _SHORT_LENGTH).pack(len(value))
        pieces.append((start - length_bytes, end, length + value))
        if len(value) != end - start:
            resized.add(tag >> 16)
    for key, position in positions.items():
        if tag_of(key) & 0xFFFF == 0 and tag_of(key) >> 16 in resized:
            span = _span(data_set, position, is_implicit)
            if span is not None:
                pieces.append((position, span[1], b""))
    is_sure = walked.stop in (Stop.END, Stop.PIXELS) and not walked.has_repeats
    return Edited(_joined(data_set, pieces), frozenset(missing), is_sure)


def _span(data_set: bytes, position: int, is_implicit: bool) -> tuple[int, int, int] | None:
    """Where the value of an element begins and ends, and how many bytes its length has, just before it; None = open."""
    _, code, length = _HEAD(data_set, position)
    start, length_bytes = position + 8, 2
    if is_implicit:
        length_bytes = 4
    elif code in LONG_CODES:
        start, length_bytes = position + 12, 4
    if length_bytes == 4:
        (length,) = _LENGTH.unpack_from(data_set, start - 4)
    return None if length == UNDEFINED_LENGTH else (start, start + length, length_bytes)


def _joined(data_set: bytes, pieces: list[tuple[int, int, bytes]]) -> bytes:
    parts: list[bytes] = []
    kept_to = 0
    for start, end, new in sorted(pieces):
        parts += (data_set[kept_to:start], new)
        kept_to = end
    return b"".join((*parts, data_set[kept_to:]))
