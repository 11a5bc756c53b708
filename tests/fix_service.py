"""The real archive as a subprocess: `archive serve` on a port of its own choice, stopped or killed by the test.

The service tells its port by the file `archive.port` in its data folder. A failed test shows its log.
"""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import pytest

from archive.cli.main import main
from scripts.background import Background, ProgramFailed, descendants, is_running, listeners

_PORT_FILE, _TLS_PORT_FILE = "archive.port", "archive.tls-port"
_COMMAND = (sys.executable, "-m", "archive")
_COMMAND_SECONDS = 60.0


class Service:
    """One `archive serve`; may be stopped, killed and started again over the same data and database."""

    def __init__(self, data: Path, url: str, log: Path, workers: int, options: tuple[str, ...]) -> None:
        self.data, self.url, self.log = data, url, log
        self.port = self.tls_port = 0  # 0: it does not listen there
        self._arguments = ("--port", "0", "--workers", str(workers), *options)
        self._process: Background | None = None

    @property
    def process(self) -> Background:
        """The supervisor's process."""
        assert self._process is not None, "the service was not started"
        return self._process

    def start(self) -> None:
        """Start, and wait until the port is open."""
        port_file, tls_port_file = self.data / _PORT_FILE, self.data / _TLS_PORT_FILE
        for file in (port_file, tls_port_file):
            file.unlink(missing_ok=True)  # of the run before
        command = (*_COMMAND, "serve", "--data", self.data, "--database", self.url, *self._arguments)
        self._process = Background(command, self.log)
        if "--tls-port" in self._arguments:
            self.tls_port = int(self._process.wait_for_file(tls_port_file))
        if "off" not in self._arguments:
            self.port = int(self._process.wait_for_file(port_file))
        self._process.wait_listening(self.port or self.tls_port)

    def stop(self) -> int:
        """SIGTERM, as systemd does it; the exit code."""
        return self.process.stop()

    def restart(self) -> None:
        """Start again after a stop or a kill; the port may be another."""
        self.start()

    def workers(self) -> list[int]:
        """The worker processes: those below the supervisor that hold the listening socket."""
        return listeners(self.port or self.tls_port, descendants(self.process.pid))

    def kill_worker(self, pid: int | None = None) -> int:
        """`kill -9` of one worker, the first if not named; its process number."""
        victim = self.workers()[0] if pid is None else pid
        assert victim in descendants(self.process.pid), f"{victim} is not ours"
        os.kill(victim, signal.SIGKILL)
        return victim

    def kill(self) -> None:
        """`kill -9` of the supervisor and all its children at once, as a power cut would."""
        self.process.kill_group()

    def is_running(self) -> bool:
        """Whether the supervisor lives."""
        return self._process is not None and self._process.returncode is None and is_running(self._process.pid)

    def output(self) -> str:
        """What the service has written since it was first started."""
        return self.log.read_text(errors="replace")

    def run(self, *arguments: object, code: int = 0) -> str:
        """`archive ARGUMENTS…` in this process, on the same data and database; expect exit code `code`; its output."""
        output = io.StringIO()
        with (
            patch.dict(os.environ, ARCHIVE_DATA=str(self.data), ARCHIVE_DATABASE=self.url),
            redirect_stdout(output),
            redirect_stderr(output),
            pytest.raises(SystemExit) as ended,
        ):
            main(list(map(str, arguments)))
        assert ended.value.code == code, f"{arguments} ended with {ended.value.code}\n{output.getvalue()}"
        return output.getvalue()

    def run_program(self, *arguments: object, code: int = 0) -> str:
        """The same as a program of its own: for what goes on until it is told to stop."""
        command = [*_COMMAND, *map(str, arguments)]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "ARCHIVE_DATA": str(self.data), "ARCHIVE_DATABASE": self.url},
            timeout=_COMMAND_SECONDS,
            check=False,
            text=True,
        )
        assert done.returncode == code, f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}"
        return done.stdout


@pytest.fixture
def start_service(
    tmp_path: Path, migrated_url: str, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Service]]:
    """`start_service("--max-associations", "5", workers=2)` starts `archive serve` on a migrated database."""
    started: list[Service] = []

    def begin(*options: str, workers: int = 1, url: str = migrated_url) -> Service:
        data = tmp_path / f"data-{len(started)}"
        data.mkdir()
        service = Service(data, url, tmp_path / f"service-{len(started)}.log", workers, options)
        started.append(service)
        service.start()
        return service

    yield begin
    complaints: list[str] = []
    for service in started:
        if service.is_running():
            try:
                service.stop()
            except ProgramFailed as error:
                complaints.append(str(error))
        request.node.add_report_section("teardown", f"log of {service.data.name}", service.output())
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def service(start_service: Callable[..., Service]) -> Service:
    """A running archive with one worker: one area and the AE title ARCHIVE, open to any peer on loopback."""
    return start_service()
