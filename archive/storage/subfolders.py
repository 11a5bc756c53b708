"""Folders below the output folder that instances are sorted into, named as DCMTK's programs name them, to the byte.

Pure but for the clock; whoever uses a name makes the folder. A new one for each study is asked for by a callable,
because only the disk knows whether it is new.
"""

import re
import threading
import unicodedata
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from archive.dicom.transliteration import approximated
from archive.errors import DiskFailed, Failed, Misconfigured, Unsortable
from archive.storage.file_names import milliseconds, sanitised
from archive.storage.moments import Clock, Moments
from archive.storage.received import Received

# Studies whose folder is remembered, each some 300 bytes. One that comes again after so many others has a new folder.
MOST_STUDIES = 10_000

# Folders of that name that are there already, before a study is not sorted at all.
_MOST_TRIES = 1000

# The name and a time fit into the 255 bytes of a name; PS3.5 6.2 allows three component groups of 64 characters.
_MOST_PATIENT_CHARACTERS = 200

_NO_NAMES = ("", ".", "..")

MakeNew = Callable[[str], bool]
"""Makes a subfolder; False where it is there already. Raises OSError."""


@dataclass(frozen=True, slots=True)
class NoSubfolders:
    """All instances lie in the output folder itself."""

    failure: ClassVar[type[Failed]] = DiskFailed

    def subfolder(self, received: Received, make_new: MakeNew) -> str:
        """None."""
        return ""

    def ended(self, study_instance_uid: str) -> None:
        """Nothing is remembered of a study."""


@dataclass(frozen=True, slots=True)
class SeriesDateFolders:
    """`data/YYYY/MM/DD` by the Series Date, `undef/YYYYMMDD` by today where that is absent or no date."""

    clock: Clock = datetime.now

    failure: ClassVar[type[Failed]] = DiskFailed

    def subfolder(self, received: Received, make_new: MakeNew) -> str:
        """Three folders deep, or two."""
        found = _DATE.fullmatch(received.series_date)
        if found is None or not (1 <= int(found["month"]) <= 12 and 1 <= int(found["day"]) <= 31):
            return f"undef/{self.clock():%Y%m%d}"
        return f"data/{found['year']}/{found['month']}/{found['day']}"

    def ended(self, study_instance_uid: str) -> None:
        """Nothing is remembered of a study."""


# The second form is that of ACR-NEMA (PS3.5 6.2, DA).
_DATE = re.compile(r"(?P<year>[0-9]{4})(?P<dot>\.?)(?P<month>[0-9]{2})(?P=dot)(?P<day>[0-9]{2})")


@dataclass(frozen=True, slots=True)
class StudyUidFolders:
    """`<prefix>_<Study Instance UID>`, or the UID alone. Raises Misconfigured."""

    prefix: str = ""

    failure: ClassVar[type[Failed]] = Unsortable

    def __post_init__(self) -> None:
        _check_prefix(self.prefix)

    def subfolder(self, received: Received, make_new: MakeNew) -> str:
        """The same for every instance of a study; raises Unsortable."""
        uid = sanitised(_study_of(received))
        if not self.prefix and uid in _NO_NAMES:
            raise Unsortable("The Study Instance UID cannot be the name of a folder", offending_element=0x0020000D)
        return f"{self.prefix}_{uid}" if self.prefix else uid

    def ended(self, study_instance_uid: str) -> None:
        """Nothing is remembered of a study."""


class StudyFolders:
    """`<stem>_YYYYMMDD_HHMMSSmmm` in local time: a new folder when a study begins.

    With `most_studies` of 1, only the last study is remembered, and one that goes on after another has a folder more:
    DCMTK's way.
    """

    failure: ClassVar[type[Failed]] = Unsortable

    def __init__(
        self, stem: Callable[[Received], str], *, most_studies: int = MOST_STUDIES, clock: Clock = datetime.now
    ) -> None:
        self._stem = stem
        self._most_studies = most_studies
        self._moments = Moments(timedelta(milliseconds=1), clock)
        self._of_study: OrderedDict[str, str] = OrderedDict()  # what was stored to last is last
        self._change = threading.Lock()

    def subfolder(self, received: Received, make_new: MakeNew) -> str:
        """That of the study, made if this begins it; raises Unsortable, or the OSError of `make_new`."""
        study = _study_of(received)
        with self._change:  # also while it is made: who comes second has the same one
            found = self._of_study.get(study)
            if found is None:
                found = self._of_study[study] = self._new(self._stem(received), make_new)
                if len(self._of_study) > self._most_studies:
                    self._of_study.popitem(last=False)
            else:
                self._of_study.move_to_end(study)
            return found

    def _new(self, stem: str, make_new: MakeNew) -> str:
        for _ in range(_MOST_TRIES):
            stamp = milliseconds(self._moments.next(), "_")
            name = f"{stem}_{stamp}" if stem else stamp
            if make_new(name):
                return name
        raise Unsortable("Every name that the folder of the study could have is taken", stem=stem)

    def ended(self, study_instance_uid: str) -> None:
        """The study has ended; if it goes on nevertheless, that is in a new folder."""
        with self._change:
            self._of_study.pop(study_instance_uid, None)


def by_prefix(prefix: str) -> Callable[[Received], str]:
    """The stem of a study's folder: what was asked for, or nothing. Raises Misconfigured."""
    _check_prefix(prefix)
    return lambda _: prefix


def by_patient(received: Received) -> str:
    """The stem of a study's folder: the Patient's Name in letters and digits of ASCII, `ANONYMOUS` if there is none."""
    name = received.patient_name
    if not name:
        return "ANONYMOUS"
    return "".join(map(_in_ascii, unicodedata.normalize("NFC", name)))[:_MOST_PATIENT_CHARACTERS]


# What DCMTK makes of Latin-1, where that is not the letter without its accent.
_BY_DCMTK = {"Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"}
_BY_DCMTK |= {"Æ": "A", "æ": "a", "Þ": "_", "þ": "_"}


def _in_ascii(character: str) -> str:
    if character in _BY_DCMTK:
        return _BY_DCMTK[character]
    if not character.isalpha() or "\x7f" < character < "À":  # ª, º and µ count as letters
        return character if _is_kept(character) else "_"
    return approximated(character, _is_kept, transliterates=True, discards=False) or "_"


def _is_kept(character: str) -> bool:
    return character.isascii() and character.isalnum()


def _study_of(received: Received) -> str:
    uid = received.study_instance_uid
    if not uid:
        raise Unsortable("The Study Instance UID is absent or empty", offending_element=0x0020000D)
    return uid


def _check_prefix(prefix: str) -> None:
    """A prefix may lead into folders below, and not out of the output folder."""
    folders = prefix.split("/")[:-1]
    if "\0" in prefix or any(name in _NO_NAMES for name in folders):
        raise Misconfigured("The prefix of subfolders leads out of the output folder", prefix=prefix)
