"""Read the configuration that DCMTK's `--log-config` takes (log4cplus properties): where to log, how much; pure.

Levels, thresholds, consoles and files are taken over; what is not is named, so that nobody waits for it: patterns of
lines, rotation (the log may be rotated from outside) and levels of DCMTK's modules, which do not exist here.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from archive.errors import Misconfigured
from archive.telemetry import Sink

# DCMTK's words and ours; also what `--log-level` takes.
LEVELS = {
    "fatal": "critical",
    "error": "error",
    "warn": "warning",
    "info": "info",
    "debug": "debug",
    "trace": "debug",
}
_PREFIX = "log4cplus."
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_MAX_EXPANSIONS = 100  # of a value; a variable may name itself
_FILES = ("FileAppender", "RollingFileAppender", "DailyRollingFileAppender", "TimeBasedRollingFileAppender")
_TAKEN = {"ConsoleAppender": {"Threshold", "logToStdErr", "logToStderr", "ImmediateFlush"}}
_TAKEN |= {name: {"Threshold", "File", "Append", "ImmediateFlush"} for name in _FILES}


@dataclass(frozen=True, slots=True)
class LogConfiguration:
    """Where the log goes, and what of the file is not taken over."""

    sinks: tuple[Sink, ...]
    notices: tuple[str, ...]


def read(text: str, variables: Mapping[str, str]) -> LogConfiguration:
    """The configuration in `text`; `variables` are appname, hostname and the like, and the environment.

    Raises Misconfigured, in DCMTK's words where it has some.
    """
    properties = _properties(text)
    if not properties:
        raise Misconfigured("Specified --log-config file does not contain any settings")
    settings = {
        key.removeprefix(_PREFIX): _expand(value, {**variables, **properties})
        for key, value in properties.items()
        if key.startswith(_PREFIX)
    }
    if not settings:
        raise Misconfigured("Specified --log-config file does not contain any valid settings")
    if "rootLogger" not in settings:
        raise Misconfigured("Specified --log-config file does not set up log4cplus.rootLogger")
    level, *names = (word.strip() for word in settings.pop("rootLogger").split(","))
    sinks: list[Sink] = []
    notices: list[str] = []
    for name in filter(None, names):
        own = {key: settings.pop(key) for key in list(settings) if key == _of(name) or key.startswith(f"{_of(name)}.")}
        sink, not_taken = _sink(name, own, _level(level, "rootLogger"))
        sinks.append(sink)
        notices += not_taken
    notices += [f"--log-config: {_PREFIX}{key} is not taken over" for key in settings]
    if not sinks:
        raise Misconfigured("Specified --log-config file names no appender in log4cplus.rootLogger")
    return LogConfiguration(tuple(sinks), tuple(notices))


def _properties(text: str) -> dict[str, str]:
    rows = (row.strip() for row in text.splitlines())
    pairs = (row.partition("=") for row in rows if row and not row.startswith("#"))
    return {key.strip(): value.strip() for key, equals, value in pairs if equals}


def _expand(value: str, variables: Mapping[str, str]) -> str:
    for _ in range(_MAX_EXPANSIONS):
        found = _VARIABLE.search(value)
        if found is None:
            return value
        value = value[: found.start()] + variables.get(found[1], "") + value[found.end() :]
        if len(value) > 10_000:
            break
    raise Misconfigured(f"Specified --log-config file has a variable that names itself: {value[:60]}")


def _of(name: str) -> str:
    return f"appender.{name}"


def _sink(name: str, settings: Mapping[str, str], root_level: str) -> tuple[Sink, Iterator[str]]:
    kind = settings.get(_of(name), "").rpartition(":")[2]
    if kind not in _TAKEN:
        raise Misconfigured(
            f"Specified --log-config file: appender {name} is {kind or 'not set up'}, expected a console or a file"
        )
    own = {key.removeprefix(f"{_of(name)}."): value for key, value in settings.items() if key != _of(name)}
    level = _level(own["Threshold"], f"appender {name}") if "Threshold" in own else root_level
    level = max(level, root_level, key=tuple(reversed(tuple(LEVELS.values()))).index)
    file = own.get("File", "")
    if kind != "ConsoleAppender" and not file:
        raise Misconfigured(f"Specified --log-config file: appender {name} has no File")
    is_appended = own.get("Append", "true" if kind != "FileAppender" else "false").lower() in ("true", "1")
    sink = Sink(level=level, file=Path(file) if kind != "ConsoleAppender" else None, is_appended=is_appended)
    not_taken = [key for key in own if key not in _TAKEN[kind]]
    if kind in _FILES[1:]:
        not_taken.append("rotation")
    return sink, (f"--log-config: {key} of appender {name} is not taken over" for key in not_taken)


def _level(word: str, where: str) -> str:
    try:
        return LEVELS[word.lower()]
    except KeyError:
        raise Misconfigured(
            f"Specified --log-config file: level {word!r} of {where}, expected one of {', '.join(LEVELS)}"
        ) from None
