"""What commands print: tables and sentences for people, aligned text for pipes, JSON for programs.

Rows are mappings of names to values as they are; a name that ends in `_bytes` is a size and is shown to people with a
unit. Rich draws on terminals, and is imported only there.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import click

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


class Outcome:
    """What a command did that changes something: sentences for people as it goes, one JSON document for programs.

    The document holds what the command tells, and in `changes` what it noted: action, subject, name, before, after.
    """

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.is_failure = False
        """Whether some of it could not be done, and the exit code says so; what was done is told, error or not."""
        self._told: dict[str, Any] = {}

    def say(self, sentence: str) -> None:
        """Say to people what was done."""
        if not self.as_json:
            click.echo(sentence)

    def hint(self, sentence: str) -> None:
        """Say to people, on standard error, what is odd or what to do next."""
        if not self.as_json:
            click.echo(sentence, err=True)

    def tell(self, **values: Any) -> None:
        """Put values into the document beside the changes."""
        self._told |= values

    def end(self, changes: Sequence[Mapping[str, Any]]) -> None:
        """Print the document, where one is wanted."""
        if self.as_json:
            facts(self._told | {"changes": changes}, as_json=True)


def table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], *, as_json: bool, if_empty: str = "") -> None:
    """Print rows; without any, say `if_empty` on standard error."""
    if as_json:
        listing([{name: row[name] for name in columns} for row in rows])
        return
    if not rows and if_empty:
        click.echo(if_empty, err=True)
        return
    headings = [heading(name).upper() for name in columns]
    cells = [[cell(name, row[name]) for name in columns] for row in rows]
    is_number = [bool(rows) and all(_is_number(row[name]) for row in rows) for name in columns]
    if sys.stdout.isatty():
        _rich_table(headings, cells, is_number)
        return
    for line in _aligned([headings, *cells], is_number):
        click.echo(line)


def facts(values: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one thing: a line for each of its facts."""
    if as_json:
        click.echo(json.dumps(json_value(values), ensure_ascii=False, indent=2))
        return
    labels = {name: name.removesuffix("_bytes").replace("_", " ") for name in values}
    width = max(map(len, labels.values()))
    for name, value in values.items():
        click.echo(f"{labels[name]:<{width}}  {cell(name, value)}")


def listing(values: Sequence[Mapping[str, Any]]) -> None:
    """Print things as a JSON array."""
    click.echo(json.dumps(json_value(list(values)), ensure_ascii=False, indent=2))


def heading(name: str) -> str:
    """What a person reads above a column."""
    return name.removesuffix("_bytes").replace("_", " ")


def size(size_bytes: int) -> str:
    """A size for people: three digits and a unit of powers of ten."""
    amount, unit = float(size_bytes), 0
    while amount >= 999.5 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.3g} {_UNITS[unit]}"


def moment(value: datetime) -> str:
    """A moment for people."""
    return f"{value:%Y-%m-%d %H:%M:%S} UTC"


def line(text: str) -> str:
    """Text on one line and without control characters."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def counted(number: int, noun: str) -> str:
    """A number with its noun: 1 study, 2 studies, 3 series."""
    if number == 1 or noun.endswith("s"):
        return f"{number:,} {noun}"
    return f"{number:,} {noun[:-1]}ies" if noun.endswith("y") else f"{number:,} {noun}s"


def _aligned(lines: Sequence[Sequence[str]], is_number: Sequence[bool]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, is_number, strict=True)
        ).rstrip()
        for line in lines
    ]


def _rich_table(headings: Sequence[str], cells: Sequence[Sequence[str]], is_number: Sequence[bool]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading, right in zip(headings, is_number, strict=True):
        drawn.add_column(heading, justify="right" if right else "left", overflow="fold")
    for row in cells:
        drawn.add_row(*map(Text, row))  # Text: what looks like markup in a name is none
    Console().print(drawn)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def cell(name: str, value: object) -> str:
    """A value for people, on one line and without control characters: some of it came from peers."""
    match value:
        case None | "" | [] | ():
            text = "-"
        case bool():
            text = "yes" if value else "no"
        case int() if name.endswith("_bytes"):
            text = size(value)
        case float():
            text = f"{value:.3f}".rstrip("0").rstrip(".")
        case datetime():
            text = moment(value)
        case list() | tuple():
            text = ",".join(map(str, value))
        case _:
            text = str(value)
    return line(text)


def json_value(value: Any) -> Any:
    """A value as JSON has it: moments in UTC to the second."""
    match value:
        case datetime():
            return f"{value:%Y-%m-%dT%H:%M:%SZ}"
        case date():
            return value.isoformat()
        case list() | tuple():
            return [json_value(each) for each in value]
        case Mapping():
            return {name: json_value(each) for name, each in value.items()}
        case _:
            return value
