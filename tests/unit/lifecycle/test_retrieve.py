"""What is found and handed out, and what happens when a file is not there. On the embedded database."""

from array import array
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from archive.database.engine import Database
from archive.dicom.attributes import Level
from archive.errors import UnreadableFile
from archive.lifecycle import founding
from archive.lifecycle.retrieve import Holdings
from archive.query.response import Source
from tests.fix_archive import FoundedArchive
from tests.fix_database import sqlite_url
from tests.fix_instances import instance
from tests.sql.fix_holdings import find


@pytest.fixture
def kept(sqlite_template: Path, tmp_path: Path) -> Iterator[FoundedArchive]:
    """A founded archive that holds two instances of one study."""
    path = tmp_path / "index.sqlite"
    path.write_bytes(sqlite_template.read_bytes())
    with closing(Database(sqlite_url(path))) as database:
        founding.found(database, tmp_path / "data")
        archive = FoundedArchive(database, tmp_path / "data")
        archive.store(instance(number=1), instance(number=2))
        yield archive


def test_matches_are_answered(kept):
    holdings = Holdings(kept.database, kept.data)

    pks = holdings.matching(find("IMAGE", InstanceNumber="2"), kept.area)

    assert isinstance(pks, array)
    assert holdings.answers(Level.IMAGE, [Source(Level.IMAGE, "instance_number_text")], pks) == [("2",)]


@pytest.mark.parametrize("asked", [{}, {"StudyInstanceUID": instance(number=1).StudyInstanceUID}], ids=["all", "few"])
@pytest.mark.parametrize(
    "limit, first, found, answered", [(None, 5, 2, 2), (3, 2, 2, 2), (2, 1, 2, 1), (None, 1, 2, 1)]
)
def test_what_is_found_comes_with_its_first_answers(kept, asked, limit, first, found, answered):
    kept.store(instance(number=3, series=2))
    wanted = [Source(Level.SERIES, "series_instance_uid")]

    held = Holdings(kept.database, kept.data).find(find("SERIES", **asked), kept.area, wanted, limit=limit, first=first)

    assert (len(held.pks), len(held.answers)) == (found, answered)


def test_answers_are_limited(kept):
    assert len(Holdings(kept.database, kept.data).matching(find("IMAGE"), kept.area, 1)) == 1


def test_stream_begins_with_the_data_set(kept):
    holdings = Holdings(kept.database, kept.data)
    location = holdings.locate(find("IMAGE"), kept.area)[0]

    with holdings.open(kept.area, location) as stream:
        assert stream.read(2) == b"\x08\x00"


def test_missing_file_is_an_error_that_names_it(kept):
    holdings = Holdings(kept.database, kept.data)
    location = holdings.locate(find("IMAGE"), kept.area)[0]
    assert location.path is not None
    (kept.folder / location.path).unlink()

    with pytest.raises(UnreadableFile) as failure:
        holdings.open(kept.area, location)

    assert location.path in str(failure.value)
