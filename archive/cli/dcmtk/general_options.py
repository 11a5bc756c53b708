"""The options that every face begins with: help, version, and where the log goes."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from archive.cli.dcmtk import log4cplus
from archive.cli.dcmtk.options import LONG_COLUMNS, SHORT_COLUMNS, CommandLine, Group, Option
from archive.errors import Misconfigured
from archive.telemetry import Sink

HELP, VERSION, ARGUMENTS = "--help", "--version", "--arguments"
_OPTIONS = (
    Option(HELP, "-h", "print this help text and exit", is_exclusive=True),
    Option(VERSION, "", "print version information and exit", is_exclusive=True),
    Option(ARGUMENTS, "", "print expanded command line arguments"),
    Option("--quiet", "-q", "quiet mode, print no warnings and errors"),
    Option("--verbose", "-v", "verbose mode, print processing details"),
    Option("--debug", "-d", "debug mode, print debug information"),
    Option(
        "--log-level",
        "-ll",
        "(fatal, error, warn, info, debug, trace)\nuse level l for the logger",
        values=1,
        value_help="[l]evel: string constant",
    ),
    Option("--log-config", "-lc", "use config file f for the logger", values=1, value_help="[f]ilename: string"),
)
_WORDS = {"--quiet": "critical", "--verbose": "info", "--debug": "debug", "--very-verbose": "debug"}


def general_options(*more: Option) -> Group:
    """The group that every face begins with, and what one has more."""
    return Group("general options:", (*_OPTIONS, *more), columns=(SHORT_COLUMNS + 2, LONG_COLUMNS))


@dataclass(frozen=True, slots=True)
class Log:
    """Where the log goes, and what of a `--log-config` file is not taken over."""

    sinks: tuple[Sink, ...] = (Sink("warning"),)
    notices: tuple[str, ...] = ()

    @property
    def is_quiet(self) -> bool:
        """Whether errors of the command line are not printed either."""
        return all(sink.level == "critical" for sink in self.sinks)


def log(given: CommandLine, name: str, environment: Mapping[str, str] = os.environ, *, style: str = "text") -> Log:
    """The log that a face called `name` is told to write; reads the `--log-config` file. Raises Misconfigured.

    `style` is that of lines for who sits before it; a configuration file gets whole ones.
    """
    word = given.last(*_WORDS)
    level, file = given.value("--log-level"), given.value("--log-config")
    words = "--verbose, --debug or --quiet"
    if level is not None:
        given.refuse_together("--log-level", words, word is not None)
        if level.lower() not in log4cplus.LEVELS:
            raise Misconfigured("Invalid log level for --log-level option")
    if file is not None:
        given.refuse_together("--log-config", "--log-level", level is not None)
        given.refuse_together("--log-config", words, word is not None)
        configuration = log4cplus.read(_text(Path(file)), {**environment, **_variables(name)})
        return Log(configuration.sinks, configuration.notices)
    if level is not None:
        return Log((Sink(log4cplus.LEVELS[level.lower()], style),))
    return Log((Sink(_WORDS[word] if word else "warning", style),))


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        raise Misconfigured("Specified --log-config file does not exist") from None
    except (OSError, ValueError):
        raise Misconfigured("Specified --log-config file cannot be read") from None


def _variables(name: str) -> dict[str, str]:
    return {"appname": name, "hostname": platform.node(), "pid": str(os.getpid())}
