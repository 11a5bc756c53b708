"""Upkeep beside the service, in a process of its own: unlink the files whose last row is gone.

One unit of work at a time, woken by whoever queued something and now and then by the clock. A unit that fails is noted
and comes again; upkeep never stops the service. Two nodes may do the same work: unlinking a file that is gone is no
error, and neither is dropping a row that is gone.
"""

import logging
import os
import select
import signal
from collections.abc import Callable
from pathlib import Path

from archive.database import transaction
from archive.database.engine import Database
from archive.errors import ArchiveError, DiskFailed
from archive.index import remove
from archive.registry.snapshot import RegistryReader
from archive.storage.local import LocalArea

log = logging.getLogger(__name__)

BATCH = 500
# For what another node queued, and for files that could not be unlinked.
BETWEEN_ROUNDS_SECONDS = 60.0


class Housekeeping:
    """The units of work."""

    def __init__(self, database: Database, data: Path) -> None:
        self._database = database
        self._data = data
        self._registry = RegistryReader(database)

    def round(self) -> None:
        """Do all there is to do."""
        while self.unlink_some() == BATCH:
            pass

    def unlink_some(self) -> int:
        """Unlink a batch of queued files and drop them from the queue; returns how many could be unlinked."""
        with transaction.read(self._database) as connection:
            queued = remove.queued_deletions(connection, BATCH)
        if not queued:
            return 0
        folders = {area.pk: LocalArea(area.folder(self._data)) for area in self._registry.current().areas.values()}
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


def run(open_database: Callable[[], Database], data: Path, wake: int, lifeline: int) -> None:
    """Work until SIGTERM, or until the supervisor has gone: `lifeline` is then at its end."""
    # A signal is nothing to wait for here: whatever is half done is done again.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    database = open_database()
    work = Housekeeping(database, data)
    ready = select.poll()
    ready.register(wake, select.POLLIN)
    ready.register(lifeline, select.POLLIN)
    while True:
        try:
            work.round()
        except ArchiveError as error:
            log.log(logging.ERROR, "housekeeping failed and will try again: %s", error)
        except Exception:
            log.exception("housekeeping failed and will try again")
        events = dict(ready.poll(BETWEEN_ROUNDS_SECONDS * 1000))
        if lifeline in events:
            return
        if wake in events:
            os.read(wake, 65_536)
