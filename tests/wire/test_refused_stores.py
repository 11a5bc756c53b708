"""C-STOREs that cannot be kept: each is answered with a status that says why, and the association goes on."""

import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom.dataset import FileDataset

from tests.fix_instances import data_set_bytes, encoded, instance
from tests.wire.raw_messages import (
    CT_IMAGE,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    PATIENT_ROOT_FIND,
    SECONDARY_CAPTURE,
    VERIFICATION,
    Proposed,
)
from tests.wire.running import Archive
from tests.wire.storing import store, stored

Files = Callable[..., list[Path]]


# What cannot be kept is answered, and the association goes on.


def replaced(data_set: FileDataset, old: bytes, new: bytes) -> bytes:
    """The encoded data set with some bytes changed."""
    content = encoded(data_set)
    assert content.count(old) == 1
    return content.replace(old, new)


def with_study(study: str) -> bytes:
    """An encoded data set with any text as Study Instance UID; pydicom itself would refuse some."""

    def element(value: str) -> bytes:
        padded = value.encode() + b"\0" * (len(value) % 2)
        return b"\x20\x00\x0d\x00UI" + len(padded).to_bytes(2, "little") + padded

    return encoded(instance()).replace(element(instance().StudyInstanceUID), element(study))


MISMATCH, UNREADABLE = (0xA900,), (0xA900, 0xC000)  # bytes that are no data set may be taken for one without the UIDs

BAD: dict[str, tuple[bytes, tuple[int, ...], tuple[int, int] | None]] = {
    "no Study Instance UID": (encoded(instance(StudyInstanceUID=None)), MISMATCH, (0x0020, 0x000D)),
    "no Series Instance UID": (encoded(instance(SeriesInstanceUID=None)), MISMATCH, (0x0020, 0x000E)),
    "no SOP Instance UID": (encoded(instance(SOPInstanceUID=None)), MISMATCH, (0x0008, 0x0018)),
    "no SOP Class UID": (encoded(instance(SOPClassUID=None)), MISMATCH, (0x0008, 0x0016)),
    "other SOP Instance UID": (encoded(instance(number=99)), MISMATCH, (0x0008, 0x0018)),
    "other SOP Class UID": (encoded(instance(SOPClassUID=CT_IMAGE)), MISMATCH, (0x0008, 0x0016)),
    "malformed Study Instance UID": (with_study("1.2.x"), MISMATCH, (0x0020, 0x000D)),
    "Study Instance UID of 65 characters": (with_study("1." + "2" * 63), MISMATCH, (0x0020, 0x000D)),
    "two Study Instance UIDs": (with_study("1.2\\1.3"), MISMATCH, (0x0020, 0x000D)),
    "empty data set": (b"", (0xC000,), None),
    "garbage": (b"\xff" * 5000, UNREADABLE, None),
    "garbage of small numbers": (b"\x08\x00\x05\x00??\xff\x7f" * 5000, UNREADABLE, None),
    "cut in the middle of an element": (encoded(instance())[:301], UNREADABLE, None),
    "element longer than the data set": (
        encoded(instance())[:200] + b"\x08\x00\x80\x10LO\xff\xff" + b"A" * 100,
        UNREADABLE,
        None,
    ),
    "sequence without an end": (
        encoded(instance())[:200]
        + b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff"
        + b"\xfe\xff\x00\xe0\xff\xff\xff\xff" * 2000,
        UNREADABLE,
        None,
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_object_is_refused_and_the_association_goes_on(archive: Archive, what: str) -> None:
    content, statuses, offending_element = BAD[what]
    good = instance(number=2)
    with archive.associate(Proposed(SECONDARY_CAPTURE, (EXPLICIT,))) as scu:
        refused = scu.store(SECONDARY_CAPTURE, instance().SOPInstanceUID, content)
        accepted = store(scu, good)
        scu.release()

    assert refused.status in statuses
    assert 0 < len(refused.comment) <= 64
    assert offending_element in (None, refused.offending_element)
    assert accepted.status == 0
    assert stored(archive, good) == encoded(good)
    assert archive.rows(archive.title.area) == 1


@pytest.mark.parametrize("syntax", [IMPLICIT, DEFLATED], ids=["implicit", "deflated"])
def test_garbage_is_refused_in_every_encoding(archive: Archive, syntax: str) -> None:
    with archive.associate(Proposed(SECONDARY_CAPTURE, (syntax,))) as scu:
        refused = scu.store(SECONDARY_CAPTURE, "1.2.3", b"\xff\x00\x10\x20" * 3000)
        scu.release()

    assert refused.status in (0xC000, 0xA900)
    assert archive.files(archive.title.area) == []


@pytest.mark.parametrize("padding", [b"\0", b" ", b"  \0", b"\0 \0"], ids=["NUL", "space", "spaces", "both"])
@pytest.mark.parametrize("requested", ["1.2.3.4.5", "1.2.3.4.5 ", "1.2.3.4.5 \0 "], ids=["NUL", "space", "more"])
def test_uids_may_be_padded_anyhow(archive: Archive, padding: bytes, requested: str) -> None:
    """Broken peers pad UIDs by a space (PS3.5 9.4 says NUL); DCMTK needs --uid-padding for one."""
    data_set = instance(SOPInstanceUID="1.2.3.4.5")
    value = b"1.2.3.4.5" + padding
    content = replaced(data_set, b"UI\x0a\x001.2.3.4.5\0", b"UI" + len(value).to_bytes(2, "little") + value)
    with archive.associate(Proposed(SECONDARY_CAPTURE, (EXPLICIT,))) as scu:
        response = scu.store(SECONDARY_CAPTURE, requested, content)
        scu.release()

    assert response.status == 0
    assert stored(archive, data_set) == content
    assert archive.fetch(data_set.StudyInstanceUID) == {"1.2.3.4.5": content}


@pytest.mark.parametrize("content", [instance(), instance(SOPClassUID=CT_IMAGE)], ids=["as told", "as negotiated"])
def test_storing_on_a_context_for_another_sop_class_is_refused(archive: Archive, content: FileDataset) -> None:
    """Else an area that takes known classes only would take any."""
    with archive.associate(Proposed(CT_IMAGE, (EXPLICIT,)), Proposed(SECONDARY_CAPTURE, (EXPLICIT,))) as scu:
        context_id = scu.context(CT_IMAGE).context_id
        command = {0x0002: SECONDARY_CAPTURE, 0x0100: 1, 0x0110: 1, 0x0700: 0, 0x0800: 1}
        scu.send_command(context_id, command | {0x1000: str(content.SOPInstanceUID)})
        scu.send_data_set(context_id, encoded(content))

        refused = scu.receive()
        accepted = store(scu, instance(number=2))
        scu.release()

    assert refused.status == 0x0122
    assert refused.comment
    assert accepted.status == 0
    assert stored(archive, instance(number=2)) == encoded(instance(number=2))


def test_an_operation_that_is_none_of_ours_is_answered(archive: Archive) -> None:
    with archive.associate(Proposed(VERIFICATION)) as scu:
        n_action = {0x0003: VERIFICATION, 0x0100: 0x0130, 0x0110: 1, 0x0800: 0x0101, 0x1001: "1.2.3", 0x1008: 1}
        scu.send_command(1, n_action)

        response = scu.receive()

        assert response.status == 0x0211
        assert response.number(0x0100) == 0x8130
        assert scu.echo() == 0
        scu.release()


@pytest.mark.parametrize("sop_class", [PATIENT_ROOT_FIND, VERIFICATION], ids=["C-FIND", "C-ECHO"])
def test_a_class_that_stores_nothing_takes_no_store(archive: Archive, sop_class: str) -> None:
    content = instance(SOPClassUID=sop_class)
    with archive.associate(Proposed(sop_class, (EXPLICIT,))) as scu:
        refused = scu.store(sop_class, content.SOPInstanceUID, encoded(content))
        scu.release()

    assert refused.status == 0x0122
    assert archive.files(archive.title.area) == []


# No room.


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of half a megabyte; only root can have one."""
    folder = tmp_path / "small-disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_told_and_leaves_no_partial_file(archive: Archive, small_disk: Path) -> None:
    title = archive.add_title(folder=str(small_disk))
    large = instance(number=2)
    large.PixelData = bytes(1_000_000)
    with archive.associate(Proposed(SECONDARY_CAPTURE, (EXPLICIT,)), title=title) as scu:
        before = store(scu, instance(number=1, side_pixels=256))
        refused = store(scu, large)
        after = store(scu, instance(number=3, side_pixels=256))
        scu.release()

    assert (before.status, refused.status, after.status) == (0, 0xA700, 0)
    assert "full" in refused.comment
    assert {data_set_bytes(path) for path in small_disk.rglob("*") if path.is_file()} == {
        encoded(instance(number=1, side_pixels=256)),
        encoded(instance(number=3, side_pixels=256)),
    }
    assert archive.counters(title.area)[:3] == (1, 1, 2)


def test_a_file_that_may_not_grow_is_told_and_leaves_no_partial_file(start_own_archive: Callable[..., Archive]) -> None:
    """The same by a limit that any user can set: RLIMIT_FSIZE."""
    archive = start_own_archive()
    large = instance(number=2)
    large.PixelData = bytes(12_000_000)
    for worker in archive.workers():
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (8_000_000, 8_000_000))

    with archive.associate(Proposed(SECONDARY_CAPTURE, (EXPLICIT,))) as scu:
        refused = store(scu, large)
        after = store(scu, instance(number=3))
        scu.release()

    assert (refused.status, after.status) == (0xA700, 0)
    assert stored(archive, instance(number=3)) == encoded(instance(number=3))


def test_a_folder_that_cannot_be_written_is_told(archive: Archive, tmp_path: Path) -> None:
    file = tmp_path / "a-file"
    file.write_text("where a folder should be")
    title = archive.add_title(folder=str(file))
    with archive.associate(Proposed(SECONDARY_CAPTURE, (EXPLICIT,)), title=title) as scu:
        refused = store(scu, instance(side_pixels=256))
        again = store(scu, instance(side_pixels=256))
        scu.release()

    assert (refused.status, again.status) == (0xA700, 0xA700)
    assert refused.comment
    assert str(file) not in refused.comment  # what our disk looks like is nobody's business


def test_small_instances_stay_in_the_database_while_their_folder_cannot_be_written(
    archive: Archive, tmp_path: Path
) -> None:
    in_the_way = tmp_path / "folder"
    in_the_way.write_text("where a folder should be")
    title = archive.add_title(folder=str(in_the_way))

    archive.store(instance(), title=title)

    study = instance().StudyInstanceUID
    assert archive.fetch(study, title=title) == {instance().SOPInstanceUID: encoded(instance())}
    in_the_way.unlink()
    in_the_way.mkdir()
    archive.store(instance(number=2), title=title)  # which wakes the housekeeping
    assert archive.becomes_true(lambda: len(list(in_the_way.rglob("*.dcm"))) == 2)
