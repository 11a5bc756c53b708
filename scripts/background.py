"""Programs in the background for tests and benchmarks: start, wait until they listen, stop.

Ends only what it started: each program has a process group of its own.
"""

import os
import secrets
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_RETRY_SECONDS = 0.01  # how long to listen for the program's death before the next attempt to connect
_START_SECONDS = _STOP_SECONDS = 60.0  # more than a busy machine takes
_FIRST_PORT = 15_000  # below are those of well-known services


class ProgramFailed(AssertionError):
    """A program in the background ended too early, or did not start or stop in time; its output is in the message."""


class Background:
    """One program with a process group of its own; its output, both streams, goes to `log`."""

    def __init__(
        self,
        command: Sequence[str | os.PathLike[str]],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.log = log
        self.command = [os.fspath(word) for word in command]
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                cwd=folder,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process that was started; its group has the same number."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    def output(self) -> str:
        """What the program has written."""
        return self.log.read_text(errors="replace")

    def wait(self, seconds: float = _STOP_SECONDS) -> int:
        """Wait for the end; the exit code."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise self.failed(f"still runs after {seconds:g} s") from None

    def wait_listening(self, port: int, seconds: float = _START_SECONDS, host: str = "127.0.0.1") -> None:
        """Wait until somebody accepts connections on `port`."""
        for _ in self._attempts(seconds, f"does not listen on port {port}"):
            try:
                socket.create_connection((host, port), timeout=seconds).close()
            except ConnectionRefusedError:
                continue
            return

    def wait_for_file(self, path: Path, seconds: float = _START_SECONDS) -> str:
        """Wait until the program has written something to `path`; its first line."""
        for _ in self._attempts(seconds, f"did not write {path}"):
            if path.exists() and (text := path.read_text()).strip():
                return text.splitlines()[0].strip()
        raise AssertionError("unreachable")

    def wait_for_output(self, *texts: str, seconds: float = _START_SECONDS) -> str:
        """Wait until the program has written each of these; its whole output."""
        for _ in self._attempts(seconds, f"did not write each of {texts}"):
            output = self.output()
            if all(text in output for text in texts):
                return output
        raise AssertionError("unreachable")

    def _attempts(self, seconds: float, complaint: str) -> Iterator[None]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            yield
            try:
                self._process.wait(_RETRY_SECONDS)
            except subprocess.TimeoutExpired:
                continue
            raise self.failed(f"ended with {self._process.returncode}")
        raise self.failed(f"{complaint} after {seconds:g} s")

    def failed(self, complaint: str) -> ProgramFailed:
        """An error that says what happened to which program, with its output."""
        return ProgramFailed(f"{' '.join(self.command)}: {complaint}\n{self.output()}")

    def terminate(self) -> None:
        """Send SIGTERM to the program; it ends its own children."""
        if self.returncode is None:
            self._process.terminate()

    def stop(self, seconds: float = _STOP_SECONDS) -> int:
        """SIGTERM, wait; SIGKILL for the whole group when time is up. The exit code."""
        self.terminate()
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return self.kill_group()
        finally:
            self.kill_group()  # children that outlived their parent

    def kill_group(self) -> int:
        """SIGKILL for the program and all its children at once; none of them is left. The exit code."""
        handles = [handle for member in _group(self.pid) if (handle := _handle(member)) is not None]
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # none of them is left
        code = self._process.wait(_STOP_SECONDS)
        for handle in handles:
            select.select([handle], [], [], _STOP_SECONDS)  # readable when the process has ended
            os.close(handle)
        return code


def _group(number: int) -> Iterator[int]:
    """The processes of a process group (Linux: /proc/PID/stat, after the name: state, parent, group)."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[2]) == number:
                yield int(stat.parent.name)
        except OSError:
            continue  # it ended meanwhile


def _handle(pid: int) -> int | None:
    """A descriptor that tells when `pid` ends; None if it has."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody uses now; for programs that cannot be told to choose one.

    It is none of those that the system gives to connections and to whoever binds port 0: others are given many of
    them before the program has bound its own.
    """
    given_by_system = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = _FIRST_PORT + secrets.randbelow(max(1000, given_by_system - _FIRST_PORT))
        with socket.socket() as probe, suppress(OSError):  # in use
            probe.bind(("127.0.0.1", port))
            return port


def descendants(pid: int) -> list[int]:
    """The living children of `pid`, their children, and so on (Linux: /proc)."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        parent = waiting.pop()
        try:
            tasks = [task.read_text() for task in Path(f"/proc/{parent}/task").glob("*/children")]
        except OSError:
            continue  # it ended meanwhile
        children = [int(child) for text in tasks for child in text.split()]
        found += children
        waiting += children
    return [child for child in found if is_running(child)]


def is_running(pid: int) -> bool:
    """Whether `pid` is alive, and not a zombie that its parent has not fetched yet."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def listeners(port: int, pids: Sequence[int]) -> list[int]:
    """Those of `pids` that hold a socket which listens on `port` (Linux: /proc)."""
    inodes = set(_listening_inodes(port))
    return [pid for pid in pids if inodes & set(_socket_inodes(pid))]


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()  # sl local_address rem_address st … inode at index 9; state 0A is LISTEN
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _socket_inodes(pid: int) -> Iterator[str]:
    try:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            target = str(descriptor.readlink())
            if target.startswith("socket:["):
                yield target[len("socket:[") : -1]
    except OSError:
        return  # it ended, or closed a descriptor, meanwhile
