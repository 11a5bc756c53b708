"""Associations that do nothing: what they cost while they wait."""

import resource
import time
from collections.abc import Iterator
from contextlib import ExitStack

from archive.services import client
from archive.services.store_scu import USUAL_SOP_CLASSES, portions
from benchmarks.load import objects
from benchmarks.load.callers import CALLING, HOST, TIMEOUTS
from benchmarks.load.figures import Figure, Row, Stage
from benchmarks.load.service import Service, started

_SETTLED_SECONDS = 3.0  # a quiet peer's buffer is given back after a second, and so is the access log written
_FIRST = 8  # so that every worker has loaded what it loads once
_MOST_CORE_PERCENT = 1.0
_MOST_ASSOCIATION_KILOBYTES = 200.0


def _measure(stage: Stage) -> Iterator[Figure]:
    sizes = stage.sizes
    number = sizes.idle_associations
    settings = {"max_associations": number, "idle_timeout": 0}
    _allow_descriptors(number)
    with started(stage.archive, stage.folder, settings=settings) as service, ExitStack() as associations:
        for _ in range(_FIRST):
            associations.enter_context(_idle(service))
        time.sleep(_SETTLED_SECONDS)
        pss, rss = service.memory_bytes(), service.resident_bytes()
        before = service.cpu_seconds()
        for _ in range(number - _FIRST):
            associations.enter_context(_idle(service))
        made = service.cpu_seconds() - before
        time.sleep(_SETTLED_SECONDS)
        before, began = service.cpu_seconds(), time.monotonic()
        time.sleep(sizes.idle_seconds)
        core = (service.cpu_seconds() - before) / (time.monotonic() - began)
        per_kilobyte = 1000 * (number - _FIRST)
        pss, rss = service.memory_bytes() - pss, service.resident_bytes() - rss
    yield Figure("CPU of all processes, % of a core", 100 * core, most=_MOST_CORE_PERCENT)
    yield Figure("memory of each, KB (PSS)", pss / per_kilobyte, most=_MOST_ASSOCIATION_KILOBYTES)
    yield Figure("memory of each, KB (RSS)", rss / per_kilobyte, most=_MOST_ASSOCIATION_KILOBYTES)
    yield Figure("CPU to make each, ms", 1000 * made / (number - _FIRST))


def _idle(service: Service):
    """An association as DCMTK's storescu asks for it: 128 presentation contexts."""
    _, contexts = next(portions(USUAL_SOP_CLASSES, ((objects.TRANSFER_SYNTAX,), ("1.2.840.10008.1.2",))))
    return client.associate(
        HOST, service.port, called=service.title, calling=CALLING, contexts=contexts, timeouts=TIMEOUTS
    )


def _allow_descriptors(number: int) -> None:
    """Each association is a descriptor, here too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number + 256
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


ROW = Row(
    "idle",
    "idle associations",
    "128 presentation contexts each, as storescu proposes; nothing is sent on them for half a minute. Memory is that "
    "of all processes with all of them, less that with the first eight.",
    _measure,
)
