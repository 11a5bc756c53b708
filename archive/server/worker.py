"""One worker process: accept connections, an association to a thread, until told to drain.

The main thread waits for connections and signals in one poll. SIGTERM drains: idle associations end at once, running
operations may finish within `drain_timeout`; a second SIGTERM, or the end of the supervisor's lifeline during a drain,
ends everything. New connections are refused from the first moment: the listening socket is closed.
"""

import contextlib
import itertools
import logging
import os
import select
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass

from archive.errors import ArchiveError, PeerError
from archive.server import listener, wiring
from archive.server.occupancy import Places
from archive.services import dispatch
from archive.services.admission import Admission
from archive.settings import Settings
from archive.upper_layer.association import Association
from archive.upper_layer.connection import Connection
from archive.upper_layer.proposal import Rejection

log = logging.getLogger(__name__)

# Connections beyond the associations that a service may hold: they are being told so, or have not asked yet.
UNDECIDED_CONNECTIONS = 256

# Without a free descriptor the poll would come back at once, again and again.
WAIT_FOR_DESCRIPTOR_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Post:
    """What the supervisor hands to a worker."""

    number: int
    listening: listener.Socket
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


class Worker:
    """The accepting thread and what it knows of its associations."""

    def __init__(self, settings: Settings, post: Post, signals: int) -> None:
        self._settings = settings
        self._post = post
        self._signals = signals
        self._archive = wiring.assemble(settings, worker=post.number, wake_housekeeping=self._wake_housekeeping)
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
        ready = select.poll()
        for source in (self._post.listening.fileno(), self._signals, self._post.lifeline):
            ready.register(source, select.POLLIN)
        while True:
            events = {descriptor for descriptor, _ in ready.poll()}
            if self._signals in events or self._post.lifeline in events:
                break
            self._welcome()
        self._post.listening.close()
        self._drain()

    def _wake_housekeeping(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full of bytes: it is awake
            os.write(self._post.wake_housekeeping, b"\0")

    def _welcome(self) -> None:
        try:
            accepted = listener.accept(self._post.listening)
        except listener.NoDescriptorLeft:
            log.log(logging.ERROR, "no file descriptor is left for another connection; raise the limit of open files")
            with self._change:
                self._change.wait(WAIT_FOR_DESCRIPTOR_SECONDS)  # for an association to end
            return
        if accepted is None:
            return
        with self._change:
            if len(self._visits) >= self._settings.max_associations + UNDECIDED_CONNECTIONS:
                accepted.close()
                return
        visit = Visit(next(self._numbers), accepted, self._archive, self._post.places, self._left)
        with self._change:
            self._visits[visit.number] = visit
        try:
            threading.Thread(target=visit.run, name=f"association {visit.number}", daemon=True).start()
        except RuntimeError:  # the system has no thread for us
            log.exception("a connection was turned away")
            accepted.close()
            self._left(visit)

    def _left(self, visit: "Visit") -> None:
        with self._change:
            self._visits.pop(visit.number, None)
            self._change.notify_all()

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
        archive: wiring.Archive,
        places: Places,
        left: Callable[["Visit"], None],
    ) -> None:
        self.number = number
        self._accepted = accepted
        self._archive = archive
        self._places = places
        self._left = left
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._association: Association | None = None
        self._is_ending = False
        self._has_place = False

    def run(self) -> None:
        """Serve the association; whatever happens here ends this association and nothing else."""
        try:
            self._serve()
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
            if self._has_place:
                self._places.give_back()
            self._left(self)

    def _serve(self) -> None:
        connection = Connection(self._accepted)
        with self._lock:
            self._connection = connection
            if self._is_ending:
                return
        admission = Admission(self._archive.registry.current, self._take_place, self._archive.settings.max_pdu)
        association = Association.accept(connection, admission.decide, self._archive.timeouts)
        if isinstance(association, Rejection):
            return
        with self._lock:
            self._association = association
            if self._is_ending:
                association.end_when_idle()
        assert admission.admitted is not None
        dispatch.serve(association, admission.admitted, self._archive.services, number=self.number)

    def _take_place(self) -> bool:
        self._has_place = self._places.take()
        return self._has_place

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
