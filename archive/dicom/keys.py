"""Keys as they are typed, `PatientName=Miller*`, and what they make of a query's identifier; pure.

A key is a path and a value: a tag `gggg,eeee`, with parentheses or without, or a name of the dictionary; `[n]` is an
item of a sequence, from 0, and behind it the path goes on, as in `(0040,0100)[0].Modality=CT`. Backslashes separate
values. Without a value the element is asked for, and empty. Names are the standard's keywords (PS3.6), DCMTK's,
and those of further dictionaries.

A value is typed in the character set of a terminal, and sent in the Specific Character Set of the identifier: as
ISO_IR 192 where it is not ASCII and none is said. DCMTK sends the bytes of the terminal, whatever the identifier says
they are. Bytes that are no text in the terminal's character set are sent as they are.
"""

import functools
import os
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from archive.dicom import charset, further_dictionary
from archive.dicom.attributes import BY_KEYWORD
from archive.dicom.elements import (
    CHARACTER_SET_VRS,
    LATER_VRS,
    MAX_DEPTH,
    NUMBER_CODES,
    TEXT_VRS,
    chosen_vr,
    padded,
    vr_of,
)
from archive.dicom.encode import Element
from archive.errors import Misconfigured

MAX_ITEMS = 1000  # of a sequence, by a path: far more than any query has

SPECIFIC_CHARACTER_SET = 0x00080005
_PATH_STEP = re.compile(r"(?:\(([^()]*)\)|([^\[\]()=]+))(?:\[(\d{1,9})\](?:\.(?=.))?)?")
_TAG = re.compile(r"\s*([0-9a-fA-F]{1,4}),([0-9a-fA-F]{1,4})\s*")
_TAG_VALUE = re.compile(r"\s*\(?([0-9a-fA-F]{4}),?([0-9a-fA-F]{4})\)?\s*")
# Of the identifiers' own elements those that are no keys; what is looked up here needs no dictionary.
_NAMES = {
    "SpecificCharacterSet": SPECIFIC_CHARACTER_SET,
    "QueryRetrieveLevel": 0x00080052,
    "ScheduledProcedureStepID": 0x00400009,
    "ScheduledProcedureStepDescription": 0x00400007,
    "RequestedProcedureID": 0x00401001,
    "RequestedProcedureDescription": 0x00321060,
} | {keyword: attribute.tag for keyword, attribute in BY_KEYWORD.items()}
_RETIRED = re.compile("(?:RETIRED|ACR_NEMA|DICOS|DICONDE)_")  # how DCMTK's dictionary begins some names
# Numbers in a VR without a list of its own: of struct, and the base they are typed in.
_OTHER_NUMBERS = {"OB": ("B", 16), "UN": ("B", 16), "OW": ("H", 16), "OL": ("I", 10), "OV": ("Q", 10)}
_OTHER_REALS = {"OF": "f", "OD": "d"}
_REALS = {"FL": "f", "FD": "d"} | _OTHER_REALS


@dataclass(frozen=True, slots=True)
class Key:
    """A key: tag, item, tag, item, ... of its path, from the outermost sequence on, and its value as it was typed."""

    path: tuple[int, ...]
    text: str = ""


def read(typed: str) -> Key:
    """The key that was typed; raises Misconfigured."""
    path, _, text = typed.partition("=")
    steps: list[int] = []
    position = 0
    while not steps or position < len(path):
        found = _PATH_STEP.match(path, position)
        if found is None or (steps and len(steps) % 2):  # an element goes on behind an item only
            raise _unknown(path)
        steps.append(_tag(found[1], found[2]))
        if found[3] is not None:
            if int(found[3]) >= MAX_ITEMS:
                raise Misconfigured(f"item {found[3]} of a sequence is beyond the limit of {MAX_ITEMS} items: {path}")
            steps.append(int(found[3]))
        position = found.end()
    if len(steps) > 2 * MAX_DEPTH:
        raise Misconfigured(f"sequences are nested too deeply: {path}")
    if text and len(steps) % 2 == 0:
        raise Misconfigured(f"an item of a sequence has no value: {typed}")
    return Key(tuple(steps), text)


def _unknown(path: str) -> Misconfigured:
    return Misconfigured(f"bad key format or dictionary name not found in dictionary: {path}")


def _tag(in_parentheses: str | None, plain: str | None) -> int:
    text = in_parentheses if in_parentheses is not None else plain or ""
    numbers = _TAG.fullmatch(text)
    tag = int(numbers[1], 16) << 16 | int(numbers[2], 16) if numbers else _tag_of_name(text)
    if tag is None:
        raise _unknown(text)
    if tag >> 16 in (0x0000, 0x0002, 0xFFFE, 0xFFFF) or tag & 0xFFFF == 0:
        raise Misconfigured(f"unknown tag: {_shown(tag)} cannot be in an identifier")
    return tag


def _tag_of_name(name: str) -> int | None:
    found = _NAMES.get(name)
    if found is not None or not name.isascii() or not name.isprintable():
        return found
    from pydicom.datadict import tag_for_keyword  # slow to import, and few need it

    plain = _RETIRED.sub("", name, count=1)
    known = tag_for_keyword(name) or tag_for_keyword(plain) or _tags_by_name().get(plain)
    return known or further_dictionary.tag_of(name)


@functools.cache
def _tags_by_name() -> Mapping[str, int]:
    """By the attributes' names without spaces and signs, as the dictionary of DCMTK 3.5.4 has them: PatientsName."""
    from pydicom._dicom_dict import DicomDictionary

    return {re.sub("[^A-Za-z0-9]", "", entry[2]): tag for tag, entry in DicomDictionary.items()}


# Keys into an identifier.


def applied(elements: Iterable[Element], keys: Iterable[Key]) -> tuple[Element, ...]:
    """An identifier with `keys` put in, each in the place of what was there, of two alike the later one.

    The elements are in the order of their tags, and values not padded: an encoder does that. Raises Misconfigured for
    a value that an element cannot have.
    """
    ordered = sorted(keys, key=lambda key: key.path)  # an element that others need comes first: the lowest tag
    identifier = tuple(sorted(elements, key=lambda element: element.tag))
    for key in ordered:
        if key.path == (SPECIFIC_CHARACTER_SET,):
            identifier = _with(identifier, key.path, key.text, ())
    if not _character_sets(identifier, ()) and any(map(_needs_character_set, ordered)):
        identifier = _with(identifier, (SPECIFIC_CHARACTER_SET,), charset.UNICODE, ())
        ordered = [key for key in ordered if key.path != (SPECIFIC_CHARACTER_SET,)]
    for key in ordered:
        identifier = _with(identifier, key.path, key.text, ())
    return identifier


def with_old_vrs(elements: Iterable[Element]) -> tuple[Element, ...]:
    """`elements` with no VR that came after 1993: each of them is OB, as DCMTK writes it for receivers of that time."""
    return tuple(map(_with_old_vr, elements))


def _with_old_vr(element: Element) -> Element:
    if not isinstance(element.value, bytes):
        return Element(element.tag, element.vr, tuple(map(with_old_vrs, element.value)))
    if element.vr not in LATER_VRS:
        return element
    return Element(element.tag, "OB", padded(element.value, element.vr))


def _with(
    elements: tuple[Element, ...], path: tuple[int, ...], text: str, outer_sets: tuple[str, ...]
) -> tuple[Element, ...]:
    by_tag = {element.tag: element for element in elements}
    tag, below = path[0], path[1:]
    old = by_tag.get(tag)
    vr = _vr(tag, by_tag)
    sets = _character_sets(elements, outer_sets)
    if vr == "SQ" or below:
        if vr != "SQ" and not (old and old.vr == "SQ"):
            raise Misconfigured(f"{_shown(tag)} is no sequence, and has no items")
        if text and not below:
            raise _cannot_put(tag, text, "a sequence has items, and no value")
        items = list(old.value) if old and isinstance(old.value, tuple) else []
        by_tag[tag] = Element(tag, "SQ", _with_items(items, below, text, sets))
    else:
        vr = old.vr if old and old.vr not in ("UN", "SQ") else vr
        by_tag[tag] = Element(tag, vr, _value(tag, vr, text, sets))
    return tuple(by_tag[each] for each in sorted(by_tag))


def _with_items(
    items: list[tuple[Element, ...]], below: tuple[int, ...], text: str, sets: tuple[str, ...]
) -> tuple[tuple[Element, ...], ...]:
    if below:
        items += [()] * (below[0] + 1 - len(items))
    if len(below) > 1:
        items[below[0]] = _with(items[below[0]], below[1:], text, sets)
    return tuple(items)


def _vr(tag: int, beside: Mapping[int, Element]) -> str:
    """The VR by the dictionary; of a private attribute by its creator, if that is in the same data set."""
    vr = vr_of(tag)
    group, number = tag >> 16, tag & 0xFFFF
    if vr == "UN" and group & 1:
        creator = beside.get(group << 16 | number >> 8)
        value = creator.value if creator is not None and isinstance(creator.value, bytes) else b""
        vr = _private_vr(tag, value.decode("latin-1").strip(" \0"))
    return chosen_vr(vr, tag, pixel_representation=0, bits_allocated=0, waveform_bits=0)


def _private_vr(tag: int, creator: str) -> str:
    found = further_dictionary.entry(tag, creator)
    if found is not None or not creator:
        return found.vr if found else "UN"
    from pydicom.datadict import private_dictionary_VR

    try:
        return private_dictionary_VR(tag, creator)
    except KeyError:
        return "UN"


# The value of one element.


def _value(tag: int, vr: str, text: str, sets: tuple[str, ...]) -> bytes:
    if not text:
        return b""
    try:
        return _text(vr, text, sets) if vr in TEXT_VRS else _binary(vr, text)
    except ValueError as error:
        raise _cannot_put(tag, text, str(error)) from None
    except (struct.error, OverflowError):
        raise _cannot_put(tag, text, f"a number is beyond what VR {vr} holds") from None


def _text(vr: str, text: str, sets: tuple[str, ...]) -> bytes:
    if text.isascii():
        return text.encode()  # escape sequences, too, as typed
    if _is_raw(text):
        return os.fsencode(text)
    if vr not in CHARACTER_SET_VRS:
        raise ValueError(f"VR {vr} holds ASCII only")
    encoded = charset.encode(text, sets or (charset.UNICODE,))
    if encoded is None:
        raise ValueError("it does not fit the Specific Character Set " + "\\".join(sets))
    return encoded


def _binary(vr: str, text: str) -> bytes:
    values = text.split("\\")
    if vr == "AT":
        tags = [_TAG_VALUE.fullmatch(value) for value in values]
        if None in tags:
            raise ValueError("VR AT holds tags: (gggg,eeee)")
        return b"".join(struct.pack("<HH", int(tag[1], 16), int(tag[2], 16)) for tag in tags if tag)
    try:
        if vr in _REALS:
            return struct.pack(f"<{len(values)}{_REALS[vr]}", *map(float, values))
        code, base = _OTHER_NUMBERS.get(vr) or (NUMBER_CODES[vr], 10)
        return struct.pack(f"<{len(values)}{code}", *(int(value, base) for value in values))
    except ValueError:
        kind = "hexadecimal numbers" if vr in ("OB", "OW", "UN") else "numbers"
        raise ValueError(f"VR {vr} holds {kind}, with backslashes between them") from None


def _needs_character_set(key: Key) -> bool:
    return not key.text.isascii() and not _is_raw(key.text)


def _is_raw(text: str) -> bool:
    """Whether there are bytes in it that are no text in the terminal's character set (PEP 383)."""
    return any("\udc80" <= character <= "\udcff" for character in text)


def _character_sets(elements: Iterable[Element], outer: tuple[str, ...]) -> tuple[str, ...]:
    """Those that are said, else `outer`; none for an empty element."""
    for element in elements:
        if element.tag == SPECIFIC_CHARACTER_SET and isinstance(element.value, bytes):
            sets = tuple(term.strip(" \0") for term in element.value.decode("latin-1").split("\\"))
            return sets if any(sets) else outer
    return outer


def _cannot_put(tag: int, text: str, reason: str) -> Misconfigured:
    return Misconfigured(f'cannot put tag value: {_shown(tag)}="{text}": {reason}')


def _shown(tag: int) -> str:
    return f"({tag >> 16:04x},{tag & 0xFFFF:04x})"
