"""Moments of local time for the names of files and folders; none is given twice."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

Clock = Callable[[], datetime]

# Beyond this the clock has been set back, or summer time has ended: it is followed, and not waited for.
_MOST_AHEAD = timedelta(seconds=1)


class Moments:
    """Moments at least `step` apart, to be asked for by many threads."""

    def __init__(self, step: timedelta, clock: Clock = datetime.now) -> None:
        self._step = step
        self._clock = clock
        self._last = datetime(1970, 1, 1)
        self._change = threading.Lock()

    def next(self) -> datetime:
        """The moment it is now, or `step` after the one given last."""
        with self._change:
            now = self._clock()
            if self._last - _MOST_AHEAD < now < self._last + self._step:
                now = self._last + self._step
            self._last = now
            return now
