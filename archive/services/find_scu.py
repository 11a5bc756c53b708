"""C-FIND SCU (PS3.4 C.4.1.2): an identifier is sent, its matches come one by one, and may be told to stop."""

from collections.abc import Iterator
from dataclasses import dataclass

from archive.dimse import status
from archive.dimse.commands import MEDIUM, CCancelRequest, CFindRequest, CFindResponse
from archive.dimse.exchange import Exchange
from archive.errors import IdentifierTooLarge, PeerError, UnexpectedCommand
from archive.upper_layer.proposal import Context

MAX_ANSWER_BYTES = 1 << 20  # of one match; real ones have a few hundred


@dataclass(frozen=True, slots=True)
class Answer:
    """One response: a match with its identifier as it came, or the final one, which has none."""

    response: CFindResponse
    identifier: bytes = b""

    @property
    def is_final(self) -> bool:
        """Whether no more follow."""
        return not status.is_pending(self.response.status)


def find(
    exchange: Exchange,
    context: Context,
    message_id: int,
    identifier: bytes,
    *,
    priority: int = MEDIUM,
    cancel_after: int | None = None,
) -> Iterator[Answer]:
    """Send one request and yield its answers, the final one last; raises PeerError.

    Once so many matches have been taken a C-CANCEL is sent, a single time; what is on its way comes still.
    """
    request = CFindRequest(message_id=message_id, affected_sop_class_uid=context.abstract_syntax, priority=priority)
    for count, message in enumerate(exchange.request(context, request, identifier), 1):
        response = message.command
        if not isinstance(response, CFindResponse):
            raise _broken(exchange, UnexpectedCommand("The peer answers a C-FIND with something else."))
        if not status.is_pending(response.status):
            yield Answer(response)
            return
        if not message.has_data_set:
            raise _broken(exchange, UnexpectedCommand("A match came without an identifier."))
        try:
            found = exchange.read_data_set(MAX_ANSWER_BYTES)
        except IdentifierTooLarge:
            raise _broken(exchange, UnexpectedCommand(f"A match has more than {MAX_ANSWER_BYTES} bytes.")) from None
        yield Answer(response, found)
        if count == cancel_after:
            exchange.send(context, CCancelRequest(message_id_being_responded_to=message_id))


def _broken(exchange: Exchange, error: PeerError) -> PeerError:
    """The error, once the peer has been told by an abort."""
    exchange.association.end_because(error)
    return error
