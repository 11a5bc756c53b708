"""Upkeep beside the service, in a process of its own: make the files of small instances, unlink those without a row.

One unit of work at a time, woken by whoever left something to do and now and then by the clock. A unit that fails is
noted and comes again; upkeep never stops the service. Two nodes may do the same work: the first to file an instance has
filed it, unlinking a file that is gone is no error, and neither is dropping a row that is gone.
"""

import logging
import os
import select
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from archive.database import transaction
from archive.database.engine import Database
from archive.errors import ArchiveError, DiskFailed
from archive.index import remove
from archive.lifecycle import evict, filing
from archive.registry.snapshot import Area, RegistryReader
from archive.settings import Settings
from archive.storage.local import LocalArea

log = logging.getLogger(__name__)

BATCH = 500
# Housekeeping shares the shard of the first worker.
_SHARD = 0
# For what another node left to do, and for what failed.
BETWEEN_ROUNDS_SECONDS = 60.0
# After a wake, and after a round that had something to do: workers do not wake us for each instance.
BETWEEN_BUSY_ROUNDS_SECONDS = 0.5


class Housekeeping:
    """The units of work."""

    def __init__(self, database: Database, data: Path) -> None:
        self._database = database
        self._data = data
        self._registry = RegistryReader(database)
        self._files: dict[int, LocalArea] = {}

    def round(self) -> bool:
        """Do all there is to do; whether there was anything."""
        was_busy = False
        for area, files in self._areas():
            was_busy |= self._file(area, files)
            was_busy |= self._enforce_quota(area, files)
        while (number := self.unlink_some()) > 0:
            was_busy = True
            if number < BATCH:
                break
        return was_busy

    def _file(self, area: Area, files: LocalArea) -> bool:
        """Make the files of an area's instances; one that is full or broken does not hold up the others."""
        number = 0
        try:
            while not (filed := filing.file_some(self._database, area, files)).is_last:
                number += filed.number
        except ArchiveError as error:
            log.warning("instances of area %s stay in the database for now: %s", area.name, error)
            return False
        return number + filed.number > 0

    def _enforce_quota(self, area: Area, files: LocalArea) -> bool:
        """What grew too old goes, what is over a limit that was lowered, and what keeps the disk from having room."""
        if not area.quota.picks_studies:
            return False
        now, free_bytes = datetime.now(UTC), files.free_bytes()
        with transaction.read(self._database) as connection:
            if not any(evict.due(connection, area, now, free_bytes)):
                return False
        evicted = transaction.write(
            self._database, lambda connection: evict.enforce(connection, area, _SHARD, now, free_bytes)
        )
        for eviction in evicted:
            log.info("made room in area %s: %s", area.name, eviction)
        return bool(evicted)

    def unlink_some(self) -> int:
        """Unlink a batch of queued files and drop them from the queue; returns how many could be unlinked."""
        with transaction.read(self._database) as connection:
            queued = remove.queued_deletions(connection, BATCH)
        if not queued:
            return 0
        # What a relaxed area has committed may still be lost: then its rows name these files again.
        transaction.write(self._database, lambda connection: remove.note_attempts(connection, queued))
        folders = {area.pk: files for area, files in self._areas()}
        done: list[int] = []
        failed: list[tuple[int, str]] = []
        for row in queued:
            try:
                folders[row.area_pk].unlink(row.path)
                done.append(row.pk)
            except DiskFailed as error:
                log.warning("cannot unlink a file: %s", error)
                failed.append((row.pk, str(error)))
        transaction.write(self._database, lambda connection: remove.settle_deletions(connection, done, failed))
        return len(done)

    def _areas(self) -> Iterator[tuple[Area, LocalArea]]:
        for area in self._registry.current().areas.values():
            files = self._files.get(area.pk)
            if files is None:
                files = self._files[area.pk] = LocalArea(area.folder(self._data))
            yield area, files


def run(settings: Settings, wake: int, lifeline: int) -> None:
    """Work until SIGTERM, and then once more; or until the supervisor has gone: `lifeline` is then at its end."""
    stop, stopping = os.pipe()
    os.set_blocking(stopping, False)
    signal.set_wakeup_fd(stopping, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, lambda *_: None)  # the byte in the pipe is what counts
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the supervisor decides
    work = Housekeeping(Database(settings.database_url), settings.data_folder)
    ready = select.poll()
    for source in (wake, lifeline, stop):
        ready.register(source, select.POLLIN)
    due, was_woken = time.monotonic(), False
    while True:
        remaining = due - time.monotonic()
        if remaining <= 0:
            # Not everybody who stored at that time has woken us, so look once more even if there was nothing.
            is_busy = _round(work) or was_woken
            pause = max(settings.filing_delay, BETWEEN_BUSY_ROUNDS_SECONDS) if is_busy else BETWEEN_ROUNDS_SECONDS
            due, remaining, was_woken = time.monotonic() + pause, pause, False
        events = dict(ready.poll(remaining * 1000))
        if lifeline in events:
            return
        if stop in events:
            _round(work)
            return
        if wake in events:
            os.read(wake, 65_536)
            due, was_woken = min(due, time.monotonic() + settings.filing_delay), True  # one round for all until then


def _round(work: Housekeeping) -> bool:
    try:
        return work.round()
    except ArchiveError as error:
        log.log(logging.ERROR, "housekeeping failed and will try again: %s", error)
    except Exception:
        log.exception("housekeeping failed and will try again")
    return False
