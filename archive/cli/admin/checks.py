"""`archive check`: rows against files, files against rows, counters against sums."""

import time
from collections.abc import Iterable
from typing import Any

import click

from archive.cli import output
from archive.cli.main import FAILED
from archive.cli.options import Archive, example, with_archive
from archive.errors import Misconfigured
from archive.index.checks import WrongCounters
from archive.lifecycle import reconcile as work
from archive.lifecycle.reconcile import Survey
from archive.registry.snapshot import Area

__all__ = ["reconcile", "verify"]

# More files without rows than this, and than there are rows, look like the wrong database rather than like a crash.
_DOUBTFUL_FILES = 1000


@click.command("verify", epilog=example("archive check verify --area ARCHIVE"))
@click.option("--area", metavar="NAME", help="Only this area.")
@with_archive
def verify(archive: Archive, area: str | None) -> None:
    """Look at the file of every row, and at every counter; changes nothing. Exit code 1 if something is wrong."""
    is_wrong = False
    for each in archive.areas(area):
        faults = 0
        for fault in work.verify_files(archive.database, each, archive.settings.data_folder):
            faults += 1
            what = "missing" if fault.found_bytes is None else f"{fault.found_bytes} bytes, not {fault.file.size_bytes}"
            where = fault.file.path or "in the database"
            click.echo(f"{each.name}: {where}: {what} (SOP instance {fault.file.sop_instance_uid})")
        counters = work.verify_counters(archive.database, each)
        _say_counters(each, counters)
        is_wrong |= bool(faults or counters)
        click.echo(
            f"{each.name}: {output.counted(faults, 'file')} and {output.counted(len(counters), 'counter')} wrong."
        )
    if is_wrong:
        click.get_current_context().exit(FAILED)


def _say_counters(area: Area, wrong: Iterable[WrongCounters]) -> None:
    for each in wrong:
        name = f"{each.level.lower()} {each.uid}".strip()
        click.echo(f"{area.name}: counters of {name}: {_differences(each)}")


def _differences(wrong: WrongCounters) -> str:
    names = ("number_of_studies", "number_of_series", "number_of_instances", "size_bytes")
    pairs = {name: (getattr(wrong.held, name), getattr(wrong.counted, name)) for name in names}
    words = {name: name.removeprefix("number_of_").removeprefix("size_") for name in names}
    return ", ".join(f"{held} {words[name]}, not {truth}" for name, (held, truth) in pairs.items() if held != truth)


@click.command("reconcile", epilog=example("archive check reconcile", "archive check reconcile --delete --repair"))
@click.option("--area", metavar="NAME", help="Only this area.")
@click.option("--delete", "deletes", is_flag=True, help="Delete the files without a row.")
@click.option("--repair", "repairs", is_flag=True, help="Set wrong counters right.")
@click.option(
    "--older-than",
    "older_than_seconds",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    default=work.GRACE_SECONDS,
    show_default=True,
    help="Let younger files be: the rows of stores under way are still to come.",
)
@click.option("--yes", "is_sure", is_flag=True, help="Delete even if most files have no row.")
@with_archive
def reconcile(archive: Archive, area: str | None, **given: Any) -> None:
    """Look for what a crash left: files without a row, rows without a file, wrong counters.

    Changes nothing unless told to. A row without a file is only reported: it is an instance that was lost. Exit code 1
    if something is wrong and stays so.
    """
    stays_wrong = [_reconcile(archive, each, **given) for each in archive.areas(area)]
    if any(stays_wrong):
        click.get_current_context().exit(FAILED)


def _reconcile(
    archive: Archive, area: Area, *, deletes: bool, repairs: bool, older_than_seconds: float, is_sure: bool
) -> bool:
    """Reconcile one area; whether something stays wrong."""
    data = archive.settings.data_folder
    with Survey(archive.database, area, data, older_than_seconds=older_than_seconds, now=time.time()) as survey:
        _say_survey(area, survey)
        lost = 0
        for path in survey.missing_files():
            lost += 1
            click.echo(f"{area.name}: {path}: missing")
        if deletes and survey.leftovers:
            _delete(area, survey, is_sure)
    counters = (work.repair_counters if repairs else work.verify_counters)(archive.database, area)
    _say_counters(area, counters)
    if counters and repairs:
        click.echo(f"{area.name}: these counters are set right.")
    return lost > 0 or (len(survey.leftovers) > 0 and not deletes) or (bool(counters) and not repairs)


def _say_survey(area: Area, survey: Survey) -> None:
    click.echo(
        f"{area.name}: {output.counted(survey.number_of_rows, 'row')}, "
        f"{output.counted(survey.number_of_files, 'file')}; "
        f"{output.counted(len(survey.leftovers), 'file')} without a row ({output.size(survey.leftover_bytes)}), "
        f"{output.counted(len(survey.missing), 'row')} without a file."
    )
    if survey.number_of_young_files:
        young = output.counted(survey.number_of_young_files, "file")
        click.echo(f"{area.name}: {young} without a row too young to judge; see --older-than.")


def _delete(area: Area, survey: Survey, is_sure: bool) -> None:
    number = len(survey.leftovers)
    if number > max(_DOUBTFUL_FILES, survey.number_of_rows) and not is_sure:
        raise Misconfigured(
            f"Most files of area {area.name} have no row, which looks like the wrong database: nothing is deleted; "
            "to delete them all the same, say --yes"
        )
    click.echo(f"{area.name}: deleting {output.counted(number, 'file')}:")
    for path in survey.delete_leftovers():
        click.echo(f"{area.name}: {path}")
