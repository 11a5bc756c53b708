"""Attributes that DCMTK's dictionary files name beside the standard's: their names and VRs.

A line is `(gggg,eeee)<TAB>VR<TAB>Name<TAB>VM<TAB>Version`; `(gggg,"CREATOR",ee)` is a private attribute. Group and
element may be ranges, of even numbers (`6000-60FF`), of odd (`-o-`) or of all (`-u-`). `#` begins a comment. Of an
attribute that is there twice the later line counts, as with DCMTK; what the standard says of its own attributes stays.

A command names the files once, at its start, by `use`; they are read when something is asked that the standard does
not know, for most commands never: the 8000 lines of DCMTK's own take 0.1 s.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from archive.dicom.elements import LONG_VRS, SHORT_VRS

# DCMTK's own has half a million; a file of another kind is not to fill the memory.
MAX_FILE_BYTES = 16 << 20

_NUMBERS = r"([0-9A-Fa-f]{1,4})(?:-(?:([oOuU])-)?([0-9A-Fa-f]{1,4}))?"
_TAG = re.compile(rf'\(\s*{_NUMBERS}\s*,\s*(?:"([^"]*)"\s*,\s*)?{_NUMBERS}\s*\)')
# What DCMTK calls VRs that the dictionary leaves open, or that are none.
_VRS = {"ox": "OB or OW", "xs": "US or SS", "lt": "US or OW", "px": "OB or OW", "up": "UL", "na": "UN"}
_KNOWN_VRS = SHORT_VRS | LONG_VRS | set(_VRS.values())
_STEPS = {"": 2, "o": 2, "u": 1}


class Entry(NamedTuple):
    """An attribute: its name, and its VR, which may be a choice as "US or SS"."""

    name: str
    vr: str


class _Numbers(NamedTuple):
    """Groups or elements: one of them, or those of a range."""

    first: int
    last: int
    step: int

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and number in range(self.first, self.last + 1, self.step)


@dataclass(slots=True)
class Dictionary:
    """What files name."""

    by_tag: dict[int, Entry] = field(default_factory=dict)
    by_creator: dict[tuple[str, int, int], Entry] = field(default_factory=dict)
    """By creator, group and element; the element without the block that the creator has reserved."""
    by_range: list[tuple[str, _Numbers, _Numbers, Entry]] = field(default_factory=list)
    """With an empty creator where none is said."""
    tags: dict[str, int] = field(default_factory=dict)
    """By name, those that say the whole tag."""

    def take(self, text: str) -> Iterator[int]:
        """Add what a file says; yields the numbers of lines that are not understood, from 1."""
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip() and not line.lstrip().startswith("#") and not self._take_line(line):
                yield number

    def _take_line(self, line: str) -> bool:
        tag, vr, name, *_ = [*(each.strip() for each in line.split("\t")), "", ""]
        found = _TAG.fullmatch(tag)
        vr = _VRS.get(vr, vr)
        if found is None or not name or vr not in _KNOWN_VRS:
            return False
        entry, creator = Entry(name, vr), found[4] or ""
        groups, elements = _numbers(found[1], found[2], found[3]), _numbers(found[5], found[6], found[7])
        if groups.first != groups.last or elements.first != elements.last:
            self.by_range.append((creator, groups, elements, entry))
        elif found[4] is not None:
            self.by_creator[creator, groups.first, elements.first] = entry
        else:
            whole = groups.first << 16 | elements.first
            self.by_tag[whole] = entry
            self.tags[name] = whole
        return True

    def entry(self, tag: int, creator: str = "") -> Entry | None:
        """The attribute with a tag; a private one that has a `creator` is looked for under that first."""
        group, number = tag >> 16, tag & 0xFFFF
        if creator and group & 1:
            for element in (number & 0xFF, number):
                found = self.by_creator.get((creator, group, element)) or self._in_range(creator, group, element)
                if found is not None:
                    return found
        return self.by_tag.get(tag) or self._in_range("", group, number)

    def _in_range(self, creator: str, group: int, element: int) -> Entry | None:
        ranges = reversed(self.by_range)
        return next((entry for who, *among, entry in ranges if who == creator and _is_in(among, group, element)), None)


def _is_in(among: Sequence[_Numbers], group: int, element: int) -> bool:
    groups, elements = among
    return group in groups and element in elements


def _numbers(first: str, kind: str | None, last: str | None) -> _Numbers:
    begin = int(first, 16)
    return _Numbers(begin, int(last, 16) if last else begin, _STEPS[(kind or "").lower()])


# What a command uses

Say = Callable[[str], None]


@dataclass(slots=True)
class _Used:
    """Files that are named, who is told of them, and what they say once they were read."""

    files: tuple[Path, ...]
    say: Say
    read: Dictionary | None = None


_used = _Used((), print)


def use(files: Sequence[Path], say: Say) -> None:
    """Look into these files for what the standard does not know; `say` is told of each that cannot be read.

    To be called before anything is asked: answers are remembered.
    """
    missing = [file for file in files if not file.is_file()]
    for file in missing:
        say(f"data dictionary {file} is not there; DCMDICTPATH names files, with colons between them")
    _used.files, _used.say, _used.read = tuple(each for each in files if each not in missing), say, None


def entry(tag: int, creator: str = "") -> Entry | None:
    """What the files that are in use say of a tag; None if nothing."""
    return _dictionary().entry(tag, creator) if _used.files else None


def tag_of(name: str) -> int | None:
    """The tag that the files in use give a name to; None if none does."""
    return _dictionary().tags.get(name) if _used.files else None


def _dictionary() -> Dictionary:
    if _used.read is None:
        _used.read = Dictionary()
        for file in _used.files:
            try:
                text = _content(file)
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) else error
                _used.say(f"cannot read data dictionary {file}: {reason}")
                continue
            lines = list(_used.read.take(text))
            if lines:
                shown = ", ".join(map(str, lines[:5])) + (", ..." if len(lines) > 5 else "")
                _used.say(f"data dictionary {file}: {len(lines)} lines are not understood ({shown})")
    return _used.read


def _content(file: Path) -> str:
    """What a file says; raises OSError, or ValueError where that is too much for a dictionary."""
    with file.open("rb") as opened:
        content = opened.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"it has more than {MAX_FILE_BYTES >> 20} MiB")
    return content.decode("utf-8", errors="replace")
