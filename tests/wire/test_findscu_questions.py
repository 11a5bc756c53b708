"""`archive findscu` beside DCMTK's findscu: what is asked."""

from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID

from archive.dimse.commands import LOW, CFindRequest
from tests.wire.clients import DCMTK, OURS, Command, both, ran
from tests.wire.finding import FAILED, WORKLIST_FIND, asked, bytes_of, long, short
from tests.wire.raw_messages import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, PATIENT_ROOT_FIND, STUDY_ROOT_FIND
from tests.wire.scripted_scp import answering, scripted_scp

QUESTIONS = {
    "keys": ("-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "PatientName=Mi*", "-k", "0010,0020", "-k", "StudyDate="),
    "backslashes": ("-k", "ModalitiesInStudy=CT\\MR", "-k", "StudyInstanceUID=1.2\\1.3"),
    "paths": ("-W", "-k", "(0040,0100)[0].Modality=MR", "-k", "ScheduledProcedureStepSequence[0].(0040,0002)=2026"),
    "items": ("-k", "(0040,0100)[1].Modality", "-k", "(0008,1110)", "-k", "(0008,1111)[0]"),
    "overriding": ("-k", "PatientID=1", "-k", "PatientID=2", "-k", "(0010,0020)=3"),
    "numbers": ("-k", "Rows=512", "-k", "(0018,9087)=0.25", "-k", "(0028,0009)=(0018,1063)"),
    "implicit": ("-xi", "-k", "PatientID=1", "-k", "(0040,0100)[0].Modality=MR"),
    "big-endian": ("-xb", "-k", "PatientID=1", "-k", "Rows=512"),
    "unknown": ("-k", "(0009,1001)=00\\ff"),
    "old VRs": ("-u", "-k", "(0008,0120)=http", "-k", "(0040,0100)[0].(0008,0119)=x"),
    "repeated": ("--repeat", 2, "-k", "PatientID=1"),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_same_is_asked(tmp_path: Path, name: str) -> None:
    asks = []
    for command in (DCMTK, OURS):
        with scripted_scp(answering()) as scp:
            ended = asked(command, tmp_path, scp.port, *QUESTIONS[name])
        assert ended.code == 0, ended
        [proposal] = scp.proposals
        asks.append(
            (scp.identifiers, scp.requests, proposal.contexts, proposal.calling_ae_title, proposal.max_pdu_bytes)
        )

    assert asks[0] == asks[1]


@pytest.mark.parametrize(
    "option, sop_class",
    [("-P", PATIENT_ROOT_FIND), ("-S", STUDY_ROOT_FIND), ("-O", "1.2.840.10008.5.1.4.1.2.3.1"), ("-W", WORKLIST_FIND)],
)
def test_a_model_is_asked(tmp_path: Path, option: str, sop_class: str) -> None:
    with scripted_scp(answering()) as scp:
        ended = asked(OURS, tmp_path, scp.port, option, "-k", "PatientID")

    assert ended.code == 0
    assert [context.abstract_syntax for context in scp.proposals[0].contexts] == [sop_class]
    assert scp.requests == [CFindRequest(message_id=1, affected_sop_class_uid=sop_class)]


def test_a_request_has_the_priority_that_is_asked_for(tmp_path: Path) -> None:
    with scripted_scp(answering()) as scp:
        ended = asked(OURS, tmp_path, scp.port, "--priority", "low", "-k", "PatientID")

    assert ended.code == 0
    assert scp.requests == [CFindRequest(message_id=1, affected_sop_class_uid=WORKLIST_FIND, priority=LOW)]


@pytest.mark.parametrize("level", [0, 1, 9])
def test_a_deflated_request_says_the_same(tmp_path: Path, level: int) -> None:
    import zlib

    words = ("-k", "PatientName=" + "Miller" * 9, "-k", "StudyDate")
    with scripted_scp(answering()) as scp:
        ended = asked(OURS, tmp_path, scp.port, "-xd", "+cl", level, *words)
        asked(OURS, tmp_path, scp.port, "-xe", *words)
    deflated, plain = scp.identifiers

    assert ended.code == 0
    assert scp.proposals[0].contexts[0].transfer_syntaxes[0] == DEFLATED
    assert zlib.decompress(deflated, wbits=-15) == plain
    assert (len(deflated) > len(plain)) is (level == 0)


def write_question(path: Path, *, has_meta: bool, syntax: str = EXPLICIT) -> Path:
    made = Dataset()
    made.QueryRetrieveLevel, made.PatientName, made.PatientID = "PATIENT", "Miller^*", ""
    made.ScheduledProcedureStepSequence = Items([Dataset()])
    made.ScheduledProcedureStepSequence[0].Modality = "CT"
    if not has_meta:
        path.write_bytes(bytes_of(made, syntax))
        return path
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(syntax)
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID("1.2.3"), UID("1.2.3.4")
    pydicom.dcmwrite(path, pydicom.FileDataset(str(path), made, preamble=bytes(128), file_meta=meta))
    return path


@pytest.mark.parametrize(
    "has_meta, syntax",
    [
        (True, EXPLICIT),
        (True, IMPLICIT),
        (True, BIG_ENDIAN),
        (True, DEFLATED),
        (False, EXPLICIT),
        (False, IMPLICIT),
        (False, BIG_ENDIAN),
    ],
)
def test_a_query_file_is_asked_with_keys_put_in(tmp_path: Path, has_meta: bool, syntax: str) -> None:
    file = write_question(tmp_path / "query", has_meta=has_meta, syntax=syntax)
    asks = []
    for command in (DCMTK, OURS):
        with scripted_scp(answering()) as scp:
            words = ("-k", "(0040,0100)[0].Modality=MR", "-k", "PatientID=1")
            ended = ran(command, "findscu", "-P", *words, "127.0.0.1", scp.port, file, folder=tmp_path)
        assert ended.code == 0, ended
        asks.append(scp.identifiers)

    assert asks[0] == asks[1]
    assert b"MR" in asks[1][0]
    assert b"Miller^*" in asks[1][0]


def test_each_query_file_is_a_request_of_its_own_and_responses_are_numbered_on(tmp_path: Path) -> None:
    files = [write_question(tmp_path / name, has_meta=True) for name in ("one", "two")]
    named: list[list[str]] = []
    for command, folder in ((DCMTK, tmp_path / "theirs"), (OURS, tmp_path / "ours")):
        folder.mkdir()
        with scripted_scp(answering(*[short(0x00100020, b"LO", b"1 ")] * 2)) as scp:
            ended = ran(
                command,
                "findscu",
                "-P",
                "-X",
                "-od",
                folder,
                "--repeat",
                2,
                "127.0.0.1",
                scp.port,
                *files,
                folder=tmp_path,
            )
        assert ended.code == 0, ended
        assert len(scp.identifiers) == 4
        named.append(sorted(path.name for path in folder.iterdir()))

    assert named[0] == named[1]
    assert len(named[1]) == 8


@pytest.mark.parametrize(
    "content, said",
    [
        (b"", "This is not a DICOM file"),
        (b"no DICOM", "Bad DICOM file"),
        (bytes(128) + b"DICM", "Bad DICOM file"),
        (short(0x00080052, b"CS", b"PATIENT ")[:-3], "Bad DICOM file"),
        (long(0x7FE00010, b"OB", bytes(1 << 21)), "larger than an identifier may be"),
    ],
    ids=["empty", "text", "no data set", "cut short", "too large"],
)
def test_a_query_file_that_is_none_ends_with_2_before_the_peer_is_called(
    tmp_path: Path, content: bytes, said: str
) -> None:
    good = write_question(tmp_path / "good", has_meta=True)
    (tmp_path / "bad").write_bytes(content)
    with scripted_scp(answering()) as scp:
        ended = ran(OURS, "findscu", "-P", "127.0.0.1", scp.port, good, "bad", folder=tmp_path)

    assert ended.code == FAILED
    assert said in ended.error.decode()
    assert scp.proposals == []


@both
def test_a_query_file_that_is_not_there_is_a_mistake_in_the_command_line(tmp_path: Path, command: Command) -> None:
    ended = ran(command, "findscu", "-P", "127.0.0.1", 104, "gone", folder=tmp_path)

    assert ended.code == 1
    assert "error: cannot access file: gone" in ended.error.decode()


@pytest.mark.parametrize("key", ["NoSuchName=1", "(0040,0100).Modality", "Rows=many", "PatientName[0].Modality=x"])
def test_a_key_that_is_none_ends_with_2_before_the_peer_is_called(tmp_path: Path, key: str) -> None:
    """DCMTK's findscu 3.6.7 calls the peer, aborts, and ends with 0."""
    with scripted_scp(answering()) as scp:
        ended = asked(OURS, tmp_path, scp.port, "-k", key)

    assert ended.code == FAILED
    assert ended.log[-1].startswith("F: ")
    assert scp.proposals == []


def test_text_beyond_ascii_is_asked_in_a_character_set_that_is_said(tmp_path: Path) -> None:
    with scripted_scp(answering()) as scp:
        for typed in (("PatientName=Müller",), ("PatientName=Müller", "SpecificCharacterSet=ISO_IR 100")):
            assert asked(OURS, tmp_path, scp.port, *(word for key in typed for word in ("-k", key))).code == 0
        assert asked(OURS, tmp_path, scp.port, "-k", "PatientName=Müller".encode("latin-1")).code == 0
    utf_8, latin, as_typed = scp.identifiers

    name = 0x00100010
    assert utf_8 == short(0x00080005, b"CS", b"ISO_IR 192") + short(name, b"PN", "Müller ".encode())
    assert latin == short(0x00080005, b"CS", b"ISO_IR 100") + short(name, b"PN", "Müller".encode("latin-1"))
    assert as_typed == short(name, b"PN", "Müller".encode("latin-1"))
