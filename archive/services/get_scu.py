"""C-GET SCU (PS3.4 C.4.3): ask a peer for instances, and take them in over the same association.

For each SOP Class that may come we propose to be the SCP (PS3.7 D.3.3.4). An association has room for 128 presentation
contexts, and there are more storage classes than that: those that hardly anybody stores are left out.
"""

from collections.abc import Iterator, Sequence

from archive.dicom.retrieved_sop_classes import RETRIEVED_SOP_CLASSES
from archive.dimse.commands import CGetRequest, CGetResponse, CStoreRequest
from archive.dimse.exchange import Exchange
from archive.services import reception
from archive.services.reception import Visitor
from archive.services.retrieve_answers import Answer, failed_instances, unexpected
from archive.upper_layer.proposal import Context, ProposedContext, Role

GET_CONTEXT_ID = 1


def contexts(
    sop_class_uid: str, transfer_syntaxes: Sequence[str], stored_syntaxes: Sequence[str]
) -> tuple[ProposedContext, ...]:
    """What to propose: the C-GET in some transfer syntaxes, and all that may come in others."""
    stored = tuple(stored_syntaxes)
    return (
        ProposedContext(GET_CONTEXT_ID, sop_class_uid, tuple(transfer_syntaxes)),
        *(
            ProposedContext(GET_CONTEXT_ID + 2 * number, uid, stored)
            for number, uid in enumerate(RETRIEVED_SOP_CLASSES, start=1)
        ),
    )


ROLES = tuple(Role(uid, scu=False, scp=True) for uid in RETRIEVED_SOP_CLASSES)
"""What to propose beside `contexts`."""


def get(
    exchange: Exchange, context: Context, request: CGetRequest, identifier: bytes, visitor: Visitor
) -> Iterator[Answer]:
    """Send the request, take in what comes, and yield the answers, the final one last; raises PeerError.

    An instance that cannot be kept is answered with a failure, and the others go on; `visitor` is told of all.
    """
    exchange.send(context, request, identifier)
    number = 0
    while True:
        message = exchange.receive_response(request.message_id)
        command = message.command
        if isinstance(command, CStoreRequest):
            reception.take_in(command, exchange, visitor)
            continue
        if not isinstance(command, CGetResponse):
            unexpected(exchange, request, command)
        number += 1
        answer = Answer(number, command)
        if answer.is_final:
            yield Answer(number, command, failed_instances(exchange, message))
            return
        yield answer
