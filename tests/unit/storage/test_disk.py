"""The disk below a folder, also where the folder is still to be made."""

from pathlib import Path

import pytest

from archive.errors import DiskFailed
from archive.storage.disk import Disk


def test_a_folder_that_is_not_there_yet_has_the_disk_of_the_one_above(tmp_path: Path):
    here, below = Disk(tmp_path), Disk(tmp_path / "not" / "there")

    assert below.is_that_of(here)
    assert below.free_bytes() > 0


def test_a_file_in_the_place_of_a_folder_is_no_hindrance(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")

    assert Disk(tmp_path / "file" / "below").free_bytes() > 0


def test_two_file_systems_are_two_disks():
    assert not Disk(Path("/proc")).is_that_of(Disk(Path("/sys")))


def test_a_folder_that_cannot_be_asked_about_fails(tmp_path: Path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")

    with pytest.raises(DiskFailed, match="disk"):
        Disk(tmp_path / "loop").free_bytes()
