"""A connected pair of Connections in one process, associations over it, and a peer that follows a script."""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Protocol, Self, TypeVar

from archive.upper_layer import negotiation
from archive.upper_layer.association import Association, Decide, Timeouts
from archive.upper_layer.connection import Connection
from archive.upper_layer.proposal import Agreement, AnsweredContext, ContextResult, Proposal, ProposedContext
from archive.upper_layer.states import Pdu

VERIFICATION = "1.2.840.10008.1.1"
CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"
IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"

# Long enough for a busy machine, short enough that a hang is seen as one.
WAIT_SECONDS = 60.0
PATIENT = Timeouts(*[WAIT_SECONDS] * len(fields(Timeouts)))


def hasty(*names: str) -> Timeouts:
    """For tests of what happens at one deadline, which comes soon; the others leave time for all that goes before."""
    return replace(PATIENT, **dict.fromkeys(names, 0.2))


RELEASE_RQ = bytes.fromhex("0500 00000004 00000000")
RELEASE_RP = bytes.fromhex("0600 00000004 00000000")
ABORT = bytes.fromhex("0700 00000004 00000000")

_Result = TypeVar("_Result")


def in_background(call: Callable[..., _Result], *arguments: object) -> "Future[_Result]":
    """Run `call` in a thread of its own; `.result(WAIT_SECONDS)` gives what it returned or raises what it raised."""
    future: Future[_Result] = Future()

    def run() -> None:
        try:
            future.set_result(call(*arguments))
        except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of one TCP connection over loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
    return one, other


class Transport(Protocol):
    """How the two ends of a TCP connection are made ready for PDUs: the near one asks, the far one accepts."""

    def ours(self, near: socket.socket, far: socket.socket, **options: int) -> tuple[Connection, Connection]: ...
    def accepting(
        self, near: socket.socket, far: socket.socket, **options: int
    ) -> tuple[socket.socket, Connection]: ...
    def requesting(
        self, near: socket.socket, far: socket.socket, **options: int
    ) -> tuple[Connection, socket.socket]: ...


class Plain:
    """As they are."""

    def ours(self, near: socket.socket, far: socket.socket, **options: int) -> tuple[Connection, Connection]:
        """Both ends as Connections."""
        return Connection(near, **options), Connection(far, **options)

    def accepting(self, near: socket.socket, far: socket.socket, **options: int) -> tuple[socket.socket, Connection]:
        """A raw requestor, and an acceptor of ours."""
        return near, Connection(far, **options)

    def requesting(self, near: socket.socket, far: socket.socket, **options: int) -> tuple[Connection, socket.socket]:
        """A requestor of ours, and a raw acceptor."""
        return Connection(near, **options), far


transport: Transport = Plain()  # a test module may run all its tests over another one


def proposal(*abstract_syntaxes: str, max_pdu_bytes: int = 131072, calling_ae_title: str = "REQUESTOR") -> Proposal:
    """A proposal of these abstract syntaxes (default: a few), context IDs 1, 3, 5 and so on."""
    names = abstract_syntaxes or (VERIFICATION, CT_IMAGE_STORAGE, STUDY_ROOT_FIND, STUDY_ROOT_GET)
    return Proposal(
        calling_ae_title,
        "ACCEPTOR",
        tuple(
            ProposedContext(2 * index + 1, name, (EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN))
            for index, name in enumerate(names)
        ),
        implementation_class_uid="1.2.3.4",
        implementation_version_name="TEST",
        max_pdu_bytes=max_pdu_bytes,
    )


def agree(proposal: Proposal, *, max_pdu_bytes: int = 131072) -> Agreement:
    """Accept every context with the first transfer syntax proposed for it, and every role."""
    return Agreement(
        tuple(
            AnsweredContext(context.context_id, ContextResult.ACCEPTED, context.transfer_syntaxes[0])
            for context in proposal.contexts
        ),
        implementation_class_uid="1.2.3.4",
        max_pdu_bytes=max_pdu_bytes,
        roles=proposal.roles,
        extended=proposal.extended,
    )


@contextmanager
def established(
    *,
    proposed: Proposal | None = None,
    decide: Decide = agree,
    timeouts: Timeouts = PATIENT,
) -> Iterator[tuple[Association, Association]]:
    """A requestor's and an acceptor's end of one established association."""
    requestor_end, acceptor_end = transport.ours(*socket_pair())
    try:
        accepting = in_background(Association.accept, acceptor_end, decide, timeouts)
        requestor = Association.request(requestor_end, proposed or proposal(), timeouts)
        acceptor = accepting.result(WAIT_SECONDS)
        assert isinstance(acceptor, Association)
        yield requestor, acceptor
    finally:
        requestor_end.close()
        acceptor_end.close()


class ScriptedPeer:
    """A raw peer: it says the bytes a test gives it, and tells the PDUs it hears."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        sock.settimeout(WAIT_SECONDS)

    def says(self, *pdus: bytes) -> Self:
        self.socket.sendall(b"".join(pdus))
        return self

    def associates(self, proposed: Proposal | None = None) -> Agreement:
        """Ask for an association and return what was agreed."""
        self.says(negotiation.encode_request(proposed or proposal()))
        pdu_type, body = self.hears()
        assert pdu_type == Pdu.ASSOCIATE_AC
        return negotiation.parse_answer(body)

    def agrees(self, decide: Callable[[Proposal], Agreement] = agree) -> Proposal:
        """Hear a proposal, answer it, and return it."""
        pdu_type, body = self.hears()
        assert pdu_type == Pdu.ASSOCIATE_RQ
        proposed = negotiation.parse_request(body)
        self.says(negotiation.encode_answer(decide(proposed).fitted_to(proposed), proposed.raw_titles))
        return proposed

    def hears(self) -> tuple[int, bytes]:
        """The next PDU: type and body; (0, b"") when the other side closed."""
        header = self._exactly(6)
        if not header:
            return 0, b""
        return header[0], self._exactly(int.from_bytes(header[2:6], "big"))

    def hears_abort(self) -> tuple[int, int]:
        """Source and reason of the A-ABORT that must come now, and the end after it."""
        pdu_type, body = self.hears()
        assert pdu_type == Pdu.ABORT, f"heard {pdu_type:#x} instead of an abort"
        assert self.hears() == (0, b"")
        return body[2], body[3]

    def _exactly(self, count: int) -> bytes:
        content = b""
        while len(content) < count:
            try:
                some = self.socket.recv(count - len(content))
            except ConnectionResetError:
                some = b""
            if not some:
                assert not content, "the connection ended inside a PDU"
                return b""
            content += some
        return content

    def leaves(self) -> None:
        """Close without a word."""
        self.socket.close()

    def resets(self) -> None:
        """Close so that the other side sees a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()


@contextmanager
def scripted_requestor(
    *, decide: Decide = agree, timeouts: Timeouts = PATIENT
) -> Iterator[tuple[ScriptedPeer, "Future[Association]"]]:
    """A scripted requestor, and the association that an acceptor will have with it."""
    near, connection = transport.accepting(*socket_pair())
    peer = ScriptedPeer(near)
    try:
        yield peer, in_background(Association.accept, connection, decide, timeouts)  # type: ignore[misc]
    finally:
        near.close()
        connection.close()


@contextmanager
def scripted_acceptor(
    *, proposed: Proposal | None = None, timeouts: Timeouts = PATIENT
) -> Iterator[tuple[ScriptedPeer, "Future[Association]"]]:
    """A scripted acceptor, and the association that a requestor will have with it."""
    connection, far = transport.requesting(*socket_pair())
    peer = ScriptedPeer(far)
    try:
        yield peer, in_background(Association.request, connection, proposed or proposal(), timeouts)
    finally:
        far.close()
        connection.close()


def p_data(*pdvs: tuple[int, int, bytes]) -> bytes:
    """A P-DATA-TF of (context ID, message control header, content) items."""
    body = b"".join(
        (len(content) + 2).to_bytes(4, "big") + bytes((context_id, control)) + content
        for context_id, control, content in pdvs
    )
    return b"\4\0" + len(body).to_bytes(4, "big") + body


DATA, COMMAND, LAST_DATA, LAST_COMMAND = 0, 1, 2, 3  # message control headers
