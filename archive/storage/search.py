"""Find the files below folders that somebody names to be sent, as DCMTK's programs do; but in the order of names.

A link is followed, and a folder is entered once however many links lead to it, so that a search ends.
"""

import os
import re
from collections.abc import Iterator
from fnmatch import translate

from archive.storage.sources import Found

_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_NOT_IN_SET = re.compile(r"\[\^")


def files_below(folder: str, *, pattern: str | None = None, recurses: bool = False) -> Iterator[Found]:
    """The files in a folder whose names match `pattern`, and all below it if it `recurses`; also what is no file.

    Sizes are not looked at.
    """
    matches = re.compile(_as_python(pattern)).match if pattern is not None else None
    entered: set[tuple[int, int]] = set()
    folders = [folder]
    while folders:
        path = folders.pop()
        try:
            entries = _entries(path, entered)
        except OSError as error:
            yield Found(path, unreadable_because=str(error.strerror))
            continue
        below: list[str] = []
        for entry in entries:
            try:
                if entry.is_dir():
                    below.append(entry.path)
                elif matches is None or matches(entry.name):
                    yield _found(entry)
            except OSError as error:
                yield Found(entry.path, skipped_because=str(error.strerror))
        if recurses:
            folders += reversed(below)


def _entries(folder: str, entered: set[tuple[int, int]]) -> list[os.DirEntry[str]]:
    status = os.stat(folder)  # noqa: PTH116 - paths are plain text here
    identity = status.st_dev, status.st_ino
    if identity in entered:
        return []
    entered.add(identity)
    with os.scandir(folder) as found:
        return sorted(found, key=lambda entry: entry.name)


def _found(entry: os.DirEntry[str]) -> Found:
    if entry.is_file():
        return Found(entry.path)
    reason = "link that leads nowhere" if entry.is_symlink() else "what is no regular file"
    return Found(entry.path, skipped_because=reason)


def _as_python(pattern: str) -> str:
    """A pattern of fnmatch(3) as a regular expression: a backslash takes the meaning from what follows it."""
    escaped = _ESCAPED.sub(lambda found: f"[{found[1]}]" if found[1] in "*?[" else found[1], pattern)
    return translate(_NOT_IN_SET.sub("[!", escaped))
