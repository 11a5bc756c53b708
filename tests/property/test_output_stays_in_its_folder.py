"""Whatever a peer calls its instances, studies and patients: files lie in the output folder, whole, or not at all."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from archive.dicom.normal import EncodingOptions
from archive.errors import Failed, Refused
from archive.storage.file_names import (
    DefaultNames,
    ShortUniqueNames,
    SystemTimeNames,
    TimeNames,
    UniqueNames,
    sanitised,
)
from archive.storage.folder import OutputFolder
from archive.storage.output import Output, Writing
from archive.storage.subfolders import (
    NoSubfolders,
    SeriesDateFolders,
    StudyFolders,
    StudyUidFolders,
    by_patient,
    by_prefix,
)
from tests.unit.storage.fix_received import names

EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
CT = "1.2.840.10008.5.1.4.1.1.2"

NASTY = st.sampled_from(
    [
        b"..",
        b".",
        b"",
        b"/",
        b"../../../tmp/x",
        b"..\\..",
        b"\0",
        b"a\0/../b",
        b"$(touch x)",
        b"~",
        b"-rf",
        b"\x1b$B../",
    ]
)
VALUES = st.one_of(
    NASTY, st.binary(max_size=80), st.builds(lambda text: text * 700, st.binary(min_size=1, max_size=90))
)
UIDS = st.one_of(NASTY, st.binary(max_size=64))
CHARACTER_SETS = st.sampled_from(
    [b"", b"ISO_IR 100", b"ISO_IR 192", b"GB18030 ", b"\\ISO 2022 IR 87", b"ISO_IR 13 ", b"../x"]
)

NAMINGS: dict[str, Callable[[], Any]] = {
    "default": DefaultNames,
    "unique": UniqueNames,
    "time": TimeNames,
    "short": ShortUniqueNames,
    "system-time": SystemTimeNames,
}
SORTINGS: dict[str, Callable[[], Any]] = {
    "none": NoSubfolders,
    "series-date": SeriesDateFolders,
    "study-uid": StudyUidFolders,
    "study-uid-prefix": lambda: StudyUidFolders("p"),
    "time": lambda: StudyFolders(by_prefix("")),
    "patient": lambda: StudyFolders(by_patient, most_studies=1),
}


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    """One element in explicit VR little endian."""
    value += b" " * (len(value) & 1)
    return tag.to_bytes(4, "little")[2:] + tag.to_bytes(4, "little")[:2] + vr + len(value).to_bytes(2, "little") + value


@pytest.mark.parametrize("naming", NAMINGS)
@pytest.mark.parametrize("sorting", SORTINGS)
@given(uid=UIDS, study=VALUES, patient=VALUES, date=VALUES, character_set=CHARACTER_SETS, anew=st.booleans())
@example(uid=b"../../x", study=b"../../x", patient=b"../../x", date=b"../../x", character_set=b"", anew=False)
def test_no_path_leaves_the_folder(
    naming: str,
    sorting: str,
    uid: bytes,
    study: bytes,
    patient: bytes,
    date: bytes,
    character_set: bytes,
    anew: bool,
) -> None:
    raw = b"".join(
        (
            element(0x00080005, b"CS", character_set),
            element(0x00080016, b"UI", CT.encode()),
            element(0x00080018, b"UI", uid),
            element(0x00080021, b"DA", date),
            element(0x00100010, b"PN", patient),
            element(0x0020000D, b"UI", study),
        )
    )
    announced = uid.decode("latin-1").strip(" \0")
    writing = Writing(anew=EncodingOptions() if anew else None)
    with tempfile.TemporaryDirectory() as parent:
        place = Path(parent) / "deep" / "out"
        place.mkdir(parents=True)
        output = Output(OutputFolder(place), NAMINGS[naming](), SORTINGS[sorting](), writing)
        told: list[Path] = []

        try:
            with output.sink("PEER", lambda _, path: told.append(path)).begin(
                CT, announced, EXPLICIT_LITTLE_ENDIAN
            ) as incoming:
                incoming.write(memoryview(raw))
                incoming.finish()
        except (Refused, Failed):
            pass

        found = [path for path in Path(parent).rglob("*") if path.is_file()]
        assert found == told
        assert all(path.is_relative_to(place) and path.stat().st_size > len(raw) for path in found)
        assert names(Path(parent)) == ["deep"]
        assert names(place.parent) == ["out"]


@given(st.text())
def test_a_sanitised_text_is_one_name_and_says_nothing_to_a_shell(text: str) -> None:
    made = sanitised(text)

    assert len(made) == len(text)
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .:@_-")
    assert sanitised(made) == made
