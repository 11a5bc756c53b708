"""What rules ask the resolver: believed, remembered, and all of it within one deadline."""

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from archive.registry.networks import HostName
from archive.services.lookups import Lookups

WAIT_SECONDS = 30.0
SOON = 0.2


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """`resolver({"10.1.2.3": "ct.example"}, {"ct.example": "10.1.2.3"})`: what the system's says; what it was asked."""
    look_up = socket.getaddrinfo

    def use(names: dict[str, str], addresses: dict[str, str]) -> list[str]:
        asked: list[str] = []

        def by_name(host: str, *arguments: Any, **options: Any) -> Any:
            if options.get("flags"):  # numeric
                return look_up(host, *arguments, **options)
            asked.append(host)
            if host not in addresses:
                raise socket.gaierror(socket.EAI_NONAME, "not known")
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (addresses[host], 0))]

        def by_address(address: tuple[str, int], flags: int) -> tuple[str, str]:
            asked.append(address[0])
            if address[0] not in names:
                raise socket.gaierror(socket.EAI_NONAME, "not known")
            return names[address[0]], "0"

        monkeypatch.setattr(socket, "getaddrinfo", by_name)
        monkeypatch.setattr(socket, "getnameinfo", by_address)
        return asked

    return use


def test_a_name_that_leads_back_is_believed(resolver: Callable[..., list[str]]) -> None:
    resolver({"10.1.2.3": "ct.example"}, {"ct.example": "10.1.2.3"})

    assert Lookups().name_of("10.1.2.3") == HostName("ct.example", leads_back=True)


@pytest.mark.parametrize("addresses", [{"ct.example": "10.9.9.9"}, {}], ids=["elsewhere", "nowhere"])
def test_a_name_that_leads_elsewhere_is_not_believed(
    resolver: Callable[..., list[str]], addresses: dict[str, str]
) -> None:
    resolver({"10.1.2.3": "ct.example"}, addresses)

    assert Lookups().name_of("10.1.2.3") == HostName("ct.example", leads_back=False)


def test_an_address_that_is_called_by_an_address_is_not_believed(resolver: Callable[..., list[str]]) -> None:
    resolver({"2001:db8::1": "2001:db8::1"}, {})

    assert Lookups().name_of("2001:db8::1").believed is None


def test_nothing_is_asked_twice(resolver: Callable[..., list[str]]) -> None:
    asked = resolver({"10.1.2.3": "ct.example"}, {"ct.example": "10.1.2.3"})
    lookups = Lookups()

    for _ in range(3):
        lookups.name_of("10.1.2.3")
        lookups.addresses_of("ct.example")
        lookups.addresses_of("unknown.example")

    assert asked == ["10.1.2.3", "ct.example", "unknown.example"]


def test_all_questions_share_one_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = threading.Event()
    look_up = socket.getaddrinfo

    def is_slow(host: str, *arguments: Any, **options: Any) -> Any:
        if options.get("flags"):
            return look_up(host, *arguments, **options)
        asked.wait(WAIT_SECONDS)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", is_slow)
    lookups = Lookups(SOON)
    began = time.monotonic()

    answers = [lookups.addresses_of(f"host{number}.example") for number in range(10)]

    assert answers == [frozenset()] * 10
    assert time.monotonic() - began < 5 * SOON
    asked.set()
