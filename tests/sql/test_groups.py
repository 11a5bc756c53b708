"""Groups of peers, vendors, listed move destinations and network rules, as they are changed and read back."""

import threading

import pytest

from archive.database import transaction
from archive.database.engine import Database
from archive.errors import Misconfigured
from archive.registry import audit, changes, groups, model, network_changes, networks, snapshot
from archive.registry.model import Registry
from tests.fix_archive import FoundedArchive


def change(database: Database, work, *arguments, **named):
    return transaction.write(database, lambda connection: work(connection, *arguments, **named))


def registry(database: Database) -> Registry:
    with transaction.read(database) as connection:
        return snapshot.read(connection)


@pytest.fixture
def site(founded: FoundedArchive) -> Database:
    """Peers ct1, ct2, ws; group CTS of the first two, group ALL_PEERS of that and ws, vendor `Acme Medical` of CTS."""
    for name, port in (("ct1", 104), ("ct2", 104), ("ws", None)):
        change(founded.database, changes.add_peer, name, name.upper(), f"{name}.example", port)
    change(founded.database, groups.add_group, "CTS", ["ct1", "ct2"])
    change(founded.database, groups.add_group, "ALL_PEERS", ["CTS", "ws", "ws"])
    change(founded.database, groups.add_group, "Acme Medical", ["CTS"], is_vendor=True)
    return founded.database


def test_a_group_has_the_peers_of_the_groups_in_it(site: Database) -> None:
    known = registry(site).groups

    assert known["ALL_PEERS"].members == ("CTS", "ws")
    assert [peer.name for peer in known["ALL_PEERS"].peers] == ["ct1", "ct2", "ws"]
    assert [peer.name for peer in known["Acme Medical"].peers] == ["ct1", "ct2"]
    assert [group.is_vendor for group in known.values()] == [False, False, True]


def test_a_peer_in_two_ways_is_in_a_group_once(site: Database) -> None:
    change(site, groups.set_group, "ALL_PEERS", add=["ct1"])

    assert [peer.name for peer in registry(site).groups["ALL_PEERS"].peers] == ["ct1", "ct2", "ws"]


def test_members_come_and_go_with_a_note(site: Database) -> None:
    change(site, groups.set_group, "ALL_PEERS", add=["ct1"], remove=["CTS"])

    assert [peer.name for peer in registry(site).groups["ALL_PEERS"].peers] == ["ws", "ct1"]
    with transaction.read(site) as connection:
        [note] = audit.history(connection, limit=1)
    assert (note.action, note.subject, note.name) == ("set", "group", "ALL_PEERS")
    assert (note.before, note.after) == ({"members": ["CTS", "ws"]}, {"members": ["ct1", "ws"]})


@pytest.mark.parametrize("into, member", [("CTS", "CTS"), ("CTS", "ALL_PEERS")])
def test_a_group_is_never_in_itself(site: Database, into: str, member: str) -> None:
    with pytest.raises(Misconfigured, match="a circle has no end"):
        change(site, groups.set_group, into, add=[member])


def test_two_who_would_close_a_circle_together_do_not(site: Database) -> None:
    change(site, groups.add_group, "A")
    change(site, groups.add_group, "B")
    refused: list[Exception] = []

    def put(into: str, member: str) -> None:
        try:
            change(site, groups.set_group, into, add=[member])
        except Misconfigured as error:
            refused.append(error)

    threads = [threading.Thread(target=put, args=pair) for pair in (("A", "B"), ("B", "A"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(refused) == 1
    assert len(registry(site).groups["A"].members) + len(registry(site).groups["B"].members) == 1


_MISTAKES = (
    (changes.add_peer, ("CTS", "X", "h", 104), {}, "There is a group or vendor CTS already"),
    (groups.add_group, ("ct1",), {}, "There is a peer ct1 already"),
    (groups.add_group, ("CTS",), {}, "There is a group or vendor CTS already"),
    (groups.add_group, ("a,b",), {}, "The name of a group is 1 to 64"),
    (groups.add_group, ("NEW", ["nobody"]), {}, "There is no peer and no group nobody"),
    (groups.set_group, ("NONE",), {}, "There is no group or vendor NONE; run: archive group list"),
    (groups.set_group, ("CTS",), {"remove": ["ws"]}, "ws is not in group CTS"),
    (groups.set_destinations, ("ARCHIVE",), {"add": ["ws"]}, "only calls; give it a port"),
    (groups.set_destinations, ("ARCHIVE",), {"remove": ["ct1"]}, "not among the destinations of ARCHIVE"),
    (changes.add_rule, ("ARCHIVE",), {"allows": True, "group": "Acme Medical"}, "is a vendor; write --vendor"),
    (changes.add_rule, ("ARCHIVE",), {"allows": True, "group": "CTS", "network": "10.0.0.1"}, "A rule is for a peer"),
    (network_changes.add_rule, ("10.1.2.3/16",), {"accepts": True}, "write 10.1.0.0/16"),
    (network_changes.add_rule, ("ALL",), {"accepts": True, "before": 9}, "no network rule 9"),
    (network_changes.remove_rule, (9,), {}, "no network rule 9; run: archive network list"),
)


def test_a_mistake_is_a_sentence_and_changes_nothing(site: Database) -> None:
    before = registry(site)

    for work, arguments, named, sentence in _MISTAKES:
        with pytest.raises(Misconfigured, match=sentence):
            change(site, work, *arguments, **named)

    assert registry(site) == before


def test_a_group_takes_its_rules_with_it_and_leaves_its_peers(site: Database) -> None:
    change(site, changes.add_rule, "ARCHIVE", allows=False, group="CTS")
    change(site, groups.set_destinations, "ARCHIVE", add=["CTS", "ct1"])

    change(site, groups.remove_group, "CTS")

    known = registry(site)
    assert [rule.group for rule in known.titles["ARCHIVE"].rules] == [None, None]
    assert [each.name for each in known.titles["ARCHIVE"].policy.moves.listed] == ["ct1"]
    assert list(known.peers) == ["ct1", "ct2", "ws"]
    assert known.groups["ALL_PEERS"].members == ("ws",)


def test_a_peer_leaves_its_groups_and_destinations_with_a_note(site: Database) -> None:
    change(site, groups.set_destinations, "ARCHIVE", add=["ct1"])

    change(site, changes.remove_peer, "ct1")

    assert registry(site).groups["CTS"].members == ("ct2",)
    with transaction.read(site) as connection:
        [note] = audit.history(connection, subject="peer", name="ct1", limit=1)
    assert note.before is not None
    assert (note.before["groups"], note.before["destination_of"]) == (["CTS"], ["ARCHIVE"])


def test_a_list_of_destinations_that_became_empty_restricts_all_the_same(site: Database) -> None:
    change(site, changes.set_title, "ARCHIVE", {"moves_to_listed": True})
    change(site, groups.set_destinations, "ARCHIVE", add=["ct1"])

    change(site, changes.remove_peer, "ct1")

    moves = registry(site).titles["ARCHIVE"].policy.moves
    assert (moves.to_listed, moves.listed) == (True, ())


def test_a_deny_without_operations_is_about_shutdown_too_and_an_allow_is_not(site: Database) -> None:
    change(site, changes.add_rule, "ARCHIVE", allows=True, group="CTS")
    change(site, changes.add_rule, "ARCHIVE", allows=False, vendor="Acme Medical")

    allow, deny = registry(site).titles["ARCHIVE"].rules[-2:]
    assert "shutdown" not in allow.operations
    assert "shutdown" in deny.operations


def test_policies_of_a_title_are_read_back(site: Database) -> None:
    given = {
        "moves_to_same_host": True,
        "allows_get": False,
        "allows_patient_root": False,
        "requires_find": True,
        "allows_parallel_store": False,
        "refuses": True,
        "requires_implementation_uid": True,
        "max_associations": 3,
        "max_associations_per_caller": 2,
    }
    change(site, changes.add_title, "NEW", "ARCHIVE", "RW", given)

    policy = registry(site).titles["NEW"].policy
    assert policy.moves.to_same_host
    assert {name: getattr(policy, name) for name in given if name != "moves_to_same_host"} == {
        name: value for name, value in given.items() if name != "moves_to_same_host"
    }
    default = registry(site).titles["ARCHIVE"].policy
    assert default == model.TitlePolicy()


def test_network_rules_keep_the_order_they_are_given(site: Database) -> None:
    last = change(site, network_changes.add_rule, "ALL", accepts=False)
    first = change(site, network_changes.add_rule, "10.1.", accepts=True, first=True)
    between = change(site, network_changes.add_rule, "10.2.0.0/16 EXCEPT 10.2.2.2", accepts=True, before=last)
    change(site, network_changes.append_rules, [(True, networks.parse("192.0.2.1"))])

    rules = registry(site).network_rules

    assert [rule.pk for rule in rules][:3] == [first, between, last]
    assert [str(rule.clients) for rule in rules] == [
        "10.1.0.0/16",
        "10.2.0.0/16 EXCEPT 10.2.2.2",
        "ALL",
        "192.0.2.1",
    ]
    change(site, network_changes.remove_rule, between)
    assert [rule.accepts for rule in registry(site).network_rules] == [True, False, True]


def test_a_registry_is_read_as_it_is_at_one_moment(site: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody allows a new peer between two statements of the reader: the rule must not seem to be for anybody."""
    read_once = snapshot.read_revision
    interruptions = iter([True])

    def interrupted(connection) -> int:
        revision = read_once(connection)
        if next(interruptions, False):

            def allow(inner) -> None:
                changes.add_peer(inner, "late", "LATE", "10.9.9.9", 104)
                changes.add_rule(inner, "ARCHIVE", allows=True, peer="late")

            transaction.write(site, allow)
        return revision

    monkeypatch.setattr(snapshot, "read_revision", interrupted)

    before, after = registry(site), registry(site)

    assert [rule.peer and rule.peer.name for rule in before.titles["ARCHIVE"].rules] == [None, None]
    assert [rule.peer and rule.peer.name for rule in after.titles["ARCHIVE"].rules] == [None, None, "late"]
    assert ("late" in before.peers, before.revision < after.revision) == (False, True)
