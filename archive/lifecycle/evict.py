"""Make room in an area: what was stored to least recently goes, inside the transaction that needs the room.

The rows go with it at once, for every reader; the files are queued for housekeeping. What is pinned stays, and where
nothing else is left the instance that needs the room is refused.

A store makes room for itself, and for no more: what is too much because a limit was lowered is taken by whoever lowered
it, and by housekeeping, some of it in each transaction, so that stores never wait long.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path

from archive.database import transaction
from archive.database.engine import Database
from archive.database.transaction import Connection
from archive.errors import OutOfResources
from archive.index import evictable, remove, usage
from archive.index.evictable import Candidate, Cause, OldInstance
from archive.index.record import Record, Stored, UsageChange
from archive.lifecycle import quota
from archive.lifecycle.holding import NeedsWhole
from archive.lifecycle.quota import Reason
from archive.registry import changes
from archive.registry.snapshot import Area, Quota
from archive.storage.disk import Disk

# Enforcing a quota ends its transaction after so many instances, and begins another: some 100 ms on either database.
INSTANCES_IN_ONE_TRANSACTION = 2000


@dataclass(frozen=True, slots=True)
class Eviction:
    """A study that goes, or some of its oldest instances."""

    study: Candidate
    reason: Reason
    is_whole_study: bool
    number_of_instances: int
    size_bytes: int

    def __str__(self) -> str:
        what = "" if self.is_whole_study else f"the {self.number_of_instances} oldest of "
        return f"{what}study {self.study.study_instance_uid}, {self.size_bytes} bytes ({self.reason.value})"


@dataclass(frozen=True, slots=True)
class Disks:
    """What an area's instances are written to."""

    area: Disk
    database: Disk | None
    """That of an embedded database, where it is another one: small instances are there first."""

    @classmethod
    def of(cls, area: Area, data: Path, database: Database) -> "Disks":
        """The disks of an area; raises DiskFailed."""
        own = Disk(area.folder(data))
        embedded = None if database.folder is None else Disk(database.folder)
        return cls(own, None if embedded is None or embedded.is_that_of(own) else embedded)


class _Reckoning:
    """What an area would hold after all that has been decided so far."""

    def __init__(self, limits: Quota, held: usage.Usage, missing_bytes: int, added: UsageChange | None = None) -> None:
        """With what a store has added, only what that made worse is to go; see `quota.passed`."""
        self._limits = limits
        self._held = held
        self._missing_bytes = missing_bytes
        self._added = added

    def passed(self) -> Reason | None:
        """The limit that is still passed."""
        return quota.passed(self._limits, self._held, self._missing_bytes, self._added)

    def passed_without(self, headroom_bytes: int) -> Reason | None:
        """The limit that would be passed if it left no headroom."""
        limits = self._limits
        if limits.max_bytes is not None:
            limits = replace(limits, max_bytes=limits.max_bytes + headroom_bytes)
        return quota.passed(limits, self._held, self._missing_bytes - headroom_bytes, self._added)

    def take(self, eviction: Eviction) -> Eviction:
        """Reckon with this eviction from now on."""
        studies = 1 if eviction.is_whole_study else 0
        self._held = replace(
            self._held,
            number_of_studies=self._held.number_of_studies - studies,
            size_bytes=self._held.size_bytes - eviction.size_bytes,
        )
        self._missing_bytes -= eviction.size_bytes
        if self._added is not None:
            self._added.number_of_studies -= studies
            self._added.size_bytes -= eviction.size_bytes
        return eviction


def require_room(area: Area, size_bytes: int, disks: Disks | None, *, is_written: bool) -> None:
    """Refuse an instance that can never fit, or that nothing may make room for; raises OutOfResources.

    `is_written` tells that its file lies on the disk already.
    """
    if reason := quota.too_large(area.quota, size_bytes):
        raise _full(area, reason, "The instance is larger than the area allows")
    if disks is None:
        return
    coming_bytes = 0 if is_written else size_bytes
    # Whatever is evicted, an SQLite database gives nothing back to its disk.
    if disks.database is not None and _lacks_room(area, disks.database, coming_bytes):
        raise _full(area, Reason.MIN_FREE_BYTES, "The disk of the database is full")
    if not area.quota.evicts and _lacks_room(area, disks.area, coming_bytes):
        raise _full(area, Reason.MIN_FREE_BYTES, "The disk of the area is full")


def _lacks_room(area: Area, disk: Disk, coming_bytes: int) -> bool:
    return quota.missing_bytes(area.quota, disk.free_bytes(), coming_bytes=coming_bytes) > 0


def _full(area: Area, reason: Reason, sentence: str) -> OutOfResources:
    return OutOfResources(f"{sentence} ({reason.value})", area=area.name)  # the peer is told the sentence only


def make_room(
    connection: Connection,
    area: Area,
    record: Record,
    stored: Stored,
    shard: int,
    disks: Disks | None,
    *,
    is_alone: bool = True,
) -> list[Eviction]:
    """After a record was added: evict until the area is within its quota again, as far as this store passed it.

    Who has a share of the area only (see `holding`) makes room in the study, and no more. Raises OutOfResources where
    no room can be made, NeedsWhole where a share is not enough; the transaction is then rolled back.
    """
    if not area.quota.decides_stores:
        return []
    now = record.received_at
    cause = Cause(record.header.sop_instance_uid, str(record.instance_values["source_ae_title"]))
    added = replace(stored.added)
    evicted = _make_room_in_study(connection, area, record, stored, shard, cause)
    added.size_bytes -= sum(each.size_bytes for each in evicted)
    missing_bytes = (
        0 if disks is None else _missing_bytes(connection, area, disks, 0 if record.is_written else record.size_bytes)
    )
    if not is_alone:
        if missing_bytes or (area.quota.max_studies is not None and added.number_of_studies > 0):
            raise NeedsWhole(is_crowded=missing_bytes > 0)
        return evicted
    if not missing_bytes and not quota.counts(area.quota, added):
        return evicted
    reckoning = _Reckoning(area.quota, usage.of_area(connection, area.pk), missing_bytes, added)
    candidates = evictable.studies_in_order(connection, area.pk, but=stored.parents.study_pk)
    for eviction in _whole_studies(area, reckoning, candidates):
        evicted += _evict_study(connection, area, eviction, shard, now, cause)
    return evicted


def _missing_bytes(connection: Connection, area: Area, disks: Disks, coming_bytes: int) -> int:
    if not _lacks_room(area, disks.area, coming_bytes):
        return 0
    going_bytes = evictable.bytes_to_unlink(connection, area.pk)
    # The disk last: what is unlinked between the two would else be missing in both, and too much would go.
    free_bytes = disks.area.free_bytes()
    return quota.missing_bytes(area.quota, free_bytes, coming_bytes=coming_bytes, going_bytes=going_bytes)


def _whole_studies(area: Area, reckoning: _Reckoning, candidates: Iterator[Candidate]) -> Iterator[Eviction]:
    """The studies that go, one by one, until the area is within its quota; raises OutOfResources where none is left."""
    while reason := reckoning.passed():
        candidate = next(candidates, None) if area.quota.evicts else None
        if candidate is None:
            why = "The area is full and nothing in it may go" if area.quota.evicts else "The area is full"
            raise _full(area, reason, why)
        yield reckoning.take(_whole(candidate, reason))


def _whole(study: Candidate, reason: Reason) -> Eviction:
    return Eviction(study, reason, True, study.number_of_instances, study.size_bytes)


def _make_room_in_study(
    connection: Connection, area: Area, record: Record, stored: Stored, shard: int, cause: Cause
) -> list[Eviction]:
    """The oldest instances of a study that grew too large go, but never the one that is coming."""
    study_pk = stored.parents.study_pk
    if area.quota.max_study_bytes is None or stored.added_to_study_bytes <= 0:
        return []
    too_many_bytes = quota.surplus_of_study(area.quota, evictable.size_of_study(connection, study_pk))
    if not too_many_bytes:
        return []
    study = evictable.study(connection, study_pk, area.pk) if area.quota.evicts else None
    if study is None:
        raise _full(area, Reason.MAX_STUDY_BYTES, "The study is as large as the area allows")
    surplus_bytes = min(too_many_bytes, stored.added_to_study_bytes)
    return _evict_oldest(connection, area, study, surplus_bytes, shard, record.received_at, cause)


def _oldest(
    connection: Connection, study: Candidate, surplus_bytes: int, but: Cause | None = None
) -> Iterator[OldInstance]:
    """The oldest instances of a study that have so many bytes together; not the one that needs the room."""
    for each in evictable.oldest_instances(connection, study.study_pk):
        if surplus_bytes <= 0:
            return
        if but is None or each.sop_instance_uid != but.sop_instance_uid:
            surplus_bytes -= each.size_bytes
            yield each


def _evict_oldest(
    connection: Connection,
    area: Area,
    study: Candidate,
    surplus_bytes: int,
    shard: int,
    now: datetime,
    cause: Cause | None,
) -> list[Eviction]:
    pks = [each.pk for each in _oldest(connection, study, surplus_bytes, cause)]
    change = remove.remove_instances(connection, area.pk, study.study_pk, pks, shard, "evicted", now)
    if not change.number_of_instances:
        return []
    eviction = Eviction(study, Reason.MAX_STUDY_BYTES, False, -change.number_of_instances, -change.size_bytes)
    return [_noted(connection, area, eviction, now, cause)]


def _evict_study(
    connection: Connection, area: Area, eviction: Eviction, shard: int, now: datetime, cause: Cause | None
) -> list[Eviction]:
    """Evict a whole study, as it is now; nothing if somebody else has removed it."""
    change = remove.remove_study(connection, eviction.study.study_pk, shard, "evicted", now)
    if change is None:
        return []
    took = replace(eviction, number_of_instances=-change.number_of_instances, size_bytes=-change.size_bytes)
    return [_noted(connection, area, took, now, cause)]


def _noted(connection: Connection, area: Area, eviction: Eviction, now: datetime, cause: Cause | None) -> Eviction:
    evictable.note(
        connection,
        area.pk,
        eviction.study,
        is_whole_study=eviction.is_whole_study,
        number_of_instances=eviction.number_of_instances,
        size_bytes=eviction.size_bytes,
        reason=eviction.reason.value,
        now=now,
        cause=cause,
    )
    return eviction


def due(
    connection: Connection, area: Area, disks: Disks, now: datetime, *, looks_at_every_study: bool = True
) -> Iterator[Eviction]:
    """What goes if the quota is enforced now: too old, too large, too much. Where nothing more may go, it ends.

    That a study has grown too large can only be by a limit that was lowered, or while it was pinned; to find those,
    each study is looked at, which may be left out.
    """
    kept_to = replace(area, quota=quota.with_headroom(area.quota))
    missing_bytes = 0
    if area.quota.min_free_bytes is not None:
        missing_bytes = _missing_bytes(connection, kept_to, disks, evictable.bytes_to_file(connection, area.pk))
    reckoning = _Reckoning(kept_to.quota, usage.of_area(connection, area.pk), missing_bytes)
    gone: set[int] = set()
    shrunk: dict[int, Candidate] = {}
    for eviction in chain(_too_old(connection, area, now), _too_large(connection, area, looks_at_every_study)):
        study = eviction.study
        if study.study_pk in gone:
            continue
        if eviction.is_whole_study:
            gone.add(study.study_pk)
        else:
            shrunk[study.study_pk] = _without(study, eviction)
        yield reckoning.take(eviction)
    left = (
        shrunk.get(study.study_pk, study)
        for study in evictable.studies_in_order(connection, area.pk)
        if study.study_pk not in gone
    )
    yield from _too_much(area.quota, reckoning, left)


def _without(study: Candidate, eviction: Eviction) -> Candidate:
    return replace(
        study,
        number_of_instances=study.number_of_instances - eviction.number_of_instances,
        size_bytes=study.size_bytes - eviction.size_bytes,
    )


def _too_old(connection: Connection, area: Area, now: datetime) -> Iterator[Eviction]:
    if area.quota.max_age_days is not None:
        too_old = now - timedelta(days=area.quota.max_age_days)
        for study in evictable.studies_in_order(connection, area.pk, stored_before=too_old):
            yield _whole(study, Reason.MAX_AGE_DAYS)


def _too_large(connection: Connection, area: Area, looks_at_every_study: bool) -> Iterator[Eviction]:
    limit_bytes = area.quota.max_study_bytes
    if limit_bytes is None or not area.quota.evicts or not looks_at_every_study:
        return
    for study in evictable.studies_larger_than(connection, area.pk, limit_bytes):
        sizes = [each.size_bytes for each in _oldest(connection, study, study.size_bytes - limit_bytes)]
        is_whole = len(sizes) == study.number_of_instances
        yield Eviction(study, Reason.MAX_STUDY_BYTES, is_whole, len(sizes), sum(sizes))


def _too_much(limits: Quota, reckoning: _Reckoning, candidates: Iterator[Candidate]) -> Iterator[Eviction]:
    """The studies that go because the area holds too much; for headroom alone, never the one stored to last."""
    candidate = next(candidates, None) if limits.evicts else None
    while candidate is not None and (reason := reckoning.passed()):
        following = next(candidates, None)
        if following is None and not reckoning.passed_without(limits.headroom_bytes or 0):
            return
        yield reckoning.take(_whole(candidate, reason))
        candidate = following


def enforce(
    database: Database, area: Area, shard: int, disks: Disks, *, looks_at_every_study: bool = True
) -> Iterator[Eviction]:
    """Bring an area within its quota, and its headroom; what went, each after its commit."""
    with transaction.read(database) as connection:
        if not any(due(connection, area, disks, datetime.now(UTC), looks_at_every_study=looks_at_every_study)):
            return
    while evicted := transaction.write(
        database, lambda connection: enforce_some(connection, area, shard, disks, looks_at_every_study)
    ):
        yield from evicted


def enforce_some(
    connection: Connection, area: Area, shard: int, disks: Disks, looks_at_every_study: bool = True
) -> list[Eviction]:
    """As much of `enforce` as one transaction should do; nothing where nothing is left."""
    limits = changes.hold_area(connection, area.pk)
    if limits is None:
        return []
    held, now = replace(area, quota=limits), datetime.now(UTC)
    planned = due(connection, held, disks, now, looks_at_every_study=looks_at_every_study)
    evicted: list[Eviction] = []
    for eviction in _some(planned):
        if eviction.is_whole_study:
            evicted += _evict_study(connection, held, eviction, shard, now, None)
        else:
            evicted += _shrink(connection, held, eviction, shard, now)
    return evicted


def _some(planned: Iterable[Eviction]) -> list[Eviction]:
    """Decided before the first is carried out, as in a dry run."""
    some: list[Eviction] = []
    number_of_instances = 0
    for eviction in planned:
        some.append(eviction)
        number_of_instances += eviction.number_of_instances
        if number_of_instances >= INSTANCES_IN_ONE_TRANSACTION:
            break
    return some


def _shrink(connection: Connection, area: Area, eviction: Eviction, shard: int, now: datetime) -> list[Eviction]:
    """Evict the oldest instances of a study, as it is now that its usage is locked; nothing if it is gone."""
    study = evictable.study(connection, eviction.study.study_pk, area.pk)
    if study is None:
        return []
    surplus_bytes = quota.surplus_of_study(area.quota, study.size_bytes)
    return _evict_oldest(connection, area, study, surplus_bytes, shard, now, None)


def follow_policy(connection: Connection, area: Area) -> None:
    """After the quota of an area was changed: which of its studies may go. `enforce` it once this is committed."""
    changes.hold_area(connection, area.pk)
    evictable.follow_policy(connection, area.pk)
