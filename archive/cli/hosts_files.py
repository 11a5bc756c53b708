"""hosts.allow and hosts.deny of this machine, as rules about who may connect (hosts_access(5))."""

from collections.abc import Callable
from pathlib import Path

from archive.errors import Misconfigured
from archive.registry import hosts_access, networks
from archive.registry.networks import Clients
from archive.services.lookups import Lookups

ALLOW, DENY = Path("/etc/hosts.allow"), Path("/etc/hosts.deny")
_MOST_FILE_BYTES = 1 << 20  # they have some hundred; what is larger is something else

HostRules = list[tuple[bool, Clients]]
"""Whether clients are taken, in the order in which they are asked; whom none speaks of is taken."""


def read(path: Path) -> str:
    """A file of hosts_access(5); raises Misconfigured."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_FILE_BYTES + 1)
    except OSError as error:
        raise Misconfigured("The file cannot be read", path=str(path), reason=error.strerror) from error
    if len(content) > _MOST_FILE_BYTES:
        raise Misconfigured("The file is larger than any list of hosts", path=str(path))
    return content.decode(errors="replace")


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
