"""Files that somebody names to be taken in: found below folders, and opened without surprises.

A symbolic link below a folder is never followed, as it may lead out of it; one that is named is. What is no regular
file is not opened, and a file is read as it was when it was opened: what is added to it later is not looked at.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import NamedTuple, Self

from archive.errors import UnreadableFile

# Not to wait for a writer of a pipe, not to be fooled by a link that came since the folder was read.
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW


class Found(NamedTuple):
    """A file, or something else that lies where a file was looked for."""

    path: str
    size_bytes: int = 0
    skipped_because: str = ""
    """Why it is no file to be read."""
    unreadable_because: str = ""
    """What the operating system says to whoever tries."""


def find(named: Iterable[str], *, leave_out: str | None = None) -> Iterator[Found]:
    """The files that are named, and all below the folders that are, by name; but not those in the folder `leave_out`.

    A path comes as it was named, with what lies below.
    """
    left_out = None if leave_out is None else _identity(leave_out)
    for path in named:
        try:
            status = os.stat(path)  # noqa: PTH116 - paths are plain text here
        except OSError as error:
            yield Found(path, unreadable_because=str(error.strerror))
            continue
        if stat.S_ISDIR(status.st_mode):
            yield from _below(path, left_out)
        else:
            yield _file(os.path.realpath(path), status)


def _below(top: str, left_out: tuple[int, int] | None) -> Iterator[Found]:
    folders = [top]
    while folders:
        folder = folders.pop()
        try:
            if left_out is not None and _identity(folder) == left_out:
                yield Found(folder, skipped_because="this is where the area keeps its files")
                continue
            with os.scandir(folder) as entries:
                names = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield Found(folder, unreadable_because=str(error.strerror))
            continue
        below: list[str] = []
        for entry in names:
            try:
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry.path)
                else:
                    yield _file(entry.path, entry.stat(follow_symlinks=False))
            except OSError as error:
                yield Found(entry.path, unreadable_because=str(error.strerror))
        folders += reversed(below)


def _file(path: str, status: os.stat_result) -> Found:
    if stat.S_ISLNK(status.st_mode):
        return Found(path, skipped_because="a symbolic link is not followed")
    if not stat.S_ISREG(status.st_mode):
        return Found(path, skipped_because="this is no regular file")
    return Found(path, status.st_size)


def _identity(folder: str) -> tuple[int, int] | None:
    try:
        status = os.stat(folder)  # noqa: PTH116
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


class Source:
    """A regular file, open for reading; a context that closes it. Raises UnreadableFile."""

    def __init__(self, path: str, *, follows_links: bool = False) -> None:
        self.path = path
        try:
            self.descriptor = os.open(path, _FLAGS & ~os.O_NOFOLLOW if follows_links else _FLAGS)
        except OSError as error:
            raise _unreadable(error) from error
        try:
            status = os.fstat(self.descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise UnreadableFile("This is no regular file")
        except BaseException:
            os.close(self.descriptor)
            raise
        self.size_bytes = status.st_size
        self.modified_at_ns = status.st_mtime_ns
        self.changed_at = status.st_ctime
        self._is_open = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            os.close(self.descriptor)

    def read(self, position: int, most_bytes: int) -> bytes:
        """The bytes from `position` on, at most so many; fewer only at the end of the file."""
        try:
            read = os.pread(self.descriptor, most_bytes, position)
            wanted = min(most_bytes, self.size_bytes - position)
            while 0 < len(read) < wanted:
                more = os.pread(self.descriptor, wanted - len(read), position + len(read))
                if not more:
                    break
                read += more
        except OSError as error:
            raise _unreadable(error) from error
        return read

    def read_into(self, buffer: memoryview, position: int) -> int:
        """Fill `buffer` with the bytes from `position` on, and return how many there were; 0 only at the end."""
        try:
            return os.preadv(self.descriptor, [buffer], position)
        except OSError as error:
            raise _unreadable(error) from error


def _unreadable(error: OSError) -> UnreadableFile:
    return UnreadableFile("The file cannot be read", reason=error.strerror)
