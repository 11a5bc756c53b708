"""What rules ask the resolver: addresses of host names, the host name of an address; each once, all within a deadline.

One of these serves one decision about one association: its thread waits, nobody else does. What was not found out in
time is unknown, and a rule that speaks of it does not hold.
"""

import logging

from archive.errors import CannotConnect
from archive.registry import networks
from archive.registry.networks import HostName, plain
from archive.upper_layer import resolver
from archive.upper_layer.connection import Deadline

log = logging.getLogger(__name__)

# For all host names that the rules speak of.
SECONDS = 3.0

# A Deadline of the past waits for nothing, but a wait of 0 s would be one without end.
_LEAST_SECONDS = 0.001


class Lookups:
    """The resolver, as the rules ask it for one decision."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._deadline: Deadline | None = None  # begins with the first question
        self._addresses: dict[str, frozenset[str]] = {}
        self._names: dict[str, HostName] = {}

    def addresses_of(self, host: str) -> frozenset[str]:
        """The addresses of a host name in a rule or a peer; none where it cannot be resolved in time."""
        if host not in self._addresses:
            self._addresses[host] = self._resolve(host)
        return self._addresses[host]

    def name_of(self, address: str) -> HostName:
        """What an address is called, and whether that leads back to it."""
        if address not in self._names:
            name = resolver.name_of(address, self._remaining_seconds)
            self._names[address] = HostName(name, name is not None and self._leads_back(name, address))
        return self._names[address]

    def _leads_back(self, name: str, address: str) -> bool:
        """An address that is called by an address has no name that could lead anywhere."""
        return not networks.is_address(name) and plain(address) in map(plain, self.addresses_of(name))

    def _resolve(self, host: str) -> frozenset[str]:
        try:
            return frozenset(resolver.resolve(host, self._remaining_seconds))
        except CannotConnect as error:
            log.warning("a rule or peer names a host that cannot be resolved: %s", error)
            return frozenset()

    @property
    def _remaining_seconds(self) -> float:
        if self._deadline is None:
            self._deadline = Deadline.after(self._seconds)
        return max(_LEAST_SECONDS, self._deadline.remaining_seconds or 0)
