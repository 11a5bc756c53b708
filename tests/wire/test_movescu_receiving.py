"""What comes to `archive movescu` itself: several associations at once, peers that do wrong, files, addresses."""

import resource
import socket
import subprocess
from pathlib import Path

import pytest
from pydicom import dcmread

from archive.dicom.transfer_syntax_presets import ACCEPT
from scripts.background import free_port
from tests.fix_association import WAIT_SECONDS
from tests.fix_instances import ct, data_set_bytes, encoded, instance
from tests.wire.raw_messages import (
    CT_IMAGE,
    DATA,
    EXPLICIT,
    IMPLICIT,
    PATIENT_ROOT_MOVE,
    SECONDARY_CAPTURE,
    Ended,
    Proposed,
    pdu,
    pdv,
)
from tests.wire.raw_scu import RawScu
from tests.wire.retrieving import (
    OURS,
    QUERY,
    Asked,
    Command,
    both,
    files_in,
    move,
    of_uid,
    pynetdicom_archive,
    retrieve_scp,
    run,
    storing,
)
from tests.wire.test_storescp import WITH_HOSTS_FILES


def test_several_associations_are_served_at_once(tmp_path: Path) -> None:
    port = free_port()
    made = [instance(number=number) for number in (1, 2, 3)]

    def serve(asked: Asked) -> None:
        scus = [RawScu(port).associate([Proposed(SECONDARY_CAPTURE)]) for _ in made]
        started = [
            (scu, each, scu.announce_store(SECONDARY_CAPTURE, each.SOPInstanceUID))
            for scu, each in zip(scus, made, strict=True)
        ]
        for scu, each, context in reversed(started):  # all of them wait for their data sets meanwhile
            scu.send_data_set(context.context_id, encoded(each))
            assert scu.receive().status == 0
        for scu in scus:
            scu.release()
        asked.answer(0)

    with retrieve_scp(serve) as scp:
        ran = move(OURS, tmp_path, scp.port, "+P", port, *QUERY)

    assert (ran.code, ran.error) == (0, "")
    assert files_in(tmp_path / "work") == sorted(f"SC.{each.SOPInstanceUID}" for each in made)


def test_a_peer_that_does_not_release_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    port = free_port()
    held: list[RawScu] = []

    def serve(asked: Asked) -> None:
        held.append(RawScu(port).associate([Proposed(SECONDARY_CAPTURE)]))
        assert held[0].store(SECONDARY_CAPTURE, instance().SOPInstanceUID, encoded(instance())).status == 0
        asked.answer(0)

    with retrieve_scp(serve) as scp:
        ran = move(OURS, tmp_path, scp.port, "+P", port, "-ta", "1", *QUERY)
    for scu in held:
        scu.socket.close()

    assert ran.code == 0
    assert "W: an association was not released; nothing came for 1 seconds" in ran.error
    assert files_in(tmp_path / "work") == [f"SC.{instance().SOPInstanceUID}"]


def test_what_is_still_under_way_after_the_last_response_is_received(tmp_path: Path) -> None:
    port = free_port()
    made = ct(side_pixels=256)

    def serve(asked: Asked) -> None:
        scu = RawScu(port).associate([Proposed(CT_IMAGE)])
        context = scu.announce_store(CT_IMAGE, made.SOPInstanceUID)
        asked.answer(0)
        assert asked.exchange.receive() is None  # released: the client knows that all has been answered
        scu.send_data_set(context.context_id, encoded(made))
        assert scu.receive().status == 0
        scu.release()

    with retrieve_scp(serve) as scp:
        ran = move(OURS, tmp_path, scp.port, "+P", port, *QUERY)

    assert (ran.code, ran.error) == (0, "")
    assert data_set_bytes(tmp_path / "work" / f"CT.{made.SOPInstanceUID}") == encoded(made)


def test_a_peer_that_dies_in_mid_object_leaves_no_file(tmp_path: Path) -> None:
    port = free_port()
    made = ct(side_pixels=256)

    def serve(asked: Asked) -> None:
        scu = RawScu(port).associate([Proposed(CT_IMAGE)])
        context = scu.announce_store(CT_IMAGE, made.SOPInstanceUID)
        scu.says(pdu(0x04, pdv(context.context_id, DATA, encoded(made)[:10_000])))
        scu.socket.close()
        asked.answer(0xB000, completed=0, failed=1, warning=0)

    with retrieve_scp(serve) as scp:
        ran = move(OURS, tmp_path, scp.port, "+P", port, *QUERY)

    assert ran.code == 68
    assert "DIMSE failure (the peer is gone)" in ran.error
    assert files_in(tmp_path / "work") == []


@pytest.mark.parametrize("option", ["", "+B"])
def test_what_is_not_the_instance_that_was_announced_is_refused_and_leaves_no_file(tmp_path: Path, option: str) -> None:
    port = free_port()
    statuses: list[int] = []

    def serve(asked: Asked) -> None:
        with RawScu(port) as scu:
            scu.associate([Proposed(SECONDARY_CAPTURE)])
            for content in (encoded(instance()), b"no data set at all", b""):
                statuses.append(scu.store(SECONDARY_CAPTURE, "1.2.3.4", content).status)
            statuses.append(scu.store(SECONDARY_CAPTURE, instance().SOPInstanceUID, encoded(instance())).status)
            scu.release()
        asked.answer(0xB000, completed=1, failed=3, warning=0)

    with retrieve_scp(serve) as scp:
        ran = move(OURS, tmp_path, scp.port, "+P", port, *option.split(), *QUERY)

    assert (ran.code, statuses) == (68, [0xA900, 0xC000, 0xC000, 0])
    assert ran.error.count("E: cannot store 1.2.3.4: ") == 3
    assert files_in(tmp_path / "work") == [f"SC.{instance().SOPInstanceUID}"]


def test_a_disk_that_is_full_is_answered_and_leaves_no_file(tmp_path: Path) -> None:
    """The same by a limit that any user can set: RLIMIT_FSIZE."""
    port = free_port()
    statuses: list[int] = []
    made = [ct(side_pixels=512), instance()]

    def serve(asked: Asked) -> None:
        with RawScu(port) as scu:
            scu.associate([Proposed(CT_IMAGE), Proposed(SECONDARY_CAPTURE)])
            for each in made:
                statuses.append(scu.store(str(each.SOPClassUID), str(each.SOPInstanceUID), encoded(each)).status)
            scu.release()
        asked.answer(0xB000, completed=1, failed=1, warning=0)

    with retrieve_scp(serve) as scp:
        words = [*OURS, "movescu", "+P", str(port), "-od", str(tmp_path), *QUERY, "127.0.0.1", str(scp.port)]
        limits = (100_000, 100_000)
        ran = subprocess.run(
            words, capture_output=True, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        )

    assert (ran.returncode, statuses) == (68, [0xA700, 0])
    assert b"E: cannot store" in ran.stderr
    assert files_in(tmp_path) == [f"SC.{instance().SOPInstanceUID}"]


@both
def test_pynetdicom_moves_to_it(tmp_path: Path, command: Command) -> None:
    port, received = free_port(), tmp_path / "received"
    received.mkdir()
    made = [instance(number=number) for number in (1, 2, 3)]
    with pynetdicom_archive(made, port) as peer:
        ran = move(command, tmp_path, peer, "+P", port, "-od", received, "-aem", "DESTINATION", *QUERY)

    assert ran.code == 0, ran.error
    assert files_in(received) == sorted(f"SC.{each.SOPInstanceUID}" for each in made)


@pytest.mark.parametrize("uid", ["../../outside", "/etc/outside", "..", "1.2/../../outside"])
def test_a_uid_never_leads_out_of_the_folder(tmp_path: Path, uid: str) -> None:
    port = free_port()
    received = tmp_path / "a" / "received"
    received.mkdir(parents=True)
    content = of_uid(uid)

    def serve(asked: Asked) -> None:
        with RawScu(port) as scu:
            scu.associate([Proposed(SECONDARY_CAPTURE)])
            scu.store(SECONDARY_CAPTURE, uid, content)
            scu.release()
        asked.answer(0)

    before = files_in(tmp_path)
    with retrieve_scp(serve) as scp:
        ran = move(OURS, tmp_path, scp.port, "+P", port, "-od", received, *QUERY)

    assert ran.code == 0
    assert set(files_in(tmp_path)) - set(before) == {f"a/received/{name}" for name in files_in(received)}
    assert all(name.startswith("SC.") for name in files_in(received))


@both
@pytest.mark.parametrize(
    "options", ["", "+te", "+tb", "+ti", "+td", "-F", "+B", "-u", "+g", "-g", "-e", "+p 512 16", "+td +cl 1", "-B"]
)
def test_data_sets_are_written_as_asked(tmp_path: Path, command: Command, options: str) -> None:
    """Bytes that storescp writes for the same options: a test of that holds them against DCMTK's."""
    made = instance(number=7)
    port, received = free_port(), tmp_path / "received"
    received.mkdir()
    with retrieve_scp(storing(lambda: port, made)) as scp:
        ran = move(command, tmp_path, scp.port, "+P", port, "-od", received, *options.split(), *QUERY)
    work = received if command == OURS or options != "+B" else tmp_path / "work"  # movescu 3.6.7 forgets -od with +B

    assert ran.code == 0, ran.error
    (path,) = (path for path in work.iterdir() if path.is_file())
    if options == "-F":
        assert path.read_bytes() == encoded(made)
    else:
        read = dcmread(path)
        assert read.PixelData == made.PixelData or options == "+tb"
        written = {"+tb": "1.2.840.10008.1.2.2", "+ti": IMPLICIT, "+td": "1.2.840.10008.1.2.1.99"}
        assert read.file_meta.TransferSyntaxUID == written.get(options.split(" +cl")[0], EXPLICIT)


@both
@pytest.mark.parametrize("option", ["", "+xe", "+xb", "+xi", "+xs", "+xv", "+xr", "+xd", "+xa"])
def test_what_comes_in_is_negotiated_as_by_movescu(tmp_path: Path, command: Command, option: str) -> None:
    names = {"": "uncompressed", "+xe": "little-endian", "+xb": "big-endian", "+xi": "implicit", "+xs": "jpeg-lossless"}
    names |= {"+xv": "j2k-lossless", "+xr": "rle", "+xd": "deflated", "+xa": "all"}
    expected = ACCEPT[names[option]][0]
    port = free_port()
    accepted: list[str] = []

    def serve(asked: Asked) -> None:
        with RawScu(port) as scu:
            scu.associate([Proposed(SECONDARY_CAPTURE, tuple(reversed(ACCEPT["all"]))), Proposed(PATIENT_ROOT_MOVE)])
            accepted.extend(each.transfer_syntax for each in scu.accepted)
            scu.release()
        asked.answer(0)

    with retrieve_scp(serve) as scp:
        assert move(command, tmp_path, scp.port, "+P", port, *option.split(), *QUERY).code == 0

    assert accepted == [expected]


@both
def test_ignored_instances_are_answered_with_success_and_not_kept(tmp_path: Path, command: Command) -> None:
    port = free_port()
    with retrieve_scp(storing(lambda: port, instance())) as scp:
        ran = move(command, tmp_path, scp.port, "+P", port, "--ignore", *QUERY)

    assert ran.code == 0
    assert files_in(tmp_path / "work") == []


def test_nobody_can_connect_without_a_port(tmp_path: Path) -> None:
    port = free_port()
    refused: list[bool] = []

    def serve(asked: Asked) -> None:
        try:
            RawScu(port).socket.close()
        except ConnectionRefusedError:
            refused.append(True)
        asked.answer(0)

    with retrieve_scp(serve) as scp:
        assert move(OURS, tmp_path, scp.port, "+P", port, "--no-port", *QUERY).code == 0

    assert refused == [True]


@pytest.mark.parametrize(
    "option, peer, hosts",
    [
        ("", "127.0.0.1", ["127.0.0.1"]),
        ("-i4", "127.0.0.1", ["127.0.0.1"]),
        ("-i6", "::1", ["::1"]),
        ("-i0", "::1", ["127.0.0.1", "::1"]),
        ("-i0", "127.0.0.1", ["127.0.0.1", "::1"]),
    ],
)
def test_it_listens_and_calls_by_the_ip_version(tmp_path: Path, option: str, peer: str, hosts: list[str]) -> None:
    port = free_port()
    reached: list[str] = []

    def serve(asked: Asked) -> None:
        for each in ("127.0.0.1", "::1"):
            try:
                socket.create_connection((each, port), WAIT_SECONDS).close()
            except ConnectionRefusedError:
                continue
            reached.append(each)
        asked.answer(0)

    with retrieve_scp(serve, host=peer) as scp:
        ran = run(OURS, "movescu", tmp_path, *option.split(), "+P", port, *QUERY, peer, scp.port)

    assert (ran.code, reached) == (0, hosts)


@pytest.mark.parametrize("option, host", [((), "localhost"), (("-dhl",), "127.0.0.1")], ids=["", "-dhl"])
def test_hosts_are_looked_up_unless_told_otherwise(tmp_path: Path, option: tuple[str, ...], host: str) -> None:
    port = free_port()
    with retrieve_scp(storing(lambda: port, instance())) as scp:
        ran = move(OURS, tmp_path, scp.port, "-d", "+P", port, *option, *QUERY)

    assert f"D: Sub-Association from {host}: RAWSCU -> ARCHIVE" in ran.error


@pytest.mark.parametrize("option, gets_in", [("+ac", False), ("-ac", True)])
def test_hosts_deny_decides_who_may_connect(tmp_path: Path, option: str, gets_in: bool) -> None:
    files = (tmp_path / "hosts.allow", tmp_path / "hosts.deny")
    for file, text in zip(files, ("", "movescu: ALL\n"), strict=True):
        file.write_text(text)
    port = free_port()
    got_in: list[bool] = []

    def serve(asked: Asked) -> None:
        with RawScu(port) as scu:
            try:
                scu.associate([Proposed(SECONDARY_CAPTURE)]).release()
            except (Ended, OSError):
                got_in.append(False)
            else:
                got_in.append(True)
        asked.answer(0)

    with retrieve_scp(serve) as scp:
        ran = move((*WITH_HOSTS_FILES, *map(str, files)), tmp_path, scp.port, "+P", port, option, *QUERY)

    assert (ran.code, got_in) == (0, [gets_in])
    assert ("TCP wrapper: denied connection from 127.0.0.1" in ran.error) == (not gets_in)
