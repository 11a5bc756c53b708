"""Write what happens to the database behind the service's back: the rows of the access log.

A thread of the process writes what has changed about once a second, in short transactions that nobody waits for and
that need no sync. What a kill or a power cut loses is that second.

Nothing here grows without bound. Refusals that are alike are one row with a number, and so are the queries of an
association beyond a hundred a second. While the database cannot be written, what happened is kept to be tried again;
associations beyond `MOST_WAITING` are lost, and the log says how many. When the answer to a commit is lost, it is done
again, and the rows may be there twice.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from archive.database import transaction
from archive.database.engine import Database
from archive.errors import ArchiveError
from archive.index import activity
from archive.index.activity import AssociationRow, Happened, Source
from archive.lifecycle.activity import Admittance, Caller, Entry, Station, Traffic, moment, plain, plain_or_none

log = logging.getLogger(__name__)

# How long what has happened is gathered.
FLUSH_SECONDS = 1.0
# After a failure of the database.
RETRY_SECONDS = 5.0

# Associations in one transaction: some ten milliseconds of SQLite's writer.
MOST_IN_ONE_TRANSACTION = 200
# Associations that wait for a database that cannot be written.
MOST_WAITING = 10_000
# Kinds of refusals that wait; beyond them only the reason is told apart.
MOST_REFUSALS = 1000


def _no_traffic() -> tuple[int, int]:
    return 0, 0


@dataclass(frozen=True, slots=True)
class _Refusal:
    """What refusals have in common that share a row."""

    outcome: str
    reason: str
    caller: Caller
    rejection: str = ""


@dataclass(slots=True)
class _Times:
    """How often, from when to when."""

    first_at: float
    last_at: float
    number: int = 1


class Received:
    """Instances and bytes that were taken in, by day, area, sender and modality; counted by many threads."""

    def __init__(self, on_change: Callable[[], None] = lambda: None) -> None:
        """`on_change` is told of the first that is counted since the last `take`."""
        self._lock = threading.Lock()
        self._counts: dict[tuple[date, str, str, str], list[int]] = {}
        self._on_change = on_change

    def count(self, received_at: datetime, area: str, source_ae_title: str, modality: str, size_bytes: int) -> None:
        """One instance more."""
        key = (received_at.date(), area, source_ae_title, modality)
        with self._lock:
            counts = self._counts.get(key)
            if counts is not None:
                counts[0] += 1
                counts[1] += size_bytes
                return
            is_first = not self._counts
            self._counts[key] = [1, size_bytes]
        if is_first:
            self._on_change()

    def take(self) -> dict[Source, tuple[int, int]]:
        """What was counted since the last time."""
        with self._lock:
            counts, self._counts = self._counts, {}
        return {Source(*key): (number, size_bytes) for key, (number, size_bytes) in counts.items()}

    def put_back(self, taken: Mapping[Source, tuple[int, int]]) -> None:
        """What could not be written is counted again."""
        with self._lock:
            for source, (number, size_bytes) in taken.items():
                counts = self._counts.setdefault(source, [0, 0])
                counts[0] += number
                counts[1] += size_bytes


class Recorder:
    """Keeps the access log of one process."""

    def __init__(self, database: Database, station: Station) -> None:
        """`station` names this process, and its successor after a kill."""
        self.received = Received(self._wake_writer)
        self._database = database
        self._station = station
        self._lock = threading.Lock()
        self._open: set[Entry] = set()
        self._refusals: dict[_Refusal, _Times] = {}
        self._lost = 0
        self._due: deque[Entry] = deque()
        self._writing = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._has_cleared = False
        self._is_failing = False

    # What happened

    def accepted(self, caller: Caller, admitted: Admittance, traffic: Traffic = _no_traffic) -> Entry:
        """An association was let in: the entry that notes what it does."""
        with self._lock:
            is_kept = len(self._due) < MOST_WAITING
            self._lost += not is_kept
        on_change = self._is_due if is_kept else _forget
        entry = Entry(self._station, caller, admitted, traffic, on_change, self._has_ended)
        with self._lock:
            self._open.add(entry)
        entry.change()
        return entry

    def rejected(self, caller: Caller, rejection: str, reason: str) -> None:
        """An association was rejected: result/source/reason of the A-ASSOCIATE-RJ, and why."""
        self._refuse(_Refusal("rejected", reason, caller, rejection))

    def closed(self, peer_host: str, reason: str) -> None:
        """A connection was closed before it could ask for an association."""
        self._refuse(_Refusal("closed", reason, Caller(peer_host)))

    def aborted(self, caller: Caller, reason: str) -> None:
        """What a peer sent was no association request, or it went away before the answer."""
        self._refuse(_Refusal("aborted", reason, caller))

    def _refuse(self, refusal: _Refusal) -> None:
        now = time.time()
        with self._lock:
            if refusal not in self._refusals and len(self._refusals) >= MOST_REFUSALS:
                refusal = replace(refusal, caller=Caller("various"))
                if refusal not in self._refusals and len(self._refusals) >= 2 * MOST_REFUSALS:
                    refusal = replace(refusal, reason="various", rejection="")
            times = self._refusals.get(refusal)
            if times is None:
                self._refusals[refusal] = _Times(now, now)
            else:
                times.number += 1
                times.last_at = now
        self._wake_writer()

    def _is_due(self, entry: Entry) -> None:
        self._due.append(entry)
        self._wake_writer()

    def _has_ended(self, entry: Entry) -> None:
        with self._lock:
            self._open.discard(entry)

    def _wake_writer(self) -> None:
        if not self._wake.is_set():
            self._wake.set()

    # Writing

    def start(self) -> None:
        """Write from now on, in a thread of its own."""
        self._wake.set()  # for what the process before us left
        self._thread = threading.Thread(target=self._run, name="access log", daemon=True)
        self._thread.start()

    def close(self, seconds: float = 5.0) -> None:
        """Write what is left, within some seconds, and stop; associations that are still open were ended by us."""
        with self._lock:
            left = list(self._open)
        for entry in left:
            entry.end("aborted", "The archive was stopped")
        self._stop.set()
        self._wake.set()
        if self._thread is None:
            self._flush()
            return
        self._thread.join(seconds)
        if self._thread.is_alive():
            log.error("the last associations are missing from the access log: the database does not answer")

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait()
            self._stop.wait(FLUSH_SECONDS)
            if not self._flush():
                self._stop.wait(RETRY_SECONDS)
        self._flush()

    def _flush(self) -> bool:
        """Write all there is; False, and it stays to be tried again, when the database does not take it."""
        try:
            self.flush()
        except ArchiveError as error:
            if not self._is_failing:
                log.warning("the access log cannot be written and will be tried again: %s", error)
            self._is_failing = True
            self._wake.set()
            return False
        except Exception:
            log.exception("a part of the access log is lost")
            return True
        if self._is_failing:
            log.warning("the access log is written again")
        self._is_failing = False
        return True

    def flush(self) -> None:
        """Write all there is now; raises DatabaseFailed, and then it stays to be tried again."""
        with self._writing:
            self._wake.clear()  # first: what comes from now on wakes us again
            self._clear_after_predecessor()
            left = len(self._due)  # what comes meanwhile has its own turn
            while self._write_some(min(left, MOST_IN_ONE_TRANSACTION)) and left > MOST_IN_ONE_TRANSACTION:
                left -= MOST_IN_ONE_TRANSACTION
        with self._lock:
            lost, self._lost = self._lost, 0
        if lost:
            log.error("%d associations are missing from the access log: the database could not be written", lost)

    def _clear_after_predecessor(self) -> None:
        if self._has_cleared:
            return
        now = datetime.now(UTC)
        number = transaction.write(
            self._database, lambda connection: activity.close_lost(connection, *self._station, now), durable=False
        )
        self._has_cleared = True
        if number:
            log.warning("%d associations were open when the process before this one ended", number)

    def _write_some(self, most: int) -> bool:
        """Write what is due, in one transaction; whether there was anything."""
        entries = list(dict.fromkeys(self._due.popleft() for _ in range(most)))
        begun = [entry.begin_writing() for entry in entries]
        refusals, received = self._take_refusals(), self.received.take()
        happened = [each for each, _ in begun] + [self._row(*refusal) for refusal in refusals.items()]
        if not happened and not received:
            return False
        try:
            written = transaction.write(
                self._database, lambda connection: activity.write(connection, happened, received), durable=False
            )
        except BaseException:
            self._put_back(entries, refusals, received)
            raise
        for entry, (_, changed), keys in zip(entries, begun, written, strict=False):  # refusals need no keys
            entry.settle(keys, changed)
        return True

    def _take_refusals(self) -> dict[_Refusal, _Times]:
        with self._lock:
            refusals, self._refusals = self._refusals, {}
        return refusals

    def _row(self, refusal: _Refusal, times: _Times) -> Happened:
        caller = refusal.caller
        row = AssociationRow(
            began_at=moment(times.first_at),
            ended_at=moment(times.last_at),
            node=self._station.node,
            worker=self._station.worker,
            called_ae_title=plain(caller.called_ae_title),
            calling_ae_title=plain(caller.calling_ae_title),
            peer_host=plain(caller.peer_host),
            outcome=refusal.outcome,
            implementation_version_name=plain_or_none(caller.implementation_version_name),
            rejection=plain_or_none(refusal.rejection),
            reason=plain_or_none(refusal.reason),
            number_of_requests=times.number,
        )
        return Happened(None, row)

    def _put_back(
        self, entries: Iterable[Entry], refusals: Mapping[_Refusal, _Times], received: Mapping[Source, tuple[int, int]]
    ) -> None:
        """What could not be written waits for the next time."""
        for entry in entries:
            entry.change()
        with self._lock:
            for refusal, times in refusals.items():
                later = self._refusals.get(refusal)
                last_at, number = (later.last_at, later.number) if later else (times.last_at, 0)
                self._refusals[refusal] = _Times(times.first_at, last_at, times.number + number)
        self.received.put_back(received)


def _forget(_: Entry) -> None:
    """There was no room for this association."""
