"""inherited.py: sockets that systemd passes; those of other processes, and what is no socket, are not taken."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from archive.errors import Misconfigured
from archive.server import inherited


@pytest.fixture
def at_3(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], int]:
    """Have what systemd passes begin where a copy of a descriptor is; the test runner has its own at 3."""

    def place(descriptor: int) -> int:
        copy = os.dup(descriptor)
        monkeypatch.setattr(inherited, "_FIRST", copy)
        return copy

    return place


def environment(count: str = "1", process: int = 7) -> dict[str, str]:
    return {"LISTEN_FDS": count, "LISTEN_PID": str(process), "LISTEN_FDNAMES": "storescp.socket"}


def test_nothing_is_passed_without_systemd() -> None:
    assert not inherited.passed({}, 7)


def test_what_is_for_another_process_is_not_taken() -> None:
    assert not inherited.passed(environment(process=8), 7)


def test_a_listening_socket_is_taken_and_the_environment_says_it_no_more(at_3: Callable[[int], int]) -> None:
    given = environment()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        at_3(listening.fileno())
        found = inherited.passed(given, 7)

        assert [each.getsockname() for each in found.listening] == [listening.getsockname()]
        found.listening[0].close()
    assert given == {}


def test_a_connection_is_told_from_a_socket_that_listens(at_3: Callable[[int], int]) -> None:
    one, other = socket.socketpair()
    with one, other:
        at_3(one.fileno())
        found = inherited.passed(environment(), 7)

        assert (found.listening, found.connection is None) == ((), False)
        assert found.connection is not None
        found.connection.close()


@pytest.mark.parametrize("count", ["x", "0", "-1", "65", "٣"])
def test_a_number_that_is_none_is_a_mistake(count: str) -> None:
    with pytest.raises(Misconfigured, match="is no number of sockets"):
        inherited.passed(environment(count), 7)


def test_what_is_no_socket_is_a_mistake(at_3: Callable[[int], int], tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        copy = at_3(file.fileno())
        with pytest.raises(Misconfigured, match="is no socket"):
            inherited.passed(environment(), 7)
        os.close(copy)


def test_datagrams_are_a_mistake(at_3: Callable[[int], int]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        at_3(datagrams.fileno())
        with pytest.raises(Misconfigured, match="is no stream socket"):
            inherited.passed(environment(), 7)
