"""DCMTK's clients and ours as processes: the same arguments to both."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fix_dcmtk import Dcmtk

Command = tuple[str, ...]
DCMTK: Command = ()
OURS: Command = (sys.executable, "-m", "archive")
_SECONDS = 120.0

both = pytest.mark.parametrize("command", [DCMTK, OURS], ids=["DCMTK's", "ours"])


@dataclass(frozen=True)
class Ended:
    """A client that ended."""

    code: int
    out: bytes
    error: bytes

    @property
    def log(self) -> list[str]:
        """The lines of its log."""
        return self.error.decode(errors="replace").splitlines()

    def __str__(self) -> str:
        return f"ended with {self.code}\n{self.out.decode(errors='replace')}\n{self.error.decode(errors='replace')}"


def ran(
    command: Command,
    name: str,
    *arguments: object,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    stdin: bytes = b"",
) -> Ended:
    """Run a client to its end in a folder; `command` is DCMTK or OURS. Arguments in bytes are given as they are."""
    words = [*command, name] if command else [str(Dcmtk.program(name))]
    given = [word if isinstance(word, bytes) else str(word) for word in arguments]
    here = str(Path(__file__).parents[2])
    variables = {**os.environ, "PYTHONPATH": here, "LC_ALL": "C.UTF-8", "TCP_NODELAY": "1", **(environment or {})}
    done = subprocess.run(
        [*words, *given], input=stdin, capture_output=True, cwd=folder, env=variables, timeout=_SECONDS, check=False
    )
    return Ended(done.returncode, done.stdout, done.stderr)
