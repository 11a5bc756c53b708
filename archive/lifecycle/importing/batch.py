"""Files that are taken in together: cut from what was found, asked about, and made ready for their transaction.

What is here goes from one process to another, so it is plain, and names files by their paths; tuples take a fifth of
the time that dataclasses take on that way.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from archive.index.locate import Location
from archive.index.record import Duplicates, Record
from archive.lifecycle.importing.outcome import Fate, Outcome
from archive.storage.sources import Found

# Files of one transaction. SQLite's other writers wait for as long; a sync of the log is shared by as many.
BATCH = 64
# Of the files of a batch together, unless one alone is longer: what a crash makes us do again.
BATCH_BYTES = 64 << 20


class Question(NamedTuple):
    """A batch was looked at: what of these instances, as many as there are files of them, may it take in?"""

    sop_instance_uids: Sequence[str]


class Known(NamedTuple):
    """What is known of the instance of one file."""

    is_claimed: bool
    """Whether this batch has it, for this file. Else another file of it is under way."""
    held: Location | None
    """What the area holds of it."""
    content: bytes | None
    """All that is held, where it has no file yet."""
    would_be_held: Found | None
    """In a dry run: the file of it that the area would hold by now, instead of what it holds."""

    @property
    def is_held(self) -> bool:
        return self.held is not None or self.would_be_held is not None


class Answer(NamedTuple):
    """To a question: for each of its instances, in the same order."""

    known: Sequence[Known]


class Item(NamedTuple):
    """An instance that is to be stored: its record, whose file is in place."""

    found: Found
    record: Record
    duplicates: Duplicates
    is_copy: bool
    """Whether the file was made for it; else it was found there."""
    may_replace: bool
    """Whether the area held another file of it when it was looked for."""

    @property
    def outcome(self) -> Outcome:
        return self.but(Fate.STORED)

    def but(self, fate: Fate, reason: str = "") -> Outcome:
        """Another outcome."""
        return Outcome(self.found.path, fate, self.found.size_bytes, reason)


class Deferred(NamedTuple):
    """A file that has to wait for another one of its instance."""

    sop_instance_uid: str
    found: Found


class Prepared(NamedTuple):
    """A batch of which only the transaction is missing."""

    items: list[Item]
    outcomes: list[Outcome]
    deferred: list[Deferred]
    would_be_held: dict[str, Found]
    """In a dry run: what would be stored, by SOP Instance UID."""


class Broken(NamedTuple):
    """A batch that could not be prepared, for which the import ends; nothing is left of it."""

    error: Exception


Asked = list[Found] | Answer
Reply = Question | Prepared | Broken


def batches(found: Iterable[Found]) -> Iterator[list[Found]]:
    """Files as they are taken in together."""
    batch: list[Found] = []
    size_bytes = 0
    for each in found:
        if batch and (len(batch) >= BATCH or size_bytes + each.size_bytes > BATCH_BYTES):
            yield batch
            batch, size_bytes = [], 0
        batch.append(each)
        size_bytes += each.size_bytes
    if batch:
        yield batch
