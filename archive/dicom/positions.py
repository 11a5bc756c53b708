"""Where each element of an encoded data set begins: the fast lane of the header scan, by struct (PS3.5 7.1, 7.5).

Explicit and implicit VR little endian. Nothing is decoded or copied; sequences of undefined length are walked without
recursion. What is not understood ends the walk as `UNUSUAL`: the caller has a plain lane for it.

A tag is kept as the number that its four bytes are in little endian, its key: group in the low half, element in the
high one. That saves a step per element, and the order of tags does not matter here.
"""

import struct
from dataclasses import dataclass
from enum import Enum, auto
from mmap import mmap

from archive.dicom.elements import (
    ITEM,
    ITEM_DELIMITATION,
    LONG_VRS,
    MAX_DEPTH,
    PIXEL_GROUP,
    SEQUENCE_DELIMITATION,
    SHORT_VRS,
    UNDEFINED_LENGTH,
)

Buffer = bytes | bytearray | memoryview | mmap

MAX_ELEMENTS = 1 << 16  # at one level; hostile input must not fill the memory
MAX_NESTED = 1 << 22  # elements and items in sequences: the functional groups of 50,000 frames have fewer

_HEAD = struct.Struct("<IHH").unpack_from  # key, VR, 16-bit length
_LENGTH = struct.Struct("<I").unpack_from
_IMPLICIT_HEAD = struct.Struct("<II").unpack_from  # key, length


def key_of(tag: int) -> int:
    """A tag as its bytes read in little endian."""
    return (tag & 0xFFFF) << 16 | tag >> 16


tag_of = key_of  # halves exchanged twice are as they were


def _code(vr: str) -> int:
    return int.from_bytes(vr.encode(), "little")


VR_BY_CODE = {_code(vr): vr for vr in SHORT_VRS | LONG_VRS}
SHORT_CODES = frozenset(map(_code, SHORT_VRS))
LONG_CODES = frozenset(map(_code, LONG_VRS))
_UN = _code("UN")
_ITEM, _ITEM_END, _SEQUENCE_END = map(key_of, (ITEM, ITEM_DELIMITATION, SEQUENCE_DELIMITATION))


class Stop(Enum):
    """Why a walk ended."""

    END = auto()  # the buffer ended between two elements
    CUT = auto()  # the buffer ended inside an element
    PIXELS = auto()  # group 7FE0
    DELIMITED = auto()  # an item delimitation
    UNUSUAL = auto()
    TOO_MANY = auto()


@dataclass(frozen=True, slots=True)
class Walked:
    """Positions by key, in the order of the data set; `end` is where the last whole element ends.

    An element that comes again stands for both, at the later position; then `has_repeats`.
    """

    positions: dict[int, int]
    end: int
    stop: Stop
    has_repeats: bool = False


def explicit(buffer: Buffer, position: int, end: int) -> Walked:
    """Walk elements in explicit VR little endian from `position`."""
    positions: dict[int, int] = {}
    last = end - 8
    short_codes, head = SHORT_CODES, _HEAD  # local names: this loop is the scan
    count, key, nested, stop = 0, 0, MAX_NESTED, Stop.UNUSUAL
    for count in range(MAX_ELEMENTS):
        if position > last:
            return _ended(positions, count, key, position, end)
        key, code, length = head(buffer, position)
        if code in short_codes:
            positions[key] = position
            position += 8 + length
        elif code not in LONG_CODES:
            stop = Stop.DELIMITED if key == _ITEM_END else Stop.UNUSUAL
            break
        elif key & 0xFFFF == PIXEL_GROUP:
            stop = Stop.PIXELS
            break
        elif position + 12 > end:
            stop = Stop.CUT
            break
        else:
            (length,) = _LENGTH(buffer, position + 8)
            if length != UNDEFINED_LENGTH:
                positions[key] = position
                position += 12 + length
                continue
            after, nested = skip(buffer, position + 12, end, nested, is_implicit=code == _UN)
            if after <= 0:
                stop = Stop.CUT if after == CUT else Stop.UNUSUAL
                break
            positions[key] = position
            position = after
    else:
        stop = Stop.TOO_MANY
    return Walked(positions, position, stop, len(positions) != count)


def implicit(buffer: Buffer, position: int, end: int) -> Walked:
    """Walk elements in implicit VR little endian from `position`."""
    positions: dict[int, int] = {}
    last = end - 8
    head = _IMPLICIT_HEAD
    count, key, nested, stop = 0, 0, MAX_NESTED, Stop.UNUSUAL
    for count in range(MAX_ELEMENTS):
        if position > last:
            return _ended(positions, count, key, position, end)
        key, length = head(buffer, position)
        if length == UNDEFINED_LENGTH or key & 0xFFFF >= PIXEL_GROUP:
            group = key & 0xFFFF
            if group == PIXEL_GROUP:
                stop = Stop.PIXELS
                break
            if group == 0xFFFE:
                stop = Stop.DELIMITED if key == _ITEM_END else Stop.UNUSUAL
                break
            if length == UNDEFINED_LENGTH:
                after, nested = skip(buffer, position + 8, end, nested, is_implicit=True)
                if after <= 0:
                    stop = Stop.CUT if after == CUT else Stop.UNUSUAL
                    break
                positions[key] = position
                position = after
                continue
        positions[key] = position
        position += 8 + length
    else:
        stop = Stop.TOO_MANY
    return Walked(positions, position, stop, len(positions) != count)


def _ended(positions: dict[int, int], count: int, key: int, position: int, end: int) -> Walked:
    has_repeats = len(positions) != count
    if position == end:
        return Walked(positions, end, Stop.END, has_repeats)
    if position > end:
        position = positions.pop(key)  # its value goes beyond the end
    return Walked(positions, position, Stop.CUT, has_repeats)


CUT = 0
UNUSUAL = -1


def skip(buffer: Buffer, position: int, end: int, limit: int, *, is_implicit: bool) -> tuple[int, int]:
    """The position behind a sequence of undefined length whose items begin at `position`, or `CUT` or `UNUSUAL`;
    and what is left of `limit`, the most elements and items to look at.

    Encapsulated fragments are such a sequence as well (PS3.5 A.4).
    """
    open_sequences = [is_implicit]  # how each is encoded inside
    in_item = False
    for left in range(limit, 0, -1):
        if position + 8 > end:
            return CUT, 0
        key, code, length = _HEAD(buffer, position)
        position += 8
        if not in_item:
            if key == _ITEM:
                length = length << 16 | code
                in_item = length == UNDEFINED_LENGTH
                if not in_item:
                    position += length
            elif key == _SEQUENCE_END:
                open_sequences.pop()
                if not open_sequences:
                    return position, left
                in_item = True
            else:
                return UNUSUAL, 0
            continue
        if key == _ITEM_END:
            in_item = False
            continue
        if open_sequences[-1]:
            length = length << 16 | code
        elif code in LONG_CODES:
            if position + 4 > end:
                return CUT, 0
            (length,) = _LENGTH(buffer, position)
            position += 4
        elif code not in SHORT_CODES:
            return UNUSUAL, 0
        if key & 0xFFFF == 0xFFFE:
            return UNUSUAL, 0
        if length != UNDEFINED_LENGTH:
            position += length
        elif len(open_sequences) >= MAX_DEPTH:
            return UNUSUAL, 0
        else:
            open_sequences.append(open_sequences[-1] or code == _UN)
            in_item = False
    return UNUSUAL, 0
