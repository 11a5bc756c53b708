"""Take instances out of the index: rows go now, and bytes that have no file yet; files are queued for housekeeping.

A parent that holds nothing any more goes with its last child. Files are named in `deletions` in the same transaction,
and unlinked only after it has committed: a row never names a missing file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, exists, insert, literal, select, update

from archive.database import dialects
from archive.index import rows, usage
from archive.index.record import UsageChange
from archive.index.tables import (
    deletions,
    instances,
    patients,
    series,
    series_requests,
    studies,
    study_usage,
)

# In one statement, where many go.
_INSTANCES_AT_A_TIME = 500

_HELD = (
    instances.c.pk,
    instances.c.area_pk,
    instances.c.study_pk,
    instances.c.series_pk,
    instances.c.sop_instance_uid,
    instances.c.sop_class_uid,
    instances.c.path,
    instances.c.size_bytes,
    instances.c.received_at,
)


@dataclass(frozen=True, slots=True)
class HeldInstance:
    """The row of an instance that is in the way; its columns are those of `_HELD`."""

    pk: int
    area_pk: int
    study_pk: int
    series_pk: int
    sop_instance_uid: str
    sop_class_uid: str
    path: str | None
    size_bytes: int
    received_at: datetime


@dataclass(frozen=True, slots=True)
class QueuedFile:
    """A file that waits to be unlinked."""

    pk: int
    area_pk: int
    path: str


def lock_instance(connection: Connection, area_pk: int, sop_instance_uid: str) -> HeldInstance | None:
    """The row of an instance, locked against others who would remove it; None if there is none."""
    of_area = (instances.c.area_pk == area_pk, instances.c.sop_instance_uid == sop_instance_uid)
    row = connection.execute(select(*_HELD).where(*of_area).with_for_update()).one_or_none()
    return None if row is None else HeldInstance(*row)


def remove_instance(
    connection: Connection, held: HeldInstance, reason: str, change: UsageChange, now: datetime
) -> None:
    """Drop the locked row of an instance, and its series, study and patient if it was their last.

    Once its successor is in place, `settle_sop_classes` says whether the lists of its series and study still hold.
    """
    connection.execute(delete(instances).where(instances.c.pk == held.pk))
    _queue(connection, [held], reason, now)
    _count_out(connection, [held], change)


def _count_out(connection: Connection, gone: Sequence[HeldInstance], change: UsageChange) -> bool:
    """Take instances of one series off the counters; True if they were its last, and it is dropped."""
    number, size_bytes = len(gone), sum(each.size_bytes for each in gone)
    study_pk, series_pk = gone[0].study_pk, gone[0].series_pk
    change.number_of_instances -= number
    change.size_bytes -= size_bytes
    connection.execute(
        update(study_usage)
        .where(study_usage.c.study_pk == study_pk)
        .values(
            number_of_instances=study_usage.c.number_of_instances - number,
            size_bytes=study_usage.c.size_bytes - size_bytes,
        )
    )
    left = connection.scalar(
        update(series)
        .where(series.c.pk == series_pk)
        .values(
            number_of_instances=series.c.number_of_instances - number,
            size_bytes=series.c.size_bytes - size_bytes,
        )
        .returning(series.c.number_of_instances)
    )
    if left == 0:
        _drop_series(connection, study_pk, series_pk, change)
    return left == 0


def remove_instances(
    connection: Connection, area_pk: int, study_pk: int, pks: Sequence[int], shard: int, reason: str, now: datetime
) -> UsageChange:
    """Drop some instances of a study whose usage row is locked, and what held only them; moves the area's counters.

    What somebody else has removed meanwhile is not counted.
    """
    change = UsageChange()
    for at in range(0, len(pks), _INSTANCES_AT_A_TIME):
        _remove_some(connection, study_pk, pks[at : at + _INSTANCES_AT_A_TIME], reason, change, now)
    usage.count_in_area(connection, area_pk, shard, change)
    return change


def _remove_some(
    connection: Connection, study_pk: int, pks: Sequence[int], reason: str, change: UsageChange, now: datetime
) -> None:
    among = (instances.c.study_pk == study_pk, dialects.among(connection.dialect.name, instances.c.pk, pks))
    locked = select(*_HELD).where(*among).order_by(instances.c.pk).with_for_update()
    held = [HeldInstance(*row) for row in connection.execute(locked)]
    _queue(connection, held, reason, now)
    gone = dialects.among(connection.dialect.name, instances.c.pk, [each.pk for each in held])
    connection.execute(delete(instances).where(gone))
    for series_pk in sorted({each.series_pk for each in held}):
        of_series = [each for each in held if each.series_pk == series_pk]
        if not _count_out(connection, of_series, change):
            for each in {each.sop_class_uid: each for each in of_series}.values():
                settle_sop_classes(connection, each)


def remove_study(connection: Connection, study_pk: int, shard: int, reason: str, now: datetime) -> UsageChange | None:
    """Drop a study with all that is in it; None if it is gone already. Moves the area's counters too."""
    held = connection.execute(
        select(study_usage).where(study_usage.c.study_pk == study_pk).with_for_update()
    ).one_or_none()
    if held is None:
        return None
    patient_pk = connection.scalar(select(studies.c.patient_pk).where(studies.c.pk == study_pk))
    of_study = select(series.c.pk).where(series.c.study_pk == study_pk)
    # Whoever names the file of one of these has done so before the next statement reads it, or finds the row gone.
    unfiled = (instances.c.series_pk.in_(of_study), instances.c.path.is_(None))
    connection.execute(select(instances.c.pk).where(*unfiled).order_by(instances.c.pk).with_for_update()).all()
    files = select(
        instances.c.area_pk,
        instances.c.path,
        instances.c.size_bytes,
        literal(reason),
        literal(now, type_=deletions.c.queued_at.type),
    ).where(instances.c.series_pk.in_(of_study))
    filed = files.where(instances.c.path.is_not(None))
    connection.execute(insert(deletions).from_select(["area_pk", "path", "size_bytes", "reason", "queued_at"], filed))
    connection.execute(delete(instances).where(instances.c.series_pk.in_(of_study)))
    connection.execute(delete(series_requests).where(series_requests.c.series_pk.in_(of_study)))
    connection.execute(delete(series).where(series.c.study_pk == study_pk))
    connection.execute(delete(study_usage).where(study_usage.c.study_pk == study_pk))
    connection.execute(delete(studies).where(studies.c.pk == study_pk))
    drop_patient_if_empty(connection, patient_pk)
    change = UsageChange(-1, -held.number_of_series, -held.number_of_instances, -held.size_bytes)
    usage.count_in_area(connection, held.area_pk, shard, change)
    return change


def _drop_series(connection: Connection, study_pk: int, series_pk: int, change: UsageChange) -> None:
    connection.execute(delete(series_requests).where(series_requests.c.series_pk == series_pk))
    connection.execute(delete(series).where(series.c.pk == series_pk))
    change.number_of_series -= 1
    left = connection.scalar(
        update(study_usage)
        .where(study_usage.c.study_pk == study_pk)
        .values(number_of_series=study_usage.c.number_of_series - 1)
        .returning(study_usage.c.number_of_series)
    )
    if left != 0:
        usage.summarize_study(connection, study_pk)
        return
    patient_pk = connection.scalar(select(studies.c.patient_pk).where(studies.c.pk == study_pk))
    connection.execute(delete(study_usage).where(study_usage.c.study_pk == study_pk))
    connection.execute(delete(studies).where(studies.c.pk == study_pk))
    change.number_of_studies -= 1
    drop_patient_if_empty(connection, patient_pk)


def drop_patient_if_empty(connection: Connection, patient_pk: int | None) -> None:
    """Drop a patient without studies.

    Of several that each take away a study, one looks after the other. Only where that showed no study does the lock
    wait for stores as well, whose studies are about to join: with theirs, a store that moves an instance from study to
    study would wait in a circle.
    """
    held = select(patients.c.pk).where(patients.c.pk == patient_pk)
    has_studies = exists().where(studies.c.patient_pk == patient_pk)
    connection.execute(held.with_for_update(key_share=True))
    if connection.scalar(select(has_studies)):
        return
    connection.execute(held.with_for_update())
    connection.execute(delete(patients).where(patients.c.pk == patient_pk, ~has_studies))


def settle_sop_classes(connection: Connection, removed: HeldInstance) -> None:
    """Take the SOP Class of a removed instance off the list of its series, if none of that class is left there."""
    of_class = (instances.c.series_pk == removed.series_pk, instances.c.sop_class_uid == removed.sop_class_uid)
    if connection.scalar(select(instances.c.pk).where(*of_class).limit(1)) is None:
        _summarize_series(connection, removed.study_pk, removed.series_pk)


def _summarize_series(connection: Connection, study_pk: int, series_pk: int) -> None:
    """Set the series' list of SOP Classes to what it still holds."""
    held = connection.scalars(
        select(instances.c.sop_class_uid).where(instances.c.series_pk == series_pk).distinct()
    ).all()
    changed = connection.execute(
        update(series)
        .where(series.c.pk == series_pk, series.c.sop_classes.is_distinct_from(rows.join(held)))
        .values(sop_classes=rows.join(held))
    )
    if changed.rowcount:
        usage.summarize_study(connection, study_pk)


def _queue(connection: Connection, gone: Sequence[HeldInstance], reason: str, now: datetime) -> None:
    """Name the files of instances that have one for housekeeping."""
    files = [
        {"area_pk": held.area_pk, "path": held.path, "size_bytes": held.size_bytes, "reason": reason, "queued_at": now}
        for held in gone
        if held.path is not None
    ]
    if files:
        connection.execute(insert(deletions), files)


def is_queued(connection: Connection, area_pk: int, path: str) -> bool:
    """Whether this file waits to be unlinked. Asked only after a lost connection: it reads the whole queue."""
    queued = exists().where(deletions.c.area_pk == area_pk, deletions.c.path == path)
    return bool(connection.scalar(select(queued)))


def queued_among(connection: Connection, area_pk: int, paths: Sequence[str]) -> set[str]:
    """Those of these files that wait to be unlinked. Reads all of the area's queue."""
    among = dialects.among(connection.dialect.name, deletions.c.path, paths)
    return set(connection.scalars(select(deletions.c.path).where(deletions.c.area_pk == area_pk, among)))


def queued_deletions(connection: Connection, most: int) -> list[QueuedFile]:
    """Some files to unlink: those that never failed first, then oldest first."""
    columns = (deletions.c.pk, deletions.c.area_pk, deletions.c.path)
    queued = select(*columns).order_by(deletions.c.attempts, deletions.c.pk).limit(most)
    return [QueuedFile(*row) for row in connection.execute(queued)]


def note_attempts(connection: Connection, queued: Sequence[QueuedFile]) -> None:
    """Count one more attempt to unlink each of these files.

    Once this is committed, and durable, so is all that was committed before it: the end of the rows that named them.
    """
    among = dialects.among(connection.dialect.name, deletions.c.pk, [row.pk for row in queued])
    connection.execute(update(deletions).where(among).values(attempts=deletions.c.attempts + 1))


def settle_deletions(connection: Connection, done: Sequence[int], failed: Sequence[tuple[int, str]]) -> None:
    """Drop the files that are unlinked from the queue; note why the others are not."""
    if done:
        connection.execute(delete(deletions).where(dialects.among(connection.dialect.name, deletions.c.pk, done)))
    for pk, error in failed:
        connection.execute(update(deletions).where(deletions.c.pk == pk).values(last_error=error))
