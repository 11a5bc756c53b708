"""An acceptor that answers as a test says, to the byte: what clients are asked to bear."""

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from archive.dimse import status
from archive.dimse.commands import CEchoRequest, CFindRequest
from archive.dimse.exchange import Exchange, Message
from archive.errors import PeerError
from archive.upper_layer.association import Association, Timeouts
from archive.upper_layer.connection import Connection
from archive.upper_layer.proposal import Agreement, Proposal, Rejection
from tests.fix_association import PATIENT, WAIT_SECONDS, agree

Serve = Callable[[Exchange, Message], None]
"""What becomes of one request; it may respond, abort, or do nothing at all."""


@dataclass
class ScriptedScp:
    """The acceptor: its port, what was proposed to it, and what it read."""

    port: int
    proposals: list[Proposal] = field(default_factory=list)
    identifiers: list[bytes] = field(default_factory=list)
    requests: list[object] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    """How each association ended: `released`, or the name of the error."""


@contextmanager
def scripted_scp(
    serve: Serve | None = None,
    *,
    decide: Callable[[Proposal], Agreement | Rejection] = agree,
    host: str = "127.0.0.1",
    timeouts: Timeouts = PATIENT,
) -> Iterator[ScriptedScp]:
    """An acceptor on a free port, one association after the other; `serve` None answers C-ECHO."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        scp = ScriptedScp(listener.getsockname()[1])
        thread = threading.Thread(target=_accept, args=(listener, scp, serve or echo, decide, timeouts), daemon=True)
        thread.start()
        yield scp
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
    thread.join(WAIT_SECONDS)
    assert not thread.is_alive()


def _accept(
    listener: socket.socket,
    scp: ScriptedScp,
    serve: Serve,
    decide: Callable[[Proposal], Agreement | Rejection],
    timeouts: Timeouts,
) -> None:
    def decided(proposal: Proposal) -> Agreement | Rejection:
        scp.proposals.append(proposal)
        return decide(proposal)

    while True:
        try:
            near, _ = listener.accept()
        except OSError:
            return
        connection = Connection(near)
        try:
            association = Association.accept(connection, decided, timeouts)
            if isinstance(association, Association):
                _serve(Exchange(association), scp, serve)
                scp.ends.append("released")
        except PeerError as error:
            scp.ends.append(type(error).__name__)
        finally:
            connection.close()


def _serve(exchange: Exchange, scp: ScriptedScp, serve: Serve) -> None:
    while (message := exchange.receive()) is not None:
        scp.requests.append(message.command)
        if message.has_data_set:
            scp.identifiers.append(exchange.read_data_set(1 << 24))
        serve(exchange, message)


def echo(exchange: Exchange, message: Message) -> None:
    """Success."""
    assert isinstance(message.command, CEchoRequest)
    exchange.respond(message.command.answer(status.SUCCESS))


def answering(*identifiers: bytes, final: int = status.SUCCESS, pending: Sequence[int] = (status.PENDING,)) -> Serve:
    """Answers a C-FIND with these identifiers, as they are, and this final status."""

    def serve(exchange: Exchange, message: Message) -> None:
        request = message.command
        assert isinstance(request, CFindRequest)
        for number, identifier in enumerate(identifiers):
            exchange.respond(request.answer(pending[number % len(pending)]), identifier)
        exchange.respond(request.answer(final))

    return serve
