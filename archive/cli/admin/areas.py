"""`archive area`: storage areas, where instances are kept, and how."""

import os
import re
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from archive.cli import output
from archive.cli.admin import writing
from archive.cli.admin.usage import enforce, tell_evictions, used
from archive.cli.name_completion import names_of
from archive.cli.options import Archive, Limit, columns, example, json_option, with_archive, with_outcome
from archive.cli.output import Outcome
from archive.database.dialects import Connection
from archive.errors import Misconfigured
from archive.index import holdings, housekeeping
from archive.lifecycle import evict, quota
from archive.registry import changes, snapshot
from archive.registry.snapshot import Area
from archive.registry.steps import one_at_a_time
from archive.storage.disk import Disk

__all__ = ["add", "change", "list_areas", "remove", "require_apart", "show"]

_LIST = (
    "name",
    "folder",
    "durability",
    "duplicates",
    "unknown_sop_classes",
    "strict_names",
    "answer_limit",
    "retrieve_limit",
)
_LIMITS = ("max_studies", "max_study_bytes", "max_bytes", "max_age_days", "min_free_bytes", "headroom_bytes")

_SIZE = re.compile(r"([0-9]{1,12})(b|kb|mb|gb|tb)")
_UNITS = {"b": 1, "kb": 2**10, "mb": 2**20, "gb": 2**30, "tb": 2**40}  # as dcmqrscp's configuration has them
_MOST_BYTES = 2**63 - 1
_MOST_DAYS = 36_500  # a hundred years


class SizeLimit(Limit):
    """A size above 0 with its unit, in powers of 1024, or none; in bytes."""

    name = "SIZE|none"

    def __init__(self) -> None:
        super().__init__(_MOST_BYTES)

    @property
    def expected(self) -> str:
        return "a size, as 500mb or 2tb,"

    def number(self, text: str) -> int | None:
        found = _SIZE.fullmatch(text)
        return int(found[1]) * _UNITS[found[2]] if found else None


def _area_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--retrieve-limit", type=Limit(), help="Most instances of one C-MOVE or C-GET (A701); by default none."
        ),
        click.option("--answer-limit", type=Limit(), help="Most answers of one C-FIND; by default none."),
        click.option(
            "--on-full",
            type=click.Choice(["reject", "evict"]),
            help="What happens to an instance that does not fit: it is refused (A700, default), or what was stored to "
            "least recently makes room.",
        ),
        click.option(
            "--headroom",
            "headroom_bytes",
            type=SizeLimit(),
            help="What housekeeping keeps free below --max-size and above --min-free where the area evicts, so that "
            "stores need not make room themselves; by default none.",
        ),
        click.option("--min-free", "min_free_bytes", type=SizeLimit(), help="What stays free on the disk."),
        click.option(
            "--max-age",
            "max_age_days",
            type=Limit(_MOST_DAYS),
            help="Days since its last instance after which a study goes.",
        ),
        click.option("--max-size", "max_bytes", type=SizeLimit(), help="Most bytes in the area."),
        click.option("--max-study-size", "max_study_bytes", type=SizeLimit(), help="Most bytes of one study."),
        click.option("--max-studies", type=Limit(), help="Most studies in the area; by default none of these limits."),
        click.option(
            "--strict-names/--no-strict-names",
            default=None,
            help="Match person names with regard to case and accents; by default without.",
        ),
        writing.writing_options,
        click.option(
            "--unknown-sop-classes/--no-unknown-sop-classes",
            default=None,
            help="Take in SOP Classes that the archive does not know; by default it does.",
        ),
        click.option(
            "--duplicates",
            type=click.Choice(["replace", "keep", "reject"]),
            help="What becomes of an instance that is here already: the new one replaces it (default), the old one is "
            "kept, or the new one is rejected (0111).",
        ),
        click.option(
            "--durability",
            type=click.Choice(["full", "relaxed"]),
            help="full (default): a store is answered when it is on the disk. relaxed: the operating system writes "
            "later; faster, and a power cut loses the last seconds.",
        ),
    ):
        command = option(command)
    return command


def _chosen(given: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, as columns."""
    names = {"unknown_sop_classes": "accept_unknown_sop_classes"}
    return {names.get(name, name): value for name, value in writing.settings(columns(given)).items()}


@click.command(
    "add", epilog=example("archive area add RESEARCH /srv/research --durability relaxed --answer-limit 5000")
)
@click.argument("name")
@click.argument("path")
@_area_options
@with_outcome
def add(archive: Archive, outcome: Outcome, name: str, path: str, **given: Any) -> None:
    """Add a storage area that keeps its files below the folder PATH, which is made if it is missing."""
    folder = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links, which may be moved later
    data = archive.settings.data_folder

    def work(connection: Connection) -> None:
        one_at_a_time(connection)
        require_apart(folder, snapshot.read(connection).areas.values(), data)
        changes.add_area(connection, name, str(folder), _chosen(given))
        _require_disk(snapshot.read(connection).areas[name], data)

    made = _make_folder(folder)
    try:
        archive.write(work)
    except BaseException:
        for each in made:
            each.rmdir()
        raise
    outcome.say(f"Area {name} keeps its files in {folder}.")
    if said := writing.hint(archive.area(name), _chosen(given)):
        outcome.hint(said)
    outcome.hint(f"Nobody can use it yet; run: archive ae add TITLE --area {name} --access RW")


def require_apart(folder: Path, areas: Any, data: Path) -> None:
    """Two areas never share a folder, however it is spelt: relative to the data folder, or by a symbolic link."""
    real = Path(os.path.realpath(folder))
    for area in areas:
        other = Path(os.path.realpath(area.folder(data)))
        if real.is_relative_to(other) or other.is_relative_to(real):
            raise Misconfigured(
                f"The folder lies in that of area {area.name}, or that in it; choose another", path=str(folder)
            )


def _require_disk(area: Area, data: Path) -> None:
    """Nothing could keep a disk emptier than it is without any file; an area that evicts would lose all it holds."""
    wanted_bytes = quota.with_headroom(area.quota).min_free_bytes
    size_bytes = Disk(area.folder(data)).size_bytes()
    if wanted_bytes is not None and wanted_bytes >= size_bytes:
        raise Misconfigured(
            f"The disk of the area has {output.size(size_bytes)} in all; choose less to be kept free",
            min_free=output.size(wanted_bytes),
        )


def _make_folder(folder: Path) -> list[Path]:
    """Make the folder, see that it can be written, and tell which folders are new, innermost first."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    made: list[Path] = []
    try:
        for each in reversed(missing):
            each.mkdir(mode=0o750)
            made.insert(0, each)
        with closing(tempfile.TemporaryFile(dir=folder)):
            return made
    except OSError as error:
        for each in made:
            each.rmdir()
        raise Misconfigured("The folder cannot be used", path=folder, reason=error.strerror) from error


@click.command("list", epilog=example("archive area list"))
@json_option
@with_archive
def list_areas(archive: Archive, as_json: bool) -> None:
    """List the storage areas and their settings."""
    rows = [_described(archive, area) for area in archive.areas(None)]
    output.table(_LIST, rows, as_json=as_json, if_empty="No areas; add one: archive area add NAME PATH")


def _described(archive: Archive, area: Area) -> dict[str, Any]:
    return {
        "name": area.name,
        "folder": str(area.folder(archive.settings.data_folder)),
        "durability": "full" if area.durable else "relaxed",
        "duplicates": area.duplicates,
        "unknown_sop_classes": area.accept_unknown_sop_classes,
        "strict_names": area.strict_names,
        "answer_limit": area.answer_limit,
        "retrieve_limit": area.retrieve_limit,
        **writing.described(area),
        **_quota(area),
    }


def _quota(area: Area) -> dict[str, Any]:
    return {name: getattr(area.quota, name) for name in _LIMITS} | {
        "on_full": "evict" if area.quota.evicts else "reject"
    }


@click.command("show", epilog=example("archive area show ARCHIVE"))
@click.argument("name", shell_complete=names_of("area"))
@json_option
@with_archive
def show(archive: Archive, name: str, as_json: bool) -> None:
    """Show one area: its settings, the AE titles that work in it, and what it holds."""
    area = archive.area(name)
    titles = [title.title for title in archive.registry().titles.values() if title.area.pk == area.pk]
    output.facts(_described(archive, area) | {"ae_titles": titles} | used(archive, area), as_json=as_json)


@click.command("set", epilog=example("archive area set ARCHIVE --duplicates keep --answer-limit none"))
@click.argument("name", shell_complete=names_of("area"))
@_area_options
@with_outcome
def change(archive: Archive, outcome: Outcome, name: str, **given: Any) -> None:
    """Change settings of an area; what is not named stays. Holds for the next association."""
    chosen = _chosen(given)
    if not chosen:
        raise Misconfigured("Nothing to change; archive area set --help lists the settings")

    def work(connection: Connection) -> Area:
        changes.set_area(connection, name, chosen)
        area = snapshot.read(connection).areas[name]
        _require_disk(area, archive.settings.data_folder)
        evict.follow_policy(connection, area)
        return area

    area = archive.write(work)
    outcome.say(f"Area {name} is changed.")
    if said := writing.hint(area, chosen):
        outcome.hint(said)
    tell_evictions(outcome, list(enforce(archive, area)), "made room for the new limits")


@click.command("remove", epilog=example("archive area remove RESEARCH"))
@click.argument("name", shell_complete=names_of("area"))
@with_outcome
def remove(archive: Archive, outcome: Outcome, name: str) -> None:
    """Remove an area that holds nothing and in which no AE title works; its folder stays."""
    area = archive.area(name)

    def work(connection: Connection) -> None:
        if left := holdings.studies_left(connection, area.pk):
            raise Misconfigured(
                f"Area {name} holds {output.counted(left, 'study')}; remove them first, one by one: "
                f"archive study list --area {name}, archive study remove UID --area {name}"
            )
        if left := housekeeping.backlog(connection, area.pk).files_to_unlink:
            raise Misconfigured(
                f"{output.counted(left, 'file')} of area {name} still to be unlinked, which a running archive does: "
                "archive serve"
            )
        holdings.forget_notes(connection, area.pk)
        changes.remove_area(connection, name)

    archive.write(work)
    outcome.say(f"Area {name} is removed; its folder {area.folder(archive.settings.data_folder)} is left as it is.")
