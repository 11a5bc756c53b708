"""DCMTK's option grammar, for all faces: a program is a table of options in groups; pure but for reading `@files`.

An argument that begins with `-` or `+` and goes on with anything but a digit is an option, and must be one to the
letter: nothing is abbreviated, joined or separated by `=`. An option takes its values as they come, `-` in front or
not. Of options that exclude each other the right-most counts. `@file` stands for the arguments in a file.
argparse cannot do this (docs/decisions/0015).
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from archive.errors import Misconfigured

Word = TypeVar("Word", bound=str)

LONG_COLUMNS, SHORT_COLUMNS, PARAMETER_COLUMNS = 22, 4, 30
_SPACE = 2  # between two columns
_MAX_INT = (1 << 31) - 1

# As C reads them: %li takes octal and hexadecimal numbers, %lu does not. What follows the number DCMTK leaves unread;
# here it is an error, as 10m is not ten seconds.
_SIGNED = re.compile(r"\s*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)", re.ASCII)
_UNSIGNED = re.compile(r"\s*([+-]?)([0-9]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Option:
    """An option: its names, how many values it takes, and its help; `\\n` begins another line of help."""

    long: str
    short: str = ""
    help: str = ""
    values: int = 0
    value_help: str = ""
    is_exclusive: bool = False
    """Answered at once, whatever else there is: `--help`."""


@dataclass(frozen=True, slots=True)
class Group:
    """Options under a heading; a part of the group before it if `is_part`."""

    heading: str
    options: tuple[Option, ...] = ()
    is_part: bool = False
    columns: tuple[int, int] | None = None
    """Width of the short and of the long names; wider ones widen it."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """An argument that is no option: a number from `low` to `high` if these are given."""

    name: str
    help: str = ""
    is_optional: bool = False
    is_repeatable: bool = False
    low: int | None = None
    high: int | None = None

    @property
    def usage(self) -> str:
        """As it stands in the line of usage."""
        name = self.name + ("..." if self.is_repeatable else "")
        return f"[{name}]" if self.is_optional else name


@dataclass(frozen=True, slots=True)
class CommandLine:
    """Arguments, understood: the options in the order given, by their long names, and the parameters."""

    arguments: tuple[str, ...]
    """All of them, `@files` expanded, options by their long names."""
    options: tuple[tuple[str, tuple[str, ...]], ...]
    parameters: tuple[str, ...]

    def has(self, option: str) -> bool:
        """Whether `option` is given."""
        return any(name == option for name, _ in self.options)

    def last(self, *options: str) -> str | None:
        """The right-most of options that exclude each other; None if none is given."""
        return next((name for name, _ in reversed(self.options) if name in options), None)

    def values(self, option: str) -> tuple[str, ...]:
        """The values of the right-most `option`; empty if it is not given."""
        return next((values for name, values in reversed(self.options) if name == option), ())

    def value(self, option: str) -> str | None:
        """The value of the right-most `option`; None if it is not given."""
        return next(iter(self.values(option)), None)

    def each(self, option: str) -> tuple[str, ...]:
        """The first value of every `option`, in the order given; for one that adds to what was said before."""
        return tuple(values[0] for name, values in self.options if name == option)

    def signed(self, option: str, low: int, high: int = _MAX_INT) -> int | None:
        """The value of `option` as a signed number; None if it is not given. Raises Misconfigured."""
        return next(self._numbers(option, _SIGNED, 0, low, high), None)

    def unsigned(self, option: str, low: int, high: int = _MAX_INT) -> int | None:
        """The value of `option` as an unsigned number; None if it is not given. Raises Misconfigured."""
        return next(self._numbers(option, _UNSIGNED, 10, low, high), None)

    def all_unsigned(self, option: str, low: int, high: int = _MAX_INT) -> tuple[int, ...]:
        """All values of `option` as unsigned numbers; empty if it is not given. Raises Misconfigured."""
        return tuple(self._numbers(option, _UNSIGNED, 10, low, high))

    def choice(self, option: str, words: Sequence[Word]) -> Word | None:
        """The value of `option`, one of `words`; None if it is not given. Raises Misconfigured."""
        text = self.value(option)
        if text is None or text in words:
            return next((word for word in words if word == text), None)
        raise Misconfigured(f"Invalid value for option {option} ({text}), expected {' or '.join(words)}")

    def _numbers(self, option: str, pattern: re.Pattern[str], base: int, low: int, high: int) -> Iterator[int]:
        for text in self.values(option):
            found = pattern.fullmatch(text)
            if found is None or (pattern is _UNSIGNED and found[1] == "-"):
                raise Misconfigured(f"Invalid value for option {option}" + (f" ({text})" if text else ""))
            number = _number(found[1], found[2], base)
            if not low <= number <= high:
                reason = "underflow" if number < low else "overflow"
                raise Misconfigured(f"Invalid value for option {option} ({reason}: {text})")
            yield number

    def refuse_together(self, option: str, other: str, condition: bool) -> None:
        """Raise Misconfigured if `condition` says that both are in force."""
        if condition:
            raise Misconfigured(f"{option} not allowed with {other}")

    def require(self, option: str, base: str, condition: bool) -> None:
        """Raise Misconfigured unless `condition` says that `base` is in force, too."""
        if not condition:
            raise Misconfigured(f"{option} only allowed with {base}")


def _number(sign: str, digits: str, base: int) -> int:
    if len(digits) > 20:  # more than any of them; Python takes its time over thousands of digits
        number = 1 << 64
    elif base == 0 and re.fullmatch("0[0-7]+", digits):
        number = int(digits, 8)
    else:
        number = int(digits, base)
    return -number if sign == "-" else number


@dataclass(frozen=True, slots=True)
class Program:
    """A face: what it is called, what it says it is, and what it takes."""

    name: str
    description: str
    version: str
    parameters: tuple[Parameter, ...]
    groups: tuple[Group, ...]

    @property
    def options(self) -> dict[str, Option]:
        """Every option by each of its names."""
        options = [option for group in self.groups for option in group.options]
        return {name: option for option in options for name in (option.long, option.short) if name}

    @property
    def needs_parameters(self) -> bool:
        """Whether nothing can be done without any; who types the name alone then asks for help."""
        return any(not each.is_optional for each in self.parameters)

    @property
    def header(self) -> str:
        """What stands above help, version and errors."""
        return f"$archive: {self.name} v{self.version} $\n\n{self.name}: {self.description}\n"

    # Arguments into a CommandLine.

    def parse(self, arguments: Iterable[str]) -> CommandLine:
        """Understand `arguments`; raises Misconfigured with DCMTK's words.

        With an exclusive option nothing else is asked for: parameters may then be missing.
        """
        options = self.options
        given: list[tuple[str, tuple[str, ...]]] = []
        parameters: list[str] = []
        written: list[str] = []
        words = [word for argument in arguments for word in expanded(argument)]
        at = 0
        while at < len(words):
            word = words[at]
            at += 1
            if not _is_option(word):
                parameters.append(word)
                written.append(word)
                continue
            option = options.get(word)
            if option is None:
                raise Misconfigured(f"Unknown option {word}")
            if len(words) - at < option.values:
                raise Misconfigured(f"Missing value for option {option.long}")
            values = tuple(words[at : at + option.values])
            at += option.values
            given.append((option.long, values))
            written += (option.long, *values)
        if not any(options[name].is_exclusive for name, _ in given):
            self._check_parameters(parameters)
        return CommandLine(tuple(written), tuple(given), tuple(parameters))

    def _check_parameters(self, values: Sequence[str]) -> None:
        required = [each.name for each in self.parameters if not each.is_optional]
        if len(values) < len(required):
            raise Misconfigured(f"Missing parameter {required[len(values)]}")
        if len(values) > len(self.parameters) and not any(each.is_repeatable for each in self.parameters):
            raise Misconfigured("Too many parameters")
        for parameter, text in zip(self.parameters, values, strict=False):
            if parameter.low is None or parameter.high is None:
                continue
            found = _UNSIGNED.fullmatch(text)
            if found is None:
                raise Misconfigured(f"Invalid parameter value {text}")
            number = _number(found[1], found[2], 10)
            if number < 0 or number > parameter.high:  # C takes a negative number for a very large one
                raise Misconfigured(f"Invalid parameter value {text} (overflow)")
            if number < parameter.low:
                raise Misconfigured(f"Invalid parameter value {text} (underflow)")

    # Help, in DCMTK's layout.

    @property
    def help(self) -> str:
        """What `--help` prints."""
        usage = " ".join((self.name, "[options]", *(each.usage for each in self.parameters)))
        parts = [f"{self.header}usage: {usage}", self._parameter_help(), "\n".join(self._option_help())]
        return "\n\n".join(part for part in parts if part) + "\n\n"

    def _parameter_help(self) -> str:
        described = [each for each in self.parameters if each.help]
        width = max((PARAMETER_COLUMNS, *(len(each.name) for each in described)))
        margin = "\n" + " " * (_SPACE + width + _SPACE)
        rows = [f"  {each.name:{width}}  {each.help.replace(chr(10), margin)}" for each in described]
        return "\n".join(("parameters:", *rows)) if rows else ""

    def _option_help(self) -> Iterator[str]:
        for group in self.groups:
            yield ("  " if group.is_part else "") + group.heading
            short, long = group.columns or (SHORT_COLUMNS, LONG_COLUMNS)
            short = max((short, *(len(option.short) for option in group.options)))
            long = max((long, *(len(option.long) for option in group.options)))
            indent = " " * (4 if group.is_part else 2)
            margin = " " * (len(indent) + short + _SPACE + long + _SPACE)
            for option in group.options:
                names = f"{indent}{option.short:{short}}  {option.long:{long}}  "
                lines = [*([option.value_help] if option.value_help else []), *option.help.split("\n")]
                yield names + f"\n{margin}".join(lines)


def _is_option(word: str) -> bool:
    return len(word) > 1 and word[0] in "-+" and not "0" <= word[1] <= "9"


def expanded(argument: str) -> list[str]:
    """The arguments that `argument` stands for: itself, or those in a file if it is `@file`.

    They are separated by spaces, tabs and line ends; `"..."` and `'...'` hold one together, empty ones too, and a
    closing quote ends it. There are no comments, and no `@file` in a file. Raises Misconfigured if it cannot be read.
    """
    if len(argument) < 2 or argument[0] != "@":
        return [argument]
    name = argument[1:]
    try:
        text = os.fsdecode(Path(name).read_bytes())
    except (OSError, ValueError):  # ValueError: a NUL in the name
        raise Misconfigured(f"Cannot open command file '{name}'") from None
    words: list[str] = []
    word, quote = "", ""
    for character in text:
        if character == quote:
            words.append(word)
            word = quote = ""
        elif not quote and character in "\"'":
            quote = character
        elif quote or character not in " \t\r\n":
            word += character
        elif word:
            words.append(word)
            word = ""
    return [*words, *([word] if word else [])]
