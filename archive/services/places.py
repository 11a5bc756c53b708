"""What an association asks of the limits of the service before it is accepted, and what it is told; values only.

Who counts, over all processes, is the server's business.
"""

from dataclasses import dataclass
from enum import Enum, auto


@dataclass(frozen=True, slots=True)
class Wanted:
    """A place for an association, and how many there may be beside it; None is no limit."""

    called_ae_title: str
    calling_ae_title: str
    stores: bool
    """Whether it would hold a presentation context to store on."""
    stores_alone: bool = False
    """Whether it may store only while no other association at the called title may."""
    most_at_title: int | None = None
    most_of_caller: int | None = None


class Place(Enum):
    """What became of it."""

    TAKEN = auto()
    TAKEN_WITHOUT_STORE = auto()
    SERVICE_FULL = auto()
    TITLE_FULL = auto()
    CALLER_FULL = auto()

    @property
    def is_taken(self) -> bool:
        return self in (Place.TAKEN, Place.TAKEN_WITHOUT_STORE)
