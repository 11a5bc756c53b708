"""`kill -9` in the middle of an import, again and again: run once more, and all is there, once."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select

from archive.database import dialects, transaction
from archive.index.tables import deletions, instances
from archive.lifecycle.retrieve import Holdings
from tests.fix_archive import FoundedArchive
from tests.fix_command import Run
from tests.fix_instances import encoded, instance, part10_bytes
from tests.fix_processes import children_of, wait_for_the_end_of
from tests.sql.fix_holdings import Shelf, find

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.usefixtures("archive")]

FILES = 800
MOST_KILLS = 4
_SECONDS = 120.0

Begin = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Small and large instances of several studies."""
    made = tmp_path / "incoming"
    made.mkdir()
    templates = [part10_bytes(instance(study=study, side_pixels=16 if study % 3 else 192)) for study in range(10)]
    for number in range(FILES):
        template, uid = templates[number % 10], str(instance(study=number % 10).SOPInstanceUID)
        (made / f"{number:05}.dcm").write_bytes(template.replace(uid.encode(), _uid(uid, number).encode()))
    return made


def _uid(uid: str, number: int) -> str:
    """Another UID of the same length."""
    return f"{uid[:-6]}{number:06}"


def _rows(archive: FoundedArchive) -> int:
    with transaction.read(archive.database) as connection:
        return connection.scalar(select(func.count()).select_from(instances)) or 0


def test_an_import_that_is_killed_is_completed_by_the_next_one(
    founded: FoundedArchive, migrated_url: str, run: Run, folder: Path
) -> None:
    environment = {**os.environ, "ARCHIVE_DATA": str(founded.data), "ARCHIVE_DATABASE": migrated_url}
    moments, pause = random.Random(), threading.Event()
    kills = 0
    for _ in range(MOST_KILLS):
        before, deadline = _rows(founded), time.monotonic() + _SECONDS
        importing = subprocess.Popen(
            [sys.executable, "-m", "archive", "import", str(folder)], env=environment, stdout=subprocess.DEVNULL
        )
        while _rows(founded) == before and importing.poll() is None:
            assert time.monotonic() < deadline
            pause.wait(0.02)  # each look costs the import some of its time
        pause.wait(moments.uniform(0, 0.1))
        workers = children_of(importing.pid)
        importing.kill()
        importing.wait()
        wait_for_the_end_of(workers)
        if _rows(founded) == FILES:
            break
        kills += 1
    assert kills > 0, "the import was always faster than its end"

    said = run("import", folder)

    assert f"{_rows(founded):,}" == f"{FILES:,}"
    assert "0 skipped, 0 bad." in said.out
    shelf = Shelf(founded.database, founded.area.pk)
    shelf.assert_sound()
    assert shelf.rows(deletions) == []
    run("check", "verify", "--checksums")
    _leftovers_are_named(founded, run)
    assert _held(founded) == {_uid(uid, number): content for number, (uid, content) in enumerate(_sent())}


def test_an_import_that_is_interrupted_at_the_terminal_ends_with_a_sentence_and_goes_on_when_it_is_run_again(
    founded: FoundedArchive, migrated_url: str, run: Run, folder: Path
) -> None:
    """Ctrl-C goes to all processes of the import."""
    environment = {**os.environ, "ARCHIVE_DATA": str(founded.data), "ARCHIVE_DATABASE": migrated_url}
    deadline, pause = time.monotonic() + _SECONDS, threading.Event()
    importing = subprocess.Popen(
        [sys.executable, "-m", "archive", "import", str(folder)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    while _rows(founded) == 0 and importing.poll() is None:
        assert time.monotonic() < deadline
        pause.wait(0.005)

    def interrupt(connection: Connection) -> set[int]:
        """While it can commit nothing."""
        if not dialects.has_one_writer(connection):
            connection.exec_driver_sql("LOCK TABLE instances IN EXCLUSIVE MODE")
        assert _rows(founded) < FILES, "the import was faster than its end"
        workers = children_of(importing.pid)
        os.killpg(importing.pid, signal.SIGINT)
        return workers

    workers = transaction.write(founded.database, interrupt)
    out, error = importing.communicate(timeout=_SECONDS)

    assert (importing.returncode, error.decode()) == (
        1,
        "Stopped; what was taken in stays, and the same command goes on from there.\n",
    )
    wait_for_the_end_of(workers)
    taken_in = _rows(founded)
    assert 0 < taken_in < FILES
    assert out.decode().startswith(f"ARCHIVE: {taken_in:,} files taken in")
    assert len(founded.files()) == taken_in
    Shelf(founded.database, founded.area.pk).assert_sound()
    said = run("import", folder)
    assert said.out.startswith(f"ARCHIVE: {FILES - taken_in:,} files taken in")
    run("check", "verify", "--checksums")


def _sent() -> list[tuple[str, bytes]]:
    made = [instance(study=study, side_pixels=16 if study % 3 else 192) for study in range(10)]
    uids = [str(each.SOPInstanceUID) for each in made]
    contents = [encoded(each) for each in made]
    return [
        (uids[number % 10], contents[number % 10].replace(uids[number % 10].encode(), _new(uids, number)))
        for number in range(FILES)
    ]


def _new(uids: list[str], number: int) -> bytes:
    return _uid(uids[number % 10], number).encode()


def _held(archive: FoundedArchive) -> dict[str, bytes]:
    holdings = Holdings(archive.database, archive.data)
    held: dict[str, bytes] = {}
    for location in holdings.locate(find("STUDY"), archive.area):
        with holdings.open(archive.area, location) as stream:
            held[location.sop_instance_uid] = stream.read()
    return held


def _leftovers_are_named(archive: FoundedArchive, run: Run) -> None:
    """What the kills left is what `reconcile` names, and adoption finds every one of them held."""
    leftovers = len(archive.files()) - FILES
    ask = ("check", "reconcile", "--older-than", 0)
    (found,) = run(*ask, "--adopt", "--json", code=1 if leftovers else 0).json["areas"]
    assert (found["files_without_row"], found["adopted"], len(found["not_adopted"])) == (leftovers, 0, leftovers)
    assert {each["reason"] for each in found["not_adopted"]} <= {"the area holds this instance already"}
    run(*ask, "--delete", "--yes")
    assert len(archive.files()) == FILES
    run(*ask)
