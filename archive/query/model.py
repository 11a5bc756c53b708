"""What is being asked: a query as frozen values, one class per kind of matching (PS3.4 C.2.2.2).

A `Query` is made by `identifier.py` from the bytes of a C-FIND, C-MOVE or C-GET identifier, or by the command line, and
is read by the SQL of `index`. It knows the attribute table and nothing of wire or database. The set of conditions is
closed: universal matching is no condition at all, so a key that matches everything is not among `Query.keys`.
"""

from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Self

from archive.dicom.attributes import Attribute, Level
from archive.errors import UnsupportedSopClass
from archive.query.patterns import NamePattern, expression


class Model(Enum):
    """A Query/Retrieve information model (PS3.4 C.3 and C.6), by the levels it has."""

    PATIENT_ROOT = (Level.PATIENT, Level.STUDY, Level.SERIES, Level.IMAGE)
    STUDY_ROOT = (Level.STUDY, Level.SERIES, Level.IMAGE)
    PATIENT_STUDY_ONLY = (Level.PATIENT, Level.STUDY)

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels of this model, the root first."""
        return self.value

    @property
    def root(self) -> Level:
        """The topmost level; in Study Root the attributes of the patient belong to it (PS3.4 C.6.2)."""
        return self.value[0]

    @classmethod
    def of_sop_class(cls, uid: str) -> "Model":
        """The model of a Query/Retrieve SOP Class; raises UnsupportedSopClass for any other."""
        return _service(uid)[0]


class Operation(StrEnum):
    """What a Query/Retrieve SOP Class does with what matches."""

    FIND = "C-FIND"
    MOVE = "C-MOVE"
    GET = "C-GET"

    @classmethod
    def of_sop_class(cls, uid: str) -> "Operation":
        """The operation of a Query/Retrieve SOP Class; raises UnsupportedSopClass for any other."""
        return _service(uid)[1]


_ROOT = "1.2.840.10008.5.1.4.1.2"  # PS3.6 annex A: <root>.<model>.<operation>

SOP_CLASSES: dict[str, tuple[Model, Operation]] = {
    f"{_ROOT}.{number}.{operation_number}": (model, operation)
    for number, model in enumerate(Model, start=1)
    for operation_number, operation in enumerate(Operation, start=1)
}


def _service(uid: str) -> tuple[Model, Operation]:
    try:
        return SOP_CLASSES[uid]
    except KeyError:
        raise UnsupportedSopClass(sop_class_uid=uid) from None


# One class per kind of matching.


@dataclass(frozen=True, slots=True)
class SingleValue:
    """The attribute has exactly this value (PS3.4 C.2.2.2.1).

    DA is a date, TM a time (what was not given is 0), IS and US are int (also where the column is text, because the
    attribute has many values), DS is Decimal, all else is text, which compares whole and case-sensitively.
    """

    value: str | date | time | int | Decimal


@dataclass(frozen=True, slots=True)
class UidList:
    """The attribute is one of these UIDs (PS3.4 C.2.2.2.2); one UID is a list of one."""

    uids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WildCard:
    """The attribute matches a pattern, case-sensitively (PS3.4 C.2.2.2.4).

    `*` stands for any characters, none included, `?` for one; there is no escape. Never a pattern of `*` only.
    """

    pattern: str

    @property
    def expression(self) -> str:
        """The pattern as an unanchored regular expression that stays inside one value (see patterns.py)."""
        return expression(self.pattern)


@dataclass(frozen=True, slots=True)
class Range:
    """The attribute lies between two dates or two times, both included (PS3.4 C.2.2.2.5); None is open.

    Both None means: any value, but there must be one (`-` in the identifier).
    """

    first: date | time | None
    last: date | time | None


class NameGroup(StrEnum):
    """A component group of a person name (PS3.5 6.2.1.2); the value is the suffix of its column."""

    ALPHABETIC = "alphabetic"
    IDEOGRAPHIC = "ideographic"
    PHONETIC = "phonetic"


@dataclass(frozen=True, slots=True)
class NamePart:
    """At least one of these component groups matches at least one of these patterns."""

    groups: tuple[NameGroup, ...]
    patterns: tuple[NamePattern, ...]


@dataclass(frozen=True, slots=True)
class PersonName:
    """A person name matches component by component (PS3.4 C.2.2.2.1, C.2.2.2.4); every part must match.

    Where `is_folded`, the patterns are folded and belong to the `_folded` columns, else to the raw ones. A query
    without `=` has one part over all three groups; else each non-empty group is a part for itself.
    """

    parts: tuple[NamePart, ...]
    is_folded: bool


@dataclass(frozen=True, slots=True)
class EmptyValue:
    """The attribute is absent or has no value (PS3.4 C.2.2.2.7); only where negotiated."""


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of the conditions holds (PS3.4 C.2.2.2.8, several values); none at all matches nothing."""

    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class SequenceItem:
    """One and the same item of the sequence matches all the keys (PS3.4 C.2.2.2.6)."""

    keys: tuple["Key", ...]


Condition = SingleValue | UidList | WildCard | Range | PersonName | EmptyValue | AnyOf | SequenceItem

NEVER = AnyOf(())  # what no value can match, such as a wild card in a date


@dataclass(frozen=True, slots=True)
class Key:
    """An attribute and what it must match."""

    attribute: Attribute
    condition: Condition


@dataclass(frozen=True, slots=True)
class DateTimeRange:
    """A date and its time lie, taken together, between two moments, both included (PS3.4 C.2.2.2.5.3); None is open.

    Without a date nothing matches. Without a time, only a day that lies wholly inside does: strictly after the date
    of `first` and strictly before that of `last`.
    """

    date_attribute: Attribute
    time_attribute: Attribute
    first: datetime | None
    last: datetime | None


@dataclass(frozen=True, slots=True)
class ReturnKey:
    """An element of the identifier, in its order: what the answer is to hold.

    `attribute` is None where the attribute table has no such tag: its value is taken from the remaining header of
    `level`. `item_keys` are the elements that were asked for inside a sequence; none means the whole of it.
    """

    tag: int
    vr: str
    level: Level
    attribute: Attribute | None
    item_keys: tuple["ReturnKey", ...] = ()


@dataclass(frozen=True, slots=True)
class Options:
    """What was negotiated for the SOP Class (PS3.4 C.5.1.1), what the area says of names, and the title of keys.

    Fuzzy semantic matching, timezone query adjustment and enhanced multi-frame image conversion are never accepted.
    """

    relational: bool = False
    combined_date_time: bool = False
    empty_value: bool = False
    multiple_value: bool = False
    strict_names: bool = False
    strict_keys: bool = False
    """Keys must keep to the hierarchy (see hierarchy.py), which relational queries do not."""

    @classmethod
    def from_extended_negotiation(
        cls,
        information: bytes,
        operation: Operation = Operation.FIND,
        *,
        strict_names: bool = False,
        strict_keys: bool = False,
    ) -> Self:
        """What an offered service-class-application-information asks for and we do; missing bytes are 0."""
        answer = accepted_negotiation(information, operation, strict_keys=strict_keys)
        accepted = dict(zip(_SUB_FIELDS[operation], answer, strict=False))
        asked = {field: value == 1 for field, value in accepted.items() if field is not None}
        return cls(strict_names=strict_names, strict_keys=strict_keys, **asked)


# Table C.5-1 (find) and C.5-3 (retrieve) of PS3.4, byte by byte; None: a sub-field that we turn down with 0.
_SUB_FIELDS: dict[Operation, tuple[str | None, ...]] = {
    Operation.FIND: (
        "relational",
        "combined_date_time",
        None,  # fuzzy semantic matching of person names
        None,  # timezone query adjustment
        None,  # enhanced multi-frame image conversion
        "empty_value",
        "multiple_value",
    ),
    Operation.MOVE: ("relational", None),
    Operation.GET: ("relational", None),
}


def accepted_negotiation(
    information: bytes, operation: Operation = Operation.FIND, *, strict_keys: bool = False
) -> bytes:
    """The service-class-application-information we answer: as many bytes as offered, at most those we know.

    An empty offer has an empty answer, which the caller leaves out of the A-ASSOCIATE-AC.
    """
    declined = {None, "relational"} if strict_keys else {None}
    offered = zip(_SUB_FIELDS[operation], information, strict=False)
    return bytes(1 if field not in declined and value == 1 else 0 for field, value in offered)


@dataclass(frozen=True, slots=True)
class Query:
    """One question: which entities of `level` match every key and every combined range.

    Without relational queries, `keys` are those of the query level and the unique keys above it. In a relational query
    they may be of any level: an entity matches when it, its ancestors, and one chain of its descendants down to the
    lowest such level match together. `return_keys` are all elements of the identifier but
    QueryRetrieveLevel and SpecificCharacterSet, in ascending order of tag. `unsupported` are the tags whose value was
    not matched although it was not empty (FF01). `character_sets` are the values of the identifier's Specific
    Character Set; `is_character_set_requested` tells whether it had that element.
    """

    model: Model
    level: Level
    keys: tuple[Key, ...]
    date_time_ranges: tuple[DateTimeRange, ...] = ()
    return_keys: tuple[ReturnKey, ...] = ()
    unsupported: tuple[int, ...] = ()
    character_sets: tuple[str, ...] = ()
    is_character_set_requested: bool = False
    relational: bool = False
