"""Files that wait for another one of the same instance, which is being taken in.

Of each instance one file at a time is looked at again, when the one before it is done: so each is looked at about
twice, however many there are.
"""

from collections import deque
from collections.abc import Iterable

from archive.lifecycle.importing.batch import Deferred, batches
from archive.storage.sources import Found


class Waiting:
    """Those of one import."""

    def __init__(self) -> None:
        self._files: dict[str, deque[Found]] = {}
        self._number = 0
        self._ready: deque[Deferred] = deque()
        self._looked_at: set[str] = set()

    def __len__(self) -> int:
        """How many wait; those that are ready to be looked at again do not any more."""
        return self._number

    def add(self, deferred: Iterable[Deferred]) -> None:
        """These have to wait."""
        for each in deferred:
            self._files.setdefault(each.sop_instance_uid, deque()).append(each.found)
            self._number += 1

    def wake(self, sop_instance_uids: Iterable[str]) -> None:
        """Nobody has these instances now: of each, a file is ready, unless one is already or is being looked at."""
        for uid in sop_instance_uids:
            if uid in self._looked_at or (files := self._files.get(uid)) is None:
                continue
            self._looked_at.add(uid)
            self._ready.append(Deferred(uid, files.popleft()))
            self._number -= 1
            if not files:
                del self._files[uid]

    def next(self) -> tuple[list[Found], set[str]] | None:
        """Files that are ready, as many as are taken in together, and their instances; whose end is to be told."""
        batch = next(batches(each.found for each in self._ready), None)
        if batch is None:
            return None
        return batch, {self._ready.popleft().sop_instance_uid for _ in batch}

    def end(self, sop_instance_uids: Iterable[str]) -> None:
        """These were looked at again; a file may have to wait once more."""
        self._looked_at.difference_update(sop_instance_uids)
