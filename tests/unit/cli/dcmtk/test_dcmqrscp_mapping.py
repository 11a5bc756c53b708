"""Every option of dcmqrscp, by both of its names, changes what is served; none is taken and forgotten."""

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from archive.cli.dcmtk import dcmqrscp_mapping
from archive.cli.dcmtk.dcmqrscp import decide
from archive.cli.dcmtk.dcmqrscp_options import PROGRAM
from archive.cli.dcmtk.general_options import log
from archive.errors import Misconfigured
from archive.registry.dcmqrscp_config import DcmqrscpConfig
from archive.registry.tables import ae_titles, peers, storage_areas
from archive.settings import load
from tests.fix_tls import Authority, Identity

# The options of dcmqrscp 3.7.0 and `-vv` of 3.5.4, as their pages spell them; written down apart from our table.
SPELLINGS = """
-h --help, --version, --arguments, -q --quiet, -v --verbose, -vv --very-verbose, -d --debug, -ll --log-level,
-lc --log-config, -c --config, -s --single-process, --fork, --require-find, --no-parallel-store, --disable-get,
--allow-shutdown, -XF --check-find, --no-check-find, -XM --check-move, --no-check-move, --move-unrestricted,
-ZA --move-aetitle, -ZH --move-host, -ZV --move-vendor, -QP --no-patient-root, -QS --no-study-root,
-QO --no-patient-study, -i4 --ipv4, -i6 --ipv6, -i0 --ip-auto, -xf --assoc-config-file, +x= --prefer-uncompr,
+xe --prefer-little, +xb --prefer-big, +xs --prefer-lossless, +xy --prefer-jpeg8, +xx --prefer-jpeg12,
+xv --prefer-j2k-lossless, +xw --prefer-j2k-lossy, +xt --prefer-jls-lossless, +xu --prefer-jls-lossy,
+xm --prefer-mpeg2, +xh --prefer-mpeg2-high, +xn --prefer-mpeg4, +xl --prefer-mpeg4-bd, +x2 --prefer-mpeg4-2-2d,
+x3 --prefer-mpeg4-2-3d, +xo --prefer-mpeg4-2-st, +x4 --prefer-hevc, +x5 --prefer-hevc10, +xr --prefer-rle,
+xd --prefer-deflated, +xi --implicit, -x= --propose-uncompr, -xe --propose-little, -xb --propose-big,
-xi --propose-implicit, -xs --propose-lossless, -xy --propose-jpeg8, -xx --propose-jpeg12,
-xv --propose-j2k-lossless, -xw --propose-j2k-lossy, -xt --propose-jls-lossless, -xu --propose-jls-lossy,
-xm --propose-mpeg2, -xh --propose-mpeg2-high, -xn --propose-mpeg4, -xl --propose-mpeg4-bd,
-x2 --propose-mpeg4-2-2d, -x3 --propose-mpeg4-2-3d, -xo --propose-mpeg4-2-st, -x4 --propose-hevc,
-x5 --propose-hevc10, -xr --propose-rle, -xd --propose-deflated, -ac --access-full, +ac --access-control,
-to --timeout, -ta --acse-timeout, -td --dimse-timeout, -pdu --max-pdu, -dhl --disable-host-lookup, --refuse,
--reject, --ignore, -up --uid-padding, +Cr --use-request-charset, -Cr --override-charset, +A7 --convert-to-ascii,
+U8 --convert-to-utf8, +L1 --convert-to-latin1, +C --convert-to-charset, -Ct --transliterate, -Cd --discard-illegal,
-tls --disable-tls, +tls --enable-tls, +ps --std-passwd, +pw --use-passwd, -pw --null-passwd, -pem --pem-keys,
-der --der-keys, +cf --add-cert-file, +cd --add-cert-dir, +crl --add-crl-file, +crv --enable-crl-vfy,
+cra --enable-crl-all, +ph --list-profiles, +pg --profile-8996, +pm --profile-8996-mod, +py --profile-bcp195-nd,
+px --profile-bcp195, +pz --profile-bcp195-ex, +pb --profile-basic, +pa --profile-aes, +pn --profile-null,
+cc --list-ciphers, +cs --cipher, +dp --dhparam, --no-sni, --request-sni, --expect-sni, +rs --seed, +ws --write-seed,
+wf --write-seed-file, -rc --require-peer-cert, -vc --verify-peer-cert, -ic --ignore-peer-cert, -B --normal,
+B --bit-preserving, +F --write-file, -F --write-dataset, +t= --write-xfer-same, +te --write-xfer-little,
+tb --write-xfer-big, +ti --write-xfer-implicit, +td --write-xfer-deflated, +u --enable-new-vr, -u --disable-new-vr,
+g= --group-length-recalc, +g --group-length-create, -g --group-length-remove, +e --length-explicit,
-e --length-undefined, -p --padding-off, +p --padding-create, +cl --compression-level
"""
OPTIONS = [tuple(words.split()) for words in SPELLINGS.replace("\n", " ").split(",")]

# What an option is given, if it takes values.
VALUES = {
    "--log-level": "debug", "--log-config": "/etc/dcmtk/logger.cfg", "--config": "my.cfg", "--timeout": "5",
    "--acse-timeout": "6", "--dimse-timeout": "7", "--max-pdu": "4096", "--convert-to-charset": "GB18030",
    "--assoc-config-file": "p.cfg in out", "--padding-create": "512 0", "--compression-level": "9",
    "--enable-tls": "KEY CERTIFICATE +cf CA", "--use-passwd": "sesame", "--add-cert-file": "CA",
    "--add-cert-dir": "FOLDER", "--add-crl-file": "LIST", "--cipher": "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "--dhparam": "dh.pem", "--request-sni": "one.example", "--expect-sni": "two.example", "--seed": "seed",
    "--write-seed-file": "other",
}  # fmt: skip

_TLS = "+tls KEY CERTIFICATE +cf CA "
# What stands before an option that undoes it, or only says something beside it.
BESIDE = {
    "--fork": "-s", "--no-check-find": "-XF", "--no-check-move": "-XM", "--move-unrestricted": "-ZA", "--ipv4": "-i6",
    "--prefer-uncompr": "+xs", "--propose-uncompr": "-xs", "--access-full": "+ac", "--use-request-charset": "-Cr",
    "--convert-to-ascii": "+U8", "--write-file": "-F", "--write-xfer-same": "+te", "--enable-new-vr": "-u",
    "--group-length-recalc": "+g", "--length-explicit": "-e", "--padding-off": "+p 1 1", "--normal": "+B",
    "--bit-preserving": "-u", "--disable-tls": _TLS, "--std-passwd": _TLS + "+tls SECRET CERTIFICATE +pw x",
    "--use-passwd": _TLS + "+tls SECRET CERTIFICATE", "--null-passwd": _TLS + "+tls SECRET CERTIFICATE",
    "--pem-keys": _TLS + "-der", "--der-keys": _TLS, "--add-cert-file": "+tls KEY CERTIFICATE",
    "--add-cert-dir": "+tls KEY CERTIFICATE", "--add-crl-file": _TLS, "--enable-crl-vfy": _TLS + "+crl LIST +cra",
    "--enable-crl-all": _TLS + "+crl LIST", "--profile-8996": _TLS + "+pz", "--profile-8996-mod": _TLS,
    "--profile-bcp195-nd": _TLS, "--profile-bcp195": _TLS, "--profile-bcp195-ex": _TLS, "--profile-basic": _TLS,
    "--profile-aes": _TLS, "--profile-null": _TLS, "--cipher": _TLS, "--dhparam": _TLS,
    "--no-sni": _TLS + "--expect-sni x", "--request-sni": _TLS, "--expect-sni": _TLS, "--seed": _TLS,
    "--write-seed": _TLS + "+rs seed", "--write-seed-file": _TLS + "+rs seed", "--require-peer-cert": _TLS + "-ic",
    "--verify-peer-cert": _TLS, "--ignore-peer-cert": _TLS,
}  # fmt: skip

ANSWERED = {"--help", "--version", "--arguments", "--list-profiles", "--list-ciphers"}  # held in test_face.py
ALWAYS_ON = {"--uid-padding"}  # docs/reference/dcmqrscp-options.md says so


@pytest.fixture
def files(authority: Authority, archive_identity: Identity, tmp_path: Path) -> dict[str, str]:
    """Files by the words that stand for them in the tables above."""
    return {
        "KEY": str(archive_identity.key),
        "SECRET": str(authority.protect(archive_identity, "sesame")),
        "CERTIFICATE": str(archive_identity.certificate),
        "CA": str(authority.certificate),
        "FOLDER": str(tmp_path),
        "LIST": str(authority.revoke(name="of-options.crl")),
    }


def served(words: list[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """All that comes of a command line; the complaint where it is refused."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("typed\n"))
    config = DcmqrscpConfig()
    try:
        given = PROGRAM.parse(words)
        asked = decide(given)
        dcmqrscp_mapping.check(asked)
        policies = dcmqrscp_mapping.policies(asked, config)
        flags = dcmqrscp_mapping.flags(asked, config)
        load(flags, {})
        return (
            flags, policies, asked.config, asked.profiles, asked.uses_host_rules, asked.tls.seed,
            asked.tls.written_seed, log(given, "dcmqrscp"),
        )  # fmt: skip
    except Misconfigured as error:
        return str(error)


def test_the_options_are_those_of_dcmqrscp_in_its_spelling() -> None:
    ours = {tuple(name for name in (option.short, option.long) if name) for option in PROGRAM.options.values()}

    assert ours == set(OPTIONS)


@pytest.mark.parametrize("names", OPTIONS, ids=lambda names: names[-1])
def test_every_option_changes_what_is_served(
    names: tuple[str, ...], files: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    long = names[-1]
    if long in ANSWERED:
        return
    beside = [files.get(word, word) for word in BESIDE.get(long, "").split()]
    values = [files.get(word, word) for word in VALUES.get(long, "").split()]

    without = served(beside, monkeypatch)
    by_name = [served([*beside, name, *values], monkeypatch) for name in names]

    assert (by_name[0] != without) == (long not in ALWAYS_ON)
    assert by_name[0] == by_name[-1]


@pytest.mark.parametrize("option", ["--profile-basic", "--profile-aes", "--profile-null"])
def test_a_profile_that_allows_old_tls_is_refused_by_its_name(
    option: str, files: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [files.get(word, word) for word in _TLS.split()]

    assert served([*words, option], monkeypatch).startswith(f"{option} is not supported")
    assert served([*words, option, "+pg"], monkeypatch) == served(words, monkeypatch)


def test_columns_are_those_of_the_tables() -> None:
    policies = dcmqrscp_mapping.policies(decide(PROGRAM.parse([])), DcmqrscpConfig())

    assert policies.areas.keys() <= set(storage_areas.c.keys())
    assert policies.titles.keys() <= set(ae_titles.c.keys())
    assert policies.peers.keys() <= set(peers.c.keys())


def test_with_tls_the_port_speaks_nothing_else_and_peers_are_called_in_it(files: dict[str, str]) -> None:
    words = [files.get(word, word) for word in f"{_TLS} 2762".split()]
    asked = decide(PROGRAM.parse(words))

    loaded = load(dcmqrscp_mapping.flags(asked, DcmqrscpConfig()), {})
    policies = dcmqrscp_mapping.policies(asked, DcmqrscpConfig())

    assert (loaded.port, loaded.tls_port) == ("off", 2762)
    assert (loaded.tls_key, loaded.tls_certificate) == (files["KEY"], files["CERTIFICATE"])
    assert (loaded.tls_ca, loaded.tls_request_name) == (files["CA"], "off")
    assert (policies.peers["uses_tls"], policies.peers["checks_host"]) == (True, False)
