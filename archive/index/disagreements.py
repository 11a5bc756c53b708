"""Instances that say something else of their patient, study or series than the first one did.

The rows keep what the first instance said; a later one is stored all the same, and what it says otherwise becomes a
row that can be reported. Whether there is anything to look at shows by a fingerprint, so the usual store pays nothing.
"""

from typing import Any

from sqlalchemy import Connection, select

from archive.database import dialects
from archive.dicom.attributes import NAME_GROUPS, Attribute, Level
from archive.index import columns, rows
from archive.index.record import Parents, Record
from archive.index.tables import disagreements, patients, series, studies

_LONGEST_NOTE = 256  # characters of a value, enough to see what differs


def note_disagreements(connection: Connection, area_pk: int, record: Record, parents: Parents) -> None:
    """Write down what this instance says otherwise, if its fingerprints differ from those of the first."""
    if record.study_fingerprint != parents.study_fingerprint:
        of_study = studies.c.pk == parents.study_pk
        for level in (Level.PATIENT, Level.STUDY):
            _note_level(connection, area_pk, record, level, of_study)
    if record.series_fingerprint != parents.series_fingerprint:
        _note_level(connection, area_pk, record, Level.SERIES, series.c.pk == parents.series_pk)


def note_patient(connection: Connection, area_pk: int, record: Record, patient_pk: int) -> None:
    """The same for the first instance of a study whose patient was there before."""
    _note_level(connection, area_pk, record, Level.PATIENT, patients.c.pk == patient_pk)


def _note_level(connection: Connection, area_pk: int, record: Record, level: Level, where: Any) -> None:
    received = rows.displayed(record.header, level)
    held = _held(connection, level, where)
    for keyword, value in held.items():
        if received[keyword] != value:
            _note(connection, area_pk, record, level, keyword, value, received[keyword])


def _held(connection: Connection, level: Level, where: Any) -> dict[str, str]:
    """What the row of this level says, as text by keyword; patients are found by one of their studies too."""
    attributes = rows.received_attributes(level)
    sources = columns.TABLES[level]
    if level is Level.PATIENT and where.left.table is studies:
        sources = columns.joined(Level.PATIENT, Level.STUDY)
    row = connection.execute(select(columns.TABLES[level]).select_from(sources).where(where)).mappings().one()
    return {attribute.keyword: _text(row, attribute) for attribute in attributes}


def _text(row: Any, attribute: Attribute) -> str:
    if attribute.vr != "PN":
        value = row[attribute.text_column or attribute.column]
        return "" if value is None else str(value)
    return rows.join_name(*(row[f"{attribute.column}_{group}"] for group in NAME_GROUPS))


def _note(
    connection: Connection, area_pk: int, record: Record, level: Level, keyword: str, held: str, received: str
) -> None:
    insert = dialects.insert(connection.dialect.name, disagreements).values(
        area_pk=area_pk,
        level=level.name,
        study_instance_uid=record.header.study_instance_uid,
        series_instance_uid=record.header.series_instance_uid if level is Level.SERIES else "",
        keyword=keyword,
        held=held[:_LONGEST_NOTE],
        received=received[:_LONGEST_NOTE],
        sop_instance_uid=record.header.sop_instance_uid,
        number_of_instances=1,
        first_at=record.received_at,
        last_at=record.received_at,
    )
    seen_again = {
        "number_of_instances": disagreements.c.number_of_instances + 1,
        "last_at": insert.excluded.last_at,
    }
    key = ("area_pk", "study_instance_uid", "series_instance_uid", "keyword", "received")
    connection.execute(insert.on_conflict_do_update(index_elements=key, set_=seen_again))
