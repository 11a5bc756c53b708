"""Areas that write data sets anew: by DCMTK's clients, in DCMTK's eyes, and byte for byte what storescp writes."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from archive.dicom import part10
from archive.dicom.normal import EncodingOptions
from archive.registry.changes import ENCODING_SETTINGS
from tests.fix_dcmtk import Dcmtk, Receiver
from tests.fix_instances import BUNDLED_FOLDER, ct, data_set_bytes, encoded, instance, write
from tests.property.test_normal_equals_dcmtk import OPTIONS
from tests.wire.raw_messages import EXPLICIT, IMPLICIT, SECONDARY_CAPTURE, Proposed
from tests.wire.raw_scu import RawScu
from tests.wire.running import Archive, peak_bytes

JPEG = "1.2.840.10008.1.2.4.50"

# Small and large ones, with sequences of either kind of length, private ones, and several encodings.
SAMPLES = [
    BUNDLED_FOLDER / name
    for name in ("CT_small.dcm", "MR_small.dcm", "test-SR.dcm", "reportsi.dcm", "rtplan.dcm", "waveform_ecg.dcm")
]
Start = Callable[..., Receiver]


def writes(archive: Archive, options: EncodingOptions, **policy: Any) -> None:
    """Let the area write anew."""
    columns = {column: getattr(options, name) for name, column in ENCODING_SETTINGS.items()}
    archive.set_area(archive.title.area, writing="normalised", **columns, **policy)


def send(port: int, called: str, *files: Path) -> None:
    """Store data sets byte for byte as they are, which DCMTK's clients do not."""
    for file in files:
        held = dcmread(file, stop_before_pixels=True)
        sop_class, syntax = str(held.SOPClassUID), str(held.file_meta.TransferSyntaxUID)
        with RawScu(port).associate([Proposed(sop_class, (syntax,))], called=called) as scu:
            response = scu.store(sop_class, str(held.SOPInstanceUID), data_set_bytes(file))
            assert response.status == 0, response.comment
            scu.release()


def by_uid(files: list[Path]) -> dict[str, Path]:
    return {part10.read_meta(path.read_bytes()[:4096]).sop_instance_uid: path for path in files}


@pytest.mark.parametrize("words", OPTIONS)
def test_an_area_writes_what_storescp_writes(archive: Archive, start_storescp: Start, words: str) -> None:
    writes(archive, OPTIONS[words])
    receiver = start_storescp("-B", *shlex.split(words))

    send(archive.port, archive.title.name, *SAMPLES)
    send(receiver.port, receiver.title, *SAMPLES)

    ours, theirs = by_uid(archive.files(archive.title.area)), by_uid(receiver.files())
    assert len(ours) == len(SAMPLES)
    assert ours.keys() == theirs.keys()
    for uid, path in ours.items():
        expected = data_set_bytes(theirs[uid])
        if "+p" in words:  # another File Meta Information has another length
            multiple = OPTIONS[words].file_padding_bytes
            assert path.stat().st_size % multiple == theirs[uid].stat().st_size % multiple == 0
            assert unpadded(data_set_bytes(path)) == unpadded(expected)
        else:
            assert data_set_bytes(path) == expected


def unpadded(data_set: bytes) -> bytes:
    """Up to the Data Set Trailing Padding of the file."""
    return data_set[: data_set.rindex(b"\xfc\xff\xfc\xff")] if b"\xfc\xff\xfc\xff" in data_set[-3000:] else data_set


@pytest.mark.parametrize("words", [*OPTIONS, "+td"])
def test_what_storescu_sends_is_a_sound_file_for_dcmtk(archive: Archive, dcmtk: Dcmtk, words: str) -> None:
    deflated = EncodingOptions(transfer_syntax_uid="1.2.840.10008.1.2.1.99", deflate_level=9)
    writes(archive, OPTIONS.get(words, deflated))

    ran = dcmtk.run("storescu", "-v", "-R", "-aec", archive.title, "127.0.0.1", archive.port, *SAMPLES)

    assert ran.output.count("Received Store Response (Success)") == len(SAMPLES), ran
    files = archive.files(archive.title.area)
    checked = dcmtk.run("dcmftest", *files)
    dumped = dcmtk.run("dcmdump", "-q", *files)
    assert checked.output.count("yes: ") == len(files) == len(SAMPLES), checked
    assert dumped.is_ok, dumped
    assert ("(0008,0000) UL" in dumped.output) == ("+g" in words)
    assert ("SequenceDelimitationItem)" in dumped.output) or "-e" not in words
    assert ("DataSetTrailingPadding" in dumped.output) == ("+p" in words)
    assert not ("-u" in words and " UN " in dumped.output)


@pytest.mark.parametrize("side_pixels", [16, 512], ids=["small", "large"])
@pytest.mark.parametrize("words", ["+tb", "-e +g", "+td"])
def test_instances_written_anew_are_fetched_and_moved(
    archive: Archive, dcmtk: Dcmtk, storescp: Receiver, tmp_path: Path, words: str, side_pixels: int
) -> None:
    deflated = EncodingOptions(transfer_syntax_uid="1.2.840.10008.1.2.1.99")
    writes(archive, OPTIONS.get(words, deflated))
    data_set = ct(side_pixels=side_pixels)
    assert dcmtk.store(archive.port, write(data_set, tmp_path), called=archive.title.name).is_ok
    keys = ("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={data_set.StudyInstanceUID}")

    got, fetched = dcmtk.get(archive.port, *keys, called=archive.title.name)
    moved = dcmtk.move(archive.port, archive.add_peer(storescp.port), *keys, called=archive.title.name)

    assert got.is_ok, got
    assert moved.is_ok, moved
    (file,) = archive.files(archive.title.area)
    for path in (*fetched, *storescp.files(), file):
        found = dcmread(path)
        assert found.PatientName == data_set.PatientName
        words_of_pixels = memoryview(found.PixelData).cast("H")
        is_big_endian = not found.file_meta.TransferSyntaxUID.is_little_endian
        pixels = b"".join(each.to_bytes(2, "big") for each in words_of_pixels) if is_big_endian else found.PixelData
        assert pixels == data_set.PixelData
    assert len(fetched) == len(storescp.files()) == 1


def test_compressed_pixels_that_do_not_fit_are_refused_and_the_association_goes_on(archive: Archive) -> None:
    writes(archive, OPTIONS["+te"])
    sample = BUNDLED_FOLDER / "SC_rgb_jpeg_dcmtk.dcm"
    held = dcmread(sample)
    sop_class, syntax = str(held.SOPClassUID), str(held.file_meta.TransferSyntaxUID)
    with archive.associate(Proposed(sop_class, (syntax,)), Proposed(sop_class, (EXPLICIT,))) as scu:
        refused = scu.store(sop_class, str(held.SOPInstanceUID), data_set_bytes(sample), syntax)
        good = instance()
        accepted = scu.store(SECONDARY_CAPTURE, good.SOPInstanceUID, encoded(good), EXPLICIT)
        scu.release()

    assert (refused.status, accepted.status) == (0xA700, 0)
    assert refused.comment == "Compressed pixels do not fit the transfer syntax of the area"
    assert len(archive.files(archive.title.area)) == archive.rows(archive.title.area) == 1

    writes(archive, OPTIONS[""])
    archive.store_file(sample)
    assert data_set_bytes(held_file(archive, str(held.SOPInstanceUID))).endswith(
        data_set_bytes(sample)[data_set_bytes(sample).index(b"\xe0\x7f\x10\x00OB") :]
    )


def held_file(archive: Archive, uid: str) -> Path:
    return by_uid(archive.files(archive.title.area))[uid]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(encoded(instance())[:-3], id="cut in its pixels"),
        pytest.param(b"\xff" * 5000, id="garbage"),
        pytest.param(b"", id="empty"),
        pytest.param(
            encoded(instance())[:200]
            + b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff"
            + b"\xfe\xff\x00\xe0\xff\xff\xff\xff\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" * 200_000,
            id="nested without an end",
        ),
        pytest.param(
            b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\0\0\0\0" * 200_000, id="items without an end"
        ),
    ],
)
def test_what_cannot_be_written_anew_is_refused_and_the_association_goes_on(archive: Archive, content: bytes) -> None:
    writes(archive, OPTIONS["+ti"])
    good = instance(number=2)
    with archive.associate(Proposed(SECONDARY_CAPTURE, (EXPLICIT,))) as scu:
        refused = scu.store(SECONDARY_CAPTURE, instance().SOPInstanceUID, content)
        accepted = scu.store(SECONDARY_CAPTURE, good.SOPInstanceUID, encoded(good))
        scu.release()

    assert (refused.status, accepted.status) == (0xC000, 0)
    assert len(archive.files(archive.title.area)) == 1


def test_a_large_instance_is_written_anew_in_little_memory(start_own_archive: Callable[..., Archive]) -> None:
    archive = start_own_archive()
    writes(archive, OPTIONS["+tb"])
    data_set = instance(side_pixels=16)
    data_set.PixelData = bytes(120_000_000)
    archive.store(instance(number=2))  # a worker that has done all of it once
    before = archive.resident_bytes()

    archive.store(data_set)

    peak = sum(peak_bytes(pid) for pid in archive.workers())
    assert peak - before < 40_000_000
    assert max(path.stat().st_size for path in archive.files(archive.title.area)) > 120_000_000


def test_what_is_discarded_is_answered_and_nowhere(archive: Archive, dcmtk: Dcmtk) -> None:
    archive.set_area(archive.title.area, discards=True)

    ran = dcmtk.run("storescu", "-v", "-R", "-aec", archive.title, "127.0.0.1", archive.port, *SAMPLES)
    with archive.associate(Proposed(SECONDARY_CAPTURE, (EXPLICIT, IMPLICIT))) as scu:
        response = scu.store(SECONDARY_CAPTURE, "1.2.3", b"not that instance, and no data set")
        scu.release()

    assert ran.output.count("Received Store Response (Success)") == len(SAMPLES), ran
    assert response.status == 0
    assert archive.rows(archive.title.area) == 0
    assert archive.paths(archive.title.area) == []
    assert archive.counters(archive.title.area) == (0, 0, 0, 0)
