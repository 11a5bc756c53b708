"""An area in a POSIX folder: durable before visible, names never reused.

A file is written without a name (O_TMPFILE) and linked to its final one when it is whole (`new_file`), so that what a
crash cuts short leaves nothing behind. Nothing looks for it until a committed row names it. Where the file system knows
no files without a name (NFS), a file has its final name from the beginning.
"""

import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO

from archive.errors import DiskFailed, UnreadableFile
from archive.storage import disk, paths
from archive.storage.new_file import NewFile, make_durable
from archive.storage.open_folder import OpenFolder
from archive.storage.syncing import Syncer

# What open(2) says of O_TMPFILE where the file system, or the kernel, does not know it.
_NO_NAMELESS_FILES = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL})

_FILE_MODE = 0o640  # patient data: the owner writes, the group may read

_FOLDER_MODE = 0o750


class LocalArea:
    """The files of one storage area below `root`; safe to use from many threads."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._ready_folder: OpenFolder | None = None
        self._has_nameless_files = hasattr(os, "O_TMPFILE")

    def create(self, *, is_durable: bool = True) -> NewFile:
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
            raise disk.error_of(error, full) from error
        return NewFile(self.make_folder, path, full, folder, descriptor, is_named=is_named, is_durable=is_durable)

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

    def make_folder(self, name: str) -> OpenFolder:
        """Make the folder of this minute and sync the entries that lead to it; raises DiskFailed."""
        self._require_root()
        way = Path(name)
        leading = [parent for parent in (way, *way.parents) if parent.is_relative_to(self.root)]
        for parent in reversed(leading[:-1]):
            parent.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        for parent in leading:
            OpenFolder(str(parent.parent)).sync()
        self._ready_folder = folder = OpenFolder(name)
        return folder

    def _require_root(self) -> None:
        """The area's own folder is never made here: one that is gone lies on a disk that is not mounted.

        What were written in its place would be out of sight when that is mounted again. Raises DiskFailed.
        """
        if not self.root.is_dir():
            raise DiskFailed("The folder of the area is not there; is its disk mounted?", path=str(self.root))

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
            self._require_root()
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
                OpenFolder(str(folder)).sync()
        except OSError as error:
            raise disk.error_of(error, str(self.root)) from error

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


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise DiskFailed("A folder cannot be read", path=str(error.filename), reason=error.strerror) from error
