"""`python -m benchmarks.tools`: our storescu beside DCMTK's, to the same receivers, as whole processes.

Both are sent the same files, in turn, A B A B; a ratio is that of two runs next to each other, and the median of these
is what counts on a machine that has other things to do.
"""

import argparse
import compileall
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import corpus, report
from benchmarks.clients import NO_DELAY, run
from benchmarks.corpus import SENDERS, Corpora, Files
from scripts.background import Background, free_port

_MEGABYTE = 1_000_000
_ARCHIVE = (sys.executable, "-m", "archive")
_TOOLS = {"DCMTK": ("/usr/bin/storescu",), "ours": (*_ARCHIVE, "storescu")}
_RECEIVERS = {
    "DCMTK's storescp --ignore": ("/usr/bin/storescp", "-q", "--fork", "--ignore"),
    "our storescp --ignore": (*_ARCHIVE, "storescp", "-q", "--ignore"),
}
_QUIET = ("-q", "+sd", "+r")
_HERE = "127.0.0.1"


def _all_at_once(tool: str, files: Files, port: int) -> float:
    return run([[*_TOOLS[tool], *_QUIET, _HERE, str(port), str(files.folder)]], NO_DELAY)[0]


def _side_by_side(tool: str, files: Files, port: int) -> float:
    """DCMTK's needs a process for each association, ours has an option."""
    if tool == "ours":
        command = [*_TOOLS[tool], *_QUIET, "--parallel", str(SENDERS), _HERE, str(port), str(files.folder)]
        return run([command], NO_DELAY)[0]
    return run([[*_TOOLS[tool], *_QUIET, _HERE, str(port), str(part)] for part in files.parts()], NO_DELAY)[0]


def _one_by_one(tool: str, files: Files, port: int) -> float:
    paths = sorted(files.folder.rglob("*.dcm"))
    return sum(run([[*_TOOLS[tool], "-q", _HERE, str(port), str(path)]], NO_DELAY)[0] for path in paths)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    title: str
    unit: str
    files: Callable[[Corpora], Files]
    seconds: Callable[[str, Files, int], float]
    figure: Callable[[Files, float], float]


ROWS = (
    Row("CT", "MB/s", lambda all_: all_.ct, _all_at_once, lambda files, seconds: files.bytes / _MEGABYTE / seconds),
    Row("small", "/s", lambda all_: all_.small, _all_at_once, lambda files, seconds: files.count / seconds),
    Row(
        f"small, {SENDERS} associations",
        "/s",
        lambda all_: all_.small,
        _side_by_side,
        lambda files, seconds: files.count / seconds,
    ),
    Row(
        "one small, a process each",
        "ms",
        lambda all_: all_.single,
        _one_by_one,
        lambda files, seconds: 1000 * seconds / files.count,
    ),
)


@contextmanager
def _receiving(command: Sequence[str], folder: Path) -> Iterator[int]:
    port = free_port()
    process = Background([*command, str(port)], folder / "receiver.log", environment=NO_DELAY)
    try:
        process.wait_listening(port)
        yield port
    finally:
        process.stop()


def _measure(row: Row, corpora: Corpora, port: int, repeats: int) -> list[str]:
    """The cells of a row: the median of each tool, and of the ratios of neighbours, with the smallest and largest."""
    files = row.files(corpora)
    seconds: dict[str, list[float]] = {tool: [] for tool in _TOOLS}
    for tool in _TOOLS:
        row.seconds(tool, files, port)  # not counted: the files come from the disk
    for _ in range(repeats):
        for tool in _TOOLS:
            seconds[tool].append(row.seconds(tool, files, port))
    figures = [statistics.median(row.figure(files, each) for each in seconds[tool]) for tool in _TOOLS]
    ratios = sorted(theirs / ours for theirs, ours in zip(seconds["DCMTK"], seconds["ours"], strict=True))
    ratio = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})"
    return [f"{row.title}, {row.unit}", *(f"{figure:.4g}" for figure in figures), ratio]


def _page(tables: dict[str, list[list[str]]], sizes: corpus.Sizes, repeats: int, command: str) -> str:
    facts = "; ".join(f"{name} {value}" for name, value in report.machine(Path.cwd()).items())
    lines = [
        "# Performance of the tools",
        "",
        f"Measured on {datetime.now(UTC):%Y-%m-%d} by `{command}`, which wrote this page. All programs run on one",
        "machine over loopback, with `TCP_NODELAY=1`; a figure is that of whole processes, from start to end.",
        "",
        f"- Machine: {facts}.",
        f"- Objects: {sizes.ct} CT of 525 KB, {sizes.small} secondary captures of 9 KB; {sizes.single} of them alone.",
        f"- Medians of {repeats} runs, DCMTK's program and ours in turn; the ratio is that of",
        "  neighbours, how many times faster ours is (smallest-largest).",
    ]
    for receiver, rows in tables.items():
        header = [f"storescu to {receiver}", *_TOOLS, "ours : DCMTK"]
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
    tables: dict[str, list[list[str]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for receiver, command in _RECEIVERS.items():
            with _receiving(command, Path(folder)) as port:
                tables[receiver] = [_measure(row, corpora, port, options.repeats) for row in ROWS]
    page = _page(tables, sizes, options.repeats, f"python -m benchmarks.tools {' '.join(arguments)}".strip())
    print(page)
    if options.write:
        options.write.write_text(page)


if __name__ == "__main__":
    main(sys.argv[1:])
