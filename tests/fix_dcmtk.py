"""DCMTK's programs as peers: run one, read its exit code by name and what it fetched; storescp as a move destination.

Always Debian's programs by absolute path: pynetdicom installs namesakes into the virtual environment.
"""

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import FileDataset

from scripts.background import Background, free_port

_FOLDER = Path("/usr/bin")
_SECONDS = 120.0  # no run of one program takes this long, on a busy machine either


class ExitCode(IntEnum):
    """Exit codes of dcmsend, storescu, movescu and their kin, as their man pages list them."""

    NO_ERROR = 0
    SYNTAX_ERROR = 1  # findscu, getscu and storescp: every error
    INSUFFICIENT_PRIVILEGES = 2
    CANNOT_READ_INPUT_FILE = 20
    NO_INPUT_FILES = 21
    INVALID_INPUT_FILE = 22
    NO_VALID_INPUT_FILES = 23
    CANNOT_WRITE_OUTPUT_FILE = 40
    CANNOT_WRITE_REPORT_FILE = 43
    INVALID_OUTPUT_DIRECTORY = 45
    CANNOT_INITIALIZE_NETWORK = 60
    CANNOT_NEGOTIATE_ASSOCIATION = 61
    CANNOT_SEND_REQUEST = 62
    CANNOT_ADD_PRESENTATION_CONTEXT = 65
    NO_PRESENTATION_CONTEXT = 66
    CANNOT_CLOSE_ASSOCIATION = 67
    CMOVE_WARNING = 68
    CMOVE_ERROR = 69
    ASSOCIATION_ABORTED = 70  # storescu; elsewhere the TLS layer


_EXIT_CODE_NAMES = {code.value: code.name for code in ExitCode}


@dataclass(frozen=True, slots=True)
class Ran:
    """A program that ended: its exit code and all it wrote."""

    command: tuple[str, ...]
    code: int
    output: str

    @property
    def is_ok(self) -> bool:
        """Whether it ended with 0. findscu, getscu and storescu do so after some failures too: look at the output."""
        return self.code == ExitCode.NO_ERROR

    def __str__(self) -> str:
        name = _EXIT_CODE_NAMES.get(self.code, "not an exit code of DCMTK")
        return f"{' '.join(self.command)}\nended with {self.code} ({name})\n{self.output}"


class Dcmtk:
    """DCMTK's programs, to be called by name: `dcmtk.run("echoscu", "-aec", "ARCHIVE", "127.0.0.1", port)`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder  # where found and fetched objects go, a fresh folder each
        self._made = 0

    @staticmethod
    def program(name: str) -> Path:
        """The absolute path of Debian's program."""
        path = _FOLDER / name
        if not path.exists():
            pytest.fail(f"{path} is missing; on Debian and Ubuntu: apt-get install dcmtk", pytrace=False)
        return path

    def run(
        self,
        name: str,
        *arguments: object,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        seconds: float = _SECONDS,
    ) -> Ran:
        """Run one program to its end; it fails the test if it takes longer than `seconds`."""
        command = (str(self.program(name)), *map(str, arguments))
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                cwd=folder or self._folder,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            said = (late.output or b"").decode(errors="replace")
            pytest.fail(f"{' '.join(command)} takes longer than {seconds:g} s\n{said}")
        return Ran(command, done.returncode, done.stdout.decode(errors="replace"))

    def echo(self, port: int, *, called: str = "ARCHIVE", calling: str = "ECHOSCU") -> Ran:
        """C-ECHO by echoscu."""
        return self.run("echoscu", "-v", "-aet", calling, "-aec", called, "127.0.0.1", port)

    def store(self, port: int, *files: Path, called: str = "ARCHIVE", program: str = "storescu") -> Ran:
        """C-STORE by storescu or dcmsend; a file of another kind than the first needs dcmsend, or `-R` by `run`."""
        return self.run(program, "-v", "-aec", called, "127.0.0.1", port, *files)

    def find(
        self, port: int, *keys: str, model: str = "-S", called: str = "ARCHIVE", options: tuple[str, ...] = ()
    ) -> tuple[Ran, list[FileDataset]]:
        """C-FIND by findscu; `keys` as for -k, `model` -P, -S or -O. What it said, and the responses in order."""
        folder = self._new_folder()
        selected = [word for key in keys for word in ("-k", key)]
        ran = self.run(
            "findscu", "-v", "-X", "-od", folder, model, "-aec", called, *options, *selected, "127.0.0.1", port
        )
        return ran, [pydicom.dcmread(path) for path in sorted(folder.glob("rsp*.dcm"))]

    def get(
        self, port: int, *keys: str, model: str = "-S", called: str = "ARCHIVE", options: tuple[str, ...] = ()
    ) -> tuple[Ran, list[Path]]:
        """C-GET by getscu, data sets written as received. What it said, and the fetched files."""
        folder = self._new_folder()
        selected = [word for key in keys for word in ("-k", key)]
        ran = self.run(
            "getscu", "-v", "+B", "-od", folder, model, "-aec", called, *options, *selected, "127.0.0.1", port
        )
        return ran, sorted(path for path in folder.iterdir() if path.is_file())

    def move(
        self,
        port: int,
        destination: str,
        *keys: str,
        model: str = "-S",
        called: str = "ARCHIVE",
        calling: str = "MOVESCU",
    ) -> Ran:
        """C-MOVE by movescu to the AE `destination`."""
        selected = [word for key in keys for word in ("-k", key)]
        titles = ("-aet", calling, "-aec", called, "-aem", destination)
        return self.run("movescu", "-v", model, *titles, *selected, "127.0.0.1", port)

    def _new_folder(self) -> Path:
        self._made += 1
        folder = self._folder / f"fetched-{self._made}"
        folder.mkdir()
        return folder


@dataclass(frozen=True, slots=True)
class Receiver:
    """A running storescp: what it received lies in `folder`."""

    port: int
    title: str
    folder: Path
    process: Background

    def files(self) -> list[Path]:
        """The received files, in order of name."""
        return sorted(path for path in self.folder.iterdir() if path.is_file())


@pytest.fixture
def dcmtk(tmp_path: Path) -> Dcmtk:
    """DCMTK's programs, with a folder of this test's own."""
    folder = tmp_path / "dcmtk"
    folder.mkdir()
    return Dcmtk(folder)


@pytest.fixture
def start_storescp(tmp_path: Path) -> Iterator[Callable[..., Receiver]]:
    """`start_storescp("+xa", title="DEST")` starts a storescp that listens; data sets are kept bit for bit."""
    started: list[Background] = []

    def begin(*options: str, title: str = "STORESCP") -> Receiver:
        folder = tmp_path / f"storescp-{len(started)}"
        folder.mkdir()
        port = free_port()
        command = [Dcmtk.program("storescp"), "-v", "+B", "-od", folder, "-aet", title, *options, str(port)]
        process = Background(command, tmp_path / f"storescp-{len(started)}.log")
        started.append(process)
        process.wait_listening(port)
        return Receiver(port, title, folder, process)

    yield begin
    for process in started:
        process.stop()


@pytest.fixture
def storescp(start_storescp: Callable[..., Receiver]) -> Receiver:
    """DCMTK's storescp under the title STORESCP, which takes every transfer syntax."""
    return start_storescp("+xa")
