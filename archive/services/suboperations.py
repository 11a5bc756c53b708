"""The C-STORE sub-operations of a C-MOVE or C-GET: what is sent how, and what is told of it (PS3.4 C.4.2, C.4.3).

An instance goes out in its stored transfer syntax where the peer accepts it, else converted between uncompressed ones,
else its sub-operation fails and the others go on.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from archive.dicom import convert
from archive.dicom.attributes import Level
from archive.dicom.encode import element
from archive.dimse import status
from archive.dimse.commands import (
    CGetRequest,
    CGetResponse,
    CMoveRequest,
    CMoveResponse,
    CStoreRequest,
    CStoreResponse,
)
from archive.dimse.exchange import DataSet, Exchange
from archive.errors import CannotConvert, UnexpectedCommand
from archive.index.locate import Location
from archive.lifecycle.retrieve import Holdings
from archive.registry.model import Area
from archive.upper_layer.proposal import Context
from archive.upper_layer.states import State

_FAILED_SOP_INSTANCE_UID_LIST = 0x00080058

# Read from the disk and written to the network by one system call each.
PIECE_BYTES = 1 << 20


@dataclass(slots=True)
class Progress:
    """The counts of a retrieve, and which instances failed; the counters of a response come from here."""

    remaining: int
    completed: int = 0
    failed: int = 0
    warning: int = 0
    failed_uids: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    """Why each of these failed, for a person."""
    trouble: str = ""
    """What the requestor is told where sub-operations failed."""
    level: Level | None = None
    """What was asked for; None if that could not be read."""
    sent_bytes: int = 0
    """Of the instances that were taken."""
    refused_because: str = ""
    """Why there were no sub-operations, where the log is told more than the requestor."""

    def count(self, location: Location, code: int | None) -> None:
        """One sub-operation has ended with this status; None: there was none."""
        self.remaining -= 1
        if code == status.SUCCESS:
            self.completed += 1
        elif code is not None and status.category(code) is status.Category.WARNING:
            self.warning += 1
        else:
            self.failed += 1
            self.failed_uids.append(location.sop_instance_uid)
            self.reasons.append(self.trouble if code is None else f"The peer answered with status {code:04X}")
            return
        self.sent_bytes += location.size_bytes

    def fail(self, locations: Iterable[Location]) -> None:
        """These will not be sent."""
        for location in locations:
            self.count(location, None)

    @property
    def final_status(self) -> int:
        """The status of the last response, unless it was cancelled."""
        if not self.failed and not self.warning:
            return status.SUCCESS
        if not self.completed and not self.warning:
            return status.RETRIEVE_OUT_OF_RESOURCES_SUB_OPERATIONS
        return status.RETRIEVE_SUB_OPERATIONS_FAILED_OR_WARNED

    def response(self, request: CGetRequest | CMoveRequest, code: int) -> CGetResponse | CMoveResponse:
        """A response with the counters; Remaining only while there may be more (PS3.7 table 9.3-10)."""
        return request.answer(
            code,
            remaining=self.remaining if code in (status.PENDING, status.CANCEL) else None,
            completed=self.completed,
            failed=self.failed,
            warning=self.warning,
            error_comment=self.trouble if self.failed and code != status.PENDING else "",
        )

    def identifier(self, transfer_syntax: str) -> bytes | None:
        """Failed SOP Instance UID List, where there is one (PS3.4 C.4.2.1.4.2)."""
        if not self.failed_uids:
            return None
        return element(
            _FAILED_SOP_INSTANCE_UID_LIST, "UI", "\\".join(self.failed_uids).encode("ascii"), transfer_syntax
        )


@dataclass(frozen=True, slots=True)
class Originator:
    """Whose C-MOVE it is (PS3.7 9.1.1.1)."""

    ae_title: str
    message_id: int


class Sender:
    """Sends stored instances over one association."""

    def __init__(
        self,
        holdings: Holdings,
        area: Area,
        exchange: Exchange,
        contexts: Sequence[Context],
        priority: int,
        originator: Originator | None = None,
    ) -> None:
        """`contexts` are those on which the peer takes instances."""
        self._holdings = holdings
        self._area = area
        self._exchange = exchange
        self._priority = priority
        self._originator = originator
        self._buffer = memoryview(bytearray(PIECE_BYTES))
        self._contexts: dict[str, list[Context]] = {}
        for context in contexts:
            self._contexts.setdefault(context.abstract_syntax, []).append(context)

    @property
    def is_usable(self) -> bool:
        """False once the association has ended: a data set that could not be read to its end takes it along."""
        return self._exchange.association.state is not State.ENDED

    def send(self, location: Location) -> int:
        """Send one instance and return the status that the peer gave it.

        Raises UnreadableFile or CannotConvert where it cannot be sent, and PeerError when the association is over.
        """
        context = self._context_for(location)
        with self._holdings.open(self._area, location) as stream:
            data_set = self._data_set(stream, location, context)
            for message in self._exchange.request(context, self._request(location), data_set):
                if isinstance(message.command, CStoreResponse):
                    return message.command.status
                error = UnexpectedCommand(command=type(message.command).__name__)
                self._exchange.association.end_because(error)
                raise error
        raise AssertionError("a request ends with its response")

    def _request(self, location: Location) -> CStoreRequest:
        originator = self._originator
        return CStoreRequest(
            message_id=self._exchange.next_message_id(),
            affected_sop_class_uid=location.sop_class_uid,
            affected_sop_instance_uid=location.sop_instance_uid,
            priority=self._priority,
            move_originator_ae_title=originator.ae_title if originator else None,
            move_originator_message_id=originator.message_id if originator else None,
        )

    def _context_for(self, location: Location) -> Context:
        """The context with the stored transfer syntax, or one that it can be converted to."""
        of_class = self._contexts.get(location.sop_class_uid, [])
        for context in of_class:
            if context.transfer_syntax == location.transfer_syntax_uid:
                return context
        for context in of_class:
            if convert.can_convert(location.transfer_syntax_uid, context.transfer_syntax):
                return context
        raise CannotConvert(
            "The peer accepts neither the stored transfer syntax nor one it can be converted to",
            sop_class_uid=location.sop_class_uid,
            transfer_syntax_uid=location.transfer_syntax_uid,
        )

    def _data_set(self, stream: BinaryIO, location: Location, context: Context) -> DataSet:
        """What is sent; a conversion that fails must not fail in the middle of a message where that can be avoided."""
        if context.transfer_syntax == location.transfer_syntax_uid:
            return self._raw(stream)
        return convert.gathered(convert.convert(stream, location.transfer_syntax_uid, context.transfer_syntax))

    def _raw(self, stream: BinaryIO) -> Iterator[memoryview]:
        """The rest of a file, piece by piece in one buffer; each piece is dead when the next is asked for."""
        while count := stream.readinto(self._buffer):  # type: ignore[attr-defined]  # unbuffered files have it
            yield self._buffer[:count]
