"""An area in a folder: what is written is there, what is discarded is not, and errors say which kind they are."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from archive.errors import DiskFailed, OutOfResources, UnreadableFile
from archive.storage import checksum, copying
from archive.storage.local import LocalArea
from archive.storage.new_file import make_durable
from archive.storage.syncing import Syncer


@pytest.fixture
def area(tmp_path: Path) -> LocalArea:
    (tmp_path / "area").mkdir()
    return LocalArea(tmp_path / "area")


def tidy(area: LocalArea) -> None:
    """Somebody takes away the folders of the area, and all that is in them."""
    for folder in area.root.iterdir():
        shutil.rmtree(folder)


def test_a_file_holds_what_was_written_in_order(area: LocalArea):
    with area.create() as file:
        file.write(b"meta", memoryview(b"first"))
        file.write(b"second")
        file.publish()
        file.make_durable()

    with area.open(file.path) as stream:
        assert stream.read() == b"metafirstsecond"
    assert file.size_bytes == len(b"metafirstsecond")


def test_a_discarded_file_leaves_no_trace(area: LocalArea):
    file = area.create()
    file.write(b"partial")

    file.discard()

    assert list(area.walk()) == []


def test_only_the_owner_writes_and_only_the_group_reads(area: LocalArea):
    with area.create() as file:
        file.publish()

    assert (area.root / file.path).stat().st_mode & 0o777 & ~0o640 == 0


def test_a_folder_that_was_tidied_away_is_made_again(area: LocalArea):
    with area.create() as file:
        file.publish()
    tidy(area)

    with area.create() as file:
        file.write(b"x")
        file.publish()

    assert list(area.walk()) == [file.path]


@pytest.mark.parametrize("has_stored", [False, True], ids=["first", "later"])
def test_nothing_is_written_where_the_disk_of_the_area_is_not_mounted(area: LocalArea, has_stored: bool):
    if has_stored:
        with area.create() as file:
            file.publish()
    shutil.rmtree(area.root)

    with pytest.raises(DiskFailed, match="is its disk mounted"):
        area.create()
    with pytest.raises(DiskFailed, match="is its disk mounted"):
        area.unlink("2026/01/02/0304/file.dcm")

    assert not area.root.exists()


def test_walk_passes_over_what_is_not_ours(area: LocalArea):
    with area.create() as file:
        file.publish()
    (area.root / "notes.txt").write_text("mine")

    assert list(area.walk()) == [file.path]


def test_unlinking_twice_is_no_error(area: LocalArea):
    with area.create() as file:
        file.publish()

    area.unlink(file.path)
    area.unlink(file.path)

    assert list(area.walk()) == []


def test_a_missing_file_cannot_be_read(area: LocalArea):
    with pytest.raises(UnreadableFile):
        area.open("2026/01/01/0000/" + 32 * "0" + ".dcm")


@pytest.mark.parametrize(
    "code, expected",
    [(errno.ENOSPC, OutOfResources), (errno.EDQUOT, OutOfResources), (errno.EIO, DiskFailed)],
    ids=["no space", "no quota", "defect"],
)
def test_a_write_that_fails_says_whether_room_was_lacking(
    area: LocalArea, monkeypatch: pytest.MonkeyPatch, code: int, expected: type[Exception]
):
    def fail(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    file = area.create()
    monkeypatch.setattr(os, "writev", fail)

    with pytest.raises(expected):
        file.write(b"x")

    file.discard()


def test_a_short_write_is_completed(area: LocalArea, monkeypatch: pytest.MonkeyPatch):
    def write_three_bytes(descriptor: int, buffers: tuple[bytes, ...]) -> int:
        return os.write(descriptor, b"".join(buffers)[:3])

    monkeypatch.setattr(os, "writev", write_three_bytes)

    with area.create() as file:
        file.write(b"0123", b"456789")
        file.publish()

    with area.open(file.path) as stream:
        assert stream.read() == b"0123456789"


def test_what_was_not_published_leaves_no_trace(area: LocalArea):
    with area.create() as file:
        file.write(b"cut short")

    assert list(area.walk()) == []


def test_many_files_are_written_at_once_each_with_its_own_name(area: LocalArea):
    contents = [f"content {number}".encode() for number in range(5)]

    written = area.write_durably(contents)

    assert [(area.root / path).read_bytes() for path in written] == contents
    assert sorted(area.walk()) == sorted(written)


def test_of_many_files_that_cannot_all_be_written_none_is_left(area: LocalArea, monkeypatch: pytest.MonkeyPatch):
    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fdatasync", fail)

    with pytest.raises(OutOfResources):
        area.write_durably([b"one", b"two"])

    assert list(area.walk()) == []


def test_a_folder_tidied_away_while_a_file_is_written_is_made_again(area: LocalArea):
    with area.create() as file:
        file.write(b"x")
        tidy(area)
        file.publish()

    assert list(area.walk()) == [file.path]


@pytest.mark.parametrize("meta", [b"", b"meta"], ids=["alone", "behind others"])
@pytest.mark.parametrize("is_durable", [False, True], ids=["relaxed", "durable"])
@pytest.mark.parametrize("is_shared", [False, True], ids=["copied", "shared"])
def test_the_beginning_of_an_open_file_is_copied_and_counted_in(
    area: LocalArea, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meta: bytes, is_durable: bool, is_shared: bool
):
    (tmp_path / "source").write_bytes(bytes(range(250)) * 10_000)

    def share(source: int, target: int) -> bool:
        """What the file system does where it can."""
        return is_shared and os.pwrite(target, os.pread(source, 10_000_000, 0), 0) > 0

    monkeypatch.setattr(copying, "share", share)
    with area.create(is_durable=is_durable) as file, (tmp_path / "source").open("rb") as source:
        file.write(*[meta] if meta else [])
        file.copy(source.fileno(), 2_000_000, copying.new_buffer())
        file.write(b"behind it")
        file.take_time(1_000_000_007)
        file.publish()

    content = meta + bytes(range(250)) * 8000 + b"behind it"
    assert (area.root / file.path).read_bytes() == content
    assert (file.size_bytes, file.checksum) == (len(content), checksum.of_bytes(content))
    state = area.look_at(file.path)
    assert state is not None
    assert (state.size_bytes, state.modified_at_ns) == (len(content), 1_000_000_007)


@pytest.mark.parametrize("is_shared", [False, True], ids=["copied", "shared"])
def test_a_file_that_becomes_shorter_while_it_is_copied_is_told(
    area: LocalArea, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_shared: bool
):
    (tmp_path / "source").write_bytes(bytes(1000))
    monkeypatch.setattr(copying, "share", lambda source, target: is_shared and os.write(target, bytes(1000)) > 0)

    with area.create() as file, (tmp_path / "source").open("rb") as source, pytest.raises(UnreadableFile):
        file.copy(source.fileno(), 1001, copying.new_buffer())

    file.discard()


@pytest.mark.parametrize("is_side_by_side", [False, True])
def test_a_sync_that_fails_is_told(area: LocalArea, monkeypatch: pytest.MonkeyPatch, is_side_by_side: bool):
    files = [area.create() for _ in range(3)]
    for file in files:
        file.publish()

    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fdatasync", fail)

    with pytest.raises(DiskFailed):
        make_durable(files, Syncer() if is_side_by_side else None)

    for file in files:
        file.discard()


def test_files_that_somebody_else_put_here_are_made_durable_with_the_folders_above_them(
    area: LocalArea, monkeypatch: pytest.MonkeyPatch
):
    path = area.root / "below" / "deep" / "1.dcm"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")
    synced: list[str] = []
    name = lambda descriptor: str(Path(f"/proc/self/fd/{descriptor}").readlink())  # noqa: E731
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: synced.append(name(descriptor)))
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(name(descriptor)))

    with path.open("rb") as stream:
        area.make_found_durable({"below/deep/1.dcm": stream.fileno()}, Syncer())

    assert synced == [str(path), str(path.parent), str(path.parent.parent), str(area.root)]
