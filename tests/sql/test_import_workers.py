"""The processes that prepare files for an import: what they have, and what is left when one of them or all end."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archive.errors import DiskFailed, Failed
from archive.index.tables import instances
from archive.lifecycle import importing
from archive.lifecycle.importing import Fate, Outcome, preparation, workers
from archive.lifecycle.importing import batch as batches
from archive.lifecycle.importing.batch import Prepared
from archive.lifecycle.importing.candidates import Candidate, NotAnInstance
from archive.lifecycle.importing.channel import Channel
from archive.storage.sources import Found
from tests.fix_archive import FoundedArchive
from tests.fix_instances import instance, part10_bytes
from tests.fix_processes import children_of, open_files
from tests.sql.fix_holdings import Shelf

FILES = 30


@pytest.fixture(autouse=True)
def two_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "number_of_processes", lambda: 2)
    monkeypatch.setattr(batches, "BATCH", 2)


@pytest.fixture
def shelf(founded: FoundedArchive) -> Shelf:
    return Shelf(founded.database, founded.area.pk)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "incoming"
    made.mkdir()
    for number in range(FILES):
        (made / f"{number:02}").write_bytes(part10_bytes(instance(number=number)))
    return made


def take_in(archive: FoundedArchive, *named: Path, told: list[Outcome] | None = None) -> list[Outcome]:
    """What became of files; of those before an error, in `told`."""
    told = [] if told is None else told
    for outcome in importing.import_files(archive.database, archive.area, archive.data, named):
        told.append(outcome)
    return told


def in_a_worker(monkeypatch: pytest.MonkeyPatch, act: Callable[[Found], None]) -> None:
    """Have a worker do this before it looks at a file."""
    parent, look = os.getpid(), preparation.look

    def acting(found: Found, *rest: Any) -> Candidate:
        if os.getpid() != parent:
            act(found)
        return look(found, *rest)

    monkeypatch.setattr(preparation, "look", acting)


def stored(outcomes: list[Outcome]) -> int:
    return sum(outcome.fate is Fate.STORED for outcome in outcomes)


def assert_each_row_has_its_file(archive: FoundedArchive, shelf: Shelf) -> None:
    assert {archive.folder / row.path for row in shelf.rows(instances)} <= set(archive.files())
    shelf.assert_sound()


def test_files_are_looked_at_by_other_processes(
    founded: FoundedArchive, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tell(found: Found) -> None:
        raise NotAnInstance(str(os.getpid()))

    in_a_worker(monkeypatch, tell)

    outcomes = take_in(founded, folder)

    processes = {outcome.reason for outcome in outcomes}
    assert len(outcomes) == FILES
    assert str(os.getpid()) not in processes
    assert 1 <= len(processes) <= 2


def test_what_was_told_is_in_the_order_of_the_files(founded: FoundedArchive, folder: Path) -> None:
    assert [outcome.path for outcome in take_in(founded, folder)] == sorted(map(str, folder.iterdir()))


@pytest.mark.parametrize("killer", [signal.SIGKILL, signal.SIGTERM])
def test_an_import_ends_with_the_first_worker_that_is_killed_and_goes_on_when_it_is_run_again(
    founded: FoundedArchive, shelf: Shelf, folder: Path, monkeypatch: pytest.MonkeyPatch, killer: signal.Signals
) -> None:
    before, told = children_of(os.getpid()), list[Outcome]()

    def die(found: Found) -> None:
        if found.path.endswith("/21"):
            os.kill(os.getpid(), killer)

    with monkeypatch.context() as patched:
        in_a_worker(patched, die)
        with pytest.raises(Failed, match=f"was killed by signal {killer.value}; .* run the import again to go on"):
            take_in(founded, folder, told=told)

    assert children_of(os.getpid()) <= before
    assert len(founded.files()) == len(shelf.rows(instances)) == stored(told)
    assert_each_row_has_its_file(founded, shelf)
    again = take_in(founded, folder)
    assert stored(again) == FILES - stored(told)
    assert len(shelf.rows(instances)) == FILES
    assert_each_row_has_its_file(founded, shelf)


def test_a_disk_that_fails_one_worker_ends_the_import_after_the_batches_before(
    founded: FoundedArchive, shelf: Shelf, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, told = children_of(os.getpid()), list[Outcome]()

    def fail(candidate: Candidate, *_: Any) -> bool:
        if candidate.found.path.endswith("/20"):
            raise DiskFailed(path="somewhere", reason="Input/output error")
        return False

    monkeypatch.setattr(preparation.Preparation, "_copy", _before_copying(preparation.Preparation._copy, fail))

    with pytest.raises(DiskFailed) as failed:
        take_in(founded, folder, told=told)

    assert failed.value.values == {"path": "somewhere", "reason": "Input/output error"}
    assert [Path(outcome.path).name for outcome in told] == [f"{number:02}" for number in range(20)]
    assert len(founded.files()) == len(shelf.rows(instances)) == 20
    assert children_of(os.getpid()) <= before


def _before_copying(copy: Callable[..., None], act: Callable[..., Any]) -> Callable[..., None]:
    def acting(self: Any, candidate: Candidate, *rest: Any) -> None:
        act(candidate)
        copy(self, candidate, *rest)

    return acting


def test_an_error_that_nobody_foresaw_tells_where_it_was_raised(
    founded: FoundedArchive, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(found: Found) -> None:
        raise ZeroDivisionError

    in_a_worker(monkeypatch, stumble)

    with pytest.raises(RuntimeError, match=r"in stumble\n(?s:.*)ZeroDivisionError"):
        take_in(founded, folder)


def test_whoever_ends_an_import_early_leaves_neither_process_nor_copy(
    founded: FoundedArchive, shelf: Shelf, folder: Path
) -> None:
    before = children_of(os.getpid())

    outcomes = importing.import_files(founded.database, founded.area, founded.data, [folder])
    next(outcomes)
    during = children_of(os.getpid()) - before
    outcomes.close()

    assert len(during) == 2
    assert children_of(os.getpid()) <= before
    assert len(founded.files()) == len(shelf.rows(instances)) > 0


def test_an_interrupt_that_comes_with_a_reply_loses_no_copy(
    founded: FoundedArchive, shelf: Shelf, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive, told = Channel.receive, list[Outcome]()
    number_prepared = 0

    def interrupted(channel: Channel) -> Any:
        nonlocal number_prepared
        reply = receive(channel)
        if isinstance(reply, Prepared):
            number_prepared += 1
            if number_prepared == 4:
                signal.raise_signal(signal.SIGINT)
        return reply

    monkeypatch.setattr(Channel, "receive", interrupted)

    with pytest.raises(KeyboardInterrupt):
        take_in(founded, folder, told=told)

    assert len(founded.files()) == len(shelf.rows(instances)) == stored(told) < FILES
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_worker_has_nothing_open_of_what_its_parent_has(
    founded: FoundedArchive, shelf: Shelf, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock or a connection that it inherits would be held by it, too."""
    (folder / "held open").write_bytes(b"")
    shelf.rows(instances)  # so that there is a connection

    def tell(found: Found) -> None:
        raise NotAnInstance("|".join(open_files()))

    in_a_worker(monkeypatch, tell)

    with (folder / "held open").open("rb"):
        outcomes = take_in(founded, folder)

    standard = [str(Path(f"/proc/self/fd/{number}").readlink()) for number in range(3)]
    for outcome in outcomes:
        others = outcome.reason.split("|")
        for name in standard:
            others.remove(name)
        assert all(name.startswith(("pipe:", "/proc/")) for name in others), others
        assert sum(name.startswith("pipe:") for name in others) == 2
