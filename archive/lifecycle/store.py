"""Take in one received instance: THE store. Durable first, then visible; all or nothing.

The bytes go to a new file as they arrive, behind our File Meta Information. When the last has come, a thread syncs the
file while the header is scanned and held against the request, and one transaction, which waits for the sync before its
commit, makes it visible: the rows, the counters, the end of an instance it replaces. What fails before that transaction
leaves no file; what fails in it may leave a file without a row, which `archive check reconcile` comes for, and never a
row without a file.
"""

import re
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
from archive.dicom import header, part10, uids
from archive.dicom.header import Header
from archive.errors import ArchiveError, DatabaseFailed, DataSetMismatch, MissingUid, UnreadableDataSet
from archive.index import remove, rows, upsert, usage
from archive.index.record import AlreadyHeld, Duplicates, Parents, Record, Stored
from archive.registry.snapshot import Area
from archive.storage.local import LocalArea, NewFile
from archive.storage.syncing import Sync, Syncer

# Of the data set, kept in memory to be scanned: the header of all but a few objects, which are read back instead.
HEAD_BYTES = 65_536

# Looser than PS3.5 9.1 in one point: some modalities write components with leading zeros, and such a UID names its
# instance all the same.
_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")

# Series whose keys are remembered; some hundred bytes each.
MOST_PARENTS = 10_000


class Store:
    """Takes in instances for all associations of a process."""

    def __init__(
        self, database: Database, data: Path, *, shard: int = 0, on_deletion: Callable[[], None] = lambda: None
    ) -> None:
        """`on_deletion` is called after a commit that queued files to be unlinked."""
        self._commits = transaction.GroupCommit(database)
        self._data = data
        self._shard = shard % usage.SHARDS
        self._on_deletion = on_deletion
        self._syncer = Syncer()
        self._areas: dict[str, LocalArea] = {}
        self._parents: dict[tuple[int, str, str], Parents] = {}

    def sink(self, area: Area, source_ae_title: str) -> "AreaSink":
        """Where one association stores into an area."""
        return AreaSink(self, area, self._files(area), source_ae_title)

    def _files(self, area: Area) -> LocalArea:
        files = self._areas.get(area.path)
        if files is None:
            files = self._areas[area.path] = LocalArea(area.folder(self._data), self._syncer)
        return files

    def close(self) -> None:
        """Give back what was made ahead."""
        for files in self._areas.values():
            files.close()

    def start_sync(self, file: NewFile) -> Sync:
        """Make the file durable while its owner goes on."""
        return self._syncer.start(file.make_durable)

    def commit(self, area: Area, record: Record, duplicates: Duplicates, sync: Sync | None) -> None:
        """Index the instance, and wait for its file before the commit.

        Raises AlreadyHeld, DuplicateInstance, OutOfResources, DiskFailed or DatabaseFailed.
        """
        key = (area.pk, record.header.study_instance_uid, record.header.series_instance_uid)
        known = self._parents.get(key)
        attempts = 0

        def work(connection: Connection) -> Stored:
            nonlocal attempts
            attempts += 1
            if attempts > 1 and self._was_superseded(connection, area, record):
                raise AlreadyHeld(record.path)
            stored = upsert.add(connection, area.pk, record, duplicates=duplicates, shard=self._shard, known=known)
            if sync is not None:
                sync.wait()  # the last moment at which the file must be durable
            return stored

        stored = self._commits.write(work, key=key, durable=area.durable)
        if stored.parents != known:
            if len(self._parents) >= MOST_PARENTS:
                self._parents.clear()
            self._parents[key] = stored.parents  # only now: a key of a rolled back transaction may be given again
        if stored.replaced:
            self._on_deletion()

    def _was_superseded(self, connection: Connection, area: Area, record: Record) -> bool:
        """Whether a first attempt went through, its answer was lost, and its row was replaced or removed since."""
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file is not None:
            self._discard(self._file)
            self._file = None

    def write(self, fragment: memoryview) -> None:
        """Append a piece of the data set to the file; raises OutOfResources or DiskFailed."""
        if self._file is None:
            self._file = self._sink.files.create()
            self._file.write(self._meta, fragment)
        else:
            self._file.write(fragment)
        if len(self._head) < HEAD_BYTES:
            self._head += fragment[: HEAD_BYTES - len(self._head)]

    def finish(self) -> None:
        """Make the instance durable and visible; raises Refused or Failed, and then nothing is kept."""
        file = self._file
        if file is None or file.size_bytes == len(self._meta):
            raise UnreadableDataSet("The data set is empty")
        file.publish()
        if self._sink.area.durable:
            self._sync = self._sink.store.start_sync(file)
        scanned = self._scan(file)
        self._hold_against_request(scanned)
        record = rows.record(
            scanned,
            transfer_syntax_uid=self._transfer_syntax,
            path=file.path,
            size_bytes=file.size_bytes,
            data_set_offset=len(self._meta),
            source_ae_title=self._sink.source_ae_title,
            received_at=datetime.now(UTC),
        )
        self._file = None  # from here on a row may name it
        try:
            self._sink.store.commit(self._sink.area, record, Duplicates(self._sink.area.duplicates), self._sync)
        except AlreadyHeld as held:
            self._keep(held.path, file, record)
        except DatabaseFailed:
            raise  # whether it was committed is not known
        except ArchiveError:
            self._discard(file)
            raise
        finally:
            self._end_sync()
            file.close()

    def _keep(self, held_path: str, file: NewFile, record: Record) -> None:
        """The area keeps what it has; but if that file is lost, this one heals the loss."""
        if held_path == file.path:
            return
        if self._sink.files.has(held_path):
            self._discard(file)
        else:
            self._sink.store.commit(self._sink.area, record, Duplicates.REPLACE, self._sync)

    def _discard(self, file: NewFile) -> None:
        """Leave no trace of the file."""
        self._end_sync()
        file.discard()

    def _end_sync(self) -> None:
        """A sync under way has its hands on the file until it ends; whoever needed its outcome has asked before."""
        if self._sync is not None:
            with suppress(ArchiveError):
                self._sync.wait()

    def _scan(self, file: NewFile) -> Header:
        """The header, from what is in memory, or from the file where that was not all of it."""
        scanned = header.scan(bytes(self._head), self._transfer_syntax)
        received_bytes = file.size_bytes - len(self._meta)
        if scanned.complete or received_bytes <= len(self._head):
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
        for name, tag, uid in (
            ("SOP Instance UID", 0x00080018, scanned.sop_instance_uid),
            ("Study Instance UID", 0x0020000D, scanned.study_instance_uid),
            ("Series Instance UID", 0x0020000E, scanned.series_instance_uid),
        ):
            if len(uid) > uids.MAX_UID_CHARACTERS or not _UID.fullmatch(uid):
                what = "malformed" if uid else "missing"
                raise MissingUid(f"The {name} is {what}", offending_element=tag)
