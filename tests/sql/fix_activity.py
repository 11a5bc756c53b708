"""Associations and operations for tests of the access log and the reports: rows as a worker writes them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from archive.database import transaction
from archive.database.engine import Database
from archive.index import activity
from archive.index.activity import AssociationRow, Happened, OperationRow, Source

ASSOCIATION_SECONDS = 10


def association(began_at: datetime, **columns: Any) -> AssociationRow:
    """An association of ten seconds that was released."""
    ended_at = began_at + timedelta(seconds=ASSOCIATION_SECONDS)
    return replace(AssociationRow(began_at, ended_at, "node", 0, "ARCHIVE", "CT1", "10.1.2.3", "released"), **columns)


def operation(name: str, began_at: datetime, seconds: float = 0.5, **columns: Any) -> OperationRow:
    """An operation that succeeded."""
    ended_at = began_at + timedelta(seconds=seconds)
    return replace(OperationRow(name, began_at, ended_at, "0000", seconds, seconds), **columns)


def find(began_at: datetime, seconds: float = 0.5, **columns: Any) -> OperationRow:
    """A C-FIND at study level."""
    given = {"information_model": "study_root", "level": "STUDY", "number_of_matches": 1} | columns
    return operation("C-FIND", began_at, seconds, **given)


def store(began_at: datetime, number: int = 1, **columns: Any) -> OperationRow:
    """C-STOREs with one status."""
    given = {
        "number_of_requests": number,
        "number_replaced": 0,
        "number_kept": 0,
        "size_bytes": 1000 * number,
    } | columns
    return operation("C-STORE", began_at, **given)


def happened(
    database: Database,
    *associations: tuple[AssociationRow | OperationRow, ...],
    received: Mapping[Source, tuple[int, int]] | None = None,
) -> list[int]:
    """Write associations, each with its operations; their keys."""
    rows = []
    for whole, *below in associations:
        assert isinstance(whole, AssociationRow)
        rows.append(Happened(None, whole, [(None, each) for each in below if isinstance(each, OperationRow)]))
    written = transaction.write(database, lambda connection: activity.write(connection, rows, received or {}))
    return [each.pk for each in written]
