"""The archive as a service: started with settings of its own, its processes measured as one (Linux: /proc)."""

import os
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.clients import NO_DELAY
from benchmarks.peers import Archive
from scripts.background import descendants

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_DISCARD = 9  # where nobody moves anything to
_SAMPLES_PER_SECOND = 20
_ESTABLISHED = "01"
_CLEAR_HIGH_WATER_MARK = "5"  # proc(5), clear_refs


@dataclass(frozen=True, slots=True)
class Service:
    """An archive that listens on loopback."""

    port: int
    title: str
    pid: int
    database: str

    @property
    def processes(self) -> list[int]:
        """Supervisor, workers and housekeeping; of PostgreSQL nothing."""
        return [self.pid, *descendants(self.pid)]

    def connections(self) -> int:
        """How many there are to its port, by those of its side (proc(5), net/tcp)."""
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return sum(line[3] == _ESTABLISHED and int(line[1].rpartition(":")[2], 16) == self.port for line in lines)

    def cpu_seconds(self) -> float:
        """What all its processes have used, those that ended too."""
        return sum(_cpu_seconds(process) for process in self.processes)

    def memory_bytes(self) -> int:
        """What all its processes hold, shared pages once (PSS)."""
        return sum(_rollup(process)["Pss"] for process in self.processes)

    def resident_bytes(self) -> int:
        """What each of its processes holds, added up: shared pages count in each (RSS)."""
        return sum(_rollup(process)["Rss"] for process in self.processes)


@contextmanager
def started(
    archive: Archive, folder: Path, destination_port: int = _DISCARD, settings: Mapping[str, object] | None = None
) -> Iterator[Service]:
    """The archive, empty, with these settings; at the end it is stopped, and what it kept is removed."""
    home = folder / "archive"
    home.mkdir()
    environment = {f"ARCHIVE_{name.upper()}": str(value) for name, value in (settings or {}).items()}
    try:
        running = archive.start(home, {**NO_DELAY, **environment}, destination_port)
        yield Service(running.port, running.title, running.process.pid, running.database)
    finally:
        archive.stop()
        shutil.rmtree(home)


@dataclass
class Watch:
    """Looks at the memory of a service while something happens, against what it held before."""

    service: Service
    _before: int = 0
    _marks_before: dict[int, int] = field(default_factory=dict)
    _most: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._before = self._most = self.service.memory_bytes()
        for process in self.service.processes:
            Path(f"/proc/{process}/clear_refs").write_text(_CLEAR_HIGH_WATER_MARK)
            self._marks_before[process] = _status_bytes(process, "VmRSS")
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def _look(self) -> None:
        while not self._ended.wait(1 / _SAMPLES_PER_SECOND):
            self._most = max(self._most, self.service.memory_bytes())

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        assert self._thread is not None
        self._thread.join()

    @property
    def sampled_growth_bytes(self) -> int:
        """The most that all processes together held more than before, by 20 looks a second."""
        return self._most - self._before

    @property
    def growth_bytes(self) -> int:
        """The most that each process ever held more than before, by the kernel's own mark, added up."""
        return sum(max(0, _status_bytes(process, "VmHWM") - before) for process, before in self._marks_before.items())


def _cpu_seconds(process: int) -> float:
    """User and system time of a process and of its children that were waited for."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(int(each) for each in fields[11:15]) / _TICKS_PER_SECOND


def _rollup(process: int) -> dict[str, int]:
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    return {name: int(size.split()[0]) * 1024 for name, _, size in (line.partition(":") for line in lines)}


def _status_bytes(process: int, name: str) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":"))
