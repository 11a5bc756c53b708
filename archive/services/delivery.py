"""Instances to one destination, over associations of ours: the sub-operations of a C-MOVE, and a send by hand."""

import logging
from collections import deque
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from archive.dimse.exchange import Exchange
from archive.errors import PeerAborted, PeerError
from archive.index.locate import Location
from archive.lifecycle.retrieve import Holdings
from archive.registry.model import Area, Peer
from archive.services import client, retrieval
from archive.services.batches import Batch
from archive.services.suboperations import Originator, Progress, Sender
from archive.upper_layer.association import Timeouts
from archive.upper_layer.tls import Tls
from archive.upper_layer.tls_session import Session

log = logging.getLogger(__name__)

# After as many, the destination is taken for one that will not have any of it.
MOST_ABORTS = 5


class Watcher(Protocol):
    """Whoever asked for it, and is told how it goes."""

    def wants_more(self) -> bool:
        """Whether the next instance is still to be sent."""
        ...

    def tell(self) -> None:
        """One more has been sent, or has failed; the progress says which."""
        ...

    def is_gone(self) -> bool:
        """Whether nobody is left to be told."""
        ...


def session_for(peer: Peer, tls: Tls) -> Session | None:
    """The session in which a peer is called; None where it is called without TLS. Raises TlsFailed."""
    return tls.request(peer.host, checks_host=peer.checks_host) if peer.uses_tls else None


@dataclass(frozen=True, slots=True)
class Delivery:
    """What goes from an area to a destination."""

    holdings: Holdings
    area: Area
    destination: Peer
    calling_ae_title: str
    timeouts: Timeouts
    tls: Tls
    progress: Progress
    watcher: Watcher
    priority: int
    originator: Originator | None = None

    def carry(self, batch: Batch) -> bool:
        """Send a batch over an association of its own; False if they are no longer wanted.

        A destination that aborts may not have liked this one instance: that one fails, and the others get another
        association, a few times. Any other failure of the destination fails all that is left.
        """
        waiting = deque(batch.locations)
        aborts = 0
        while waiting:
            try:
                with self._associate(batch) as peer:
                    if not self._send(waiting, self._sender(peer)):
                        return False
            except PeerError as error:
                if self.watcher.is_gone():
                    raise  # it was not the destination
                log.warning("the destination failed: %s", error, extra={"called": self.destination.ae_title})
                self.progress.trouble = client.explained(error)
                aborts += 1
                if isinstance(error, PeerAborted) and aborts < MOST_ABORTS:
                    self.progress.fail([waiting.popleft()])
                else:
                    self.progress.fail(waiting)
                    waiting.clear()
        return True

    def _send(self, waiting: deque[Location], sender: Sender) -> bool:
        """Send what waits until nothing does, or until we broke the association ourselves; False if not wanted."""
        while waiting and sender.is_usable:
            if not self.watcher.wants_more():
                return False
            retrieval.attempt(sender, waiting[0], self.progress)
            waiting.popleft()
            self.watcher.tell()
        return True

    def _sender(self, peer: Exchange) -> Sender:
        contexts = [each for each in peer.association.contexts.values() if each.requestor_is_scu]
        return Sender(self.holdings, self.area, peer, contexts, self.priority, self.originator)

    def _associate(self, batch: Batch) -> AbstractContextManager[Exchange]:
        assert self.destination.port is not None  # else it were no destination
        return client.associate(
            self.destination.host,
            self.destination.port,
            called=self.destination.ae_title,
            calling=self.calling_ae_title,
            contexts=batch.contexts,
            roles=batch.roles,
            extended=batch.extended,
            timeouts=self.timeouts,
            session=session_for(self.destination, self.tls),
        )
