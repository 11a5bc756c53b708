"""Associations as dialogues: made, refused, released, aborted, and what happens when the peer breaks the rules."""

import socket
import threading
import time

import pytest

from archive.errors import (
    AssociationRejected,
    ConnectionLost,
    DeadlineExpired,
    MalformedPdu,
    PduTooLarge,
    PeerAborted,
    UnexpectedPdu,
    UnknownContext,
    UnrecognizedPdu,
)
from archive.upper_layer import negotiation
from archive.upper_layer.association import Association
from archive.upper_layer.connection import Connection, Deadline
from archive.upper_layer.proposal import (
    CALLED_AE_TITLE_NOT_RECOGNIZED,
    Agreement,
    Proposal,
    Rejection,
)
from archive.upper_layer.states import Pdu, State
from tests import fix_association
from tests.fix_association import (
    ABORT,
    DATA,
    EXPLICIT_LITTLE_ENDIAN,
    LAST_COMMAND,
    LAST_DATA,
    PATIENT,
    RELEASE_RP,
    RELEASE_RQ,
    VERIFICATION,
    WAIT_SECONDS,
    ScriptedPeer,
    agree,
    established,
    hasty,
    in_background,
    p_data,
    proposal,
    scripted_acceptor,
    scripted_requestor,
    socket_pair,
)


@pytest.fixture(autouse=True, params=["plain", "TLS"])
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test over TCP as it is, and through TLS."""
    if request.param == "TLS":
        monkeypatch.setattr(fix_association, "transport", request.getfixturevalue("tls_transport"))


def read_one(association: Association) -> object:
    return association.next_fragment(Deadline.after(WAIT_SECONDS))


def test_both_sides_know_the_same_after_negotiation() -> None:
    with established() as (requestor, acceptor):
        assert requestor.contexts == acceptor.contexts
        assert requestor.contexts[1].abstract_syntax == VERIFICATION
        assert requestor.contexts[1].transfer_syntax == EXPLICIT_LITTLE_ENDIAN
        assert acceptor.proposal.calling_ae_title == "REQUESTOR"
        assert acceptor.proposal.peer_host == "127.0.0.1"
        assert acceptor.state is requestor.state is State.ESTABLISHED


def test_decision_sees_who_asks_from_where() -> None:
    seen: list[Proposal] = []

    def decide(proposed: Proposal) -> Agreement:
        seen.append(proposed)
        return agree(proposed)

    with established(decide=decide) as (requestor, _):
        assert seen[0].called_ae_title == "ACCEPTOR"
        assert (seen[0].peer_host, seen[0].peer_port) == ("127.0.0.1", seen[0].peer_port)
        assert requestor.proposal.peer_port


def test_rejection_tells_the_requestor_why() -> None:
    requestor_end, acceptor_end = fix_association.transport.ours(*socket_pair())
    accepting = in_background(Association.accept, acceptor_end, lambda _: CALLED_AE_TITLE_NOT_RECOGNIZED, PATIENT)

    with pytest.raises(AssociationRejected) as caught:
        Association.request(requestor_end, proposal(), PATIENT)

    assert (caught.value.result, caught.value.source, caught.value.reason) == (1, 1, 7)
    assert accepting.result(WAIT_SECONDS) == Rejection(1, 1, 7)


@pytest.mark.parametrize(
    "proposed, rejection",
    [
        pytest.param(
            Proposal("A", "B", (), protocol_version=2), Rejection(1, 2, 2), id="protocol version without bit 0"
        ),
        pytest.param(Proposal("A", "B", (), application_context="1.2"), Rejection(1, 1, 2), id="application context"),
    ],
)
def test_what_the_standard_asks_to_reject_never_reaches_the_decision(proposed: Proposal, rejection: Rejection) -> None:
    with scripted_requestor() as (peer, accepting):
        peer.says(negotiation.encode_request(proposed))

        assert peer.hears() == (Pdu.ASSOCIATE_RJ, bytes((0, rejection.result, rejection.source, rejection.reason)))
        peer.leaves()
        assert accepting.result(WAIT_SECONDS) == rejection


def test_later_protocol_versions_are_welcome_as_long_as_bit_0_is_set() -> None:
    with scripted_requestor() as (peer, accepting):
        peer.associates(Proposal("A", "B", (), protocol_version=0xFFFF))

        assert accepting.result(WAIT_SECONDS).agreement.protocol_version == 1


def test_decision_that_fails_is_try_later_for_the_peer_and_passes_on() -> None:
    def fail(_: Proposal) -> Agreement:
        raise RuntimeError("no database")

    with scripted_requestor(decide=fail) as (peer, accepting):
        peer.says(negotiation.encode_request(proposal()))

        assert peer.hears() == (Pdu.ASSOCIATE_RJ, bytes((0, 2, 2, 1)))
        peer.leaves()
        with pytest.raises(RuntimeError):
            accepting.result(WAIT_SECONDS)


@pytest.mark.parametrize(
    "said", [b"", b"\1", b"\1\0\0\0\1\0" + bytes(20)], ids=["nothing", "a byte", "half a proposal"]
)
def test_peer_that_never_finishes_its_proposal_is_closed_without_a_word(said: bytes) -> None:
    with scripted_requestor(timeouts=hasty("acse")) as (peer, accepting):
        peer.says(said)

        assert peer.hears() == (0, b"")
        with pytest.raises(DeadlineExpired):
            accepting.result(WAIT_SECONDS)


def test_health_check_that_connects_and_closes_is_a_lost_connection() -> None:
    with scripted_requestor() as (peer, accepting):
        peer.leaves()

        with pytest.raises(ConnectionLost):
            accepting.result(WAIT_SECONDS)


def test_acceptor_that_never_answers_is_aborted_at_the_deadline() -> None:
    with scripted_acceptor(timeouts=hasty("acse")) as (peer, requesting):
        peer.hears()

        assert peer.hears_abort() == (2, 0)
        with pytest.raises(DeadlineExpired):
            requesting.result(WAIT_SECONDS)


def test_proposal_of_more_than_a_mebibyte_is_refused_by_its_length() -> None:
    with scripted_requestor() as (peer, accepting):
        peer.says(b"\1\0" + (1024 * 1024 + 1).to_bytes(4, "big"))

        assert peer.hears_abort() == (2, 6)
        peer.leaves()
        with pytest.raises(PduTooLarge):
            accepting.result(WAIT_SECONDS)


def test_large_proposal_within_the_limit_is_read() -> None:
    extended = Proposal("A", "B", proposal().contexts)
    request = negotiation.encode_request(extended)
    padding = b"".join(b"\x99\0\xff\xff" + bytes(65535) for _ in range(15))
    grown = request[:2] + (len(request) - 6 + len(padding)).to_bytes(4, "big") + request[6:] + padding

    with scripted_requestor() as (peer, accepting):
        speaking = in_background(peer.says, grown)
        assert peer.hears()[0] == Pdu.ASSOCIATE_AC
        speaking.result(WAIT_SECONDS)

        assert len(accepting.result(WAIT_SECONDS).contexts) == 4


@pytest.mark.parametrize(
    "speech, reason, error",
    [
        pytest.param(b"\x42\0\0\0\0\0", 1, UnrecognizedPdu, id="unknown type"),
        pytest.param(RELEASE_RP, 2, UnexpectedPdu, id="release answer nobody waits for"),
        pytest.param(negotiation.encode_request(proposal()), 2, UnexpectedPdu, id="second proposal"),
        pytest.param(b"\1\0\0\4\0\0", 2, UnexpectedPdu, id="second proposal, a large one"),
        pytest.param(b"\4\0\xff\xff\xff\xff", 6, PduTooLarge, id="4 GiB of data"),
        pytest.param(b"\4\0" + (131072 + 65).to_bytes(4, "big"), 6, PduTooLarge, id="more data than we announced"),
        pytest.param(b"\4\0\0\0\0\0", 6, MalformedPdu, id="data without an item"),
        pytest.param(p_data((1, LAST_DATA, b""))[:-6] + b"\0\0\0\x09\1\2", 6, MalformedPdu, id="item too long"),
        pytest.param(p_data((99, LAST_COMMAND, b"")), 6, UnknownContext, id="context nobody agreed on"),
    ],
)
def test_broken_rule_is_answered_by_an_abort_with_its_reason(
    speech: bytes, reason: int, error: type[Exception]
) -> None:
    with scripted_requestor() as (peer, accepting):
        peer.associates()
        peer.says(speech)
        reading = in_background(read_one, accepting.result(WAIT_SECONDS))

        assert peer.hears_abort() == (2, reason)
        peer.leaves()
        with pytest.raises(error):
            reading.result(WAIT_SECONDS)


def test_several_fragments_of_one_pdu_come_one_by_one() -> None:
    with scripted_requestor() as (peer, accepting):
        peer.associates()
        peer.says(p_data((1, LAST_COMMAND, b"command"), (1, DATA, b"da"), (1, LAST_DATA, b"ta")))
        association = accepting.result(WAIT_SECONDS)

        read = [association.next_fragment(Deadline.after(WAIT_SECONDS)) for _ in range(3)]

        assert [bytes(fragment.content) for fragment in read if fragment] == [b"command", b"da", b"ta"]


def test_peer_that_releases_is_answered_and_closed() -> None:
    with scripted_requestor() as (peer, accepting):
        peer.associates()
        peer.says(RELEASE_RQ)
        reading = in_background(read_one, accepting.result(WAIT_SECONDS))

        assert peer.hears() == (Pdu.RELEASE_RP, bytes(4))
        assert peer.hears() == (0, b"")
        peer.leaves()
        assert reading.result(WAIT_SECONDS) is None


def test_release_takes_what_is_still_under_way() -> None:
    with scripted_acceptor() as (peer, requesting):
        peer.agrees()
        releasing = in_background(requesting.result(WAIT_SECONDS).release)
        assert peer.hears() == (Pdu.RELEASE_RQ, bytes(4))
        peer.says(p_data((1, LAST_COMMAND, b"late")), RELEASE_RP)

        releasing.result(WAIT_SECONDS)
        assert peer.hears() == (0, b"")


def test_release_collision_requestor_answers_first() -> None:
    with scripted_acceptor() as (peer, requesting):
        peer.agrees()
        releasing = in_background(requesting.result(WAIT_SECONDS).release)

        assert peer.hears() == (Pdu.RELEASE_RQ, bytes(4))
        peer.says(RELEASE_RQ)
        assert peer.hears() == (Pdu.RELEASE_RP, bytes(4))
        peer.says(RELEASE_RP)
        assert peer.hears() == (0, b"")
        releasing.result(WAIT_SECONDS)


def test_release_collision_acceptor_answers_last() -> None:
    with scripted_requestor() as (peer, accepting):
        peer.associates()
        releasing = in_background(accepting.result(WAIT_SECONDS).release)

        assert peer.hears() == (Pdu.RELEASE_RQ, bytes(4))
        peer.says(RELEASE_RQ, RELEASE_RP)
        assert peer.hears() == (Pdu.RELEASE_RP, bytes(4))
        assert peer.hears() == (0, b"")
        peer.leaves()
        releasing.result(WAIT_SECONDS)


def test_both_of_us_can_release_at_the_same_time() -> None:
    with established() as (requestor, acceptor):
        releasing = in_background(acceptor.release)
        requestor.release()

        # one of them may already have been released by the other; both must end, neither by an abort
        releasing.result(WAIT_SECONDS)
        assert requestor.state is acceptor.state is State.ENDED


def test_release_that_is_not_answered_ends_in_an_abort() -> None:
    with scripted_acceptor() as (peer, requesting):
        peer.agrees()
        association = requesting.result(WAIT_SECONDS)
        association.timeouts = hasty("acse")
        releasing = in_background(association.release)
        assert peer.hears()[0] == Pdu.RELEASE_RQ

        assert peer.hears_abort() == (2, 0)
        with pytest.raises(DeadlineExpired):
            releasing.result(WAIT_SECONDS)


@pytest.mark.parametrize("before", [b"", p_data((1, DATA, b"half"))], ids=["between messages", "inside a message"])
def test_abort_of_the_peer_ends_it_at_any_moment(before: bytes) -> None:
    with scripted_requestor() as (peer, accepting):
        peer.associates()
        association = accepting.result(WAIT_SECONDS)
        peer.says(before, ABORT[:-2] + b"\2\4")
        if before:
            association.next_fragment(Deadline.after(WAIT_SECONDS))

        with pytest.raises(PeerAborted) as caught:
            association.next_fragment(Deadline.after(WAIT_SECONDS))

        assert (caught.value.source, caught.value.reason) == (2, 4)
        assert peer.hears() == (0, b"")


def test_abort_of_the_requestor_before_our_answer() -> None:
    with scripted_requestor() as (peer, accepting):
        peer.says(ABORT)

        with pytest.raises(PeerAborted):
            accepting.result(WAIT_SECONDS)


def test_abort_reaches_a_peer_that_is_still_sending() -> None:
    with scripted_requestor() as (peer, accepting):
        peer.associates()
        flood = in_background(peer.socket.sendall, p_data((1, DATA, bytes(100_000))) * 100)
        association = accepting.result(WAIT_SECONDS)
        association.next_fragment(Deadline.after(WAIT_SECONDS))

        aborting = in_background(association.abort)

        assert peer.hears_abort() == (0, 0)
        peer.leaves()
        aborting.result(WAIT_SECONDS)
        assert flood.exception(WAIT_SECONDS) is None or isinstance(flood.exception(), OSError)


def test_nothing_can_be_sent_after_the_end_and_a_second_abort_does_nothing() -> None:
    with established() as (requestor, acceptor):
        in_background(read_one, acceptor)
        requestor.abort()
        requestor.abort()
        requestor.release()

        with pytest.raises(ConnectionLost):
            requestor.send([b"x"])


def test_write_that_fails_because_the_peer_aborted_says_so() -> None:
    with scripted_requestor(timeouts=hasty("dimse")) as (peer, accepting):
        peer.associates()
        association = accepting.result(WAIT_SECONDS)
        peer.says(ABORT)
        peer.socket.shutdown(socket.SHUT_WR)

        with pytest.raises(PeerAborted):
            association.send([bytes(50_000_000)])


def test_peer_that_resets_is_a_lost_connection() -> None:
    with scripted_requestor() as (peer, accepting):
        peer.associates()
        association = accepting.result(WAIT_SECONDS)
        peer.resets()

        with pytest.raises(ConnectionLost):
            association.next_fragment(Deadline.after(WAIT_SECONDS))


def test_idle_association_is_aborted_at_its_own_deadline() -> None:
    with scripted_requestor() as (peer, accepting):
        peer.associates()
        association = accepting.result(WAIT_SECONDS)
        association.timeouts = hasty("idle", "acse")  # the latter for the wait after an abort
        waiting = in_background(association.wait_until_busy)

        assert peer.hears_abort() == (2, 0)
        with pytest.raises(DeadlineExpired):
            waiting.result(WAIT_SECONDS)


def _becomes_idle(association: Association) -> None:
    until = time.monotonic() + WAIT_SECONDS
    while not association.is_idle and time.monotonic() < until:
        threading.Event().wait(0.005)
    assert association.is_idle


def test_idle_association_ends_at_once_when_the_service_drains() -> None:
    with scripted_requestor() as (peer, accepting):
        peer.associates()
        association = accepting.result(WAIT_SECONDS)
        waiting = in_background(association.wait_until_busy)
        _becomes_idle(association)

        association.end_when_idle()

        assert peer.hears_abort() == (0, 0)
        with pytest.raises(ConnectionLost):
            waiting.result(WAIT_SECONDS)


def test_busy_association_ends_only_when_it_would_be_idle() -> None:
    with scripted_requestor() as (peer, accepting):
        peer.associates()
        association = accepting.result(WAIT_SECONDS)

        association.end_when_idle()
        association.send([p_data((1, LAST_COMMAND, b"answer"))])
        ending = in_background(association.wait_until_busy)

        assert peer.hears()[0] == Pdu.P_DATA_TF
        assert peer.hears_abort() == (0, 0)
        peer.leaves()
        with pytest.raises(ConnectionLost):
            ending.result(WAIT_SECONDS)


def test_end_stops_a_busy_association_from_another_thread() -> None:
    with scripted_requestor() as (peer, accepting):
        peer.associates()
        association = accepting.result(WAIT_SECONDS)
        reading = in_background(read_one, association)

        association.end()

        assert peer.hears_abort() == (0, 0)
        with pytest.raises(ConnectionLost):
            reading.result(WAIT_SECONDS)


def test_leaving_the_block_releases_as_requestor() -> None:
    with established() as (requestor, acceptor):
        reading = in_background(read_one, acceptor)

        with requestor:
            pass

        assert reading.result(WAIT_SECONDS) is None


def test_error_of_ours_inside_the_block_aborts() -> None:
    with scripted_acceptor() as (peer, requesting):
        peer.agrees()

        def fail() -> None:
            with requesting.result(WAIT_SECONDS):
                raise RuntimeError

        failing = in_background(fail)
        assert peer.hears_abort() == (0, 0)
        peer.leaves()
        with pytest.raises(RuntimeError):
            failing.result(WAIT_SECONDS)


def test_scripted_peer_is_told_of_a_malformed_answer() -> None:
    with scripted_acceptor() as (peer, requesting):
        peer.hears()
        peer.says(b"\2\0\0\0\0\4abcd")

        assert peer.hears_abort() == (2, 6)
        peer.leaves()
        with pytest.raises(MalformedPdu):
            requesting.result(WAIT_SECONDS)


def test_many_idle_associations_hold_little_memory() -> None:
    def resident_bytes() -> int:
        with open("/proc/self/statm") as file:  # noqa: PTH123
            return int(file.read().split()[1]) * 4096

    ends: list[Connection] = []
    peers: list[ScriptedPeer] = []
    before = resident_bytes()
    for _ in range(100):
        near, end = fix_association.transport.accepting(*socket_pair())
        peers.append(ScriptedPeer(near))
        ends.append(end)
        accepting = in_background(Association.accept, ends[-1], agree, PATIENT)
        peers[-1].associates()
        accepting.result(WAIT_SECONDS)

    held = (resident_bytes() - before) / len(ends)
    for end, peer in zip(ends, peers, strict=True):
        end.close()
        peer.leaves()

    assert held < 150_000
