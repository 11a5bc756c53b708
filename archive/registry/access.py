"""Who may do what at which of our titles: one pure function over the registry, and its reasons.

A deny outweighs every allow; where no rule allows, nobody enters. What the title itself is not open for (R, W, RW)
no rule can give. Before that, network rules decide whose connections are taken at all: the first that speaks of a
client decides, and without any it is taken. Where a C-MOVE may go is said in `destinations`.
"""

from dataclasses import dataclass
from functools import cache

from archive.registry import certificates, networks
from archive.registry.model import NetworkRule, OwnTitle, Peer, Registry, Rule
from archive.registry.networks import Addresses, NameOf, is_in, plain
from archive.registry.tables import RULED

__all__ = ["Addresses", "Caller", "Decision", "allowed_operations", "connection", "decide", "plain", "speaks_of"]

# What a title must be open for, for an operation to make sense at it.
_READS = frozenset({"find", "move", "get"})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who called: the calling AE title, the address it called from, and what its verified certificate says."""

    ae_title: str
    address: str
    identities: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether something is allowed, and the rule or the fact that decided."""

    allowed: bool
    reason: str
    rule: Rule | NetworkRule | None = None
    a_rule_could_allow: bool = False


def connection(registry: Registry, address: str, addresses_of: Addresses, name_of: NameOf) -> Decision:
    """Is a connection from this address taken, before anything is read of it?"""
    name_once, addresses_once = cache(name_of), cache(addresses_of)
    for rule in registry.network_rules:
        if networks.speaks_of(rule.clients, address, addresses_once, name_once):
            verb = "allows" if rule.accepts else "denies"
            return Decision(rule.accepts, f"{rule} {verb} connections from {address}", rule)
    return Decision(True, f"no network rule speaks of {address}")


def decide(registry: Registry, called: str, caller: Caller, operation: str, addresses_of: Addresses) -> Decision:
    """May this caller do `operation` (one of RULED) at our title `called`?"""
    title = registry.titles.get(called)
    if title is None:
        return Decision(False, f"{called} is not one of our AE titles")
    if title.policy.refuses:
        return Decision(False, f"{called} refuses every association")
    if bound := _peers_it_is_not(registry, caller):
        named = " or ".join(peer.name for peer in bound)
        return Decision(False, f"{caller.ae_title} may only be used with the certificate of peer {named}")
    if operation in _READS and not title.can_read:
        return Decision(False, f"{called} is open for {title.access} only: nothing can be read")
    if operation == "store" and not title.can_write:
        return Decision(False, f"{called} is open for {title.access} only: nothing can be stored")
    if operation == "get" and not title.policy.allows_get:
        return Decision(False, f"{called} does not offer C-GET")
    return _by_rules(title, caller, operation, addresses_of)


def allowed_operations(registry: Registry, called: str, caller: Caller, addresses_of: Addresses) -> frozenset[str]:
    """All that this caller may do at our title `called`; nothing means no entry."""
    return frozenset(op for op in RULED if decide(registry, called, caller, op, addresses_of).allowed)


def _by_rules(title: OwnTitle, caller: Caller, operation: str, addresses_of: Addresses) -> Decision:
    speaking = [rule for rule in title.rules if operation in rule.operations and speaks_of(rule, caller, addresses_of)]
    for rule in speaking:
        if not rule.allows:
            return Decision(False, f"{rule} denies it", rule)
    if speaking:
        return Decision(True, f"{speaking[0]} allows it", speaking[0])
    reason = f"no rule at {title.title} lets {caller.ae_title} from {caller.address} {operation}"
    return Decision(False, reason, a_rule_could_allow=True)


def _peers_it_is_not(registry: Registry, caller: Caller) -> list[Peer]:
    """The peers whose title the caller uses and whose certificate it would have to show; none where it shows one."""
    bound = [peer for peer in registry.peers.values() if peer.certificate and peer.ae_title == caller.ae_title]
    return [] if any(shows_certificate_of(peer, caller) for peer in bound) else bound


def shows_certificate_of(peer: Peer, caller: Caller) -> bool:
    """Whether the caller shows the certificate that is bound to the peer, if there is one."""
    return peer.certificate is None or certificates.identities(peer.certificate) <= caller.identities


def speaks_of(rule: Rule, caller: Caller, addresses_of: Addresses) -> bool:
    """Whether the rule is about this caller."""
    if rule.peer is not None:
        return is_caller(rule.peer, caller, addresses_of)
    if rule.group is not None:
        return any(is_caller(peer, caller, addresses_of) for peer in rule.group.peers)
    if rule.calling_ae_title is not None and rule.calling_ae_title != caller.ae_title:
        return False
    return rule.network is None or is_in(rule.network, caller.address, addresses_of)


def is_caller(peer: Peer, caller: Caller, addresses_of: Addresses) -> bool:
    """Whether it is this peer who calls: its title, from its host, with its certificate."""
    is_it = peer.ae_title == caller.ae_title and shows_certificate_of(peer, caller)
    return is_it and is_in(peer.host, caller.address, addresses_of)
