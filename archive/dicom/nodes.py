"""A small data set as it was sent: every element with the length field that it had, group lengths too (PS3.5 7.1, 7.5).

The elements are in the order of their tags, as they should have been sent; of two alike the first counts, as in DCMTK.
For those who print what came. Values are bytes as in little endian whatever the transfer syntax was. A VR that nobody
said is that of the dictionary, which leaves a choice for a few: it stays as it is there, "US or SS".
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from archive.dicom.elements import (
    ITEM,
    ITEM_DELIMITATION,
    LONG_VRS,
    MAX_DEPTH,
    SEQUENCE_DELIMITATION,
    SHORT_VRS,
    UNDEFINED_LENGTH,
    WORD_BYTES,
    swapped,
    vr_of,
)
from archive.dicom.encode import MAX_ELEMENTS, MAX_IDENTIFIER_BYTES, Element, inflated
from archive.dicom.uids import encoding_of
from archive.errors import UnreadableDataSet

SPECIFIC_CHARACTER_SET = 0x00080005


@dataclass(frozen=True, slots=True)
class Node:
    """One element; its length is None where it was undefined."""

    tag: int
    vr: str
    length: int | None
    value: "bytes | tuple[Item, ...]"

    @property
    def is_private(self) -> bool:
        """Whether its group is odd (PS3.5 7.8)."""
        return bool(self.tag >> 16 & 1)


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a sequence; its length is None where it was undefined."""

    length: int | None
    nodes: tuple[Node, ...]


def parse(data: bytes, transfer_syntax: str, *, max_bytes: int = MAX_IDENTIFIER_BYTES) -> tuple[Node, ...]:
    """The elements of a data set.

    Raises `UnreadableDataSet` when it is damaged, larger than `max_bytes` (inflated), or nested too deeply.
    """
    encoding = encoding_of(transfer_syntax)
    if encoding.is_deflated:
        data = inflated(data, max_bytes)
    if len(data) > max_bytes:
        raise UnreadableDataSet(reason="larger than an identifier may be", size_bytes=len(data))
    try:
        return _Parser(data, encoding.is_big_endian).nodes(0, len(data), encoding.is_implicit, 0)[0]
    except (struct.error, IndexError):
        raise UnreadableDataSet(reason="cut short") from None


def of_elements(elements: Iterable[Element]) -> tuple[Node, ...]:
    """Elements that were not sent yet: sequences and items have no length, and DCMTK says 0."""
    return tuple(map(_of_element, elements))


def _of_element(element: Element) -> Node:
    if isinstance(element.value, bytes):
        return Node(element.tag, element.vr, len(element.value) + len(element.value) % 2, element.value)
    return Node(element.tag, "SQ", 0, tuple(Item(0, of_elements(item)) for item in element.value))


def character_sets(nodes: Iterable[Node], outer: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The Specific Character Set of a data set, else that of the one around it (PS3.3 C.12.1.1.2)."""
    for node in nodes:
        if node.tag == SPECIFIC_CHARACTER_SET and isinstance(node.value, bytes):
            return tuple(term.strip(" \0") for term in node.value.decode("latin-1").split("\\"))
    return outer


def creators(nodes: Iterable[Node]) -> dict[int, str]:
    """The private creators of a data set by the group and the block that each has reserved (PS3.5 7.8.1)."""
    return {
        (node.tag >> 16) << 16 | (node.tag & 0xFF): node.value.decode("latin-1").strip(" \0")
        for node in nodes
        if node.is_private and 0x10 <= node.tag & 0xFFFF <= 0xFF and isinstance(node.value, bytes)
    }


def block_of(tag: int) -> int:
    """The group and the block of a private element, as `creators` has them."""
    return tag & 0xFFFF0000 | tag >> 8 & 0xFF


def _ordered(found: list[Node]) -> tuple[Node, ...]:
    first: dict[int, Node] = {}
    for node in found:
        first.setdefault(node.tag, node)
    return tuple(first[tag] for tag in sorted(first))


class _Parser:
    """Nodes of one data set; counts them over all its sequences."""

    def __init__(self, data: bytes, is_big_endian: bool) -> None:
        order = ">" if is_big_endian else "<"
        self._data = data
        self._left = MAX_ELEMENTS
        self._swaps = is_big_endian
        self._head = struct.Struct(order + "HHI").unpack_from
        self._explicit_head = struct.Struct(order + "HH2sH").unpack_from
        self._length = struct.Struct(order + "I").unpack_from

    def nodes(self, position: int, end: int | None, is_implicit: bool, depth: int) -> tuple[tuple[Node, ...], int]:
        """Nodes up to `end`, or to the item delimitation; and where the next byte is."""
        found: list[Node] = []
        last = len(self._data) if end is None else end
        while position < last:
            if depth == 0 and last - position < 8 and not any(self._data[position:last]):
                return _ordered(found), last  # zero bytes at the end
            tag, vr, length, value = self._element_head(position, is_implicit)
            if tag == ITEM_DELIMITATION and end is None:
                return _ordered(found), position + 8
            if tag >> 16 == 0xFFFE:
                raise UnreadableDataSet(reason=f"misplaced item tag {tag:08X}", at=position)
            self._count()
            if vr == "SQ" or length == UNDEFINED_LENGTH:
                items, position = self._items(value, length, is_implicit or vr == "UN", depth + 1)
                found.append(Node(tag, "SQ", None if length == UNDEFINED_LENGTH else length, items))
                continue
            position = value + length
            if position > last:
                raise UnreadableDataSet(reason="cut short", tag=f"{tag:08X}")
            found.append(Node(tag, vr, length, self._value(vr, value, position)))
        if end is None:
            raise UnreadableDataSet(reason="an item without an end")
        return _ordered(found), position

    def _value(self, vr: str, start: int, end: int) -> bytes:
        value = self._data[start:end]
        return swapped(value, WORD_BYTES.get(vr, 1)) if self._swaps else value

    def _element_head(self, position: int, is_implicit: bool) -> tuple[int, str, int, int]:
        """Tag, VR, length, and where the value begins."""
        if is_implicit:
            group, number, length = self._head(self._data, position)
            tag = group << 16 | number
            return tag, vr_of(tag), length, position + 8
        group, number, vr_bytes, length = self._explicit_head(self._data, position)
        tag = group << 16 | number
        vr = vr_bytes.decode("latin-1")
        if group == 0xFFFE or vr in SHORT_VRS:
            return tag, vr, length, position + 8
        if vr in LONG_VRS or (length == 0 and vr.isascii() and vr.isalpha() and vr.isupper()):
            return tag, vr if vr in LONG_VRS else "UN", self._length(self._data, position + 8)[0], position + 12
        return tag, "UN", length, position + 8

    def _items(self, position: int, length: int, is_implicit: bool, depth: int) -> tuple[tuple[Item, ...], int]:
        if depth > MAX_DEPTH:
            raise UnreadableDataSet(reason="sequences nested too deeply", at=position)
        items: list[Item] = []
        end = len(self._data) if length == UNDEFINED_LENGTH else position + length
        while position < end:
            group, number, item_length = self._head(self._data, position)
            tag = group << 16 | number
            position += 8
            if tag == SEQUENCE_DELIMITATION and length == UNDEFINED_LENGTH:
                return tuple(items), position
            if tag != ITEM:
                raise UnreadableDataSet(reason=f"{tag:08X} where an item was due", at=position)
            self._count()
            is_open = item_length == UNDEFINED_LENGTH
            if not is_open and position + item_length > end:
                raise UnreadableDataSet(reason="an item is longer than its sequence", at=position)
            nodes, position = self.nodes(position, None if is_open else position + item_length, is_implicit, depth)
            items.append(Item(None if is_open else item_length, nodes))
        if length == UNDEFINED_LENGTH or position != end or end > len(self._data):
            raise UnreadableDataSet(reason="a sequence without an end", at=position)
        return tuple(items), position

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise UnreadableDataSet(reason="too many elements")
