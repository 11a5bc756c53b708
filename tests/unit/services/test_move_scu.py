"""C-MOVE SCU: how long a response is waited for while instances come in, and data sets that should not be there."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from archive.dimse.commands import CMoveRequest
from archive.dimse.exchange import Exchange
from archive.errors import DeadlineExpired
from archive.services import move_scu
from tests.fix_association import PATIENT, WAIT_SECONDS, established, in_background, proposal

STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
SUCCESS, PENDING = 0x0000, 0xFF00


@contextmanager
def exchanges(response_seconds: float = WAIT_SECONDS) -> Iterator[tuple[Exchange, Exchange]]:
    """The two ends of an association for C-MOVE."""
    timeouts = replace(PATIENT, response=response_seconds)
    with established(proposed=proposal(STUDY_ROOT_MOVE), timeouts=timeouts) as (requestor, acceptor):
        yield Exchange(requestor), Exchange(acceptor)


def request() -> CMoveRequest:
    return CMoveRequest(message_id=1, affected_sop_class_uid=STUDY_ROOT_MOVE, move_destination="DESTINATION")


def test_a_response_is_waited_for_as_long_as_instances_come_in() -> None:
    with exchanges(response_seconds=0.2) as (ours, theirs):
        looks = 0

        def received_bytes() -> int:
            nonlocal looks
            looks += 1
            if looks == 10:  # after at least four times of silence on this association
                asked = theirs.receive()
                assert asked is not None
                theirs.respond(request().answer(SUCCESS))
            return looks

        (answer,) = move_scu.move(ours, ours.association.contexts[1], request(), b"", received_bytes=received_bytes)

    assert answer.is_final


def test_when_nothing_comes_in_the_time_for_a_response_ends() -> None:
    with exchanges(response_seconds=0.2) as (ours, _), pytest.raises(DeadlineExpired):
        list(move_scu.move(ours, ours.association.contexts[1], request(), b""))


def test_each_response_is_counted_and_says_what_is_done() -> None:
    with exchanges() as (ours, theirs):

        def answer() -> None:
            asked = theirs.receive()
            assert asked is not None
            theirs.respond(request().answer(PENDING, remaining=3, completed=1, failed=1, warning=0))
            theirs.respond(request().answer(PENDING))
            failed = b"\x08\x00\x58\x00UI\x08\x001.2\\1.3\0"
            theirs.respond(request().answer(0xB000, completed=4, failed=2, warning=1), failed)

        answering = in_background(answer)
        first, second, last = move_scu.move(ours, ours.association.contexts[1], request(), b"")
        answering.result(WAIT_SECONDS)

    assert [(each.number, each.is_final) for each in (first, second, last)] == [(1, False), (2, False), (3, True)]
    assert (first.done, first.total, second.done, second.total) == (2, 5, 0, None)
    assert (last.done, last.failed_instances) == (7, ("1.2", "1.3"))


def test_an_unreadable_list_of_failed_instances_is_no_reason_to_fail() -> None:
    with exchanges() as (ours, theirs):

        def answer() -> None:
            asked = theirs.receive()
            assert asked is not None
            theirs.respond(request().answer(0xB000), b"\x08\x00\x58\x00UI\xff\xff1.2")

        answering = in_background(answer)
        (last,) = move_scu.move(ours, ours.association.contexts[1], request(), b"")
        answering.result(WAIT_SECONDS)

    assert last.failed_instances == ()
