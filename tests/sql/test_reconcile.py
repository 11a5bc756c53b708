"""Rows against files, files against rows, counters against sums: what a crash leaves is found, and only that goes."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from archive.database import transaction
from archive.errors import DiskFailed
from archive.index import checks, remove, usage
from archive.index.tables import area_usage, deletions, instances, series, studies, study_usage
from archive.lifecycle import importing, reconcile
from archive.lifecycle.importing import Fate
from archive.lifecycle.reconcile import Survey
from archive.lifecycle.verify import Fault, Verification
from archive.storage import paths
from tests.fix_archive import FoundedArchive
from tests.fix_instances import instance, part10_bytes


@pytest.fixture
def filled(founded: FoundedArchive) -> FoundedArchive:
    """Two studies of two series of two instances."""
    numbers = [(study, series, number) for study in (1, 2) for series in (1, 2) for number in (1, 2)]
    founded.store(*(instance(study=study, series=series, number=number) for study, series, number in numbers))
    return founded


def survey(archive: FoundedArchive, older_than_seconds: float = 0, now: float | None = None) -> Survey:
    later = time.time() + 1 if now is None else now
    return Survey(archive.database, archive.area, archive.data, older_than_seconds=older_than_seconds, now=later)


def faults(archive: FoundedArchive) -> list[Fault]:
    return list(Verification(archive.database, archive.area, archive.data).faults())


def leave_file(archive: FoundedArchive, age_seconds: float = 0) -> Path:
    """What a store that was killed before its transaction leaves."""
    when = time.time() - age_seconds
    path = archive.folder / paths.new_path(datetime.fromtimestamp(when, UTC))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"rubbish")
    os.utime(path, (when, when))
    return path


def relative(archive: FoundedArchive, path: Path) -> str:
    return path.relative_to(archive.folder).as_posix()


def test_a_sound_area_has_nothing_to_reconcile(filled: FoundedArchive) -> None:
    with survey(filled) as found:
        assert (found.number_of_rows, found.number_of_files) == (8, 8)
        assert (len(found.leftovers), len(found.missing)) == (0, 0)
    assert faults(filled) == []
    assert reconcile.verify_counters(filled.database, filled.area) == []


def test_a_file_without_a_row_is_found_and_only_it_is_deleted(filled: FoundedArchive) -> None:
    kept = filled.files()
    rubbish = [leave_file(filled, age_seconds) for age_seconds in (3600, 7200, 86_400)]

    with survey(filled) as found:
        assert (len(found.leftovers), found.leftover_bytes) == (3, 21)
        named = list(found.delete_leftovers())

    assert sorted(named) == sorted(relative(filled, path) for path in rubbish)
    assert filled.files() == kept


def test_a_young_file_is_let_be(filled: FoundedArchive) -> None:
    rubbish = leave_file(filled)

    with survey(filled, older_than_seconds=600, now=time.time()) as found:
        assert found.number_of_young_files == 1
        assert list(found.delete_leftovers()) == []

    assert rubbish.exists()


def test_a_file_that_waits_to_be_unlinked_is_housekeepings(filled: FoundedArchive) -> None:
    with transaction.read(filled.database) as connection:
        study_pk = connection.scalars(select(studies.c.pk)).first()
    assert study_pk is not None
    now = datetime.now(UTC)
    transaction.write(filled.database, lambda connection: remove.remove_study(connection, study_pk, 0, "removed", now))

    with survey(filled) as found:
        assert (found.number_of_rows, found.number_of_files) == (4, 8)
        assert list(found.delete_leftovers()) == []

    assert len(filled.files()) == 8


def test_a_file_that_waits_and_is_gone_already_is_not_missed(filled: FoundedArchive) -> None:
    queued = {"area_pk": filled.area.pk, "path": "2026/01/01/0000/" + "0" * 32 + ".dcm", "reason": "removed"}
    queued |= {"queued_at": datetime.now(UTC), "size_bytes": 1}
    transaction.write(filled.database, lambda connection: connection.execute(deletions.insert(), queued))

    with survey(filled) as found:
        assert list(found.missing_files()) == []


def test_a_file_that_gets_its_row_after_the_survey_is_kept(filled: FoundedArchive) -> None:
    late = leave_file(filled, 3600)

    with survey(filled) as found:
        assert len(found.leftovers) == 1
        row = update(instances).where(instances.c.pk == 1).values(path=relative(filled, late))
        transaction.write(filled.database, lambda connection: connection.execute(row))
        assert list(found.delete_leftovers()) == []

    assert late.exists()


def test_a_file_that_is_indexed_while_others_are_being_deleted_is_kept(filled: FoundedArchive) -> None:
    first, second = sorted(leave_file(filled, age_seconds) for age_seconds in (7200, 3600))
    second.write_bytes(part10_bytes(instance(study=3)))

    with survey(filled) as found:
        deleting = found.delete_leftovers()
        assert next(deleting) == relative(filled, first)  # and whoever reads that goes and adopts the other
        adopting = importing.adopt(
            filled.database, filled.area, filled.data, [relative(filled, second)], older_than_seconds=0
        )
        assert [outcome.fate for outcome in adopting] == [Fate.STORED]
        list(deleting)

    assert (first.exists(), second.exists()) == (False, True)
    assert faults(filled) == []


def test_what_is_not_ours_is_never_touched(filled: FoundedArchive) -> None:
    strangers = [filled.folder / "README", filled.files()[0].parent / "notes.txt", filled.folder / "2026x" / "a.dcm"]
    for path in strangers:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")

    with survey(filled) as found:
        assert list(found.delete_leftovers()) == []

    assert all(path.exists() for path in strangers)


def test_a_row_without_a_file_is_reported_by_both_checks(filled: FoundedArchive) -> None:
    lost = filled.files()[3]
    lost.unlink()

    with survey(filled) as found:
        missing = list(found.missing_files())
    found_faults = faults(filled)

    assert missing == [relative(filled, lost)]
    assert [(fault.file.path, fault.found.size_bytes) for fault in found_faults] == [(relative(filled, lost), None)]


def test_a_row_that_was_removed_after_the_survey_is_not_reported(filled: FoundedArchive) -> None:
    lost = filled.files()[3]
    lost.unlink()

    with survey(filled) as found:
        gone = delete(instances).where(instances.c.path == relative(filled, lost))
        transaction.write(filled.database, lambda connection: connection.execute(gone))
        assert list(found.missing_files()) == []


def test_a_file_of_another_size_is_found(filled: FoundedArchive) -> None:
    short = filled.files()[0]
    short.write_bytes(b"cut")

    [fault] = faults(filled)

    assert (fault.file.path, fault.found.size_bytes) == (relative(filled, short), 3)


def test_a_folder_that_is_not_there_is_said_before_every_file_is_missed(filled: FoundedArchive) -> None:
    filled.folder.rename(filled.folder.with_name("elsewhere"))

    with pytest.raises(DiskFailed, match="is its disk mounted"):
        survey(filled)
    with pytest.raises(DiskFailed, match="is its disk mounted"):
        faults(filled)


def spoil_counters(archive: FoundedArchive) -> None:
    def spoil(connection) -> None:
        connection.execute(update(series).where(series.c.pk == 1).values(number_of_instances=9, size_bytes=1))
        connection.execute(update(study_usage).where(study_usage.c.study_pk == 2).values(number_of_series=7))
        connection.execute(update(area_usage).values(number_of_studies=area_usage.c.number_of_studies + 5))

    transaction.write(archive.database, spoil)


def test_wrong_counters_are_found_at_every_level(filled: FoundedArchive) -> None:
    spoil_counters(filled)

    wrong = reconcile.verify_counters(filled.database, filled.area)

    # The study of the series differs too: it is held against what its series say.
    assert [each.level for each in wrong] == ["SERIES", "STUDY", "STUDY", "AREA"]
    assert (wrong[0].held.number_of_instances, wrong[0].counted.number_of_instances) == (9, 2)
    assert (wrong[2].held.number_of_series, wrong[2].counted.number_of_series) == (7, 2)
    assert (wrong[3].held.number_of_studies, wrong[3].counted.number_of_studies) == (7, 2)


def test_a_repair_sets_every_counter_right_once(filled: FoundedArchive) -> None:
    spoil_counters(filled)

    repaired = transaction.write(filled.database, lambda connection: reconcile.repair_counters(connection, filled.area))

    assert [each.level for each in repaired] == ["SERIES", "STUDY", "AREA"]
    assert reconcile.verify_counters(filled.database, filled.area) == []
    assert (
        transaction.write(filled.database, lambda connection: reconcile.repair_counters(connection, filled.area)) == []
    )
    with transaction.read(filled.database) as connection:
        assert usage.of_area(connection, filled.area.pk) == usage.counted(connection, filled.area.pk)


def test_stores_and_removals_keep_all_counters_right(filled: FoundedArchive) -> None:
    filled.store(instance(study=1, number=1), instance(study=3, series=5))
    with transaction.read(filled.database) as connection:
        study_pk = connection.scalars(select(studies.c.pk)).first()
    assert study_pk is not None
    now = datetime.now(UTC)

    transaction.write(filled.database, lambda connection: remove.remove_study(connection, study_pk, 3, "removed", now))

    assert reconcile.verify_counters(filled.database, filled.area) == []


def test_the_paths_of_an_area_come_by_code_point_whatever_the_collation(filled: FoundedArchive) -> None:
    for number, path in enumerate(("b", "B", "a/b", "a", "é", "_"), 1):
        renamed = update(instances).where(instances.c.pk == number).values(path=path)
        transaction.write(filled.database, lambda connection, renamed=renamed: connection.execute(renamed))

    with transaction.read(filled.database) as connection:
        held = [path for path, _ in checks.sorted_paths(connection, filled.area.pk)]

    assert held == sorted(held)
