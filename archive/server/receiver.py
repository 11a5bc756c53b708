"""Accept connections for a receiving command: an association to a thread, as many at a time as it may have.

One process and no rows. While all places are taken nobody is accepted: who calls then waits in the kernel's line, as
with DCMTK's programs.
"""

import logging
import os
import select
import threading
from collections.abc import Callable, Sequence

from archive.errors import ConnectionLost, PeerError
from archive.server import listener
from archive.server.listener import Port
from archive.upper_layer.association import Association, Decide, Timeouts
from archive.upper_layer.connection import Connection, Deadline
from archive.upper_layer.proposal import Rejection
from archive.upper_layer.tls import Tls
from archive.upper_layer.tls_connection import TlsConnection

log = logging.getLogger(__name__)

# Threads, and file descriptors: twice as many as a hospital has devices that speak at once.
MOST_ASSOCIATIONS = 512

# Without a free descriptor the poll would come back at once, again and again.
WAIT_FOR_DESCRIPTOR_SECONDS = 1.0

Serve = Callable[[Association], None]


class Receiver:
    """Receives at some ports until it is told to stop."""

    def __init__(
        self,
        ports: Sequence[Port],
        decide: Decide,
        serve: Serve,
        timeouts: Timeouts,
        *,
        tls: Tls | None = None,
        most: int = MOST_ASSOCIATIONS,
    ) -> None:
        """`serve` has each association until it ends, in a thread of its own; one at a time where `most` is 1."""
        self._ports = {port.socket.fileno(): port for port in ports}
        self._decide = decide
        self._serve = serve
        self._timeouts = timeouts
        self._tls = tls
        self._most = most
        self._visits: set[_Visit] = set()
        self._change = threading.Condition()
        self._is_stopping = False
        self._woken, self._wake = os.pipe()

    def run(self) -> None:
        """Accept until `stop`; associations under way are ended then."""
        ready = select.poll()
        for descriptor in (*self._ports, self._woken):
            ready.register(descriptor, select.POLLIN)
        while self._wait_for_place():
            for descriptor, _ in ready.poll():
                if descriptor in self._ports:
                    self._welcome(self._ports[descriptor])
                    break  # one place, one connection
        for port in self._ports.values():
            port.socket.close()
        with self._change:
            visits = list(self._visits)
        for visit in visits:
            visit.end()
        with self._change:
            self._change.wait_for(lambda: not self._visits)

    def stop(self) -> None:
        """From another thread, or a signal handler: end what runs."""
        self._is_stopping = True
        os.write(self._wake, b"\0")

    def _wait_for_place(self) -> bool:
        """Return when another connection may be accepted; False when none is any more."""
        with self._change:
            while len(self._visits) >= self._most and not self._is_stopping:
                self._change.wait(1.0)  # a signal handler cannot notify
        return not self._is_stopping

    def _welcome(self, port: Port) -> None:
        try:
            accepted = listener.accept(port.socket)
        except listener.NoDescriptorLeft:
            log.error("no file descriptor is left for another connection; raise the limit of open files")
            with self._change:
                self._change.wait(WAIT_FOR_DESCRIPTOR_SECONDS)
            return
        if accepted is None:
            return
        if port.is_tls and self._tls is not None:
            connection: Connection = TlsConnection(accepted, self._tls.accept())
        else:
            connection = Connection(accepted)
        visit = _Visit(self, connection)
        with self._change:
            self._visits.add(visit)
        threading.Thread(target=visit.run, daemon=True).start()

    def receive(self, connection: Connection) -> None:
        """Serve the one association of a connection, in this thread."""
        try:
            connection.shake_hands(Deadline.after(self._timeouts.acse))
            association = Association.accept(connection, self._decide, self._timeouts)
            if not isinstance(association, Rejection):
                self._serve(association)
        except ConnectionLost as error:
            log.log(logging.INFO, "association ended: %s", error, extra={"peer": connection.peer_host})
        except PeerError as error:
            log.log(logging.ERROR, "association ended: %s", error, extra={"peer": connection.peer_host})
        except Exception:
            log.exception("association ended by a defect")
        finally:
            connection.close()

    def left(self, visit: "_Visit") -> None:
        """A place is free again."""
        with self._change:
            self._visits.discard(visit)
            self._change.notify_all()


class _Visit:
    """One connection in a thread of its own."""

    def __init__(self, receiver: Receiver, connection: Connection) -> None:
        self._receiver = receiver
        self._connection = connection

    def run(self) -> None:
        try:
            self._receiver.receive(self._connection)
        finally:
            self._receiver.left(self)

    def end(self) -> None:
        self._connection.interrupt()
