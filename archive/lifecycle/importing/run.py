"""Run an import: batches side by side, their transactions one after another, and then what had to wait."""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from archive.lifecycle.importing.batch import Prepared, batches
from archive.lifecycle.importing.outcome import Outcome
from archive.lifecycle.importing.preparation import Preparation
from archive.lifecycle.importing.task import Task
from archive.lifecycle.importing.transactions import Transactions
from archive.storage.sources import Found

# Batches that are looked at, copied and synced at a time: one computes while the disk works for the other. With more
# they wait for each other, as only one at a time computes.
THREADS = 2

# Files that wait for another one of the same instance before they are looked at again.
MOST_DEFERRED = 10_000


class Import:
    """One run."""

    def __init__(self, task: Task) -> None:
        self._preparation = Preparation(task)
        self._transactions = Transactions(task)

    def run(self, found: Iterable[Found]) -> Generator[Outcome, None, None]:
        """Take in what was found; what became of each. Close it where it is not run to its end."""
        under_way: deque[Future[Prepared]] = deque()
        with ThreadPoolExecutor(THREADS, "import") as pool:
            try:
                yield from self._all(pool, found, under_way)
            finally:
                self._preparation.end()
                for future in under_way:
                    if not future.cancel() and future.exception() is None:
                        future.result().discard()

    def _all(
        self, pool: ThreadPoolExecutor, found: Iterable[Found], under_way: deque[Future[Prepared]]
    ) -> Iterator[Outcome]:
        """All batches, some of them at a time; then those files again that had to wait for others."""
        deferred: list[Found] = []
        for batch in batches(found):
            under_way.append(pool.submit(self._preparation.prepare, batch))
            if len(under_way) > THREADS:
                yield from self._finish(under_way, deferred)
            if len(deferred) > MOST_DEFERRED:
                yield from self._again(pool, deferred, under_way)
        while under_way:
            yield from self._finish(under_way, deferred)
        if deferred:
            yield from self._again(pool, deferred, under_way)

    def _again(
        self, pool: ThreadPoolExecutor, deferred: list[Found], under_way: deque[Future[Prepared]]
    ) -> Iterator[Outcome]:
        while under_way:
            yield from self._finish(under_way, deferred)
        again = deferred.copy()
        deferred.clear()
        yield from self._all(pool, again, under_way)

    def _finish(self, under_way: deque[Future[Prepared]], deferred: list[Found]) -> list[Outcome]:
        """Make the oldest batch visible, when it is ready for that."""
        prepared = under_way[0].result()
        under_way.popleft()  # from here on rows may name its files
        stored = self._transactions.commit(prepared.items)
        self._preparation.release(prepared.claims)
        deferred += prepared.deferred
        return prepared.outcomes + stored
