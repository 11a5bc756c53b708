"""The only user of an association's socket: buffered reads, gathered writes, and a deadline on every wait (PS3.8 9.1).

Knows that a PDU has a type and a length, so that the length is bounded before memory is taken; what PDUs mean is
`association`'s business. One thread reads and writes; `interrupt()` alone may be called from another one.
`tls_connection` is the same through TLS.

Measured on loopback, in CPU time and with all layers above (2026-11): a C-STORE of 8 KB costs 70 to 85 us on either
side; a second of CPU sends 5 GB and takes in 4.7 GB. An idle association of 120 contexts holds 75 KB with its thread.
"""

import contextlib
import errno
import mmap
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Self, TypeAlias

from archive.errors import CannotConnect, ConnectionLost, DeadlineExpired, PduTooLarge, UnrecognizedPdu
from archive.upper_layer.resolver import IpVersion, resolve

if TYPE_CHECKING:
    from archive.upper_layer.certificate import Certificate

Buffer: TypeAlias = bytes | bytearray | memoryview  # a memoryview is one of bytes ("B"), so that len() is its size

PDU_HEADER = struct.Struct(">BxI")  # type (1), reserved (1), length of what follows (4)
DEFAULT_BUFFER_BYTES = 512 * 1024  # holds three PDUs of 128 KiB and a part; more reads less often but misses the cache
IDLE_BEFORE_MEMORY_RETURNS_SECONDS = 1.0  # a quiet peer's read buffer is given back to the kernel after this long
_IOV_MAX = os.sysconf("SC_IOV_MAX") if hasattr(os, "sysconf") else 1024  # buffers of one sendmsg
# Linux: acknowledge at once what a peer without TCP_NODELAY waits for.
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)
_POLLRDHUP = getattr(select, "POLLRDHUP", 0)


class Deadline:
    """A moment, on the monotonic clock, by which a wait must be over; without one it may last for ever."""

    __slots__ = ("at",)

    def __init__(self, at: float | None) -> None:
        self.at = at

    @classmethod
    def after(cls, seconds: float | None) -> Self:
        """So many seconds from now; None and 0 mean none."""
        return cls(time.monotonic() + seconds if seconds else None)

    def put_off(self, seconds: float) -> "Deadline":
        """This moment, so many seconds later."""
        return Deadline(None if self.at is None else self.at + seconds)

    @property
    def remaining_seconds(self) -> float | None:
        """What is left, never below 0; None = no deadline."""
        return None if self.at is None else max(0.0, self.at - time.monotonic())

    def check(self) -> None:
        """Raise DeadlineExpired when the moment has come."""
        if self.at is not None and time.monotonic() >= self.at:
            raise DeadlineExpired


NO_DEADLINE = Deadline(None)


class Address(NamedTuple):
    """A numeric IP address and a port."""

    host: str
    port: int


class Connection:
    """One TCP connection to a peer, and the one buffer its PDUs are read into."""

    def __init__(self, sock: socket.socket, *, buffer_bytes: int = DEFAULT_BUFFER_BYTES) -> None:
        """Take over `sock`; `buffer_bytes` is virtual memory, resident only as far as it was ever filled."""
        sock.setblocking(False)
        self._sock = sock
        self._is_tcp = sock.family in (socket.AF_INET, socket.AF_INET6)
        if self._is_tcp:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._quickack = _QUICKACK if self._is_tcp else None
        self.peer_host, self.peer_port = self._name_peer()
        self._input_ready = select.poll()
        self._input_ready.register(sock, select.POLLIN)
        self._output_ready = select.poll()
        self._output_ready.register(sock, select.POLLOUT | _POLLRDHUP)
        self._memory = mmap.mmap(-1, buffer_bytes)
        self._view = memoryview(self._memory)
        self._start = 0  # unread bytes are _view[_start:_end]
        self._end = 0
        self._has_been_filled = False
        self._closing = threading.Lock()  # keeps interrupt() off a descriptor that close() gives back
        self.is_interrupted = False
        self.output_is_cut = False  # a write ended in the middle of a PDU: nothing sensible can follow
        self.received_bytes = self.sent_bytes = 0

    def shake_hands(self, deadline: Deadline) -> None:
        """Make the connection ready for PDUs; without TLS it is."""

    @property
    def peer_certificate(self) -> "Certificate | None":
        """The peer's certificate, verified; there is none without TLS."""
        return None

    @property
    def begins_like_tls(self) -> bool:
        """Whether what is unread is the beginning of a TLS handshake (RFC 8446 5.1)."""
        return self._view[self._start : min(self._end, self._start + 2)] == b"\x16\x03"

    def _name_peer(self) -> tuple[str, int]:
        if not self._is_tcp:
            return "", 0
        try:
            host, port = self._sock.getpeername()[:2]
        except OSError as error:  # a health check is often gone before we look
            raise ConnectionLost(reason=error.strerror) from error
        return host.removeprefix("::ffff:"), port

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Reading

    def receive_pdu(self, limits: Mapping[int, int], deadline: Deadline) -> tuple[int, memoryview]:
        """The next PDU as its type and its body; the body is dead after the next read.

        `limits` names the types that are PDUs at all and the length each may have, in bytes.
        """
        start = self._start
        if self._end - start < 6:
            self._fill(6, deadline)
            start = self._start
        pdu_type, length = PDU_HEADER.unpack_from(self._view, start)
        limit = limits.get(pdu_type)
        if limit is None:
            raise UnrecognizedPdu(pdu_type=pdu_type)
        if length > limit:
            raise PduTooLarge(pdu_type=pdu_type, length_bytes=length, limit_bytes=limit)
        whole = 6 + length
        if self._end - start < whole:
            self._fill(whole, deadline)
            start = self._start
        self._start = start + whole
        return pdu_type, self._view[start + 6 : start + whole]

    def wait_for_input(self, deadline: Deadline) -> None:
        """Return when there is something to read; a peer that stays quiet costs no buffer memory meanwhile."""
        if self._end > self._start:
            return
        if not self._has_been_filled or (deadline.at is not None and deadline.at - time.monotonic() <= 1):
            self._wait(self._input_ready, deadline)
            return
        if self._input_ready.poll(IDLE_BEFORE_MEMORY_RETURNS_SECONDS * 1000):
            return
        self._start = self._end = 0
        self._give_memory_back()
        self._wait(self._input_ready, deadline)

    def _give_memory_back(self) -> None:
        if hasattr(mmap, "MADV_DONTNEED"):
            self._memory.madvise(mmap.MADV_DONTNEED)
            self._has_been_filled = False

    def whole_pdu_waiting(self) -> bool:
        """Whether the next PDU can be read without a wait; never blocks."""
        if not self._is_whole_pdu_buffered() and self._input_ready.poll(0):
            self._make_room(self._end - self._start + 1)
            self._read_some()
        return self._is_whole_pdu_buffered()

    def _is_whole_pdu_buffered(self) -> bool:
        there = self._end - self._start
        return there >= 6 and there >= 6 + PDU_HEADER.unpack_from(self._view, self._start)[1]

    def _fill(self, count: int, deadline: Deadline) -> None:
        """Read until `count` bytes are there, and whatever else has arrived."""
        self._make_room(count)
        while self._end - self._start < count:
            if not self._read_some():
                self._wait(self._input_ready, deadline)
            elif self._end - self._start < count:
                deadline.check()  # a byte now and then is not progress

    def _make_room(self, count: int) -> None:
        """Make the buffer able to hold `count` bytes from `_start`; unread bytes move to its head when they must."""
        there = self._end - self._start
        if there == 0:
            self._start = self._end = 0
        if self._start + count <= len(self._view):
            return
        if count > len(self._view):
            larger = mmap.mmap(-1, count)
            larger[:there] = self._memory[self._start : self._end]
            self._memory, self._view = larger, memoryview(larger)
        else:
            self._memory.move(0, self._start, there)
        self._start, self._end = 0, there

    def _read_some(self) -> bool:
        """Read what has arrived into the free part of the buffer; False when that is nothing."""
        try:
            if self._quickack is not None:
                self._sock.setsockopt(socket.IPPROTO_TCP, self._quickack, 1)
            count = self._sock.recv_into(self._view[self._end :])
        except BlockingIOError:
            return False
        except OSError as error:
            raise ConnectionLost(reason=error.strerror) from error
        if count == 0:
            if self.is_interrupted:
                raise ConnectionLost("The archive ended the connection.")
            raise ConnectionLost
        self._end += count
        self.received_bytes += count
        self._has_been_filled = True
        return True

    def _wait(self, ready: select.poll, deadline: Deadline) -> int:
        """Wait for the events of `ready` and return them; DeadlineExpired when the time is over."""
        remaining = deadline.remaining_seconds
        found = ready.poll(None if remaining is None else remaining * 1000)
        if not found:
            raise DeadlineExpired
        return found[0][1]

    # Writing

    def send(self, buffers: Sequence[Buffer], deadline: Deadline) -> None:
        """Send all of `buffers`, as few system calls as that takes; they must not change until it returns."""
        if len(buffers) > _IOV_MAX:
            for first in range(0, len(buffers), _IOV_MAX):
                self.send(buffers[first : first + _IOV_MAX], deadline)
            return
        count = sum(map(len, buffers))
        sent = self._write_some(buffers)
        if sent == count:
            return
        self.output_is_cut = True
        while True:
            buffers = _after(buffers, sent)
            if not buffers:
                break
            self._wait_for_output(deadline)
            sent = self._write_some(buffers)
            deadline.check()
        self.output_is_cut = False

    def _wait_for_output(self, deadline: Deadline) -> None:
        events = self._wait(self._output_ready, deadline)
        if events & _POLLRDHUP and not events & select.POLLOUT:  # it went away and reads no more
            raise ConnectionLost

    def _write_some(self, buffers: Sequence[Buffer]) -> int:
        """Hand to the kernel what it takes at once; the one place that writes."""
        try:
            count = self._sock.sendmsg(buffers)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise ConnectionLost(reason=error.strerror) from error
        self.sent_bytes += count
        return count

    # Ending

    def drain(self, deadline: Deadline) -> None:
        """End our direction, then wait for the peer to end its own, so that it reads our last PDU and not a reset."""
        try:
            self._sock.shutdown(socket.SHUT_WR)
            while True:
                self._start = self._end = 0
                if not self._read_some():
                    self._wait(self._input_ready, deadline)
                deadline.check()
        except (OSError, ConnectionLost, DeadlineExpired):
            return  # gone, or given enough time

    def close(self) -> None:
        """Give the connection and its buffer back; may be called twice."""
        with self._closing:
            self._sock.close()
        self._start = self._end = 0
        self._view = memoryview(b"")

    def interrupt(self, farewell: bytes = b"") -> None:
        """End the connection from another thread: its owner's read or write raises ConnectionLost at once.

        `farewell` is sent before, if the kernel takes it without a wait and no PDU is under way.
        """
        with self._closing, contextlib.suppress(OSError):  # it ended by itself
            self.is_interrupted = True
            try:
                if farewell:
                    self._send_farewell(farewell)
            finally:
                self._sock.shutdown(socket.SHUT_RDWR)

    def _send_farewell(self, farewell: bytes) -> None:
        if not self.output_is_cut:
            self._sock.send(farewell)


def _after(buffers: Sequence[Buffer], sent: int) -> Sequence[Buffer]:
    """What is left of `buffers` when the first `sent` bytes are gone."""
    for index, buffer in enumerate(buffers):
        if sent < len(buffer):
            return [memoryview(buffer)[sent:], *buffers[index + 1 :]]
        sent -= len(buffer)
    return ()


def connect(
    host: str,
    port: int,
    seconds: float | None,
    *,
    make: Callable[[socket.socket], Connection] = Connection,
    version: IpVersion = "auto",
) -> Connection:
    """A connection to the first address of `host` that answers; names, tries and all within `seconds` (None = none).

    Only addresses of a `version` are tried. Raises CannotConnect.
    """
    deadline = Deadline.after(seconds)
    addresses = resolve(host, seconds, version)
    reason = "no address"
    for index, address in enumerate(addresses):
        remaining = deadline.remaining_seconds
        share = None if remaining is None else remaining / (len(addresses) - index)  # a dead one leaves time for others
        try:
            return make(_connect_to(Address(address, port), share))
        except (OSError, ConnectionLost, DeadlineExpired) as error:
            reason = getattr(error, "strerror", None) or str(error)
    raise CannotConnect(host=host, port=port, reason=reason)


def _connect_to(address: Address, seconds: float | None) -> socket.socket:
    found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV)
    family, kind, protocol, _, target = found[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        failure = sock.connect_ex(target)
        if failure == errno.EINPROGRESS:
            answered = select.poll()
            answered.register(sock, select.POLLOUT)
            if not answered.poll(None if seconds is None else seconds * 1000):
                raise DeadlineExpired
            failure = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failure:
            raise OSError(failure, os.strerror(failure))
    except BaseException:
        sock.close()
        raise
    return sock
