"""Take in one received instance: THE store. Durable first, then visible; all or nothing.

A small instance goes into the database, bytes and rows in one transaction, and has its file later (see `filing`): its
store costs one sync. The bytes of any other go to a new file as they arrive, behind our File Meta Information. When the
last has come, a thread syncs the file while the header is scanned and held against the request, and one transaction,
which waits for the sync before its commit, makes it visible: the rows, the counters, the end of an instance that it
replaces. What fails before that transaction leaves no file; what fails in it may leave a file without a row, which
`archive check reconcile` comes for, and never a row without a file.
"""

import logging
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from archive.database import transaction
from archive.database.engine import Database
from archive.database.transaction import Connection
from archive.dicom import header, part10
from archive.dicom.header import Header
from archive.errors import ArchiveError, DatabaseFailed, DataSetMismatch, UnreadableDataSet
from archive.index import remove, rows, upsert, usage
from archive.index.record import AlreadyHeld, Duplicates, Parents, Record, Stored
from archive.lifecycle import evict
from archive.lifecycle.discard import DiscardingSink
from archive.lifecycle.evict import Disks, Eviction
from archive.lifecycle.head import HEAD_BYTES, require_uids
from archive.lifecycle.holding import Claim, Holder, NeedsWhole
from archive.lifecycle.normalise import NormalisingSink
from archive.lifecycle.recorder import Received
from archive.registry.model import Area
from archive.storage import checksum
from archive.storage.local import LocalArea
from archive.storage.new_file import NewFile
from archive.storage.sink import InstanceSink, Outcome
from archive.storage.syncing import Sync, Syncer

log = logging.getLogger(__name__)

# How often housekeeping is told that instances wait for their file; it looks again by itself for longer than this.
WAKE_SECONDS = 0.1

# Series whose keys are remembered; some hundred bytes each.
MOST_PARENTS = 10_000


class Store:
    """Takes in instances for all associations of a process."""

    def __init__(
        self,
        database: Database,
        data: Path,
        *,
        shard: int = 0,
        wake_housekeeping: Callable[[], None] = lambda: None,
        received: Received | None = None,
    ) -> None:
        """`wake_housekeeping` is called after a commit that left something to do: a file to be made, or unlinked.

        What is taken in is counted in `received`.
        """
        self._database = database
        self._data = data
        self._shard = shard % usage.SHARDS
        self._holder = Holder(self._shard)
        self._commits = transaction.GroupCommit(database, self._holder.begin)
        self._wake_housekeeping = wake_housekeeping
        self._received = received
        self._woken_at = -math.inf
        self._syncer = Syncer()
        self._areas: dict[str, LocalArea] = {}
        self._parents: dict[tuple[int, str, str], Parents] = {}

    def sink(self, area: Area, source_ae_title: str) -> InstanceSink:
        """Where one association stores into an area."""
        if area.discards:
            return DiscardingSink()
        files = self._files(area)
        sink = AreaSink(self, area, files, source_ae_title)
        return NormalisingSink(sink, files, area.encoding) if area.normalises else sink

    def _files(self, area: Area) -> LocalArea:
        files = self._areas.get(area.path)
        if files is None:
            files = self._areas[area.path] = LocalArea(area.folder(self._data))
        return files

    def start_sync(self, file: NewFile) -> Sync:
        """Make the file durable while its owner goes on."""
        return self._syncer.start(file.make_durable)

    def commit(
        self, area: Area, record: Record, duplicates: Duplicates, sync: Sync | None, source_ae_title: str
    ) -> Outcome:
        """Index the instance, and wait for its file before the commit.

        Raises AlreadyHeld, DuplicateInstance, OutOfResources, DiskFailed or DatabaseFailed.
        """
        key = (area.pk, record.header.study_instance_uid, record.header.series_instance_uid)
        known = self._parents.get(key)
        disks = self._disks(area)
        evict.require_room(area, record.size_bytes, disks, is_written=record.is_written)
        claim = Claim(area, record.size_bytes, makes_study=known is None)
        attempts = 0
        evicted: list[Eviction] = []

        def work(connection: Connection) -> Stored:
            nonlocal attempts, evicted
            attempts += 1
            now, room = claim.now, disks
            if now is not area:
                room = self._disks(now)
                evict.require_room(now, record.size_bytes, room, is_written=record.is_written)
            if attempts > 1 and self._was_superseded(connection, area, record):
                raise AlreadyHeld(record.path, is_this=True)
            stored = upsert.add(connection, area.pk, record, duplicates=duplicates, shard=self._shard, known=known)
            evicted = evict.make_room(connection, now, record, stored, self._shard, room, is_alone=claim.is_alone)
            if sync is not None:
                sync.wait()  # the last moment at which the file must be durable
            return stored

        try:
            at_once = self._at_once(area, record, known)
            stored = self._commits.write(work, key=key, claim=claim, durable=area.durable, at_once=at_once)
        except NeedsWhole as because:
            self._holder.come_again(claim, because)
            stored = self._commits.write(work, key=key, claim=claim, durable=area.durable)
        if stored.parents != known:
            if len(self._parents) >= MOST_PARENTS:
                self._parents.clear()
            self._parents[key] = stored.parents  # only now: a key of a rolled back transaction may be given again
        for eviction in evicted:
            log.info("made room in area %s: %s", area.name, eviction)
        if stored.replaced or evicted or record.path is None:
            self._wake()
        if self._received is not None:
            modality = stored.parents.modality or ""
            self._received.count(record.received_at, area.name, source_ae_title, modality, record.size_bytes)
        return Outcome.REPLACED if stored.replaced else Outcome.NEW

    def _at_once(
        self, area: Area, record: Record, known: Parents | None
    ) -> Callable[[Connection], Stored | None] | None:
        """How to store it by one statement, where nothing else belongs to its transaction: a file, a limit, a setting.

        That saves trips to a server, which an embedded database does not need.
        """
        if known is None or record.content is None or area.quota.decides_stores or not area.durable:
            return None
        if self._database.is_embedded:
            return None
        return lambda connection: upsert.add_at_once(connection, area.pk, record, shard=self._shard, known=known)

    def _disks(self, area: Area) -> Disks | None:
        """The disks of an area, where it matters how much is free."""
        return None if area.quota.min_free_bytes is None else Disks.of(area, self._data, self._database)

    def _wake(self) -> None:
        """Tell housekeeping, unless it was told a moment ago."""
        now = time.monotonic()
        if now - self._woken_at > WAKE_SECONDS:
            self._woken_at = now
            self._wake_housekeeping()

    def _was_superseded(self, connection: Connection, area: Area, record: Record) -> bool:
        """Whether a first attempt went through, its answer was lost, and its row was replaced or removed since.

        Where there is no file to tell, it is stored once more.
        """
        if record.path is None:
            return False
        return not self._files(area).has(record.path) or remove.is_queued(connection, area.pk, record.path)


@dataclass(frozen=True, slots=True)
class AreaSink:
    """The InstanceSink of one association at one area."""

    store: Store
    area: Area
    files: LocalArea
    source_ae_title: str

    def begin(self, sop_class_uid: str, sop_instance_uid: str, transfer_syntax: str) -> "Incoming":
        """Start receiving the instance that a request announces by these UIDs."""
        return Incoming(self, sop_class_uid, sop_instance_uid, transfer_syntax)


class Incoming:
    """One instance while it is received; a context that leaves no trace unless `finish` returned."""

    def __init__(self, sink: AreaSink, sop_class_uid: str, sop_instance_uid: str, transfer_syntax: str) -> None:
        self._sink = sink
        self._sop_class_uid = sop_class_uid
        self._sop_instance_uid = sop_instance_uid
        self._transfer_syntax = transfer_syntax
        self._meta = part10.file_meta(
            sop_class_uid,
            sop_instance_uid,
            transfer_syntax,
            sink.source_ae_title,
        )
        self._file: NewFile | None = None
        self._sync: Sync | None = None
        self._head = bytearray()
        self._size_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._discard(self._file)
        self._file = None

    @property
    def data_set_offset(self) -> int:
        """Bytes of the file before the data set."""
        return len(self._meta)

    def write(self, fragment: memoryview) -> None:
        """Append a piece of the data set; raises OutOfResources or DiskFailed."""
        self._size_bytes += len(fragment)
        if self._file is None:
            if self._size_bytes <= HEAD_BYTES:
                self._head += fragment
                return
            self._file = self._sink.files.create(is_durable=self._sink.area.durable)
            self._file.write(self._meta, self._head)
        self._file.write(fragment)
        if len(self._head) < HEAD_BYTES:
            self._head += fragment[: HEAD_BYTES - len(self._head)]

    def finish(self) -> Outcome:
        """Make the instance durable and visible; raises Refused or Failed, and then nothing is kept."""
        if self._size_bytes == 0:
            raise UnreadableDataSet("The data set is empty")
        file = self._file
        if file is not None:
            file.publish()
            if self._sink.area.durable:
                self._sync = self._sink.store.start_sync(file)
        scanned = self._scan(file)
        self._hold_against_request(scanned)
        content = self._meta + self._head if file is None else b""
        record = rows.record(
            scanned,
            transfer_syntax_uid=self._transfer_syntax,
            path=None if file is None else file.path,
            content=content or None,
            size_bytes=len(self._meta) + self._size_bytes,
            data_set_offset=len(self._meta),
            source_ae_title=self._sink.source_ae_title,
            received_at=datetime.now(UTC),
            checksum=checksum.of_bytes(content) if file is None else file.checksum,
        )
        self._file = None  # from here on a row may name it
        try:
            return self._commit(record, Duplicates(self._sink.area.duplicates))
        except AlreadyHeld as held:
            return self._keep(held, file, record)
        except DatabaseFailed:
            raise  # whether it was committed is not known
        except ArchiveError:
            self._discard(file)
            raise
        finally:
            self._end_sync()
            if file is not None:
                file.close()

    def _commit(self, record: Record, duplicates: Duplicates) -> Outcome:
        sink = self._sink
        return sink.store.commit(sink.area, record, duplicates, self._sync, sink.source_ae_title)

    def _keep(self, held: AlreadyHeld, file: NewFile | None, record: Record) -> Outcome:
        """The area keeps what it has; but if that file is lost, this one heals the loss."""
        if held.is_this:
            return Outcome.NEW
        if held.path is None or self._sink.files.has(held.path):
            self._discard(file)
            return Outcome.KEPT
        return self._commit(record, Duplicates.REPLACE)

    def _discard(self, file: NewFile | None) -> None:
        """Leave no trace of the file."""
        self._end_sync()
        if file is not None:
            file.discard()

    def _end_sync(self) -> None:
        """A sync under way has its hands on the file until it ends; whoever needed its outcome has asked before."""
        if self._sync is not None:
            with suppress(ArchiveError):
                self._sync.wait()

    def _scan(self, file: NewFile | None) -> Header:
        """The header, from what is in memory, or from the file where that was not all of it."""
        scanned = header.scan(bytes(self._head), self._transfer_syntax)
        if scanned.complete or file is None:
            return scanned
        # The header refers to the mapping, which ends with it.
        return header.scan(memoryview(file.mapped())[len(self._meta) :], self._transfer_syntax)

    def _hold_against_request(self, scanned: Header) -> None:
        """The data set is what was announced, and says where it belongs (PS3.4 B.2.3: A900)."""
        if scanned.sop_class_uid != self._sop_class_uid:
            raise DataSetMismatch(
                "The SOP Class UID is not that of the request",
                offending_element=0x00080016,
            )
        if scanned.sop_instance_uid != self._sop_instance_uid:
            raise DataSetMismatch(
                "The SOP Instance UID is not that of the request",
                offending_element=0x00080018,
            )
        require_uids(scanned)
