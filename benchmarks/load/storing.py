"""Many associations that store at once, each a small set of its own."""

from collections.abc import Iterator

from benchmarks.load.callers import STUDY_ROOT_FIND, Found, Load, Stored, association, count_answers, identifier
from benchmarks.load.figures import Figure, Row, Stage
from benchmarks.load.objects import SERIES, STUDY, uid
from benchmarks.load.service import Service, started


def _measure(stage: Stage) -> Iterator[Figure]:
    number, each = stage.sizes.storing_associations, stage.sizes.each
    with started(stage.archive, stage.folder, settings={"max_associations": number + 10}) as service:
        before = service.cpu_seconds()
        stored = stage.send(service, Load(number, first=0, each=each, per_study=each)).result()
        used = service.cpu_seconds() - before
        kept = count_kept(service, number)
    yield Figure("instances sent", number * each)
    yield Figure("refused", stored.refused, most=0)
    yield Figure("acknowledged and not found", stored.acknowledged - kept, most=0)
    yield Figure("stores a second", stored.rate)
    yield Figure("slowest C-STORE, s", stored.slowest_seconds)
    yield from cores("meanwhile", stored, used)


def cores(title: str, load: Stored | Found, used: float) -> Iterator[Figure]:
    """Who was busy: the service, and those who called."""
    yield Figure(f"{title}: cores used by the service", used / load.seconds)
    yield Figure(f"{title}: cores used by the callers", load.cpu_seconds / load.seconds)


def count_kept(service: Service, studies: int) -> int:
    """How many instances of the first studies are found."""
    with association(service, STUDY_ROOT_FIND) as (exchange, context):
        return sum(count_answers(exchange, context, _instances_of(study)) for study in range(studies))


def _instances_of(study: int) -> bytes:
    return identifier(
        (0x00080018, "UI", ""),
        (0x00080052, "CS", "IMAGE"),
        (0x0020000D, "UI", uid(STUDY, study)),
        (0x0020000E, "UI", uid(SERIES, study)),
    )


ROW = Row(
    "storing",
    "associations that store at once",
    "Small instances of 9 KB, a study for each association; all associations are there before the first C-STORE. "
    "Afterwards every instance is looked for.",
    _measure,
    "The associations of a worker stand in line, at most 64 share a commit, and who came first has the next one: so "
    "the slowest waits for the stores before it, and for nobody who came later.",
)
