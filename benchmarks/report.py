"""The figures as a table: medians with their spread, ratios, and what one must know to repeat them."""

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from math import isnan
from pathlib import Path
from statistics import median

from benchmarks.corpus import Sizes
from benchmarks.measure import Figure, Row, Sample
from benchmarks.peers import Archive
from benchmarks.phases import Column
from benchmarks.phases import table as phase_table


def machine(folder: Path) -> dict[str, str]:
    """Where the figures were taken."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory_kibibytes = int(Path("/proc/meminfo").read_text().split()[1])
    kind = ["findmnt", "--noheadings", "--output", "FSTYPE", "--target", str(folder)]
    release = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    return {
        "processor": models[0].partition(":")[2].strip() if models else platform.machine(),
        "cores": str(os.cpu_count()),
        "memory": f"{memory_kibibytes / 1024**2:.0f} GiB",
        "system": f"{release}, Linux {platform.release()}",
        "file system": subprocess.run(kind, capture_output=True, text=True, check=False).stdout.strip() or "unknown",
        "Python": platform.python_version(),
    }


class Table:
    """The samples by row and archive."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._values: dict[tuple[str, str], list[float]] = {}
        for sample in samples:
            if isnan(sample.figure.value):
                continue
            self._values.setdefault((sample.row, sample.archive), []).append(sample.figure.value)

    def values(self, row: Row, archive: Archive) -> list[float]:
        """The figures of one archive, in the order they were taken."""
        return self._values.get((row.name, archive.name), [])

    def ratio(self, row: Row, ours: Archive, peer: Archive) -> float | None:
        """How many times better ours is, by medians: more per second, or less time."""
        mine, theirs = self.values(row, ours), self.values(row, peer)
        if not mine or not theirs:
            return None
        return median(mine) / median(theirs) if row.is_rate else median(theirs) / median(mine)


def _figure(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _cell(values: Sequence[float]) -> str:
    if not values:
        return ""
    middle = _figure(median(values))
    return middle if len(values) == 1 else f"{middle} ({_figure(min(values))}-{_figure(max(values))})"


def _lines(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]


def markdown(
    samples: Sequence[Sample],
    archives: Sequence[Archive],
    rows: Sequence[Row],
    *,
    sizes: Sizes,
    repeats: int,
    command: str,
    folder: Path,
    recorded: Table | None = None,
    phases: Sequence[Column] = (),
) -> str:
    """The page for docs/performance.md; with what was `recorded`, each ratio stands beside that of then."""
    table = Table(samples)
    figures = [
        [f"{row.title}, {row.unit}", *(_cell(table.values(row, archive)) for archive in archives)] for row in rows
    ]
    facts = "; ".join(f"{name} {value}" for name, value in machine(folder).items())
    page = [
        "# Performance",
        "",
        f"Measured on {datetime.now(UTC):%Y-%m-%d} by `{command}`, which wrote this page. All programs run on one",
        "machine over loopback, with DCMTK's clients: ratios count, absolute figures belong to the machine.",
        "What is wanted, what holds back where that is not reached, and what was tried: [speed](design/speed.md).",
        "With a million studies, and what the index takes: [as the archive grows](performance-of-growth.md).",
        "",
        f"- Machine: {facts}.",
        f"- Objects: {sizes}.",
        f"- Each figure is the median of {repeats} (smallest-largest), the archives in turn; a figure of storing is",
        "  taken from an archive that was empty, a time is that of the client's process from start to end.",
        "- *As installed*: client and server with Nagle's algorithm, as DCMTK's programs come. *TCP_NODELAY*, and all",
        "  rows below it: `TCP_NODELAY=1` for client, server and move destination.",
        "- *Take in*: by `archive import`, beside the running archive; the others by one storescu.",
        "- *Memory*: of the archive's processes, what they share once (PSS), without a database server's. *Processor",
        "  time*: of the archive and of its database server, with what is done within 5 s after the last store.",
        "- C-GET and C-MOVE: getscu and storescp receive and drop (`--ignore`).",
        *(f"- `{archive.name}`: {archive.version()}; {archive.settings}." for archive in archives),
        "",
        *_lines(["", *(archive.name for archive in archives)], figures),
    ]
    titles = {row.name: row.title for row in rows}
    remarks = [f"- {titles[item.row]}, `{item.archive}`: {text}." for item in samples for text in item.figure.remarks]
    page += ["", "Not all went well, run by run:", "", *remarks] if remarks else []
    ours, peers = [item for item in archives if item.is_ours], [item for item in archives if not item.is_ours]
    if ours and peers:
        beside = "; in brackets as recorded" if recorded else ""
        page += ["", f"How many times better ours is (more per second, or less of time or memory{beside}):", ""]
        header = ["", *(f"{mine.name} : {peer.name}" for mine in ours for peer in peers)]
        ratios = [
            [row.title, *(_beside(row, mine, peer, table, recorded) for mine in ours for peer in peers)] for row in rows
        ]
        page += _lines(header, ratios)
    if phases:
        page += [
            "",
            "Where the time of a store goes, in us: of the thread of one association, with TCP_NODELAY, durability",
            "full, means over all stores of a row. Taking these times takes some time itself.",
            "",
            *_lines(["", *(column.title for column in phases)], phase_table(phases)),
        ]
    return "\n".join(page) + "\n"


def _beside(row: Row, mine: Archive, peer: Archive, table: Table, recorded: Table | None) -> str:
    ratio = _ratio(table.ratio(row, mine, peer))
    then = _ratio(recorded.ratio(row, mine, peer)) if recorded else ""
    return f"{ratio} ({then})" if then else ratio


def recorded(file: Path) -> Table:
    """The figures that `as_json` has written."""
    samples = json.loads(file.read_text())["samples"]
    return Table([Sample(each["row"], each["archive"], Figure(each["figure"]["value"])) for each in samples])


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def as_json(samples: Sequence[Sample], archives: Sequence[Archive], *, sizes: Sizes, command: str, folder: Path) -> str:
    """Every figure, for programs."""
    return json.dumps(
        {
            "date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "command": command,
            "machine": machine(folder),
            "objects": asdict(sizes),
            "archives": {
                archive.name: {"version": archive.version(), "settings": archive.settings} for archive in archives
            },
            "samples": [asdict(sample) for sample in samples],
        },
        indent=1,
    )
