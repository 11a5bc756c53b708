"""Access rules: who may do what at which of our titles, and the reason given."""

import pytest

from archive.registry import access
from archive.registry.access import Caller
from archive.registry.snapshot import Area, OwnTitle, Peer, Registry, Rule
from archive.registry.tables import OPERATIONS

AREA = Area(1, "ARCHIVE", "areas/ARCHIVE", True, "replace", True, False, None)
SCANNER = Peer(1, "ct1", "CT_SCANNER", "10.1.2.3", 104)
NAMED = Peer(2, "ws", "WORKSTATION", "ws.example", 104)


def rule(
    number: int,
    *,
    allows: bool = True,
    peer: Peer | None = None,
    title: str | None = None,
    network: str | None = None,
    can: tuple[str, ...] = OPERATIONS,
) -> Rule:
    return Rule(number, allows, peer, title, network, frozenset(can))


def registry(*rules: Rule, can_read: bool = True, can_write: bool = True) -> Registry:
    title = OwnTitle("ARCHIVE", AREA, can_read, can_write, rules)
    return Registry(1, {"ARCHIVE": AREA}, {"ARCHIVE": title}, {})


def addresses_of(host: str) -> frozenset[str]:
    return frozenset({"10.9.9.9", "2001:db8::9"}) if host == "ws.example" else frozenset()


def decide(known: Registry, calling: str, address: str, operation: str = "store", called: str = "ARCHIVE"):
    return access.decide(known, called, Caller(calling, address), operation, addresses_of)


def test_without_rules_nobody_enters() -> None:
    decision = decide(registry(), "ANY", "127.0.0.1")

    assert not decision.allowed
    assert decision.reason == "no rule at ARCHIVE lets ANY from 127.0.0.1 store"


def test_a_title_that_is_not_ours_allows_nothing() -> None:
    decision = decide(registry(rule(1)), "ANY", "127.0.0.1", called="OTHER")

    assert decision == access.Decision(False, "OTHER is not one of our AE titles")


def test_a_rule_for_anybody_allows_and_is_the_reason() -> None:
    decision = decide(registry(rule(7)), "ANY", "127.0.0.1")

    assert decision.allowed
    assert decision.reason == "rule 7: allow --any echo,store,find,move,get allows it"


def test_a_deny_outweighs_every_allow_wherever_it_stands() -> None:
    for rules in ((rule(1), rule(2, allows=False)), (rule(1, allows=False), rule(2))):
        assert not decide(registry(*rules), "ANY", "127.0.0.1").allowed


def test_a_deny_of_one_operation_leaves_the_others() -> None:
    known = registry(rule(1), rule(2, allows=False, can=("store",)))

    allowed = access.allowed_operations(known, "ARCHIVE", Caller("ANY", "127.0.0.1"), addresses_of)

    assert allowed == {"echo", "find", "move", "get"}


@pytest.mark.parametrize(
    "calling,address,allowed",
    [
        pytest.param("CT_SCANNER", "10.1.2.3", True, id="its title from its host"),
        pytest.param("CT_SCANNER", "::ffff:10.1.2.3", True, id="IPv4 in IPv6 clothes"),
        pytest.param("CT_SCANNER", "10.1.2.4", False, id="its title from elsewhere"),
        pytest.param("OTHER", "10.1.2.3", False, id="another title from its host"),
        pytest.param("ct_scanner", "10.1.2.3", False, id="titles are compared with case"),
    ],
)
def test_a_rule_for_a_peer_wants_title_and_host(calling: str, address: str, allowed: bool) -> None:
    assert decide(registry(rule(1, peer=SCANNER)), calling, address).allowed is allowed


@pytest.mark.parametrize("address,allowed", [("10.9.9.9", True), ("2001:db8:0::9", True), ("10.9.9.8", False)])
def test_a_peer_with_a_host_name_may_call_from_any_of_its_addresses(address: str, allowed: bool) -> None:
    assert decide(registry(rule(1, peer=NAMED)), "WORKSTATION", address).allowed is allowed


@pytest.mark.parametrize(
    "network,address,allowed",
    [
        ("10.1.0.0/16", "10.1.255.1", True),
        ("10.1.0.0/16", "10.2.0.1", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("2001:db8::/32", "2001:db8::1", True),
        ("2001:db8::/32", "10.1.2.3", False),
        ("fe80::/10", "fe80::1%eth0", True),
        ("ws.example", "10.9.9.9", True),
        ("unknown.example", "10.9.9.9", False),
    ],
)
def test_a_rule_with_a_network_wants_an_address_in_it(network: str, address: str, allowed: bool) -> None:
    assert decide(registry(rule(1, network=network)), "ANY", address).allowed is allowed


def test_a_rule_for_a_title_from_a_network_wants_both() -> None:
    known = registry(rule(1, title="WS", network="10.1.0.0/16"))

    assert decide(known, "WS", "10.1.0.1").allowed
    assert not decide(known, "WS", "10.2.0.1").allowed
    assert not decide(known, "XX", "10.1.0.1").allowed


@pytest.mark.parametrize(
    "can_read,can_write,expected",
    [
        pytest.param(True, False, {"echo", "find", "move", "get"}, id="R"),
        pytest.param(False, True, {"echo", "store"}, id="W"),
        pytest.param(True, True, set(OPERATIONS), id="RW"),
    ],
)
def test_no_rule_gives_what_the_title_is_not_open_for(can_read: bool, can_write: bool, expected: set[str]) -> None:
    known = registry(rule(1), can_read=can_read, can_write=can_write)

    assert access.allowed_operations(known, "ARCHIVE", Caller("ANY", "10.0.0.1"), addresses_of) == expected


def test_names_are_resolved_only_when_a_rule_speaks_of_one() -> None:
    def must_not_ask(host: str) -> frozenset[str]:
        raise AssertionError(host)

    known = registry(rule(1, network="10.0.0.0/8"), rule(2, peer=SCANNER))

    assert access.decide(known, "ARCHIVE", Caller("ANY", "10.0.0.1"), "find", must_not_ask).allowed
