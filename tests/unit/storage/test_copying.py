"""Pieces are appended past the page cache or plainly: the file is the same, and what is refused is not insisted on."""

import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archive.storage import copying
from archive.storage.copying import PIECE_BYTES, Writer

SIZES = [1, 4095, 4096, 4097, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES + 525_121]


def content(size_bytes: int) -> bytes:
    return (bytes(range(251)) * (size_bytes // 251 + 1))[:size_bytes]


@pytest.fixture
def target(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "target", os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


def write(target: int, wanted: bytes, *, is_direct: bool = True) -> None:
    buffer = copying.new_buffer()
    writer = Writer(target, 0, is_direct=is_direct)
    for first in range(0, len(wanted), PIECE_BYTES):
        piece = wanted[first : first + PIECE_BYTES]
        buffer[: len(piece)] = piece
        writer.write(buffer, len(piece))
    writer.finish()


@pytest.mark.parametrize("size_bytes", SIZES)
@pytest.mark.parametrize("is_direct", [False, True], ids=["plain", "direct"])
def test_a_file_is_as_long_as_what_was_written(target: int, tmp_path: Path, size_bytes: int, is_direct: bool):
    write(target, content(size_bytes), is_direct=is_direct)
    os.write(target, b"more")

    assert (tmp_path / "target").read_bytes() == content(size_bytes) + b"more"
    assert not fcntl.fcntl(target, fcntl.F_GETFL) & os.O_DIRECT


@pytest.mark.parametrize("refused", ["when asked", "at the first write", "in the middle"])
def test_a_file_system_that_refuses_is_written_to_plainly(
    target: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
):
    control, pwrite, writes = fcntl.fcntl, os.pwrite, list[int]()

    def refusing_control(descriptor: int, command: int, argument: int = 0) -> int:
        if refused == "when asked" and command == fcntl.F_SETFL and argument & os.O_DIRECT:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return control(descriptor, command, argument)

    def refusing_write(descriptor: int, *rest: Any) -> int:
        writes.append(descriptor)
        is_late = refused == "in the middle" and len(writes) < 2
        if refused != "when asked" and not is_late and control(descriptor, fcntl.F_GETFL) & os.O_DIRECT:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return pwrite(descriptor, *rest)

    monkeypatch.setattr(fcntl, "fcntl", refusing_control)
    monkeypatch.setattr(os, "pwrite", refusing_write)

    write(target, content(SIZES[-1]))

    assert (tmp_path / "target").read_bytes() == content(SIZES[-1])


def test_any_other_error_is_told(target: int, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", fail)

    with pytest.raises(OSError, match="No space left"):
        write(target, content(5000))


def test_blocks_are_shared_where_the_file_system_can(target: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[tuple[int, int, int]] = []
    monkeypatch.setattr(fcntl, "ioctl", lambda *arguments: asked.append(arguments) or 0)

    assert copying.share(7, target)

    assert asked == [(target, 0x40049409, 7)]  # FICLONE


def test_blocks_are_not_shared_with_another_kind_of_file(target: int):
    reading, writing = os.pipe()

    assert not copying.share(reading, target)

    os.close(reading)
    os.close(writing)


def test_reading_goes_on_until_the_buffer_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "source").write_bytes(content(10_000))
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda source, buffers, at: preadv(source, [buffers[0][:999]], at))
    buffer = copying.new_buffer()

    with (tmp_path / "source").open("rb") as source:
        count = copying.read(source.fileno(), buffer[:9000], 500)
        rest = copying.read(source.fileno(), buffer[9000:], 9500)

    assert (count, rest) == (9000, 500)
    assert bytes(buffer[:9500]) == content(10_000)[500:]
