"""After a crash: files without rows, rows without files, counters that differ from what they count.

A file without a row is rubbish: a store died before its transaction, or the answer of one was lost. It is looked for
by a merge of two sorted sequences, the paths that rows name and the paths that are there, so that memory does not grow
with the area. The paths of rows are copied to a temporary file first, so that no transaction is open while the folders
are walked. A row without a file breaks the archive's promise; it is reported and never mended here.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

from archive.database import dialects, transaction
from archive.database.engine import Database
from archive.errors import DiskFailed
from archive.index import checks
from archive.index.checks import WrongCounters
from archive.registry import changes
from archive.registry.model import Area
from archive.storage.local import LocalArea

# Files of a store under way have no row yet; its last step after the last byte takes milliseconds.
GRACE_SECONDS = 600.0

# Each batch is held against the rows once more, which reads them all: the larger, the fewer such readings.
_PATHS_AT_A_TIME = 10_000
_SHARD = 0
# The first character of a line: what kind of row names the path behind it.
_HELD, _WAITING = "=", "-"  # an instance; a file that waits to be unlinked


def verify_counters(database: Database, area: Area) -> list[WrongCounters]:
    """The counters of an area that differ from what they count, all seen at one moment."""
    with transaction.read(database) as connection:
        dialects.see_one_moment(connection)
        return checks.wrong_counters(connection, area.pk)


def repair_counters(connection: dialects.Connection, area: Area) -> list[WrongCounters]:
    """Set the counters of an area right, while it is in use; returns what was wrong."""
    changes.hold_area(connection, area.pk)
    return checks.repair_counters(connection, area.pk, _SHARD)


class Survey(AbstractContextManager["Survey"]):
    """What rows and folders of an area say of each other, as of when it was made; its lists lie in temporary files."""

    def __init__(
        self,
        database: Database,
        area: Area,
        data: Path,
        *,
        older_than_seconds: float,
        now: float,
        advance: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Compare; `now` is the time in seconds since 1970, and files younger than `older_than_seconds` are let be.

        `advance` is told of every file that was looked at.
        """
        self._database = database
        self._area = area
        self._files = files_of(area, data)
        self.number_of_files = 0
        self.number_of_rows = 0
        self.number_of_young_files = 0
        self.number_of_deleted_files = 0
        self.leftover_bytes = 0
        self.leftovers = _PathList()  # files without a row
        self.missing = _PathList()  # rows without a file
        self._compare(now - older_than_seconds, advance)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.leftovers.close()
        self.missing.close()

    def __enter__(self) -> Self:
        return self

    def _compare(self, youngest: float, advance: Callable[[int], None]) -> None:
        with _PathList() as named:
            with transaction.read(self._database) as connection:
                for path, is_held in checks.sorted_paths(connection, self._area.pk):
                    named.append(f"{_HELD if is_held else _WAITING}{path}")
            rows, files = iter(named), self._files.walk()
            row, file = next(rows, None), next(files, None)
            while row is not None or file is not None:
                advance(1)
                if file is None or (row is not None and row[1:] < file):
                    assert row is not None
                    self._note_row(row, is_there=False)
                    row = next(rows, None)
                elif row is None or file < row[1:]:
                    self._note_leftover(file, youngest)
                    file = next(files, None)
                else:
                    self.number_of_files += 1
                    self._note_row(row, is_there=True)
                    row, file = next(rows, None), next(files, None)

    def _note_row(self, row: str, *, is_there: bool) -> None:
        if row[0] == _WAITING:
            return
        self.number_of_rows += 1
        if is_there:
            return
        if self._files.size_bytes(row[1:]) is None:
            self.missing.append(row[1:])
        else:  # indexed in place, under a name of somebody else's
            self.number_of_files += 1

    def _note_leftover(self, path: str, youngest: float) -> None:
        found = self._files.look_at(path)
        if found is None:  # removed while we walked
            return
        self.number_of_files += 1
        if found.changed_at > youngest:
            self.number_of_young_files += 1
            return
        self.leftovers.append(path)
        self.leftover_bytes += found.size_bytes

    def missing_files(self) -> Iterator[str]:
        """The paths that rows still name and that are not there."""
        for paths in _batches(self.missing):
            named = self._named(paths)
            yield from (path for path in paths if path in named)

    def files_without_row(self) -> Iterator[str]:
        """The files that still have none."""
        for paths in _batches(self.leftovers):
            named = self._named(paths)
            yield from (path for path in paths if path not in named)

    def delete_leftovers(self) -> Iterator[str]:
        """Unlink the files without a row; each is named before it goes. Raises DiskFailed.

        Whoever hears the names may take his time. A file that somebody else indexes meanwhile, where it lies, stays.
        """
        for paths in _batches(self.leftovers):
            named = self._named(paths)
            without_row = [path for path in paths if path not in named]
            yield from without_row
            if without_row:
                unlink = partial(self._unlink, paths=without_row, number_before=self.number_of_deleted_files)
                transaction.write(self._database, unlink)

    def _unlink(self, connection: dialects.Connection, paths: Sequence[str], number_before: int) -> None:
        """Unlink those that still have no row, while nobody gives them one; twice does no harm."""
        changes.hold_area(connection, self._area.pk)
        named = checks.named_paths(connection, self._area.pk, paths)
        self.number_of_deleted_files = number_before
        for path in paths:
            if path not in named:
                self._files.unlink(path)
                self.number_of_deleted_files += 1

    def _named(self, paths: Sequence[str]) -> set[str]:
        with transaction.read(self._database) as connection:
            return checks.named_paths(connection, self._area.pk, paths)


class _PathList(AbstractContextManager["_PathList"]):
    """Paths in a temporary file, appended first and then read in that order."""

    def __init__(self) -> None:
        self._lines = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed with the list
        self._number = 0

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __len__(self) -> int:
        return self._number

    def __iter__(self) -> Iterator[str]:
        self._lines.seek(0)
        for line in self._lines:
            yield line.removesuffix("\n")

    def append(self, path: str) -> None:
        self._lines.write(f"{path}\n")
        self._number += 1

    def close(self) -> None:
        self._lines.close()


def _batches(paths: _PathList) -> Iterator[list[str]]:
    each = iter(paths)
    while batch := list(islice(each, _PATHS_AT_A_TIME)):
        yield batch


def files_of(area: Area, data: Path) -> LocalArea:
    """The files of an area whose folder must be there, or DiskFailed."""
    folder = area.folder(data)
    if not folder.is_dir():
        raise DiskFailed(f"The folder of area {area.name} is not there; is its disk mounted?", path=str(folder))
    return LocalArea(folder)
