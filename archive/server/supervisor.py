"""The parent of all processes of a service: binds the ports, starts the workers, starts them again, ends them.

It opens no database and has one thread, so that it can fork at any time. Workers learn of its death by a pipe whose
other end only it holds.
"""

import logging
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from archive.dicom import elements
from archive.errors import ArchiveError, Misconfigured
from archive.server import housekeeping, listener, wiring, worker
from archive.server.listener import Port
from archive.server.occupancy import Occupancy, Places
from archive.settings import Settings
from archive.upper_layer.tls import Tls

log = logging.getLogger(__name__)

_WATCHED = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, worker.END_OF_SERVICE)

# A process that ends sooner than this after its start has a cause that a restart will not cure ...
QUICK_DEATH_SECONDS = 2.0
# ... so after this many in a row the service gives up, and says so, rather than burn a core.
MOST_QUICK_DEATHS = 5
# What a process gets beyond the drain limit to close its files.
GRACE_SECONDS = 5.0

HOUSEKEEPING = -1

# In the data folder, where the ports are written to: without TLS and with it.
_PORT_FILES = ("archive.port", "archive.tls-port")

# A tag that our own tables do not know: asking for it loads the dictionary, before the first peer has to wait for that.
_UNKNOWN_TAG = 0x0018FFFE


def run(settings: Settings, ports: Sequence[Port] | None = None) -> int:
    """Serve until SIGTERM, SIGINT, or a peer who may ends it; at `ports`, if the caller listens on them already.

    Returns the exit code: 0 when told to stop, 1 when workers cannot live.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)  # from here on signals wait until we ask for them
    _prepare_for_workers()
    check_tls(settings)
    ports = listen(settings) if ports is None else ports
    files = {settings.data_folder / _PORT_FILES[port.is_tls]: f"{port.number}\n" for port in ports}
    for file, number in files.items():
        file.write_text(number, encoding="ascii")
    supervisor = Supervisor(settings, ports)
    supervisor.start()
    for port in ports:
        print(f"listening on {port}", flush=True)
    try:
        return supervisor.watch()
    finally:
        for file, number in files.items():
            if _read(file) == number:  # else it is another node's, which shares the folder
                file.unlink(missing_ok=True)


def check_tls(settings: Settings) -> None:
    """Read the files that are named for TLS; raises Misconfigured."""
    if settings.uses_tls:
        Tls(wiring.tls_policy(settings)).check()


def listen(settings: Settings) -> tuple[Port, ...]:
    """The ports that callers may use; raises Misconfigured."""
    chosen = ((settings.port, False), (settings.tls_port, True))
    ports = [
        Port(each, is_tls)
        for number, is_tls in chosen
        if isinstance(number, int)
        for each in listener.bind(settings.hosts, number)
    ]
    if not ports:
        raise Misconfigured("port and tls_port are both off: nobody could call the archive")
    return tuple(ports)


class Supervisor:
    """The processes of one service."""

    def __init__(self, settings: Settings, ports: Sequence[Port]) -> None:
        self._settings = settings
        self._process = os.getpid()
        self._ports = tuple(ports)
        # What tells this service from the others on its database, and is the same when it is started again.
        self._node = f"{os.uname().nodename}/{self._ports[0].address}"
        self._occupancy = Occupancy(settings.worker_count, settings.max_associations)
        self._lifeline, self._alive = os.pipe()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._processes: dict[int, int] = {}  # process ID -> number of the worker, or HOUSEKEEPING
        self._started_at: dict[int, float] = {}
        self._quick_deaths = 0

    def start(self) -> None:
        """Start every process."""
        for number in (*range(self._settings.worker_count), HOUSEKEEPING):
            self._start(number)

    def watch(self) -> int:
        """Wait for what happens, and act on it, until told to stop."""
        while True:
            if signal.sigwait(_WATCHED) != signal.SIGCHLD:
                return self._stop()
            for process, number in self._buried():
                lived = time.monotonic() - self._started_at.pop(process)
                self._quick_deaths = self._quick_deaths + 1 if lived < QUICK_DEATH_SECONDS else 0
                log.error("%s %d ended and is started again", _name(number), process)
                if number != HOUSEKEEPING:
                    self._occupancy.clear(number)
                if self._quick_deaths >= MOST_QUICK_DEATHS:
                    log.critical("processes end as soon as they start; the service gives up")
                    self._stop()
                    return 1
                self._start(number)

    def _start(self, number: int) -> None:
        process = os.fork()
        if process:
            self._processes[process] = number
            self._started_at[process] = time.monotonic()
            return
        _become(lambda: self._serve(number))

    def _serve(self, number: int) -> None:
        """In the new process: be a worker, or do the housekeeping."""
        os.close(self._alive)
        if number == HOUSEKEEPING:
            self._close_ports()
            housekeeping.run(self._settings, self._node, self._wake_read, self._lifeline)
            return
        places = Places(self._occupancy, number)
        post = worker.Post(self._node, self._process, number, self._ports, self._lifeline, self._wake_write, places)
        worker.run(self._settings, post)

    def _buried(self) -> list[tuple[int, int]]:
        """The processes that have ended, each with its number."""
        ended = []
        while self._processes:
            process, _ = os.waitpid(-1, os.WNOHANG)
            if process == 0:
                break
            ended.append((process, self._processes.pop(process)))
        return ended

    def _stop(self) -> int:
        """Tell all to drain, wait for them within limits, then end them; told again, end them at once."""
        self._close_ports()
        self._tell_to_end()
        limit = self._settings.drain_timeout
        deadline = time.monotonic() + (limit + GRACE_SECONDS if limit else threading.TIMEOUT_MAX)
        while self._processes:
            remaining = deadline - time.monotonic()
            received = signal.sigtimedwait(_WATCHED, remaining) if remaining > 0 else None
            if received is None:
                self._signal(self._processes, signal.SIGKILL)
                deadline = time.monotonic() + GRACE_SECONDS
            elif received.si_signo not in (signal.SIGCHLD, worker.END_OF_SERVICE):
                self._tell_to_end()
            self._buried()
            if not self._workers():  # whenever the last of them was buried; told twice does no harm
                self._tell_to_end()
        return 0

    def _close_ports(self) -> None:
        for port in self._ports:
            port.socket.close()

    def _tell_to_end(self) -> None:
        """The workers first: what they still store is left to the housekeeping."""
        self._signal(self._workers() or self._processes, signal.SIGTERM)

    def _workers(self) -> list[int]:
        return [process for process, number in self._processes.items() if number != HOUSEKEEPING]

    def _signal(self, processes: Iterable[int], which: signal.Signals) -> None:
        for process in processes:
            os.kill(process, which)  # ours until we have waited for it, so never a stranger


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except FileNotFoundError:
        return ""


def _prepare_for_workers() -> None:
    """What all processes inherit: as many open files as are allowed, and the dictionary that they share in memory."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    elements.vr_of(_UNKNOWN_TAG)


def _become(serve: Callable[[], None]) -> None:
    """In a forked process: run, and end the process whatever happens, without the parent's exit handlers."""
    code = 1
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
        serve()
        code = 0
    except ArchiveError as error:
        log.critical("%s", error)
    except BaseException:
        log.critical("a process of the service ended by a defect", exc_info=True)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _name(number: int) -> str:
    return "housekeeping process" if number == HOUSEKEEPING else f"worker {number}"
