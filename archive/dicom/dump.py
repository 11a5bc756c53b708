"""A data set as lines for people, in the form of DCMTK's dcmdump: tag, VR, value, length, multiplicity, name; pure.

Values are whole, and known UIDs go by name. Text is decoded by the Specific Character Set, where DCMTK prints the bytes
as they came, NUL too; control characters stay in it, and whoever writes lines to a terminal makes them visible. Columns
are counted in the bytes that came, so that UTF-8 looks as it does there. Doubles have the fewest digits that say them;
DCMTK computes up to 17, and not always the right ones.
"""

import struct
from collections.abc import Iterable, Iterator

from archive.dicom import charset, nodes
from archive.dicom.dcmtk_names import dcmtk_name_of
from archive.dicom.elements import NUMBER_CODES, TEXT_VRS
from archive.dicom.names import name_of
from archive.dicom.nodes import Item, Node
from archive.dicom.uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)

_VALUE_COLUMNS = 40
TRANSFER_SYNTAX_NAMES = {
    IMPLICIT_VR_LITTLE_ENDIAN: "Little Endian Implicit",
    EXPLICIT_VR_LITTLE_ENDIAN: "Little Endian Explicit",
    EXPLICIT_VR_BIG_ENDIAN: "Big Endian Explicit",
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: "Deflated Explicit VR Little Endian",
}
# What DCMTK calls a VR that the dictionary leaves open.
_OPEN_VRS = {"US or SS": "xs", "OB or OW": "ox", "US or OW": "lt", "US or SS or OW": "lt"}
_PIXEL_DATA = 0x7FE00010
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_NUMBER_VRS = {**NUMBER_CODES, "OL": "I", "OV": "Q", "OF": "f", "OD": "d"}
_WORD_VRS = ("OW", "lt")
_ONE_TEXT_VRS = ("LT", "ST", "UR", "UT")
_ONE_VALUE_VRS = ("OB", "OD", "OF", "OL", "OV", "OW", "UN", "SQ", "lt", "ox", "px")


def lines(data_set: Iterable[Node], transfer_syntax: str, *, corrects: bool = False) -> Iterator[str]:
    """The lines of a data set between two empty ones; with `corrects` text has no padding at its end."""
    yield ""
    yield "# Dicom-Data-Set"
    yield f"# Used TransferSyntax: {TRANSFER_SYNTAX_NAMES.get(transfer_syntax, 'Unknown Transfer Syntax')}"
    yield from _Dump(corrects).nodes(tuple(data_set), "", ())
    yield ""


class _Dump:
    """Lines of one data set."""

    def __init__(self, corrects: bool) -> None:
        self._corrects = corrects

    def nodes(self, found: tuple[Node, ...], indent: str, outer_sets: tuple[str, ...]) -> Iterator[str]:
        sets = nodes.character_sets(found, outer_sets)
        creators = nodes.creators(found)
        for node in found:
            name = name_of(node.tag, creators.get(nodes.block_of(node.tag), "") if node.is_private else "")
            vr = _shown_vr(node)
            if isinstance(node.value, bytes):
                value, columns, count = self._value(vr, node.value, sets)
                yield _line(indent, node.tag, vr, value, columns, node.length, count, name)
                continue
            yield from self._sequence(node, node.value, indent, sets, name)

    def _sequence(
        self, node: Node, items: tuple[Item, ...], indent: str, sets: tuple[str, ...], name: str
    ) -> Iterator[str]:
        text = f"(Sequence with {_kind(node.length)} length #={len(items)})"
        yield _line(indent, node.tag, "SQ", text, len(text), node.length, 1, name)
        for item in items:
            text = f"(Item with {_kind(item.length)} length #={len(item.nodes)})"
            yield _line(indent + "  ", _ITEM, "na", text, len(text), item.length, 1, name_of(_ITEM))
            yield from self.nodes(item.nodes, indent + "    ", sets)
            text = "(ItemDelimitationItem" + (")" if item.length is None else " for re-encoding)")
            yield _line(indent + "  ", _ITEM_END, "na", text, len(text), 0, 0, name_of(_ITEM_END))
        text = "(SequenceDelimitationItem" + (")" if node.length is None else " for re-encod.)")
        yield _line(indent, _SEQUENCE_END, "na", text, len(text), 0, 0, name_of(_SEQUENCE_END))

    def _value(self, vr: str, raw: bytes, sets: tuple[str, ...]) -> tuple[str, int, int]:
        """The value as text, the columns that it takes, and how many values it holds."""
        if vr in TEXT_VRS:
            raw = raw.rstrip(b"\0" if vr == "UI" else b" ") if self._corrects else raw
            return _text(vr, raw, sets)
        count = 1 if vr in _ONE_VALUE_VRS else 0
        shown = numbers(vr, raw)
        if not shown:
            return _said("(invalid value)" if raw and vr != "AT" else "(no value available)", count)
        joined = "\\".join(shown)
        return joined, len(joined), count or len(shown)


def numbers(vr: str, raw: bytes) -> list[str]:
    """Each binary value as DCMTK prints it; what is over at the end of a damaged value is left out."""
    if vr in ("OB", "UN", "ox", "px"):
        return [f"{byte:02x}" for byte in raw]
    if vr == "AT":
        words = _unpacked("H", raw)
        return [f"({group:04x},{number:04x})" for group, number in zip(words[::2], words[1::2], strict=False)]
    if vr in _WORD_VRS:
        return [f"{word:04x}" for word in _unpacked("H", raw)]
    code = _NUMBER_VRS.get(vr, "H")
    shown = {"f": lambda number: format(number, ".9g"), "d": _double}.get(code, str)
    return [shown(number) for number in _unpacked(code, raw)]


def _double(number: float) -> str:
    texts = (format(number, f".{digits}g") for digits in (15, 16, 17))
    return next((text for text in texts if float(text) == number), format(number, ".17g"))


def _unpacked(code: str, raw: bytes) -> tuple[float, ...]:
    count = len(raw) // struct.calcsize("<" + code)
    return struct.unpack_from(f"<{count}{code}", raw)


def _text(vr: str, raw: bytes, sets: tuple[str, ...]) -> tuple[str, int, int]:
    if not raw:
        return _said("(no value available)", 0)
    if vr == "UI":
        name = dcmtk_name_of(raw.rstrip(b"\0").decode("latin-1"))
        if name:
            return f"={name}", len(name) + 1, 1
    count = 1 if vr in _ONE_TEXT_VRS else raw.count(b"\\") + 1
    return f"[{charset.decode(raw.rstrip(bytes(1)), sets, vr)}]", len(raw) + 2, count


def _said(text: str, count: int) -> tuple[str, int, int]:
    return text, len(text), count


def _shown_vr(node: Node) -> str:
    return "px" if node.tag == _PIXEL_DATA and " " in node.vr else _OPEN_VRS.get(node.vr, node.vr)


def _kind(length: int | None) -> str:
    return "undefined" if length is None else "explicit"


def _line(indent: str, tag: int, vr: str, value: str, columns: int, length: int | None, count: int, name: str) -> str:
    padding = " " * max(_VALUE_COLUMNS - columns, 0)
    shown = "u/l" if length is None else f"{length:3}"
    return f"{indent}({tag >> 16:04x},{tag & 0xFFFF:04x}) {vr} {value}{padding} # {shown},{count:2} {name}"
