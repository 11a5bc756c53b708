"""A file without a name (O_TMPFILE) while it is written: what is cut short leaves nothing behind, by a crash neither.

It gets its name when it is whole. Not every file system knows such files: those of NFS and FAT do not.
"""

import errno
import io
import os
from typing import TYPE_CHECKING, BinaryIO

from archive.storage import disk

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

IS_KNOWN = hasattr(os, "O_TMPFILE")

# What open(2) says of O_TMPFILE where the file system, or the kernel, does not know it.
_NOT_KNOWN = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL})

_READ_BYTES = 65_536  # at a time


def create(folder: str, mode: int, *, below: int | None = None) -> int | None:
    """A descriptor of a new file on the file system of `folder`; None where it has no files without a name.

    A relative `folder` is looked for in the one that the descriptor `below` holds open. Raises OSError.
    """
    try:
        return os.open(folder, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, mode, dir_fd=below)
    except OSError as error:
        if error.errno not in _NOT_KNOWN:
            raise
        return None


def link(descriptor: int, path: str, *, below: int | None = None) -> None:
    """Give it a name; raises FileExistsError where somebody has that name, or OSError."""
    # linkat(2) follows the link in /proc only when it is told a folder, which an absolute path then ignores.
    os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, dst_dir_fd=below, follow_symlinks=True)


def write(descriptor: int, *buffers: bytes | bytearray | memoryview) -> int:
    """Append the buffers, all of them, and return how many bytes that were; raises OSError."""
    wanted = sum(map(len, buffers))
    written = os.writev(descriptor, buffers)
    if written < wanted:
        rest = memoryview(b"".join(buffers)[written:])
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    return wanted


def reader(descriptor: int, path: str) -> BinaryIO:
    """What has been written so far, from its beginning; it ends with the file. Reads raise DiskFailed."""
    return io.BufferedReader(_Written(descriptor, path), _READ_BYTES)


class _Written(io.RawIOBase):
    """Reads a file that is open for writing, at a position of its own."""

    def __init__(self, descriptor: int, path: str) -> None:
        self._descriptor = descriptor
        self._path = path
        self._position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        try:
            count = os.preadv(self._descriptor, [buffer], self._position)
        except OSError as error:
            raise disk.error_of(error, self._path) from error
        self._position += count
        return count
