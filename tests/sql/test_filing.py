"""Small instances get their files: from the database to the area's folder, whatever happens on the way."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event, func, select, text

from archive.database import transaction
from archive.database.engine import Database
from archive.errors import OutOfResources, UnreadableFile
from archive.index import remove, unfiled
from archive.index.tables import deletions, instances, studies, unfiled_instances
from archive.lifecycle import filing
from archive.lifecycle.retrieve import Holdings
from archive.server.housekeeping import Housekeeping
from archive.storage.local import LocalArea
from tests.fix_archive import FoundedArchive
from tests.fix_instances import encoded, instance
from tests.sql.fix_holdings import MOMENT, Shelf, find


@pytest.fixture
def shelf(founded: FoundedArchive) -> Shelf:
    return Shelf(founded.database, founded.area.pk)


def _file(founded: FoundedArchive, files: LocalArea | None = None) -> filing.Filed:
    return filing.file_some(founded.database, founded.area, files or LocalArea(founded.folder))


def _remove_studies(founded: FoundedArchive) -> None:
    def work(connection) -> None:
        for pk in connection.scalars(select(studies.c.pk)).all():
            remove.remove_study(connection, pk, 0, "removed", MOMENT)

    transaction.write(founded.database, work)


def _unfiled(founded: FoundedArchive) -> int:
    with transaction.read(founded.database) as connection:
        return connection.scalar(select(func.count()).select_from(unfiled_instances)) or 0


def _fetched(founded: FoundedArchive) -> list[bytes]:
    holdings = Holdings(founded.database, founded.data)
    fetched = []
    for location in holdings.locate(find("STUDY"), founded.area):
        with holdings.open(founded.area, location) as stream:
            fetched.append(stream.read())
    return fetched


def test_an_instance_is_whole_before_and_after_it_has_its_file(founded: FoundedArchive, shelf: Shelf):
    data_sets = [instance(number=number) for number in (1, 2, 3)]
    founded.store(*data_sets, is_filed=False)
    before, files_before = _fetched(founded), founded.files()

    filed = _file(founded)

    assert filed == filing.Filed(3, is_last=True)
    assert files_before == []
    assert before == _fetched(founded) == [encoded(each) for each in data_sets]
    assert sorted(founded.folder / row.path for row in shelf.rows(instances)) == founded.files()
    assert _unfiled(founded) == 0
    shelf.assert_sound()


def test_the_file_is_a_part_10_file_of_the_size_that_the_row_says(founded: FoundedArchive, shelf: Shelf):
    founded.store(instance())

    (file,), row = founded.files(), shelf.one(instances)

    content = file.read_bytes()
    assert content[128:132] == b"DICM"
    assert content[row.data_set_offset :] == encoded(instance())
    assert len(content) == row.size_bytes


def test_many_instances_are_filed_batch_by_batch(
    founded: FoundedArchive, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(filing, "BATCH", 2)
    founded.store(*(instance(number=number) for number in range(5)), is_filed=False)

    filed = [_file(founded) for _ in range(3)]

    assert [(each.number, each.is_last) for each in filed] == [(2, False), (2, False), (1, True)]
    shelf.assert_sound()


def test_a_removed_instance_takes_its_bytes_along_and_queues_no_file(founded: FoundedArchive, shelf: Shelf):
    founded.store(instance(), is_filed=False)

    _remove_studies(founded)

    assert _unfiled(founded) == len(shelf.rows(deletions)) == 0
    assert _file(founded) == filing.Filed(0, is_last=True)


def test_a_replaced_instance_that_had_no_file_leaves_nothing_behind(founded: FoundedArchive, shelf: Shelf):
    founded.store(instance(), is_filed=False)
    founded.store(instance(PatientComments="again"), is_filed=False)

    assert _fetched(founded) == [encoded(instance(PatientComments="again"))]
    assert _unfiled(founded) == 1
    assert len(shelf.rows(deletions)) == 0
    shelf.assert_sound()


class _Interrupted(LocalArea):
    """An area where something happens between the writing of files and the transaction that names them."""

    def __init__(self, root: Path, happens) -> None:
        super().__init__(root)
        self._happens = happens

    def write_durably(self, contents) -> list[str]:
        paths = super().write_durably(contents)
        self._happens()
        return paths


def test_the_file_of_an_instance_that_was_removed_meanwhile_goes(founded: FoundedArchive, shelf: Shelf):
    founded.store(instance(study=1), instance(study=2), is_filed=False)

    filed = _file(founded, _Interrupted(founded.folder, lambda: _remove_studies(founded)))

    assert filed.number == 0
    assert founded.files() == []
    shelf.assert_sound()


def test_the_successor_of_an_instance_that_was_replaced_meanwhile_keeps_its_own_bytes(
    founded: FoundedArchive, shelf: Shelf
):
    founded.store(instance(), is_filed=False)
    successor = instance(PatientComments="again")

    filed = _file(founded, _Interrupted(founded.folder, lambda: founded.store(successor, is_filed=False)))

    assert filed.number == 0
    assert _fetched(founded) == [encoded(successor)]
    founded.file()
    assert _fetched(founded) == [encoded(successor)]
    shelf.assert_sound()


@pytest.fixture
def somebody_else(founded: FoundedArchive, dialect: str) -> Iterator[Database]:
    """The database as another process has it. SQLite's writers come one after the other: nothing can collide there."""
    if dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    with closing(Database(founded.database.url.render_as_string(hide_password=False))) as database:
        yield database


def _meanwhile(
    database: Database, beginning: str, other: Database, pool: Executor, work: Callable[[], object]
) -> list[Future[object]]:
    """Before a statement of ours that begins so, let `other` work until it has ended, or waits for us."""
    begun: list[Future[object]] = []

    def interfere(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith(beginning) and not begun:
            begun.append(pool.submit(work))
            while not begun[0].done() and not _waits_for_a_row(other):
                wait(begun, 0.01)

    event.listen(database.engine, "before_cursor_execute", interfere)
    return begun


def _waits_for_a_row(database: Database) -> bool:
    with transaction.read(database) as connection:
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(connection.scalar(text(waiting)))


def test_a_study_that_is_removed_while_its_files_are_named_leaves_none_behind(
    founded: FoundedArchive, shelf: Shelf, somebody_else: Database
):
    founded.store(instance(number=1), instance(number=2), is_filed=False)

    with ThreadPoolExecutor(1) as pool:
        filing_meanwhile = _meanwhile(
            founded.database,
            "DELETE FROM instances",
            somebody_else,
            pool,
            lambda: filing.file_some(somebody_else, founded.area, LocalArea(founded.folder)),
        )
        _remove_studies(founded)
        filing_meanwhile[0].result(60)
    Housekeeping(founded.database, founded.data).round()

    assert len(shelf.rows(instances)) == 0
    assert founded.files() == []


def test_files_that_are_being_named_when_their_study_is_removed_are_queued(
    founded: FoundedArchive, shelf: Shelf, somebody_else: Database
):
    founded.store(instance(number=1), instance(number=2), is_filed=False)

    with ThreadPoolExecutor(1) as pool:
        removing = _meanwhile(somebody_else, "UPDATE instances", somebody_else, pool, lambda: _remove_studies(founded))
        filed = filing.file_some(somebody_else, founded.area, LocalArea(founded.folder))
        removing[0].result(60)
    queued = shelf.deleted_paths()
    Housekeeping(founded.database, founded.data).round()

    assert filed.number == len(queued) == 2
    assert founded.files() == []


def test_of_two_who_file_the_same_instance_one_has_filed_it(founded: FoundedArchive, shelf: Shelf):
    founded.store(instance(study=1), instance(study=2), is_filed=False)

    late = _file(founded, _Interrupted(founded.folder, lambda: _file(founded)))

    assert late.number == 0
    assert sorted(founded.folder / row.path for row in shelf.rows(instances)) == founded.files()
    shelf.assert_sound()


def test_an_instance_that_got_its_file_since_it_was_looked_for_is_read_from_there(founded: FoundedArchive):
    founded.store(instance(), is_filed=False)
    holdings = Holdings(founded.database, founded.data)
    (location,) = holdings.locate(find("STUDY"), founded.area)
    assert location.path is None
    _file(founded)

    with holdings.open(founded.area, location) as stream:
        assert stream.read() == encoded(instance())


def test_an_instance_that_was_removed_since_it_was_looked_for_is_said_to_be(founded: FoundedArchive):
    founded.store(instance(), is_filed=False)
    holdings = Holdings(founded.database, founded.data)
    (location,) = holdings.locate(find("STUDY"), founded.area)
    _remove_studies(founded)
    founded.store(instance(study=9), is_filed=False)  # which may well have the same key

    with pytest.raises(UnreadableFile, match="removed meanwhile"):
        holdings.open(founded.area, location)


def test_a_disk_that_is_full_leaves_the_instances_where_they_are(founded: FoundedArchive, shelf: Shelf, monkeypatch):
    founded.store(instance(), is_filed=False)

    def fail(area: LocalArea, contents: object) -> list[str]:
        raise OutOfResources("The disk of the area is full")

    with monkeypatch.context() as patched:
        patched.setattr(LocalArea, "write_durably", fail)
        assert Housekeeping(founded.database, founded.data).round() is False
    kept = _fetched(founded)
    assert Housekeeping(founded.database, founded.data).round() is True

    assert kept == _fetched(founded) == [encoded(instance())]
    assert len(founded.files()) == 1
    shelf.assert_sound()


def test_only_instances_that_are_still_there_are_named(founded: FoundedArchive, shelf: Shelf):
    founded.store(instance(), is_filed=False)
    pk = shelf.one(instances).pk

    named = transaction.write(
        founded.database, lambda connection: unfiled.settle(connection, {pk: "a.dcm", pk + 1: "b.dcm"})
    )

    assert named == {pk}
    assert shelf.one(instances).path == "a.dcm"
