"""The output folder: files appear whole under their names, and nothing ever lies outside of it."""

import errno
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from archive.storage.folder import OutputFile, OutputFolder, rename
from archive.storage.sink import Outcome
from tests.unit.storage.fix_received import names


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The output folder, with a folder beside it that is nobody's business."""
    (tmp_path / "beside").mkdir()
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture(params=[True, False], ids=["nameless", "hidden"])
def output(place: Path, request: pytest.FixtureRequest) -> OutputFolder:
    """The folder on a file system that knows files without a name, and on one that does not."""
    return OutputFolder(place, has_nameless_files=request.param)


@contextmanager
def opened(output: OutputFolder, subfolder: str = "") -> Iterator[int]:
    descriptor = output.open(subfolder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def publish(
    output: OutputFolder, name: str, content: bytes = b"whole", subfolder: str = "", *, replaces: bool
) -> Outcome:
    with output.create() as file, opened(output, subfolder) as folder:
        file.write(content)
        return file.publish(name, folder, replaces=replaces)


def no_links(*_: object, **__: object) -> None:
    """A file system that knows one name for a file."""
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def visible(folder: Path) -> list[str]:
    return [name for name in names(folder) if not name.startswith(".")]


def test_a_file_has_its_name_only_when_it_is_whole(output: OutputFolder, place: Path):
    with output.create() as file, opened(output) as folder:
        file.write(b"first ", b"second ")
        before = visible(place)
        file.write(memoryview(b"third"))
        file.publish("name", folder, replaces=False)

    assert before == []
    assert (place / "name").read_bytes() == b"first second third"


def test_what_is_not_published_leaves_nothing(output: OutputFolder, place: Path):
    with output.create() as file:
        file.write(b"partial")

    assert names(place) == []


def test_a_published_file_leaves_nothing_but_itself(output: OutputFolder, place: Path):
    publish(output, "name", replaces=False)

    assert names(place) == ["name"]


def test_a_file_of_that_name_is_replaced_in_one_step(output: OutputFolder, place: Path):
    publish(output, "name", b"old", replaces=True)
    with (place / "name").open("rb") as reader:
        outcome = publish(output, "name", b"new", replaces=True)
        read = reader.read()

    assert outcome is Outcome.REPLACED
    assert (read, (place / "name").read_bytes()) == (b"old", b"new")
    assert names(place) == ["name"]


def test_a_file_of_that_name_stays_where_names_are_not_used_twice(output: OutputFolder, place: Path):
    publish(output, "name", b"old", replaces=False)

    with pytest.raises(FileExistsError):
        publish(output, "name", b"new", replaces=False)

    assert (place / "name").read_bytes() == b"old"
    assert names(place) == ["name"]


def test_a_link_of_that_name_is_replaced_and_not_followed(output: OutputFolder, place: Path):
    target = place.parent / "beside" / "target"
    target.write_bytes(b"mine")
    (place / "name").symlink_to(target)

    publish(output, "name", b"new", replaces=True)

    assert target.read_bytes() == b"mine"
    assert not (place / "name").is_symlink()


def test_a_folder_of_that_name_stays(output: OutputFolder, place: Path):
    (place / "name").mkdir()

    with pytest.raises(IsADirectoryError):
        publish(output, "name", replaces=True)

    assert names(place) == ["name"]


def test_where_a_file_has_one_name_only_it_is_renamed(place: Path, monkeypatch: pytest.MonkeyPatch):
    output = OutputFolder(place, has_nameless_files=False)
    monkeypatch.setattr(os, "link", no_links)

    outcomes = [publish(output, "name", content, replaces=True) for content in (b"old", b"new")]
    with pytest.raises(FileExistsError):
        publish(output, "name", replaces=False)

    assert outcomes == [Outcome.NEW, Outcome.REPLACED]
    assert names(place) == ["name"]
    assert (place / "name").read_bytes() == b"new"


def test_a_file_system_without_nameless_files_is_noticed(place: Path, monkeypatch: pytest.MonkeyPatch):
    real, asked = os.open, []

    def know_no_tmpfile(path: str, flags: int, *rest: object, **more: object) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            asked.append(path)
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        return real(path, flags, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", know_no_tmpfile)
    output = OutputFolder(place)

    publish(output, "one", replaces=False)
    publish(output, "two", replaces=False)

    assert visible(place) == ["one", "two"]
    assert len(asked) == 1, "it is not asked again"


def test_a_hidden_file_that_somebody_removed_is_no_hindrance_to_giving_up(place: Path):
    output = OutputFolder(place, has_nameless_files=False)

    with output.create():
        for each in place.iterdir():
            each.unlink()

    assert names(place) == []


@pytest.mark.parametrize("umask, mode", [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_modes_are_left_to_the_umask(output: OutputFolder, place: Path, umask: int, mode: int):
    before = os.umask(umask)
    try:
        output.make("sub")
        publish(output, "name", subfolder="sub", replaces=False)
    finally:
        os.umask(before)

    assert (place / "sub" / "name").stat().st_mode & 0o777 == mode
    assert (place / "sub").stat().st_mode & 0o777 == 0o777 & ~umask


def test_a_subfolder_is_made_with_all_that_leads_to_it(output: OutputFolder, place: Path):
    made = [output.make("a/b/c"), output.make("a/b/c"), output.make("a/b/d")]

    publish(output, "name", subfolder="a/b/c", replaces=False)

    assert made == [True, False, True]
    assert (place / "a" / "b" / "c" / "name").is_file()


def test_a_subfolder_that_is_missing_is_not_opened(output: OutputFolder):
    with pytest.raises(FileNotFoundError):
        output.open("missing")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/tmp/x", "../beside/x", "a\0b"])
def test_what_is_no_name_is_given_to_no_file(output: OutputFolder, place: Path, name: str):
    with pytest.raises(OSError, match="cannot be the name"):
        publish(output, name, replaces=True)

    assert names(place) == []
    assert names(place.parent / "beside") == []


@pytest.mark.parametrize("subfolder", ["..", "../beside", "a/../../beside", "/tmp", "a//b", ".", "a/.", "a\0b"])
def test_no_path_leads_out_of_the_folder(output: OutputFolder, place: Path, subfolder: str):
    (place / "a").mkdir()

    with pytest.raises(OSError, match="cannot be the name"):
        output.open(subfolder)
    with pytest.raises(OSError, match="cannot be the name"):
        output.make(subfolder)

    assert names(place.parent / "beside") == []


def test_a_link_below_the_folder_is_not_followed(output: OutputFolder, place: Path):
    (place / "sub").symlink_to(place.parent / "beside")

    for subfolder in ("sub", "sub/deeper"):
        with pytest.raises(NotADirectoryError):
            output.open(subfolder)
    with pytest.raises(NotADirectoryError):
        output.make("sub/deeper")

    assert names(place.parent / "beside") == []


def test_a_folder_that_is_a_link_is_followed(place: Path):
    link = place.parent / "link"
    link.symlink_to(place)

    publish(OutputFolder(link), "name", replaces=False)

    assert (place / "name").is_file()


def test_another_folder_put_in_its_place_is_the_folder_from_then_on(output: OutputFolder, place: Path):
    publish(output, "one", replaces=False)
    place.rename(place.parent / "yesterday")
    place.mkdir()

    publish(output, "two", replaces=False)

    assert names(place) == ["two"]


def test_what_was_written_is_read_from_its_beginning(output: OutputFolder):
    with output.create() as file:
        file.write(b"0123456789" * 10_000)

        with closing(file.reader()) as reader, closing(file.mapped()) as mapped:
            assert reader.read(4) == b"0123"
            assert mapped[-3:] == b"789"
            assert reader.read() == (b"0123456789" * 10_000)[4:]


def test_no_descriptor_is_left_open(output: OutputFolder, place: Path):
    before = len(names(Path("/proc/self/fd")))

    publish(output, "name", replaces=True)
    publish(output, "name", replaces=True)
    output.make("a/b/c")
    with pytest.raises(FileNotFoundError):
        output.open("a/missing")

    assert len(names(Path("/proc/self/fd"))) == before


def test_a_file_is_written_to_the_end_however_little_the_disk_takes_at_a_time(
    output: OutputFolder, place: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(os, "writev", lambda descriptor, buffers: os.write(descriptor, b"".join(buffers)[:3]))

    publish(output, "name", b"0123456789", replaces=False)

    assert (place / "name").read_bytes() == b"0123456789"


def test_a_closed_file_stays_closed(output: OutputFolder):
    file: OutputFile = output.create()
    file.close()

    file.close()


def test_another_name_is_given_where_it_is_free(output: OutputFolder, place: Path) -> None:
    publish(output, "old", b"content", replaces=False)

    with opened(output) as folder:
        rename("old", "new", folder)

    assert (visible(place), (place / "new").read_bytes()) == (["new"], b"content")


@pytest.mark.parametrize("has_links", [True, False])
def test_another_name_that_is_taken_stays_as_it_is(
    output: OutputFolder, place: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    for name in ("old", "new"):
        publish(output, name, name.encode(), replaces=False)
    if not has_links:
        monkeypatch.setattr(os, "link", no_links)

    with opened(output) as folder, pytest.raises(FileExistsError):
        rename("old", "new", folder)

    assert {path.name: path.read_text() for path in place.iterdir()} == {"old": "old", "new": "new"}


def test_another_name_is_given_where_there_are_no_links(
    output: OutputFolder, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(output, "old", replaces=False)
    monkeypatch.setattr(os, "link", no_links)

    with opened(output) as folder:
        rename("old", "new", folder)

    assert visible(place) == ["new"]


def test_no_other_name_leads_elsewhere(output: OutputFolder, place: Path) -> None:
    publish(output, "old", replaces=False)

    with opened(output) as folder, pytest.raises(OSError, match="this cannot be the name of a file"):
        rename("old", "../beside/new", folder)

    assert visible(place) == ["old"]
