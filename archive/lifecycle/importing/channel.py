"""Values that go from one process to another, through two pipes: one for each direction.

Each is sent as its length and its pickle. That reads nothing from strangers: at the other end is a process of ours.
"""

import fcntl
import os
import pickle
import select
import struct
from contextlib import suppress
from typing import Any

_LENGTH = struct.Struct("<Q")

# What a pipe is asked to hold, so that whoever sends a batch need not wait for its reader several times; Linux gives
# 64 KiB unless asked, and this much to anybody.
_PIPE_BYTES = 1 << 20


class Closed(Exception):
    """One of the ends is closed, or the other one's process has ended."""


class Channel:
    """One end."""

    def __init__(self, reading: int, writing: int) -> None:
        self._reading = reading
        self._writing = writing
        self._is_open = {reading, writing}
        self._peer = select.poll()
        self._peer.register(reading, select.POLLIN)

    @classmethod
    def pair(cls) -> "tuple[Channel, Channel]":
        """Both ends; raises OSError."""
        here, there = os.pipe(), os.pipe()
        for reading, _ in (here, there):
            with suppress(OSError):  # all pipes of this user together may hold so much, and no more
                fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        return cls(here[0], there[1]), cls(there[0], here[1])

    @property
    def descriptors(self) -> tuple[int, int]:
        """The one that is read, and the one that is written."""
        return self._reading, self._writing

    def is_silent(self) -> bool:
        """Whether nothing waits to be received, the end neither."""
        return not self._peer.poll(0)

    def send(self, value: object) -> None:
        """Hand over a value; raises Closed."""
        content = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        left = memoryview(_LENGTH.pack(len(content)) + content)
        try:
            while left:
                left = left[os.write(self._writing, left) :]
        except BrokenPipeError:
            raise Closed from None

    def receive(self) -> Any:
        """Wait for a value; raises Closed."""
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size))
        return pickle.loads(self._read(length))  # noqa: S301

    def _read(self, size_bytes: int) -> bytearray:
        content = bytearray(size_bytes)
        left = memoryview(content)
        while left:
            count = os.readv(self._reading, [left]) if self._reading in self._is_open else 0
            if count == 0:
                raise Closed
            left = left[count:]
        return content

    def end_sending(self) -> None:
        """The other end receives what was sent, and then no more."""
        self._close(self._writing)

    def close(self) -> None:
        self._close(self._reading)
        self._close(self._writing)

    def _close(self, descriptor: int) -> None:
        if descriptor in self._is_open:
            self._is_open.remove(descriptor)
            os.close(descriptor)
