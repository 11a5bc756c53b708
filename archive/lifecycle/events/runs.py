"""Run commands beside everything else: so many at once, the others in line; each is waited for, so none is a zombie.

What ends something, such as a study, comes when all is over that began of the same before. No thread waits for that.

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
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

from archive.lifecycle.events.commands import SHELL

log = logging.getLogger(__name__)

# Processes: what comes in thousands, such as images, must not start thousands of them.
MOST_AT_ONCE = 32

# In line, or held until others are over, some 500 bytes each. Beyond it whoever brings another one waits for room:
# commands that are slower than what comes slow it down. Commands that never end must not hold it up for ever.
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
    of: Hashable = None
    """What it belongs to; None: nothing."""
    first: Callable[[], None] | None = None
    """What is done before the command. Without arguments that is all."""
    awaits: set["Run"] = field(default_factory=set["Run"], repr=False)
    """What must be over before it."""
    awaited_by: "Run | None" = field(default=None, repr=False)

    def __str__(self) -> str:
        return shlex.join(self.arguments) or f"the end of {self.of}"


class CommandRuns:
    """Runs commands in the order in which they come."""

    def __init__(self, most_at_once: int = MOST_AT_ONCE, *, most_waiting: int = MOST_WAITING) -> None:
        self._most_at_once = most_at_once
        self._most_waiting = most_waiting
        self._line: deque[Run] = deque()
        self._held: dict[Run, None] = {}  # those that await others, in order
        self._of: dict[Hashable, set[Run]] = {}  # those that are not over, without what is awaited already
        self._at_once = 0
        self._starting = 0  # of those at once, the ones that have no process yet
        self._is_closed = False
        self._change = threading.Condition()

    def begin(
        self,
        arguments: Sequence[str],
        *,
        of: Hashable = None,
        expected: Run | None = None,
        wait_seconds: float = WAIT_SECONDS,
    ) -> Run:
        """Run a command as soon as it may, the one that was expected if so; a full line is waited for so long."""
        run = expected or Run((), of=of)
        run.arguments = tuple(arguments)
        return self._begin(run, wait_seconds, is_noted=expected is not None)

    def end(
        self,
        of: Hashable,
        arguments: Sequence[str] = (),
        *,
        first: Callable[[], None] | None = None,
        wait_seconds: float = WAIT_SECONDS,
    ) -> Run:
        """The same when all is over that began of it before, an end of it too; `first` is done before the command."""
        return self._begin(Run(tuple(arguments), of=of, first=first), wait_seconds, is_end=True)

    def expect(self, of: Hashable) -> Run:
        """A command of it is still to begin, and an end waits for it: give this to `begin`, or to `let_go`."""
        run = Run((), of=of)
        with self._change:
            self._note(run, is_end=False)
        return run

    def let_go(self, expected: Run) -> None:
        """It will not begin."""
        self._over(expected)

    def _begin(self, run: Run, wait_seconds: float, *, is_end: bool = False, is_noted: bool = False) -> Run:
        with self._change:
            has_room = self._change.wait_for(self._has_room, wait_seconds)
            if not has_room:
                log.error("not run, because %d commands are in line already: %s", self._waiting(), run)
            is_taken = has_room and not self._is_closed
            if is_taken and not is_noted:
                self._note(run, is_end=is_end)
            if run.awaits:
                self._held[run] = None
                return run
            has_place = is_taken and self._place(run)
        if not is_taken:
            self._over(run)
        elif has_place:
            self._start_thread(run)
        return run

    def _note(self, run: Run, *, is_end: bool) -> None:
        if run.of is None:
            return
        if is_end:
            run.awaits = self._of.pop(run.of, set())
            for each in run.awaits:
                each.awaited_by = run
        self._of.setdefault(run.of, set()).add(run)

    def _place(self, run: Run) -> bool:
        """Whether it has a place; without one it stands in line."""
        if self._at_once == self._most_at_once:
            self._line.append(run)
            return False
        self._at_once += 1
        self._starting += 1
        return True

    def _start_thread(self, run: Run) -> None:
        try:
            threading.Thread(target=self._work, args=(run,), name="command", daemon=True).start()
        except RuntimeError:  # the system has no thread for us
            log.error("not run, because no thread is left for it: %s", run)
            with self._change:
                self._at_once -= 1
            self._started()
            self._over(run)

    def _over(self, run: Run) -> None:
        """Let go of what awaited it alone."""
        with self._change:
            run.over.set()
            found = self._of.get(run.of, set())
            found.discard(run)
            if not found:
                self._of.pop(run.of, None)
            next_one = run.awaited_by
            if next_one is None or next_one not in self._held:
                return
            next_one.awaits.discard(run)
            if next_one.awaits:
                return
            del self._held[next_one]
            has_place = self._place(next_one)
            self._change.notify_all()
        if has_place:
            self._start_thread(next_one)

    def wait_until_all_have_begun(self) -> None:
        """Until no command is in line or held any more; they need not have ended."""
        with self._change:
            self._change.wait_for(lambda: not self._waiting() and not self._starting)

    def close(self) -> list[Run]:
        """Begin no other command; those that are in line or held, and are not run. What runs goes on."""
        with self._change:
            self._is_closed = True
            waiting = [*self._line, *self._held]
            self._line.clear()
            self._held.clear()
        for run in waiting:
            run.over.set()
        return waiting

    def _has_room(self) -> bool:
        return self._waiting() < self._most_waiting

    def _waiting(self) -> int:
        return len(self._line) + len(self._held)

    def _work(self, run: Run | None) -> None:
        while run is not None:
            try:
                self._run(run)
            except Exception:  # its place, and whoever waits for it, must not be lost by that
                log.exception("a command met a defect: %s", run)
            finally:
                self._over(run)
            run = self._next()

    def _run(self, run: Run) -> None:
        try:
            if run.first is not None:
                run.first()
            process = _start(run) if run.arguments else None
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
