"""What rules ask the resolver: believed, remembered, and all of it within one deadline."""

import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from archive.errors import CannotConnect
from archive.registry.networks import HostName
from archive.services.lookups import Lookups

HOUR = 3600.0


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
    given: list[float] = []

    def takes_all_its_time(host: str, seconds: float) -> tuple[str, ...]:
        given.append(seconds)
        passed[0] += seconds
        raise CannotConnect(host=host, reason="no answer")

    passed, clock = [0.0], time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: clock() + passed[0])
    monkeypatch.setattr("archive.upper_layer.resolver.resolve", takes_all_its_time)
    lookups = Lookups(HOUR)

    answers = [lookups.addresses_of(f"host{number}.example") for number in range(10)]

    assert answers == [frozenset()] * 10
    assert given[0] > 0.9 * HOUR
    assert sum(given[1:]) < 1
