"""The values of a node as text, each without its padding: what a document of people and programs says of it; pure."""

import math
import struct

from archive.dicom import charset
from archive.dicom.elements import NUMBER_CODES, ONE_VALUE_TEXT_VRS, TEXT_VRS, chosen_vr, stripped
from archive.dicom.nodes import Node

_DIGITS = {"FL": 9, "FD": 17}


def vr_of_node(node: Node) -> str:
    """The VR, one where the dictionary leaves a choice."""
    return chosen_vr(node.vr, node.tag, pixel_representation=0, bits_allocated=0, waveform_bits=0)


def texts(vr: str, raw: bytes, character_sets: tuple[str, ...]) -> list[str]:
    """The values of text, numbers or tags; none of an empty element. VRs of bytes have no text."""
    if vr in TEXT_VRS:
        text = stripped(charset.decode(raw.rstrip(b"\0"), character_sets, vr), vr)
        if not text:
            return []
        return [text] if vr in ONE_VALUE_TEXT_VRS else text.split("\\")
    if vr == "AT":
        words = _numbers("H", raw)
        return [f"{group:04X}{number:04X}" for group, number in zip(words[::2], words[1::2], strict=False)]
    return [_number_text(vr, number) for number in _numbers(NUMBER_CODES[vr], raw)]


def _numbers(code: str, raw: bytes) -> tuple[float, ...]:
    count = len(raw) // struct.calcsize("<" + code)
    return struct.unpack_from(f"<{count}{code}", raw)


def _number_text(vr: str, number: float) -> str:
    if vr not in _DIGITS or not math.isfinite(number):
        return str(number)
    if vr == "FD":
        return repr(number)
    shortest = (format(number, f".{digits}g") for digits in range(6, 10))
    return next((text for text in shortest if struct.pack("<f", float(text)) == struct.pack("<f", number)), str(number))


def name_groups(text: str) -> tuple[str, ...]:
    """The component groups of a person name: alphabetic, ideographic, phonetic; those at the end may be missing."""
    return tuple(text.split("=")[:3])
