"""The receiver of a receiving command when it is told to stop: at once, or when its peers have ended."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from archive.dimse.exchange import Exchange
from archive.server import listener
from archive.server.receiver import Receiver
from archive.services.reception import Terms
from archive.upper_layer.association import Association
from tests.fix_association import PATIENT, RELEASE_RQ, WAIT_SECONDS, ScriptedPeer, proposal

Serve = Callable[[Association], None]


def until_released(association: Association) -> None:
    exchange = Exchange(association)
    with association:
        while exchange.receive() is not None:
            pass


@contextmanager
def receiving(serve: Serve = until_released) -> Iterator[tuple[Receiver, int, threading.Thread]]:
    """A receiver that runs in a thread, and its port."""
    receiver = Receiver(Terms().decide, serve, PATIENT)
    sockets = listener.bind(["127.0.0.1"], 0)
    thread = threading.Thread(target=receiver.run, args=(sockets,), daemon=True)
    thread.start()
    try:
        yield receiver, sockets[0].getsockname()[1], thread
    finally:
        receiver.stop()
        thread.join(WAIT_SECONDS)
        assert not thread.is_alive()


def peer(port: int) -> ScriptedPeer:
    made = ScriptedPeer(socket.create_connection(("127.0.0.1", port)))
    made.associates(proposal())
    return made


def test_it_stops_at_once_whoever_is_there() -> None:
    with receiving() as (receiver, port, thread):
        there = peer(port)
        receiver.stop()
        thread.join(WAIT_SECONDS)

        assert not thread.is_alive()
        assert there.hears() == (0, b"")
        there.leaves()


def test_patiently_it_waits_for_a_peer_to_release() -> None:
    with receiving() as (receiver, port, thread):
        there = peer(port)
        receiver.stop(quiet_seconds=WAIT_SECONDS)
        there.says(RELEASE_RQ)
        pdu_type, _ = there.hears()
        there.leaves()
        thread.join(WAIT_SECONDS)

        assert (pdu_type, thread.is_alive()) == (0x06, False)


def test_patiently_it_ends_who_says_nothing() -> None:
    with receiving() as (receiver, port, thread):
        there = peer(port)
        receiver.stop(quiet_seconds=0.2)
        thread.join(WAIT_SECONDS)

        assert not thread.is_alive()
        assert there.hears() == (0, b"")
        there.leaves()


def test_patiently_it_takes_nobody_else() -> None:
    with receiving() as (receiver, port, thread):
        there = peer(port)
        receiver.stop(quiet_seconds=WAIT_SECONDS)
        refused = False
        while not refused:  # as soon as it has heard of it
            try:
                socket.create_connection(("127.0.0.1", port), WAIT_SECONDS).close()
            except ConnectionRefusedError:
                refused = True
            except ConnectionResetError:  # it was in the line when that was closed
                continue
        there.says(RELEASE_RQ)
        there.hears()
        there.leaves()
        thread.join(WAIT_SECONDS)


def test_it_counts_what_has_come_of_those_that_are_gone_too() -> None:
    with receiving() as (receiver, port, thread):
        first, second = peer(port), peer(port)
        both = receiver.received_bytes
        first.says(RELEASE_RQ)
        first.hears()
        first.leaves()
        receiver.stop(quiet_seconds=WAIT_SECONDS)
        second.says(RELEASE_RQ)
        second.hears()
        second.leaves()
        thread.join(WAIT_SECONDS)

        assert receiver.received_bytes == both + 2 * len(RELEASE_RQ)
