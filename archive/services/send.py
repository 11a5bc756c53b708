"""Send instances to a peer by hand: a C-STORE for each (PS3.4 annex B), as in a C-MOVE that nobody asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from archive.dimse.commands import MEDIUM
from archive.index.locate import Location
from archive.lifecycle.retrieve import Holdings
from archive.registry.model import Area, Peer
from archive.services.batches import batches
from archive.services.delivery import Delivery
from archive.services.suboperations import Progress
from archive.upper_layer.association import Timeouts
from archive.upper_layer.tls import Tls


@dataclass(slots=True)
class _Told:
    """Counts on, for a progress bar."""

    progress: Progress
    advance: Callable[[int], None]
    told: int = 0

    def wants_more(self) -> bool:
        return True

    def tell(self) -> None:
        done = self.progress.completed + self.progress.warning + self.progress.failed
        self.advance(done - self.told)
        self.told = done

    def is_gone(self) -> bool:
        return False


def send(
    holdings: Holdings,
    area: Area,
    locations: Sequence[Location],
    destination: Peer,
    *,
    calling: str,
    timeouts: Timeouts,
    tls: Tls,
    advance: Callable[[int], None],
) -> Progress:
    """Send these instances, and say what became of them; a destination that fails fails what is left."""
    progress = Progress(len(locations))
    watcher = _Told(progress, advance)
    delivery = Delivery(holdings, area, destination, calling, timeouts, tls, progress, watcher, MEDIUM)
    for batch in batches(locations, destination):
        delivery.carry(batch)
        watcher.tell()
    return progress
