"""Sync files while their owner goes on: the disk works while the processor does.

A store whose bytes are in a file has its header to scan and its rows to prepare while they go to the disk, so that some
of the sync is hidden behind work that has to be done anyway. Small instances, whose bytes go with the rows, need none.
The threads are few, shared by a process, and made when they are first needed.
"""

import threading
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue

# More syncs than these at a time only queue in the disk.
MOST_THREADS = 32

# A thread that nothing was given to for so long ends.
IDLE_SECONDS = 5.0


class Sync:
    """A sync under way."""

    __slots__ = ("_done", "_error", "_work")

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._error: Exception | None = None
        self._done = threading.Lock()  # held until it is done; a lock costs a tenth of an Event
        self._done.acquire()

    def run(self) -> None:
        """Do the work; its error is kept for whoever waits."""
        try:
            self._work()
        except Exception as error:  # noqa: BLE001 - handed to the thread that waits
            self._error = error
        self._done.release()

    def wait(self) -> None:
        """Return when it is done, as often as asked; raises what it raised."""
        with self._done:
            pass
        if self._error is not None:
            raise self._error


class Syncer:
    """The threads that sync, at most so many, and the line before them."""

    def __init__(self, most_threads: int = MOST_THREADS) -> None:
        self._most_threads = most_threads
        self._line: SimpleQueue[Sync] = SimpleQueue()
        self._change = threading.Lock()
        self._threads = 0
        self._idle = 0

    def start(self, work: Callable[[], None]) -> Sync:
        """Begin `work`, such as `NewFile.make_durable`, and return at once."""
        sync = Sync(work)
        with self._change:
            if self._idle > 0:
                self._idle -= 1
            elif self._threads < self._most_threads:
                self._threads += 1
                threading.Thread(target=self._serve, name="sync", daemon=True).start()
        self._line.put(sync)
        return sync

    def run_all(self, works: Iterable[Callable[[], None]]) -> None:
        """Do all of this side by side and return when it is done; raises what one of them raised."""
        syncs = [self.start(work) for work in works]
        errors: list[Exception] = []
        for sync in syncs:  # all of them, so that nothing is under way when this returns
            try:
                sync.wait()
            except Exception as error:  # noqa: BLE001 - raised below
                errors.append(error)
        if errors:
            raise errors[0]

    def _serve(self) -> None:
        while True:
            try:
                self._line.get(timeout=IDLE_SECONDS).run()
            except Empty:
                with self._change:
                    if self._idle > 0:  # else work is on its way to us
                        self._idle -= 1
                        self._threads -= 1
                        return
                continue
            with self._change:
                self._idle += 1
