"""Finds at a steady pace while everything else stores as fast as it can."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median, quantiles

from benchmarks.load.callers import STUDY_ROOT_FIND, TIMEOUTS, Load, association, count_answers, studies
from benchmarks.load.figures import Figure, Row, Stage
from benchmarks.load.objects import patient_id
from benchmarks.load.service import Service, started

_FINDS_PER_SECOND = 50
_FINDERS = 10
_SENDERS = 4
_FOUND_STUDIES = 20  # stored first, and looked for in turn
_APART = 1_000_000  # numbers of the instances of two spells


@dataclass
class _Finds:
    """Finds that are due at fixed moments; each is as long as from its moment to its last answer."""

    service: Service
    began: float = 0.0
    until: float = 0.0
    seconds: list[float] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)

    def run(self, spell: float) -> None:
        """Find for so many seconds; raises what went wrong in any of them."""
        begun = threading.Barrier(_FINDERS, action=lambda: self._begin(spell))
        threads = [threading.Thread(target=self._find, args=(number, begun)) for number in range(_FINDERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.errors:
            raise self.errors[0]

    def _begin(self, spell: float) -> None:
        self.began = time.perf_counter()
        self.until = self.began + spell

    def _find(self, number: int, begun: threading.Barrier) -> None:
        try:
            with association(self.service, STUDY_ROOT_FIND) as (exchange, context):
                begun.wait(TIMEOUTS.acse)
                turn = number
                while (due := self.began + turn / _FINDS_PER_SECOND) < self.until:
                    time.sleep(max(0.0, due - time.perf_counter()))
                    found = count_answers(exchange, context, studies(patient_id(turn % _FOUND_STUDIES)))
                    self.seconds.append(time.perf_counter() - due)
                    if found != 1:
                        raise RuntimeError(f"a C-FIND by Patient ID had {found} answers instead of one")
                    turn += _FINDERS
        except Exception as error:  # noqa: BLE001 - raised by `run`
            self.errors.append(error)
            begun.abort()


def _measure(stage: Stage) -> Iterator[Figure]:
    spell = stage.sizes.finding_seconds
    alone, without, during, both = _Finds, [], [], []
    with started(stage.archive, stage.folder) as service:
        stage.send(service, Load(1, first=0, each=_FOUND_STUDIES, per_study=1)).result()
        alone = _Finds(service)
        alone.run(spell)
        for number in range(stage.sizes.spells):
            first = (2 * number + 1) * _APART
            without.append(stage.send(service, Load(_SENDERS, first, seconds=spell)).result())
            sending = stage.send(service, Load(_SENDERS, first + _APART, seconds=spell))
            finds = _Finds(service)
            finds.run(spell)
            both.append(sending.result())
            during += finds.seconds
    yield from _percentiles("without stores", alone.seconds)
    yield from _percentiles("during stores", during)
    rate, rate_during = median(each.rate for each in without), median(each.rate for each in both)
    yield Figure("stores a second without finds", rate)
    yield Figure("stores a second during finds", rate_during)
    yield Figure("instances refused", sum(each.refused for each in (*without, *both)), most=0)


def _percentiles(when: str, seconds: list[float]) -> Iterator[Figure]:
    cuts = quantiles(seconds, n=100)
    yield Figure(f"a find {when}, median, ms", 1000 * median(seconds))
    yield Figure(f"a find {when}, 99 of 100 within, ms", 1000 * cuts[98])


ROW = Row(
    "finding",
    f"{_FINDS_PER_SECOND} finds a second during a full-speed ingest",
    f"{_FINDERS} associations ask for the study of a Patient ID, each at its moment: one that begins late has "
    f"waited, and that counts. {_SENDERS} associations store small instances meanwhile, with and without finds in "
    "turn.",
    _measure,
)
