"""`archive import`: take in files and folders, copied into an area or indexed where they lie."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from archive.cli import output, progress
from archive.cli.main import FAILED
from archive.cli.options import Archive, example, json_option, with_archive
from archive.errors import Misconfigured
from archive.lifecycle import importing
from archive.lifecycle.importing import Fate, Outcome
from archive.registry.snapshot import Area

__all__ = ["import_files"]

_SAID = {Fate.BAD: "bad", Fate.SKIPPED: "skipped", Fate.HELD: "held already"}


@click.command(
    "import",
    epilog=example("archive import /media/cdrom ~/studies/ct.dcm --area RESEARCH", "archive import --in-place"),
)
@click.argument("files", nargs=-1, metavar="[FILES|FOLDERS]...", type=click.Path(path_type=Path))
@click.option("--area", metavar="NAME", help="Into this area; by default the first.")
@click.option(
    "--in-place",
    "is_in_place",
    is_flag=True,
    help="Index files of the area's folder where they lie, by default all of them. They are the area's from then on: "
    "one is unlinked when its instance is removed, replaced or evicted.",
)
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Say what would be taken in; change nothing.")
@json_option
@with_archive
def import_files(
    archive: Archive, files: tuple[Path, ...], area: str | None, is_in_place: bool, is_dry_run: bool, as_json: bool
) -> None:
    """Take in DICOM files, and all below folders, as if they were sent to the area.

    Copies them, and leaves them as they are. What the area holds already is passed over, so an import that was
    interrupted goes on when it is run again. Symbolic links below a folder are not followed. Exit code 1 if some files
    could not be taken in; each is named, with the reason.
    """
    if not files and not is_in_place:
        raise Misconfigured("Nothing to import; name files or folders, or say --in-place")
    if missing := next((path for path in files if not path.exists()), None):
        raise Misconfigured(f"There is no file or folder {shown(str(missing))}")
    where = _area(archive, area)
    data = archive.settings.data_folder
    outcomes = importing.import_files(
        archive.database, where, data, files, is_in_place=is_in_place, is_dry_run=is_dry_run
    )
    numbers: Counter[Fate] = Counter()
    told: list[Outcome] = []
    stored_bytes = 0

    def total() -> int:
        return sum(1 for _ in importing.find(where, data, files, is_in_place=is_in_place))

    is_stopped = False
    try:
        with progress.bar("Importing", total) as advance, closing(outcomes):
            for outcome in outcomes:
                advance(1)
                numbers[outcome.fate] += 1
                if outcome.fate is Fate.STORED:
                    stored_bytes += outcome.size_bytes
                elif outcome.reason and as_json:
                    told.append(outcome)
                elif outcome.reason:
                    click.echo(f"{shown(outcome.path)}: {_SAID[outcome.fate]}: {outcome.reason}")
    except KeyboardInterrupt:
        is_stopped = True
    _say(where, numbers, stored_bytes, told, is_dry_run, as_json)
    if is_stopped:
        click.echo("Stopped; what was taken in stays, and the same command goes on from there.", err=True)
    if numbers[Fate.BAD] or is_stopped:
        click.get_current_context().exit(FAILED)


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


def _say(
    area: Area, numbers: Counter[Fate], stored_bytes: int, told: list[Outcome], is_dry_run: bool, as_json: bool
) -> None:
    if as_json:
        output.facts(_facts(area, numbers, stored_bytes, told, is_dry_run), as_json=True)
        return
    verb = "would be taken in" if is_dry_run else "taken in"
    counts = ", ".join(f"{numbers[fate]:,} {_SAID[fate]}" for fate in (Fate.HELD, Fate.SKIPPED, Fate.BAD))
    click.echo(
        f"{area.name}: {output.counted(numbers[Fate.STORED], 'file')} {verb} ({output.size(stored_bytes)}), {counts}."
    )


def _facts(
    area: Area, numbers: Counter[Fate], stored_bytes: int, told: list[Outcome], is_dry_run: bool
) -> dict[str, Any]:
    def listed(fate: Fate) -> Iterator[dict[str, str]]:
        return ({"path": shown(each.path), "reason": each.reason} for each in told if each.fate is fate)

    return {
        "area": area.name,
        "is_dry_run": is_dry_run,
        **{fate.value: numbers[fate] for fate in Fate},
        "stored_bytes": stored_bytes,
        "bad_files": list(listed(Fate.BAD)),
        "skipped_files": list(listed(Fate.SKIPPED)),
        "kept_instead": list(listed(Fate.HELD)),
    }
