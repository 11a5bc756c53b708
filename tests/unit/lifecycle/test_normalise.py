"""Areas that write data sets anew, or keep nothing: what lies in the file, what the row says, what is left behind."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from sqlalchemy import select

from archive.database import transaction
from archive.database.engine import Database
from archive.dicom import part10
from archive.dicom.convert import BufferReader
from archive.dicom.normal import EncodingOptions, GroupLengths, SequenceLengths, normalised
from archive.dicom.uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from archive.errors import CannotConvert, DataSetMismatch, DiskFailed, UnreadableDataSet
from archive.index.tables import instances
from archive.lifecycle.normalise import SPOOL_BYTES
from archive.lifecycle.retrieve import Holdings
from tests.fix_database import sqlite_url
from tests.fix_instances import encoded, instance
from tests.sql.fix_holdings import find
from tests.unit.lifecycle.test_store import Ward

SYNTAXES = (
    IMPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
)
JPEG = "1.2.840.10008.1.2.4.50"
SMALL, MEDIUM, LARGE = 16, 256, 1024  # pixels of a side: in the database, spooled in memory, spooled in a file


@pytest.fixture
def ward(sqlite_template: Path, tmp_path: Path) -> Iterator[Ward]:
    """A founded archive that writes data sets anew as DCMTK does."""
    path = tmp_path / "index.sqlite"
    path.write_bytes(sqlite_template.read_bytes())
    with closing(Database(sqlite_url(path))) as database:
        made = Ward(database, tmp_path / "data")
        made.area = replace(made.area, normalises=True)
        yield made


def write(ward: Ward, **options: Any) -> EncodingOptions:
    """Choose how the area writes."""
    chosen = EncodingOptions(**options)
    ward.area = replace(ward.area, encoding=chosen)
    return chosen


def with_sequence(side_pixels: int, **keywords: Any):
    item = Dataset()
    item.CodeMeaning = "odd"
    return instance(side_pixels=side_pixels, ProcedureCodeSequence=[item], **keywords)


def row(ward: Ward):
    with transaction.read(ward.database) as connection:
        return connection.execute(select(instances)).one()


@pytest.mark.parametrize("side_pixels", [SMALL, MEDIUM, LARGE])
@pytest.mark.parametrize("syntax", [None, *SYNTAXES])
def test_row_and_file_say_what_was_written(ward: Ward, side_pixels: int, syntax: str | None) -> None:
    options = write(ward, transfer_syntax_uid=syntax, sequence_lengths=SequenceLengths.UNDEFINED)

    received = ward.store(with_sequence(side_pixels), fragments_bytes=100_000)

    expected = b"".join(normalised(lambda: BufferReader(received).read, EXPLICIT_VR_LITTLE_ENDIAN, options))
    (file,) = ward.files()
    content = file.read_bytes()
    held = row(ward)
    assert content[held.data_set_offset :] == expected != received
    assert held.size_bytes == len(content) == ward.shelf.usage().size_bytes
    assert held.transfer_syntax_uid == part10.read_meta(content).transfer_syntax_uid
    assert held.transfer_syntax_uid == (syntax or EXPLICIT_VR_LITTLE_ENDIAN)
    assert dcmread(file).ProcedureCodeSequence[0].CodeMeaning == "odd"
    ward.shelf.assert_sound()


def test_what_was_written_is_handed_out(ward: Ward) -> None:
    options = write(ward, group_lengths=GroupLengths.CREATE)
    received = ward.store()

    holdings = Holdings(ward.database, ward.data)
    (location,) = holdings.locate(find("STUDY"), ward.area)
    with holdings.open(ward.area, location) as stream:
        found = stream.read()

    assert found == b"".join(normalised(lambda: BufferReader(received).read, EXPLICIT_VR_LITTLE_ENDIAN, options))


@pytest.mark.parametrize("side_pixels", [SMALL, MEDIUM])
def test_size_of_a_padded_file_is_a_multiple(ward: Ward, side_pixels: int) -> None:
    write(ward, file_padding_bytes=2048)

    ward.store(with_sequence(side_pixels))

    assert ward.files()[0].stat().st_size % 2048 == 0


def compressed(side_pixels: int = SMALL):
    data_set = with_sequence(side_pixels, transfer_syntax=JPEG)
    data_set.PixelData = encapsulate([bytes(2 * side_pixels**2)])
    data_set["PixelData"].VR = "OB"
    data_set["PixelData"].is_undefined_length = True
    return data_set


def test_compressed_instance_keeps_its_syntax_or_is_refused(ward: Ward) -> None:
    write(ward, sequence_lengths=SequenceLengths.UNDEFINED)
    received = ward.store(compressed())
    write(ward, transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN)
    for side_pixels in (SMALL, LARGE):
        with pytest.raises(CannotConvert):
            ward.store(compressed(side_pixels))

    (file,) = ward.files()
    assert ward.paths() == [file]
    assert row(ward).transfer_syntax_uid == JPEG
    pixels = received[received.index(b"\xe0\x7f\x10\x00OB") :]
    assert file.read_bytes().endswith(pixels)


@pytest.mark.parametrize("has_nameless_files", [True, False], ids=["nameless", "named"])
@pytest.mark.parametrize("side_pixels", [SMALL, LARGE])
def test_what_fails_or_ends_early_leaves_no_trace(ward: Ward, side_pixels: int, has_nameless_files: bool) -> None:
    ward.archive._files(ward.area)._has_nameless_files = has_nameless_files
    data_set = with_sequence(side_pixels)
    with ward.archive.sink(ward.area, "SENDER").begin("1.2", "1.3", EXPLICIT_VR_LITTLE_ENDIAN) as incoming:
        incoming.write(memoryview(encoded(data_set)))
    with pytest.raises(UnreadableDataSet):
        ward.receive(encoded(data_set)[:-1])
    with pytest.raises(DataSetMismatch):
        ward.receive(encoded(data_set))
    with pytest.raises(UnreadableDataSet):
        ward.receive(b"")

    assert ward.files() == ward.paths() == []
    ward.store(data_set)
    assert len(ward.files()) == 1


def test_a_spool_that_cannot_be_read_is_a_failure_of_the_disk(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.preadv", broken)

    with pytest.raises(DiskFailed):
        ward.store(with_sequence(LARGE))

    assert 2 * LARGE**2 > SPOOL_BYTES
    assert ward.files() == ward.paths() == []


def test_area_that_discards_takes_in_anything_and_keeps_nothing(ward: Ward) -> None:
    ward.area = replace(ward.area, discards=True)

    ward.store(with_sequence(LARGE))
    ward.receive(b"no data set at all")
    ward.receive(b"")

    assert ward.files() == ward.paths() == []
    assert ward.wakes == 0
