"""How many associations the service holds, over all its workers: a number for each worker in shared memory.

Each worker writes its own number only, so nothing is locked and nothing leaks: the supervisor clears the number of a
worker that died.
"""

import mmap
import struct
import threading

_NUMBER = struct.Struct("=q")


class Occupancy:
    """The numbers; made before the workers are forked, and shared by them."""

    def __init__(self, workers: int, most: int) -> None:
        self.most = most
        self._memory = mmap.mmap(-1, _NUMBER.size * workers)  # anonymous and shared with forked processes
        self._workers = workers

    def total(self) -> int:
        """Associations at this moment."""
        numbers = struct.unpack_from(f"={self._workers}q", self._memory)
        return sum(numbers)

    def set(self, worker: int, number: int) -> None:
        _NUMBER.pack_into(self._memory, worker * _NUMBER.size, number)

    def clear(self, worker: int) -> None:
        """The worker is gone, and its associations with it."""
        self.set(worker, 0)


class Places:
    """One worker's share: takes places and gives them back; used by all its threads."""

    def __init__(self, occupancy: Occupancy, worker: int) -> None:
        self._occupancy = occupancy
        self._worker = worker
        self._taken = 0
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Take a place; False if the service is full. It is never overfilled, but the last place may go begging
        for a moment when two workers reach for it at once.
        """
        with self._lock:
            self._occupancy.set(self._worker, self._taken + 1)
            if self._occupancy.total() > self._occupancy.most:
                self._occupancy.set(self._worker, self._taken)
                return False
            self._taken += 1
            return True

    def give_back(self) -> None:
        with self._lock:
            self._taken -= 1
            self._occupancy.set(self._worker, self._taken)
