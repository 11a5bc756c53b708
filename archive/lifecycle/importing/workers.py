"""Who prepares batches for an import: processes, or the one that runs it.

A worker is forked from that process, and is handed one thing at a time: a batch, or the answer to its question. So
nobody ever waits to send while the other one does too. It has no database, and closes all that it inherits: a lock or
a connection of its parent's is none of its business. Its parent's end, and the end of the import, it sees by the pipe.
"""

import gc
import logging
import os
import select
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, Protocol

from archive.errors import ArchiveError, Failed
from archive.lifecycle.importing.batch import Asked, Broken, Prepared, Reply
from archive.lifecycle.importing.channel import Channel, Closed
from archive.lifecycle.importing.interrupts import unseen_by_children
from archive.lifecycle.importing.preparation import Preparation
from archive.lifecycle.importing.task import Task

log = logging.getLogger(__name__)

# Beyond, the transactions are the limit, which come one after another.
MOST_PROCESSES = 4


def number_of_processes() -> int:
    """How many workers are worth their while: one more than there are cores, as they wait for the disk now and then.

    On a single core that is one, which needs no process of its own.
    """
    cores = len(os.sched_getaffinity(0))
    return min(cores + 1, MOST_PROCESSES) if cores > 1 else 1


class Worker(Protocol):
    """One that prepares a batch at a time."""

    def ask(self, asked: Asked) -> None:
        """Hand it what to do next; its reply comes by the crew's `replies`."""
        ...


class Crew(Protocol):
    """All workers of an import."""

    @property
    def workers(self) -> list[Worker]:
        """Each of them."""
        ...

    def replies(self) -> Iterator[tuple[Worker, Reply]]:
        """What those who were asked have come to; waits for one at least, or for the alarm.

        One after another, so that whatever ends this, those before are in the hands of the caller.
        """
        ...

    def end(self) -> None:
        """Have them give up what they are at, and leave nothing of it."""
        ...


class Alone:
    """No process more: each batch is prepared when its reply is asked for."""

    def __init__(self, task: Task, alarm: int, is_wanted: Callable[[], bool]) -> None:
        """The `alarm` is a descriptor that can be read when it goes off; `is_wanted` is as for a preparation."""
        self._is_wanted = is_wanted
        self._preparation = Preparation(task)
        self._asked: Asked | None = None
        self._alarm = alarm

    @property
    def workers(self) -> list[Worker]:
        return [self]

    def ask(self, asked: Asked) -> None:
        self._asked = asked

    def replies(self) -> Iterator[tuple[Worker, Reply]]:
        if self._asked is None:
            select.select([self._alarm], [], [])
            return
        asked, self._asked = self._asked, None
        yield self, self._preparation.handle(asked, self._is_wanted)

    def end(self) -> None:
        self._preparation.let_go()


class Processes:
    """Workers that are processes."""

    def __init__(self, task: Task, number: int, alarm: int) -> None:
        """The `alarm` is a descriptor that can be read when it goes off."""
        self._task = task
        self._processes: dict[int, Process] = {}
        self._answering = select.poll()
        self._answering.register(alarm, select.POLLIN)
        try:
            for _ in range(number):
                process = Process(task)
                self._processes[process.reading] = process
                self._answering.register(process.reading, select.POLLIN)
        except BaseException:
            self.end()
            raise

    @property
    def workers(self) -> list[Worker]:
        return list(self._processes.values())

    def replies(self) -> Iterator[tuple[Worker, Reply]]:
        """Raises Failed where one was killed."""
        heard = [descriptor for descriptor, _ in self._answering.poll()]
        for process in [self._processes[descriptor] for descriptor in heard if descriptor in self._processes]:
            yield process, process.reply()

    def end(self) -> None:
        for process in self._processes.values():
            process.dismiss()
        for process in self._processes.values():
            for reply in process.last_replies():
                if isinstance(reply, Prepared):
                    self._task.discard(reply.items)
            process.bury()


class Process:
    """One of them, as its parent sees it."""

    def __init__(self, task: Task) -> None:
        """Raises Failed where there can be no process more."""
        try:
            self._channel, other = Channel.pair()
            self._number = _forked(lambda: _serve(other, task), other)
        except OSError as error:
            raise Failed("No process can be started for the import", reason=error.strerror) from error
        other.close()

    @property
    def reading(self) -> int:
        """The descriptor by which its replies come."""
        return self._channel.descriptors[0]

    def ask(self, asked: Asked) -> None:
        try:
            self._channel.send(asked)
        except Closed:
            raise self._lost() from None

    def reply(self) -> Reply:
        """Receive what it sends, or raise Failed if it has ended."""
        try:
            return self._channel.receive()
        except Closed:
            raise self._lost() from None

    def dismiss(self) -> None:
        """No more is asked of it."""
        self._channel.end_sending()

    def last_replies(self) -> list[Reply]:
        """What it had to say when it was dismissed."""
        replies: list[Reply] = []
        with suppress(Closed):
            while True:
                replies.append(self._channel.receive())
        return replies

    def bury(self) -> int:
        """Wait for its end; the signal that killed it, or 0."""
        self._channel.close()
        number, self._number = self._number, 0
        if not number:
            return 0
        try:
            return max(0, -os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]))
        except ChildProcessError:  # somebody wants no children's ends to be told
            return 0

    def _lost(self) -> Failed:
        killer = self.bury()
        how = f"was killed by signal {killer}" if killer else "has ended"
        return Failed(f"A process of the import {how}; what was taken in stays, run the import again to go on")


def _forked(work: Callable[[], None], channel: Channel) -> int:
    """A process that does this work and ends; its number. Raises OSError."""
    # Ctrl-C goes to all processes of a terminal: what it ends is the import, and that ends its workers.
    with unseen_by_children(), warnings.catch_warnings():
        # Of threads, from Python 3.12 on: what they hold, such as a progress bar, a worker never asks for.
        warnings.simplefilter("ignore", DeprecationWarning)
        number = os.fork()
        if number == 0:
            _become(work, channel)
        return number


def _become(work: Callable[[], None], channel: Channel) -> NoReturn:
    """In a forked process: work, and end whatever happens, without the parent's exit handlers and its open files."""
    code = 1
    try:
        gc.freeze()  # what was the parent's is never garbage here: to tidy up a connection would end it for both
        _close_all_but({0, 1, 2, *channel.descriptors})
        work()
        code = 0
    except BaseException:
        log.critical("a process of the import ended by a defect", exc_info=True)
    finally:
        os._exit(code)


def _close_all_but(kept: set[int]) -> None:
    for descriptor in [int(link.name) for link in Path("/proc/self/fd").iterdir()]:
        if descriptor not in kept:
            with suppress(OSError):  # that of the folder that was listed is closed already
                os.close(descriptor)


def _serve(channel: Channel, task: Task) -> None:
    """Be a worker, until there is nobody to work for."""
    preparation = Preparation(task)
    try:
        while True:
            reply = preparation.handle(channel.receive(), channel.is_silent)
            try:
                channel.send(_portable(reply))
            except Closed:
                if isinstance(reply, Prepared):
                    task.discard(reply.items)
                raise
    except Closed:
        return


def _portable(reply: Reply) -> Reply:
    """The reply as another process can have it: an error that is not ours becomes the text of its traceback."""
    if not isinstance(reply, Broken) or isinstance(reply.error, ArchiveError):
        return reply
    return Broken(RuntimeError("".join(traceback.format_exception(reply.error))))
