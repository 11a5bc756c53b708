"""What the receiving commands store into: files in a folder, named, sorted and written as their options say.

Up to `SPOOL_BYTES` of a data set wait in memory; a longer one goes to a file without a name as it comes. When it is
whole it is held against the request; then it has its name, as it came behind our File Meta Information, or written anew
(`dicom.normal`). Whatever fails leaves no file.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Protocol, Self

from archive.dicom import header, normal, part10, uids
from archive.dicom.convert import BufferReader, Read
from archive.dicom.first_uids import first_uids
from archive.dicom.header import Header
from archive.dicom.normal import EncodingOptions
from archive.errors import DataSetMismatch, DiskFailed, Failed, OutOfResources, Refused, UnreadableDataSet
from archive.storage import disk
from archive.storage.folder import OutputFile, OutputFolder
from archive.storage.received import Received
from archive.storage.sink import Outcome
from archive.storage.subfolders import MakeNew, NoSubfolders

# In memory, of each association that stores at this moment: more than the header of all but a few objects. What is no
# longer is written at once when all of it is there.
SPOOL_BYTES = 65_536

# To be written anew it is read twice, so it pays to keep more; a CT slice has half of it.
ANEW_SPOOL_BYTES = 1 << 20

# At a time, of what is written anew piece by piece.
_WRITE_BYTES = 1 << 18

# Of writev(2): IOV_MAX of Linux.
_MOST_BUFFERS = 1024

# Of names that files have already, before an instance has none; a second scheme of so many is broken.
_MOST_NAMES = 1000


class Naming(Protocol):
    """What files are called; safe to use from many threads."""

    replaces: ClassVar[bool]
    """Whether a file that has the name is replaced; if not, there is another name for the asking."""

    def name(self, received: Received, subfolder: str) -> str:
        """The name of a file in the subfolder."""
        ...


class Sorting(Protocol):
    """Which subfolders instances go to; safe to use from many threads."""

    failure: ClassVar[type[Failed]]
    """What it is when a subfolder cannot be made."""

    def subfolder(self, received: Received, make_new: MakeNew) -> str:
        """A path below the output folder, or nothing for that itself; whoever uses it makes it where it is missing.

        Raises UnreadableDataSet, or the OSError of `make_new`.
        """
        ...

    def ended(self, study_instance_uid: str) -> None:
        """No more instances of the study are expected."""
        ...


@dataclass(frozen=True, slots=True)
class Writing:
    """How data sets are written."""

    has_file_meta: bool = True
    """Whether a file begins with File Meta Information; without it nobody knows the transfer syntax."""
    anew: EncodingOptions | None = None
    """None: byte for byte as they came."""


Kept = Callable[[Received, Path], None]
"""Told of each file that has its name, in the thread of its association and before the answer."""


@dataclass(frozen=True, slots=True)
class Output:
    """A folder to receive into, for all associations of a command."""

    folder: OutputFolder
    naming: Naming
    sorting: Sorting = field(default_factory=NoSubfolders)
    writing: Writing = field(default_factory=Writing)

    def sink(self, source_ae_title: str, kept: Kept | None = None) -> "OutputSink":
        """The InstanceSink of one association; the calling AE title is noted in files."""
        return OutputSink(self, source_ae_title, kept)

    def publish(self, received: Received, file: OutputFile) -> tuple[Outcome, str]:
        """Give a whole file its name, and return that with its subfolder; raises Refused or Failed."""
        try:
            subfolder = self.sorting.subfolder(received, self.folder.make)
            folder = self._open(subfolder)
        except OSError as error:
            raise self.error_of(error, self.sorting.failure) from error
        try:
            for _ in range(_MOST_NAMES):
                name = self.naming.name(received, subfolder)
                try:
                    outcome = file.publish(name, folder, replaces=self.naming.replaces)
                except FileExistsError:
                    continue
                return outcome, f"{subfolder}/{name}" if subfolder else name
        except OSError as error:
            raise self.error_of(error) from error
        finally:
            os.close(folder)
        raise DiskFailed("Every name that a file could have is taken", path=f"{self.folder.path}/{subfolder}")

    def _open(self, subfolder: str) -> int:
        try:
            return self.folder.open(subfolder)
        except FileNotFoundError:  # the first instance of it, or somebody tidied it away
            if subfolder:
                self.folder.make(subfolder)
            return self.folder.open(subfolder)

    def error_of(self, error: OSError, kind: type[Failed] = DiskFailed) -> Failed | Refused:
        """OutOfResources where the disk is full, else the kind."""
        facts = {"path": str(error.filename or self.folder.path), "reason": error.strerror}
        if disk.has_no_room(error):
            return OutOfResources("The disk is full", **facts)
        return kind("The output folder cannot be written" if kind is DiskFailed else None, **facts)


@dataclass(frozen=True, slots=True)
class OutputSink:
    """The InstanceSink of one association that stores into a folder."""

    output: Output
    source_ae_title: str
    kept: Kept | None

    def begin(self, sop_class_uid: str, sop_instance_uid: str, transfer_syntax: str) -> "Incoming":
        """Start receiving the instance that a request announces by these UIDs; raises UnreadableDataSet."""
        for what, uid in (("Class", sop_class_uid), ("Instance", sop_instance_uid)):
            if not 0 < len(uid) <= uids.MAX_UID_CHARACTERS:
                raise UnreadableDataSet(f"The SOP {what} UID of the request is empty or too long")
        return Incoming(self, sop_class_uid, sop_instance_uid, transfer_syntax)


class Incoming:
    """One instance while it is received; a context that leaves no trace unless `finish` returned."""

    def __init__(self, sink: OutputSink, sop_class_uid: str, sop_instance_uid: str, transfer_syntax: str) -> None:
        self._sink = sink
        self._output = sink.output
        self._sop_class_uid = sop_class_uid
        self._sop_instance_uid = sop_instance_uid
        self._transfer_syntax = transfer_syntax
        self._anew = sink.output.writing.anew
        self._spool_bytes = SPOOL_BYTES if self._anew is None else ANEW_SPOOL_BYTES
        self._head = bytearray()  # of the data set: all of it while there is no file
        self._file: OutputFile | None = None  # all that has come, behind `_offset_bytes`
        self._offset_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def write(self, fragment: memoryview) -> None:
        """Append a piece of the data set as received; raises OutOfResources or DiskFailed."""
        head = self._head
        if self._file is None:
            if len(head) + len(fragment) <= self._spool_bytes:
                head += fragment
                return
            self._file = self._begin_file()
        try:
            self._file.write(fragment)
        except OSError as error:
            raise self._output.error_of(error) from error
        if len(head) < SPOOL_BYTES:
            head += fragment[: SPOOL_BYTES - len(head)]

    def _begin_file(self) -> OutputFile:
        """A file with what has come so far; it may have its name one day if nothing is written anew."""
        meta = self._meta(self._transfer_syntax) if self._anew is None else b""
        self._offset_bytes = len(meta)
        file = self._written(meta, self._head)
        del self._head[SPOOL_BYTES:]
        return file

    def _meta(self, transfer_syntax: str) -> bytes:
        if not self._output.writing.has_file_meta:
            return b""
        return part10.file_meta(
            self._sop_class_uid, self._sop_instance_uid, transfer_syntax, self._sink.source_ae_title
        )

    def _written(self, *content: bytes | bytearray) -> OutputFile:
        try:
            file = self._output.folder.create()
            try:
                file.write(*content)
            except OSError:
                file.close()
                raise
        except OSError as error:
            raise self._output.error_of(error) from error
        return file

    def finish(self) -> Outcome:
        """Give the file its name; raises Refused or Failed, and then nothing is kept."""
        if not self._head:
            raise UnreadableDataSet("The data set is empty")
        self._hold_against_request()
        received = Received(self._sop_class_uid, self._sop_instance_uid, self._scan)
        if self._anew is not None:
            with self._written_anew(self._anew) as file:
                outcome, path = self._output.publish(received, file)
        else:
            if self._file is None:
                self._file = self._begin_file()
            outcome, path = self._output.publish(received, self._file)
        if self._sink.kept is not None:
            self._sink.kept(received, self._output.folder.path / path)
        return outcome

    def _hold_against_request(self) -> None:
        """The data set is what was announced (PS3.4 B.2.3: A900); raises DataSetMismatch or UnreadableDataSet."""
        if first_uids(self._head, self._transfer_syntax) == (self._sop_class_uid, self._sop_instance_uid):
            return
        scanned = self._scan()
        for what, tag, uid, announced in (
            ("Class", 0x00080016, scanned.sop_class_uid, self._sop_class_uid),
            ("Instance", 0x00080018, scanned.sop_instance_uid, self._sop_instance_uid),
        ):
            if not uid:
                raise UnreadableDataSet(f"The SOP {what} UID is missing", offending_element=tag)
            if uid != announced:
                raise DataSetMismatch(f"The SOP {what} UID is not that of the request", offending_element=tag)

    def _scan(self) -> Header:
        """The header, from what is in memory, or from the file where that was not all of it."""
        scanned = header.scan(bytes(self._head), self._transfer_syntax)
        if scanned.complete or self._file is None:
            return scanned
        # The header refers to the mapping, which ends with it.
        return header.scan(memoryview(self._file.mapped())[self._offset_bytes :], self._transfer_syntax)

    def _written_anew(self, options: EncodingOptions) -> OutputFile:
        """A file with the data set encoded by the options; raises CannotConvert or UnreadableDataSet, too."""
        meta = self._meta(options.written_syntax(self._transfer_syntax))
        pieces = normal.normalised(self._begin_reading, self._transfer_syntax, options, offset_bytes=len(meta))
        file = self._written(meta)
        try:
            for gathered in _gathered(pieces):
                file.write(*gathered)
        except OSError as error:
            file.close()
            raise self._output.error_of(error) from error
        except BaseException:
            file.close()
            raise
        return file

    def _begin_reading(self) -> Read:
        return BufferReader(self._head).read if self._file is None else self._file.reader().read


def _gathered(pieces: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Pieces together that are worth a system call."""
    together: list[bytes] = []
    size_bytes = 0
    for piece in pieces:
        together.append(piece)
        size_bytes += len(piece)
        if size_bytes >= _WRITE_BYTES or len(together) == _MOST_BUFFERS:
            yield together
            together, size_bytes = [], 0
    if together:
        yield together
