"""What names may look like: AE titles, networks, hosts, and the names that the administrator gives to things.

Each function raises Misconfigured with one sentence that says what is expected.
"""

import ipaddress
import re

from archive.errors import Misconfigured

# AE: 1 to 16 characters of the default repertoire without backslash and control characters (PS3.5 6.2).
_AE_TITLE = re.compile(r"(?! )[ -\[\]-~]{1,16}(?<! )")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# Vendors have names of several words.
_GROUP_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._ -]{0,62}[A-Za-z0-9._-])?")
# Labels of 63 characters at most, 253 together (RFC 1035 2.3.4); with underscores, as some sites have them.
_HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
    r"(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?"
)


def require_name(name: str, noun: str) -> None:
    """The name of an area, a peer and the like, which is typed on command lines and is part of no path."""
    _require(_NAME, name, f"The name of {noun} is 1 to 64 letters, digits, '.', '_' and '-'", name=name)


def require_group_name(name: str, noun: str) -> None:
    """The name of a group of peers or a vendor: spaces in the middle are allowed."""
    sentence = f"The name of a {noun} is 1 to 64 letters, digits, '.', '_', '-' and spaces in the middle"
    _require(_GROUP_NAME, name, sentence, name=name)


def require_ae_title(title: str) -> None:
    _require(_AE_TITLE, title, "An AE title is 1 to 16 characters of ASCII without backslash", ae_title=title)


def require_network(network: str) -> None:
    """An address, a network in CIDR notation, or a host name."""
    try:
        ipaddress.ip_network(network, strict=False)
    except ValueError:
        if "/" in network:
            raise Misconfigured("This is not a network; write for instance 10.1.0.0/16", network=network) from None
        require_host(network)


def require_host(host: str) -> None:
    """An address or a host name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        looks_numeric = host.replace(".", "").isdigit()
        if looks_numeric or not _HOST_NAME.fullmatch(host):
            raise Misconfigured("This is neither an address nor a host name", host=host) from None


def require_port(port: int) -> None:
    """A TCP port."""
    if not 1 <= port <= 65535:
        raise Misconfigured("A port is a number from 1 to 65535", port=port)


def _require(pattern: re.Pattern[str], value: str, sentence: str, **values: object) -> None:
    if not pattern.fullmatch(value):
        raise Misconfigured(sentence, **values)
