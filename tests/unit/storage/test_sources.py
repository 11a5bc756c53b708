"""Files are found by name, folder by folder, and opened without surprises."""

import os
from pathlib import Path

import pytest

from archive.errors import UnreadableFile
from archive.storage.sources import Source, find


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())


def test_files_come_by_name_those_of_a_folder_before_those_below_it(tmp_path: Path):
    put(tmp_path, "b", "a/2", "a/1", "a/x/3", "c/4", "a.dcm")

    found = [each.path.removeprefix(f"{tmp_path}/") for each in find([str(tmp_path)])]

    assert found == ["a.dcm", "b", "a/1", "a/2", "a/x/3", "c/4"]


def test_sizes_come_with_them(tmp_path: Path):
    put(tmp_path, "four")

    assert [each.size_bytes for each in find([str(tmp_path)])] == [4]


def test_a_link_that_leads_round_in_a_circle_is_not_followed(tmp_path: Path):
    (tmp_path / "circle").symlink_to(tmp_path)

    (found,) = find([str(tmp_path)])

    assert found.skipped_because == "a symbolic link is not followed"


def test_one_folder_can_be_left_out_by_whatever_name_it_is_reached(tmp_path: Path):
    put(tmp_path, "kept/1", "out/2", "out/below/3")
    (tmp_path / "name").symlink_to(tmp_path / "out")

    found = list(find([str(tmp_path / "kept"), str(tmp_path / "name")], leave_out=str(tmp_path / "out")))

    assert [(Path(each.path).name, bool(each.skipped_because)) for each in found] == [("1", False), ("name", True)]


def test_what_vanished_is_told(tmp_path: Path):
    (found,) = find([str(tmp_path / "gone")])

    assert found.unreadable_because == "No such file or directory"


def test_a_source_is_read_anywhere(tmp_path: Path):
    put(tmp_path, "0123456789")

    with Source(str(tmp_path / "0123456789")) as source:
        assert (source.size_bytes, source.read(2, 3), source.read(8, 100), source.read(50, 1)) == (
            10,
            b"234",
            b"89",
            b"",
        )


@pytest.mark.parametrize("kind", ["pipe", "folder", "link", "missing"])
def test_what_is_no_regular_file_is_not_opened(tmp_path: Path, kind: str):
    path = tmp_path / "it"
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to(__file__)
        case _:
            pass

    with pytest.raises(UnreadableFile):
        Source(str(path))
