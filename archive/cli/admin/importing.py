"""`archive import`: take in files and folders, copied into an area or indexed where they lie."""

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from archive.cli import output, progress
from archive.cli.name_completion import names_of
from archive.cli.options import Archive, example, with_outcome
from archive.cli.output import Outcome
from archive.errors import Misconfigured
from archive.lifecycle import importing
from archive.lifecycle.importing import Fate
from archive.registry import audit
from archive.registry.snapshot import Area

__all__ = ["import_files"]

# Of the files and folders that are named, so many are written down with an import.
_MOST_NAMED = 20

_SAID = {Fate.BAD: "bad", Fate.SKIPPED: "skipped", Fate.HELD: "held already"}


@click.command(
    "import",
    epilog=example("archive import /media/cdrom ~/studies/ct.dcm --area RESEARCH", "archive import --in-place"),
)
@click.argument("files", nargs=-1, metavar="[FILES|FOLDERS]...", type=click.Path(path_type=Path))
@click.option("--area", shell_complete=names_of("area"), metavar="NAME", help="Into this area; by default the first.")
@click.option(
    "--in-place",
    "is_in_place",
    is_flag=True,
    help="Index files of the area's folder where they lie, by default all of them. They are the area's from then on: "
    "one is unlinked when its instance is removed, replaced or evicted.",
)
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Say what would be taken in; change nothing.")
@with_outcome
def import_files(
    archive: Archive, outcome: Outcome, files: tuple[Path, ...], area: str | None, is_in_place: bool, is_dry_run: bool
) -> None:
    """Take in DICOM files, and all below folders, as if they were sent to the area.

    Copies them, and leaves them as they are. What the area holds already is passed over, so an import that was
    interrupted goes on when it is run again. Symbolic links below a folder are not followed. Exit code 1 if some files
    could not be taken in; each is named, with the reason.
    """
    if not files and not is_in_place:
        raise Misconfigured("Nothing to import; name files or folders, or say --in-place")
    if missing := next(filter(_is_missing, files), None):
        raise Misconfigured(f"There is no file or folder {shown(str(missing))}")
    where = _area(archive, area)
    data = archive.settings.data_folder
    outcomes = importing.import_files(
        archive.database, where, data, files, is_in_place=is_in_place, is_dry_run=is_dry_run
    )
    tally = _Tally(outcome)

    def total() -> int:
        return sum(1 for _ in importing.find(where, data, files, is_in_place=is_in_place))

    is_stopped = False
    try:
        with progress.bar("Importing", total) as advance, closing(outcomes):
            for each in outcomes:
                advance(1)
                tally.count(each)
    except KeyboardInterrupt:
        is_stopped = True
    except Exception:
        outcome.is_failure = True
        raise
    finally:  # what was taken in stays, and is told, whatever ended the import
        outcome.tell(area=where.name, is_dry_run=is_dry_run, **tally.facts())
        try:
            outcome.say(f"{where.name}: {tally.sentence('would be taken in' if is_dry_run else 'taken in')}")
        finally:
            if tally.numbers[Fate.STORED] and not is_dry_run:
                noted = _noted(files, tally, is_in_place=is_in_place)
                archive.write(lambda connection: audit.note(connection, "import", "area", where.name, after=noted))
    if is_stopped:
        click.echo("Stopped; what was taken in stays, and the same command goes on from there.", err=True)
    outcome.is_failure = bool(tally.numbers[Fate.BAD]) or is_stopped


@dataclass(slots=True)
class _Tally:
    """What became of the files: those that were not taken in are said, or kept for JSON, one by one."""

    outcome: Outcome
    numbers: Counter[Fate] = field(default_factory=Counter[Fate])
    stored_bytes: int = 0
    told: list[importing.Outcome] = field(default_factory=list[importing.Outcome])

    def count(self, each: importing.Outcome) -> None:
        self.numbers[each.fate] += 1
        if each.fate is Fate.STORED:
            self.stored_bytes += each.size_bytes
        elif each.reason and self.outcome.as_json:
            self.told.append(each)
        elif each.reason:
            self.outcome.say(f"{shown(each.path)}: {_SAID[each.fate]}: {each.reason}")

    def sentence(self, verb: str) -> str:
        counts = ", ".join(f"{self.numbers[fate]:,} {_SAID[fate]}" for fate in (Fate.HELD, Fate.SKIPPED, Fate.BAD))
        stored = output.counted(self.numbers[Fate.STORED], "file")
        return f"{stored} {verb} ({output.size(self.stored_bytes)}), {counts}."

    def counts(self) -> dict[str, int]:
        return {fate.value: self.numbers[fate] for fate in Fate} | {"stored_bytes": self.stored_bytes}

    def facts(self) -> dict[str, Any]:
        def listed(fate: Fate) -> list[dict[str, str]]:
            return [{"path": shown(each.path), "reason": each.reason} for each in self.told if each.fate is fate]

        return self.counts() | {
            "bad_files": listed(Fate.BAD),
            "skipped_files": listed(Fate.SKIPPED),
            "kept_instead": listed(Fate.HELD),
        }


def _noted(files: Sequence[Path], tally: _Tally, *, is_in_place: bool) -> dict[str, Any]:
    """What is written down of an import."""
    named = [shown(os.path.abspath(file)) for file in files[:_MOST_NAMED]]  # noqa: PTH100 - links stay links
    return {"named": named, "number_named": len(files), "is_in_place": is_in_place, **tally.counts()}


def _is_missing(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except OSError:  # there may be something; the import says why it cannot be read, and goes on with the others
        return False
    return False


def _area(archive: Archive, name: str | None) -> Area:
    areas = archive.areas(name)
    if not areas:
        raise Misconfigured("There is no area; add one: archive area add NAME PATH")
    return areas[0]


def shown(path: str) -> str:
    """A path as it can be printed, whatever bytes are in it."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"
        for character in click.format_filename(path)
    )
