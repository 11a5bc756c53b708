"""The log: where it goes, how a line looks, and which fields it may carry.

Lines go to standard error, or to a file that is opened anew when something rotates it away (several processes write
to it, so none of them rotates). `json` writes one object a line for machines; `brief` is how DCMTK's programs speak to
who sits before them. A record may bring more lines, by `extra={"below": lines}`.
"""

import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

# Fields a line may carry beside its message, by `extra=`; in this order.
FIELDS = (
    "association",  # number of the association in its worker
    "calling",  # calling AE title
    "called",  # called AE title
    "peer",  # address of the other side
    "host",  # its name, where names are looked up
    "user",  # whom the other side proved to be
    "operation",  # C-STORE, C-FIND, ...
    "status",  # DIMSE status, four hexadecimal digits
    "sop_instance_uid",
    "count",  # answers, sub-operations
    "size_bytes",
    "seconds",
    "reason",  # of a refusal, where the peer was told less
)

LEVELS = ("debug", "info", "warning", "error", "critical")
FORMATS = ("text", "json")


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name in FIELDS if (value := getattr(record, name, None)) is not None}


def _below(record: logging.LogRecord) -> Sequence[str]:
    """The lines that a record brings beside its message."""
    return getattr(record, "below", ())


# A peer's text may reach a line; none of it may look like another line, or speak to a terminal.
_VISIBLE = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
# Lines and paragraphs end with these, and text runs the other way.
_VISIBLE |= {code: f"\\u{code:04x}" for code in (*range(0x2028, 0x202F), *range(0x2066, 0x206A))}


class _Text(logging.Formatter):
    converter = time.gmtime

    def formatMessage(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{name}={value}" for name, value in _fields(record).items())
        line = super().formatMessage(record)
        lines = (f"{line} {fields}" if fields else line, *_below(record))
        return "\n".join(each.translate(_VISIBLE) for each in lines)


class _Brief(logging.Formatter):
    """A letter for the level and the message, as DCMTK's programs print it."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        letter = "F" if record.levelname == "CRITICAL" else record.levelname[0]
        return "\n".join(f"{letter}: {each}".translate(_VISIBLE) for each in (record.message, *_below(record)))


class _Json(logging.Formatter):
    converter = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": f"{self.formatTime(record, '%Y-%m-%dT%H:%M:%S')}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
            **_fields(record),
        }
        if below := _below(record):
            line["below"] = list(below)
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        import json

        return json.dumps(line, ensure_ascii=False, default=str)


@dataclass(frozen=True, slots=True)
class Sink:
    """Where lines go, from which level on."""

    level: str = "info"
    style: str = "text"
    file: Path | None = None
    """None is standard error."""
    is_appended: bool = True
    """Whether a file that is there stays."""


class _StandardError(logging.StreamHandler):
    """Writes to what standard error is at the moment: a progress bar takes its place to draw lines above itself."""

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, value: TextIO) -> None:
        """It is not to be told; the base class tries."""


def set_up(level: str = "info", style: str = "text", file: Path | None = None) -> None:
    """Send the log where it belongs; replaces what was set up before."""
    set_up_sinks((Sink(level, style, file),))


def set_up_sinks(sinks: Sequence[Sink]) -> None:
    """Send the log to several places; replaces what was set up before. Raises OSError for a file."""
    handlers = [_handler(sink) for sink in sinks]
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(min(handler.level for handler in handlers))
    logging.getLogger("pydicom").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def set_up_apart(name: str, sinks: Sequence[Sink]) -> None:
    """Send what one logger says to these sinks only, nowhere if there are none, whatever the others are told."""
    log = logging.getLogger(name)
    log.propagate = False
    log.handlers[:] = [_handler(sink) for sink in sinks]
    log.setLevel(min((handler.level for handler in log.handlers), default=logging.CRITICAL + 1))


def _handler(sink: Sink) -> logging.Handler:
    handler: logging.Handler
    if sink.file is None:
        handler = _StandardError()
    else:
        if not sink.is_appended:
            sink.file.write_bytes(b"")
        from logging.handlers import WatchedFileHandler  # commands that write no file start without it

        handler = WatchedFileHandler(sink.file)
    pattern = "%(asctime)s.%(msecs)03dZ %(levelname)-8s %(process)d %(message)s"
    formatters = {"json": _Json, "brief": _Brief}
    make = formatters.get(sink.style)
    handler.setFormatter(make() if make else _Text(pattern, datefmt="%Y-%m-%dT%H:%M:%S"))
    handler.setLevel(sink.level.upper())
    return handler
