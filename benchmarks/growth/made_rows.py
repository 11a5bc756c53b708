"""The rows of a made archive: patients, studies, series and instances as ten years of a hospital leave them. Pure.

The same sizes and seed give the same rows. Studies come in the order in which they were stored, so that keys, dates and
paths go together as they do in an archive that grew. What is skewed in life is skewed here: names, modalities, series
of a study, instances of a series, studies of a patient, weekdays.

First come the *probes*: a few hundred studies of one year before all others, with names, descriptions and a modality
that nobody else has. They are in the small archive and in the large one, so a question about them has the same answers
in both, and what it costs more in the large one is the price of growth.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from itertools import accumulate
from random import Random
from typing import Any

from sqlalchemy import Table

from archive.dicom.encode import Element, encode
from archive.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN
from archive.dicom.values import NORM_VERSION, fold_name
from archive.index.activity_tables import received_by_day
from archive.index.tables import area_usage, instances, patients, series, studies, study_usage

_STUDIES_IN_A_BATCH = 2000

# The columns that get values, in the order of the values; all others keep their defaults.
COLUMNS: Mapping[Table, tuple[str, ...]] = {
    patients: (
        *("pk", "area_pk", "patient_key", "patient_id", "issuer_of_patient_id"),
        *("patient_name_alphabetic", "patient_name_ideographic", "patient_name_phonetic"),
        *("patient_name_alphabetic_folded", "patient_name_ideographic_folded", "patient_name_phonetic_folded"),
        *("patient_birth_date", "patient_birth_date_text", "patient_sex"),
        *("specific_character_set", "rest", "norm_version", "created_at"),
    ),
    studies: (
        *("pk", "area_pk", "patient_pk", "study_instance_uid", "study_date", "study_date_text"),
        *("study_time", "study_time_text", "accession_number", "study_id"),
        *("referring_physician_name_alphabetic", "referring_physician_name_alphabetic_folded"),
        *("study_description", "patient_age", "modalities_in_study", "sop_classes_in_study"),
        *("specific_character_set", "rest", "fingerprint", "norm_version", "created_at"),
    ),
    study_usage: (*("study_pk", "area_pk", "number_of_series", "number_of_instances", "size_bytes", "last_stored_at"),),
    series: (
        *("pk", "area_pk", "study_pk", "series_instance_uid", "modality", "series_number", "series_number_text"),
        *("series_date", "series_date_text", "series_time", "series_time_text", "series_description"),
        *("body_part_examined", "protocol_name", "station_name", "institution_name", "manufacturer", "sop_classes"),
        *("number_of_instances", "size_bytes", "specific_character_set", "rest", "fingerprint"),
        *("norm_version", "created_at"),
    ),
    instances: (
        *("pk", "area_pk", "study_pk", "series_pk", "sop_instance_uid", "sop_class_uid", "transfer_syntax_uid"),
        *("instance_number", "instance_number_text", "content_date", "content_date_text"),
        *("content_time", "content_time_text", "rows", "columns", "path", "size_bytes", "data_set_offset"),
        *("checksum", "source_ae_title", "received_at", "specific_character_set", "rest"),
    ),
    received_by_day: ("day", "area", "source_ae_title", "modality", "number_of_instances", "size_bytes"),
    area_usage: ("area_pk", "shard", "number_of_studies", "number_of_series", "number_of_instances", "size_bytes"),
}

Row = tuple[Any, ...]
Batch = dict[Table, list[Row]]

_CHARACTER_SET = "ISO_IR 192"
_UID_ROOT = "1.2.840.113619.2"
_STORAGE = "1.2.840.10008.5.1.4.1.1."
_TRANSFER_SYNTAX = "1.2.840.10008.1.2.4.70"


@dataclass(frozen=True, slots=True)
class Modality:
    """How studies of a modality look: how often they come, how many series and instances, and what those are like."""

    name: str
    share: float
    sop_class_uid: str
    more_series: float
    """On average, beside the first."""
    instances: tuple[float, float]
    """Of a series: the logarithm's mean and deviation."""
    size_bytes: int
    rows: int
    columns: int
    rest_bytes: int
    """Of an instance: its attributes without a column, deflated. pydicom's samples have 250 to 1800."""
    parts: tuple[str, ...]


_SKELETON = ("CHEST", "HAND", "FOOT", "KNEE", "HIP", "SHOULDER", "ANKLE", "WRIST", "PELVIS", "SPINE", "ELBOW", "SKULL")
_ORGANS = ("ABDOMEN", "THYROID", "NECK", "HEART", "BREAST", "KIDNEY", "LIVER", "PELVIS")
_TRUNK = ("HEAD", "CHEST", "ABDOMEN", "NECK", "CSPINE", "LSPINE", "PELVIS", "KNEE")

MODALITIES = (
    Modality("DX", 0.38, f"{_STORAGE}1.1.1", 0.6, (0.0, 0.3), 8_000_000, 2800, 2300, 330, _SKELETON),
    Modality("US", 0.20, f"{_STORAGE}6.1", 0.4, (1.2, 0.8), 900_000, 768, 1024, 250, _ORGANS),
    Modality("CT", 0.20, f"{_STORAGE}2", 3.5, (0.7, 1.3), 525_000, 512, 512, 390, _TRUNK),
    Modality("MR", 0.12, f"{_STORAGE}4", 5.0, (0.6, 1.0), 300_000, 320, 320, 390, _TRUNK),
    Modality("MG", 0.05, f"{_STORAGE}1.2", 3.0, (0.0, 0.3), 12_000_000, 3518, 2800, 330, ("BREAST",)),
    Modality("XA", 0.03, f"{_STORAGE}12.1", 4.0, (0.3, 0.6), 30_000_000, 1024, 1024, 330, ("HEART", "LEG")),
    Modality("NM", 0.015, f"{_STORAGE}20", 1.5, (0.5, 0.5), 500_000, 256, 256, 330, ("SKELETON", "HEART")),
    Modality("PT", 0.005, f"{_STORAGE}128", 2.0, (3.0, 0.7), 70_000, 200, 200, 390, ("WHOLEBODY",)),
)
_REPORT = Modality("SR", 0, f"{_STORAGE}88.33", 0, (0, 0), 12_000, 0, 0, 120, ("",))
_WITH_REPORT, _REPORTED = ("CT", "MR", "XA"), 0.3  # these studies have a dose report, so many of them
_MOST_SERIES, _MOST_INSTANCES = 40, 1500

_NUMBERS = {name: number for number, name in enumerate([*(each.name for each in MODALITIES), "SR", "IVOCT"])}

# Of the probes.
PROBE_MODALITY = "IVOCT"
PROBE_STUDIES = 1000
PROBE_YEAR = 1999
PROBE_DAY = date(PROBE_YEAR, 3, 15)
"""A third of January to March, ten studies a day, the rest of the year has none."""
_PROBES_IN_A_DAY = 10
_PROBES_OF_PATIENT = 2
_PROBES_OF_RARE_MODALITY = 50  # every fiftieth
PROBE_NAME = "Quexqua"
PROBE_LETTERS = "xq"
"""Two letters that are in the names of all probes and in no other."""
PROBE_DESCRIPTION = "Quantiquex"


FIRST_PROBE_PATIENT = 900_000


def probe_patient_id(number: int) -> str:
    """The Patient ID that `tests.fix_instances.instance(patient=FIRST_PROBE_PATIENT + number)` has too."""
    return f"P{FIRST_PROBE_PATIENT + number:06}"


def probe_name(number: int) -> str:
    """The name of that patient; forty studies have names that begin with the same family name."""
    return f"{PROBE_NAME}{number % 25:02}^Probe {number}"


PROBE_PATIENTS = PROBE_STUDIES // _PROBES_OF_PATIENT

_FIRST_DAY = date(2016, 1, 4)  # a Monday
_DAYS = 3650
_WEEKEND = 0.2  # of a working day
_DEVICES = 7  # of each modality
_NEW_PATIENTS = 0.5  # of studies

# No "q" and no "x": those are the probes'.
_SYLLABLES = [first + second for first in "bdfghjklmnprstvwz" for second in "aeiou"] + ["sch", "stein", "mann", "berg"]
_GIVEN_NAMES, _FAMILY_NAMES, _PHYSICIANS = 1500, 20_000, 2500
_IDEOGRAPHIC = 0.01
_FAMILY_SIGNS, _GIVEN_SIGNS = "山田中村小林加藤佐木高橋渡辺伊東", "太郎花子一美健二明香優大輔愛真"


def _names(number: int, seed: int) -> list[str]:
    """Different names, what comes first is most frequent."""
    random = Random(seed)
    found: dict[str, None] = {}
    while len(found) < number:
        found["".join(random.choices(_SYLLABLES, k=random.randint(2, 4))).capitalize()] = None
    return list(found)


class _Drawn:
    """Things drawn with frequencies like those of words: the n-th is taken some n times less than the first."""

    def __init__(self, things: Sequence[str], flatness: float) -> None:
        self._things = things
        self._weights = list(accumulate(1 / (rank + flatness) for rank in range(1, len(things) + 1)))

    def draw(self, random: Random) -> str:
        return random.choices(self._things, cum_weights=self._weights)[0]


@cache
def _rest(size_bytes: int) -> bytes:
    """Attributes without a column, raw deflated (PS3.5 A.5), to about that many bytes."""
    random, elements = Random(size_bytes), [Element(0x00080008, "CS", b"ORIGINAL\\PRIMARY\\AXIAL")]
    tag = 0x00181000
    deflated = b""
    while len(deflated) < size_bytes:
        tag += 1
        numbers = "\\".join(f"{random.uniform(-500, 500):.6f}" for _ in range(3))
        elements.append(Element(tag, "DS", numbers.encode()))
        deflater = zlib.compressobj(level=1, wbits=-12, memLevel=5)
        deflated = deflater.compress(encode(elements, EXPLICIT_VR_LITTLE_ENDIAN)) + deflater.flush()
    return deflated


@dataclass(slots=True)
class _Totals:
    """What all rows so far add up to."""

    studies: int = 0
    series: int = 0
    instances: int = 0
    size_bytes: int = 0
    patients: int = 0
    by_day: dict[tuple[str, str, str], list[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Moment:
    """The date and time of a study, as its rows spell them."""

    date: str
    date_text: str
    time: str
    time_text: str
    minute: str
    """The folder of its files."""
    timestamp: str
    """Without what follows the second's point."""
    stored_at: str


def _moment(day: date, seconds: int) -> _Moment:
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    date_text, time = f"{day}", f"{hour:02}:{minute:02}:{second:02}"
    return _Moment(
        date=date_text,
        date_text=date_text.replace("-", ""),
        time=f"{time}.000000",
        time_text=time.replace(":", ""),
        minute=f"{date_text.replace('-', '/')}/{hour:02}{minute:02}",
        timestamp=f"{date_text} {time}.",
        stored_at=f"{date_text} {time}.900000",
    )


@dataclass(frozen=True, slots=True)
class _Study:
    """What is drawn of a study before its rows are made."""

    at: _Moment
    modality: Modality
    patient_pk: int
    description: str
    accession_number: str
    physician: str


@dataclass(frozen=True, slots=True)
class _Made:
    """A series whose rows are made."""

    modality: Modality
    instances: int
    size_bytes: int


class MadeRows:
    """All rows of an area `area_pk`, in batches of some thousand studies each; probes first, then so many others."""

    def __init__(self, area_pk: int, area: str, *, other_studies: int, seed: int = 1) -> None:
        self._area_pk = area_pk
        self._area = area
        self._others = other_studies
        self._random = Random(seed)
        self._totals = _Totals()
        self._number_of_instances = 0
        self._families = _Drawn(_names(_FAMILY_NAMES, seed), 20)
        self._given = _Drawn(_names(_GIVEN_NAMES, seed + 1), 10)
        physicians = [
            f"{family}^{given}" for family, given in zip(_names(_PHYSICIANS, 2), _names(_PHYSICIANS, 3), strict=True)
        ]
        self._physicians = _Drawn(physicians, 30)
        self._modalities = list(accumulate(each.share for each in MODALITIES))
        self._batch: Batch = {}

    def batches(self) -> Iterator[Batch]:
        """The rows of some studies at a time, parents before children; the counters of the area come last."""
        self._batch = {table: [] for table in COLUMNS}
        for study in self._studies():
            self._add_study(study)
            if len(self._batch[studies]) == _STUDIES_IN_A_BATCH:
                yield self._batch
                self._batch = {table: [] for table in COLUMNS}
        totals = self._totals
        counted = (self._area_pk, 0, totals.studies, totals.series, totals.instances, totals.size_bytes)
        self._batch[area_usage].append(counted)
        self._batch[received_by_day] += [
            (day, self._area, source, modality, *counters)
            for (day, source, modality), counters in totals.by_day.items()
        ]
        yield self._batch

    def _studies(self) -> Iterator[_Study]:
        yield from (self._probe(number) for number in range(PROBE_STUDIES))
        days = [_FIRST_DAY + timedelta(days=number) for number in range(_DAYS)]
        weights = [(_WEEKEND if day.weekday() > 4 else 1) * (1 + number / _DAYS) for number, day in enumerate(days)]
        scale = self._others / sum(weights)
        due, number = 0.0, 0
        for day, weight in zip(days, weights, strict=True):
            due += weight * scale
            while number < round(due):
                number += 1
                yield self._other(number, day)

    def _probe(self, number: int) -> _Study:
        patient = number // _PROBES_OF_PATIENT
        if number % _PROBES_OF_PATIENT == 0:
            self._add_patient(probe_patient_id(patient), (probe_name(patient), None, None), date(1970, 1, 1), "O")
        rare = Modality(PROBE_MODALITY, 0, f"{_STORAGE}14.1", 0, (0, 0), 500_000, 512, 512, 330, ("HEART",))
        return _Study(
            at=_moment(
                date(PROBE_YEAR, 1, 1) + timedelta(days=number // _PROBES_IN_A_DAY),
                8 * 3600 + 60 * (number % _PROBES_IN_A_DAY),
            ),
            modality=rare if number % _PROBES_OF_RARE_MODALITY == 0 else MODALITIES[number % 4],
            patient_pk=self._totals.patients,
            description=f"{PROBE_DESCRIPTION} {number % 20}",
            accession_number=f"Q{number:07}",
            physician="Quixley^Probe",
        )

    def _other(self, number: int, day: date) -> _Study:
        random = self._random
        if random.random() < _NEW_PATIENTS or self._totals.patients == PROBE_PATIENTS:
            patient_pk = self._new_patient(number)
        else:  # who came lately comes again
            others = self._totals.patients - PROBE_PATIENTS
            patient_pk = self._totals.patients - int(others * random.random() ** 3)
        modality = random.choices(MODALITIES, cum_weights=self._modalities)[0]
        part = modality.parts[int(len(modality.parts) * random.random() ** 2)]
        return _Study(
            at=_moment(day, int(random.triangular(6, 23, 10) * 3600)),
            modality=modality,
            patient_pk=patient_pk,
            description=f"{modality.name} {part.capitalize()}{('', ' w contrast', ' left', ' right')[number % 4]}",
            accession_number=f"A{10_000_000 + number}",
            physician=self._physicians.draw(random),
        )

    def _new_patient(self, number: int) -> int:
        random = self._random
        name = f"{self._families.draw(random)}^{self._given.draw(random)}"
        ideographic = phonetic = None
        if random.random() < _IDEOGRAPHIC:
            ideographic = f"{''.join(random.choices(_FAMILY_SIGNS, k=2))}^{''.join(random.choices(_GIVEN_SIGNS, k=2))}"
            phonetic = "やまだ^たろう"
        born = date(1930, 1, 1) + timedelta(days=int(random.triangular(0, 30_000, 12_000)))
        self._add_patient(f"{20_000_000 + number * 7}", (name, ideographic, phonetic), born, "FM"[number % 2])
        return self._totals.patients

    def _add_patient(self, patient_id: str, name: tuple[str, str | None, str | None], born: date, sex: str) -> None:
        self._totals.patients += 1
        self._batch[patients].append(
            (
                *(self._totals.patients, self._area_pk, patient_id, patient_id, None),
                *(*name, *(None if each is None else fold_name(each) for each in name)),
                *(f"{born}", f"{born}".replace("-", ""), sex),
                *(_CHARACTER_SET, _rest(30), NORM_VERSION, "2016-01-01 00:00:00.000000"),
            )
        )

    def _add_study(self, study: _Study) -> None:
        totals, at = self._totals, study.at
        totals.studies += 1
        pk, area_pk = totals.studies, self._area_pk
        made = [self._add_series(study.modality, pk, at, number) for number in range(self._series_of(study.modality))]
        if study.modality.name in _WITH_REPORT and self._random.random() < _REPORTED:
            made.append(self._add_series(_REPORT, pk, at, len(made)))
        modalities = "\\".join(sorted({each.modality.name for each in made}))
        classes = "\\".join(sorted({each.modality.sop_class_uid for each in made}))
        self._batch[studies].append(
            (
                *(pk, area_pk, study.patient_pk, f"{_UID_ROOT}.1.{at.date_text}{at.time_text}.{pk}"),
                *(at.date, at.date_text, at.time, at.time_text),
                *(study.accession_number, str(pk % 200_000), study.physician, fold_name(study.physician)),
                *(study.description, f"{pk % 90:03}Y", modalities, classes),
                *(_CHARACTER_SET, _rest(30), self._random.randbytes(16), NORM_VERSION, f"{at.timestamp}000000"),
            )
        )
        number_of_instances, size_bytes = sum(each.instances for each in made), sum(each.size_bytes for each in made)
        self._batch[study_usage].append((pk, area_pk, len(made), number_of_instances, size_bytes, at.stored_at))
        totals.instances += number_of_instances
        totals.size_bytes += size_bytes

    def _series_of(self, modality: Modality) -> int:
        more = modality.more_series
        return 1 + min(int(self._random.expovariate(1 / (more + 0.5))), _MOST_SERIES) if more else 1

    def _add_series(self, modality: Modality, study_pk: int, at: _Moment, number: int) -> _Made:
        """A series and its instances."""
        random, totals = self._random, self._totals
        totals.series += 1
        pk, area_pk, device = totals.series, self._area_pk, 10 * _NUMBERS[modality.name] + random.randrange(_DEVICES)
        uid, source = f"{_UID_ROOT}.{device}.{at.date_text}{at.time_text}.{pk}", f"STATION{device:02}"
        if device % 10 == 0:
            # the first of each modality makes them from UUIDs (PS3.5 B.2)
            uid = f"2.25.{random.getrandbits(118)}"
        mean, deviation = modality.instances
        count = 1 + min(int(random.lognormvariate(mean, deviation)), _MOST_INSTANCES) if deviation else 1
        made = _Made(modality, count, count * modality.size_bytes)
        part = modality.parts[number % len(modality.parts)]
        self._batch[series].append(
            (
                *(pk, area_pk, study_pk, f"{uid}.0", modality.name, number + 1, f"{number + 1}"),
                *(at.date, at.date_text, at.time, at.time_text),
                *(f"{part.capitalize()} {number + 1}", part, f"{modality.name} {part} routine", source),
                *("University Hospital", f"Maker {device % 7}", modality.sop_class_uid, count, made.size_bytes),
                *(_CHARACTER_SET, _rest(80), random.randbytes(16), NORM_VERSION, f"{at.timestamp}000000"),
            )
        )
        self._add_instances(made, (area_pk, study_pk, pk), uid, at, source)
        counters = totals.by_day.setdefault((at.date, source, modality.name), [0, 0])
        counters[0] += count
        counters[1] += made.size_bytes
        return made

    def _add_instances(self, made: _Made, parents: tuple[int, int, int], uid: str, at: _Moment, source: str) -> None:
        first_pk, count, modality = self._number_of_instances + 1, made.instances, made.modality
        self._number_of_instances += count
        names, checksums = self._random.randbytes(16 * count).hex(), self._random.randbytes(16 * count)
        same = (at.date, at.date_text, at.time, at.time_text, modality.rows or None, modality.columns or None)
        rest = _rest(modality.rest_bytes)
        self._batch[instances] += [
            (
                *(first_pk + n, *parents, f"{uid}.{n + 1}", modality.sop_class_uid, _TRANSFER_SYNTAX, n + 1),
                *(f"{n + 1}", *same, f"{at.minute}/{names[32 * n : 32 * n + 32]}.dcm", modality.size_bytes, 344),
                *(checksums[16 * n : 16 * n + 16], source, f"{at.timestamp}{n:06}", _CHARACTER_SET, rest),
            )
            for n in range(count)
        ]
