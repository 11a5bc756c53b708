"""`archive movescu` with DCMTK's dcmqrscp, the archive and scripted peers, beside DCMTK's movescu."""

import os
import pty
import re
import resource
import select
import signal
import socket
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset, FileDataset

from archive.dicom.transfer_syntax_presets import ACCEPT
from archive.dimse.commands import CStoreRequest
from archive.services import client
from archive.upper_layer.connection import Deadline
from archive.upper_layer.proposal import (
    Agreement,
    AnsweredContext,
    ContextResult,
    Proposal,
    ProposedContext,
    Rejection,
)
from archive.upper_layer.tls import Tls
from scripts.background import Background, free_port
from tests.fix_association import PATIENT, WAIT_SECONDS
from tests.fix_dcmtk import Receiver
from tests.fix_instances import ct, data_set_bytes, encoded, instance
from tests.fix_tls import Authority, Identity
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
from tests.wire.real_dcmqrscp import TITLE, RealDcmqrscp
from tests.wire.retrieving import DCMTK, OURS, Asked, Command, Ran, both, pynetdicom_archive, retrieve_scp, run
from tests.wire.running import Archive, becomes_true
from tests.wire.storage_scps import words_of
from tests.wire.test_storescp import WITH_HOSTS_FILES

QUERY = ("-k", "QueryRetrieveLevel=PATIENT", "-k", "PatientID=P000001")
Start = Callable[..., RealDcmqrscp]


def move(command: Command, tmp_path: Path, port: int, *arguments: object) -> Ran:
    return run(command, "movescu", tmp_path / "work", *arguments, "127.0.0.1", port)


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def answering(*statuses: int) -> Callable[[Asked], None]:
    """Answers the first request with the first status, and so on."""
    left = list(statuses)
    return lambda asked: asked.answer(left.pop(0))


def storing(port: Callable[[], int], *data_sets: FileDataset, status: int = 0) -> Callable[[Asked], None]:
    """Stores all of them over one association with whoever asks, and answers."""

    def serve(asked: Asked) -> None:
        with RawScu(port()) as scu:
            contexts = dict.fromkeys(
                (str(each.SOPClassUID), str(each.file_meta.TransferSyntaxUID)) for each in data_sets
            )
            scu.associate([Proposed(sop_class, (syntax,)) for sop_class, syntax in contexts])
            for number, each in enumerate(data_sets):
                scu.store(str(each.SOPClassUID), str(each.SOPInstanceUID), encoded(each))
                asked.answer(0xFF00, remaining=len(data_sets) - number - 1, completed=number + 1, failed=0, warning=0)
            scu.release()
        asked.answer(status)

    return serve


def of_uid(uid: str) -> bytes:
    """A data set with what is no SOP Instance UID in its place."""
    digits = "1" * len(uid)
    return encoded(instance(SOPInstanceUID=digits)).replace(digits.encode(), uid.encode())


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


# What is asked


def query_file(path: Path, **keys: object) -> Path:
    data_set = Dataset()
    for keyword, value in keys.items():
        setattr(data_set, keyword, value)
    dcmwrite(path, data_set, implicit_vr=False, little_endian=True)
    return path


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


# How it ends


@both
@pytest.mark.parametrize(
    "statuses, code",
    [
        ((0x0000,), 0),
        ((0xFE00,), 0),
        ((0xB000,), 68),
        ((0xA701,), 69),
        ((0xA702,), 69),
        ((0xA801,), 69),
        ((0xA900,), 69),
        ((0xC001,), 69),
        ((0x0122,), 69),
        ((0x0211,), 69),
        ((0xB000, 0x0000), 68),
        ((0xA702, 0xB000), 69),
        ((0xB000, 0xA702), 69),
        ((0x0000, 0x0000), 0),
    ],
    ids=lambda value: "+".join(f"{each:04X}" for each in value) if isinstance(value, tuple) else None,
)
def test_the_final_status_is_the_exit_code(
    tmp_path: Path, command: Command, statuses: tuple[int, ...], code: int
) -> None:
    with retrieve_scp(answering(*statuses)) as scp:
        ran = move(command, tmp_path, scp.port, "--repeat", len(statuses), *QUERY)

    assert (ran.code, ran.out) == (code, "")
    assert ("W: Move response with" in ran.error) == (code != 0)
    assert len(scp.asked) == len(statuses)


@pytest.mark.parametrize("status", [0x0000, 0xB000, 0xA701, 0xA702, 0xA801, 0xA900, 0xC123, 0xFE00, 0x0122, 0x1234])
def test_statuses_are_said_in_movescus_words(tmp_path: Path, status: int) -> None:
    said: list[list[str]] = []
    for command in (OURS, DCMTK):
        with retrieve_scp(answering(status)) as scp:
            ran = move(command, tmp_path, scp.port, "-v", *QUERY)
        said.append([line for line in ran.error.splitlines() if "esponse" in line])

    assert said[0] == said[1]


def test_what_goes_well_is_said_in_movescus_words(tmp_path: Path) -> None:
    said: list[list[str]] = []
    for command in (OURS, DCMTK):
        port = free_port()
        with retrieve_scp(storing(lambda port=port: port, instance(), instance(number=2))) as scp:
            ran = move(command, tmp_path / str(port), scp.port, "-v", "+P", port, *QUERY)
        assert ran.code == 0
        # Lines of the two associations come in any order.
        said.append(sorted(re.sub("PDV: .*", "", line) for line in ran.error.splitlines()))
    files = (f"I: storing DICOM file: ./SC.{instance(number=number).SOPInstanceUID}" for number in (1, 2))

    assert said[0] == sorted([*said[1], *files, "I: Sub-Association Released"])


def test_an_operation_without_a_final_response_is_an_error_unlike_movescu(tmp_path: Path) -> None:
    def serve(asked: Asked) -> None:
        asked.answer(0xFF00, remaining=1, completed=0, failed=0, warning=0)
        asked.exchange.association.abort()

    codes: list[int] = []
    for command in (OURS, DCMTK):
        with retrieve_scp(serve) as scp:
            ran = move(command, tmp_path, scp.port, "--repeat", "2", *QUERY)
        codes.append(ran.code)
        assert len(scp.asked) == 1

    assert codes == [69, 0]


def test_a_peer_that_releases_instead_of_a_response_is_an_error(tmp_path: Path) -> None:
    with retrieve_scp(lambda asked: asked.exchange.association.connection.send((pdu(0x05, bytes(4)),), None)) as scp:  # type: ignore[arg-type]
        ran = move(OURS, tmp_path, scp.port, *QUERY)

    assert ran.code == 69
    assert "F: Move Request Failed: The peer released the association" in ran.error


@both
def test_a_peer_that_answers_nothing_is_waited_for_as_long_as_asked(tmp_path: Path, command: Command) -> None:
    with retrieve_scp(lambda _asked: None) as scp:
        ran = move(command, tmp_path, scp.port, "-td", "1", *QUERY)

    assert ran.code == (69 if command == OURS else 0)  # movescu says so, and ends well


def accepting(*abstract_syntaxes: str) -> Callable[[Proposal], Agreement]:
    """Accepts no others."""

    def decide(proposal: Proposal) -> Agreement:
        accepted, refused = ContextResult.ACCEPTED, ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED
        return Agreement(
            tuple(
                AnsweredContext(
                    each.context_id,
                    accepted if each.abstract_syntax in abstract_syntaxes else refused,
                    each.transfer_syntaxes[0],
                )
                for each in proposal.contexts
            )
        )

    return decide


def rejecting(_proposal: Proposal) -> Rejection:
    return Rejection(1, 1, 7)


@both
def test_without_an_association_exit_codes_are_those_of_movescu(tmp_path: Path, command: Command) -> None:
    refused = move(command, tmp_path, free_port(), *QUERY)
    with retrieve_scp(answering(0), decide=rejecting) as scp:
        rejected = move(command, tmp_path, scp.port, *QUERY)
    with retrieve_scp(answering(0), decide=accepting()) as scp:
        none = move(command, tmp_path, scp.port, *QUERY)

    assert (refused.code, rejected.code, none.code) == (61, 61, 66)


def test_a_peer_that_finds_and_does_not_move_is_an_error_unlike_movescu(tmp_path: Path) -> None:
    find = PATIENT_ROOT_MOVE.removesuffix("2") + "1"
    codes: list[int] = []
    for command in (OURS, DCMTK):
        with retrieve_scp(answering(0), decide=accepting(find)) as scp:
            codes.append(move(command, tmp_path, scp.port, *QUERY).code)

    assert codes == [66, 0]


@both
def test_exit_codes_before_an_association_are_those_of_movescu(tmp_path: Path, command: Command) -> None:
    port = free_port()
    no_query = tmp_path / "empty"
    no_query.write_bytes(b"")
    with retrieve_scp(answering(0)) as scp:
        codes = [
            move(command, tmp_path, scp.port, *words).code
            for words in (
                (),  # nothing to ask for
                ("-k", "NoSuchName=1"),
                ("+P", "0", *QUERY),
                ("+P", "65536", *QUERY),
                ("-od", tmp_path, *QUERY),
                ("+P", port, "-od", tmp_path / "missing", *QUERY),
                ("+P", scp.port, *QUERY),  # taken
                ("--repeat", "0", *QUERY),
            )
        ]
        missing = run(command, "movescu", tmp_path, "127.0.0.1", scp.port, tmp_path / "missing.dcm")

    assert codes == [1, 1, 1, 1, 1, 45, 60, 1]
    assert missing.code == 1
    assert scp.asked == []


def test_mistakes_are_said_in_movescus_words(tmp_path: Path) -> None:
    for words in (
        "",
        "-od . -k PatientID",
        "+B +te +P 11113 -k PatientID",
        "+xs +te +P 11113 -k PatientID",
        "+xa +tb +P 11113 -k PatientID",
        "-F +p 512 16 +P 11113 -k PatientID",
        "+cl 3 +te +P 11113 -k PatientID",
        "+B -g +P 11113 -k PatientID",
        "+P x -k PatientID",
        "--cancel -1 -k PatientID",
        "-pdu 1 -k PatientID",
    ):
        ours, theirs = (move(command, tmp_path, 11112, *words.split()) for command in (OURS, DCMTK))
        mistakes = [re.findall("error: .*", each.error) for each in (ours, theirs)]

        assert (ours.code, theirs.code, mistakes[0]) == (1, 1, mistakes[1]), words


def test_a_query_file_that_is_none_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("this is no data set, and no part of one")
    with retrieve_scp(answering(0)) as scp:
        ran = run(OURS, "movescu", tmp_path, "127.0.0.1", scp.port, tmp_path / "text")

    assert ran.code == 1
    assert "Bad DICOM file" in ran.error
    assert scp.proposals == []


def test_a_folder_that_cannot_be_written_ends_it_with_40(tmp_path: Path) -> None:
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o555)
    words = ["setpriv", "--bounding-set", "-dac_override", "--inh-caps", "-dac_override"]
    codes: list[int] = []
    for command in (OURS, DCMTK):
        program = [*command, "movescu"] if command else ["/usr/bin/movescu"]
        line = [*words, *program, "+P", str(free_port()), "-od", str(folder), *QUERY, "127.0.0.1", str(free_port())]
        codes.append(subprocess.run(line, capture_output=True).returncode)

    assert codes == [40, 40]


def test_a_port_below_1024_needs_the_right_to_it(tmp_path: Path) -> None:
    without = ("setpriv", "--bounding-set", "-net_bind_service", "--inh-caps", "-net_bind_service")
    line = [*without, *OURS, "movescu", "+P", "103", *QUERY, "127.0.0.1", str(free_port())]
    if Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text().strip() != "1024":
        pytest.skip("anybody may listen there")

    assert subprocess.run(line, capture_output=True).returncode == 2


@both
@pytest.mark.parametrize("option, ended", [("--abort", "aborted"), ("--repeat 1", "released")])
def test_the_association_ends_as_asked(tmp_path: Path, command: Command, option: str, ended: str) -> None:
    with retrieve_scp(answering(0)) as scp:
        ran = move(command, tmp_path, scp.port, *option.split(), *QUERY)

    assert ran.code == 0
    assert scp.ended == [ended]


@both
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_at_once_and_who_waits_sees_that(
    tmp_path: Path, command: Command, number: signal.Signals
) -> None:
    with retrieve_scp(lambda _asked: None) as scp:
        words = [*words_of(command, "movescu"), *QUERY, "127.0.0.1", str(scp.port)]
        process = Background(words, tmp_path / "log")
        assert becomes_true(lambda: len(scp.asked) == 1)
        os.kill(process.pid, number)
        code = process.wait()

    assert (code, process.output()) == (-number, "")


# Cancel, and data sets that should not be


@both
@pytest.mark.parametrize("after", [1, 3])
def test_an_operation_is_cancelled_after_so_many_responses(tmp_path: Path, command: Command, after: int) -> None:
    cancelled: list[int] = []

    def serve(asked: Asked) -> None:
        for number in range(1, after + 1):
            asked.answer(0xFF00, remaining=10 - number, completed=number, failed=0, warning=0)
        while not asked.exchange.cancelled(asked.request.message_id):
            asked.exchange.association.connection.wait_for_input(Deadline.after(WAIT_SECONDS))
        cancelled.append(asked.request.message_id)
        asked.answer(0xFE00, remaining=10 - after, completed=after, failed=0, warning=0)

    with retrieve_scp(serve) as scp:
        ran = move(command, tmp_path, scp.port, "-v", "--cancel", after, *QUERY)

    assert (ran.code, cancelled) == (0, [1])
    assert "Sending Cancel Request (MsgID 1, PresID 3)" in ran.informed
    assert "Received Final Move Response (Cancel: SubOperationsTerminatedDueToCancelIndication)" in ran.informed


def pending(asked: Asked, *, is_announced: bool, is_sent: bool) -> None:
    """A pending response with, or without, a data set."""
    data_set = b"\x08\x00\x05\x00CS\x00\x00" if is_announced else None
    response = asked.request.answer(0xFF00, remaining=1, completed=0, failed=0, warning=0)
    context_id = asked.context.context_id
    buffers = asked.exchange._pdus(context_id, response, None, has_data_set=is_announced)
    if is_sent:
        buffers.append(pdu(0x04, pdv(context_id, 0x02, data_set or b"")))
    asked.exchange.association.send(buffers)


@pytest.mark.parametrize(
    "option, is_sent, ours, theirs",
    [
        ("-pi", False, 0, 0),
        ("-pi", True, 0, None),  # movescu breaks off, and ends with 0 or 69 as it likes
        ("-pr", True, 0, 0),
        ("-pr", False, 69, None),
        ("-pr -pi", False, 0, 0),
    ],
)
def test_a_data_set_behind_a_pending_response_is_read_or_not(
    tmp_path: Path, option: str, is_sent: bool, ours: int, theirs: int | None
) -> None:
    def serve(asked: Asked) -> None:
        pending(asked, is_announced=True, is_sent=is_sent)
        pending(asked, is_announced=False, is_sent=False)
        asked.answer(0)

    for command, code in ((OURS, ours), (DCMTK, theirs)):
        if code is not None:
            with retrieve_scp(serve) as scp:
                assert move(command, tmp_path, scp.port, *option.split(), *QUERY).code == code


# Who sends to us


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
