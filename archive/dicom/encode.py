"""Encode and decode small data sets: identifiers and what is kept of a header (PS3.5 7.1, 7.5, A.1 to A.5).

Values are bytes as in little endian whatever the transfer syntax: binary numbers turn when they are written or read.
An `Encoder` is made once per transfer syntax, a packer once per attribute of a query: then a response costs a
concatenation per element. `parse` reads what a peer sent, within bounds of size, depth and number.
"""

import functools
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from archive import errors
from archive.dicom.convert import BufferReader, Inflating, Walk, deflated
from archive.dicom.elements import (
    ITEM,
    ITEM_DELIMITATION,
    LONG_VRS,
    MAX_DEPTH,
    MAX_SHORT_LENGTH,
    NUL_PADDED_VRS,
    SEQUENCE_DELIMITATION,
    SHORT_VRS,
    UNDEFINED_LENGTH,
    WORD_BYTES,
    padded,
    swapped,
    vr_of,
)
from archive.dicom.uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Encoding,
    encoding_of,
)

MAX_IDENTIFIER_BYTES = 1 << 20  # inflated; a list of 10,000 UIDs has 650 KB
MAX_ELEMENTS = 16384  # of an identifier, nested ones too

_TAG_LENGTH = struct.Struct("<HHI").unpack_from
_TAG_VR_LENGTH = struct.Struct("<HH2sH").unpack_from
_LENGTH = struct.Struct("<I").unpack_from

Packer = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Element:
    """One data element; the value of a sequence is its items, each a tuple of elements."""

    tag: int
    vr: str
    value: "bytes | tuple[tuple[Element, ...], ...]"


@dataclass(frozen=True, slots=True)
class Encoder:
    """Writes elements in one transfer syntax."""

    encoding: Encoding

    def packer(self, tag: int, vr: str) -> Packer:
        """What makes an element of a value; keep it to encode the same attribute again."""
        return _packer(self.encoding.is_implicit, self.encoding.is_big_endian, tag, vr)

    def element(self, tag: int, vr: str, value: bytes) -> bytes:
        """One element, its value padded to an even length."""
        return _packer(self.encoding.is_implicit, self.encoding.is_big_endian, tag, vr)(value)

    def sequence(self, tag: int, items: Iterable[bytes]) -> bytes:
        """One sequence of encoded items, all of defined length."""
        head = struct.Struct((">" if self.encoding.is_big_endian else "<") + "HHI").pack
        parts = [head(ITEM >> 16, ITEM & 0xFFFF, len(item)) + item for item in items]
        return self.element(tag, "SQ", b"".join(parts))

    def nested(self, elements: Iterable[Element]) -> bytes:
        """Elements with all that is in them, in the order given; not yet deflated."""
        parts: list[bytes] = []
        for each in elements:
            if isinstance(each.value, bytes):
                parts.append(self.element(each.tag, each.vr, each.value))
            else:
                parts.append(self.sequence(each.tag, map(self.nested, each.value)))
        return b"".join(parts)

    def data_set(self, parts: Iterable[bytes]) -> bytes:
        """A data set of encoded elements, deflated if the transfer syntax says so."""
        joined = b"".join(parts)
        return b"".join(deflated([joined])) if self.encoding.is_deflated else joined


ENCODERS: dict[str, Encoder] = {
    uid: Encoder(encoding_of(uid))
    for uid in (
        EXPLICIT_VR_LITTLE_ENDIAN,
        IMPLICIT_VR_LITTLE_ENDIAN,
        DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_BIG_ENDIAN,
    )
}


def element(tag: int, vr: str, value: bytes, syntax: str) -> bytes:
    """One element in the transfer syntax `syntax`, not deflated."""
    return ENCODERS[syntax].element(tag, vr, value)


def encode(elements: Iterable[Element], syntax: str) -> bytes:
    """A whole data set in the transfer syntax `syntax`."""
    encoder = ENCODERS[syntax]
    return encoder.data_set([encoder.nested(elements)])


@functools.lru_cache(maxsize=2048)
def _packer(is_implicit: bool, is_big_endian: bool, tag: int, vr: str) -> Packer:
    """A closure over the bytes that never change; short values find their length field in a table."""
    order = ">" if is_big_endian else "<"
    tag_bytes = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
    word_bytes = WORD_BYTES.get(vr, 1) if is_big_endian else 1
    padding = b"\0" if vr in NUL_PADDED_VRS else b" "
    if is_implicit:
        head, lengths, length_field, limit = tag_bytes, _lengths(order + "I"), order + "I", UNDEFINED_LENGTH - 1
    elif vr in SHORT_VRS:
        head = tag_bytes + vr.encode()
        lengths, length_field, limit = _lengths(order + "H"), order + "H", MAX_SHORT_LENGTH
    else:
        head = tag_bytes + vr.encode() + b"\0\0"
        lengths, length_field, limit = _lengths(order + "I"), order + "I", UNDEFINED_LENGTH - 1
    heads = tuple(head + length for length in lengths)  # of every value up to 64 bytes
    pack_length = struct.Struct(length_field).pack
    if word_bytes == 1:

        def pack(value: bytes) -> bytes:
            length = len(value)
            if length & 1:
                value += padding
                length += 1
            if length < 128:
                return heads[length >> 1] + value
            if length > limit:
                return _too_long(is_big_endian, tag, value)
            return head + pack_length(length) + value

        return pack

    def pack_words(value: bytes) -> bytes:
        value = swapped(padded(value, vr), word_bytes)
        return head + pack_length(len(value)) + value if len(value) <= limit else _too_long(is_big_endian, tag, value)

    return pack_words


@functools.cache
def _lengths(length_field: str) -> tuple[bytes, ...]:
    return tuple(struct.pack(length_field, length) for length in range(0, 128, 2))


def _too_long(is_big_endian: bool, tag: int, value: bytes) -> bytes:
    """A value that its VR's 16-bit length field cannot count goes as UN (PS3.5 6.2.2)."""
    order = ">" if is_big_endian else "<"
    return struct.pack(order + "HH2sHI", tag >> 16, tag & 0xFFFF, b"UN", 0, len(value)) + value


def parse(data: bytes | memoryview, transfer_syntax: str, *, max_bytes: int = MAX_IDENTIFIER_BYTES) -> list[Element]:
    """The elements of a small data set, group lengths left out.

    Raises `UnreadableDataSet` when it is damaged, larger than `max_bytes` (inflated), or nested too deeply.
    """
    encoding = encoding_of(transfer_syntax)
    data = bytes(data)
    if encoding.is_deflated:
        data = inflated(data, max_bytes)
    if len(data) > max_bytes:
        raise errors.UnreadableDataSet(reason="larger than an identifier may be", size_bytes=len(data))
    if encoding.is_big_endian:
        data = _in_little_endian(data, encoding)
    try:
        return list(_Parser(data).elements(0, len(data), encoding.is_implicit, 0)[0])
    except (struct.error, IndexError):
        raise errors.UnreadableDataSet(reason="cut short") from None


def inflated(data: bytes, max_bytes: int) -> bytes:
    """A deflated data set; raises `UnreadableDataSet` when it is damaged or grows beyond `max_bytes`."""
    plain = Inflating(BufferReader(data).read).read(max_bytes + 1)
    if len(plain) > max_bytes:
        raise errors.UnreadableDataSet(reason="inflates beyond the limit", limit_bytes=max_bytes)
    return plain


def _in_little_endian(data: bytes, encoding: Encoding) -> bytes:
    try:
        return b"".join(Walk(BufferReader(data).read, encoding, Encoding(), max_elements=2 * MAX_ELEMENTS).pieces())
    except errors.CannotConvert as error:
        raise errors.UnreadableDataSet(reason=str(error)) from None


class _Parser:
    """Elements of one data set; counts them over all its sequences."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._left = MAX_ELEMENTS

    def elements(
        self, position: int, end: int | None, is_implicit: bool, depth: int
    ) -> tuple[tuple[Element, ...], int]:
        """Elements up to `end`, or to the item delimitation; and where the next byte is."""
        data, found = self._data, []
        last = len(data) if end is None else end
        while position < last:
            if end == len(data) and depth == 0 and last - position < 8 and not any(data[position:]):
                return tuple(found), last  # zero bytes at the end
            group, number, vr, length, value = self._head(position, is_implicit)
            tag = group << 16 | number
            if tag == ITEM_DELIMITATION and end is None:
                return tuple(found), position + 8
            if group == 0xFFFE:
                raise errors.UnreadableDataSet(reason=f"misplaced item tag {tag:08X}", at=position)
            self._count()
            if vr == "SQ" or length == UNDEFINED_LENGTH:
                items, position = self._items(value, length, is_implicit or vr == "UN", depth + 1)
                found.append(Element(tag, "SQ", items))
                continue
            position = value + length
            if position > last:
                raise errors.UnreadableDataSet(reason="cut short", tag=f"{tag:08X}")
            if number:
                found.append(Element(tag, vr, data[value:position]))
        if end is None:
            raise errors.UnreadableDataSet(reason="an item without an end")
        return tuple(found), position

    def _head(self, position: int, is_implicit: bool) -> tuple[int, int, str, int, int]:
        """Group, element, VR, length, and where the value begins."""
        data = self._data
        if is_implicit:
            group, number, length = _TAG_LENGTH(data, position)
            vr = vr_of(group << 16 | number)
            return group, number, "US" if vr.startswith("US or") else "OW" if " " in vr else vr, length, position + 8
        group, number, vr_bytes, length = _TAG_VR_LENGTH(data, position)
        if group == 0xFFFE:
            return group, number, "", 0, position + 8
        vr = vr_bytes.decode("latin-1")
        if vr in SHORT_VRS:
            return group, number, vr, length, position + 8
        if vr in LONG_VRS or (length == 0 and vr.isascii() and vr.isalpha() and vr.isupper()):
            return group, number, vr if vr in LONG_VRS else "UN", _LENGTH(data, position + 8)[0], position + 12
        return group, number, "UN", length, position + 8

    def _items(
        self, position: int, length: int, is_implicit: bool, depth: int
    ) -> tuple[tuple[tuple[Element, ...], ...], int]:
        if depth > MAX_DEPTH:
            raise errors.UnreadableDataSet(reason="sequences nested too deeply", at=position)
        data, items = self._data, []
        end = len(data) if length == UNDEFINED_LENGTH else position + length
        while position < end:
            group, number, item_length = _TAG_LENGTH(data, position)
            tag = group << 16 | number
            position += 8
            if tag == SEQUENCE_DELIMITATION and length == UNDEFINED_LENGTH:
                return tuple(items), position
            if tag != ITEM:
                raise errors.UnreadableDataSet(reason=f"{tag:08X} where an item was due", at=position)
            self._count()
            item_end = None if item_length == UNDEFINED_LENGTH else position + item_length
            if item_end is not None and item_end > end:
                raise errors.UnreadableDataSet(reason="an item is longer than its sequence", at=position)
            elements, position = self.elements(position, item_end, is_implicit, depth)
            items.append(elements)
        if length == UNDEFINED_LENGTH or position != end or end > len(data):
            raise errors.UnreadableDataSet(reason="a sequence without an end", at=position)
        return tuple(items), position

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise errors.UnreadableDataSet(reason="too many elements")
