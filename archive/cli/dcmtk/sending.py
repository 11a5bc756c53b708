"""Associations of storescu, side by side: how many there are, and what becomes of one that breaks.

Each takes the next file in their order when it is done with one. A file that an association was at when it broke is a
failure; where that does not halt all, the others are sent over another association.
"""

import logging
import threading
from collections.abc import Callable

from archive.cli.dcmtk import calling
from archive.cli.dcmtk.calling import ExitCodes
from archive.cli.dcmtk.carrier import PEER_ABORTED, Carrier, Halted
from archive.cli.dcmtk.face import Ended
from archive.cli.dcmtk.shipment import BEHIND_ALL, FAILED, Leg, Shipment
from archive.upper_layer.association import Association

log = logging.getLogger(__name__)

CODES = ExitCodes(broken=FAILED, aborted=PEER_ABORTED)

# After as many associations that broke, the peer is taken for one that will not have any of it.
MOST_BREAKS = 5


class Sending:
    """Of one shipment."""

    def __init__(self, shipment: Shipment) -> None:
        self._shipment = shipment
        self._asked = shipment.asked
        self._change = threading.Lock()
        self._associations: set[Association] = set()

    def carry(self, leg: Leg) -> None:
        """Send what a leg holds. Raises Ended where no association for it can be made."""
        self._shipment.hold(leg.items)
        if self._carry_side_by_side(leg):
            self._carry_rest(leg)
        if not self._shipment.is_halted:
            self._shipment.fail_rest(FAILED)  # of associations that broke too often

    def _carry_side_by_side(self, leg: Leg) -> bool:
        """Whether what is left, if anything is, may be tried once more: not all of them broke too often."""
        if self._asked.parallel == 1:
            return self._visit(leg, _nothing)
        from concurrent.futures import Future, ThreadPoolExecutor  # few command lines ask for it

        helpers: list[Future[bool]] = []
        with ThreadPoolExecutor(self._asked.parallel) as threads:

            def summon() -> None:
                helpers.extend(threads.submit(self._help, leg) for _ in range(self._asked.parallel - 1))

            try:
                visits = [self._visit(leg, summon)]
                visits += [helper.result() for helper in helpers]
                return any(visits)
            except BaseException:
                self._stop()
                raise

    def _stop(self) -> None:
        """Have every association end now."""
        self._shipment.halt()
        with self._change:
            for association in self._associations:
                association.end()

    def _carry_rest(self, leg: Leg) -> None:
        """Send what an association gave back as it broke, when those that were well had ended already."""
        if not self._shipment.has_more():
            return
        try:
            self._visit(leg, _nothing)
        except Ended as ended:
            self._broken(ended, None)

    def _help(self, leg: Leg) -> bool:
        """Send beside the first association; a peer that takes no more associations is served by those it has."""
        try:
            return self._visit(leg, _nothing)
        except Ended as ended:
            log.warning("one association fewer: %s", ended)
            return False

    def _visit(self, leg: Leg, established: Callable[[], None]) -> bool:
        """Send over one association, and where it is to go on over another one after each that breaks.

        Whether it ended before too many had broken.
        """
        for breaks in range(MOST_BREAKS):
            carrier: Carrier | None = None
            try:
                terms = leg.terms
                with calling.associated(
                    self._asked.client,
                    terms.contexts,
                    CODES,
                    roles=terms.roles,
                    extended=terms.extended,
                    shows_contexts=self._asked.shows_contexts,
                ) as exchange:
                    carrier = Carrier(self._shipment, leg, exchange)
                    established()
                    established = _nothing
                    self._carry_by(carrier, exchange.association)
                return True
            except Halted:
                log.info("Aborting Association")
                return True
            except Ended as ended:
                if carrier is None and not breaks:
                    raise
                self._broken(ended, carrier)
                if self._shipment.is_halted or not self._shipment.has_more():
                    return True
        log.error("%d associations broke: there is no further one in their place", MOST_BREAKS)
        return False

    def _carry_by(self, carrier: Carrier, association: Association) -> None:
        with self._change:
            self._associations.add(association)
        try:
            carrier.carry()
        finally:
            with self._change:
                self._associations.discard(association)

    def _broken(self, ended: Ended, carrier: Carrier | None) -> None:
        """An association broke, or could not be made again; a break with no file under way is a failure, too."""
        log.error("%s", ended)
        if carrier is None or carrier.is_between_files:
            self._shipment.note_failure(BEHIND_ALL, ended.code)


def _nothing() -> None:
    """Nobody is to be told."""
