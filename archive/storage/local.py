"""An area in a POSIX folder: durable before visible, names never reused.

A file is written without a name (O_TMPFILE) and linked to its final one when it is whole, so that what a crash cuts
short leaves nothing behind. Nothing looks for it until a committed row names it. `publish` links it; `make_durable`
syncs the file's bytes and the folder's entry, and both syncs are needed (fsync(2), NOTES). Where the file system knows
no files without a name (NFS), a file has its final name from the beginning.
"""

import errno
import io
import mmap
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

from archive.errors import DiskFailed, Failed, OutOfResources, Refused, UnreadableFile
from archive.storage import copying, paths
from archive.storage.checksum import Checksum
from archive.storage.syncing import Syncer

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# No space, no quota left, file too large for the file system: resources of the disk, not a defect of it.
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

# What open(2) says of O_TMPFILE where the file system, or the kernel, does not know it.
_NO_NAMELESS_FILES = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL})

# The disk begins with a long file while the rest of it is still to come, so that its sync has less to wait for.
WRITE_BEHIND_BYTES = 131_072

_READ_BYTES = 65_536  # at a time

_FILE_MODE = 0o640  # patient data: the owner writes, the group may read
_FOLDER_MODE = 0o750


def _disk_error(error: OSError, path: str) -> Failed | Refused:
    kind = OutOfResources if error.errno in _NO_ROOM else DiskFailed
    return kind(
        "The disk of the area is full" if kind is OutOfResources else None, path=str(path), reason=error.strerror
    )


class LocalArea:
    """The files of one storage area below `root`; safe to use from many threads."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._ready_folder: _Folder | None = None
        self._has_nameless_files = hasattr(os, "O_TMPFILE")

    def create(self, *, is_durable: bool = True) -> "NewFile":
        """Open a new file, and say whether it will be made durable; raises OutOfResources or DiskFailed."""
        path = paths.new_path(datetime.now(UTC))
        full = f"{self.root}/{path}"  # plain text: a Path costs as much as the rest of this function
        name = full.rpartition("/")[0]
        try:
            folder = self._ready_folder
            if folder is None or folder.name != name:
                folder = self.make_folder(name)
            descriptor = self._nameless(name)
            is_named = descriptor is None
            if descriptor is None:
                descriptor = self._named(full, name)
        except OSError as error:
            raise _disk_error(error, full) from error
        return NewFile(self, path, full, folder, descriptor, is_named=is_named, is_durable=is_durable)

    def _nameless(self, folder: str) -> int | None:
        """A file without a name; None where the file system has no such files."""
        if not self._has_nameless_files:
            return None
        flags = os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC
        try:
            return os.open(folder, flags, _FILE_MODE)
        except OSError as error:
            if error.errno == errno.ENOENT:  # somebody tidied the folder away
                self.make_folder(folder)
                return os.open(folder, flags, _FILE_MODE)
            if error.errno not in _NO_NAMELESS_FILES:
                raise
            self._has_nameless_files = False
            return None

    def _named(self, full: str, folder: str) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            return os.open(full, flags, _FILE_MODE)
        except FileNotFoundError:  # somebody tidied the folder away
            self.make_folder(folder)
            return os.open(full, flags, _FILE_MODE)

    def write_durably(self, contents: Iterable[bytes]) -> list[str]:
        """A new file for each, on the disk with its name when this returns: their paths.

        Raises OutOfResources or DiskFailed, and then leaves none of them.
        """
        files: list[NewFile] = []
        try:
            for content in contents:
                file = self.create()
                files.append(file)
                file.write(content)
                file.publish()
            make_durable(files)
        except BaseException:
            for file in files:
                file.discard()
            raise
        for file in files:
            file.close()
        return [file.path for file in files]

    def make_folder(self, name: str) -> "_Folder":
        """Make the folder of this minute and sync the entries that lead to it."""
        way = Path(name)
        missing = [parent for parent in (way, *way.parents) if parent.is_relative_to(self.root)]
        for parent in reversed(missing):
            parent.mkdir(mode=_FOLDER_MODE, parents=parent == self.root, exist_ok=True)
        for parent in missing:
            _Folder(str(parent.parent)).sync()
        self._ready_folder = folder = _Folder(name)
        return folder

    def open(self, path: str) -> BinaryIO:
        """The whole file, for reading; raises UnreadableFile."""
        try:
            return open(self.root / path, "rb", buffering=0)  # noqa: PTH123 - the caller closes it
        except OSError as error:
            raise UnreadableFile(path=str(self.root / path), reason=error.strerror) from error

    def has(self, path: str) -> bool:
        """Whether the file is there."""
        return (self.root / path).is_file()

    def unlink(self, path: str) -> None:
        """Remove a file; one that is gone already is as good. Raises DiskFailed."""
        try:
            os.unlink(self.root / path)  # noqa: PTH108 - a hot loop of housekeeping
        except FileNotFoundError:
            return
        except OSError as error:
            raise DiskFailed(path=str(self.root / path), reason=error.strerror) from error

    def size_bytes(self, path: str) -> int | None:
        """The size of a file; None if it is not there."""
        found = self._stat(path)
        return None if found is None else found.st_size

    def look_at(self, path: str) -> "FileState | None":
        """The size of a file and its times; None if it is not there."""
        found = self._stat(path)
        return None if found is None else FileState(found.st_size, found.st_mtime_ns, found.st_ctime)

    def make_found_durable(self, found: Mapping[str, int], syncer: Syncer) -> None:
        """The same as `make_durable` for files that somebody else has put here: their paths, and they are open."""
        folders = {
            parent for path in found for parent in (self.root / path).parents if parent.is_relative_to(self.root)
        }
        try:
            syncer.run_all(partial(os.fdatasync, descriptor) for descriptor in found.values())
            for folder in sorted(folders, reverse=True):
                _Folder(str(folder)).sync()
        except OSError as error:
            raise _disk_error(error, str(self.root)) from error

    def _stat(self, path: str) -> os.stat_result | None:
        try:
            return os.stat(f"{self.root}/{path}")  # noqa: PTH116 - a hot loop of checks
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise DiskFailed("A file cannot be looked at", path=str(self.root / path), reason=error.strerror) from error

    def walk(self) -> Iterator[str]:
        """The relative path of every file of ours, by code point.

        Raises DiskFailed where a folder cannot be read.
        """
        for folder, subfolders, names in os.walk(self.root, onerror=_unless_gone):
            subfolders.sort()
            within = Path(folder).relative_to(self.root).as_posix()
            for name in sorted(names):
                path = f"{within}/{name}"
                if paths.is_ours(path):
                    yield path


@dataclass(frozen=True, slots=True)
class FileState:
    """What the file system knows of a file."""

    size_bytes: int
    modified_at_ns: int
    """When its bytes were last written, or what somebody has set that to; nanoseconds since 1970."""
    changed_at: float
    """When it got this name, or anything of it was changed: nobody can set that. Seconds since 1970."""


class NewFile:
    """A file being written; `discard` it or make it durable and name it in a row."""

    def __init__(
        self,
        area: LocalArea,
        path: str,
        full: str,
        folder: "_Folder",
        descriptor: int,
        *,
        is_named: bool,
        is_durable: bool,
    ) -> None:
        self._area = area
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
        wanted = sum(map(len, buffers))
        try:
            written = os.writev(self._descriptor, buffers)
            if written < wanted:
                self._write_all(b"".join(buffers)[written:])
        except OSError as error:
            raise _disk_error(error, self._full) from error
        self.size_bytes += wanted
        for buffer in buffers:
            self._checksum.update(buffer)
        if self._is_durable and self.size_bytes - self._begun_bytes >= WRITE_BEHIND_BYTES:
            self.start_writing()

    def _write_all(self, rest: bytes) -> None:
        assert self._descriptor is not None
        view = memoryview(rest)
        while view:
            view = view[os.write(self._descriptor, view) :]

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
            raise _disk_error(error, self._full) from error

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
        try:
            try:
                self._link()
            except FileNotFoundError:  # somebody tidied the folder away
                self._folder = self._area.make_folder(self._folder.name)
                self._link()
        except OSError as error:
            raise _disk_error(error, self._full) from error
        self._is_named = True

    def _link(self) -> None:
        # linkat(2) follows the link in /proc only when it is told a folder, which an absolute path then ignores.
        source = f"/proc/self/fd/{self._descriptor}"
        os.link(source, self._full, src_dir_fd=self._folder.descriptor, follow_symlinks=True)

    def make_durable(self) -> None:
        """Return when the bytes and the name of a published file are on the disk; raises OutOfResources, DiskFailed."""
        make_durable([self])

    @property
    def folder(self) -> "_Folder":
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
            raise _disk_error(error, self._full) from error

    def mapped(self) -> mmap.mmap:
        """The file as written so far, for reading; it ends with its last reference."""
        assert self._descriptor is not None
        return mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_READ)

    def reader(self) -> BinaryIO:
        """What has been written so far, from its beginning; it ends with the file. Reads raise DiskFailed."""
        assert self._descriptor is not None
        return io.BufferedReader(_Written(self._descriptor, self._full), _READ_BYTES)

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


class _Written(io.RawIOBase):
    """Reads a file that is open for writing, at a position of its own."""

    def __init__(self, descriptor: int, full: str) -> None:
        self._descriptor = descriptor
        self._full = full
        self._position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        try:
            count = os.preadv(self._descriptor, [buffer], self._position)
        except OSError as error:
            raise _disk_error(error, self._full) from error
        self._position += count
        return count


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise DiskFailed("A folder cannot be read", path=str(error.filename), reason=error.strerror) from error


class _Folder:
    """A folder held open, for all who sync it at the same time; closed with its last reference."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def sync(self) -> None:
        """Return when the names in it are on the disk; raises OutOfResources or DiskFailed."""
        try:
            os.fsync(self.descriptor)
        except OSError as error:
            raise _disk_error(error, self.name) from error

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)
