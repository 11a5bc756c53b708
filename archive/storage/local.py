"""An area in a POSIX folder: durable before visible, names never reused.

A file is written without a name (O_TMPFILE) and linked to its final one when it is whole, so that what a crash cuts
short leaves nothing behind. Nothing looks for it until a committed row names it. `make_durable` links it and syncs the
file's bytes and the folder's entry; both syncs are needed (fsync(2), NOTES). Where the file system knows no files
without a name (NFS), a file has its final name from the beginning.
"""

import errno
import mmap
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from archive.errors import DiskFailed, Failed, OutOfResources, Refused, UnreadableFile
from archive.storage import paths

# No space, no quota left, file too large for the file system: resources of the disk, not a defect of it.
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

# What open(2) says of O_TMPFILE where the file system, or the kernel, does not know it.
_NO_NAMELESS_FILES = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL})

# The disk begins with a long file while the rest of it is still to come, so that its sync has less to wait for.
WRITE_BEHIND_BYTES = 131_072

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
            _make_durable(files)
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

    def free_bytes(self) -> int | None:
        """What its disk has left for us; None where that cannot be told, because the folder is not there yet."""
        try:
            found = os.statvfs(self.root)
        except OSError:
            return None
        return found.f_bavail * found.f_frsize

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
        if self._is_durable and self.size_bytes - self._begun_bytes >= WRITE_BEHIND_BYTES:
            self.start_writing()

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
        _make_durable([self])

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

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def discard(self) -> None:
        """Leave no trace."""
        self.close()
        if self._is_named:
            Path(self._full).unlink(missing_ok=True)


def _make_durable(files: Sequence[NewFile]) -> None:
    """Bytes first, then the names: a folder that many files share is synced once."""
    folders: dict[str, _Folder] = {}
    for file in files:
        file.start_writing()
    for file in files:
        file.sync()
        folders[file.folder.name] = file.folder
    for folder in folders.values():
        folder.sync()


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
