"""A row of the index -> the encoded identifier of a C-FIND response (PS3.4 C.4.1.1.3.2), planned once per query.

The plan names the columns that must be selected and turns each row, in that order, into bytes; tags ascend. What never
changes is encoded at planning. An answer that is ASCII throughout, as most are, is written at once; else it is written
in the first of the character sets that it fits (see character_sets.py).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from archive.dicom import charset
from archive.dicom.attributes import UNIQUE_KEYS, Attribute, Level
from archive.dicom.elements import CHARACTER_SET_VRS
from archive.dicom.encode import ENCODERS, Element, Encoder, Packer, inflated, parse
from archive.dicom.positions import Stop, explicit, key_of
from archive.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN
from archive.query.character_sets import AS_ASKED, CharacterSetPolicy, TextEncoder, ways
from archive.query.model import Query, ReturnKey

REST = "rest"
REST_CHARACTER_SET = "specific_character_set"
AVAILABILITY = b"ONLINE"  # InstanceAvailability (PS3.3 C.4.23.1.1): what is indexed lies on disk
MAX_REST_BYTES = 1 << 20  # inflated; what is stored is far smaller
_SPECIFIC_CHARACTER_SET = 0x00080005
_QUERY_RETRIEVE_LEVEL = 0x00080052
_RETRIEVE_AE_TITLE = 0x00080054
_INSTANCE_AVAILABILITY = 0x00080056
_ESCAPE = 0x1B  # text with escape sequences is not ASCII, although its bytes are

Field = Callable[[Sequence[Any], TextEncoder], bytes]  # row -> one element


@dataclass(frozen=True, slots=True)
class Source:
    """A column that a plan needs: of the table of `level`, by its name there."""

    level: Level
    column: str


@dataclass(frozen=True, slots=True)
class ResponsePlan:
    """How the rows of one query become identifiers. Made by `plan`; may be used by one thread at a time or by many."""

    columns: tuple[Source, ...]
    _encoder: Encoder
    _rests: tuple["_RestColumns", ...]
    _before: tuple[Field, ...]  # elements in front of Specific Character Set
    _after: tuple[Field, ...]
    _ways: tuple[tuple[bytes, TextEncoder], ...] = field(repr=False)  # Specific Character Set, and how to write in it

    def encode(self, row: Sequence[Any]) -> bytes:
        """The identifier of one row; its values are in the order of `columns`.

        Text columns hold str, integer columns int, `rest` bytes; None is a missing value everywhere.
        """
        if self._rests:
            row = (*row, *[rest.opened(row) for rest in self._rests])
        for character_set, text_encoder in self._ways:
            try:
                parts = [write(row, text_encoder) for write in self._before]
                parts.append(character_set)
                parts += [write(row, text_encoder) for write in self._after]
            except UnicodeError:
                continue
            return self._encoder.data_set(parts)
        raise AssertionError("unreachable: everything fits the last way")


def plan(
    query: Query,
    transfer_syntax: str,
    retrieve_ae_title: str,
    character_sets: CharacterSetPolicy = AS_ASKED,
) -> ResponsePlan:
    """How to answer `query`: the elements it asks for, and those that every answer has.

    These are QueryRetrieveLevel, RetrieveAETitle (left out if "") and the unique keys down to the query level. What was
    asked for and has no value is there without one; attributes of levels below the query level are not.
    """
    planning = _Planning(ENCODERS[transfer_syntax])
    planning.add_constant(_QUERY_RETRIEVE_LEVEL, "CS", query.level.name.encode())
    if retrieve_ae_title:
        planning.add_constant(_RETRIEVE_AE_TITLE, "AE", retrieve_ae_title.encode("ascii", "replace"))
    for key in _complete(query):
        if key.level <= query.level:
            planning.add(key)
    return planning.plan(query, character_sets)


def _complete(query: Query) -> list[ReturnKey]:
    asked = {key.tag: key for key in query.return_keys}
    for unique in UNIQUE_KEYS[query.model.root : query.level + 1]:
        asked.setdefault(unique.tag, ReturnKey(unique.tag, unique.vr, unique.level, unique))
    return list(asked.values())


class _Planning:
    """A plan in the making."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._columns: dict[Source, int] = {}
        self._fields: dict[int, Field] = {}
        self._from_rest: dict[Level, list[ReturnKey]] = {}

    def add(self, key: ReturnKey) -> None:
        """Answer `key` from its column or from the remaining header of its level."""
        pack = self._encoder.packer(key.tag, key.vr)
        if key.tag in self._fields:
            return
        if key.tag == _INSTANCE_AVAILABILITY:
            self.add_constant(key.tag, key.vr, AVAILABILITY)
        elif key.tag == _RETRIEVE_AE_TITLE:
            self.add_constant(key.tag, key.vr, b"")
        elif key.attribute is None or key.attribute.column is None:
            self._from_rest.setdefault(key.level, []).append(key)
        elif key.vr == "PN":
            raw = key.attribute.columns[:3]  # as received: alphabetic, ideographic, phonetic
            self._fields[key.tag] = _name_field(pack, *(self._index(key.level, column) for column in raw))
        else:
            index = self._index(key.level, key.attribute.text_column or key.attribute.column)
            self._fields[key.tag] = _column_field(pack, key.attribute, index)

    def add_constant(self, tag: int, vr: str, value: bytes) -> None:
        """Answer with the same value in every row."""
        element = self._encoder.element(tag, vr, value)
        self._fields[tag] = lambda _row, _text_encoder: element

    def plan(self, query: Query, policy: CharacterSetPolicy) -> ResponsePlan:
        """The finished plan."""
        rests = tuple(
            _RestColumns(
                self._index(level, REST), self._index(level, REST_CHARACTER_SET), tuple(key.tag for key in keys)
            )
            for level, keys in self._from_rest.items()
        )
        for index, keys in enumerate(self._from_rest.values(), start=len(self._columns)):
            for key in keys:  # opened headers follow the columns of a row
                self._fields[key.tag] = _rest_field(self._encoder, key, index)
        fields = sorted(self._fields.items())
        return ResponsePlan(
            columns=tuple(self._columns),
            _encoder=self._encoder,
            _rests=rests,
            _before=tuple(write for tag, write in fields if tag < _SPECIFIC_CHARACTER_SET),
            _after=tuple(write for tag, write in fields if tag > _SPECIFIC_CHARACTER_SET),
            _ways=_ways(query, policy, self._encoder.packer(_SPECIFIC_CHARACTER_SET, "CS")),
        )

    def _index(self, level: Level, column: str) -> int:
        return self._columns.setdefault(Source(level, column), len(self._columns))


def _ways(query: Query, policy: CharacterSetPolicy, pack: Packer) -> tuple[tuple[bytes, TextEncoder], ...]:
    """The character sets to be tried, each with its element; the cheapest first."""

    def named(character_sets: tuple[str, ...] | None) -> bytes:
        return b"" if character_sets is None else pack("\\".join(character_sets).encode("ascii", "replace"))

    asked = query.character_sets if query.is_character_set_requested else None
    return tuple((named(way.character_sets), way.encode) for way in ways(asked, policy))


def _column_field(pack: Packer, attribute: Attribute, index: int) -> Field:
    """A value of one column."""
    empty = pack(b"")

    def write_text(row: Sequence[Any], text_encoder: TextEncoder) -> bytes:
        value = row[index]
        return pack(text_encoder(value)) if value else empty

    def write_plain(row: Sequence[Any], _text_encoder: TextEncoder) -> bytes:
        value = row[index]  # of the default repertoire whatever the character set (PS3.5 6.1.2.2)
        return pack(value.encode("ascii", "replace")) if value else empty

    def write_binary(row: Sequence[Any], _text_encoder: TextEncoder) -> bytes:
        value = row[index]
        return empty if value is None else pack(value.to_bytes(2, "little"))

    def write_number(row: Sequence[Any], _text_encoder: TextEncoder) -> bytes:
        value = row[index]
        return empty if value is None else pack(b"%d" % value)

    if attribute.vr == "US":
        return write_binary
    if attribute.vr == "IS" and attribute.is_computed:
        return write_number
    return write_text if attribute.vr in CHARACTER_SET_VRS else write_plain


def _name_field(pack: Packer, alphabetic: int, ideographic: int, phonetic: int) -> Field:
    """A person name, or several, of its three component groups (PS3.5 6.2.1.2)."""
    empty = pack(b"")

    def write(row: Sequence[Any], text_encoder: TextEncoder) -> bytes:
        text = row[alphabetic]
        if row[ideographic] or row[phonetic]:
            text = _joined(text or "", row[ideographic] or "", row[phonetic] or "")
        return pack(text_encoder(text)) if text else empty

    return write


def _joined(*groups: str) -> str:
    names = zip_longest(*(group.split("\\") for group in groups), fillvalue="")
    return "\\".join("=".join(name).rstrip("=") for name in names)


def _rest_field(encoder: Encoder, key: ReturnKey, index: int) -> Field:
    """An element of a remaining header; `index` is where the row holds the opened header."""
    empty = encoder.nested([Element(key.tag, key.vr, () if key.vr == "SQ" else b"")])

    def write(row: Sequence[Any], text_encoder: TextEncoder) -> bytes:
        rest: _Rest = row[index]
        element = rest.elements.get(key.tag)
        if element is None:
            return empty
        return encoder.nested([_rewritten(element, key.item_keys, rest.character_sets, text_encoder)])

    return write


@dataclass(frozen=True, slots=True)
class _Rest:
    """What was wanted of a remaining header: elements as they were received, and their Specific Character Set."""

    elements: Mapping[int, Element]
    character_sets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _RestColumns:
    """Where a row holds the remaining header of one level, and which tags are wanted of it."""

    blob: int
    character_set: int
    tags: tuple[int, ...]

    def opened(self, row: Sequence[Any]) -> _Rest:
        blob = row[self.blob]
        found = wanted_elements(inflated(blob, MAX_REST_BYTES), self.tags) if blob else ()
        return _Rest({element.tag: element for element in found}, _terms(row[self.character_set] or ""))


def wanted_elements(data: bytes, tags: Collection[int]) -> list[Element]:
    """The elements of a data set in explicit VR little endian that have one of these tags.

    A walk over the positions finds them, and only they are parsed (of 60 elements one: 37 us against 174 us); what
    the walk does not understand is parsed as a whole.
    """
    walked = explicit(data, 0, len(data))
    if walked.stop is not Stop.END or walked.has_repeats:
        return [element for element in parse(data, EXPLICIT_VR_LITTLE_ENDIAN) if element.tag in tags]
    keys = {key_of(tag) for tag in tags}
    ends = (*walked.positions.values(), walked.end)[1:]
    parts = [data[start:end] for (key, start), end in zip(walked.positions.items(), ends, strict=True) if key in keys]
    return parse(b"".join(parts), EXPLICIT_VR_LITTLE_ENDIAN)


def _terms(text: str) -> tuple[str, ...]:
    return tuple(term.strip(" \0") for term in text.split("\\")) if text else ()


def _rewritten(
    element: Element, item_keys: tuple[ReturnKey, ...], character_sets: tuple[str, ...], text_encoder: TextEncoder
) -> Element:
    """`element` with its text in the character set of the answer; of a sequence only what was asked for."""
    value = element.value
    if isinstance(value, tuple):
        items = tuple(_rewritten_item(item, item_keys, character_sets, text_encoder) for item in value)
        return Element(element.tag, element.vr, items)
    if element.vr not in CHARACTER_SET_VRS or (value.isascii() and _ESCAPE not in value):
        return element
    return Element(element.tag, element.vr, text_encoder(charset.decode(value, character_sets, element.vr)))


def _rewritten_item(
    item: tuple[Element, ...],
    item_keys: tuple[ReturnKey, ...],
    character_sets: tuple[str, ...],
    text_encoder: TextEncoder,
) -> tuple[Element, ...]:
    """One item; a Specific Character Set of its own (PS3.5 7.5.3) says how to read it, and ends there."""
    held = {element.tag: element for element in item}
    own = held.pop(_SPECIFIC_CHARACTER_SET, None)
    if own is not None and isinstance(own.value, bytes):
        character_sets = _terms(charset.decode(own.value.rstrip(b" \0"), (), "CS"))
    if not item_keys:
        return tuple(_rewritten(each, (), character_sets, text_encoder) for each in held.values())
    wanted = []
    for key in item_keys:
        element = held.get(key.tag)
        if element is None:
            element = Element(key.tag, key.vr, () if key.vr == "SQ" else b"")
        wanted.append(_rewritten(element, key.item_keys, character_sets, text_encoder))
    return tuple(wanted)
