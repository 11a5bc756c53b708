"""Rows against files: is the file of every row there, as long as the row says, and, if asked, byte for byte the same?

Reading files waits for the disk and not for Python, so some are read at a time. Rows are taken in the order of their
keys: who says behind which row a check ended can go on there.
"""

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from archive.database import transaction
from archive.database.engine import Database
from archive.errors import UnreadableFile
from archive.index import checks, unfiled
from archive.index.checks import HeldFile
from archive.lifecycle.reconcile import files_of
from archive.registry.model import Area
from archive.storage import checksum

_ROWS_AT_A_TIME = 1_000
# Fewer where each file is read whole: how far a check is, is told after each batch.
_FILES_AT_A_TIME = 100
_THREADS = 4


@dataclass(frozen=True, slots=True)
class Content:
    """What was found where a row says that an instance is."""

    size_bytes: int | None
    """None: nothing is there."""
    checksum: bytes | None = None
    """None: it was not read."""
    trouble: str = ""
    """Why it could not be read."""

    def agrees_with(self, row: HeldFile) -> bool:
        """Whether it is what the row describes, as far as it was looked at."""
        if self.size_bytes != row.size_bytes or self.trouble:
            return False
        return self.checksum is None or row.checksum is None or self.checksum == row.checksum


@dataclass(frozen=True, slots=True)
class Fault:
    """A row whose file is not what it describes."""

    file: HeldFile
    found: Content


class Verification:
    """The rows of an area, held against their files; the folder must be there, or DiskFailed."""

    def __init__(
        self,
        database: Database,
        area: Area,
        data: Path,
        *,
        reads_files: bool = False,
        records_checksums: bool = False,
        after: int = 0,
    ) -> None:
        """Begin behind the row `after`."""
        self._database = database
        self._area = area
        self._files = files_of(area, data)
        self.reads_files = reads_files
        self._records_checksums = records_checksums
        self.advance: Callable[[int], None] = lambda _: None
        """Told how many rows were looked at since the last time."""
        self.last_pk = after
        self.number_of_files = 0
        self.number_without_checksum = 0
        self.number_recorded = 0

    def number_to_do(self) -> int:
        """How many rows there are to look at."""
        with transaction.read(self._database) as connection:
            return checks.number_after(connection, self._area.pk, self.last_pk)

    def faults(self) -> Generator[Fault, None, None]:
        """Every row whose file is not as the row says."""
        most = _FILES_AT_A_TIME if self.reads_files else _ROWS_AT_A_TIME
        with ThreadPoolExecutor(_THREADS, "verify") as pool:
            while True:
                with transaction.read(self._database) as connection:
                    rows = checks.files_after(connection, self._area.pk, self.last_pk, most)
                if not rows:
                    return
                look = self._read if self.reads_files else self._measure
                found = dict(zip(rows, pool.map(look, rows), strict=True))
                yield from self._confirmed({row: each for row, each in found.items() if not each.agrees_with(row)})
                self._note_checksums(found)
                self.number_of_files += len(rows)
                self.last_pk = rows[-1].pk
                self.advance(len(rows))

    def _confirmed(self, suspects: dict[HeldFile, Content]) -> list[Fault]:
        """Those whose row is still as it was: a row goes before its file, so the file of these was wrong."""
        if not suspects:
            return []
        with transaction.read(self._database) as connection:
            still_there = checks.files_of(connection, [row.pk for row in suspects])
        return [Fault(row, suspects[row]) for row in still_there if row in suspects]

    def _measure(self, row: HeldFile) -> Content:
        return Content(row.unfiled_bytes if row.path is None else self._files.size_bytes(row.path))

    def _read(self, row: HeldFile) -> Content:
        """Read a file to its end, in pieces; or bytes that wait for their file."""
        measured = self._measure(row)
        if measured.size_bytes is None:
            return measured
        try:
            if row.path is None:
                return self._read_unfiled(row)
            with self._files.open(row.path) as stream:
                return Content(measured.size_bytes, checksum.of_stream(stream))
        except UnreadableFile as error:
            return Content(measured.size_bytes, trouble=str(error.reason))
        except OSError as error:
            return Content(measured.size_bytes, trouble=str(error.strerror))

    def _read_unfiled(self, row: HeldFile) -> Content:
        with transaction.read(self._database) as connection:
            now = unfiled.find(connection, row.pk, row.sop_instance_uid)
        if now is None or now.content is None:  # it was removed, or got its file: no longer this row
            return Content(None)
        return Content(len(now.content), checksum.of_bytes(now.content))

    def _note_checksums(self, found: dict[HeldFile, Content]) -> None:
        missing = [row for row in found if row.checksum is None]
        if not self.reads_files or not self._records_checksums:
            self.number_without_checksum += len(missing)
            return
        read = {row: each.checksum for row in missing if (each := found[row]).agrees_with(row)}
        recorded = {row: value for row, value in read.items() if value is not None}
        self.number_without_checksum += len(missing) - len(recorded)
        self.number_recorded += len(recorded)
        if recorded:
            transaction.write(
                self._database, lambda connection: checks.record_checksums(connection, recorded), durable=False
            )
