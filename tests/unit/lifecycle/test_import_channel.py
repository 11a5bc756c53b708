"""What goes from one process of an import to another."""

import os
import threading
from collections.abc import Callable, Iterator

import pytest

from archive.lifecycle.importing.channel import Channel, Closed


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    here, there = Channel.pair()
    yield here, there
    here.close()
    there.close()


def test_values_of_any_length_come_in_their_order(ends: tuple[Channel, Channel]) -> None:
    here, there = ends
    values = ["", b"x" * 5_000_000, {"a": (1, None)}, "\udcff"]

    def send() -> None:
        for value in values:
            here.send(value)

    sender = threading.Thread(target=send)
    sender.start()
    received = [there.receive() for _ in values]
    sender.join()

    assert received == values


def test_both_directions_are_apart(ends: tuple[Channel, Channel]) -> None:
    here, there = ends

    here.send("question")
    there.send("answer")

    assert (there.receive(), here.receive()) == ("question", "answer")


def test_what_was_sent_before_the_end_still_comes(ends: tuple[Channel, Channel]) -> None:
    here, there = ends
    here.send("last words")
    here.end_sending()

    assert there.receive() == "last words"
    with pytest.raises(Closed):
        there.receive()


def test_half_a_value_is_none(ends: tuple[Channel, Channel]) -> None:
    here, there = ends
    os.write(here.descriptors[1], b"\x05\0\0\0\0\0\0\0two")
    here.end_sending()

    with pytest.raises(Closed):
        there.receive()


def test_nothing_is_sent_to_nobody(ends: tuple[Channel, Channel]) -> None:
    here, there = ends
    there.close()

    with pytest.raises(Closed):
        here.send("hello")


@pytest.mark.parametrize("happens", [lambda end: end.send(1), Channel.end_sending, Channel.close])
def test_a_channel_is_silent_until_a_value_or_the_end_comes(
    ends: tuple[Channel, Channel], happens: Callable[[Channel], None]
) -> None:
    here, there = ends
    assert there.is_silent()

    happens(here)

    assert not there.is_silent()
