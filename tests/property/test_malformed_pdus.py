"""Whatever bytes a peer sends: no hang, no growth, no odd exception, and an A-ABORT where it can be heard."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.dimse import command_set
from archive.dimse.commands import CEchoRequest, CStoreRequest
from archive.dimse.exchange import Exchange
from archive.errors import PeerError
from archive.upper_layer import negotiation, pdata
from archive.upper_layer.association import Association, Timeouts
from archive.upper_layer.connection import Connection
from archive.upper_layer.proposal import Rejection
from tests.fix_association import (
    CT_IMAGE_STORAGE,
    RELEASE_RQ,
    VERIFICATION,
    WAIT_SECONDS,
    ScriptedPeer,
    agree,
    in_background,
    p_data,
    proposal,
    socket_pair,
)

LIMITS = Timeouts(acse=5.0, dimse=5.0, idle=5.0, response=5.0)
ECHO = command_set.encode(CEchoRequest(message_id=1, affected_sop_class_uid=VERIFICATION), has_data_set=False)
STORE = command_set.encode(
    CStoreRequest(message_id=2, affected_sop_class_uid=CT_IMAGE_STORAGE, affected_sop_instance_uid="1.2.3"),
    has_data_set=True,
)
GOOD = [
    p_data((1, 3, ECHO)),
    p_data((3, 3, STORE), (3, 0, b"abcd")) + p_data((3, 2, b"ef")),
    b"".join(bytes(buffer) for buffer in pdata.whole(1, ECHO, is_command=True, fragment_bytes=16)),
    RELEASE_RQ,
]
PDU_HEADERS = st.tuples(st.integers(0, 9), st.integers(0, 2**32 - 1) | st.integers(0, 64)).map(
    lambda header: bytes((header[0], 0)) + header[1].to_bytes(4, "big")
)
PDVS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 7), st.binary(max_size=40)), max_size=4).map(
    lambda items: p_data(*items)
)
SPEECH = st.lists(st.sampled_from(GOOD) | PDVS | PDU_HEADERS | st.binary(max_size=40), max_size=6).map(b"".join)


def _serve(connection: Connection) -> str:
    """Serve as an archive does; say how it ended."""
    try:
        association = Association.accept(connection, agree, LIMITS)
        if isinstance(association, Rejection):
            return "rejected"
        with association:
            exchange = Exchange(association)
            while (message := exchange.receive()) is not None:
                size = sum(len(fragment) for fragment in exchange.data_set())
                assert size < 10_000
                exchange.respond(message.command.answer(0))  # type: ignore[union-attr]
    except AttributeError:  # a response to nothing: a service would abort, and so did `with`
        return "aborted"
    except PeerError as error:
        return type(error).__name__
    finally:
        connection.close()
    return "released"


def _hear_all(peer: ScriptedPeer) -> bytes:
    heard = b""
    try:
        while some := peer.socket.recv(65536):
            heard += some
    except ConnectionResetError:
        return heard
    return heard


def _converse(speech: bytes) -> tuple[str, bytes]:
    """What became of an acceptor that hears `speech` and then the end, and what it said."""
    near, far = socket_pair()
    with near:
        peer = ScriptedPeer(near)
        serving = in_background(_serve, Connection(far))
        peer.says(speech)
        near.shutdown(socket.SHUT_WR)
        heard = _hear_all(peer)
        return serving.result(WAIT_SECONDS), heard


@given(speech=SPEECH)
def test_anything_instead_of_a_proposal_ends_the_connection(speech: bytes) -> None:
    outcome, _ = _converse(speech)

    assert outcome not in ("released", "rejected")


@given(speech=SPEECH)
def test_anything_on_an_association_ends_it_cleanly(speech: bytes) -> None:
    outcome, heard = _converse(negotiation.encode_request(proposal()) + speech)

    assert heard[:1] == b"\x02"
    if outcome in ("MalformedPdu", "PduTooLarge", "UnrecognizedPdu", "UnexpectedPdu", "UnknownContext"):
        assert heard[-10:-1] == bytes.fromhex("0700 00000004 000002")  # A-ABORT by the service provider


@given(position=st.integers(0, 2000), byte=st.integers(0, 255))
def test_damaged_proposal_is_answered_or_aborted(position: int, byte: int) -> None:
    request = bytearray(negotiation.encode_request(proposal()))
    position %= len(request)
    request[position] = byte

    outcome, heard = _converse(bytes(request) + RELEASE_RQ)

    # answered, rejected, or aborted; nothing can be said to a length that promises more than comes
    assert heard[:1] in (b"\x02", b"\x03", b"\x07") or outcome == "ConnectionLost"


@pytest.mark.parametrize(
    "speech",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: archive\r\n\r\n", id="a browser"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300), id="a TLS client hello"),
        pytest.param(b"\x01\x00\xff\xff\xff\xff" + bytes(100), id="a proposal of 4 GiB"),
        pytest.param(b"\x04\x00\x00\x00\x00\x04" + bytes(4), id="data before an association"),
    ],
)
def test_stranger_is_told_by_an_abort(speech: bytes) -> None:
    _, heard = _converse(speech)

    assert heard[:9] == bytes.fromhex("0700 00000004 000002")
