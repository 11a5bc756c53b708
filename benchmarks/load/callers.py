"""The peers that make the load: our own upper layer as a client, in threads; each says what CPU it took itself.

What stores runs in a process of its own, so that whoever measures beside it does not wait for its interpreter.
"""

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count

from archive.dicom.encode import Encoder
from archive.dicom.uids import encoding_of
from archive.dimse import status
from archive.dimse.commands import CStoreRequest
from archive.dimse.exchange import Exchange
from archive.services import client, find_scu
from archive.services.find_scu import Answer
from archive.upper_layer.association import Association, Timeouts
from archive.upper_layer.connection import Connection, connect
from archive.upper_layer.proposal import Context, ProposedContext
from benchmarks.load import objects
from benchmarks.load.service import Service

STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
CALLING = "LOAD"
HOST = "127.0.0.1"
# Patient for a service that has much to do; without an end for whoever waits for its turn.
TIMEOUTS = Timeouts(acse=120, dimse=120, idle=None, response=600, connect=120)
CONTEXT_ID = 1


@contextmanager
def association(
    service: Service, abstract_syntax: str, make: Callable[..., Connection] = Connection
) -> Iterator[tuple[Exchange, Context]]:
    """An association with one presentation context, released at the end."""
    proposed = ProposedContext(CONTEXT_ID, abstract_syntax, (objects.TRANSFER_SYNTAX,))
    asked = client.proposal(CALLING, service.title, (proposed,))
    with (
        connect(HOST, service.port, TIMEOUTS.connect, make=make) as connection,
        Association.request(connection, asked, TIMEOUTS) as made,
    ):
        yield Exchange(made), made.contexts[CONTEXT_ID]


# Storing


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a load of stores."""

    acknowledged: int
    refused: int
    seconds: float
    """From the moment when all associations were there to the last answer."""
    slowest_seconds: float
    """The longest that one C-STORE waited for its answer."""
    cpu_seconds: float
    """Of the process that sent."""

    @property
    def rate(self) -> float:
        """Stores acknowledged a second."""
        return self.acknowledged / self.seconds


@dataclass(frozen=True, slots=True)
class Load:
    """Instances to be stored, side by side."""

    associations: int
    first: int
    """The number of the first instance; every instance of a run is another."""
    each: int = 0
    """How many each association stores, neighbours by number; 0: as many as go in `seconds`."""
    seconds: float = 0
    per_study: int = objects.INSTANCES_PER_STUDY
    side_pixels: int = objects.SMALL_SIDE_PIXELS

    def parts(self) -> list[range]:
        """What each association stores; none if that is not known beforehand."""
        ends = range(self.first, self.first + self.associations * self.each, self.each or 1)
        return [range(first, first + self.each) for first in ends]


@contextmanager
def elsewhere() -> Iterator[ProcessPoolExecutor]:
    """A process that calls."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        pool.submit(_ready).result()  # what it imports is not measured
        yield pool


def _ready() -> None:
    """The process has started."""


def store(service: Service, load: Load) -> Stored:
    """Store what is asked for; every association is there before the first store. Raises PeerError."""
    cpu_before = time.process_time()
    mould = objects.Mould(load.per_study, load.side_pixels)
    begun = threading.Barrier(load.associations + 1)
    endless = _UntilTold(load.first)
    each_stores = load.parts() or [endless] * load.associations
    storing = [_Storing(service, mould, numbers, begun) for numbers in each_stores]
    threads = [threading.Thread(target=each.run, daemon=True) for each in storing]
    for thread in threads:
        thread.start()
    with suppress(threading.BrokenBarrierError):  # an association failed, and says why below
        begun.wait(TIMEOUTS.acse)
    began = time.perf_counter()
    time.sleep(load.seconds)
    endless.stop()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    for each in storing:
        if each.error is not None:
            raise each.error
    return Stored(
        acknowledged=sum(each.acknowledged for each in storing),
        refused=sum(each.refused for each in storing),
        seconds=seconds,
        slowest_seconds=max(each.slowest_seconds for each in storing),
        cpu_seconds=time.process_time() - cpu_before,
    )


class _UntilTold:
    """Gives every instance to one of the associations, until it is told to stop."""

    def __init__(self, first: int) -> None:
        self._counted = count(first)
        self._lock = threading.Lock()
        self._is_over = False

    def stop(self) -> None:
        self._is_over = True

    def __iter__(self) -> Iterator[int]:
        while not self._is_over:
            with self._lock:
                number = next(self._counted)
            yield number


class _Storing:
    """One association that stores."""

    def __init__(
        self, service: Service, mould: objects.Mould, numbers: Iterable[int], begun: threading.Barrier
    ) -> None:
        self._service, self._mould, self._numbers, self._begun = service, mould, numbers, begun
        self.acknowledged = self.refused = 0
        self.slowest_seconds = 0.0
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            with association(self._service, objects.SOP_CLASS) as (exchange, context):
                self._begun.wait(TIMEOUTS.acse)
                for number in self._numbers:
                    self._store(exchange, context, number)
        except Exception as error:  # noqa: BLE001 - raised in the thread that asked
            self.error = error
            self._begun.abort()

    def _store(self, exchange: Exchange, context: Context, number: int) -> None:
        request = CStoreRequest(
            message_id=exchange.next_message_id(),
            affected_sop_class_uid=objects.SOP_CLASS,
            affected_sop_instance_uid=objects.uid(objects.INSTANCE, number),
        )
        data_set = self._mould.data_set(number)
        began = time.perf_counter()
        response = exchange.ask(context, request, data_set)
        self.slowest_seconds = max(self.slowest_seconds, time.perf_counter() - began)
        if response.status == status.SUCCESS:
            self.acknowledged += 1
        else:
            self.refused += 1


# Finding


def identifier(*elements: tuple[int, str, str]) -> bytes:
    """An identifier of tags, VRs and values, in ascending order of tags."""
    encoder = Encoder(encoding_of(objects.TRANSFER_SYNTAX))
    return b"".join(encoder.element(tag, vr, value.encode("ascii")) for tag, vr, value in elements)


def studies(patient_id: str = "") -> bytes:
    """The identifier that asks for all studies, or for those of a patient."""
    return identifier(
        (0x00080020, "DA", ""),
        (0x00080030, "TM", ""),
        (0x00080050, "SH", ""),
        (0x00080052, "CS", "STUDY"),
        (0x00100010, "PN", ""),
        (0x00100020, "LO", patient_id),
        (0x0020000D, "UI", ""),
        (0x00200010, "SH", ""),
    )


def find(exchange: Exchange, context: Context, asked: bytes) -> Iterator[Answer]:
    """The answers to a C-FIND, the final one last; raises PeerError."""
    return find_scu.find(exchange, context, exchange.next_message_id(), asked)


def count_answers(exchange: Exchange, context: Context, asked: bytes) -> int:
    """How many entities are found; raises PeerError, and RuntimeError where the last answer is a failure."""
    found = 0
    for answer in find(exchange, context, asked):
        if not answer.is_final:
            found += 1
        elif answer.response.status != status.SUCCESS:
            raise RuntimeError(f"the C-FIND ended with {answer.response.status:04X}")
    return found


@dataclass(frozen=True, slots=True)
class Found:
    """What became of a load of finds."""

    finds: int
    seconds: float
    cpu_seconds: float
    """Of the process that asked."""

    @property
    def rate(self) -> float:
        """Finds a second."""
        return self.finds / self.seconds


def find_for(service: Service, associations: int, seconds: float, studies_held: int) -> Found:
    """Find the study of one Patient ID after the other for so long; raises PeerError."""
    cpu_before = time.process_time()
    began = time.perf_counter()
    with ThreadPoolExecutor(associations) as pool:
        finding = [pool.submit(_find_until, service, began + seconds, studies_held) for _ in range(associations)]
        finds = sum(each.result() for each in finding)
    return Found(finds, time.perf_counter() - began, time.process_time() - cpu_before)


def _find_until(service: Service, until: float, studies_held: int) -> int:
    with association(service, STUDY_ROOT_FIND) as (exchange, context):
        finds = 0
        while time.perf_counter() < until:
            if count_answers(exchange, context, studies(objects.patient_id(finds % studies_held))) != 1:
                raise RuntimeError("a Patient ID is not found once")
            finds += 1
    return finds
