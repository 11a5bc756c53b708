"""Processes, as the system tells of them."""

import threading
import time
from pathlib import Path

_SECONDS = 60.0


def children_of(process: int) -> set[int]:
    """The processes that this one has started and that have not been waited for."""
    found: set[int] = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state = stat.read_text(encoding="latin-1")
        except OSError:  # it has ended since the listing
            continue
        if int(state.rpartition(")")[2].split()[1]) == process:  # behind the name: state, parent
            found.add(int(stat.parent.name))
    return found


def wait_for_the_end_of(processes: set[int]) -> None:
    """Wait until none of these is left, whoever their parent is now."""
    deadline, pause = time.monotonic() + _SECONDS, threading.Event()
    while any(map(_is_alive, processes)):
        assert time.monotonic() < deadline, f"still there: {processes}"
        pause.wait(0.02)


def _is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="latin-1")
    except OSError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


def open_files() -> list[str]:
    """What this process has open, as its system calls it."""
    names: list[str] = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            names.append(str(link.readlink()))
        except OSError:  # that of the listing itself
            continue
    return names
