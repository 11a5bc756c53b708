"""Send files over one association, one after the other, looking into the next one while the peer is still at work."""

import logging
from contextlib import closing
from dataclasses import dataclass

from archive.cli.dcmtk import sending_words, status_words
from archive.cli.dcmtk.shipment import FAILED, Item, Leg, Shipment
from archive.dicom import uids
from archive.dicom.modality_prefixes import prefix
from archive.dimse import status
from archive.dimse.exchange import Exchange
from archive.errors import ArchiveError, ConnectionLost, NotDicom, PeerAborted, PeerError
from archive.services.store_scu import Sender
from archive.storage.outgoing import Outgoing, open_outgoing
from archive.upper_layer.proposal import Context

log = logging.getLogger(__name__)

PEER_ABORTED = 10


@dataclass(slots=True)
class _Job:
    """A file that was looked into: an instance to be sent, or why it is none."""

    item: Item
    outgoing: Outgoing | None = None
    problem: ArchiveError | None = None

    def close(self) -> None:
        if self.outgoing is not None:
            self.outgoing.close()


class Halted(Exception):
    """It goes no further, and the association is aborted, as DCMTK does."""


class Carrier:
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
        """Send until nothing is left, or it is halted. Raises PeerError, and Halted."""
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
        """A file cannot be sent. Raises Halted where that ends it."""
        if job.item.is_found and isinstance(error, NotDicom):
            self._shipment.pass_over(job.item, error)
            return
        log.error("%s", sending_words.problem(job.item.path, job.outgoing, error))
        self._shipment.failed(job.item, FAILED)
        if self._asked.halts:
            raise Halted
