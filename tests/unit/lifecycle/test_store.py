"""One received instance, from its first byte to its row: all of it or nothing. On the embedded database."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import FileDataset
from sqlalchemy import select

from archive.database import transaction
from archive.database.engine import Database
from archive.errors import (
    DatabaseFailed,
    DataSetMismatch,
    DuplicateInstance,
    MissingUid,
    OutOfResources,
    UnreadableDataSet,
)
from archive.index.tables import instances, studies
from archive.lifecycle import filing, founding
from archive.lifecycle.head import HEAD_BYTES
from archive.lifecycle.retrieve import Holdings
from archive.lifecycle.store import WAKE_SECONDS, Store
from archive.registry import changes, snapshot
from archive.registry.model import Area, Quota
from archive.storage.local import LocalArea
from tests.fix_database import sqlite_url
from tests.fix_instances import encoded, instance
from tests.sql.fix_holdings import Shelf, find

LARGE_SIDE_PIXELS = 256  # 128 KiB: a file from the beginning


class Ward:
    """An archive of one area, and stores into it."""

    def __init__(self, database: Database, data: Path) -> None:
        founding.found(database, data)
        with transaction.read(database) as connection:
            self.area: Area = snapshot.read(connection).areas[founding.FIRST_AREA]
        self.database = database
        self.data = data
        self.wakes = 0
        self.archive = Store(database, data, wake_housekeeping=self._count_wake)
        self.shelf = Shelf(database, self.area.pk)

    def _count_wake(self) -> None:
        self.wakes += 1

    def store(self, data_set=None, *, fragments_bytes: int = 1 << 20, announced: dict[str, str] | None = None) -> bytes:
        """Receive a data set in fragments; its bytes."""
        data_set = data_set or instance()
        received = encoded(data_set)
        self.receive(
            received,
            **{"sop_class_uid": data_set.SOPClassUID, "sop_instance_uid": data_set.SOPInstanceUID} | (announced or {}),
            transfer_syntax=data_set.file_meta.TransferSyntaxUID,
            fragments_bytes=fragments_bytes,
        )
        return received

    def receive(
        self,
        received: bytes,
        sop_class_uid: str = "1.2",
        sop_instance_uid: str = "1.3",
        transfer_syntax: str = "1.2.840.10008.1.2.1",
        fragments_bytes: int = 1 << 20,
    ) -> None:
        """Receive bytes in fragments."""
        sink = self.archive.sink(self.area, "SENDER")
        with sink.begin(sop_class_uid, sop_instance_uid, transfer_syntax) as incoming:
            for first in range(0, len(received), fragments_bytes):
                incoming.write(memoryview(received[first : first + fragments_bytes]))
            incoming.finish()

    def files(self) -> list[Path]:
        """The files of the area, once housekeeping has been."""
        filing.file_some(self.database, self.area, LocalArea(self.area.folder(self.data)))
        return sorted(path for path in self.area.folder(self.data).rglob("*") if path.is_file())

    def paths(self) -> list[Path]:
        """The files that rows name."""
        with transaction.read(self.database) as connection:
            return sorted(self.area.folder(self.data) / path for path in connection.scalars(select(instances.c.path)))


@pytest.fixture
def ward(sqlite_template: Path, tmp_path: Path) -> Iterator[Ward]:
    """A founded archive."""
    path = tmp_path / "index.sqlite"
    path.write_bytes(sqlite_template.read_bytes())
    with closing(Database(sqlite_url(path))) as database:
        yield Ward(database, tmp_path / "data")


@pytest.mark.parametrize("fragments_bytes", [1 << 20, 4096, 7], ids=["whole", "pages", "crumbs"])
def test_stored_bytes_are_the_received_bytes(ward, fragments_bytes):
    received = ward.store(instance(side_pixels=16), fragments_bytes=fragments_bytes)

    holdings = Holdings(ward.database, ward.data)
    (location,) = holdings.locate(find("STUDY"), ward.area)
    with holdings.open(ward.area, location) as stream:
        assert stream.read() == received
    assert ward.files() == ward.paths()
    assert location.size_bytes == ward.files()[0].stat().st_size


def test_header_longer_than_what_is_kept_in_memory_is_read_from_the_file(ward):
    data_set = instance(PatientComments="comment " * 20)
    data_set.add_new(0x00091001, "OB", bytes(2 * HEAD_BYTES))

    ward.store(data_set, fragments_bytes=10_000)

    row = ward.shelf.one(studies)
    assert row.study_instance_uid == data_set.StudyInstanceUID


def test_what_is_left_unfinished_leaves_no_trace(ward):
    sink = ward.archive.sink(ward.area, "SENDER")

    with sink.begin("1.2", "1.3", "1.2.840.10008.1.2.1") as incoming:
        incoming.write(memoryview(encoded(instance())))

    assert ward.files() == ward.paths() == []


@pytest.mark.parametrize(
    "change, announced, error",
    [
        pytest.param({}, {"sop_class_uid": "1.2.3"}, DataSetMismatch, id="another SOP Class"),
        pytest.param({}, {"sop_instance_uid": "1.2.3"}, DataSetMismatch, id="another SOP Instance"),
        pytest.param({"StudyInstanceUID": None}, {}, MissingUid, id="no study"),
        pytest.param({"StudyInstanceUID": ""}, {}, MissingUid, id="empty study"),
        pytest.param({"SeriesInstanceUID": None}, {}, MissingUid, id="no series"),
    ],
)
def test_data_set_that_is_not_what_was_announced_is_not_kept(ward, change, announced, error):
    with pytest.raises(error) as refusal:
        ward.store(instance(**change), announced=announced)

    assert isinstance(refusal.value.offending_element, int)
    assert ward.files() == ward.paths() == []


@pytest.mark.parametrize("received", [b"", b"\xff" * 5000], ids=["nothing", "no elements"])
def test_what_cannot_be_read_is_not_kept(ward, received):
    with pytest.raises((UnreadableDataSet, DataSetMismatch)):
        ward.receive(received)

    assert ward.files() == ward.paths() == []


def test_replaced_instance_waits_for_its_file_to_be_unlinked(ward):
    ward.store()
    (first,) = ward.files()

    ward.store()

    assert len(ward.files()) == 2
    assert [ward.area.folder(ward.data) / path for path in ward.shelf.deleted_paths()] == [first]
    ward.shelf.assert_sound()


def test_kept_duplicate_leaves_only_the_first_file(ward):
    ward.store()
    first = ward.files()
    ward.area = replace(ward.area, duplicates="keep")

    ward.store()

    assert ward.files() == ward.paths() == first


def test_rejected_duplicate_leaves_only_the_first_file(ward):
    ward.store()
    first = ward.files()
    ward.area = replace(ward.area, duplicates="reject")

    with pytest.raises(DuplicateInstance):
        ward.store()

    assert ward.files() == ward.paths() == first


def test_series_is_looked_up_once(ward, query_recorder):
    ward.store(instance(number=1))

    with query_recorder(ward.database.engine) as recorded:
        ward.store(instance(number=2))

    assert recorded.starting("SELECT") == []


def test_series_that_was_removed_is_looked_up_again(ward):
    ward.store(data_set := instance(number=1))
    ward.shelf.remove_study(data_set.StudyInstanceUID)

    ward.store(instance(number=2))
    ward.store(instance(number=3))

    assert ward.shelf.usage().number_of_instances == 2
    ward.shelf.assert_sound()


@pytest.mark.parametrize("is_large, files", [(True, 1), (False, 0)], ids=["large", "small"])
def test_failed_commit_may_leave_a_file_and_never_a_row(ward, is_large: bool, files: int):
    data_set = instance(side_pixels=LARGE_SIDE_PIXELS) if is_large else instance()
    ward.database.close()
    with pytest.raises(DatabaseFailed):
        _break(ward, data_set)

    assert len(ward.files()) == files
    assert ward.paths() == []


def _break(ward: Ward, data_set: FileDataset) -> None:
    """Store while the database cannot be opened."""
    path = Path(ward.database.url.database or "")
    path.rename(path.with_suffix(".away"))
    path.mkdir()
    try:
        ward.store(data_set)
    finally:
        path.rmdir()
        path.with_suffix(".away").rename(path)


def test_relaxed_area_stores_the_same(ward):
    ward.area = replace(ward.area, durable=False)

    received = ward.store()

    assert ward.files() == ward.paths()
    assert ward.files()[0].read_bytes().endswith(received)


def test_a_small_instance_wakes_housekeeping_to_make_its_file(ward):
    ward.store(instance())

    assert ward.wakes == 1


def test_a_large_instance_that_replaces_nothing_leaves_housekeeping_asleep(ward):
    ward.store(instance(side_pixels=LARGE_SIDE_PIXELS))

    assert ward.wakes == 0


def test_an_instance_that_replaces_another_wakes_housekeeping_to_unlink_its_file(ward):
    ward.store(instance(side_pixels=LARGE_SIDE_PIXELS))
    ward.store(instance(side_pixels=LARGE_SIDE_PIXELS))

    assert ward.wakes == 1


def test_housekeeping_is_not_woken_twice_in_a_moment(ward, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("archive.lifecycle.store.time.monotonic", lambda: now[0])

    ward.store(instance(number=1))
    ward.store(instance(number=2))
    at_once = ward.wakes
    now[0] += 2 * WAKE_SECONDS
    ward.store(instance(number=3))

    assert (at_once, ward.wakes) == (1, 2)


def test_a_store_that_is_refused_leaves_housekeeping_asleep(ward):
    ward.area = replace(ward.area, quota=Quota(max_bytes=100))

    with pytest.raises(OutOfResources):
        ward.store()

    assert ward.wakes == 0


def test_an_eviction_wakes_housekeeping(ward):
    def limit(connection) -> None:
        changes.set_area(connection, ward.area.name, {"max_studies": 1, "on_full": "evict"})
        ward.area = snapshot.read(connection).areas[ward.area.name]

    transaction.write(ward.database, limit)
    ward.store(instance(study=1, side_pixels=LARGE_SIDE_PIXELS))
    ward.store(instance(study=2, side_pixels=LARGE_SIDE_PIXELS))

    assert ward.wakes == 1
