"""What a dcmqrscp.cfg means as rows."""

from pathlib import Path

from archive.registry import dcmqrscp_reading, dcmqrscp_rows
from archive.registry.dcmqrscp_rows import AreaRow, GroupRow, PeerRow, Site, TitleRow

HEAD = "NetworkTCPPort = 104\n"


def site(hosts: str = "", vendors: str = "", titles: str = "") -> Site:
    tables = (("HostTable", hosts), ("VendorTable", vendors), ("AETable", titles))
    text = HEAD + "".join(f"{name} BEGIN\n{rows}{name} END\n" for name, rows in tables)
    return dcmqrscp_rows.site(dcmqrscp_reading.read(text.encode(), "test.cfg").config, Path("/start"))


def said(found: Site) -> str:
    return "\n".join(notice.text for notice in found.notices)


def test_a_line_with_one_peer_is_that_peer_and_any_other_a_group() -> None:
    found = site(
        "ct = (CT1, ct.example, 104)\nmr = (MR1, mr.example, 0)\nall = ct, mr, (US1, us.example, 105)\nalias = all\n",
        titles="A /a RW (5, 1kb) alias\n",
    )

    assert found.peers == (
        PeerRow("ct", "CT1", "ct.example", 104),
        PeerRow("mr", "MR1", "mr.example", None),
        PeerRow("US1", "US1", "us.example", 105),
    )
    assert found.groups == (GroupRow("all", False, ("ct", "mr", "US1")), GroupRow("alias", False, ("all",)))
    assert found.titles == (TitleRow("A", "A", "RW", ("alias",)),)


def test_peers_come_in_the_order_in_which_move_destinations_are_looked_for() -> None:
    found = site("first = (X, one, 1)\nsecond = (X, two, 2)\n", titles="A /a RW (5, 1kb) second\n")

    assert [peer.name for peer in found.peers] == ["second", "first"]


def test_a_peer_of_the_vendor_table_only_is_no_destination() -> None:
    found = site("known = (X, one, 1)\n", vendors='"Acme" = known, (Y, two, 2), (X, one, 1)\n')

    assert found.peers == (PeerRow("known", "X", "one", 1), PeerRow("Y", "Y", "two", None))
    assert found.groups == (GroupRow("Acme", True, ("known", "Y")),)
    assert said(found) == "Y is in the vendor table only: as for dcmqrscp, no C-MOVE goes to it"


def test_the_same_triple_is_one_peer_wherever_it_is_written() -> None:
    found = site("x = (X, one, 1)\n", titles="A /a RW (5, 1kb) (X, one, 1)\nB /b R (5, 1kb) x\n")

    assert [peer.name for peer in found.peers] == ["x"]
    assert [title.callers for title in found.titles] == [("x",), ("x",)]


def test_names_that_collide_or_are_not_allowed_are_changed_and_that_is_said() -> None:
    found = site("acme = (X, one, 1), (Y, two, 2)\n", vendors='"acme" = acme\n"Ä & Co" = acme\n')

    assert [(group.name, group.is_vendor) for group in found.groups] == [
        ("acme", False),
        ("acme-2", True),
        ("Co", True),
    ]
    assert [group.members for group in found.groups[1:]] == [("acme",), ("acme",)]
    assert "acme is called acme-2 here" in said(found)


def test_titles_of_one_folder_share_an_area_with_the_first_quota() -> None:
    found = site(titles="A /x RW (5, 1kb) ANY\nB /x R (9, 1kb) ANY\nC sub W (1, 1gb) ANY\n")

    quota = {"max_studies": 5, "max_study_bytes": 1024, "on_full": "evict"}
    assert found.areas == (
        AreaRow("A", "/x", quota),
        AreaRow("C", "/start/sub", {"max_studies": 1, "max_study_bytes": 2**30, "on_full": "evict"}),
    )
    assert [(title.title, title.area, title.access, title.callers) for title in found.titles] == [
        ("A", "A", "RW", None),
        ("B", "A", "R", None),
        ("C", "C", "W", None),
    ]
    assert "B shares the area of A: the quota of A counts" in said(found)


def test_a_title_of_two_lines_has_the_callers_of_both() -> None:
    found = site(titles="A /x RW (5, 1kb) (X, one, 1)\nA /y R (9, 1kb) (Y, two, 2)\n")

    assert found.titles == (TitleRow("A", "A", "RW", ("X", "Y")),)


def test_another_word_of_access_is_read_only_as_for_dcmqrscp() -> None:
    assert [title.access for title in site(titles="A /x rw (5, 1kb) ANY\n").titles] == ["R"]


def test_what_cannot_be_a_peer_or_a_title_here_is_left_out_and_said() -> None:
    found = site(
        "good = (X, one, 1)\nbad = (SEVENTEEN_LETTERS, one, 1)\nworse = (Y, 1.2.3.256, 1)\n",
        titles="A /x RW (5, 1kb) good, bad, worse\nSEVENTEEN_LETTERS /y RW (5, 1kb) ANY\n",
    )

    assert [peer.name for peer in found.peers] == ["good"]
    assert [title.title for title in found.titles] == ["A"]
    assert [area.name for area in found.areas] == ["A"]
    assert "(SEVENTEEN_LETTERS, one, 1) is left out" in said(found)
    assert "(Y, 1.2.3.256, 1) is left out" in said(found)
    assert "SEVENTEEN_LETTERS is left out" in said(found)
