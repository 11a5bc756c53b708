"""Take in files: copied into an area, or indexed where they lie in its folder. What is held already is passed over.

Files go in batches. A thread looks at each, copies what is to be copied and syncs it, several threads side by side; one
transaction for the batch makes it visible, by the same steps as a store: quotas, duplicates and disagreements are as
for a C-STORE. A crash leaves, of the batches under way, copies without rows, which `archive check reconcile` comes for;
the next run goes on where this one ended. What cannot be taken in is told, and stays where it is.

A file that is indexed in place is the area's from then on: it is unlinked when its instance is removed, replaced or
evicted.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from archive.database import transaction
from archive.database.engine import Database
from archive.database.transaction import Connection
from archive.errors import ArchiveError, DatabaseFailed, DiskFailed, DuplicateInstance, Misconfigured, UnreadableFile
from archive.index import remove, rows, upsert, usage
from archive.index.locate import Location
from archive.index.record import AlreadyHeld, Duplicates, Parents, Record, UsageChange
from archive.lifecycle import evict, holding
from archive.lifecycle.candidates import Candidate, Comparison, NotAnInstance, look
from archive.lifecycle.evict import Disks, Eviction
from archive.lifecycle.reconcile import GRACE_SECONDS
from archive.registry import changes
from archive.registry.snapshot import Area
from archive.storage import checksum, copying, local, paths, sources
from archive.storage.local import LocalArea, NewFile
from archive.storage.sources import Found
from archive.storage.syncing import Syncer

log = logging.getLogger(__name__)

# Files of one transaction. SQLite's other writers wait for as long; a sync of the log is shared by as many.
BATCH = 64
# Of the files of a batch together, unless one alone is longer: what a crash makes us do again.
BATCH_BYTES = 64 << 20

# Batches that are looked at, copied and synced at a time. They wait for the disk more than they compute.
THREADS = 4

# Files that wait for another one of the same instance before they are looked at again.
MOST_DEFERRED = 10_000

# Series whose keys are remembered; some hundred bytes each.
MOST_PARENTS = 10_000


class Fate(Enum):
    """What became of a file."""

    STORED = "stored"
    HELD = "held"
    """The area holds the instance already."""
    SKIPPED = "skipped"
    """It need not be an instance, or is not to be touched."""
    BAD = "bad"
    """It cannot be taken in."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file, or of something else that was found."""

    path: str
    fate: Fate
    size_bytes: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Item:
    """An instance that is to be stored: its record, and its file where that is a new one."""

    found: Found
    record: Record
    duplicates: Duplicates
    file: NewFile | None
    may_replace: bool
    """Whether the area held another file of it when it was looked for."""

    @property
    def outcome(self) -> Outcome:
        return Outcome(self.found.path, Fate.STORED, self.found.size_bytes)

    def but(self, fate: Fate, reason: str = "") -> Outcome:
        """Another outcome: nothing is left of a copy."""
        if self.file is not None:
            self.file.discard()
        return Outcome(self.found.path, fate, self.found.size_bytes, reason)


@dataclass(slots=True)
class _Prepared:
    """A batch of which only the transaction is missing."""

    items: list[_Item] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    deferred: list[Found] = field(default_factory=list)
    claims: set[str] = field(default_factory=set)

    def discard(self) -> None:
        """Leave no trace of the new files."""
        for item in self.items:
            if item.file is not None:
                item.file.discard()


class _IsGoing(Exception):
    """A file that was to be indexed in place waits to be unlinked, or is gone."""


def import_files(
    database: Database,
    area: Area,
    data: Path,
    named: Sequence[Path],
    *,
    is_in_place: bool = False,
    is_dry_run: bool = False,
) -> Generator[Outcome, None, None]:
    """Take in files, and all below folders; what became of each, as it is decided. A dry run changes nothing.

    In place they must lie in the area's folder, and nothing named means all of it. Raises Misconfigured where they do
    not; DiskFailed, OutOfResources or DatabaseFailed when it cannot go on, and what was told until then is done.
    """
    found = find(area, data, named, is_in_place=is_in_place)
    return Import(database, area, data, is_in_place=is_in_place, is_dry_run=is_dry_run).run(found)


def find(area: Area, data: Path, named: Sequence[Path], *, is_in_place: bool = False) -> Iterator[Found]:
    """What `import_files` looks at: files, and what else lies there. Raises Misconfigured or DiskFailed."""
    root = os.path.realpath(area.folder(data))
    if not is_in_place:
        for path in named:
            if _is_within(os.path.realpath(path), root):
                raise Misconfigured(f"{path} lies in the folder of area {area.name}; to index it there, say --in-place")
        return sources.find(map(str, named), leave_out=root)
    if not Path(root).is_dir():
        raise DiskFailed(f"The folder of area {area.name} is not there; is its disk mounted?", path=root)
    for path in named:
        if not _is_within(os.path.realpath(path), root):
            raise Misconfigured(f"{path} does not lie in the folder of area {area.name}, {root}")
    return sources.find([os.path.realpath(path) for path in named] or [root])


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def adopt(
    database: Database,
    area: Area,
    data: Path,
    relative_paths: Iterable[str],
    *,
    older_than_seconds: float,
    is_dry_run: bool = False,
) -> Generator[Outcome, None, None]:
    """Index files of the area's folder that have no row, and never in the place of an instance that is held.

    Paths are relative to that folder, in what comes out too.
    """
    root = os.path.realpath(area.folder(data))
    work = Import(
        database,
        area,
        data,
        is_in_place=True,
        is_dry_run=is_dry_run,
        duplicates=Duplicates.KEEP,
        older_than_seconds=older_than_seconds,
    )
    with closing(work.run(Found(f"{root}/{path}") for path in relative_paths)) as outcomes:
        for outcome in outcomes:
            yield replace(outcome, path=outcome.path[len(root) + 1 :])


class Import:
    """One run."""

    def __init__(
        self,
        database: Database,
        area: Area,
        data: Path,
        *,
        is_in_place: bool = False,
        is_dry_run: bool = False,
        duplicates: Duplicates | None = None,
        older_than_seconds: float = GRACE_SECONDS,
    ) -> None:
        """`duplicates` is the area's policy unless told; younger files with names of ours may be stores under way."""
        self._database = database
        self._area = area
        self._data = data
        self._files = LocalArea(area.folder(data))
        self._root = os.path.realpath(self._files.root)
        self._is_in_place = is_in_place
        self._is_dry_run = is_dry_run
        self._duplicates = duplicates or Duplicates(area.duplicates)
        self._youngest = time.time() - older_than_seconds
        self._shard = os.getpid() % usage.SHARDS  # most likely no worker's, whose stores would wait for a batch
        self._comparison = Comparison(database, area, data, self._files)
        self._parents: dict[tuple[str, str], Parents] = {}
        self._syncer = Syncer()
        self._claims: set[str] = set()
        self._claiming = threading.Lock()
        self._is_ending = False

    def run(self, found: Iterable[Found]) -> Generator[Outcome, None, None]:
        """Take in what was found; what became of each. Close it where it is not run to its end."""
        under_way: deque[Future[_Prepared]] = deque()
        with ThreadPoolExecutor(THREADS, "import") as pool:
            try:
                yield from self._all(pool, found, under_way)
            finally:
                self._is_ending = True
                for future in under_way:
                    if not future.cancel() and future.exception() is None:
                        future.result().discard()

    def _all(
        self, pool: ThreadPoolExecutor, found: Iterable[Found], under_way: deque[Future[_Prepared]]
    ) -> Iterator[Outcome]:
        """All batches, some of them at a time; then those files again that had to wait for others."""
        deferred: list[Found] = []
        for batch in _batches(found):
            under_way.append(pool.submit(self._prepare, batch))
            if len(under_way) > THREADS:
                yield from self._finish(under_way, deferred)
            if len(deferred) > MOST_DEFERRED:
                yield from self._again(pool, deferred, under_way)
        while under_way:
            yield from self._finish(under_way, deferred)
        if deferred:
            yield from self._again(pool, deferred, under_way)

    def _again(
        self, pool: ThreadPoolExecutor, deferred: list[Found], under_way: deque[Future[_Prepared]]
    ) -> Iterator[Outcome]:
        while under_way:
            yield from self._finish(under_way, deferred)
        again = deferred.copy()
        deferred.clear()
        yield from self._all(pool, again, under_way)

    def _finish(self, under_way: deque[Future[_Prepared]], deferred: list[Found]) -> list[Outcome]:
        """Make the oldest batch visible, when it is ready for that."""
        prepared = under_way[0].result()
        under_way.popleft()  # from here on rows may name its files
        stored = self._commit(prepared.items)
        with self._claiming:
            self._claims -= prepared.claims
        deferred += prepared.deferred
        return prepared.outcomes + stored

    # In a thread: look, compare, copy, sync.

    def _prepare(self, batch: list[Found]) -> _Prepared:
        prepared = _Prepared()
        candidates: list[Candidate] = []
        try:
            for found in batch:
                if (candidate := self._candidate(found, prepared)) is not None:
                    candidates.append(candidate)
            mine = [self._claim(candidate, prepared) for candidate in candidates]  # before it is seen what is held
            held = self._comparison.held(candidates)
            buffer = copying.new_buffer()
            taken: list[Candidate] = []
            for candidate, is_mine in zip(candidates, mine, strict=True):
                if self._is_ending:
                    break
                known = held.get(candidate.sop_instance_uid)
                policy = self._decide(candidate, known, is_mine, prepared)
                if policy is not None and self._take(candidate, policy, known is not None, buffer, prepared):
                    taken.append(candidate)
            if self._area.durable:
                self._make_durable(taken, prepared.items)
        except BaseException:
            prepared.discard()
            raise
        finally:
            for candidate in candidates:
                candidate.source.close()
        return prepared

    def _candidate(self, found: Found, prepared: _Prepared) -> Candidate | None:
        """The file if it is an instance; else its outcome is noted."""
        why_not, fate = "", Fate.BAD
        try:
            if found.skipped_because or found.unreadable_because:
                why_not = found.skipped_because or found.unreadable_because
                fate = Fate.SKIPPED if found.skipped_because else Fate.BAD
            else:
                candidate = look(found, self._area)
                if candidate.is_in_head and not self._is_in_place:
                    candidate.source.close()  # its bytes are in memory, and other batches hold files open too
                return candidate
        except NotAnInstance as other:
            why_not, fate = str(other), Fate.SKIPPED
        except ArchiveError as error:
            why_not = _sentence(error)
        prepared.outcomes.append(Outcome(found.path, fate, found.size_bytes, why_not))
        return None

    def _claim(self, candidate: Candidate, prepared: _Prepared) -> bool:
        """Whether nobody else is at this instance, in another batch or in this one."""
        with self._claiming:
            if candidate.sop_instance_uid in self._claims:
                return False
            self._claims.add(candidate.sop_instance_uid)
        prepared.claims.add(candidate.sop_instance_uid)
        return True

    def _decide(
        self, candidate: Candidate, held: Location | None, is_mine: bool, prepared: _Prepared
    ) -> Duplicates | None:
        """By which policy an instance is to be stored; None if it is not, or not now, which is noted."""
        found = candidate.found
        fate, reason = Fate.HELD, ""
        try:
            if held is None or not self._is_held(candidate, held):
                if self._is_in_place:
                    self._require_ours(candidate)
                if not is_mine:
                    prepared.deferred.append(found)
                    return None
                evict.require_room(self._area, found.size_bytes, self._disks(), is_written=self._is_in_place)
                if held is None:
                    return self._duplicates
                if self._comparison.is_lost(held):
                    return Duplicates.REPLACE  # it heals the loss, whatever the policy
                if self._duplicates is Duplicates.REPLACE:
                    return self._duplicates
                if self._duplicates is Duplicates.REJECT:
                    raise DuplicateInstance("The area holds another file of this instance, and rejects this one")
                reason = "the area keeps the other file of this instance that it holds"
        except NotAnInstance as other:
            fate, reason = Fate.SKIPPED, str(other)
        except DiskFailed:
            raise
        except ArchiveError as error:
            fate, reason = Fate.BAD, _sentence(error)
        prepared.outcomes.append(Outcome(found.path, fate, found.size_bytes, reason))
        return None

    def _is_held(self, candidate: Candidate, held: Location) -> bool:
        if self._is_in_place and held.path == self._relative(candidate.found):
            self._comparison.require_unchanged(candidate, held)
            return True
        return not self._comparison.is_lost(held) and self._comparison.is_same(candidate, held)

    def _relative(self, found: Found) -> str:
        return found.path[len(self._root) + 1 :]

    def _require_ours(self, candidate: Candidate) -> None:
        """A file of the area's folder can be named in a row, and nobody is about to do so."""
        path = self._relative(candidate.found)
        try:
            is_text = bool(path.encode()) and path.isprintable()
        except UnicodeEncodeError:
            is_text = False
        if not is_text:
            raise UnreadableFile("Its name is not printable text, as a row needs it; rename it")
        if paths.is_ours(path) and candidate.source.changed_at > self._youngest:
            raise NotAnInstance("it is so new that its store may be under way; see archive check reconcile")

    def _take(
        self, candidate: Candidate, policy: Duplicates, is_held: bool, buffer: memoryview, prepared: _Prepared
    ) -> bool:
        """Make the record, and the copy where there is to be one; whether it became an item of the batch."""
        found = candidate.found
        if self._is_dry_run:
            prepared.outcomes.append(Outcome(found.path, Fate.STORED, found.size_bytes))
            return False
        file = None if self._is_in_place else self._files.create(is_durable=self._area.durable)
        try:
            if file is not None:
                self._copy(candidate, file, buffer)
            prepared.items.append(_Item(found, self._record(candidate, file), policy, file, is_held))
        except UnreadableFile as error:
            if file is not None:
                file.discard()
            prepared.outcomes.append(Outcome(found.path, Fate.BAD, found.size_bytes, _sentence(error)))
            return False
        except BaseException:
            if file is not None:
                file.discard()
            raise
        return True

    def _copy(self, candidate: Candidate, file: NewFile, buffer: memoryview) -> None:
        if meta := candidate.missing_meta:
            file.write(meta)
        if candidate.is_in_head:
            file.write(candidate.head)
        else:
            file.copy(candidate.source.descriptor, candidate.source.size_bytes, buffer)
            candidate.source.close()
        file.take_time(candidate.source.modified_at_ns)  # so that the next run need not compare the bytes
        file.publish()

    def _record(self, candidate: Candidate, file: NewFile | None) -> Record:
        if file is not None:
            path, size_bytes, checked = file.path, file.size_bytes, file.checksum
        else:
            path, size_bytes = self._relative(candidate.found), candidate.source.size_bytes
            checked = checksum.of_bytes(candidate.head) if candidate.is_in_head else None
        added_bytes = 0 if file is None else len(candidate.missing_meta)
        return rows.record(
            candidate.header,
            transfer_syntax_uid=candidate.recognized.transfer_syntax_uid,
            path=path,
            size_bytes=size_bytes,
            data_set_offset=candidate.recognized.data_set_offset + added_bytes,
            source_ae_title=candidate.recognized.source_ae_title,
            received_at=datetime.now(UTC),
            checksum=checked,
        )

    def _make_durable(self, taken: Sequence[Candidate], items: Sequence[_Item]) -> None:
        if self._is_in_place:
            open_files = {self._relative(candidate.found): candidate.source.descriptor for candidate in taken}
            self._files.make_found_durable(open_files, self._syncer)
        else:
            local.make_durable((item.file for item in items if item.file is not None), self._syncer)

    # In the thread of the caller: one transaction for a batch.

    def _commit(self, items: list[_Item]) -> list[Outcome]:
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
        finally:
            for item in items:
                if item.file is not None:
                    item.file.close()

    def _has_quota(self) -> bool:
        """Whether each instance may have to make room for itself."""
        quota = self._area.quota
        return any(
            limit is not None
            for limit in (quota.max_studies, quota.max_study_bytes, quota.max_bytes, quota.min_free_bytes)
        )

    def _write_new(self, items: Sequence[_Item]) -> None:
        """As `_write`, where all is new and nothing has to go for it: the usual batch, in few statements."""
        attempts = 0

        def work(connection: Connection) -> dict[tuple[str, str], Parents]:
            nonlocal attempts
            attempts += 1
            if attempts > 1:
                self._require_not_superseded(connection, items)
            records = [item.record for item in items]
            made = upsert.add_new(connection, self._area.pk, records, shard=self._shard, known=self._parents)
            if self._is_in_place:
                self._require_staying(connection, items)
            return made

        if not items:
            return
        made = transaction.write(self._database, work, durable=self._area.durable)
        if len(self._parents) >= MOST_PARENTS:
            self._parents.clear()
        self._parents |= made

    def _commit_alone(self, item: _Item) -> Outcome:
        try:
            self._write([item], is_again=True)
        except AlreadyHeld as held:
            return item.outcome if held.is_this else item.but(Fate.HELD)
        except _IsGoing:
            return item.but(Fate.SKIPPED, "its instance was removed, and it waits to be unlinked")
        except DatabaseFailed:
            raise
        except ArchiveError as error:
            return item.but(Fate.BAD, _sentence(error))
        return item.outcome

    def _write(self, items: Sequence[_Item], *, is_again: bool = False) -> None:
        """One transaction; raises AlreadyHeld, _IsGoing or an ArchiveError, and then nothing has happened."""
        attempts = 1 if is_again else 0
        made: dict[tuple[str, str], Parents] = {}
        evicted: list[Eviction] = []
        disks = self._disks()

        def work(connection: Connection) -> None:
            nonlocal attempts
            attempts += 1
            made.clear()
            evicted.clear()
            now = holding.whole(connection, self._area)
            if attempts > 1:
                self._require_not_superseded(connection, items)
            # A quota needs to know after each instance what the area holds; else it is counted once.
            total = None if now.quota.decides_stores else UsageChange()
            for item in items:
                evicted.extend(self._add(connection, now, item, made, disks, total))
            if total is not None:
                usage.count_in_area(connection, self._area.pk, self._shard, total)
            if self._is_in_place:
                self._require_staying(connection, items)

        if not items:
            return
        transaction.write(self._database, work, durable=self._area.durable)
        if len(self._parents) >= MOST_PARENTS:
            self._parents.clear()
        self._parents |= made
        for eviction in evicted:
            log.info("made room in area %s: %s", self._area.name, eviction)

    def _add(
        self,
        connection: Connection,
        area: Area,
        item: _Item,
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

    def _disks(self) -> Disks | None:
        """What the area's quota looks at, if it does."""
        if self._area.quota.min_free_bytes is None:
            return None
        return Disks.of(self._area, self._data, self._database)

    def _require_not_superseded(self, connection: Connection, items: Sequence[_Item]) -> None:
        """As for a store: a first attempt may have gone through, its answer been lost, and its row replaced since."""
        for item in items:
            path = item.record.path
            if item.file is None or path is None:
                continue
            if not self._files.has(path) or remove.is_queued(connection, self._area.pk, path):
                raise AlreadyHeld(path, is_this=True)

    def _require_staying(self, connection: Connection, items: Sequence[_Item]) -> None:
        """A row must not name a file that somebody unlinks: looked for after the insert, which waits for a removal.

        First the queue, then the file: housekeeping unlinks before it drops the file from its queue. `archive check
        reconcile --delete` unlinks while it holds the area.
        """
        changes.hold_area(connection, self._area.pk)
        of_batch = [item.record.path for item in items if item.record.path is not None]
        if remove.queued_among(connection, self._area.pk, of_batch) or not all(map(self._files.has, of_batch)):
            raise _IsGoing


def _batches(found: Iterable[Found]) -> Iterator[list[Found]]:
    batch: list[Found] = []
    size_bytes = 0
    for each in found:
        if batch and (len(batch) >= BATCH or size_bytes + each.size_bytes > BATCH_BYTES):
            yield batch
            batch, size_bytes = [], 0
        batch.append(each)
        size_bytes += each.size_bytes
    if batch:
        yield batch


def _sentence(error: ArchiveError) -> str:
    reason = error.values.get("reason")
    return f"{error.message}: {reason}" if reason else error.message
