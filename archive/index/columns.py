"""Which column, or count, holds an attribute; and how the tables of the four levels hang together."""

from typing import Any

from sqlalchemy import ColumnElement, FromClause, Table, func, select

from archive.dicom.attributes import Attribute, Level
from archive.index.tables import instances, patients, series, series_requests, studies, study_usage

TABLES: dict[Level, Table] = {
    Level.PATIENT: patients,
    Level.STUDY: studies,
    Level.SERIES: series,
    Level.IMAGE: instances,
}

# A patient's name in the first group that it has.
PATIENT_NAME = func.coalesce(
    patients.c.patient_name_alphabetic, patients.c.patient_name_ideographic, patients.c.patient_name_phonetic
)

_their_studies = studies.alias("their_studies")
_their_usage = study_usage.alias("their_usage")
_of_patient = _their_studies.join(_their_usage, _their_usage.c.study_pk == _their_studies.c.pk)


def _over_studies(aggregate: ColumnElement[Any]) -> ColumnElement[Any]:
    """A patient's count, added up over the studies that there are when it is asked."""
    over = select(aggregate).select_from(_of_patient).where(_their_studies.c.patient_pk == patients.c.pk)
    return over.correlate(patients).scalar_subquery()


# What is not a column of its level's table, by level and name of the column in the attribute table.
_COUNTS: dict[tuple[Level, str], ColumnElement[Any]] = {
    (Level.PATIENT, "number_of_studies"): _over_studies(func.count()),
    (Level.PATIENT, "number_of_series"): _over_studies(func.coalesce(func.sum(_their_usage.c.number_of_series), 0)),
    (Level.PATIENT, "number_of_instances"): _over_studies(
        func.coalesce(func.sum(_their_usage.c.number_of_instances), 0)
    ),
    (Level.STUDY, "number_of_series"): study_usage.c.number_of_series,
    (Level.STUDY, "number_of_instances"): study_usage.c.number_of_instances,
}


def named(level: Level, column: str) -> ColumnElement[Any]:
    """The column or count of a level."""
    count = _COUNTS.get((level, column))
    return TABLES[level].c[column] if count is None else count


def typed(attribute: Attribute) -> ColumnElement[Any]:
    """What an attribute is compared by."""
    assert attribute.column is not None
    return named(attribute.level, attribute.column)


def of_request(attribute: Attribute) -> ColumnElement[Any]:
    """An attribute within an item of Request Attributes Sequence."""
    assert attribute.column is not None
    return series_requests.c[attribute.column]


def is_counter(level: Level, column: str | None) -> bool:
    """Whether it lies in `study_usage`, which has to be joined for it."""
    return level is Level.STUDY and (level, column) in _COUNTS


def joined(highest: Level, lowest: Level, *, with_counters: bool = False) -> FromClause:
    """The tables from one level down to another, each row with its parents; studies with their counters if wanted."""
    steps: dict[Level, Any] = {
        Level.STUDY: studies.c.patient_pk == patients.c.pk,
        Level.SERIES: series.c.study_pk == studies.c.pk,
        Level.IMAGE: instances.c.series_pk == series.c.pk,
    }
    tables: FromClause = TABLES[highest]
    for level in Level:
        if highest < level <= lowest:
            tables = tables.join(TABLES[level], steps[level])
        if with_counters and level is Level.STUDY and highest <= Level.STUDY <= lowest:
            tables = tables.join(study_usage, study_usage.c.study_pk == studies.c.pk)
    return tables
