"""One worker process: accept connections, an association to a thread, until told to drain.

The main thread waits for connections and signals in one poll. SIGTERM drains: idle associations end at once, running
operations may finish within `drain_timeout`; a second SIGTERM, or the end of the supervisor's lifeline during a drain,
ends everything. New connections are refused from the first moment: the listening socket is closed.
"""

import contextlib
import gc
import itertools
import logging
import os
import select
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass

from archive.database import transaction
from archive.errors import ArchiveError, ConnectionLost, DeadlineExpired, PeerError, TlsFailed
from archive.lifecycle.activity import Admittance, Caller, Entry, Station
from archive.registry import audit
from archive.registry.networks import plain
from archive.server import listener, wiring
from archive.server.listener import Port
from archive.server.occupancy import Places, Token
from archive.services import admission, dispatch
from archive.services.admission import Admission
from archive.services.places import Place, Wanted
from archive.settings import Settings
from archive.upper_layer.association import Association
from archive.upper_layer.connection import Connection, Deadline
from archive.upper_layer.proposal import TRY_LATER, Proposal, Rejection
from archive.upper_layer.resolver import name_of
from archive.upper_layer.tls_connection import TlsConnection

log = logging.getLogger(__name__)

# Connections beyond the associations that a service may hold: they are being told so, or have not asked yet.
UNDECIDED_CONNECTIONS = 256

# For the last of the access log, within what the supervisor grants beyond the drain limit.
LAST_WRITE_SECONDS = 3.0

# Without a free descriptor the poll would come back at once, again and again.
WAIT_FOR_DESCRIPTOR_SECONDS = 1.0


# Objects that hold others, made and not yet gone, before Python looks for circles among them. Its own 700 come together
# while one message is served, and what is found is nothing: looking took 6 % of a store.
GARBAGE_OBJECTS = 20_000


# What an association may wait for the name of its caller, where names are looked up.
HOST_LOOKUP_SECONDS = 1.0


# Tells the supervisor that a peer who may has asked for the end of the service.
END_OF_SERVICE = signal.SIGUSR1


@dataclass(frozen=True, slots=True)
class Post:
    """What the supervisor hands to a worker."""

    node: str  # as in the access log and the books of housekeeping
    supervisor: int  # its process ID
    number: int
    ports: tuple[Port, ...]
    lifeline: int  # readable, at its end, when the supervisor is gone
    wake_housekeeping: int  # a byte written here says: files are queued to be unlinked
    places: Places


def run(settings: Settings, post: Post) -> None:
    """Serve until told to stop."""
    signals, wakeup = os.pipe()
    for descriptor in (signals, wakeup):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, lambda *_: None)  # the byte in the pipe is what counts
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the supervisor decides
    Worker(settings, post, signals).serve()


def _collect_seldom() -> None:
    """What serves for good is no garbage, and what a message leaves behind goes without the collector."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS)


class Worker:
    """The accepting thread and what it knows of its associations."""

    def __init__(self, settings: Settings, post: Post, signals: int) -> None:
        self._settings = settings
        self._post = post
        self._signals = signals
        station = Station(post.node, post.number)
        self._archive = wiring.assemble(settings, station, wake_housekeeping=self._wake_housekeeping)
        self._numbers = itertools.count(1)
        self._visits: dict[int, Visit] = {}
        self._change = threading.Condition()
        self._told_again = False
        self._warm_up()

    def _warm_up(self) -> None:
        """Open the database before the first peer waits for it; if it is not there yet, peers are told to try later."""
        try:
            self._archive.registry.current()
            self._archive.database.prepare_for_writers()
        except ArchiveError as error:
            log.log(logging.ERROR, "the database does not answer: %s", error)

    def serve(self) -> None:
        """Accept until a signal or the end of the supervisor, then drain."""
        _collect_seldom()
        self._archive.recorder.start()
        ready = select.poll()
        ports = {port.socket.fileno(): port for port in self._post.ports}
        for source in (*ports, self._signals, self._post.lifeline):
            ready.register(source, select.POLLIN)
        while True:
            events = {descriptor for descriptor, _ in ready.poll()}
            if self._signals in events or self._post.lifeline in events:
                break
            for descriptor in events:
                self._welcome(ports[descriptor])
        for port in self._post.ports:
            port.socket.close()
        self._drain()

    def _wake_housekeeping(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full of bytes: it is awake
            os.write(self._post.wake_housekeeping, b"\0")

    def _welcome(self, port: Port) -> None:
        try:
            accepted = listener.accept(port.socket)
        except listener.NoDescriptorLeft:
            log.log(logging.ERROR, "no file descriptor is left for another connection; raise the limit of open files")
            with self._change:
                self._change.wait(WAIT_FOR_DESCRIPTOR_SECONDS)  # for an association to end
            return
        if accepted is None:
            return
        with self._change:
            if len(self._visits) >= self._settings.max_associations + UNDECIDED_CONNECTIONS:
                self._archive.recorder.closed(_address(accepted), "Too many connections")
                accepted.close()
                return
        places, left, end = self._post.places, self._left, self._end_service
        visit = Visit(next(self._numbers), accepted, port.is_tls, self._archive, places, left, end)
        with self._change:
            self._visits[visit.number] = visit
        try:
            threading.Thread(target=visit.run, name=f"association {visit.number}", daemon=True).start()
        except RuntimeError:  # the system has no thread for us
            log.exception("a connection was turned away")
            self._archive.recorder.closed(_address(accepted), "No thread is left for another connection")
            accepted.close()
            self._left(visit)

    def _left(self, visit: "Visit") -> None:
        with self._change:
            self._visits.pop(visit.number, None)
            self._change.notify_all()

    def _end_service(self, request: Proposal) -> None:
        """A peer who may has asked for the end of the service: write that down, and tell the supervisor."""
        fields = {"calling": request.calling_ae_title, "called": request.called_ae_title, "peer": request.peer_host}
        log.warning("a peer ends the service", extra=fields)
        after = {"calling_ae_title": request.calling_ae_title, "address": request.peer_host}
        try:
            transaction.write(
                self._archive.database,
                lambda connection: audit.note(connection, "shutdown", "service", request.called_ae_title, after=after),
            )
        except ArchiveError as error:
            log.log(logging.ERROR, "there is no note of it: %s", error)
        if os.getppid() == self._post.supervisor:  # else it is gone, and its lifeline ends us
            os.kill(self._post.supervisor, END_OF_SERVICE)

    def _drain(self) -> None:
        """Let running operations end, within limits, and then everything else."""
        for visit in self._all():
            visit.end_when_idle()
        with contextlib.suppress(BlockingIOError):
            os.read(self._signals, 4096)  # the byte that told us
        threading.Thread(target=self._watch_for_second_signal, daemon=True).start()
        with self._change:
            self._change.wait_for(lambda: not self._visits or self._told_again, self._settings.drain_timeout or None)
        for visit in self._all():
            visit.end()
        with self._change:
            self._change.wait_for(lambda: not self._visits, 1.0)
        self._archive.recorder.close(LAST_WRITE_SECONDS)
        self._archive.database.close()

    def _watch_for_second_signal(self) -> None:
        waiting = select.poll()
        waiting.register(self._signals, select.POLLIN)
        waiting.poll()
        with self._change:
            self._told_again = True
            self._change.notify_all()

    def _all(self) -> list["Visit"]:
        with self._change:
            return list(self._visits.values())


class Visit:
    """One connection from its acceptance to its end, in a thread of its own."""

    def __init__(
        self,
        number: int,
        accepted: listener.Socket,
        is_tls: bool,
        archive: wiring.Archive,
        places: Places,
        left: Callable[["Visit"], None],
        end_service: Callable[[Proposal], None],
    ) -> None:
        self.number = number
        self._accepted = accepted
        self._is_tls = is_tls
        self._archive = archive
        self._places = places
        self._left = left
        self._end_service = end_service
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._association: Association | None = None
        self._is_ending = False
        self._token: Token | None = None

    def run(self) -> None:
        """Serve the association; whatever happens here ends this association and nothing else."""
        try:
            self._serve()
        except TlsFailed as error:
            peer = self._connection.peer_host if self._connection is not None else None
            log.warning("connection ended: %s", error, extra={"association": self.number, "peer": peer})
        except PeerError as error:
            log.info("association ended: %s", error, extra={"association": self.number})
        except ArchiveError as error:
            log.log(logging.ERROR, "association ended: %s", error, extra={"association": self.number})
        except Exception:
            log.exception("association ended by a defect", extra={"association": self.number})
        finally:
            if self._connection is not None:
                self._connection.close()
            else:
                self._accepted.close()
            if self._token is not None:
                self._token.give_back()
            self._left(self)

    def _serve(self) -> None:
        connection = self._connect()
        with self._lock:
            self._connection = connection
            if self._is_ending:
                return
        current_registry = self._archive.registry.current
        welcome = admission.welcome(current_registry, connection.peer_host)
        if not welcome.allowed:
            self._archive.recorder.closed(connection.peer_host, welcome.reason)
            return
        try:
            connection.shake_hands(Deadline.after(self._archive.timeouts.acse))
        except TlsFailed as error:
            self._archive.recorder.closed(connection.peer_host, str(error))
            raise
        settings = self._archive.settings
        host_name = name_of(plain(connection.peer_host), HOST_LOOKUP_SECONDS) if settings.looks_up_hosts else None
        decision = Admission(current_registry, self._take_place, settings.max_pdu, host_name)
        try:
            association = Association.accept(connection, decision.decide, self._archive.timeouts)
        except PeerError as error:
            self._note_end_of(decision, connection, error)
            raise
        except Exception as error:
            code, reason = _shown(TRY_LATER), f"A defect of the archive: {type(error).__name__}"
            self._archive.recorder.rejected(_caller(decision, connection), code, reason)
            raise
        caller = _caller(decision, connection)
        if isinstance(association, Rejection):
            reason = decision.rejected_because or "Another protocol version or application context than that of PS3.8"
            self._archive.recorder.rejected(caller, _shown(association), reason)
            if decision.ends_service is not None:
                self._end_service(decision.ends_service)
            return
        with self._entry(decision, caller, association) as entry:
            self._serve_association(association, decision, entry)

    def _serve_association(self, association: Association, decision: Admission, entry: Entry) -> None:
        with self._lock:
            self._association = association
            if self._is_ending:
                association.end_when_idle()
        assert decision.admitted is not None
        association.timeouts = decision.admitted.timeouts(self._archive.timeouts)
        dispatch.serve(association, decision.admitted, self._archive.services, entry, number=self.number)

    def _entry(self, decision: Admission, caller: Caller, association: Association) -> Entry:
        """What will be written of this association in the access log."""
        assert decision.admitted is not None
        accepted, proposed = len(association.contexts), len(association.proposal.contexts)
        area = decision.admitted.title.area.name
        admittance = Admittance(area, accepted, proposed - accepted, decision.refused)
        connection = association.connection
        return self._archive.recorder.accepted(
            caller, admittance, lambda: (connection.received_bytes, connection.sent_bytes)
        )

    def _note_end_of(self, decision: Admission, connection: Connection, error: PeerError) -> None:
        """There will be no association; a connection on which nobody asked for one is no matter for the log."""
        if decision.request is not None or not isinstance(error, ConnectionLost | DeadlineExpired):
            self._archive.recorder.aborted(_caller(decision, connection), str(error))

    def _take_place(self, wanted: Wanted) -> Place:
        place, self._token = self._places.take(wanted)
        return place

    def _connect(self) -> Connection:
        if self._is_tls:
            return TlsConnection(self._accepted, self._archive.tls.accept())
        return Connection(self._accepted)

    def end_when_idle(self) -> None:
        """From another thread: end now if no operation runs, else when it is done."""
        with self._lock:
            self._is_ending = True
            if self._association is not None:
                self._association.end_when_idle()
            elif self._connection is not None:
                self._connection.interrupt()

    def end(self) -> None:
        """From another thread: end now."""
        with self._lock:
            self._is_ending = True
            if self._association is not None:
                self._association.end()
            elif self._connection is not None:
                self._connection.interrupt()


def _caller(decision: Admission, connection: Connection) -> Caller:
    request = decision.request
    if request is None:
        return Caller(connection.peer_host)
    version = request.implementation_version_name
    return Caller(connection.peer_host, request.called_ae_title, request.calling_ae_title, version)


def _shown(rejection: Rejection) -> str:
    return f"{rejection.result}/{rejection.source}/{rejection.reason}"


def _address(accepted: listener.Socket) -> str:
    """Where a connection comes from, as far as it can still be told."""
    try:
        return str(accepted.getpeername()[0])
    except OSError:
        return ""
