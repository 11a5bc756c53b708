"""Access rules: who may do what at which of our titles, and the reason given."""

import pytest

from archive.registry import access
from archive.registry.access import Caller
from archive.registry.model import Area, Group, OwnTitle, Peer, Registry, Rule, TitlePolicy
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


ANYBODY = rule(1)
SCANNERS = Group(1, "SCANNERS", False, ("ct1", "ws"), (SCANNER, NAMED))


def policed(policy: TitlePolicy, *rules: Rule) -> Registry:
    return Registry(1, {}, {"ARCHIVE": OwnTitle("ARCHIVE", AREA, True, True, rules or (ANYBODY,), policy)}, {})


@pytest.mark.parametrize(
    "calling,address,allowed",
    [
        ("CT_SCANNER", "10.1.2.3", True),
        ("WORKSTATION", "10.9.9.9", True),
        ("WORKSTATION", "10.1.2.3", False),
        ("OTHER", "10.1.2.3", False),
    ],
)
def test_a_rule_for_a_group_is_about_each_peer_in_it(calling: str, address: str, allowed: bool) -> None:
    known = registry(Rule(1, True, None, None, None, frozenset(OPERATIONS), SCANNERS))

    assert decide(known, calling, address).allowed is allowed


def test_a_rule_names_its_group_or_vendor_as_on_the_command_line() -> None:
    vendor = Group(2, "Acme Medical", True, (), ())

    assert Rule(1, True, None, None, None, frozenset(OPERATIONS), SCANNERS).who == "--group SCANNERS"
    assert Rule(1, True, None, None, None, frozenset(OPERATIONS), vendor).who == "--vendor 'Acme Medical'"


def test_a_title_that_refuses_lets_nobody_in() -> None:
    decision = decide(policed(TitlePolicy(refuses=True)), "ANY", "10.0.0.1", "echo")

    assert decision == access.Decision(False, "ARCHIVE refuses every association")


def test_no_rule_gives_a_get_that_the_title_does_not_offer() -> None:
    known = policed(TitlePolicy(allows_get=False))

    assert decide(known, "ANY", "10.0.0.1", "get").reason == "ARCHIVE does not offer C-GET"
    assert decide(known, "ANY", "10.0.0.1", "move").allowed


def test_a_rule_that_does_not_say_shutdown_does_not_give_it() -> None:
    assert "shutdown" not in access.allowed_operations(
        registry(ANYBODY), "ARCHIVE", Caller("ANY", "10.0.0.1"), addresses_of
    )
    assert decide(registry(rule(1, can=("shutdown",))), "ANY", "10.0.0.1", "shutdown").allowed


BOUND = Peer(3, "ct2", "CT2", "10.1.2.4", 104, certificate="subject:CN=CT2,O=Hospital")
SHOWN = frozenset({"subject:CN=CT2", "subject:O=Hospital", "sha256:00"})


def decide_with_peers(
    calling: str, address: str, shown: frozenset[str], *rules: Rule, peers: tuple[Peer, ...] = (BOUND,)
):
    known = Registry(1, {"ARCHIVE": AREA}, registry(*rules).titles, {peer.name: peer for peer in peers})
    return access.decide(known, "ARCHIVE", Caller(calling, address, shown), "store", addresses_of)


def test_a_title_with_a_certificate_is_its_owners_alone_whatever_a_rule_allows() -> None:
    for allowed in (rule(1), rule(1, title="CT2"), rule(1, peer=BOUND), rule(1, network="10.0.0.0/8")):
        assert decide_with_peers("CT2", "10.1.2.4", SHOWN, allowed).allowed
        for shown in (frozenset(), frozenset({"subject:CN=CT2"}), frozenset({"subject:CN=CT3", "subject:O=Hospital"})):
            decision = decide_with_peers("CT2", "10.1.2.4", shown, allowed)
            assert not decision.allowed
            assert decision.reason == "CT2 may only be used with the certificate of peer ct2"
            assert not decision.a_rule_could_allow


def test_a_certificate_lets_nobody_in_without_a_rule_nor_past_a_deny_nor_under_another_title() -> None:
    assert not decide_with_peers("CT2", "10.1.2.4", SHOWN).allowed
    denied = decide_with_peers("CT2", "10.1.2.4", SHOWN, rule(1), rule(2, allows=False, peer=BOUND))
    assert denied.reason.startswith("rule 2")
    assert not decide_with_peers("CT9", "10.1.2.4", SHOWN, rule(1, peer=BOUND)).allowed


def test_a_peer_with_a_certificate_is_known_by_it_and_by_its_host() -> None:
    assert decide_with_peers("CT2", "10.1.2.4", SHOWN, rule(1, peer=BOUND)).allowed
    assert not decide_with_peers("CT2", "10.9.9.9", SHOWN, rule(1, peer=BOUND)).allowed


def test_a_title_of_several_peers_takes_the_certificate_of_any_and_is_not_free_for_the_one_without() -> None:
    free = Peer(4, "ct2-old", "CT2", "10.1.2.5", 104)
    third = Peer(5, "ct2-new", "CT2", "10.1.2.6", 104, certificate="sha256:11")
    peers = (free, BOUND, third)

    assert decide_with_peers("CT2", "10.1.2.5", SHOWN, rule(1), peers=peers).allowed
    assert decide_with_peers("CT2", "10.1.2.5", frozenset({"sha256:11"}), rule(1), peers=peers).allowed
    refused = decide_with_peers("CT2", "10.1.2.5", frozenset(), rule(1), peers=peers)
    assert refused.reason == "CT2 may only be used with the certificate of peer ct2 or ct2-new"


def test_who_uses_no_bound_title_needs_no_certificate() -> None:
    assert decide_with_peers("CT1", "10.1.2.4", frozenset(), rule(1)).allowed
