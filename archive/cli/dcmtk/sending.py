"""Send files over associations side by side: whose turn it is, what is said of each, and how it ends.

Each association takes the next file in their order when it is done with one, and looks into the file after it while the
peer is still at work. What cannot be sent, or is not taken, is a failure: the first one ends it all, each association
at its next turn, unless it is to go on.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

from archive.cli.dcmtk import calling, sending_words, status_words
from archive.cli.dcmtk.calling import ExitCodes
from archive.cli.dcmtk.face import Ended
from archive.cli.dcmtk.storescu_options import Storescu
from archive.dicom import uids
from archive.dicom.invention import Inventor
from archive.dicom.modality_prefixes import prefix
from archive.dimse import status
from archive.dimse.exchange import Exchange
from archive.errors import ArchiveError, ConnectionLost, NotDicom, PeerAborted, PeerError
from archive.services.store_scu import Sender, Terms
from archive.storage.outgoing import Encoding, Outgoing, open_outgoing
from archive.upper_layer.association import Association
from archive.upper_layer.proposal import Context

log = logging.getLogger(__name__)

FAILED = 1
PEER_ABORTED = 10
CODES = ExitCodes(broken=FAILED, aborted=PEER_ABORTED)

_BEHIND_ALL = 1 << 62  # number of what is no file

# After as many associations that broke, the peer is taken for one that will not have any of it.
MOST_BREAKS = 5


@dataclass(frozen=True, slots=True)
class Item:
    """A file to be sent; `number` is its place in the order of all."""

    number: int
    path: str
    is_found: bool = False
    """By a search, so that nobody said that it is an instance."""


@dataclass(slots=True)
class Leg:
    """What associations by the same terms carry."""

    terms: Terms
    items: Iterable[Item]
    sop_classes: frozenset[str] | None = None
    """Those that are proposed; others wait for another leg. None: there is no other."""


@dataclass(slots=True)
class _Job:
    """A file that was looked into: an instance to be sent, or why it is none."""

    item: Item
    outgoing: Outgoing | None = None
    problem: ArchiveError | None = None

    def close(self) -> None:
        if self.outgoing is not None:
            self.outgoing.close()


class _Halted(Exception):
    """It goes no further, and the association is aborted, as DCMTK does."""


@dataclass(slots=True)
class Shipment:
    """All files of a run, shared by the threads that send them."""

    asked: Storescu
    advance: Callable[[int], None]
    inventor: Inventor | None = None
    waiting: dict[str, list[Item]] = field(default_factory=dict)
    """What waits for another leg, by SOP Class."""
    is_halted: bool = False
    failures: int = 0
    passed_over: int = 0
    _first_failure: tuple[int, int] | None = None  # number of the item, exit code
    _items: Iterator[Item] = field(default_factory=lambda: iter(()))
    _returned: list[Item] = field(default_factory=list)
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _associations: set[Association] = field(default_factory=set)

    @property
    def exit_code(self) -> int:
        """That of the first failure, in the order of files; 0 if there is none."""
        return self._first_failure[1] if self._first_failure else 0

    @property
    def encoding(self) -> Encoding:
        """How data sets are sent that do not go as they are."""
        return Encoding(self.asked.deflate_level, old_vrs_only=not self.asked.has_new_vrs)

    def take(self) -> Item | None:
        """The next file; None when there is none, or it has been halted."""
        with self._turn:
            if self.is_halted:
                return None
            return self._returned.pop() if self._returned else next(self._items, None)

    def _has_more(self) -> bool:
        item = self.take()
        if item is not None:
            self.give_back(item)
        return item is not None

    def give_back(self, item: Item) -> None:
        """It was taken and is not sent: somebody else may."""
        with self._turn:
            self._returned.append(item)

    def wait(self, item: Item, sop_class_uid: str) -> None:
        """It needs other terms."""
        with self._turn:
            self.waiting.setdefault(sop_class_uid, []).append(item)

    def sent(self, item: Item) -> None:
        """The peer has it."""
        self._rename(item, ".done")
        with self._turn:
            self.advance(1)

    def pass_over(self, item: Item, error: ArchiveError) -> None:
        """A file that a search found is none to be sent."""
        log.warning("ignoring file: %s: %s", item.path, sending_words.reason(error))
        with self._turn:
            self.passed_over += 1
            self.advance(1)

    def missed(self, number: int, why: str) -> None:
        """A file cannot even be taken up; raises Ended, unless it is to go on."""
        if self.asked.halts:
            raise Ended(why, FAILED)
        log.warning("%s, ignoring file", why)
        self._count_failure(number, FAILED)

    def failed(self, item: Item, code: int) -> None:
        """It is not sent; the first failure halts all, unless it is to go on."""
        self._rename(item, ".bad")
        self._count_failure(item.number, code)

    def _count_failure(self, number: int, code: int) -> None:
        self._note_failure(number, code)
        with self._turn:
            self.failures += 1
            self.advance(1)

    def _note_failure(self, number: int, code: int) -> None:
        """For the exit code; a break is none of a file."""
        with self._turn:
            if self._first_failure is None or number < self._first_failure[0]:
                self._first_failure = (number, code)
            self.is_halted = self.is_halted or self.asked.halts

    def fail_rest(self, code: int) -> None:
        """Nothing that is left can be sent."""
        while (item := self.take()) is not None:
            self.failed(item, code)

    def _rename(self, item: Item, ending: str) -> None:
        if not self.asked.files.renames:
            return
        name = item.path + ending
        try:
            if os.path.lexists(name):
                raise FileExistsError(0, "there is a file of that name")
            os.rename(item.path, name)  # noqa: PTH104 - paths are plain text here
        except OSError as error:
            log.warning("cannot rename file '%s' to '%s': %s", item.path, name, error.strerror)
            return
        log.debug("renamed file '%s' to '%s'", item.path, name)

    # Legs

    def carry(self, leg: Leg) -> None:
        """Send what a leg holds. Raises Ended where no association for it can be made."""
        self._items = iter(leg.items)
        self._carry_side_by_side(leg)
        if not self.is_halted:
            self.fail_rest(FAILED)  # of associations that broke too often

    def _carry_side_by_side(self, leg: Leg) -> None:
        if self.asked.parallel == 1:
            self._visit(leg, lambda: None)
            return
        from concurrent.futures import Future, ThreadPoolExecutor  # few command lines ask for it

        helpers: list[Future[None]] = []
        with ThreadPoolExecutor(self.asked.parallel) as threads:

            def summon() -> None:
                helpers.extend(threads.submit(self._help, leg) for _ in range(self.asked.parallel - 1))

            try:
                self._visit(leg, summon)
                for helper in helpers:
                    helper.result()
            except BaseException:
                self._stop()
                raise

    def _stop(self) -> None:
        """Have every association end now."""
        with self._turn:
            self.is_halted = True
            for association in self._associations:
                association.end()

    def _help(self, leg: Leg) -> None:
        """Send beside the first association; a peer that takes no more associations is served by those it has."""
        try:
            self._visit(leg, lambda: None)
        except Ended as ended:
            log.warning("one association fewer: %s", ended)

    def _visit(self, leg: Leg, established: Callable[[], None]) -> None:
        """Send over one association, and where it is to go on over another one after each that breaks."""
        for breaks in range(MOST_BREAKS):
            carrier: _Carrier | None = None
            try:
                terms = leg.terms
                with calling.associated(
                    self.asked.client,
                    terms.contexts,
                    CODES,
                    roles=terms.roles,
                    extended=terms.extended,
                    shows_contexts=self.asked.shows_contexts,
                ) as exchange:
                    carrier = _Carrier(self, leg, exchange)
                    established()
                    established = _nothing
                    self._carry_by(carrier, exchange.association)
                return
            except _Halted:
                log.info("Aborting Association")
                return
            except Ended as ended:
                if carrier is None and not breaks:
                    raise
                self._broken(ended, carrier)
                if self.is_halted or not self._has_more():
                    return
        log.error("%d associations broke: there is no further one in their place", MOST_BREAKS)

    def _carry_by(self, carrier: "_Carrier", association: Association) -> None:
        with self._turn:
            self._associations.add(association)
        try:
            carrier.carry()
        finally:
            with self._turn:
                self._associations.discard(association)

    def _broken(self, ended: Ended, carrier: "_Carrier | None") -> None:
        """An association broke, or could not be made again; a break with no file under way is a failure, too."""
        log.error("%s", ended)
        if carrier is None or carrier.is_between_files:
            self._note_failure(_BEHIND_ALL, ended.code)


def _nothing() -> None:
    """Nobody is to be told."""


class _Carrier:
    """Sends files over one association."""

    def __init__(self, shipment: Shipment, leg: Leg, exchange: Exchange) -> None:
        self._shipment = shipment
        self._asked = shipment.asked
        self._leg = leg
        prefers_deflated = self._asked.proposed.profile is None and self._asked.proposed.preset == "deflated"
        self._sender = Sender(exchange, shipment.encoding, prefers_deflated=prefers_deflated)
        self._next: _Job | None = None
        self.is_between_files = True

    def carry(self) -> None:
        """Send until nothing is left, or it is halted. Raises PeerError, and _Halted."""
        try:
            self._look_ahead()
            while (job := self._next) is not None and not self._shipment.is_halted:
                self._next = None
                with closing(job):
                    self.is_between_files = False
                    self._deliver(job)
                    if not self._sender.is_usable:
                        raise ConnectionLost("a file could not be read to its end while it was sent")
                    self.is_between_files = True
                self._look_ahead()
        finally:
            if self._next is not None:
                self._next.close()
                self._shipment.give_back(self._next.item)

    def _look_ahead(self) -> None:
        """Look into the next file, if that is not done."""
        if self._next is not None or (item := self._shipment.take()) is None:
            return
        self._next = _Job(item)
        try:
            self._next.outgoing = open_outgoing(item.path, self._asked.files.form)
        except ArchiveError as error:
            self._next.problem = error

    def _deliver(self, job: _Job) -> None:
        """Send one file, as often as is asked for."""
        outgoing = job.outgoing
        if outgoing is None:
            assert job.problem is not None
            log.info("Sending file: %s", job.item.path)
            self._refuse(job, job.problem)
            return
        if self._is_for_another_leg(outgoing):
            self._shipment.wait(job.item, outgoing.sop_class_uid)
            return
        code = status.SUCCESS
        try:
            for repeat in range(1, self._asked.repeats + 1):
                answer = self._store(job.item, outgoing, is_last=repeat == self._asked.repeats)
                if sending_words.is_failure(answer):
                    code = answer
                    if self._asked.halts:
                        break
        except PeerError as error:
            log.error("Store Failed, file: %s: %s", job.item.path, error)
            self._shipment.failed(job.item, PEER_ABORTED if isinstance(error, PeerAborted) else FAILED)
            raise
        except ArchiveError as error:
            self._refuse(job, error)
            return
        if code == status.SUCCESS:
            self._shipment.sent(job.item)
        else:
            self._shipment.failed(job.item, sending_words.exit_code_of(code))

    def _is_for_another_leg(self, outgoing: Outgoing) -> bool:
        proposed = self._leg.sop_classes
        sop_class_uid = outgoing.sop_class_uid
        return proposed is not None and sop_class_uid not in proposed and uids.is_storage(sop_class_uid)

    def _store(self, item: Item, outgoing: Outgoing, *, is_last: bool) -> int:
        """One C-STORE, and its status. Raises what keeps the instance from being sent, and PeerError."""
        log.info("Sending file: %s", item.path)
        outgoing = self._as_sent(item, outgoing)
        context = self._sender.context_for(outgoing.sop_class_uid, outgoing.transfer_syntax_uid)
        message_id = self._sender.next_message_id()
        self._say_request(outgoing, context, message_id)
        self._sender.begin(outgoing, context, message_id)
        if is_last:
            self._look_ahead()
        response = self._sender.finish(message_id)
        log.info("Received Store Response (%s)", status_words.of_store(response.status))
        if sending_words.is_failure(response.status):
            log.error("%s", sending_words.refusal(item.path, response))
        return response.status

    def _as_sent(self, item: Item, outgoing: Outgoing) -> Outgoing:
        """The instance with the values that it is to have."""
        if outgoing.is_padded:
            if self._asked.corrects_uids:
                outgoing = outgoing.with_clean_uids()
            else:
                log.warning("a UID ends with a space, and is sent so in the data set: %s", item.path)
        if self._shipment.inventor is None:
            return outgoing
        invented = self._shipment.inventor.invent()
        log.info(
            "Inventing Identifying Information (pa%d, st%d, se%d, im%d): SOPInstanceUID=%s",
            *(invented.patient, invented.study, invented.series, invented.image),
            invented.sop_instance_uid,
        )
        outgoing, missing = outgoing.edited(invented.values)
        if missing:
            tags = ", ".join(f"({tag >> 16:04x},{tag & 0xFFFF:04x})" for tag in sorted(missing))
            log.error("cannot find %s to invent a value for it: %s", tags, item.path)
        return outgoing

    def _say_request(self, outgoing: Outgoing, context: Context, message_id: int) -> None:
        if not log.isEnabledFor(logging.INFO):
            return
        if context.transfer_syntax != outgoing.transfer_syntax_uid:
            log.info("%s", sending_words.conversion(outgoing.transfer_syntax_uid, context.transfer_syntax))
        modality = prefix(outgoing.sop_class_uid, unknown="OT")
        log.info("Sending Store Request (MsgID %d, %s)", message_id, modality)

    def _refuse(self, job: _Job, error: ArchiveError) -> None:
        """A file cannot be sent. Raises _Halted where that ends it."""
        if job.item.is_found and isinstance(error, NotDicom):
            self._shipment.pass_over(job.item, error)
            return
        log.error("%s", sending_words.problem(job.item.path, job.outgoing, error))
        self._shipment.failed(job.item, FAILED)
        if self._asked.halts:
            raise _Halted
