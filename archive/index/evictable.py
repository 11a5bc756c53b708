"""Which studies and instances make room, what was stored to least recently first; and the books of what went."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Select,
    and_,
    column,
    false,
    func,
    insert,
    or_,
    select,
    table,
    true,
    update,
)

from archive.index.remove import HeldInstance
from archive.index.tables import deletions, evictions, instances, patients, series, studies, study_usage

_IN_ONE_FETCH = 100

# The columns of `storage_areas` (see registry.tables) that say whether studies of an area may be evicted.
area = table("storage_areas", column("pk"), column("on_full"), column("max_age_days"))
AREA_EVICTS = or_(area.c.on_full == "evict", area.c.max_age_days.is_not(None))
_AREA_PK = study_usage.c.area_pk


@dataclass(frozen=True, slots=True)
class Candidate:
    """A study that may be evicted."""

    study_pk: int
    study_instance_uid: str
    patient_id: str | None
    number_of_instances: int
    size_bytes: int
    last_stored_at: datetime


def _candidates(area_pk: int) -> Select[Any, Any, Any, Any, Any, Any]:
    return (
        select(
            study_usage.c.study_pk,
            studies.c.study_instance_uid,
            patients.c.patient_id,
            study_usage.c.number_of_instances,
            study_usage.c.size_bytes,
            study_usage.c.last_stored_at,
        )
        .join_from(study_usage, studies, studies.c.pk == study_usage.c.study_pk)
        .join(patients, patients.c.pk == studies.c.patient_pk)
        .where(study_usage.c.area_pk == area_pk, study_usage.c.is_evictable.is_(true()))
    )


def studies_in_order(
    connection: Connection, area_pk: int, *, but: int | None = None, stored_before: datetime | None = None
) -> Iterator[Candidate]:
    """The evictable studies of an area, what was stored to least recently first; one of them may be left out."""
    statement = _candidates(area_pk)
    if stored_before is not None:
        statement = statement.where(study_usage.c.last_stored_at < stored_before)
    last: Candidate | None = None
    while True:
        after = true() if last is None else _after(last)
        order = (study_usage.c.last_stored_at, study_usage.c.study_pk)
        rows = connection.execute(statement.where(after).order_by(*order).limit(_IN_ONE_FETCH)).all()
        for row in rows:
            last = Candidate(*row)
            if last.study_pk != but:
                yield last
        if len(rows) < _IN_ONE_FETCH:
            return


def _after(last: Candidate) -> Any:
    at, key = study_usage.c.last_stored_at, study_usage.c.study_pk
    return (at > last.last_stored_at) | and_(at == last.last_stored_at, key > last.study_pk)


def studies_larger_than(connection: Connection, area_pk: int, size_bytes: int) -> list[Candidate]:
    """The evictable studies of an area with more bytes than that."""
    statement = _candidates(area_pk).where(study_usage.c.size_bytes > size_bytes).order_by(study_usage.c.study_pk)
    return [Candidate(*row) for row in connection.execute(statement)]


def study(connection: Connection, study_pk: int, area_pk: int) -> Candidate | None:
    """One study, if it may be evicted."""
    row = connection.execute(_candidates(area_pk).where(study_usage.c.study_pk == study_pk)).one_or_none()
    return None if row is None else Candidate(*row)


def size_of_study(connection: Connection, study_pk: int) -> int:
    """The bytes of a study."""
    return connection.scalar(select(study_usage.c.size_bytes).where(study_usage.c.study_pk == study_pk)) or 0


def oldest_instances(connection: Connection, study_pk: int, but_uid: str | None) -> list[HeldInstance]:
    """The instances of a study, the one that came first first, but for one that is just coming; locked."""
    of_study = instances.c.series_pk.in_(select(series.c.pk).where(series.c.study_pk == study_pk))
    columns = (instances.c[field] for field in HeldInstance.__slots__)
    statement = select(*columns).where(of_study).order_by(instances.c.pk).with_for_update()
    if but_uid is not None:
        statement = statement.where(instances.c.sop_instance_uid != but_uid)
    return [HeldInstance(*row) for row in connection.execute(statement)]


def bytes_to_unlink(connection: Connection, area_pk: int) -> int:
    """The bytes of files that wait to be unlinked."""
    size = func.coalesce(func.sum(deletions.c.size_bytes), 0)
    return int(connection.scalar(select(size).where(deletions.c.area_pk == area_pk)) or 0)


def note(
    connection: Connection,
    area_pk: int,
    candidate: Candidate,
    *,
    reason: str,
    now: datetime,
    caused_by_sop_instance_uid: str | None,
    instances_evicted: int | None = None,
    bytes_evicted: int = 0,
) -> None:
    """Write down that a study went, or so many of its instances."""
    is_whole = instances_evicted is None
    connection.execute(
        insert(evictions),
        {
            "area_pk": area_pk,
            "study_instance_uid": candidate.study_instance_uid,
            "patient_id": candidate.patient_id,
            "is_whole_study": is_whole,
            "number_of_instances": candidate.number_of_instances if is_whole else instances_evicted,
            "size_bytes": candidate.size_bytes if is_whole else bytes_evicted,
            "reason": reason,
            "caused_by_sop_instance_uid": caused_by_sop_instance_uid,
            "evicted_at": now,
        },
    )


def pin(connection: Connection, study_pk: int, *, is_pinned: bool) -> bool:
    """Keep a study from being evicted, or let it go again; False if it is gone."""
    of_study = study_usage.c.study_pk == study_pk
    area_pk = connection.scalar(update(study_usage).where(of_study).values(is_pinned=is_pinned).returning(_AREA_PK))
    if area_pk is None:
        return False
    follow_policy(connection, area_pk)
    return True


def follow_policy(connection: Connection, area_pk: int) -> None:
    """After the policy of an area, or a pin, has changed: which of its studies may be evicted."""
    area_evicts = bool(connection.scalar(select(AREA_EVICTS).where(area.c.pk == area_pk)))
    may_go = study_usage.c.is_pinned.is_(false()) if area_evicts else false()
    differs = study_usage.c.is_evictable != may_go
    connection.execute(update(study_usage).where(study_usage.c.area_pk == area_pk, differs).values(is_evictable=may_go))
