"""What is asked of both archives: queries over the wire, questions at the index, and stores."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from sqlalchemy import Connection

from archive.database import transaction
from archive.dicom.attributes import BY_KEYWORD, Level
from archive.index import evictable, holdings, report_rows, usage
from archive.index import select as matches
from archive.index.report_rows import Wanted
from archive.index.reports import REPORTS
from archive.lifecycle import evict
from archive.lifecycle.evict import Disks
from archive.lifecycle.founding import FIRST_AREA
from archive.query.conditions import condition
from archive.query.model import Key, Model, Options, Query
from archive.registry import snapshot
from benchmarks import clients
from benchmarks.clients import NO_DELAY, STUDIES
from benchmarks.corpus import Files
from benchmarks.growth import made_rows, stores
from benchmarks.growth.sites import Site
from benchmarks.growth.stores import Object

POINT_FIND_BOUND, STORE_BOUND = 1.3, 0.9

_DAY = f"{made_rows.PROBE_DAY:%Y%m%d}"
_MONTH = f"{made_rows.PROBE_DAY:%Y%m}01-{made_rows.PROBE_DAY:%Y%m}31"
_PATIENT_ID = made_rows.probe_patient_id(7)
_LETTERS = made_rows.PROBE_LETTERS
_PATIENTS = (
    *("QueryRetrieveLevel=PATIENT", "PatientName=quexqua07*", "PatientID", "PatientBirthDate", "PatientSex"),
    *("NumberOfPatientRelatedStudies", "NumberOfPatientRelatedInstances"),
)
_SERIES = ("SeriesInstanceUID", "Modality", "SeriesNumber", "SeriesDescription", "NumberOfSeriesRelatedInstances")


@dataclass(frozen=True, slots=True)
class Taken:
    """A figure, in the unit of its question, and how many answers, or objects, it is about."""

    value: float
    number: int


@dataclass(frozen=True, slots=True)
class Question:
    """One line of the table."""

    title: str
    unit: str
    take: Callable[[Site], Taken]
    bound: float | None = None
    """Of the ratio: at least, where more is better; at most, where less is."""
    is_per_answer: bool = False
    """The archives give different numbers of answers, so their costs per answer are compared."""

    @property
    def is_rate(self) -> bool:
        """Whether more is better."""
        return self.unit == "/s"


def _find(*keys: str, repeats: int, root: str = "-S") -> Callable[[Site], Taken]:
    """Milliseconds for one of `repeats` equal queries over one association."""

    def take(site: Site) -> Taken:
        words = [word for key in keys for word in ("-k", key)]
        where = ["-aec", site.running.title, "127.0.0.1", str(site.running.port)]
        command = ["/usr/bin/findscu", "-q", root, "--repeat", str(repeats), *words, *where]
        milliseconds = clients.run([command], NO_DELAY)[0] * 1000 / repeats
        said = clients.run([["/usr/bin/findscu", "-v", root, *words, *where]], NO_DELAY)[1]
        return Taken(milliseconds, said.count("(Pending)"))

    return take


def _studies(*asked: str, repeats: int) -> Callable[[Site], Taken]:
    """Of STUDY level, with the keys that a list of studies shows."""
    given = {key.partition("=")[0] for key in asked}
    return _find(*(key for key in STUDIES if key not in given), *asked, repeats=repeats)


def _by_size(small: str, grown: str) -> Callable[[Site], Taken]:
    """One question for the archive with nothing but probes, and one for the other."""
    few, many = _studies(small, repeats=50), _studies(grown, repeats=2)
    return lambda site: (many if site.is_grown else few)(site)


def _per_answer(take: Callable[[Site], Taken]) -> Callable[[Site], Taken]:
    """Microseconds for each answer."""

    def taken(site: Site) -> Taken:
        all_of_them = take(site)
        return Taken(all_of_them.value * 1000 / max(all_of_them.number, 1), all_of_them.number)

    return taken


def _index(ask: Callable[[Connection, Site], Sequence[object]], repeats: int) -> Callable[[Site], Taken]:
    """Milliseconds for one of `repeats` equal questions, each in a transaction, without a service in between."""

    def take(site: Site) -> Taken:
        rows: Sequence[object] = ()
        with transaction.read(site.database) as connection:
            ask(connection, site)
        began = time.perf_counter()
        for _ in range(repeats):
            with transaction.read(site.database) as connection:
                rows = ask(connection, site)
        return Taken((time.perf_counter() - began) * 1000 / repeats, len(rows))

    return take


def _studies_with(**asked: str) -> Query:
    """What a C-FIND of STUDY level with these keys asks for."""
    keys = {
        BY_KEYWORD[keyword]: condition(BY_KEYWORD[keyword].vr, value, Options()) for keyword, value in asked.items()
    }
    return Query(Model.STUDY_ROOT, Level.STUDY, tuple(Key(each, wanted) for each, wanted in keys.items() if wanted))


def _newest(number: int, **values: str) -> Callable[[Connection, Site], Sequence[object]]:
    """As `archive study list --limit`."""
    query = _studies_with(**values)
    return lambda connection, site: holdings.list_studies(connection, query, site.area_pk, number)


def _first_found(number: int, **values: str) -> Callable[[Connection, Site], Sequence[object]]:
    """As a C-FIND in an area with an answer_limit."""
    query = _studies_with(**values)
    return lambda connection, site: matches.matching(connection, query, site.area_pk, number)


def _report(name: str, limit: int | None = 100) -> Callable[[Connection, Site], Sequence[object]]:
    """As `archive report NAME` on a screen."""
    report = REPORTS[name]
    return lambda connection, _: list(report_rows.rows(connection, report, Wanted(limit=limit), tuple(report.columns)))


def _first_that_may_go(connection: Connection, site: Site) -> Sequence[object]:
    return list(islice(evictable.studies_in_order(connection, site.area_pk), 100))


def _due(connection: Connection, site: Site) -> Sequence[object]:
    """As `archive area evict --dry-run` where fifty studies are too many."""
    area = snapshot.read(connection).areas[FIRST_AREA]
    held = usage.of_area(connection, area.pk)
    lowered = replace(area, quota=replace(area.quota, max_studies=held.number_of_studies - 50))
    return list(evict.due(connection, lowered, Disks.of(area, site.data, site.database), datetime.now(UTC)))


class _Store:
    """Objects a second over one association, which the archive has not had before."""

    def __init__(self, folder: Path, objects: Callable[[int], Iterator[Object]]) -> None:
        self._folder = folder / objects.__name__
        self._objects = objects
        self._made: list[Files] = []
        self._taken: dict[Path, int] = {}

    def __call__(self, site: Site) -> Taken:
        time_of_site = self._taken[site.data] = self._taken.get(site.data, -1) + 1
        if time_of_site == len(self._made):
            self._made.append(stores.written(self._folder / f"{time_of_site}", self._objects(time_of_site)))
        files = self._made[time_of_site]
        seconds = clients.store(site.running, [files.folder], NO_DELAY)
        return Taken(files.count / seconds, files.count)


def questions(folder: Path) -> list[Question]:
    """All lines of the table; what is stored is written below `folder`."""
    point = POINT_FIND_BOUND
    study_uid = f"1.2.840.113619.2.1.{made_rows.PROBE_YEAR}0101080000.1"
    return [
        Question("store into new studies", "/s", _Store(folder, stores.new_studies), STORE_BOUND),
        Question("store of known patients", "/s", _Store(folder, stores.of_known_patients), STORE_BOUND),
        Question("C-FIND PatientID", "ms", _studies(f"PatientID={_PATIENT_ID}", repeats=300), point),
        Question("C-FIND StudyInstanceUID", "ms", _studies(f"StudyInstanceUID={study_uid}", repeats=300), point),
        Question("C-FIND AccessionNumber", "ms", _studies("AccessionNumber=Q0000123", repeats=300), point),
        Question(
            "C-FIND PatientName, whole", "ms", _studies(f"PatientName={made_rows.probe_name(7)}", repeats=300), point
        ),
        Question("C-FIND PatientName=quexqua07*", "ms", _studies("PatientName=quexqua07*", repeats=100), point),
        Question("C-FIND PatientName=*xqua07*", "ms", _studies("PatientName=*xqua07*", repeats=50)),
        Question(f"C-FIND PatientName=*{_LETTERS}*", "ms", _studies(f"PatientName=*{_LETTERS}*", repeats=3)),
        Question("C-FIND StudyDescription=*tiquex 7", "ms", _studies("StudyDescription=*tiquex 7", repeats=50), point),
        Question("C-FIND PatientID=*00007", "ms", _studies("PatientID=*00007", repeats=5)),
        Question("C-FIND AccessionNumber=*000123", "ms", _studies("AccessionNumber=*000123", repeats=5)),
        Question("C-FIND StudyDate, a day", "ms", _studies(f"StudyDate={_DAY}", repeats=200), point),
        Question("C-FIND StudyDate, a month", "ms", _studies(f"StudyDate={_MONTH}", repeats=50), point),
        Question(
            "C-FIND ModalitiesInStudy, a rare one",
            "ms",
            _studies(f"ModalitiesInStudy={made_rows.PROBE_MODALITY}", repeats=200),
            point,
        ),
        Question(
            "C-FIND ModalitiesInStudy=CT of a day",
            "ms",
            _studies("ModalitiesInStudy=CT", f"StudyDate={_DAY}", repeats=200),
            point,
        ),
        Question(
            "C-FIND ModalitiesInStudy=CT or MR of a month",
            "ms",
            _studies("ModalitiesInStudy=CT\\MR", f"StudyDate={_MONTH}", repeats=50),
            point,
        ),
        Question(
            "C-FIND ModalitiesInStudy=CT of a name",
            "ms",
            _studies("ModalitiesInStudy=CT", "PatientName=quexqua07*", repeats=100),
            point,
        ),
        Question("C-FIND of PATIENT level by name", "ms", _find(*_PATIENTS, repeats=100, root="-P"), point),
        Question(
            "C-FIND of the series of a study",
            "ms",
            _find("QueryRetrieveLevel=SERIES", f"StudyInstanceUID={study_uid}", *_SERIES, repeats=300),
            point,
        ),
        Question(
            "C-FIND StudyDate, March 1999 against 2024",
            "us an answer",
            _per_answer(_by_size(f"StudyDate={_MONTH}", "StudyDate=20240301-20240331")),
            is_per_answer=True,
        ),
        Question("the newest 20", "ms", _index(_newest(20), 50)),
        Question("the newest 20 of years long ago", "ms", _index(_newest(20, StudyDate="19990101-20161231"), 20)),
        Question("the newest 20 by part of a name", "ms", _index(_newest(20, PatientName="*xqua07*"), 20)),
        Question("any 100 of a modality", "ms", _index(_first_found(100, ModalitiesInStudy="CT"), 20)),
        Question("any 100 by two letters", "ms", _index(_first_found(100, PatientName=f"*{_LETTERS}*"), 20)),
        Question("counters of the area", "ms", _index(lambda opened, site: [usage.of_area(opened, site.area_pk)], 200)),
        Question("report studies, 100 stored to last", "ms", _index(_report("studies"), 3)),
        Question("report storage", "ms", _index(_report("storage"), 50)),
        Question("report received, 100 rows", "ms", _index(_report("received"), 10)),
    ]


def of_a_full_area(folder: Path) -> list[Question]:
    """What is asked after `fill_up`."""
    return [
        Question("first 100 that may go", "ms", _index(_first_that_may_go, 50), POINT_FIND_BOUND),
        Question("evict --dry-run of 50 studies", "ms", _index(_due, 10), POINT_FIND_BOUND),
        Question("store that evicts a study each time", "/s", _Store(folder, stores.one_in_each_study), STORE_BOUND),
    ]


def fill_up(site: Site) -> float:
    """Limit the area to what it holds, so that each new study needs the room of another; the seconds that took."""
    with transaction.read(site.database) as connection:
        held = usage.of_area(connection, site.area_pk)
    limits = ("--max-studies", f"{held.number_of_studies}", "--on-full", "evict")
    return site.run("area", "set", FIRST_AREA, *limits)
