"""Where a C-MOVE may go: one pure function over the registry, and its reasons.

A destination is a peer that has a port. Where several have the AE title that was named, the first that may be sent to
is taken, in the order they were added.
"""

from dataclasses import dataclass

from archive.registry.access import Caller
from archive.registry.model import Group, OwnTitle, Peer, Registry
from archive.registry.networks import Addresses, is_in, plain


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a C-MOVE goes, None for nowhere, and why."""

    peer: Peer | None
    reason: str


def decide(registry: Registry, title: OwnTitle, caller: Caller, named: str, addresses_of: Addresses) -> Destination:
    """Where a C-MOVE of this caller at `title` goes that names the AE title `named`."""
    known = [peer for peer in registry.peers.values() if peer.ae_title == named]
    candidates = [peer for peer in known if peer.port is not None]
    if not candidates:
        only_calls = f"{named} is a peer that only calls: it has no port" if known else f"{named} is not a peer of ours"
        return Destination(None, only_calls)
    obstacles = [_obstacle(registry, title, caller, peer, addresses_of) for peer in candidates]
    for peer, obstacle in zip(candidates, obstacles, strict=True):
        if obstacle is None:
            return Destination(peer, f"{named} is peer {peer.name} at {peer.host} port {peer.port}")
    return Destination(None, str(obstacles[0]))


def _obstacle(registry: Registry, title: OwnTitle, caller: Caller, peer: Peer, addresses_of: Addresses) -> str | None:
    """What keeps a C-MOVE from going to this peer."""
    moves = title.policy.moves
    if moves.to_same_title and peer.ae_title != caller.ae_title:
        return f"{title.title} moves to the AE title that asks only, and {peer.ae_title} is not {caller.ae_title}"
    if moves.to_same_host and not is_in(peer.host, caller.address, addresses_of):
        return f"{title.title} moves to the host that asks only, and {peer.host} is not {plain(caller.address)}"
    if moves.to_same_vendor and not _share_a_vendor(registry, caller.ae_title, peer.ae_title):
        return f"{title.title} moves to the same vendor only, and no vendor has {caller.ae_title} and {peer.ae_title}"
    if moves.to_listed and not _is_listed(title, peer):
        return f"peer {peer.name} is not among the destinations of {title.title}"
    return None


def _share_a_vendor(registry: Registry, one: str, other: str) -> bool:
    """Whether a vendor has peers with both AE titles."""
    vendors = (group for group in registry.groups.values() if group.is_vendor)
    return any({one, other} <= {peer.ae_title for peer in vendor.peers} for vendor in vendors)


def _is_listed(title: OwnTitle, peer: Peer) -> bool:
    return any(
        peer in entry.peers if isinstance(entry, Group) else peer == entry for entry in title.policy.moves.listed
    )
