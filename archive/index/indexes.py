"""The indexes of the tables, each with the question it serves.

Apart from the tables, because only who makes a schema needs them: an option of a dialect makes SQLAlchemy import that
dialect, and no command should wait for the one of a database that it does not open.
"""

from typing import Any

from sqlalchemy import DDL, Column, ColumnElement, Index, Table, event, true

from archive.database import trigrams
from archive.index.activity_tables import associations, operations
from archive.index.tables import evictions, instances, patients, series, series_requests, studies, study_usage


def _partial(name: str | None, *columns: Column[Any], where: ColumnElement[bool]) -> None:
    """An index of the rows of which `where` holds."""
    Index(name, *columns, postgresql_where=where, sqlite_where=where)


def _rare_groups(table: Table, name: str) -> None:
    """The ideographic and the phonetic group of a person name; the indexes hold only who has them."""
    for group in ("ideographic", "phonetic"):
        column = table.c[f"{name}_{group}_folded"]
        _partial(None, table.c.area_pk, column, where=column.is_not(None))


def _trigrams(name: str, column: Column[Any]) -> None:
    """What finds parts of a text: an index of PostgreSQL, a table beside the column on SQLite."""
    Index(name, column, postgresql_using="gin", postgresql_ops={column.name: "gin_trgm_ops"}).ddl_if(
        dialect="postgresql"
    )
    of_table = column.table
    for statement in trigrams.statements(of_table.name, column.name):
        event.listen(of_table, "after_create", DDL(statement).execute_if(dialect="sqlite"))
    drop = DDL(f"DROP TABLE IF EXISTS {trigrams.TABLES[of_table.name, column.name]}")
    event.listen(of_table, "before_drop", drop.execute_if(dialect="sqlite"))


def _leave_room(table: Table, fill_percent: int) -> None:
    """Rows that stores change leave room in their page for the next version, which then needs no index entries (HOT).

    Without it a new row goes where some old page has room for just that row, and each change of it goes elsewhere.
    """
    statement = DDL(f"ALTER TABLE {table.name} SET (fillfactor = {fill_percent})")
    event.listen(table, "after_create", statement.execute_if(dialect="postgresql"))


# Each store counts in its series; its study's lists grow with a new modality or SOP Class.
_leave_room(series, 85)
_leave_room(studies, 90)

# C-FIND by PatientID, with any issuer.
Index(None, patients.c.area_pk, patients.c.patient_id)
# C-FIND by PatientName, whole or by prefix; the other two groups are rare, so their indexes hold only who has them.
Index(None, patients.c.area_pk, patients.c.patient_name_alphabetic_folded)
_rare_groups(patients, "patient_name")
# C-FIND by a part of PatientName ("*smith*").
_trigrams("ix_patients_patient_name_trigram", patients.c.patient_name_alphabetic_folded)

# The studies of a patient; patients of studies found by patient keys.
Index(None, studies.c.patient_pk)
# C-FIND by StudyDate, and newest first.
Index(None, studies.c.area_pk, studies.c.study_date, studies.c.pk)
# C-FIND by AccessionNumber, by StudyID, by ReferringPhysicianName.
Index(None, studies.c.area_pk, studies.c.accession_number)
Index(None, studies.c.area_pk, studies.c.study_id)
Index(None, studies.c.area_pk, studies.c.referring_physician_name_alphabetic_folded)
# A name is looked for in all three groups; without these, the other two would be looked for in every study.
_rare_groups(studies, "referring_physician_name")
# C-FIND by a part of StudyDescription.
_trigrams("ix_studies_study_description_trigram", studies.c.study_description)

# Which study of an area that evicts was stored to least recently? Other areas pay nothing for it.
_partial(
    "ix_study_usage_evictable",
    study_usage.c.area_pk,
    study_usage.c.last_stored_at,
    study_usage.c.study_pk,
    where=study_usage.c.is_evictable.is_(true()),
)

# C-FIND by ModalitiesInStudy or Modality: which studies hold a PT?
Index(None, series.c.area_pk, series.c.modality, series.c.study_pk)
# Relational C-FIND and C-MOVE by SeriesInstanceUID alone.
Index(None, series.c.area_pk, series.c.series_instance_uid)

# Sequence matching within a series.
Index(None, series_requests.c.series_pk)
# Which series answered this requested procedure, this scheduled step?
Index(None, series_requests.c.requested_procedure_id)
Index(None, series_requests.c.scheduled_procedure_step_id)

# The instances of a series, and by way of its series those of a study; and in the order they were stored, of which a
# quota takes the first. SQLite's indexes end with the key of the row by themselves.
Index("ix_instances_series_pk", instances.c.series_pk).ddl_if(dialect="sqlite")
Index("ix_instances_series_pk", instances.c.series_pk, instances.c.pk).ddl_if(dialect="postgresql")

# What went from this area last, and what is older than evictions_days.
Index(None, evictions.c.area_pk, evictions.c.evicted_at)

# The access log, newest first; what is older than activity_days.
Index(None, associations.c.began_at)
Index(None, operations.c.began_at)
# Which associations did a process leave open that was killed?
_partial("ix_associations_open", associations.c.node, associations.c.worker, where=associations.c.outcome == "open")
# The operations of an association.
Index(None, operations.c.association_pk)
