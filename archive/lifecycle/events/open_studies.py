"""Which studies are being received, and when one of them has ended. Pure: moments are given, in seconds.

What tells the end of a study is nowhere in DICOM; these are guesses that users can choose from. Of the order `study`:

- with a time of quiet: when nothing of the study has come for so long, however many others do. An association in the
  middle of an instance keeps the study open to which it stored last, because it may belong to that;
- without one: when an instance of another study has come after it, and no open association is at it any more. An
  association is at the study to which it stored last. So two associations with a study each leave each other alone, and
  instances that come by an association each belong together.

Of the order `global`, which is that of DCMTK's storescp: when an instance of another study comes, whoever sent it; and
when nothing at all has come for the time of quiet.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Literal

from archive.lifecycle.events.commands import Values

# Of a hospital's day; what is open for longest ends early beyond it.
MOST_STUDIES = 10_000

# Names of files that wait for their numbers, some 200 bytes each; then the same happens.
MOST_FILES = 1_000_000

Order = Literal["study", "global"]


@dataclass(frozen=True, slots=True)
class Study:
    """A study that is received into a folder; if it goes on in another one, that is another of these."""

    study_instance_uid: str
    subfolder: str
    """Below the output folder."""

    def __str__(self) -> str:
        return f"study {self.study_instance_uid} in {self.subfolder or '.'}"


@dataclass(slots=True)
class OpenStudy:
    """What has come of a study."""

    study: Study
    sender: Values
    """Of what came last."""
    at: float
    """When something of it came last."""
    modalities: dict[str, str] = field(default_factory=dict)
    """By the names of its files, in the order in which they came first; empty if nobody wants them."""


class OpenStudies:
    """What is open; `association` is whatever tells associations apart."""

    def __init__(
        self,
        order: Order = "study",
        quiet_seconds: float | None = None,
        *,
        remembers_files: bool = False,
        most_studies: int = MOST_STUDIES,
        most_files: int = MOST_FILES,
    ) -> None:
        self._order: Order = order
        self._quiet_seconds = quiet_seconds
        self._remembers_files = remembers_files
        self._most_studies, self._most_files = most_studies, most_files
        self._files = 0
        self._open: OrderedDict[Study, OpenStudy] = OrderedDict()  # what something came of last is last
        self._at: dict[Hashable, Study] = {}  # by association
        self._busy: set[Hashable] = set()  # associations in the middle of a store

    def heard(self, now: float) -> None:
        """Something came that is no instance."""
        if self._order == "global":
            self._touch_all(now)

    def began(self, association: Hashable, now: float) -> None:
        """An instance is coming."""
        self._busy.add(association)
        self.heard(now)

    def kept(
        self, association: Hashable, study: Study, name: str, modality: str, sender: Values, now: float
    ) -> list[OpenStudy]:
        """An instance has its file; the studies that have ended by it."""
        found = self._open.get(study)
        if found is None:
            found = self._open[study] = OpenStudy(study, sender, now)
        found.sender = sender
        self._touch(study, now)
        if self._remembers_files and name not in found.modalities:
            found.modalities[name] = modality
            self._files += 1
        self._at[association] = study
        return [self._end(each) for each in self._superseded()] + self._too_many()

    def over(self, association: Hashable, now: float) -> None:
        """All is done that a store asks for, or it came to nothing."""
        self._busy.discard(association)
        self.heard(now)
        if self._order == "study" and self._quiet_seconds is not None and association in self._at:
            self._touch(self._at[association], now)

    def left(self, association: Hashable, now: float) -> list[OpenStudy]:
        """An association has ended; the studies that have ended by it."""
        if association in self._busy:
            self.over(association, now)
        self.heard(now)
        self._at.pop(association, None)
        return [self._end(each) for each in self._superseded()]

    def next_due(self) -> float | None:
        """When a study ends if nothing comes; None: no study ends by quiet as it is now."""
        if self._quiet_seconds is None:
            return None
        for study, each in self._open.items():
            if not self._is_held(study):
                return each.at + self._quiet_seconds
        return None

    def due(self, now: float) -> list[OpenStudy]:
        """The studies that have ended by quiet."""
        if self._quiet_seconds is None:
            return []
        found: list[Study] = []
        for study, each in self._open.items():
            if each.at + self._quiet_seconds > now:
                break
            if not self._is_held(study):
                found.append(study)
        return [self._end(study) for study in found]

    def all(self) -> list[OpenStudy]:
        """What is open."""
        return list(self._open.values())

    def _superseded(self) -> list[Study]:
        """Those that have ended because something of another one has come since."""
        others = list(self._open)[:-1]
        if self._order == "global":
            return others
        if self._quiet_seconds is not None:
            return []
        at = set(self._at.values())
        return [each for each in others if each not in at]

    def _is_held(self, study: Study) -> bool:
        if self._order == "global":
            return bool(self._busy)
        return any(self._at.get(association) == study for association in self._busy)

    def _too_many(self) -> list[OpenStudy]:
        ended: list[OpenStudy] = []
        while self._open and (len(self._open) > self._most_studies or self._files > self._most_files):
            ended.append(self._end(next(iter(self._open))))
        return ended

    def _end(self, study: Study) -> OpenStudy:
        ended = self._open.pop(study)
        self._files -= len(ended.modalities)
        return ended

    def _touch(self, study: Study, now: float) -> None:
        if study in self._open:
            self._open[study].at = now
            self._open.move_to_end(study)

    def _touch_all(self, now: float) -> None:
        for each in self._open.values():
            each.at = now
