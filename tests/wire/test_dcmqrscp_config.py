"""DCMTK's dcmqrscp takes the configuration that is written for it, and refuses what the reader here refuses."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from archive.errors import Misconfigured
from archive.registry.dcmqrscp_config import (
    ApplicationEntity,
    DcmqrscpConfig,
    Entry,
    Peer,
    ResponseCharacterSet,
    StorageQuota,
    write,
)
from archive.registry.dcmqrscp_reading import read
from scripts.background import Background, ProgramFailed, free_port
from tests.fix_dcmtk import Dcmtk

Start = Callable[[bytes], int]


@pytest.fixture
def start_dcmqrscp(tmp_path: Path) -> Iterator[Start]:
    """`start_dcmqrscp(configuration)` starts DCMTK's dcmqrscp; the port, or ProgramFailed with what it said."""
    started: list[Background] = []

    def begin(configuration: bytes) -> int:
        file = tmp_path / "dcmqrscp.cfg"
        file.write_bytes(configuration)
        port = free_port()
        command = [Dcmtk.program("dcmqrscp"), "-dhl", "-c", file, str(port)]
        started.append(Background(command, tmp_path / f"dcmqrscp-{len(started)}.log"))
        started[-1].wait_listening(port)
        return port

    yield begin
    for process in started:
        process.stop()


def test_dcmqrscp_takes_what_is_written(tmp_path: Path, dcmtk: Dcmtk, start_dcmqrscp: Start) -> None:
    area = tmp_path / "an area"
    area.mkdir()
    quota = StorageQuota(10, 1536 << 20)
    config = DcmqrscpConfig(
        max_pdu_bytes=32768,
        response_character_set=ResponseCharacterSet("ISO_IR 192", override=True, transliterate=True),
        hosts=(
            Entry("HostTable", (Peer("ONE", "127.0.0.1", 1),)),
            Entry("both of them", ("HostTable", Peer("TWO", "127.0.0.1", 2), Peer("FAR", "192.0.2.1", 3))),
        ),
        vendors=(Entry("Acme & Co, Springfield", ("both of them",)),),
        application_entities=(
            ApplicationEntity("GROUP", str(area), "RW", quota, ("both of them",)),
            ApplicationEntity("OPEN", str(area), "R", quota, None),
        ),
    )

    port = start_dcmqrscp(write(config))

    assert dcmtk.echo(port, called="GROUP", calling="ONE").is_ok
    assert dcmtk.echo(port, called="GROUP", calling="TWO").is_ok
    assert not dcmtk.echo(port, called="GROUP", calling="FAR").is_ok
    assert not dcmtk.echo(port, called="GROUP", calling="THREE").is_ok
    assert dcmtk.echo(port, called="OPEN", calling="THREE").is_ok
    assert not dcmtk.echo(port, called="CLOSED", calling="ONE").is_ok


ROW = b"AETable BEGIN\nA %s RW (9, 1gb) %s\nAETable END\n"
HOSTS = b"HostTable BEGIN\n%s\nHostTable END\n"
TAKEN = [
    b"",
    b" \n# x",
    b"NetworkType x\n",
    b"NetworkTCPPort abc\n",
    b"MaxPDUSize 0\n",
    b"SpecificCharacterSet = foo, override\n",
    b"SpecificCharacterSet = fallback",
    ROW % (b"/a", b"ANY foo"),
    ROW % (b"'/a)", b'(X, h, 1)(Y,h,2),"Z, h, 3"'),
    ROW % (b"/a", b"( X, h, 1)"),
    ROW % (b"/a", b"(X, h, 1), (Y, h, 2"),
    (ROW % (b"/a", b"ANY")).replace(b"\n", b"\r\n"),
    (ROW % (b"/a", b"ANY")).replace(b"(9, 1gb)", b"( 9 , 5B )"),
    HOSTS % b"a = (X,h,1)\nb = a, a\na = b",
    HOSTS % b'"HostTable" = (X,h,1)',
    b"HostTable = BEGIN x\nHostTable END x\n",
    b"  HostTable BEGIN\n  HostTable END",
    (HOSTS % b"a = (X,h,1)") * 2,
]
REFUSED = [
    b" # x\n",
    b"Foo\n",
    b"NetworkTCPPort=104\n",
    b"MaxPDUSize 100\n",
    ROW % (b"/a", b""),
    ROW % (b"/a", b"foo"),
    ROW % (b"/a", b"(X h)"),
    (ROW % (b"/a", b"ANY")).replace(b"(9, ", b"(0, "),
    (ROW % (b"/a", b"ANY")).replace(b"(9, 1gb)", b"9,1gb"),
    HOSTS % b"a = a",
    HOSTS % b"a =",
    HOSTS % b"a = b\nb = (X,h,1)",
    HOSTS % b"HostTable = (X,h,1)",
    HOSTS % b"AETable BEGIN",
    b"HostTable\n",
    b"HostTable END\n",
    b"HostTable FOO\n",
    b"HostTable BEGIN\n",
    b"HostTable BEGIN\nHostTable = END\n",
]


@pytest.mark.parametrize("configuration", TAKEN)
def test_what_dcmqrscp_takes_is_read(configuration: bytes, start_dcmqrscp: Start) -> None:
    read(configuration, "dcmqrscp.cfg")

    start_dcmqrscp(configuration)


@pytest.mark.parametrize("configuration", REFUSED)
def test_what_dcmqrscp_refuses_is_refused(configuration: bytes, start_dcmqrscp: Start) -> None:
    with pytest.raises(Misconfigured):
        read(configuration, "dcmqrscp.cfg")

    with pytest.raises(ProgramFailed, match=r"ended with 10[\s\S]*(CONFIG Error|MaxPDUSize)"):
        start_dcmqrscp(configuration)


# Taken by dcmqrscp (3.6.7) with another meaning than anybody can have had, or with none.
AMBIGUOUS = [
    b"MaxAssociations 0\n",
    (ROW % (b"/a", b"ANY")) * 2,
    (ROW % (b"/a", b"ANY")).replace(b"1gb", b"10tb"),
    (ROW % (b"/a", b"ANY")).replace(b"1gb", b"1024"),
    ROW % (b"/a", b"(X, h)"),
    ROW % (b"/a", b"(A B, h, 1)"),
    ROW % (b"/a", b"(X, h, 99999)"),
]


@pytest.mark.parametrize("configuration", AMBIGUOUS)
def test_what_dcmqrscp_takes_for_something_else_is_refused(configuration: bytes, start_dcmqrscp: Start) -> None:
    start_dcmqrscp(configuration)

    with pytest.raises(Misconfigured):
        read(configuration, "dcmqrscp.cfg")


def test_the_configuration_that_comes_with_dcmqrscp_is_read() -> None:
    file = Path("/etc/dcmtk/dcmqrscp.cfg")

    reading = read(file.read_bytes(), str(file))

    assert reading.config == DcmqrscpConfig(user_name="dcmtk", group_name="dcmtk")
    assert [each.text for each in reading.notices] == ["no AE title is defined: nobody can associate"]
