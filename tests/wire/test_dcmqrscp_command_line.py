"""The command line of dcmqrscp, held against DCMTK's own: help, mistakes and exit codes."""

import re
from pathlib import Path

import pytest

from archive.cli.dcmtk.dcmqrscp import Dcmqrscp, decide, read_profiles
from archive.cli.dcmtk.dcmqrscp_options import PROGRAM
from archive.cli.dcmtk.face import run
from archive.cli.dcmtk.general_options import log
from archive.cli.dcmtk.options import CommandLine
from tests.fix_dcmtk import Dcmtk

pytestmark = pytest.mark.usefixtures("restored_log")

_NO_CONFIG = 10  # dcmqrscp understood its command line, and then missed its configuration


def understood(given: CommandLine) -> int:
    decided = decide(given)
    if decided.profiles:
        read_profiles(decided.profiles)
    return _NO_CONFIG


def test_help_is_dcmtks_but_for_what_is_newer_or_older(dcmtk: Dcmtk) -> None:
    real = dcmtk.run("dcmqrscp", "--help").output.splitlines()

    before, of_tls, after = re.split(r"(?m)^(?=transport layer security|output options:)", PROGRAM.help)
    assert "--enable-tls" in of_tls  # since 3.6.9
    ours = (before + after).splitlines()

    only_real = [line for line in real if line not in ours]
    assert only_real == [real[0], "                                  (default: /usr//etc/dcmtk/dcmqrscp.cfg)"]
    assert [line.strip() for line in ours if line not in real] == [
        ours[0],
        "-vv     --very-verbose          print more processing details",
        "(default: /etc/dcmtk/dcmqrscp.cfg)",
        "IP protocol version:",
        "-i4   --ipv4                  use IPv4 only (default)",
        "-i6   --ipv6                  use IPv6 only",
        "-i0   --ip-auto               use IPv6/IPv4 dual stack",
    ]
    assert [line for line in ours if line in real] == [line for line in real if line in ours]


WRONG = [
    "--foo", "-xyz", "--hel", "--help=1", "--foo --help", "--help --foo", "-cl 3", "--", "-q --foo", "0", "70000",
    "abc", "-1", "-", "11 12", "-ta", "-xf a b", "-ta 0", "-ta abc", "-ta -5", "-td 0", "-to 0", "-pdu 100",
    "-pdu 999999", "-pdu -5", "+cl 10", "+cl -1", "+p x 1", "+p 1 -1", "-QP -QS -QO", "+B +te", "+B +tb", "+B +ti",
    "+B +td", "+xs +te", "+x5 +tb", "+xr +td", "+B -g", "+B +g", "+B +g=", "+B +e", "+B -e", "+p 1 1 +B",
    "+p 1 1 -F", "+te +cl 3", "-xf /etc/dcmtk/storescp.cfg Default Default +xs",
    "-xf /etc/dcmtk/storescp.cfg Default Default -xi", "-ll bogus", "-v -ll info", "-lc /etc/dcmtk/logger.cfg -d",
    "-lc /etc/dcmtk/logger.cfg -ll info", "-lc /does/not/exist", "-lc /dev/null", "@/does/not/exist",
    "-xf /does/not/exist a b", "-xf /etc/dcmtk/storescp.cfg nope Default",
    "-xf /etc/dcmtk/storescp.cfg Default nope", "-xf /etc/dcmtk/storescu.cfg Default Default", "-q +B +te",
]  # fmt: skip


@pytest.mark.parametrize("arguments", WRONG)
def test_a_mistake_is_one_in_dcmqrscp_too(arguments: str, dcmtk: Dcmtk, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(PROGRAM, arguments.split(), understood)

    real = dcmtk.run("dcmqrscp", *arguments.split())
    assert code == real.code == 1
    said, really_said = capsys.readouterr().err.splitlines(), real.output.splitlines()
    if really_said and really_said[-1].startswith("error: "):
        assert said[1:] == really_said[1:]  # but for the identification
    elif really_said:  # of association profiles; ours names more
        assert really_said[-1].startswith("F: ")
        assert said[-1].startswith("error: ")
        assert said[-1].split()[1:4] == really_said[-1].split()[1:4] or "is not valid for incoming use" in said[-1]
    else:
        assert said == []


RIGHT = [
    "", "1024", "-ta 010", "-ta 0x10", "-ta 0 -ta 5", "+te +t= +B", "-p +t= +B", "+p 1 1 -p +B", "+xd +te",
    "-xd +te +cl 1", "+te -xs", "+cl 0", "-d -v -q", "-ll ERROR", "-XF -XM -ZA -ZH -ZV -QP -QS",
    "+C foo -Cr -Ct -Cd", "-xf /etc/dcmtk/storescp.cfg Default alldicom",
    "-xf /etc/dcmtk/storescp.cfg Default Default +x= -x=", "-ac +ac --refuse --reject --ignore -up -dhl",
    "-s --fork --require-find --no-parallel-store --disable-get",
]  # fmt: skip


@pytest.mark.parametrize("arguments", RIGHT)
def test_what_dcmqrscp_takes_is_taken(arguments: str, dcmtk: Dcmtk) -> None:
    words = ["-c", "/does/not/exist", *arguments.split()]

    assert run(PROGRAM, words, understood) == dcmtk.run("dcmqrscp", *words).code == _NO_CONFIG


@pytest.mark.parametrize("content", ["-ta '5'", '-c "/a b" -v', "-c ''", "it's -q 'x'", '"-q" # x'])
def test_a_command_file_is_read_as_dcmtk_does(
    content: str, tmp_path: Path, dcmtk: Dcmtk, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "arguments"
    file.write_text(content)

    code = run(PROGRAM, ["--arguments", f"@{file}"], understood)

    real = dcmtk.run("dcmqrscp", "--arguments", f"@{file}")
    assert code == real.code
    said = capsys.readouterr().err.splitlines()
    if code == _NO_CONFIG:
        words, really = (line.split("arguments: ")[1].split() for line in (said[0], real.output.splitlines()[0]))
        assert [word for word in words if word != "''"] == really  # DCMTK does not print empty ones
    else:
        assert said[-1] == real.output.splitlines()[-1]


def test_the_defaults_are_those_of_dcmqrscp() -> None:
    assert decide(PROGRAM.parse([])) == Dcmqrscp()


def test_a_number_followed_by_more_is_a_mistake_here_only(dcmtk: Dcmtk) -> None:
    words = ["-c", "/does/not/exist", "-ta", "10m"]

    assert dcmtk.run("dcmqrscp", *words).code == _NO_CONFIG  # ten seconds
    assert run(PROGRAM, words, understood) == 1


@pytest.mark.parametrize("name, levels", [("logger.cfg", ["info", "debug"]), ("filelog.cfg", ["error", "debug"])])
def test_the_log_configurations_that_come_with_dcmtk_are_read(name: str, levels: list[str]) -> None:
    sinks = log(PROGRAM.parse(["-lc", f"/etc/dcmtk/{name}"]), "dcmqrscp").sinks

    assert [sink.level for sink in sinks] == levels
    assert [sink.file for sink in sinks] == [None, Path("dcmqrscp.log")]
