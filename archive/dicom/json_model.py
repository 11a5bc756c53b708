"""Data sets as DICOM JSON (PS3.18 annex F): an object by tags; pure.

Text is Unicode, and Specific Character Set says so (F.2.2). A number that is none, as devices write them, stays text.
"""

import base64
import json
import math
import re
from collections.abc import Iterable

from archive.dicom import nodes
from archive.dicom.elements import BULK_VRS
from archive.dicom.nodes import Node
from archive.dicom.text_values import name_groups, texts, vr_of_node

Json = str | int | float | None | list["Json"] | dict[str, "Json"]

_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_INTEGER = re.compile(r"[+-]?\d{1,20}", re.ASCII)
_REAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
_INTEGER_VRS = frozenset(("IS", "SL", "SS", "SV", "UL", "US", "UV"))
_REAL_VRS = frozenset(("DS", "FD", "FL"))
# A terminal obeys these as it does an escape character; JSON leaves them as they are.
_CONTROLS = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), *range(0x2028, 0x202F), *range(0x2066, 0x206A))}


def text_of(data_set: Iterable[Node]) -> str:
    """One data set as a line of JSON, without a line end in it and with no character that a terminal obeys."""
    written = json.dumps(object_of(tuple(data_set)), ensure_ascii=False, separators=(", ", ": "), allow_nan=False)
    return written.translate(_CONTROLS)


def object_of(data_set: tuple[Node, ...], outer_sets: tuple[str, ...] = ()) -> dict[str, Json]:
    """One data set, group lengths left out (F.2.2)."""
    sets = nodes.character_sets(data_set, outer_sets)
    return {f"{node.tag:08X}": _attribute(node, sets) for node in data_set if node.tag & 0xFFFF}


def _attribute(node: Node, sets: tuple[str, ...]) -> dict[str, Json]:
    vr = vr_of_node(node)
    if not isinstance(node.value, bytes):
        items: list[Json] = [object_of(item.nodes, sets) for item in node.value]
        return {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}
    if vr in BULK_VRS:
        encoded = base64.b64encode(node.value).decode("ascii")
        return {"vr": vr, "InlineBinary": encoded} if encoded else {"vr": vr}
    values = texts(vr, node.value, sets)
    if node.tag == nodes.SPECIFIC_CHARACTER_SET and values:
        values = ["ISO_IR 192"]
    return {"vr": vr, "Value": [_value(vr, text) for text in values]} if values else {"vr": vr}


def _value(vr: str, text: str) -> Json:
    if not text:
        return None
    if vr == "PN":
        groups = zip(_GROUPS, name_groups(text), strict=False)
        return {name: group for name, group in groups if group}
    if vr in _INTEGER_VRS and _INTEGER.fullmatch(text):
        return int(text)
    if vr in _REAL_VRS and _REAL.fullmatch(text):
        number = int(text) if _INTEGER.fullmatch(text) else float(text)
        return number if math.isfinite(number) else text
    return text
