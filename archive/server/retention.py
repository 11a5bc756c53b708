"""Forget what the logs tell of long ago: batch by batch, now and then, as far back as settings say."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from archive.database import transaction
from archive.database.engine import Database
from archive.database.transaction import Connection
from archive.index import activity, evictable
from archive.registry import audit
from archive.registry.snapshot import Area
from archive.settings import Settings

# Rows in one transaction, for the access log associations with their operations: a moment of SQLite's writer.
BATCH = 200
BATCHES_IN_A_ROUND = 20
BETWEEN_FORGETTING_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Retention:
    """How many days each log goes back; 0 is for ever."""

    activity_days: int = 0
    evictions_days: int = 0
    changes_days: int = 0

    @classmethod
    def of(cls, settings: Settings) -> "Retention":
        """What the settings say."""
        return cls(settings.activity_days, settings.evictions_days, settings.changes_days)


FOR_EVER = Retention()


class Forgetting:
    """The unit of work of housekeeping that drops rows from the logs."""

    def __init__(
        self, database: Database, retention: Retention, may_go_on: Callable[[], bool], clock: Callable[[], float]
    ) -> None:
        self._database = database
        self._retention = retention
        self._may_go_on = may_go_on
        self._clock = clock
        self._due_at = -math.inf

    def some(self, areas: Iterable[Area]) -> bool:
        """Drop what is too old, if it is time to; whether more is left than one round takes."""
        if self._clock() < self._due_at:
            return False
        now = datetime.now(UTC)
        unfinished = [forget for forget in self._logs(now, areas) if not self._forget(forget)]
        if not unfinished:
            self._due_at = self._clock() + BETWEEN_FORGETTING_SECONDS
        return bool(unfinished) and self._may_go_on()

    def _logs(self, now: datetime, areas: Iterable[Area]) -> Iterator[Callable[[Connection], int]]:
        """For each log that has an end, what drops a batch of it and tells how many rows that were."""
        if days := self._retention.activity_days:
            before_activity = now - timedelta(days=days)
            yield lambda connection: activity.forget(connection, before_activity, BATCH)
        if days := self._retention.changes_days:
            before_change = now - timedelta(days=days)
            yield lambda connection: audit.forget(connection, before_change, BATCH)
        if days := self._retention.evictions_days:
            before_eviction = now - timedelta(days=days)
            for area in areas:
                yield lambda connection, pk=area.pk: evictable.forget(connection, pk, before_eviction, BATCH)

    def _forget(self, forget: Callable[[Connection], int]) -> bool:
        """Drop some batches of a log; whether nothing is left to drop."""
        for _ in range(BATCHES_IN_A_ROUND):
            if not self._may_go_on():
                return False
            if transaction.write(self._database, forget, durable=False) < BATCH:
                return True
        return False
