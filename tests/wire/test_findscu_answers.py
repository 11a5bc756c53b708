"""`archive findscu` beside DCMTK's findscu: what is said of the answers, and what becomes of them."""

import json
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from archive.dicom import keys
from archive.dicom.names import name_of
from archive.dimse import status
from archive.dimse.commands import CFindRequest
from archive.dimse.exchange import Exchange, Message
from archive.errors import Misconfigured
from tests.fix_association import WAIT_SECONDS
from tests.wire.clients import DCMTK, OURS, Command, both
from tests.wire.finding import (
    DATA_SETS,
    FAILED,
    agreeing_on,
    asked,
    bytes_of,
    dumped,
    sample,
    short,
)
from tests.wire.raw_messages import EXPLICIT
from tests.wire.scripted_scp import answering, scripted_scp


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


@pytest.mark.parametrize("kind", ["--json", "--xml"])
def test_a_document_is_utf_8_whatever_the_terminal_has(tmp_path: Path, kind: str) -> None:
    name = short(0x00080005, b"CS", b"ISO_IR 192") + short(0x00100010, b"PN", "Müller^日本 ".encode())
    with scripted_scp(answering(name)) as scp:
        ended = asked(OURS, tmp_path, scp.port, kind, "-k", "PatientName", environment={"PYTHONIOENCODING": "latin-1"})

    assert ended.code == 0, ended
    assert "Müller" in ended.out.decode()
    assert "日本" in ended.out.decode()


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
