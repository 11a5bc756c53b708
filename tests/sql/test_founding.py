"""Opening an archive: the first to come makes it, on both databases, however many come at once."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from archive.database import migrate, revision, transaction
from archive.database.engine import Database
from archive.errors import SchemaOutOfDate
from archive.lifecycle import founding
from archive.registry import snapshot

_OPEN = """
import sys
from pathlib import Path
from archive.lifecycle import founding
database, was_founded = founding.open_archive(Path(sys.argv[1]), sys.argv[2])
database.close()
print(was_founded)
"""


def test_an_empty_embedded_database_is_made_and_founded(tmp_path: Path) -> None:
    data = tmp_path / "new" / "data"

    database, was_founded = founding.open_archive(data, f"sqlite:///{data}/archive.db")

    with closing(database), transaction.read(database) as connection:
        assert was_founded
        assert list(snapshot.read(connection).titles) == ["ARCHIVE"]
        assert (data / "areas" / "ARCHIVE").is_dir()


def test_an_archive_is_founded_only_by_the_first_who_opens_it(migrated_url: str, tmp_path: Path) -> None:
    founded: list[bool] = []

    for _ in range(2):
        database, was_founded = founding.open_archive(tmp_path / "data", migrated_url)
        database.close()
        founded.append(was_founded)

    assert founded == [True, False]


def test_whoever_opens_an_archive_upgrades_an_embedded_database_and_no_other(
    database_url: str, dialect: str, tmp_path: Path
) -> None:
    if dialect == "sqlite":
        founding.open_archive(tmp_path / "data", database_url)[0].close()
    else:
        with pytest.raises(SchemaOutOfDate, match="archive db upgrade"):
            founding.open_archive(tmp_path / "data", database_url)

    with closing(Database(database_url)) as database:
        assert revision.current(database) == (revision.head() if dialect == "sqlite" else None)


def test_many_may_open_a_new_archive_at_once(database_url: str, dialect: str, tmp_path: Path) -> None:
    if dialect == "postgresql":
        with closing(Database(database_url)) as database:
            migrate.upgrade(database)
    command = [sys.executable, "-c", _OPEN, str(tmp_path / "data"), database_url]

    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(6)]
    said = [process.communicate(timeout=60) for process in running]

    assert [error for _, error in said if error] == []
    assert sorted(answer.strip() for answer, _ in said) == ["False"] * 5 + ["True"]
