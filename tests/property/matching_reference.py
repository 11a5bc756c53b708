"""Attribute matching as PS3.4 C.2.2.2 words it, in plain Python: what the SQL of a query is compared with.

An entity is what is known of one patient, study, series or instance and of all above it: keyword -> value as text,
several values with backslashes between; a sequence is a list of such items. What it lacks is absent or "".
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import assert_never

from archive.dicom.attributes import Attribute
from archive.dicom.elements import ONE_VALUE_TEXT_VRS, stripped
from archive.dicom.values import fold_name, parse_da, parse_ds, parse_is, parse_tm, split_name
from archive.query.model import (
    AnyOf,
    Condition,
    DateTimeRange,
    EmptyValue,
    Key,
    NameGroup,
    PersonName,
    Query,
    Range,
    SequenceItem,
    SingleValue,
    UidList,
    WildCard,
)

Item = Mapping[str, str]
Entity = Mapping[str, str | Sequence[Item]]

_PARSERS = {"DA": parse_da, "TM": parse_tm, "IS": parse_is, "DS": parse_ds, "US": parse_is}


def matches(query: Query, entity: Entity) -> bool:
    """Whether an entity of the query level matches; for a key of a lower level, `entity` is one chain down to it."""
    return all(_key_matches(key, entity) for key in query.keys) and all(
        _moment_matches(moments, entity) for moments in query.date_time_ranges
    )


def _key_matches(key: Key, entity: Entity) -> bool:
    value = entity.get(key.attribute.keyword, "")
    if isinstance(key.condition, SequenceItem):
        items = [] if isinstance(value, str) else value
        keys = key.condition.keys
        return any(all(_key_matches(each, item) for each in keys) for item in items)
    assert isinstance(value, str), f"{key.attribute.keyword} is no sequence"
    return _text_matches(key.condition, key.attribute, value)


def _text_matches(condition: Condition, attribute: Attribute, text: str) -> bool:
    """Whether at least one of the values matches; an entity without a value matches nothing but an empty value."""
    if isinstance(condition, AnyOf):
        return any(_text_matches(each, attribute, text) for each in condition.conditions)
    text = stripped(text, attribute.vr)
    values = [text] if attribute.vr in ONE_VALUE_TEXT_VRS else text.split("\\")
    values = [value for value in values if value]
    if isinstance(condition, EmptyValue):
        return not values
    return any(_value_matches(condition, attribute.vr, value) for value in values)


def _value_matches(condition: Condition, vr: str, value: str) -> bool:
    typed = _PARSERS[vr](value) if vr in _PARSERS else value
    match condition:
        case SingleValue(wanted):
            return typed == wanted
        case UidList(uids):
            return value in uids
        case WildCard(pattern):
            return wild_card_matches(pattern, value)
        case Range(first, last):
            return typed is not None and _in_range(first, typed, last)
        case PersonName():
            return _name_matches(condition, value)
        case AnyOf() | EmptyValue() | SequenceItem():
            raise AssertionError("not a condition of one value")
        case _:
            assert_never(condition)


def _in_range(first: object, value: object, last: object) -> bool:
    return (first is None or first <= value) and (last is None or value <= last)  # type: ignore[operator]


def wild_card_matches(pattern: str, value: str, never: str = "") -> bool:
    """`*` is any sequence of characters, also none; `?` any one character (PS3.4 C.2.2.2.4), but none of `never`."""
    if not pattern:
        return not value
    if pattern[0] == "*":
        return wild_card_matches(pattern[1:], value, never) or (
            bool(value) and wild_card_matches(pattern, value[1:], never)
        )
    if not value or pattern[0] not in ("?", value[0]) or (pattern[0] == "?" and value[0] in never):
        return False
    return wild_card_matches(pattern[1:], value[1:], never)


def _name_matches(condition: PersonName, name: str) -> bool:
    held = dict(zip(NameGroup, split_name(name), strict=True))
    for part in condition.parts:
        groups = [fold_name(held[group]) if condition.is_folded else held[group] for group in part.groups]
        if not any(
            wild_card_matches(pattern.pattern, group)
            and (pattern.expression is None or re.fullmatch(pattern.expression, group))
            for pattern in part.patterns
            for group in groups
            if group
        ):
            return False
    return True


def name_group_matches(asked: str, held: str) -> bool:
    """Component by component: the last one that was asked for may match the rest of the name as a whole.

    Both are folded already. Independent of how the query was taken apart, so that it proves that as well.
    """
    wanted, given = asked.rstrip("^").split("^"), held.rstrip("^").split("^")
    given += [""] * (len(wanted) - len(given))
    leading, last = wanted[:-1], wanted[-1]
    rest = "^".join(given[len(leading) :]).rstrip("^")
    return all(map(wild_card_matches, leading, given)) and wild_card_matches(last, rest, never="^")


def _moment_matches(moments: DateTimeRange, entity: Entity) -> bool:
    """A day without a time matches only if the whole of it does."""
    day = parse_da(str(entity.get(moments.date_attribute.keyword, "")))
    clock = parse_tm(str(entity.get(moments.time_attribute.keyword, "")))
    if not isinstance(day, date):
        return False
    first, last = moments.first, moments.last
    if isinstance(clock, time):
        return _in_range(first, datetime.combine(day, clock), last)
    return (first is None or first.date() < day) and (last is None or day < last.date())
