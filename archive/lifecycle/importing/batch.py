"""Files that are taken in together: cut from what was found, and made ready for their transaction."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from archive.index.record import Duplicates, Record
from archive.lifecycle.importing.outcome import Fate, Outcome
from archive.storage.new_file import NewFile
from archive.storage.sources import Found

# Files of one transaction. SQLite's other writers wait for as long; a sync of the log is shared by as many.
BATCH = 64
# Of the files of a batch together, unless one alone is longer: what a crash makes us do again.
BATCH_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Item:
    """An instance that is to be stored: its record, and its file where that is a new one."""

    found: Found
    record: Record
    duplicates: Duplicates
    file: NewFile | None
    may_replace: bool
    """Whether the area held another file of it when it was looked for."""

    @property
    def outcome(self) -> Outcome:
        return Outcome(self.found.path, Fate.STORED, self.found.size_bytes)

    def but(self, fate: Fate, reason: str = "") -> Outcome:
        """Another outcome: nothing is left of a copy."""
        if self.file is not None:
            self.file.discard()
        return Outcome(self.found.path, fate, self.found.size_bytes, reason)


@dataclass(slots=True)
class Prepared:
    """A batch of which only the transaction is missing."""

    items: list[Item] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    deferred: list[Found] = field(default_factory=list)
    claims: set[str] = field(default_factory=set)

    def discard(self) -> None:
        """Leave no trace of the new files."""
        for item in self.items:
            if item.file is not None:
                item.file.discard()


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
