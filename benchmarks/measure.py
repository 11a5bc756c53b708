"""What is measured, and in which order: the rows, each archive in turn, A B A B."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path

from benchmarks import clients
from benchmarks.clients import NO_DELAY, Destination
from benchmarks.corpus import SENDERS, Corpora, Files
from benchmarks.peers import Archive, Running

_MEGABYTE = 1_000_000


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
    is_rate: bool  # more is better; else it is a time
    measure: Callable[[Running, Corpora, Mapping[str, str]], Figure]
    is_fresh: bool = True  # every figure needs an empty archive; else one that holds the studies
    environment: Mapping[str, str] | None = None  # of the client and of the archive; None: as installed


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
    found, remarks = _found(running, clients.STUDIES, corpora.studies.count + 1)  # and the large one
    return Figure(found / clients.find_studies(running, environment), remarks)


def _find_patient(running: Running, corpora: Corpora, environment: Mapping[str, str]) -> Figure:
    _, remarks = _found(running, clients.patient_keys(corpora), 1)
    return Figure(clients.find_patient(running, corpora, environment) * 1000, remarks)


def _found(running: Running, keys: Sequence[str], wanted: int) -> tuple[int, tuple[str, ...]]:
    found = clients.count_responses(running, *keys)
    return found, () if found == wanted else (f"{found} responses instead of {wanted}",)


def _get(running: Running, corpora: Corpora, environment: Mapping[str, str]) -> Figure:
    return Figure(_megabytes_rate(corpora.large_study, clients.get(running, corpora, environment)))


def _move(running: Running, corpora: Corpora, environment: Mapping[str, str]) -> Figure:
    return Figure(_megabytes_rate(corpora.large_study, clients.move(running, corpora, environment)))


ROWS = (
    Row("store-ct-installed", "store CT, as installed", "MB/s", True, _store_ct_installed),
    Row("store-ct", "store CT, TCP_NODELAY", "MB/s", True, _store_ct, environment=NO_DELAY),
    Row("store-small", "store small, one association", "/s", True, _store_small, environment=NO_DELAY),
    Row(
        "store-small-parallel",
        f"store small, {SENDERS} associations",
        "/s",
        True,
        _store_small_in_parallel,
        environment=NO_DELAY,
    ),
    Row("import-ct", "take in CT files of a disk", "MB/s", True, _take_in_ct, environment=NO_DELAY),
    Row("import-small", "take in small files of a disk", "/s", True, _take_in_small, environment=NO_DELAY),
    Row("store-one", "one storescu of one small object", "ms", False, _store_one, environment=NO_DELAY),
    Row("find-studies", "C-FIND of all studies", "responses/s", True, _find_studies, False, NO_DELAY),
    Row("find-patient", "C-FIND by PatientID", "ms", False, _find_patient, False, NO_DELAY),
    Row("get", "C-GET of the large study", "MB/s", True, _get, False, NO_DELAY),
    Row("move", "C-MOVE of the large study", "MB/s", True, _move, False, NO_DELAY),
)


def measure(
    archives: Sequence[Archive], rows: Sequence[Row], corpora: Corpora, repeats: int, folder: Path
) -> Iterator[Sample]:
    """All figures, as they are taken. Every archive is empty at first; the order is A B A B, never A A B B."""
    destination = Destination(folder)
    try:
        for row in rows:
            if row.is_fresh:
                yield from _measure_fresh(archives, row, corpora, repeats, folder, destination.port)
        if retrievals := [row for row in rows if not row.is_fresh]:
            yield from _measure_filled(archives, retrievals, corpora, repeats, folder, destination.port)
    finally:
        destination.close()


def _figure(row: Row, running: Running, corpora: Corpora) -> Figure:
    """The figure, or none and the reason: one failure does not spoil a run of half an hour."""
    try:
        return row.measure(running, corpora, row.environment or {})
    except clients.ClientFailed as error:
        return Figure(nan, (str(error).splitlines()[0],))


def _measure_fresh(
    archives: Sequence[Archive], row: Row, corpora: Corpora, repeats: int, folder: Path, destination_port: int
) -> Iterator[Sample]:
    environment = row.environment or {}
    for _ in range(repeats):
        for archive in archives:
            try:
                running = archive.start(folder, environment, destination_port)
                os.sync()  # what others left to be written is not this one's burden
                yield Sample(row.name, archive.name, _figure(row, running, corpora))
            finally:
                archive.stop()


def _measure_filled(
    archives: Sequence[Archive],
    rows: Sequence[Row],
    corpora: Corpora,
    repeats: int,
    folder: Path,
    destination_port: int,
) -> Iterator[Sample]:
    try:
        running: dict[Archive, Running] = {}
        for archive in archives:
            running[archive] = archive.start(folder, NO_DELAY, destination_port)
            for files in (corpora.studies, corpora.large_study):
                clients.store(running[archive], [files.folder], NO_DELAY)
                if (kept := clients.count_objects(running[archive], files)) != files.count:
                    raise clients.ClientFailed(f"{archive.name} kept {kept} of {files.count} objects")
        os.sync()
        for row in rows:
            for _ in range(repeats):
                for archive in archives:
                    yield Sample(row.name, archive.name, _figure(row, running[archive], corpora))
    finally:
        for archive in archives:
            archive.stop()
