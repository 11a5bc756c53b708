"""The shape of a query: its keys and kinds of matching, without the values.

Queries of one shape have one statement, and to make it costs more than to run it. So it is made once, of a query that
has a parameter where others have a value; `predicates` sees no difference. Wild cards, names and lists have no shape:
what their values hold decides what the statement is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import bindparam

from archive.database.prepared import Prepared
from archive.dicom.attributes import BY_TAG, Level
from archive.index import predicates
from archive.index.leading import Leading, leading
from archive.index.matching import matching_statement
from archive.query.model import Condition, EmptyValue, Key, Model, Query, Range, SingleValue, UidList

# What peers ask is some dozens of shapes; who invents others for ever has those of long ago forgotten.
MOST_SHAPES = 256

Form = tuple[str, bool, bool]  # kind of matching; whether it has a first and a second value


@dataclass(frozen=True, slots=True)
class Shape:
    """What the queries of one statement have in common."""

    level: Level
    keys: tuple[tuple[int, Form], ...]
    """The tag of each key, and its kind of matching."""
    leading: Leading
    has_limit: bool


def split(query: Query, limit: int | None) -> tuple[Shape, dict[str, Any]] | None:
    """The shape of a query, and its values as parameters of the statement; None if it has no shape."""
    if query.date_time_ranges:
        return None
    keys: list[tuple[int, Form]] = []
    values: dict[str, Any] = {} if limit is None else {"limit": limit}
    for number, key in enumerate(query.keys):
        parted = _parted(key)
        if parted is None:
            return None
        form, found = parted
        keys.append((key.attribute.tag, form))
        values |= dict(zip(_names(number, form), found, strict=True))
    return Shape(query.level, tuple(keys), leading(query), limit is not None), values


@lru_cache(maxsize=MOST_SHAPES)
def prepared(shape: Shape) -> Prepared:
    """The statement of a shape, which finds keys; its parameters are those of `split`, and the area's key, `area`."""
    return _prepared(shape)


@lru_cache(maxsize=MOST_SHAPES)
def answering(shape: Shape, wanted: tuple[tuple[Level, str], ...]) -> Prepared:
    """The same, whose rows have the columns that are `wanted` behind their keys."""
    return _prepared(shape, wanted)


def _prepared(shape: Shape, wanted: tuple[tuple[Level, str], ...] = ()) -> Prepared:
    def build(dialect: Any) -> Any:
        keys = tuple(_with_parameters(number, tag, form) for number, (tag, form) in enumerate(shape.keys))
        query = Query(model=Model.PATIENT_ROOT, level=shape.level, keys=keys)
        area_pk = cast(int, bindparam("area"))
        statement = matching_statement(dialect.name, query, area_pk, shape.level, shape.leading.keys, wanted)
        return statement.limit(cast(int, bindparam("limit"))) if shape.has_limit else statement

    return Prepared(build)


def _parted(key: Key) -> tuple[Form, tuple[Any, ...]] | None:
    if predicates.has_many_values(key.attribute) or key.attribute.keyword in predicates.SEARCHED:
        return None
    match key.condition:
        case SingleValue(value):
            return ("value", True, False), (value,)
        case UidList((uid,)):
            return ("uid", True, False), (uid,)
        case Range(first, last):
            form = ("range", first is not None, last is not None)
            return form, tuple(bound for bound in (first, last) if bound is not None)
        case EmptyValue():
            return ("empty", False, False), ()
        case _:
            return None


def _names(number: int, form: Form) -> Iterator[str]:
    _, has_first, has_last = form
    if has_first:
        yield f"first_{number}"
    if has_last:
        yield f"last_{number}"


def _with_parameters(number: int, tag: int, form: Form) -> Key:
    """The key, with parameters for values: not what the model says it holds, and the same to who makes SQL of it."""
    names = list(_names(number, form))
    first: Any = bindparam(names[0]) if form[1] else None
    last: Any = bindparam(names[-1]) if form[2] else None
    conditions: dict[str, Condition] = {
        "value": SingleValue(first),
        "uid": UidList((first,)),
        "range": Range(first, last),
        "empty": EmptyValue(),
    }
    return Key(BY_TAG[tag], conditions[form[0]])
