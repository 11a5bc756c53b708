"""What the processes of an archive take: processor time and memory, as Linux tells of them in /proc."""

import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from scripts.background import descendants

_TICKS = os.sysconf("SC_CLK_TCK")
_MEGABYTE = 1_000_000
_BETWEEN_LOOKS_SECONDS = 0.05


def family(pid: int) -> list[int]:
    """A process and all that it, and they, have started."""
    return [pid, *descendants(pid)]


def cpu_seconds(pids: Iterable[int]) -> float:
    """Processor time that they have taken until now, in user mode and in the kernel, with children that have ended."""
    return sum(_ticks(pid) for pid in pids) / _TICKS


def _ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has ended; its parent counts it
        return 0
    return sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime (proc(5): fields 14 to 17)


def megabytes(pids: Iterable[int]) -> float:
    """Memory that they have: pages that several share count once in all (PSS)."""
    return sum(_pss_kibibytes(pid) for pid in pids) * 1024 / _MEGABYTE


def _pss_kibibytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has ended
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def most_megabytes(pid: int, work: Callable[[], object]) -> float:
    """The most memory that a process and its family had while `work` was done."""
    seen = [megabytes(family(pid))]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_BETWEEN_LOOKS_SECONDS):
            seen.append(megabytes(family(pid)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    return max(seen)
