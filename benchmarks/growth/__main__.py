"""`python -m benchmarks.growth`: what each operation costs in an archive that has grown, beside the same one small."""

import argparse
import compileall
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from archive.database import transaction
from archive.index import checks
from benchmarks.clients import ClientFailed
from benchmarks.growth import page, questions, sites, sizes
from benchmarks.growth.page import GROWN, SMALL, Figures
from benchmarks.growth.questions import Question
from benchmarks.growth.sites import Site
from benchmarks.peers import PrivatePostgresql


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--archives", default=",".join(sites.ARCHIVES), help="default: %(default)s")
    parser.add_argument("--studies", type=int, default=1_000_000, help="of the grown archive; default %(default)s")
    parser.add_argument("--repeats", type=int, default=5, help="figures per cell; default %(default)s")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the Markdown page to FILE")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="a disk with 40 GB free")
    return parser.parse_args(arguments)


@contextmanager
def _timed(figures: Figures, what: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    figures.once[what] = time.perf_counter() - began
    _say(f"{what}: {figures.once[what]:.1f} s")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _measure(figures: Figures, pair: dict[str, Site], asked: Sequence[Question], repeats: int) -> None:
    """Small and grown in turn, A B A B; the first of each is not counted, for it reads from the disk."""
    for question in asked:
        for repeat in range(-1 if not question.is_rate else 0, repeats):
            for size, site in pair.items():
                os.sync()  # what others left to be written is not this one's burden
                taken = question.take(site)
                if repeat >= 0:
                    figures.taken.setdefault((question.title, size), []).append(taken)
        values = " ".join(f"{each:10.2f}" for size in pair for each in figures.values(question, size)[-1:])
        ratio = figures.ratio(question)
        _say(f"{question.title:45} {values} {question.unit:12} {0 if ratio is None else ratio:.2f}")


def _measured(name: str, postgresql: PrivatePostgresql, folder: Path, studies: int, repeats: int) -> Figures:
    """All figures of one kind of archive."""
    figures = Figures()
    small = sites.made(name, postgresql, folder, 0)
    with _timed(figures, "to fill the grown index"):
        grown = sites.made(name, postgresql, folder, studies)
    pair: dict[str, Site] = {}
    try:
        for size, (url, data) in ((SMALL, small), (GROWN, grown)):
            pair[size] = sites.serve(url, data, is_grown=size == GROWN)
        database, area_pk = pair[GROWN].database, pair[GROWN].area_pk
        with transaction.read(database) as connection:
            figures.rows, figures.parts = sizes.rows(connection), sizes.parts(connection)
        with _timed(figures, "to hold all counters against their rows"), transaction.read(database) as connection:
            if wrong := checks.wrong_counters(connection, area_pk):
                raise ClientFailed(f"{name}: {wrong[0]}")
        _measure(figures, pair, questions.questions(folder / name), repeats)
        with _timed(figures, "to let all studies of the grown area be evicted (archive area set)"):
            questions.fill_up(pair[GROWN])
        questions.fill_up(pair[SMALL])
        _measure(figures, pair, questions.of_a_full_area(folder / name), repeats)
    finally:
        for site in pair.values():
            site.close()
    return figures


def main(arguments: Sequence[str]) -> None:
    """Fill, measure, and report."""
    options = _parse(arguments)
    names = options.archives.split(",")
    if unknown := [name for name in names if name not in sites.ARCHIVES]:
        sys.exit(f"unknown: {', '.join(unknown)}; there are {', '.join(sites.ARCHIVES)}")
    folder = Path(tempfile.mkdtemp(prefix="archive-growth-", dir=options.folder))
    compileall.compile_dir(Path(__file__).parents[2] / "archive", quiet=1)  # as an install does
    postgresql = PrivatePostgresql(options.folder)
    try:
        measured: dict[str, Figures] = {}
        for name in names:
            measured[name] = _measured(name, postgresql, folder, options.studies, options.repeats)
        text = page.markdown(
            measured,
            [*questions.questions(folder), *questions.of_a_full_area(folder)],
            command=f"python -m benchmarks.growth {shlex.join(arguments)}".strip(),
            folder=options.folder,
            repeats=options.repeats,
        )
        print(text)
        if options.write:
            options.write.write_text(text)
    finally:
        postgresql.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
