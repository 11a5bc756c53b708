"""tls_settings.py: what settings the options for TLS make, passwords, and seeds."""

import io
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from archive.cli.dcmtk.tls_options import TlsOptions, decide
from archive.cli.dcmtk.tls_settings import policy, settings, stir
from archive.errors import Misconfigured
from archive.upper_layer import tls
from tests.fix_tls import Authority, Identity
from tests.unit.cli.dcmtk.test_tls_options import program


@pytest.fixture
def keys(authority: Authority, archive_identity: Identity) -> list[str]:
    return ["+tls", str(archive_identity.key), str(archive_identity.certificate), "+cf", str(authority.certificate)]


def settings_of(words: list[str], **options: Any) -> dict[str, Any]:
    return settings(decide(program("both").parse(words), "both"), **options)


def test_without_tls_there_are_none() -> None:
    assert settings(TlsOptions()) == {}


def test_several_files_and_folders_have_colons_between_them(keys: list[str], authority: Authority) -> None:
    made = settings_of([*keys, "+cd", "d", "+cf", keys[-1], "+crl", str(authority.revoke(name="one.crl"))])

    assert made["tls_ca"] == f"{keys[-1]}:{keys[-1]}:d"
    assert (made["tls_crl"], made["tls_crl_check"]) == (str(authority.folder / "one.crl"), "leaf")
    with pytest.raises(Misconfigured, match="a:b: name this file or folder without :"):
        settings_of([*keys, "+cd", "a:b"])


def test_revocation_lists_may_lie_with_the_authorities(keys: list[str]) -> None:
    assert settings_of([*keys, "+cd", "d", "+cra"])["tls_crl"] == "d"
    assert settings_of([*keys, "+cd", "d"])["tls_crl"] == ""


def test_suites_are_added_to_those_of_the_profile(keys: list[str], caplog: pytest.LogCaptureFixture) -> None:
    added = ["+cs", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "+cs", "TLS_RSA_WITH_AES_128_GCM_SHA256"]
    with caplog.at_level(logging.WARNING):
        made = settings_of([*keys, *added])

    profile = tls.PROFILES["bcp195-rfc8996"].ciphers
    assert made["tls_ciphers"] == f"{profile}:ECDHE-RSA-CHACHA20-POLY1305:AES128-GCM-SHA256"
    assert [record.getMessage() for record in caplog.records] == [
        "--cipher TLS_RSA_WITH_AES_128_GCM_SHA256: RFC 9325 advises against it"
    ]
    for name in ("TLS_RSA_WITH_NULL_SHA", "TLS_RSA_WITH_AES_128_CBC_SHA", "AES128-GCM-SHA256"):
        with pytest.raises(Misconfigured, match=f"--cipher {name}: not supported"):
            settings_of([*keys, "+cs", name])


def test_the_password_is_asked_for_where_the_key_needs_one(
    keys: list[str], authority: Authority, archive_identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    protected = [*keys, "+tls", str(authority.protect(archive_identity, "sesame")), keys[2]]
    asked: list[str] = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return "sesame"

    assert settings_of(protected, ask=ask)["tls_key_password"] == "sesame"
    assert settings_of(keys, ask=ask)["tls_key_password"] == ""
    assert settings_of([*protected, "+pw", "x"], ask=ask)["tls_key_password"] == "x"
    assert asked == [f"Enter the password of {protected[-2]}: "]
    monkeypatch.setattr(sys, "stdin", io.StringIO("typed \n"))
    assert settings_of(protected)["tls_key_password"] == "typed "


def test_a_file_in_the_other_form_is_refused(keys: list[str]) -> None:
    with pytest.raises(Misconfigured, match="is in PEM, or neither a key nor a certificate; --der-keys asks for"):
        settings_of([*keys, "-der"])


def test_a_seed_is_read_and_another_one_written(tmp_path: Path) -> None:
    file, other = tmp_path / "seed", tmp_path / "other"
    file.write_bytes(b"of yesterday")

    stir(TlsOptions(seed=str(file), written_seed=str(other)))
    stir(TlsOptions(seed=str(file), written_seed=str(file)))

    assert len(other.read_bytes()) == len(file.read_bytes()) == 1024
    assert other.read_bytes() != file.read_bytes()


def test_a_seed_that_is_not_there_yet_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "seed"

    stir(TlsOptions(seed=str(file), written_seed=str(file)))

    assert len(file.read_bytes()) == 1024
    assert caplog.messages == [f"--seed {file}: No such file or directory"]


def test_a_seed_that_cannot_be_written_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stir(TlsOptions(seed="", written_seed=str(tmp_path / "none" / "seed")))

    assert caplog.messages == [f"--write-seed {tmp_path}/none/seed: No such file or directory"]


@pytest.mark.parametrize(
    "words, said",
    [
        ("+tls MISSING CERTIFICATE -ic", "private key of --enable-tls = MISSING: cannot be read"),
        ("+tls KEY MISSING -ic", "certificate of --enable-tls = MISSING: cannot be read"),
        ("+tls KEY CERTIFICATE +cf MISSING", "certification authority = MISSING: cannot be read"),
        ("+tls KEY CERTIFICATE +cd MISSING", "certification authority = MISSING: cannot be read"),
        ("+tls KEY CERTIFICATE +cf CA +crl MISSING", "revocation list = MISSING: cannot be read"),
        ("+tls KEY CERTIFICATE +cf CA +dp MISSING", "--dhparam = MISSING: cannot be read"),
        ("+tls PROTECTED CERTIFICATE -pw +cf CA", "has a password; give it by --use-passwd"),
    ],
)
def test_what_cannot_be_used_is_named_in_the_words_of_the_command_line(
    tmp_path: Path, authority: Authority, archive_identity: Identity, words: str, said: str
) -> None:
    stands_for = {
        "MISSING": str(tmp_path / "missing"),
        "KEY": str(archive_identity.key),
        "CERTIFICATE": str(archive_identity.certificate),
        "CA": str(authority.certificate),
        "PROTECTED": str(authority.protect(archive_identity, "sesame")),
    }
    given = program("both").parse([stands_for.get(word, word) for word in words.split()])

    with pytest.raises(Misconfigured) as caught:
        tls.Tls(policy(decide(given, "both"))).check()

    assert said.replace("MISSING", stands_for["MISSING"]) in str(caught.value)
