"""`python -m benchmarks.timed_service serve ...`: our service, which notes what the threads of associations do when.

Functions that stand for a phase of a store are wrapped before anything starts; each moment of a thread belongs to the
innermost of them. A worker that ends adds its sums to the file named by BENCHMARK_PHASES.
"""

import json
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

REST = "the rest"
# Phase -> the functions that are it, in the order of a store.
PHASES: dict[str, tuple[str, ...]] = {
    "waiting for the sender": (
        "archive.upper_layer.connection:Connection.wait_for_input",
        "archive.upper_layer.connection:Connection._wait",
    ),
    "receiving": ("archive.upper_layer.connection:Connection._read_some",),
    "messages (PS3.7, PS3.8)": (
        "archive.dimse.exchange:Exchange.receive",
        "archive.upper_layer.association:Association.next_fragment",
    ),
    "file: made and written": (
        "archive.storage.local:LocalArea.create",
        "archive.storage.new_file:NewFile.write",
        "archive.storage.new_file:NewFile.publish",
    ),
    "header: scanned": ("archive.dicom.header:scan",),
    "header: values for rows": ("archive.index.rows:record",),
    "transaction: turn, BEGIN": ("archive.database.transaction:GroupCommit.write",),
    "transaction: statements": ("archive.index.upsert:add",),
    "transaction: as one statement, synced": ("archive.index.upsert:add_at_once",),
    "transaction: COMMIT, synced": ("sqlalchemy.engine.default:DefaultDialect.do_commit",),
    "file: waiting for its sync": ("archive.storage.syncing:Sync.wait",),
    "answer": ("archive.dimse.exchange:Exchange.respond",),
    REST: ("archive.server.worker:Visit.run",),
}


class _Clock(threading.local):
    """Of a thread: the phases that it is in, outermost first, and since when."""

    def __init__(self) -> None:
        self.inside: list[str] = []
        self.since = 0.0


class Times:
    """Seconds in each phase, over all threads of a process."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._clock = _Clock()

    def wrapped(self, function: Callable[..., Any], phase: str) -> Callable[..., Any]:
        """The function, whose time counts for the phase."""
        clock = self._clock

        @wraps(function)
        def timed(*arguments: Any, **named: Any) -> Any:
            self._pass_on(clock)
            clock.inside.append(phase)
            try:
                return function(*arguments, **named)
            finally:
                self._pass_on(clock)
                clock.inside.pop()

        return timed

    def _pass_on(self, clock: _Clock) -> None:
        """Give the time until now to the innermost phase."""
        now = time.perf_counter()
        if clock.inside:
            self.seconds[clock.inside[-1]] += now - clock.since
        clock.since = now


def main() -> None:
    """Wrap, and serve."""
    times = Times()
    for phase, names in PHASES.items():
        for name in names:
            module, _, path = name.partition(":")
            *owners, last = path.split(".")
            owner: Any = import_module(module)
            for each in owners:
                owner = getattr(owner, each)
            setattr(owner, last, times.wrapped(getattr(owner, last), phase))

    from archive.server.worker import Worker

    serve = Worker.serve

    def noting(worker: Worker) -> None:
        try:
            serve(worker)
        finally:
            with Path(os.environ["BENCHMARK_PHASES"]).open("a") as file:
                file.write(json.dumps(times.seconds) + "\n")

    setattr(Worker, "serve", noting)  # noqa: B010 - not what its type says, for a run of this program

    from archive.__main__ import main as archive

    archive()


if __name__ == "__main__":
    main()
