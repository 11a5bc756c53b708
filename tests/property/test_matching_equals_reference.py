"""Whatever is held and whatever is asked: the SQL of a query finds what the plain matcher of PS3.4 C.2.2.2 finds.

An example is one set of holdings, made from a seed, and many identifiers, each made from a seed of its own, so that a
failure shrinks to one identifier. Values come from small pools with all that is awkward in them, and keys are made of
values that are held, so that most of them find something and leave something out.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from archive.database.engine import Database
from archive.dicom.attributes import ATTRIBUTES, UNIQUE_KEYS, Attribute, KeyType, Level
from archive.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN
from archive.errors import InvalidIdentifier
from archive.index import select as questions
from archive.index import upsert
from archive.index.record import Duplicates
from archive.index.tables import instances, patients, series, studies
from archive.query.identifier import REQUEST_ATTRIBUTES, parse_find
from archive.query.model import Model, Options, Query
from tests.fix_instances import uid
from tests.property.matching_reference import Entity, matches
from tests.sql.fix_holdings import CT, MR, PET, encoded, new_shelf, record

# fmt: off
_WORDS = (
    "HEAD", "head", "Head", "HEADS", "H%D", "H_D", "a[b]c", "äöü", "ÄÖÜ", "日本", "*", "A?C", "ABC", "🙂", "a{2}",
    "(x|y)", "it's", '"', "\uffff", "\U0010ffff", "x y",
)
_NAMES = (
    "Müller^Jörg", "MULLER^JORG", "Muller^Jo", "Doe^John^^Dr", "Doe^John", "Doe", "Doe^", "^John", "Doe^Johnny Lee",
    "  Doe ^ John ", "Do%^J_hn", "De[e]p^x", "Straße^A", "STRASSE^a", "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "=山田^太郎", "==やまだ^たろう", "^^", "A^B^C^D^E", "Ｄｏｅ^John", "*^?",
)
# fmt: on
_POOLS: dict[str, Sequence[str]] = {
    "DA": ("20260101", "20260102", "2026.01.02", "20251231", "20260230", "soon", "00010101", "99991231"),
    "TM": ("10", "1010", "101010", "101010.5", "10:10:10", "235960", "000000", "101010.999999", "25", "noon"),
    "IS": ("1", "01", "+1", "-1", "0", "-0", "2147483647", "2147483648", "one", "1.5"),
    "DS": ("1.5", "1.50", "+1.5", "-1.5", "0", "1e1", "10", "heavy", ".5"),
    "AS": ("030Y", "30Y", "012M"),
    "US": ("0", "1", "512", "65535"),
    "LT": ("line\\two", "some text", "  some text", "some", "ÄÖÜ"),
    "UI": (CT, MR, PET),
    "PN": _NAMES,
}
_HELD = tuple(
    each for each in ATTRIBUTES if each.column and not each.is_computed and each.key_type is not KeyType.UNIQUE
)
_ASKED = tuple(each for each in ATTRIBUTES if each.key_type is not KeyType.RETURN)
_TABLES = (patients, studies, series, instances)


@dataclass
class Holdings:
    """What a seed makes: an entity per row of each level, with the path of numbers from its patient down to it."""

    seed: int
    entities: dict[Level, dict[tuple[int, ...], dict[str, Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self.entities = {level: {} for level in Level}
        for number in range(self._random.randint(1, 4)):
            self._patient(number)
        self._count()

    def _patient(self, number: int) -> None:
        """A patient with studies, series and instances."""
        # Without an ID a patient has one study, and two with the same ID and issuer would be one.
        has_id = self._random.random() < 0.9
        values = {"PatientID": self._random.choice(("P{}", "p{}", "P{}*", "P%{}")).format(number) if has_id else ""}
        self._add(Level.PATIENT, (number,), {}, values)
        for study in range(self._random.randint(1, 3 if has_id else 1)):
            of_study = (number, study)
            self._add(
                Level.STUDY, of_study, self.entities[Level.PATIENT][(number,)], {"StudyInstanceUID": uid(of_study)}
            )
            for each in range(self._random.randint(1, 3)):
                self._series((*of_study, each))

    def _series(self, path: tuple[int, ...]) -> None:
        self._add(Level.SERIES, path, self.entities[Level.STUDY][path[:-1]], {"SeriesInstanceUID": uid(path)})
        for number in range(self._random.randint(1, 3)):
            of_instance = (*path, number)
            unique = {"SOPInstanceUID": uid(of_instance), "SOPClassUID": self._random.choice(_POOLS["UI"])}
            self._add(Level.IMAGE, of_instance, self.entities[Level.SERIES][path], unique)

    def _add(self, level: Level, path: tuple[int, ...], above: Mapping[str, Any], unique: Mapping[str, str]) -> None:
        own: dict[str, Any] = {each.keyword: self._value(each) for each in _HELD if each.level is level}
        if level is Level.SERIES:
            own["RequestAttributesSequence"] = self._items()
        self.entities[level][path] = {**above, **own, **unique}

    def _value(self, attribute: Attribute) -> str:
        pool = _POOLS.get(attribute.vr, _WORDS)
        if self._random.random() < 0.15:
            return ""
        if not attribute.multi_valued:
            return self._random.choice(pool)
        return "\\".join(self._random.choices([*pool, ""], k=self._random.randint(1, 3)))

    def _items(self) -> list[dict[str, str]]:
        attributes = [each for each in REQUEST_ATTRIBUTES.values() if self._random.random() < 0.6]
        return [
            {each.keyword: self._value(each) for each in attributes} for _ in range(self._random.choice((0, 1, 1, 2)))
        ]

    def _count(self) -> None:
        """Set the counts and lists of what lies below."""
        for level, keyword in (
            (Level.STUDY, "NumberOfPatientRelatedStudies"),
            (Level.SERIES, "NumberOfPatientRelatedSeries"),
            (Level.IMAGE, "NumberOfPatientRelatedInstances"),
        ):
            self._summarize(Level.PATIENT, level, keyword, lambda below: str(len(below)))
        self._summarize(Level.STUDY, Level.SERIES, "NumberOfStudyRelatedSeries", lambda below: str(len(below)))
        self._summarize(Level.STUDY, Level.IMAGE, "NumberOfStudyRelatedInstances", lambda below: str(len(below)))
        self._summarize(Level.STUDY, Level.SERIES, "ModalitiesInStudy", lambda below: _listed(below, "Modality"))
        self._summarize(Level.STUDY, Level.IMAGE, "SOPClassesInStudy", lambda below: _listed(below, "SOPClassUID"))
        self._summarize(Level.SERIES, Level.IMAGE, "NumberOfSeriesRelatedInstances", lambda below: str(len(below)))

    def _summarize(
        self, of: Level, below: Level, keyword: str, summary: Callable[[Sequence[Mapping[str, Any]]], str]
    ) -> None:
        for path in self.entities[of]:
            value = summary([entity for under, entity in self.entities[below].items() if under[: len(path)] == path])
            for level in Level:
                if level >= of:
                    for under, entity in self.entities[level].items():
                        if under[: len(path)] == path:
                            entity[keyword] = value

    def store(self, connection: Connection, area_pk: int) -> None:
        """Store every instance."""
        held = {each.keyword for each in ATTRIBUTES if each.column and not each.is_computed}
        for entity in self.entities[Level.IMAGE].values():
            values = {keyword: value for keyword, value in entity.items() if keyword in held and value != ""}
            values |= {keyword: int(values[keyword]) for keyword in ("Rows", "Columns") if keyword in values}
            absent: dict[str, Any] = dict.fromkeys(held - values.keys())
            received = record(**absent | values, RequestAttributesSequence=entity["RequestAttributesSequence"])
            upsert.add(connection, area_pk, received, duplicates=Duplicates.REJECT, shard=0)

    def expected(self, query: Query) -> set[tuple[int, ...]]:
        """The paths of the entities of the query's level that match; a chain down to the lowest key speaks for one."""
        levels = [key.attribute.level for key in query.keys] + [
            each.date_attribute.level for each in query.date_time_ranges
        ]
        chains: Mapping[tuple[int, ...], Entity] = self.entities[max([query.level, *levels])]
        return {path[: query.level + 1] for path, chain in chains.items() if matches(query, chain)}


def _listed(entities: Sequence[Mapping[str, Any]], keyword: str) -> str:
    return "\\".join(sorted({entity[keyword] for entity in entities} - {""}))


class Asking:
    """Makes the identifier of one seed, out of values that are held."""

    def __init__(self, seed: int, holdings: Holdings) -> None:
        self._random = random.Random(seed)
        self._held = list(holdings.entities[Level.IMAGE].values())
        self.model = self._random.choice(list(Model))
        self.level = self._random.choice(self.model.levels)
        flags = [self._random.random() < 0.5 for _ in range(5)]
        self.options = Options(*flags)
        self.values: dict[str, Any] = {"QueryRetrieveLevel": self.level.name}

    def query(self) -> Query | None:
        """The query, or None where the identifier is refused."""
        for level in self.model.levels:
            if level < self.level and not self.options.relational:
                unique = UNIQUE_KEYS[level]
                self.values[unique.keyword] = self._random.choice(("", self._key(unique)))
        may_ask = [
            each
            for each in _ASKED
            if (level := max(each.level, self.model.root)) in self.model.levels
            and (self.options.relational or level is self.level)
        ]
        for attribute in self._random.sample(may_ask, self._random.choice((1, 1, 2, 3))):
            self.values[attribute.keyword] = self._key(attribute)
            partner = attribute.keyword.replace("Date", "Time")
            if partner != attribute.keyword and self._random.random() < 0.5:
                self.values[partner] = self._key(next(each for each in _ASKED if each.keyword == partner))
        try:
            return parse_find(encoded(self.values), EXPLICIT_VR_LITTLE_ENDIAN, self.model, self.options)
        except InvalidIdentifier:
            return None

    def _key(self, attribute: Attribute) -> Any:
        if attribute.vr == "SQ":
            asked = self._random.sample(list(REQUEST_ATTRIBUTES.values()), self._random.randint(1, 2))
            items = [item for entity in self._held for item in entity[attribute.keyword]] or [{}]
            item = self._random.choice(items)
            return [{each.keyword: self._of_value(each, item.get(each.keyword, "HEAD")) for each in asked}]
        value = self._random.choice(self._held)[attribute.keyword]
        if attribute.vr == "US":
            return int(value or 7)
        if self.options.empty_value and self._random.random() < 0.1:
            return '""'
        keys = [
            self._of_value(attribute, self._random.choice(value.split("\\")))
            for _ in range(self._random.choice((1, 1, 2)))
        ]
        if attribute.vr == "PN":
            return keys[0]
        return "\\".join(keys)

    def _of_value(self, attribute: Attribute, value: str) -> str:
        match attribute.vr:
            case "DA" | "TM":
                return self._random.choice(list(self._ranges(_POOLS[attribute.vr], value)))
            case "IS" | "DS" | "AS" | "UI":
                return self._random.choice((value, value, self._random.choice(_POOLS[attribute.vr])))
            case "PN":
                return self._name(value, is_alone=attribute.multi_valued)
            case _:
                return self._wild(value)

    def _ranges(self, pool: Sequence[str], value: str) -> Iterator[str]:
        first, last = sorted((value, self._random.choice(pool)))
        yield from (value, f"{first}-{last}", f"{value}-", f"-{value}", "-", f"{value[:4]}*")

    def _wild(self, value: str) -> str:
        """The value, or a pattern that it may match."""
        start, stop = sorted(self._random.choices(range(len(value) + 1), k=2))
        replaced = f"{value[:start]}?{value[start + 1 :]}" if start < len(value) else value
        return self._random.choice(
            (
                value,
                replaced,
                f"{value[:stop]}*",
                f"*{value[start:]}",
                f"*{value[start:stop]}*",
                f"{value[:start]}*{value[stop:]}",
            )
        )

    def _name(self, value: str, *, is_alone: bool) -> str:
        # Of several names in one attribute, SQL cannot tell which group belongs to which: one group is asked for.
        groups = value.split("=")
        if is_alone or self._random.random() < 0.6:
            groups = [self._random.choice(groups)]
        asked = "=".join(self._wild(group) for group in groups)
        return self._random.choice((asked, asked, asked.upper(), asked.casefold(), asked.replace("^", "^*", 1)))


def paths_of(connection: Connection, area_pk: int, holdings: Holdings) -> dict[Level, dict[int, tuple[int, ...]]]:
    """The path of each row, by level and primary key."""
    path_of = {entity["SOPInstanceUID"]: path for path, entity in holdings.entities[Level.IMAGE].items()}
    chain = (patients.c.pk, studies.c.pk, series.c.pk, instances.c.pk)
    statement = (
        select(instances.c.sop_instance_uid, *chain)
        .select_from(patients.join(studies).join(series, series.c.study_pk == studies.c.pk))
        .join(instances, instances.c.series_pk == series.c.pk)
        .where(patients.c.area_pk == area_pk)
    )
    found: dict[Level, dict[int, tuple[int, ...]]] = {level: {} for level in Level}
    for sop_instance_uid, *pks in connection.execute(statement):
        for level, pk in zip(Level, pks, strict=True):
            found[level][pk] = path_of[sop_instance_uid][: level + 1]
    return found


seeds = st.integers(0, 2**32)


@settings(max_examples=max(settings().max_examples // 5, 1))
@given(seed=seeds, asked=st.lists(seeds, min_size=30, max_size=60))
def test_sql_finds_what_the_reference_finds(database: Database, seed: int, asked: list[int]) -> None:
    holdings, area_pk = Holdings(seed), _area(database)
    with database.engine.connect().execution_options(is_write=True) as connection:
        holdings.store(connection, area_pk)
        paths = paths_of(connection, area_pk, holdings)
        for each in asked:
            asking = Asking(each, holdings)
            query = asking.query()
            if query is None:
                continue

            found = questions.matching(connection, query, area_pk)

            assert {paths[query.level][pk] for pk in found} == holdings.expected(query), (asking.values, query)
            assert len(found) == len(set(found))
        connection.rollback()


_areas: dict[str, int] = {}


def _area(database: Database) -> int:
    """The area of this database; made once, as nothing is left in it."""
    url = str(database)
    if url not in _areas:
        _areas[url] = new_shelf(database, "MATCHING").area_pk
    return _areas[url]
