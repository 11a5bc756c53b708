"""Run a face of a DCMTK program: its help, version and errors as DCMTK prints them, its log, its exit code."""

import logging
import os
import platform
import signal
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import click

from archive import telemetry
from archive.cli.dcmtk import general_options
from archive.cli.dcmtk.options import CommandLine, Program
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
    if not arguments and program.needs_parameters:
        sys.stdout.write(program.help)
        return OK
    try:
        given = program.parse(arguments)
        if given.has(general_options.HELP):
            sys.stdout.write(program.help)
            return OK
        if given.has(general_options.VERSION):
            sys.stdout.write(_version(program))
            return OK
        for option, answer in (answers or {}).items():
            if given.has(option):
                sys.stdout.write(f"{program.header}\n{answer()}")
                return OK
        log = general_options.log(given, program.name, style=style)
        is_quiet = log.is_quiet
        _set_up(log)
        if given.has(general_options.ARGUMENTS):
            _say_arguments(program, given)
        return work(given)
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


class Face(click.Command):
    """A face as a command of `archive`: click passes the arguments on as they are."""

    def __init__(self, program: Program, work: Work, answers: Answers | None = None, *, style: str = "text") -> None:
        super().__init__(program.name, help=program.description, add_help_option=False)
        self._program, self._work, self._answers, self._style = program, work, answers, style

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.args = list(args)
        return ctx.args

    def invoke(self, ctx: click.Context) -> int:
        return run(self._program, ctx.args, self._work, self._answers, style=self._style)
