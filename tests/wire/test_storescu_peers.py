"""storescu, ours, with peers that refuse, end early or are slow; several associations, other values, TLS, users."""

import os
import pty
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import FileDataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

from archive.registry import changes, passwords
from archive.upper_layer import negotiation
from archive.upper_layer.proposal import Agreement, AnsweredContext, ContextResult
from scripts.background import Background
from tests.fix_dcmtk import Receiver
from tests.fix_instances import ct, encoded, instance, part10_bytes, write
from tests.fix_tls import Authority, Identity
from tests.wire.receivers import closes_at_once, pynetdicom_scp, raw_acceptor, rejects, says_nothing
from tests.wire.running import Archive, becomes_true
from tests.wire.sending import SECONDS, several, sop_instance_uids, storescu
from tests.wire.storage_scps import DCMTK, OURS, both, running, words_of

# pynetdicom leaves its socket to be closed by whoever comes when a peer is gone at once. No socket of ours is in this
# process: storescu runs in one of its own.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")

# What peers answer


@pytest.mark.parametrize("status", [0xA700, 0xA900, 0xC000, 0xC123, 0x0122, 0x0110, 0x0124])
@both
def test_a_refusal_ends_it_with_its_first_byte(tmp_path: Path, command: tuple[str, ...], status: int) -> None:
    paths = several(tmp_path)
    with pynetdicom_scp(answer=lambda event, before: status if before == 1 else 0) as peer:
        ran = storescu("localhost", peer.port, *paths, command=command)

    assert ran.code == status >> 8, ran
    assert [each.sop_instance_uid for each in peer.received] == sop_instance_uids(paths[:2])


@pytest.mark.parametrize("status", [0xB000, 0xB006, 0xB007])
@both
def test_a_warning_says_that_it_was_taken(tmp_path: Path, command: tuple[str, ...], status: int) -> None:
    paths = several(tmp_path)
    with pynetdicom_scp(answer=lambda event, before: status) as peer:
        ran = storescu("-v", "localhost", peer.port, *paths, command=command)

    assert ran.is_ok, ran
    assert len(peer.received) == 3
    assert "Received Store Response (Warning: " in ran.output


def test_without_a_halt_the_exit_code_is_that_of_the_first_refusal(tmp_path: Path) -> None:
    paths = several(tmp_path, 5)
    with pynetdicom_scp(answer=lambda event, before: {1: 0xA700, 3: 0xC000}.get(before, 0)) as peer:
        ran = storescu("-nh", "localhost", peer.port, *paths)

    assert ran.code == 0xA7, ran
    assert len(peer.received) == 5
    assert "E: 2 of 5 files were not sent" in ran.output


@both
def test_a_peer_that_takes_no_context_is_told(tmp_path: Path, command: tuple[str, ...]) -> None:
    with pynetdicom_scp(transfer_syntaxes=[JPEGBaseline8Bit]) as peer:
        ran = storescu("localhost", peer.port, write(instance(), tmp_path), command=command)

    assert ran.code == 1, ran
    assert "F: No Acceptable Presentation Contexts" in ran.output


@pytest.mark.parametrize("serve", [rejects, closes_at_once])
@both
def test_a_peer_that_makes_no_association_ends_it(
    tmp_path: Path, command: tuple[str, ...], serve: Callable[[socket.socket], None]
) -> None:
    with raw_acceptor(serve) as port:
        ran = storescu("localhost", port, write(instance(), tmp_path), command=command)

    assert ran.code == 1, ran


@both
def test_nobody_at_the_port_ends_it(tmp_path: Path, command: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    ran = storescu("localhost", port, write(instance(), tmp_path), command=command)

    assert ran.code == 1, ran


@pytest.mark.parametrize("options", [("-ta", "1")])
@both
def test_a_peer_that_says_nothing_is_not_waited_for(
    tmp_path: Path, command: tuple[str, ...], options: tuple[str, ...]
) -> None:
    with raw_acceptor(says_nothing) as port:
        ran = storescu(*options, "localhost", port, write(instance(), tmp_path), command=command)

    assert ran.code == 1, ran


def _aborts(event: object, before: int) -> int:
    event.assoc.abort()  # type: ignore[attr-defined]
    return 0


def test_an_abort_ends_it(tmp_path: Path) -> None:
    paths = several(tmp_path)
    with pynetdicom_scp(answer=_aborts) as peer:
        ran = storescu("localhost", peer.port, *paths)

    assert ran.code == 10, ran
    assert len(peer.received) == 1
    assert "F: Peer Aborted Association" in ran.output or "E: Peer Aborted Association" in ran.output


def accepts_then(ends: Callable[[socket.socket], None]) -> Callable[[socket.socket], None]:
    """An acceptor that agrees to all that is proposed, takes some of the first object, and then does as told."""

    def serve(connection: socket.socket) -> None:
        head = _exactly(connection, 6)
        body = _exactly(connection, int.from_bytes(head[2:6], "big"))
        proposal = negotiation.parse_request(body, peer_host="", peer_port=0)
        answers = [
            AnsweredContext(each.context_id, ContextResult.ACCEPTED, each.transfer_syntaxes[0])
            for each in proposal.contexts
        ]
        connection.sendall(negotiation.encode_answer(Agreement(tuple(answers)), proposal.raw_titles))
        _exactly(connection, 10_000)
        ends(connection)

    return serve


def _exactly(connection: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        piece = connection.recv(count - len(received))
        if not piece:
            raise ConnectionResetError
        received += piece
    return received


def _aborts_in_the_middle(connection: socket.socket) -> None:
    connection.sendall(bytes((7, 0, 0, 0, 0, 4, 0, 0, 0, 0)))
    while connection.recv(65536):
        pass


def _goes_away(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _speaks_something_else(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while connection.recv(65536):
        pass


def _releases(connection: socket.socket) -> None:
    connection.sendall(bytes((5, 0, 0, 0, 0, 4, 0, 0, 0, 0)))
    while connection.recv(65536):
        pass


@pytest.mark.parametrize(
    "ends, code",
    [(_aborts_in_the_middle, 10), (_goes_away, 1), (_speaks_something_else, 1), (_releases, 1)],
    ids=["aborts", "goes away", "speaks something else", "releases"],
)
def test_a_peer_that_ends_in_the_middle_of_an_object_ends_it(
    tmp_path: Path, ends: Callable[[socket.socket], None], code: int
) -> None:
    paths = [write(ct(number=number, side_pixels=2048), tmp_path) for number in (1, 2)]
    with raw_acceptor(accepts_then(ends)) as port:
        ran = storescu("+rn", "localhost", port, *paths)

    assert ran.code == code, ran
    assert "E: Store Failed, file: " in ran.output
    assert sorted(path.suffix for path in tmp_path.glob("2.25*")) == [".bad", ".dcm"]


def test_after_an_abort_without_a_halt_the_others_get_another_association(tmp_path: Path) -> None:
    paths = several(tmp_path, 4)
    with pynetdicom_scp(answer=lambda event, before: _aborts(event, before) if before == 1 else 0) as peer:
        ran = storescu("-nh", "localhost", peer.port, *paths)

    assert ran.code == 10, ran
    assert [each.sop_instance_uid for each in peer.received] == sop_instance_uids(paths)
    assert peer.associations == 2


def test_a_peer_that_aborts_again_and_again_is_left_alone(tmp_path: Path) -> None:
    paths = several(tmp_path, 9)
    with pynetdicom_scp(answer=_aborts) as peer:
        ran = storescu("-nh", "localhost", peer.port, *paths)

    assert ran.code == 10, ran
    assert peer.associations == 5
    assert "E: 9 of 9 files were not sent" in ran.output


def test_associations_that_break_leave_their_files_to_those_that_do_not(tmp_path: Path) -> None:
    """One of four is served; the others are aborted, each time."""
    paths = several(tmp_path, 40)
    healthy: list[object] = []
    has_broken = threading.Semaphore(0)

    def answer(event: Any, before: int) -> int:
        if not healthy:
            healthy.append(event.assoc)
            for _ in range(3):
                has_broken.acquire(timeout=60)
        if event.assoc is healthy[0]:
            return 0
        has_broken.release()
        return _aborts(event, before)

    with pynetdicom_scp(answer=answer) as peer:
        ran = storescu("-nh", "--parallel", "4", "localhost", peer.port, *paths)

    aborted = ran.output.count("E: Store Failed, file: ")
    assert 3 <= aborted <= 20, ran  # five times at most for each of three associations, and for one after them
    assert f"E: {aborted} of 40 files were not sent" in ran.output
    assert ran.code == 10


def test_a_file_that_is_given_back_when_the_others_are_done_is_sent(tmp_path: Path) -> None:
    """Of two associations one is well and ends; then the other one breaks for the fifth time, with a file in hand."""
    paths = several(tmp_path / "sent", 8)
    well: list[Any] = []
    breaks: list[object] = []
    all_are_taken = threading.Event()

    def files_in_hand() -> int:
        """One for each association that stores, and another one that it has looked into."""
        held = 0
        for each in Path(f"/proc/{process.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                held += each.readlink().parent == tmp_path / "sent"
        return held

    def answer(event: Any, before: int) -> int:
        if not well:
            well.append(event.assoc)
            assert all_are_taken.wait(SECONDS)
        if event.assoc is well[0] or len(breaks) == 5:
            return 0
        breaks.append(event.assoc)
        if len(breaks) == 5:
            assert becomes_true(lambda: files_in_hand() == 4)
            all_are_taken.set()
            assert becomes_true(lambda: well[0].is_released)
        return _aborts(event, before)

    with pynetdicom_scp(answer=answer) as peer:
        words = [*words_of(OURS, "storescu"), "-nh", "--parallel", "2", "localhost", peer.port, *paths]
        process = Background(list(map(str, words)), tmp_path / "log")
        code = process.wait(SECONDS)

    assert code == 10
    assert "E: 5 of 8 files were not sent" in process.output()
    assert {each.sop_instance_uid for each in peer.received} == set(sop_instance_uids(paths))


def test_a_folder_without_anything_to_be_sent_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("no DICOM file")
    (tmp_path / "folder" / "empty").write_bytes(b"")
    with pynetdicom_scp() as peer:
        ran = storescu("+sd", "localhost", peer.port, tmp_path / "folder")

    assert ran.code == 1, ran
    assert "F: no input files to be sent" in ran.output


def test_a_peer_that_does_not_answer_is_left_after_the_time_that_is_given(tmp_path: Path) -> None:
    has_left = threading.Event()

    def waits(event: object, before: int) -> int:
        has_left.wait(SECONDS)
        return 0

    with pynetdicom_scp(answer=waits) as peer:
        ran = storescu("-td", "1", "localhost", peer.port, *several(tmp_path))
        has_left.set()

    assert ran.code == 1, ran
    assert len(peer.received) <= 1


# Whose values


@both
def test_invented_instances_are_others_each_time(tmp_path: Path, command: tuple[str, ...]) -> None:
    path = write(ct(), tmp_path)
    with pynetdicom_scp() as peer:
        ran = storescu(*("+IR", 2, "+IS", 2, "+IP", 2, "--repeat", 9, "localhost", peer.port, path), command=command)

    assert ran.is_ok, ran
    data_sets = [_read(each.data_set) for each in peer.received]
    assert [each.sop_instance_uid for each in peer.received] == [each.SOPInstanceUID for each in data_sets]
    counts = {
        keyword: len({str(each[keyword].value) for each in data_sets})
        for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "PatientID", "PatientName")
    }
    assert counts == {
        "SOPInstanceUID": 9,
        "SeriesInstanceUID": 5,
        "StudyInstanceUID": 3,
        "PatientID": 2,
        "PatientName": 2,
    }
    numbers = [(int(each.SeriesNumber), int(each.InstanceNumber)) for each in data_sets[:4]]
    assert numbers == [(0, 0), (0, 1), (1, 0), (1, 1)]


def _read(content: bytes) -> FileDataset:
    from tests.wire.same_content import read

    return read(content, ExplicitVRLittleEndian)  # type: ignore[return-value]


def test_inventing_changes_nothing_else(tmp_path: Path) -> None:
    data_set = ct()
    path = write(data_set, tmp_path)
    with pynetdicom_scp() as peer:
        ran = storescu("+II", "localhost", peer.port, path)

    assert ran.is_ok, ran
    received = _read(peer.received[0].data_set)
    for keyword in (
        *("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "PatientID", "PatientName", "StudyID"),
        *("SeriesNumber", "InstanceNumber"),
    ):
        data_set[keyword].value = received[keyword].value
    assert encoded(data_set) == peer.received[0].data_set


@pytest.mark.parametrize("options", [(), ("-up",)])
@both
def test_a_uid_with_a_space_is_sent_without_it(
    tmp_path: Path, command: tuple[str, ...], options: tuple[str, ...]
) -> None:
    path = tmp_path / "padded"
    path.write_bytes(part10_bytes(instance(SOPInstanceUID="1.2.345")).replace(b"1.2.345\0", b"1.2.345 "))
    with pynetdicom_scp() as peer:
        ran = storescu(*options, "localhost", peer.port, path, command=command)

    assert ran.is_ok, ran
    assert peer.received[0].sop_instance_uid == "1.2.345"
    if command == OURS:
        assert ("a UID ends with a space" in ran.output) is (options == ())
        assert (b"1.2.345 " in peer.received[0].data_set) is (options == ())


# How often, and side by side


@both
def test_a_file_is_sent_as_often_as_asked_for(tmp_path: Path, command: tuple[str, ...]) -> None:
    paths = several(tmp_path, 2)
    with pynetdicom_scp() as peer:
        ran = storescu("--repeat", 3, "localhost", peer.port, *paths, command=command)

    assert ran.is_ok, ran
    first, second = sop_instance_uids(paths)
    assert [each.sop_instance_uid for each in peer.received] == [first] * 3 + [second] * 3
    assert [each.message_id for each in peer.received] == [1, 2, 3, 4, 5, 6]


def test_several_associations_share_the_files(tmp_path: Path) -> None:
    paths = several(tmp_path, 40)
    together = threading.Barrier(4)
    begun: set[object] = set()

    def answer(event: Any, before: int) -> int:
        if event.assoc not in begun:
            begun.add(event.assoc)
            together.wait(SECONDS)  # none is done before all have begun
        return 0

    with pynetdicom_scp(answer=answer) as peer:
        ran = storescu("--parallel", 4, "localhost", peer.port, *paths)

    assert ran.is_ok, ran
    assert sorted(each.sop_instance_uid for each in peer.received) == sorted(sop_instance_uids(paths))
    assert peer.associations == 4


def test_a_refusal_on_one_of_several_associations_halts_all(tmp_path: Path) -> None:
    paths = several(tmp_path, 60)

    refused = sop_instance_uids(paths[5:6])[0]

    def answer(event: Any, before: int) -> int:
        time.sleep(0.02)
        return 0xA700 if event.request.AffectedSOPInstanceUID == refused else 0

    with pynetdicom_scp(answer=answer) as peer:
        ran = storescu("--parallel", 3, "localhost", peer.port, *paths)

    assert ran.code == 0xA7, ran
    assert len(peer.received) < 60


def test_a_peer_that_takes_one_association_only_is_served_by_it(tmp_path: Path) -> None:
    paths = several(tmp_path, 20)
    with pynetdicom_scp(answer=lambda event, before: peer.wait_for_rejections(2), most=1) as peer:
        ran = storescu("--parallel", 3, "localhost", peer.port, *paths)

    assert ran.is_ok, ran
    assert sorted(each.sop_instance_uid for each in peer.received) == sorted(sop_instance_uids(paths))
    assert "W: one association fewer: Association Rejected: " in ran.output


@both
def test_an_association_is_aborted_at_its_end_where_that_is_asked_for(tmp_path: Path, command: tuple[str, ...]) -> None:
    with pynetdicom_scp() as peer:
        ran = storescu("-v", "--abort", "localhost", peer.port, write(instance(), tmp_path), command=command)

    assert ran.is_ok, ran
    assert len(peer.received) == 1
    assert "I: Aborting Association" in ran.output


def test_pdus_are_no_longer_than_asked_for(tmp_path: Path) -> None:
    with pynetdicom_scp() as peer:
        ran = storescu("-v", "--max-send-pdu", 4096, "localhost", peer.port, write(ct(), tmp_path))

    assert ran.is_ok, ran
    assert "Max Send PDV: 4084)" in ran.output
    assert len(peer.received) == 1


def test_contexts_are_shown_to_who_wants_to_see_them(storescp: Receiver, tmp_path: Path) -> None:
    ran = storescu("-v", "+v", "-R", "localhost", storescp.port, write(instance(), tmp_path))

    assert ran.is_ok, ran
    assert "I: Request Parameters:" in ran.output
    assert "I:   Context ID:        1 (Accepted)" in ran.output


def test_an_interrupt_ends_it(tmp_path: Path) -> None:
    paths = several(tmp_path, 50)
    with pynetdicom_scp(answer=lambda event, before: time.sleep(0.2) or 0) as peer:
        process = subprocess.Popen(
            [*words_of(OURS, "storescu"), "--parallel", "2", "localhost", str(peer.port), *map(str, paths)],
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + SECONDS
        while not peer.received and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=SECONDS)

    assert process.returncode == -signal.SIGINT
    assert "Traceback" not in said
    assert len(peer.received) < 50


def on_a_terminal(*arguments: object) -> tuple[int, str]:
    """Run ours where standard error is a terminal; the exit code and what is seen there."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*words_of(OURS, "storescu"), *map(str, arguments)], stderr=theirs, close_fds=True)
    os.close(theirs)
    seen = b""
    with suppress(OSError):  # a terminal that nobody has open any more
        while piece := os.read(ours, 65536):
            seen += piece
    os.close(ours)
    return process.wait(timeout=SECONDS), seen.decode(errors="replace")


def test_a_bar_is_seen_on_a_terminal_and_nowhere_else(tmp_path: Path) -> None:
    paths = several(tmp_path, 5)
    text = tmp_path / "text"
    text.write_text("no DICOM file")
    with pynetdicom_scp() as peer:
        code, seen = on_a_terminal("-nh", "localhost", peer.port, *paths, text)
        quiet = on_a_terminal("-q", "localhost", peer.port, *paths)
        verbose = on_a_terminal("-v", "localhost", peer.port, *paths)
        ran = storescu("localhost", peer.port, *paths)

    assert (code, quiet[0], verbose[0]) == (1, 0, 0)
    assert "Sending" in seen
    assert "E: Bad DICOM file" in seen
    assert quiet[1] == ""
    assert "I: Releasing Association" in verbose[1]
    assert "\x1b[" not in verbose[1]
    assert (ran.code, ran.output) == (0, "")


# TLS and users


@both
def test_a_peer_with_tls_is_served(
    authority: Authority, archive_identity: Identity, modality: Identity, tmp_path: Path, command: tuple[str, ...]
) -> None:
    trusted = ("+cf", authority.certificate)
    with running(DCMTK, tmp_path, "+tls", archive_identity.key, archive_identity.certificate, *trusted) as receiver:
        path = write(instance(), tmp_path)
        tls = ("+tls", modality.key, modality.certificate, *trusted)
        ran = storescu(*tls, "localhost", receiver.port, path, command=command)
        without = storescu("-ta", 2, "localhost", receiver.port, path, command=command)

        assert ran.is_ok, ran
        assert without.code == 1, without
        assert len(receiver.files()) == 1


@both
def test_a_user_is_named_to_the_peer(archive: Archive, tmp_path: Path, command: tuple[str, ...]) -> None:
    user = f"ada@{archive.title}"

    def work(connection: Any) -> None:
        changes.set_title(connection, archive.title.name, {"requires_user": True})
        changes.add_user(connection, user, passwords.hashed(b"secret"))

    archive.change(work)
    path = write(instance(), tmp_path)

    def code(*identity: str) -> int:
        to = ("-aec", archive.title, "localhost", archive.port)
        return storescu(*identity, *to, path, command=command).code

    assert code("-usr", user, "-pwd", "secret", "-rsp") == 0
    assert code("-usr", user, "-pwd", "guess") == 1
    assert code() == 1
