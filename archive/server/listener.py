"""The listening ports, at one address or several: bound once, shared by all workers."""

import errno
import socket
from collections.abc import Sequence
from typing import NamedTuple

from archive.errors import Misconfigured

Socket = socket.socket  # for those who only pass it on

# Connections the kernel keeps for us while every worker is busy; Linux cuts it to net.core.somaxconn.
BACKLOG = 1024


_EVERY_IPV4 = "0.0.0.0"  # noqa: S104 - what an administrator may ask for
# Every IPv6 address and no other; `::` is every address.
_EVERY_IPV6 = "ipv6"

# How often a port that the system chose at one address may be taken at another.
_TRIES = 10


class Port(NamedTuple):
    """A listening socket, and whether callers speak TLS there."""

    socket: Socket
    is_tls: bool

    @property
    def number(self) -> int:
        return self.socket.getsockname()[1]

    @property
    def address(self) -> str:
        """Host and port."""
        host, number = self.socket.getsockname()[:2]
        return f"{f'[{host}]' if ':' in host else host}:{number}"

    def __str__(self) -> str:
        return f"{self.address}{' (TLS)' if self.is_tls else ''}"


def bind(hosts: Sequence[str], port: int) -> tuple[Socket, ...]:
    """Listen at each host, on the same port (0: the system chooses); `::` serves IPv4 as well, unless 0.0.0.0 does.

    Raises Misconfigured.
    """
    tries = _TRIES if port == 0 else 1
    while True:
        tries -= 1
        try:
            return _bind_all(hosts, port)
        except _Taken as taken:
            if not tries:
                raise taken.reason from taken


class _Taken(Exception):
    """A port that the system chose at the first address is taken at another."""

    def __init__(self, reason: Misconfigured) -> None:
        super().__init__()
        self.reason = reason


def _bind_all(hosts: Sequence[str], port: int) -> tuple[Socket, ...]:
    if not hosts:
        raise Misconfigured("There is no address to listen on; name one with --host")
    opened: list[Socket] = []
    for host in hosts:
        try:
            opened.append(_bind(host, port, serves_ipv4=host == "::" and _EVERY_IPV4 not in hosts))
        except OSError as error:
            for each in opened:
                each.close()
            is_taken = error.errno == errno.EADDRINUSE
            advice = "; end what listens there, or take another port" if is_taken else ""
            reason = Misconfigured(f"Cannot listen on {host}:{port}: {error.strerror or error}{advice}")
            raise (_Taken(reason) if opened and is_taken else reason) from error
        port = opened[0].getsockname()[1]
    return tuple(opened)


def _bind(host: str, port: int, *, serves_ipv4: bool) -> Socket:
    found = socket.getaddrinfo(
        "::" if host == _EVERY_IPV6 else host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if serves_ipv4 else 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


class NoDescriptorLeft(Exception):
    """The process or the system has no file descriptor for another connection; it stays in the backlog."""


def accept(listener: Socket) -> Socket | None:
    """The next connection, or None where another worker took it or it ended while it waited."""
    try:
        connection, _ = listener.accept()
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise NoDescriptorLeft from error
        return None  # every other error of accept(2) is about that one connection
    return connection
