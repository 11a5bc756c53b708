"""A peer that takes one answer of a C-FIND a second, beside another that stores."""

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from archive.upper_layer.connection import Connection
from benchmarks.load.callers import STUDY_ROOT_FIND, Load, association, find, studies
from benchmarks.load.figures import Figure, Row, Stage
from benchmarks.load.filled import fill
from benchmarks.load.service import Service, started

_STUDIES = 50_000  # more answers than the kernel keeps for a peer that does not take them
_BETWEEN_SECONDS = 1.0
_BURSTS = 3
_BURST_SECONDS = 5.0
_APART = 1_000_000  # numbers of the instances of two bursts
_BUFFER_BYTES = 4096
_LEAST_RATIO = 0.9  # what two spells on an idle machine differ by anyhow


@dataclass
class _SlowReader:
    """Takes an answer a second, until it is told to stop."""

    service: Service
    taken: int = 0

    def __post_init__(self) -> None:
        self._stopped = threading.Event()
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def start(self) -> None:
        """Begin, and wait for the first answer."""
        self._thread.start()
        self._begun.wait(60)

    def stop(self) -> None:
        """The peer goes away in the middle of its answers."""
        self._stopped.set()
        self._thread.join()

    def _read(self) -> None:
        try:
            with association(self.service, STUDY_ROOT_FIND, _narrow) as (exchange, context):
                for _ in find(exchange, context, studies()):
                    self.taken += 1
                    self._begun.set()
                    if self._stopped.wait(_BETWEEN_SECONDS):
                        exchange.association.abort()
                        return
        finally:
            self._begun.set()


def _narrow(sock: socket.socket) -> Connection:
    """A connection that takes in little, in its own buffer and in the kernel's."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
    return Connection(sock, buffer_bytes=_BUFFER_BYTES)


@dataclass
class _Bursts:
    """Stores for some seconds, again and again; every instance is another."""

    stage: Stage
    service: Service
    number: int = 0

    def some(self) -> list[float]:
        """The stores a second of each of some bursts."""
        return [self._one() for _ in range(_BURSTS)]

    def _one(self) -> float:
        self.number += 1
        load = Load(1, first=self.number * _APART, seconds=self.seconds)
        return self.stage.send(self.service, load).result().rate

    @property
    def seconds(self) -> float:
        """Of one burst."""
        return min(_BURST_SECONDS, self.stage.sizes.slow_reader_seconds / _BURSTS / 3)


def _measure(stage: Stage) -> Iterator[Figure]:
    settings = {"dimse_timeout": 0}  # else it ends an association whose peer takes so little
    with started(stage.archive, stage.folder, settings=settings) as service:
        stage.send(service, Load(1, first=0, each=1)).result()
        fill(service, _STUDIES)
        bursts, reader = _Bursts(stage, service), _SlowReader(service)
        without = bursts.some()
        reader.start()
        ends = time.monotonic() + stage.sizes.slow_reader_seconds
        beside = bursts.some()
        time.sleep(max(0.0, ends - time.monotonic() - _BURSTS * bursts.seconds))
        beside += bursts.some()
        taken, is_served = reader.taken, service.connections() > 0
        reader.stop()
        without += bursts.some()
    rate, rate_beside = median(without), median(beside)
    yield Figure("answers taken", taken)
    yield Figure("still being answered at the end (1: yes)", int(is_served), least=1)
    yield Figure("stores a second without it", rate)
    yield Figure("stores a second beside it", rate_beside)
    yield Figure("beside it : without it", rate_beside / rate, least=_LEAST_RATIO)


ROW = Row(
    "slow-reader",
    "a reader that takes one answer of a C-FIND a second",
    f"Of {_STUDIES} answers, through buffers of {_BUFFER_BYTES} bytes, so that the archive waits for it all the time; "
    "`dimse_timeout` is 0, as with the usual 60 s the archive ends an association whose peer takes next to nothing for "
    f"as long. One association stores small instances, before, beside and after it, in bursts of {_BURST_SECONDS:g} s.",
    _measure,
    "The keys of all that match are found in one short transaction, then 500 rows at a time in one of their own, and "
    "none is open while the archive waits for the peer. What waits is a thread with eight bytes for each answer.",
)
