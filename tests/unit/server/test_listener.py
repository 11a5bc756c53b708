"""Listening: one address or several, IPv4, IPv6 or both, always on one port."""

import socket
from collections.abc import Sequence
from contextlib import ExitStack

import pytest

from archive.errors import Misconfigured
from archive.server import listener


def reached(hosts: Sequence[str], *addresses: str) -> list[bool]:
    """Which of the addresses somebody listens on."""
    with ExitStack() as stack:
        opened = listener.bind(hosts, 0)
        for each in opened:
            stack.enter_context(each)
        assert len({each.getsockname()[1] for each in opened}) == 1
        assert len(opened) == len(hosts)
        return [_answers(address, opened[0].getsockname()[1]) for address in addresses]


def _answers(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.parametrize(
    "hosts, expected",
    [
        (["127.0.0.1"], [True, False, False]),
        (["0.0.0.0"], [True, True, False]),
        (["::1"], [False, False, True]),
        (["ipv6"], [False, False, True]),
        (["::"], [True, True, True]),
        (["0.0.0.0", "::"], [True, True, True]),
        (["0.0.0.0", "ipv6"], [True, True, True]),
        (["127.0.0.1", "::1"], [True, False, True]),
        (["127.0.0.1", "127.0.0.2"], [True, True, False]),
    ],
    ids=str,
)
def test_who_is_reached_at_which_address(hosts: list[str], expected: list[bool]) -> None:
    assert reached(hosts, "127.0.0.1", "127.0.0.2", "::1") == expected


def test_an_address_that_is_not_ours_is_a_sentence() -> None:
    with pytest.raises(Misconfigured, match=r"Cannot listen on 192\.0\.2\.1:\d+: "):
        listener.bind(["127.0.0.1", "192.0.2.1"], 0)


def test_a_port_that_is_taken_is_a_sentence_and_nothing_stays_open() -> None:
    with socket.create_server(("127.0.0.2", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(Misconfigured, match=f"Cannot listen on 127.0.0.2:{port}: Address already in use"):
            listener.bind(["127.0.0.1", "127.0.0.2"], port)

        assert not _answers("127.0.0.1", port)


def test_overlapping_addresses_are_a_sentence() -> None:
    with pytest.raises(Misconfigured, match=r"Cannot listen on 127\.0\.0\.1:\d+: Address already in use"):
        listener.bind(["0.0.0.0", "127.0.0.1"], 0)


def test_no_address_at_all_is_a_sentence() -> None:
    with pytest.raises(Misconfigured, match="no address to listen on"):
        listener.bind([], 0)


def test_addresses_are_spelt_as_people_write_them() -> None:
    for host, begin in (("127.0.0.1", "127.0.0.1:"), ("::1", "[::1]:")):
        (opened,) = listener.bind([host], 0)
        with opened:
            assert listener.Port(opened, False).address == f"{begin}{opened.getsockname()[1]}"
