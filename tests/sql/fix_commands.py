"""The administrator's commands, run in this process against an archive of the test's own."""

import json
from collections.abc import Callable
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
    """`run("area", "list", code=0)` against the database of this test, from the folder `work`."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("ARCHIVE_DATA", str(tmp_path / "data"))

    def command(*arguments: object, code: int = 0) -> Said:
        with pytest.raises(SystemExit) as ended:
            main(list(map(str, arguments)))
        captured = capsys.readouterr()
        said = Said(captured.out, captured.err)
        assert ended.value.code == code, f"{said.out}\n{said.error}"
        return said

    return command


@pytest.fixture
def archive(founded: FoundedArchive, migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> FoundedArchive:
    """The archive that `run` works on."""
    monkeypatch.setenv("ARCHIVE_DATABASE", migrated_url)
    return founded
