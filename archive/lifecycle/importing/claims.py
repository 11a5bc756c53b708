"""What batches under way may take in: the instances they claim, and what the area holds of them.

An instance is claimed before it is looked for in the area, and until its transaction is over. So of two files of it
only one is taken in at a time; the other one has to wait, and is looked at again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from archive.database import transaction
from archive.database.transaction import Connection
from archive.index import locate, unfiled
from archive.index.locate import Location
from archive.lifecycle.importing.batch import Answer, Known, Question
from archive.lifecycle.importing.task import Task
from archive.storage.sources import Found

_NOTHING = (None, None)


class Claims:
    """Those of one import, in the process that has the database."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._claimed: set[str] = set()
        self._would_be_held: dict[str, Found] = {}

    def answer(self, question: Question) -> tuple[Answer, set[str]]:
        """What is known of these instances, and those of them that whoever asks has now; raises DatabaseFailed."""
        mine: set[str] = set()
        claimed = [self._claim(uid, mine) for uid in question.sop_instance_uids]
        held = self._held(set(question.sop_instance_uids))
        asked = zip(question.sop_instance_uids, claimed, strict=True)
        known = [Known(is_mine, *held.get(uid, _NOTHING), self._would_be_held.get(uid)) for uid, is_mine in asked]
        return Answer(known), mine

    def has(self, uid: str) -> bool:
        """Whether a batch under way has this instance."""
        return uid in self._claimed

    def release(self, claims: Iterable[str], would_be_held: Mapping[str, Found]) -> None:
        """These instances can be seen in the area, or are not taken in: others may be at them.

        Those that a dry run would have stored cannot be seen there, and are remembered.
        """
        self._would_be_held |= would_be_held
        self._claimed.difference_update(claims)

    def _claim(self, uid: str, mine: set[str]) -> bool:
        if uid in self._claimed:
            return False
        self._claimed.add(uid)
        mine.add(uid)
        return True

    def _held(self, wanted: set[str]) -> dict[str, tuple[Location, bytes | None]]:
        """What the area holds of these instances, with the bytes of those that have no file yet."""
        if not wanted:
            return {}
        with transaction.read(self._task.database) as connection:
            found = locate.held(connection, self._task.area.pk, sorted(wanted))
            return {uid: _whole(connection, location) for uid, location in found.items()}


def _whole(connection: Connection, held: Location) -> tuple[Location, bytes | None]:
    """What is held, and its bytes if it has no file; it may have got one since the look before."""
    if held.path is not None:
        return held, None
    now = unfiled.find(connection, held.pk, held.sop_instance_uid)
    return (held, None) if now is None else (replace(held, path=now.path), now.content)
