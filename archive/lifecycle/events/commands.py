"""Commands that are run at events: a line with placeholders, as an administrator wrote it, made into arguments.

Pure. A line is read by the quoting rules of a shell (POSIX.1 XCU 2.2), and that is all of a shell that it needs: each
value becomes part of one argument, whatever is in it. Where the administrator asks for a shell, the line stays as it
is, and values are quoted as the place asks for at which they stand. Where that takes more than quotes to know, no value
may stand.

What a peer chose is never given as it came: it has no other characters than DCMTK's storescp (3.6.8 and later) gives to
commands, and no `-` at its beginning, where it could be an option.
"""

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from archive.errors import Misconfigured
from archive.storage.file_names import sanitised

SHELL = "/bin/sh"

Values = Mapping[str, str]
"""By placeholder, such as `#p`. A placeholder without a value stays what it is."""

_PLACEHOLDER = re.compile("#[pfacr]")
_TOKEN = re.compile(
    r"""(?P<space>[ \t\n]+) | '(?P<single>[^']*)' | "(?P<double>(?:[^"\\]|\\.)*)" | \\(?P<escaped>.)
    | (?P<bare>[^ \t\n'"\\]+)""",
    re.DOTALL | re.VERBOSE,
)

# What means something else to a shell than itself: bare, at the beginning of a word, and between double quotes.
_OPERATORS = re.compile(r"[|&;<>()$`*?\[]")
_BEGINNINGS = re.compile(r"~|[A-Za-z_][A-Za-z0-9_]*=")
_EXPANSIONS = re.compile(r"(?<!\\)(?:\\\\)*([$`])")
_ESCAPED_BETWEEN_QUOTES = re.compile(r"\\([$`\"\\])|\\\n")

# In it, and behind it, only a whole parser of a shell knows which quotes are which: a substitution between double
# quotes, and a here-document.
_UNSURE = {"double": re.compile(r"(?<!\\)(?:\\\\)*(\$\(|`)"), "bare": re.compile("(<<)")}

# Where a program may come from: nobody who sends may choose it.
_NOT_IN_PROGRAMS = frozenset({"#f", "#a", "#c", "#r"})


def of_peer(text: str) -> str:
    """What a peer calls itself, as it is given to commands."""
    kept = sanitised(text)
    return f"_{kept[1:]}" if kept.startswith("-") else kept


class EventCommand(Protocol):
    """A command with placeholders."""

    @property
    def placeholders(self) -> frozenset[str]:
        """Those that are in it."""
        ...

    def arguments(self, values: Values) -> tuple[str, ...]:
        """The program and its arguments, with these values."""
        ...


def parse(line: str, *, uses_shell: bool) -> EventCommand:
    """The command of a line; raises Misconfigured for one that means something else than it says."""
    if not line.strip():
        raise Misconfigured("it is empty")
    if "\0" in line:
        raise Misconfigured("it holds a NUL, which no argument of a program can hold; leave it out")
    return ShellCommand.parse(line) if uses_shell else ProgramCommand.parse(line)


@dataclass(frozen=True, slots=True)
class ProgramCommand:
    """A program that is run without a shell."""

    words: tuple[tuple[str, ...], ...]
    """Each of pieces that stood side by side; quotes are gone."""

    @classmethod
    def parse(cls, line: str) -> "ProgramCommand":
        """The words of a line; raises Misconfigured for what only a shell could do."""
        words: list[list[str]] = [[]]
        for kind, text in _tokens(line.strip()):
            if kind == "space":
                _leave_to_shells("\n" if "\n" in text else "")
                words.append([])
                continue
            if kind == "bare":
                _leave_to_shells(_only_for_shells(text, begins_word=not words[-1], is_first=len(words) == 1))
            if kind == "double":
                found = _EXPANSIONS.search(text)
                _leave_to_shells(found[1] if found else "")
                text = _ESCAPED_BETWEEN_QUOTES.sub(r"\1", text)
            if (kind, text) != ("escaped", "\n"):  # a line that goes on
                words[-1].append(text)
        if chosen := _NOT_IN_PROGRAMS.intersection(_placeholders("".join(words[0]))):
            raise Misconfigured(f"who sends would choose the program by {min(chosen)}")
        return cls(tuple(tuple(word) for word in words if word))

    @property
    def placeholders(self) -> frozenset[str]:
        """Those that are in it."""
        return frozenset(found for word in self.words for piece in word for found in _placeholders(piece))

    def arguments(self, values: Values) -> tuple[str, ...]:
        """Each word with its values, which are not looked at again."""
        return tuple("".join(_filled(piece, values) for piece in word) for word in self.words)


@dataclass(frozen=True, slots=True)
class ShellCommand:
    """A line that a shell runs."""

    tokens: tuple[tuple[str, str], ...]
    """Kinds, and what is in them."""

    @classmethod
    def parse(cls, line: str) -> "ShellCommand":
        """The line, whatever a shell makes of it; raises Misconfigured where a quote is open, or unsure for a value."""
        tokens = tuple(_tokens(line))
        _refuse_unsure_values(tokens)
        return cls(tokens)

    @property
    def placeholders(self) -> frozenset[str]:
        """Those that are in it."""
        return frozenset(found for _, text in self.tokens for found in _placeholders(text))

    def arguments(self, values: Values) -> tuple[str, ...]:
        """The shell with the line; values are one word, or part of one, at every place."""
        return (SHELL, "-c", "".join(_quoted(kind, text, values) for kind, text in self.tokens))


def _tokens(line: str) -> Iterator[tuple[str, str]]:
    """Kind and content of each piece, without its quotes."""
    end = 0
    while end < len(line):
        found = _TOKEN.match(line, end)
        if found is None or found.lastgroup is None:
            raise Misconfigured(f"a quote is open: {line[end:]}")
        yield found.lastgroup, found[found.lastgroup]
        end = found.end()


def _only_for_shells(text: str, *, begins_word: bool, is_first: bool) -> str:
    """What of a bare piece a shell would not take as it is; empty for nothing."""
    if found := _OPERATORS.search(text):
        return found[0]
    found = _BEGINNINGS.match(text) if begins_word else None
    return found[0] if found and (is_first or found[0] == "~") else ""


def _leave_to_shells(found: str) -> None:
    if found:
        shown = "a second line" if found == "\n" else found
        raise Misconfigured(f"{shown} means something to a shell only; put it in quotes, or add --exec-shell")


def _placeholders(text: str) -> list[str]:
    return _PLACEHOLDER.findall(text)


def _filled(text: str, values: Values, quote: Callable[[str], str] = str) -> str:
    """Every placeholder of the text, and none of a value."""
    return _PLACEHOLDER.sub(lambda found: quote(values[found[0]]) if found[0] in values else found[0], text)


def _refuse_unsure_values(tokens: Sequence[tuple[str, str]]) -> None:
    sign = ""
    for kind, text in tokens:
        if not sign and kind in _UNSURE and (found := _UNSURE[kind].search(text)):
            sign, text = found[1], text[found.end() :]
        if sign and (behind := _placeholders(text)):
            name = behind[0][1]
            where = "<<" if sign == "<<" else f"{sign} between double quotes"
            raise Misconfigured(
                f"#{name} stands behind {where}, where it cannot be quoted safely; put it into a variable first: "
                f'{name}=#{name}; ... "${name}"'
            )


def _quoted(kind: str, text: str, values: Values) -> str:
    match kind:
        case "single":
            return "'" + _filled(text, values, lambda value: value.replace("'", "'\\''")) + "'"
        case "double":
            return '"' + _filled(text, values, lambda value: re.sub(r"([$`\"\\])", r"\\\1", value)) + '"'
        case "escaped":
            return f"\\{text}"
        case _:
            return _filled(text, values, shlex.quote)
