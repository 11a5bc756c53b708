"""The objects that every archive gets: synthetic, the same bytes each time, made once and kept on disk."""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import FileDataset

from tests.fix_instances import ct, instance, part10_bytes, uid

SENDERS = 4  # how many parts the small objects are cut into, for senders in parallel
_OBJECTS_PER_STUDY = 100


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many objects of each kind."""

    ct: int
    ct_installed: int  # for the row that takes 47 ms an object with Nagle's algorithm
    small: int
    studies: int  # of one small object each; dcmqrscp holds 500 studies in an area
    large_study: int  # CT slices in one study
    single: int  # stores of one object each, an association per object
    import_ct: int  # to be taken in from a disk: enough that the start of the command, 0.4 s, is little of it
    import_small: int
    wide_series: int  # small objects in one series, to be listed

    def __str__(self) -> str:
        return (
            f"{self.ct} CT of 525 KB in {_studies(self.ct)} studies ({self.ct_installed} with programs as installed), "
            f"{self.small} secondary captures of 9 KB in {_studies(self.small)} studies, {self.studies} studies of one "
            f"object, one study of {self.large_study} CT ({self.large_study * 0.525:.0f} MB), one series of "
            f"{self.wide_series} secondary captures; taken in from a disk: "
            f"{self.import_ct} CT and {self.import_small} secondary captures of the same kind"
        )


FULL = Sizes(
    ct=1000,
    ct_installed=300,
    small=2000,
    studies=482,
    large_study=500,
    single=20,
    import_ct=3000,
    import_small=8000,
    wide_series=2000,
)
QUICK = Sizes(
    ct=60,
    ct_installed=10,
    small=200,
    studies=100,
    large_study=60,
    single=5,
    import_ct=120,
    import_small=400,
    wide_series=200,
)


def _studies(objects: int) -> int:
    return -(-objects // _OBJECTS_PER_STUDY)


@dataclass(frozen=True, slots=True)
class Object:
    """One object: how it is built, and the numbers that its UIDs are made of."""

    build: Callable[..., FileDataset]
    patient: int
    study: int
    number: int

    def part10_bytes(self) -> bytes:
        """The object as a file has it."""
        return part10_bytes(self.build(patient=self.patient, study=self.study, number=self.number))

    def series(self) -> tuple[str, str]:
        """Study and Series Instance UID."""
        return uid("study", self.patient, self.study), uid("series", self.patient, self.study, 1)


@dataclass(frozen=True, slots=True)
class Files:
    """A folder of objects, to be sent as a whole."""

    folder: Path
    count: int
    bytes: int
    series: frozenset[tuple[str, str]]  # Study and Series Instance UID

    def parts(self) -> list[Path]:
        """The folders below, each for one of several senders; their objects together are all."""
        return sorted(path for path in self.folder.iterdir() if path.is_dir())


@dataclass(frozen=True, slots=True)
class Corpora:
    """All objects of a run."""

    ct: Files
    ct_installed: Files
    small: Files
    studies: Files
    large_study: Files
    single: Files
    import_ct: Files
    import_small: Files
    wide_series: Files
    large_study_uid: str
    patient_id: str  # of one of the studies
    number_of_march_studies: int


# Patient numbers keep the corpora apart: no study of one is in another.
_CT_PATIENT, _SMALL_PATIENT, _LARGE_PATIENT, _SINGLE_PATIENT, _WIDE_PATIENT = 1, 2, 3, 4, 5
_FIRST_STUDY_PATIENT = 1000


def prepare(folder: Path, sizes: Sizes) -> Corpora:
    """Write what is missing below `folder`; a corpus that was made by other code is made again."""
    patients = range(_FIRST_STUDY_PATIENT, _FIRST_STUDY_PATIENT + sizes.studies)
    return Corpora(
        ct=_written(folder / f"ct-{sizes.ct}", _images(_CT_PATIENT, sizes.ct, ct)),
        ct_installed=_written(folder / f"ct-{sizes.ct_installed}", _images(_CT_PATIENT, sizes.ct_installed, ct)),
        small=_written(folder / f"small-{sizes.small}", _images(_SMALL_PATIENT, sizes.small, instance), SENDERS),
        studies=_written(
            folder / f"studies-{sizes.studies}",
            [Object(instance, patient, number, 1) for number, patient in enumerate(patients)],
        ),
        large_study=_written(
            folder / f"large-study-{sizes.large_study}",
            [Object(ct, _LARGE_PATIENT, 1, number) for number in range(sizes.large_study)],
        ),
        single=_written(folder / f"single-{sizes.single}", _images(_SINGLE_PATIENT, sizes.single, instance)),
        import_ct=_written(folder / f"import-ct-{sizes.import_ct}", _images(_CT_PATIENT, sizes.import_ct, ct)),
        import_small=_written(
            folder / f"import-small-{sizes.import_small}", _images(_SMALL_PATIENT, sizes.import_small, instance)
        ),
        wide_series=_written(
            folder / f"wide-series-{sizes.wide_series}",
            [Object(instance, _WIDE_PATIENT, 1, number) for number in range(sizes.wide_series)],
        ),
        large_study_uid=uid("study", _LARGE_PATIENT, 1),
        patient_id=f"P{_FIRST_STUDY_PATIENT + 7:06}",
        number_of_march_studies=len([number for number in range(sizes.studies) if number % 12 == 2]),
    )


def _images(patient: int, count: int, build: Callable[..., FileDataset]) -> list[Object]:
    """`count` objects of one patient, a hundred in a study."""
    return [Object(build, patient, number // _OBJECTS_PER_STUDY, number) for number in range(count)]


def _written(home: Path, objects: Sequence[Object], parts: int = 1) -> Files:
    """The corpus, written if it is not there; it appears whole or not at all."""
    folder = home.with_name(f"{home.name}-{_digest(objects, parts)}")
    if not folder.exists():
        unfinished = folder.with_name(folder.name + ".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        per_part = -(-len(objects) // parts)
        for position, found in enumerate(objects):
            part = unfinished / f"part-{position // per_part}"
            part.mkdir(parents=True, exist_ok=True)
            (part / f"{position:06}.dcm").write_bytes(found.part10_bytes())
        unfinished.rename(folder)
    total = sum(path.stat().st_size for path in folder.rglob("*.dcm"))
    return Files(folder, len(objects), total, frozenset(found.series() for found in objects))


def _digest(objects: Sequence[Object], parts: int) -> str:
    """Names a corpus by what is in it: the bytes of the first object, and the numbers of all."""
    numbers = [(found.patient, found.study, found.number) for found in objects]
    return hashlib.sha256(objects[0].part10_bytes() + repr((numbers, parts)).encode()).hexdigest()[:12]
