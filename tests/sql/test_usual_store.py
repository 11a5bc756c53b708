"""A store into a known series leaves what the plain way leaves, whatever is there already."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from archive.database import transaction
from archive.errors import DuplicateInstance
from archive.index.record import AlreadyHeld, Duplicates, Record, Stored
from archive.index.tables import (
    area_usage,
    deletions,
    disagreements,
    instances,
    patients,
    series,
    studies,
    study_usage,
    unfiled_instances,
)
from tests.fix_archive import FoundedArchive
from tests.fix_instances import ct, instance
from tests.sql.fix_holdings import MR, PET, Shelf, new_shelf, record, small, study_uid

# Of the area, or of the order in which rows were made: keys, and the paths that two areas cannot share.
_ITS_OWN = {"pk", "area_pk", "patient_pk", "study_pk", "series_pk", "instance_pk", "path"}


FIRST = record(number=1)

_WITH_FILES: dict[str, tuple[list[Record], Duplicates]] = {
    "a second instance": ([FIRST, record(number=2, size_bytes=50)], Duplicates.REPLACE),
    "small ones": ([small(FIRST), small(record(number=2)), record(number=3)], Duplicates.REPLACE),
    "one that replaces": ([FIRST, record(number=1, size_bytes=70), record(number=2)], Duplicates.REPLACE),
    "a small one that replaces": ([FIRST, small(record(number=1)), small(record(number=1))], Duplicates.REPLACE),
    "another SOP Class": ([FIRST, record(number=2, SOPClassUID=PET), record(number=3)], Duplicates.REPLACE),
    "one that disagrees": ([FIRST, record(number=2, PatientName="Other"), record(number=3)], Duplicates.REPLACE),
    "one that moves in": (
        [FIRST, record(study=2), record(number=2, SOPInstanceUID=record(study=2).header.sop_instance_uid)],
        Duplicates.REPLACE,
    ),
    "one that is kept": ([FIRST, record(number=1, size_bytes=70), record(number=2)], Duplicates.KEEP),
    "one that is rejected": ([FIRST, record(number=1, size_bytes=70), record(number=2)], Duplicates.REJECT),
    "of two modalities": (
        [FIRST, record(series=2, Modality="MR", SOPClassUID=MR), record(number=2)],
        Duplicates.REPLACE,
    ),
}


SEQUENCES = _WITH_FILES | {
    f"{name}, without files": ([small(each) for each in records], duplicates)
    for name, (records, duplicates) in _WITH_FILES.items()
}


def store_all(
    shelf: Shelf, records: list[Record], duplicates: Duplicates, store: Callable[..., Stored], *, remembers: bool = True
) -> list[Any]:
    """What became of each, with the parents remembered from store to store or looked for each time."""
    outcomes: list[Any] = []
    known = {}
    for each in records:
        key = (each.header.study_instance_uid, each.header.series_instance_uid)
        try:
            parents = known.get(key) if remembers else None
            stored = store(shelf, each, duplicates=duplicates, known=parents, shard=3)
        except (AlreadyHeld, DuplicateInstance) as kept:
            outcomes.append(type(kept))
            continue
        known[key] = stored.parents
        outcomes.append((stored.replaced, stored.added, stored.added_to_study_bytes))
    return outcomes


def held(shelf: Shelf) -> dict[str, list[dict[str, Any]]]:
    """All rows of the area, but for what is its own."""
    tables = (patients, studies, study_usage, series, instances, area_usage, deletions, disagreements)
    found = {table.name: [row._mapping for row in shelf.rows(table)] for table in tables}
    contents = select(unfiled_instances.c.content).join(instances).where(instances.c.area_pk == shelf.area_pk)
    with transaction.read(shelf.database) as connection:
        found["contents"] = [row._mapping for row in connection.execute(contents)]
    return {
        name: [{column: value for column, value in row.items() if column not in _ITS_OWN} for row in rows]
        for name, rows in found.items()
    }


def at_once_or_plain(shelf: Shelf, stored: Record, **how: Any) -> Stored:
    """As an association does that is alone: the record without a file by one statement, if that does."""
    if how.get("known") is not None and stored.content is not None:
        done = shelf.store_at_once(stored, known=how["known"], shard=how.get("shard", 0))
        if done is not None:
            return done
    return shelf.store(stored, **how)


BOTH_WAYS = pytest.mark.parametrize("store", [Shelf.store, at_once_or_plain], ids=["in a transaction", "at once"])


@BOTH_WAYS
@pytest.mark.parametrize("name", SEQUENCES)
def test_remembered_parents_change_nothing_but_the_time_it_takes(
    shelf: Shelf, name: str, store: Callable[..., Stored]
) -> None:
    records, duplicates = SEQUENCES[name]
    plain = new_shelf(shelf.database, f"PLAIN-{shelf.area_pk}")

    fast = store_all(shelf, records, duplicates, store)

    assert fast == store_all(plain, records, duplicates, Shelf.store, remembers=False)
    assert held(shelf) == held(plain)
    shelf.assert_sound()


@BOTH_WAYS
def test_a_study_that_is_gone_and_was_remembered_is_made_anew(shelf: Shelf, store: Callable[..., Stored]) -> None:
    known = shelf.store(small(FIRST)).parents
    shelf.remove_study(study_uid())

    store(shelf, small(record(number=2)), known=known)

    assert [row.number_of_instances for row in shelf.rows(study_usage)] == [1]
    shelf.assert_sound()


def test_the_usual_small_store_is_one_statement_where_statements_are_trips(shelf: Shelf, query_recorder: Any) -> None:
    known = shelf.store(small(FIRST)).parents

    with query_recorder(shelf.database.engine) as recorded:
        stored = shelf.store_at_once(small(record(number=2)), known=known)

    assert len(recorded.statements) == (0 if shelf.database.is_embedded else 1)
    assert (stored is None) == shelf.database.is_embedded


@pytest.mark.parametrize(
    "area, has_one_statement",
    [
        ({"durability": "full"}, True),
        ({"max_bytes": 1 << 30}, False),
        ({"durability": "relaxed"}, False),
    ],
)
def test_a_store_is_one_statement_where_nothing_else_belongs_to_its_transaction(
    founded: FoundedArchive, dialect: str, query_recorder: Any, area: dict[str, Any], has_one_statement: bool
) -> None:
    founded.set_area(**area)
    first, second, large = instance(number=1), instance(number=2), ct(number=3)

    with query_recorder(founded.database.engine) as recorded:
        founded.store(first, second, large, is_filed=False)

    alone = [text for text in recorded.statements if text.startswith("WITH usual")]
    assert len(alone) == (1 if has_one_statement and dialect == "postgresql" else 0)
