"""Whatever is stored, stored again, moved and removed, in any order: the books of an area say what it holds.

Few patients, studies, series and instances, so that they meet often. The model knows of each instance the one place
where it is; the rest is what `faults` proves after every step: counters are sums, lists are right, no parent is empty,
no path is named twice.
"""

from dataclasses import dataclass
from functools import partial
from uuid import uuid4

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from archive.database.engine import Database
from archive.errors import DuplicateInstance
from archive.index.record import AlreadyHeld, Duplicates, Parents, Record
from archive.index.tables import instances, series, studies
from archive.index.usage import Usage
from tests.fix_instances import uid
from tests.sql.fix_holdings import CT, MR, new_shelf, record, study_uid

Place = tuple[int, int, int]  # patient, study, series

places = st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(1, 2))
numbers = st.integers(1, 4)
sop_classes = st.sampled_from((CT, MR))
sizes = st.integers(1, 1 << 40)
shards = st.integers(0, 2)


@dataclass(frozen=True, slots=True)
class Held:
    """Where the model has an instance."""

    place: Place
    path: str
    size_bytes: int


class HoldingsMachine(RuleBasedStateMachine):
    """One area, and what should be in it."""

    received = Bundle("received")

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.shelf = new_shelf(database, f"MACHINE-{uuid4().hex}")
        self.held: dict[int, Held] = {}
        self.deleted: list[str] = []
        self.known: dict[tuple[int, int, int], Parents] = {}  # never forgotten, as a worker that hears of no removal

    @rule(
        target=received,
        place=places,
        number=numbers,
        sop_class=sop_classes,
        size_bytes=sizes,
        duplicates=st.sampled_from(Duplicates),
        shard=shards,
        is_known=st.booleans(),
    )
    def store(
        self,
        place: Place,
        number: int,
        sop_class: str,
        size_bytes: int,
        duplicates: Duplicates,
        shard: int,
        is_known: bool,
    ) -> tuple[int, Record]:
        """An instance comes, perhaps again, perhaps in another place than before."""
        stored = record(
            *place,
            size_bytes=size_bytes,
            SOPInstanceUID=uid("machine", number),
            SOPClassUID=sop_class,
            Modality="CT" if place[2] == 1 else None,
        )
        self._store(number, place, stored, duplicates, shard, is_known=is_known)
        return number, stored

    def _store(
        self, number: int, place: Place, stored: Record, duplicates: Duplicates, shard: int, *, is_known: bool
    ) -> None:
        before = self.held.get(number)
        known = self.known.get(place) if is_known else None
        keep = partial(self.shelf.store, stored, duplicates=duplicates, shard=shard, known=known)
        if before is not None and duplicates is Duplicates.KEEP:
            with pytest.raises(AlreadyHeld):
                keep()
            return
        if before is not None and duplicates is Duplicates.REJECT:
            with pytest.raises(DuplicateInstance):
                keep()
            return
        outcome = keep()
        assert outcome.replaced == (before is not None)
        if before is not None:
            self.deleted.append(before.path)
        assert stored.path is not None
        self.held[number] = Held(place, stored.path, stored.size_bytes)
        self.known[place] = outcome.parents

    @rule(again=received, shard=shards)
    def store_the_same_file_again(self, again: tuple[int, Record], shard: int) -> None:
        """A commit whose answer was lost is done again; nothing changes."""
        number, stored = again
        held = self.held.get(number)
        if held is None or held.path != stored.path:
            return  # it went through and something else came after it
        with pytest.raises(AlreadyHeld) as raised:
            self.shelf.store(stored, shard=shard)
        assert raised.value.path == stored.path

    @rule(place=places, shard=shards)
    def remove(self, place: Place, shard: int) -> None:
        """A study is removed, if it is there."""
        patient, study, _ = place
        within = {number: held for number, held in self.held.items() if held.place[:2] == (patient, study)}

        change = self.shelf.remove_study(study_uid(patient, study), shard=shard)

        assert (change is None) == (not within)
        for number, held in within.items():
            self.deleted.append(held.path)
            del self.held[number]

    @invariant()
    def books_are_right(self) -> None:
        """What the rows say of each other."""
        self.shelf.assert_sound()

    @invariant()
    def holdings_are_those_of_the_model(self) -> None:
        """What the rows say of the world."""
        places_held = {held.place for held in self.held.values()}
        expected = Usage(
            len({place[:2] for place in places_held}),
            len(places_held),
            len(self.held),
            sum(held.size_bytes for held in self.held.values()),
        )
        assert self.shelf.usage() == expected
        assert len(self.shelf.rows(studies)) == expected.number_of_studies
        assert len(self.shelf.rows(series)) == expected.number_of_series
        assert sorted(row.path for row in self.shelf.rows(instances)) == sorted(
            held.path for held in self.held.values()
        )
        assert sorted(self.shelf.deleted_paths()) == sorted(self.deleted)


def test_holdings_stay_right_whatever_happens(database: Database) -> None:
    class OnThisDatabase(HoldingsMachine):
        def __init__(self) -> None:
            super().__init__(database)

    few = settings(max_examples=max(settings().max_examples // 7, 1), stateful_step_count=20)

    run_state_machine_as_test(OnThisDatabase, settings=few)
