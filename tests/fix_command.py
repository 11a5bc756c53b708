"""The command `archive`, run in this process: what it printed, and its exit code."""

import json
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from archive.cli.main import main
from tests.fix_archive import FoundedArchive


@dataclass(frozen=True, slots=True)
class Said:
    """What a command printed."""

    out: str
    error: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Said]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`run("area", "list", code=0)` in an empty folder, with its data in `tmp_path / "data"`."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.setenv("ARCHIVE_DATA", str(tmp_path / "data"))

    def command(*arguments: object, code: int = 0) -> Said:
        with chdir(work), pytest.raises(SystemExit) as ended:
            main(list(map(str, arguments)))
        captured = capsys.readouterr()
        assert ended.value.code == code, f"{captured.out}\n{captured.err}"
        return Said(captured.out, captured.err)

    return command


@pytest.fixture
def archive(founded: FoundedArchive, migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> FoundedArchive:
    """The archive that `run` works on, where a test asks for it."""
    monkeypatch.setenv("ARCHIVE_DATABASE", migrated_url)
    return founded
