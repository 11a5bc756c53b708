"""The tree is as docs/design says: the folders that it lists, and no file longer than one sentence can cover."""

import re
from pathlib import Path

from tests.architecture.test_documents import ROOT, read

MOST_LINES = 420

# What is longer, by its path below archive/, and why.
LONGER: dict[str, str] = {}


def test_a_file_is_short_enough_to_be_kept_in_the_head() -> None:
    lengths = {_name(file): len(read(file).splitlines()) for file in (ROOT / "archive").rglob("*.py")}

    longer = {name for name, lines in lengths.items() if lines > MOST_LINES}

    assert longer == set(LONGER), "cut what is not in LONGER; take out of LONGER what is short again"


def test_the_design_lists_every_folder_and_no_other() -> None:
    design = read(ROOT / "docs" / "design" / "README.md")
    folders = {file.parent.name for file in (ROOT / "archive").glob("*/__init__.py")}

    listed = re.findall(r"^\| `(\w+)/` \|", design, re.MULTILINE)

    assert sorted(listed) == sorted(folders)


def _name(file: Path) -> str:
    return file.relative_to(ROOT / "archive").as_posix()
