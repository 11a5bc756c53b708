"""Watch the studies that all associations store to: tell when one has ended, by what came or because nothing did.

Who stored is told at once, in its own thread; a thread that waits for nothing else tells of the others.
"""

import logging
import threading
import time
from collections.abc import Callable, Hashable

from archive.lifecycle.events.commands import Values
from archive.lifecycle.events.open_studies import OpenStudies, OpenStudy, Study

log = logging.getLogger(__name__)

STOP_SECONDS = 5.0


class StudyWatch:
    """Open studies, safe to use from many threads."""

    def __init__(self, studies: OpenStudies, ended: Callable[[OpenStudy], None]) -> None:
        """`ended` is called in a thread of its own for each study that has ended because nothing came."""
        self._studies = studies
        self._ended = ended
        self._change = threading.Condition()
        self._wakes_at: float | None = None
        self._is_stopping = False
        self._thread = threading.Thread(target=self._watch, name="end of study", daemon=True)

    def start(self) -> None:
        """Begin to wait for studies of which nothing comes."""
        self._thread.start()

    def stop(self) -> list[OpenStudy]:
        """End no study any more; those that are open. One whose end is being told of has a moment for it."""
        with self._change:
            self._is_stopping = True
            self._change.notify_all()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)
        with self._change:
            return self._studies.all()

    def heard(self) -> None:
        """An association was asked for, or something came that is no instance."""
        with self._change:
            self._studies.heard(time.monotonic())

    def began(self, association: Hashable) -> None:
        """An instance is coming."""
        with self._change:
            self._studies.began(association, time.monotonic())

    def kept(self, association: Hashable, study: Study, name: str, modality: str, sender: Values) -> list[OpenStudy]:
        """An instance has its file; the studies that have ended by it."""
        with self._change:
            ended = self._studies.kept(association, study, name, modality, sender, time.monotonic())
            self._wake()
            return ended

    def over(self, association: Hashable) -> None:
        """All is done that a store asks for."""
        with self._change:
            self._studies.over(association, time.monotonic())
            self._wake()

    def left(self, association: Hashable) -> list[OpenStudy]:
        """An association has ended; the studies that have ended by it."""
        with self._change:
            ended = self._studies.left(association, time.monotonic())
            self._wake()
            return ended

    def _wake(self) -> None:
        """Only for what is due before the watch looks again by itself: instances put that off, one after the other."""
        due = self._studies.next_due()
        if due is not None and (self._wakes_at is None or due < self._wakes_at):
            self._change.notify_all()

    def _watch(self) -> None:
        while True:
            with self._change:
                ended = self._wait()
                if self._is_stopping:
                    return
            for each in ended:
                try:
                    self._ended(each)
                except Exception:
                    log.exception("the end of study %s met a defect", each.study.study_instance_uid)

    def _wait(self) -> list[OpenStudy]:
        """Until studies have ended, or it is stopped."""
        while not self._is_stopping:
            if ended := self._studies.due(time.monotonic()):
                return ended
            self._wakes_at = self._studies.next_due()
            if self._wakes_at is None:
                self._change.wait()
            else:
                self._change.wait(max(0.0, self._wakes_at - time.monotonic()))
        return []
