"""Upkeep beside the service, in a process of its own: make the files of small instances, keep areas within their
quotas, unlink files without a row.

Each node has such a process, and one of them is elected to do the work for all (see `election`); the others wait for
their turn. One unit of work at a time, woken by whoever left something to do and now and then by the clock. A unit that
fails is written down and comes again, and does not hold up the units of other areas; upkeep never stops the service.
"""

import logging
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from archive.database import transaction
from archive.database.engine import Database
from archive.errors import ArchiveError, DiskFailed
from archive.index import evictable, remove, unfiled
from archive.index import housekeeping as books
from archive.lifecycle import evict, filing
from archive.lifecycle.evict import Disks
from archive.registry.model import Area
from archive.registry.snapshot import RegistryReader
from archive.server.election import Lease
from archive.server.retention import FOR_EVER, Forgetting, Retention
from archive.settings import Settings
from archive.storage.local import LocalArea

log = logging.getLogger(__name__)

BATCH = 500
# Which housekeeping shares with a worker of one node or another.
_SHARD = 0
# For what other nodes and commands left to do, who cannot wake us, and for what failed.
BETWEEN_ROUNDS_SECONDS = 10.0
# After a wake, and after a round that had something to do: workers do not wake us for each instance.
BETWEEN_BUSY_ROUNDS_SECONDS = 0.5
# Between two looks at every study of an area, for what no counter and no index tells.
BETWEEN_LONG_LOOKS_SECONDS = 600.0


class Housekeeping:
    """The units of work."""

    def __init__(
        self,
        database: Database,
        data: Path,
        node: str = "",
        may_go_on: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.monotonic,
        *,
        retention: Retention = FOR_EVER,
    ) -> None:
        """`may_go_on` is asked between units that may be many; once it says no, the round ends."""
        self._database = database
        self._data = data
        self._node = node
        self._may_go_on = may_go_on
        self._clock = clock
        self._forgetting = Forgetting(database, retention, may_go_on, clock)
        self._registry = RegistryReader(database)
        self._files: dict[int, LocalArea] = {}
        self._looked_at: dict[int, float] = {}
        self._to_file: set[int] = set()  # areas with instances that waited for their file when the round began
        self._failing: set[tuple[int, str]] | None = None  # None: not known yet

    def round(self) -> bool:
        """Do all there is to do, and write down how it went; whether there was anything. Raises DatabaseFailed."""
        began, was_busy, error = self._clock(), False, None
        self._failing = None
        try:
            was_busy = self._work()
        except ArchiveError as failed:
            error = str(failed)
            raise
        except Exception as failed:
            error = f"a defect: {failed!r}; the log says more"
            raise
        finally:
            self._note_round(self._clock() - began, error)
        return was_busy

    def _work(self) -> bool:
        was_busy = False
        with transaction.read(self._database) as connection:
            self._to_file = unfiled.areas(connection)
        for area, files in self._areas():
            for work, do in (("file", self._file), ("evict", self._enforce_quota)):
                if not self._may_go_on():
                    return was_busy
                was_busy |= self._tried(area, work, lambda do=do, area=area, files=files: do(area, files))
        while self._may_go_on() and (number := self.unlink_some()) > 0:
            was_busy = True
            if number < BATCH:
                break
        return self._forgetting.some(self._registry.current().areas.values()) or was_busy

    def _tried(self, area: Area, work: str, do: Callable[[], bool]) -> bool:
        """Do the work; an area that is full or broken does not hold up the others."""
        try:
            was_busy = do()
        except ArchiveError as error:
            log.warning("housekeeping could not %s in area %s and will try again: %s", work, area.name, error)
            self._note(area.pk, work, str(error))
            return False
        self._note(area.pk, work, None)
        return was_busy

    def _note(self, area_pk: int, work: str, error: str | None) -> None:
        """Write down what went wrong in an area, or that it goes well again."""
        if self._failing is None:
            with transaction.read(self._database) as connection:
                self._failing = {(each.area_pk, each.work) for each in books.errors(connection) if not each.is_mended}
        if error is not None:
            self._failing.add((area_pk, work))
            self._write(lambda connection: books.note_error(connection, area_pk, work, error))
        elif (area_pk, work) in self._failing:
            self._failing.remove((area_pk, work))
            self._write(lambda connection: books.note_mended(connection, area_pk, work))

    def _note_round(self, seconds: float, error: str | None) -> None:
        self._write(lambda connection: books.note_round(connection, self._node, seconds, error))

    def _write(self, work: Callable[[transaction.Connection], None]) -> None:
        """In the books of housekeeping itself, which a power cut may take the last of."""
        transaction.write(self._database, work, durable=False)

    def _file(self, area: Area, files: LocalArea) -> bool:
        """Make the files of an area's instances; those of every node, since one of them is enough for it."""
        if area.pk not in self._to_file:
            return False
        number = 0
        while not (filed := filing.file_some(self._database, area, files)).is_last and self._may_go_on():
            number += filed.number
        return number + filed.number > 0

    def _enforce_quota(self, area: Area, files: LocalArea) -> bool:
        """What grew too old goes, what a store could not take away, and what keeps the area from its headroom."""
        if not area.quota.picks_studies:
            return False
        looks_at_every_study = self._is_long_look_due(area)
        if looks_at_every_study:
            self._follow_policy(area)
        was_busy = False
        disks = Disks.of(area, self._data, self._database)
        evicting = evict.enforce(self._database, area, _SHARD, disks, looks_at_every_study=looks_at_every_study)
        for eviction in evicting:
            was_busy = True
            log.info("made room in area %s: %s", area.name, eviction)
            if not self._may_go_on():
                break
        if looks_at_every_study:
            self._looked_at[area.pk] = self._clock()
        return was_busy

    def _is_long_look_due(self, area: Area) -> bool:
        looked_at = self._looked_at.get(area.pk)
        return looked_at is None or self._clock() - looked_at >= BETWEEN_LONG_LOOKS_SECONDS

    def _follow_policy(self, area: Area) -> None:
        """A study that was new at the very moment when the policy changed may have missed it."""
        with transaction.read(self._database) as connection:
            is_followed = evictable.is_policy_followed(connection, area.pk)
        if not is_followed:
            transaction.write(self._database, lambda connection: evict.follow_policy(connection, area))

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
        errors: dict[int, str | None] = {}
        for row in queued:
            try:
                folders[row.area_pk].unlink(row.path)
                done.append(row.pk)
                errors.setdefault(row.area_pk, None)
            except DiskFailed as error:
                log.warning("cannot unlink a file: %s", error)
                failed.append((row.pk, str(error)))
                errors[row.area_pk] = str(error)
        transaction.write(self._database, lambda connection: remove.settle_deletions(connection, done, failed))
        for area_pk, text in errors.items():
            self._note(area_pk, "unlink", text)
        return len(done)

    def _areas(self) -> Iterator[tuple[Area, LocalArea]]:
        for area in self._registry.current().areas.values():
            files = self._files.get(area.pk)
            if files is None:
                files = self._files[area.pk] = LocalArea(area.folder(self._data))
            yield area, files


def run(settings: Settings, node: str, wake: int, lifeline: int) -> None:
    """Work until SIGTERM, and then once more; or until the supervisor has gone: `lifeline` is then at its end."""
    stop, stopping = os.pipe()
    os.set_blocking(stopping, False)
    signal.set_wakeup_fd(stopping, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, lambda *_: None)  # the byte in the pipe is what counts
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the supervisor decides
    database = Database(settings.database_url)
    lease = Lease(database, node, settings.housekeeping_lease)
    work = Housekeeping(database, settings.data_folder, node, lease.keep, retention=Retention.of(settings))
    turns = _Turns(lease, work, settings.filing_delay)
    ready = select.poll()
    for source in (wake, lifeline, stop):
        ready.register(source, select.POLLIN)
    while True:
        events = dict(ready.poll(turns.act() * 1000))
        if lifeline in events:
            return
        if stop in events:
            turns.end()
            return
        if wake in events:
            os.read(wake, 65_536)
            turns.wake()


class _Turns:
    """When this node says that it lives, and when it does a round."""

    def __init__(self, lease: Lease, work: Housekeeping, filing_delay_seconds: float) -> None:
        self._lease = lease
        self._work = work
        self._filing_delay_seconds = filing_delay_seconds
        self._sign_at = self._round_at = time.monotonic()
        self._was_woken = False

    def act(self) -> float:
        """Do what is due; the seconds until something will be again."""
        if time.monotonic() >= self._sign_at:
            was_ours = self._lease.is_ours
            is_ours = _tried(self._lease.take)
            if is_ours and not was_ours:
                self._round_at = time.monotonic()
            self._sign_at = time.monotonic() + self._lease.pause_seconds
        if self._lease.is_ours and time.monotonic() >= self._round_at:
            # Not everybody who stored at that time has woken us, so look once more even if there was nothing.
            is_busy, self._was_woken = _tried(self._work.round) or self._was_woken, False
            busy_pause_seconds = max(self._filing_delay_seconds, BETWEEN_BUSY_ROUNDS_SECONDS)
            self._round_at = time.monotonic() + (busy_pause_seconds if is_busy else BETWEEN_ROUNDS_SECONDS)
        due = min(self._sign_at, self._round_at) if self._lease.is_ours else self._sign_at
        return max(due - time.monotonic(), 0.0)

    def wake(self) -> None:
        """Somebody left something to do: one round for all who do until then."""
        self._round_at = min(self._round_at, time.monotonic() + self._filing_delay_seconds)
        self._was_woken = True

    def end(self) -> None:
        """Work once more, and leave the housekeeping to other nodes."""
        _tried(lambda: self._lease.take() and self._work.round())
        _tried(self._lease.give_up)


def _tried(do: Callable[[], bool | None]) -> bool:
    """What was done, if it was something; an error is logged, and the work comes again."""
    try:
        return bool(do())
    except ArchiveError as error:
        log.log(logging.ERROR, "housekeeping failed and will try again: %s", error)
    except Exception:
        log.exception("housekeeping failed and will try again")
    return False
