"""Housekeeping: files whose last row is gone are unlinked, whatever goes wrong on the way."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, select

from archive.database import transaction
from archive.index import remove
from archive.index.tables import deletions, studies
from archive.registry import changes
from archive.server.housekeeping import Housekeeping
from tests.fix_archive import FoundedArchive
from tests.fix_database import Recorded
from tests.fix_instances import instance


def _remove_every_study(archive: FoundedArchive) -> None:
    def work(connection) -> None:
        for pk in connection.scalars(select(studies.c.pk)).all():
            remove.remove_study(connection, pk, 0, "removed", datetime.now(UTC))

    transaction.write(archive.database, work)


def _queue(archive: FoundedArchive) -> list[tuple[int, str | None]]:
    with transaction.read(archive.database) as connection:
        return [tuple(row) for row in connection.execute(select(deletions.c.attempts, deletions.c.last_error))]


def test_the_files_of_a_removed_study_go_and_others_stay(founded: FoundedArchive):
    founded.store(*(instance(study=1, number=number) for number in (1, 2)))
    _remove_every_study(founded)
    founded.store(instance(study=2, number=3))

    Housekeeping(founded.database, founded.data).round()

    assert len(founded.files()) == 1
    assert _queue(founded) == []


def test_a_replaced_instance_leaves_one_file(founded: FoundedArchive):
    founded.store(instance(number=1))
    founded.store(instance(number=1))

    Housekeeping(founded.database, founded.data).round()

    assert len(founded.files()) == 1


def test_a_file_that_is_gone_already_is_no_error(founded: FoundedArchive):
    founded.store(instance(number=1))
    _remove_every_study(founded)
    founded.files()[0].unlink()

    Housekeeping(founded.database, founded.data).round()

    assert _queue(founded) == []


def test_a_file_that_cannot_be_unlinked_is_noted_and_does_not_stop_the_others(founded: FoundedArchive):
    founded.store(instance(number=1), instance(number=2))
    _remove_every_study(founded)
    stubborn, _ = founded.files()
    _become_folder(stubborn)

    Housekeeping(founded.database, founded.data).round()

    assert [path.name for path in founded.files()] == [stubborn.name]
    ((attempts, error),) = _queue(founded)
    assert attempts == 1
    assert error is not None
    assert stubborn.name in error


def _become_folder(path: Path) -> None:
    """What unlink(2) refuses even to root."""
    path.unlink()
    path.mkdir()


def test_an_idle_round_asks_the_same_few_questions_however_many_areas_there_are(
    founded: FoundedArchive, query_recorder: Callable[[Engine], AbstractContextManager[Recorded]]
):
    def questions() -> int:
        keeper = Housekeeping(founded.database, founded.data)
        keeper.round()
        with query_recorder(founded.database.engine) as recorded:
            assert not keeper.round()
        return len(recorded.statements)

    def more_areas(connection: Connection) -> None:
        for number in range(20):
            changes.add_area(connection, f"AREA{number}", f"areas/AREA{number}", {})

    few = questions()
    transaction.write(founded.database, more_areas)

    assert questions() == few > 0
