"""Which key of a query leads: where a database had best begin, and what it then only looks at, row by row.

SQLite does not know how many rows a pattern lets through, or how many studies hold a CT, and would make a list of all
of them although another key leaves a handful. PostgreSQL keeps statistics and plans for itself; it is told the same.
"""

from datetime import UTC, date, datetime, timedelta
from enum import IntEnum
from typing import NamedTuple

from archive.dicom.attributes import UNIQUE_KEYS, Level
from archive.query.model import (
    AnyOf,
    Condition,
    DateTimeRange,
    Key,
    PersonName,
    Query,
    Range,
    SingleValue,
    UidList,
    WildCard,
)

_INDEXED = frozenset({"PatientID", "PatientName", "AccessionNumber", "StudyID", "ReferringPhysicianName"})
_DATE = "StudyDate"
# The days of a range that is looked up; a longer one may hold most of what there is.
_SHORT = timedelta(days=366)


class Strength(IntEnum):
    """How a key is answered if it leads."""

    NONE = 0
    """Each row is looked at."""
    LISTED = 1
    """Those that match are listed, by an index, and may be many."""
    SEARCHED = 2
    """An index of texts is searched: for a part, or all of it."""
    LOOKED_UP = 3
    """An index has them side by side, and they are few."""


class Leading(NamedTuple):
    """How a query is answered."""

    strength: Strength
    keys: tuple[bool, ...]
    """Of each key, whether it leads."""
    is_to_few: bool
    """Whether a value, a UID or a name leads, which is few rows, other than of the instances of a series: these have
    to be asked for by their own UID. A range of days, or the beginning of a number, may be a tenth of a table."""


def strength(key: Key, today: date) -> Strength:
    """How a key would be answered; a range without an end ends today."""
    keyword, condition = key.attribute.keyword, key.condition
    if isinstance(condition, UidList) and not key.attribute.multi_valued:
        return Strength.LOOKED_UP
    if keyword == _DATE:
        return _of_days(condition, today)
    if keyword in _INDEXED:
        return _of_text(condition)
    if keyword == "StudyDescription":
        return Strength.SEARCHED
    return Strength.LISTED if keyword == "ModalitiesInStudy" else Strength.NONE


def leading(query: Query, today: date | None = None) -> Leading:
    """Which keys of the query lead today: no other is stronger."""
    today = today or datetime.now(UTC).date()
    strengths = [strength(key, today) for key in query.keys]
    strongest = max([*strengths, *(_between(each, today) for each in query.date_time_ranges)], default=Strength.NONE)
    keys = tuple(each is strongest for each in strengths)
    few = (_is_few(key, query.level) for key, leads in zip(query.keys, keys, strict=True) if leads)
    return Leading(strongest, keys, strongest is Strength.LOOKED_UP and any(few))


def _is_few(key: Key, level: Level) -> bool:
    if level is Level.IMAGE:
        return key.attribute is UNIQUE_KEYS[Level.IMAGE]
    has_index = key.attribute in UNIQUE_KEYS or key.attribute.keyword in _INDEXED or key.attribute.keyword == _DATE
    return has_index and _is_value(key.condition)


def _is_value(condition: Condition) -> bool:
    match condition:
        case SingleValue() | UidList() | PersonName():
            return True
        case AnyOf(conditions):
            return all(map(_is_value, conditions))
        case _:
            return False


def _of_days(condition: Condition, today: date) -> Strength:
    match condition:
        case SingleValue():
            return Strength.LOOKED_UP
        case Range(date() as first, date() | None as last) if (last or today) - first <= _SHORT:
            return Strength.LOOKED_UP
        case _:
            return Strength.NONE


def _between(moments: DateTimeRange, today: date) -> Strength:
    if moments.date_attribute.keyword != _DATE or moments.first is None:
        return Strength.NONE
    last = today if moments.last is None else moments.last.date()
    return Strength.LOOKED_UP if last - moments.first.date() <= _SHORT else Strength.NONE


def _of_text(condition: Condition) -> Strength:
    match condition:
        case SingleValue():
            return Strength.LOOKED_UP
        case WildCard(pattern):
            return _of_pattern(pattern)
        case PersonName(parts):
            return max(min(_of_pattern(each.pattern) for each in part.patterns) for part in parts)
        case AnyOf(conditions):
            return min(map(_of_text, conditions), default=Strength.LOOKED_UP)
        case _:
            return Strength.NONE


def _of_pattern(pattern: str) -> Strength:
    return Strength.SEARCHED if pattern.startswith(("*", "?")) else Strength.LOOKED_UP
