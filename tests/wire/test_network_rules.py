"""Whose connections are closed before anything is read of them; whoever is not, is asked for its titles."""

from collections.abc import Callable

import pytest

from archive.database.dialects import Connection
from archive.registry import network_changes
from tests.fix_dcmtk import Dcmtk
from tests.wire.raw_messages import VERIFICATION, Ended, Proposed, associate_rq
from tests.wire.raw_scu import RawScu
from tests.wire.running import Archive

Start = Callable[..., Archive]


@pytest.fixture
def archive(start_own_archive: Start) -> Archive:
    """An archive of the test's own: what is closed here is closed for everybody."""
    return start_own_archive()


def rule(archive: Archive, clients: str, *, accepts: bool) -> None:
    def work(connection: Connection) -> None:
        network_changes.add_rule(connection, clients, accepts=accepts)

    archive.change(work)


def is_taken(archive: Archive, source: str = "127.0.0.1") -> bool:
    """Whether a request from there is accepted; otherwise not a byte comes back."""
    with RawScu(archive.port, source=source) as scu:
        try:
            scu.says(associate_rq([Proposed(VERIFICATION)], called=archive.title.name))
            answer, _ = scu.hears()
        except (Ended, BrokenPipeError, ConnectionResetError):
            return False
    assert answer == 0x02, "something else than an acceptance"
    return True


def test_without_rules_every_connection_is_taken(archive: Archive) -> None:
    assert is_taken(archive)


def test_a_connection_is_closed_without_a_pdu_and_before_one_is_read(archive: Archive) -> None:
    rule(archive, "127.0.0.1", accepts=False)

    with RawScu(archive.port) as scu:
        assert scu.hears_end() is None  # though nothing was said

    assert not is_taken(archive)
    assert "connection closed: network rule 1: deny 127.0.0.1 denies connections from 127.0.0.1" in (
        archive.service.output()
    )


def test_echoscu_is_told_nothing(archive: Archive, dcmtk: Dcmtk) -> None:
    rule(archive, "ALL", accepts=False)

    ran = dcmtk.echo(archive.port)

    assert not ran.is_ok
    assert "Rejected" not in ran.output, ran


def test_the_first_rule_that_speaks_of_a_client_decides(archive: Archive) -> None:
    rule(archive, "127.0.0.8/29 EXCEPT 127.0.0.9", accepts=True)
    rule(archive, "127.0.0.0/28", accepts=False)

    taken = {last: is_taken(archive, f"127.0.0.{last}") for last in (1, 8, 9, 15, 16)}

    assert taken == {1: False, 8: True, 9: False, 15: True, 16: True}


def test_names_are_looked_up_and_believed_when_they_lead_back(archive: Archive) -> None:
    rule(archive, "LOCAL", accepts=True)  # 127.0.0.1 is called localhost, and localhost is 127.0.0.1
    rule(archive, "ALL", accepts=False)

    assert is_taken(archive)
    assert not is_taken(archive, "127.0.0.77")


def test_a_host_name_stands_for_its_addresses(archive: Archive) -> None:
    rule(archive, "localhost", accepts=False)

    assert not is_taken(archive)
    assert is_taken(archive, "127.0.0.77")


def test_a_rule_made_by_command_counts_for_the_next_connection(archive: Archive) -> None:
    with archive.associate(Proposed(VERIFICATION)) as before:
        archive.service.run("network", "deny", "127.0.0.0/8")

        assert before.echo() == 0
        assert not is_taken(archive)

        archive.service.run("network", "allow", "127.0.0.1", "--first")

        assert is_taken(archive)
