"""An area in a POSIX folder: durable before visible, names never reused.

A file is written without a name (O_TMPFILE) and linked to its final one when it is whole, so that what a crash cuts
short leaves nothing behind. Nothing looks for it until a committed row names it. `make_durable` links it and syncs the
file's bytes and the folder's entry; both syncs are needed (fsync(2), NOTES). Where the file system knows no files
without a name (NFS), a file has its final name from the beginning.

Making an inode can take longer than writing it (ext4, after many deletions: 330 us, November 2026), so the next file is
made ahead, while the disk is busy with this one.
"""

import errno
import mmap
import os
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from archive.errors import DiskFailed, Failed, OutOfResources, Refused, UnreadableFile
from archive.storage import paths
from archive.storage.syncing import Syncer

# No space, no quota left, file too large for the file system: resources of the disk, not a defect of it.
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

# What open(2) says of O_TMPFILE where the file system, or the kernel, does not know it.
_NO_NAMELESS_FILES = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL})

# Files made ahead of their stores; there are no more of them than stores at a time.
MOST_AHEAD = 8

_FILE_MODE = 0o640  # patient data: the owner writes, the group may read
_FOLDER_MODE = 0o750


def _disk_error(error: OSError, path: str) -> Failed | Refused:
    kind = OutOfResources if error.errno in _NO_ROOM else DiskFailed
    return kind(
        "The disk of the area is full" if kind is OutOfResources else None, path=str(path), reason=error.strerror
    )


class LocalArea:
    """The files of one storage area below `root`; safe to use from many threads."""

    def __init__(self, root: Path, syncer: Syncer | None = None) -> None:
        """With a `syncer`, its threads make the next file ahead."""
        self.root = root
        self._syncer = syncer
        self._ready_folder: _Folder | None = None
        self._ahead: deque[int] = deque()
        self._has_nameless_files = hasattr(os, "O_TMPFILE")

    def create(self) -> "NewFile":
        """Open a new file; raises OutOfResources or DiskFailed."""
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
        return NewFile(self, path, full, folder, descriptor, is_named=is_named)

    def _nameless(self, folder: str) -> int | None:
        """A file without a name, one made ahead if there is one; None where the file system has no such files."""
        if not self._has_nameless_files:
            return None
        try:
            descriptor = self._ahead.popleft() if self._ahead else self._make_nameless(folder)
        except IndexError:  # another thread took the last
            descriptor = self._make_nameless(folder)
        if descriptor is not None and self._syncer is not None and len(self._ahead) < MOST_AHEAD:
            self._syncer.start(lambda: self._make_ahead(folder))
        return descriptor

    def _make_nameless(self, folder: str) -> int | None:
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

    def _make_ahead(self, folder: str) -> None:
        descriptor = self._make_nameless(folder)
        if descriptor is not None:
            self._ahead.append(descriptor)

    def _named(self, full: str, folder: str) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            return os.open(full, flags, _FILE_MODE)
        except FileNotFoundError:  # somebody tidied the folder away
            self.make_folder(folder)
            return os.open(full, flags, _FILE_MODE)

    def close(self) -> None:
        """Give back what was made ahead."""
        while self._ahead:
            os.close(self._ahead.popleft())

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

    def size_and_time(self, path: str) -> tuple[int, float] | None:
        """The size of a file and when it was last written to, in seconds since 1970; None if it is not there."""
        found = self._stat(path)
        return None if found is None else (found.st_size, found.st_mtime)

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


class NewFile:
    """A file being written; `discard` it or make it durable and name it in a row."""

    def __init__(
        self, area: LocalArea, path: str, full: str, folder: "_Folder", descriptor: int, *, is_named: bool
    ) -> None:
        self._area = area
        self.path = path
        self.size_bytes = 0
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

    def _write_all(self, rest: bytes) -> None:
        assert self._descriptor is not None
        view = memoryview(rest)
        while view:
            view = view[os.write(self._descriptor, view) :]

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
        assert self._descriptor is not None
        try:
            os.fdatasync(self._descriptor)
            self._folder.sync()
        except OSError as error:
            raise _disk_error(error, self._full) from error

    def mapped(self) -> mmap.mmap:
        """The file as written so far, for reading; it ends with its last reference."""
        assert self._descriptor is not None
        return mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_READ)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def discard(self) -> None:
        """Leave no trace."""
        self.close()
        if self._is_named:
            Path(self._full).unlink(missing_ok=True)


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise DiskFailed("A folder cannot be read", path=str(error.filename), reason=error.strerror) from error


class _Folder:
    """A folder held open, for all who sync it at the same time; closed with its last reference."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def sync(self) -> None:
        os.fsync(self.descriptor)

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)
