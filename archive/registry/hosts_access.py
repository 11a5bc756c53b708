"""hosts.allow and hosts.deny as TCP wrappers read them (hosts_access(5)), made into network rules; pure.

hosts.allow is asked first, and the first line that speaks of daemon and client decides; so is hosts.deny then; whom
none speaks of is let in. That is the order of network rules. What does more than decide (a shell command, an option)
and what we cannot ask (netgroups, users, files of patterns) is refused with its line.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from archive.errors import Misconfigured
from archive.registry import networks
from archive.registry.networks import ALL, EXCEPT, Clients

# Options of hosts_options(5) that decide instead of the file.
_DECIDES = {"allow": True, "deny": False}

_WORDS = re.compile(r"[\s,]+")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file that speaks of the daemon, as a network rule."""

    number: int
    accepts: bool
    clients: Clients


@dataclass(frozen=True, slots=True)
class Problem:
    """A line that we cannot make a rule of, and why."""

    number: int
    reason: str


def parse(text: str, daemon: str, *, accepts: bool) -> tuple[list[Line], list[Problem]]:
    """The lines of a file that speak of `daemon`; `accepts` is true of hosts.allow and false of hosts.deny."""
    lines: list[Line] = []
    problems: list[Problem] = []
    for number, content in _logical_lines(text):
        try:
            fields = [field.strip() for field in _fields(content)]
            if len(fields) < 2:
                raise Misconfigured("A line has daemons and clients, separated by ':'")
            if _speaks_of_daemon(_words(fields[0]), daemon):
                clients = networks.parse_words(_words(fields[1]))
                lines.append(Line(number, _verdict(fields[2:], accepts), clients))
        except Misconfigured as error:
            pattern = error.values.get("pattern") or error.values.get("host")
            problems.append(Problem(number, f"{error.message}{f': {pattern}' if pattern else ''}"))
    return lines, problems


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines joined where one ends with a backslash, each with the number of its first; comments and blanks left out."""
    joined, began = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        began = began or number
        if line.endswith("\\"):
            joined += line[:-1]
            continue
        joined += line
        if joined.strip() and not joined.startswith("#"):
            yield began, joined
        joined, began = "", 0
    if joined.strip() and not joined.startswith("#"):
        yield began, joined


def _fields(line: str) -> Iterator[str]:
    """Cut at colons, but for those in the brackets of an IPv6 address and those behind a backslash."""
    field, in_brackets, is_escaped = "", False, False
    for character in line:
        if character == ":" and not in_brackets and not is_escaped:
            yield field
            field = ""
        else:
            field += character
        in_brackets = (in_brackets or character == "[") and character != "]"
        is_escaped = character == "\\" and not is_escaped
    yield field


def _words(field: str) -> list[str]:
    return [word for word in _WORDS.split(field) if word]


def _speaks_of_daemon(words: list[str], daemon: str) -> bool:
    """Whether the daemon is in a list, in which EXCEPT binds to the right."""
    excepts = [index for index, word in enumerate(words) if word.upper() == EXCEPT]
    listed, excepted = (words, []) if not excepts else (words[: excepts[0]], words[excepts[0] + 1 :])
    if any(word.lower().startswith((f"{daemon.lower()}@", f"{ALL.lower()}@")) for word in words):
        raise Misconfigured("A daemon at an address of ours (daemon@host) is nothing we know; name the daemon alone")
    is_listed = any(word.upper() == ALL or word.lower() == daemon.lower() for word in listed)
    return is_listed and not (excepted and _speaks_of_daemon(excepted, daemon))


def _verdict(options: list[str], accepts: bool) -> bool:
    """What the line decides; raises Misconfigured for everything that is done beside."""
    for option in options:
        if option.lower() not in _DECIDES:
            raise Misconfigured(f"Nothing is run or set when a client connects; take ': {option}' out of the line")
        accepts = _DECIDES[option.lower()]
    return accepts
