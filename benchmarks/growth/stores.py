"""What is stored into both archives: small objects that neither has, new ones for each time."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.corpus import Files
from benchmarks.growth import made_rows
from tests.fix_instances import instance, part10_bytes, uid

_STUDIES, _OBJECTS_OF_STUDY = 15, 20
_EVICTING_STUDIES = 100  # of one object each, so that each takes a study's place
_FIRST_STUDY = 1000  # beyond those of the probes

# Patient numbers of the objects, apart from the probes'.
_NEW_PATIENTS, _EVICTING_PATIENT = 700_000, 800_000


@dataclass(frozen=True, slots=True)
class Object:
    """The numbers and the name that an object is built of."""

    patient: int
    study: int
    number: int
    name: str | None = None

    def part10_bytes(self) -> bytes:
        made = instance(patient=self.patient, study=self.study, number=self.number)
        made.PatientName = self.name or made.PatientName
        return part10_bytes(made)

    def series(self) -> tuple[str, str]:
        """Study and Series Instance UID."""
        return uid("study", self.patient, self.study), uid("series", self.patient, self.study, 1)


def new_studies(repeat: int) -> Iterator[Object]:
    """Studies of patients that nobody has met."""
    for study in range(_STUDIES):
        patient = _NEW_PATIENTS + repeat * _STUDIES + study
        yield from (Object(patient, 1, number) for number in range(_OBJECTS_OF_STUDY))


def of_known_patients(repeat: int) -> Iterator[Object]:
    """New studies of probes."""
    for study in range(_STUDIES):
        known = repeat * _STUDIES + study
        patient, name = made_rows.FIRST_PROBE_PATIENT + known, made_rows.probe_name(known)
        yield from (Object(patient, _FIRST_STUDY, number, name) for number in range(_OBJECTS_OF_STUDY))


def one_in_each_study(repeat: int) -> Iterator[Object]:
    """Studies of one object."""
    studies = range(repeat * _EVICTING_STUDIES, (repeat + 1) * _EVICTING_STUDIES)
    yield from (Object(_EVICTING_PATIENT, study, 1) for study in studies)


def written(folder: Path, objects: Iterator[Object]) -> Files:
    """The objects as files in a new folder."""
    folder.mkdir(parents=True)
    made = list(objects)
    contents = [each.part10_bytes() for each in made]
    for position, content in enumerate(contents):
        (folder / f"{position:06}.dcm").write_bytes(content)
    return Files(folder, len(made), sum(map(len, contents)), frozenset(each.series() for each in made))
