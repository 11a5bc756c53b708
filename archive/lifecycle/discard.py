"""Receive instances and keep nothing of them, for an area that is told to: a receiver for tests of senders."""

from types import TracebackType
from typing import Self

from archive.storage.sink import Outcome


class DiscardingSink:
    """An InstanceSink that forgets; what came is not even looked at."""

    def begin(self, sop_class_uid: str, sop_instance_uid: str, transfer_syntax: str) -> "Discarded":
        """Start receiving."""
        return Discarded()


class Discarded:
    """One instance that is not kept."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Nothing was made, so nothing is left."""

    def write(self, fragment: memoryview) -> None:
        """Let a piece of the data set go."""

    def finish(self) -> Outcome:
        """All has come."""
        return Outcome.DISCARDED
