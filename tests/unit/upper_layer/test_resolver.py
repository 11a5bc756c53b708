"""Host names: asked for within a time, and believed as far as they go."""

import socket
import threading

import pytest

from archive.errors import CannotConnect
from archive.upper_layer import resolver
from tests.fix_association import WAIT_SECONDS

SOON = 0.2  # seconds; as short as a deadline can be that is to pass


@pytest.mark.parametrize("host", ["no such host", f"{'a' * 64}.example"], ids=["unknown", "label of 64 characters"])
def test_name_that_nobody_knows_cannot_be_connected_to(host: str) -> None:
    with pytest.raises(CannotConnect):
        resolver.resolve(host, 5)


def test_name_that_takes_too_long_meets_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = threading.Event()
    look_up = socket.getaddrinfo

    def slow(host: str, *arguments: object, **options: object) -> object:
        if options.get("flags"):
            return look_up(host, *arguments, **options)  # type: ignore[arg-type]
        asked.wait(WAIT_SECONDS)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", slow)

    with pytest.raises(CannotConnect):
        resolver.resolve("slow.example", SOON)

    asked.set()


def test_numeric_address_needs_no_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolver.resolve("127.0.0.1", 5) == ("127.0.0.1",)
    assert resolver.resolve("::1", 5) == ("::1",)


def test_an_address_is_called_what_the_resolver_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getnameinfo", lambda address, flags: (f"name-of-{address[0]}", "0"))

    assert resolver.name_of("10.1.2.3", 5) == "name-of-10.1.2.3"


def test_an_address_that_has_no_name_or_none_in_time_is_called_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = threading.Event()

    def fails(address: object, flags: int) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "not known")

    def is_slow(address: object, flags: int) -> object:
        asked.wait(WAIT_SECONDS)
        return "slow.example", "0"

    for answer in (fails, is_slow):
        monkeypatch.setattr(socket, "getnameinfo", answer)
        assert resolver.name_of("192.0.2.1", SOON) is None

    asked.set()
