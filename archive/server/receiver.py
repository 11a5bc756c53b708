"""Accept connections for a receiving command: an association to a thread, as many at a time as it may have.

One process and no rows. While all places are taken nobody is accepted: who calls then waits in the kernel's line, as
with DCMTK's programs.
"""

import contextlib
import logging
import os
import select
import threading
from collections.abc import Callable, Iterable

from archive.errors import ConnectionLost, PeerError, TlsFailed
from archive.server import listener
from archive.server.listener import Socket
from archive.upper_layer.association import Association, Decide, Timeouts
from archive.upper_layer.connection import Connection, Deadline
from archive.upper_layer.proposal import Rejection

log = logging.getLogger(__name__)

# Threads, and file descriptors: twice as many as a hospital has devices that speak at once.
MOST_ASSOCIATIONS = 512

# Without a free descriptor or thread the poll would come back at once, again and again.
WAIT_FOR_RESOURCES_SECONDS = 1.0

# For associations that were ended to be over: what they write now takes no longer, and nobody waits for more.
STOP_SECONDS = 5.0

_WAKE_BYTES = 4096

Serve = Callable[[Association], None]
Connect = Callable[[Socket], Connection]
Welcome = Callable[[str], bool]
"""Whether a connection from this address is taken, before anything is read of it."""


def _everybody(_address: str) -> bool:
    return True


class Receiver:
    """Receives at some sockets until it is told to stop."""

    def __init__(
        self,
        decide: Decide,
        serve: Serve,
        timeouts: Timeouts,
        *,
        connect: Connect = Connection,
        welcomes: Welcome = _everybody,
        most: int = MOST_ASSOCIATIONS,
    ) -> None:
        """`serve` has each association until it ends, in a thread of its own; one at a time where `most` is 1."""
        self._decide = decide
        self._serve = serve
        self._timeouts = timeouts
        self._connect = connect
        self._welcomes = welcomes
        self._most = most
        self._visits: set[_Visit] = set()
        self._change = threading.Lock()
        self._is_stopping = False
        self._quiet_seconds = 0.0
        self._left_bytes = 0  # received of those that have left
        self.stopping = threading.Event()
        """Set when associations are ended; who sleeps in one may wait for it."""
        self._woken, self._wake = os.pipe()
        for descriptor in (self._woken, self._wake):
            os.set_blocking(descriptor, False)

    def run(self, sockets: Iterable[Socket]) -> None:
        """Accept at listening sockets until `stop`; associations under way are ended then."""
        listening = {socket.fileno(): socket for socket in sockets}
        idle, full = select.poll(), select.poll()
        for descriptor in (*listening, self._woken):
            idle.register(descriptor, select.POLLIN)
        full.register(self._woken, select.POLLIN)
        while not self._is_stopping:
            for descriptor, _ in (idle if self._has_place else full).poll():
                if descriptor == self._woken:
                    self._listen_up()
                elif self._has_place and not self._is_stopping:
                    self._welcome(listening[descriptor])
        for socket in listening.values():
            socket.close()
        self._let_end()
        self._end()

    def run_one(self, connection: Socket) -> None:
        """Serve one connection that was accepted by somebody else, until it ends or `stop`."""
        self._begin(connection)
        waiting = select.poll()
        waiting.register(self._woken, select.POLLIN)
        while not self._is_stopping and self._visits:
            waiting.poll()
            self._listen_up()
        self._end()

    def stop(self, *, quiet_seconds: float = 0.0) -> None:
        """From another thread, or a signal handler: accept nobody any more, and end what runs.

        Where seconds are given an association may come to its end; only one whose peer says nothing for so long, and at
        most for twice as long, is ended.
        """
        self._quiet_seconds = quiet_seconds
        self._is_stopping = True
        self._rouse()

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to."""
        return self._is_stopping

    @property
    def received_bytes(self) -> int:
        """So much has come over all connections: whether it grows tells if anything is under way."""
        with self._change:
            return self._left_bytes + sum(visit.received_bytes for visit in self._visits)

    @property
    def wake_descriptor(self) -> int:
        """A byte written to it rouses `run` and `run_one`, for signal.set_wakeup_fd().

        A signal may come to any thread; a wait in the main one, where its handler is called, goes on then.
        """
        return self._wake

    @property
    def _has_place(self) -> bool:
        return len(self._visits) < self._most

    def _rouse(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full of bytes: it is awake
            os.write(self._wake, b"\0")

    def _listen_up(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._woken, _WAKE_BYTES)

    def _welcome(self, socket: Socket) -> None:
        try:
            accepted = listener.accept(socket)
        except listener.NoDescriptorLeft:
            log.error("no file descriptor is left for another connection; raise the limit of open files")
            self._wait_for_resources()
            return
        if accepted is not None:
            self._begin(accepted)

    def _begin(self, accepted: Socket) -> None:
        visit = _Visit(self, accepted)
        with self._change:
            self._visits.add(visit)
        try:
            threading.Thread(target=visit.run, daemon=True).start()
        except RuntimeError:  # the system has no thread for us
            log.error("no thread is left for another connection; it was closed")
            accepted.close()
            self.left(visit)
            self._wait_for_resources()

    def _wait_for_resources(self) -> None:
        """Until an association has ended, and given back what it had; or a moment."""
        waiting = select.poll()
        waiting.register(self._woken, select.POLLIN)
        waiting.poll(WAIT_FOR_RESOURCES_SECONDS * 1000)

    def _there(self) -> set["_Visit"]:
        with self._change:
            return set(self._visits)

    def _let_end(self) -> None:
        """Wait for associations as long as their peers say something."""
        ended: set[_Visit] = set()
        while self._quiet_seconds and (waiting := self._there() - ended):
            before = {visit: visit.received_bytes for visit in waiting}
            self._wait_for_visits(self._quiet_seconds)
            for visit in self._there() & waiting:
                if visit.received_bytes == before[visit]:
                    log.warning("an association was not released; nothing came for %g seconds", self._quiet_seconds)
                    visit.end()
                    ended.add(visit)

    def _end(self) -> None:
        self.stopping.set()
        for visit in self._there():
            visit.end()
        self._wait_for_visits(STOP_SECONDS)

    def _wait_for_visits(self, seconds: float) -> None:
        """Until all are over, and no longer than that."""
        waiting = select.poll()
        waiting.register(self._woken, select.POLLIN)
        deadline = Deadline.after(seconds)
        while self._visits and (remaining := deadline.remaining_seconds):
            self._listen_up()
            if self._visits:
                waiting.poll(remaining * 1000)

    # For a visit, in its thread

    def connect(self, accepted: Socket) -> Connection:
        """A connection that can be read; raises PeerError or OSError where the peer has gone already."""
        return self._connect(accepted)

    def receive(self, connection: Connection) -> None:
        """Serve the one association of a connection."""
        try:
            if not self._welcomes(connection.peer_host):
                log.error("TCP wrapper: denied connection from %s", connection.peer_host)
                return
            connection.shake_hands(Deadline.after(self._timeouts.acse))
            association = Association.accept(connection, self._decide, self._timeouts)
            if not isinstance(association, Rejection):
                self._serve(association)
        except PeerError as error:
            said_nothing = isinstance(error, ConnectionLost) and not isinstance(error, TlsFailed)
            level = logging.INFO if said_nothing or connection.is_interrupted else logging.ERROR
            log.log(level, "Receiving Association failed: %s (from %s)", error, connection.peer_host)

    def left(self, visit: "_Visit") -> None:
        """A place is free again."""
        with self._change:
            self._visits.discard(visit)
            self._left_bytes += visit.received_bytes
        self._rouse()


class _Visit:
    """One connection in a thread of its own."""

    def __init__(self, receiver: Receiver, accepted: Socket) -> None:
        self._receiver = receiver
        self._accepted = accepted
        self._connection: Connection | None = None
        self._is_ending = False
        self._change = threading.Lock()

    def run(self) -> None:
        """Serve it; whatever happens here ends this association and nothing else."""
        try:
            connection = self._receiver.connect(self._accepted)
            with self._change:
                self._connection = connection
            if not self._is_ending:
                self._receiver.receive(connection)
        except (PeerError, OSError) as error:
            log.info("Receiving Association failed: %s", error)
        except Exception:
            log.exception("association ended by a defect")
        finally:
            (self._connection or self._accepted).close()
            self._receiver.left(self)

    @property
    def received_bytes(self) -> int:
        """So much the peer has sent."""
        return 0 if self._connection is None else self._connection.received_bytes

    def end(self) -> None:
        """From another thread: whatever is waited for in it is over."""
        with self._change:
            self._is_ending = True
            connection = self._connection
        if connection is not None:
            connection.interrupt()
