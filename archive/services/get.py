"""C-GET SCP (PS3.4 C.4.3): the sub-operations go back over the association they were asked for on."""

from archive.dimse import status
from archive.dimse.commands import CGetRequest
from archive.dimse.exchange import Exchange
from archive.errors import Failed, Refused
from archive.lifecycle.retrieve import Holdings
from archive.query.model import Operation
from archive.services import failures, retrieval
from archive.services.admission import Admitted
from archive.services.suboperations import Progress, Sender


def serve_get(request: CGetRequest, exchange: Exchange, admitted: Admitted, holdings: Holdings) -> tuple[int, Progress]:
    """Send what was asked for. Returns the final status and what became of the sub-operations."""
    area = admitted.title.area
    try:
        level, locations = retrieval.locate(request.affected_sop_class_uid, Operation.GET, exchange, admitted, holdings)
    except (Refused, Failed) as error:
        return failures.refuse_retrieve(request, exchange, error), Progress(0)
    syntax = exchange.context.transfer_syntax
    progress = Progress(len(locations), level=level)
    contexts = [each for each in exchange.association.contexts.values() if each.requestor_is_scp]
    sender = Sender(holdings, area, exchange, contexts, request.priority)
    for location in locations:
        if exchange.cancelled(request.message_id):
            return retrieval.conclude(request, exchange, syntax, progress, status.CANCEL), progress
        retrieval.attempt(sender, location, progress)
        exchange.respond(progress.response(request, status.PENDING))
    return retrieval.conclude(request, exchange, syntax, progress, progress.final_status), progress
