"""The same load on one worker process, and on two."""

from collections.abc import Iterator

from benchmarks.load.callers import Load, find_for
from benchmarks.load.figures import MEGABYTE, Figure, Row, Stage
from benchmarks.load.objects import CT_SIDE_PIXELS
from benchmarks.load.service import started
from benchmarks.load.storing import cores

_CALLERS = 4
_STUDIES = 200
_APART = 1_000_000  # numbers of the instances of two loads


def _measure(stage: Stage) -> Iterator[Figure]:
    for workers in (1, 2):
        yield from _with(stage, workers)


def _with(stage: Stage, workers: int) -> Iterator[Figure]:
    spell = stage.sizes.workers_seconds
    title = "one worker" if workers == 1 else f"{workers} workers"
    with started(stage.archive, stage.folder, settings={"workers": workers}) as service:
        stage.send(service, Load(1, first=0, each=_STUDIES, per_study=1)).result()
        before = service.cpu_seconds()
        small = stage.send(service, Load(_CALLERS, first=_APART, seconds=spell)).result()
        used_small = service.cpu_seconds() - before
        before = service.cpu_seconds()
        ct = stage.send(service, Load(_CALLERS, 2 * _APART, seconds=spell, side_pixels=CT_SIDE_PIXELS)).result()
        used_ct = service.cpu_seconds() - before
        before = service.cpu_seconds()
        found = stage.elsewhere.submit(find_for, service, _CALLERS, spell, _STUDIES).result()
        used_finding = service.cpu_seconds() - before
    yield Figure(f"{title}: small instances stored, /s", small.rate)
    yield from cores(f"{title}: small instances", small, used_small)
    yield Figure(f"{title}: CT stored, MB/s", ct.rate * 2 * CT_SIDE_PIXELS**2 / MEGABYTE)
    yield from cores(f"{title}: CT", ct, used_ct)
    yield Figure(f"{title}: finds by Patient ID, /s", found.rate)
    yield from cores(f"{title}: finds", found, used_finding)


ROW = Row(
    "workers",
    "one worker and two",
    f"{_CALLERS} associations at a time, each as fast as it is answered, from one process; cores tell who was busy.",
    _measure,
    "A worker is one interpreter, which runs Python on one core at a time; it waits for disk, network and database "
    "without it. Finds are mostly Python, so a second worker adds to them what the machine has left beside callers "
    "and database. Stores on SQLite wait for one writer at a time, whichever worker they are in; on PostgreSQL a "
    "group that shares a commit becomes two. On two cores, which callers and database want as well, that brings "
    "stores little or nothing: there the second worker is for finds, and so that one busy association does not hold "
    "up the others.",
)
