"""C-MOVE SCU (PS3.4 C.4.2): ask a peer to send instances to an AE, and hear from it how that goes."""

from collections.abc import Callable, Iterator

from archive.dimse import status
from archive.dimse.commands import CCancelRequest, CMoveRequest, CMoveResponse
from archive.dimse.exchange import Exchange
from archive.errors import DeadlineExpired
from archive.services.retrieve_answers import Answer, failed_instances, unexpected
from archive.upper_layer.connection import Deadline
from archive.upper_layer.proposal import Context


def _nothing() -> int:
    return 0


def move(
    exchange: Exchange,
    context: Context,
    request: CMoveRequest,
    identifier: bytes,
    *,
    reads_pending: bool = False,
    received_bytes: Callable[[], int] = _nothing,
) -> Iterator[Answer]:
    """Send the request and yield the answers to it, the final one last; raises PeerError.

    No data set may follow a pending response. Where one is announced it is not waited for, and dropped if it comes;
    with `reads_pending` it is read. Each response has `timeouts.response` to come, and that begins anew while
    `received_bytes` grows: what the request asked for may be coming to us over other associations.
    """
    exchange.send(context, request, identifier)
    number = 0
    while True:
        _wait(exchange, received_bytes)
        message = exchange.receive_response(request.message_id)
        response = message.command
        if not isinstance(response, CMoveResponse):
            unexpected(exchange, request, response)
        number += 1
        if not status.is_pending(response.status):
            yield Answer(number, response, failed_instances(exchange, message))
            return
        if message.has_data_set and not reads_pending:
            exchange.forgo_data_set()
        yield Answer(number, response)


def cancel(exchange: Exchange, context: Context, request: CMoveRequest) -> None:
    """Ask the peer to end the operation (PS3.7 9.3.2.3); its final response still comes. Raises PeerError."""
    exchange.send(context, CCancelRequest(message_id_being_responded_to=request.message_id))


def _wait(exchange: Exchange, received_bytes: Callable[[], int]) -> None:
    """Until the peer says something; raises DeadlineExpired when nothing has come at all for too long."""
    association = exchange.association
    seconds = association.timeouts.response
    if not seconds:
        return
    while not association.fragment_waiting():
        before = received_bytes()
        try:
            association.connection.wait_for_input(Deadline.after(seconds))
        except DeadlineExpired as error:
            if received_bytes() == before:
                association.end_because(error)
                raise
        else:
            return
