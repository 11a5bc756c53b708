"""Which of the nodes on one database keeps house: one is elected for a term, and says again and again that it lives.

Nothing breaks where two do the same work for a moment, as when a node was taken for dead that was only slow: whatever
housekeeping does may be done twice. The election spares the others the work, and keeps their writes apart.
"""

import time
from collections.abc import Callable

from archive.database import transaction
from archive.database.engine import Database
from archive.index import housekeeping

# A node says that it lives this often in a term; missing it twice does no harm.
SIGNS_OF_LIFE = 3


class Lease:
    """The right of this node to keep house."""

    def __init__(
        self, database: Database, node: str, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._node = node
        self._seconds = seconds
        self._clock = clock
        self._taken_at: float | None = None

    @property
    def is_ours(self) -> bool:
        """Whether this node was elected when it last asked."""
        return self._taken_at is not None

    @property
    def pause_seconds(self) -> float:
        """How long to wait at most before `take` is called again, by whoever is elected and by the others."""
        return self._seconds / SIGNS_OF_LIFE

    def take(self) -> bool:
        """Whether this node is elected, for a whole term from now on; raises DatabaseFailed."""
        began = self._clock()
        is_ours = transaction.write(
            self._database,
            lambda connection: housekeeping.take_lease(connection, self._node, self._seconds),
            durable=False,
        )
        self._taken_at = began if is_ours else None
        return is_ours

    def keep(self) -> bool:
        """In the middle of long work: whether this node is elected still; asks the database now and then."""
        if self._taken_at is None:
            return False
        return self._clock() - self._taken_at < self.pause_seconds or self.take()

    def give_up(self) -> None:
        """Let another node be elected at once; raises DatabaseFailed."""
        if self._taken_at is not None:
            self._taken_at = None
            transaction.write(
                self._database, lambda connection: housekeeping.give_up_lease(connection, self._node), durable=False
            )
