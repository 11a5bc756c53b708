"""Run a face of a DCMTK program: its help, version and errors as DCMTK prints them, its log, its exit code."""

import logging
import os
import platform
import signal
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from archive import telemetry
from archive.cli.dcmtk import general_options
from archive.cli.dcmtk.options import CommandLine, Program
from archive.dicom import further_dictionary
from archive.errors import Misconfigured

_log = logging.getLogger(__name__)

OK = 0
SYNTAX_ERROR = 1

Work = Callable[[CommandLine], int]
"""What a face does once its command line is understood; raises Misconfigured for what cannot be in it, or Ended."""


Answers = Mapping[str, Callable[[], str]]
"""What exclusive options of a face beside `--help` and `--version` print, below its header."""


class Ended(Exception):
    """The face cannot go on: what is said about it, and the exit code."""

    def __init__(self, reason: str, code: int) -> None:
        super().__init__(reason)
        self.code = code


@contextmanager
def ending_with(code: int, said: str = "") -> Iterator[None]:
    """What is misconfigured ends the face with this code; `said` stands before the reason."""
    try:
        yield
    except Misconfigured as error:
        raise Ended(f"{said}{error}", code) from error


def run(
    program: Program, arguments: Sequence[str], work: Work, answers: Answers | None = None, *, style: str = "text"
) -> int:
    """Run `work`, or answer an exclusive option or a mistake; the exit code. `style` is one of telemetry's."""
    is_quiet = False
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed by who started us; what is printed goes nowhere
            setattr(sys, stream, open(os.devnull, "w"))  # noqa: SIM115, PTH123 - to the end of the process
    try:
        if not arguments and program.needs_parameters:
            return _print(program.help)
        given = program.parse(arguments)
        if given.has(general_options.HELP):
            return _print(program.help)
        if given.has(general_options.VERSION):
            return _print(_version(program))
        for option, answer in (answers or {}).items():
            if given.has(option):
                return _print(f"{program.header}\n{answer()}")
        log = general_options.log(given, program.name, style=style)
        is_quiet = log.is_quiet
        _set_up(log)
        further_dictionary.use(_dictionaries(os.environ), _log.warning)
        if given.has(general_options.ARGUMENTS):
            _say_arguments(program, given)
        code = work(given)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # nobody reads on: `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        end_by(signal.SIGPIPE)
        raise
    except Ended as ended:
        _log.critical("%s", ended)
        return ended.code
    except Misconfigured as error:
        if not is_quiet:
            sys.stderr.write(f"{program.header}error: {error}\n")
        return SYNTAX_ERROR
    except KeyboardInterrupt:
        end_by(signal.SIGINT)
        raise


def _print(text: str) -> int:
    """Answer at once; the exit code."""
    sys.stdout.write(text)
    sys.stdout.flush()
    return OK


def end_by(number: int) -> None:
    """End the process by a signal as if nobody had caught it, so that who waits for it sees that."""
    logging.shutdown()
    sys.stdout.flush()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _set_up(log: general_options.Log) -> None:
    try:
        telemetry.set_up_sinks(log.sinks)
    except OSError as error:
        raise Misconfigured(f"cannot write the log: {error.strerror}: {error.filename}") from None
    for notice in log.notices:
        logging.getLogger(__name__).warning(notice)


def _dictionaries(environment: Mapping[str, str]) -> list[Path]:
    """The files that DCMTK's programs read their data dictionary from."""
    return [Path(name) for name in environment.get("DCMDICTPATH", "").split(os.pathsep) if name]


def _say_arguments(program: Program, given: CommandLine) -> None:
    """As DCMTK, whatever the level of the log."""
    words = " ".join(f"'{word}'" for word in given.arguments)
    text = f"calling '{program.name}' with {len(given.arguments)} arguments: {words}"
    for handler in logging.getLogger().handlers:
        handler.handle(
            logging.makeLogRecord({"name": __name__, "level": logging.INFO, "levelname": "INFO", "msg": text})
        )


def _version(program: Program) -> str:
    from ssl import OPENSSL_VERSION  # slow to import

    libraries = (
        f"- Python, Version {platform.python_version()}",
        f"- ZLIB, Version {zlib.ZLIB_RUNTIME_VERSION}",
        f"- {OPENSSL_VERSION}",
    )
    lines = (program.header, f"Host type: {platform.platform()}", "", "External libraries used:", *libraries)
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Face:
    """A program of DCMTK's as a command of `archive`."""

    program: Program
    work: Work
    answers: Answers | None = None
    style: str = "text"
    """Of the log, one of telemetry's."""

    def run(self, arguments: Sequence[str]) -> int:
        """Run it; the exit code."""
        return run(self.program, arguments, self.work, self.answers, style=self.style)
