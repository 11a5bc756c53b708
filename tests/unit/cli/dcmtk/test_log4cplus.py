"""log4cplus.py: the configuration of DCMTK's logger, and what of it is not taken over."""

from pathlib import Path

import pytest

from archive.cli.dcmtk import log4cplus
from archive.errors import Misconfigured
from archive.telemetry import Sink

CONSOLE = "log4cplus.appender.c = log4cplus::ConsoleAppender\n"
FILE = "log4cplus.appender.f = log4cplus::FileAppender\nlog4cplus.appender.f.File = a.log\n"


def read(text: str) -> log4cplus.LogConfiguration:
    return log4cplus.read(text, {"appname": "dcmqrscp", "HOME": "/home/x"})


def test_console_and_file_have_levels_of_their_own() -> None:
    found = read(f"# c\nlog4cplus.rootLogger = INFO, c, f\n{CONSOLE}log4cplus.appender.c.Threshold = ERROR\n{FILE}")

    assert found == log4cplus.LogConfiguration((Sink("error"), Sink("info", file=Path("a.log"), is_appended=False)), ())


@pytest.mark.parametrize(
    "root, threshold, level",
    [("DEBUG", "WARN", "warning"), ("FATAL", "DEBUG", "critical"), ("TRACE", "TRACE", "debug")],
)
def test_the_higher_of_two_levels_counts(root: str, threshold: str, level: str) -> None:
    found = read(f"log4cplus.rootLogger={root},c\n{CONSOLE}log4cplus.appender.c.Threshold={threshold}\n")

    assert found.sinks == (Sink(level),)


def test_variables_are_replaced() -> None:
    text = "dir = ${HOME}/log\nlog4cplus.rootLogger = INFO, f\n" + FILE.replace("a.log", "${dir}/${appname}.log")

    assert read(text).sinks[0].file == Path("/home/x/log/dcmqrscp.log")


def test_what_is_not_taken_over_is_named() -> None:
    text = (
        "log4cplus.rootLogger = INFO, f\n"
        + FILE.replace("FileAppender", "RollingFileAppender")
        + "log4cplus.appender.f.MaxFileSize = 5MB\n"
        "log4cplus.appender.f.layout = log4cplus::PatternLayout\n"
        "log4cplus.logger.dcmtk.dcmnet = DEBUG\n"
    )

    found = read(text)

    assert found.sinks == (Sink("info", file=Path("a.log")),)
    assert found.notices == (
        "--log-config: MaxFileSize of appender f is not taken over",
        "--log-config: layout of appender f is not taken over",
        "--log-config: rotation of appender f is not taken over",
        "--log-config: log4cplus.logger.dcmtk.dcmnet is not taken over",
    )


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "does not contain any settings"),
        ("# a = b\nno pair", "does not contain any settings"),
        ("a = b", "does not contain any valid settings"),
        (CONSOLE, "does not set up log4cplus.rootLogger"),
        ("log4cplus.rootLogger = INFO", "names no appender in log4cplus.rootLogger"),
        ("log4cplus.rootLogger = LOUD, c\n" + CONSOLE, "level 'LOUD' of rootLogger, expected one of fatal, error"),
        ("log4cplus.rootLogger = INFO, x\n" + CONSOLE, "appender x is not set up, expected a console or a file"),
        (
            "log4cplus.rootLogger = INFO, c\n" + CONSOLE.replace("Console", "SysLog"),
            "appender c is SysLogAppender, expected a console or a file",
        ),
        ("log4cplus.rootLogger = INFO, f\nlog4cplus.appender.f = FileAppender", "appender f has no File"),
        ("a = ${a}${a}\nlog4cplus.rootLogger = ${a}", "has a variable that names itself"),
    ],
)
def test_what_cannot_be_used_is_refused(text: str, message: str) -> None:
    with pytest.raises(Misconfigured, match=f"^Specified --log-config file.*{message}"):
        read(text)
