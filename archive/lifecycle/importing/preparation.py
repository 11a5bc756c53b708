"""Make batches of files ready for their transaction: look at each, decide, copy what is to be copied, and sync.

Nothing here asks the database, so that processes can be at it that have none. A batch is handled in two steps: it is
looked at, which gives a question, and finished with the answer to that.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from archive.errors import ArchiveError, DiskFailed, DuplicateInstance, UnreadableFile
from archive.index import rows
from archive.index.record import Duplicates, Record
from archive.lifecycle import evict
from archive.lifecycle.importing import comparison
from archive.lifecycle.importing.batch import Answer, Asked, Broken, Deferred, Item, Known, Prepared, Question, Reply
from archive.lifecycle.importing.candidates import Candidate, NotAnInstance, look
from archive.lifecycle.importing.outcome import Fate, Outcome, sentence
from archive.lifecycle.importing.task import Task
from archive.storage import checksum, copying, local, paths
from archive.storage.new_file import NewFile
from archive.storage.sources import Found
from archive.storage.syncing import Syncer

# Files that are synced at a time. They share the flushes of the disk, and with more of them the threads wait for each
# other rather than for the disk.
SYNCING_THREADS = 8


class NotWanted(Exception):
    """The import ends before the batch is prepared, of which nothing is left."""


class Preparation:
    """The batches of one process, one after the other."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._syncer = Syncer(SYNCING_THREADS)
        self._buffer = copying.new_buffer()
        self._candidates: list[Candidate] = []
        self._prepared = Prepared([], [], [], {})

    def handle(self, asked: Asked, is_wanted: Callable[[], bool]) -> Reply:
        """A batch is looked at; with the answer to what was asked about it, it is finished.

        `is_wanted` is asked before each file: a batch that is not any more is given up.
        """
        try:
            return self._finish(asked, is_wanted) if isinstance(asked, Answer) else self._look(asked)
        except Exception as error:  # noqa: BLE001 - handed to whoever runs the import
            return Broken(error)

    def _look(self, batch: Sequence[Found]) -> Question:
        self._prepared = Prepared([], [], [], {})
        try:
            for found in batch:
                if (candidate := self._candidate(found, self._prepared)) is not None:
                    self._candidates.append(candidate)
        except BaseException:
            self.let_go()
            raise
        return Question([candidate.sop_instance_uid for candidate in self._candidates])

    def _finish(self, answer: Answer, is_wanted: Callable[[], bool]) -> Prepared:
        prepared, files = self._prepared, list[NewFile]()
        taken: list[Candidate] = []
        try:
            for candidate, known in zip(self._candidates, answer.known, strict=True):
                if not is_wanted():
                    raise NotWanted
                policy = self._decide(candidate, known, prepared)
                if policy is not None and self._take(candidate, policy, known.held is not None, prepared, files):
                    taken.append(candidate)
            if self._task.area.durable:
                self._make_durable(taken, files)
        except BaseException:
            for file in files:
                file.discard()
            raise
        finally:
            self.let_go()
        for file in files:
            file.close()
        return prepared

    def let_go(self) -> None:
        """Close the files of a batch that is not finished."""
        for candidate in self._candidates:
            candidate.source.close()
        self._candidates = []

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

    def _decide(self, candidate: Candidate, known: Known, prepared: Prepared) -> Duplicates | None:
        """By which policy an instance is to be stored; None if it is not, or not now, which is noted."""
        found = candidate.found
        fate, reason = Fate.HELD, ""
        try:
            if not self._is_held(candidate, known):
                if self._task.is_in_place:
                    self._require_ours(candidate)
                policy = self._policy(known)
                if not known.is_held or policy is Duplicates.REPLACE:
                    if not known.is_claimed:
                        prepared.deferred.append(Deferred(candidate.sop_instance_uid, found))
                        return None
                    evict.require_room(
                        self._task.area, found.size_bytes, self._task.disks(), is_written=self._task.is_in_place
                    )
                    return policy
                if policy is Duplicates.REJECT:
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

    def _policy(self, known: Known) -> Duplicates:
        if known.would_be_held is None and comparison.is_lost(self._task.files, known):
            return Duplicates.REPLACE  # it heals the loss, whatever the policy
        return self._task.duplicates

    def _is_held(self, candidate: Candidate, known: Known) -> bool:
        task = self._task
        if task.is_in_place and known.held is not None and known.held.path == task.relative(candidate.found):
            comparison.require_unchanged(candidate, known)
            return True
        if known.would_be_held is not None:
            return comparison.is_same_file(task.area, candidate, known.would_be_held)
        return not comparison.is_lost(task.files, known) and comparison.is_same(task.files, candidate, known)

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
        self, candidate: Candidate, policy: Duplicates, is_held: bool, prepared: Prepared, files: list[NewFile]
    ) -> bool:
        """Make the record, and the copy where there is to be one; whether it became an item of the batch."""
        found = candidate.found
        if self._task.is_dry_run:
            prepared.outcomes.append(Outcome(found.path, Fate.STORED, found.size_bytes))
            prepared.would_be_held[candidate.sop_instance_uid] = found
            return False
        file = None if self._task.is_in_place else self._task.files.create(is_durable=self._task.area.durable)
        try:
            if file is not None:
                self._copy(candidate, file)
            record = self._record(candidate, file)
        except UnreadableFile as error:
            if file is not None:
                file.discard()
            prepared.outcomes.append(Outcome(found.path, Fate.BAD, found.size_bytes, sentence(error)))
            return False
        except BaseException:
            if file is not None:
                file.discard()
            raise
        if file is not None:
            files.append(file)
        prepared.items.append(Item(found, record, policy, is_copy=file is not None, may_replace=is_held))
        return True

    def _copy(self, candidate: Candidate, file: NewFile) -> None:
        if meta := candidate.missing_meta:
            file.write(meta)
        if candidate.is_in_head:
            file.write(candidate.head)
        else:
            file.copy(candidate.source.descriptor, candidate.source.size_bytes, self._buffer)
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
            candidate.header.detached(),
            transfer_syntax_uid=candidate.recognized.transfer_syntax_uid,
            path=path,
            size_bytes=size_bytes,
            data_set_offset=candidate.recognized.data_set_offset + added_bytes,
            source_ae_title=candidate.recognized.source_ae_title,
            received_at=datetime.now(UTC),
            checksum=checked,
        )

    def _make_durable(self, taken: Sequence[Candidate], files: Sequence[NewFile]) -> None:
        if self._task.is_in_place:
            open_files = {self._task.relative(candidate.found): candidate.source.descriptor for candidate in taken}
            self._task.files.make_found_durable(open_files, self._syncer)
        else:
            local.make_durable(files, self._syncer)
