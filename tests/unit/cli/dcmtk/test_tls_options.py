"""tls_options.py: what the options for TLS of all faces decide, and what settings that makes."""

import io
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from archive.cli.dcmtk import tls_options
from archive.cli.dcmtk.options import Program
from archive.cli.dcmtk.tls_options import Role, TlsOptions, decide, groups, settings
from archive.errors import Misconfigured
from archive.upper_layer import tls
from tests.fix_dcmtk import Dcmtk
from tests.fix_tls import Authority, Identity

KEYS = {"is_enabled": True, "key": "k", "certificate": "c", "authority_files": ("ca",)}
BASE = "+tls k c +cf ca "


def program(role: Role) -> Program:
    return Program("face", "a face", "1", (), groups(role))


def decided(arguments: str, role: Role = "both") -> TlsOptions:
    return decide(program(role).parse(arguments.split()), role)


CHANGES: dict[str, dict[str, Any]] = {
    "": {},
    "+ps": {},
    "+pw x": {"password": "x"},
    "-pw": {"password": ""},
    "-der": {"is_der": True},
    "+cf b +cf c": {"authority_files": ("ca", "b", "c")},
    "+cd d +cd e": {"authority_folders": ("d", "e")},
    "+crl l +crl m": {"revocation_files": ("l", "m")},
    "+crl l +crv": {"revocation_files": ("l",), "revocation_check": "leaf"},
    "+crl l +cra": {"revocation_files": ("l",), "revocation_check": "chain"},
    "+pm": {"profile": "bcp195-rfc8996-modified"},
    "+py": {"profile": "bcp195-non-downgrading"},
    "+pz": {"profile": "bcp195-extended"},
    "+cs one +cs two": {"ciphers": ("one", "two")},
    "+dp d": {"dh_parameters": "d"},
    "--request-sni r": {"requested_name": "r"},
    "--expect-sni e": {"expected_name": "e"},
    "--no-sni": {},
    "+rs s": {"seed": "s"},
    "+rs s +ws": {"seed": "s", "written_seed": "s"},
    "+rs s +wf w": {"seed": "s", "written_seed": "w"},
    "-vc": {"peer_certificate": "optional"},
    "-ic": {"peer_certificate": "ignored"},
}


@pytest.mark.parametrize("arguments, change", CHANGES.items())
def test_an_option_decides_what_it_says(arguments: str, change: dict[str, Any]) -> None:
    assert decided(BASE + arguments) == TlsOptions(**KEYS | change)


@pytest.mark.parametrize(
    "undone, option",
    [
        ("+pw x", "+ps"), ("-pw", "+ps"), ("-der", "-pem"), ("+pz", "+pg"), ("+px", "+pg"), ("-vc", "-rc"),
        ("-ic", "-rc"), ("+tls a b", "+tls k c"), ("-tls", "+tls k c"),
    ],
)  # fmt: skip
def test_the_right_most_option_counts(undone: str, option: str) -> None:
    assert decided(f"{BASE} {undone} {option}") == decided(BASE)


def test_without_tls_nothing_is_decided() -> None:
    assert decided("") == decided("+tls k c -tls") == decided("--no-sni") == TlsOptions()
    assert settings(TlsOptions()) == {}


CONFLICTS = {
    "+pw x": "--use-passwd only allowed with --enable-tls",
    "+ps": "--std-passwd only allowed with --enable-tls",
    "-der": "--der-keys only allowed with --enable-tls",
    "+crv": "--enable-crl-vfy only allowed with --enable-tls",
    "+dp d": "--dhparam only allowed with --enable-tls",
    "+rs s": "--seed only allowed with --enable-tls",
    "-ic": "--ignore-peer-cert only allowed with --enable-tls",
    "+pg": "--profile-8996 only allowed with --enable-tls",
    "+cf ca": "--add-cert-file only allowed with --enable-tls",
    "+cd d": "--add-cert-dir only allowed with --enable-tls",
    "+crl l": "--add-crl-file only allowed with --enable-tls",
    "+cs c": "--cipher only allowed with --enable-tls",
    "+cf ca +tls k c -tls": "--add-cert-file only allowed with --enable-tls",
    BASE + "+ws": "--write-seed only allowed with --seed",
    BASE + "+wf w": "--write-seed-file only allowed with --seed",
    BASE + "+pz +cs c": "--cipher not allowed with --profile-bcp195-ex",
    BASE + "+pm +cs c": "--cipher not allowed with --profile-8996-mod",
    "--no-sni --expect-sni e": "--no-sni not allowed with --expect-sni",
    "--no-sni --request-sni e": "--no-sni not allowed with --request-sni",
    "+tls k c": "--enable-tls only allowed with --add-cert-file, --add-cert-dir or --ignore-peer-cert",
    BASE + "+crv": "--enable-crl-vfy only allowed with --add-crl-file or --add-cert-dir",
    BASE + "+cra": "--enable-crl-all only allowed with --add-crl-file or --add-cert-dir",
}


@pytest.mark.parametrize("arguments, message", CONFLICTS.items())
def test_what_cannot_be_together_is_refused(arguments: str, message: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        decided(arguments)

    assert str(caught.value) == message


# Those of these that storescp of DCMTK 3.6.7, which has most of the options, refuses too.
@pytest.mark.parametrize(
    "arguments",
    [
        "+pw x", "+ps", "-der", "+crv", "+dp d", "+rs s", "-ic", "+cf ca", "+cd d", "+crl l", "+cs c",
        "+cf ca +tls k c -tls", "+tls k c -ic +ws", "+tls k c -ic +wf w", "+tls k c -ic +pz +cs c",
    ],
)  # fmt: skip
def test_what_dcmtk_refuses_is_refused_in_its_words(arguments: str, dcmtk: Dcmtk) -> None:
    with pytest.raises(Misconfigured) as caught:
        decided(arguments, "acceptor")

    real = dcmtk.run("storescp", *arguments.split(), "11112")
    assert (real.code, real.output.splitlines()[-1]) == (1, f"error: {caught.value}")


def test_options_that_say_nothing_to_a_role_are_not_in_it() -> None:
    names = {role: {option.long for option in program(role).options.values()} for role in ("acceptor", "requestor")}
    both = {option.long for option in program("both").options.values()}

    assert names["acceptor"] == both - {"--request-sni"}
    assert names["requestor"] == both - {"--dhparam", "--expect-sni", "--verify-peer-cert"} | {"--anonymous-tls"}
    assert decided("+tla -ic", "requestor") == TlsOptions(is_enabled=True, peer_certificate="ignored")


def test_dcmtks_own_options_are_among_ours(dcmtk: Dcmtk) -> None:
    roles: tuple[tuple[str, Role], ...] = (("storescp", "acceptor"), ("findscu", "requestor"))
    for name, role in roles:
        words = dcmtk.run(name, "--help").output.split("(TLS) options:")[1].split("\noutput options")[0].split()
        real = {word for word in words if word.startswith("--") and not word.endswith((")", ":"))}

        assert real <= {option.long for option in program(role).options.values()}


# Settings


@pytest.fixture
def keys(authority: Authority, archive_identity: Identity) -> list[str]:
    return ["+tls", str(archive_identity.key), str(archive_identity.certificate), "+cf", str(authority.certificate)]


def settings_of(words: list[str], **options: Any) -> dict[str, Any]:
    return settings(decide(program("both").parse(words), "both"), **options)


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

    tls_options.stir(TlsOptions(seed=str(file), written_seed=str(other)))
    tls_options.stir(TlsOptions(seed=str(file), written_seed=str(file)))

    assert len(other.read_bytes()) == len(file.read_bytes()) == 1024
    assert other.read_bytes() != file.read_bytes()
    with pytest.raises(Misconfigured, match="No such file or directory"):
        tls_options.stir(TlsOptions(seed=str(tmp_path / "nowhere")))


def test_the_lists_name_what_is_spoken() -> None:
    listed = tls_options.ANSWERS["--list-profiles"]().splitlines()[1:]
    suites = tls_options.ANSWERS["--list-ciphers"]().splitlines()[1:]

    assert len(listed) == len(tls.PROFILES)
    assert listed[0] == "- BCP 195 RFC 8996 TLS Profile (default)"
    assert [suite.strip() for suite in suites] == list(tls.cipher_suites_known())[::-1]
