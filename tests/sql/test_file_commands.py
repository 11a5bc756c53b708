"""Commands that work on files: import, checks by checksum, adoption; what they say, do, and end with."""

import os
import pty
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from archive.database import transaction
from archive.index.tables import instances
from archive.lifecycle import verify as verifying
from archive.lifecycle.importing import batch
from archive.lifecycle.importing.transactions import Transactions
from archive.lifecycle.verify import Verification
from archive.storage import checksum, paths
from tests.fix_archive import FoundedArchive
from tests.fix_command import Run
from tests.fix_instances import ct, encoded, instance, part10_bytes, uid
from tests.sql.fix_holdings import Shelf

pytestmark = pytest.mark.usefixtures("archive")


@pytest.fixture
def shelf(founded: FoundedArchive) -> Shelf:
    return Shelf(founded.database, founded.area.pk)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three instances, one of them twice, and a letter."""
    made = tmp_path / "incoming"
    made.mkdir()
    for number in (1, 2, 3):
        (made / f"{number}.dcm").write_bytes(part10_bytes(instance(number=number)))
    (made / "again.dcm").write_bytes(part10_bytes(instance(number=3)))
    (made / "letter.txt").write_text("Dear colleague")
    (made / "link").symlink_to("1.dcm")
    return made


def test_an_import_says_what_it_did_and_names_what_it_could_not(
    founded: FoundedArchive, run: Run, folder: Path
) -> None:
    would = run("import", folder, "--dry-run", code=1)
    assert founded.files() == []
    did = run("import", folder, code=1)
    again = run("import", folder, "--json", code=1)
    (folder / "letter.txt").unlink()
    last = run("import", folder)

    assert "ARCHIVE: 3 files would be taken in (27.1 kB), 1 held already, 1 skipped, 1 bad." in would.out
    assert did.out.splitlines()[:-1] == [
        f"{folder}/letter.txt: bad: This is not a DICOM file",
        f"{folder}/link: skipped: a symbolic link is not followed",
    ]
    assert did.out.splitlines()[-1].startswith("ARCHIVE: 3 files taken in (27.1 kB), 1 held already, 1 skipped, 1 bad.")
    assert did.error == ""
    assert again.json == {
        "area": "ARCHIVE",
        "is_dry_run": False,
        "stored": 0,
        "held": 4,
        "skipped": 1,
        "bad": 1,
        "stored_bytes": 0,
        "bad_files": [{"path": f"{folder}/letter.txt", "reason": "This is not a DICOM file"}],
        "skipped_files": [{"path": f"{folder}/link", "reason": "a symbolic link is not followed"}],
        "kept_instead": [],
        "changes": [],
    }
    assert last.out.splitlines()[-1].startswith("ARCHIVE: 0 files taken in (0 B), 4 held already, 1 skipped, 0 bad.")


def test_an_import_that_is_stopped_says_so_and_goes_on_when_it_is_run_again(
    founded: FoundedArchive, run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "letter.txt").unlink()
    monkeypatch.setattr(batch, "BATCH", 1)
    commit, committed = Transactions.commit, list[int]()

    def interrupted(work: Transactions, items: Any) -> Any:
        if len(committed) == 2:
            raise KeyboardInterrupt
        committed.append(len(items))
        return commit(work, items)

    with monkeypatch.context() as patched:
        patched.setattr(Transactions, "commit", interrupted)
        stopped = run("import", folder, code=1)

    assert stopped.error == "Stopped; what was taken in stays, and the same command goes on from there.\n"
    assert len(founded.files()) in (2, 3)  # the batch that was at its commit may leave a copy
    run("import", folder)
    run("check", "reconcile", "--older-than", 0, "--delete")
    assert len(founded.files()) == 3


def test_an_import_goes_into_the_area_that_is_named(run: Run, folder: Path, tmp_path: Path) -> None:
    run("area", "add", "OTHER", tmp_path / "other")

    run("import", folder / "1.dcm", "--area", "OTHER")

    assert [row["area"] for row in run("study", "list", "--json").json] == ["OTHER"]
    assert len(list((tmp_path / "other").rglob("*.dcm"))) == 1


def test_an_import_in_place_takes_the_whole_folder_of_the_area(founded: FoundedArchive, run: Run, folder: Path) -> None:
    folder.rename(founded.folder / "old archive")

    said = run("import", "--in-place", code=1)

    assert "ARCHIVE: 3 files taken in" in said.out
    assert run("study", "list", "--json").json[0]["number_of_instances"] == 3
    assert "0 rows without a file" in run("check", "reconcile").out
    assert "4 rows" not in run("check", "reconcile").out


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ((), "Nothing to import; name files or folders, or say --in-place"),
        (("none.dcm",), "There is no file or folder none.dcm"),
        ((".", "--area", "NONE"), "There is no area NONE; run: archive area list"),
        ((".", "--in-place"), "does not lie in the folder of area ARCHIVE"),
    ],
    ids=["nothing", "missing", "area", "elsewhere"],
)
def test_a_mistake_imports_nothing(run: Run, arguments: tuple[str, ...], sentence: str) -> None:
    said = run("import", *arguments, code=2)

    assert (said.out, said.error.count("\n")) == ("", 1)
    assert sentence in said.error


def test_a_name_that_cannot_be_looked_at_is_told_and_the_rest_is_taken_in(run: Run, folder: Path) -> None:
    too_long = folder / ("x" * 300)

    said = run("import", too_long, folder / "1.dcm" / "below", folder / "1.dcm", code=1)

    assert said.out.splitlines()[:-1] == [
        f"{too_long}: bad: File name too long",
        f"{folder}/1.dcm/below: bad: Not a directory",
    ]
    assert said.out.splitlines()[-1].startswith("ARCHIVE: 1 file taken in")
    assert said.error == ""


def test_a_name_that_no_terminal_can_show_is_printed_all_the_same(run: Run, tmp_path: Path) -> None:
    strange = tmp_path / os.fsdecode(b"\xffstrange\n\x1b[31m")
    strange.write_text("no image")

    said = run("import", strange, code=1)

    assert said.out.count("\n") == 2
    assert "strange" in said.out
    assert "\x1b" not in said.out


def test_a_progress_bar_is_drawn_on_a_terminal_and_only_there(
    founded: FoundedArchive, migrated_url: str, folder: Path
) -> None:
    ours, theirs = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-m", "archive", "import", str(folder)],
        env={**os.environ, "TERM": "xterm", "ARCHIVE_DATA": str(founded.data), "ARCHIVE_DATABASE": migrated_url},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    drawn = b""
    try:
        while piece := os.read(ours, 4096):
            drawn += piece
    except OSError:  # how Linux says that the other side has gone
        pass
    finally:
        os.close(ours)
    printed, _ = done.communicate(timeout=60)

    assert done.returncode == 1
    assert b"Importing" in drawn
    assert b"6/6" in drawn
    assert "Importing" not in printed
    assert printed.splitlines()[-1].startswith("ARCHIVE: 3 files taken in")


def test_a_stored_file_that_changed_by_a_bit_is_found_by_its_checksum(
    founded: FoundedArchive, run: Run, shelf: Shelf
) -> None:
    founded.store(instance(number=1), ct(number=2))
    founded.store(instance(number=3), is_filed=False)
    assert "0 files and 0 counters wrong" in run("check", "verify", "--checksums").out
    row = next(row for row in shelf.rows(instances) if row.size_bytes > 100_000)
    content = bytearray((founded.folder / row.path).read_bytes())
    content[200_000] ^= 1
    (founded.folder / row.path).write_bytes(content)

    assert "0 files and 0 counters wrong" in run("check", "verify").out
    said = run("check", "verify", "--checksums", code=1)
    (as_json,) = run("check", "verify", "--checksums", "--json", code=1).json["areas"]

    found = checksum.of_bytes(content).hex()
    assert f"{row.path}: checksum {found}, not {row.checksum.hex()} (SOP instance {row.sop_instance_uid})" in said.out
    assert "1 file and 0 counters wrong" in said.out
    assert (as_json["files"], as_json["without_checksum"]) == (3, 0)
    (wrong,) = as_json["wrong_files"]
    assert (wrong["sop_instance_uid"], wrong["found_checksum"]) == (uid("instance", 1, 1, 1, 2), found)


def test_bytes_that_wait_for_their_file_have_a_checksum_too(founded: FoundedArchive, run: Run, shelf: Shelf) -> None:
    founded.store(instance(), is_filed=False)
    wrong = update(instances).values(checksum=bytes(16))
    transaction.write(founded.database, lambda connection: connection.execute(wrong))

    assert "in the database: checksum" in run("check", "verify", "--checksums", code=1).out


def test_a_file_indexed_in_place_gets_its_checksum_when_it_is_read(
    founded: FoundedArchive, run: Run, shelf: Shelf
) -> None:
    (founded.folder / "large.dcm").write_bytes(part10_bytes(ct()))
    run("import", "--in-place")
    assert shelf.one(instances).checksum is None

    before = run("check", "verify", "--checksums")
    recorded = run("check", "verify", "--checksums", "--record")
    after = run("check", "verify", "--checksums")

    assert "1 file without a checksum; see --record" in before.out
    assert "1 checksum written down" in recorded.out
    assert "without a checksum" not in after.out
    assert shelf.one(instances).checksum == checksum.of_bytes(part10_bytes(ct()))


def test_a_check_goes_on_behind_the_instance_where_another_ended(
    founded: FoundedArchive, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "_FILES_AT_A_TIME", 2)
    founded.store(*(instance(number=number) for number in range(5)))
    stopped = Verification(founded.database, founded.area, founded.data, reads_files=True)

    def interrupt(number: int) -> None:
        if stopped.number_of_files == 4:
            raise KeyboardInterrupt

    stopped.advance = interrupt
    with pytest.raises(KeyboardInterrupt):
        list(stopped.faults())

    rest = ("check", "verify", "--checksums", "--area", "ARCHIVE", "--after", stopped.last_pk, "--json")
    assert run(*rest).json["areas"][0]["files"] == 1
    assert "name it with --area" in run("check", "verify", "--after", 3, code=2).error
    assert "--record goes with --checksums" in run("check", "verify", "--record", code=2).error


def leave_file(archive: FoundedArchive, content: bytes) -> Path:
    """What a store that was killed before its transaction leaves."""
    path = archive.folder / paths.new_path(datetime.now(UTC))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_files_without_a_row_are_adopted_when_told_to(founded: FoundedArchive, run: Run, shelf: Shelf) -> None:
    founded.store(instance(number=1))
    known = leave_file(founded, founded.files()[0].read_bytes())
    left = leave_file(founded, part10_bytes(instance(number=2)))
    rubbish = leave_file(founded, b"rubbish")
    ask = ("check", "reconcile", "--older-than", 0, "--adopt")

    would = run(*ask, "--dry-run", code=1)
    assert len(shelf.rows(instances)) == 1
    did = run(*ask, code=1)
    (as_json,) = run(*ask, "--json", code=1).json["areas"]

    assert "would adopt 3 files:" in would.out
    assert "adopting 3 files:" in did.out
    name = left.relative_to(founded.folder).as_posix()
    assert f"ARCHIVE: {name}\n" in would.out
    assert f"ARCHIVE: {name}\n" in did.out
    assert f"{known.name}: not adopted: the area holds this instance already" in did.out
    assert f"{rubbish.name}: not adopted: This is not a DICOM file" in did.out
    assert name in {row.path for row in shelf.rows(instances)}
    assert (as_json["files_without_row"], as_json["adopted"], len(as_json["not_adopted"])) == (2, 0, 2)
    shelf.assert_sound()


def test_a_dry_run_names_what_would_be_deleted(founded: FoundedArchive, run: Run) -> None:
    rubbish = leave_file(founded, b"rubbish")
    ask = ("check", "reconcile", "--older-than", 0, "--delete")

    would = run(*ask, "--dry-run", code=1)
    assert rubbish.exists()
    (did,) = run(*ask, "--json").json["areas"]

    assert "would delete 1 file:" in would.out
    assert rubbish.name in would.out
    assert did["deleted"] == [rubbish.relative_to(founded.folder).as_posix()]
    assert not rubbish.exists()
    assert "exclude each other" in run("check", "reconcile", "--adopt", "--delete", code=2).error


def test_a_store_by_network_and_an_import_have_the_same_rows(
    founded: FoundedArchive, run: Run, shelf: Shelf, tmp_path: Path
) -> None:
    """But for what tells when and how they came."""
    data_set = instance(PatientName="Müller^Änne", OtherPatientIDs=["A", "B"])
    (tmp_path / "1").write_bytes(part10_bytes(data_set))
    founded.store(data_set)
    stored = dict(shelf.one(instances)._mapping)
    run("study", "remove", uid("study", 1, 1), "--yes")
    run("import", tmp_path / "1")
    imported = dict(shelf.one(instances)._mapping)

    how = {"pk", "study_pk", "series_pk", "path", "size_bytes", "data_set_offset", "checksum", "received_at"}
    differ = {name for name in stored if stored[name] != imported[name]}
    assert differ <= how | {"source_ae_title"}
    with transaction.read(founded.database) as connection:
        (path,) = connection.scalars(select(instances.c.path))
    assert (founded.folder / path).read_bytes().endswith(encoded(data_set))
