"""The administrator's commands, run in this process against an archive of the test's own."""

from pathlib import Path

import pytest

from tests.fix_archive import FoundedArchive
from tests.fix_command import Command as Run
from tests.fix_command import runner


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`run("area", "list", code=0)` against the database of this test, from the folder `work`."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("ARCHIVE_DATA", str(tmp_path / "data"))
    return runner(capsys)


@pytest.fixture
def archive(founded: FoundedArchive, migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> FoundedArchive:
    """The archive that `run` works on."""
    monkeypatch.setenv("ARCHIVE_DATABASE", migrated_url)
    return founded
