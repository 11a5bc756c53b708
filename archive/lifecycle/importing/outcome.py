"""What became of a file that was to be taken in."""

from dataclasses import dataclass
from enum import Enum

from archive.errors import ArchiveError


class Fate(Enum):
    """What became of a file."""

    STORED = "stored"
    HELD = "held"
    """The area holds the instance already."""
    SKIPPED = "skipped"
    """It need not be an instance, or is not to be touched."""
    BAD = "bad"
    """It cannot be taken in."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file, or of something else that was found."""

    path: str
    fate: Fate
    size_bytes: int = 0
    reason: str = ""


def sentence(error: ArchiveError) -> str:
    """Why a file cannot be taken in, as an outcome tells it."""
    reason = error.values.get("reason")
    return f"{error.message}: {reason}" if reason else error.message
