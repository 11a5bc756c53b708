"""Counters say what the rows add up to, and a repair makes them say so again."""

import pytest
from sqlalchemy import Connection, update

from archive.database import transaction
from archive.index import checks, usage
from archive.index.checks import WrongCounters
from archive.index.record import UsageChange
from archive.index.tables import area_usage, series, studies, study_usage
from archive.index.usage import Usage
from tests.sql.fix_holdings import MR, Shelf, record, series_uid, study_uid


def wrong(shelf: Shelf) -> list[WrongCounters]:
    with transaction.read(shelf.database) as connection:
        return checks.wrong_counters(connection, shelf.area_pk)


def test_empty_area_holds_nothing(shelf):
    assert shelf.usage() == Usage(0, 0, 0, 0)
    with transaction.read(shelf.database) as connection:
        assert usage.counted(connection, shelf.area_pk) == Usage(0, 0, 0, 0)


def test_area_holds_the_sum_over_its_shards(shelf):
    shelf.store(record(series=1), shard=0)
    shelf.store(record(series=2), shard=5)
    shelf.store(record(study=2, size_bytes=10), shard=63)

    assert sorted(row.shard for row in shelf.rows(area_usage)) == [0, 5, 63]
    assert shelf.usage() == Usage(2, 3, 3, 2010)
    shelf.assert_sound()


def test_a_shard_may_fall_below_zero(shelf):
    shelf.store(record(), shard=1)

    shelf.remove_study(study_uid(), shard=2)

    assert [row.number_of_instances for row in shelf.rows(area_usage)] == [1, -1]
    assert shelf.usage() == Usage(0, 0, 0, 0)


def test_bytes_beyond_32_bits_are_counted(shelf):
    shelf.store(record(number=1, size_bytes=5 << 30), record(number=2, size_bytes=5 << 30))

    assert shelf.usage().size_bytes == 10 << 30
    shelf.assert_sound()


@pytest.mark.parametrize(
    "table, level, held",
    [
        pytest.param(series, "SERIES", Usage(0, 0, 7, 1000), id="series"),
        pytest.param(study_usage, "STUDY", Usage(0, 1, 7, 1000), id="study"),
        pytest.param(area_usage, "AREA", Usage(1, 1, 7, 1000), id="area"),
    ],
)
def test_wrong_counter_is_found_and_repaired(shelf, table, level, held):
    shelf.store(record())
    changed = update(table).where(table.c.area_pk == shelf.area_pk).values(number_of_instances=7)
    transaction.write(shelf.database, lambda connection: connection.execute(changed))

    found = wrong(shelf)

    assert (found[0].level, found[0].held) == (level, held)
    assert found[0].counted.number_of_instances == 1
    repaired = transaction.write(
        shelf.database, lambda connection: checks.repair_counters(connection, shelf.area_pk, 0)
    )
    assert level in [each.level for each in repaired]
    shelf.assert_sound()


def test_wrong_counters_name_their_entity(shelf):
    shelf.store(record())
    transaction.write(shelf.database, lambda connection: _spoil(connection, shelf.area_pk))

    assert [(each.level, each.uid) for each in wrong(shelf)] == [("SERIES", series_uid()), ("STUDY", study_uid())]


def _spoil(connection: Connection, area_pk: int) -> None:
    for table, wrong_bytes in ((series, 3), (study_usage, 4)):
        connection.execute(update(table).where(table.c.area_pk == area_pk).values(size_bytes=wrong_bytes))


def test_summary_lists_what_the_series_hold(shelf):
    shelf.store(record(series=1, Modality="MR", SOPClassUID=MR), record(series=2, Modality=None))
    spoilt = update(studies).where(studies.c.area_pk == shelf.area_pk).values(modalities_in_study="XX")
    transaction.write(shelf.database, lambda connection: connection.execute(spoilt))

    transaction.write(shelf.database, lambda connection: usage.summarize_study(connection, shelf.one(studies).pk))

    assert shelf.one(studies).modalities_in_study == "MR"
    shelf.assert_sound()


def test_first_count_of_a_shard_makes_its_row(shelf):
    change = UsageChange(1, 2, 3, 4)

    transaction.write(shelf.database, lambda connection: usage.count_in_area(connection, shelf.area_pk, 9, change))
    transaction.write(shelf.database, lambda connection: usage.count_in_area(connection, shelf.area_pk, 9, change))

    assert shelf.usage() == Usage(2, 4, 6, 8)
    assert len(shelf.rows(area_usage)) == 1
