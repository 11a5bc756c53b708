"""Where a C-MOVE may go from an AE title, by movescu to storescp; what is refused is A801 with no counts."""

import pytest

from archive.database.dialects import Connection
from archive.registry import changes, groups
from tests.fix_dcmtk import Dcmtk, ExitCode, Receiver
from tests.fix_instances import instance
from tests.wire.raw_messages import STUDY_ROOT_MOVE, Proposed
from tests.wire.running import Archive, identifier

KEYS = ("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={instance().StudyInstanceUID}")


@pytest.fixture
def stored(archive: Archive) -> Archive:
    archive.store(instance())
    return archive


def moves(archive: Archive, dcmtk: Dcmtk, destination: str, *, calling: str = "MOVESCU") -> bool:
    """Whether movescu may send it there; false for an unknown destination, and nothing else."""
    ran = dcmtk.move(archive.port, destination, *KEYS, called=archive.title.name, calling=calling)
    if ran.is_ok:
        return True
    assert ran.code == ExitCode.CMOVE_ERROR, ran
    assert "MoveDestinationUnknown" in ran.output, ran
    return False


def test_a_title_may_move_to_the_calling_title_only(stored: Archive, dcmtk: Dcmtk, storescp: Receiver) -> None:
    mine, other = stored.add_peer(storescp.port), stored.add_peer(storescp.port)
    stored.set_title(stored.title, moves_to_same_title=True)

    assert moves(stored, dcmtk, mine, calling=mine)
    assert not moves(stored, dcmtk, other, calling=mine)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LocalHost"])
def test_d28_a_title_may_move_to_the_host_that_asks_however_that_is_written(
    stored: Archive, dcmtk: Dcmtk, storescp: Receiver, host: str
) -> None:
    here, elsewhere = stored.add_peer(storescp.port, host=host), stored.add_peer(storescp.port, host="192.0.2.1")
    stored.set_title(stored.title, moves_to_same_host=True)

    assert moves(stored, dcmtk, here)
    assert not moves(stored, dcmtk, elsewhere)


def test_a_title_may_move_to_the_same_vendor_only(stored: Archive, dcmtk: Dcmtk, storescp: Receiver) -> None:
    mine, sibling, other = (stored.add_peer(storescp.port) for _ in range(3))

    def work(connection: Connection) -> None:
        groups.add_group(connection, f"{stored.title} Medical", [mine, sibling], is_vendor=True)
        groups.add_group(connection, f"{stored.title} all", [mine, sibling, other])
        changes.set_title(connection, stored.title.name, {"moves_to_same_vendor": True})

    stored.change(work)

    assert moves(stored, dcmtk, sibling, calling=mine)
    assert not moves(stored, dcmtk, other, calling=mine)
    assert not moves(stored, dcmtk, sibling, calling="STRANGER")


def test_a_title_may_move_to_listed_destinations_only(stored: Archive, dcmtk: Dcmtk, storescp: Receiver) -> None:
    listed, in_group, other = (stored.add_peer(storescp.port) for _ in range(3))

    def work(connection: Connection) -> None:
        groups.add_group(connection, f"{stored.title}-group", [in_group])
        groups.set_destinations(connection, stored.title.name, add=[listed, f"{stored.title}-group"])
        changes.set_title(connection, stored.title.name, {"moves_to_listed": True})

    stored.change(work)

    assert moves(stored, dcmtk, listed)
    assert moves(stored, dcmtk, in_group)
    assert not moves(stored, dcmtk, other)


def test_restrictions_of_moves_must_all_hold(stored: Archive, dcmtk: Dcmtk, storescp: Receiver) -> None:
    here, elsewhere = stored.add_peer(storescp.port), stored.add_peer(storescp.port, host="192.0.2.1")
    stored.set_title(stored.title, moves_to_same_title=True, moves_to_same_host=True)

    assert moves(stored, dcmtk, here, calling=here)
    assert not moves(stored, dcmtk, elsewhere, calling=elsewhere)
    assert not moves(stored, dcmtk, here, calling=elsewhere)


def test_a_refused_destination_has_no_counts_and_no_list(stored: Archive) -> None:
    peer = stored.add_peer(104)
    stored.set_title(stored.title, moves_to_listed=True)

    with stored.associate(Proposed(STUDY_ROOT_MOVE)) as scu:
        wanted = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=instance().StudyInstanceUID)
        (response,) = scu.move(STUDY_ROOT_MOVE, wanted, peer)
        scu.release()

    assert response.status == 0xA801
    assert response.counters == (None, 0, 0, 0)
    assert response.data_set is None
    assert f"peer {peer} is not among the destinations of {stored.title}" in stored.service.output()


def test_a_peer_that_only_calls_is_no_destination(stored: Archive, dcmtk: Dcmtk) -> None:
    name = f"{stored.title}W"
    stored.change(lambda connection: changes.add_peer(connection, name, name, "127.0.0.0/8"))

    assert not moves(stored, dcmtk, name)
