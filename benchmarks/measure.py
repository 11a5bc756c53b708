"""What is measured, and in which order: the rows, each archive in turn, A B A B."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path

from benchmarks import clients, processes
from benchmarks.clients import NO_DELAY, Destination
from benchmarks.corpus import SENDERS, Corpora, Files
from benchmarks.peers import Archive, Running
from benchmarks.profiling import profiled

_MEGABYTE = 1_000_000
_AFTERWARDS_SECONDS = 5.0
_FINDS_OF_CPU = 1000


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value, not a number where the client failed, and what must be known about it."""

    value: float
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """One figure of one archive."""

    row: str
    archive: str
    figure: Figure


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what a figure is, and how it is taken from an archive that runs."""

    name: str
    title: str
    unit: str
    is_rate: bool  # more is better; else less is: a time, or memory
    measure: Callable[[Running, Corpora, Mapping[str, str]], Figure]
    is_fresh: bool = True  # every figure needs an empty archive; else one that holds the studies
    environment: Mapping[str, str] | None = None  # of the client and of the archive; None: as installed
    keeps: str | None = None  # the objects that an archive keeps of each figure, by their name among the corpora


def _megabytes_rate(files: Files, seconds: float) -> float:
    return files.bytes / _MEGABYTE / seconds


def _store(running: Running, files: Files, environment: Mapping[str, str], folders: Sequence[Path] = ()) -> Figure:
    return _kept(running, files, clients.store(running, folders or [files.folder], environment))


def _kept(running: Running, files: Files, seconds: float) -> Figure:
    """Kept objects per second; a remark where one was refused, or acknowledged and lost."""
    kept = clients.count_objects(running, files)
    remarks = () if kept == files.count else (f"{files.count - kept} of {files.count} objects refused or lost",)
    return Figure(kept / seconds, remarks)


def _store_megabytes(running: Running, files: Files, environment: Mapping[str, str]) -> Figure:
    return _as_megabytes(_store(running, files, environment), files)


def _as_megabytes(objects_rate: Figure, files: Files) -> Figure:
    return replace(objects_rate, value=objects_rate.value * files.bytes / files.count / _MEGABYTE)


def _store_ct(running: Running, corpora: Corpora, environment: Mapping[str, str]) -> Figure:
    return _store_megabytes(running, corpora.ct, environment)


def _store_ct_installed(running: Running, corpora: Corpora, environment: Mapping[str, str]) -> Figure:
    return _store_megabytes(running, corpora.ct_installed, environment)


def _store_small(running: Running, corpora: Corpora, environment: Mapping[str, str]) -> Figure:
    return _store(running, corpora.small, environment)


def _store_small_in_parallel(running: Running, corpora: Corpora, environment: Mapping[str, str]) -> Figure:
    return _store(running, corpora.small, environment, corpora.small.parts())


def _take_in(running: Running, files: Files, environment: Mapping[str, str]) -> Figure:
    return _kept(running, files, clients.take_in(running, files.folder, environment))


def _take_in_ct(running: Running, corpora: Corpora, environment: Mapping[str, str]) -> Figure:
    return _as_megabytes(_take_in(running, corpora.import_ct, environment), corpora.import_ct)


def _take_in_small(running: Running, corpora: Corpora, environment: Mapping[str, str]) -> Figure:
    return _take_in(running, corpora.import_small, environment)


def _store_one(running: Running, corpora: Corpora, environment: Mapping[str, str]) -> Figure:
    return Figure(clients.store_one_by_one(running, corpora.single, environment) * 1000)


def _find_studies(running: Running, corpora: Corpora, environment: Mapping[str, str]) -> Figure:
    found, remarks = _found(running, clients.STUDIES, corpora.studies.count + 2)  # the large one, and the wide
    return Figure(found / clients.find_studies(running, environment), remarks)


def _find_patient(running: Running, corpora: Corpora, environment: Mapping[str, str]) -> Figure:
    _, remarks = _found(running, clients.patient_keys(corpora), 1)
    return Figure(clients.find_patient(running, corpora, environment) * 1000, remarks)


def _found(running: Running, keys: Sequence[str], wanted: int) -> tuple[int, tuple[str, ...]]:
    found = clients.count_responses(running, *keys)
    return found, () if found == wanted else (f"{found} responses instead of {wanted}",)


def _find_few(running: Running, keys: Sequence[str], wanted: int, environment: Mapping[str, str]) -> Figure:
    _, remarks = _found(running, keys, wanted)
    return Figure(clients.find(running, keys, environment) * 1000, remarks)


def _find_wild_card(running: Running, _corpora: Corpora, environment: Mapping[str, str]) -> Figure:
    return _find_few(running, clients.wild_card_keys(), 10, environment)


def _find_dates(running: Running, corpora: Corpora, environment: Mapping[str, str]) -> Figure:
    return _find_few(running, clients.march_keys(), corpora.number_of_march_studies, environment)


def _find_instances(running: Running, corpora: Corpora, environment: Mapping[str, str]) -> Figure:
    keys = clients.instance_keys(corpora.wide_series)
    found, remarks = _found(running, keys, corpora.wide_series.count)
    return Figure(found / clients.find(running, keys, environment), remarks)


def _start(running: Running, _corpora: Corpora, _environment: Mapping[str, str]) -> Figure:
    return Figure(running.start_seconds * 1000)


def _memory_idle(running: Running, _corpora: Corpora, environment: Mapping[str, str]) -> Figure:
    clients.echo(running, environment)  # whatever it puts off until somebody calls
    return Figure(processes.megabytes(processes.family(running.process.pid)))


def _memory_loaded(running: Running, corpora: Corpora, environment: Mapping[str, str]) -> Figure:
    def work() -> None:
        clients.store(running, corpora.small.parts(), environment)

    return Figure(processes.most_megabytes(running.process.pid, work))


def _cpu_of_stores(running: Running, corpora: Corpora, environment: Mapping[str, str]) -> Figure:
    """What is done later for what was stored counts too: small files are made within some seconds."""
    before = running.cpu_seconds()
    clients.store(running, [corpora.small.folder], environment)
    time.sleep(_AFTERWARDS_SECONDS)
    return Figure((running.cpu_seconds() - before) * 1000 / corpora.small.count)


def _cpu_of_finds(running: Running, corpora: Corpora, environment: Mapping[str, str]) -> Figure:
    before = running.cpu_seconds()
    for _ in range(_FINDS_OF_CPU // clients.POINT_FIND_REPEATS):
        clients.find_patient(running, corpora, environment)
    return Figure((running.cpu_seconds() - before) * 1000 / _FINDS_OF_CPU)


def _get(running: Running, corpora: Corpora, environment: Mapping[str, str]) -> Figure:
    return Figure(_megabytes_rate(corpora.large_study, clients.get(running, corpora, environment)))


def _move(running: Running, corpora: Corpora, environment: Mapping[str, str]) -> Figure:
    return Figure(_megabytes_rate(corpora.large_study, clients.move(running, corpora, environment)))


ROWS = (
    Row("store-ct-installed", "store CT, as installed", "MB/s", True, _store_ct_installed, keeps="ct_installed"),
    Row("store-ct", "store CT, TCP_NODELAY", "MB/s", True, _store_ct, environment=NO_DELAY, keeps="ct"),
    Row("store-small", "store small, one association", "/s", True, _store_small, environment=NO_DELAY, keeps="small"),
    Row(
        "store-small-parallel",
        f"store small, {SENDERS} associations",
        "/s",
        True,
        _store_small_in_parallel,
        environment=NO_DELAY,
        keeps="small",
    ),
    Row("import-ct", "take in CT files of a disk", "MB/s", True, _take_in_ct, environment=NO_DELAY, keeps="import_ct"),
    Row(
        "import-small",
        "take in small files of a disk",
        "/s",
        True,
        _take_in_small,
        environment=NO_DELAY,
        keeps="import_small",
    ),
    Row("store-one", "one storescu of one small object", "ms", False, _store_one, environment=NO_DELAY),
    Row("find-studies", "C-FIND of all studies", "responses/s", True, _find_studies, False, NO_DELAY),
    Row("find-patient", "C-FIND by PatientID", "ms", False, _find_patient, False, NO_DELAY),
    Row("find-wild-card", "C-FIND by the beginning of a name", "ms", False, _find_wild_card, False, NO_DELAY),
    Row("find-dates", "C-FIND of a month", "ms", False, _find_dates, False, NO_DELAY),
    Row("find-instances", "C-FIND of a series' instances", "responses/s", True, _find_instances, False, NO_DELAY),
    Row("get", "C-GET of the large study", "MB/s", True, _get, False, NO_DELAY),
    Row("move", "C-MOVE of the large study", "MB/s", True, _move, False, NO_DELAY),
    Row(
        "cpu-store",
        "processor time of 1000 small stores",
        "s",
        False,
        _cpu_of_stores,
        environment=NO_DELAY,
        keeps="small",
    ),
    Row("cpu-find", "processor time of 1000 C-FIND by PatientID", "s", False, _cpu_of_finds, False, NO_DELAY),
    Row("start", "start until it listens", "ms", False, _start),
    Row("memory-idle", "memory, idle", "MB", False, _memory_idle),
    Row(
        "memory-loaded",
        f"memory, {SENDERS} associations store",
        "MB",
        False,
        _memory_loaded,
        environment=NO_DELAY,
        keeps="small",
    ),
)


def kept_bytes(rows: Sequence[Row], corpora: Corpora, repeats: int) -> int:
    """What one archive has on the disk at the end of a run, but for its index."""
    filled = (
        (corpora.studies, corpora.large_study, corpora.wide_series) if any(not row.is_fresh for row in rows) else ()
    )
    fresh = [getattr(corpora, row.keeps).bytes for row in rows if row.keeps]
    return repeats * sum(fresh) + sum(files.bytes for files in filled)


def measure(
    archives: Sequence[Archive],
    rows: Sequence[Row],
    corpora: Corpora,
    repeats: int,
    folder: Path,
    pictures: Path | None = None,
) -> Iterator[Sample]:
    """All figures, as they are taken. Every archive is empty at first; the order is A B A B, never A A B B.

    With a folder for `pictures`, each figure of ours is sampled, which slows it down, and has a flame graph there.
    """
    destination = Destination(folder)
    try:
        for row in rows:
            if row.is_fresh:
                yield from _measure_fresh(archives, row, corpora, repeats, folder, destination.port, pictures)
        if retrievals := [row for row in rows if not row.is_fresh]:
            yield from _measure_filled(archives, retrievals, corpora, repeats, folder, destination.port, pictures)
    finally:
        destination.close()


def _figure(row: Row, running: Running, corpora: Corpora, picture: Path | None) -> Figure:
    """The figure, or none and the reason: one failure does not spoil a run of half an hour."""
    try:
        with nullcontext() if picture is None else profiled(running.process.pid, picture):
            return row.measure(running, corpora, row.environment or {})
    except clients.ClientFailed as error:
        return Figure(nan, (str(error).splitlines()[0],))


def _picture(pictures: Path | None, row: Row, archive: Archive, number: int) -> Path | None:
    return pictures / f"{row.name}-{archive.name}-{number}.svg" if pictures and archive.is_ours else None


def _measure_fresh(
    archives: Sequence[Archive],
    row: Row,
    corpora: Corpora,
    repeats: int,
    folder: Path,
    destination_port: int,
    pictures: Path | None,
) -> Iterator[Sample]:
    environment = row.environment or {}
    for number in range(1, repeats + 1):
        for archive in archives:
            try:
                running = archive.start(folder, environment, destination_port)
                os.sync()  # what others left to be written is not this one's burden
                yield Sample(
                    row.name, archive.name, _figure(row, running, corpora, _picture(pictures, row, archive, number))
                )
            finally:
                archive.stop()


def _measure_filled(
    archives: Sequence[Archive],
    rows: Sequence[Row],
    corpora: Corpora,
    repeats: int,
    folder: Path,
    destination_port: int,
    pictures: Path | None,
) -> Iterator[Sample]:
    try:
        running: dict[Archive, Running] = {}
        for archive in archives:
            running[archive] = archive.start(folder, NO_DELAY, destination_port)
            for files in (corpora.studies, corpora.large_study, corpora.wide_series):
                clients.store(running[archive], [files.folder], NO_DELAY)
                if (kept := clients.count_objects(running[archive], files)) != files.count:
                    raise clients.ClientFailed(f"{archive.name} kept {kept} of {files.count} objects")
        os.sync()
        for row in rows:
            for number in range(1, repeats + 1):
                for archive in archives:
                    picture = _picture(pictures, row, archive, number)
                    yield Sample(row.name, archive.name, _figure(row, running[archive], corpora, picture))
    finally:
        for archive in archives:
            archive.stop()
