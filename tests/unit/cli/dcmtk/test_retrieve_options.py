"""movescu_options.py, getscu_options.py: every option of the programs is there, none is taken and forgotten."""

from typing import Any

import pytest

from archive.cli.dcmtk import getscu_options, movescu_options
from archive.cli.dcmtk.general_options import log
from archive.cli.dcmtk.options import Program
from archive.errors import Misconfigured

# The options of DCMTK 3.7.0 as its pages spell them, and behind the bar those that are ours; written down apart from
# our tables.
_GENERAL = (
    "-h --help, --version, --arguments, -q --quiet, -v --verbose, -d --debug, -ll --log-level, -lc --log-config, "
    "-i4 --ipv4, -i6 --ipv6, -i0 --ip-auto, -k --key, -P --patient, -S --study, -O --psonly, "
    "-aet --aetitle, -aec --call"
)
_SYNTAXES = """
+x= --prefer-uncompr, +xe --prefer-little, +xb --prefer-big, +xs --prefer-lossless, +xy --prefer-jpeg8,
+xx --prefer-jpeg12, +xv --prefer-j2k-lossless, +xw --prefer-j2k-lossy, +xt --prefer-jls-lossless,
+xu --prefer-jls-lossy, +xm --prefer-mpeg2, +xh --prefer-mpeg2-high, +xn --prefer-mpeg4, +xl --prefer-mpeg4-bd,
+x2 --prefer-mpeg4-2-2d, +x3 --prefer-mpeg4-2-3d, +xo --prefer-mpeg4-2-st, +x4 --prefer-hevc, +x5 --prefer-hevc10,
+xr --prefer-rle, +xd --prefer-deflated, +xi --implicit, -x= --propose-uncompr, -xe --propose-little,
-xb --propose-big, -xd --propose-deflated, -xi --propose-implicit
"""
_TLS = """
-tls --disable-tls, +tls --enable-tls, +ps --std-passwd, +pw --use-passwd, -pw --null-passwd, -pem --pem-keys,
-der --der-keys, +cf --add-cert-file, +cd --add-cert-dir, +crl --add-crl-file, +crv --enable-crl-vfy,
+cra --enable-crl-all, +ph --list-profiles, +pg --profile-8996, +pm --profile-8996-mod, +py --profile-bcp195-nd,
+px --profile-bcp195, +pz --profile-bcp195-ex, +pb --profile-basic, +pa --profile-aes, +pn --profile-null,
+cc --list-ciphers, +cs --cipher, --no-sni, +rs --seed, +ws --write-seed, +wf --write-seed-file,
-rc --require-peer-cert, -ic --ignore-peer-cert, --request-sni
"""
_TIMES = "-to --timeout, -ta --acse-timeout, -td --dimse-timeout, -pdu --max-pdu, --repeat, --abort"
_OURS = (
    "-ts --socket-timeout, -usr --user, -pwd --password, -epw --empty-password, -kt --kerberos, --saml, --jwt, "
    "-rsp --pos-response, --priority"
)
_MOVESCU = f"""
{_GENERAL}, -aem --move, {_SYNTAXES}, +xa --accept-all, -ac --access-full, +ac --access-control, --no-port, +P --port,
-pi --pending-ignore, -pr --pending-read, {_TIMES}, -dhl --disable-host-lookup, --ignore, --cancel, -up --uid-padding,
{_TLS}, +dp --dhparam, --expect-sni, -vc --verify-peer-cert, -od --output-directory, -B --normal, +B --bit-preserving,
+F --write-file, -F --write-dataset, +t= --write-xfer-same, +te --write-xfer-little, +tb --write-xfer-big,
+ti --write-xfer-implicit, +td --write-xfer-deflated, +u --enable-new-vr, -u --disable-new-vr,
+g= --group-length-recalc, +g --group-length-create, -g --group-length-remove, +e --length-explicit,
-e --length-undefined, -p --padding-off, +p --padding-create, +cl --compression-level
| {_OURS}, -uc --retain-un, +uc --convert-un
"""
_GETSCU = f"""
{_GENERAL}, +v --verbose-pc, {_SYNTAXES}, {_TIMES}, {_TLS}, +tla --anonymous-tls, -od --output-directory, -B --normal,
+B --bit-preserving, --ignore
| {_OURS}
"""


def spelt(text: str) -> list[tuple[str, ...]]:
    return [tuple(words.split()) for words in text.replace("\n", " ").replace("|", ",").split(",") if words.strip()]


MOVESCU, GETSCU = spelt(_MOVESCU), spelt(_GETSCU)
PROGRAMS = [(movescu_options, MOVESCU), (getscu_options, GETSCU)]
_WITH_TLS = "+tls KEY CERTIFICATE -ic "
# What an option is given, if it takes values.
VALUES = {
    "--log-level": "debug", "--log-config": "/etc/dcmtk/logger.cfg", "--key": "PatientID=1", "--aetitle": "MYSELF",
    "--call": "YOU", "--move": "THEM", "--port": "11113", "--socket-timeout": "5", "--acse-timeout": "6",
    "--dimse-timeout": "7", "--timeout": "8", "--max-pdu": "4096", "--repeat": "2", "--cancel": "3",
    "--priority": "high",
    "--user": "ada", "--password": "sesame", "--kerberos": "file", "--saml": "file", "--jwt": "file",
    "--enable-tls": "a b -ic", "--use-passwd": "sesame", "--add-cert-file": "file", "--add-cert-dir": "folder",
    "--add-crl-file": "list", "--cipher": "NAME", "--dhparam": "file", "--expect-sni": "name",
    "--request-sni": "name", "--seed": "file", "--write-seed-file": "file", "--output-directory": "folder",
    "--padding-create": "2 4", "--compression-level": "9", "--anonymous-tls": "-ic",
}  # fmt: skip
# What stands before an option that undoes it, or only says something beside it.
BESIDE = {
    "--ipv4": "-i6", "--patient": "-S", "--prefer-uncompr": "+xs", "--propose-uncompr": "-xi", "--access-full": "+ac",
    "--prefer-little": "+xs", "--propose-little": "-xi", "--ip-auto": "-i6",
    "--no-port": "+P 104", "--pending-ignore": "-pr", "--password": "-usr u", "--empty-password": "-usr u",
    "--pos-response": "-usr u", "--disable-tls": _WITH_TLS, "--std-passwd": _WITH_TLS + "+pw x",
    "--pem-keys": _WITH_TLS + "-der", "--profile-8996": _WITH_TLS + "+pz", "--no-sni": "",
    "--write-seed": _WITH_TLS + "+rs f", "--write-seed-file": _WITH_TLS + "+rs f",
    "--require-peer-cert": _WITH_TLS + "+cf x", "--verify-peer-cert": "+tls KEY CERTIFICATE +cf x",
    "--ignore-peer-cert": "+tls KEY CERTIFICATE +cf x", "--add-crl-file": _WITH_TLS,
    "--enable-crl-vfy": _WITH_TLS + "+crl x", "--enable-crl-all": _WITH_TLS + "+crl x", "--write-file": "-F",
    "--write-xfer-same": "+te", "--enable-new-vr": "-u", "--group-length-recalc": "+g", "--length-explicit": "-e",
    "--padding-off": "+p 2 2", "--retain-un": "+uc", "--verbose-pc": "-v", "--normal": "", "--port": "",
}  # fmt: skip
for _name in ("--use-passwd", "--null-passwd", "--der-keys", "--add-cert-file", "--add-cert-dir", "--cipher", "--seed",
              "--dhparam", "--expect-sni", "--request-sni", "--profile-8996-mod", "--profile-bcp195-nd",
              "--profile-bcp195", "--profile-bcp195-ex", "--profile-basic", "--profile-aes",
              "--profile-null"):  # fmt: skip
    BESIDE[_name] = _WITH_TLS
ANSWERED = {"--help", "--version", "--arguments", "--list-profiles", "--list-ciphers"}  # held in test_face.py
SAID = {"--no-sni", "--prefer-little", "--propose-little"}  # what is so already, or the same by another name


def decided(options: Any, words: str) -> Any:
    """All that a command line decides, for an operation that comes to us; the complaint where it is refused."""
    receives = "+P 11112 " if options is movescu_options and "-port" not in words and "+P" not in words else ""
    try:
        given = options.PROGRAM.parse(f"{receives}-k PatientName {words} localhost 104".split())
        more = {"is_verbose": True} if options is getscu_options else {}
        return options.decide(given, **more), log(given, options.PROGRAM.name)
    except Misconfigured as error:
        return str(error)


@pytest.mark.parametrize("options, expected", PROGRAMS, ids=["movescu", "getscu"])
def test_the_options_are_those_of_the_program_in_its_spelling(options: Any, expected: list[tuple[str, ...]]) -> None:
    program: Program = options.PROGRAM
    ours = {tuple(name for name in (option.short, option.long) if name) for option in program.options.values()}

    assert ours == set(expected)


CASES = [(options, names) for options, expected in PROGRAMS for names in expected]


@pytest.mark.parametrize(
    "options, names", CASES, ids=lambda value: value[-1] if isinstance(value, tuple) else value.PROGRAM.name
)
def test_every_option_decides_something(options: Any, names: tuple[str, ...]) -> None:
    long = names[-1]
    if long in ANSWERED | SAID:
        return
    beside = BESIDE.get(long, "")
    without = decided(options, beside)
    by_name = [decided(options, f"{beside} {name} {VALUES.get(long, '')}") for name in names]

    assert by_name[0] != without
    assert by_name[0] == by_name[-1]


def test_what_excludes_each_other_is_decided_by_the_last() -> None:
    for words, same in (
        ("+xs +xe", "+xe"),
        ("-xi -xe", "-xe"),
        ("-S -O -P", "-P"),
        ("-pr -pi", ""),
        ("+B -B", "-B"),
        ("-u +u", ""),
    ):
        assert decided(movescu_options, words) == decided(movescu_options, same), words


def test_we_are_the_destination_unless_another_is_named() -> None:
    given = movescu_options.PROGRAM.parse(["-aet", "ME", "-k", "PatientID", "localhost", "104"])
    named = movescu_options.PROGRAM.parse(["-aet", "ME", "-aem", "YOU", "-k", "PatientID", "localhost", "104"])

    assert movescu_options.decide(given).destination == "ME"
    assert movescu_options.decide(named).destination == "YOU"


def test_nothing_comes_in_without_a_port() -> None:
    for words in ("", "+P 11112 --no-port"):
        given = movescu_options.PROGRAM.parse(f"{words} -k PatientID localhost 104".split())
        assert movescu_options.decide(given).incoming is None
