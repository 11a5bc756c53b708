"""Settings: which source wins, and what is said about a mistake."""

from pathlib import Path

import pytest

from archive import settings
from archive.errors import Misconfigured


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_any_source_the_defaults_hold(here: Path) -> None:
    loaded = settings.load({}, {})

    assert (loaded.host, loaded.port) == ("127.0.0.1", 11112)
    assert loaded.data_folder == here / "archive-data"
    assert loaded.database_url == f"sqlite:///{here}/archive-data/archive.db"


def test_flags_win_over_environment_and_environment_over_file(here: Path) -> None:
    (here / "archive.toml").write_text("port = 1\nhost = 'file'\ndata = 'file'\n")
    environment = {"ARCHIVE_PORT": "2", "ARCHIVE_HOST": "environment"}

    loaded = settings.load({"port": 3, "host": None}, environment)

    assert (loaded.port, loaded.host, loaded.data) == (3, "environment", "file")


@pytest.mark.parametrize("source", ["flag", "environment"])
def test_the_file_may_be_named(here: Path, source: str) -> None:
    (here / "other.toml").write_text("port = 104\n")
    (here / "archive.toml").write_text("port = 1\n")
    named = str(here / "other.toml")

    loaded = settings.load({"config": named}, {}) if source == "flag" else settings.load({}, {"ARCHIVE_CONFIG": named})

    assert loaded.port == 104


def test_a_port_may_be_off() -> None:
    loaded = settings.load({"tls_port": 2762}, {"ARCHIVE_PORT": "off", "ARCHIVE_TLS_KEY_PASSWORD": "sesame"})

    assert (loaded.port, loaded.tls_port, loaded.tls_key_password) == ("off", 2762, "sesame")
    assert settings.load({}, {}).tls_port == "off"
    assert "sesame" not in repr(loaded)


def test_an_empty_variable_is_as_good_as_none() -> None:
    assert settings.load({}, {"ARCHIVE_DATABASE": "", "ARCHIVE_PORT": ""}).port == 11112


@pytest.mark.parametrize(
    "text,sentence",
    [
        pytest.param("prot = 104", "archive.toml: prot is no setting; known are", id="unknown key"),
        pytest.param(
            "port = '104'", "archive.toml: port = '104': Expected a port from 0 to 65535, or off", id="wrong type"
        ),
        pytest.param(
            "port = 70000", "archive.toml: port = 70000: Expected a port from 0 to 65535, or off", id="out of range"
        ),
        pytest.param(
            "log_level = 'loud'", "archive.toml: log_level = 'loud': expected one of debug", id="no such word"
        ),
        pytest.param(
            "tls_profile = 'none'", "archive.toml: tls_profile = 'none': expected one of bcp", id="no such profile"
        ),
        pytest.param(
            "tls_client_certificate = 'yes'",
            "archive.toml: tls_client_certificate = 'yes': expected one of req",
            id="no such mode",
        ),
        pytest.param("tls_key_password = 5", "archive.toml: tls_key_password = ...: Expected `str`", id="secret"),
        pytest.param("port = ", "archive.toml: ", id="not TOML"),
    ],
)
def test_a_mistake_in_the_file_names_file_key_and_what_was_expected(here: Path, text: str, sentence: str) -> None:
    (here / "archive.toml").write_text(text)

    with pytest.raises(Misconfigured) as raised:
        settings.load({}, {})

    assert str(raised.value).startswith(sentence)


def test_a_mistake_in_the_environment_names_its_source() -> None:
    with pytest.raises(Misconfigured, match=r"environment: port = 'x': Expected a port"):
        settings.load({}, {"ARCHIVE_PORT": "x"})


def test_a_named_file_that_is_not_there_is_a_mistake() -> None:
    with pytest.raises(Misconfigured, match=r"nowhere\.toml: cannot be read: No such file"):
        settings.load({"config": "nowhere.toml"}, {})


def test_variables_of_others_are_no_mistake() -> None:
    assert settings.load({}, {"ARCHIVE_TEST_CLUSTER": "x", "PORT": "1"}).port == 11112


def test_no_workers_named_is_one_for_each_core() -> None:
    assert settings.load({}, {}).worker_count >= 1
    assert settings.load({"workers": 3}, {}).worker_count == 3
