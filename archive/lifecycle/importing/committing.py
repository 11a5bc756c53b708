"""Transactions in a thread of their own, one after another, while those who prepare the next batches are answered."""

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from archive.lifecycle.importing.batch import Item
from archive.lifecycle.importing.outcome import Outcome
from archive.lifecycle.importing.task import Task
from archive.lifecycle.importing.transactions import Transactions


class Committing:
    """One transaction at a time. Ctrl-C, which is raised in the main thread, never comes in the middle of one."""

    def __init__(self, task: Task) -> None:
        self._transactions = Transactions(task)
        self._thread = ThreadPoolExecutor(1, "import")
        self._under_way: Future[list[Outcome]] | None = None
        self.over = os.eventfd(0, os.EFD_CLOEXEC)
        """A descriptor that can be read when the transaction is over."""

    @property
    def is_busy(self) -> bool:
        """Whether one is under way, or its outcomes were not asked for yet."""
        return self._under_way is not None

    def begin(self, items: Sequence[Item]) -> None:
        """Make these visible."""
        self._under_way = self._thread.submit(self._transactions.commit, list(items))
        self._under_way.add_done_callback(lambda _: os.eventfd_write(self.over, 1))

    def outcomes(self) -> list[Outcome] | None:
        """What became of the items; None as long as that is open. Raises what the transaction raised."""
        if self._under_way is None or not self._under_way.done():
            return None
        os.eventfd_read(self.over)
        return self.last_outcomes()

    def last_outcomes(self) -> list[Outcome]:
        """The same of the transaction under way, after which there is none more."""
        assert self._under_way is not None
        under_way, self._under_way = self._under_way, None
        return under_way.result()

    def end(self) -> None:
        """Wait for the transaction under way."""
        self._thread.shutdown()
        os.close(self.over)
