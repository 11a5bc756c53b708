"""Receive an instance as it comes, then store it written anew, for an area whose data sets are normalised.

What was received waits in memory or, above `SPOOL_BYTES`, in a file without a name that ends with it. It is read twice
from there, see `dicom.normal`, and what is written goes the way of every instance: `store` knows of it only.
"""

from typing import TYPE_CHECKING, Self

from archive.dicom import normal
from archive.dicom.convert import BufferReader, Read
from archive.dicom.normal import EncodingOptions
from archive.storage.local import LocalArea
from archive.storage.new_file import NewFile
from archive.storage.sink import Outcome

if TYPE_CHECKING:
    from types import TracebackType

    from archive.lifecycle.store import AreaSink, Incoming

SPOOL_BYTES = 1 << 20  # of each association that stores at this moment; a CT slice has half of it


class NormalisingSink:
    """An InstanceSink that stores into another one what was received, written anew."""

    def __init__(self, sink: "AreaSink", files: LocalArea, options: EncodingOptions) -> None:
        self._sink = sink
        self._files = files
        self._options = options

    def begin(self, sop_class_uid: str, sop_instance_uid: str, transfer_syntax: str) -> "Unnormalised":
        """Start receiving the instance that a request announces by these UIDs."""
        written_syntax = self._options.written_syntax(transfer_syntax)
        written = self._sink.begin(sop_class_uid, sop_instance_uid, written_syntax)
        return Unnormalised(written, self._files, self._options, transfer_syntax)


class Unnormalised:
    """One instance while it is received; a context that leaves no trace unless `finish` returned."""

    def __init__(self, written: "Incoming", files: LocalArea, options: EncodingOptions, transfer_syntax: str) -> None:
        self._written = written
        self._files = files
        self._options = options
        self._transfer_syntax = transfer_syntax
        self._spool = bytearray()
        self._file: NewFile | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: "type[BaseException] | None", error: "BaseException | None", at: "TracebackType | None"
    ) -> None:
        self._drop_spool()
        self._written.__exit__(kind, error, at)

    def write(self, fragment: memoryview) -> None:
        """Append a piece of the data set as received; raises OutOfResources or DiskFailed."""
        if self._file is None:
            if len(self._spool) + len(fragment) <= SPOOL_BYTES:
                self._spool += fragment
                return
            self._file = self._files.create(is_durable=False)
            self._file.write(self._spool)
            self._spool.clear()
        self._file.write(fragment)

    def finish(self) -> Outcome:
        """Write the data set anew, and make that durable and visible; raises Refused or Failed: nothing is kept."""
        pieces = normal.normalised(
            self._begin_reading, self._transfer_syntax, self._options, offset_bytes=self._written.data_set_offset
        )
        for piece in pieces:
            self._written.write(memoryview(piece))
        self._drop_spool()
        return self._written.finish()

    def _begin_reading(self) -> Read:
        return BufferReader(self._spool).read if self._file is None else self._file.reader().read

    def _drop_spool(self) -> None:
        self._spool.clear()
        if self._file is not None:
            self._file.discard()
            self._file = None
