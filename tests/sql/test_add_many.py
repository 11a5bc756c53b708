"""Many new instances in few statements: the same rows, lists, counters and notes as one by one."""

from typing import Any

import pytest
from sqlalchemy import Connection

from archive.database import transaction
from archive.index import upsert
from archive.index.record import AlreadyHeld, Parents, Record
from archive.index.tables import disagreements, instances, patients, series, studies, study_usage
from tests.sql.fix_holdings import MR, Shelf, new_shelf, record, series_uid, study_uid
from tests.sql.test_upsert import Recorder

Known = dict[tuple[str, str], Parents]


def add_new(shelf: Shelf, *records: Record, known: Known | None = None) -> Known:
    def work(connection: Connection) -> Known:
        return upsert.add_new(connection, shelf.area_pk, records, shard=0, known=known or {})

    return transaction.write(shelf.database, work)


def some_records() -> list[Record]:
    """Three series of two studies, two SOP Classes in one of them, and one that contradicts its study."""
    return [
        *(record(number=number, size_bytes=100 * number) for number in (1, 2, 3)),
        record(series=2, number=4, Modality="MR", SOPClassUID=MR),
        record(number=5, SOPClassUID=MR),
        record(study=2, number=6, PatientName="Somebody^Else"),
    ]


def without_keys(shelf: Shelf, table: Any) -> list[dict[str, Any]]:
    keys = {"pk", "area_pk", "patient_pk", "study_pk", "series_pk"}
    found = [{name: value for name, value in row._mapping.items() if name not in keys} for row in shelf.rows(table)]
    return sorted(found, key=repr)


def test_many_at_once_are_the_same_as_one_by_one(shelf: Shelf) -> None:
    other = new_shelf(shelf.database, f"{shelf.area_pk}-other")
    records = some_records()

    add_new(shelf, *records)
    other.store(*records)

    for table in (patients, studies, series, instances, study_usage, disagreements):
        assert without_keys(shelf, table) == without_keys(other, table), table.name
    assert shelf.usage() == other.usage()
    shelf.assert_sound()


def test_known_parents_are_tried_first_and_found_again_if_they_are_gone(shelf: Shelf) -> None:
    known = add_new(shelf, record(number=1))
    assert known.keys() == {(study_uid(), series_uid())}

    add_new(shelf, record(number=2), known=known)
    shelf.remove_study(study_uid())
    add_new(shelf, record(number=3), record(number=4), known=known)

    assert sorted(row.instance_number for row in shelf.rows(instances)) == [3, 4]
    shelf.assert_sound()


def test_one_that_is_held_after_all_is_told_and_nothing_happens(shelf: Shelf) -> None:
    shelf.store(record(number=2))

    with pytest.raises(AlreadyHeld):
        add_new(shelf, record(number=1), record(number=2), record(study=2, number=3))

    assert len(shelf.rows(instances)) == 1
    shelf.assert_sound()


def test_statements_do_not_grow_with_the_instances_of_a_series(shelf: Shelf, query_recorder: Recorder) -> None:
    known = add_new(shelf, record(number=0))

    def count(*records: Record) -> int:
        with query_recorder(shelf.database.engine) as recorded:
            add_new(shelf, *records, known=known)
        return len(recorded.statements)

    few = count(*(record(number=number) for number in range(1, 3)))
    many = count(*(record(number=number) for number in range(3, 40)))

    assert many == few
