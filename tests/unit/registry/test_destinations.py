"""Where a C-MOVE may go, and the reason given."""

from collections.abc import Iterable

import pytest

from archive.registry import destinations
from archive.registry.access import Caller
from archive.registry.model import Area, Group, MovePolicy, OwnTitle, Peer, Registry, TitlePolicy

AREA = Area(1, "ARCHIVE", "areas/ARCHIVE", True, "replace", True, False, None)
SCANNER = Peer(1, "ct1", "CT_SCANNER", "10.1.2.3", 104)
NAMED = Peer(2, "ws", "WORKSTATION", "WS.example", 104)
CALLS_ONLY = Peer(3, "ward", "WARD", "10.1.6.0/24", None)
TWIN = Peer(4, "ct1b", "CT_SCANNER", "10.1.2.4", 104)
ACME = Group(1, "Acme", True, ("ct1", "ws"), (SCANNER, NAMED))
STAFF = Group(2, "STAFF", False, ("ws",), (NAMED,))

ANYWHERE = MovePolicy()


def addresses_of(host: str) -> frozenset[str]:
    return frozenset({"10.9.9.9", "::ffff:10.9.9.8"}) if host == "WS.example" else frozenset({host})


def decide(
    moves: MovePolicy,
    named: str,
    *,
    calling: str = "WORKSTATION",
    address: str = "10.9.9.9",
    peers: Iterable[Peer] = (SCANNER, NAMED, CALLS_ONLY, TWIN),
    groups: Iterable[Group] = (ACME, STAFF),
) -> destinations.Destination:
    title = OwnTitle("ARCHIVE", AREA, True, True, (), TitlePolicy(moves=moves))
    known = Registry(
        1, {}, {"ARCHIVE": title}, {peer.name: peer for peer in peers}, {group.name: group for group in groups}
    )
    return destinations.decide(known, title, Caller(calling, address), named, addresses_of)


def test_without_restriction_a_move_goes_to_the_first_peer_of_the_title() -> None:
    assert decide(ANYWHERE, "CT_SCANNER").peer == SCANNER


def test_an_unknown_title_is_no_destination() -> None:
    assert decide(ANYWHERE, "NOBODY") == destinations.Destination(None, "NOBODY is not a peer of ours")


def test_titles_are_compared_with_case() -> None:
    assert decide(ANYWHERE, "ct_scanner").peer is None


def test_a_peer_without_port_is_no_destination() -> None:
    assert decide(ANYWHERE, "WARD").reason == "WARD is a peer that only calls: it has no port"


@pytest.mark.parametrize("named,allowed", [("WORKSTATION", True), ("CT_SCANNER", False)])
def test_same_title(named: str, allowed: bool) -> None:
    assert (decide(MovePolicy(to_same_title=True), named).peer is not None) is allowed


@pytest.mark.parametrize("address,allowed", [("10.9.9.9", True), ("10.9.9.8", True), ("10.9.9.7", False)])
def test_d28_same_host_compares_addresses_and_not_text(address: str, allowed: bool) -> None:
    found = decide(MovePolicy(to_same_host=True), "WORKSTATION", calling="ANY", address=address)

    assert (found.peer is not None) is allowed


def test_of_peers_with_one_title_the_one_that_is_allowed_is_taken() -> None:
    found = decide(MovePolicy(to_same_host=True), "CT_SCANNER", calling="X", address="10.1.2.4")

    assert found.peer == TWIN


@pytest.mark.parametrize(
    "calling,named,allowed",
    [
        ("WORKSTATION", "CT_SCANNER", True),
        ("CT_SCANNER", "CT_SCANNER", True),
        ("STRANGER", "CT_SCANNER", False),
    ],
)
def test_same_vendor_wants_both_titles_at_one_vendor(calling: str, named: str, allowed: bool) -> None:
    assert (decide(MovePolicy(to_same_vendor=True), named, calling=calling).peer is not None) is allowed


def test_a_group_is_no_vendor() -> None:
    group = Group(1, "BOTH", False, ("ct1", "ws"), (SCANNER, NAMED))

    assert decide(MovePolicy(to_same_vendor=True), "CT_SCANNER", groups=(group,)).peer is None


def test_restrictions_must_all_hold() -> None:
    both = MovePolicy(to_same_vendor=True, to_same_host=True)

    assert decide(both, "WORKSTATION").peer == NAMED
    assert decide(both, "CT_SCANNER").reason == (
        "ARCHIVE moves to the host that asks only, and 10.1.2.3 is not 10.9.9.9"
    )


@pytest.mark.parametrize(
    "listed,named,allowed",
    [
        ((NAMED,), "WORKSTATION", True),
        ((STAFF,), "WORKSTATION", True),
        ((STAFF,), "CT_SCANNER", False),
        ((), "WORKSTATION", False),
    ],
)
def test_a_list_of_peers_and_groups(listed: tuple[Peer | Group, ...], named: str, allowed: bool) -> None:
    found = decide(MovePolicy(to_listed=True, listed=listed), named)

    assert (found.peer is not None) is allowed
    if not allowed:
        assert "is not among the destinations of ARCHIVE" in found.reason
