"""The sink of the receiving commands: what lies in the folder after an instance was kept, and after one was not."""

import errno
import os
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate

from archive.dicom.normal import EncodingOptions, GroupLengths
from archive.dicom.uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from archive.errors import CannotConvert, DataSetMismatch, DiskFailed, OutOfResources, UnreadableDataSet, Unsortable
from archive.storage.file_names import (
    DefaultNames,
    ShortUniqueNames,
    SystemTimeNames,
    TimeNames,
    UniqueNames,
)
from archive.storage.folder import OutputFolder
from archive.storage.output import ANEW_SPOOL_BYTES, SPOOL_BYTES, Kept, Output, Writing
from archive.storage.received import Received
from archive.storage.sink import Outcome
from archive.storage.subfolders import SeriesDateFolders, StudyFolders, StudyUidFolders, by_patient, by_prefix
from tests.fix_instances import data_set_bytes, encoded, instance, part10_bytes
from tests.unit.storage.fix_received import names

SYNTAXES = (
    IMPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
)
JPEG = "1.2.840.10008.1.2.4.50"
SMALL, MEDIUM, LARGE = 16, 256, 1024  # pixels of a side: below SPOOL_BYTES, between it and ANEW_SPOOL_BYTES, above
SIZES = (SMALL, MEDIUM, LARGE)
ANEW = Writing(anew=EncodingOptions())


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def output(place: Path) -> Callable[..., Output]:
    """`output(naming=…, sorting=…, writing=…)`: into the folder of this test."""
    return lambda naming=None, **how: Output(OutputFolder(place), naming or DefaultNames(), **how)


def store(
    output: Output,
    data_set: FileDataset,
    *,
    raw: bytes | None = None,
    announced: tuple[str, str] | None = None,
    pieces: int = 16_384,
    kept: Kept | None = None,
) -> Outcome:
    """Store one instance that comes in fragments of `pieces` bytes; `announced` are the UIDs of the request."""
    raw = encoded(data_set) if raw is None else raw
    sop_class, sop_instance = announced or (str(data_set.SOPClassUID), str(data_set.SOPInstanceUID))
    with output.sink("STORESCU", kept).begin(sop_class, sop_instance, data_set.file_meta.TransferSyntaxUID) as incoming:
        buffer = bytearray(pieces)
        for start in range(0, len(raw), pieces):
            piece = raw[start : start + pieces]
            buffer[: len(piece)] = piece
            incoming.write(memoryview(buffer)[: len(piece)])
        buffer[:] = bytes(pieces)  # the memory is the association's again
        return incoming.finish()


def files(place: Path) -> list[Path]:
    return sorted(path for path in place.rglob("*") if path.is_file())


def only_file(place: Path) -> Path:
    (file,) = files(place)
    return file


# As received


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("side_pixels", SIZES)
def test_the_bytes_that_came_lie_behind_our_file_meta_information(
    output: Callable[..., Output], place: Path, syntax: str, side_pixels: int
):
    data_set = instance(side_pixels=side_pixels, transfer_syntax=syntax)

    outcome = store(output(), data_set)

    assert outcome is Outcome.NEW
    file = place / f"SC.{data_set.SOPInstanceUID}"
    assert files(place) == [file]
    assert data_set_bytes(file) == encoded(data_set)
    meta = pydicom.dcmread(file).file_meta
    assert meta.TransferSyntaxUID == syntax
    assert meta.MediaStorageSOPInstanceUID == data_set.SOPInstanceUID
    assert meta.SourceApplicationEntityTitle == "STORESCU"


@pytest.mark.parametrize("side_pixels", SIZES)
def test_a_data_set_alone_has_nothing_before_it(output: Callable[..., Output], place: Path, side_pixels: int):
    data_set = instance(side_pixels=side_pixels)

    store(output(writing=Writing(has_file_meta=False)), data_set)

    assert only_file(place).read_bytes() == encoded(data_set)


@pytest.mark.parametrize("pieces", [1, 7, 65_536, 65_537, 1 << 20])
def test_it_does_not_matter_in_what_pieces_a_data_set_comes(output: Callable[..., Output], place: Path, pieces: int):
    data_set = instance(side_pixels=192)  # a little more than SPOOL_BYTES

    store(output(), data_set, pieces=pieces)

    assert len(encoded(data_set)) > SPOOL_BYTES
    assert data_set_bytes(only_file(place)) == encoded(data_set)


# Written anew


@pytest.mark.parametrize("side_pixels", SIZES)
@pytest.mark.parametrize("target", SYNTAXES)
@pytest.mark.parametrize("source", SYNTAXES)
def test_a_data_set_is_written_in_the_transfer_syntax_that_was_asked_for(
    output: Callable[..., Output], place: Path, source: str, target: str, side_pixels: int
):
    data_set = instance(side_pixels=side_pixels, transfer_syntax=source)

    store(output(writing=Writing(anew=EncodingOptions(transfer_syntax_uid=target))), data_set)

    written = pydicom.dcmread(only_file(place))
    assert written.file_meta.TransferSyntaxUID == target
    assert written.PatientName == data_set.PatientName
    assert words_of(written) == words_of(data_set)


def words_of(data_set: FileDataset) -> list[int]:
    """The first pixels; pydicom leaves them in the byte order of the transfer syntax."""
    order = "big" if data_set.file_meta.TransferSyntaxUID == EXPLICIT_VR_BIG_ENDIAN else "little"
    return [int.from_bytes(data_set.PixelData[at : at + 2], order) for at in range(0, 64, 2)]


def test_data_sets_written_anew_alone_have_nothing_before_them(output: Callable[..., Output], place: Path):
    options = EncodingOptions(group_lengths=GroupLengths.CREATE)

    store(output(writing=Writing(has_file_meta=False, anew=options)), instance())

    assert only_file(place).read_bytes()[:8] == b"\x08\x00\x00\x00UL\x04\x00"


def test_padding_makes_the_whole_file_a_multiple(output: Callable[..., Output], place: Path):
    store(output(writing=Writing(anew=EncodingOptions(file_padding_bytes=1000))), instance())

    assert only_file(place).stat().st_size % 1000 == 0


@pytest.mark.parametrize("side_pixels", SIZES)
def test_what_cannot_be_converted_is_refused_and_leaves_no_file(
    output: Callable[..., Output], place: Path, side_pixels: int
):
    data_set = instance(side_pixels=0, transfer_syntax=JPEG)
    data_set.PixelData = encapsulate([bytes(side_pixels * side_pixels * 2)])
    data_set["PixelData"].VR = "OB"
    data_set["PixelData"].is_undefined_length = True
    sorted_by_study = output(
        sorting=StudyUidFolders(), writing=Writing(anew=EncodingOptions(transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN))
    )

    with pytest.raises(CannotConvert):
        store(sorted_by_study, data_set, raw=data_set_bytes(part10_bytes(data_set)))

    assert names(place) == []


@pytest.mark.parametrize("side_pixels", [SMALL, LARGE])
def test_what_cannot_be_read_cannot_be_written_anew(output: Callable[..., Output], place: Path, side_pixels: int):
    data_set = instance(side_pixels=side_pixels)

    with pytest.raises(UnreadableDataSet):
        store(output(writing=ANEW), data_set, raw=encoded(data_set)[:-7])

    assert names(place) == []


# What is not kept


@pytest.mark.parametrize("writing", [Writing(), ANEW], ids=["received", "anew"])
@pytest.mark.parametrize("side_pixels", [SMALL, LARGE])
@pytest.mark.parametrize(
    "announced, tag",
    [((None, "1.2.3"), 0x00080018), (("1.2.840.10008.5.1.4.1.1.2", None), 0x00080016)],
    ids=["instance", "class"],
)
def test_an_instance_that_was_not_announced_is_refused_and_leaves_no_file(
    output: Callable[..., Output],
    place: Path,
    writing: Writing,
    side_pixels: int,
    announced: tuple[str | None, str | None],
    tag: int,
):
    data_set = instance(side_pixels=side_pixels)
    uids = (announced[0] or str(data_set.SOPClassUID), announced[1] or str(data_set.SOPInstanceUID))

    with pytest.raises(DataSetMismatch) as refused:
        store(output(writing=writing), data_set, announced=uids)

    assert refused.value.offending_element == tag
    assert names(place) == []


@pytest.mark.parametrize("keyword", ["SOPClassUID", "SOPInstanceUID"])
def test_a_data_set_that_does_not_say_what_it_is_cannot_be_understood(
    output: Callable[..., Output], place: Path, keyword: str
):
    whole = instance()
    lacking = instance()
    delattr(lacking, keyword)

    with pytest.raises(UnreadableDataSet, match="missing"):
        store(output(), lacking, announced=(str(whole.SOPClassUID), str(whole.SOPInstanceUID)))

    assert names(place) == []


def test_an_empty_data_set_cannot_be_understood(output: Callable[..., Output], place: Path):
    with pytest.raises(UnreadableDataSet, match="empty"):
        store(output(), instance(), raw=b"")

    assert names(place) == []


@pytest.mark.parametrize("uid", ["", "1." * 40, "9" * 65_000])
def test_a_request_without_a_uid_or_with_a_long_one_cannot_be_understood(
    output: Callable[..., Output], place: Path, uid: str
):
    with pytest.raises(UnreadableDataSet, match="empty or too long"):
        store(output(), instance(), announced=("1.2.840.10008.5.1.4.1.1.7", uid))

    assert names(place) == []


@pytest.mark.parametrize("padding", [b"\0", b" ", b"  \0 "])
def test_padding_of_uids_makes_no_difference(output: Callable[..., Output], place: Path, padding: bytes):
    data_set = instance(SOPInstanceUID="1.2.3.4")
    raw = encoded(data_set)
    at = raw.index(b"\x08\x00\x18\x00UI")
    padded = raw[: at + 6] + (7 + len(padding)).to_bytes(2, "little") + b"1.2.3.4" + padding + raw[at + 16 :]

    store(output(), data_set, raw=padded)

    assert only_file(place).name == "SC.1.2.3.4"


def test_the_uids_are_found_behind_much_else(output: Callable[..., Output], place: Path):
    data_set = instance(side_pixels=0)
    data_set.InstanceCreatorUID = "1.2"
    data_set.ImageType = ["ORIGINAL"] * 1000  # (0008,0008) comes first

    store(output(), data_set)

    assert only_file(place).name == f"SC.{data_set.SOPInstanceUID}"


def test_an_instance_that_breaks_off_leaves_nothing(output: Callable[..., Output], place: Path):
    sink = output().sink("STORESCU")

    with sink.begin("1.2", "1.2.3", EXPLICIT_VR_LITTLE_ENDIAN) as incoming:
        incoming.write(memoryview(bytes(200_000)))

    assert names(place) == []


@pytest.mark.parametrize("writing", [Writing(), ANEW], ids=["received", "anew"])
@pytest.mark.parametrize("side_pixels", SIZES)
@pytest.mark.parametrize(
    "code, expected", [(errno.ENOSPC, OutOfResources), (errno.EIO, DiskFailed)], ids=["full", "defect"]
)
def test_a_disk_that_fails_leaves_no_file(
    output: Callable[..., Output],
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    writing: Writing,
    side_pixels: int,
    code: int,
    expected: type[Exception],
):
    def fail(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "writev", fail)

    with pytest.raises(expected):
        store(output(writing=writing), instance(side_pixels=side_pixels))

    assert names(place) == []


def test_a_disk_that_fills_up_while_a_spooled_data_set_is_written_anew_leaves_no_file(
    output: Callable[..., Output], place: Path, monkeypatch: pytest.MonkeyPatch
):
    real, written = os.writev, []

    def fill_up(descriptor: int, buffers: Any) -> int:
        written.append(sum(map(len, buffers)))
        if sum(written) > 3_000_000:  # the spool has 2 MiB
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, buffers)

    monkeypatch.setattr(os, "writev", fill_up)

    with pytest.raises(OutOfResources, match="full"):
        store(output(writing=ANEW), instance(side_pixels=LARGE))

    assert sum(written) > ANEW_SPOOL_BYTES
    assert names(place) == []


def test_an_output_folder_that_is_gone_is_a_failure_and_comes_back(output: Callable[..., Output], place: Path):
    place.rmdir()

    with pytest.raises(DiskFailed, match="output folder"):
        store(output(), instance())
    place.mkdir()
    store(output(), instance())

    assert len(files(place)) == 1


# Names


def test_the_default_name_replaces_what_has_it(output: Callable[..., Output], place: Path):
    outcomes = [store(output(), instance(PatientID=patient_id)) for patient_id in ("OLD", "NEW")]

    assert outcomes == [Outcome.NEW, Outcome.REPLACED]
    assert pydicom.dcmread(only_file(place)).PatientID == "NEW"


@pytest.mark.parametrize("naming", [UniqueNames(), TimeNames(), ShortUniqueNames(), SystemTimeNames()])
def test_any_other_name_replaces_nothing(output: Callable[..., Output], place: Path, naming: Any):
    outcomes = [store(output(naming), instance(number=1)) for _ in range(20)]

    assert set(outcomes) == {Outcome.NEW}
    assert len(files(place)) == 20


def test_a_name_that_a_file_has_is_passed_over(output: Callable[..., Output], place: Path):
    (place / "SC_0000000000000001").write_bytes(b"mine")
    naming = ShortUniqueNames(begun_at=0, random_32_bits=iter([1, 2]).__next__)

    store(output(naming), instance())

    assert (place / "SC_0000000000000001").read_bytes() == b"mine"
    assert (place / "SC_0000000000000002").is_file()


def test_an_instance_is_refused_when_every_name_is_taken(output: Callable[..., Output], place: Path):
    naming = ShortUniqueNames(random_32_bits=lambda: 1)
    store(output(naming), instance(number=1))

    with pytest.raises(DiskFailed, match="taken"):
        store(output(naming), instance(number=2))

    assert len(files(place)) == 1


@pytest.mark.parametrize("scheme", [UniqueNames, TimeNames, ShortUniqueNames, SystemTimeNames, DefaultNames])
@pytest.mark.parametrize("sorting", [None, StudyFolders(by_patient), StudyUidFolders("p"), SeriesDateFolders()])
def test_many_associations_at_once_lose_no_instance(
    output: Callable[..., Output], place: Path, scheme: Callable[[], Any], sorting: Any
):
    how = {} if sorting is None else {"sorting": sorting}
    shared = output(scheme(), **how)
    instances = [instance(number=number, study=number % 3, side_pixels=0) for number in range(120)]

    with ThreadPoolExecutor(12) as threads:
        outcomes = list(threads.map(lambda each: store(shared, each), instances))

    assert set(outcomes) == {Outcome.NEW}
    stored = sorted(pydicom.dcmread(path).SOPInstanceUID for path in files(place))
    assert stored == sorted(each.SOPInstanceUID for each in instances)


# Subfolders


def test_a_subfolder_is_made_when_the_first_instance_is_whole(output: Callable[..., Output], place: Path):
    data_set = instance(SeriesDate="20240229", SOPInstanceUID="1.2.3")

    store(output(sorting=SeriesDateFolders()), data_set)

    assert only_file(place) == place / "data" / "2024" / "02" / "29" / "SC.1.2.3"


def test_the_first_name_of_a_new_subfolder_has_no_number(output: Callable[..., Output], place: Path):
    store(output(TimeNames(), sorting=StudyUidFolders("p")), instance())

    assert "_" not in only_file(place).name


@pytest.mark.parametrize("sorting", [StudyFolders(by_prefix("p")), StudyUidFolders("p"), SeriesDateFolders()])
def test_a_subfolder_that_was_tidied_away_is_made_again(output: Callable[..., Output], place: Path, sorting: Any):
    shared = output(sorting=sorting)
    store(shared, instance(number=1))
    first = only_file(place)
    first.unlink()
    first.parent.rmdir()

    store(shared, instance(number=2))

    assert only_file(place).parent == first.parent


@pytest.mark.parametrize("sorting", [StudyFolders(by_patient), StudyUidFolders()])
def test_an_instance_without_a_study_cannot_be_sorted(output: Callable[..., Output], place: Path, sorting: Any):
    with pytest.raises(Unsortable):
        store(output(sorting=sorting), instance(StudyInstanceUID=None))

    assert names(place) == []


@pytest.mark.parametrize(
    "sorting, expected",
    [
        pytest.param(StudyUidFolders("p"), Unsortable, id="storescp"),
        pytest.param(SeriesDateFolders(), DiskFailed, id="dcmrecv"),
    ],
)
def test_a_file_in_the_place_of_a_subfolder_is_an_error_as_the_program_has_it(
    output: Callable[..., Output], place: Path, sorting: Any, expected: type[Exception]
):
    data_set = instance()
    (place / "data").write_bytes(b"")
    (place / "undef").write_bytes(b"")
    (place / f"p_{data_set.StudyInstanceUID}").write_bytes(b"")
    before = names(place)

    with pytest.raises(expected) as failed:
        store(output(sorting=sorting), data_set)

    assert type(failed.value) is expected
    assert names(place) == before


@pytest.mark.parametrize("uid", ["1" * 300, "1" * 60_000])
def test_a_study_uid_that_is_too_long_for_a_folder_cannot_be_sorted(
    output: Callable[..., Output], place: Path, uid: str
):
    data_set = instance(side_pixels=0)
    data_set.add_new(0x0020000D, "LO", "x")
    raw = encoded(data_set)
    at = raw.index(b"\x20\x00\x0d\x00LO")
    length = len(uid).to_bytes(2, "little")
    raw = raw[:at] + b"\x20\x00\x0d\x00UI" + length + uid.encode() + raw[at + 10 :]

    with pytest.raises(Unsortable):
        store(output(sorting=StudyUidFolders()), data_set, raw=raw)

    assert names(place) == []


def test_a_study_whose_uid_lies_behind_much_else_is_sorted(output: Callable[..., Output], place: Path):
    data_set = instance(side_pixels=MEDIUM, StudyInstanceUID="1.2.3")
    data_set.add_new(0x00091001, "OB", bytes(2 * SPOOL_BYTES))

    store(output(sorting=StudyUidFolders()), data_set)

    assert only_file(place).parent == place / "1.2.3"


@pytest.mark.parametrize("side_pixels", [MEDIUM, LARGE])
def test_the_same_study_is_sorted_when_it_is_written_anew(output: Callable[..., Output], place: Path, side_pixels: int):
    data_set = instance(side_pixels=side_pixels, StudyInstanceUID="1.2.3")
    data_set.add_new(0x00091001, "OB", bytes(2 * SPOOL_BYTES))

    store(output(sorting=StudyUidFolders(), writing=ANEW), data_set)

    assert only_file(place).parent == place / "1.2.3"


# Who is told


def test_whoever_wants_to_know_is_told_of_the_file_and_the_instance(output: Callable[..., Output], place: Path):
    told: list[tuple[str, str, Path]] = []
    data_set = instance(StudyInstanceUID="1.2.3")

    def kept(received: Received, path: Path) -> None:
        told.append((received.sop_instance_uid, received.study_instance_uid, path))
        assert path.is_file()

    store(output(sorting=StudyUidFolders("p")), data_set, kept=kept)

    uid = str(data_set.SOPInstanceUID)
    assert told == [(uid, "1.2.3", place / "p_1.2.3" / f"SC.{uid}")]


def test_nobody_is_told_of_what_is_not_kept(output: Callable[..., Output]):
    told: list[Path] = []

    with pytest.raises(DataSetMismatch):
        store(output(), instance(), announced=("1.2", "1.2.3"), kept=lambda _, path: told.append(path))

    assert told == []


# What it costs


def test_a_deflated_data_set_is_inflated_only_as_far_as_its_header(output: Callable[..., Output], place: Path):
    data_set = instance(side_pixels=0, transfer_syntax=DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)
    plain = encoded(instance(side_pixels=0)) + b"\xe0\x7f\x10\x00OW\0\0" + (1 << 30).to_bytes(4, "little")
    squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    raw = squeeze.compress(plain) + b"".join(squeeze.compress(bytes(1 << 20)) for _ in range(64)) + squeeze.flush()

    store(output(sorting=StudyUidFolders()), data_set, raw=raw)

    assert data_set_bytes(only_file(place)) == raw


@pytest.mark.parametrize("writing", [Writing(), ANEW], ids=["received", "anew"])
def test_a_long_data_set_is_not_kept_in_memory(output: Callable[..., Output], writing: Writing):
    sink = output(writing=writing).sink("STORESCU")

    with sink.begin("1.2", "1.2.3", EXPLICIT_VR_LITTLE_ENDIAN) as incoming:
        for _ in range(300):
            incoming.write(memoryview(bytes(16_384)))

        assert len(incoming._head) <= SPOOL_BYTES
