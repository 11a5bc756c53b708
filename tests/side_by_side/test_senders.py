"""DCMTK's storescu, and ours: the same command line and the same receiver to both, and nobody can tell."""

import shlex
import struct
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from scripts.background import Background, free_port
from tests.fix_dcmtk import Dcmtk
from tests.fix_instances import BUNDLED_FOLDER, ct, encoded, instance, part10_bytes
from tests.side_by_side.outcome import Outcome, files_in
from tests.side_by_side.sender_cases import CASES, Case
from tests.wire.sending import storescu
from tests.wire.storage_scps import DCMTK, OURS, Command, words_of


def make_files(folder: Path) -> None:
    """What cases name."""
    folder.mkdir(parents=True)
    (folder / "good" / "below").mkdir(parents=True)
    item = Dataset()
    item.ReferencedSOPInstanceUID, item.PatientID = "1.2.3", "INSIDE"
    deep = Dataset()
    deep.ReferencedStudySequence = [item, item]
    deep.is_undefined_length_sequence_item = True
    with_sequences = instance(number=7, ReferencedStudySequence=[item], RequestAttributesSequence=[deep, item])
    with_sequences["RequestAttributesSequence"].is_undefined_length = True
    later = instance(number=8)
    later.add_new(0x00080119, "UC", "Long code")
    later.add_new(0x00091010, "UN", b"private!")
    made = {
        "ct.dcm": ct(side_pixels=64),
        "implicit.dcm": instance(number=2, transfer_syntax=ImplicitVRLittleEndian),
        "big.dcm": instance(number=3, transfer_syntax=ExplicitVRBigEndian),
        "deflated.dcm": instance(number=4, transfer_syntax=DeflatedExplicitVRLittleEndian),
        "sc.dcm": instance(number=5),
        "sequences.dcm": with_sequences,
        "later.dcm": later,
        "good/a.dcm": instance(number=11),
        "good/b.img": instance(number=12),
        "good/below/c.dcm": instance(number=13),
    }
    for name, data_set in made.items():
        (folder / name).write_bytes(part10_bytes(data_set))
    bundled = {
        "mr.dcm": "MR_small.dcm",
        "jpeg.dcm": "SC_rgb_jpeg_dcmtk.dcm",
        "rle.dcm": "MR_small_RLE.dcm",
        "j2k.dcm": "MR_small_jp2klossless.dcm",
    }
    for name, source in bundled.items():
        (folder / name).write_bytes((BUNDLED_FOLDER / source).read_bytes())
    (folder / "bare").write_bytes(encoded(instance(number=6)))
    (folder / "notes.txt").write_text("no DICOM file")
    (folder / "empty").write_bytes(b"")
    (folder / "cut.dcm").write_bytes(part10_bytes(instance(number=9))[:-10])
    plain = part10_bytes(instance(number=10))
    series = plain.index(b"\x20\x00\x0e\x00UI")
    (folder / "cut-header.dcm").write_bytes(plain[: series + 20])
    (folder / "cut-element.dcm").write_bytes(plain[: series + 6])
    at = plain.index(b"\x10\x00\x10\x00PN")
    length = plain.index(b"\x20\x00\x0d\x00UI") - at
    group_length = struct.pack("<HH2sHI", 0x10, 0, b"UL", 4, length)
    (folder / "lengths.dcm").write_bytes(plain[:at] + group_length + plain[at:])


def run(case: Case, command: Command, folder: Path) -> Outcome:
    """Start the receiver, send to it, and look at what it has and at the files that were sent."""
    received, sent = folder / "received", folder / "sent"
    received.mkdir(parents=True)
    make_files(sent)
    port = free_port()
    words = [*words_of(DCMTK, "storescp"), "-od", str(received), *shlex.split(case.receiver), str(port)]
    files = [str(sent / name) for name in case.files.split()]
    if case.receiver == "none":
        ran = storescu(*case.options.split(), "localhost", port, *files, command=command)
        return Outcome([], ran.code)
    process = Background(words, folder / "log", environment={"TCP_NODELAY": "1"})
    try:
        process.wait_listening(port)
        ran = storescu(*case.options.split(), "localhost", port, *files, command=command)
    finally:
        process.stop()
    names = sorted(path.relative_to(sent).as_posix() for path in sent.rglob("*"))
    return Outcome(names, ran.code, files_in(received), process.output())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_sender_does_what_dcmtks_does(case: Case, tmp_path: Path) -> None:
    assert Dcmtk.program("storescu")
    theirs, ours = run(case, DCMTK, tmp_path / "theirs"), run(case, OURS, tmp_path / "ours")

    assert [each.name for each in ours.files] == [each.name for each in theirs.files]
    assert [each.meta for each in ours.files] == [each.meta for each in theirs.files]
    assert [each.data_set for each in ours.files] == [each.data_set for each in theirs.files]
    assert ours.answers == theirs.answers  # the names of the files that were sent
    assert ours.exit_code == theirs.exit_code


def test_no_two_cases_are_the_same() -> None:
    assert len({(case.options, case.files, case.receiver) for case in CASES}) == len(CASES) >= 70
