"""The listening port: bound once, shared by all workers."""

import errno
import socket

from archive.errors import Misconfigured

Socket = socket.socket  # for those who only pass it on

# Connections the kernel keeps for us while every worker is busy; Linux cuts it to net.core.somaxconn.
BACKLOG = 1024


def bind(host: str, port: int) -> Socket:
    """Listen on host and port (0: the system chooses); `::` serves IPv4 as well. Raises Misconfigured."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        raise Misconfigured(f"Cannot listen on {host}:{port}: {error.strerror or error}") from error
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
