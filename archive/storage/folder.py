"""A plain folder to store into: file names as DCMTK's programs give them, and each file whole or not there.

A file is written without a name (O_TMPFILE), in the folder in which it will be, and gets its name when it is whole.
Nothing is synced: who wants that an answer means kept has an archive for it.
"""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from archive.dicom import header, part10
from archive.dicom.header import Header
from archive.errors import DataSetMismatch, DiskFailed, Failed, OutOfResources, Refused, UnreadableDataSet
from archive.storage.sink import Outcome

HEAD_BYTES = 65_536  # kept in memory to be scanned
_FILE_MODE = 0o666  # less the umask, as other programs that write files
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True, slots=True)
class Received:
    """What is known of an instance when it is given a name."""

    sop_class_uid: str
    sop_instance_uid: str
    header: Header


class Naming(Protocol):
    """Where files go: below the output folder, never outside of it."""

    def path(self, received: Received) -> Path:
        """The whole path of the file; the folder it lies in is there. Raises Refused or Failed."""
        ...


@dataclass(frozen=True, slots=True)
class FolderSink:
    """The InstanceSink of one association that stores into a folder."""

    folder: Path
    naming: Naming
    source_ae_title: str
    kept: Callable[[Received, Path], None] | None = None
    """Told of each file that has its name."""

    def begin(self, sop_class_uid: str, sop_instance_uid: str, transfer_syntax: str) -> "Incoming":
        """Start receiving the instance that a request announces by these UIDs."""
        return Incoming(self, sop_class_uid, sop_instance_uid, transfer_syntax)


class Incoming:
    """One instance while it is received; a context that leaves no trace unless `finish` returned."""

    def __init__(self, sink: FolderSink, sop_class_uid: str, sop_instance_uid: str, transfer_syntax: str) -> None:
        self._sink = sink
        self._sop_class_uid = sop_class_uid
        self._sop_instance_uid = sop_instance_uid
        self._transfer_syntax = transfer_syntax
        self._head = bytearray()
        self._size_bytes = 0
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def write(self, fragment: memoryview) -> None:
        """Append a piece of the data set; raises OutOfResources or DiskFailed."""
        self._size_bytes += len(fragment)
        try:
            if self._descriptor is None:
                flags = os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC
                self._descriptor = os.open(self._sink.folder, flags, _FILE_MODE)
                meta = part10.file_meta(
                    self._sop_class_uid, self._sop_instance_uid, self._transfer_syntax, self._sink.source_ae_title
                )
                _write_all(self._descriptor, meta)
            _write_all(self._descriptor, fragment)
        except OSError as error:
            raise _disk_error(error, self._sink.folder) from error
        if len(self._head) < HEAD_BYTES:
            self._head += fragment[: HEAD_BYTES - len(self._head)]

    def finish(self) -> Outcome:
        """Give the file its name; raises Refused or Failed, and then nothing is kept."""
        if self._descriptor is None:
            raise UnreadableDataSet("The data set is empty")
        scanned = header.scan(bytes(self._head), self._transfer_syntax)
        if scanned.sop_class_uid != self._sop_class_uid:
            raise DataSetMismatch("The SOP Class UID is not that of the request", offending_element=0x00080016)
        if scanned.sop_instance_uid != self._sop_instance_uid:
            raise DataSetMismatch("The SOP Instance UID is not that of the request", offending_element=0x00080018)
        received = Received(self._sop_class_uid, self._sop_instance_uid, scanned)
        path = self._sink.naming.path(received)
        try:
            outcome = _publish(self._descriptor, path)
        except OSError as error:
            raise _disk_error(error, path) from error
        if self._sink.kept is not None:
            self._sink.kept(received, path)
        return outcome


def _write_all(descriptor: int, content: bytes | memoryview) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _publish(descriptor: int, path: Path) -> Outcome:
    """Link the file to its name; one of that name is replaced in one step."""
    try:
        _link(descriptor, path)
    except FileExistsError:
        beside = path.with_name(f".{os.urandom(8).hex()}")
        _link(descriptor, beside)
        try:
            beside.replace(path)
        except OSError:
            with suppress(OSError):
                beside.unlink()
            raise
        return Outcome.REPLACED
    return Outcome.NEW


def _link(descriptor: int, path: Path) -> None:
    # linkat(2) follows the link in /proc only when it is told a folder, which an absolute path then ignores.
    os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, follow_symlinks=True)


def _disk_error(error: OSError, path: Path) -> Failed | Refused:
    kind = OutOfResources if error.errno in _NO_ROOM else DiskFailed
    return kind("The disk is full" if kind is OutOfResources else None, path=str(path), reason=error.strerror)
