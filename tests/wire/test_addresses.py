"""The service at several addresses, in IPv4 and IPv6, and the names of callers in its log."""

import socket
from collections.abc import Callable

import pytest

from archive.registry import changes
from tests.fix_dcmtk import Dcmtk
from tests.wire.raw_messages import VERIFICATION, Proposed, associate_rq
from tests.wire.running import Archive


def test_a_service_listens_at_every_address_it_was_given(
    start_own_archive: Callable[..., Archive], dcmtk: Dcmtk
) -> None:
    archive = start_own_archive("--host", "127.0.0.1", "--host", "127.0.0.3", workers=2)

    for address in ("127.0.0.1", "127.0.0.3"):
        for _ in range(4):
            ran = dcmtk.run("echoscu", "-aec", archive.title, address, archive.port)
            assert ran.is_ok, ran
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", archive.port))
    output = archive.service.output()
    assert f"listening on 127.0.0.1:{archive.port}\nlistening on 127.0.0.3:{archive.port}\n" in output


@pytest.mark.parametrize("host", ["::", "0.0.0.0,::", "127.0.0.1,::1"])
def test_ipv4_and_ipv6_callers_are_served_side_by_side(start_own_archive: Callable[..., Archive], host: str) -> None:
    archive = start_own_archive("--host", host)
    archive.change(lambda connection: changes.add_rule(connection, str(archive.title), allows=True, network="::1/128"))

    for address in ("127.0.0.1", "::1"):
        with socket.create_connection((address, archive.port)) as connection:
            connection.settimeout(30)
            connection.sendall(associate_rq([Proposed(VERIFICATION)], called=str(archive.title)))
            assert connection.recv(6)[0] == 2, address


def test_the_log_names_the_host_of_a_caller_where_it_is_told_to(start_own_archive: Callable[..., Archive]) -> None:
    named, unnamed = start_own_archive("--host-lookup", "on"), start_own_archive()
    expected = socket.getnameinfo(("127.0.0.1", 0), 0)[0]

    for archive in (named, unnamed):
        archive.echo()
        with archive.associate(Proposed(VERIFICATION), calling="SOMEBODY") as scu:
            scu.release()

    assert f"peer=127.0.0.1 host={expected}" in named.service.output()
    assert "host=" not in unnamed.service.output()


def test_an_address_that_the_resolver_has_no_name_for_is_let_in_without_one(
    start_own_archive: Callable[..., Archive],
) -> None:
    """Whatever the resolver of this machine does about 127.77.77.77: no name, or no answer for many seconds."""
    archive = start_own_archive("--host", "0.0.0.0", "--host-lookup", "on")

    with socket.create_connection(("127.0.0.1", archive.port), source_address=("127.77.77.77", 0)) as connection:
        connection.settimeout(30)
        connection.sendall(associate_rq([Proposed(VERIFICATION)], called=str(archive.title)))
        assert connection.recv(6)[0] == 2
