"""hosts.allow and hosts.deny of this machine, as rules about who may connect (hosts_access(5))."""

from collections.abc import Callable
from pathlib import Path

from archive.cli.reading import read_file
from archive.errors import Misconfigured
from archive.registry import hosts_access, networks
from archive.registry.networks import Clients
from archive.services.lookups import Lookups

ALLOW, DENY = Path("/etc/hosts.allow"), Path("/etc/hosts.deny")

HostRules = list[tuple[bool, Clients]]
"""Whether clients are taken, in the order in which they are asked; whom none speaks of is taken."""


def read(path: Path) -> str:
    """A file of hosts_access(5); raises Misconfigured."""
    return read_file(path).decode(errors="replace")


def rules(daemon: str) -> HostRules:
    """The lines of both files that speak of `daemon`; raises Misconfigured for those we cannot obey."""
    found: HostRules = []
    for path, accepts in ((ALLOW, True), (DENY, False)):
        if not path.exists():
            continue
        lines, problems = hosts_access.parse(read(path), daemon, accepts=accepts)
        for problem in problems:
            raise Misconfigured(f"{path}, line {problem.number}: {problem.reason}")
        found += [(line.accepts, line.clients) for line in lines]
    return found


def welcomes(found: HostRules) -> Callable[[str], bool]:
    """Whether an address may connect by these rules; names are looked up, each time anew."""

    def decide(address: str) -> bool:
        lookups = Lookups()
        for accepts, clients in found:
            if networks.speaks_of(clients, address, lookups.addresses_of, lookups.name_of):
                return accepts
        return True

    return decide
