"""storescp_options.py, dcmrecv_options.py: every option of the programs is there, none is taken and forgotten."""

from typing import Any

import pytest

from archive.cli.dcmtk import dcmrecv_options, storescp_options
from archive.cli.dcmtk.general_options import log
from archive.cli.dcmtk.options import Program
from archive.errors import Misconfigured

# The options of DCMTK 3.7.0 as its pages spell them, and behind the bar those that are ours; written down apart from
# our tables.
_GENERAL = (
    "-h --help, --version, --arguments, -q --quiet, -v --verbose, -d --debug, -ll --log-level, -lc --log-config, "
    "+v --verbose-pc"
)
_TLS = """
-tls --disable-tls, +tls --enable-tls, +ps --std-passwd, +pw --use-passwd, -pw --null-passwd, -pem --pem-keys,
-der --der-keys, +cf --add-cert-file, +cd --add-cert-dir, +crl --add-crl-file, +crv --enable-crl-vfy,
+cra --enable-crl-all, +ph --list-profiles, +pg --profile-8996, +pm --profile-8996-mod, +py --profile-bcp195-nd,
+px --profile-bcp195, +pz --profile-bcp195-ex, +pb --profile-basic, +pa --profile-aes, +pn --profile-null,
+cc --list-ciphers, +cs --cipher, +dp --dhparam, --no-sni, --expect-sni, +rs --seed, +ws --write-seed,
+wf --write-seed-file, -rc --require-peer-cert, -vc --verify-peer-cert, -ic --ignore-peer-cert
"""
_STORESCP = f"""
{_GENERAL}, --single-process, --fork, --max-associations, -i4 --ipv4, -i6 --ipv6, -i0 --ip-auto, -xf --config-file,
+x= --prefer-uncompr, +xe --prefer-little, +xb --prefer-big, +xs --prefer-lossless, +xy --prefer-jpeg8,
+xx --prefer-jpeg12, +xv --prefer-j2k-lossless, +xw --prefer-j2k-lossy, +xt --prefer-jls-lossless,
+xu --prefer-jls-lossy, +xm --prefer-mpeg2, +xh --prefer-mpeg2-high, +xn --prefer-mpeg4, +xl --prefer-mpeg4-bd,
+x2 --prefer-mpeg4-2-2d, +x3 --prefer-mpeg4-2-3d, +xo --prefer-mpeg4-2-st, +x4 --prefer-hevc, +x5 --prefer-hevc10,
+xr --prefer-rle, +xd --prefer-deflated, +xi --implicit, +xa --accept-all, -ac --access-full, +ac --access-control,
-id --inetd, -ts --socket-timeout, -ta --acse-timeout, -td --dimse-timeout, -aet --aetitle, -pdu --max-pdu,
-dhl --disable-host-lookup, --refuse, --reject, --ignore, --sleep-after, --sleep-during, --abort-after, --abort-during,
-pm --promiscuous, -up --uid-padding, {_TLS}, -od --output-directory, -B --normal, +B --bit-preserving, +F --write-file,
-F --write-dataset, +t= --write-xfer-same, +te --write-xfer-little, +tb --write-xfer-big, +ti --write-xfer-implicit,
+td --write-xfer-deflated, +u --enable-new-vr, -u --disable-new-vr, +g= --group-length-recalc, +g --group-length-create,
-g --group-length-remove, +e --length-explicit, -e --length-undefined, -p --padding-off, +p --padding-create,
-uc --retain-un, +uc --convert-un, +cl --compression-level, -ss --sort-conc-studies, -su --sort-on-study-uid,
-sp --sort-on-patientname, -uf --default-filenames, +uf --unique-filenames, -tn --timenames, -fe --filename-extension,
-xcr --exec-on-reception, -xcs --exec-on-eostudy, -rns --rename-on-eostudy, -tos --eostudy-timeout, -xs --exec-sync
| --exec-shell, --study-order
"""
_DCMRECV = f"""
{_GENERAL}, -i4 --ipv4, -i6 --ipv6, -i0 --ip-auto, -xf --config-file, -uca --use-called-aetitle, -aet --aetitle,
-ta --acse-timeout, -td --dimse-timeout, -pdu --max-pdu, -dhl --disable-host-lookup, {_TLS}, -od --output-directory,
-s --no-subdir, +ssd --series-date-subdir, +fd --default-filenames, +fu --unique-filenames, +fsu --short-unique-names,
+fst --system-time-names, -fe --filename-extension, -B --normal, +B --bit-preserving, --ignore
| --single-process
"""


def spelt(text: str) -> list[tuple[str, ...]]:
    return [tuple(words.split()) for words in text.replace("\n", " ").replace("|", ",").split(",") if words.strip()]


STORESCP, DCMRECV = spelt(_STORESCP), spelt(_DCMRECV)

_WITH_TLS = "+tls KEY CERTIFICATE -ic "
# What an option is given, if it takes values.
VALUES = {
    "--log-level": "debug", "--log-config": "/etc/dcmtk/logger.cfg", "--max-associations": "2",
    "--config-file": "file profile", "--socket-timeout": "5", "--acse-timeout": "6", "--dimse-timeout": "7",
    "--aetitle": "MYSELF", "--max-pdu": "4096", "--sleep-after": "1", "--sleep-during": "2", "--enable-tls": "a b -ic",
    "--use-passwd": "sesame", "--add-cert-file": "file", "--add-cert-dir": "folder", "--add-crl-file": "list",
    "--cipher": "NAME", "--dhparam": "file", "--expect-sni": "name", "--seed": "file", "--write-seed-file": "file",
    "--output-directory": "folder", "--padding-create": "2 4", "--compression-level": "9", "--sort-conc-studies": "p",
    "--sort-on-study-uid": "p", "--filename-extension": ".dcm", "--exec-on-reception": "c", "--exec-on-eostudy": "c",
    "--eostudy-timeout": "5", "--study-order": "global",
}  # fmt: skip
# What stands before an option that undoes it, or only says something beside it.
BESIDE = {
    "--single-process": "--fork", "--fork": "--single-process", "--max-associations": "--fork", "--ipv4": "-i6",
    "--prefer-uncompr": "+xs", "--access-full": "+ac", "--use-called-aetitle": "-aet X", "--disable-tls": _WITH_TLS,
    "--std-passwd": _WITH_TLS + "+pw x", "--pem-keys": _WITH_TLS + "-der", "--profile-8996": _WITH_TLS + "+pz",
    "--no-sni": _WITH_TLS + "--expect-sni x", "--write-seed": _WITH_TLS + "+rs f",
    "--write-seed-file": _WITH_TLS + "+rs f", "--require-peer-cert": _WITH_TLS + "+cf x",
    "--verify-peer-cert": "+tls KEY CERTIFICATE +cf x", "--ignore-peer-cert": "+tls KEY CERTIFICATE +cf x",
    "--add-crl-file": _WITH_TLS, "--enable-crl-vfy": _WITH_TLS + "+crl x", "--enable-crl-all": _WITH_TLS + "+crl x",
    "--write-file": "-F", "--write-xfer-same": "+te", "--enable-new-vr": "-u", "--group-length-recalc": "+g",
    "--length-explicit": "-e", "--padding-off": "+p 2 2", "--retain-un": "+uc", "--default-filenames": "+uf",
    "--exec-on-eostudy": "-sp", "--rename-on-eostudy": "-sp", "--eostudy-timeout": "-sp", "--no-subdir": "+ssd",
    "--verbose-pc": "-v",
}  # fmt: skip
for _name in ("--use-passwd", "--null-passwd", "--der-keys", "--add-cert-file", "--add-cert-dir", "--cipher", "--seed",
              "--dhparam", "--expect-sni", "--profile-8996-mod", "--profile-bcp195-nd", "--profile-bcp195",
              "--profile-bcp195-ex", "--profile-basic", "--profile-aes", "--profile-null"):  # fmt: skip
    BESIDE[_name] = _WITH_TLS
ANSWERED = {"--help", "--version", "--arguments", "--list-profiles", "--list-ciphers"}  # held in test_face.py

PROGRAMS = [(storescp_options, STORESCP), (dcmrecv_options, DCMRECV)]


def decided(options: Any, words: str) -> Any:
    """All that a command line decides; the complaint where it is refused."""
    try:
        given = options.PROGRAM.parse(words.split())
        return options.decide(given, is_verbose=True), log(given, options.PROGRAM.name)
    except Misconfigured as error:
        return str(error)


@pytest.mark.parametrize("options, expected", PROGRAMS, ids=["storescp", "dcmrecv"])
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
    if long in ANSWERED:
        return
    beside = BESIDE.get(long, "")
    if long == "--fork" and options is dcmrecv_options:
        return
    if long == "--single-process" and options is dcmrecv_options:
        beside = ""
    if long == "--default-filenames" and options is dcmrecv_options:
        beside = "+fu"
    without = decided(options, beside)
    by_name = [decided(options, f"{beside} {name} {VALUES.get(long, '')}") for name in names]

    assert by_name[0] != without
    assert by_name[0] == by_name[-1]


MISTAKES = {
    "--inetd --fork": "--inetd not allowed with --fork",
    "--max-associations 2": "--max-associations only allowed with --fork",
    "--fork --max-associations 0": "Invalid value for option --max-associations (underflow: 0)",
    "-xf f p +xe": "--config-file not allowed with --prefer-little",
    "-xf f p +xa": "--config-file not allowed with --accept-all",
    "-xf f p -pm": "--config-file not allowed with --promiscuous",
    "-xf f": "Missing value for option --config-file",
    "+xa +te": "--write-xfer-little not allowed with --accept-all",
    "+xs +tb": "--write-xfer-big not allowed with --prefer-lossless",
    "+B +ti": "--write-xfer-implicit not allowed with --bit-preserving",
    "+B +u": "--enable-new-vr not allowed with --bit-preserving",
    "+B -u": "--disable-new-vr not allowed with --bit-preserving",
    "+B +g=": "--group-length-recalc not allowed with --bit-preserving",
    "+B -e": "--length-undefined not allowed with --bit-preserving",
    "+B +p 2 2": "--padding-create not allowed with --bit-preserving",
    "-F +p 2 2": "--padding-create not allowed with --write-dataset",
    "+te +cl 9": "--compression-level only allowed with --write-xfer-deflated or --write-xfer-same",
    "+B -ss p": "--sort-conc-studies not allowed with --bit-preserving",
    "+B -sp": "--sort-on-patientname not allowed with --bit-preserving",
    "+uf -tn": "--timenames not allowed with --unique-filenames",
    "--fork -sp -xcs c": "--exec-on-eostudy not allowed with --fork",
    "-id -sp -rns": "--rename-on-eostudy not allowed with --inetd",
    "-xcs c": "--exec-on-eostudy only allowed with --sort-conc-studies, --sort-on-study-uid or --sort-on-patientname",
    "-tos 5": "--eostudy-timeout only allowed with --sort-conc-studies, --sort-on-study-uid, --sort-on-patientname, "
    "--exec-on-eostudy or --rename-on-eostudy",
    "--study-order first": "Invalid value for option --study-order (first), expected study or global",
    "-ts -2": "Invalid value for option --socket-timeout (underflow: -2)",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_what_cannot_be_together_is_refused_in_storescps_words(words: str) -> None:
    assert decided(storescp_options, words) == MISTAKES[words]


def test_what_shows_contexts_needs_a_log_that_has_room_for_them() -> None:
    for options in (storescp_options, dcmrecv_options):
        with pytest.raises(Misconfigured, match="--verbose-pc only allowed with verbose mode"):
            options.decide(options.PROGRAM.parse(["+v"]), is_verbose=False)


def test_of_what_excludes_each_other_the_last_one_counts() -> None:
    def of_storescp(words: str) -> storescp_options.Storescp:
        return storescp_options.decide(storescp_options.PROGRAM.parse(words.split()), is_verbose=False)

    assert of_storescp("+xs +xa").accept == "all"
    assert of_storescp("+xa +xs").accept == "jpeg-lossless"
    assert of_storescp("--fork --single-process").is_single_process
    assert not of_storescp("--single-process --fork").is_single_process
    assert of_storescp("-ss a -su b").files == storescp_options.Files(sorting="study", sorting_prefix="b")
    assert of_storescp("-su b -ss a").files == storescp_options.Files(sorting="timestamp", sorting_prefix="a")
    assert of_storescp("-su b -sp").files == storescp_options.Files(sorting="patient")
    assert of_storescp("+uf -uf -tn").files.naming == "time"


def test_without_options_all_is_as_in_the_programs() -> None:
    assert decided(storescp_options, "")[0] == storescp_options.Storescp()
    assert decided(dcmrecv_options, "")[0] == dcmrecv_options.Dcmrecv()
