"""What a row of the page is made of: figures, their bounds, and where they are taken."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load.callers import Load, Stored, store
from benchmarks.load.service import Service
from benchmarks.peers import Archive

MEGABYTE = 1_000_000
MEBIBYTE = 1 << 20
MOST_MEMORY_MEBIBYTES = 64.0
"""What a service may hold more than when it is idle, however large a thing is."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value, and what it must stay below, or above, if anything."""

    title: str
    """With its unit."""
    value: float
    most: float | None = None
    least: float | None = None

    @property
    def bound(self) -> str:
        """The bound in words; empty where there is none."""
        if self.most is not None:
            return f"≤ {shown(self.most)}"
        return "" if self.least is None else f"≥ {shown(self.least)}"

    @property
    def is_kept(self) -> bool:
        """Whether the value is within its bound."""
        return (self.most is None or self.value <= self.most) and (self.least is None or self.value >= self.least)


def shown(value: float) -> str:
    """A value as the page has it: three digits, or all of a whole number."""
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything."""

    idle_associations: int = 1000
    idle_seconds: float = 30
    storing_associations: int = 200
    each: int = 25  # stored by each of them
    finding_seconds: float = 10  # of each of the spells with finds, and of those without
    spells: int = 2
    slow_reader_seconds: float = 60
    workers_seconds: float = 10
    frames: int = 1000  # of 2 MiB each
    study_instances: int = 20_000
    answers: int = 200_000


QUICK = Sizes(
    idle_associations=100,
    idle_seconds=5,
    each=5,
    finding_seconds=3,
    spells=1,
    slow_reader_seconds=10,
    workers_seconds=3,
    frames=100,
    study_instances=1000,
    answers=20_000,
)


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a row is measured."""

    archive: Archive
    folder: Path
    """Empty; for whatever the row needs."""
    sizes: Sizes
    elsewhere: ProcessPoolExecutor
    """A process that makes load."""

    def send(self, service: Service, load: Load) -> "Future[Stored]":
        """Store, from that process."""
        return self.elsewhere.submit(store, service, load)


@dataclass(frozen=True, slots=True)
class Row:
    """A heading of the page: what is done, and the figures it yields."""

    name: str
    title: str
    how: str
    measure: Callable[[Stage], Iterator[Figure]]
    meaning: str = ""
    """What the figures tell."""
