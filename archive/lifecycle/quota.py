"""How much an area may hold, held against what it holds: what is too much, and why. Pure."""

from dataclasses import dataclass
from enum import Enum

from archive.index.usage import Usage
from archive.registry.snapshot import Quota


class Reason(Enum):
    """The limit that was passed; the value is the column of `storage_areas`."""

    MAX_STUDIES = "max_studies"
    MAX_STUDY_BYTES = "max_study_bytes"
    MAX_BYTES = "max_bytes"
    MAX_AGE_DAYS = "max_age_days"
    MIN_FREE_BYTES = "min_free_bytes"


@dataclass(frozen=True, slots=True)
class Surplus:
    """What an area has too much of: so many studies, or so many bytes."""

    reason: Reason
    number_of_studies: int
    size_bytes: int


def too_large(quota: Quota, size_bytes: int) -> Reason | None:
    """The limit that an instance of this size passes by itself, whatever else goes; None if it may fit."""
    if quota.max_study_bytes is not None and size_bytes > quota.max_study_bytes:
        return Reason.MAX_STUDY_BYTES
    if quota.max_bytes is not None and size_bytes > quota.max_bytes:
        return Reason.MAX_BYTES
    return None


def surplus_of_study(quota: Quota, size_bytes: int) -> int:
    """Bytes that a study of this size has too many; 0 if none."""
    return 0 if quota.max_study_bytes is None else max(size_bytes - quota.max_study_bytes, 0)


def surplus(quota: Quota, held: Usage, missing_bytes: int = 0) -> Surplus | None:
    """What an area holds too much of; `missing_bytes` are to become free on its disk, whatever the quota allows."""
    if quota.max_studies is not None and held.number_of_studies > quota.max_studies:
        return Surplus(Reason.MAX_STUDIES, held.number_of_studies - quota.max_studies, 0)
    if quota.max_bytes is not None and held.size_bytes > quota.max_bytes:
        return Surplus(Reason.MAX_BYTES, 0, held.size_bytes - quota.max_bytes)
    if missing_bytes > 0:
        return Surplus(Reason.MIN_FREE_BYTES, 0, missing_bytes)
    return None


def missing_bytes(quota: Quota, free_bytes: int | None, *, coming_bytes: int = 0, going_bytes: int = 0) -> int:
    """What the disk lacks of the room that is to stay free, beside an instance that comes and files that will go."""
    if quota.min_free_bytes is None or free_bytes is None:
        return 0
    return max(quota.min_free_bytes + coming_bytes - free_bytes - going_bytes, 0)
