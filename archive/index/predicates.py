"""The condition of a key as SQL: a closed set of kinds of matching, one case each (PS3.4 C.2.2.2)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, assert_never, cast

from sqlalchemy import ColumnElement, and_, exists, false, or_, select, true

from archive.database import dialects
from archive.database.trigrams import Search
from archive.dicom.attributes import NAME_GROUPS, Attribute
from archive.index import columns, rows
from archive.index.tables import series, series_requests, studies
from archive.query import patterns
from archive.query.model import (
    AnyOf,
    Condition,
    DateTimeRange,
    EmptyValue,
    Key,
    NamePart,
    PersonName,
    Range,
    SequenceItem,
    SingleValue,
    UidList,
    WildCard,
)

# What a study holds is matched where it lies, by an index of its series: the column, and whether it has many values.
_within = series.alias("within")
_IN_SERIES: dict[str, tuple[ColumnElement[Any], bool]] = {
    "ModalitiesInStudy": (_within.c.modality, False),
    "SOPClassesInStudy": (_within.c.sop_classes, True),
}

# Looked for by their trigrams, even where the whole value is given.
SEARCHED = frozenset({"StudyDescription"})

_CONDITIONS_IN_A_GROUP = 100
_HIGHEST_CODE_POINT = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)  # no characters, so no database holds them


def has_many_values(attribute: Attribute) -> bool:
    """Whether a row holds several values of an attribute, each of which may match."""
    _, is_many = _IN_SERIES.get(attribute.keyword, (None, attribute.multi_valued))
    return is_many


class Predicates:
    """Makes predicates on the rows of one area, for one dialect."""

    def __init__(self, dialect_name: str, area_pk: int) -> None:
        self._dialect = dialect_name
        self._area_pk = area_pk

    def of_key(self, key: Key, *, leads: bool = True) -> ColumnElement[bool]:
        """The rows of the level's table that the key lets through; it leads, or looks at what others have found."""
        attribute, condition = key.attribute, key.condition
        if attribute.keyword in _IN_SERIES:
            return self._in_series(attribute, condition, leads=leads)
        if isinstance(condition, SequenceItem):
            return self._item(condition)
        if attribute.vr == "PN":
            return self._name(attribute, condition, leads=leads)
        if attribute.keyword in SEARCHED and leads:
            return self._description(condition)
        text = columns.named(attribute.level, attribute.text_column) if attribute.text_column else None
        return self._values(columns.typed(attribute), text, has_many_values(attribute), condition)

    def _description(self, condition: Condition) -> ColumnElement[bool]:
        """The studies of a description, which has trigrams and no other index."""
        column = studies.c.study_description
        match condition:
            case WildCard(pattern) if len(pattern) <= dialects.MAX_PATTERN_CHARACTERS:
                search = Search(column, pattern, dialects.wild_card(self._dialect, column, pattern))
            case SingleValue(str() as value):
                search = Search(column, value, column == value)
            case _:
                return self._values(column, column, False, condition)
        return dialects.searched(self._dialect, self._area_pk, [search])

    def _in_series(self, attribute: Attribute, condition: Condition, *, leads: bool) -> ColumnElement[bool]:
        """One of the study's series matches; none has a value where an empty one is asked for."""
        if condition == EmptyValue():
            return columns.typed(attribute).is_(None)
        if isinstance(condition, AnyOf) and EmptyValue() in condition.conditions:
            others = AnyOf(tuple(each for each in condition.conditions if each != EmptyValue()))
            return or_(
                self._in_series(attribute, EmptyValue(), leads=False), self._in_series(attribute, others, leads=False)
            )
        column, is_many = _IN_SERIES[attribute.keyword]
        matching = and_(_within.c.area_pk == self._area_pk, self._values(column, None, is_many, condition))
        if leads:  # all studies with such a series, by an index
            return studies.c.pk.in_(select(_within.c.study_pk).where(matching))
        return exists().where(_within.c.study_pk == studies.c.pk, matching).correlate(studies)

    def _item(self, condition: SequenceItem) -> ColumnElement[bool]:
        """One row of series_requests matches all the keys of the item."""
        held = [(columns.of_request(key.attribute), key.condition) for key in condition.keys]
        matching = [self._values(column, column, False, condition) for column, condition in held]
        return series.c.pk.in_(select(series_requests.c.series_pk).where(*matching))

    def of_moments(self, moments: DateTimeRange) -> ColumnElement[bool]:
        """Date and time, taken together, lie between two moments (PS3.4 C.2.2.2.5.3)."""
        day, hour = columns.typed(moments.date_attribute), columns.typed(moments.time_attribute)
        bounds: list[ColumnElement[bool]] = [day.is_not(None)]
        if isinstance(first := moments.first, datetime):
            # The first comparison is implied by the second; it is there for the index.
            bounds += [day >= first.date(), or_(day > first.date(), and_(day == first.date(), hour >= first.time()))]
        if isinstance(last := moments.last, datetime):
            bounds += [day <= last.date(), or_(day < last.date(), and_(day == last.date(), hour <= last.time()))]
        return and_(*bounds)

    def _values(
        self, column: ColumnElement[Any], text: ColumnElement[Any] | None, is_many: bool, condition: Condition
    ) -> ColumnElement[bool]:
        """The predicate on a column; `text` holds the value as received, and is NULL where there is none."""
        match condition:
            case SingleValue(int() as value) if is_many:
                return self._any_value(column, patterns.expression_of_integer(value))
            case SingleValue(value) if is_many:
                return self._any_value(column, patterns.expression_of_text(str(value)), str(value))
            case SingleValue(value):
                return column == value
            case UidList(uids) if is_many:
                return _any_of([self._any_value(column, patterns.expression_of_text(uid), uid) for uid in uids])
            case UidList(uids):
                return column == uids[0] if len(uids) == 1 else dialects.among(self._dialect, column, uids)
            case WildCard(pattern) if is_many:
                return self._any_value(column, condition.expression, pattern)
            case WildCard(pattern):
                return self._wild_card(column, pattern)
            case Range(None, None):
                return column.is_not(None)
            case Range(first, None):
                return column >= first
            case Range(None, last):
                return column <= last
            case Range(first, last):
                return column.between(first, last)
            case EmptyValue():
                return (column if text is None else text).is_(None)
            case AnyOf(conditions):
                texts = [each.value for each in conditions if isinstance(each, SingleValue)]
                if len(texts) == len(conditions) and not is_many and all(isinstance(each, str) for each in texts):
                    return dialects.among(self._dialect, column, cast(list[str], texts))
                return _any_of([self._values(column, text, is_many, each) for each in conditions])
            case PersonName() | SequenceItem():
                raise AssertionError("matched elsewhere")
            case _:
                assert_never(condition)

    def _name(self, attribute: Attribute, condition: Condition, *, leads: bool) -> ColumnElement[bool]:
        match condition:
            case PersonName(parts, is_folded):
                suffix = "_folded" if is_folded else ""
                return and_(*(self._name_part(attribute, part, suffix, leads=leads) for part in parts))
            case EmptyValue():
                return and_(
                    *(columns.named(attribute.level, f"{attribute.column}_{group}").is_(None) for group in NAME_GROUPS)
                )
            case AnyOf(conditions):
                return _any_of([self._name(attribute, each, leads=leads) for each in conditions])
            case _:
                raise AssertionError(f"{condition} is no condition of a person name")

    def _name_part(self, attribute: Attribute, part: NamePart, suffix: str, *, leads: bool) -> ColumnElement[bool]:
        ways: list[ColumnElement[bool]] = []
        searches: list[Search] = []
        for group in part.groups:
            column = columns.TABLES[attribute.level].c[f"{attribute.column}_{group}{suffix}"]
            for pattern in part.patterns:
                if attribute.multi_valued:
                    expression = pattern.expression or patterns.expression(pattern.pattern)
                    ways.append(self._any_value(column, expression, pattern.pattern))
                    continue
                if _is_too_long(pattern.pattern):
                    continue
                way = self._wild_card(column, pattern.pattern) if pattern.is_wild else column == pattern.pattern
                if pattern.expression is not None:
                    way = and_(way, column.regexp_match(rf"\A(?:{pattern.expression})\Z"))
                if leads and pattern.pattern.startswith(("*", "?")):
                    searches.append(Search(column, pattern.pattern, way))
                else:
                    ways.append(way)
        if searches:
            ways.append(dialects.searched(self._dialect, self._area_pk, searches))
        return ways[0] if len(ways) == 1 else _any_of(ways)

    def _any_value(self, column: ColumnElement[Any], expression: str, pattern: str = "") -> ColumnElement[bool]:
        """One of the backslash-separated values matches the expression of `pattern`; an empty one is no value."""
        if _is_too_long(pattern):
            return false()
        return column.regexp_match(rf"(?:\A|\\)(?=[^\\])(?:{expression})(?:\\|\Z)")

    def _wild_card(self, column: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
        """The pattern, and where it begins with plain text the range of an index that it lies in."""
        if len(pattern) > dialects.MAX_PATTERN_CHARACTERS:
            return false()  # longer than any value, but for its stars
        prefix = pattern[: min(pattern.find(sign) % (len(pattern) + 1) for sign in "*?")]
        in_range = [column >= prefix] if prefix else []
        if prefix and (following := _following(prefix)) is not None:
            in_range.append(column < following)
            if pattern[len(prefix) :].strip("*") == "":
                return and_(*in_range)
        return and_(*in_range, dialects.wild_card(self._dialect, column, pattern))


def _is_too_long(pattern: str) -> bool:
    """Whether no value that is held is so long; the databases refuse expressions of such a size."""
    return len(pattern) - pattern.count("*") > rows.MAX_TEXT_BYTES


def _any_of(conditions: Sequence[ColumnElement[bool]]) -> ColumnElement[bool]:
    """One of the conditions holds; in groups, as SQLite allows an expression a depth of 1000."""
    if len(conditions) <= _CONDITIONS_IN_A_GROUP:
        return or_(false(), *conditions)
    groups = range(0, len(conditions), _CONDITIONS_IN_A_GROUP)
    return _any_of([_any_of(conditions[first : first + _CONDITIONS_IN_A_GROUP]).is_(true()) for first in groups])


def _following(prefix: str) -> str | None:
    """The smallest text greater than all that begin with `prefix`, by code point; None if there is none."""
    stem = prefix.rstrip(chr(_HIGHEST_CODE_POINT))
    if not stem:
        return None
    code_point = ord(stem[-1]) + 1
    return stem[:-1] + chr(_SURROGATES.stop if code_point in _SURROGATES else code_point)
