"""Files that are to be sent: which are instances, and what goes out for them."""

import os
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

from archive.dicom import convert
from archive.errors import CannotConvert, MissingUid, NotDicom, UnreadableDataSet, UnreadableFile
from archive.storage.outgoing import PIECE_BYTES, Encoding, open_outgoing
from tests.fix_instances import BUNDLED_FOLDER, CT_SAMPLE, ct, data_set_bytes, encoded, instance, part10_bytes, write
from tests.wire.same_content import read, same_content

AS_IT_IS = Encoding()
UNCOMPRESSED = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)


def sent(path: Path, target: str, encoding: Encoding = AS_IT_IS) -> bytes:
    opened = open_outgoing(str(path))
    try:
        data_set = opened.data_set(target, encoding, memoryview(bytearray(PIECE_BYTES)))
        return data_set if isinstance(data_set, bytes) else b"".join(map(bytes, data_set))
    finally:
        opened.close()


@pytest.mark.parametrize("syntax", UNCOMPRESSED)
@pytest.mark.parametrize("make", [instance, ct], ids=["in one piece", "in several pieces"])
def test_the_bytes_of_the_file_go_out_where_its_transfer_syntax_is_taken(tmp_path: Path, make, syntax: str) -> None:
    path = write(make(transfer_syntax=syntax), tmp_path)

    assert sent(path, syntax) == data_set_bytes(path)


@pytest.mark.parametrize("target", UNCOMPRESSED)
@pytest.mark.parametrize("syntax", UNCOMPRESSED)
def test_uncompressed_data_sets_are_converted_into_each_other(tmp_path: Path, syntax: str, target: str) -> None:
    path = write(ct(transfer_syntax=syntax), tmp_path)

    same_content(data_set_bytes(path), syntax, sent(path, target), target)


def test_a_long_data_set_is_converted_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archive.dicom.convert.WHOLE_BYTES", 1000)
    path = write(ct(), tmp_path)

    same_content(data_set_bytes(path), ExplicitVRLittleEndian, sent(path, ExplicitVRBigEndian), ExplicitVRBigEndian)


def test_a_compressed_data_set_is_not_converted() -> None:
    path = BUNDLED_FOLDER / "SC_rgb_jpeg_dcmtk.dcm"

    assert sent(path, JPEGBaseline8Bit) == data_set_bytes(path)
    with pytest.raises(CannotConvert):
        sent(path, ExplicitVRLittleEndian)


def test_the_deflate_level_is_that_which_is_asked_for(tmp_path: Path) -> None:
    path = write(ct(), tmp_path)

    sizes = [len(sent(path, DeflatedExplicitVRLittleEndian, Encoding(deflate_level=level))) for level in (0, 9)]

    assert sizes[0] > 500_000 > 50_000 > sizes[1]


@pytest.mark.parametrize("target", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_later_vrs_become_ob_where_that_is_asked_for(tmp_path: Path, target: str) -> None:
    data_set = instance()
    data_set.add_new(0x00189810, "FD", 1.0)
    data_set.add_new(0x00080119, "UC", "Long code")
    path = write(data_set, tmp_path)

    changed = read(sent(path, target, Encoding(old_vrs_only=True)), target)

    assert (changed[0x00080119].VR, changed[0x00189810].VR) == ("OB", "FD")


def test_a_bare_data_set_is_recognized(tmp_path: Path) -> None:
    path = tmp_path / "bare"
    path.write_bytes(encoded(instance(transfer_syntax=ImplicitVRLittleEndian)))

    opened = open_outgoing(str(path), "data set")
    opened.close()

    assert opened.transfer_syntax_uid == ImplicitVRLittleEndian
    assert open_outgoing(str(path)).sop_class_uid == instance().SOPClassUID


def test_a_form_that_was_not_asked_for_is_refused(tmp_path: Path) -> None:
    bare, file = tmp_path / "bare", write(instance(), tmp_path)
    bare.write_bytes(encoded(instance()))

    with pytest.raises(UnreadableDataSet, match="no File Meta Information"):
        open_outgoing(str(bare), "file")
    with pytest.raises(UnreadableDataSet, match="has File Meta Information"):
        open_outgoing(str(file), "data set")


@pytest.mark.parametrize(
    "content",
    [b"", b"\0", b"hello world, this is a text file", bytes(132), bytes(128) + b"DICM", os.urandom(4096)],
    ids=["empty", "one byte", "text", "zeros", "no elements", "noise"],
)
def test_what_is_something_else_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)

    with pytest.raises((NotDicom, UnreadableDataSet)):
        open_outgoing(str(path))


def test_a_dicomdir_is_told() -> None:
    with pytest.raises(NotDicom, match="DICOMDIR"):
        open_outgoing(str(BUNDLED_FOLDER / "dicomdirtests" / "DICOMDIR"))


@pytest.mark.parametrize("cut_bytes", [1, 100, 8000, 8900])
def test_a_file_that_was_cut_short_is_told(tmp_path: Path, cut_bytes: int) -> None:
    whole = part10_bytes(instance())
    path = tmp_path / "cut"
    path.write_bytes(whole[:-cut_bytes])

    with pytest.raises(UnreadableDataSet):
        open_outgoing(str(path))


def test_a_file_that_was_cut_in_the_first_bytes_of_an_element_is_told(tmp_path: Path) -> None:
    whole = part10_bytes(instance())
    at = whole.index(b"\x20\x00\x0e\x00UI")  # Series Instance UID
    path = tmp_path / "cut"
    for left_bytes in range(1, 8):
        path.write_bytes(whole[: at + left_bytes])

        with pytest.raises(UnreadableDataSet):
            open_outgoing(str(path))


@pytest.mark.parametrize("keyword", ["SOPClassUID", "SOPInstanceUID"])
def test_an_instance_without_a_uid_is_told(tmp_path: Path, keyword: str) -> None:
    data_set = instance()
    delattr(data_set, keyword)
    path = tmp_path / "file"
    path.write_bytes(_with_meta(data_set))

    with pytest.raises(MissingUid):
        open_outgoing(str(path))


def _with_meta(data_set: FileDataset) -> bytes:
    buffer = BytesIO(part10_bytes(instance()))
    whole = buffer.getvalue()
    return whole[: len(whole) - len(data_set_bytes(whole))] + encoded(data_set)


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    for path in (tmp_path / "pipe", tmp_path, tmp_path / "gone"):
        with pytest.raises(UnreadableFile):
            open_outgoing(str(path))


def test_a_file_that_becomes_shorter_meanwhile_is_told(tmp_path: Path) -> None:
    path = write(ct(), tmp_path)
    opened = open_outgoing(str(path))
    os.truncate(path, 100_000)

    with pytest.raises(UnreadableFile):
        list(opened.data_set(ExplicitVRLittleEndian, Encoding(), memoryview(bytearray(PIECE_BYTES))))
    opened.close()


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(CT_SAMPLE)

    assert sent(tmp_path / "link", dcmread(CT_SAMPLE).file_meta.TransferSyntaxUID) == data_set_bytes(CT_SAMPLE)


@pytest.mark.parametrize("syntax", UNCOMPRESSED)
@pytest.mark.parametrize("make", [instance, ct], ids=["small", "large"])
def test_other_values_go_out_in_every_transfer_syntax(tmp_path: Path, make, syntax: str) -> None:
    path = write(make(transfer_syntax=syntax), tmp_path)
    opened = open_outgoing(str(path))

    changed, missing = opened.edited({0x00080018: "1.2.3", 0x00100020: "NEW"})
    data_set = changed.data_set(syntax, Encoding(), memoryview(bytearray(PIECE_BYTES)))
    content = data_set if isinstance(data_set, bytes) else b"".join(map(bytes, data_set))
    opened.close()

    assert (changed.sop_instance_uid, missing) == ("1.2.3", frozenset())
    expected = encoded(make(transfer_syntax=syntax, SOPInstanceUID="1.2.3", PatientID="NEW"))
    same_content(expected, syntax, content, syntax)
    if syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
        assert content == expected


def test_uids_with_spaces_behind_them_are_told_and_cleaned(tmp_path: Path) -> None:
    path = tmp_path / "padded"
    path.write_bytes(part10_bytes(instance(SOPInstanceUID="1.2.345")).replace(b"1.2.345\0", b"1.2.345 "))

    opened = open_outgoing(str(path))
    opened.close()

    assert opened.is_padded
    assert opened.sop_instance_uid == "1.2.345"
    assert b"1.2.345 " in opened.head
    cleaned = opened.with_clean_uids()
    assert not cleaned.is_padded
    assert cleaned.head == opened.head.replace(b"1.2.345 ", b"1.2.345\0")


def test_what_is_short_only_while_it_is_deflated_is_not_held_in_memory(tmp_path: Path) -> None:
    """2 MB in the file are some hundred times as much: pieces come before all is written."""
    bomb = instance(transfer_syntax=DeflatedExplicitVRLittleEndian, side_pixels=0)
    bomb.Rows = bomb.Columns = 8192
    bomb.add_new("PixelData", "OW", bytes(2 * convert.WHOLE_BYTES))
    path = write(bomb, tmp_path)
    assert path.stat().st_size < convert.WHOLE_BYTES // 50

    with closing(open_outgoing(str(path))) as opened:
        pieces = opened.data_set(ExplicitVRLittleEndian, Encoding(), memoryview(bytearray(PIECE_BYTES)))
        assert not isinstance(pieces, bytes)
        longest = max(map(len, pieces))

    assert longest < convert.WHOLE_BYTES + (4 << 20)


def test_what_may_keep_the_name_of_a_patient_is_not_sent_under_another_one(tmp_path: Path) -> None:
    made = instance(PatientName="Real^Name")
    raw = part10_bytes(made)
    at = raw.index(b"\x10\x00\x10\x00PN")
    path = tmp_path / "odd.dcm"
    path.write_bytes(raw[:at] + b"\x09\x00\x10\x00LO\x04\x00MINE\x09\x00\x01\x10??\x02\x00ab" + raw[at:])

    with (
        closing(open_outgoing(str(path))) as opened,
        pytest.raises(UnreadableDataSet, match="cannot be given other values"),
    ):
        opened.edited({0x00100010: "Nobody", 0x00080018: "1.2.3"})
