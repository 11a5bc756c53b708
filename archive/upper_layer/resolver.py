"""Host names into numeric addresses and back, each within a time (getaddrinfo and getnameinfo know none)."""

import contextlib
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeVar

from archive.errors import CannotConnect

_Found = TypeVar("_Found")

IpVersion = Literal["auto", "ipv4", "ipv6"]
_FAMILIES: Mapping[IpVersion, socket.AddressFamily] = {
    "auto": socket.AF_UNSPEC,
    "ipv4": socket.AF_INET,
    "ipv6": socket.AF_INET6,
}


def resolve(host: str, seconds: float | None, version: IpVersion = "auto") -> tuple[str, ...]:
    """The numeric addresses of `host`, in the resolver's order; CannotConnect when it has none within `seconds`.

    The resolver itself knows no deadline, so a name is looked up by a thread that we wait for only so long.
    """
    family = _FAMILIES[version]
    with contextlib.suppress(socket.gaierror, UnicodeError):  # it is a name, or none that DNS could have
        return _addresses(socket.getaddrinfo(host, None, family, socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST))
    found = _within(seconds, lambda: _addresses(socket.getaddrinfo(host, None, family, socket.SOCK_STREAM)))
    if isinstance(found, tuple):
        return found
    if found is None:
        raise CannotConnect(host=host, reason="the name was not resolved in time")
    raise CannotConnect(host=host, reason=str(found)) from found


def name_of(address: str, seconds: float | None) -> str | None:
    """The host name that the resolver gives for a numeric address; None where it has none, or not within `seconds`.

    Whoever owns an address decides what it is called: believe the name only where it leads back to the address.
    """
    found = _within(seconds, lambda: socket.getnameinfo((address, 0), socket.NI_NAMEREQD)[0])
    return found if isinstance(found, str) else None


def _within(seconds: float | None, look_up: Callable[[], _Found]) -> _Found | OSError | UnicodeError | None:
    """What a look-up finds or fails with; None when the time is over, and it goes on by itself."""
    outcome: list[_Found | OSError | UnicodeError] = []

    def run() -> None:
        try:
            outcome.append(look_up())
        except (OSError, UnicodeError) as error:  # UnicodeError: a label that IDNA cannot encode
            outcome.append(error)

    thread = threading.Thread(target=run, name="resolve", daemon=True)
    thread.start()
    thread.join(seconds or None)
    return outcome[0] if outcome else None


def _addresses(found: Sequence[tuple[object, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found if isinstance(entry[4], tuple)))
