"""Holdings for tests of the index: records by number and keyword, a shelf to store them on, and an audit of its books.

A record is what a store hands to the index; its header is scanned from an encoded data set, as the archive does it.
Numbers say which patient, study, series and instance is meant, so the same numbers are the same instance.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, Table, func, select

from archive.database import transaction
from archive.database.engine import Database
from archive.dicom import header
from archive.dicom.attributes import BY_KEYWORD
from archive.dicom.encode import Element, encode
from archive.dicom.header import Header
from archive.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN
from archive.index import checks, remove, rows, upsert, usage
from archive.index import select as questions
from archive.index.record import Duplicates, Parents, Record, Stored, UsageChange
from archive.index.tables import (
    deletions,
    instances,
    patients,
    series,
    series_requests,
    studies,
    study_usage,
    unfiled_instances,
)
from archive.index.usage import Usage
from archive.query.identifier import parse_find
from archive.query.model import Model, Options, Query
from archive.registry import changes
from archive.storage.paths import new_path
from tests.fix_instances import uid

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
PET = "1.2.840.10008.5.1.4.1.1.128"

# What is no key of its own, and the keys inside an item of Request Attributes Sequence.
_OTHERS = {
    "SpecificCharacterSet": (0x00080005, "CS"),
    "QueryRetrieveLevel": (0x00080052, "CS"),
    "RequestedProcedureDescription": (0x00321060, "LO"),
    "ScheduledProcedureStepDescription": (0x00400007, "LO"),
    "ScheduledProcedureStepID": (0x00400009, "SH"),
    "RequestedProcedureID": (0x00401001, "SH"),
}

Value = str | bytes | int | Sequence[Mapping[str, str]] | None


def _element(keyword: str, value: Value) -> Element:
    attribute = BY_KEYWORD.get(keyword)
    tag, vr = (attribute.tag, attribute.vr) if attribute else _OTHERS[keyword]
    match value:
        case str():
            return Element(tag, vr, value.encode())
        case int():
            return Element(tag, vr, value.to_bytes(2, "little"))
        case bytes():
            return Element(tag, vr, value)
        case _:
            return Element(tag, vr, tuple(tuple(_elements(item)) for item in value or ()))


def _elements(values: Mapping[str, Value]) -> list[Element]:
    found = (_element(keyword, value) for keyword, value in values.items() if value is not None)
    return sorted(found, key=lambda element: element.tag)


def encoded(values: Mapping[str, Value]) -> bytes:
    """A data set by keyword; text is UTF-8, and None leaves an attribute out."""
    return encode(_elements({"SpecificCharacterSet": "ISO_IR 192", **values}), EXPLICIT_VR_LITTLE_ENDIAN)


def scanned(values: Mapping[str, Value]) -> Header:
    """The header of such a data set."""
    return header.scan(encoded(values), EXPLICIT_VR_LITTLE_ENDIAN, is_whole=True)


def find(level: str, *, model: Model = Model.STUDY_ROOT, options: Options | None = None, **values: Value) -> Query:
    """What a C-FIND identifier with these keys asks for; relational unless told, so that any key may be given."""
    asked = encoded({"QueryRetrieveLevel": level, **values})
    return parse_find(asked, EXPLICIT_VR_LITTLE_ENDIAN, model, options or Options(relational=True))


def record(
    patient: int = 1,
    study: int = 1,
    series: int = 1,
    number: int = 1,
    *,
    size_bytes: int = 1000,
    path: str | None = None,
    received_at: datetime = MOMENT,
    **values: Value,
) -> Record:
    """One received instance; each has a path of its own unless one is given."""
    given: dict[str, Value] = {
        "SOPClassUID": CT,
        "SOPInstanceUID": uid("instance", patient, study, series, number),
        "StudyInstanceUID": study_uid(patient, study),
        "SeriesInstanceUID": series_uid(patient, study, series),
        "PatientID": f"P{patient}",
        "PatientName": f"Synthetic^Patient {patient}",
        "StudyDate": f"202601{study % 28 + 1:02}",
        "AccessionNumber": f"A{study}",
        "Modality": "CT",
        "SeriesNumber": str(series),
        "InstanceNumber": str(number),
    }
    return rows.record(
        scanned(given | values),
        transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN,
        path=path or new_path(received_at),
        size_bytes=size_bytes,
        data_set_offset=300,
        source_ae_title="SENDER",
        received_at=received_at,
    )


def small(stored: Record) -> Record:
    """The same instance without a file: its bytes come with it."""
    return replace(stored, path=None, content=b"content", instance_values={**stored.instance_values, "path": None})


def study_uid(patient: int = 1, study: int = 1) -> str:
    """The Study Instance UID of `record(patient, study)`."""
    return uid("study", patient, study)


def series_uid(patient: int = 1, study: int = 1, series: int = 1) -> str:
    """The Series Instance UID of `record(patient, study, series)`."""
    return uid("series", patient, study, series)


@dataclass(frozen=True, slots=True)
class Shelf:
    """One area of a database, with the transactions around each question and change."""

    database: Database
    area_pk: int

    def store(
        self,
        *records: Record,
        duplicates: Duplicates = Duplicates.REPLACE,
        known: Parents | None = None,
        shard: int = 0,
    ) -> Stored:
        """Store the records in one transaction; what became of the last."""

        def work(connection: Connection) -> list[Stored]:
            return [
                upsert.add(connection, self.area_pk, each, duplicates=duplicates, shard=shard, known=known)
                for each in records
            ]

        return transaction.write(self.database, work)[-1]

    def store_at_once(self, record: Record, *, known: Parents, shard: int = 0) -> Stored | None:
        """Store a record without a file by one statement, as where nobody else stores; None if it has to be plain."""
        return transaction.write_at_once(
            self.database,
            lambda connection: upsert.add_at_once(connection, self.area_pk, record, shard=shard, known=known),
        )

    def remove_study(self, study_instance_uid: str, *, shard: int = 0) -> UsageChange | None:
        """Remove a study; None if there is none."""

        def work(connection: Connection) -> UsageChange | None:
            of_study = (studies.c.area_pk == self.area_pk, studies.c.study_instance_uid == study_instance_uid)
            pk = connection.scalar(select(studies.c.pk).where(*of_study))
            return None if pk is None else remove.remove_study(connection, pk, shard, "removed", MOMENT)

        return transaction.write(self.database, work)

    def rows(self, table: Table) -> list[Row[Any]]:
        """All rows of the area in a table, oldest first."""
        statement = select(table).order_by(*table.primary_key.columns)
        if table is series_requests:
            statement = statement.join(series, series.c.pk == table.c.series_pk).where(series.c.area_pk == self.area_pk)
        else:
            statement = statement.where(table.c.area_pk == self.area_pk)
        with transaction.read(self.database) as connection:
            return list(connection.execute(statement))

    def one(self, table: Table) -> Row[Any]:
        """The only row of the area in a table."""
        (row,) = self.rows(table)
        return row

    def usage(self) -> Usage:
        """What the counters say."""
        with transaction.read(self.database) as connection:
            return usage.of_area(connection, self.area_pk)

    def deleted_paths(self) -> list[str]:
        """The files that wait to be unlinked, in the order they were queued."""
        return [row.path for row in self.rows(deletions)]

    def matching(self, query: Query) -> list[int]:
        """The primary keys of what matches."""
        with transaction.read(self.database) as connection:
            return list(questions.matching(connection, query, self.area_pk))

    def assert_sound(self) -> None:
        """Hold the books against the rows."""
        with transaction.read(self.database) as connection:
            assert faults(connection, self.area_pk) == []


def new_shelf(database: Database, name: str) -> Shelf:
    """A new, empty area."""

    def work(connection: Connection) -> int:
        changes.found(connection, "ARCHIVE", "areas/ARCHIVE")
        changes.add_area(connection, name, f"areas/{name}", {})
        pk = connection.exec_driver_sql("SELECT max(pk) FROM storage_areas").scalar()
        assert pk is not None
        return pk

    return Shelf(database, transaction.write(database, work))


def faults(connection: Connection, area_pk: int) -> list[str]:
    """What is wrong with the books of an area: counters, lists, orphans, and paths that two rows name."""
    found = [f"wrong counters: {wrong}" for wrong in checks.wrong_counters(connection, area_pk)]
    if (said := usage.of_area(connection, area_pk)) != (counted := usage.counted(connection, area_pk)):
        found.append(f"the area's counters say {said}, its rows {counted}")
    found += _wrong_lists(connection, area_pk)
    found += _orphans(connection, area_pk)
    of_area = instances.c.area_pk == area_pk
    paths = list(connection.scalars(select(instances.c.path).where(of_area, instances.c.path.is_not(None))))
    without_path = set(connection.scalars(select(instances.c.pk).where(of_area, instances.c.path.is_(None))))
    with_content = set(connection.scalars(select(unfiled_instances.c.instance_pk).join(instances).where(of_area)))
    found += [f"instance {pk} has a file and bytes, or neither" for pk in without_path ^ with_content]
    queued = list(connection.scalars(select(deletions.c.path).where(deletions.c.area_pk == area_pk)))
    found += [f"{path} is named twice" for path in _repeated([*paths, *queued])]
    return found


def _wrong_lists(connection: Connection, area_pk: int) -> Iterable[str]:
    classes: dict[int, set[str]] = {}
    held = select(instances.c.series_pk, instances.c.sop_class_uid).where(instances.c.area_pk == area_pk)
    for series_pk, sop_class in connection.execute(held):
        classes.setdefault(series_pk, set()).add(sop_class)
    of_study: dict[int, tuple[set[str], set[str]]] = {}
    for row in connection.execute(select(series).where(series.c.area_pk == area_pk)):
        if row.sop_classes != rows.join(classes.get(row.pk, ())):
            yield f"series {row.pk} says {row.sop_classes}, its instances {classes.get(row.pk)}"
        modalities, sop_classes = of_study.setdefault(row.study_pk, (set(), set()))
        modalities.update({row.modality} - {None})
        sop_classes.update(classes.get(row.pk, ()))
    for row in connection.execute(select(studies).where(studies.c.area_pk == area_pk)):
        modalities, sop_classes = of_study.get(row.pk, (set(), set()))
        if row.modalities_in_study != rows.join(modalities):
            yield f"study {row.pk} says {row.modalities_in_study}, its series {modalities}"
        if row.sop_classes_in_study != rows.join(sop_classes):
            yield f"study {row.pk} says {row.sop_classes_in_study}, its series {sop_classes}"


def _orphans(connection: Connection, area_pk: int) -> Iterable[str]:
    """Parents without children, and children whose copies of their parents' keys are wrong."""
    for parent, child, key in (
        (patients, studies, studies.c.patient_pk),
        (studies, series, series.c.study_pk),
        (series, instances, instances.c.series_pk),
    ):
        childless = parent.outerjoin(child, key == parent.c.pk)
        statement = select(parent.c.pk).select_from(childless).where(parent.c.area_pk == area_pk, key.is_(None))
        yield from (f"{parent.name} {pk} holds nothing" for pk in connection.scalars(statement))
    counted = studies.outerjoin(study_usage, study_usage.c.study_pk == studies.c.pk)
    lonely = (
        select(func.count())
        .select_from(counted)
        .where(studies.c.area_pk == area_pk, study_usage.c.area_pk.is_distinct_from(area_pk))
    )
    if connection.scalar(lonely):
        yield "a study has no counters"
    below = instances.join(series, series.c.pk == instances.c.series_pk)
    copies = (instances.c.study_pk != series.c.study_pk) | (instances.c.area_pk != series.c.area_pk)
    strayed = select(func.count()).select_from(below).where(instances.c.area_pk == area_pk, copies)
    if connection.scalar(strayed):
        yield "an instance names another study or area than its series"


def _repeated(texts: Sequence[str]) -> list[str]:
    return sorted({text for text in texts if texts.count(text) > 1}) if len(set(texts)) < len(texts) else []
