"""`archive movescu` with DCMTK's dcmqrscp, the archive and scripted peers, beside DCMTK's movescu: what it asks for."""

import os
import pty
import select
import shlex
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import dcmread

from archive.dimse.commands import HIGH, LOW, MEDIUM, CMoveRequest, CStoreRequest
from archive.services import client
from archive.upper_layer.proposal import (
    ProposedContext,
)
from archive.upper_layer.tls import Tls
from scripts.background import free_port
from tests.fix_association import PATIENT
from tests.fix_dcmtk import Receiver
from tests.fix_instances import ct, data_set_bytes, encoded, instance
from tests.fix_tls import Authority, Identity
from tests.wire.raw_messages import (
    EXPLICIT,
    SECONDARY_CAPTURE,
)
from tests.wire.real_dcmqrscp import TITLE, RealDcmqrscp
from tests.wire.retrieving import (
    DCMTK,
    OURS,
    QUERY,
    Asked,
    Command,
    answering,
    both,
    files_in,
    move,
    query_file,
    retrieve_scp,
    run,
    storing,
)
from tests.wire.running import Archive

Start = Callable[..., RealDcmqrscp]


# To oneself and to others


@both
def test_all_images_of_a_patient_are_moved_to_oneself(tmp_path: Path, start_dcmqrscp: Start, command: Command) -> None:
    port, received = free_port(), tmp_path / "received"
    received.mkdir()
    made = [instance(series=series, number=number) for series in (1, 2) for number in (1, 2, 3)]
    site = start_dcmqrscp(peers={"MOVESCU": port})
    site.store(*made, instance(patient=2))

    ran = move(command, tmp_path, site.port, "-v", "-aec", TITLE, "+P", port, "-od", received, *QUERY)

    assert ran.code == 0, ran.error
    assert files_in(received) == sorted(f"SC.{each.SOPInstanceUID}" for each in made)
    for each in made:
        kept = received / f"SC.{each.SOPInstanceUID}"
        assert dcmread(kept).to_json_dict() == each.to_json_dict()
        assert command == DCMTK or dcmread(kept).file_meta.SourceApplicationEntityTitle == TITLE
    assert {"Sending Move Request (MsgID 1)", "Received Final Move Response (Success)"} <= set(ran.informed)
    assert "Received Move Response 1 (Pending)" in ran.informed
    assert "Received Store Request (MsgID 1, SC)" in ran.informed


@both
def test_all_images_of_a_patient_are_moved_to_a_third_party(
    tmp_path: Path, archive: Archive, start_storescp: Callable[..., Receiver], command: Command
) -> None:
    receiver = start_storescp("+xa", title="WORKSTATION")
    title = archive.add_peer(receiver.port)
    made = [instance(number=number) for number in (1, 2)]
    archive.store(*made)

    ran = move(command, tmp_path, archive.port, "-aec", archive.title, "-aem", title, *QUERY)

    assert (ran.code, ran.out, ran.error) == (0, "", "")
    assert [path.name for path in receiver.files()] == sorted(f"SC.{each.SOPInstanceUID}" for each in made)


@both
def test_the_example_of_its_page_runs_as_written_to_oneself_and_to_a_third_party(
    tmp_path: Path, start_dcmqrscp: Start, start_storescp: Callable[..., Receiver], command: Command
) -> None:
    port, receiver = free_port(), start_storescp("+xa", title="ANOTHER_AE")
    made = [instance(series=series, number=number) for series in (1, 2) for number in (1, 2)]
    site = start_dcmqrscp(peers={"TEST_AE": port, "ANOTHER_AE": receiver.port})
    site.store(*made, instance(patient=2))
    query_file(tmp_path / "q.dcm", QueryRetrieveLevel="PATIENT", PatientID=made[0].PatientID)
    names = sorted(f"SC.{each.SOPInstanceUID}" for each in made)

    def example(destination: str) -> int:
        words = f"--patient --port {port} --move {destination} --call {TITLE} localhost {site.port} ../q.dcm"
        return run(command, "movescu", tmp_path / "work", *words.split()).code

    assert (example("TEST_AE"), files_in(tmp_path / "work")) == (0, names)
    assert (example("ANOTHER_AE"), [path.name for path in receiver.files()]) == (0, names)


def test_the_archive_moves_to_our_movescu_byte_for_byte(tmp_path: Path, archive: Archive) -> None:
    port = free_port()
    title = archive.add_peer(port)
    made = [ct(number=number, side_pixels=64) for number in range(1, 6)]
    archive.store(*made)
    options = ("-S", "-aet", title, "-aec", archive.title, "+P", port, "+xa")

    ran = move(
        OURS,
        tmp_path,
        archive.port,
        *options,
        "-k",
        "QueryRetrieveLevel=STUDY",
        "-k",
        f"StudyInstanceUID={made[0].StudyInstanceUID}",
    )

    assert ran.code == 0, ran.error
    assert [data_set_bytes(tmp_path / "work" / f"CT.{each.SOPInstanceUID}") for each in made] == [
        encoded(each) for each in made
    ]


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_it_moves_to_itself_though_who_started_it_closed_standard_streams(tmp_path: Path, closed: str) -> None:
    port = free_port()
    with retrieve_scp(storing(lambda: port, instance())) as scp:
        words = [*OURS, "movescu", "+P", port, "-od", tmp_path, *QUERY, "127.0.0.1", scp.port]
        line = f"exec {shlex.join(map(str, words))} {closed}"
        ran = subprocess.run(["/bin/sh", "-c", line], capture_output=True)

    assert (ran.returncode, ran.stderr) == (0, b"")
    assert files_in(tmp_path) == [f"SC.{instance().SOPInstanceUID}"]


# What is asked


def asked_by(command: Command, tmp_path: Path, *arguments: object) -> list[tuple[object, ...]]:
    """What every C-MOVE of a command line says."""
    with retrieve_scp(lambda asked: asked.answer(0)) as scp:
        assert move(command, tmp_path, scp.port, *arguments).code == 0
    return [
        (
            each.request,
            each.identifier,
            each.context,
            each.exchange.association.proposal.contexts,
            each.exchange.association.proposal.calling_ae_title,
            each.exchange.association.proposal.called_ae_title,
        )
        for each in scp.asked
    ]


@pytest.mark.parametrize(
    "options",
    [
        "",
        "-S",
        "-O -aet ME -aec YOU",
        "-P -aem OTHER",
        "-xe",
        "-xb",
        "-xi",
        "-k 0010,0020=P1 -k PatientName",
        "-k StudyInstanceUID=1.2\\1.3",
        "--repeat 3",
        "-pdu 4096",
    ],
)
def test_requests_are_those_of_movescu(tmp_path: Path, options: str) -> None:
    arguments = ("-k", "QueryRetrieveLevel=STUDY", *options.split())

    assert asked_by(OURS, tmp_path, *arguments) == asked_by(DCMTK, tmp_path, *arguments)


def test_a_deflated_request_says_the_same(tmp_path: Path) -> None:
    (ours,), (theirs,) = (asked_by(each, tmp_path, "-xd", "+cl", "9", *QUERY) for each in (OURS, DCMTK))

    assert zlib.decompress(ours[1], -15) == zlib.decompress(theirs[1], -15)  # type: ignore[arg-type]
    assert ours[2:] == theirs[2:]


def test_each_query_file_is_asked_for_and_repeated_before_the_next(tmp_path: Path) -> None:
    files = [
        query_file(tmp_path / f"{name}.dcm", QueryRetrieveLevel="STUDY", PatientID=name, StudyInstanceUID=f"1.{number}")
        for number, name in enumerate(("A", "B"))
    ]
    with retrieve_scp(lambda asked: asked.answer(0)) as scp:
        ours = run(OURS, "movescu", tmp_path, "--repeat", "2", "-k", "PatientID=C", "127.0.0.1", scp.port, *files)
        theirs = run(DCMTK, "movescu", tmp_path, "--repeat", "2", "-k", "PatientID=C", "127.0.0.1", scp.port, *files)
    identifiers = [each.identifier for each in scp.asked]

    assert (ours.code, theirs.code) == (0, 0)
    assert identifiers[:4] == identifiers[4:]
    assert identifiers[0] == identifiers[1] != identifiers[2] == identifiers[3]
    assert b"C " in identifiers[0]


def test_a_key_may_be_a_path_into_sequences(tmp_path: Path) -> None:
    (asked,) = asked_by(OURS, tmp_path, *QUERY, "-k", "(0008,1199)[0].ReferencedSOPInstanceUID=1.2.3")

    assert b"1.2.3" in asked[1]  # type: ignore[operator]
    with retrieve_scp(answering(0)) as scp:
        ran = move(DCMTK, tmp_path, scp.port, *QUERY, "-k", "(0008,1199)[0].ReferencedSOPInstanceUID=1.2.3")
    assert ran.code == 1


@pytest.mark.parametrize("word, priority", [("low", LOW), ("medium", MEDIUM), ("high", HIGH)])
def test_a_request_has_the_priority_that_is_asked_for(tmp_path: Path, word: str, priority: int) -> None:
    (asked,) = asked_by(OURS, tmp_path, *QUERY, "--priority", word)

    assert isinstance(asked[0], CMoveRequest)
    assert asked[0].priority == priority


@pytest.mark.parametrize(
    "keys, said",
    [
        ("-k PatientID=P1", "there is no Query/Retrieve Level; say -k QueryRetrieveLevel=PATIENT, for instance"),
        ("-k QueryRetrieveLevel=STUDY -k PatientID=P1", "there is no StudyInstanceUID, which says of the level STUDY"),
        ("-k QueryRetrieveLevel=PATIENT -k PatientID=*", "there is no PatientID, which says of the level PATIENT"),
        ("-S -k QueryRetrieveLevel=PATIENT -k PatientID=P1", "PATIENT is no level of the information model --study"),
    ],
)
def test_keys_that_a_peer_may_refuse_are_told_and_asked_with_all_the_same(tmp_path: Path, keys: str, said: str) -> None:
    with retrieve_scp(answering(0)) as scp:
        ran = move(OURS, tmp_path, scp.port, *keys.split())

    assert (ran.code, len(scp.asked)) == (0, 1)
    assert f"W: a peer may refuse the identifier, or send more than is meant: {said}" in ran.error


# TLS


def test_both_directions_go_through_tls(
    tmp_path: Path, authority: Authority, archive_identity: Identity, modality: Identity
) -> None:
    port = free_port()
    made = instance()
    tls = Tls(authority.policy(archive_identity))

    def serve(asked: Asked) -> None:
        with client.associate(
            "127.0.0.1",
            port,
            called="MOVESCU",
            calling="PEER",
            contexts=(ProposedContext(1, SECONDARY_CAPTURE, (EXPLICIT,)),),
            timeouts=PATIENT,
            session=tls.request("127.0.0.1", checks_host=False),
        ) as exchange:
            context = exchange.association.contexts[1]
            request = CStoreRequest(
                message_id=1, affected_sop_class_uid=SECONDARY_CAPTURE, affected_sop_instance_uid=made.SOPInstanceUID
            )
            assert exchange.ask(context, request, encoded(made)).status == 0
        asked.answer(0)

    key = authority.protect(modality, "secret")
    words = ("+tls", key, modality.certificate, "+pw", "secret", "+cf", authority.certificate, "+P", port, *QUERY)
    with retrieve_scp(serve, tls=tls) as scp:
        ran = move(OURS, tmp_path, scp.port, *words)
        plain = move(OURS, tmp_path, scp.port, *QUERY)

    assert (ran.code, ran.error) == (0, "")
    assert files_in(tmp_path / "work") == [f"SC.{made.SOPInstanceUID}"]
    assert plain.code == 61


def test_files_for_tls_that_cannot_be_used_end_it_with_70(tmp_path: Path) -> None:
    (tmp_path / "no-key").write_text("no key")
    ran = move(OURS, tmp_path, 11112, "+tls", tmp_path / "no-key", tmp_path / "no-key", "-ic", *QUERY)

    assert ran.code == 70


# Progress


def on_a_terminal(*words: object) -> str:
    """What a program writes to a terminal as its standard error."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(theirs)
    written = b""
    while select.select([ours], [], [], 60)[0]:
        try:
            some = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        written += some
    os.close(ours)
    assert process.wait(60) == 0
    return written.decode()


@pytest.mark.parametrize("option, is_shown", [((), True), (("-q",), False), (("-v",), False)], ids=["", "-q", "-v"])
def test_a_bar_shows_sub_operations_on_a_terminal(option: tuple[str, ...], is_shown: bool) -> None:
    def serve(asked: Asked) -> None:
        for done in range(1, 4):
            asked.answer(0xFF00, remaining=4 - done, completed=done, failed=0, warning=0)
        asked.answer(0, completed=4, failed=0, warning=0)

    with retrieve_scp(serve) as scp:
        shown = on_a_terminal(*OURS, "movescu", *option, *QUERY, "127.0.0.1", scp.port)

    assert ("Retrieving" in shown, "4/4" in shown) == (is_shown, is_shown)
