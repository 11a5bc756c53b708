"""What peers are told while the database cannot be used, and that all is well when it can again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import text

from tests.fix_instances import encoded, instance
from tests.wire.raw_messages import (
    EXPLICIT,
    SECONDARY_CAPTURE,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
    Proposed,
    Rejected,
)
from tests.wire.running import Archive, identifier

STUDY = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=instance().StudyInstanceUID)


@contextmanager
def unusable(archive: Archive, table: str) -> Iterator[None]:
    """A database in which every statement about `table` fails."""
    archive.change(lambda connection: connection.execute(text(f"ALTER TABLE {table} RENAME TO {table}_away")))
    yield
    archive.change(lambda connection: connection.execute(text(f"ALTER TABLE {table}_away RENAME TO {table}")))


def test_operations_fail_and_the_association_goes_on(start_own_archive: Callable[..., Archive]) -> None:
    archive = start_own_archive()
    archive.store(instance(number=1))
    assert len(archive.files(archive.title.area)) == 1  # housekeeping has nothing to do meanwhile
    classes = (VERIFICATION, SECONDARY_CAPTURE, STUDY_ROOT_FIND, STUDY_ROOT_MOVE, STUDY_ROOT_GET)
    with archive.associate(*(Proposed(each, (EXPLICIT,)) for each in classes)) as scu:

        def store(number: int) -> int:
            data_set = instance(number=number)
            return scu.store(SECONDARY_CAPTURE, data_set.SOPInstanceUID, encoded(data_set)).status

        with unusable(archive, "instances"):
            stored = store(2)
            found = scu.find(STUDY_ROOT_FIND, identifier(QueryRetrieveLevel="IMAGE", **_series(), SOPInstanceUID=None))
            moved = scu.move(STUDY_ROOT_MOVE, STUDY, "NOWHERE")
            got = scu.get(STUDY_ROOT_GET, STUDY)
            assert scu.echo() == 0

        assert [stored, found[-1].status, moved[-1].status, got.final.status] == [0xA700, 0xC000, 0xC000, 0xC000]
        assert store(2) == 0
        scu.release()
    assert archive.rows(archive.title.area) == len(archive.files(archive.title.area)) == 2


def test_an_association_is_to_be_tried_later(start_own_archive: Callable[..., Archive]) -> None:
    archive = start_own_archive()

    with unusable(archive, "registry_revision"):
        rejection = _rejection(archive)

    assert rejection == (2, 2, 1)
    archive.echo()


def _rejection(archive: Archive) -> tuple[int, int, int] | None:
    try:
        with archive.associate(Proposed(VERIFICATION)) as scu:
            scu.release()
    except Rejected as rejected:
        return rejected.why
    return None


def _series() -> dict[str, str]:
    held = instance()
    return {"StudyInstanceUID": held.StudyInstanceUID, "SeriesInstanceUID": held.SeriesInstanceUID}
