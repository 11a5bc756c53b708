"""Studies that have rows and nothing else, for questions with many answers."""

from typing import Any

from sqlalchemy import ColumnElement, FromClause, Table, insert, literal, select

from archive.database import transaction
from archive.database.engine import Database
from archive.database.transaction import Connection
from archive.index.tables import patients, studies, study_usage
from benchmarks.load.objects import STUDY, uid
from benchmarks.load.service import Service

# Beyond the keys that the archive will give.
_FIRST_KEY = 1_000_000_000
# Beyond the UIDs of what is stored.
_FIRST_STUDY = 500_000_000


def fill(service: Service, number: int) -> None:
    """Make so many studies like the first one that was stored, each of a patient of its own."""
    database = Database(service.database)
    try:
        transaction.write(database, lambda connection: _multiply(connection, number))
    finally:
        database.close()


def _multiply(connection: Connection, number: int) -> None:
    numbers = _numbers(number)
    key = numbers.c.n + _FIRST_KEY
    unique = literal(uid(STUDY, _FIRST_STUDY)[:-9]).concat(
        (numbers.c.n + _FIRST_STUDY).cast(patients.c.patient_id.type)
    )
    _copy(connection, patients, numbers, {"pk": key, "patient_key": unique, "patient_id": unique})
    _copy(connection, studies, numbers, {"pk": key, "patient_pk": key, "study_instance_uid": unique})
    _copy(connection, study_usage, numbers, {"study_pk": key})


def _numbers(number: int) -> FromClause:
    """1 to `number`."""
    first = select(literal(1).label("n")).cte("numbers", recursive=True)
    return first.union_all(select(first.c.n + 1).where(first.c.n < number))


def _copy(connection: Connection, table: Table, numbers: FromClause, changed: dict[str, ColumnElement[Any]]) -> None:
    """Copy the first row of a table for each number, with some columns changed."""
    key = next(iter(table.primary_key.columns))
    first = select(table).order_by(key).limit(1).subquery("first")
    made = [changed[column.name] if column.name in changed else first.c[column.name] for column in table.columns]
    connection.execute(
        insert(table).from_select(
            [column.name for column in table.columns], select(*made).select_from(first).join(numbers, literal(1) == 1)
        )
    )
