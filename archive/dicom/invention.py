"""Invent who and what instances are of: for a peer that is to be filled with the same few images again and again.

A new SOP Instance UID each time, a new series after so many images, a new study after so many series, a new patient
after so many studies. UIDs are random (PS3.5 B.2). Names and numbers hold the seconds since 1970 at which they were
made, so that those of two runs differ.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

SOP_INSTANCE_UID = 0x00080018
PATIENT_NAME, PATIENT_ID = 0x00100010, 0x00100020
STUDY_INSTANCE_UID, STUDY_ID = 0x0020000D, 0x00200010
SERIES_INSTANCE_UID, SERIES_NUMBER = 0x0020000E, 0x00200011
INSTANCE_NUMBER = 0x00200013

_MAX_STUDY_ID_CHARACTERS = 16  # VR SH (PS3.5 6.2)


@dataclass(frozen=True, slots=True)
class Counts:
    """After how many images a series is full, of how many series a study is, of how many studies a patient has."""

    images: int = 100
    series: int = 50
    studies: int = 25


@dataclass(frozen=True, slots=True)
class Invented:
    """What an instance is from now on: its place, counted from 0, and the values of its elements by tag."""

    patient: int
    study: int
    series: int
    image: int
    values: Mapping[int, str]

    @property
    def sop_instance_uid(self) -> str:
        """Its name from now on."""
        return self.values[SOP_INSTANCE_UID]


class Inventor:
    """Counts on from image to image; for several threads."""

    def __init__(
        self, counts: Counts, *, clock: Callable[[], float] = time.time, uid: Callable[[], str] | None = None
    ) -> None:
        self._counts = counts
        self._clock = clock
        self._uid = uid or _random_uid
        self._turn = threading.Lock()
        self._patient = self._study = self._series = self._image = 0
        self._of_patient: dict[int, str] = {}
        self._of_study: dict[int, str] = {}
        self._of_series: dict[int, str] = {}

    def invent(self) -> Invented:
        """The next instance."""
        with self._turn:
            self._move_on()
            values = self._of_patient | self._of_study | self._of_series
            values |= {SOP_INSTANCE_UID: self._uid(), INSTANCE_NUMBER: str(self._image)}
            invented = Invented(self._patient, self._study, self._series, self._image, values)
            self._image += 1
            return invented

    def _move_on(self) -> None:
        """Begin a series, study or patient where the one before is full, and at the first image."""
        if self._image >= self._counts.images:
            self._image, self._series, self._of_series = 0, self._series + 1, {}
        if self._series >= self._counts.series:
            self._series, self._study, self._of_study, self._of_series = 0, self._study + 1, {}, {}
        if self._study >= self._counts.studies:
            self._study, self._patient, self._of_patient = 0, self._patient + 1, {}
            self._of_study, self._of_series = {}, {}
        seconds = int(self._clock())
        if not self._of_patient:
            mark = f"{seconds}{self._patient}"
            self._of_patient = {PATIENT_NAME: f"INVENTED^{mark}", PATIENT_ID: f"PID_{mark}"}
        if not self._of_study:
            study_id = f"SID_{seconds}{self._study}"[:_MAX_STUDY_ID_CHARACTERS]
            self._of_study = {STUDY_INSTANCE_UID: self._uid(), STUDY_ID: study_id}
        if not self._of_series:
            self._of_series = {SERIES_INSTANCE_UID: self._uid(), SERIES_NUMBER: str(self._series)}


def _random_uid() -> str:
    """A UID of a random UUID (PS3.5 B.2, RFC 9562 5.4)."""
    number = int.from_bytes(os.urandom(16), "big")
    number = number & ~(0xF << 76) | 4 << 76  # version
    number = number & ~(3 << 62) | 2 << 62  # variant
    return f"2.25.{number}"
