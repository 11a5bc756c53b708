"""`archive study`: what the archive holds; to list, to look at, to remove."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click

from archive.cli import output
from archive.cli.name_completion import names_of
from archive.cli.options import Archive, MostRows, example, json_option, properties, with_archive, with_outcome
from archive.cli.output import Outcome
from archive.database.dialects import Connection
from archive.dicom.attributes import BY_KEYWORD, Level
from archive.errors import Misconfigured
from archive.index import evictable, holdings
from archive.index import remove as removal
from archive.index.holdings import HeldStudy
from archive.query.conditions import condition
from archive.query.model import Key, Model, Options, Query
from archive.registry import audit, changes
from archive.registry.snapshot import Area

__all__ = ["list_studies", "pin", "remove", "show", "unpin"]

_COLUMNS = (
    "area",
    "patient_id",
    "patient_name",
    "study_date",
    "modalities",
    "study_description",
    "number_of_series",
    "number_of_instances",
    "size_bytes",
    "study_instance_uid",
)
_SERIES = (
    "series_number",
    "modality",
    "series_description",
    "number_of_instances",
    "size_bytes",
    "series_instance_uid",
)

DEFAULT_LIMIT = 1000

# Which removals by hand share with a worker of one node or another.
_SHARD = 0


@click.command(
    "list",
    epilog=example("archive study list --patient-name 'smith*' --date 20260101-20260331", "archive study list --json"),
)
@click.option("--area", shell_complete=names_of("area"), metavar="NAME", help="Only in this area.")
@click.option("--patient-id", metavar="ID", help="Patient ID; * and ? are wild cards.")
@click.option("--patient-name", metavar="NAME", help="Patient's name, as in a C-FIND: * and ? are wild cards.")
@click.option("--date", metavar="A-B", help="Study date or range: 20260131, 20260101-20260131, 20260101-, -20260131.")
@click.option("--limit", type=MostRows, default=DEFAULT_LIMIT, show_default=True, help="Most studies to list.")
@json_option
@with_archive
def list_studies(
    archive: Archive,
    area: str | None,
    patient_id: str | None,
    patient_name: str | None,
    date: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List studies, in each area the one that came last first."""
    asked = {"PatientID": patient_id, "PatientName": patient_name, "StudyDate": date}
    rows: list[dict[str, Any]] = []
    for each in archive.areas(area):
        query = _query(each, {keyword: value for keyword, value in asked.items() if value is not None})
        with archive.read() as connection:
            found = holdings.list_studies(connection, query, each.pk, limit + 1 - len(rows))
        rows += [_row(each, study) for study in found]
        if len(rows) > limit:
            rows = rows[:limit]
            click.echo(f"There are more than {limit}; see --limit.", err=True)
            break
    output.table(_COLUMNS, rows, as_json=as_json, if_empty="No studies.")


def _query(area: Area, asked: dict[str, str]) -> Query:
    """The question of a C-FIND with these keys."""
    keys: list[Key] = []
    for keyword, value in asked.items():
        attribute = BY_KEYWORD[keyword]
        try:
            wanted = condition(attribute.vr, value, Options(strict_names=area.strict_names))
        except ValueError as error:
            raise Misconfigured(f"{value!r} is no value for {keyword}", reason=str(error)) from error
        if wanted is not None:
            keys.append(Key(attribute, wanted))
    return Query(Model.STUDY_ROOT, Level.STUDY, tuple(keys))


def _row(area: Area, study: HeldStudy) -> dict[str, Any]:
    values = {"area": area.name} | properties(study) | {"modalities": _split(study.modalities)}
    return {name: values[name] for name in _COLUMNS}


def _split(values: str | None) -> list[str]:
    return values.split("\\") if values else []


@click.command("show", epilog=example("archive study show 1.2.840.113619.2.55.3"))
@click.argument("uid")
@click.option("--area", shell_complete=names_of("area"), metavar="NAME", help="Only in this area.")
@json_option
@with_archive
def show(archive: Archive, uid: str, area: str | None, as_json: bool) -> None:
    """Show a study and its series, in every area that holds it."""
    shown: list[dict[str, Any]] = []
    for each, study in _held(archive, uid, area):
        with archive.read() as connection:
            below = [properties(series) for series in holdings.series_of(connection, study.pk)]
        details = {"area": each.name} | properties(study) | {"modalities": _split(study.modalities)}
        details.pop("pk")
        shown.append(details | {"series": below})
    if as_json:
        output.listing(shown)
        return
    for details in shown:
        below = details.pop("series")
        output.facts(details, as_json=False)
        output.table(_SERIES, below, as_json=False)


@click.command("remove", epilog=example("archive study remove 1.2.840.113619.2.55.3 --area ARCHIVE --yes"))
@click.argument("uid")
@click.option("--area", shell_complete=names_of("area"), metavar="NAME", help="The area, where several hold the study.")
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask.")
@with_outcome
def remove(archive: Archive, outcome: Outcome, uid: str, area: str | None, is_sure: bool) -> None:
    """Remove a study for good: its rows at once, its files as soon as the archive runs."""
    held = _held(archive, uid, area)
    if len(held) > 1:
        names = ", ".join(each.name for each, _ in held)
        raise Misconfigured(f"The study is in the areas {names}; name one with --area")
    [(where, study)] = held
    what = f"{output.counted(study.number_of_instances, 'instance')}, {output.size(study.size_bytes)}"
    if not is_sure:
        if not sys.stdin.isatty():
            raise Misconfigured(f"The study ({what}) is removed for good; say --yes")
        click.confirm(
            f"Remove study {uid} of patient {study.patient_id} ({what}) from area {where.name}?", abort=True, err=True
        )

    def work(connection: Connection) -> Any:
        removed = removal.remove_study(connection, study.pk, _SHARD, "removed", datetime.now(UTC))
        if removed is not None:
            audit.note(connection, "remove", "study", uid, before=_noted(where, study))
        return removed

    if archive.write(work) is None:
        raise Misconfigured("Somebody else has removed the study just now")
    outcome.say(f"Study {uid} is removed from area {where.name} ({what}); a running archive unlinks the files.")


def _of_study(command: Callable[..., Any]) -> Callable[..., Any]:
    """The arguments of a command about one study, in every area that holds it unless one is named."""
    for argument in (
        click.option("--area", shell_complete=names_of("area"), metavar="NAME", help="Only in this area."),
        click.argument("uid"),
    ):
        command = argument(command)
    return command


@click.command("pin", epilog=example("archive study pin 1.2.840.113619.2.55.3"))
@_of_study
@with_outcome
def pin(archive: Archive, outcome: Outcome, uid: str, area: str | None) -> None:
    """Keep a study: no quota takes it, until it is unpinned."""
    _set_pinned(archive, outcome, uid, area, is_pinned=True)


@click.command("unpin", epilog=example("archive study unpin 1.2.840.113619.2.55.3"))
@_of_study
@with_outcome
def unpin(archive: Archive, outcome: Outcome, uid: str, area: str | None) -> None:
    """Let a quota take a study again that was pinned."""
    _set_pinned(archive, outcome, uid, area, is_pinned=False)


def _set_pinned(archive: Archive, outcome: Outcome, uid: str, area: str | None, *, is_pinned: bool) -> None:
    held = _held(archive, uid, area)

    def work(connection: Connection) -> None:
        for where, study in held:
            changes.hold_area(connection, where.pk)  # a store that makes room has chosen what goes, and is at it
            if not evictable.pin(connection, study.pk, is_pinned=is_pinned):
                raise Misconfigured("Somebody else has removed the study just now")
            before = {"area": where.name, "is_pinned": study.is_pinned}
            after = {"area": where.name, "is_pinned": is_pinned}
            audit.note(connection, "pin" if is_pinned else "unpin", "study", uid, before=before, after=after)

    archive.write(work)
    for where, _ in held:
        outcome.say(f"Study {uid} is {'pinned' if is_pinned else 'no longer pinned'} in area {where.name}.")


def _noted(area: Area, study: HeldStudy) -> dict[str, Any]:
    """What is written down of a study that goes."""
    return {
        "area": area.name,
        "patient_id": study.patient_id,
        "number_of_series": study.number_of_series,
        "number_of_instances": study.number_of_instances,
        "size_bytes": study.size_bytes,
    }


def _held(archive: Archive, uid: str, area: str | None) -> list[tuple[Area, HeldStudy]]:
    """The areas that hold a study; raises Misconfigured if none does."""
    if not uid.strip() or "\\" in uid:  # to a query, no UID is any study, and several are any of these
        raise Misconfigured(f"{uid!r} does not name one study; run: archive study list")
    held: list[tuple[Area, HeldStudy]] = []
    for each in archive.areas(area):
        query = _query(each, {"StudyInstanceUID": uid})
        with archive.read() as connection:
            held += [(each, study) for study in holdings.list_studies(connection, query, each.pk, 1)]
    if not held:
        where = "" if area is None else f" in area {area}"
        raise Misconfigured(f"There is no study {uid}{where}; run: archive study list")
    return held
