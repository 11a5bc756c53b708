"""Transactions: read, write with retries, and many writers' work in one commit.

A write is given as a function of a connection, because it may have to run again: after a serialization failure, a
deadlock, a lost connection. It must therefore change nothing but the database. A commit costs a sync of the disk;
`GroupCommit` lets all work that arrives during one commit share the next, while a lone writer never waits for company.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from archive.database import dialects, pooler
from archive.database.engine import Database
from archive.errors import DatabaseFailed

T = TypeVar("T")
C = TypeVar("C")

ATTEMPTS = 5

# More would only delay the first in line; 64 commits of one row cost more than one commit of 64.
MOST_IN_ONE_COMMIT = 64


@contextmanager
def read(database: Database) -> Iterator[Connection]:
    """A connection in one read transaction, whose statements all see the database as it was at the first of them.

    Hold it for as long as the database works, never for a peer.
    """
    try:
        with database.readers.connect() as connection:
            yield connection
    except SQLAlchemyError as error:
        raise _failed(error) from error


@contextmanager
def read_once(database: Database) -> Iterator[Connection]:
    """A connection for one statement, a transaction by itself: one trip to a server, where `read` takes three."""
    try:
        with database.statements.connect() as connection:
            yield connection
    except SQLAlchemyError as error:
        raise _failed(error) from error


def write(database: Database, work: Callable[[Connection], T], *, durable: bool = True) -> T:
    """Run `work` in one write transaction and commit it, again if it collided; errors of ours roll back and pass."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _once(database, work, durable)
        except DBAPIError as error:
            if attempt == ATTEMPTS or not dialects.is_retryable(error):
                raise _failed(error) from error
        except SQLAlchemyError as error:
            raise _failed(error) from error
    raise AssertionError("unreachable")


def write_at_once(database: Database, statement: Callable[[Connection], T | None]) -> T | None:
    """Run a statement that is a write transaction by itself; None if it does not apply, took itself back, or collided.

    Then it is to be done in the plain way, where it must do no harm that it was done already and only its answer was
    lost. It is not for SQLite, whose writers have to queue.
    """
    try:
        with database.statements.connect() as connection:
            return None if pooler.missing_limits(connection) else statement(connection)
    except DBAPIError as error:
        if dialects.took_itself_back(error) or dialects.is_retryable(error):
            return None
        raise _failed(error) from error
    except SQLAlchemyError as error:
        raise _failed(error) from error


def _once(database: Database, work: Callable[[Connection], T], durable: bool) -> T:
    with database.writing() as connection:
        pooler.limit(connection)
        dialects.choose_durability(connection, durable)
        if not connection.in_transaction():
            connection.begin()  # now: statements that go past SQLAlchemy do not begin by themselves
        result = work(connection)
        connection.commit()
        return result


def _failed(error: SQLAlchemyError) -> DatabaseFailed:
    reason = str(getattr(error, "orig", None) or error).strip()
    return DatabaseFailed(pooler.advice(error), reason=reason.splitlines()[0] if reason else type(error).__name__)


class _Job(Generic[T, C]):
    __slots__ = ("at_once", "claim", "done", "durable", "error", "key", "result", "turn", "work")

    def __init__(
        self,
        key: Any,
        work: Callable[[Connection], T],
        claim: C | None,
        durable: bool,
        at_once: Callable[[Connection], T | None] | None,
    ) -> None:
        self.key, self.work, self.claim, self.durable, self.at_once = key, work, claim, durable, at_once
        self.result: T | None = None
        self.error: Exception | None = None
        self.done = False
        self.turn = threading.Lock()  # let go when it is done, or when it is its turn to commit
        self.turn.acquire()


class GroupCommit(Generic[C]):
    """Many threads' writes, a commit for all that wait: whoever comes first commits for everyone in line.

    Then the first of those who came meanwhile is told to go on, and everyone whose work is done goes at once.
    """

    def __init__(self, database: Database, begin: Callable[[Connection, Sequence[C]], None] = lambda *_: None) -> None:
        """`begin` is called first in each transaction, with the claims of all whose work will be in it."""
        self._database = database
        self._begin = begin
        self._waiting: list[_Job[Any, C]] = []
        self._in_line = threading.Lock()
        self._is_committing = False

    def write(
        self,
        work: Callable[[Connection], T],
        *,
        key: Any,
        claim: C | None = None,
        durable: bool = True,
        at_once: Callable[[Connection], T | None] | None = None,
    ) -> T:
        """Run `work` and return its result once it is committed, or raise what it raised.

        Work in one commit runs in the order of `key`, so that two processes lock rows in the same order. `at_once`
        does the same by one statement, if it can (see `write_at_once`): it is tried first by who has a commit alone.
        """
        job: _Job[T, C] = _Job(key, work, claim, durable, at_once)
        with self._in_line:
            self._waiting.append(job)
            is_turn, self._is_committing = not self._is_committing, True
        if not is_turn:
            job.turn.acquire()
        if not job.done:  # it is the first in line
            self._commit_those_in_line()
        if job.error is not None:
            raise job.error
        return job.result  # type: ignore[return-value]  # set with done

    def _commit_those_in_line(self) -> None:
        with self._in_line:
            jobs, self._waiting = self._waiting[:MOST_IN_ONE_COMMIT], self._waiting[MOST_IN_ONE_COMMIT:]
        try:
            jobs.sort(key=lambda job: job.key)
            if len(jobs) == 1 or not self._together(jobs):
                for job in jobs:
                    self._alone(job)
        finally:
            self._pass_on(jobs)

    def _pass_on(self, jobs: Sequence[_Job[Any, C]]) -> None:
        """The next in line commits; those whose work was tried go. What was broken off has failed."""
        with self._in_line:
            following = self._waiting[0] if self._waiting else None
            self._is_committing = following is not None
        if following is not None:
            following.turn.release()
        for job in jobs:
            if not job.done:
                job.error, job.done = DatabaseFailed("The commit was broken off"), True
            job.turn.release()

    def _together(self, jobs: list[_Job[Any, C]]) -> bool:
        """One transaction for all; False if one of them failed, and then nothing happened."""
        try:
            results = write(
                self._database,
                lambda connection: self._do(connection, jobs),
                durable=any(job.durable for job in jobs),
            )
        except Exception:  # noqa: BLE001 - whose fault it was shows when each runs alone
            return False
        for job, result in zip(jobs, results, strict=True):
            job.result, job.done = result, True
        return True

    def _alone(self, job: _Job[Any, C]) -> None:
        try:
            if job.at_once is not None:
                job.result = write_at_once(self._database, job.at_once)
            if job.result is None:
                (job.result,) = write(
                    self._database, lambda connection: self._do(connection, [job]), durable=job.durable
                )
        except Exception as error:  # noqa: BLE001 - handed to the thread whose work it is
            job.error = error
        job.done = True

    def _do(self, connection: Connection, jobs: Sequence[_Job[Any, C]]) -> list[Any]:
        self._begin(connection, [job.claim for job in jobs if job.claim is not None])
        return [job.work(connection) for job in jobs]
