"""The associations that the service holds, over all its workers: how many, at which title, of whom, and who stores.

Shared memory: each worker has a column of its own for what it holds. Whoever takes or gives back a place holds a lock
of the operating system meanwhile, for microseconds and across no wait, so that limits are exact; it ends with the
process that holds it. The supervisor clears the column of a worker that died.
"""

import fcntl
import mmap
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b

from archive.services.places import Place, Wanted

# Of each association: the title it called, by whom it was called there, and that title again if it may store.
_TITLE, _CALLER, _STORES_AT = range(3)
_ROWS = 3
_NUMBER_BYTES = 8
_NOWHERE = 0


class Occupancy:
    """What all workers hold; made before the workers are forked, and shared by them."""

    def __init__(self, workers: int, most: int) -> None:
        self.most = most
        self._workers = workers
        self._column = 1 + _ROWS * most  # how many it holds, then a row for each of what is known of them
        # Anonymous and shared with forked processes; pages that are never used are never there.
        self._memory = memoryview(mmap.mmap(-1, _NUMBER_BYTES * self._column * workers)).cast("Q")
        with tempfile.TemporaryFile() as file:  # without a name; it is there as long as the descriptor
            self._lock = os.dup(file.fileno())

    def total(self) -> int:
        """Associations at this moment."""
        return sum(self._memory[worker * self._column] for worker in range(self._workers))

    def count(self, row: int, key: int) -> int:
        """How many of them have this key in a row; the caller holds the lock."""
        return sum(self._held(worker, row).tolist().count(key) for worker in range(self._workers))

    def add(self, worker: int, keys: tuple[int, int, int]) -> None:
        """Count an association; the caller holds the lock."""
        number = self._memory[worker * self._column]
        for row, key in enumerate(keys):
            self._memory[self._at(worker, row) + number] = key
        self._memory[worker * self._column] = number + 1

    def drop(self, worker: int, keys: tuple[int, int, int]) -> None:
        """Count an association of this worker no longer; the caller holds the lock."""
        rows = [self._held(worker, row) for row in range(_ROWS)]
        index = list(zip(*(row.tolist() for row in rows), strict=True)).index(keys)
        for row in rows:
            row[index] = row[-1]
        self._memory[worker * self._column] -= 1

    def clear(self, worker: int) -> None:
        """The worker is gone, and its associations with it."""
        self._memory[worker * self._column] = 0

    @contextmanager
    def locked(self) -> Iterator[None]:
        """No other process takes or gives back a place meanwhile; threads of one process see to that themselves."""
        fcntl.lockf(self._lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN)

    def _held(self, worker: int, row: int) -> memoryview:
        start = self._at(worker, row)
        return self._memory[start : start + self._memory[worker * self._column]]

    def _at(self, worker: int, row: int) -> int:
        return worker * self._column + 1 + row * self.most


class Places:
    """One worker's share: takes places and gives them back; used by all its threads."""

    def __init__(self, occupancy: Occupancy, worker: int) -> None:
        self._occupancy = occupancy
        self._worker = worker
        self._lock = threading.Lock()

    def take(self, wanted: Wanted) -> tuple[Place, "Token | None"]:
        """Take a place, or learn what limit forbids it; the token gives it back."""
        title = _key(wanted.called_ae_title)
        caller = _key(wanted.called_ae_title, wanted.calling_ae_title)
        with self._lock, self._occupancy.locked():
            full = self._full(wanted, title, caller)
            if full is not None:
                return full, None
            may_store = wanted.stores and not (wanted.stores_alone and self._occupancy.count(_STORES_AT, title))
            token = Token(self, (title, caller, title if may_store else _NOWHERE))
            self._occupancy.add(self._worker, token.keys)
        return Place.TAKEN if may_store == wanted.stores else Place.TAKEN_WITHOUT_STORE, token

    def _full(self, wanted: Wanted, title: int, caller: int) -> Place | None:
        held = self._occupancy
        if held.total() >= held.most:
            return Place.SERVICE_FULL
        if wanted.most_at_title is not None and held.count(_TITLE, title) >= wanted.most_at_title:
            return Place.TITLE_FULL
        if wanted.most_of_caller is not None and held.count(_CALLER, caller) >= wanted.most_of_caller:
            return Place.CALLER_FULL
        return None

    def give_back(self, keys: tuple[int, int, int]) -> None:
        """Called by the token."""
        with self._lock, self._occupancy.locked():
            self._occupancy.drop(self._worker, keys)


class Token:
    """A place that was taken."""

    def __init__(self, places: Places, keys: tuple[int, int, int]) -> None:
        self._places = places
        self.keys = keys

    def give_back(self) -> None:
        """Once."""
        self._places.give_back(self.keys)


def _key(*names: str) -> int:
    """The same number in every process for the same names, and practically never for others; not 0."""
    digest = blake2b(
        "\\".join(names).encode(errors="backslashreplace"), digest_size=_NUMBER_BYTES
    ).digest()  # no AE title has a backslash
    return int.from_bytes(digest, "little") or 1
