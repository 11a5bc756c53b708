"""`archive findscu` beside DCMTK's findscu: what they ask, what they say of the answers, how they end."""

import json
import re
import struct
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID

from archive.dicom import keys
from archive.dicom.names import name_of
from archive.dimse import status
from archive.dimse.commands import CEchoRequest, CFindRequest
from archive.dimse.exchange import Exchange, Message
from archive.errors import Misconfigured
from archive.upper_layer.proposal import Agreement, AnsweredContext, ContextResult, Proposal, Rejection
from scripts.background import Background, free_port
from tests.fix_association import WAIT_SECONDS, agree
from tests.fix_dcmtk import Dcmtk
from tests.fix_instances import instance
from tests.wire.clients import DCMTK, OURS, Command, Ended, both, ran
from tests.wire.raw_messages import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, PATIENT_ROOT_FIND, STUDY_ROOT_FIND
from tests.wire.real_dcmqrscp import RealDcmqrscp
from tests.wire.running import Archive
from tests.wire.scripted_scp import answering, scripted_scp

FAILED = 2
WORKLIST_FIND = "1.2.840.10008.5.1.4.31"


def short(tag: int, vr: bytes, value: bytes) -> bytes:
    """An element in explicit VR little endian with a 16-bit length."""
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def long(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """An element in explicit VR little endian with a 32-bit length."""
    return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr, 0, len(value) if length is None else length) + value


def asked(command: Command, folder: Path, port: int, *arguments: object, **fields: Any) -> Ended:
    return ran(command, "findscu", *arguments, "127.0.0.1", port, folder=folder, **fields)


def agreeing_on(*syntaxes: str) -> Callable[[Proposal], Agreement]:
    """Accepts each context with the first of these that is proposed."""

    def decide(proposal: Proposal) -> Agreement:
        agreed = agree(proposal)
        answers = tuple(
            AnsweredContext(
                each.context_id,
                ContextResult.ACCEPTED,
                next(syntax for syntax in syntaxes if syntax in each.transfer_syntaxes),
            )
            for each in proposal.contexts
        )
        return Agreement(answers, max_pdu_bytes=agreed.max_pdu_bytes, implementation_class_uid="1.2.3.4")

    return decide


def sample() -> Dataset:
    """An answer with an attribute of every VR that a dictionary names, and a sequence in a sequence."""
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    made.InstanceCreationDate, made.StudyTime, made.AcquisitionDateTime = "20260102", "101112.5", "20260102101112+0100"
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4"
    made.Modality, made.RetrieveAETitle = "CT", "ARCHIVE"
    made.ModalitiesInStudy = ["CT", "MR", "PT"]
    made.StudyDescription = "Schädel " * 8
    made.ReferencedStudySequence = Items([Dataset(), Dataset()])
    made.ReferencedStudySequence[0].ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.4"
    made.ReferencedStudySequence[0].PurposeOfReferenceCodeSequence = Items([Dataset()])
    made.ReferencedStudySequence[0].PurposeOfReferenceCodeSequence[0].CodeMeaning = "Größe"
    made.PatientName, made.PatientID, made.PatientBirthDate = "Müller^Jörg=山田=やまだ", "P 1", ""
    made.PatientAge, made.PatientWeight, made.EthnicGroup = "045Y", ["70.5", "1"], None
    made.PatientComments = "No\\backslash separates here"
    made.RequestedProcedureDescription, made.AdditionalPatientHistory = "a", "b " * 60
    made.FrameIncrementPointer = [0x00181063, 0x00181065]
    made.Rows, made.SmallestImagePixelValue = 512, 3
    made.RecommendedDisplayFrameRateInFloat = 0.1
    made.ReferencePixelX0 = -7
    made.RealWorldValueSlope = [0.1, -1.5, 3.14159265358979, float("inf")]
    made.TagAngleSecondAxis = -5
    made.SimpleFrameList = [1, 2, 70000]
    made.RetrieveURL, made.URNCodeValue, made.LongCodeValue = "http://x/y", "urn:x", ["a", "b"]
    made.DimensionIndexValues = [4294967295]
    made.EncapsulatedDocument = b"%PDF" * 30
    made.add_new(0x54001010, "OW", bytes(range(20)))
    made.add_new(0x00660016, "OF", struct.pack("<2f", 1.5, 0.25))
    made.add_new(0x0018115E, "DS", "0.15")
    made.add_new(0x00720082, "SV", [-(2**60), 5])
    made.add_new(0x00720083, "UV", [2**60])
    made.add_new(0x00081161, "UL", [1, 2])
    made.add_new(0x00660129, "OL", struct.pack("<2I", 1, 2))
    made.add_new(0x00720081, "OV", struct.pack("<Q", 3))
    made.add_new(0x00720073, "OD", struct.pack("<d", 0.0))
    return made


def bytes_of(data_set: Dataset, syntax: str) -> bytes:
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset

    with DicomBytesIO() as out:
        out.is_implicit_VR, out.is_little_endian = syntax == IMPLICIT, syntax != BIG_ENDIAN
        write_dataset(out, data_set)
        return out.getvalue()


OPEN_ITEMS = (
    long(0x00081110, b"SQ", b"", 0xFFFFFFFF)
    + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    + short(0x00081155, b"UI", b"1.2.3\0")
    + struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
    + struct.pack("<HHI", 0xFFFE, 0xE000, 0)
    + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
)
DATA_SETS = {
    "little-endian": (EXPLICIT, bytes_of(sample(), EXPLICIT)),
    "big-endian": (BIG_ENDIAN, bytes_of(sample(), BIG_ENDIAN)),
    "implicit": (IMPLICIT, bytes_of(sample(), IMPLICIT)),
    "open-items": (EXPLICIT, OPEN_ITEMS + short(0x00100010, b"PN", b"A^B ")),
    "empty": (
        EXPLICIT,
        b"".join(short(tag, vr, b"") for tag, vr in ((0x00080005, b"CS"), (0x00080018, b"UI"), (0x00080020, b"DA")))
        + long(0x00081110, b"SQ", b"")
        + short(0x00100010, b"PN", b"")
        + short(0x001021B0, b"LT", b"")
        + b"".join(short(tag, vr, b"") for tag, vr in ((0x00280009, b"AT"), (0x00280010, b"US"), (0x00189087, b"FD")))
        + long(0x00420011, b"OB", b""),
    ),
    "group-lengths": (EXPLICIT, short(0x00080000, b"UL", struct.pack("<I", 10)) + short(0x00080060, b"CS", b"CT")),
    "unknown": (
        EXPLICIT,
        short(0x00190010, b"LO", b"NOBODY'S")
        + long(0x00191001, b"UN", b"\x01\x02\xff\x00")
        + long(0x00191002, b"OB", b"ab"),
    ),
    "odd lengths": (EXPLICIT, short(0x00080060, b"CS", b"CTX") + short(0x00280010, b"US", b"\x01\x02\x03")),
    "padding": (EXPLICIT, short(0x00080060, b"CS", b"CT      ") + short(0x0020000D, b"UI", b"1.2.3\0\0\0")),
    "half a number": (EXPLICIT, short(0x00280010, b"US", b"\x01") + short(0x00280009, b"AT", b"\x01\x02\x03")),
    "late first": (EXPLICIT, short(0x00100010, b"PN", b"A^B ") + short(0x00080060, b"CS", b"CT")),
    "zeros": (EXPLICIT, short(0x00080060, b"CS", b"CT")),
}


def dumped(log: Sequence[str]) -> list[str]:
    """The lines of the first response, without DCMTK's warnings of what is odd in it, and NULs that nobody sees."""
    start = next(number for number, line in enumerate(log) if "Find Response: 1" in line)
    end = next(number for number, line in enumerate(log) if "Received Final Find Response" in line)
    return [line.replace("\0", "") for line in log[start:end] if not line.startswith("W: ")]


@pytest.mark.parametrize("name", DATA_SETS)
def test_answers_are_printed_as_dcmtk_prints_them(tmp_path: Path, name: str) -> None:
    syntax, found = DATA_SETS[name]
    with scripted_scp(answering(found), decide=agreeing_on(syntax)) as scp:
        theirs, ours = (asked(command, tmp_path, scp.port, "-v", "-S", "-k", "PatientID") for command in (DCMTK, OURS))

    assert theirs.code == ours.code == 0
    assert dumped(ours.log) == dumped(theirs.log)


@pytest.mark.parametrize("verbosity", [(), ("-v",), ("-q",), ("-ll", "warn"), ("-ll", "info"), ("-sr",), ("-v", "-sr")])
@pytest.mark.parametrize("more", [(), ("+sr",), ("-X",), ("-X", "+sr")], ids=" ".join)
def test_as_much_is_said_as_dcmtk_says(tmp_path: Path, verbosity: tuple[str, ...], more: tuple[str, ...]) -> None:
    answers = [bytes_of(each, EXPLICIT) for each in (sample(), Dataset())]
    answers[1] = short(0x00100020, b"LO", b"2 ")
    with scripted_scp(answering(*answers)) as scp:
        theirs, ours = (
            asked(command, tmp_path, scp.port, *verbosity, *more, "-S", "-k", "PatientID=*")
            for command in (DCMTK, OURS)
        )

    assert theirs.code == ours.code == 0
    assert ours.log == [line.replace("\0", "") for line in theirs.log]
    assert ours.out == theirs.out == b""


@both
def test_debugging_prints_the_answers_too(tmp_path: Path, command: Command) -> None:
    with scripted_scp(answering(short(0x00100020, b"LO", b"2 "))) as scp:
        ended = asked(command, tmp_path, scp.port, "-d", "-S", "-k", "PatientID")
        hidden = asked(command, tmp_path, scp.port, "-d", "-sr", "-S", "-k", "PatientID")

    assert "I: Received Find Response 1" in ended.log
    start = ended.log.index("D: Response Identifiers:")
    assert ended.log[start + 4].startswith("D: (0010,0020) LO [2 ]")
    assert "D: Response Identifiers:" not in hidden.log


def test_padding_is_not_shown_where_it_is_corrected(tmp_path: Path) -> None:
    syntax, found = DATA_SETS["padding"]
    with scripted_scp(answering(found), decide=agreeing_on(syntax)) as scp:
        theirs, ours = (asked(command, tmp_path, scp.port, "-v", "+dc", "-k", "PatientID") for command in (DCMTK, OURS))

    assert dumped(ours.log) == dumped(theirs.log)
    assert any("CS [CT] " in line for line in ours.log)


def test_answers_are_shown_as_text_whatever_their_character_set(tmp_path: Path) -> None:
    """DCMTK's findscu prints the bytes that came."""
    latin = short(0x00080005, b"CS", b"ISO_IR 100") + short(0x00100010, b"PN", "Müller^Jörg ".encode("latin-1"))
    japanese = short(0x00080005, b"CS", b"\\ISO 2022 IR 87 ") + short(0x00100010, b"PN", b"Yamada=\x1b$B;3ED\x1b(B ")
    with scripted_scp(answering(latin, japanese)) as scp:
        ended = asked(OURS, tmp_path, scp.port, "-k", "PatientName")
        document = asked(OURS, tmp_path, scp.port, "-Xs", "all.xml", "-k", "PatientName")
    shown = [line.split("PN ")[1].split("  ")[0] for line in ended.log if "PatientName" in line]

    assert shown == ["[Müller^Jörg ]", "[Yamada=山田 ]"]
    assert document.code == 0
    assert [element.text for element in ElementTree.parse(tmp_path / "all.xml").iterfind(".//*[@vr='PN']")] == [
        "Müller^Jörg",
        "Yamada=山田",
    ]


def test_names_of_attributes_are_those_of_dcmtks_dictionary() -> None:
    """All but a few, which have retired, or come to be, between the two editions of the standard."""
    [dictionary] = Path("/usr/share").glob("libdcmtk*/dicom.dic")
    line = re.compile(r"\(([0-9a-fA-F]{4}),([0-9a-fA-F]{4})\)\t\w+\t(\w+)")
    named = {
        found[3]: int(found[1] + found[2], 16)
        for found in map(line.match, dictionary.read_text().splitlines())
        if found
    }
    of_identifiers = {name: tag for name, tag in named.items() if tag >> 16 not in (0, 2, 0xFFFE)}
    other_names = {name for name, tag in of_identifiers.items() if name_of(tag) != name}
    not_read = {name for name, tag in of_identifiers.items() if _path_of(name) != (tag,)}

    assert len(of_identifiers) > 4000
    assert len(other_names) < 30
    assert len(not_read) < 30


def _path_of(name: str) -> tuple[int, ...]:
    try:
        return keys.read(name).path
    except Misconfigured:
        return ()


def test_a_log_of_a_file_has_the_answers_too(tmp_path: Path) -> None:
    (tmp_path / "log.cfg").write_text(
        "log4cplus.rootLogger = INFO, file\nlog4cplus.appender.file = log4cplus::FileAppender\n"
        f"log4cplus.appender.file.File = {tmp_path}/findscu.log\nlog4cplus.appender.file.Append = true\n"
    )
    with scripted_scp(answering(short(0x00100020, b"LO", b"2 "))) as scp:
        ended = asked(OURS, tmp_path, scp.port, "-lc", "log.cfg", "-X", "-k", "PatientID")
        hidden = asked(OURS, tmp_path, scp.port, "-lc", "log.cfg", "-sr", "-k", "PatientID")
        shown = asked(OURS, tmp_path, scp.port, "-lc", "log.cfg", "+sr", "-k", "PatientID")
    log = (tmp_path / "findscu.log").read_text()

    assert (ended.code, hidden.code, shown.code) == (0, 0, 0), (ended, shown)
    assert log.count("Find Response: 1 (Pending)") == 2
    assert log.count("(0010,0020) LO [2 ]") == 2
    assert log.count("Received Final Find Response (Success)") == 3


def test_a_reader_that_goes_away_is_no_reason_for_a_traceback(tmp_path: Path) -> None:
    words = [*OURS, "findscu", "--json", "-k", "PatientID", "127.0.0.1"]
    with (
        scripted_scp(answering(*[bytes_of(sample(), EXPLICIT)] * 200)) as scp,
        subprocess.Popen([*words, str(scp.port)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
        process.wait(WAIT_SECONDS)

    assert process.returncode != 0
    assert b"Traceback" not in said
    assert b"Exception" not in said


def test_a_peer_speaks_to_no_terminal(tmp_path: Path) -> None:
    hostile = "\x1b]0;owned\x07A\nI: Find Response: 9 (Pending)\r\x9b2J\u202e"
    made = Dataset()
    made.SpecificCharacterSet, made.PatientID = "ISO_IR 192", hostile
    with scripted_scp(answering(bytes_of(made, EXPLICIT))) as scp:
        shown, document, markup = (
            asked(OURS, tmp_path, scp.port, "-k", "PatientID", *more) for more in ((), ("--json",), ("--xml",))
        )

    for ended in (shown, document, markup):
        assert ended.code == 0
        said = (ended.out + ended.error).decode()
        assert not set(said) & {chr(code) for code in (*range(9), *range(11, 32), *range(0x7F, 0xA0))}
        assert "I: Find Response: 9" not in said.splitlines()
    assert json.loads(document.out)[0]["00100020"]["Value"] == [hostile.strip()]


# What is asked


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


# What becomes of the answers


def test_answers_are_extracted_to_files(tmp_path: Path) -> None:
    found = bytes_of(sample(), EXPLICIT)
    with scripted_scp(answering(found, short(0x00100020, b"LO", b"2 "))) as scp:
        ended = asked(OURS, tmp_path, scp.port, "-v", "-S", "-X", "-k", "PatientID")
    first, second = (pydicom.dcmread(tmp_path / f"rsp000{number}.dcm") for number in (1, 2))

    assert ended.code == 0
    assert (tmp_path / "rsp0001.dcm").read_bytes().endswith(found)
    assert first.file_meta.MediaStorageSOPInstanceUID == "1.2.3.4"
    assert second.PatientID == "2"
    assert second.file_meta.MediaStorageSOPClassUID == "1.2.276.0.7230010.3.1.0.1"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rsp0001.dcm", "rsp0002.dcm"]


@pytest.mark.parametrize("option", ["-X", "-Xx"])
def test_no_more_files_are_written_than_is_said(tmp_path: Path, option: str) -> None:
    answers = [short(0x00100020, b"LO", b"%d " % number) for number in range(5)]
    names = []
    for command in (DCMTK, OURS):
        folder = tmp_path / f"out{len(names)}"
        folder.mkdir()
        with scripted_scp(answering(*answers)) as scp:
            ended = asked(command, tmp_path, scp.port, "-v", option, "-od", folder, "-Xlo", 2, "-k", "PatientID")
        assert ended.code == 0
        assert "Maximum number of responses already written to file" in ended.error.decode()
        names.append(sorted(path.name for path in folder.iterdir()))

    assert names[0] == names[1] == [f"rsp000{number}.{'dcm' if option == '-X' else 'xml'}" for number in (1, 2)]


# In implicit VR DCMTK takes waveforms for bytes, not for words as PS3.5 A.1 has them; of floats it prints a digit less.
XML_CASES = [name for name in DATA_SETS if name not in ("implicit", "big-endian")]


@pytest.mark.parametrize("name", XML_CASES)
def test_xml_is_that_of_dcmtk(tmp_path: Path, name: str) -> None:
    syntax, found = DATA_SETS[name]
    made = []
    for command in (DCMTK, OURS):
        folder = tmp_path / f"out{len(made)}"
        folder.mkdir()
        with scripted_scp(answering(found, found), decide=agreeing_on(syntax)) as scp:
            each = asked(command, tmp_path, scp.port, "-Xx", "-od", folder, "-k", "PatientID")
            single = asked(command, tmp_path, scp.port, "-Xs", "all.xml", "-od", folder, "-k", "PatientID")
        assert (each.code, single.code) == (0, 0), (each, single)
        made.append({path.name: path.read_text().splitlines() for path in sorted(folder.iterdir())})

    assert made[1] == made[0]


def test_a_single_file_is_whole_or_not_there(tmp_path: Path) -> None:
    def break_off(exchange: Exchange, message: Message) -> None:
        assert isinstance(message.command, CFindRequest)
        exchange.respond(message.command.answer(status.PENDING), short(0x00100020, b"LO", b"1 "))
        exchange.association.abort()

    with scripted_scp(break_off) as scp:
        broken = asked(OURS, tmp_path, scp.port, "-Xs", "all.xml", "-k", "PatientID")
    left = sorted(tmp_path.iterdir())
    with scripted_scp(answering(short(0x00100020, b"LO", b"1 "))) as scp:
        whole = asked(OURS, tmp_path, scp.port, "-Xs", "all.xml", "-k", "PatientID")

    assert (broken.code, left) == (FAILED, [])
    assert whole.code == 0
    assert ElementTree.parse(tmp_path / "all.xml").getroot().attrib == {"type": "C-FIND"}


@both
def test_a_folder_that_is_not_there_ends_with_1(tmp_path: Path, command: Command) -> None:
    ended = asked(command, tmp_path, 104, "-X", "-od", tmp_path / "gone", "-k", "PatientID")

    assert ended.code == 1
    assert "F: specified output directory does not exist" in ended.log


def test_a_file_that_cannot_be_written_ends_with_2(tmp_path: Path) -> None:
    (tmp_path / "rsp0001.dcm").mkdir()
    with scripted_scp(answering(short(0x00100020, b"LO", b"1 "))) as scp:
        ended = asked(OURS, tmp_path, scp.port, "-X", "-k", "PatientID")

    assert ended.code == FAILED
    assert "F: cannot write responses: Is a directory" in ended.error.decode()
    assert scp.ends == ["PeerAborted"]


def test_answers_are_one_document_of_dicom_json(tmp_path: Path) -> None:
    with scripted_scp(answering(bytes_of(sample(), EXPLICIT), short(0x00100020, b"LO", b"2 "))) as scp:
        ended = asked(OURS, tmp_path, scp.port, "--json", "-k", "PatientID")
        none = asked(OURS, tmp_path, scp.port, "--json", "--cancel", 1, "-k", "PatientID")
    first, second = (Dataset.from_json(each) for each in json.loads(ended.out))
    expected = sample()

    assert ended.error == none.error == b""
    assert second.PatientID == "2"
    assert first.PatientName == expected.PatientName
    assert first.StudyDescription.rstrip() == expected.StudyDescription.rstrip()
    assert list(map(float, first.RealWorldValueSlope)) == list(expected.RealWorldValueSlope)
    assert first[0x54001010].value == expected[0x54001010].value
    nested = first.ReferencedStudySequence[0].PurposeOfReferenceCodeSequence[0]
    assert nested.CodeMeaning == "Größe"


def test_no_answer_is_a_document_too(tmp_path: Path) -> None:
    with scripted_scp(answering()) as scp:
        found, markup = (asked(OURS, tmp_path, scp.port, kind, "-k", "PatientID") for kind in ("--json", "--xml"))

    assert json.loads(found.out) == []
    assert len(ElementTree.fromstring(markup.out)) == 0


def test_answers_are_one_document_of_native_models(tmp_path: Path) -> None:
    with scripted_scp(answering(bytes_of(sample(), EXPLICIT), short(0x00100020, b"LO", b"2 "))) as scp:
        ended = asked(OURS, tmp_path, scp.port, "--xml", "-k", "PatientID")
    first, second = ElementTree.fromstring(ended.out)

    assert ended.error == b""
    assert first.tag == "NativeDicomModel"
    assert second.findtext("DicomAttribute[@keyword='PatientID']/Value[@number='1']") == "2"
    name = first.find("DicomAttribute[@tag='00100010']/PersonName")
    assert name is not None
    assert name.findtext("Alphabetic/FamilyName") == "Müller"
    assert name.findtext("Ideographic/FamilyName") == "山田"
    path = "DicomAttribute[@keyword='ReferencedStudySequence']/Item/DicomAttribute/Item/DicomAttribute/Value"
    assert first.findtext(path) == "Größe"


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
