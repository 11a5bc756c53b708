"""Addresses of databases: what is understood, and what is said of the rest."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

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


def test_a_server_that_is_gone_without_a_word_is_noticed() -> None:
    _, asked = _connect_args("postgresql://user@host/name")

    assert asked["keepalives_idle"] + asked["keepalives_interval"] * asked["keepalives_count"] <= 30
    assert asked["tcp_user_timeout"] == 30_000


def test_an_address_may_say_otherwise_how_the_server_is_watched() -> None:
    _, asked = _connect_args("postgresql://user@host/name?tcp_user_timeout=5000")

    assert asked["tcp_user_timeout"] == "5000"


def _connect_args(url: str) -> tuple[Any, dict[str, Any]]:
    """What the driver is called with."""
    seen: list[tuple[Any, dict[str, Any]]] = []

    def connect(_dialect: Any, _record: Any, args: Any, parameters: dict[str, Any]) -> None:
        seen.append((args, dict(parameters)))
        raise InterruptedError

    engine = Database(url).engine
    event.listen(engine, "do_connect", connect)
    with pytest.raises(InterruptedError):
        engine.connect()
    return seen[0]


def test_behind_a_pooler_nothing_is_asked_of_the_session() -> None:
    _, direct = _connect_args("postgresql://user@host/name")
    _, pooled = _connect_args("postgresql://user@host/name?prepared_statements=off")

    assert "lock_timeout=30s" in direct["options"]
    assert "options" not in pooled
    assert pooled["prepare_threshold"] is None


def test_what_is_neither_on_nor_off_is_refused() -> None:
    with pytest.raises(Misconfigured, match="is on or off"):
        Database("postgresql://user@host/name?prepared_statements=none")
