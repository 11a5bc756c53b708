"""What a peer answers to a C-MOVE or C-GET of ours: its responses, and which instances it could not send.

PS3.4 C.4.2.1 and C.4.3.1. How far a retrieve has come is what the responses count; a peer may leave counts out.
"""

import logging
from dataclasses import dataclass
from typing import NoReturn

from archive.dicom import encode
from archive.dimse import status
from archive.dimse.commands import Request, Response, SubOperationsResponse
from archive.dimse.exchange import Exchange, Message
from archive.dimse.status import Category
from archive.errors import Failed, PeerError, Refused, UnexpectedCommand

log = logging.getLogger(__name__)

_FAILED_SOP_INSTANCE_UID_LIST = 0x00080058  # PS3.4 C.4.2.1.4.2


@dataclass(frozen=True, slots=True)
class Answer:
    """One response to a retrieve, and what came with it."""

    number: int
    """From 1 on, the pending ones too."""
    response: SubOperationsResponse
    failed_instances: tuple[str, ...] = ()
    """SOP Instance UIDs that the last response names."""

    @property
    def is_final(self) -> bool:
        """Whether no other one follows."""
        return not status.is_pending(self.response.status)

    @property
    def category(self) -> Category:
        """What kind of answer it is."""
        return status.category(self.response.status)

    @property
    def done(self) -> int:
        """So many sub-operations are over."""
        response = self.response
        return (response.completed or 0) + (response.failed or 0) + (response.warning or 0)

    @property
    def total(self) -> int | None:
        """So many sub-operations there are; None where the peer does not say what remains."""
        return None if self.response.remaining is None else self.done + self.response.remaining


def failed_instances(exchange: Exchange, message: Message) -> tuple[str, ...]:
    """The Failed SOP Instance UID List of a last response; empty where there is none that can be read."""
    if not message.has_data_set:
        return ()
    try:
        identifier = exchange.read_data_set(encode.MAX_IDENTIFIER_BYTES)
        elements = encode.parse(identifier, message.context.transfer_syntax)
    except (Refused, Failed) as error:
        log.debug("the identifier of the response cannot be read: %s", error)
        return ()
    for element in elements:
        if element.tag == _FAILED_SOP_INSTANCE_UID_LIST and isinstance(element.value, bytes):
            uids = element.value.decode("latin-1").split("\\")
            return tuple(uid for each in uids if (uid := each.strip(" \0")))
    return ()


def unexpected(exchange: Exchange, request: Request, command: Response | object) -> NoReturn:
    """End the association: this is no answer to `request`. Raises UnexpectedCommand."""
    error: PeerError = UnexpectedCommand(
        f"{type(command).__name__} is no answer to {type(request).__name__}", message_id=request.message_id
    )
    exchange.association.end_because(error)
    raise error
