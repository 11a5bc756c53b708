"""Make batches visible, each in one transaction, by the same steps as a store."""

import logging
import os
from collections.abc import Sequence

from archive.database import transaction
from archive.database.transaction import Connection
from archive.errors import ArchiveError, DatabaseFailed
from archive.index import remove, upsert, usage
from archive.index.record import AlreadyHeld, Parents, UsageChange
from archive.lifecycle import evict, holding
from archive.lifecycle.evict import Disks, Eviction
from archive.lifecycle.importing.batch import Item
from archive.lifecycle.importing.outcome import Fate, Outcome, sentence
from archive.lifecycle.importing.task import Task
from archive.registry import changes
from archive.registry.model import Area

log = logging.getLogger(__name__)

# Series whose keys are remembered; some hundred bytes each.
MOST_PARENTS = 10_000


class _IsGoing(Exception):
    """A file that was to be indexed in place waits to be unlinked, or is gone."""


class Transactions:
    """Those of one import, in the thread of its caller."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._shard = os.getpid() % usage.SHARDS  # most likely no worker's, whose stores would wait for a batch
        self._parents: dict[tuple[str, str], Parents] = {}

    def commit(self, items: list[Item]) -> list[Outcome]:
        """Make a batch visible, as a whole, or one by one where that fails."""
        items.sort(key=lambda item: (item.record.header.study_instance_uid, item.record.header.series_instance_uid))
        try:
            if self._has_quota() or any(item.may_replace for item in items):
                self._write(items)
            else:
                self._write_new(items)
            return [item.outcome for item in items]
        except DatabaseFailed:
            raise  # whether it was committed is not known: the files stay
        except (ArchiveError, AlreadyHeld, _IsGoing):
            return [self._commit_alone(item) for item in items]

    def _has_quota(self) -> bool:
        """Whether each instance may have to make room for itself."""
        quota = self._task.area.quota
        return any(
            limit is not None
            for limit in (quota.max_studies, quota.max_study_bytes, quota.max_bytes, quota.min_free_bytes)
        )

    def _write_new(self, items: Sequence[Item]) -> None:
        """As `_write`, where all is new and nothing has to go for it: the usual batch, in few statements."""
        attempts = 0

        def work(connection: Connection) -> dict[tuple[str, str], Parents]:
            nonlocal attempts
            attempts += 1
            if attempts > 1:
                self._require_not_superseded(connection, items)
            records = [item.record for item in items]
            made = upsert.add_new(connection, self._task.area.pk, records, shard=self._shard, known=self._parents)
            if self._task.is_in_place:
                self._require_staying(connection, items)
            return made

        if not items:
            return
        made = transaction.write(self._task.database, work, durable=self._task.area.durable)
        if len(self._parents) >= MOST_PARENTS:
            self._parents.clear()
        self._parents |= made

    def _commit_alone(self, item: Item) -> Outcome:
        try:
            self._write([item], is_again=True)
        except AlreadyHeld as held:
            return item.outcome if held.is_this else self._without(item, Fate.HELD)
        except _IsGoing:
            return self._without(item, Fate.SKIPPED, "its instance was removed, and it waits to be unlinked")
        except DatabaseFailed:
            raise
        except ArchiveError as error:
            return self._without(item, Fate.BAD, sentence(error))
        return item.outcome

    def _without(self, item: Item, fate: Fate, reason: str = "") -> Outcome:
        """What became of an item that is not stored: nothing is left of a copy."""
        self._task.discard([item])
        return item.but(fate, reason)

    def _write(self, items: Sequence[Item], *, is_again: bool = False) -> None:
        """One transaction; raises AlreadyHeld, _IsGoing or an ArchiveError, and then nothing has happened."""
        attempts = 1 if is_again else 0
        made: dict[tuple[str, str], Parents] = {}
        evicted: list[Eviction] = []
        disks = self._task.disks()

        def work(connection: Connection) -> None:
            nonlocal attempts
            attempts += 1
            made.clear()
            evicted.clear()
            now = holding.whole(connection, self._task.area)
            if attempts > 1:
                self._require_not_superseded(connection, items)
            # A quota needs to know after each instance what the area holds; else it is counted once.
            total = None if now.quota.decides_stores else UsageChange()
            for item in items:
                evicted.extend(self._add(connection, now, item, made, disks, total))
            if total is not None:
                usage.count_in_area(connection, self._task.area.pk, self._shard, total)
            if self._task.is_in_place:
                self._require_staying(connection, items)

        if not items:
            return
        transaction.write(self._task.database, work, durable=self._task.area.durable)
        if len(self._parents) >= MOST_PARENTS:
            self._parents.clear()
        self._parents |= made
        for eviction in evicted:
            log.info("made room in area %s: %s", self._task.area.name, eviction)

    def _add(
        self,
        connection: Connection,
        area: Area,
        item: Item,
        made: dict[tuple[str, str], Parents],
        disks: Disks | None,
        total: UsageChange | None,
    ) -> list[Eviction]:
        record = item.record
        key = (record.header.study_instance_uid, record.header.series_instance_uid)
        stored = upsert.add(
            connection,
            area.pk,
            record,
            duplicates=item.duplicates,
            shard=self._shard,
            known=made.get(key) or self._parents.get(key),
            total=total,
        )
        made[key] = stored.parents
        evict.require_room(area, record.size_bytes, disks, is_written=record.is_written)
        return evict.make_room(connection, area, record, stored, self._shard, disks)

    def _require_not_superseded(self, connection: Connection, items: Sequence[Item]) -> None:
        """As for a store: a first attempt may have gone through, its answer been lost, and its row replaced since."""
        for item in items:
            path = item.record.path
            if not item.is_copy or path is None:
                continue
            if not self._task.files.has(path) or remove.is_queued(connection, self._task.area.pk, path):
                raise AlreadyHeld(path, is_this=True)

    def _require_staying(self, connection: Connection, items: Sequence[Item]) -> None:
        """A row must not name a file that somebody unlinks: looked for after the insert, which waits for a removal.

        First the queue, then the file: housekeeping unlinks before it drops the file from its queue. `archive check
        reconcile --delete` unlinks while it holds the area.
        """
        changes.hold_area(connection, self._task.area.pk)
        of_batch = [item.record.path for item in items if item.record.path is not None]
        if remove.queued_among(connection, self._task.area.pk, of_batch) or not all(
            map(self._task.files.has, of_batch)
        ):
            raise _IsGoing
