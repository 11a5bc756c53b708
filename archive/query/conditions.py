"""The value of a key -> the condition it asks for (PS3.4 C.2.2.2), chosen by Value Representation.

No condition (None) is universal matching. A value that its Value Representation does not allow raises ValueError with a
sentence; only a wild card in a date or time is let through as a condition that nothing meets, as DCMTK does.
"""

from datetime import date, datetime, time
from typing import TypeVar

from archive.dicom import values
from archive.dicom.elements import ONE_VALUE_TEXT_VRS, stripped
from archive.query.model import (
    NEVER,
    AnyOf,
    Condition,
    DateTimeRange,
    EmptyValue,
    Key,
    Options,
    Range,
    SingleValue,
    UidList,
    WildCard,
)
from archive.query.names import person_name
from archive.query.patterns import has_wild_card, is_universal

Value = TypeVar("Value")

EMPTY_VALUE = '""'  # PS3.4 C.2.2.2.7
WITH_WILD_CARDS = frozenset(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"))  # PS3.4 C.2.2.2.4
MAX_VALUES = 1000  # of one key that is no UID; databases take some ten thousand bound values in a statement
_ANY_MOMENT = "-"  # a range open on both sides: there must be a value (DCMTK; the standard is silent)


def condition(vr: str, text: str, options: Options) -> Condition | None:
    """What a textual value asks for; `text` is decoded, several values are separated by backslashes."""
    text = stripped(text, vr)
    given = [text] if vr in ONE_VALUE_TEXT_VRS else text.split("\\")
    given = [value for value in given if value]
    if not given or (vr in WITH_WILD_CARDS and any(map(is_universal, given))):
        return None
    if vr == "UI" and EMPTY_VALUE not in given:
        return UidList(tuple(dict.fromkeys(given)))
    if len(given) > MAX_VALUES:
        raise ValueError(f"more than {MAX_VALUES} values")
    found = [_of_one_value(vr, value, options) for value in dict.fromkeys(given)]
    return any_of(found)


def any_of(conditions: list[Condition | None]) -> Condition | None:
    """The condition that one of several holds; None if one of them always does."""
    asked = [condition for condition in conditions if condition is not None]
    if len(asked) < len(conditions):
        return None
    possible = [condition for condition in asked if condition != NEVER]
    if len(possible) == 1:
        return possible[0]
    return AnyOf(tuple(possible))


def _of_one_value(vr: str, value: str, options: Options) -> Condition | None:
    if value == EMPTY_VALUE and options.empty_value:
        return EmptyValue()
    match vr:
        case "UI":
            return UidList((value,))
        case "PN":
            return person_name(value, is_folded=not options.strict_names)
        case "DA":
            return _date(value)
        case "TM":
            return _time(value)
        case "IS":
            return SingleValue(_required(values.parse_is(value), value, "an integer of 32 bits"))
        case "DS":
            return SingleValue(_required(values.parse_ds(value), value, "a decimal number"))
        case _ if vr in WITH_WILD_CARDS and has_wild_card(value):
            return WildCard(value)
        case _:
            return SingleValue(value)


def _date(value: str) -> Condition:
    if has_wild_card(value):
        return NEVER
    if value == _ANY_MOMENT:
        return Range(None, None)
    if "-" in value:
        return Range(*values.date_range(value))
    return SingleValue(_required(values.parse_da(value), value, "a date or range of dates"))


def _time(value: str) -> Condition:
    if has_wild_card(value):
        return NEVER
    if value == _ANY_MOMENT:
        return Range(None, None)
    if "-" in value:
        return Range(*values.time_range(value))
    return SingleValue(_required(values.parse_tm(value), value, "a time or range of times"))


def _required(parsed: Value | None, value: str, expected: str) -> Value:
    if parsed is None:
        raise ValueError(f"not {expected}: {value!r}")
    return parsed


def combined(date_key: Key, time_key: Key) -> DateTimeRange | None:
    """A date range and a time range as one range of moments (PS3.4 C.2.2.2.5.3), where they can be taken as one.

    They cannot where one of them is no range, or where the times have a bound on a side on which the dates are open:
    then each is matched for itself.
    """
    dates, times = date_key.condition, time_key.condition
    if not isinstance(dates, Range) or not isinstance(times, Range):
        return None
    first = _moment(dates.first, times.first, time.min)
    last = _moment(dates.last, times.last, time.max)
    if (first is None and times.first is not None) or (last is None and times.last is not None):
        return None
    return DateTimeRange(date_key.attribute, time_key.attribute, first, last)


def _moment(day: date | time | None, moment: date | time | None, default: time) -> datetime | None:
    if not isinstance(day, date):
        return None
    return datetime.combine(day, moment if isinstance(moment, time) else default)
