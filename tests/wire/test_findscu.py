"""`archive findscu` beside DCMTK's findscu: how it ends, and what real archives answer."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID

from archive.dimse import status
from archive.dimse.commands import CEchoRequest, CFindRequest
from archive.dimse.exchange import Exchange, Message
from archive.upper_layer.proposal import Agreement, Proposal, Rejection
from scripts.background import Background, free_port
from tests.fix_dcmtk import Dcmtk
from tests.fix_instances import instance
from tests.wire.clients import DCMTK, OURS, Command, both
from tests.wire.finding import (
    FAILED,
    asked,
    short,
)
from tests.wire.raw_messages import EXPLICIT
from tests.wire.real_dcmqrscp import RealDcmqrscp
from tests.wire.running import Archive
from tests.wire.scripted_scp import answering, scripted_scp

# How it ends


@pytest.mark.parametrize(
    "final, words, code",
    [
        (0x0000, "Success", 0),
        (0xFE00, "Cancel: MatchingTerminatedDueToCancelRequest", FAILED),
        (0xA700, "Refused: OutOfResources", FAILED),
        (0xA900, "Error: DataSetDoesNotMatchSOPClass", FAILED),
        (0xC001, "Failed: UnableToProcess", FAILED),
        (0x0122, "Refused: SOPClassNotSupported", FAILED),
        (0x0110, "Unknown Status: 0x110", FAILED),
    ],
)
def test_a_final_status_is_told_and_no_success_if_it_is_none(tmp_path: Path, final: int, words: str, code: int) -> None:
    """DCMTK's findscu ends with 0 whatever it is."""
    with scripted_scp(answering(short(0x00100020, b"LO", b"2 "), final=final)) as scp:
        theirs, ours = (asked(command, tmp_path, scp.port, "-v", "-k", "PatientID") for command in (DCMTK, OURS))

    for ended in (theirs, ours):
        assert f"I: Received Final Find Response ({words})" in ended.log
    assert ours.code == code
    assert any(f"status {final:04X}" in line for line in ours.log) is bool(code)
    assert scp.ends == ["released", "released"]


def until_cancelled(exchange: Exchange, message: Message) -> None:
    """Answers on and on, until it is told to stop."""
    request = message.command
    assert isinstance(request, CFindRequest)
    while not exchange.cancelled(request.message_id):
        exchange.respond(request.answer(status.PENDING), short(0x00100020, b"LO", b"1 "))
    exchange.respond(request.answer(status.CANCEL))


@both
def test_a_request_is_cancelled_after_so_many_answers(tmp_path: Path, command: Command) -> None:
    with scripted_scp(until_cancelled) as scp:
        ended = asked(command, tmp_path, scp.port, "-v", "--cancel", 3, "-k", "PatientID")

    assert ended.code == 0
    assert "I: Sending Cancel Request (MsgID 1, PresID 1)" in ended.log
    assert "I: Received Final Find Response (Cancel: MatchingTerminatedDueToCancelRequest)" in ended.log
    assert scp.ends == ["released"]


def test_every_request_is_cancelled(tmp_path: Path) -> None:
    """DCMTK's findscu cancels the first, and waits for the second for ever."""
    with scripted_scp(until_cancelled) as scp:
        ended = asked(OURS, tmp_path, scp.port, "-q", "--cancel", 2, "--repeat", 2, "-k", "PatientID")

    assert ended.code == 0
    assert len(scp.requests) == 2


@both
def test_the_association_is_aborted_where_that_is_asked_for(tmp_path: Path, command: Command) -> None:
    with scripted_scp(answering()) as scp:
        ended = asked(command, tmp_path, scp.port, "--abort", "-k", "PatientID")

    assert ended.code == 0
    assert scp.ends == ["PeerAborted"]


def rejecting(proposal: Proposal) -> Rejection:
    return Rejection(1, 1, 7)


def refusing_all(proposal: Proposal) -> Agreement:
    return Agreement((), implementation_class_uid="1.2.3.4")


@both
@pytest.mark.parametrize("decide", [rejecting, refusing_all])
def test_a_peer_that_does_not_want_to_ends_with_2(tmp_path: Path, command: Command, decide: Callable[..., Any]) -> None:
    with scripted_scp(answering(), decide=decide) as scp:
        ended = asked(command, tmp_path, scp.port, "-k", "PatientID")

    assert ended.code == FAILED


def aborting(exchange: Exchange, message: Message) -> None:
    exchange.association.abort()


def without_identifier(exchange: Exchange, message: Message) -> None:
    assert isinstance(message.command, CFindRequest)
    exchange.respond(message.command.answer(status.PENDING))


def with_another_response(exchange: Exchange, message: Message) -> None:
    request = CEchoRequest(message_id=1, affected_sop_class_uid="1.2.840.10008.1.1")
    exchange.respond(request.answer(status.SUCCESS))


def with_a_request(exchange: Exchange, message: Message) -> None:
    exchange.send(message.context, CEchoRequest(message_id=9, affected_sop_class_uid="1.2.840.10008.1.1"))


def with_a_large_identifier(exchange: Exchange, message: Message) -> None:
    assert isinstance(message.command, CFindRequest)
    exchange.respond(message.command.answer(status.PENDING), bytes(2 << 20))


def with_a_damaged_identifier(exchange: Exchange, message: Message) -> None:
    assert isinstance(message.command, CFindRequest)
    exchange.respond(message.command.answer(status.PENDING), short(0x00100020, b"LO", b"123456")[:-2])


@pytest.mark.parametrize(
    "serve, said",
    [
        (aborting, "Peer Aborted Association"),
        (without_identifier, "A match came without an identifier."),
        (with_another_response, "answers a C-FIND with something else"),
        (with_a_request, "answers a C-FIND with something else"),
        (with_a_large_identifier, "more than 1048576 bytes"),
        (with_a_damaged_identifier, "Find Failed: response 1 cannot be read"),
    ],
)
def test_an_association_that_breaks_ends_with_2(tmp_path: Path, serve: Callable[..., None], said: str) -> None:
    with scripted_scp(serve) as scp:
        ended = asked(OURS, tmp_path, scp.port, "--json", "-k", "PatientID")

    assert ended.code == FAILED
    assert said in ended.error.decode()
    assert json.loads(ended.out) == []
    assert len(scp.ends) == 1


def test_a_damaged_answer_is_no_reason_to_stop_where_nobody_looks_into_it(tmp_path: Path) -> None:
    with scripted_scp(answering(short(0x00100020, b"LO", b"123456")[:-2])) as scp:
        ended = asked(OURS, tmp_path, scp.port, "-q", "-k", "PatientID")

    assert ended.code == 0


# Real archives


def test_our_archive_and_dcmqrscp_answer_alike(
    tmp_path: Path, archive: Archive, start_dcmqrscp: Callable[..., RealDcmqrscp]
) -> None:
    real = start_dcmqrscp()
    stored = [instance(study=study, side_pixels=0) for study in (1, 2)]
    archive.store(*stored)
    real.store(*stored)
    typed = ("QueryRetrieveLevel=STUDY", "StudyInstanceUID", "StudyDate", "PatientName=Synthetic*")
    words = [word for key in typed for word in ("-k", key)]
    of_ours, of_theirs = (
        asked(OURS, tmp_path, port, "-S", "--json", "-aec", title, *words)
        for port, title in ((archive.port, archive.title), (real.port, "DCMQRSCP"))
    )
    documents = [json.loads(each.out) for each in (of_ours, of_theirs)]
    names, uid = "00100010", "0020000D"

    assert (of_ours.code, of_theirs.code) == (0, 0)
    for document in documents:
        assert {each[uid]["Value"][0] for each in document} == {each.StudyInstanceUID for each in stored}
        assert {each[names]["Value"][0]["Alphabetic"] for each in document} == {"Synthetic^Patient 1"}


@pytest.fixture
def worklist(tmp_path: Path) -> Iterator[int]:
    """DCMTK's worklist server with one step for an MR scanner; its port."""
    folder = tmp_path / "worklist" / "HOSPITAL"
    folder.mkdir(parents=True)
    (folder / "lockfile").touch()
    made, step, meta = Dataset(), Dataset(), FileMetaDataset()
    made.SpecificCharacterSet, made.AccessionNumber, made.PatientName = "ISO_IR 192", "A7", "Müller^Jörg"
    made.PatientID, made.PatientBirthDate, made.PatientSex, made.StudyInstanceUID = "4711", "19061209", "M", "1.2.3.4"
    made.RequestedProcedureDescription, made.RequestedProcedureID = "Knee", "R7"
    step.Modality, step.ScheduledStationAETitle, step.ScheduledProcedureStepID = "MR", "MR1", "S7"
    step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime = "20261121", "0830"
    step.ScheduledProcedureStepDescription = "Knee left"
    made.ScheduledProcedureStepSequence = Items([step])
    meta.TransferSyntaxUID, meta.MediaStorageSOPInstanceUID = UID(EXPLICIT), UID("1.2.3")
    meta.MediaStorageSOPClassUID = UID("1.2.276.0.7230010.3.1.0.1")
    pydicom.dcmwrite(folder / "step.wl", pydicom.FileDataset("", made, preamble=bytes(128), file_meta=meta))
    port = free_port()
    command = [Dcmtk.program("wlmscpfs"), "-dfp", folder.parent, str(port)]
    process = Background(command, tmp_path / "worklist.log")
    process.wait_listening(port)
    yield port
    process.stop()


def test_a_worklist_is_asked_by_paths(tmp_path: Path, worklist: int) -> None:
    typed = ("(0040,0100)[0].Modality=MR", "ScheduledProcedureStepSequence[0].(0040,0007)", "AccessionNumber")
    words = [word for key in typed for word in ("-k", key)]
    theirs, ours = (asked(command, tmp_path, worklist, "-v", "-aec", "HOSPITAL", *words) for command in (DCMTK, OURS))
    document = asked(OURS, tmp_path, worklist, "--json", "-aec", "HOSPITAL", *words)
    other = asked(OURS, tmp_path, worklist, "--json", "-aec", "HOSPITAL", "-k", "(0040,0100)[0].Modality=CT")
    [found] = json.loads(document.out)

    assert (theirs.code, ours.code, document.code, other.code) == (0, 0, 0, 0)
    assert ours.log == theirs.log
    assert found["00080050"]["Value"] == ["A7"]
    assert found["00400100"]["Value"][0]["00400007"]["Value"] == ["Knee left"]
    assert json.loads(other.out) == []


@both
def test_a_title_that_is_not_let_in_ends_with_2(tmp_path: Path, archive: Archive, command: Command) -> None:
    ended = asked(command, tmp_path, archive.port, "-S", "-aec", "NOBODY", "-k", "PatientID")

    assert ended.code == FAILED
    assert "Called AE Title Not Recognized" in ended.error.decode()
