"""A file of an area while it is written: appended to, named when it is whole, synced.

`publish` links it to its name; `make_durable` syncs the file's bytes and the folder's entry, and both syncs are needed
(fsync(2), NOTES).
"""

import mmap
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from archive.errors import UnreadableFile
from archive.storage import copying, disk, nameless
from archive.storage.checksum import Checksum
from archive.storage.open_folder import OpenFolder
from archive.storage.syncing import Syncer

# The disk begins with a long file while the rest of it is still to come, so that its sync has less to wait for.
WRITE_BEHIND_BYTES = 131_072


class NewFile:
    """A file being written; `discard` it or make it durable and name it in a row."""

    def __init__(
        self,
        make_folder: Callable[[str], OpenFolder],
        path: str,
        full: str,
        folder: OpenFolder,
        descriptor: int,
        *,
        is_named: bool,
        is_durable: bool,
    ) -> None:
        self._make_folder = make_folder
        self.path = path
        self.size_bytes = 0
        self._checksum = Checksum()
        self._begun_bytes = 0  # of these, the disk was told to begin with so many
        self._is_durable = is_durable
        self._full = full
        self._folder = folder
        self._descriptor: int | None = descriptor
        self._is_named = is_named

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def write(self, *buffers: bytes | bytearray | memoryview) -> None:
        """Append the buffers; raises OutOfResources or DiskFailed."""
        assert self._descriptor is not None
        try:
            self.size_bytes += nameless.write(self._descriptor, *buffers)
        except OSError as error:
            raise disk.error_of(error, self._full) from error
        for buffer in buffers:
            self._checksum.update(buffer)
        if self._is_durable and self.size_bytes - self._begun_bytes >= WRITE_BEHIND_BYTES:
            self.start_writing()

    def copy(self, source: int, size_bytes: int, buffer: memoryview) -> None:
        """Append the first bytes of another open file, by way of a buffer from `copying.new_buffer`.

        Raises UnreadableFile where the other one is shorter than that or cannot be read, OutOfResources or DiskFailed
        where this one cannot be written.
        """
        assert self._descriptor is not None
        is_first = self.size_bytes == 0
        if is_first and copying.share(source, self._descriptor):
            self._take_over(size_bytes, buffer)
            return
        with self._writing():
            writer = copying.Writer(self._descriptor, self.size_bytes, is_direct=is_first and self._is_durable)
        copied = 0
        while copied < size_bytes:
            count = _read(source, buffer[: size_bytes - copied], copied)
            if count == 0:
                raise UnreadableFile("The file became shorter while it was read")
            self._checksum.update(buffer[:count])
            with self._writing():
                writer.write(buffer, count)
            copied += count
        with self._writing():
            writer.finish()
        self.size_bytes += size_bytes

    def _take_over(self, size_bytes: int, buffer: memoryview) -> None:
        """After all of another file was shared: as much of it as there was when it was opened."""
        assert self._descriptor is not None
        if os.fstat(self._descriptor).st_size < size_bytes:
            raise UnreadableFile("The file became shorter while it was read")
        with self._writing():
            os.ftruncate(self._descriptor, size_bytes)
            os.lseek(self._descriptor, size_bytes, os.SEEK_SET)
        while self.size_bytes < size_bytes:
            count = _read(self._descriptor, buffer[: size_bytes - self.size_bytes], self.size_bytes)
            self._checksum.update(buffer[:count])
            self.size_bytes += count

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise disk.error_of(error, self._full) from error

    def take_time(self, modified_at_ns: int) -> None:
        """Say that the bytes were last written then, in nanoseconds since 1970."""
        assert self._descriptor is not None
        with self._writing():
            os.utime(self._descriptor, ns=(modified_at_ns, modified_at_ns))

    @property
    def checksum(self) -> bytes:
        """The checksum of what was written so far."""
        return self._checksum.value

    def publish(self) -> None:
        """Give the whole file its name; raises OutOfResources or DiskFailed."""
        if self._is_named:
            return
        assert self._descriptor is not None
        try:
            try:
                nameless.link(self._descriptor, self._full)
            except FileNotFoundError:  # somebody tidied the folder away
                self._folder = self._make_folder(self._folder.name)
                nameless.link(self._descriptor, self._full)
        except OSError as error:
            raise disk.error_of(error, self._full) from error
        self._is_named = True

    def make_durable(self) -> None:
        """Return when the bytes and the name of a published file are on the disk; raises OutOfResources, DiskFailed."""
        make_durable([self])

    @property
    def folder(self) -> OpenFolder:
        """Where the file has, or will have, its name."""
        return self._folder

    def start_writing(self) -> None:
        """Have the disk begin with the bytes written since the last time.

        Linux does so when it is told that they are not needed in memory, and keeps them there while it does.
        """
        assert self._descriptor is not None
        if hasattr(os, "posix_fadvise"):
            begun, self._begun_bytes = self._begun_bytes, self.size_bytes
            with suppress(OSError):  # advice that a file system does not take: the sync will do all of it
                os.posix_fadvise(self._descriptor, begun, self.size_bytes - begun, os.POSIX_FADV_DONTNEED)

    def sync(self) -> None:
        """Return when the bytes are on the disk; raises OutOfResources or DiskFailed."""
        assert self._descriptor is not None
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            raise disk.error_of(error, self._full) from error

    def mapped(self) -> mmap.mmap:
        """The file as written so far, for reading; it ends with its last reference."""
        assert self._descriptor is not None
        return mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_READ)

    def reader(self) -> BinaryIO:
        """What has been written so far, from its beginning; it ends with the file. Reads raise DiskFailed."""
        assert self._descriptor is not None
        return nameless.reader(self._descriptor, self._full)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def discard(self) -> None:
        """Leave no trace."""
        self.close()
        if self._is_named:
            Path(self._full).unlink(missing_ok=True)


def _read(source: int, buffer: memoryview, position: int) -> int:
    try:
        return copying.read(source, buffer, position)
    except OSError as error:
        raise UnreadableFile("The file cannot be read", reason=error.strerror) from error


def make_durable(files: Iterable[NewFile], syncer: Syncer | None = None) -> None:
    """Return when the bytes and the names of published files are on the disk; raises OutOfResources or DiskFailed.

    Bytes first, then the names: a folder that many files share is synced once. With a `syncer` the files are synced
    side by side, which on a busy machine takes a twentieth of the time: one flush of the disk serves many.
    """
    files = list(files)
    for file in files:
        file.start_writing()
    if syncer is None:
        for file in files:
            file.sync()
    else:
        syncer.run_all(file.sync for file in files)
    for folder in {file.folder.name: file.folder for file in files}.values():
        folder.sync()
