"""storescp and dcmrecv, DCMTK's and ours, each with a folder of its own and a port."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.background import Background, free_port
from tests.fix_dcmtk import Dcmtk
from tests.wire.raw_messages import Proposed
from tests.wire.raw_scu import RawScu

Command = tuple[str, ...]
DCMTK: Command = ()
OURS: Command = (sys.executable, "-m", "archive")

# The paths of these files are compiled into libwrap, and are ours in the program; the test has its own.
WITH_HOSTS_FILES = (
    sys.executable,
    "-c",
    "import sys; from pathlib import Path; from archive.cli import hosts_files; "
    "hosts_files.ALLOW, hosts_files.DENY = map(Path, sys.argv[1:3]); del sys.argv[1:3]; "
    "from archive.cli.main import main; main()",
)

both = pytest.mark.parametrize("command", [DCMTK, OURS], ids=["DCMTK's", "ours"])


def words_of(command: Command, name: str) -> list[str]:
    """The beginning of a command line."""
    return [*command, name] if command else [str(Dcmtk.program(name))]


@dataclass(frozen=True)
class StorageScp:
    """A running storescp or dcmrecv."""

    port: int
    folder: Path
    process: Background

    def files(self) -> list[str]:
        """What lies in its folder, by name."""
        return sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file())

    def associate(self, *contexts: Proposed, **fields: object) -> RawScu:
        """A raw association."""
        scu = RawScu(self.port)
        try:
            return scu.associate(contexts, **fields)
        except BaseException:
            scu.socket.close()
            raise


@contextmanager
def running(
    command: Sequence[str],
    tmp_path: Path,
    *options: object,
    name: str = "storescp",
    host: str = "127.0.0.1",
    folder: Path | None = None,
) -> Iterator[StorageScp]:
    """The program with these options, listening; `command` is DCMTK or OURS."""
    port, folder = free_port(), folder or tmp_path / "received"
    folder.mkdir(exist_ok=True)
    words = [*words_of(tuple(command), name), "-od", folder, *options, port]
    process = Background(list(map(str, words)), tmp_path / f"{name}.log", environment={"TCP_NODELAY": "1"})
    try:
        process.wait_listening(port, host=host)
        yield StorageScp(port, folder, process)
    finally:
        process.stop()
