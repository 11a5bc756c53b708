"""What a transaction that stores holds of an area with a quota: a share of it beside other stores, or all of it.

Who has all of it is alone: what it counts, nobody else adds to. That is needed only where a limit of the whole area
might be passed. All others take a share, which keeps out nobody but those who want all, and cannot pass a limit:

- They make no study. One that finds that it has to is rolled back, and comes again alone.
- They add `MOST_SHARED_BYTES` at most, and of those who write to one shard of the counters only one has a share at a
  time. So of what the others add, no more is unseen than that much for each shard; and each has looked, with its share
  in hand, whether there is room for all of that.

Nobody goes from a share to the whole, for which two could wait in a circle. A database with one writer needs no locks:
there everybody is alone.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from archive.database import dialects
from archive.database.transaction import Connection
from archive.index import usage
from archive.registry import changes
from archive.registry.snapshot import Area, Quota

# One transaction of as many stores as share a commit, a MiB each. An area has room for so much from each of its
# writers, or they take turns.
MOST_SHARED_BYTES = 64 << 20

# So long after an area had no room for shares its stores do not even ask for one.
CROWDED_SECONDS = 1.0


class NeedsWhole(Exception):
    """A store with a share of its area needs all of it; the transaction is to be rolled back.

    `is_crowded` tells that the next stores most likely need it too.
    """

    def __init__(self, *, is_crowded: bool) -> None:
        super().__init__()
        self.is_crowded = is_crowded


@dataclass(slots=True)
class Claim:
    """What one store is about to add to an area; what it holds of it is set when its transaction begins."""

    area: Area
    size_bytes: int
    makes_study: bool
    """Whether its study may be new."""
    needs_whole: bool = False
    is_alone: bool = field(default=True, init=False)
    now: Area = field(init=False)
    """The area as it is now: an association may be older than a limit that was lowered."""

    def __post_init__(self) -> None:
        self.now = self.area


def as_now(area: Area, limits: Quota | None) -> Area:
    """The area with these limits; as it was, if it has none any more because it is gone."""
    return area if limits is None or limits == area.quota else replace(area, quota=limits)


def whole(connection: Connection, area: Area) -> Area:
    """At the beginning of a transaction: hold all of an area with a quota; the area as it is now."""
    return as_now(area, changes.hold_area(connection, area.pk)) if area.quota.decides_stores else area


class Holder:
    """Takes for the stores of one process what they need of their areas."""

    def __init__(self, shard: int) -> None:
        self._shard = shard
        self._crowded_until: dict[int, float] = {}

    def begin(self, connection: Connection, claims: Sequence[Claim]) -> None:
        """At the beginning of their common transaction, before any row is locked; raises NeedsWhole."""
        of_areas: dict[int, list[Claim]] = {}
        for claim in claims:
            if claim.area.quota.decides_stores:
                of_areas.setdefault(claim.area.pk, []).append(claim)
        for area_pk in sorted(of_areas):  # in one order, so that two processes do not wait in a circle
            self._take(connection, area_pk, of_areas[area_pk])

    def come_again(self, claim: Claim, because: NeedsWhole) -> None:
        """A share was not enough for this store: it has all of the area the next time."""
        claim.needs_whole = True
        self._note(claim.area.pk, because)

    def _note(self, area_pk: int, because: NeedsWhole) -> None:
        if because.is_crowded:
            self._crowded_until[area_pk] = time.monotonic() + CROWDED_SECONDS

    def _take(self, connection: Connection, area_pk: int, claims: Sequence[Claim]) -> None:
        size_bytes = sum(claim.size_bytes for claim in claims)
        is_alone = dialects.has_one_writer(connection) or self._need_whole(area_pk, claims, size_bytes)
        if is_alone:
            limits = changes.hold_area(connection, area_pk)
        else:
            limits = changes.share_area(connection, area_pk, self._shard)
            if limits is not None and limits.max_bytes is not None:
                self._require_room_for_all(connection, area_pk, limits.max_bytes, size_bytes)
        for claim in claims:
            claim.now, claim.is_alone = as_now(claim.area, limits), is_alone

    def _need_whole(self, area_pk: int, claims: Sequence[Claim], size_bytes: int) -> bool:
        """Whether a share will not do, as far as can be told beforehand."""
        return (
            self._crowded_until.get(area_pk, 0.0) > time.monotonic()
            or any(claim.needs_whole for claim in claims)
            or any(claim.makes_study and claim.area.quota.max_studies is not None for claim in claims)
            or (size_bytes > MOST_SHARED_BYTES and any(claim.area.quota.max_bytes is not None for claim in claims))
        )

    def _require_room_for_all(self, connection: Connection, area_pk: int, max_bytes: int, size_bytes: int) -> None:
        """All who have a share now, and this one, have room for what they may add; else raises NeedsWhole."""
        held = usage.by_shards(connection, area_pk, self._shard)
        if size_bytes > MOST_SHARED_BYTES or not held.has_shard:
            # A shard's first row is made by somebody who is alone: as long as nobody counts it, it is overlooked.
            raise NeedsWhole(is_crowded=False)
        if held.size_bytes + held.number_of_shards * MOST_SHARED_BYTES > max_bytes:
            because = NeedsWhole(is_crowded=True)
            self._note(area_pk, because)  # now: of a group that came together, each will ask again
            raise because
