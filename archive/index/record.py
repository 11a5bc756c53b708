"""What a store hands to the index: one received instance, and what the index made of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from archive.dicom.header import Header


@dataclass(frozen=True, slots=True)
class Record:
    """One instance whose file is in place, or that needs none yet, made ready before the transaction begins."""

    header: Header
    path: str | None
    """Its file; None while its bytes are `content`."""
    content: bytes | None
    """The whole of a small instance that has no file yet."""
    size_bytes: int
    received_at: datetime
    instance_values: Mapping[str, Any]
    """The columns of `instances`, but for the keys of its parents."""
    study_fingerprint: bytes
    """Equal for two instances only if all their patient and study columns are equal, as received."""
    series_fingerprint: bytes
    """Equal for two instances only if all their series columns are equal, as received."""

    @property
    def is_written(self) -> bool:
        """Whether its file lies on the disk already."""
        return self.path is not None


class Duplicates(Enum):
    """What becomes of an instance whose SOP Instance UID the area holds already."""

    REPLACE = "replace"
    KEEP = "keep"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Parents:
    """The committed study and series of instances to come, so that a store need not look for them again."""

    study_pk: int
    series_pk: int
    study_fingerprint: bytes
    series_fingerprint: bytes
    modality: str | None
    """Of the series, as its first instance said."""


@dataclass(slots=True)
class UsageChange:
    """What one transaction adds to the counters of an area; removals are negative."""

    number_of_studies: int = 0
    number_of_series: int = 0
    number_of_instances: int = 0
    size_bytes: int = 0

    def include(self, other: "UsageChange") -> None:
        """Add another change of the same transaction."""
        self.number_of_studies += other.number_of_studies
        self.number_of_series += other.number_of_series
        self.number_of_instances += other.number_of_instances
        self.size_bytes += other.size_bytes


@dataclass(frozen=True, slots=True)
class Stored:
    """An instance is in the index once the transaction commits."""

    parents: Parents
    replaced: bool
    """Whether another instance of the same UID went for it."""
    added: UsageChange
    """What the area grew by; less than nothing where what it replaced was larger."""
    added_to_study_bytes: int
    """What its study grew by."""


class AlreadyHeld(Exception):
    """The area holds the instance and keeps it; the transaction is to be rolled back.

    `path` is the file that its row names; None if its bytes are in the database. `is_this` tells that the row is of
    this very store, whose commit then went through although its answer was lost.
    """

    def __init__(self, path: str | None, *, is_this: bool = False) -> None:
        super().__init__()
        self.path = path
        self.is_this = is_this
