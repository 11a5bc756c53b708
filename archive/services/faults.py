"""What a Storage SCP does wrong on purpose, so that senders can be tested: it sleeps, or aborts the association."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

from archive.errors import ConnectionLost
from archive.storage.sink import IncomingInstance, InstanceSink, Outcome
from archive.upper_layer.association import Association

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Faults:
    """Which ones; times are in seconds, 0 is none."""

    sleep_during: float = 0
    """In the middle of each store, once."""
    sleep_after: float = 0
    """After each store, when the response is sent."""
    aborts_during: bool = False
    """When the first piece of a data set has come."""
    aborts_after: bool = False
    """When all of a data set has come, before the response."""

    def __bool__(self) -> bool:
        return self != Faults()


@dataclass(frozen=True, slots=True)
class FaultySink:
    """An InstanceSink that commits the faults on the way to another one; nothing is kept where it aborts."""

    sink: InstanceSink
    faults: Faults
    association: Association
    sleep: Callable[[float], bool]
    """Sleeps so many seconds, and tells whether it was woken because all is to end."""

    @contextmanager
    def begin(self, sop_class_uid: str, sop_instance_uid: str, transfer_syntax: str) -> Iterator[IncomingInstance]:
        """Start receiving the instance that a request announces by these UIDs."""
        with self.sink.begin(sop_class_uid, sop_instance_uid, transfer_syntax) as incoming:
            yield _FaultyIncoming(incoming, self)

    def after(self) -> None:
        """The response to a store is sent."""
        if self.faults.sleep_after:
            self.sleep(self.faults.sleep_after)


class _FaultyIncoming:
    def __init__(self, incoming: IncomingInstance, sink: FaultySink) -> None:
        self._incoming, self._sink = incoming, sink
        self._is_begun = False

    def write(self, fragment: memoryview) -> None:
        """Append a piece of the data set."""
        self._begin()
        self._incoming.write(fragment)

    def finish(self) -> Outcome:
        """Keep the instance, if it comes to that."""
        self._begin()
        if self._sink.faults.aborts_after:
            self._abort()
        return self._incoming.finish()

    def _begin(self) -> None:
        if self._is_begun:
            return
        self._is_begun = True
        if self._sink.faults.aborts_during:
            self._abort()
        if self._sink.faults.sleep_during and self._sink.sleep(self._sink.faults.sleep_during):
            raise ConnectionLost("The archive ended the association.")

    def _abort(self) -> NoReturn:
        log.info("ABORT initiated (due to command line options)")
        self._sink.association.abort()
        raise ConnectionLost("The association was aborted, as the command line asks for")
