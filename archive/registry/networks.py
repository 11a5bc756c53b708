"""Whose connections a network rule speaks of: lists of clients as hosts_access(5) writes them; pure.

A list is patterns, and behind EXCEPT another list of those that are not meant: `10.1.0.0/16 .example.org EXCEPT
10.1.66.0/24`. EXCEPT binds to the right. A pattern is

- an address, a network (`10.1.0.0/16`, `10.1.0.0/255.255.0.0`, `10.1.`, `[2001:db8::]/32`),
- a host name, which is looked up: its addresses are compared,
- the end of host names (`.example.org`), a host name or address with wild cards (`ct-*.example.org`),
- `ALL`; `LOCAL`: a host name without dot; `KNOWN`, `UNKNOWN`: whether the address has a host name; `PARANOID`: it has
  one that does not lead back to the address.

The host name of an address is believed only if one of its addresses is this one.
"""

import fnmatch
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from archive.errors import Misconfigured
from archive.registry import names

EXCEPT = "EXCEPT"
ALL, LOCAL, KNOWN, UNKNOWN, PARANOID = _WORDS = ("ALL", "LOCAL", "KNOWN", "UNKNOWN", "PARANOID")

_NETWORK = re.compile(r"\[?([0-9A-Fa-f:.]+)\]?(?:/([0-9.]+))?")
_PREFIX = re.compile(r"(?:[0-9]{1,3}\.){1,3}")
_WILD_CARDS = re.compile(r"[A-Za-z0-9_.*?:-]{1,253}")

# What was parsed before, of addresses that peers come from and networks that rules name.
MOST_REMEMBERED = 4096

# The addresses of a host name, as text; empty where it is unknown.
Addresses = Callable[[str], frozenset[str]]


@dataclass(frozen=True, slots=True)
class HostName:
    """What an address is called; `name` is None where it has none that could be found out in time."""

    name: str | None
    leads_back: bool = False
    """Whether the address is one of the name's."""

    @property
    def believed(self) -> str | None:
        """The name in lower case, if it leads back to the address."""
        return self.name.rstrip(".").lower() if self.name and self.leads_back else None


# What an address is called. Only patterns that speak of names ask.
NameOf = Callable[[str], HostName]


@dataclass(frozen=True, slots=True)
class Clients:
    """A list of clients."""

    patterns: tuple[str, ...]
    excepted: "Clients | None" = None

    def __str__(self) -> str:
        return " ".join(self.patterns) + (f" {EXCEPT} {self.excepted}" if self.excepted else "")


def parse(text: str) -> Clients:
    """A list of clients, its patterns separated by spaces or commas; raises Misconfigured."""
    return parse_words(re.split(r"[\s,]+", text.strip(" \t,")))


def parse_words(words: list[str]) -> Clients:
    """The same from its words; networks come out in CIDR notation."""
    parts: list[list[str]] = [[]]
    for word in filter(None, words):
        if word.upper() == EXCEPT:
            parts.append([])
        else:
            parts[-1].append(_pattern(word))
    if not all(parts):
        raise Misconfigured("A list of clients is empty; write for instance ALL, or 10.1.0.0/16 EXCEPT 10.1.66.0/24")
    clients: Clients | None = None
    for part in reversed(parts):
        clients = Clients(tuple(part), clients)
    assert clients is not None
    return clients


def _pattern(word: str) -> str:
    """A pattern as it is kept; raises Misconfigured."""
    if word.upper() in _WORDS:
        return word.upper()
    if word.startswith(("@", "/")) or "@" in word:
        raise Misconfigured("Netgroups, files of patterns and user names are no clients here", pattern=word)
    if _PREFIX.fullmatch(word):
        octets = word.rstrip(".").split(".")
        return _network(".".join(octets + ["0"] * (4 - len(octets))), str(8 * len(octets)), word)
    if (found := _NETWORK.fullmatch(word)) and ("/" in word or ":" in word or word.replace(".", "").isdigit()):
        return _network(found[1], found[2], word)
    if "*" in word or "?" in word:
        if not _WILD_CARDS.fullmatch(word) or word.startswith(".") or word.endswith("."):
            raise Misconfigured("Wild cards go with letters, digits, '.', '_' and '-' only", pattern=word)
        return word.lower()
    names.require_host(word.removeprefix("."))
    return word.rstrip(".").lower()


def _network(address: str, mask: str | None, word: str) -> str:
    try:
        if mask is None:
            return str(ipaddress.ip_address(address))
        network = ipaddress.ip_network(f"{address}/{mask}", strict=False)
        if not mask.isdigit() and str(network.netmask) != mask:  # Python takes 0.0.0.255 for a network of /24
            raise ValueError(mask)
    except ValueError:
        raise Misconfigured("This is neither an address nor a network", pattern=word) from None
    if str(network.network_address) != str(ipaddress.ip_address(address)):
        raise Misconfigured(f"The address is not the first of its network; write {network}", pattern=word)
    return str(network)


def is_network(host: str) -> bool:
    """Whether it is a network of several addresses, and not one address or a host name."""
    try:
        return ipaddress.ip_network(host, strict=False).num_addresses > 1
    except ValueError:
        return False


def is_address(host: str) -> bool:
    """Whether it is one address, and not a network or a host name."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def speaks_of(clients: Clients, address: str, addresses_of: Addresses, name_of: NameOf) -> bool:
    """Whether the client at this address is one of them."""
    if not any(_matches(pattern, address, addresses_of, name_of) for pattern in clients.patterns):
        return False
    return clients.excepted is None or not speaks_of(clients.excepted, address, addresses_of, name_of)


def _matches(pattern: str, address: str, addresses_of: Addresses, name_of: NameOf) -> bool:
    match pattern:
        case "ALL":
            return True
        case "KNOWN":
            return name_of(address).believed is not None
        case "UNKNOWN":
            return name_of(address).name is None
        case "PARANOID":
            return name_of(address).name is not None and not name_of(address).leads_back
        case "LOCAL":
            return "." not in (name_of(address).believed or ".")
    if pattern.startswith("."):
        return (name_of(address).believed or "").endswith(pattern)
    if "*" in pattern or "?" in pattern:
        return fnmatch.fnmatchcase(address, pattern) or fnmatch.fnmatchcase(name_of(address).believed or "", pattern)
    return is_in(pattern, address, addresses_of)


def is_in(network: str, address: str, addresses_of: Addresses) -> bool:
    """Whether the address lies in a network, is an address, or is one of a host name's."""
    where = plain(address)
    lies_in = _lies_in(network, where)
    return where in {plain(known) for known in addresses_of(network)} if lies_in is None else lies_in


@lru_cache(maxsize=MOST_REMEMBERED)
def _lies_in(network: str, address: str) -> bool | None:
    """Whether the address lies in the network; None if one of them is none."""
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return None


@lru_cache(maxsize=MOST_REMEMBERED)
def plain(address: str) -> str:
    """An address without its zone, and an IPv4 address that came in IPv6 clothes as IPv4."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = getattr(parsed, "ipv4_mapped", None)
    return str(mapped or parsed)
