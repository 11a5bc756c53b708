"""Make room in an area: what was stored to least recently goes, inside the transaction that needs the room.

The rows go with it at once, for every reader; the files are queued for housekeeping. What is pinned stays, and where
nothing else is left the instance that needs the room is refused.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from archive.database.transaction import Connection
from archive.errors import OutOfResources
from archive.index import evictable, remove, usage
from archive.index.evictable import Candidate
from archive.index.record import Record, UsageChange
from archive.index.usage import Usage
from archive.lifecycle import quota
from archive.lifecycle.quota import Reason
from archive.registry import changes
from archive.registry.snapshot import Area


@dataclass(frozen=True, slots=True)
class Eviction:
    """A study that goes, or some of its oldest instances."""

    study: Candidate
    reason: Reason
    is_whole_study: bool
    number_of_instances: int
    size_bytes: int

    def __str__(self) -> str:
        what = "" if self.is_whole_study else f"{self.number_of_instances} instances of "
        return f"{what}study {self.study.study_instance_uid}, {self.size_bytes} bytes ({self.reason.value})"


def require_room(area: Area, size_bytes: int, free_bytes: int | None) -> None:
    """Refuse an instance that can never fit, or that nothing may make room for; raises OutOfResources."""
    if reason := quota.too_large(area.quota, size_bytes):
        raise _full(area, reason, "The instance is larger than the area allows")
    if not area.quota.evicts and quota.missing_bytes(area.quota, free_bytes, coming_bytes=size_bytes):
        raise _full(area, Reason.MIN_FREE_BYTES, "The disk of the area is full")


def hold(connection: Connection, area: Area) -> None:
    """At the beginning of a transaction that stores: what this one counts, nobody else adds to."""
    if area.quota.limits_holdings or area.quota.min_free_bytes is not None:
        changes.hold_area(connection, area.pk)


def make_room(
    connection: Connection, area: Area, record: Record, study_pk: int, shard: int, free_bytes: int | None
) -> list[Eviction]:
    """After a record was added to a study: evict until the area is within its quota again.

    Raises OutOfResources where that cannot be; the transaction is then rolled back.
    """
    if not area.quota.limits_holdings and free_bytes is None:
        return []
    evicted = _make_room_in_study(connection, area, record, study_pk, shard)
    missing = _missing_bytes(connection, area, free_bytes)
    held = usage.of_area(connection, area.pk)
    plan = _plan(area, held, missing, evictable.studies_in_order(connection, area.pk, but=study_pk))
    for eviction in plan:
        evicted += _evict(connection, area, eviction, shard, record.received_at, record.header.sop_instance_uid)
    return evicted


def _missing_bytes(connection: Connection, area: Area, free_bytes: int | None) -> int:
    if not quota.missing_bytes(area.quota, free_bytes):
        return 0
    return quota.missing_bytes(area.quota, free_bytes, going_bytes=evictable.bytes_to_unlink(connection, area.pk))


def _plan(area: Area, held: Usage, missing_bytes: int, candidates: Iterator[Candidate]) -> Iterator[Eviction]:
    """The studies that go, one by one, until the area is within its quota; raises OutOfResources where none is left."""
    while too_much := quota.surplus(area.quota, held, missing_bytes):
        candidate = next(candidates, None) if area.quota.evicts else None
        if candidate is None:
            why = "The area is full and nothing in it may go" if area.quota.evicts else "The area is full"
            raise _full(area, too_much.reason, why)
        yield Eviction(candidate, too_much.reason, True, candidate.number_of_instances, candidate.size_bytes)
        held = _without(held, candidate)
        missing_bytes -= candidate.size_bytes


def _without(held: Usage, study: Candidate) -> Usage:
    return replace(held, number_of_studies=held.number_of_studies - 1, size_bytes=held.size_bytes - study.size_bytes)


def _full(area: Area, reason: Reason, sentence: str) -> OutOfResources:
    return OutOfResources(f"{sentence} ({reason.value})", area=area.name)  # the peer is told the sentence only


def _make_room_in_study(
    connection: Connection, area: Area, record: Record, study_pk: int, shard: int
) -> list[Eviction]:
    """The oldest instances of a study that grew too large go, but never the one that is coming."""
    surplus_bytes = quota.surplus_of_study(area.quota, evictable.size_of_study(connection, study_pk))
    if not surplus_bytes:
        return []
    study = evictable.study(connection, study_pk, area.pk) if area.quota.evicts else None
    if study is None:
        raise _full(area, Reason.MAX_STUDY_BYTES, "The study is as large as the area allows")
    return [_evict_instances(connection, area, study, surplus_bytes, shard, record.received_at, record)]


def _evict_instances(
    connection: Connection,
    area: Area,
    study: Candidate,
    surplus_bytes: int,
    shard: int,
    now: datetime,
    record: Record | None = None,
) -> Eviction:
    change = UsageChange()
    number = freed_bytes = 0
    coming = None if record is None else record.header.sop_instance_uid
    for held in evictable.oldest_instances(connection, study.study_pk, coming):
        if freed_bytes >= surplus_bytes:
            break
        remove.remove_instance(connection, held, "evicted", change, now)
        remove.settle_sop_classes(connection, held)
        number, freed_bytes = number + 1, freed_bytes + held.size_bytes
    usage.count_in_area(connection, area.pk, shard, change)
    evictable.note(
        connection,
        area.pk,
        study,
        reason=Reason.MAX_STUDY_BYTES.value,
        now=now,
        caused_by_sop_instance_uid=coming,
        instances_evicted=number,
        bytes_evicted=freed_bytes,
    )
    return Eviction(study, Reason.MAX_STUDY_BYTES, False, number, freed_bytes)


def _evict(
    connection: Connection, area: Area, eviction: Eviction, shard: int, now: datetime, caused_by: str | None
) -> list[Eviction]:
    """Evict a whole study; nothing if somebody else has removed it."""
    if remove.remove_study(connection, eviction.study.study_pk, shard, "evicted", now) is None:
        return []
    evictable.note(
        connection,
        area.pk,
        eviction.study,
        reason=eviction.reason.value,
        now=now,
        caused_by_sop_instance_uid=caused_by,
    )
    return [eviction]


def due(connection: Connection, area: Area, now: datetime, free_bytes: int | None) -> Iterable[Eviction]:
    """What would go now if the quota were enforced: too old, too large, too much; where nothing may go, it ends."""
    held = usage.of_area(connection, area.pk)
    gone: set[int] = set()
    if area.quota.max_age_days is not None:
        too_old = now - timedelta(days=area.quota.max_age_days)
        for study in evictable.studies_in_order(connection, area.pk, stored_before=too_old):
            gone.add(study.study_pk)
            held = _without(held, study)
            yield Eviction(study, Reason.MAX_AGE_DAYS, True, study.number_of_instances, study.size_bytes)
    if not area.quota.evicts:
        return
    if area.quota.max_study_bytes is not None:
        for study in evictable.studies_larger_than(connection, area.pk, area.quota.max_study_bytes):
            if study.study_pk not in gone:
                surplus_bytes = quota.surplus_of_study(area.quota, study.size_bytes)
                yield Eviction(study, Reason.MAX_STUDY_BYTES, False, 0, surplus_bytes)
    left = (study for study in evictable.studies_in_order(connection, area.pk) if study.study_pk not in gone)
    try:
        yield from _plan(area, held, _missing_bytes(connection, area, free_bytes), left)
    except OutOfResources:
        return  # only pinned studies are left; who stores is told


def follow_policy(
    connection: Connection, area: Area, shard: int, now: datetime, free_bytes: int | None
) -> list[Eviction]:
    """After the quota of an area was changed: bring the area within it; what went."""
    changes.hold_area(connection, area.pk)
    evictable.follow_policy(connection, area.pk)
    return enforce(connection, area, shard, now, free_bytes)


def enforce(connection: Connection, area: Area, shard: int, now: datetime, free_bytes: int | None) -> list[Eviction]:
    """Bring an area within its quota; what went."""
    changes.hold_area(connection, area.pk)
    evicted: list[Eviction] = []
    for eviction in list(due(connection, area, now, free_bytes)):
        if eviction.is_whole_study:
            evicted += _evict(connection, area, eviction, shard, now, None)
        else:
            evicted.append(_evict_instances(connection, area, eviction.study, eviction.size_bytes, shard, now))
    return evicted
