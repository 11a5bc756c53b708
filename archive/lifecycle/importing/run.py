"""Run an import: batches side by side, their transactions one after another, and then what had to wait."""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice

from archive.lifecycle.importing import workers
from archive.lifecycle.importing.batch import Broken, Prepared, Question, Reply, batches
from archive.lifecycle.importing.claims import Claims
from archive.lifecycle.importing.committing import Committing
from archive.lifecycle.importing.interrupts import Interrupts
from archive.lifecycle.importing.outcome import Outcome
from archive.lifecycle.importing.task import Task
from archive.lifecycle.importing.waiting import Waiting
from archive.lifecycle.importing.workers import Alone, Crew, Processes, Worker
from archive.storage.sources import Found

# For each worker, so many batches may be under way: the one that it is at, and those that wait for their transaction
# because an older one is not ready yet.
MOST_FOR_EACH_WORKER = 3

# Files that wait for another one of the same instance; beyond, no new ones are looked at.
MOST_DEFERRED = 10_000


@dataclass(slots=True, eq=False)
class _UnderWay:
    """A batch between the folder and its transaction."""

    again: set[str] = field(default_factory=set[str])
    """The instances of its files, where they had to wait."""
    claims: set[str] = field(default_factory=set[str])
    ready: Prepared | Broken | None = None


class Import:
    """One run."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._claims = Claims(task)
        self._interrupts = Interrupts()
        self._under_way: deque[_UnderWay] = deque()
        self._committed: _UnderWay | None = None
        self._waiting = Waiting()

    def run(self, found: Iterable[Found]) -> Generator[Outcome, None, None]:
        """Take in what was found; what became of each. Close it where it is not run to its end.

        Ctrl-C is raised by the generator alone, and when all that is done was told; never in whoever counts that.
        """
        with self._interrupts:
            yield from self._run(found)

    def _run(self, found: Iterable[Found]) -> Iterator[Outcome]:
        new = batches(found)
        first = list(islice(new, 2))
        new = chain(first, new)
        committing = Committing(self._task)
        try:
            crew = self._crew(len(first), committing.over)
            try:
                yield from self._all(crew, committing, new)
            except (Exception, KeyboardInterrupt):
                if committing.is_busy:
                    yield from self._told(committing.last_outcomes())
                raise
            finally:
                crew.end()
        finally:
            committing.end()
            for each in self._under_way:
                if isinstance(each.ready, Prepared):
                    self._task.discard(each.ready.items)

    def _crew(self, number_of_batches: int, alarm: int) -> Crew:
        """For a single batch, or on a single core, no process is worth its start."""
        number = workers.number_of_processes()
        if number > 1 and number_of_batches > 1:
            return Processes(self._task, number, alarm)
        return Alone(self._task, alarm, lambda: not self._interrupts.has_come)

    def _all(self, crew: Crew, committing: Committing, new: Iterator[list[Found]]) -> Iterator[Outcome]:
        """What had to wait, then what is new, until all is told."""
        idle, busy = crew.workers, dict[Worker, _UnderWay]()
        most = MOST_FOR_EACH_WORKER * len(idle)
        while True:
            self._interrupts.raise_if_come()
            while idle and len(self._under_way) < most and (batch := self._next(new)):
                files, again = batch
                worker = idle.pop()
                busy[worker] = _UnderWay(again)
                self._under_way.append(busy[worker])
                worker.ask(files)
            if self._under_way and not committing.is_busy:
                self._commit(committing)
            if not self._under_way and not committing.is_busy:
                return
            for worker, reply in crew.replies():
                if self._is_done(worker, reply, busy[worker]):
                    del busy[worker]
                    idle.append(worker)
            if (outcomes := committing.outcomes()) is not None:
                yield from self._told(outcomes)

    def _next(self, new: Iterator[list[Found]]) -> tuple[list[Found], set[str]] | None:
        """A batch, and the instances of those that had to wait."""
        if (batch := self._waiting.next()) is not None:
            return batch
        if len(self._waiting) > MOST_DEFERRED or (files := next(new, None)) is None:
            return None
        return files, set()

    def _is_done(self, worker: Worker, reply: Reply, batch: _UnderWay) -> bool:
        """Answer a question; whether the batch is prepared."""
        if isinstance(reply, Question):
            answer, batch.claims = self._claims.answer(reply)
            worker.ask(answer)
            return False
        batch.ready = reply
        return True

    def _commit(self, committing: Committing) -> None:
        """Begin to make the oldest batch visible, if it is ready."""
        ready = self._under_way[0].ready
        if isinstance(ready, Broken):
            raise ready.error
        if ready is not None:
            self._committed = self._under_way.popleft()  # from here on rows may name its files
            committing.begin(ready.items)

    def _told(self, outcomes: list[Outcome]) -> list[Outcome]:
        """What became of all files of the batch that was committed."""
        batch = self._committed
        assert batch is not None
        assert isinstance(batch.ready, Prepared)
        self._claims.release(batch.claims, batch.ready.would_be_held)
        self._waiting.add(batch.ready.deferred)
        self._waiting.end(batch.again)
        done = {*batch.claims, *batch.again, *(each.sop_instance_uid for each in batch.ready.deferred)}
        self._waiting.wake(uid for uid in done if not self._claims.has(uid))
        return batch.ready.outcomes + outcomes
