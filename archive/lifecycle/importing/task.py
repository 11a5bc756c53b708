"""What one import works on, and how: the same for all its files."""

import os
import time
from collections.abc import Iterable
from pathlib import Path

from archive.database.engine import Database
from archive.index.record import Duplicates
from archive.lifecycle.evict import Disks
from archive.lifecycle.importing.batch import Item
from archive.lifecycle.reconcile import GRACE_SECONDS
from archive.registry.model import Area
from archive.storage.local import LocalArea
from archive.storage.sources import Found


class Task:
    """Files go into one area: copied, or indexed where they lie in its folder."""

    def __init__(
        self,
        database: Database,
        area: Area,
        data: Path,
        *,
        is_in_place: bool = False,
        is_dry_run: bool = False,
        duplicates: Duplicates | None = None,
        older_than_seconds: float = GRACE_SECONDS,
    ) -> None:
        """`duplicates` is the area's policy unless told; younger files with names of ours may be stores under way."""
        self.database = database
        self.area = area
        self.data = data
        self.files = LocalArea(area.folder(data))
        self.root = os.path.realpath(self.files.root)
        self.is_in_place = is_in_place
        self.is_dry_run = is_dry_run
        self.duplicates = duplicates or Duplicates(area.duplicates)
        self.youngest = time.time() - older_than_seconds

    def relative(self, found: Found) -> str:
        """The path of a file below the area's folder."""
        return found.path[len(self.root) + 1 :]

    def discard(self, items: Iterable[Item]) -> None:
        """Leave no trace of the copies of items that no row names; raises DiskFailed."""
        for item in items:
            if item.is_copy and item.record.path is not None:
                self.files.unlink(item.record.path)

    def disks(self) -> Disks | None:
        """What the area's quota looks at, if it does."""
        if self.area.quota.min_free_bytes is None:
            return None
        return Disks.of(self.area, self.data, self.database)
