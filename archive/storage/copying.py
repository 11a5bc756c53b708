"""Copy the bytes of one open file to another: by sharing its blocks, past the page cache, or plainly.

Sharing (reflink: XFS, Btrfs) takes no room and no time. Where a copy is synced at once anyway, the page cache would
only hold a second copy of it: writing past it (O_DIRECT) takes a third of the time of a CT slice of 525 KB, sync
included, and a quarter of the processor's (ext4, November 2026). What does not fill a block at the end goes the plain
way: to write a whole block and cut it has the disk read it back, a sixth of the time of such a copy. Each way gives up
where the file system does not know it, and the next is tried.
"""

import errno
import fcntl
import mmap
import os

# The command of FICLONE, as linux/fs.h has it.
_FICLONE = 0x40049409

# What open(2) and write(2) ask of O_DIRECT on any disk in use: memory, offset and length in multiples of this.
_BLOCK_BYTES = 4096

# At a time; a multiple of it.
PIECE_BYTES = 1 << 20


def new_buffer() -> memoryview:
    """Memory for one piece, as O_DIRECT wants it: at the beginning of a page."""
    return memoryview(mmap.mmap(-1, PIECE_BYTES))


def share(source: int, target: int) -> bool:
    """Let an empty file have the blocks of another one, to be copied when either is written to; False if it cannot."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:  # another disk, no such file system, or one that has it switched off
        return False
    return True


def read(source: int, buffer: memoryview, position: int) -> int:
    """Fill the buffer from a position on; fewer bytes only at the end of the file. Raises OSError."""
    count = 0
    while count < len(buffer):
        more = os.preadv(source, [buffer[count:]], position + count)
        if not more:
            break
        count += more
    return count


class Writer:
    """Appends pieces to a file; all of them but the last are `PIECE_BYTES` long. Raises OSError."""

    def __init__(self, target: int, size_bytes: int, *, is_direct: bool) -> None:
        """The file has `size_bytes`; if none, `is_direct` asks for writing past the page cache."""
        self._target = target
        self._size_bytes = size_bytes
        self._is_direct = is_direct and hasattr(os, "O_DIRECT") and self._switch_direct(True)

    def write(self, buffer: memoryview, count: int) -> None:
        """Append the first `count` bytes of a buffer from `new_buffer`."""
        written = 0
        if self._is_direct:
            whole = count - count % _BLOCK_BYTES
            if self._write_direct(buffer[:whole]):
                written = whole
            if written < count:  # the file ends within a block, or must be written plainly
                self._switch_direct(False)
                self._is_direct = False
        _write_all(self._target, buffer[written:count], self._size_bytes + written)
        self._size_bytes += count

    def finish(self) -> None:
        """To be called at the end: the file takes any other write again."""
        if self._is_direct:
            self._switch_direct(False)
        os.lseek(self._target, self._size_bytes, os.SEEK_SET)

    def _write_direct(self, blocks: memoryview) -> bool:
        """Write whole blocks; False if the file system will have none of it."""
        try:
            _write_all(self._target, blocks, self._size_bytes)
        except OSError as error:
            if error.errno == errno.EINVAL:
                return False
            raise
        return True

    def _switch_direct(self, is_on: bool) -> bool:
        flags = fcntl.fcntl(self._target, fcntl.F_GETFL)
        try:
            fcntl.fcntl(self._target, fcntl.F_SETFL, flags | os.O_DIRECT if is_on else flags & ~os.O_DIRECT)
        except OSError:  # EINVAL: the file system does not know it
            return False
        return True


def _write_all(target: int, buffer: memoryview, position: int) -> None:
    written = 0
    while written < len(buffer):
        written += os.pwrite(target, buffer[written:], position + written)
