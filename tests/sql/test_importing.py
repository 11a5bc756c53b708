"""Files are taken in as if they were sent: copied or where they lie, again and again, the bad ones named and left."""

import errno
import os
import signal
from collections import Counter, deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import FileDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from sqlalchemy import select

from archive.database import transaction
from archive.errors import DiskFailed, Misconfigured, OutOfResources
from archive.index import remove
from archive.index.tables import deletions, disagreements, evictions, instances, studies
from archive.lifecycle import importing
from archive.lifecycle.importing import Fate, Outcome, preparation, run, workers
from archive.lifecycle.importing import batch as batches
from archive.lifecycle.importing.transactions import Transactions
from archive.lifecycle.retrieve import Holdings
from archive.registry import changes
from archive.server.housekeeping import Housekeeping
from archive.storage import checksum, paths
from tests.fix_archive import FoundedArchive
from tests.fix_instances import BUNDLED_FOLDER, bundled_files, ct, encoded, instance, is_storable, part10_bytes
from tests.sql.fix_holdings import Shelf, find

LARGE_SIDE_PIXELS = 256  # 128 KiB: longer than what is read at once


@pytest.fixture(params=[1, 2], ids=["alone", "by processes"], autouse=True)
def cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """All of this holds whoever prepares the files: the process that runs the import, or others."""
    number = int(request.param)
    monkeypatch.setattr(workers, "number_of_processes", lambda: number)
    if number > 1:
        monkeypatch.setattr(batches, "BATCH", 2)  # a single batch is worth no process
    return number


@pytest.fixture
def shelf(founded: FoundedArchive) -> Shelf:
    return Shelf(founded.database, founded.area.pk)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where files wait to be taken in."""
    made = tmp_path / "incoming"
    made.mkdir()
    return made


def put(folder: Path, name: str, content: bytes | FileDataset) -> Path:
    """A file in a folder."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else part10_bytes(content))
    return path


def take_in(archive: FoundedArchive, *named: Path, **how: Any) -> list[Outcome]:
    return list(importing.import_files(archive.database, archive.area, archive.data, named, **how))


def fates(outcomes: list[Outcome]) -> dict[str, int]:
    return {fate.value: number for fate, number in Counter(outcome.fate for outcome in outcomes).items()}


def set_area(archive: FoundedArchive, **settings: Any) -> None:
    transaction.write(archive.database, lambda connection: changes.set_area(connection, "ARCHIVE", settings))


def fetched(archive: FoundedArchive) -> dict[str, bytes]:
    """The data sets that the archive holds, by SOP Instance UID."""
    holdings = Holdings(archive.database, archive.data)
    held: dict[str, bytes] = {}
    for location in holdings.locate(find("STUDY"), archive.area):
        with holdings.open(archive.area, location) as stream:
            held[location.sop_instance_uid] = stream.read()
    return held


def remove_all(archive: FoundedArchive) -> None:
    def work(connection: Any) -> None:
        for pk in connection.scalars(select(studies.c.pk)).all():
            remove.remove_study(connection, pk, 0, "removed", datetime.now(UTC))

    transaction.write(archive.database, work)


def test_files_are_copied_as_they_are_and_left_where_they_are(
    founded: FoundedArchive, shelf: Shelf, folder: Path
) -> None:
    data_sets = [instance(number=1), instance(study=2, number=2, side_pixels=LARGE_SIDE_PIXELS), ct(series=7)]
    originals = [put(folder, f"{number}/a b.dcm", data_set) for number, data_set in enumerate(data_sets)]

    outcomes = take_in(founded, folder)

    assert fates(outcomes) == {"stored": 3}
    assert fetched(founded) == {str(each.SOPInstanceUID): encoded(each) for each in data_sets}
    assert sorted(path.read_bytes() for path in founded.files()) == sorted(path.read_bytes() for path in originals)
    assert sorted(founded.folder / row.path for row in shelf.rows(instances)) == founded.files()
    assert {path.stat().st_mode & 0o777 for path in founded.files()} == {0o640}
    assert not {path.stat().st_ino for path in founded.files()} & {path.stat().st_ino for path in originals}
    shelf.assert_sound()


def test_every_copy_has_the_checksum_of_its_file(founded: FoundedArchive, shelf: Shelf, folder: Path) -> None:
    for number, side_pixels in enumerate((16, LARGE_SIDE_PIXELS, 800)):
        put(folder, f"{number}", instance(number=number, side_pixels=side_pixels))

    take_in(founded, folder)

    for row in shelf.rows(instances):
        content = (founded.folder / row.path).read_bytes()
        assert (row.size_bytes, row.checksum) == (len(content), checksum.of_bytes(content))


def test_a_file_keeps_the_title_of_its_source(founded: FoundedArchive, shelf: Shelf, folder: Path) -> None:
    for number, title in enumerate(("CT_SCANNER", "TWO\nLINES", "A\\B")):
        data_set = instance(number=number)
        data_set.file_meta.SourceApplicationEntityTitle = "X" * len(title)
        content = part10_bytes(data_set).replace(b"X" * len(title), title.encode(), 1)
        put(folder, f"{number}", content)

    take_in(founded, folder)

    assert sorted(row.source_ae_title for row in shelf.rows(instances)) == ["", "", "CT_SCANNER"]


def test_an_import_that_is_run_again_takes_in_only_what_is_new(
    founded: FoundedArchive, shelf: Shelf, folder: Path
) -> None:
    for number in range(10):
        put(folder, f"{number}", instance(number=number, side_pixels=LARGE_SIDE_PIXELS if number % 2 else 8))
    take_in(founded, folder)
    before, files = shelf.rows(instances), founded.files()
    put(folder, "new", instance(number=11))

    outcomes = take_in(founded, folder)

    assert fates(outcomes) == {"held": 10, "stored": 1}
    assert shelf.rows(instances)[:10] == before
    assert len(founded.files()) == len(files) + 1
    assert shelf.deleted_paths() == []


def test_what_came_by_network_is_held_too(founded: FoundedArchive, shelf: Shelf, folder: Path) -> None:
    data_sets = [instance(number=1), instance(number=2, side_pixels=LARGE_SIDE_PIXELS)]
    founded.store(*data_sets, is_filed=False)
    for number, data_set in enumerate(data_sets):
        put(folder, f"{number}", data_set)

    assert fates(take_in(founded, folder)) == {"held": 2}
    assert shelf.deleted_paths() == []


def test_a_held_instance_whose_file_is_lost_is_healed_whatever_the_policy(
    founded: FoundedArchive, shelf: Shelf, folder: Path
) -> None:
    put(folder, "1", instance())
    take_in(founded, folder)
    (lost,) = founded.files()
    lost.unlink()
    set_area(founded, duplicates="reject")

    assert fates(take_in(founded, folder)) == {"stored": 1}
    assert fetched(founded) == {str(instance().SOPInstanceUID): encoded(instance())}
    shelf.assert_sound()


@pytest.mark.parametrize(
    "policy, fate, kept",
    [("replace", "stored", "new"), ("keep", "held", "old"), ("reject", "bad", "old")],
)
def test_another_file_of_a_held_instance_is_treated_as_the_area_says(
    founded: FoundedArchive, shelf: Shelf, folder: Path, policy: str, fate: str, kept: str
) -> None:
    set_area(founded, duplicates=policy)
    founded.store(instance(PatientComments="old"))
    put(folder, "1", instance(PatientComments="new"))

    (outcome,) = take_in(founded, folder)

    assert outcome.fate.value == fate
    assert ("another" in outcome.reason or "other file" in outcome.reason) == (policy != "replace")
    assert [*fetched(founded).values()] == [encoded(instance(PatientComments=kept))]
    assert len(shelf.deleted_paths()) == (1 if policy == "replace" else 0)
    assert len(founded.files()) == (2 if policy == "replace" else 1)
    shelf.assert_sound()


def test_files_of_the_same_length_are_not_taken_for_the_same(
    founded: FoundedArchive, shelf: Shelf, folder: Path
) -> None:
    put(folder, "1", instance(PatientID="ONE", side_pixels=LARGE_SIDE_PIXELS))
    take_in(founded, folder)
    changed = put(folder, "1", instance(PatientID="TWO", side_pixels=LARGE_SIDE_PIXELS))
    os.utime(changed, ns=(1, 1))

    assert fates(take_in(founded, folder)) == {"stored": 1}
    assert b"TWO" in next(iter(fetched(founded).values()))
    put(folder, "1", instance(PatientID="SIX", side_pixels=LARGE_SIDE_PIXELS))
    os.utime(changed, ns=(1, 1))
    assert fates(take_in(founded, folder)) == {"held": 1}, "of the same time, too, they are"
    shelf.assert_sound()


@pytest.mark.parametrize("batch", [64, 1])
def test_of_many_copies_of_a_file_one_is_taken_in(
    founded: FoundedArchive, shelf: Shelf, folder: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(batches, "BATCH", batch)
    monkeypatch.setattr(run, "MOST_DEFERRED", 5)
    for number in range(20):
        put(folder, f"{number:02}/a", instance(number=number % 2))

    assert fates(take_in(founded, folder)) == {"stored": 2, "held": 18}
    assert len(founded.files()) == len(shelf.rows(instances)) == 2
    shelf.assert_sound()


@pytest.mark.parametrize("policy, most_looks", [("replace", 3), ("keep", 1), ("reject", 1)])
def test_each_of_many_files_of_one_instance_is_looked_at_a_few_times(
    founded: FoundedArchive,
    shelf: Shelf,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    policy: str,
    most_looks: int,
) -> None:
    monkeypatch.setattr(workers, "number_of_processes", lambda: 1)  # where looks can be counted
    monkeypatch.setattr(batches, "BATCH", 8)
    monkeypatch.setattr(run, "MOST_DEFERRED", 10)
    set_area(founded, duplicates=policy)
    founded.store(instance())
    for number in range(60):
        put(folder, f"{number:02}", instance(PatientComments=f"file {number}"))
    look, looks = preparation.look, list[str]()

    def counted(found: Any, *rest: Any) -> Any:
        looks.append(found.path)
        return look(found, *rest)

    monkeypatch.setattr(preparation, "look", counted)

    outcomes = take_in(founded, folder)

    told = {"replace": "stored", "keep": "held", "reject": "bad"}[policy]
    assert fates(outcomes) == {told: 60}
    assert 60 <= len(looks) <= 60 * most_looks
    assert len(shelf.rows(instances)) == 1
    shelf.assert_sound()


@pytest.mark.parametrize(
    "policy, batch",
    [("replace", 64), ("keep", 64), ("reject", 64), ("keep", 1), ("reject", 1)],  # others replace in any order
)
def test_a_dry_run_tells_of_several_files_of_an_instance_what_the_import_then_does(
    founded: FoundedArchive, shelf: Shelf, folder: Path, monkeypatch: pytest.MonkeyPatch, policy: str, batch: int
) -> None:
    monkeypatch.setattr(batches, "BATCH", batch)
    set_area(founded, duplicates=policy)
    founded.store(instance(number=9, PatientComments="held"))
    for name, (number, comment) in {
        "00": (1, "one"),
        "01": (1, "one"),
        "02": (1, "two"),
        "03": (1, "two"),
        "04": (2, "one"),
        "05": (9, "held"),
        "06": (9, "other"),
        "07": (9, "other"),
    }.items():
        put(folder, name, instance(number=number, PatientComments=comment, side_pixels=LARGE_SIDE_PIXELS))
        os.utime(folder / name, ns=(int(name) + 1, int(name) + 1))
    put(folder, "05", instance(number=9, PatientComments="held"))

    would = take_in(founded, folder, is_dry_run=True)
    assert len(shelf.rows(instances)) == 1
    did = take_in(founded, folder)

    assert fates(would) == fates(did)
    assert (
        fates(did)
        == {
            "replace": {"stored": 4, "held": 4},
            "keep": {"stored": 2, "held": 6},
            "reject": {"stored": 2, "held": 2, "bad": 4},
        }[policy]
    )


def test_bare_data_sets_get_file_meta_information(founded: FoundedArchive, shelf: Shelf, folder: Path) -> None:
    syntaxes = (ImplicitVRLittleEndian, ExplicitVRLittleEndian)
    data_sets = [instance(number=number, transfer_syntax=syntax) for number, syntax in enumerate(syntaxes)]
    data_sets.append(instance(number=3, side_pixels=LARGE_SIDE_PIXELS, transfer_syntax=ImplicitVRLittleEndian))
    for number, data_set in enumerate(data_sets):
        put(folder, f"{number}", encoded(data_set))

    assert fates(take_in(founded, folder)) == {"stored": 3}

    assert fetched(founded) == {str(each.SOPInstanceUID): encoded(each) for each in data_sets}
    for row in shelf.rows(instances):
        content = (founded.folder / row.path).read_bytes()
        assert (content[128:132], len(content)) == (b"DICM", row.size_bytes)
    assert Counter(row.transfer_syntax_uid for row in shelf.rows(instances)) == {syntaxes[0]: 2, syntaxes[1]: 1}
    assert fates(take_in(founded, folder)) == {"held": 3}


def _cut(data_set: FileDataset, by: int) -> bytes:
    return part10_bytes(data_set)[:-by]


def _encapsulated() -> bytes:
    return (BUNDLED_FOLDER / "SC_rgb_rle.dcm").read_bytes()


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "The file is empty"),
    "text": (lambda: b"Dear colleague, " * 20, "This is not a DICOM file"),
    "short": (lambda: b"\x08\x00", "This is not a DICOM file"),
    "zeros": (lambda: bytes(5000), "This is not a DICOM file"),
    "begins like one": (lambda: b"\x08\x00\x05\x00CS\x04\x00ABCD" + b"\xff" * 100, "This is not a DICOM file"),
    "cut meta": (lambda: part10_bytes(instance())[:200], "Its File Meta Information is cut short"),
    "only meta": (lambda: part10_bytes(instance())[: -len(encoded(instance()))], "There is nothing behind"),
    "cut header": (lambda: part10_bytes(instance(side_pixels=0))[:-1], "The file ends in the middle of an element"),
    "cut pixels": (lambda: _cut(instance(), 1), "The file ends before its pixels do"),
    "cut large": (lambda: _cut(ct(), 100_000), "The file ends before its pixels do"),
    "cut fragments": (lambda: _encapsulated()[:-200], "The file ends before its pixels do"),
    "cut delimiter": (lambda: _encapsulated()[:-8], "The file ends before its pixels do"),
    "no study": (lambda: part10_bytes(instance(StudyInstanceUID=None)), "The Study Instance UID is missing"),
    "no series": (lambda: part10_bytes(instance(SeriesInstanceUID="")), "The Series Instance UID is missing"),
    "verification": (
        lambda: part10_bytes(instance(SOPClassUID="1.2.840.10008.1.1")),
        "The area takes no instances of this SOP Class",
    ),
    "syntax": (
        lambda: part10_bytes(instance()).replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.9.9.9\0", 1),
        "Its transfer syntax 1.2.840.10008.9.9.9 is not known",
    ),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("is_in_place", [False, True], ids=["copied", "in place"])
def test_a_bad_file_is_told_with_the_reason_and_left(
    founded: FoundedArchive, shelf: Shelf, folder: Path, kind: str, is_in_place: bool
) -> None:
    make, reason = BAD[kind]
    where = founded.folder if is_in_place else folder
    bad = put(where, "bad.dcm", make())
    put(where, "good.dcm", instance(study=9))

    outcomes = take_in(founded, where, is_in_place=is_in_place)

    assert fates(outcomes) == {"stored": 1, "bad": 1}
    (told,) = (outcome for outcome in outcomes if outcome.fate is Fate.BAD)
    assert told.path == str(bad)
    assert told.reason.startswith(reason)
    assert bad.read_bytes() == make()
    assert len(shelf.rows(instances)) == 1
    assert len([path for path in founded.folder.rglob("*") if path.is_file()]) == (2 if is_in_place else 1)


def test_every_file_that_pydicom_brings_is_stored_or_told(founded: FoundedArchive, shelf: Shelf) -> None:
    outcomes = take_in(founded, BUNDLED_FOLDER)

    told = {outcome.path: outcome for outcome in outcomes}
    assert len(told) == len(outcomes)
    storable = [str(path) for path in bundled_files() if is_storable(path) and path.is_relative_to(BUNDLED_FOLDER)]
    unusual = {
        Path(path).name: told[path].reason for path in storable if told[path].fate not in (Fate.STORED, Fate.HELD)
    }
    assert set(unusual.values()) <= {"The file ends before its pixels do", "The file ends in the middle of an element"}
    assert len(unusual) < 5, unusual
    assert all(outcome.reason for outcome in outcomes if outcome.fate in (Fate.BAD, Fate.SKIPPED))
    shelf.assert_sound()


@pytest.mark.parametrize("syntax", [DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_unusual_encodings_are_taken_in(founded: FoundedArchive, folder: Path, syntax: str) -> None:
    put(folder, "1", instance(transfer_syntax=syntax))

    assert fates(take_in(founded, folder)) == {"stored": 1}
    assert [*fetched(founded).values()] == [encoded(instance(transfer_syntax=syntax))]


def test_a_header_longer_than_what_is_read_at_once_is_read_whole(
    founded: FoundedArchive, shelf: Shelf, folder: Path
) -> None:
    data_set = instance(number=5)
    data_set.add_new(0x00091001, "OB", bytes(300_000))  # in front of all but the SOP Instance UID
    put(folder, "1", data_set)

    assert fates(take_in(founded, folder)) == {"stored": 1}
    assert shelf.one(instances).instance_number == 5


def test_links_directories_pipes_and_indexes_are_passed_over_and_said(
    founded: FoundedArchive, folder: Path, tmp_path: Path
) -> None:
    outside = put(tmp_path / "outside", "secret.dcm", instance())
    (folder / "link.dcm").symlink_to(outside)
    (folder / "link").symlink_to(outside.parent)
    os.mkfifo(folder / "pipe")
    put(folder, "index.dat", b"x" * 100)
    directory = instance(SOPClassUID="1.2.840.10008.1.3.10")
    put(folder, "DICOMDIR", directory)

    outcomes = take_in(founded, folder)

    assert {Path(outcome.path).name: outcome.reason for outcome in outcomes} == {
        "link.dcm": "a symbolic link is not followed",
        "link": "a symbolic link is not followed",
        "pipe": "this is no regular file",
        "index.dat": "this is the index of dcmqrscp",
        "DICOMDIR": "a DICOMDIR lists instances and is none",
    }
    assert fates(outcomes) == {"skipped": 5}


def test_a_link_that_is_named_is_followed(founded: FoundedArchive, folder: Path, tmp_path: Path) -> None:
    put(tmp_path / "outside", "1.dcm", instance())
    (folder / "link").symlink_to(tmp_path / "outside")
    (folder / "file").symlink_to(tmp_path / "outside" / "1.dcm")

    assert fates(take_in(founded, folder / "link")) == {"stored": 1}
    assert fates(take_in(founded, folder / "file")) == {"held": 1}


def test_what_cannot_be_read_is_told(founded: FoundedArchive, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed file and folder, and a disk with a bad sector: root reads all files, so the system calls fail."""
    put(folder, "closed/1", instance(number=1))
    for number, name in enumerate(("secret", "sector", "whole")):
        put(folder, name, instance(number=number, side_pixels=LARGE_SIDE_PIXELS))
    bad_sector = (folder / "sector").stat().st_ino
    scandir, open_, pread = os.scandir, os.open, os.pread

    def failing(call: Callable[..., Any], code: int, fails: Callable[[Any], bool]) -> Callable[..., Any]:
        def act(what: Any, *rest: Any, **named: Any) -> Any:
            if fails(what):
                raise OSError(code, os.strerror(code))
            return call(what, *rest, **named)

        return act

    monkeypatch.setattr(os, "scandir", failing(scandir, errno.EACCES, lambda path: str(path).endswith("closed")))
    monkeypatch.setattr(os, "open", failing(open_, errno.EACCES, lambda path: str(path).endswith("secret")))
    monkeypatch.setattr(os, "pread", failing(pread, errno.EIO, lambda file: os.fstat(file).st_ino == bad_sector))

    outcomes = take_in(founded, folder)

    assert {Path(outcome.path).name: outcome.reason for outcome in outcomes} == {
        "closed": "Permission denied",
        "secret": "The file cannot be read: Permission denied",
        "sector": "The file cannot be read: Input/output error",
        "whole": "",
    }


def test_the_folder_of_the_area_is_left_out_of_what_is_copied(founded: FoundedArchive, folder: Path) -> None:
    put(founded.data, "1.dcm", instance())
    founded.store(instance(study=2))

    outcomes = take_in(founded, founded.data)

    assert fates(outcomes) == {"stored": 1, "skipped": 1}
    with pytest.raises(Misconfigured, match="say --in-place"):
        take_in(founded, founded.folder)


def test_values_that_differ_are_noted_as_those_of_a_store(founded: FoundedArchive, shelf: Shelf, folder: Path) -> None:
    put(folder, "1", instance(number=1))
    put(folder, "2", instance(number=2, PatientSex="F"))

    take_in(founded, folder)

    assert [row.keyword for row in shelf.rows(disagreements)] == ["PatientSex"]


def test_quotas_hold_as_for_a_store(founded: FoundedArchive, shelf: Shelf, folder: Path) -> None:
    set_area(founded, max_studies=3, on_full="evict", max_study_bytes=100_000)
    for study in range(8):
        put(folder, f"{study}", instance(study=study))
    put(folder, "9", instance(study=9, side_pixels=LARGE_SIDE_PIXELS))

    outcomes = take_in(founded, folder)

    assert fates(outcomes) == {"stored": 8, "bad": 1}
    assert shelf.usage().number_of_studies == 3
    assert len(shelf.rows(evictions)) == 5
    Housekeeping(founded.database, founded.data).round()
    assert len(founded.files()) == 3
    shelf.assert_sound()


def test_an_area_that_is_full_refuses_what_does_not_fit_and_keeps_no_copy(
    founded: FoundedArchive, shelf: Shelf, folder: Path
) -> None:
    set_area(founded, max_studies=2)
    for number in range(6):
        put(folder, f"{number}", instance(study=number % 3, number=number))

    outcomes = take_in(founded, folder)

    assert fates(outcomes) == {"stored": 4, "bad": 2}
    assert {outcome.reason for outcome in outcomes if outcome.fate is Fate.BAD} == {"The area is full (max_studies)"}
    assert len(founded.files()) == len(shelf.rows(instances)) == 4
    shelf.assert_sound()


def test_a_dry_run_says_the_same_and_changes_nothing(founded: FoundedArchive, shelf: Shelf, folder: Path) -> None:
    founded.store(instance(number=1))
    for number in (1, 2):
        put(folder, f"{number}", instance(number=number))
    put(folder, "bad", b"x")
    before = founded.files()

    outcomes = take_in(founded, folder, is_dry_run=True)

    assert fates(outcomes) == {"stored": 1, "held": 1, "bad": 1}
    assert founded.files() == before
    assert len(shelf.rows(instances)) == 1


def test_a_disk_that_is_full_ends_the_import_and_leaves_no_copy(
    founded: FoundedArchive, shelf: Shelf, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        put(folder, f"{number}", instance(number=number))

    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "writev", fail)
        with pytest.raises(OutOfResources, match="The disk of the area is full"):
            take_in(founded, folder)

    assert founded.files() == []
    assert fates(take_in(founded, folder)) == {"stored": 5}
    shelf.assert_sound()


def test_an_import_that_is_closed_in_the_middle_leaves_nothing_behind_and_goes_on(
    founded: FoundedArchive, shelf: Shelf, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH", 3)
    for number in range(60):
        put(folder, f"{number}", instance(number=number))

    outcomes = importing.import_files(founded.database, founded.area, founded.data, [folder])
    next(outcomes)
    outcomes.close()

    assert len(founded.files()) == len(shelf.rows(instances)) == 3
    assert fates(take_in(founded, folder)) == {"held": 3, "stored": 57}
    assert len(founded.files()) == 60
    shelf.assert_sound()


def test_an_interrupt_comes_when_all_that_was_taken_in_is_told(
    founded: FoundedArchive, shelf: Shelf, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH", 3)
    told: list[Outcome] = []
    for number in range(60):
        put(folder, f"{number}", instance(number=number))

    def count(outcome: Outcome) -> None:
        if len(told) == 4:
            signal.raise_signal(signal.SIGINT)
        told.append(outcome)

    outcomes = importing.import_files(founded.database, founded.area, founded.data, [folder])
    with pytest.raises(KeyboardInterrupt):
        deque(map(count, outcomes))

    assert 4 < len(told) < 60
    assert len(founded.files()) == len(shelf.rows(instances)) == len(told)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert fates(take_in(founded, folder)) == {"held": len(told), "stored": 60 - len(told)}


def test_an_interrupt_leaves_no_copy_of_the_batch_that_is_at_hand(
    founded: FoundedArchive, shelf: Shelf, folder: Path, monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    """Nor are the rest of its files copied, by the process that runs the import."""
    for number in range(20):
        put(folder, f"{number:02}", instance(number=number))
    copy, copied = preparation.Preparation._copy, list[str]()
    ours = os.getpid()

    def interrupted(this: preparation.Preparation, candidate: Any, file: Any) -> None:
        copy(this, candidate, file)
        copied.append(candidate.found.path)
        if len(copied) == 3:
            os.kill(ours, signal.SIGINT)

    monkeypatch.setattr(preparation.Preparation, "_copy", interrupted)

    with pytest.raises(KeyboardInterrupt):
        take_in(founded, folder)

    assert len(copied) == (3 if cores == 1 else 0)
    assert len(founded.files()) == len(shelf.rows(instances)) < 20


def test_a_batch_that_fails_as_a_whole_is_stored_one_by_one(
    founded: FoundedArchive, shelf: Shelf, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody stores one of the instances between the look and the transaction, and the area keeps that."""
    set_area(founded, duplicates="keep")
    for number in range(5):
        put(folder, f"{number}", instance(number=number))
    theirs = instance(number=3, PatientComments="theirs")
    commit = Transactions.commit

    def intervene(work: Transactions, items: Any) -> list[Outcome]:
        founded.store(theirs)
        return commit(work, items)

    monkeypatch.setattr(Transactions, "commit", intervene)

    outcomes = take_in(founded, folder)

    assert fates(outcomes) == {"stored": 4, "held": 1}
    assert fetched(founded)[str(theirs.SOPInstanceUID)] == encoded(theirs)
    assert len(founded.files()) == len(shelf.rows(instances)) == 5
    shelf.assert_sound()


# In place.


def test_files_of_the_areas_folder_are_indexed_where_they_lie(founded: FoundedArchive, shelf: Shelf) -> None:
    """As dcmqrscp leaves them: flat, with names of its own, its index among them."""
    data_sets = [instance(number=1), ct(study=2)]
    files = [put(founded.folder, f"XX_{number:016x}.dcm", data_set) for number, data_set in enumerate(data_sets)]
    put(founded.folder, "index.dat", b"index")
    states = [(path.stat().st_ino, path.stat().st_mtime_ns) for path in files]

    outcomes = take_in(founded, is_in_place=True)

    assert fates(outcomes) == {"stored": 2, "skipped": 1}
    assert sorted(row.path for row in shelf.rows(instances)) == [path.name for path in files]
    assert fetched(founded) == {str(each.SOPInstanceUID): encoded(each) for each in data_sets}
    assert [(path.stat().st_ino, path.stat().st_mtime_ns) for path in files] == states
    assert fates(take_in(founded, is_in_place=True)) == {"held": 2, "skipped": 1}
    shelf.assert_sound()


def test_a_file_that_was_indexed_in_place_goes_with_its_instance(founded: FoundedArchive, shelf: Shelf) -> None:
    path = put(founded.folder, "below/a file.dcm", instance())
    take_in(founded, path, is_in_place=True)

    remove_all(founded)
    assert path.exists()
    Housekeeping(founded.database, founded.data).round()

    assert not path.exists()


def test_a_file_that_waits_to_be_unlinked_is_not_indexed_again(founded: FoundedArchive, shelf: Shelf) -> None:
    put(founded.folder, "going.dcm", instance(study=1))
    take_in(founded, is_in_place=True)
    remove_all(founded)
    put(founded.folder, "staying.dcm", instance(study=2))

    outcomes = take_in(founded, is_in_place=True)

    assert {Path(outcome.path).name: outcome.fate for outcome in outcomes} == {
        "going.dcm": Fate.SKIPPED,
        "staying.dcm": Fate.STORED,
    }
    Housekeeping(founded.database, founded.data).round()
    assert [row.path for row in shelf.rows(instances)] == ["staying.dcm"]
    shelf.assert_sound()


def test_what_lies_elsewhere_is_not_indexed_in_place(founded: FoundedArchive, folder: Path) -> None:
    put(folder, "1", instance())

    with pytest.raises(Misconfigured, match="does not lie in the folder of area ARCHIVE"):
        take_in(founded, folder, is_in_place=True)
    founded.folder.rmdir()
    with pytest.raises(DiskFailed, match="is its disk mounted"):
        take_in(founded, is_in_place=True)


@pytest.mark.parametrize("name", [b"line\nbreak.dcm", b"\xff\xfe.dcm"], ids=["control character", "no UTF-8"])
def test_a_name_that_a_row_cannot_hold_is_told(founded: FoundedArchive, name: bytes) -> None:
    Path(os.fsdecode(os.fsencode(founded.folder) + b"/" + name)).write_bytes(part10_bytes(instance()))

    (outcome,) = take_in(founded, is_in_place=True)

    assert (outcome.fate, outcome.reason) == (Fate.BAD, "Its name is not printable text, as a row needs it; rename it")


def test_a_new_file_with_a_name_of_ours_may_be_of_a_store_under_way(founded: FoundedArchive, shelf: Shelf) -> None:
    put(founded.folder, paths.new_path(datetime.now(UTC)), instance())

    founded.store(instance(number=2))

    assert fates(take_in(founded, is_in_place=True)) == {"skipped": 1, "held": 1}
    adopted = importing.adopt(
        founded.database,
        founded.area,
        founded.data,
        [path.relative_to(founded.folder).as_posix() for path in founded.files()],
        older_than_seconds=-1,
    )
    assert sorted(outcome.fate.value for outcome in adopted) == ["held", "stored"]


def test_a_lost_index_is_made_again_from_the_files(founded: FoundedArchive, shelf: Shelf, tmp_path: Path) -> None:
    founded.store(*(instance(number=number) for number in range(3)), ct(study=2))
    before = fetched(founded)
    for table in (instances,):
        assert len(shelf.rows(table)) == 4

    def forget(connection: Any) -> None:
        for pk in connection.scalars(select(studies.c.pk)).all():
            remove.remove_study(connection, pk, 0, "removed", datetime.now(UTC))
        connection.execute(deletions.delete())

    transaction.write(founded.database, forget)
    relative = [path.relative_to(founded.folder).as_posix() for path in founded.files()]

    adopted = list(importing.adopt(founded.database, founded.area, founded.data, relative, older_than_seconds=-1))

    assert fates(adopted) == {"stored": 4}
    assert fetched(founded) == before
    assert {row.source_ae_title for row in shelf.rows(instances)} == {"STORESCU"}
    shelf.assert_sound()


def test_a_leftover_never_takes_the_place_of_what_is_held(founded: FoundedArchive, shelf: Shelf) -> None:
    founded.store(instance(PatientComments="newer"))
    leftover = put(founded.folder, paths.new_path(datetime.now(UTC)), instance(PatientComments="older"))

    (outcome,) = importing.adopt(
        founded.database,
        founded.area,
        founded.data,
        [leftover.relative_to(founded.folder).as_posix()],
        older_than_seconds=-1,
    )

    assert (outcome.fate, bool(outcome.reason)) == (Fate.HELD, True)
    assert [*fetched(founded).values()] == [encoded(instance(PatientComments="newer"))]


def test_a_file_that_changed_since_it_was_indexed_is_told(founded: FoundedArchive) -> None:
    put(founded.folder, "1.dcm", instance())
    take_in(founded, is_in_place=True)
    put(founded.folder, "1.dcm", instance(side_pixels=10))

    (outcome,) = take_in(founded, is_in_place=True)

    assert (outcome.fate, outcome.reason) == (
        Fate.BAD,
        "The file has changed since it was indexed; run: archive check verify",
    )
