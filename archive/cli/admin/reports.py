"""`archive report`: the report views as tables, pictures and files."""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from archive.cli import chart, export, output
from archive.cli.name_completion import names_of
from archive.cli.options import Archive, MostRows, example, json_option, named, period_options, with_archive
from archive.errors import Misconfigured
from archive.index import report_rows
from archive.index.report_rows import Wanted
from archive.index.reports import REPORTS, Report

__all__ = ["report"]

LIST = "list"

FORMATS = ("table", "csv", "json", "parquet")

# What a person looks at; files have all rows.
ROWS_ON_A_SCREEN = 100

_LISTED = ("report", "view", "shows")


class Condition(click.ParamType[tuple[str, str]]):
    """COLUMN=VALUE."""

    name = "COLUMN=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        column, equals, text = value.partition("=")
        if not equals:
            self.fail(f"{value!r}: expected COLUMN=VALUE", param, ctx)
        return column, text


class Order(click.ParamType[tuple[str, bool]]):
    """COLUMN, or COLUMN:desc."""

    name = "COLUMN[:desc]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, bool]:
        if isinstance(value, tuple):
            return value
        column, _, direction = value.partition(":")
        if direction not in ("", "asc", "desc"):
            self.fail(f"{value!r}: expected COLUMN, COLUMN:asc or COLUMN:desc", param, ctx)
        return column, direction == "desc"


class Name(click.ParamType[str]):
    """A report, or list."""

    name = "NAME"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(name) for name in (LIST, *REPORTS) if name.startswith(incomplete)]


@click.command(
    "report",
    epilog=example(
        "archive report list",
        "archive report received --since 30d --plot",
        "archive report refusals --since 24h --where peer_host=10.1.2.3",
        "archive report studies --area ARCHIVE --order size_bytes:desc --limit 10",
        "archive report studies --format csv --output studies.csv",
    ),
)
@click.argument("name", type=Name(), default=LIST)
@period_options
@click.option("--area", shell_complete=names_of("area"), metavar="NAME", help="Only what belongs to this area.")
@click.option(
    "--where",
    type=Condition(),
    multiple=True,
    metavar="COLUMN=VALUE",
    help="Only rows with this value, none for NULL; may be given more than once.",
)
@click.option(
    "--order",
    type=Order(),
    multiple=True,
    metavar="COLUMN[:desc]",
    help="Sort by this column; may be given more than once. By default the newest, or the largest, first.",
)
@click.option("--limit", type=MostRows, metavar="N", help="Most rows; by default 100 in a table, all in other formats.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    help="table (default) has the columns that fit on a screen, the others have all.",
)
@json_option
@click.option("--output", "file", metavar="FILE", help="Write to a file, not to standard output.")
@click.option("--plot", "is_plot", is_flag=True, help="Draw bars, or columns by day, instead of a table.")
@with_archive
def report(
    archive: Archive, name: str, format_: str | None, as_json: bool, file: str | None, is_plot: bool, **given: Any
) -> None:
    """Show a report, or with list (the default) which there are.

    Each is a view in the database, for SQL of your own: archive report list names them.
    """
    chosen = _format(format_, as_json, is_plot)
    if name == LIST:
        _list(chosen, [option for option, value in given.items() if value], is_plot, file)
        return
    asked: Report = named(REPORTS, name, "report", "archive report list")
    wanted = Wanted(**given)
    if is_plot:
        if chosen != "table" or file is not None:
            raise Misconfigured("A plot is for the terminal; leave out --format and --output")
        _plot(archive, asked, wanted)
        return
    path = None if file is None else Path(file)
    if chosen == "table":
        if path is not None:
            raise Misconfigured("A table is for the terminal; add --format csv, json or parquet")
        _table(archive, asked, wanted)
        return
    _export(archive, asked, wanted, chosen, path)


def _format(format_: str | None, as_json: bool, is_plot: bool) -> str:
    if as_json and (is_plot or format_ not in (None, "json")):
        raise Misconfigured("--json is a format of its own; leave out --format and --plot")
    return "json" if as_json else format_ or "table"


def _list(chosen: str, filters: Sequence[str], is_plot: bool, file: str | None) -> None:
    if filters or is_plot or file is not None or chosen not in ("table", "json"):
        raise Misconfigured("The list of reports takes no options but --json; name a report")
    rows = [{"report": each.name, "view": each.view, "shows": each.line} for each in REPORTS.values()]
    output.table(_LISTED, rows, as_json=chosen == "json")


def _table(archive: Archive, asked: Report, wanted: Wanted) -> None:
    columns = tuple(asked.brief) or tuple(asked.columns)
    most = wanted.limit or ROWS_ON_A_SCREEN
    with archive.read() as connection:
        found = list(report_rows.rows(connection, asked, replace(wanted, limit=most + 1), columns))
    print_table(columns, found, most)


def print_table(columns: Sequence[str], found: Sequence[Sequence[Any]], most: int) -> None:
    """Print some rows, and tell whether there are more."""
    rows = [dict(zip(columns, row, strict=True)) for row in found[:most]]
    output.table(columns, rows, as_json=False, if_empty="Nothing to report.")
    if len(found) > most:
        click.echo(f"The first {output.counted(most, 'row')}; --limit N shows more.", err=True)


def _export(archive: Archive, asked: Report, wanted: Wanted, chosen: str, file: Path | None) -> None:
    columns = asked.columns
    kinds = {name: report_rows.kind(column.type) for name, column in columns.items()}
    with archive.read() as connection:
        rows = report_rows.rows(connection, asked, wanted, tuple(columns))
        if chosen == "csv":
            export.write_csv(tuple(columns), rows, file)
        elif chosen == "json":
            export.write_json(tuple(columns), rows, file)
        else:
            export.write_parquet(kinds, rows, file)


def _plot(archive: Archive, asked: Report, wanted: Wanted) -> None:
    drawn = asked.chart
    if drawn is None:
        raise Misconfigured(f"The report {asked.name} has no picture; leave out --plot")
    if wanted.order or wanted.limit:
        raise Misconfigured("A picture shows all there is, in its own order; leave out --order and --limit")
    with archive.read() as connection:
        totals = report_rows.totals(connection, asked, wanted, drawn)
    if not totals:
        click.echo("Nothing to report.", err=True)
        return
    shown = _as_size if drawn.value.endswith("_bytes") else _as_number
    width = shutil.get_terminal_size().columns
    if drawn.is_series:
        days = [(label, float(value)) for label, value in totals if isinstance(label, date)]
        lines = chart.columns(days, shown, width)
    else:
        lines = chart.bars([(output.cell(drawn.label, label), float(value)) for label, value in totals], shown, width)
    click.echo(f"{output.heading(drawn.value)} by {output.heading(drawn.label)}")
    _draw(lines)


def _as_size(value: float) -> str:
    return output.size(int(value))


def _as_number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def _draw(lines: Sequence[str]) -> None:
    """On a terminal in colour, elsewhere as it is."""
    if not sys.stdout.isatty():
        for line in lines:
            click.echo(line)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for line in lines:
        text = Text(line, no_wrap=True, overflow="crop")
        text.highlight_regex(r"[▀-▟]+", "cyan")
        console.print(text)
