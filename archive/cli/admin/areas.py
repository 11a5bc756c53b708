"""`archive area`: storage areas, where instances are kept, and how."""

import os
import re
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from archive.cli import output
from archive.cli.options import Archive, example, json_option, with_archive
from archive.database.dialects import Connection
from archive.errors import Misconfigured
from archive.index import holdings
from archive.index import usage as counters
from archive.lifecycle import evict
from archive.lifecycle.evict import Eviction
from archive.registry import changes, snapshot
from archive.registry.snapshot import Area
from archive.storage.local import LocalArea

__all__ = ["add", "change", "evict_now", "list_areas", "remove", "show", "usage"]

_LIST = ("name", "folder", "durability", "duplicates", "unknown_sop_classes", "strict_names", "answer_limit")
_LIMITS = ("max_studies", "max_study_bytes", "max_bytes", "max_age_days", "min_free_bytes")
_USAGE = (
    "area",
    "studies",
    "max_studies",
    "series",
    "instances",
    "size_bytes",
    "max_bytes",
    "files_to_unlink",
    "free_bytes",
    "min_free_bytes",
)
_EVICTIONS = ("study_instance_uid", "patient_id", "last_stored_at", "instances", "size_bytes", "reason")

# Evictions by hand share the shard of the first worker.
_SHARD = 0


NONE = "none"

_SIZE = re.compile(r"([0-9]{1,12})(b|kb|mb|gb|tb)", re.IGNORECASE)
_UNITS = {"b": 1, "kb": 2**10, "mb": 2**20, "gb": 2**30, "tb": 2**40}  # as dcmqrscp's configuration has them
_MOST_BYTES = 2**63 - 1
_MOST_DAYS = 36_500  # a hundred years


class Limit(click.ParamType[int | str]):
    """A number above 0 and up to `most`, or none."""

    name = "N|none"

    def __init__(self, most: int = 2**31 - 1) -> None:
        self._most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if str(value).lower() == NONE:
            return NONE
        if not str(value).isascii() or not str(value).isdigit() or not 0 < int(value) <= self._most:
            self.fail(f"{value!r} is neither a number above 0 nor none; the most is {self._most}", param, ctx)
        return int(value)


class SizeLimit(click.ParamType[int | str]):
    """A size above 0 with its unit, in powers of 1024, or none."""

    name = "SIZE|none"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if isinstance(value, int) or str(value).lower() == NONE:
            return value if isinstance(value, int) else NONE
        found = _SIZE.fullmatch(str(value))
        size_bytes = int(found[1]) * _UNITS[found[2].lower()] if found else 0
        if not 0 < size_bytes <= _MOST_BYTES:
            self.fail(f"{value!r} is neither a size, as 500mb or 2tb, nor none", param, ctx)
        return size_bytes


def _area_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--answer-limit", type=Limit(), help="Most answers of one C-FIND; by default none."),
        click.option(
            "--on-full",
            type=click.Choice(["reject", "evict"]),
            help="What happens to an instance that does not fit: it is refused (A700, default), or what was stored to "
            "least recently makes room.",
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
    columns = {"unknown_sop_classes": "accept_unknown_sop_classes"}
    chosen = {columns.get(name, name): value for name, value in given.items() if value is not None}
    return {name: None if value == NONE else value for name, value in chosen.items()}


@click.command(
    "add", epilog=example("archive area add RESEARCH /srv/research --durability relaxed --answer-limit 5000")
)
@click.argument("name")
@click.argument("path")
@_area_options
@with_archive
def add(archive: Archive, name: str, path: str, **given: Any) -> None:
    """Add a storage area that keeps its files below the folder PATH, which is made if it is missing."""
    folder = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links, which may be moved later
    data = archive.settings.data_folder

    def work(connection: Connection) -> None:
        _require_apart(folder, snapshot.read(connection).areas.values(), data)
        changes.add_area(connection, name, str(folder), _chosen(given))

    made = _make_folder(folder)
    try:
        archive.write(work)
    except BaseException:
        for each in made:
            each.rmdir()
        raise
    click.echo(f"Area {name} keeps its files in {folder}.")
    click.echo(f"Nobody can use it yet; run: archive ae add TITLE --area {name} --access RW", err=True)


def _require_apart(folder: Path, areas: Any, data: Path) -> None:
    """Two areas never share a folder, however it is spelt: relative to the data folder, or by a symbolic link."""
    real = Path(os.path.realpath(folder))
    for area in areas:
        other = Path(os.path.realpath(area.folder(data)))
        if real.is_relative_to(other) or other.is_relative_to(real):
            raise Misconfigured(
                f"The folder lies in that of area {area.name}, or that in it; choose another", path=folder
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
        **_quota(area),
    }


def _quota(area: Area) -> dict[str, Any]:
    return {name: getattr(area.quota, name) for name in _LIMITS} | {
        "on_full": "evict" if area.quota.evicts else "reject"
    }


@click.command("show", epilog=example("archive area show ARCHIVE"))
@click.argument("name")
@json_option
@with_archive
def show(archive: Archive, name: str, as_json: bool) -> None:
    """Show one area: its settings, the AE titles that work in it, and what it holds."""
    area = archive.area(name)
    titles = [title.title for title in archive.registry().titles.values() if title.area.pk == area.pk]
    held = _used(archive, area)
    held.pop("area")
    output.facts(_described(archive, area) | {"ae_titles": titles} | held, as_json=as_json)


@click.command("usage", epilog=example("archive area usage --json"))
@click.argument("name", required=False)
@json_option
@with_archive
def usage(archive: Archive, name: str | None, as_json: bool) -> None:
    """Show what areas hold, and what room their disks have left."""
    rows = [_used(archive, area) for area in archive.areas(name)]
    output.table(_USAGE, rows, as_json=as_json, if_empty="No areas; add one: archive area add NAME PATH")


def _used(archive: Archive, area: Area) -> dict[str, Any]:
    with archive.read() as connection:
        held = counters.of_area(connection, area.pk)
        waiting = holdings.deletions_left(connection, area.pk)
    return {
        "area": area.name,
        "studies": held.number_of_studies,
        "series": held.number_of_series,
        "instances": held.number_of_instances,
        "size_bytes": held.size_bytes,
        "files_to_unlink": waiting,
        "free_bytes": _free_bytes(archive, area),
        "max_studies": area.quota.max_studies,
        "max_bytes": area.quota.max_bytes,
        "min_free_bytes": area.quota.min_free_bytes,
    }


def _free_bytes(archive: Archive, area: Area) -> int | None:
    return LocalArea(area.folder(archive.settings.data_folder)).free_bytes()


@click.command("set", epilog=example("archive area set ARCHIVE --duplicates keep --answer-limit none"))
@click.argument("name")
@_area_options
@with_archive
def change(archive: Archive, name: str, **given: Any) -> None:
    """Change settings of an area; what is not named stays. Holds for the next association."""
    chosen = _chosen(given)
    if not chosen:
        raise Misconfigured("Nothing to change; archive area set --help lists the settings")

    def work(connection: Connection) -> list[Eviction]:
        changes.set_area(connection, name, chosen)
        area = snapshot.read(connection).areas[name]
        return evict.follow_policy(connection, area, _SHARD, datetime.now(UTC), _free_bytes(archive, area))

    evicted = archive.write(work)
    click.echo(f"Area {name} is changed.")
    _say_evictions(evicted, "made room for the new limits")


def _say_evictions(evicted: Sequence[Eviction], what: str) -> None:
    if evicted:
        freed = output.size(sum(each.size_bytes for each in evicted))
        click.echo(f"{output.counted(len(evicted), 'study')} {what}: {freed}.")


@click.command("evict", epilog=example("archive area evict ARCHIVE --dry-run"))
@click.argument("name")
@click.option("--dry-run", "is_dry", is_flag=True, help="Show what would go and what that frees; change nothing.")
@json_option
@with_archive
def evict_now(archive: Archive, name: str, is_dry: bool, as_json: bool) -> None:
    """Bring an area within its quota now: what is too old, too large or too much goes, and files with it."""
    area = archive.area(name)
    now, free_bytes = datetime.now(UTC), _free_bytes(archive, area)
    if is_dry:
        with archive.read() as connection:
            evicted = list(evict.due(connection, area, now, free_bytes))
    else:
        evicted = archive.write(lambda connection: evict.enforce(connection, area, _SHARD, now, free_bytes))
    rows = [
        {
            "study_instance_uid": each.study.study_instance_uid,
            "patient_id": each.study.patient_id,
            "last_stored_at": each.study.last_stored_at,
            "instances": each.number_of_instances,
            "size_bytes": each.size_bytes,
            "reason": each.reason.value,
        }
        for each in evicted
    ]
    output.table(_EVICTIONS, rows, as_json=as_json, if_empty=f"Area {name} is within its quota.")
    if not as_json:
        _say_evictions(evicted, "would go" if is_dry else "went")


@click.command("remove", epilog=example("archive area remove RESEARCH"))
@click.argument("name")
@with_archive
def remove(archive: Archive, name: str) -> None:
    """Remove an area that holds nothing and in which no AE title works; its folder stays."""
    area = archive.area(name)

    def work(connection: Connection) -> None:
        if left := holdings.studies_left(connection, area.pk):
            raise Misconfigured(
                f"Area {name} holds {output.counted(left, 'study')}; remove them first, one by one: "
                f"archive study list --area {name}, archive study remove UID --area {name}"
            )
        if left := holdings.deletions_left(connection, area.pk):
            raise Misconfigured(
                f"{output.counted(left, 'file')} of area {name} still to be unlinked, which a running archive does: "
                "archive serve"
            )
        holdings.forget_notes(connection, area.pk)
        changes.remove_area(connection, name)

    archive.write(work)
    click.echo(f"Area {name} is removed; its folder {area.folder(archive.settings.data_folder)} is left as it is.")
