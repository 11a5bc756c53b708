"""Accept, request, carry, release and abort an association: the blocking loop over a Connection (PS3.8 7 and 9.2).

One thread owns an association; `end` and `end_when_idle` may be called from another. Whatever the peer does wrong
is a PeerError here, and the peer has been told by an A-ABORT with the reason of PS3.8 table 9-26 before it is raised;
after any PeerError the connection is closed.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from archive.errors import (
    AssociationRejected,
    ConnectionLost,
    DeadlineExpired,
    MalformedPdu,
    PduTooLarge,
    PeerAborted,
    PeerError,
    TlsFailed,
    UnexpectedPdu,
    UnknownContext,
    UnrecognizedPdu,
)
from archive.upper_layer import negotiation, pdata
from archive.upper_layer.connection import Buffer, Connection, Deadline
from archive.upper_layer.pdata import Fragment
from archive.upper_layer.proposal import (
    APPLICATION_CONTEXT,
    APPLICATION_CONTEXT_NOT_SUPPORTED,
    PROTOCOL_VERSION_1,
    PROTOCOL_VERSION_NOT_SUPPORTED,
    TRY_LATER,
    Agreement,
    Context,
    Proposal,
    Rejection,
)
from archive.upper_layer.states import Pdu, State, move

ASSOCIATE_LIMIT_BYTES = 1024 * 1024  # 128 contexts of 40 transfer syntaxes are 150 KB; identity tokens some more
_SHORT_LIMITS = {int(pdu_type): 4096 for pdu_type in Pdu}  # RJ, RELEASE and ABORT have 4; some peers pad
_UNLIMITED_BYTES = 1024 * 1024  # what we still take in one PDU where we announced no limit
_SLACK_BYTES = 64  # some peers count PDU or PDV headers otherwise than PS3.8 D.1 says
_LINGER_SECONDS = 2.0  # for a peer to take in our last PDU; ARTIM would allow longer, but a thread waits here
_FAREWELL_SECONDS = 1.0  # for the kernel to take ten bytes of A-ABORT

_RELEASE_RQ = bytes((Pdu.RELEASE_RQ, 0, 0, 0, 0, 4, 0, 0, 0, 0))
_RELEASE_RP = bytes((Pdu.RELEASE_RP, 0, 0, 0, 0, 4, 0, 0, 0, 0))

SERVICE_USER, SERVICE_PROVIDER = 0, 2  # source of an A-ABORT (PS3.8 table 9-26)
_NOT_SPECIFIED, _UNRECOGNIZED_PDU, _UNEXPECTED_PDU, _INVALID_PARAMETER = 0, 1, 2, 6


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long we wait, in seconds; None or 0 = for ever.

    `acse`: for making and for ending an association (ARTIM). `idle`: for the next command. `dimse`: for the rest of a
    command set once it began, and for each piece of a data set (64 KiB in, about 1 MiB out). `response`: until a
    response to what we asked begins. `connect`: for names and TCP.
    """

    acse: float | None = 30.0
    dimse: float | None = 60.0
    idle: float | None = 60.0
    response: float | None = 300.0
    connect: float | None = 30.0


Decide = Callable[[Proposal], Agreement | Rejection]


def abort_pdu(source: int, reason: int) -> bytes:
    """The A-ABORT PDU (PS3.8 9.3.8)."""
    return bytes((Pdu.ABORT, 0, 0, 0, 0, 4, 0, 0, source, reason if source == SERVICE_PROVIDER else 0))


def abort_reason(error: PeerError) -> int:
    """The provider's reason that tells the peer about `error` (PS3.8 table 9-26)."""
    match error:
        case UnrecognizedPdu():
            return _UNRECOGNIZED_PDU
        case UnexpectedPdu():
            return _UNEXPECTED_PDU
        case MalformedPdu() | UnknownContext():
            return _INVALID_PARAMETER
        case _:
            return _NOT_SPECIFIED


class Association:
    """An association; as a context manager it releases (requestor) or aborts what is still there at the end."""

    def __init__(self, connection: Connection, timeouts: Timeouts, *, is_requestor: bool) -> None:
        """Use `accept` or `request`, which establish it."""
        self.connection = connection
        self.timeouts = timeouts
        self.is_requestor = is_requestor
        self.state = State.AWAITING_ANSWER if is_requestor else State.AWAITING_PROPOSAL
        self.proposal = Proposal("", "", ())
        self.agreement = Agreement(())
        self.contexts: Mapping[int, Context] = {}  # what can be used, by context ID
        self.fragment_bytes = 0  # of a message in one PDU that we send
        self.is_idle = False  # whether it waits for the next command; for other threads to look at
        self._ending = False
        self._idle_change = threading.Lock()
        self._fragments: deque[Fragment] = deque()  # of the PDU read last
        self._limits = _SHORT_LIMITS | {
            int(Pdu.ASSOCIATE_AC if is_requestor else Pdu.ASSOCIATE_RQ): ASSOCIATE_LIMIT_BYTES
        }

    # Making

    @classmethod
    def accept(cls, connection: Connection, decide: Decide, timeouts: Timeouts) -> "Association | Rejection":
        """Answer the peer's proposal as `decide` says; a Rejection that comes back was sent, and the connection closed.

        Protocol version and application context are refused here. When `decide` fails, the peer is told to try
        later and the error passes on.
        """
        association = cls(connection, timeouts, is_requestor=False)
        deadline = Deadline.after(timeouts.acse)
        try:
            _, body = association._receive_pdu(deadline)
            proposal = negotiation.parse_request(
                bytes(body), peer_host=connection.peer_host, peer_port=connection.peer_port
            )
            if connection.peer_certificate is not None:
                proposal = replace(proposal, peer_certificate=connection.peer_certificate)
            try:
                answer = _refusal(proposal) or decide(proposal)
            except BaseException:
                association._reject(TRY_LATER, deadline)
                raise
            if isinstance(answer, Rejection):
                association._reject(answer, deadline)
                return answer
            agreement = answer.fitted_to(proposal)
            connection.send((negotiation.encode_answer(agreement, proposal.raw_titles),), deadline)
        except PeerError as error:
            if isinstance(error, UnrecognizedPdu) and connection.begins_like_tls:
                association.end_because(error)
                raise TlsFailed("A peer speaks TLS on the port without TLS; let it use the TLS port") from error
            association.end_because(error)
            raise
        association._establish(proposal, agreement)
        return association

    @classmethod
    def request(cls, connection: Connection, proposal: Proposal, timeouts: Timeouts) -> Self:
        """Ask the peer for an association; AssociationRejected with result, source and reason when it says no."""
        association = cls(connection, timeouts, is_requestor=True)
        deadline = Deadline.after(timeouts.acse)
        try:
            connection.send((negotiation.encode_request(proposal),), deadline)
            pdu_type, body = association._receive_pdu(deadline)
            if pdu_type == Pdu.ASSOCIATE_RJ:
                rejection = negotiation.parse_rejection(bytes(body))
                raise AssociationRejected(
                    result=rejection.result, source=rejection.source, reason=rejection.reason, rejection=rejection
                )
            agreement = negotiation.parse_answer(bytes(body))
        except PeerError as error:
            association.end_because(error)
            raise
        proposal = replace(proposal, peer_host=connection.peer_host, peer_port=connection.peer_port)
        association._establish(proposal, agreement)
        return association

    def _reject(self, rejection: Rejection, deadline: Deadline) -> None:
        self.state = State.ENDED
        with suppress(PeerError):  # a peer that is gone needs no answer
            self.connection.send((negotiation.encode_rejection(rejection),), deadline)
        self._close_gently()

    def _establish(self, proposal: Proposal, agreement: Agreement) -> None:
        self.proposal = proposal
        self.agreement = agreement
        self.contexts = agreement.accepted(proposal)
        theirs, ours = (agreement, proposal) if self.is_requestor else (proposal, agreement)
        self.fragment_bytes = pdata.fragment_bytes(theirs.max_pdu_bytes)
        self._limits = _SHORT_LIMITS | {int(Pdu.P_DATA_TF): (ours.max_pdu_bytes or _UNLIMITED_BYTES) + _SLACK_BYTES}

    # Carrying

    def next_fragment(self, deadline: Deadline) -> Fragment | None:
        """The next fragment, alive until the next read; None when the peer released, which has been answered."""
        if self._fragments:
            return self._fragments.popleft()
        try:
            pdu_type, body = self._receive_pdu(deadline)
            if pdu_type == Pdu.RELEASE_RQ:
                self.connection.send((_RELEASE_RP,), Deadline.after(self.timeouts.acse))
                self._close_gently()
                return None
            found = pdata.fragments(body)
            for fragment in found:
                if fragment.context_id not in self.contexts:
                    raise UnknownContext(context_id=fragment.context_id)
        except PeerError as error:
            self.end_because(error)
            raise
        if len(found) > 1:
            self._fragments.extend(found[1:])
        return found[0]

    def fragment_waiting(self) -> bool:
        """Whether next_fragment would not wait: a fragment, a release or the end is there; never blocks."""
        if self._fragments:
            return True
        try:
            return self.connection.whole_pdu_waiting()
        except PeerError as error:
            self.end_because(error)
            raise

    def wait_until_busy(self) -> None:
        """Wait, at most `timeouts.idle`, until the peer sends something; meanwhile `end_when_idle` ends it at once."""
        if self._fragments:
            return
        self._set_idle(True)
        self._wait_for_input(Deadline.after(self.timeouts.idle))
        self._set_idle(False)

    def wait_for_response(self) -> None:
        """Wait, at most `timeouts.response`, until the peer sends something."""
        if not self._fragments:
            self._wait_for_input(Deadline.after(self.timeouts.response))

    def _wait_for_input(self, deadline: Deadline) -> None:
        try:
            self.connection.wait_for_input(deadline)
        except PeerError as error:
            self.end_because(error)
            raise

    def _set_idle(self, is_idle: bool) -> None:
        with self._idle_change:
            self.is_idle = is_idle
            is_ending = self._ending
        if is_ending:
            self.abort()
            raise ConnectionLost("The archive ended the association.")

    def send(self, buffers: Sequence[Buffer]) -> None:
        """Send whole P-DATA-TF PDUs, about a MiB at a time, each within `timeouts.dimse`."""
        per_write = max(1, pdata.GATHERED_BYTES // self.fragment_bytes) * 2
        try:
            if self.state is not State.ESTABLISHED:
                raise ConnectionLost("The association has ended.")
            for first in range(0, len(buffers), per_write):
                self.connection.send(buffers[first : first + per_write], Deadline.after(self.timeouts.dimse))
        except ConnectionLost as error:
            farewell = self._farewell_in_input()
            self.end_because(error)
            raise farewell or error from error
        except PeerError as error:
            self.end_because(error)
            raise

    def _farewell_in_input(self) -> PeerAborted | None:
        """The A-ABORT that made a write fail, where it came in before the end."""
        try:
            while self.connection.whole_pdu_waiting():
                self._receive_pdu(Deadline.after(_FAREWELL_SECONDS))
        except PeerAborted as aborted:
            return aborted
        except PeerError:  # nothing to read there: the write's own error tells enough
            return None
        return None

    def _receive_pdu(self, deadline: Deadline) -> tuple[int, memoryview]:
        """The next PDU that is allowed in this state, and move on; PeerAborted on an A-ABORT."""
        try:
            pdu_type, body = self.connection.receive_pdu(self._limits, deadline)
        except PduTooLarge as error:
            move(self.state, int(str(error.pdu_type)), is_requestor=self.is_requestor)  # unexpected says more
            raise
        if pdu_type == Pdu.P_DATA_TF and self.state is State.ESTABLISHED:
            return pdu_type, body
        self.state = move(self.state, pdu_type, is_requestor=self.is_requestor)
        if pdu_type == Pdu.ABORT:
            source, reason = (body[2], body[3]) if len(body) >= 4 else (SERVICE_PROVIDER, _NOT_SPECIFIED)
            raise PeerAborted(source=source, reason=reason)
        return pdu_type, body

    # Ending

    def release(self) -> None:
        """Ask for release, take what is still under way, and close; also when the peer asks at the same time."""
        if self.state is State.ENDED:
            return
        self._fragments.clear()
        deadline = Deadline.after(self.timeouts.acse)
        try:
            self.connection.send((_RELEASE_RQ,), deadline)
            self.state = State.RELEASING
            answers_last = False
            while self.state is not State.ENDED:
                self._receive_pdu(deadline)
                if self.state is State.COLLIDED_AS_REQUESTOR:  # AR-9: answer theirs, then wait for ours
                    self.connection.send((_RELEASE_RP,), deadline)
                answers_last = answers_last or self.state is State.COLLIDED_AS_ACCEPTOR
            if answers_last:  # AR-4 after AR-10
                self.connection.send((_RELEASE_RP,), deadline)
                self._close_gently()
        except PeerError as error:
            self.end_because(error)
            raise
        self.connection.close()

    def abort(self, source: int = SERVICE_USER, reason: int = _NOT_SPECIFIED) -> None:
        """Tell the peer by an A-ABORT if it can be told, and close; never fails, and does nothing a second time."""
        if self.state is not State.ENDED:
            self.state = State.ENDED
            if not self.connection.output_is_cut:  # inside a half-sent PDU it would be read as data
                with suppress(PeerError):  # it is gone, or reads nothing: then the closing has to say it
                    self.connection.send((abort_pdu(source, reason),), Deadline.after(_FAREWELL_SECONDS))
                    self._close_gently()
        self.connection.close()

    def end_because(self, error: PeerError) -> None:
        """End the association after what the peer did: abort where it is still there to be told, then close."""
        is_gone = isinstance(error, ConnectionLost | PeerAborted | AssociationRejected)
        said_nothing = self.state is State.AWAITING_PROPOSAL and isinstance(error, DeadlineExpired)  # AA-2
        if is_gone or said_nothing:
            self.state = State.ENDED
        self.abort(SERVICE_PROVIDER, abort_reason(error))

    def end(self) -> None:
        """Abort from another thread: whatever the owner waits for, it gets ConnectionLost at once."""
        self._ending = True
        self.connection.interrupt(abort_pdu(SERVICE_USER, _NOT_SPECIFIED))

    def end_when_idle(self) -> None:
        """Abort from another thread: at once when it waits for a command, else when it would wait for the next."""
        with self._idle_change:
            self._ending = True
            is_idle = self.is_idle
        if is_idle:
            self.connection.interrupt(abort_pdu(SERVICE_USER, _NOT_SPECIFIED))

    def _close_gently(self) -> None:
        """Close when the peer has closed, or after a moment: unread bytes would make a reset of our last PDU."""
        self.connection.drain(Deadline.after(min(self.timeouts.acse or _LINGER_SECONDS, _LINGER_SECONDS)))
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, PeerError):
            self.end_because(error)
        elif error is None and self.is_requestor:
            self.release()
        else:
            self.abort()


def _refusal(proposal: Proposal) -> Rejection | None:
    """What PS3.8 itself asks to reject (9.3.4, table 9-21)."""
    if not proposal.protocol_version & PROTOCOL_VERSION_1:
        return PROTOCOL_VERSION_NOT_SUPPORTED
    if proposal.application_context != APPLICATION_CONTEXT:
        return APPLICATION_CONTEXT_NOT_SUPPORTED
    return None
