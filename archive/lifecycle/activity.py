"""What one association does, noted while it happens by the thread that serves it: numbers are added, nothing waits.

Who asked, how each request was served, how it ended; and as which rows that is written. When it is written is the
business of `recorder`.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import NamedTuple, Self

from archive.errors import ArchiveError, PeerError
from archive.index.activity import AssociationRow, Happened, OperationRow, Written
from archive.storage.sink import Outcome

# Operations of one association that get a row each, between two flushes; beyond them those that are alike share one.
MOST_APART = 100
# Kinds of operations of one association that are told apart; beyond them only operation and status are.
MOST_KINDS = 64

MOST_TEXT_CHARACTERS = 1000

# Others come by the thousand, and have nothing to say one by one.
_APART = frozenset({"C-FIND", "C-MOVE", "C-GET"})

# What an association has received and sent on the wire, in bytes.
Traffic = Callable[[], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asked for an association, as far as it was said."""

    peer_host: str
    called_ae_title: str = ""
    calling_ae_title: str = ""
    implementation_version_name: str = ""


@dataclass(frozen=True, slots=True)
class Admittance:
    """What a caller was let in for."""

    area: str
    contexts_accepted: int
    contexts_refused: int
    refused_operations: Mapping[str, str] = field(default_factory=dict)
    """What it asked for and may not do, each with the reason."""


@dataclass(frozen=True, slots=True)
class Served:
    """How one request was served. A status of None: the association ended before the answer."""

    operation: str
    status: int | None
    information_model: str | None = None
    level: str | None = None
    move_destination: str | None = None
    matches: int | None = None
    completed: int | None = None
    failed: int | None = None
    warning: int | None = None
    outcome: Outcome | None = None
    """Of a C-STORE that succeeded."""
    size_bytes: int | None = None
    because: str = ""
    """Why it was refused, where the log is told more than the peer."""

    @property
    def count(self) -> int | None:
        """Answers, or sub-operations that were completed."""
        return self.completed if self.matches is None else self.matches


class _Sum:
    """Operations that are alike, added up; written by the thread of the association only."""

    __slots__ = (
        "began_at",
        "comment",
        "completed",
        "ended_at",
        "failed",
        "first",
        "kept",
        "longest",
        "matches",
        "number",
        "pk",
        "replaced",
        "seconds",
        "size_bytes",
        "warning",
        "written",
    )

    def __init__(self, first: Served, comment: str, began_at: float) -> None:
        self.first = first
        self.comment = comment
        self.began_at = self.ended_at = began_at
        self.number = self.matches = self.completed = self.failed = self.warning = 0
        self.replaced = self.kept = self.size_bytes = 0
        self.seconds = self.longest = 0.0
        self.pk: int | None = None  # these two belong to who writes them to the database
        self.written = 0

    def add(self, served: Served, size_bytes: int | None, seconds: float, now: float) -> None:
        self.number += 1
        self.ended_at = now
        self.seconds += seconds
        if seconds > self.longest:
            self.longest = seconds
        if size_bytes is not None:
            self.size_bytes += size_bytes
        if served.outcome is Outcome.REPLACED:
            self.replaced += 1
        elif served.outcome is Outcome.KEPT:
            self.kept += 1
        if served.matches is not None:
            self.matches += served.matches
        if served.completed is not None:
            self.completed += served.completed
            self.failed += served.failed or 0
            self.warning += served.warning or 0

    def row(self) -> OperationRow:
        """The row as it is now; what does not belong to the operation is NULL."""
        first, operation = self.first, self.first.operation
        is_store, is_retrieve = operation == "C-STORE", operation in ("C-MOVE", "C-GET")
        return OperationRow(
            operation=operation,
            began_at=moment(self.began_at),
            ended_at=moment(self.ended_at),
            status=None if first.status is None else f"{first.status:04X}",
            duration_seconds=round(self.seconds, 6),
            longest_seconds=round(self.longest, 6),
            number_of_requests=self.number,
            information_model=first.information_model,
            level=first.level,
            move_destination=plain_or_none(first.move_destination),
            error_comment=plain_or_none(self.comment),
            number_of_matches=self.matches if operation == "C-FIND" else None,
            sub_operations_completed=self.completed if is_retrieve else None,
            sub_operations_failed=self.failed if is_retrieve else None,
            sub_operations_warning=self.warning if is_retrieve else None,
            number_replaced=self.replaced if is_store else None,
            number_kept=self.kept if is_store else None,
            size_bytes=self.size_bytes if is_store or is_retrieve else None,
        )


class Station(NamedTuple):
    """The process that serves an association, among all that share the database."""

    node: str
    worker: int


class Entry:
    """One association: a context that notes how it ended. All but the writing belongs to the association's thread."""

    def __init__(
        self,
        station: Station,
        caller: Caller,
        admitted: Admittance,
        traffic: Traffic,
        on_change: Callable[["Entry"], None],
        on_end: Callable[["Entry"], None],
    ) -> None:
        """`on_change` hears that there is something to write, once until `begin_writing`; `on_end`, that it is all."""
        self._station = station
        self._caller = caller
        self._admitted = admitted
        self._traffic = traffic
        self._on_change = on_change
        self._on_end = on_end
        self._began_at = time.time()
        self._ended_at: float | None = None
        self._outcome = "open"
        self._reason = ""
        self._served = 0
        self._sums: dict[tuple[object, ...], _Sum] = {}
        self._apart: deque[_Sum] = deque()  # operations with a row of their own that is not written yet
        self._is_due = False
        # Of who writes:
        self._pk: int | None = None
        self._writing: list[_Sum] = []

    def served(self, served: Served, comment: str, seconds: float, size_bytes: int | None = None) -> None:
        """A request was answered, or was not, after so many seconds; `comment` is what the peer was told."""
        now = time.time()
        self._served += 1
        self._sum(served, comment, now - seconds).add(served, size_bytes, seconds, now)
        if not self._is_due:  # after the numbers: whoever writes takes this back before it reads them
            self.change()

    def _sum(self, served: Served, comment: str, began_at: float) -> _Sum:
        """Where to add it: a row of its own, or that of its kind."""
        if served.operation in _APART and len(self._apart) < MOST_APART:
            alone = _Sum(served, comment, began_at)
            self._apart.append(alone)
            return alone
        key = (
            served.operation,
            served.status,
            comment,
            served.level,
            served.information_model,
            served.move_destination,
        )
        found = self._sums.get(key)
        if found is None and len(self._sums) >= MOST_KINDS:
            operation = served.operation if served.operation.startswith("C-") else "other"
            served, comment = Served(operation, served.status), "various"
            key = (operation, served.status)
            found = self._sums.get(key)
        if found is None:
            found = self._sums[key] = _Sum(served, comment, began_at)
        return found

    def change(self) -> None:
        """There is something to write."""
        self._is_due = True
        self._on_change(self)

    def end(self, outcome: str, reason: str = "") -> None:
        """The association has ended; said twice, the first counts."""
        if self._ended_at is None:
            self._outcome, self._reason = outcome, reason
            self._ended_at = time.time()
            traffic = self._traffic()
            self._traffic = lambda: traffic  # the connection with its buffer need not wait until this is written
            self._on_end(self)
            if not self._is_due:
                self.change()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        match error:
            case None:
                self.end("released")
            case PeerError():
                self.end("aborted", str(error))
            case ArchiveError():
                self.end("failed", str(error))
            case _:
                self.end("failed", f"A defect of the archive: {type(error).__name__}")

    # By who writes

    def begin_writing(self) -> tuple[Happened, list[tuple[_Sum, int]]]:
        """What is to be written, and for each operation the sum it comes from and how many it had."""
        self._is_due = False  # first: what its thread adds from now on makes it due again
        while self._apart and len(self._writing) < MOST_APART:
            self._writing.append(self._apart.popleft())
        changed = [(each, each.number) for each in (*self._writing, *self._sums.copy().values())]
        changed = [(each, number) for each, number in changed if number != each.written]
        rows = [(each.pk, each.row()) for each, _ in changed]
        return Happened(self._pk, self._row(), rows), changed

    def settle(self, written: Written, changed: Iterable[tuple[_Sum, int]]) -> None:
        """It is written; what had no place is due again."""
        self._pk = written.pk
        for pk, (each, number) in zip(written.operations, changed, strict=True):
            each.pk, each.written = pk, number
        self._writing = [each for each in self._writing if each.number != each.written]
        if self._apart and not self._is_due:
            self.change()

    def _row(self) -> AssociationRow:
        caller, admitted = self._caller, self._admitted
        received_bytes, sent_bytes = self._traffic()
        reasons = [f"{operation}: {why}" for operation, why in admitted.refused_operations.items()]
        return AssociationRow(
            began_at=moment(self._began_at),
            ended_at=None if self._ended_at is None else moment(self._ended_at),
            node=self._station.node,
            worker=self._station.worker,
            called_ae_title=plain(caller.called_ae_title),
            calling_ae_title=plain(caller.calling_ae_title),
            peer_host=plain(caller.peer_host),
            outcome=self._outcome if self._ended_at is not None else "open",
            implementation_version_name=plain_or_none(caller.implementation_version_name),
            area=admitted.area,
            refused_operations=plain_or_none(",".join(admitted.refused_operations)),
            refused_because=plain_or_none("; ".join(reasons)),
            reason=plain_or_none(self._reason),
            contexts_accepted=admitted.contexts_accepted,
            contexts_refused=admitted.contexts_refused,
            number_of_operations=self._served,
            received_bytes=received_bytes,
            sent_bytes=sent_bytes,
        )


def moment(seconds: float) -> datetime:
    """Seconds of the system's clock as a moment."""
    return datetime.fromtimestamp(seconds, UTC)


def plain(text: str) -> str:
    """A peer's text as both databases take it, and no longer than a person reads."""
    return text[:MOST_TEXT_CHARACTERS].replace("\0", "").encode("utf-8", "replace").decode()


def plain_or_none(text: str | None) -> str | None:
    """The same; nothing is None."""
    return plain(text) if text else None
