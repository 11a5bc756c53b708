"""C-MOVE SCP (PS3.4 C.4.2): the sub-operations go to a peer that the administrator named, over associations of ours."""

from dataclasses import dataclass

from archive.dimse import status
from archive.dimse.commands import CMoveRequest
from archive.dimse.exchange import Exchange
from archive.errors import Failed, Refused, UnknownDestination
from archive.lifecycle.retrieve import Holdings
from archive.query.model import Operation
from archive.registry import destinations
from archive.registry.model import Peer
from archive.services import failures, retrieval
from archive.services.admission import Admitted
from archive.services.batches import batches
from archive.services.delivery import Delivery
from archive.services.lookups import Lookups
from archive.services.suboperations import Originator, Progress
from archive.upper_layer.association import Timeouts
from archive.upper_layer.states import State
from archive.upper_layer.tls import Tls


def serve_move(
    request: CMoveRequest, exchange: Exchange, admitted: Admitted, holdings: Holdings, timeouts: Timeouts, tls: Tls
) -> tuple[int, Progress]:
    """Send what was asked for where it was asked to. Returns the final status and what became of the sub-operations."""
    level = None
    try:
        level, locations = retrieval.locate(
            request.affected_sop_class_uid, Operation.MOVE, exchange, admitted, holdings
        )
        destination = _destination(request.move_destination, admitted) if locations else None
    except (Refused, Failed) as error:
        progress = Progress(0, level=level, refused_because=str(error.values.get("reason", "")))
        return failures.refuse_retrieve(request, exchange, error), progress
    progress = Progress(len(locations), level=level)
    is_cancelled = False
    if destination is not None:
        delivery = Delivery(
            holdings,
            admitted.title.area,
            destination,
            admitted.title.title,
            timeouts,
            tls,
            progress,
            _Requestor(request, exchange, progress),
            request.priority,
            Originator(admitted.caller.ae_title, request.message_id),
        )
        is_cancelled = not all(delivery.carry(batch) for batch in batches(locations, destination))
    code = status.CANCEL if is_cancelled else progress.final_status
    syntax = exchange.context.transfer_syntax
    return retrieval.conclude(request, exchange, syntax, progress, code), progress


def _destination(named: str, admitted: Admitted) -> Peer:
    """Where it goes; raises UnknownDestination. What keeps it from going there is for the log, not for the peer."""
    addresses_of = Lookups().addresses_of
    found = destinations.decide(admitted.registry, admitted.title, admitted.caller, named, addresses_of)
    if found.peer is None:
        raise UnknownDestination(f"{admitted.title.title} does not move to {named}", reason=found.reason)
    return found.peer


@dataclass(frozen=True, slots=True)
class _Requestor:
    """Who asked for a C-MOVE: may cancel it, and gets a pending response after each sub-operation."""

    request: CMoveRequest
    exchange: Exchange
    progress: Progress

    def wants_more(self) -> bool:
        return not self.exchange.cancelled(self.request.message_id)

    def tell(self) -> None:
        self.exchange.respond(self.progress.response(self.request, status.PENDING))

    def is_gone(self) -> bool:
        return self.exchange.association.state is State.ENDED
