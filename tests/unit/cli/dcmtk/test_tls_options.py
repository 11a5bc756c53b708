"""tls_options.py: what the options for TLS of all faces decide."""

from typing import Any

import pytest

from archive.cli.dcmtk import tls_options
from archive.cli.dcmtk.options import Program
from archive.cli.dcmtk.tls_options import Role, TlsOptions, decide, groups
from archive.errors import Misconfigured
from archive.upper_layer import tls
from tests.fix_dcmtk import Dcmtk

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
    "+px": {"profile": "bcp195-non-downgrading"},
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


@pytest.mark.parametrize("option", ["--profile-basic", "--profile-aes", "--profile-null"])
def test_what_protects_nobody_any_more_is_refused_with_what_to_use(option: str) -> None:
    with pytest.raises(Misconfigured, match=f"{option} is not supported: .*; use --profile-8996 or"):
        decided(BASE + option)


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


def test_the_lists_name_what_is_spoken() -> None:
    listed = tls_options.ANSWERS["--list-profiles"]().splitlines()[1:]
    suites = tls_options.ANSWERS["--list-ciphers"]().splitlines()[1:]

    assert len(listed) == len(tls.PROFILES)
    assert listed[0] == "- BCP 195 RFC 8996 TLS Profile (default)"
    assert [suite.strip() for suite in suites] == list(tls.cipher_suites_known())[::-1]
