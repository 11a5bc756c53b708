"""further_dictionary.py: DCMTK's dictionary files."""

from pathlib import Path

import pytest

from archive.dicom import further_dictionary
from archive.dicom.further_dictionary import Dictionary, Entry

LINES = """\
# a comment
(0029,1008)\tCS\tMySection\t1\tPrivateTag
(0031,"MY CREATOR",20)\tUS\tMyNumber\t1\tPrivateTag
(0031-o-0035,"MY RANGE",30)\tSQ\tMyItems\t1\tPrivateTag

(6000-60FF,0110)\tCS\tOldFormat\t1\tACR/NEMA2
(0050,0090-u-0093)\tDA\tOldDate\t1
(0050,0099)\txs\tLater
(0050,0099)\tox\tLatest
"""


def read(text: str) -> Dictionary:
    made = Dictionary()
    assert list(made.take(text)) == []
    return made


@pytest.mark.parametrize(
    "tag, creator, found",
    [
        (0x00291008, "", Entry("MySection", "CS")),
        (0x00291008, "ANYBODY", Entry("MySection", "CS")),
        (0x00311120, "MY CREATOR", Entry("MyNumber", "US")),
        (0x0031FF20, "MY CREATOR", Entry("MyNumber", "US")),
        (0x00311120, "ANOTHER", None),
        (0x00311120, "", None),
        (0x00331030, "MY RANGE", Entry("MyItems", "SQ")),
        (0x00371030, "MY RANGE", None),
        (0x60020110, "", Entry("OldFormat", "CS")),
        (0x60010110, "", None),
        (0x61000110, "", None),
        (0x00500091, "", Entry("OldDate", "DA")),
        (0x00500094, "", None),
        (0x00500099, "", Entry("Latest", "OB or OW")),
    ],
)
def test_an_attribute_is_found_by_its_tag_and_creator(tag: int, creator: str, found: Entry | None) -> None:
    assert read(LINES).entry(tag, creator) == found


def test_a_name_leads_to_its_tag_where_the_line_says_all_of_it() -> None:
    tags = read(LINES).tags

    assert tags == {"MySection": 0x00291008, "Later": 0x00500099, "Latest": 0x00500099}


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "(0029,1008)\tCS",
        "(0029,1008)\tC\tName",
        "(0029,1008)\tQQ\tName",
        "(0029,1008)\tCS or QQ\tName",
        "(0029)\tCS\tName",
        "(0029,1008) CS Name",
        '(0029,"X)\tCS\tN',
    ],
)
def test_a_line_that_is_not_understood_is_numbered_and_the_others_count(line: str) -> None:
    made = Dictionary()

    assert list(made.take(f"{LINES}{line}\n(0052,0099)\tDA\tBehind\t1\n")) == [10]
    assert made.tags["Behind"] == 0x00520099


def test_files_are_told_of_once_and_what_can_be_read_of_them_counts(tmp_path: Path) -> None:
    own, missing = tmp_path / "own.dic", tmp_path / "missing.dic"
    own.write_bytes(b"(0053,0098)\tLO\tN\xe4me\n(0053,0099)\tLO\tOwn\nnonsense\n")
    said: list[str] = []
    further_dictionary.use([missing, own], said.append)
    try:
        assert [further_dictionary.tag_of(name) for name in ("Own", "Own", "PatientName")] == [0x00530099] * 2 + [None]
        assert further_dictionary.entry(0x00530099) == Entry("Own", "LO")
    finally:
        further_dictionary.use([], said.append)

    assert [str(missing) in said[0], "1 lines are not understood (3)" in said[1], len(said)] == [True, True, 2]
    assert further_dictionary.entry(0x00530099) is None


def test_a_file_that_is_no_dictionary_by_its_size_is_not_read(tmp_path: Path) -> None:
    huge = tmp_path / "huge.dic"
    with huge.open("wb") as file:
        file.truncate(further_dictionary.MAX_FILE_BYTES + 1)
    said: list[str] = []
    further_dictionary.use([huge], said.append)
    try:
        assert further_dictionary.tag_of("Own") is None
    finally:
        further_dictionary.use([], said.append)

    assert said == [f"cannot read data dictionary {huge}: it has more than 16 MiB"]


def test_all_lines_of_dcmtks_own_files_are_understood() -> None:
    files = sorted(Path("/usr/share").glob("libdcmtk*/*.dic"))

    assert len(files) >= 4
    assert {file.name: list(Dictionary().take(file.read_text())) for file in files} == {file.name: [] for file in files}
