"""The command `archive`, run in this process on the archive of a test: what it printed, and its exit code."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from archive.cli.main import main
from tests.fix_archive import FoundedArchive


@dataclass(frozen=True, slots=True)
class Printed:
    """What a command wrote."""

    out: str
    error: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Printed]


@pytest.fixture
def command(
    founded: FoundedArchive,
    migrated_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """`command("area", "list", code=0)` on the archive `founded`."""
    monkeypatch.setenv("ARCHIVE_DATA", str(founded.data))
    monkeypatch.setenv("ARCHIVE_DATABASE", migrated_url)

    return runner(capsys)


def runner(capsys: pytest.CaptureFixture[str]) -> Command:
    """What runs the command, and holds its exit code against `code`."""

    def run(*arguments: object, code: int = 0) -> Printed:
        with pytest.raises(SystemExit) as ended:
            main(list(map(str, arguments)))
        captured = capsys.readouterr()
        assert ended.value.code == code, f"{captured.out}\n{captured.err}"
        return Printed(captured.out, captured.err)

    return run
