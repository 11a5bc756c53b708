"""The identifier of a C-FIND, C-MOVE or C-GET request -> a Query, or a refusal (PS3.4 C.4.1.1.3, C.4.2.1.4, C.4.3.1.3).

Which key restricts what depends on its level and on what was negotiated (PS3.4 C.4.1.2, C.4.1.3). Where the standard
leaves room this follows DCMTK's dcmqrscp, except that a retrieval never goes by less than its unique keys. A refusal
names the offending element.
"""

import sys
from array import array

from archive.dicom.attributes import BY_TAG, EVERY_LEVEL, UNIQUE_KEYS, Attribute, KeyType, Level, level_of
from archive.dicom.charset import decode
from archive.dicom.elements import vr_of
from archive.dicom.encode import Element, parse
from archive.errors import InvalidIdentifier, MissingUniqueKey, UnknownLevel, UnreadableDataSet
from archive.query import hierarchy
from archive.query.conditions import MAX_VALUES, WITH_WILD_CARDS, any_of, combined, condition
from archive.query.model import (
    AnyOf,
    Condition,
    DateTimeRange,
    Key,
    Model,
    Options,
    Query,
    ReturnKey,
    SequenceItem,
    SingleValue,
    WildCard,
)

SPECIFIC_CHARACTER_SET = 0x00080005
QUERY_RETRIEVE_LEVEL = 0x00080052
TIMEZONE_OFFSET_FROM_UTC = 0x00080201


def _of_request(keyword: str, tag: int, vr: str, column: str) -> tuple[int, Attribute]:
    return tag, Attribute(keyword, tag, vr, Level.SERIES, KeyType.OPTIONAL, column)


# The keys within an item of Request Attributes Sequence (PS3.3 table 10-9) that have a column in `series_requests`.
REQUEST_ATTRIBUTES: dict[int, Attribute] = dict(
    (
        _of_request("AccessionNumber", 0x00080050, "SH", "accession_number"),
        _of_request("StudyInstanceUID", 0x0020000D, "UI", "study_instance_uid"),
        _of_request("RequestedProcedureDescription", 0x00321060, "LO", "requested_procedure_description"),
        _of_request("ScheduledProcedureStepDescription", 0x00400007, "LO", "scheduled_procedure_step_description"),
        _of_request("ScheduledProcedureStepID", 0x00400009, "SH", "scheduled_procedure_step_id"),
        _of_request("RequestedProcedureID", 0x00401001, "SH", "requested_procedure_id"),
    )
)


def parse_find(data: bytes, transfer_syntax: str, model: Model, options: Options) -> Query:
    """What a C-FIND identifier asks for; raises InvalidIdentifier, UnknownLevel or MissingUniqueKey."""
    reading = _Reading(data, transfer_syntax, model, options)
    if options.strict_keys:
        hierarchy.require_find(reading.keys, model, reading.level)
    if not options.relational:
        for level in reading.levels_above:
            if UNIQUE_KEYS[level].tag not in reading.elements:
                raise _missing(level)
    return reading.query()


def parse_retrieve(data: bytes, transfer_syntax: str, model: Model, options: Options) -> Query:
    """What a C-MOVE or C-GET identifier asks for; raises as `parse_find` does.

    The unique key of the query level must say something, and without relational retrieval those above it too. Other
    keys of the query level narrow the choice further, as with dcmqrscp.
    """
    reading = _Reading(data, transfer_syntax, model, options)
    if options.strict_keys:
        hierarchy.require_retrieve(reading.keys, model, reading.level)
    query = reading.query()
    conditions = {key.attribute.tag: key.condition for key in query.keys}
    required = (query.level,) if options.relational else (*reading.levels_above, query.level)
    for level in required:
        if not _says_something(conditions.get(UNIQUE_KEYS[level].tag)):
            raise _missing(level)
    return query


def _says_something(condition: Condition | None) -> bool:
    """Whether a unique key restricts a retrieval: patterns such as `?*` would be as good as none."""
    if isinstance(condition, WildCard):
        return bool(condition.pattern.strip("*?"))
    if isinstance(condition, AnyOf):
        return all(map(_says_something, condition.conditions))
    return condition is not None


def _missing(level: Level) -> MissingUniqueKey:
    unique = UNIQUE_KEYS[level]
    return MissingUniqueKey(keyword=unique.keyword, offending_element=unique.tag)


class _Reading:
    """One identifier being read."""

    def __init__(self, data: bytes, transfer_syntax: str, model: Model, options: Options) -> None:
        try:
            parsed = parse(data, transfer_syntax)
        except UnreadableDataSet as error:
            raise InvalidIdentifier("The identifier cannot be read.", reason=str(error)) from error
        self.elements = {element.tag: element for element in parsed}
        self.model = model
        self.options = options
        self.character_sets = _character_sets(self.elements, ())
        self.level = self._query_level()
        self.levels_above = tuple(level for level in model.levels if level < self.level)
        self._unsupported: list[int] = []

    @property
    def keys(self) -> dict[int, bool]:
        """The tags of the identifier, and whether each has a value, be it only a wild card."""
        return {tag: bool(_stripped(element)) for tag, element in self.elements.items()}

    def query(self) -> Query:
        """The identifier as a query."""
        keys: list[Key] = []
        return_keys: list[ReturnKey] = []
        for tag in sorted(self.elements):
            if tag in (SPECIFIC_CHARACTER_SET, QUERY_RETRIEVE_LEVEL):
                continue
            element, attribute = self.elements[tag], BY_TAG.get(tag)
            return_keys.append(self._return_key(element, attribute))
            if attribute is not None and self._is_matched(attribute):
                found = self._condition(element, attribute, self.character_sets)
                if found is not None:
                    keys.append(Key(attribute, found))
            elif _has_value(element) and tag != TIMEZONE_OFFSET_FROM_UTC:  # says how to read the query: no key
                self._unsupported.append(tag)
        keys, ranges = self._combine(keys)
        return Query(
            model=self.model,
            level=self.level,
            keys=tuple(keys),
            date_time_ranges=tuple(ranges),
            return_keys=tuple(return_keys),
            unsupported=tuple(self._unsupported),
            character_sets=self.character_sets,
            is_character_set_requested=SPECIFIC_CHARACTER_SET in self.elements,
            relational=self.options.relational,
        )

    def _query_level(self) -> Level:
        element = self.elements.get(QUERY_RETRIEVE_LEVEL)
        word = _text(element, (), "CS").strip().upper() if element else ""
        if not word:
            raise InvalidIdentifier("QueryRetrieveLevel is missing.", offending_element=QUERY_RETRIEVE_LEVEL)
        level = next((level for level in Level if word == level.name), None)
        if level is not None and level in self.model.levels:
            return level
        if level is not None and self.options.strict_keys:
            raise InvalidIdentifier(
                f"{self.model.name} has no {level.name} level.", offending_element=QUERY_RETRIEVE_LEVEL
            )
        raise UnknownLevel(level=word, model=self.model.name, offending_element=QUERY_RETRIEVE_LEVEL)

    def _is_matched(self, attribute: Attribute) -> bool:
        """Whether a key restricts this query (PS3.4 C.4.1.2.1, C.4.1.3.1)."""
        level = max(attribute.level, self.model.root)  # in Study Root the patient's attributes are the study's
        if attribute.key_type is KeyType.RETURN or level not in self.model.levels:
            return False
        if self.options.relational or level is self.level:
            return True
        return level < self.level and attribute is UNIQUE_KEYS[level]

    def _return_key(self, element: Element, attribute: Attribute | None) -> ReturnKey:
        tag = element.tag
        vr = attribute.vr if attribute else _known_vr(element)
        is_at_every_level = tag in EVERY_LEVEL or (attribute is not None and attribute.key_type is KeyType.RETURN)
        level = self.level if is_at_every_level else attribute.level if attribute else level_of(tag)
        item = next(iter(_items(element)), ())
        item_keys = tuple(self._return_key(each, None) for each in item if each.tag != SPECIFIC_CHARACTER_SET)
        return ReturnKey(tag, vr, level, attribute, item_keys)

    def _condition(self, element: Element, attribute: Attribute, character_sets: tuple[str, ...]) -> Condition | None:
        vr = attribute.vr
        if vr == "SQ":
            return self._sequence(element, character_sets)
        if vr == "US":
            return _numbers(element)
        try:
            return condition(vr, _text(element, character_sets, vr), self.options)
        except ValueError as error:
            raise InvalidIdentifier(
                f"{attribute.keyword}: {error}.", keyword=attribute.keyword, offending_element=element.tag
            ) from None

    def _sequence(self, sequence: Element, character_sets: tuple[str, ...]) -> SequenceItem | None:
        """Sequence matching (PS3.4 C.2.2.2.6), by the keys that are held of an item."""
        if len(sequence.value) > 1:  # bytes are no items
            raise InvalidIdentifier("A sequence key has one item.", offending_element=sequence.tag)
        keys = []
        for item in _items(sequence):
            own = {element.tag: element for element in item}
            character_sets = _character_sets(own, character_sets)
            for element in item:
                attribute = REQUEST_ATTRIBUTES.get(element.tag)
                found = self._condition(element, attribute, character_sets) if attribute else None
                if attribute and found is not None:
                    keys.append(Key(attribute, found))
                elif attribute is None and element.tag != SPECIFIC_CHARACTER_SET and _has_value(element):
                    self._unsupported.append(element.tag)
        return SequenceItem(tuple(keys)) if keys else None

    def _combine(self, keys: list[Key]) -> tuple[list[Key], list[DateTimeRange]]:
        """Take each date and its time together, where that was negotiated."""
        ranges: list[DateTimeRange] = []
        if not self.options.combined_date_time:
            return keys, ranges
        by_keyword = {key.attribute.keyword: key for key in keys}
        for keyword, date_key in list(by_keyword.items()):
            time_key = by_keyword.get(f"{keyword.removesuffix('Date')}Time") if keyword.endswith("Date") else None
            together = combined(date_key, time_key) if time_key else None
            if time_key and together:
                ranges.append(together)
                del by_keyword[keyword], by_keyword[time_key.attribute.keyword]
        return list(by_keyword.values()), ranges


def _character_sets(elements: dict[int, Element], inherited: tuple[str, ...]) -> tuple[str, ...]:
    element = elements.get(SPECIFIC_CHARACTER_SET)
    if element is None:
        return inherited
    text = _text(element, (), "CS").strip()
    return tuple(value.strip() for value in text.split("\\")) if text else ()


def _items(element: Element) -> tuple[tuple[Element, ...], ...]:
    return element.value if isinstance(element.value, tuple) else ()


def _stripped(element: Element) -> object:
    return element.value.strip(b" \0") if isinstance(element.value, bytes) else element.value


def _raw(element: Element) -> bytes:
    if isinstance(element.value, bytes):
        return element.value.rstrip(b" \0")
    raise InvalidIdentifier("A sequence where text was due.", offending_element=element.tag)


def _text(element: Element, character_sets: tuple[str, ...], vr: str) -> str:
    return decode(_raw(element), character_sets, vr)


def _numbers(element: Element) -> Condition | None:
    """The values of a US element, which are binary."""
    value = element.value
    if not isinstance(value, bytes) or len(value) % 2:
        raise InvalidIdentifier("Not 16-bit numbers.", offending_element=element.tag)
    if len(value) > 2 * MAX_VALUES:
        raise InvalidIdentifier(f"More than {MAX_VALUES} values.", offending_element=element.tag)
    numbers = array("H", value)
    if sys.byteorder == "big":
        numbers.byteswap()
    return any_of([SingleValue(number) for number in numbers]) if numbers else None


def _known_vr(element: Element) -> str:
    vr = element.vr if element.vr != "UN" else vr_of(element.tag)
    return vr.split(" ")[0]


def _has_value(element: Element) -> bool:
    """Whether a key asks for more than universal matching."""
    if not isinstance(element.value, bytes):
        return any(_has_value(each) for item in element.value for each in item)
    return bool(element.value.strip(b" \0*" if element.vr in WITH_WILD_CARDS else b" \0"))
