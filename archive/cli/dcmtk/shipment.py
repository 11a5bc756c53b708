"""The files of a run of storescu, shared by the threads that send them: whose turn it is, and what became of each.

What cannot be sent, or is not taken, is a failure: the first one halts all, each at its next turn, unless it is to go
on.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from archive.cli.dcmtk import sending_words
from archive.cli.dcmtk.face import Ended
from archive.cli.dcmtk.storescu_options import Storescu
from archive.dicom.invention import Inventor
from archive.errors import ArchiveError
from archive.services.store_scu import Terms
from archive.storage.outgoing import Encoding

log = logging.getLogger(__name__)

FAILED = 1
BEHIND_ALL = 1 << 62  # number of what is no file


@dataclass(frozen=True, slots=True)
class Item:
    """A file to be sent; `number` is its place in the order of all."""

    number: int
    path: str
    is_found: bool = False
    """By a search, so that nobody said that it is an instance."""


@dataclass(slots=True)
class Leg:
    """What associations by the same terms carry."""

    terms: Terms
    items: Iterable[Item]
    sop_classes: frozenset[str] | None = None
    """Those that are proposed; others wait for another leg. None: there is no other."""


@dataclass(slots=True)
class Shipment:
    """All files of a run, shared by the threads that send them."""

    asked: Storescu
    advance: Callable[[int], None]
    inventor: Inventor | None = None
    waiting: dict[str, list[Item]] = field(default_factory=dict)
    """What waits for another leg, by SOP Class."""
    is_halted: bool = False
    failures: int = 0
    passed_over: int = 0
    _first_failure: tuple[int, int] | None = None  # number of the item, exit code
    _items: Iterator[Item] = field(default_factory=lambda: iter(()))
    _returned: list[Item] = field(default_factory=list)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    @property
    def exit_code(self) -> int:
        """That of the first failure, in the order of files; 0 if there is none."""
        return self._first_failure[1] if self._first_failure else 0

    @property
    def encoding(self) -> Encoding:
        """How data sets are sent that do not go as they are."""
        return Encoding(self.asked.deflate_level, old_vrs_only=not self.asked.has_new_vrs)

    def hold(self, items: Iterable[Item]) -> None:
        """These are next."""
        self._items = iter(items)

    def halt(self) -> None:
        """No further file is taken."""
        with self._turn:
            self.is_halted = True

    def take(self) -> Item | None:
        """The next file; None when there is none, or it has been halted."""
        with self._turn:
            if self.is_halted:
                return None
            return self._returned.pop() if self._returned else next(self._items, None)

    def has_more(self) -> bool:
        item = self.take()
        if item is not None:
            self.give_back(item)
        return item is not None

    def give_back(self, item: Item) -> None:
        """It was taken and is not sent: somebody else may."""
        with self._turn:
            self._returned.append(item)

    def wait(self, item: Item, sop_class_uid: str) -> None:
        """It needs other terms."""
        with self._turn:
            self.waiting.setdefault(sop_class_uid, []).append(item)

    def sent(self, item: Item) -> None:
        """The peer has it."""
        self._rename(item, ".done")
        with self._turn:
            self.advance(1)

    def pass_over(self, item: Item, error: ArchiveError) -> None:
        """A file that a search found is none to be sent."""
        log.warning("ignoring file: %s: %s", item.path, sending_words.reason(error))
        with self._turn:
            self.passed_over += 1
            self.advance(1)

    def missed(self, number: int, why: str) -> None:
        """A file cannot even be taken up; raises Ended, unless it is to go on."""
        if self.asked.halts:
            raise Ended(why, FAILED)
        log.warning("%s, ignoring file", why)
        self._count_failure(number, FAILED)

    def failed(self, item: Item, code: int) -> None:
        """It is not sent; the first failure halts all, unless it is to go on."""
        self._rename(item, ".bad")
        self._count_failure(item.number, code)

    def _count_failure(self, number: int, code: int) -> None:
        self.note_failure(number, code)
        with self._turn:
            self.failures += 1
            self.advance(1)

    def note_failure(self, number: int, code: int) -> None:
        """For the exit code; a break is none of a file."""
        with self._turn:
            if self._first_failure is None or number < self._first_failure[0]:
                self._first_failure = (number, code)
            self.is_halted = self.is_halted or self.asked.halts

    def fail_rest(self, code: int) -> None:
        """Nothing that is left can be sent."""
        while (item := self.take()) is not None:
            self.failed(item, code)

    def _rename(self, item: Item, ending: str) -> None:
        if not self.asked.files.renames:
            return
        name = item.path + ending
        try:
            if os.path.lexists(name):
                raise FileExistsError(0, "there is a file of that name")
            os.rename(item.path, name)  # noqa: PTH104 - paths are plain text here
        except OSError as error:
            log.warning("cannot rename file '%s' to '%s': %s", item.path, name, error.strerror)
            return
        log.debug("renamed file '%s' to '%s'", item.path, name)
