"""How much an area may hold, held against what it holds: which limit is passed. Pure."""

from dataclasses import replace
from enum import Enum

from archive.index.record import UsageChange
from archive.index.usage import Usage
from archive.registry.snapshot import Quota


class Reason(Enum):
    """The limit that was passed; the value is the column of `storage_areas`."""

    MAX_STUDIES = "max_studies"
    MAX_STUDY_BYTES = "max_study_bytes"
    MAX_BYTES = "max_bytes"
    MAX_AGE_DAYS = "max_age_days"
    MIN_FREE_BYTES = "min_free_bytes"


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


def passed(quota: Quota, held: Usage, missing_bytes: int = 0, added: UsageChange | None = None) -> Reason | None:
    """The limit of the whole area that is passed; `missing_bytes` are to become free on its disk.

    With what a store has `added` so far, only a limit that this store made worse: what is too much besides, because a
    limit was lowered, is not for the store to take away, and no reason to refuse it.
    """
    adds_studies = added is None or added.number_of_studies > 0
    adds_bytes = added is None or added.size_bytes > 0
    if quota.max_studies is not None and adds_studies and held.number_of_studies > quota.max_studies:
        return Reason.MAX_STUDIES
    if quota.max_bytes is not None and adds_bytes and held.size_bytes > quota.max_bytes:
        return Reason.MAX_BYTES
    if missing_bytes > 0 and adds_bytes:
        return Reason.MIN_FREE_BYTES
    return None


def counts(quota: Quota, added: UsageChange) -> bool:
    """Whether what the area holds matters to a store that added so much."""
    return quota.max_bytes is not None or (quota.max_studies is not None and added.number_of_studies > 0)


def missing_bytes(quota: Quota, free_bytes: int, *, coming_bytes: int = 0, going_bytes: int = 0) -> int:
    """What the disk lacks of the room that is to stay free, beside files that will come and files that will go."""
    if quota.min_free_bytes is None:
        return 0
    return max(quota.min_free_bytes + coming_bytes - free_bytes - going_bytes, 0)


def with_headroom(quota: Quota) -> Quota:
    """What housekeeping keeps to, so that stores need not make room themselves."""
    headroom_bytes = quota.headroom_bytes if quota.evicts else None
    if headroom_bytes is None:
        return quota
    return replace(
        quota,
        max_bytes=None if quota.max_bytes is None else quota.max_bytes - headroom_bytes,
        min_free_bytes=None if quota.min_free_bytes is None else quota.min_free_bytes + headroom_bytes,
    )
