"""Lists of clients as hosts_access(5) writes them: how they are read, and of whom they speak."""

import pytest

from archive.errors import Misconfigured
from archive.registry import access, networks
from archive.registry.model import NetworkRule, Registry
from archive.registry.networks import HostName

NAMES = {
    "10.1.2.3": HostName("CT1.Hospital.Example", leads_back=True),
    "10.1.2.4": HostName("liar.hospital.example", leads_back=False),
    "10.1.2.5": HostName("ws7", leads_back=True),
    "2001:db8::9": HostName("v6.hospital.example.", leads_back=True),
}


def addresses_of(host: str) -> frozenset[str]:
    return frozenset({"10.9.9.9", "2001:db8::9"}) if host == "ws.example" else frozenset()


def name_of(address: str) -> HostName:
    return NAMES.get(address, HostName(None))


def must_not_ask(asked: str) -> frozenset[str]:
    raise AssertionError(asked)


def matches(clients: str, address: str) -> bool:
    return networks.speaks_of(networks.parse(clients), address, addresses_of, name_of)


@pytest.mark.parametrize(
    "clients,address,expected",
    [
        ("ALL", "192.0.2.1", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "::ffff:10.1.2.3", True),
        ("10.1.2.3", "10.1.2.33", False),
        ("10.1.0.0/16", "10.1.255.255", True),
        ("10.1.0.0/255.255.0.0", "10.1.255.255", True),
        ("10.1.", "10.1.255.255", True),
        ("10.1.", "10.10.0.1", False),
        ("[2001:db8::]/32", "2001:db8::7", True),
        ("2001:db8::/32", "10.1.2.3", False),
        ("192.0.2.1, 10.1.2.3", "10.1.2.3", True),
        ("ws.example", "10.9.9.9", True),
        ("ws.example", "2001:db8:0::9", True),
        ("ws.example", "10.9.9.8", False),
        (".hospital.example", "10.1.2.3", True),
        (".hospital.example", "10.1.2.4", False),
        (".Hospital.Example", "2001:db8::9", True),
        (".ospital.example", "10.1.2.3", False),
        ("ct?.hospital.*", "10.1.2.3", True),
        ("10.*.2.3", "10.1.2.3", True),
        ("LOCAL", "10.1.2.5", True),
        ("LOCAL", "10.1.2.3", False),
        ("LOCAL", "192.0.2.1", False),
        ("KNOWN", "10.1.2.3", True),
        ("KNOWN", "10.1.2.4", False),
        ("UNKNOWN", "192.0.2.1", True),
        ("UNKNOWN", "10.1.2.4", False),
        ("PARANOID", "10.1.2.4", True),
        ("PARANOID", "10.1.2.3", False),
        ("PARANOID", "192.0.2.1", False),
        ("10.1.0.0/16 EXCEPT 10.1.2.0/24", "10.1.3.1", True),
        ("10.1.0.0/16 EXCEPT 10.1.2.0/24", "10.1.2.1", False),
        ("10.1.0.0/16 EXCEPT 10.1.2.0/24 EXCEPT 10.1.2.3", "10.1.2.3", True),
        ("10.1.0.0/16 except 10.1.2.0/24 except 10.1.2.3", "10.1.2.4", False),
    ],
)
def test_a_list_speaks_of_a_client(clients: str, address: str, expected: bool) -> None:
    assert matches(clients, address) is expected


@pytest.mark.parametrize(
    "clients,kept",
    [
        ("10.1.", "10.1.0.0/16"),
        ("10.", "10.0.0.0/8"),
        ("131.155.72.0/255.255.254.0", "131.155.72.0/23"),
        ("[3ffe:505:2:1::]/64", "3ffe:505:2:1::/64"),
        ("all", "ALL"),
        (" .Example.org,ws1.  EXCEPT local", ".example.org ws1 EXCEPT LOCAL"),
    ],
)
def test_a_list_is_kept_in_one_form_and_read_again_the_same(clients: str, kept: str) -> None:
    parsed = networks.parse(clients)

    assert str(parsed) == kept
    assert networks.parse(str(parsed)) == parsed


@pytest.mark.parametrize(
    "clients,sentence",
    [
        ("", "A list of clients is empty"),
        ("EXCEPT 10.1.2.3", "A list of clients is empty"),
        ("10.1.2.3 EXCEPT", "A list of clients is empty"),
        ("10.1.2.3/16", r"not the first of its network; write 10.1.0.0/16"),
        ("10.1.0.0/0.0.255.255", "neither an address nor a network"),
        ("10.1.0.0/255.0.255.0", "neither an address nor a network"),
        ("10.1.0.0/99", "neither an address nor a network"),
        ("300.1.", "neither an address nor a network"),
        ("1.2.3.4.5", "neither an address nor a network"),
        ("@scanners", "Netgroups, files of patterns and user names"),
        ("/etc/allowed", "Netgroups, files of patterns and user names"),
        ("root@10.1.2.3", "Netgroups, files of patterns and user names"),
        ("a_b!", "neither an address nor a host name"),
        (f"{'a' * 64}.example", "neither an address nor a host name"),
        ("x[1-2]*", "Wild cards go with letters"),
        (".x*", "Wild cards go with letters"),
    ],
)
def test_what_is_no_list_of_clients_is_refused_with_a_sentence(clients: str, sentence: str) -> None:
    with pytest.raises(Misconfigured, match=sentence):
        networks.parse(clients)


def rules(*lines: tuple[bool, str]) -> Registry:
    made = (NetworkRule(number, accepts, networks.parse(text)) for number, (accepts, text) in enumerate(lines, 1))
    return Registry(1, {}, {}, {}, network_rules=tuple(made))


def test_without_network_rules_every_connection_is_taken() -> None:
    decision = access.connection(rules(), "192.0.2.1", must_not_ask, must_not_ask)  # type: ignore[arg-type]

    assert decision.allowed
    assert decision.reason == "no network rule speaks of 192.0.2.1"


@pytest.mark.parametrize("address,allowed", [("10.1.66.1", False), ("10.1.1.1", True), ("192.0.2.1", False)])
def test_the_first_rule_that_speaks_of_a_client_decides(address: str, allowed: bool) -> None:
    known = rules((False, "10.1.66.0/24"), (True, "10.1.0.0/16"), (False, "ALL"))

    assert access.connection(known, address, addresses_of, name_of).allowed is allowed


def test_the_reason_names_the_rule() -> None:
    decision = access.connection(rules((False, "10.1.0.0/16 EXCEPT 10.1.2.3")), "10.1.9.9", addresses_of, name_of)

    assert decision.reason == "network rule 1: deny 10.1.0.0/16 EXCEPT 10.1.2.3 denies connections from 10.1.9.9"


def test_names_are_asked_for_only_by_patterns_that_speak_of_them_and_once() -> None:
    asked: list[str] = []

    def noted(address: str) -> HostName:
        asked.append(address)
        return HostName(None)

    access.connection(rules((True, "10.1.2.3"), (True, "10.0.0.0/8")), "10.7.7.7", must_not_ask, noted)
    assert asked == []
    access.connection(rules((True, ".a.example .b.example"), (True, "LOCAL KNOWN")), "10.7.7.7", must_not_ask, noted)
    assert asked == ["10.7.7.7"]
