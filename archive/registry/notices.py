"""What to tell an administrator about a file that was read: nothing that stops, all that may surprise."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about one line of a file; line 0 is the file as a whole."""

    line: int
    text: str
