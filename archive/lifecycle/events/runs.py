"""Run commands beside everything else: so many at once, the others in line; each is waited for, so none is a zombie.

A command has the environment, the folder, the output and the process group of the receiver, as DCMTK's programs run
theirs; nothing comes to its input, and no descriptor of ours goes with it. It is never ended by us: who knows how long
it may take?
"""

import errno
import logging
import shlex
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from archive.lifecycle.events.commands import SHELL

log = logging.getLogger(__name__)

# Processes: what comes in thousands, such as images, must not start thousands of them.
MOST_AT_ONCE = 32

# In line, some 500 bytes each. Beyond it whoever brings another one waits for room: commands that are slower than what
# comes slow it down. Commands that never end must not hold it up for ever.
MOST_WAITING = 10_000
WAIT_SECONDS = 30.0

_ADVICE = {
    errno.ENOENT: "is its whole path needed? What is a word of the shell and no program needs --exec-shell",
    errno.EACCES: "it must be a file that may be executed (chmod +x)",
    errno.EPERM: "it must be a file that may be executed (chmod +x)",
    errno.EAGAIN: "the limit of processes is reached (ulimit -u)",
    errno.ENOMEM: "there is no memory for another process",
}


@dataclass(eq=False, slots=True)
class Run:
    """One run of a command."""

    arguments: tuple[str, ...]
    over: threading.Event = field(default_factory=threading.Event)
    """Set when it has ended, or when nothing will come of it."""

    def __str__(self) -> str:
        return shlex.join(self.arguments)


class CommandRuns:
    """Runs commands in the order in which they come."""

    def __init__(self, most_at_once: int = MOST_AT_ONCE, *, most_waiting: int = MOST_WAITING) -> None:
        self._most_at_once = most_at_once
        self._most_waiting = most_waiting
        self._line: deque[Run] = deque()
        self._at_once = 0
        self._starting = 0  # of those at once, the ones that have no process yet
        self._is_closed = False
        self._change = threading.Condition()

    def begin(self, arguments: Sequence[str], *, wait_seconds: float = WAIT_SECONDS) -> Run:
        """Run a command as soon as it may; where the line is full, it waits so long for room."""
        run = Run(tuple(arguments))
        with self._change:
            if not self._change.wait_for(self._has_room, wait_seconds):
                log.error("not run, because %d commands are in line already: %s", len(self._line), run)
                run.over.set()
                return run
            if self._is_closed:
                run.over.set()
                return run
            if self._at_once == self._most_at_once:
                self._line.append(run)
                return run
            self._at_once += 1
            self._starting += 1
        try:
            threading.Thread(target=self._work, args=(run,), name="command", daemon=True).start()
        except RuntimeError:  # the system has no thread for us
            log.error("not run, because no thread is left for it: %s", run)
            with self._change:
                self._at_once -= 1
            self._started()
            run.over.set()
        return run

    def wait_until_all_have_begun(self) -> None:
        """Until no command is in line any more; they need not have ended."""
        with self._change:
            self._change.wait_for(lambda: not self._line and not self._starting)

    def close(self) -> list[Run]:
        """Begin no other command; those that are in line, and are not run. What runs goes on."""
        with self._change:
            self._is_closed = True
            waiting = list(self._line)
            self._line.clear()
        for run in waiting:
            run.over.set()
        return waiting

    def _has_room(self) -> bool:
        return len(self._line) < self._most_waiting

    def _work(self, run: Run | None) -> None:
        while run is not None:
            try:
                self._run(run)
            except Exception:  # its place, and whoever waits for it, must not be lost by that
                log.exception("a command met a defect: %s", run)
            finally:
                run.over.set()
            run = self._next()

    def _run(self, run: Run) -> None:
        try:
            process = _start(run)
        finally:
            self._started()
        if process is not None:
            _say_how_it_ended(run, process.wait())

    def _started(self) -> None:
        with self._change:
            self._starting -= 1
            self._change.notify_all()

    def _next(self) -> Run | None:
        with self._change:
            if not self._line:
                self._at_once -= 1
                return None
            self._starting += 1
            run = self._line.popleft()
            self._change.notify_all()
            return run


def _start(run: Run) -> subprocess.Popen[bytes] | None:
    log.debug("executing: %s", run)
    try:
        return _process(run.arguments)
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0)
        log.error("cannot execute '%s': %s%s", run, error.strerror, f"; {advice}" if advice else "")
        return None


def _process(arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(arguments, stdin=subprocess.DEVNULL)
    except OSError as error:
        path = shutil.which(arguments[0])
        if error.errno != errno.ENOEXEC or path is None:
            raise
        # A script that does not say by what it is run is run by the shell, as execvp(3) has it.
        return subprocess.Popen([SHELL, path, *arguments[1:]], stdin=subprocess.DEVNULL)


def _say_how_it_ended(run: Run, code: int) -> None:
    if code > 0:
        log.warning("ended with exit code %d: %s", code, run)
    elif code < 0:
        log.warning("ended by signal %d: %s", -code, run)
