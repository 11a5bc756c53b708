"""The disk below a folder: which it is, what room it has left, and what a failed call says of it.

A folder that is not there yet will be made on the disk of the next folder above it that is.
"""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from archive.errors import DiskFailed, Failed, OutOfResources, Refused

T = TypeVar("T")

# No space, no quota left, file too large for the file system: resources of the disk, not a defect of it.
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Disk:
    """The disk of one folder; looked at anew each time it is asked, for something may be mounted there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def free_bytes(self) -> int:
        """What it has left for us; raises DiskFailed."""
        found = self._ask(os.statvfs)
        return found.f_bavail * found.f_frsize

    def size_bytes(self) -> int:
        """All that it could hold; raises DiskFailed."""
        found = self._ask(os.statvfs)
        return found.f_blocks * found.f_frsize

    def is_that_of(self, other: "Disk") -> bool:
        """Whether what one takes is missing to the other; raises DiskFailed."""
        return self._ask(os.stat).st_dev == other._ask(os.stat).st_dev

    def _ask(self, question: Callable[[Path], T]) -> T:
        folder = self._folder
        while True:
            try:
                return question(folder)
            except (FileNotFoundError, NotADirectoryError):
                folder = folder.parent  # the topmost is always there
            except OSError as error:
                raise DiskFailed("The disk cannot be looked at", path=str(folder), reason=error.strerror) from error


def error_of(error: OSError, path: str) -> Failed | Refused:
    """OutOfResources where the disk of an area has no room for the file at `path`, else DiskFailed."""
    if has_no_room(error):
        return OutOfResources("The disk of the area is full", path=path, reason=error.strerror)
    return DiskFailed(path=path, reason=error.strerror)


def has_no_room(error: OSError) -> bool:
    """Whether the disk is full, and does not fail otherwise."""
    return error.errno in _NO_ROOM
