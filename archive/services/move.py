"""C-MOVE SCP (PS3.4 C.4.2): the sub-operations go to a peer that the administrator named, over associations of ours.

What is proposed follows from what is sent: for each SOP Class and stored transfer syntax a presentation context of its
own, and for what can be converted one more with the uncompressed syntaxes. What needs more contexts than an association
has is split over several, one after the other.
"""

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from archive.dicom import convert, uids
from archive.dimse import status
from archive.dimse.commands import CMoveRequest
from archive.dimse.exchange import Exchange
from archive.errors import Failed, PeerAborted, PeerError, Refused, UnknownDestination
from archive.index.locate import Location
from archive.lifecycle.retrieve import Holdings
from archive.query.model import Operation
from archive.registry.snapshot import Peer
from archive.services import client, failures, retrieval
from archive.services.admission import Admitted
from archive.services.suboperations import Originator, Progress, Sender
from archive.upper_layer.association import Timeouts
from archive.upper_layer.proposal import ProposedContext
from archive.upper_layer.states import State

log = logging.getLogger(__name__)

# A presentation context ID is odd and one byte (PS3.8 9.3.2.2).
MAX_CONTEXTS = 128

# After as many, the destination is taken for one that will not have any of it.
MOST_ABORTS = 5

# What any instance with a plain data set is offered in, beside its own transfer syntax.
_FALLBACKS = (uids.EXPLICIT_VR_LITTLE_ENDIAN, uids.IMPLICIT_VR_LITTLE_ENDIAN)


@dataclass(frozen=True, slots=True)
class Batch:
    """Instances that one association can carry, and what is proposed for them."""

    contexts: tuple[ProposedContext, ...]
    locations: tuple[Location, ...]


def serve_move(
    request: CMoveRequest, exchange: Exchange, admitted: Admitted, holdings: Holdings, timeouts: Timeouts
) -> tuple[int, int]:
    """Send what was asked for where it was asked to. Returns the final status and the number completed."""
    try:
        locations = retrieval.locate(request.affected_sop_class_uid, Operation.MOVE, exchange, admitted, holdings)
        destination = admitted.registry.destination(request.move_destination)
        if locations and destination is None:
            raise UnknownDestination(f"{request.move_destination} is not a peer of ours")
    except (Refused, Failed) as error:
        return failures.refuse_retrieve(request, exchange, error), 0
    move = _Move(request, exchange, admitted, holdings, timeouts, Progress(len(locations)))
    is_cancelled = destination is not None and not all(move.carry(batch, destination) for batch in batches(locations))
    code = status.CANCEL if is_cancelled else move.progress.final_status
    syntax = exchange.context.transfer_syntax
    return retrieval.conclude(request, exchange, syntax, move.progress, code), move.progress.completed


@dataclass(frozen=True, slots=True)
class _Move:
    """One C-MOVE under way."""

    request: CMoveRequest
    exchange: Exchange
    admitted: Admitted
    holdings: Holdings
    timeouts: Timeouts
    progress: Progress

    def carry(self, batch: Batch, destination: Peer) -> bool:
        """Send a batch over an association of its own; False if the move was cancelled meanwhile.

        A destination that aborts may not have liked this one instance: that one fails, and the others get another
        association, a few times. Any other failure of the destination fails what is left of the batch.
        """
        waiting = deque(batch.locations)
        aborts = 0
        while waiting:
            try:
                with self._associate(batch, destination) as peer:
                    if not self._send(waiting, self._sender(peer)):
                        return False
            except PeerError as error:
                if self.exchange.association.state is State.ENDED:
                    raise  # it is the requestor who is gone
                log.warning("the move destination failed: %s", error, extra={"called": destination.ae_title})
                self.progress.trouble = error.message
                aborts += 1
                if isinstance(error, PeerAborted) and aborts < MOST_ABORTS:
                    self.progress.fail([waiting.popleft()])
                else:
                    self.progress.fail(waiting)
                    waiting.clear()
        return True

    def _send(self, waiting: deque[Location], sender: Sender) -> bool:
        """Send what waits until nothing does, or until we broke the association ourselves; False if cancelled."""
        while waiting and sender.is_usable:
            if self.exchange.cancelled(self.request.message_id):
                return False
            retrieval.attempt(sender, waiting[0], self.progress)
            waiting.popleft()
            if self.progress.remaining:
                self.exchange.respond(self.progress.response(self.request, status.PENDING))
        return True

    def _sender(self, peer: Exchange) -> Sender:
        originator = Originator(self.admitted.caller.ae_title, self.request.message_id)
        contexts = list(peer.association.contexts.values())
        return Sender(self.holdings, self.admitted.title.area, peer, contexts, self.request.priority, originator)

    def _associate(self, batch: Batch, destination: Peer) -> AbstractContextManager[Exchange]:
        return client.associate(
            destination.host,
            destination.port,
            called=destination.ae_title,
            calling=self.admitted.title.title,
            contexts=batch.contexts,
            timeouts=self.timeouts,
        )


def batches(locations: Iterable[Location]) -> Iterator[Batch]:
    """Cut the instances, in their order, into batches that each fit the presentation contexts of one association."""
    proposed: dict[tuple[str, tuple[str, ...]], None] = {}
    members: list[Location] = []
    for location in locations:
        wanted: list[tuple[str, tuple[str, ...]]] = [(location.sop_class_uid, (location.transfer_syntax_uid,))]
        if location.transfer_syntax_uid in convert.CONVERTIBLE:
            wanted.append((location.sop_class_uid, _FALLBACKS))
        new = [each for each in wanted if each not in proposed]
        if len(proposed) + len(new) > MAX_CONTEXTS:
            yield _batch(proposed, members)
            proposed, members, new = {}, [], wanted
        proposed.update(dict.fromkeys(new))
        members.append(location)
    if members:
        yield _batch(proposed, members)


def _batch(proposed: Iterable[tuple[str, tuple[str, ...]]], members: Iterable[Location]) -> Batch:
    contexts = (
        ProposedContext(2 * number + 1, abstract_syntax, transfer_syntaxes)
        for number, (abstract_syntax, transfer_syntaxes) in enumerate(proposed)
    )
    return Batch(tuple(contexts), tuple(members))
