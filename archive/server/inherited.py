"""Sockets that somebody else opened for us: systemd's socket activation (sd_listen_fds(3)), and inetd's standard input.

Accept=no in a unit of systemd passes what listens, Accept=yes one connection, as inetd does.
"""

import os
import socket
import stat
from collections.abc import MutableMapping
from dataclasses import dataclass

from archive.errors import Misconfigured
from archive.server.listener import Socket

_FIRST = 3  # SD_LISTEN_FDS_START
_MOST = 64
_STANDARD = (0, 1, 2)


@dataclass(frozen=True, slots=True)
class Inherited:
    """What was passed: sockets that listen, or one connection."""

    listening: tuple[Socket, ...] = ()
    connection: Socket | None = None

    def __bool__(self) -> bool:
        return bool(self.listening) or self.connection is not None


def passed(environment: MutableMapping[str, str] = os.environ, process: int | None = None) -> Inherited:
    """What systemd passed to this process; raises Misconfigured. The environment says it no more then."""
    count, owner = environment.pop("LISTEN_FDS", ""), environment.pop("LISTEN_PID", "")
    environment.pop("LISTEN_FDNAMES", None)
    if not count or owner != str(os.getpid() if process is None else process):
        return Inherited()
    if not count.isascii() or not count.isdigit() or not 0 < int(count) <= _MOST:
        raise Misconfigured(f"LISTEN_FDS={count} is no number of sockets up to {_MOST}")
    sockets = tuple(_stream(descriptor) for descriptor in range(_FIRST, _FIRST + int(count)))
    listening = tuple(each for each in sockets if _listens(each))
    if listening == sockets:
        for each in listening:
            each.setblocking(False)
        return Inherited(listening)
    if len(sockets) == 1:
        return Inherited(connection=sockets[0])
    raise Misconfigured("systemd passes several sockets, and one of them does not listen; pass those that do")


def _stream(descriptor: int) -> Socket:
    try:
        found = socket.socket(fileno=descriptor)
    except OSError as error:
        raise Misconfigured(f"systemd passes {descriptor}, which is no socket: {error.strerror}") from error
    if found.type != socket.SOCK_STREAM:
        found.close()
        raise Misconfigured(f"systemd passes {descriptor}, which is no stream socket; use ListenStream=")
    os.set_inheritable(descriptor, False)
    return found


def _listens(each: Socket) -> bool:
    return each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) != 0


def standard_input() -> Socket:
    """The connection that inetd passes as standard input; raises OSError where there is none.

    What is the connection among standard input, output and error is /dev/null from then on, so that nothing but PDUs
    gets into it; so is a standard error that is closed.
    """
    connection = socket.socket(fileno=os.dup(0))
    try:
        if connection.type != socket.SOCK_STREAM or _listens(connection):
            raise OSError("standard input is no connection")
        is_it = [_is_socket(descriptor, os.fstat(0)) for descriptor in _STANDARD]
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in _STANDARD:
            if is_it[descriptor] and descriptor != null:
                os.dup2(null, descriptor)
        if null not in _STANDARD:
            os.close(null)
    except BaseException:
        connection.close()
        raise
    return connection


def _is_socket(descriptor: int, of: os.stat_result) -> bool:
    """Whether a descriptor is that socket, or closed."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return True
    return stat.S_ISSOCK(found.st_mode) and (found.st_dev, found.st_ino) == (of.st_dev, of.st_ino)
