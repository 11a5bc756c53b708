"""What a shell completes out of the database: names, at once or not at all, and without a trace."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from click.shell_completion import BashComplete

from archive.cli import name_completion
from archive.cli.main import PROGRAM
from archive.cli.main import archive as command_line
from archive.lifecycle import founding
from tests.fix_archive import FoundedArchive
from tests.fix_command import Run

ROOT = Path(__file__).parents[2]


def completed(*words: str) -> list[str]:
    """What the shell offers for the last word."""
    *before, incomplete = words
    offered = BashComplete(command_line, {}, PROGRAM, "_ARCHIVE_COMPLETE").get_completions(before, incomplete)
    return [each.value for each in offered]


@pytest.fixture
def site(run: Run, archive: FoundedArchive) -> Run:
    """Things of every kind."""
    run("area", "add", "RESEARCH", "research")
    run("ae", "add", "READER", "--area", "RESEARCH", "--access", "R")
    run("peer", "add", "CT1", "--title", "SCANNER", "--host", "10.1.2.3", "--port", 104)
    run("peer", "add", "ct2", "--title", "SCANNER2", "--host", "10.1.2.4")
    run("group", "add", "CTs", "--member", "CT1")
    run("group", "add", "Acme", "--vendor", "--member", "CT1")
    run("user", "add", "ward3", "--no-password")
    return run


@pytest.mark.parametrize(
    "line, offered",
    [
        ("area show |", ["ARCHIVE", "RESEARCH"]),
        ("area evict R|", ["RESEARCH"]),
        ("study list --area A|", ["ARCHIVE"]),
        ("ae set R|", ["READER"]),
        ("rule allow --at |", ["ARCHIVE", "READER"]),
        ("peer remove C|", ["CT1"]),
        ("peer remove c|", ["ct2"]),
        ("rule allow --at ARCHIVE --group |", ["CTs"]),
        ("rule allow --at ARCHIVE --vendor |", ["Acme"]),
        ("group set CTs --add-member C|", ["CT1", "CTs"]),
        ("rule explain --at ARCHIVE --title |", ["SCANNER", "SCANNER2"]),
        ("user set |", ["ward3"]),
        ("study send 1.2.3 --to CT|", ["CT1"]),
        ("profile show |", []),
        ("report acc|", ["access"]),
        ("area remove X|", []),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_names_are_offered_where_a_command_takes_them(site: Run, line: str, offered: list[str]) -> None:
    assert completed(*line.removesuffix("|").split(" ")) == offered


def test_a_profile_is_offered_by_its_name(site: Run, tmp_path: Path) -> None:
    file = tmp_path / "profiles.cfg"
    file.write_text(
        "[[TransferSyntaxes]]\n[Plain]\nTransferSyntax1 = LittleEndianImplicit\n"
        "[[PresentationContexts]]\n[CT]\nPresentationContext1 = CTImageStorage\\Plain\n"
        "[[Profiles]]\n[Scanner]\nPresentationContexts = CT\n"
    )
    site("profile", "import", file)

    assert completed("profile", "show", "") == completed("ae", "set", "ARCHIVE", "--profile", "S") == ["Scanner"]


def test_a_title_that_a_shell_would_take_for_a_command_is_not_offered(site: Run) -> None:
    for title in ("$(reboot)", "A;reboot", "MY TITLE", "`x`", "-f", "GOOD_1.a-b"):
        site("ae", "add", "--area", "ARCHIVE", "--access", "R", "--", title)

    assert completed("ae", "show", "") == ["ARCHIVE", "GOOD_1.a-b", "READER"]


def test_the_database_is_the_one_that_the_line_names(
    site: Run, migrated_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ARCHIVE_DATABASE", f"sqlite:///{tmp_path}/none.db")

    assert completed("area", "show", "") == []
    assert completed("area", "show", "--database", migrated_url, "R") == ["RESEARCH"]


def test_nothing_is_made_to_look_for_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    monkeypatch.setenv("ARCHIVE_DATA", str(data))

    assert completed("area", "show", "") == []
    assert not data.exists()
    data.mkdir()
    assert completed("area", "show", "") == []
    assert list(data.iterdir()) == []
    founding.open_archive(data, f"sqlite:///{data}/archive.db")[0].close()
    before = sorted(data.iterdir())
    assert completed("area", "show", "") == ["ARCHIVE"]
    assert sorted(data.iterdir()) == before
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "broken",
    [
        {"ARCHIVE_DATABASE": "mysql://x/y"},
        {"ARCHIVE_DATABASE": "postgresql://127.0.0.1:1/none"},
        {"ARCHIVE_CONFIG": "missing.toml"},
        {"ARCHIVE_PORT": "many"},
        {"ARCHIVE_DATABASE": "sqlite:///rubbish.db"},
        {"ARCHIVE_DATABASE": "sqlite:///empty.db"},
    ],
    ids=lambda each: " ".join(each.values()),
)
def test_what_cannot_be_opened_offers_nothing_and_says_nothing(
    broken: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rubbish.db").write_bytes(b"rubbish" * 1000)
    Path("empty.db").touch()
    for name, value in broken.items():
        monkeypatch.setenv(name, value)

    assert completed("area", "show", "") == []
    assert capfd.readouterr() == ("", "")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["empty.db", "rubbish.db"]
    assert Path("empty.db").stat().st_size == 0


def test_names_that_do_not_come_in_time_are_not_waited_for() -> None:
    never = threading.Event()

    def find() -> list[str]:
        never.wait()
        return ["LATE"]

    assert name_completion.within(0.01, find) == []
    assert name_completion.within(600.0, lambda: ["IN_TIME"]) == ["IN_TIME"]
    never.set()


def test_bash_completes_a_name(site: Run, archive: FoundedArchive, migrated_url: str, tmp_path: Path) -> None:
    program = tmp_path / "archive"
    program.write_text(f'#!/bin/sh\ncd "{ROOT}" && exec "{sys.executable}" -m archive "$@"\n')
    program.chmod(0o755)
    script = (
        f'eval "$({program} completion bash)"\n'
        f"COMP_WORDS=({program} area show RES); COMP_CWORD=3\n"
        f"_archive_completion {program}\n"
        'echo "${COMPREPLY[@]}"\n'
    )

    ran = subprocess.run(
        ["/bin/bash", "-c", script],
        env={**os.environ, "ARCHIVE_DATABASE": migrated_url},
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert ran.stdout.strip() == "RESEARCH"
