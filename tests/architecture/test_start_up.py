"""A command imports what it needs and no more: people and scripts wait for its start each time."""

import subprocess
import sys
from pathlib import Path

import pytest

from archive.cli import main as cli

# What takes longest to import: each a third of Python's own start (msgspec, rich), or ten of them (SQLAlchemy).
HEAVY = frozenset({"sqlalchemy", "alembic", "psycopg", "psycopg_pool", "pydicom", "pyarrow", "msgspec", "rich"})


def imported_by(*words: str, exit_code: int = 0) -> set[str]:
    """The names of all modules that a run of `archive` imports."""
    command = [sys.executable, "-X", "importtime", "-m", "archive", *words]
    ran = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    lines = ran.stderr.splitlines()
    assert ran.returncode == exit_code, "\n".join(line for line in lines if not line.startswith("import time:"))
    return {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}


@pytest.fixture
def data(tmp_path: Path) -> list[str]:
    """The option that names an archive on SQLite which is there already."""
    named = ["--data", str(tmp_path / "data")]
    subprocess.run([sys.executable, "-m", "archive", "db", "upgrade", *named], check=True, capture_output=True)
    return named


@pytest.mark.parametrize("words", ["--version", "--help", "area --help"])
def test_the_version_and_help_are_told_without_the_archive(words: str) -> None:
    imported = imported_by(*words.split())

    assert "click" in imported
    assert imported & HEAVY == set()


@pytest.mark.parametrize("face", cli.FACES)
@pytest.mark.parametrize("option", ["--version", "--help"])
def test_a_face_tells_its_version_and_help_without_the_archive(face: str, option: str) -> None:
    assert imported_by(face, option) & (HEAVY | {"click"}) == set()


@pytest.mark.parametrize("face", cli.FACES)
def test_a_face_tells_a_mistake_without_the_archive(face: str) -> None:
    assert imported_by(face, "--no-such-option", exit_code=1) & (HEAVY | {"click"}) == set()


@pytest.mark.parametrize("words", ["area list", "study list", "import --in-place", "rule list --json"])
def test_a_command_imports_no_migrations_and_only_the_dialect_of_its_database(words: str, data: list[str]) -> None:
    imported = imported_by(*words.split(), *data)

    assert "sqlalchemy.dialects.sqlite" in imported
    assert imported & (HEAVY - {"sqlalchemy", "msgspec"}) == set()
    assert "sqlalchemy.dialects.postgresql" not in imported
