"""Make a batch of files ready for its transaction: look at each, decide, copy what is to be copied, and sync.

Several threads are at it, each with a batch. An instance is claimed before it is looked for in the area, so that of two
files of it only one is taken in at a time; the other one has to wait, and is looked at again.
"""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime

from archive.errors import ArchiveError, DiskFailed, DuplicateInstance, UnreadableFile
from archive.index import rows
from archive.index.locate import Location
from archive.index.record import Duplicates, Record
from archive.lifecycle import evict
from archive.lifecycle.importing.batch import Item, Prepared
from archive.lifecycle.importing.candidates import Candidate, Comparison, NotAnInstance, look
from archive.lifecycle.importing.outcome import Fate, Outcome, sentence
from archive.lifecycle.importing.task import Task
from archive.storage import checksum, copying, local, paths
from archive.storage.new_file import NewFile
from archive.storage.sources import Found
from archive.storage.syncing import Syncer

# Files that are synced at a time. They share the flushes of the disk, and with more of them the threads wait for each
# other rather than for the disk.
SYNCING_THREADS = 8


class Preparation:
    """For all threads of one import."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._comparison = Comparison(task.database, task.area, task.data, task.files)
        self._syncer = Syncer(SYNCING_THREADS)
        self._claims: set[str] = set()
        self._claiming = threading.Lock()
        self._is_ending = False

    def end(self) -> None:
        """Take in no further file of the batches under way."""
        self._is_ending = True

    def release(self, claims: set[str]) -> None:
        """These instances can be seen in the area, or are not taken in: others may be at them."""
        with self._claiming:
            self._claims -= claims

    def prepare(self, batch: list[Found]) -> Prepared:
        """Look at files, compare, copy and sync them: all but the transaction."""
        prepared = Prepared()
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
            if self._task.area.durable:
                self._make_durable(taken, prepared.items)
        except BaseException:
            prepared.discard()
            raise
        finally:
            for candidate in candidates:
                candidate.source.close()
        return prepared

    def _candidate(self, found: Found, prepared: Prepared) -> Candidate | None:
        """The file if it is an instance; else its outcome is noted."""
        why_not, fate = "", Fate.BAD
        try:
            if found.skipped_because or found.unreadable_because:
                why_not = found.skipped_because or found.unreadable_because
                fate = Fate.SKIPPED if found.skipped_because else Fate.BAD
            else:
                candidate = look(found, self._task.area)
                if candidate.is_in_head and not self._task.is_in_place:
                    candidate.source.close()  # its bytes are in memory, and other batches hold files open too
                return candidate
        except NotAnInstance as other:
            why_not, fate = str(other), Fate.SKIPPED
        except ArchiveError as error:
            why_not = sentence(error)
        prepared.outcomes.append(Outcome(found.path, fate, found.size_bytes, why_not))
        return None

    def _claim(self, candidate: Candidate, prepared: Prepared) -> bool:
        """Whether nobody else is at this instance, in another batch or in this one."""
        with self._claiming:
            if candidate.sop_instance_uid in self._claims:
                return False
            self._claims.add(candidate.sop_instance_uid)
        prepared.claims.add(candidate.sop_instance_uid)
        return True

    def _decide(
        self, candidate: Candidate, held: Location | None, is_mine: bool, prepared: Prepared
    ) -> Duplicates | None:
        """By which policy an instance is to be stored; None if it is not, or not now, which is noted."""
        found = candidate.found
        fate, reason = Fate.HELD, ""
        try:
            if held is None or not self._is_held(candidate, held):
                if self._task.is_in_place:
                    self._require_ours(candidate)
                if not is_mine:
                    prepared.deferred.append(found)
                    return None
                evict.require_room(
                    self._task.area, found.size_bytes, self._task.disks(), is_written=self._task.is_in_place
                )
                if held is None:
                    return self._task.duplicates
                if self._comparison.is_lost(held):
                    return Duplicates.REPLACE  # it heals the loss, whatever the policy
                if self._task.duplicates is Duplicates.REPLACE:
                    return self._task.duplicates
                if self._task.duplicates is Duplicates.REJECT:
                    raise DuplicateInstance("The area holds another file of this instance, and rejects this one")
                reason = "the area keeps the other file of this instance that it holds"
        except NotAnInstance as other:
            fate, reason = Fate.SKIPPED, str(other)
        except DiskFailed:
            raise
        except ArchiveError as error:
            fate, reason = Fate.BAD, sentence(error)
        prepared.outcomes.append(Outcome(found.path, fate, found.size_bytes, reason))
        return None

    def _is_held(self, candidate: Candidate, held: Location) -> bool:
        if self._task.is_in_place and held.path == self._task.relative(candidate.found):
            self._comparison.require_unchanged(candidate, held)
            return True
        return not self._comparison.is_lost(held) and self._comparison.is_same(candidate, held)

    def _require_ours(self, candidate: Candidate) -> None:
        """A file of the area's folder can be named in a row, and nobody is about to do so."""
        path = self._task.relative(candidate.found)
        try:
            is_text = bool(path.encode()) and path.isprintable()
        except UnicodeEncodeError:
            is_text = False
        if not is_text:
            raise UnreadableFile("Its name is not printable text, as a row needs it; rename it")
        if paths.is_ours(path) and candidate.source.changed_at > self._task.youngest:
            raise NotAnInstance("it is so new that its store may be under way; see archive check reconcile")

    def _take(
        self, candidate: Candidate, policy: Duplicates, is_held: bool, buffer: memoryview, prepared: Prepared
    ) -> bool:
        """Make the record, and the copy where there is to be one; whether it became an item of the batch."""
        found = candidate.found
        if self._task.is_dry_run:
            prepared.outcomes.append(Outcome(found.path, Fate.STORED, found.size_bytes))
            return False
        file = None if self._task.is_in_place else self._task.files.create(is_durable=self._task.area.durable)
        try:
            if file is not None:
                self._copy(candidate, file, buffer)
            prepared.items.append(Item(found, self._record(candidate, file), policy, file, is_held))
        except UnreadableFile as error:
            if file is not None:
                file.discard()
            prepared.outcomes.append(Outcome(found.path, Fate.BAD, found.size_bytes, sentence(error)))
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
            path, size_bytes = self._task.relative(candidate.found), candidate.source.size_bytes
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

    def _make_durable(self, taken: Sequence[Candidate], items: Sequence[Item]) -> None:
        if self._task.is_in_place:
            open_files = {self._task.relative(candidate.found): candidate.source.descriptor for candidate in taken}
            self._task.files.make_found_durable(open_files, self._syncer)
        else:
            local.make_durable((item.file for item in items if item.file is not None), self._syncer)
