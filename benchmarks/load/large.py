"""Large things: one object of 2 GB, a study of 20,000 instances, a query with 200,000 answers."""

import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archive.dimse import status
from archive.dimse.commands import CGetRequest, CMoveRequest, CStoreRequest, SubOperationsResponse
from archive.dimse.exchange import Exchange
from archive.services import client, move_scu
from archive.upper_layer.proposal import ProposedContext, Role
from benchmarks.clients import NO_DELAY
from benchmarks.load import objects
from benchmarks.load.callers import (
    CALLING,
    HOST,
    STUDY_ROOT_FIND,
    TIMEOUTS,
    Load,
    association,
    count_answers,
    identifier,
    studies,
)
from benchmarks.load.figures import MEBIBYTE, MEGABYTE, MOST_MEMORY_MEBIBYTES, Figure, Row, Stage
from benchmarks.load.filled import fill
from benchmarks.load.service import Service, Watch, started
from benchmarks.peers import DESTINATION
from scripts.background import Background, free_port

_STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
_STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"
_SENDERS = 4
_GET, _STORE = 1, 3  # presentation contexts


class WentWrong(RuntimeError):
    """A figure would mean nothing."""


@contextmanager
def _receiver(folder: Path) -> Iterator[int]:
    """A peer that receives and drops; the port it listens on."""
    port = free_port()
    command = [sys.executable, "-m", "archive", "storescp", "-q", "--ignore", "--aetitle", DESTINATION, str(port)]
    process = Background(command, folder / "receiver.log", environment=NO_DELAY)
    try:
        process.wait_listening(port)
        yield port
    finally:
        process.stop()


def _memory(title: str, watch: Watch) -> Iterator[Figure]:
    grown, seen = watch.growth_bytes / MEBIBYTE, watch.sampled_growth_bytes / MEBIBYTE
    yield Figure(f"{title}: memory more than idle, MiB (marks)", grown, most=MOST_MEMORY_MEBIBYTES)
    yield Figure(f"{title}: memory more than idle, MiB (PSS)", seen, most=MOST_MEMORY_MEBIBYTES)


# One object


def _large_object(stage: Stage) -> Iterator[Figure]:
    made = objects.LargeInstance(stage.sizes.frames)
    with _receiver(stage.folder) as port, started(stage.archive, stage.folder, port) as service:
        _touch(service)
        yield Figure("size, MB", made.size_bytes / MEGABYTE)
        for title, do in (("C-STORE", _store), ("C-GET", _get), ("C-MOVE", _move_object)):
            began = time.perf_counter()
            with Watch(service) as watch:
                do(service, made)
                seconds = time.perf_counter() - began
            yield Figure(f"{title}, MB/s", made.size_bytes / MEGABYTE / seconds)
            yield from _memory(title, watch)


def _touch(service: Service) -> None:
    """A few finds, so that every worker has loaded what it loads once."""
    for _ in range(8):
        with association(service, STUDY_ROOT_FIND) as (exchange, context):
            count_answers(exchange, context, studies(objects.patient_id(0)))


def _store(service: Service, made: objects.LargeInstance) -> None:
    with association(service, objects.MULTI_FRAME) as (exchange, context):
        request = CStoreRequest(
            message_id=1,
            affected_sop_class_uid=objects.MULTI_FRAME,
            affected_sop_instance_uid=objects.uid(objects.INSTANCE, 0),
        )
        if (answer := exchange.ask(context, request, made.pieces())).status != status.SUCCESS:
            raise WentWrong(f"the C-STORE was answered with {answer.status:04X}")


def _get(service: Service, made: objects.LargeInstance) -> None:
    contexts = (
        ProposedContext(_GET, _STUDY_ROOT_GET, (objects.TRANSFER_SYNTAX,)),
        ProposedContext(_STORE, objects.MULTI_FRAME, (objects.TRANSFER_SYNTAX,)),
    )
    roles = (Role(objects.MULTI_FRAME, scu=False, scp=True),)
    with client.associate(
        HOST, service.port, called=service.title, calling=CALLING, contexts=contexts, timeouts=TIMEOUTS, roles=roles
    ) as exchange:
        request = CGetRequest(message_id=1, affected_sop_class_uid=_STUDY_ROOT_GET)
        exchange.send(exchange.association.contexts[_GET], request, _study(0))
        if (got := list(_received(exchange))) != [made.checksum]:
            raise WentWrong(f"the C-GET brought {len(got)} objects, and not the one that was stored")


def _received(exchange: Exchange) -> Iterator[int]:
    """The CRC-32 of each data set that a C-GET brings."""
    while True:
        command = exchange.receive_response(1).command
        if isinstance(command, CStoreRequest):
            checksum = 0
            for fragment in exchange.data_set():
                checksum = zlib.crc32(fragment, checksum)
            exchange.respond(command.answer(status.SUCCESS))
            yield checksum
        elif isinstance(command, SubOperationsResponse) and not status.is_pending(command.status):
            return


def _study(number: int) -> bytes:
    return identifier((0x00080052, "CS", "STUDY"), (0x0020000D, "UI", objects.uid(objects.STUDY, number)))


def _move_object(service: Service, _: objects.LargeInstance) -> None:
    _move(service, 1)


def _move(service: Service, instances: int) -> None:
    with association(service, _STUDY_ROOT_MOVE) as (exchange, context):
        request = CMoveRequest(message_id=1, affected_sop_class_uid=_STUDY_ROOT_MOVE, move_destination=DESTINATION)
        *_, last = move_scu.move(exchange, context, request, _study(0))
    if last.response.status != status.SUCCESS or last.response.completed != instances:
        raise WentWrong(f"of {instances} instances {last.response.completed} were moved: {last.response.status:04X}")


# Many


def _large_study(stage: Stage) -> Iterator[Figure]:
    number = stage.sizes.study_instances
    with _receiver(stage.folder) as port, started(stage.archive, stage.folder, port) as service:
        each = number // _SENDERS
        _touch(service)
        with Watch(service) as watch:
            stored = stage.send(service, Load(_SENDERS, first=0, each=each, per_study=number)).result()
        yield Figure("stored, /s", stored.rate)
        yield from _memory("C-STORE", watch)
        began = time.perf_counter()
        with Watch(service) as watch:
            _move(service, number)
        yield Figure("C-MOVE, instances a second", number / (time.perf_counter() - began))
        yield from _memory("C-MOVE", watch)


def _many_answers(stage: Stage) -> Iterator[Figure]:
    number = stage.sizes.answers
    with started(stage.archive, stage.folder) as service:
        stage.send(service, Load(1, first=0, each=1)).result()
        fill(service, number - 1)
        _touch(service)
        with association(service, STUDY_ROOT_FIND) as (exchange, context), Watch(service) as watch:
            began = time.perf_counter()
            if (found := count_answers(exchange, context, studies())) != number:
                raise WentWrong(f"the C-FIND had {found} answers instead of {number}")
            seconds = time.perf_counter() - began
        yield Figure("answers a second", number / seconds)
        yield from _memory("C-FIND", watch)


OBJECT = Row(
    "large-object",
    "one multi-frame object",
    "Sent in pieces of 1 MiB that are made on the way; C-GET is held against the checksum of what was sent, C-MOVE "
    "goes to `archive storescp --ignore`. Memory is that of all processes, over what they held before: by the mark "
    "that the kernel keeps of the most that each ever held (not all at one time: too much rather than too little), and "
    "by 20 looks a second at what they hold together.",
    _large_object,
    "Bytes come through the association's one buffer and leave from one of 1 MiB. Neither grows with the object.",
)
STUDY = Row(
    "large-study",
    "one study of many instances",
    f"Small instances, stored over {_SENDERS} associations, then moved by one C-MOVE to `archive storescp --ignore`.",
    _large_study,
)
ANSWERS = Row(
    "answers",
    "one C-FIND with many answers",
    "All studies, with seven attributes each; all but one are rows that were made by bulk insert.",
    _many_answers,
    "What grows with the number of answers is a key of eight bytes for each, and what the database keeps for a moment "
    "while it finds them.",
)
