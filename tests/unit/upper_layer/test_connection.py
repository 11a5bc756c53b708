"""Reads, writes, deadlines and ends of one connection."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from archive.errors import CannotConnect, ConnectionLost, DeadlineExpired, PduTooLarge, UnrecognizedPdu
from archive.upper_layer import connection
from archive.upper_layer.connection import NO_DEADLINE, Connection, Deadline
from tests.fix_association import WAIT_SECONDS, Plain, Transport, in_background, socket_pair
from tests.fix_proxy import proxy_to

LIMITS = {4: 1000, 7: 4}
SOON = 0.15


def pdu(size: int, kind: int = 4) -> bytes:
    return bytes((kind, 0)) + size.to_bytes(4, "big") + bytes(number % 251 for number in range(size))


@pytest.fixture(params=["plain", "TLS"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Connection, socket.socket]]:
    """An acceptor's end and its peer, over TCP as it is and through TLS."""
    transport: Transport = request.getfixturevalue("tls_transport") if request.param == "TLS" else Plain()
    near, ours = transport.accepting(*socket_pair(), buffer_bytes=4096)
    with near, ours:
        near.settimeout(WAIT_SECONDS)
        yield ours, near


def test_pdus_that_came_together_are_read_one_by_one(pair: tuple[Connection, socket.socket]) -> None:
    ours, peer = pair
    peer.sendall(pdu(10) + pdu(0) + pdu(4, 7))

    read = [
        (kind, bytes(body)) for kind, body in (ours.receive_pdu(LIMITS, Deadline.after(WAIT_SECONDS)) for _ in range(3))
    ]

    assert read == [(4, pdu(10)[6:]), (4, b""), (7, pdu(4)[6:])]


def test_many_pdus_go_through_a_buffer_that_holds_only_a_few(pair: tuple[Connection, socket.socket]) -> None:
    ours, peer = pair
    sent = [pdu(size) for size in (999, 1000, 1, 700, 333) * 20]
    sending = in_background(peer.sendall, b"".join(sent))

    for expected in sent:
        _, body = ours.receive_pdu(LIMITS, Deadline.after(WAIT_SECONDS))
        assert body == expected[6:]
    sending.result(WAIT_SECONDS)


def test_pdu_larger_than_the_buffer_makes_it_grow(pair: tuple[Connection, socket.socket]) -> None:
    ours, peer = pair
    large = pdu(100_000)
    peer.sendall(pdu(10) + large)

    ours.receive_pdu(LIMITS, Deadline.after(WAIT_SECONDS))
    _, body = ours.receive_pdu({4: 100_000}, Deadline.after(WAIT_SECONDS))

    assert body == large[6:]


def test_length_is_checked_before_anything_is_read(pair: tuple[Connection, socket.socket]) -> None:
    ours, peer = pair
    peer.sendall(pdu(1001)[:6])

    with pytest.raises(PduTooLarge) as caught:
        ours.receive_pdu(LIMITS, Deadline.after(WAIT_SECONDS))

    assert caught.value.values == {"pdu_type": 4, "length_bytes": 1001, "limit_bytes": 1000}


def test_type_that_is_no_pdu_is_recognized_by_its_header(pair: tuple[Connection, socket.socket]) -> None:
    ours, peer = pair
    peer.sendall(b"GET / HTTP/1.1")

    with pytest.raises(UnrecognizedPdu):
        ours.receive_pdu(LIMITS, Deadline.after(WAIT_SECONDS))


def test_quiet_peer_meets_the_deadline(pair: tuple[Connection, socket.socket]) -> None:
    ours, _ = pair

    with pytest.raises(DeadlineExpired):
        ours.receive_pdu(LIMITS, Deadline.after(SOON))


def test_peer_that_dribbles_meets_the_deadline_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, proxy_to(listener.getsockname()[1]) as proxy:
        proxy.dribble(pause_seconds=0.02)
        with socket.create_connection(("127.0.0.1", proxy.port)) as peer, Connection(listener.accept()[0]) as ours:
            peer.sendall(pdu(1000))

            with pytest.raises(DeadlineExpired):
                ours.receive_pdu(LIMITS, Deadline.after(0.3))


def test_pdu_that_comes_byte_by_byte_is_read_when_there_is_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, proxy_to(listener.getsockname()[1]) as proxy:
        proxy.dribble()
        with socket.create_connection(("127.0.0.1", proxy.port)) as peer, Connection(listener.accept()[0]) as ours:
            peer.sendall(pdu(300) + pdu(20))

            bodies = [bytes(ours.receive_pdu(LIMITS, Deadline.after(WAIT_SECONDS))[1]) for _ in range(2)]

    assert bodies == [pdu(300)[6:], pdu(20)[6:]]


@pytest.mark.parametrize("count", [0, 3, 10], ids=["before a PDU", "inside its header", "inside its body"])
def test_end_of_the_peer_is_a_lost_connection(pair: tuple[Connection, socket.socket], count: int) -> None:
    ours, peer = pair
    peer.sendall(pdu(10)[:count])
    peer.close()

    with pytest.raises(ConnectionLost):
        ours.receive_pdu(LIMITS, Deadline.after(WAIT_SECONDS))


def test_waiting_pdu_is_seen_only_when_it_is_whole(pair: tuple[Connection, socket.socket]) -> None:
    ours, peer = pair

    assert not ours.whole_pdu_waiting()
    peer.sendall(pdu(10)[:12])
    ours.wait_for_input(Deadline.after(WAIT_SECONDS))
    assert not ours.whole_pdu_waiting()
    peer.sendall(pdu(10)[12:] + pdu(10)[:3])
    ours.receive_pdu(LIMITS, Deadline.after(WAIT_SECONDS))
    assert not ours.whole_pdu_waiting()


def test_quiet_wait_gives_the_memory_back_and_loses_nothing(
    pair: tuple[Connection, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "IDLE_BEFORE_MEMORY_RETURNS_SECONDS", 0.01)
    ours, peer = pair
    peer.sendall(pdu(900))
    ours.receive_pdu(LIMITS, Deadline.after(WAIT_SECONDS))
    waiting = in_background(ours.wait_for_input, NO_DEADLINE)
    threading.Event().wait(0.1)

    peer.sendall(pdu(800))
    waiting.result(WAIT_SECONDS)

    assert ours.receive_pdu(LIMITS, Deadline.after(WAIT_SECONDS))[1] == pdu(800)[6:]


def test_more_buffers_than_one_system_call_takes_arrive_in_order(pair: tuple[Connection, socket.socket]) -> None:
    ours, peer = pair
    buffers = [b"%05d" % number for number in range(3000)]
    sending = in_background(ours.send, buffers, Deadline.after(WAIT_SECONDS))

    received = b""
    while len(received) < 15000:
        received += peer.recv(65536)
    sending.result(WAIT_SECONDS)

    assert received == b"".join(buffers)


def test_write_that_the_kernel_takes_in_parts_arrives_whole(pair: tuple[Connection, socket.socket]) -> None:
    ours, peer = pair
    content = bytes(range(256)) * 80_000
    view = memoryview(content)
    sending = in_background(ours.send, [view[:7_000_000], b"", view[7_000_000:]], Deadline.after(WAIT_SECONDS))

    received = bytearray()
    while len(received) < len(content):
        received += peer.recv(1_000_000)
    sending.result(WAIT_SECONDS)

    assert received == content
    assert not ours.output_is_cut


def test_peer_that_reads_nothing_meets_the_deadline(pair: tuple[Connection, socket.socket]) -> None:
    ours, _ = pair

    with pytest.raises(DeadlineExpired):
        ours.send([bytes(50_000_000)], Deadline.after(SOON))

    assert ours.output_is_cut


def test_write_to_a_peer_that_is_gone_is_a_lost_connection(pair: tuple[Connection, socket.socket]) -> None:
    ours, peer = pair
    peer.close()

    with pytest.raises(ConnectionLost):
        ours.send([bytes(50_000_000)], Deadline.after(WAIT_SECONDS))


def test_interrupt_ends_a_wait_in_another_thread(pair: tuple[Connection, socket.socket]) -> None:
    ours, peer = pair
    waiting = in_background(ours.receive_pdu, LIMITS, NO_DEADLINE)

    ours.interrupt(b"farewell")

    with pytest.raises(ConnectionLost):
        waiting.result(WAIT_SECONDS)
    assert peer.recv(100) == b"farewell"
    assert peer.recv(100) == b""


def test_interrupt_of_a_closed_connection_does_nothing(pair: tuple[Connection, socket.socket]) -> None:
    ours, _ = pair
    ours.close()

    ours.interrupt(b"farewell")

    assert ours.is_interrupted


def test_drain_waits_for_the_peer_and_no_longer_than_its_deadline(pair: tuple[Connection, socket.socket]) -> None:
    ours, peer = pair
    peer.sendall(bytes(100_000))
    started = time.monotonic()

    ours.drain(Deadline.after(SOON))

    assert time.monotonic() - started >= SOON
    assert peer.recv(1) == b""


def test_connect_finds_the_address_of_a_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        with connection.connect("localhost", port, 5) as ours:
            assert (ours.peer_host, ours.peer_port) == ("127.0.0.1", port)


def test_connect_to_a_closed_port_says_why() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(CannotConnect) as caught:
        connection.connect("127.0.0.1", port, 5)

    assert "refused" in str(caught.value)


def test_connect_to_a_full_listener_meets_the_deadline() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))

        with pytest.raises(CannotConnect):
            connection.connect("127.0.0.1", port, SOON)

        for filler in fillers:
            filler.close()


def test_no_deadline_never_expires() -> None:
    for seconds in (None, 0):
        deadline = Deadline.after(seconds)
        deadline.check()
        assert deadline.remaining_seconds is None
        assert deadline.put_off(5).at is None


def test_deadline_that_is_put_off_is_later() -> None:
    deadline = Deadline.after(0.000_001).put_off(100)

    deadline.check()

    assert 50 < (deadline.remaining_seconds or 0) <= 101


def test_what_goes_through_it_is_counted(pair: tuple[Connection, socket.socket]) -> None:
    ours, peer = pair
    peer.sendall(pdu(10) + pdu(4))
    for _ in range(2):
        ours.receive_pdu(LIMITS, Deadline.after(WAIT_SECONDS))

    ours.send((pdu(7), pdu(3)), Deadline.after(WAIT_SECONDS))

    assert (ours.received_bytes, ours.sent_bytes) == (26, 22)
