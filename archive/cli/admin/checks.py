"""`archive check`: rows against files, files against rows, counters against sums."""

import time
from collections.abc import Iterable
from contextlib import closing
from typing import Any

import click

from archive.cli import output, progress
from archive.cli.main import FAILED
from archive.cli.name_completion import names_of
from archive.cli.options import Archive, example, with_outcome
from archive.cli.output import Outcome
from archive.database.dialects import Connection
from archive.errors import Misconfigured
from archive.index.checks import WrongCounters
from archive.lifecycle import importing
from archive.lifecycle import reconcile as work
from archive.lifecycle.importing import Fate
from archive.lifecycle.reconcile import Survey
from archive.lifecycle.verify import Fault, Verification
from archive.registry import audit
from archive.registry.snapshot import Area

__all__ = ["reconcile", "verify"]

# More files without rows than this, and than there are rows, look like the wrong database rather than like a crash.
_DOUBTFUL_FILES = 1000

_COUNTERS = ("number_of_studies", "number_of_series", "number_of_instances", "size_bytes")


@click.command(
    "verify", epilog=example("archive check verify --area ARCHIVE", "archive check verify --checksums --record")
)
@click.option("--area", shell_complete=names_of("area"), metavar="NAME", help="Only this area.")
@click.option(
    "--checksums",
    "reads_files",
    is_flag=True,
    help="Read every file, and hold it against the checksum in its row.",
)
@click.option(
    "--record",
    "records_checksums",
    is_flag=True,
    help="With --checksums: write down the checksum of a file that has none yet, as one indexed in place.",
)
@click.option(
    "--after",
    metavar="NUMBER",
    type=click.IntRange(0, 2**63 - 1),
    default=0,
    help="Begin behind this instance (instances.pk), where an earlier check of --area was stopped.",
)
@with_outcome
def verify(
    archive: Archive, outcome: Outcome, area: str | None, reads_files: bool, records_checksums: bool, after: int
) -> None:
    """Look at the file of every row, and at every counter. Exit code 1 if something is wrong.

    Nothing is changed, but for checksums that are missing with --record.
    """
    if records_checksums and not reads_files:
        raise Misconfigured("--record goes with --checksums")
    if after and area is None:
        raise Misconfigured("--after is a number in one area; name it with --area")
    results: list[dict[str, Any]] = []
    for each in archive.areas(area):
        check = Verification(
            archive.database,
            each,
            archive.settings.data_folder,
            reads_files=reads_files,
            records_checksums=records_checksums,
            after=after,
        )
        results.append(_verify(archive, outcome, each, check))
    outcome.tell(areas=results)
    outcome.is_failure = any(result["wrong_files"] or result["wrong_counters"] for result in results)


def _verify(archive: Archive, outcome: Outcome, area: Area, check: Verification) -> dict[str, Any]:
    """Verify one area, and say what is wrong; the same as values."""
    faults: list[dict[str, Any]] = []
    try:
        with progress.bar(f"Verifying {area.name}", check.number_to_do) as advance, closing(check.faults()) as found:
            check.advance = advance
            for fault in found:
                faults.append(_fault(fault))
                outcome.say(f"{area.name}: {_in_words(fault)}")
    except KeyboardInterrupt:
        click.echo(f"Stopped. To go on: --area {area.name} --after {check.last_pk}", err=True)
        click.get_current_context().exit(FAILED)
    finally:
        if recorded := check.number_recorded:
            _note(archive, "record", area, after={"checksums": recorded})
    counters = work.verify_counters(archive.database, area)
    _say_counters(outcome, area, counters)
    if recorded:
        outcome.say(f"{area.name}: {output.counted(recorded, 'checksum')} written down.")
    if check.reads_files and check.number_without_checksum:
        without = output.counted(check.number_without_checksum, "file")
        outcome.say(f"{area.name}: {without} without a checksum; see --record.")
    outcome.say(
        f"{area.name}: {output.counted(len(faults), 'file')} and {output.counted(len(counters), 'counter')} wrong."
    )
    return {
        "area": area.name,
        "files": check.number_of_files,
        "without_checksum": check.number_without_checksum,
        "checksums_recorded": recorded,
        "wrong_files": faults,
        "wrong_counters": _as_values(counters),
    }


def _fault(fault: Fault) -> dict[str, Any]:
    row, found = fault.file, fault.found
    return {
        "path": row.path,
        "sop_instance_uid": row.sop_instance_uid,
        "expected_bytes": row.size_bytes,
        "found_bytes": found.size_bytes,
        "expected_checksum": None if row.checksum is None else row.checksum.hex(),
        "found_checksum": None if found.checksum is None else found.checksum.hex(),
        "trouble": found.trouble,
    }


def _in_words(fault: Fault) -> str:
    row, found = fault.file, fault.found
    if found.size_bytes is None:
        what = "missing"
    elif found.trouble:
        what = f"cannot be read: {found.trouble}"
    elif found.size_bytes != row.size_bytes:
        what = f"{found.size_bytes} bytes, not {row.size_bytes}"
    else:
        assert found.checksum is not None
        assert row.checksum is not None
        what = f"checksum {found.checksum.hex()}, not {row.checksum.hex()}"
    return f"{row.path or 'in the database'}: {what} (SOP instance {row.sop_instance_uid})"


def _note(archive: Archive, action: str, area: Area, **values: dict[str, Any]) -> None:
    """Write down what was done file by file, which no transaction holds all of."""
    archive.write(lambda connection: audit.note(connection, action, "area", area.name, **values))


def _say_counters(outcome: Outcome, area: Area, wrong: Iterable[WrongCounters]) -> None:
    for each in wrong:
        name = f"{each.level.lower()} {each.uid}".strip()
        outcome.say(f"{area.name}: counters of {name}: {_differences(each)}")


def _differences(wrong: WrongCounters) -> str:
    pairs = {name: (getattr(wrong.held, name), getattr(wrong.counted, name)) for name in _COUNTERS}
    words = {name: name.removeprefix("number_of_").removeprefix("size_") for name in _COUNTERS}
    return ", ".join(f"{held} {words[name]}, not {truth}" for name, (held, truth) in pairs.items() if held != truth)


def _as_values(wrong: Iterable[WrongCounters]) -> list[dict[str, Any]]:
    return [
        {
            "level": each.level,
            "uid": each.uid,
            "counters": {name: getattr(each.held, name) for name in _COUNTERS},
            "truth": {name: getattr(each.counted, name) for name in _COUNTERS},
        }
        for each in wrong
    ]


@click.command(
    "reconcile",
    epilog=example(
        "archive check reconcile",
        "archive check reconcile --adopt --dry-run",
        "archive check reconcile --delete --repair",
    ),
)
@click.option("--area", shell_complete=names_of("area"), metavar="NAME", help="Only this area.")
@click.option(
    "--adopt", "adopts", is_flag=True, help="Index the files without a row, if the area holds no such instance."
)
@click.option("--delete", "deletes", is_flag=True, help="Delete the files without a row.")
@click.option("--repair", "repairs", is_flag=True, help="Set wrong counters right.")
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Say what these would do, file by file; change nothing.")
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
@with_outcome
def reconcile(archive: Archive, outcome: Outcome, area: str | None, **given: Any) -> None:
    """Look for what a crash left: files without a row, rows without a file, wrong counters.

    Changes nothing unless told to. A row without a file is only reported: it is an instance that was lost. Exit code 1
    if something is wrong and stays so.
    """
    if given["adopts"] and given["deletes"]:
        raise Misconfigured("--adopt and --delete exclude each other; adopt first, then delete what is left")
    results = [_Reconciliation(archive, outcome, each, **given).run() for each in archive.areas(area)]
    outcome.tell(is_dry_run=given["is_dry_run"], areas=results)
    outcome.is_failure = any(result["stays_wrong"] for result in results)


class _Reconciliation:
    """One area under way: what is done is said, or kept for JSON."""

    def __init__(
        self,
        archive: Archive,
        outcome: Outcome,
        area: Area,
        *,
        adopts: bool,
        deletes: bool,
        repairs: bool,
        is_dry_run: bool,
        older_than_seconds: float,
        is_sure: bool,
    ) -> None:
        self._archive = archive
        self._outcome = outcome
        self._area = area
        self._adopts = adopts
        self._deletes = deletes
        self._repairs = repairs
        self._is_dry_run = is_dry_run
        self._older_than_seconds = older_than_seconds
        self._is_sure = is_sure

    def run(self) -> dict[str, Any]:
        """Reconcile the area."""
        data, age = self._archive.settings.data_folder, self._older_than_seconds
        with progress.bar(f"Surveying {self._area.name}", None) as advance:
            survey = Survey(
                self._archive.database, self._area, data, older_than_seconds=age, now=time.time(), advance=advance
            )
        with survey:
            self._say_survey(survey)
            missing = list(survey.missing_files())
            for path in missing:
                self._say(f"{path}: missing")
            deleted = self._delete(survey) if self._deletes and survey.leftovers else []
            adopted, not_adopted = self._adopt(survey) if self._adopts and survey.leftovers else (0, [])
            number_of_leftovers = len(survey.leftovers)
        repairs = self._repairs and not self._is_dry_run
        counters = self._repair() if repairs else work.verify_counters(self._archive.database, self._area)
        _say_counters(self._outcome, self._area, counters)
        if counters and self._repairs:
            self._say(f"these counters {'would be' if self._is_dry_run else 'are'} set right.")
        left = not_adopted if self._adopts else number_of_leftovers and not self._deletes
        stays_wrong = bool(missing) or bool(left) or (bool(counters) and not self._repairs)
        return {
            "area": self._area.name,
            "rows": survey.number_of_rows,
            "files": survey.number_of_files,
            "files_without_row": number_of_leftovers,
            "files_without_row_bytes": survey.leftover_bytes,
            "young_files_without_row": survey.number_of_young_files,
            "rows_without_file": missing,
            "deleted": deleted,
            "adopted": adopted,
            "not_adopted": not_adopted,
            "wrong_counters": _as_values(counters),
            "stays_wrong": stays_wrong or (self._is_dry_run and bool(number_of_leftovers or counters)),
        }

    def _say(self, sentence: str) -> None:
        self._outcome.say(f"{self._area.name}: {sentence}")

    def _repair(self) -> list[WrongCounters]:
        def repair(connection: Connection) -> list[WrongCounters]:
            wrong = work.repair_counters(connection, self._area)
            if wrong:
                before = {"wrong_counters": len(wrong)}
                audit.note(connection, "repair", "area", self._area.name, before=before)
            return wrong

        return self._archive.write(repair)

    def _say_survey(self, survey: Survey) -> None:
        self._say(
            f"{output.counted(survey.number_of_rows, 'row')}, "
            f"{output.counted(survey.number_of_files, 'file')}; "
            f"{output.counted(len(survey.leftovers), 'file')} without a row ({output.size(survey.leftover_bytes)}), "
            f"{output.counted(len(survey.missing), 'row')} without a file."
        )
        if survey.number_of_young_files:
            young = output.counted(survey.number_of_young_files, "file")
            self._say(f"{young} without a row too young to judge; see --older-than.")

    def _delete(self, survey: Survey) -> list[str]:
        number = len(survey.leftovers)
        if number > max(_DOUBTFUL_FILES, survey.number_of_rows) and not self._is_sure:
            raise Misconfigured(
                f"Most files of area {self._area.name} have no row, which looks like the wrong database: nothing is "
                "deleted; to delete them all the same, say --yes"
            )
        doing = "would delete" if self._is_dry_run else "deleting"
        self._say(f"{doing} {output.counted(number, 'file')}:")
        named: list[str] = []
        try:
            with progress.bar(f"Deleting in {self._area.name}", number) as advance:
                for path in survey.files_without_row() if self._is_dry_run else survey.delete_leftovers():
                    self._say(path)
                    named.append(path)
                    advance(1)
        finally:
            if gone := survey.number_of_deleted_files:
                _note(self._archive, "delete", self._area, before={"files": gone})
        return named

    def _adopt(self, survey: Survey) -> tuple[int, list[dict[str, str]]]:
        """How many files have a row now, and which have none, and why."""
        number = len(survey.leftovers)
        self._say(f"{'would adopt' if self._is_dry_run else 'adopting'} {output.counted(number, 'file')}:")
        adopted, others = 0, list[dict[str, str]]()
        outcomes = importing.adopt(
            self._archive.database,
            self._area,
            self._archive.settings.data_folder,
            survey.files_without_row(),
            older_than_seconds=self._older_than_seconds,
            is_dry_run=self._is_dry_run,
        )
        try:
            with progress.bar(f"Adopting in {self._area.name}", number) as advance, closing(outcomes):
                for outcome in outcomes:
                    advance(1)
                    path = outcome.path
                    if outcome.fate is Fate.STORED:
                        adopted += 1
                        self._say(path)
                        continue
                    reason = outcome.reason or "the area holds this instance already"
                    others.append({"path": path, "reason": reason})
                    self._say(f"{path}: not adopted: {reason}")
        finally:
            if adopted and not self._is_dry_run:
                _note(self._archive, "adopt", self._area, after={"files": adopted})
        return adopted, others
