"""The page: a table for each row, an archive to a column, each figure beside its bound."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import report
from benchmarks.load.figures import Figure, Row, shown
from benchmarks.peers import Archive

Taken = Mapping[tuple[str, str], Sequence[Figure] | str]
"""The figures of a row and an archive by their names, or what went wrong."""


def markdown(taken: Taken, archives: Sequence[Archive], rows: Sequence[Row], *, command: str, folder: Path) -> str:
    """The page for docs/performance-of-load.md."""
    facts = "; ".join(f"{name} {value}" for name, value in report.machine(folder).items())
    lines = [
        "# Performance under load",
        "",
        f"Measured on {datetime.now(UTC):%Y-%m-%d} by `{command}`, which wrote this page. The",
        "archive, its callers and, where there is one, PostgreSQL share one machine and speak over loopback; the",
        "callers are our own upper layer as a client. Each row begins with an archive that is new and empty. A bound",
        "stands beside its figure, which is **bold** where it is not kept.",
        "",
        f"- Machine: {facts}.",
        *(f"- `{archive.name}`: {archive.version()}; {archive.settings}." for archive in archives),
    ]
    for row in rows:
        lines += ["", f"## {_capital(row.title)}", "", row.how, "", *_table(taken, archives, row)]
        lines += ["", row.meaning] if row.meaning else []
    return "\n".join(lines) + "\n"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _table(taken: Taken, archives: Sequence[Archive], row: Row) -> list[str]:
    columns = [taken.get((row.name, archive.name), ()) for archive in archives]
    by_title = [{} if isinstance(column, str) else {figure.title: figure for figure in column} for column in columns]
    bounds = {title: figure.bound for figures in by_title for title, figure in figures.items()}
    header = ["", "bound", *(archive.name for archive in archives)]
    cells = [[title, bound, *(_cell(figures.get(title)) for figures in by_title)] for title, bound in bounds.items()]
    lines = [f"| {' | '.join(each)} |" for each in (header, ["---"] * len(header), *cells)]
    wrong = zip(archives, columns, strict=True)
    return lines + [f"\n`{archive.name}`: {column}." for archive, column in wrong if isinstance(column, str)]


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return ""
    return shown(figure.value) if figure.is_kept else f"**{shown(figure.value)}**"
