"""`archive getscu` with DCMTK's dcmqrscp, the archive and scripted peers, beside DCMTK's getscu."""

import re
import resource
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import FileDataset

from archive.dicom.modality_prefixes import prefix
from archive.dimse.commands import HIGH, CGetRequest, CStoreRequest
from archive.upper_layer.proposal import Agreement, AnsweredContext, ContextResult, Proposal, Rejection
from archive.upper_layer.tls import Tls
from scripts.background import free_port
from tests.fix_association import agree
from tests.fix_instances import ct, data_set_bytes, encoded, instance
from tests.fix_tls import Authority, Identity
from tests.wire.raw_messages import DATA, EXPLICIT, IMPLICIT, SECONDARY_CAPTURE, pdu, pdv
from tests.wire.real_dcmqrscp import TITLE, RealDcmqrscp
from tests.wire.retrieving import (
    DCMTK,
    OURS,
    QUERY,
    Asked,
    Command,
    Ran,
    answering,
    both,
    files_in,
    of_uid,
    pynetdicom_archive,
    query_file,
    retrieve_scp,
    run,
)
from tests.wire.running import Archive

Start = Callable[..., RealDcmqrscp]


def get(command: Command, tmp_path: Path, port: int, *arguments: object) -> Ran:
    return run(command, "getscu", tmp_path / "work", *arguments, "127.0.0.1", port)


def storing(*data_sets: FileDataset, statuses: list[int] | None = None) -> Callable[[Asked], None]:
    """Stores all of them, and answers; notes the statuses that come back."""

    def serve(asked: Asked) -> None:
        for number, each in enumerate(data_sets, start=1):
            status = asked.store(str(each.SOPClassUID), str(each.SOPInstanceUID), encoded(each))
            if statuses is not None:
                statuses.append(status)
            asked.answer(0xFF00, remaining=len(data_sets) - number, completed=number, failed=0, warning=0)
        asked.answer(0, completed=len(data_sets), failed=0, warning=0)

    return serve


# What comes


@both
@pytest.mark.parametrize("option", ["", "-B", "+B"])
def test_all_images_of_a_patient_are_fetched_from_dcmqrscp(
    tmp_path: Path, start_dcmqrscp: Start, command: Command, option: str
) -> None:
    received = tmp_path / "received"
    received.mkdir()
    made = [instance(series=series, number=number) for series in (1, 2) for number in (1, 2, 3)]
    site = start_dcmqrscp()
    site.store(*made, instance(patient=2))

    ran = get(command, tmp_path, site.port, "-v", "-aec", TITLE, "-od", received, *option.split(), *QUERY)

    assert ran.code == 0, ran.error
    start = "" if option == "+B" else "SC."
    assert files_in(received) == sorted(f"{start}{each.SOPInstanceUID}" for each in made)
    for each in made:
        assert dcmread(received / f"{start}{each.SOPInstanceUID}").to_json_dict() == each.to_json_dict()
    for line in (
        "Sending C-GET Request (MsgID 1)",
        "Received C-STORE Request (MsgID 1)",
        "Sending C-STORE Response (Success)",
        "Received C-GET Response (Pending)",
        "Received C-GET Response (Success)",
        "Final status report from last C-GET message:",
        "  Number of Completed Suboperations : 6",
        "  Number of Failed Suboperations    : 0",
        "Releasing Association",
    ):
        assert line in ran.informed


def test_the_archive_gives_what_it_has_byte_for_byte(tmp_path: Path, archive: Archive) -> None:
    made = [ct(number=number, side_pixels=64) for number in range(1, 6)]
    archive.store(*made)

    ran = get(OURS, tmp_path, archive.port, "-aec", archive.title, *QUERY)

    assert (ran.code, ran.out, ran.error) == (0, "", "")
    kept = [tmp_path / "work" / f"CT.{each.SOPInstanceUID}" for each in made]
    assert [data_set_bytes(path) for path in kept] == [encoded(each) for each in made]
    assert {dcmread(path).file_meta.SourceApplicationEntityTitle for path in kept} == {str(archive.title)}


def test_compressed_instances_come_as_they_are(tmp_path: Path, archive: Archive) -> None:
    jpeg = "1.2.840.10008.1.2.4.70"
    made = instance(side_pixels=0, transfer_syntax=jpeg)
    archive.store(made)
    archive.set_title(archive.title, accepts="jpeg-lossless")

    ran = get(OURS, tmp_path, archive.port, "-aec", archive.title, "+xs", *QUERY)

    assert ran.code == 0, ran.error
    assert dcmread(tmp_path / "work" / f"SC.{made.SOPInstanceUID}").file_meta.TransferSyntaxUID == jpeg


@both
def test_pynetdicom_gives_what_it_has(tmp_path: Path, command: Command) -> None:
    made = [instance(number=number) for number in (1, 2, 3)]
    with pynetdicom_archive(made, 0) as peer:
        ran = get(command, tmp_path, peer, *QUERY)

    assert ran.code == 0, ran.error
    assert files_in(tmp_path / "work") == sorted(f"SC.{each.SOPInstanceUID}" for each in made)


@both
def test_ignored_instances_are_answered_with_success_and_not_kept(tmp_path: Path, command: Command) -> None:
    statuses: list[int] = []
    with retrieve_scp(storing(instance(), statuses=statuses)) as scp:
        ran = get(command, tmp_path, scp.port, "--ignore", *QUERY)

    assert (ran.code, statuses) == (0, [0])
    assert files_in(tmp_path / "work") == []


@both
def test_the_same_instance_again_replaces_its_file(tmp_path: Path, command: Command) -> None:
    with retrieve_scp(storing(instance(), instance())) as scp:
        ran = get(command, tmp_path, scp.port, *QUERY)

    assert ran.code == 0
    name = f"SC.{instance().SOPInstanceUID}"
    assert re.search(rf"W: DICOM file already exists, overwriting: (\./)?{name}", ran.error)
    assert files_in(tmp_path / "work") == [name]


# What is asked


def asked_by(command: Command, tmp_path: Path, *arguments: object) -> list[tuple[object, ...]]:
    """What every C-GET of a command line says."""
    with retrieve_scp(lambda asked: asked.answer(0)) as scp:
        assert get(command, tmp_path, scp.port, *arguments).code == 0
    return [
        (
            each.request,
            each.identifier,
            each.context,
            each.exchange.association.proposal.calling_ae_title,
            each.exchange.association.proposal.called_ae_title,
        )
        for each in scp.asked
    ]


@pytest.mark.parametrize(
    "options",
    ["", "-S", "-O -aet ME -aec YOU", "-xe", "-xb", "-k 0010,0020=P1 -k PatientName", "--repeat 3"],
)
def test_requests_are_those_of_getscu(tmp_path: Path, options: str) -> None:
    arguments = ("-k", "QueryRetrieveLevel=STUDY", *options.split())

    assert asked_by(OURS, tmp_path, *arguments) == asked_by(DCMTK, tmp_path, *arguments)


def test_a_request_has_the_priority_that_is_asked_for(tmp_path: Path) -> None:
    (asked,) = asked_by(OURS, tmp_path, *QUERY, "--priority", "high")

    assert isinstance(asked[0], CGetRequest)
    assert asked[0].priority == HIGH


def test_keys_that_a_peer_may_refuse_are_told_and_asked_with_all_the_same(tmp_path: Path) -> None:
    with retrieve_scp(answering(0)) as scp:
        ran = get(OURS, tmp_path, scp.port, "-k", "PatientID=P1")

    assert (ran.code, len(scp.asked)) == (0, 1)
    assert "W: a peer may refuse the identifier, or send more than is meant: there is no Query/Retrieve" in ran.error


def test_each_query_file_is_asked_for_and_all_of_them_again(tmp_path: Path) -> None:
    files = [query_file(tmp_path / f"{name}.dcm", QueryRetrieveLevel="PATIENT", PatientID=name) for name in ("A", "B")]
    with retrieve_scp(lambda asked: asked.answer(0)) as scp:
        ran = run(OURS, "getscu", tmp_path, "--repeat", "2", "127.0.0.1", scp.port, *files)
    first, second, *again = (each.identifier for each in scp.asked)

    assert ran.code == 0
    assert (b"A " in first, b"B " in second) == (True, True)
    assert again == [first, second]


def test_paths_into_sequences_are_those_of_getscu(tmp_path: Path) -> None:
    arguments = (*QUERY, "-k", "(0008,1199)[0].ReferencedSOPInstanceUID=1.2.3")
    (ours,), (theirs,) = (asked_by(each, tmp_path, *arguments) for each in (OURS, DCMTK))

    assert b"1.2.3" in ours[1]  # type: ignore[operator]
    assert ours == theirs


def test_implicit_vr_is_asked_for_where_getscu_3_6_7_asks_for_explicit(tmp_path: Path) -> None:
    with retrieve_scp(answering(0)) as scp:
        assert get(OURS, tmp_path, scp.port, "-xi", "+xi", *QUERY).code == 0

    assert {each.transfer_syntaxes for each in scp.proposals[0].contexts} == {(IMPLICIT,)}


@pytest.mark.parametrize("options", ["", "+xe", "+xb", "+xs", "+xw", "+xd"])
def test_all_that_getscu_can_be_sent_can_come_and_more(tmp_path: Path, options: str) -> None:
    proposals: list[Proposal] = []
    for command in (OURS, DCMTK):
        with retrieve_scp(answering(0)) as scp:
            assert get(command, tmp_path, scp.port, *options.split(), *QUERY).code == 0
        proposals += scp.proposals
    ours, theirs = ({each.abstract_syntax: each.transfer_syntaxes for each in one.contexts} for one in proposals)
    our_roles, their_roles = ({(each.sop_class_uid, each.scu, each.scp) for each in one.roles} for one in proposals)

    assert len(ours) == 128
    assert ours.items() >= theirs.items()
    assert our_roles >= their_roles


def test_a_peer_that_confirms_no_roles_may_send_all_the_same(tmp_path: Path) -> None:
    made = instance()
    with retrieve_scp(storing(made), decide=lambda proposal: replace(agree(proposal), roles=())) as scp:
        ran = get(OURS, tmp_path, scp.port, *QUERY)

    assert (ran.code, ran.error) == (0, "")
    assert files_in(tmp_path / "work") == [f"SC.{made.SOPInstanceUID}"]


# How it ends


@pytest.mark.parametrize(
    "statuses",
    [(0x0000,), (0xB000,), (0xA701,), (0xA702,), (0xA900,), (0xC001,), (0xFE00,), (0x0122,), (0xB000, 0)],
    ids=lambda statuses: "+".join(f"{each:04X}" for each in statuses),
)
def test_a_final_status_that_is_no_success_is_an_error_unlike_getscu(tmp_path: Path, statuses: tuple[int, ...]) -> None:
    with retrieve_scp(answering(*statuses)) as scp:
        ran = get(OURS, tmp_path, scp.port, "-v", "--repeat", len(statuses), *QUERY)
    with retrieve_scp(answering(*statuses)) as scp:
        theirs = get(DCMTK, tmp_path, scp.port, "-v", "--repeat", len(statuses), *QUERY)

    assert (ran.code, theirs.code) == (int(statuses != (0,)), 0)
    assert [line for line in ran.informed if "C-GET Response" in line] == [
        line for line in theirs.informed if "C-GET Response" in line
    ]


def test_an_operation_without_a_final_response_is_an_error(tmp_path: Path) -> None:
    with retrieve_scp(lambda asked: asked.exchange.association.abort()) as scp:
        ours = get(OURS, tmp_path, scp.port, *QUERY)
        theirs = get(DCMTK, tmp_path, scp.port, *QUERY)

    assert (ours.code, theirs.code) == (1, 1)
    assert "F: Get Request Failed: Peer Aborted Association" in ours.error


def rejecting(_proposal: Proposal) -> Rejection:
    return Rejection(1, 1, 7)


def without_get(proposal: Proposal) -> Agreement:
    """Accepts all but the C-GET."""
    first, *others = agree(proposal).contexts
    refused = AnsweredContext(first.context_id, ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED)
    return Agreement((refused, *others))


@both
def test_every_error_ends_it_with_1(tmp_path: Path, command: Command) -> None:
    with retrieve_scp(answering(0)) as scp:
        codes = [
            get(command, tmp_path, scp.port, *words).code
            for words in (
                (),
                ("-od", tmp_path / "missing", *QUERY),
                ("--ignore", "-od", tmp_path, *QUERY),
                ("--ignore", "+B", *QUERY),
                ("+v", *QUERY),
                ("--repeat", "0", *QUERY),
            )
        ]
    codes.append(get(command, tmp_path, free_port(), *QUERY).code)
    for decide in (rejecting, without_get):
        with retrieve_scp(answering(0), decide=decide) as scp:
            codes.append(get(command, tmp_path, scp.port, *QUERY).code)

    assert codes == [1] * 9


def test_mistakes_are_said_in_getscus_words(tmp_path: Path) -> None:
    for words in (
        "",
        "--ignore -od . -k PatientID",
        "--ignore +B -k PatientID",
        "+v -k PatientID",
        "-pdu 1 -k PatientID",
    ):
        ours, theirs = (get(command, tmp_path, 11112, *words.split()) for command in (OURS, DCMTK))
        mistakes = [re.findall("error: .*", each.error) for each in (ours, theirs)]

        assert (ours.code, theirs.code, mistakes[0]) == (1, 1, mistakes[1]), words


@both
@pytest.mark.parametrize("option, ended", [("--abort", "aborted"), ("--repeat 1", "released")])
def test_the_association_ends_as_asked(tmp_path: Path, command: Command, option: str, ended: str) -> None:
    with retrieve_scp(answering(0)) as scp:
        assert get(command, tmp_path, scp.port, *option.split(), *QUERY).code == 0

    assert scp.ended == [ended]


def test_presentation_contexts_are_shown_as_asked(tmp_path: Path) -> None:
    with retrieve_scp(answering(0)) as scp:
        ran = get(OURS, tmp_path, scp.port, "-v", "+v", *QUERY)

    assert "    Abstract Syntax: =GETPatientRootQueryRetrieveInformationModel" in ran.informed
    assert "    Proposed SCP/SCU Role: SCP" in ran.informed


# Peers that do wrong, and disks that are full


@pytest.mark.parametrize("option", ["", "+B"])
@pytest.mark.parametrize("uid", ["../../outside", "/etc/outside", "..", ".hidden", "1.2/../../outside"])
def test_a_uid_never_leads_out_of_the_folder_nor_hides(tmp_path: Path, uid: str, option: str) -> None:
    received = tmp_path / "a" / "received"
    received.mkdir(parents=True)
    content = of_uid(uid)

    def serve(asked: Asked) -> None:
        assert asked.store(SECONDARY_CAPTURE, uid, content) == 0
        asked.answer(0)

    before = files_in(tmp_path)
    with retrieve_scp(serve) as scp:
        ran = get(OURS, tmp_path, scp.port, "-od", received, *option.split(), *QUERY)

    assert ran.code == 0
    (name,) = files_in(received)
    assert name.startswith("SC.")
    assert set(files_in(tmp_path)) - set(before) == {f"a/received/{name}"}


def test_a_peer_that_dies_in_mid_object_leaves_no_file(tmp_path: Path) -> None:
    made = ct(side_pixels=256)

    def serve(asked: Asked) -> None:
        exchange = asked.exchange
        context = next(
            each for each in exchange.association.contexts.values() if each.abstract_syntax == made.SOPClassUID
        )
        request = CStoreRequest(
            message_id=1, affected_sop_class_uid=made.SOPClassUID, affected_sop_instance_uid=made.SOPInstanceUID
        )
        announced = exchange._pdus(context.context_id, request, None, has_data_set=True)
        some = pdu(0x04, pdv(context.context_id, DATA, encoded(made)[:10_000]))
        exchange.association.send([*announced, some])
        exchange.association.connection.interrupt()

    with retrieve_scp(serve) as scp:
        ran = get(OURS, tmp_path, scp.port, *QUERY)

    assert ran.code == 1
    assert files_in(tmp_path / "work") == []


def test_a_disk_that_is_full_is_answered_and_leaves_no_file(tmp_path: Path) -> None:
    """The same by a limit that any user can set: RLIMIT_FSIZE."""
    statuses: list[int] = []
    small, large = instance(), ct(side_pixels=512)

    def serve(asked: Asked) -> None:
        for each in (large, small):
            statuses.append(asked.store(str(each.SOPClassUID), str(each.SOPInstanceUID), encoded(each)))
        asked.answer(0xB000, completed=1, failed=1, warning=0)

    with retrieve_scp(serve) as scp:
        words = [*OURS, "getscu", "-od", str(tmp_path), *QUERY, "127.0.0.1", str(scp.port)]
        limits = (100_000, 100_000)
        ran = subprocess.run(
            words, capture_output=True, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        )

    assert (ran.returncode, statuses) == (1, [0xA700, 0])
    assert b"E: cannot store" in ran.stderr
    assert files_in(tmp_path) == [f"{prefix(SECONDARY_CAPTURE, unknown='')}.{small.SOPInstanceUID}"]


@pytest.mark.parametrize("failed", [0, 1], ids=["the peer did not listen", "the peer counted it"])
def test_an_instance_that_is_not_kept_is_an_error_even_if_the_peer_calls_it_a_success(
    tmp_path: Path, failed: int
) -> None:
    def serve(asked: Asked) -> None:
        if not failed:
            asked.store(SECONDARY_CAPTURE, "1.2.3", encoded(instance()))
        asked.answer(0x0000, completed=1, failed=failed, warning=0)

    with retrieve_scp(serve) as scp:
        ran = get(OURS, tmp_path, scp.port, *QUERY)

    assert ran.code == 1


def test_an_instance_of_other_uids_than_announced_is_refused(tmp_path: Path) -> None:
    statuses: list[int] = []

    def serve(asked: Asked) -> None:
        statuses.append(asked.store(SECONDARY_CAPTURE, "1.2.3", encoded(instance())))
        asked.answer(0xA702, completed=0, failed=1, warning=0)

    with retrieve_scp(serve) as scp:
        ran = get(OURS, tmp_path, scp.port, *QUERY)

    assert (ran.code, statuses) == (1, [0xA900])
    assert files_in(tmp_path / "work") == []


def test_it_goes_through_tls(
    tmp_path: Path, authority: Authority, archive_identity: Identity, modality: Identity
) -> None:
    made = instance()
    with retrieve_scp(storing(made), tls=Tls(authority.policy(archive_identity))) as scp:
        words = ("+tls", modality.key, modality.certificate, "+cf", authority.certificate, *QUERY)
        ran = get(OURS, tmp_path, scp.port, *words)

    assert (ran.code, ran.error) == (0, "")
    assert data_set_bytes(tmp_path / "work" / f"SC.{made.SOPInstanceUID}") == encoded(made)
    assert dcmread(tmp_path / "work" / f"SC.{made.SOPInstanceUID}").file_meta.TransferSyntaxUID == EXPLICIT
