"""`python -m benchmarks`: measure the archives beside each other and print, or write, the table."""

import argparse
import compileall
import shlex
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from benchmarks import corpus, measure, peers, phases, report

_Kind = TypeVar("_Kind")

# What an archive has beside the bytes of its objects: index, logs, what it preallocates.
_WITH_INDEX = 1.2

# The figures of a quick run, for others to compare with: with few objects ratios are not those of docs/performance.md
# (recorded.json), since what slows a peer as it fills does not show.
_RECORDED = Path(__file__).with_name("recorded-quick.json")


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--archives", help=f"some of {', '.join(peers.ARCHIVES)}; fewer by default with --quick")
    parser.add_argument("--rows", help=f"some of {', '.join(row.name for row in measure.ROWS)}; default: all")
    parser.add_argument("--repeats", type=int, help="figures per cell; default 3, or 1 with --quick")
    parser.add_argument("--quick", action="store_true", help="few objects, beside the ratios of such a run recorded")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the Markdown page to FILE")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to FILE")
    parser.add_argument("--profile", type=Path, metavar="FOLDER", help="draw where ours spends its time; slows it down")
    parser.add_argument("--objects", type=Path, default=Path("benchmark-data"), help="where the made objects are kept")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("/var/tmp"),
        help="where the archives keep their data during the run: a disk",
    )
    return parser.parse_args(arguments)


def _chosen(text: str, known: dict[str, _Kind]) -> list[_Kind]:
    names = text.split(",")
    if unknown := [name for name in names if name not in known]:
        sys.exit(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in names]


def _require_room(folder: Path, wanted_bytes: float) -> None:
    """What the archives keep stays to the end of a run; a disk that is full in the middle would spoil all figures."""
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < wanted_bytes:
        sys.exit(
            f"{folder} has {free_bytes / 1e9:.0f} GB free, and the run needs {wanted_bytes / 1e9:.0f}; make room, name "
            "another --folder, or ask for less: --rows, --archives, --repeats"
        )


def main(arguments: Sequence[str]) -> None:
    """Measure, and report."""
    options = _parse(arguments)
    rows = _chosen(options.rows, {row.name: row for row in measure.ROWS}) if options.rows else list(measure.ROWS)
    sizes, repeats = (corpus.QUICK, 1) if options.quick else (corpus.FULL, 3)
    repeats = options.repeats or repeats
    if options.profile:
        options.profile.mkdir(parents=True, exist_ok=True)
    corpora = corpus.prepare(options.objects, sizes)
    by_default = peers.BY_DEFAULT_QUICKLY if options.quick else peers.BY_DEFAULT
    kinds = _chosen(options.archives or ",".join(by_default), peers.ARCHIVES)
    _require_room(options.folder, _WITH_INDEX * len(kinds) * measure.kept_bytes(rows, corpora, repeats))
    folder = Path(tempfile.mkdtemp(prefix="archive-benchmark-", dir=options.folder))
    postgresql = peers.PrivatePostgresql(options.folder)
    archives = [kind(postgresql) for kind in kinds]
    if missing := [archive.name for archive in archives if not archive.is_installed()]:
        sys.exit(f"not installed: {', '.join(missing)}")
    compileall.compile_dir(Path(__file__).parents[1] / "archive", quiet=1)  # as an install does
    samples: list[measure.Sample] = []
    try:
        for sample in measure.measure(archives, rows, corpora, repeats, folder, options.profile):
            samples.append(sample)
            print(
                f"{sample.row:22} {sample.archive:22} {sample.figure.value:10.2f} {'; '.join(sample.figure.remarks)}",
                file=sys.stderr,
                flush=True,
            )
        times = [] if options.rows else list(phases.measure(corpora, postgresql, folder))
        command = f"python -m benchmarks {shlex.join(arguments)}".strip()
        recorded = report.recorded(_RECORDED) if options.quick and _RECORDED.exists() else None
        page = report.markdown(
            samples,
            archives,
            rows,
            sizes=sizes,
            repeats=repeats,
            command=command,
            folder=options.folder,
            recorded=recorded,
            phases=times,
        )
        print(page)
        if options.write:
            options.write.write_text(page)
        if options.json:
            text = report.as_json(samples, archives, sizes=sizes, command=command, folder=options.folder)
            options.json.write_text(text + "\n")
    finally:
        postgresql.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
