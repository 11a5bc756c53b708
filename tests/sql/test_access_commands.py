"""`archive group`, `archive network`, and what `archive ae`, `peer` and `rule` say of access."""

from pathlib import Path

import pytest

from tests.fix_archive import FoundedArchive
from tests.fix_command import Run


@pytest.fixture
def site(run: Run, archive: FoundedArchive) -> Run:
    """Peers CT1, WS1, and WARD that only calls; group SCANNERS of CT1, vendor `Acme Medical` of SCANNERS and WS1."""
    run("group", "add", "SCANNERS")
    run("peer", "add", "CT1", "--title", "CT", "--host", "10.1.2.3", "--port", 104, "--group", "SCANNERS")
    run("peer", "add", "WS1", "--title", "WS", "--host", "10.1.9.9", "--port", 104)
    run("peer", "add", "WARD", "--title", "WARD", "--host", "10.1.6.0/24")
    run("group", "add", "Acme Medical", "--vendor", "--member", "SCANNERS", "--member", "WS1")
    return run


def test_groups_and_who_is_in_them_are_listed(site: Run) -> None:
    assert site("group", "list", "--json").json == [
        {"name": "SCANNERS", "kind": "group", "members": ["CT1"], "peers": ["CT1"]},
        {"name": "Acme Medical", "kind": "vendor", "members": ["SCANNERS", "WS1"], "peers": ["CT1", "WS1"]},
    ]
    site("peer", "set", "WS1", "--group", "SCANNERS", "--leave", "Acme Medical")
    listed = {row["name"]: row for row in site("peer", "list", "--json").json}
    assert (listed["WS1"]["groups"], listed["WS1"]["vendors"]) == (["SCANNERS"], [])
    assert (listed["WARD"]["host"], listed["WARD"]["port"]) == ("10.1.6.0/24", None)
    site("group", "set", "SCANNERS", "--remove-member", "CT1", "--add-member", "WARD")
    assert site("group", "list", "--json").json[0]["members"] == ["WS1", "WARD"]
    site("group", "remove", "Acme Medical")
    assert [row["name"] for row in site("group", "list", "--json").json] == ["SCANNERS"]


def test_a_peer_without_port_only_calls_and_is_told_so(site: Run) -> None:
    assert "without a port no C-MOVE can go to it" in site("peer", "add", "X", "--title", "X", "--host", "10.1.2.4").out
    assert "only calls; give it a port: archive peer set WARD --port PORT" in site("peer", "echo", "WARD", code=2).error
    assert "whose host is a network only calls" in site("peer", "set", "WARD", "--port", 104, code=2).error
    site("peer", "set", "CT1", "--port", "none")
    site("peer", "set", "CT1", "--host", "10.1.7.0/24")
    assert "whose host is a network" in site("peer", "set", "WS1", "--host", "10.1.7.0/24", code=2).error


def test_a_vendor_is_not_named_as_a_group(site: Run) -> None:
    said = site("peer", "set", "CT1", "--group", "Acme Medical", code=2)

    assert said.error == "Acme Medical is a vendor; write --vendor Acme Medical.\n"
    assert site("group", "list", "--json").json[1]["members"] == ["SCANNERS", "WS1"]


def test_rules_speak_of_groups_vendors_and_shutdown(site: Run) -> None:
    site("rule", "allow", "--at", "ARCHIVE", "--group", "SCANNERS")
    site("rule", "allow", "--at", "ARCHIVE", "--peer", "WS1", "--can", "shutdown")
    site("rule", "deny", "--at", "ARCHIVE", "--vendor", "Acme Medical")

    rows = site("rule", "list", "--json").json[2:]

    assert [(row["who"], row["can"][-1]) for row in rows] == [
        ("--group SCANNERS", "get"),
        ("--peer WS1", "shutdown"),
        ("--vendor 'Acme Medical'", "shutdown"),
    ]


def test_settings_of_a_title_are_set_shown_and_listed(site: Run) -> None:
    site("ae", "set", "ARCHIVE", "--moves-to", "same-host,same-vendor", "--no-get", "--require-find")
    site("ae", "set", "ARCHIVE", "--max-associations", 5, "--max-associations-per-caller", 2, "--no-parallel-store")

    row = site("ae", "list", "--json").json[0]
    assert row["moves_to"] == ["same-host", "same-vendor"]
    assert row["restrictions"] == [
        "no-get",
        "require-find",
        "no-parallel-store",
        "max-associations=5",
        "max-associations-per-caller=2",
    ]
    site("ae", "set", "ARCHIVE", "--moves-to", "anywhere", "--get", "--max-associations", "none")
    shown = site("ae", "show", "ARCHIVE", "--json").json
    assert (shown["moves_to"], shown["get"], shown["max_associations"]) == (["anywhere"], True, None)
    assert (shown["require_find"], shown["max_associations_per_caller"]) == (True, 2)
    assert shown["rules"][0] == "rule 1: allow --any --from 127.0.0.0/8 echo,store,find,move,get"


def test_who_lists_a_destination_restricts_moves_to_the_list(site: Run) -> None:
    site("ae", "add", "NEW", "--area", "ARCHIVE", "--access", "R", "--add-destination", "SCANNERS")
    site("ae", "set", "NEW", "--add-destination", "WS1", "--remove-destination", "SCANNERS")

    shown = site("ae", "show", "NEW", "--json").json
    assert (shown["moves_to"], shown["destinations"]) == (["listed"], ["WS1"])
    assert "only calls" in site("ae", "set", "NEW", "--add-destination", "WARD", code=2).error
    assert (
        "add that word" in site("ae", "set", "NEW", "--add-destination", "CT1", "--moves-to", "same-host", code=2).error
    )
    assert "expected anywhere, or a list of" in site("ae", "set", "NEW", "--moves-to", "nowhere", code=2).error


def test_a_title_offers_one_model_at_least(site: Run) -> None:
    site("ae", "set", "ARCHIVE", "--no-patient-root", "--no-study-root")

    assert "at least one of" in site("ae", "set", "ARCHIVE", "--no-patient-study-only", code=2).error


def test_explain_says_which_network_rule_closes_a_connection(site: Run) -> None:
    site("network", "deny", "10.1.2.0/24")
    ask = ("rule", "explain", "--at", "ARCHIVE", "--title", "CT", "--from", "10.1.2.3", "--json")

    assert site(*ask, code=1).json == [
        {
            "operation": "connect",
            "allowed": False,
            "reason": "network rule 1: deny 10.1.2.0/24 denies connections from 10.1.2.3",
        }
    ]


def test_explain_says_what_the_title_does_not_offer_and_what_else_must_hold(site: Run) -> None:
    site("rule", "allow", "--at", "ARCHIVE", "--group", "SCANNERS")
    site("ae", "set", "ARCHIVE", "--no-get", "--require-find", "--no-parallel-store", "--no-patient-root")
    ask = ("rule", "explain", "--at", "ARCHIVE", "--title", "CT", "--from", "10.1.2.3", "--json")

    reasons = {row["operation"]: row["reason"] for row in site(*ask).json}

    rule = "rule 3: allow --group SCANNERS echo,store,find,move,get allows it"
    assert reasons == {
        "connect": "no network rule speaks of 10.1.2.3",
        "echo": rule,
        "store": f"{rule}, and no other association may be storing",
        "find": f"{rule}, and not in Patient Root",
        "move": f"{rule}, and a C-FIND of the same model must be accepted beside it, and not in Patient Root",
        "get": "ARCHIVE does not offer C-GET",
    }
    site("ae", "set", "ARCHIVE", "--refuse")
    assert [row["reason"] for row in site(*ask, "--can", "echo", code=1).json][1:] == [
        "ARCHIVE refuses every association"
    ]


def test_explain_says_where_a_move_may_go(site: Run) -> None:
    site("rule", "allow", "--at", "ARCHIVE", "--vendor", "Acme Medical")
    ask = ("rule", "explain", "--at", "ARCHIVE", "--title", "WS", "--from", "10.1.9.9", "--can", "move", "--json")

    def to(destination: str) -> tuple[bool, str]:
        row = site(*ask, "--to", destination).json[2]
        assert row["operation"] == f"move to {destination}"
        return row["allowed"], row["reason"]

    assert to("CT") == (True, "CT is peer CT1 at 10.1.2.3 port 104")
    assert to("WARD") == (False, "WARD is a peer that only calls: it has no port")
    assert to("NOBODY") == (False, "NOBODY is not a peer of ours")
    site("ae", "set", "ARCHIVE", "--moves-to", "same-host")
    assert to("CT") == (False, "ARCHIVE moves to the host that asks only, and 10.1.2.3 is not 10.1.9.9")
    assert to("WS")[0]


def test_explain_asks_for_shutdown_only_when_told_to(site: Run) -> None:
    ask = ("rule", "explain", "--at", "ARCHIVE", "--title", "WS", "--from", "127.0.0.1", "--json")

    assert "shutdown" not in [row["operation"] for row in site(*ask).json]
    [_, row] = site(*ask, "--can", "shutdown", code=1).json
    assert row["reason"] == "no rule at ARCHIVE lets WS from 127.0.0.1 shutdown"


def test_network_rules_are_added_listed_explained_and_removed(site: Run) -> None:
    site("network", "deny", "ALL")
    said = site("network", "allow", "10.1.0.0/16", "EXCEPT", "10.1.66.0/24", "--first")
    site("network", "allow", "192.0.2.7", "--before", 1)

    assert said.out == "Network rule 2: allow 10.1.0.0/16 EXCEPT 10.1.66.0/24 (place 1 of 2).\n"
    assert [(row["number"], row["action"], row["clients"]) for row in site("network", "list", "--json").json] == [
        (2, "allow", "10.1.0.0/16 EXCEPT 10.1.66.0/24"),
        (3, "allow", "192.0.2.7"),
        (1, "deny", "ALL"),
    ]
    assert site("network", "explain", "10.1.2.3", "--json").json["allowed"] is True
    closed = site("network", "explain", "10.1.66.1", "--json", code=1).json
    assert closed["reason"] == "network rule 1: deny ALL denies connections from 10.1.66.1"
    site("network", "remove", 1)
    assert site("network", "explain", "10.1.66.1").out.splitlines()[1] == "allowed  yes"
    assert "exclude each other" in site("network", "deny", "ALL", "--first", "--before", 2, code=2).error
    assert "no network rule 9" in site("network", "remove", 9, code=2).error


def test_hosts_allow_and_hosts_deny_are_taken_over(site: Run, tmp_path: Path) -> None:
    allow, deny = tmp_path / "hosts.allow", tmp_path / "hosts.deny"
    allow.write_text("# who may\nsshd: ALL\ndcmqrscp storescp: 10.1. EXCEPT 10.1.66.\n")
    deny.write_text("ALL: ALL\n")

    tried = site("network", "import", allow, deny, "--dry-run", "--json").json["rules"]
    assert site("network", "list", "--json").json == []
    taken = site("network", "import", allow, deny)

    assert [(row["line"], row["action"], row["clients"]) for row in tried] == [
        (3, "allow", "10.1.0.0/16 EXCEPT 10.1.66.0/24"),
        (1, "deny", "ALL"),
    ]
    assert taken.error == "2 rules are taken over.\n"
    assert [row["clients"] for row in site("network", "list", "--json").json] == [row["clients"] for row in tried]
    assert site("network", "import", allow, "--daemon", "imagectn").error.startswith("No line speaks of imagectn")


def test_a_line_that_runs_a_command_is_refused_and_nothing_is_taken_over(site: Run, tmp_path: Path) -> None:
    deny = tmp_path / "hosts.deny"
    deny.write_text("ALL: 192.0.2.1\nALL: ALL: spawn (mail root) &\n")

    said = site("network", "import", deny, code=2)

    assert "The file cannot be read" in site("network", "import", tmp_path / "none", code=2).error
    assert f"{deny}, line 2: Nothing is run or set when a client connects" in said.error
    assert "Nothing is taken over" in said.error
    assert site("network", "list", "--json").json == []
