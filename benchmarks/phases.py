"""Where the time of a store goes: the threads of our associations, phase by phase (see timed_service.py)."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import clients
from benchmarks.clients import NO_DELAY
from benchmarks.corpus import Corpora, Files
from benchmarks.peers import OursPostgresqlFull, OursSqliteFull, PrivatePostgresql
from benchmarks.timed_service import PHASES

_NOBODY = 104  # where nothing is moved to
_TIMED = (sys.executable, "-m", "benchmarks.timed_service")


class _TimedSqlite(OursSqliteFull):
    program = _TIMED


class _TimedPostgresql(OursPostgresqlFull):
    program = _TIMED


@dataclass(frozen=True, slots=True)
class Column:
    """What one kind of store takes: microseconds of each phase."""

    title: str
    microseconds: Mapping[str, float]


def measure(corpora: Corpora, postgresql: PrivatePostgresql, folder: Path) -> Iterator[Column]:
    """Small instances and CT, on both databases, by one storescu over one association."""
    for kind, database in ((_TimedSqlite, "SQLite"), (_TimedPostgresql, "PostgreSQL")):
        for title, files in (("small", corpora.small), ("CT", corpora.ct)):
            yield Column(f"{title}, {database}", _of_one_store(kind(postgresql), files, folder))


def _of_one_store(archive: OursSqliteFull | OursPostgresqlFull, files: Files, folder: Path) -> dict[str, float]:
    noted = folder / "phases.json"
    noted.unlink(missing_ok=True)
    try:
        running = archive.start(folder, {**NO_DELAY, "BENCHMARK_PHASES": str(noted)}, destination_port=_NOBODY)
        clients.store(running, [files.folder], NO_DELAY)
    finally:
        archive.stop()
    workers = [json.loads(line) for line in noted.read_text().splitlines()]
    return {phase: sum(each.get(phase, 0) for each in workers) / files.count * 1_000_000 for phase in PHASES}


def table(columns: Sequence[Column]) -> list[list[str]]:
    """The phases in the order of a store, and their sum."""
    rows = [[phase, *(f"{column.microseconds[phase]:.0f}" for column in columns)] for phase in PHASES]
    return [*rows, ["all", *(f"{sum(column.microseconds.values()):.0f}" for column in columns)]]
