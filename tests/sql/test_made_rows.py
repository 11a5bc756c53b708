"""An index filled for the benchmark of growth is one that stores could have left: every book is right, finds find."""

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from typing import Any

import pytest
from sqlalchemy import func, select, text

from archive.database import transaction
from archive.database.engine import Database
from archive.index.activity_tables import received_by_day
from archive.index.record import Duplicates
from archive.index.tables import instances, patients, series, studies
from benchmarks.growth import made_rows
from benchmarks.growth.load import load
from benchmarks.growth.made_rows import MadeRows
from tests.sql.fix_holdings import Shelf, find, new_shelf, record

OTHERS = 2500


@pytest.fixture(scope="module")
def grown_shelves(new_database: Callable[[str], Database]) -> Iterator[Callable[[str], Shelf]]:
    """A filled database of each dialect; made once."""
    opened: list[Database] = []

    @cache
    def grown(dialect: str) -> Shelf:
        with closing(new_database(dialect)) as database:
            shelf = new_shelf(database, "GROWN")
        url = database.url.render_as_string(hide_password=False)
        load(url, MadeRows(shelf.area_pk, "GROWN", other_studies=OTHERS).batches())
        opened.append(Database(url))
        return Shelf(opened[-1], shelf.area_pk)

    yield grown
    for database in opened:
        database.close()


@pytest.fixture
def grown(dialect: str, grown_shelves: Callable[[str], Shelf]) -> Shelf:
    """An area with some thousand made studies."""
    return grown_shelves(dialect)


def count(shelf: Shelf, table: Any) -> int:
    with transaction.read(shelf.database) as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


def test_the_same_seed_gives_the_same_rows() -> None:
    def first_batch(seed: int) -> made_rows.Batch:
        return next(MadeRows(1, "A", other_studies=10, seed=seed).batches())

    assert first_batch(1) == first_batch(1)
    assert first_batch(1) != first_batch(2)


def test_all_books_of_a_filled_index_are_right(grown: Shelf) -> None:
    grown.assert_sound()
    usage = grown.usage()
    assert usage.number_of_studies == made_rows.PROBE_STUDIES + OTHERS
    assert usage.number_of_series > 2 * usage.number_of_studies
    assert usage.number_of_instances > 5 * usage.number_of_studies
    with transaction.read(grown.database) as connection:
        assert connection.scalar(select(func.sum(received_by_day.c.size_bytes))) == usage.size_bytes


@pytest.mark.parametrize(
    "query, found",
    [
        pytest.param(find("STUDY", PatientID=made_rows.probe_patient_id(7)), 2, id="PatientID"),
        pytest.param(find("STUDY", AccessionNumber="Q0000123"), 1, id="AccessionNumber"),
        pytest.param(find("STUDY", PatientName="quexqua07*"), 40, id="prefix of a name"),
        pytest.param(find("STUDY", PatientName="*xqua07*"), 40, id="part of a name"),
        pytest.param(find("STUDY", PatientName=f"*{made_rows.PROBE_LETTERS}*"), made_rows.PROBE_STUDIES, id="letters"),
        pytest.param(find("STUDY", StudyDescription="*tiquex 7"), 50, id="part of a description"),
        pytest.param(find("STUDY", StudyDate=f"{made_rows.PROBE_DAY:%Y%m%d}"), 10, id="day"),
        pytest.param(find("STUDY", ModalitiesInStudy=made_rows.PROBE_MODALITY), 20, id="modality"),
    ],
)
def test_probes_are_found_and_nothing_else(grown: Shelf, query: Any, found: int) -> None:
    matching = grown.matching(query)

    assert len(matching) == found
    assert set(matching) <= set(range(1, made_rows.PROBE_STUDIES + 1))


def test_a_filled_index_takes_in_what_comes(grown: Shelf) -> None:
    before = grown.usage()

    grown.store(record(patient=5, number=1), record(patient=5, number=2, PatientID=made_rows.probe_patient_id(3)))
    grown.store(record(patient=5, number=1), duplicates=Duplicates.REPLACE)

    assert grown.usage().number_of_instances == before.number_of_instances + 2
    grown.assert_sound()
    assert grown.remove_study(record(patient=5).header.study_instance_uid) is not None
    assert grown.usage() == before


def test_a_filled_index_has_the_schema_of_the_migrations(
    grown: Shelf, dialect: str, new_database: Callable[[str], Database]
) -> None:
    assert schema(grown.database) == schema(new_database(dialect))


def schema(database: Database) -> set[tuple[Any, ...]]:
    """All tables, indexes and constraints, and on SQLite the figures that it plans by."""
    queries = (
        ("SELECT type, name, sql FROM sqlite_schema", "SELECT tbl, idx, stat FROM sqlite_stat1")
        if database.is_embedded
        else (
            "SELECT indexname, indexdef, '' FROM pg_indexes WHERE schemaname = 'public'",
            "SELECT conname, pg_get_constraintdef(oid), convalidated::text FROM pg_constraint",
        )
    )
    with transaction.read(database) as connection:
        return {tuple(row) for query in queries for row in connection.execute(text(query))}


def test_rows_of_every_level_came(grown: Shelf) -> None:
    numbers = [count(grown, table) for table in (patients, studies, series, instances)]

    assert numbers == sorted(numbers)
    assert numbers[0] > OTHERS / 3
