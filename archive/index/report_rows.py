"""Ask a report: the rows of a view that were wanted, in the order that was wanted.

What a person typed never becomes SQL: names are looked up among the columns of the view, values are bound.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Connection, Date, Integer, Numeric, Select, TableClause, func, select
from sqlalchemy.types import TypeEngine

from archive.database.metadata import Timestamp
from archive.errors import Misconfigured
from archive.index.reports import Chart, Report

# Rows in memory at a time, however many there are.
_IN_ONE_FETCH = 1000

_EXPECTED = {
    "flag": "yes or no",
    "integer": "a whole number",
    "number": "a number",
    "date": "a date, as 2026-03-01",
    "moment": "a moment, as 2026-03-01T14:05",
}
_FLAGS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows of a report, and in which order."""

    since: datetime | None = None
    until: datetime | None = None
    """The first moment that is too late."""
    area: str | None = None
    where: Sequence[tuple[str, str]] = ()
    """Columns and the values they have; an empty value is NULL."""
    order: Sequence[tuple[str, bool]] = ()
    """Columns, and whether descending; none is the report's own order."""
    limit: int | None = None


def kind(kind_of: TypeEngine[Any]) -> str:
    """What a column holds: flag, integer, number, date, moment or text."""
    kinds = {Boolean: "flag", Integer: "integer", Numeric: "number", Date: "date", Timestamp: "moment"}
    return next((word for each, word in kinds.items() if isinstance(kind_of, each)), "text")


def rows(connection: Connection, report: Report, wanted: Wanted, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The rows, these columns of each; raises Misconfigured where something was wanted that the report has not."""
    view = report.as_table()
    statement = select(*(view.c[name] for name in columns)).where(*_conditions(report, view, wanted))
    for name, is_descending in wanted.order or report.order:
        ordered = _column(report, view, name)
        order = ordered.desc() if is_descending else ordered.asc()
        # PostgreSQL takes no index in an order that says where NULLs go, were there none.
        statement = statement.order_by(order if name in report.never_null else order.nulls_last())
    return _streamed(connection, statement.limit(wanted.limit))


def _streamed(connection: Connection, statement: Select[*tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    with connection.execute(statement, execution_options={"yield_per": _IN_ONE_FETCH}) as result:
        yield from map(tuple, result)


def totals(connection: Connection, report: Report, wanted: Wanted, chart: Chart) -> list[tuple[Any, Any]]:
    """What is drawn: for each label the sum of its values, in the order of the labels."""
    view = report.as_table()
    label, value = view.c[chart.label], func.coalesce(func.sum(view.c[chart.value]), 0)
    statement = select(label, value).where(*_conditions(report, view, wanted)).group_by(label)
    return [(row[0], row[1]) for row in connection.execute(statement.order_by(label.asc().nulls_last()))]


def _conditions(report: Report, view: TableClause, wanted: Wanted) -> Iterator[ColumnElement[bool]]:
    if wanted.since is not None:
        moment = _moment(report, view)
        yield moment >= _bound(moment, wanted.since)
    if wanted.until is not None:
        moment = _moment(report, view)
        yield moment <= _bound(moment, wanted.until - timedelta(microseconds=1))
    for name, text in [*wanted.where, *([("area", wanted.area)] if wanted.area is not None else [])]:
        column = _column(report, view, name)
        yield column.is_(None) if text == "" else column == _value(name, column, text)


def _moment(report: Report, view: TableClause) -> ColumnElement[Any]:
    if report.moment is None:
        raise Misconfigured(f"The report {report.name} tells how things are now: it has no --since and no --until")
    return view.c[report.moment]


def _bound(column: ColumnElement[Any], moment: datetime) -> date:
    """The moment, or its day where the column has days only."""
    return moment.astimezone(UTC).date() if kind(column.type) == "date" else moment


def _column(report: Report, view: TableClause, name: str) -> ColumnElement[Any]:
    if name not in view.c:
        raise Misconfigured(f"The report {report.name} has no column {name}; it has {', '.join(view.c.keys())}")
    return view.c[name]


def _value(name: str, column: ColumnElement[Any], text: str) -> Any:
    """What was typed, as the column has it."""
    what = kind(column.type)
    try:
        match what:
            case "flag":
                return _FLAGS[text.lower()]
            case "integer":
                return _integer(text)
            case "number":
                return float(text)
            case "date":
                return date.fromisoformat(text)
            case "moment":
                moment = datetime.fromisoformat(text)
                return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
            case _:
                return text
    except (ValueError, KeyError, OverflowError):
        raise Misconfigured(f"{name}={text}: expected {_EXPECTED[what]}") from None


def _integer(text: str) -> int:
    """A number of 64 bits: databases know no others."""
    number = int(text)
    if number.bit_length() > 63:
        raise ValueError(text)
    return number
