"""Which studies and instances make room, what was stored to least recently first; and the books of what went."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import heapify, heappop, heappush
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    bindparam,
    column,
    delete,
    false,
    func,
    insert,
    or_,
    select,
    table,
    true,
    update,
)

from archive.database.prepared import Prepared
from archive.index.tables import (
    deletions,
    evictions,
    instances,
    patients,
    series,
    studies,
    study_usage,
    unfiled_instances,
)

_STUDIES_IN_ONE_FETCH = 100
_INSTANCES_IN_ONE_FETCH = 100

# The columns of `storage_areas` (see registry.tables) that say whether studies of an area may be evicted.
area = table("storage_areas", column("pk"), column("name"), column("on_full"), column("max_age_days"))
AREA_EVICTS = or_(area.c.on_full == "evict", area.c.max_age_days.is_not(None))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A study that may be evicted."""

    study_pk: int
    study_instance_uid: str
    patient_id: str | None
    number_of_instances: int
    size_bytes: int
    last_stored_at: datetime


@dataclass(frozen=True, slots=True)
class OldInstance:
    """An instance of a study that may have to shrink."""

    pk: int
    sop_instance_uid: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Cause:
    """The store that needed room."""

    sop_instance_uid: str
    ae_title: str


@dataclass(frozen=True, slots=True)
class Evicted:
    """What a quota took, as it was written down."""

    area: str
    evicted_at: datetime
    study_instance_uid: str
    patient_id: str | None
    is_whole_study: bool
    number_of_instances: int
    size_bytes: int
    reason: str
    caused_by_sop_instance_uid: str | None
    caused_by_ae_title: str | None


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
    at, key = study_usage.c.last_stored_at, study_usage.c.study_pk
    statement = _candidates(area_pk).order_by(at, key).limit(_STUDIES_IN_ONE_FETCH)
    if stored_before is not None:
        statement = statement.where(at < stored_before)
    page = statement
    while True:
        candidates = [Candidate(*row) for row in connection.execute(page)]
        yield from (each for each in candidates if each.study_pk != but)
        if len(candidates) < _STUDIES_IN_ONE_FETCH:
            return
        last = candidates[-1]
        # Written so that both databases begin to read their index there.
        page = statement.where(at >= last.last_stored_at, or_(at > last.last_stored_at, key > last.study_pk))


def studies_larger_than(connection: Connection, area_pk: int, size_bytes: int) -> list[Candidate]:
    """The evictable studies of an area with more bytes than that. Looks at each of them: no index knows."""
    statement = _candidates(area_pk).where(study_usage.c.size_bytes > size_bytes).order_by(study_usage.c.study_pk)
    return [Candidate(*row) for row in connection.execute(statement)]


def study(connection: Connection, study_pk: int, area_pk: int) -> Candidate | None:
    """One study, if it may be evicted; its usage is locked."""
    statement = _candidates(area_pk).where(study_usage.c.study_pk == study_pk).with_for_update(of=study_usage)
    row = connection.execute(statement).one_or_none()
    return None if row is None else Candidate(*row)


_size_of_study = Prepared(
    lambda _: select(study_usage.c.size_bytes).where(study_usage.c.study_pk == bindparam("study"))
)


def size_of_study(connection: Connection, study_pk: int) -> int:
    """The bytes of a study."""
    rows = _size_of_study.run(connection, {"study": study_pk}).rows
    return rows[0][0] if rows else 0


def oldest_instances(connection: Connection, study_pk: int) -> Iterator[OldInstance]:
    """The instances of a study in the order they were stored, fetched as they are asked for.

    Keys are given in that order, and each series has its instances by key; so the series are merged. A study of many
    thousand instances is never read whole for the few that go.
    """
    first = select(func.min(instances.c.pk)).where(instances.c.series_pk == series.c.pk).scalar_subquery()
    of_study = connection.execute(select(first, series.c.pk).where(series.c.study_pk == study_pk))
    # Of each series: the key that its next instance has at least, and those that are fetched.
    ahead: list[tuple[int, int, deque[OldInstance]]] = [(pk, of, deque()) for pk, of in of_study if pk is not None]
    heapify(ahead)
    while ahead:
        at_least, series_pk, fetched = heappop(ahead)
        if not fetched:
            fetched.extend(_instances_from(connection, series_pk, at_least))
        if fetched and fetched[0].pk == at_least:
            yield fetched.popleft()
            heappush(ahead, (fetched[0].pk if fetched else at_least + 1, series_pk, fetched))
        elif fetched:
            heappush(ahead, (fetched[0].pk, series_pk, fetched))


def _instances_from(connection: Connection, series_pk: int, pk: int) -> Sequence[OldInstance]:
    from_there = (instances.c.series_pk == series_pk, instances.c.pk >= pk)
    columns = (instances.c.pk, instances.c.sop_instance_uid, instances.c.size_bytes)
    statement = select(*columns).where(*from_there).order_by(instances.c.pk).limit(_INSTANCES_IN_ONE_FETCH)
    return [OldInstance(*row) for row in connection.execute(statement)]


def bytes_to_unlink(connection: Connection, area_pk: int) -> int:
    """The bytes of files that wait to be unlinked."""
    size = func.coalesce(func.sum(deletions.c.size_bytes), 0)
    return int(connection.scalar(select(size).where(deletions.c.area_pk == area_pk)) or 0)


def bytes_to_file(connection: Connection, area_pk: int) -> int:
    """The bytes of instances that wait for their file."""
    waiting = unfiled_instances.join(instances, instances.c.pk == unfiled_instances.c.instance_pk)
    size = func.coalesce(func.sum(instances.c.size_bytes), 0)
    return int(connection.scalar(select(size).select_from(waiting).where(instances.c.area_pk == area_pk)) or 0)


def note(
    connection: Connection,
    area_pk: int,
    candidate: Candidate,
    *,
    is_whole_study: bool,
    number_of_instances: int,
    size_bytes: int,
    reason: str,
    now: datetime,
    cause: Cause | None,
) -> None:
    """Write down that a study went, or so many of its instances."""
    connection.execute(
        insert(evictions),
        {
            "area_pk": area_pk,
            "study_instance_uid": candidate.study_instance_uid,
            "patient_id": candidate.patient_id,
            "is_whole_study": is_whole_study,
            "number_of_instances": number_of_instances,
            "size_bytes": size_bytes,
            "reason": reason,
            "caused_by_sop_instance_uid": None if cause is None else cause.sop_instance_uid,
            "caused_by_ae_title": None if cause is None else cause.ae_title,
            "evicted_at": now,
        },
    )


def noted(
    connection: Connection, area_pk: int | None, since: datetime | None, until: datetime | None, most: int
) -> list[Evicted]:
    """What went, the last first; of one area or all, from `since` on and before `until`."""
    statement = select(area.c.name, *(evictions.c[name] for name in Evicted.__slots__ if name != "area"))
    statement = statement.join_from(evictions, area, area.c.pk == evictions.c.area_pk)
    if area_pk is not None:
        statement = statement.where(evictions.c.area_pk == area_pk)
    if since is not None:
        statement = statement.where(evictions.c.evicted_at >= since)
    if until is not None:
        statement = statement.where(evictions.c.evicted_at < until)
    newest_first = statement.order_by(evictions.c.evicted_at.desc(), evictions.c.pk.desc()).limit(most)
    return [Evicted(*row) for row in connection.execute(newest_first)]


def forget(connection: Connection, area_pk: int, before: datetime, most: int) -> int:
    """Drop what was written down before a moment of what went from an area, the oldest first, at most so many rows."""
    old = select(evictions.c.pk).where(evictions.c.area_pk == area_pk, evictions.c.evicted_at < before)
    oldest = old.order_by(evictions.c.evicted_at).limit(most)
    return connection.execute(delete(evictions).where(evictions.c.pk.in_(oldest))).rowcount


def pin(connection: Connection, study_pk: int, *, is_pinned: bool) -> bool:
    """Keep a study from being evicted, or let it go again; False if it is gone."""
    area_evicts = select(AREA_EVICTS).where(area.c.pk == study_usage.c.area_pk).scalar_subquery()
    values = {"is_pinned": is_pinned, "is_evictable": false() if is_pinned else area_evicts}
    return connection.execute(update(study_usage).where(study_usage.c.study_pk == study_pk).values(values)).rowcount > 0


def follow_policy(connection: Connection, area_pk: int) -> None:
    """After the policy of an area has changed: which of its studies may be evicted."""
    may_go = _may_go(connection, area_pk)
    connection.execute(update(study_usage).where(*_astray(area_pk, may_go)).values(is_evictable=may_go))


def is_policy_followed(connection: Connection, area_pk: int) -> bool:
    """Whether each study of an area is marked as its policy says. Looks at each of them."""
    astray = _astray(area_pk, _may_go(connection, area_pk))
    return connection.execute(select(study_usage.c.study_pk).where(*astray).limit(1)).one_or_none() is None


def _may_go(connection: Connection, area_pk: int) -> ColumnElement[bool]:
    area_evicts = bool(connection.scalar(select(AREA_EVICTS).where(area.c.pk == area_pk)))
    return study_usage.c.is_pinned.is_(false()) if area_evicts else false()


def _astray(area_pk: int, may_go: ColumnElement[bool]) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return study_usage.c.area_pk == area_pk, study_usage.c.is_evictable != may_go
