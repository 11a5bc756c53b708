"""`python -m benchmarks.tools`: our storescp and storescu beside DCMTK's, as whole processes.

Both are sent, or send, the same files, in turn, A B A B; a ratio is that of two runs next to each other, and the median
of these is what counts on a machine that has other things to do.
"""

import argparse
import compileall
import itertools
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import corpus, report
from benchmarks.clients import NO_DELAY, ClientFailed, run
from benchmarks.corpus import SENDERS, Corpora, Files
from scripts.background import Background, free_port

_MEGABYTE = 1_000_000
_ARCHIVE = (sys.executable, "-m", "archive")
_SENDERS = {"DCMTK": ("/usr/bin/storescu",), "ours": (*_ARCHIVE, "storescu")}
_RECEIVERS = {"DCMTK": ("/usr/bin/storescp", "-q", "--fork"), "ours": (*_ARCHIVE, "storescp", "-q")}
TOOLS = tuple(_SENDERS)
_AS_INSTALLED: Mapping[str, str] = {}
_QUIET = ("-q", "+sd", "+r")
_HERE = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table of senders, or of receivers."""

    title: str
    unit: str
    files: Callable[[Corpora], Files]
    seconds: Callable[[str, Files, int], float]
    """Of a tool, some files and a port: how long sending them takes."""
    environment: Mapping[str, str] = field(default_factory=lambda: NO_DELAY)
    """Of receiver and sender."""

    def figure(self, files: Files, seconds: float) -> float:
        """Seconds in the unit of the row."""
        match self.unit:
            case "MB/s":
                return files.bytes / _MEGABYTE / seconds
            case "/s":
                return files.count / seconds
            case _:
                return 1000 * seconds / files.count


# How files are sent


def _all_at_once(tool: str, files: Files, port: int) -> float:
    return run([[*_SENDERS[tool], *_QUIET, _HERE, str(port), str(files.folder)]], NO_DELAY)[0]


def _as_installed(_tool: str, files: Files, port: int) -> float:
    return run([[*_SENDERS["DCMTK"], *_QUIET, _HERE, str(port), str(files.folder)]], _AS_INSTALLED)[0]


def _side_by_side(tool: str, files: Files, port: int) -> float:
    """DCMTK's needs a process for each association, ours has an option."""
    if tool == "ours":
        command = [*_SENDERS[tool], *_QUIET, "--parallel", str(SENDERS), _HERE, str(port), str(files.folder)]
        return run([command], NO_DELAY)[0]
    return run([[*_SENDERS[tool], *_QUIET, _HERE, str(port), str(part)] for part in files.parts()], NO_DELAY)[0]


def _one_by_one(tool: str, files: Files, port: int) -> float:
    paths = sorted(files.folder.rglob("*.dcm"))
    return sum(run([[*_SENDERS[tool], "-q", _HERE, str(port), str(path)]], NO_DELAY)[0] for path in paths)


SENDING = (
    Row("CT", "MB/s", lambda all_: all_.ct, _all_at_once),
    Row("small", "/s", lambda all_: all_.small, _all_at_once),
    Row(f"small, {SENDERS} associations", "/s", lambda all_: all_.small, _side_by_side),
    Row("one small, a process each", "ms", lambda all_: all_.single, _one_by_one),
)
RECEIVING = (
    Row("CT, as installed", "MB/s", lambda all_: all_.ct_installed, _as_installed, _AS_INSTALLED),
    Row("CT", "MB/s", lambda all_: all_.ct, _all_at_once),
    Row("small", "/s", lambda all_: all_.small, _all_at_once),
    Row(f"small, {SENDERS} associations", "/s", lambda all_: all_.small, _side_by_side),
)


@contextmanager
def _receiving(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> Iterator[int]:
    port = free_port()
    process = Background([*command, str(port)], log, environment=environment)
    try:
        process.wait_listening(port)
        yield port
    finally:
        process.stop()


def _sent(row: Row, files: Files, port: int) -> Callable[[str], float]:
    """How long a sender takes."""
    return lambda tool: row.seconds(tool, files, port)


def _received(row: Row, files: Files, folder: Path) -> Callable[[str], float]:
    """How long DCMTK's sender takes, to a receiver with a new folder.

    A file system is slow to make files for minutes after many were removed.
    """
    number = itertools.count()

    def seconds(tool: str) -> float:
        received = folder / f"{tool}-{next(number)}"
        received.mkdir(parents=True)
        command = [*_RECEIVERS[tool], "-od", str(received)]
        with _receiving(command, folder / "receiver.log", row.environment) as port:
            took = row.seconds("DCMTK", files, port)
        if (count := len(os.listdir(received))) != files.count:  # noqa: PTH208 - thousands
            raise ClientFailed(f"{tool}: {count} files of {files.count} were received")
        return took

    return seconds


def _cells(row: Row, files: Files, seconds_of: Callable[[str], float], repeats: int) -> list[str]:
    """The cells of a row: the median of each tool, and of the ratios of neighbours, with the smallest and largest."""
    seconds: dict[str, list[float]] = {tool: [] for tool in TOOLS}
    for tool in TOOLS:
        seconds_of(tool)  # not counted: the files come from the disk
    for _ in range(repeats):
        for tool in TOOLS:
            seconds[tool].append(seconds_of(tool))
    figures = [statistics.median(row.figure(files, each) for each in seconds[tool]) for tool in TOOLS]
    ratios = sorted(theirs / ours for theirs, ours in zip(seconds["DCMTK"], seconds["ours"], strict=True))
    ratio = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})"
    return [f"{row.title}, {row.unit}", *(f"{figure:.4g}" for figure in figures), ratio]


def _tables(corpora: Corpora, repeats: int, folder: Path) -> dict[str, list[list[str]]]:
    """The rows of each table, by what stands above its first column."""
    tables = {
        "storescp, from DCMTK's storescu": [
            _cells(row, files := row.files(corpora), _received(row, files, folder / f"row-{number}"), repeats)
            for number, row in enumerate(RECEIVING)
        ]
    }
    for tool, name in (("DCMTK", "DCMTK's storescp"), ("ours", "our storescp")):
        with _receiving([*_RECEIVERS[tool], "--ignore"], folder / "receiver.log", NO_DELAY) as port:
            tables[f"storescu, to {name} --ignore"] = [
                _cells(row, files := row.files(corpora), _sent(row, files, port), repeats) for row in SENDING
            ]
    return tables


def _page(tables: dict[str, list[list[str]]], sizes: corpus.Sizes, repeats: int, command: str) -> str:
    facts = "; ".join(f"{name} {value}" for name, value in report.machine(Path.cwd()).items())
    lines = [
        "# Performance of the tools",
        "",
        f"Measured on {datetime.now(UTC):%Y-%m-%d} by `{command}`, which wrote this page. All programs run on one",
        "machine over loopback, with `TCP_NODELAY=1` but for the row as installed; a figure is that of the sender's",
        "process, from start to end.",
        "",
        f"- Machine: {facts}.",
        f"- Objects: {sizes.ct} CT of 525 KB ({sizes.ct_installed} as installed), {sizes.small} secondary captures of",
        f"  9 KB, {sizes.single} by a process each.",
        f"- Medians of {repeats} runs, DCMTK's program and ours in turn; the ratio is that of",
        "  neighbours, how many times faster ours is (smallest-largest).",
    ]
    for title, rows in tables.items():
        header = [title, *TOOLS, "ours : DCMTK"]
        table = [header, ["---"] * len(header), *rows]
        lines += ["", *(f"| {' | '.join(cells)} |" for cells in table)]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> None:
    """Measure, and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tools", description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="counted runs of each; default 5")
    parser.add_argument("--quick", action="store_true", help="few objects: a look, no figures to quote")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the Markdown page to FILE")
    parser.add_argument("--objects", type=Path, default=Path("benchmark-data"), help="where the made objects are kept")
    options = parser.parse_args(arguments)
    sizes = corpus.QUICK if options.quick else corpus.FULL
    corpora = corpus.prepare(options.objects, sizes)
    compileall.compile_dir(Path(__file__).parents[1] / "archive", quiet=1)  # as an install does
    with tempfile.TemporaryDirectory() as folder:
        tables = _tables(corpora, options.repeats, Path(folder))
    page = _page(tables, sizes, options.repeats, f"python -m benchmarks.tools {' '.join(arguments)}".strip())
    print(page)
    if options.write:
        options.write.write_text(page)


if __name__ == "__main__":
    main(sys.argv[1:])
