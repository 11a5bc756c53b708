"""face.py: help, version, mistakes and the log of a face; its exit codes."""

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from archive.cli import faces
from archive.cli.dcmtk import tls_options
from archive.cli.dcmtk.dcmqrscp import decide
from archive.cli.dcmtk.dcmqrscp_options import PROGRAM
from archive.cli.dcmtk.face import Face, run
from archive.cli.dcmtk.options import CommandLine
from archive.cli.main import FaceCommand
from archive.errors import Misconfigured

Output = pytest.CaptureFixture[str]


pytestmark = pytest.mark.usefixtures("restored_log")


def work(given: CommandLine) -> int:
    decide(given)
    logging.getLogger("archive").warning("working")
    return 42


def test_the_work_gives_the_exit_code(capsys: Output) -> None:
    assert run(PROGRAM, [], work) == 42
    assert "working" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["-q", "-h", "--version"]])
def test_help_goes_to_standard_output(arguments: list[str], capsys: Output) -> None:
    assert run(PROGRAM, arguments, work) == 0
    assert capsys.readouterr() == (PROGRAM.help, "")


def test_version_names_the_libraries(capsys: Output) -> None:
    assert run(PROGRAM, ["--version"], work) == 0

    said = capsys.readouterr().out
    assert said.startswith(f"$archive: dcmqrscp v{PROGRAM.version} $\n")
    assert "- OpenSSL" in said


@pytest.mark.parametrize("option", tls_options.ANSWERS)
def test_an_exclusive_option_of_the_face_is_answered_and_nothing_else(option: str, capsys: Output) -> None:
    assert run(PROGRAM, [option, "+B", "+te"], work, tls_options.ANSWERS) == 0
    assert capsys.readouterr() == (f"{PROGRAM.header}\n{tls_options.ANSWERS[option]()}", "")


@pytest.mark.parametrize("arguments, message", [(["-foo"], "Unknown option -foo"), (["+B", "+te"], "not allowed with")])
def test_a_mistake_ends_with_1_and_is_said(arguments: list[str], message: str, capsys: Output) -> None:
    assert run(PROGRAM, arguments, work) == 1

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"$archive: dcmqrscp v{PROGRAM.version} $\n\ndcmqrscp: DICOM image archive")
    assert f"\nerror: {message}" in err or message in err.splitlines()[-1]


def test_a_quiet_face_says_nothing_of_what_cannot_be_together(capsys: Output) -> None:
    assert run(PROGRAM, ["-q", "+B", "+te"], work) == 1
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("options", [["--arguments"], ["-q", "--arguments"]])
def test_expanded_arguments_are_said_whatever_the_level(options: list[str], tmp_path: Path, capsys: Output) -> None:
    file = tmp_path / "more"
    file.write_text("-ta '7'")

    run(PROGRAM, [*options, f"@{file}"], work)

    count = len(options) + 2
    assert f"calling 'dcmqrscp' with {count} arguments: " in capsys.readouterr().err


def test_a_log_configuration_is_used_and_what_is_not_taken_over_is_said(tmp_path: Path, capsys: Output) -> None:
    configuration, file = tmp_path / "log.cfg", tmp_path / "dcmqrscp.log"
    file.write_text("of yesterday\n")
    configuration.write_text(
        "log4cplus.rootLogger = WARN, console, file\n"
        "log4cplus.appender.console = log4cplus::ConsoleAppender\n"
        "log4cplus.appender.console.Threshold = FATAL\n"
        "log4cplus.appender.file = log4cplus::FileAppender\n"
        "log4cplus.appender.file.layout = log4cplus::PatternLayout\n"
        f"log4cplus.appender.file.File = {tmp_path}/${{appname}}.log\n"
    )

    assert run(PROGRAM, ["-lc", str(configuration)], work) == 42

    written = file.read_text()
    assert "working" in written
    assert "layout of appender file is not taken over" in written
    assert "of yesterday" not in written
    assert capsys.readouterr().err == ""


def test_a_log_that_cannot_be_written_is_a_mistake(tmp_path: Path, capsys: Output) -> None:
    configuration = tmp_path / "log.cfg"
    configuration.write_text(
        "log4cplus.rootLogger = WARN, f\n"
        "log4cplus.appender.f = FileAppender\n"
        "log4cplus.appender.f.File = /no/such/file\n"
    )

    assert run(PROGRAM, ["-lc", str(configuration)], work) == 1
    assert "error: cannot write the log: No such file or directory: /no/such/file" in capsys.readouterr().err


def test_a_mistake_found_at_work_ends_with_1(capsys: Output) -> None:
    def fail(given: CommandLine) -> int:
        raise Misconfigured("unknown configuration profile name: x")

    assert run(PROGRAM, [], fail) == 1
    assert capsys.readouterr().err.endswith("error: unknown configuration profile name: x\n")


def test_as_a_command_it_gets_its_arguments_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, ...]] = []

    def remember(given: CommandLine) -> int:
        seen.append(given.arguments)
        return 7

    monkeypatch.setattr(faces, "load", lambda name: Face(PROGRAM, remember))
    group = click.Group(commands=[FaceCommand("dcmqrscp")])
    words = ["-xf", "--help", "a", "b", "+x=", "-ta", "-5", "-XF", "11112"]
    ran = CliRunner().invoke(group, ["dcmqrscp", *words], standalone_mode=False)

    assert ran.return_value == 7
    assert seen == [
        ("--assoc-config-file", "--help", "a", "b", "--prefer-uncompr", "--acse-timeout", "-5", "--check-find", "11112")
    ]


def test_as_a_command_its_help_is_dcmtks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "load", lambda name: Face(PROGRAM, work))
    group = click.Group(commands=[FaceCommand("dcmqrscp")])

    assert CliRunner().invoke(group, ["dcmqrscp", "--help"], standalone_mode=False).output == PROGRAM.help


def test_who_reads_no_further_ends_it_as_any_program() -> None:
    """As `archive storescu --help | head -1`."""
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "wb") as nobody:
        ran = subprocess.run(
            [sys.executable, "-m", "archive", "storescu", "--help"], stdout=nobody, stderr=subprocess.PIPE
        )

    assert (ran.returncode, ran.stderr) == (-signal.SIGPIPE, b"")


@pytest.mark.parametrize("words, code", [("--help", 0), ("--no-such-option", 1)])
def test_a_closed_standard_error_is_none_to_fail_at(words: str, code: int) -> None:
    line = f"exec '{sys.executable}' -m archive storescu {words} 2>&-"
    ran = subprocess.run(["/bin/sh", "-c", line], stdout=subprocess.PIPE)

    assert ran.returncode == code


def test_a_closed_standard_output_is_none_to_fail_at() -> None:
    words = f"exec '{sys.executable}' -m archive storescu --help >&-"
    ran = subprocess.run(["/bin/sh", "-c", words], stderr=subprocess.PIPE)

    assert (ran.returncode, ran.stderr) == (0, b"")
