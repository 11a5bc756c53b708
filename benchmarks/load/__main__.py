"""`python -m benchmarks.load`: measure the archive under load, and print or write the page."""

import argparse
import compileall
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

from benchmarks import peers
from benchmarks.load import callers, figures, finding, idle, large, page, slow, storing, workers
from benchmarks.load.figures import Figure, Row, Sizes, Stage
from benchmarks.peers import Archive

ROWS = {
    row.name: row
    for row in (
        idle.ROW,
        storing.ROW,
        finding.ROW,
        slow.ROW,
        workers.ROW,
        large.OBJECT,
        large.STUDY,
        large.ANSWERS,
    )
}
_OURS = [name for name, kind in peers.ARCHIVES.items() if kind.is_ours]
_BY_DEFAULT = (peers.OursSqliteFull.name, peers.OursPostgresqlFull.name)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--archives", default=",".join(_BY_DEFAULT), help=f"some of {', '.join(_OURS)}")
    parser.add_argument("--rows", default=",".join(ROWS), help=f"some of {', '.join(ROWS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="less of everything: a look, no figures to quote")
    parser.add_argument("--slow-reader-seconds", type=float, help="how long the slow reader reads; default 60")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the Markdown page to FILE")
    parser.add_argument(
        "--folder", type=Path, default=Path("/var/tmp"), help="where data is kept during the run: a disk"
    )
    options = parser.parse_args(arguments)
    for named, known in ((options.archives, _OURS), (options.rows, ROWS)):
        if unknown := [name for name in named.split(",") if name not in known]:
            parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}")
    return options


def _sizes(options: argparse.Namespace) -> Sizes:
    sizes = figures.QUICK if options.quick else Sizes()
    seconds = options.slow_reader_seconds
    return sizes if seconds is None else replace(sizes, slow_reader_seconds=seconds)


def _taken(row: Row, archive: Archive, folder: Path, sizes: Sizes, elsewhere: ProcessPoolExecutor) -> list[Figure]:
    with tempfile.TemporaryDirectory(dir=folder) as home:
        stage = Stage(archive, Path(home), sizes, elsewhere)
        return list(_told(archive, row.measure(stage)))


def _told(archive: Archive, found: Iterator[Figure]) -> Iterator[Figure]:
    for figure in found:
        kept = "" if figure.is_kept else f"   not kept: {figure.bound}"
        print(f"{archive.name:18} {figures.shown(figure.value):>9} {figure.title}{kept}", file=sys.stderr, flush=True)
        yield figure


def main(arguments: Sequence[str]) -> None:
    """Measure, and report."""
    options = _parse(arguments)
    rows = [ROWS[name] for name in options.rows.split(",")]
    compileall.compile_dir(Path(__file__).parents[2] / "archive", quiet=1)  # as an install does
    folder = Path(tempfile.mkdtemp(prefix="archive-load-", dir=options.folder))
    postgresql = peers.PrivatePostgresql(options.folder)
    archives = [peers.ARCHIVES[name](postgresql) for name in options.archives.split(",")]
    taken: dict[tuple[str, str], list[Figure] | str] = {}
    try:
        with callers.elsewhere() as elsewhere:
            for row in rows:
                for archive in archives:
                    began = time.monotonic()
                    try:
                        taken[row.name, archive.name] = _taken(row, archive, folder, _sizes(options), elsewhere)
                    except Exception as error:  # noqa: BLE001 - one row does not spoil the others; the page says so
                        taken[row.name, archive.name] = f"{type(error).__name__}: {error}"
                        print(f"{archive.name:18} {row.name}: {type(error).__name__}: {error}", file=sys.stderr)
                    print(f"{row.name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        command = f"python -m benchmarks.load {shlex.join(arguments)}".strip()
        written = page.markdown(taken, archives, rows, command=command, folder=options.folder)
        print(written)
        if options.write:
            options.write.write_text(written)
    finally:
        postgresql.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
