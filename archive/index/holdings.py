"""What the archive holds, for the administrator: studies listed, one study shown, and whether an area is empty."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, delete, func, select

from archive.dicom.attributes import Level
from archive.index import columns
from archive.index.leading import Strength, leading
from archive.index.matching import matching_statement
from archive.index.tables import disagreements, evictions, patients, series, studies, study_usage
from archive.query.model import Query


@dataclass(frozen=True, slots=True)
class HeldStudy:
    """A study in a list."""

    pk: int
    study_instance_uid: str
    patient_id: str | None
    patient_name: str | None
    study_date: date | None
    accession_number: str | None
    study_description: str | None
    modalities: str | None
    number_of_series: int
    number_of_instances: int
    size_bytes: int
    last_stored_at: datetime
    is_pinned: bool


@dataclass(frozen=True, slots=True)
class HeldSeries:
    """A series of a study that is shown."""

    series_instance_uid: str
    series_number: int | None
    modality: str | None
    series_description: str | None
    number_of_instances: int
    size_bytes: int


def list_studies(connection: Connection, query: Query, area_pk: int, limit: int | None) -> list[HeldStudy]:
    """The studies of an area that match, the one that came last first; `query` is one of STUDY level."""
    matching = matching_statement(connection.dialect.name, query, area_pk, Level.STUDY)
    newest = matching.order_by(studies.c.pk.desc())
    if leading(query).strength is Strength.LOOKED_UP:
        # Else PostgreSQL may walk back from the newest of all studies until it has met enough of a year long ago.
        found = matching.cte("found").prefix_with("MATERIALIZED", dialect="postgresql")
        newest = select(found.c.pk).order_by(found.c.pk.desc())
    newest = newest.limit(limit).subquery("newest")
    statement = (
        select(
            studies.c.pk,
            studies.c.study_instance_uid,
            patients.c.patient_id,
            columns.PATIENT_NAME,
            studies.c.study_date,
            studies.c.accession_number,
            studies.c.study_description,
            studies.c.modalities_in_study,
            study_usage.c.number_of_series,
            study_usage.c.number_of_instances,
            study_usage.c.size_bytes,
            study_usage.c.last_stored_at,
            study_usage.c.is_pinned,
        )
        .select_from(columns.joined(Level.PATIENT, Level.STUDY, with_counters=True))
        .where(studies.c.pk.in_(select(newest.c.pk)))
        .order_by(studies.c.pk.desc())
    )
    return [HeldStudy(*row) for row in connection.execute(statement)]


def series_of(connection: Connection, study_pk: int) -> list[HeldSeries]:
    """The series of a study, by number."""
    statement = (
        select(
            series.c.series_instance_uid,
            series.c.series_number,
            series.c.modality,
            series.c.series_description,
            series.c.number_of_instances,
            series.c.size_bytes,
        )
        .where(series.c.study_pk == study_pk)
        .order_by(series.c.series_number, series.c.pk)
    )
    return [HeldSeries(*row) for row in connection.execute(statement)]


def studies_left(connection: Connection, area_pk: int) -> int:
    """How many studies an area holds, by its rows."""
    return connection.scalar(select(func.count()).where(studies.c.area_pk == area_pk)) or 0


def forget_notes(connection: Connection, area_pk: int) -> None:
    """Drop what was noted about instances that an empty area once held."""
    for table in (disagreements, evictions):
        connection.execute(delete(table).where(table.c.area_pk == area_pk))
