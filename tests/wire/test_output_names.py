"""Files and folders as DCMTK's storescp and dcmrecv make them: the same traffic to both, and what lies there after it.

Times, random digits and new UIDs are compared by their form; everything else to the letter.
"""

import os
import re
import resource
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import FileDataset
from pydicom.sequence import Sequence as Items

from archive.dicom.normal import EncodingOptions, GroupLengths, SequenceLengths
from archive.dicom.uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from archive.storage.file_names import (
    DefaultNames,
    ShortUniqueNames,
    SystemTimeNames,
    TimeNames,
    UniqueNames,
)
from archive.storage.folder import OutputFolder
from archive.storage.output import Output, Writing
from archive.storage.subfolders import (
    NoSubfolders,
    SeriesDateFolders,
    StudyFolders,
    StudyUidFolders,
    by_patient,
    by_prefix,
)
from scripts.background import Background, free_port
from tests.fix_instances import ct, data_set_bytes, encoded, instance
from tests.wire.raw_messages import DATA, Proposed, pdu, pdv
from tests.wire.raw_scu import RawScu
from tests.wire.receiving import dcmtks_receiver, our_receiver, send

SUCCESS, OUT_OF_RESOURCES, DOES_NOT_MATCH, CANNOT_UNDERSTAND = 0x0000, 0xA700, 0xA900, 0xC000
MR = "1.2.840.10008.5.1.4.1.1.4"
PRESENTATION_STATE = "1.2.840.10008.5.1.4.1.1.11.1"  # has three letters: PSg

MOVING = (
    (re.compile(r"[0-9]{8}_[0-9]{9}"), "<date>_<time>"),
    (re.compile(r"^[0-9]{17}(_[0-9]{4})?(?=\.)"), "<time>"),  # a number depends on how fast they come
    (re.compile(r"^[0-9]{14}\.[0-9]{6}(?=\.)"), "<time>.<fraction>"),
    (re.compile(r"_[0-9a-f]{16}"), "_<random>"),
    (re.compile(r"\.X\.1\.2\.276\.0\.7230010\.3\.1\.4(\.(0|[1-9][0-9]*)){4}"), ".X.<uid>"),
    (re.compile(r"^undef/[0-9]{8}$"), "undef/<today>"),
)


def in_form(name: str) -> str:
    for pattern, form in MOVING:
        name = pattern.sub(form, name)
    return name


def tree(folder: Path) -> list[tuple[str, list[tuple[str, str]]]]:
    """Each folder that has files, with their names and the instances they hold."""
    found = []
    for place, _, names in os.walk(folder):
        files = [(in_form(name), uid_of(Path(place) / name)) for name in names]
        if files:
            found.append((in_form(Path(place).relative_to(folder).as_posix()), sorted(files)))
    return sorted(found)


def uid_of(file: Path) -> str:
    with warnings.catch_warnings(action="ignore"):
        return str(pydicom.dcmread(file, force=True).SOPInstanceUID)


def study(letter: str, number: int, **keywords: Any) -> FileDataset:
    """An instance of the study that a letter names."""
    with warnings.catch_warnings(action="ignore"):  # some are odd on purpose
        return instance(study=ord(letter), number=number, side_pixels=0, **keywords)


SOME = [
    ct(number=1, side_pixels=16),
    instance(number=2, side_pixels=0, SOPClassUID=MR),
    instance(number=3, side_pixels=0, SOPClassUID=PRESENTATION_STATE),
    instance(number=4, side_pixels=300),
    ct(number=5, side_pixels=16),
]
INTERLEAVED = [study("A", 1), study("B", 2), study("A", 3), study("A", 4)]
PATIENTS = [
    study("A", 1, SpecificCharacterSet="ISO_IR 100", PatientName="Müller^J A"),
    study("B", 2, SpecificCharacterSet="ISO_IR 100", PatientName="ÀÖØß^ñ·/..\x7f$"),
    study("C", 3, PatientName=""),
    study("D", 4, PatientName=None),
    study("E", 5, SpecificCharacterSet=None, PatientName="Plain^Jane^^Dr."),
    study("F", 6, SpecificCharacterSet=None, PatientName=" Leading^Space "),
]
DATES = [study("A", 0)] + [
    study("A", number, SeriesDate=date)
    for number, date in enumerate(("20240229", "20240231", "20241301", "", "20240100", "2024.02.28", "19991231"), 1)
]


@dataclass(frozen=True)
class Case:
    """Options of a program, and the parts of an output that do the same."""

    program: str
    options: Sequence[str]
    naming: Callable[[], Any] = DefaultNames
    sorting: Callable[[], Any] = NoSubfolders
    data_sets: Sequence[FileDataset] = field(default_factory=lambda: SOME)

    @property
    def id(self) -> str:
        return " ".join((self.program, *(option or "''" for option in self.options)))


def global_order(stem: Callable[..., str]) -> Callable[[], StudyFolders]:
    """DCMTK's: a study ends when another one comes."""
    return lambda: StudyFolders(stem, most_studies=1)


CASES = (
    Case("storescp", ()),
    Case("storescp", ("+B",)),
    Case("storescp", ("-uf",)),
    Case("storescp", ("-fe", ".dcm"), lambda: DefaultNames(".dcm")),
    Case("storescp", ("-fe", "_a b;c"), lambda: DefaultNames("_a b;c")),
    Case("storescp", ("+uf",), UniqueNames),
    Case("storescp", ("+uf", "-fe", ".dcm"), lambda: UniqueNames(".dcm")),
    Case("storescp", ("-tn",), TimeNames),
    Case("storescp", ("-tn", "-fe", ".dcm"), lambda: TimeNames(".dcm")),
    Case("storescp", ("-ss", "p"), sorting=global_order(by_prefix("p")), data_sets=INTERLEAVED),
    Case("storescp", ("-ss", ""), sorting=global_order(by_prefix("")), data_sets=INTERLEAVED),
    Case("storescp", ("-su", "p"), sorting=lambda: StudyUidFolders("p"), data_sets=INTERLEAVED),
    Case("storescp", ("-su", ""), sorting=StudyUidFolders, data_sets=INTERLEAVED),
    Case("storescp", ("-su", "a b$;"), sorting=lambda: StudyUidFolders("a b$;"), data_sets=INTERLEAVED),
    Case("storescp", ("-sp",), sorting=global_order(by_patient), data_sets=PATIENTS),
    Case("storescp", ("-sp",), sorting=global_order(by_patient), data_sets=INTERLEAVED),
    Case("storescp", ("-su", "p", "-tn"), TimeNames, lambda: StudyUidFolders("p"), INTERLEAVED),
    Case("storescp", ("-ss", "p", "+uf"), UniqueNames, global_order(by_prefix("p")), INTERLEAVED),
    Case("dcmrecv", ()),
    Case("dcmrecv", ("+B",)),
    Case("dcmrecv", ("+fd", "-fe", ".dcm"), lambda: DefaultNames(".dcm")),
    Case("dcmrecv", ("+fu",), UniqueNames),
    Case("dcmrecv", ("+fu", "-fe", ".dcm"), lambda: UniqueNames(".dcm")),
    Case("dcmrecv", ("+fsu",), ShortUniqueNames),
    Case("dcmrecv", ("+fsu", "-fe", ".dcm"), lambda: ShortUniqueNames(".dcm")),
    Case("dcmrecv", ("+fst",), SystemTimeNames),
    Case("dcmrecv", ("+fst", "-fe", ".dcm"), lambda: SystemTimeNames(".dcm")),
    Case("dcmrecv", ("-s",)),
    Case("dcmrecv", ("+ssd",), sorting=SeriesDateFolders, data_sets=DATES),
    Case("dcmrecv", ("+ssd", "+fsu", "-fe", ".dcm"), lambda: ShortUniqueNames(".dcm"), SeriesDateFolders, DATES),
)  # fmt: skip


def both_folders(tmp_path: Path) -> tuple[Path, Path]:
    """Where DCMTK stores, and where we do."""
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    theirs.mkdir()
    ours.mkdir()
    return theirs, ours


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_files_have_the_names_that_dcmtk_gives_them(case: Case, tmp_path: Path) -> None:
    theirs, ours = both_folders(tmp_path)

    with dcmtks_receiver(case.program, theirs, *case.options) as port:
        expected = send(port, case.data_sets)
    with our_receiver(Output(OutputFolder(ours), case.naming(), case.sorting())) as port:
        statuses = send(port, case.data_sets)

    assert statuses == expected == [SUCCESS] * len(case.data_sets)
    assert tree(ours) == tree(theirs)
    assert sum(len(files) for _, files in tree(ours)) == len(case.data_sets)


@pytest.mark.parametrize(
    "program, options, sorting",
    [
        pytest.param("storescp", ("-ss", "p"), global_order(by_prefix("p")), id="-ss"),
        pytest.param("storescp", ("-su", ""), StudyUidFolders, id="-su"),
        pytest.param("storescp", ("-sp",), global_order(by_patient), id="-sp"),
    ],
)
@pytest.mark.parametrize("uid", [None, ""], ids=["absent", "empty"])
def test_an_instance_without_a_study_is_not_sorted_and_not_stored(
    program: str, options: Sequence[str], sorting: Callable[[], Any], uid: str | None, tmp_path: Path
) -> None:
    theirs, ours = both_folders(tmp_path)
    data_sets = [study("A", 1), study("A", 2, StudyInstanceUID=uid), study("A", 3)]

    with dcmtks_receiver(program, theirs, *options) as port:
        expected = send(port, data_sets)
    with our_receiver(Output(OutputFolder(ours), DefaultNames(), sorting())) as port:
        statuses = send(port, data_sets)

    assert statuses == expected == [SUCCESS, CANNOT_UNDERSTAND, SUCCESS]
    assert tree(ours) == tree(theirs)


@pytest.mark.parametrize(
    "program, naming, files",
    [
        pytest.param(("storescp",), DefaultNames, 1, id="storescp"),
        pytest.param(("dcmrecv",), DefaultNames, 1, id="dcmrecv"),
        pytest.param(("storescp", "+uf"), UniqueNames, 3, id="storescp +uf"),
        pytest.param(("dcmrecv", "+fsu"), ShortUniqueNames, 3, id="dcmrecv +fsu"),
    ],
)
def test_the_same_instance_again_replaces_its_file_under_the_default_name_only(
    program: Sequence[str], naming: Callable[[], Any], files: int, tmp_path: Path
) -> None:
    theirs, ours = both_folders(tmp_path)
    data_sets = [instance(side_pixels=0, PatientID=patient_id) for patient_id in ("1", "2", "3")]

    with dcmtks_receiver(program[0], theirs, *program[1:]) as port:
        send(port, data_sets)
    with our_receiver(Output(OutputFolder(ours), naming())) as port:
        send(port, data_sets)

    assert tree(ours) == tree(theirs)
    held = sorted(pydicom.dcmread(file).PatientID for file in ours.iterdir())
    assert held == ["1", "2", "3"][-files:]


def test_studies_that_come_by_turns_have_one_folder_each_unless_dcmtks_order_is_asked_for(tmp_path: Path) -> None:
    theirs, ours = both_folders(tmp_path)

    with dcmtks_receiver("storescp", theirs, "-ss", "p") as port:
        send(port, INTERLEAVED)
    with our_receiver(Output(OutputFolder(ours), DefaultNames(), StudyFolders(by_prefix("p")))) as port:
        send(port, INTERLEAVED)

    assert sorted(len(files) for _, files in tree(theirs)) == [1, 1, 2]
    assert sorted(len(files) for _, files in tree(ours)) == [1, 3]


@pytest.mark.parametrize("program", ["storescp", "dcmrecv"])
def test_what_was_not_announced_is_refused_and_leaves_no_file_unlike_dcmtk(program: str, tmp_path: Path) -> None:
    theirs, ours = both_folders(tmp_path)

    with dcmtks_receiver(program, theirs) as port:
        expected = send(port, [instance()], announced="1.2.3")
    with our_receiver(Output(OutputFolder(ours), DefaultNames())) as port:
        statuses = send(port, [instance()], announced="1.2.3")

    assert expected == [DOES_NOT_MATCH if program == "storescp" else SUCCESS]
    assert len(list(theirs.iterdir())) == 1, "DCMTK keeps it"
    assert statuses == [DOES_NOT_MATCH]
    assert list(ours.iterdir()) == []


@pytest.mark.parametrize("keyword", ["SOPClassUID", "SOPInstanceUID"])
def test_a_data_set_that_does_not_say_what_it_is_cannot_be_understood(keyword: str, tmp_path: Path) -> None:
    theirs, ours = both_folders(tmp_path)
    whole, lacking = instance(side_pixels=0), instance(side_pixels=0)
    delattr(lacking, keyword)
    syntax = str(whole.file_meta.TransferSyntaxUID)

    def store(port: int) -> int:
        with RawScu(port) as scu:
            scu.associate([Proposed(str(whole.SOPClassUID), (syntax,))])
            return scu.store(str(whole.SOPClassUID), str(whole.SOPInstanceUID), encoded(lacking), syntax).status

    with dcmtks_receiver("storescp", theirs) as port:
        expected = store(port)
    with our_receiver(Output(OutputFolder(ours), DefaultNames())) as port:
        status = store(port)

    assert status == expected == CANNOT_UNDERSTAND
    assert list(ours.iterdir()) == []


# How data sets are written

NESTED = instance(
    side_pixels=16,
    ReferencedStudySequence=Items([instance(side_pixels=0, number=2), instance(side_pixels=0, number=3)]),
)
NESTED.add_new(0x00091001, "UT", "text of a VR that came after 1993")
NESTED.add_new(0x00091002, "UN", b"\0\1\2\3")
IMPLICIT = instance(side_pixels=16, transfer_syntax=IMPLICIT_VR_LITTLE_ENDIAN, ReferencedStudySequence=Items([]))


@pytest.mark.parametrize(
    "options, writing",
    [
        pytest.param(("+B",), Writing(), id="+B"),
        pytest.param(("+B", "-F"), Writing(has_file_meta=False), id="+B -F"),
        pytest.param((), Writing(anew=EncodingOptions()), id="-B"),
        pytest.param(("-F",), Writing(has_file_meta=False, anew=EncodingOptions()), id="-F"),
        pytest.param(("+te",), Writing(anew=EncodingOptions(EXPLICIT_VR_LITTLE_ENDIAN)), id="+te"),
        pytest.param(("+tb",), Writing(anew=EncodingOptions(EXPLICIT_VR_BIG_ENDIAN)), id="+tb"),
        pytest.param(("+ti",), Writing(anew=EncodingOptions(IMPLICIT_VR_LITTLE_ENDIAN)), id="+ti"),
        pytest.param(("+td",), Writing(anew=EncodingOptions(DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)), id="+td"),
        pytest.param(
            ("+td", "+cl", "1"),
            Writing(anew=EncodingOptions(DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, deflate_level=1)),
            id="+td +cl 1",
        ),
        pytest.param(("-u",), Writing(anew=EncodingOptions(old_vrs_only=True)), id="-u"),
        pytest.param(("+g",), Writing(anew=EncodingOptions(group_lengths=GroupLengths.CREATE)), id="+g"),
        pytest.param(("-g",), Writing(anew=EncodingOptions(group_lengths=GroupLengths.REMOVE)), id="-g"),
        pytest.param(("-e",), Writing(anew=EncodingOptions(sequence_lengths=SequenceLengths.UNDEFINED)), id="-e"),
        pytest.param(
            ("+ti", "-F", "+g", "-e"),
            Writing(
                False,
                EncodingOptions(IMPLICIT_VR_LITTLE_ENDIAN, GroupLengths.CREATE, SequenceLengths.UNDEFINED),
            ),
            id="+ti -F +g -e",
        ),
    ],
)
@pytest.mark.parametrize("data_set", [NESTED, IMPLICIT], ids=["explicit", "implicit"])
def test_data_sets_are_written_as_storescp_writes_them(
    data_set: FileDataset, options: Sequence[str], writing: Writing, tmp_path: Path
) -> None:
    theirs, ours = both_folders(tmp_path)

    with dcmtks_receiver("storescp", theirs, *options) as port:
        send(port, [data_set])
    with our_receiver(Output(OutputFolder(ours), DefaultNames(), writing=writing)) as port:
        send(port, [data_set])

    (their_file,), (our_file,) = theirs.iterdir(), ours.iterdir()
    if not writing.has_file_meta:
        assert our_file.read_bytes() == their_file.read_bytes()
        return
    written, expected = data_set_bytes(our_file), data_set_bytes(their_file)
    if "+td" in options and len(expected) % 2:
        expected += b"\0"  # which PS3.5 A.5 asks for
    assert written == expected
    our_meta, their_meta = (pydicom.dcmread(file).file_meta for file in (our_file, their_file))
    for keyword in ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID"):
        assert our_meta[keyword] == their_meta[keyword]
    assert our_meta.SourceApplicationEntityTitle == their_meta.SourceApplicationEntityTitle == "RAWSCU"


def test_padding_makes_files_as_long_as_those_of_storescp(tmp_path: Path) -> None:
    theirs, ours = both_folders(tmp_path)
    writing = Writing(anew=EncodingOptions(file_padding_bytes=1024, item_padding_bytes=32))

    with dcmtks_receiver("storescp", theirs, "+p", "1024", "32") as port:
        send(port, [NESTED])
    with our_receiver(Output(OutputFolder(ours), DefaultNames(), writing=writing)) as port:
        send(port, [NESTED])

    sizes = [next(folder.iterdir()).stat().st_size for folder in (theirs, ours)]
    assert [size % 1024 for size in sizes] == [0, 0]


# What breaks off


def test_a_peer_that_dies_in_mid_object_leaves_nothing(tmp_path: Path) -> None:
    _, ours = both_folders(tmp_path)
    data_set = ct()

    with our_receiver(Output(OutputFolder(ours), DefaultNames())) as port:
        with RawScu(port) as scu:
            scu.associate([Proposed(str(data_set.SOPClassUID), (EXPLICIT_VR_LITTLE_ENDIAN,))])
            context = scu.announce_store(str(data_set.SOPClassUID), str(data_set.SOPInstanceUID))
            scu.says(*(pdu(0x04, pdv(context.context_id, DATA, encoded(data_set)[:16_000])) for _ in range(10)))
        send(port, [study("A", 1)])

    assert [name for name in os.listdir(ours) if not name.startswith("SC.")] == []  # noqa: PTH208


def test_a_disk_that_is_full_is_said_and_leaves_no_file(tmp_path: Path) -> None:
    """The same by a limit that any user can set: RLIMIT_FSIZE."""
    _, ours = both_folders(tmp_path)
    port = free_port()
    command = [sys.executable, "-m", "archive", "storescp", "-od", ours, str(port)]
    receiver = Background(command, tmp_path / "log", folder=Path(__file__).parents[2])
    try:
        receiver.wait_listening(port)
        resource.prlimit(receiver.pid, resource.RLIMIT_FSIZE, (300_000, 300_000))
        statuses = send(port, [ct(), ct(number=2, side_pixels=16), ct(number=3)])
    finally:
        receiver.stop()

    assert statuses == [OUT_OF_RESOURCES, SUCCESS, OUT_OF_RESOURCES]
    assert [file.name for file in ours.iterdir()] == [f"CT.{ct(number=2, side_pixels=0).SOPInstanceUID}"]
