"""What a C-STORE SCP stores into: the seam between the service and what becomes of an instance."""

from contextlib import AbstractContextManager
from enum import Enum
from typing import Protocol


class Outcome(Enum):
    """What became of an instance that was taken in.

    It is new, it replaces one that was here, that one is kept, or the area keeps nothing.
    """

    NEW = "new"
    REPLACED = "replaced"
    KEPT = "kept"
    DISCARDED = "discarded"


class IncomingInstance(Protocol):
    """One instance while it is received; leaves no trace unless finished."""

    def write(self, fragment: memoryview) -> None:
        """Append a piece of the encoded data set; the memory is the caller's again when this returns."""
        ...

    def finish(self) -> Outcome:
        """Keep the instance: when this returns it is stored as durably as promised. Raises Refused or Failed."""
        ...


class InstanceSink(Protocol):
    """Takes in instances; one sink serves one association."""

    def begin(
        self, sop_class_uid: str, sop_instance_uid: str, transfer_syntax: str
    ) -> AbstractContextManager[IncomingInstance]:
        """Start receiving the instance that a request announces by these UIDs."""
        ...
