"""A folder to receive into, and files in it: each under its name when it is whole, or not there.

Where the file system knows files without a name, what is cut short leaves nothing behind; where it does not, at most a
hidden file. Nothing is synced: who wants that an answer means kept has an archive for it. Modes of files and folders
are left to the umask, as by DCMTK's programs.

Names come from others; here they are held to one rule: whatever it is called, no file lies outside of the folder. What
leads there may be a symbolic link, what lies below may not.
"""

import errno
import mmap
import os
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from archive.storage import nameless
from archive.storage.sink import Outcome

_FILE_MODE = 0o666  # less the umask
_FOLDER_MODE = 0o777
_OPEN_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC

# What link(2) says where the file system knows one name for a file only.
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})

_one_at_a_time = threading.Lock()  # where there are no links: who has seen that a name is free has it


class OutputFolder:
    """The folder; looked up by its path again and again, so that another may be put in its place."""

    def __init__(self, path: Path, *, has_nameless_files: bool = nameless.IS_KNOWN) -> None:
        self.path = path
        self._text = str(path)  # a Path costs as much as a system call
        self._has_nameless_files = has_nameless_files

    def create(self) -> "OutputFile":
        """A new file that has no name, or a hidden one; raises OSError."""
        if self._has_nameless_files:
            descriptor = nameless.create(self._text, _FILE_MODE)
            if descriptor is not None:
                return OutputFile(descriptor, None)
            self._has_nameless_files = False
        hidden = f"{self._text}/{_hidden_name()}"
        return OutputFile(os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE), hidden)

    def open(self, subfolder: str) -> int:
        """A descriptor of the subfolder, or of the folder itself by an empty name; the caller closes it.

        Raises OSError, and FileNotFoundError where one or the other is missing.
        """
        descriptor = os.open(self._text, _OPEN_FOLDER)
        for name in subfolder.split("/") if subfolder else ():
            above = descriptor
            try:
                descriptor = os.open(_name(name), _OPEN_FOLDER | os.O_NOFOLLOW, dir_fd=above)
            finally:
                os.close(above)
        return descriptor

    def make(self, subfolder: str) -> bool:
        """Make the subfolder and what leads to it; False if it was there. Raises OSError."""
        above, slash, name = subfolder.rpartition("/")
        if slash:
            self.make(above)
        below = self.open(above)
        try:
            os.mkdir(_name(name), _FOLDER_MODE, dir_fd=below)
        except FileExistsError:
            return False
        finally:
            os.close(below)
        return True


class OutputFile:
    """A file while it is written; a context that leaves nothing of one that was not published."""

    def __init__(self, descriptor: int, hidden: str | None) -> None:
        """`hidden` is the path at which it lies; None where it has no name."""
        self._descriptor = descriptor
        self._hidden = hidden

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def write(self, *buffers: bytes | bytearray | memoryview) -> None:
        """Append the buffers; raises OSError."""
        nameless.write(self._descriptor, *buffers)

    def reader(self) -> BinaryIO:
        """What has been written so far, from its beginning; it ends with the file. Reads raise DiskFailed."""
        return nameless.reader(self._descriptor, self._hidden or "")

    def mapped(self) -> mmap.mmap:
        """What has been written so far, for reading; it ends with its last reference. Raises OSError."""
        return mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_READ)

    def publish(self, name: str, folder: int, *, replaces: bool) -> Outcome:
        """Give the whole file its name in the folder of this descriptor.

        A file of that name is replaced in one step, or stays: then FileExistsError is raised. Raises OSError.
        """
        try:
            self._link(_name(name), folder)
        except FileExistsError:
            if not replaces:
                raise
        else:
            return Outcome.NEW
        beside = _hidden_name()
        self._link(beside, folder)
        try:
            os.replace(beside, name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:
            with suppress(OSError):
                os.unlink(beside, dir_fd=folder)
            raise
        return Outcome.REPLACED

    def _link(self, name: str, folder: int) -> None:
        if self._hidden is None:
            nameless.link(self._descriptor, name, below=folder)
            return
        try:
            os.link(self._hidden, name, dst_dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _rename_where_no_links_are(self._hidden, name, folder)
            self._hidden = None

    def close(self) -> None:
        """Without a name there is nothing left of it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self._hidden is not None:
            with suppress(FileNotFoundError):
                os.unlink(self._hidden)  # noqa: PTH108 - a Path would cost as much again
            self._hidden = None


def rename(old: str, new: str, folder: int) -> None:
    """Give a file in the folder of this descriptor another name; raises OSError, and FileExistsError if it is taken."""
    try:
        os.link(_name(old), _name(new), src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _rename_where_no_links_are(old, new, folder, old_below=folder)
    else:
        os.unlink(old, dir_fd=folder)


def _rename_where_no_links_are(old: str, new: str, folder: int, *, old_below: int | None = None) -> None:
    with _one_at_a_time:
        with suppress(FileNotFoundError):
            os.stat(new, dir_fd=folder, follow_symlinks=False)
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new)
        os.rename(old, new, src_dir_fd=old_below, dst_dir_fd=folder)


def _hidden_name() -> str:
    return f".{os.urandom(8).hex()}.part"


def _name(name: str) -> str:
    """The name of a file or folder, which leads nowhere else; raises OSError."""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise OSError(errno.EINVAL, "this cannot be the name of a file", name)
    return name
