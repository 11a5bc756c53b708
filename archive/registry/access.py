"""Who may do what at which of our titles: one pure function over the registry, and its reasons.

A deny outweighs every allow; where no rule allows, nobody enters. What the title itself is not open for (R, W, RW)
no rule can give.
"""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass

from archive.registry.snapshot import OwnTitle, Registry, Rule
from archive.registry.tables import OPERATIONS

# What a title must be open for, for an operation to make sense at it.
_READS = frozenset({"find", "move", "get"})

# The addresses of a host name, as text; empty where it is unknown. Only rules that speak of names ask.
Addresses = Callable[[str], frozenset[str]]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who called: the calling AE title and the address it called from."""

    ae_title: str
    address: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether something is allowed, and the rule or the fact that decided."""

    allowed: bool
    reason: str
    rule: Rule | None = None
    a_rule_could_allow: bool = False


def decide(registry: Registry, called: str, caller: Caller, operation: str, addresses_of: Addresses) -> Decision:
    """May this caller do `operation` (one of OPERATIONS) at our title `called`?"""
    title = registry.titles.get(called)
    if title is None:
        return Decision(False, f"{called} is not one of our AE titles")
    if operation in _READS and not title.can_read:
        return Decision(False, f"{called} is open for {title.access} only: nothing can be read")
    if operation == "store" and not title.can_write:
        return Decision(False, f"{called} is open for {title.access} only: nothing can be stored")
    return _by_rules(title, caller, operation, addresses_of)


def allowed_operations(registry: Registry, called: str, caller: Caller, addresses_of: Addresses) -> frozenset[str]:
    """All that this caller may do at our title `called`; nothing means no entry."""
    return frozenset(op for op in OPERATIONS if decide(registry, called, caller, op, addresses_of).allowed)


def _by_rules(title: OwnTitle, caller: Caller, operation: str, addresses_of: Addresses) -> Decision:
    speaking = [rule for rule in title.rules if operation in rule.operations and speaks_of(rule, caller, addresses_of)]
    for rule in speaking:
        if not rule.allows:
            return Decision(False, f"{rule} denies it", rule)
    if speaking:
        return Decision(True, f"{speaking[0]} allows it", speaking[0])
    reason = f"no rule at {title.title} lets {caller.ae_title} from {caller.address} {operation}"
    return Decision(False, reason, a_rule_could_allow=True)


def speaks_of(rule: Rule, caller: Caller, addresses_of: Addresses) -> bool:
    """Whether the rule is about this caller."""
    if rule.peer is not None:
        return rule.peer.ae_title == caller.ae_title and _is_in(rule.peer.host, caller.address, addresses_of)
    if rule.calling_ae_title is not None and rule.calling_ae_title != caller.ae_title:
        return False
    return rule.network is None or _is_in(rule.network, caller.address, addresses_of)


def _is_in(network: str, address: str, addresses_of: Addresses) -> bool:
    """Whether the address lies in a network, is an address, or is one of a host name's."""
    where = plain(address)
    try:
        return ipaddress.ip_address(where) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return where in {plain(known) for known in addresses_of(network)}


def plain(address: str) -> str:
    """An address without its zone, and an IPv4 address that came in IPv6 clothes as IPv4."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = getattr(parsed, "ipv4_mapped", None)
    return str(mapped or parsed)
