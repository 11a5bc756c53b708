"""renaming.py: files of a study get numbers in order, and none is ever replaced."""

from pathlib import Path

import pytest

from archive.lifecycle.events.renaming import rename_in_order
from archive.storage.folder import OutputFolder
from tests.unit.storage.fix_received import names


def files(folder: Path, *found: str) -> Path:
    """A study's folder below `folder`; each file holds its name."""
    study = folder / "study"
    study.mkdir(exist_ok=True)
    for name in found:
        (study / name).write_text(name)
    return study


def contents(folder: Path) -> dict[str, str]:
    return {name: (folder / name).read_text() for name in names(folder)}


def test_the_number_goes_through_all_modalities_in_the_order_of_reception(tmp_path: Path) -> None:
    study = files(tmp_path, "CT.9", "MR.1", "SRe.5", "UNKNOWN.7")

    rename_in_order(
        OutputFolder(tmp_path), "study", {"CT.9": "CT", "MR.1": "MR", "UNKNOWN.7": "UNKNOWN", "SRe.5": "SRe"}
    )

    assert contents(study) == {"CT000001": "CT.9", "MR000002": "MR.1", "UN000003": "UNKNOWN.7", "SR000004": "SRe.5"}


def test_a_study_that_went_on_is_numbered_on(tmp_path: Path) -> None:
    study = files(tmp_path, "CT000001", "MR000007", "CT0000x9", "CT.1", "MR.2")

    rename_in_order(OutputFolder(tmp_path), "study", {"CT.1": "CT", "MR.2": "MR"})

    assert contents(study) == {
        "CT000001": "CT000001", "MR000007": "MR000007", "CT0000x9": "CT0000x9", "CT000008": "CT.1", "MR000009": "MR.2",
    }  # fmt: skip


def test_a_file_that_is_gone_leaves_its_number_free(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    study = files(tmp_path, "CT.2")

    rename_in_order(OutputFolder(tmp_path), "study", {"CT.1": "CT", "CT.2": "CT"})

    assert contents(study) == {"CT000002": "CT.2"}
    assert caplog.messages == ["cannot rename file 'CT.1' to 'CT000001': No such file or directory"]


def test_a_folder_that_is_gone_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rename_in_order(OutputFolder(tmp_path), "study", {"CT.1": "CT"})

    assert caplog.messages == [f"cannot rename the files in {tmp_path}/study: No such file or directory"]


def test_a_folder_that_leads_elsewhere_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    elsewhere = files(tmp_path, "CT.1")
    (tmp_path / "link").symlink_to(elsewhere)

    rename_in_order(OutputFolder(tmp_path), "link", {"CT.1": "CT"})

    assert names(elsewhere) == ["CT.1"]
    assert len(caplog.messages) == 1
