"""Addresses of databases: what is understood, and what is said of the rest."""

from pathlib import Path

import pytest

from archive.database.engine import Database, parse
from archive.errors import DatabaseFailed, Misconfigured


@pytest.mark.parametrize("url", ["postgresql://user:secret@host/name", "postgresql+psycopg://user@host/name"])
def test_postgresql_means_psycopg_3(url: str) -> None:
    assert parse(url).drivername == "postgresql+psycopg"


@pytest.mark.parametrize(
    "url,sentence",
    [
        ("nonsense", "write sqlite:///path"),
        ("", "write sqlite:///path"),
        ("mysql://host/name", "Only sqlite and postgresql|write sqlite"),
        ("sqlite://", "in memory would be lost"),
        ("sqlite:///:memory:", "in memory would be lost"),
    ],
)
def test_a_wrong_address_is_answered_with_what_to_write(url: str, sentence: str) -> None:
    with pytest.raises(Misconfigured, match=sentence):
        parse(url)


def test_a_password_is_never_shown() -> None:
    assert "secret" not in str(Database("postgresql://user:secret@host/name"))


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DatabaseFailed, match="folder of the database does not exist"):
        Database(f"sqlite:///{tmp_path}/nowhere/archive.db")
