"""A founded archive without a service: its database, its first area, and stores as an association makes them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import FileDataset

from archive.database import transaction
from archive.database.engine import Database
from archive.lifecycle import filing, founding
from archive.lifecycle.recorder import Received
from archive.lifecycle.store import Store
from archive.registry import changes, snapshot
from archive.registry.model import Area
from archive.storage.local import LocalArea
from archive.storage.sink import Outcome
from tests.fix_instances import encoded


@dataclass(frozen=True, slots=True)
class FoundedArchive:
    """What a service would work with."""

    database: Database
    data: Path

    @property
    def area(self) -> Area:
        """The first area."""
        with transaction.read(self.database) as connection:
            return snapshot.read(connection).areas[founding.FIRST_AREA]

    @property
    def folder(self) -> Path:
        """Where the files of the first area lie."""
        return self.area.folder(self.data)

    def store(self, *data_sets: FileDataset, is_filed: bool = True) -> None:
        """Store instances into the first area, and leave no bytes in the database unless told."""
        sink = Store(self.database, self.data).sink(self.area, "STORESCU")
        for data_set in data_sets:
            uids = data_set.SOPClassUID, data_set.SOPInstanceUID, data_set.file_meta.TransferSyntaxUID
            with sink.begin(*uids) as incoming:
                incoming.write(memoryview(encoded(data_set)))
                incoming.finish()
        if is_filed:
            self.file()

    def store_one(self, data_set: FileDataset, received: Received) -> Outcome:
        """Store an instance, counted in `received`; what became of it."""
        sink = Store(self.database, self.data, received=received).sink(self.area, "STORESCU")
        uids = data_set.SOPClassUID, data_set.SOPInstanceUID, data_set.file_meta.TransferSyntaxUID
        with sink.begin(*uids) as incoming:
            incoming.write(memoryview(encoded(data_set)))
            return incoming.finish()

    def set_area(self, **policy: Any) -> None:
        """Change the policy of the first area."""
        transaction.write(self.database, lambda connection: changes.set_area(connection, founding.FIRST_AREA, policy))

    def file(self) -> None:
        """Give every small instance its file, as housekeeping does."""
        while not filing.file_some(self.database, self.area, LocalArea(self.folder)).is_last:
            pass

    def files(self) -> list[Path]:
        """The files of the first area."""
        return sorted(self.folder.rglob("*.dcm"))


@pytest.fixture
def founded(database: Database, tmp_path: Path) -> FoundedArchive:
    """An archive as the first start makes it."""
    data = tmp_path / "data"
    if not founding.found(database, data):  # the template of the database was
        (data / founding.FIRST_AREA_PATH).mkdir(parents=True)
    return FoundedArchive(database, data)
