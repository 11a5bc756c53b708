"""storescu_options.py: every option of the program is there, none is taken and forgotten."""

from typing import Any

import pytest

from archive.cli.dcmtk.general_options import log
from archive.cli.dcmtk.storescu_options import PROGRAM, decide
from archive.errors import Misconfigured

# The options of DCMTK's storescu 3.7.0 as its page spells them, and behind the bar ours; written down apart from our
# table.
_ALL = """
-h --help, --version, --arguments, -q --quiet, -v --verbose, -d --debug, -ll --log-level, -lc --log-config, +v
--verbose-pc, +f --read-file, +fo --read-file-only, -f --read-dataset, +sd --scan-directories, +sp --scan-pattern, -r
--no-recurse, +r --recurse, -rn --no-rename, +rn --rename, -i4 --ipv4, -i6 --ipv6, -i0 --ip-auto, -aet --aetitle, -aec
--call, -xf --config-file, -x= --propose-uncompr, -xe --propose-little, -xb --propose-big, -xi --propose-implicit, -xs
--propose-lossless, -xy --propose-jpeg8, -xx --propose-jpeg12, -xv --propose-j2k-lossless, -xw --propose-j2k-lossy,
-xt --propose-jls-lossless, -xu --propose-jls-lossy, -xm --propose-mpeg2, -xh --propose-mpeg2-high, -xn
--propose-mpeg4, -xl --propose-mpeg4-bd, -x2 --propose-mpeg4-2-2d, -x3 --propose-mpeg4-2-3d, -xo --propose-mpeg4-2-st,
-x4 --propose-hevc, -x5 --propose-hevc10, -xr --propose-rle, -xd --propose-deflated, -R --required, +C --combine, +u
--enable-new-vr, -u --disable-new-vr, +cl --compression-level, -usr --user, -pwd --password, -epw --empty-password,
-kt --kerberos, --saml, --jwt, -rsp --pos-response, -to --timeout, -ts --socket-timeout, -ta --acse-timeout, -td
--dimse-timeout, -pdu --max-pdu, --max-send-pdu, --repeat, --abort, -nh --no-halt, -up --uid-padding, +II
--invent-instance, +IR --invent-series, +IS --invent-study, +IP --invent-patient, -tls --disable-tls, +tls
--enable-tls, +tla --anonymous-tls, +ps --std-passwd, +pw --use-passwd, -pw --null-passwd, -pem --pem-keys, -der
--der-keys, +cf --add-cert-file, +cd --add-cert-dir, +crl --add-crl-file, +crv --enable-crl-vfy, +cra
--enable-crl-all, +ph --list-profiles, +pg --profile-8996, +pm --profile-8996-mod, +py --profile-bcp195-nd, +px
--profile-bcp195, +pz --profile-bcp195-ex, +pb --profile-basic, +pa --profile-aes, +pn --profile-null, +cc
--list-ciphers, +cs --cipher, --no-sni, --request-sni, +rs --seed, +ws --write-seed, +wf --write-seed-file, -rc
--require-peer-cert, -ic --ignore-peer-cert
| --parallel
"""
STORESCU = [tuple(words.split()) for words in _ALL.replace("\n", " ").replace("|", ",").split(",")]

_TLS = "+tls KEY CERTIFICATE -ic "
VALUES = {
    "--log-level": "debug", "--log-config": "/etc/dcmtk/logger.cfg", "--scan-pattern": "*.dcm", "--aetitle": "ME",
    "--call": "YOU", "--config-file": "file profile", "--compression-level": "9", "--user": "u", "--password": "p",
    "--kerberos": "f", "--saml": "f", "--jwt": "f", "--timeout": "5", "--socket-timeout": "6", "--acse-timeout": "7",
    "--dimse-timeout": "8", "--max-pdu": "4096", "--max-send-pdu": "4096", "--repeat": "3", "--parallel": "4",
    "--invent-series": "2", "--invent-study": "2", "--invent-patient": "2", "--enable-tls": "a b -ic",
    "--use-passwd": "sesame", "--add-cert-file": "file", "--add-cert-dir": "folder", "--add-crl-file": "list",
    "--cipher": "NAME", "--request-sni": "name", "--seed": "file", "--write-seed-file": "file",
}  # fmt: skip
# What stands before an option that undoes it, or only says something beside it.
BESIDE = {
    "--verbose-pc": "-v", "--read-file": "-f", "--scan-pattern": "+sd", "--no-recurse": "+sd +r", "--recurse": "+sd",
    "--no-rename": "+rn", "--ip-auto": "-i4", "--propose-uncompr": "-xs", "--enable-new-vr": "-u",
    "--compression-level": "-xd", "--password": "-usr u", "--empty-password": "-usr u", "--pos-response": "-usr u",
    "--disable-tls": _TLS, "--anonymous-tls": "-ic", "--std-passwd": _TLS + "+pw x", "--pem-keys": _TLS + "-der",
    "--profile-8996": _TLS + "+pz", "--no-sni": _TLS + "--request-sni x", "--write-seed": _TLS + "+rs f",
    "--write-seed-file": _TLS + "+rs f", "--require-peer-cert": _TLS + "+cf x",
    "--ignore-peer-cert": "+tls KEY CERTIFICATE +cf x", "--add-crl-file": _TLS, "--enable-crl-vfy": _TLS + "+crl x",
    "--enable-crl-all": _TLS + "+crl x",
}  # fmt: skip
for _name in ("--use-passwd", "--null-passwd", "--der-keys", "--add-cert-file", "--add-cert-dir", "--cipher", "--seed",
              "--request-sni", "--profile-8996-mod", "--profile-bcp195-nd", "--profile-bcp195", "--profile-bcp195-ex",
              "--profile-basic", "--profile-aes", "--profile-null"):  # fmt: skip
    BESIDE[_name] = _TLS
ANSWERED = {"--help", "--version", "--arguments", "--list-profiles", "--list-ciphers"}  # held in test_face.py


def decided(words: str) -> Any:
    """All that a command line decides; the complaint where it is refused."""
    try:
        given = PROGRAM.parse([*words.split(), "localhost", "104", "file.dcm"])
        return decide(given, is_verbose=True), log(given, PROGRAM.name)
    except Misconfigured as error:
        return str(error)


def test_the_options_are_those_of_the_program_in_its_spelling() -> None:
    ours = {tuple(name for name in (option.short, option.long) if name) for option in PROGRAM.options.values()}

    assert ours == set(STORESCU)


@pytest.mark.parametrize("names", STORESCU, ids=lambda names: names[-1])
def test_every_option_decides_something(names: tuple[str, ...]) -> None:
    long = names[-1]
    if long in ANSWERED:
        return
    beside = BESIDE.get(long, "")
    if long in ("--propose-little",):
        beside = "-xb"
    without = decided(beside)
    by_name = [decided(f"{beside} {name} {VALUES.get(long, '')}") for name in names]

    assert by_name[0] != without
    assert by_name[0] == by_name[-1]


MISTAKES = {
    "+sp *.dcm": "--scan-pattern only allowed with --scan-directories",
    "+r": "--recurse only allowed with --scan-directories",
    "-xf f p -xs": "--config-file not allowed with --propose-lossless",
    "-xf f p -R": "--config-file not allowed with --required",
    "-xf f p +C": "--config-file not allowed with --combine",
    "+cl 5": "--compression-level only allowed with --propose-deflated or --config-file",
    "+cl 10 -xd": "Invalid value for option --compression-level (overflow: 10)",
    "--repeat 0": "Invalid value for option --repeat (underflow: 0)",
    "--parallel 0": "Invalid value for option --parallel (underflow: 0)",
    "--parallel 65": "Invalid value for option --parallel (overflow: 65)",
    "+IR 0": "Invalid value for option --invent-series (underflow: 0)",
    "--max-send-pdu 4095": "Invalid value for option --max-send-pdu (underflow: 4095)",
    "-pwd p": "--password only allowed with --user",
    "-rsp": "--pos-response only allowed with --user, --kerberos, --saml or --jwt",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_what_cannot_be_together_is_told_in_dcmtks_words(words: str) -> None:
    assert decided(words) == MISTAKES[words]


def test_contexts_are_shown_where_somebody_sees_them() -> None:
    given = PROGRAM.parse(["+v", "localhost", "104", "file.dcm"])

    with pytest.raises(Misconfigured, match="--verbose-pc only allowed with verbose mode"):
        decide(given, is_verbose=False)


def test_a_file_must_be_named() -> None:
    with pytest.raises(Misconfigured, match="Missing parameter dcmfile-in"):
        PROGRAM.parse(["localhost", "104"])


def test_all_files_that_are_named_are_sent() -> None:
    given = PROGRAM.parse(["localhost", "104", "a", "b", "c"])

    assert decide(given, is_verbose=False).files.named == ("a", "b", "c")
