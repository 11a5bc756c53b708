"""Files below folders, as they are searched for to be sent."""

import os
from pathlib import Path

import pytest

from archive.storage.search import files_below


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files beside and below each other."""
    for name in ("b.dcm", "a.dcm", "notes.txt", "below/c.dcm", "below/deeper/d.dcm"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def names(folder: Path, pattern: str | None = None, recurses: bool = False) -> list[str]:
    found = files_below(str(folder), pattern=pattern, recurses=recurses)
    return [os.path.relpath(each.path, folder) for each in found if not each.skipped_because]


def test_files_come_by_name_and_folders_after_them(folder: Path) -> None:
    assert names(folder, recurses=True) == ["a.dcm", "b.dcm", "notes.txt", "below/c.dcm", "below/deeper/d.dcm"]


def test_folders_inside_are_left_alone_unless_told(folder: Path) -> None:
    assert names(folder) == ["a.dcm", "b.dcm", "notes.txt"]


@pytest.mark.parametrize(
    "pattern, matched",
    [
        ("*.dcm", ["a.dcm", "b.dcm"]),
        ("[!a]*", ["b.dcm", "notes.txt"]),
        ("[^a]*", ["b.dcm", "notes.txt"]),
        ("?.dcm", ["a.dcm", "b.dcm"]),
        ("*.DCM", []),
        ("a\\.dcm", ["a.dcm"]),
        ("\\*.dcm", []),
    ],
)
def test_a_pattern_is_that_of_a_shell(folder: Path, pattern: str, matched: list[str]) -> None:
    assert names(folder, pattern) == matched


def test_a_pattern_chooses_files_and_not_folders(folder: Path) -> None:
    assert names(folder, "d*", recurses=True) == ["below/deeper/d.dcm"]


def test_a_link_to_a_file_is_followed_and_one_that_leads_in_a_circle_ends(folder: Path) -> None:
    (folder / "link.dcm").symlink_to(folder / "a.dcm")
    (folder / "below" / "loop").symlink_to(folder)
    (folder / "below" / "self").symlink_to("self")

    found = list(files_below(str(folder), recurses=True))

    assert [os.path.relpath(each.path, folder) for each in found if not each.skipped_because] == [
        "a.dcm",
        "b.dcm",
        "link.dcm",
        "notes.txt",
        "below/c.dcm",
        "below/deeper/d.dcm",
    ]
    assert [Path(each.path).name for each in found if each.skipped_because] == ["self"]


def test_a_folder_is_entered_once_however_many_links_lead_to_it(folder: Path) -> None:
    (folder / "again").symlink_to(folder / "below")

    assert (
        sorted(names(folder, "*.dcm", recurses=True)).count("below/c.dcm")
        + names(folder, "*.dcm", recurses=True).count("again/c.dcm")
        == 1
    )


def test_what_is_no_file_is_told(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "dangling").symlink_to("nowhere")

    told = {Path(each.path).name: each.skipped_because for each in files_below(str(folder)) if each.skipped_because}

    assert told == {"pipe": "what is no regular file", "dangling": "link that leads nowhere"}


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    [found] = files_below(str(tmp_path / "gone"))

    assert found.unreadable_because == "No such file or directory"
