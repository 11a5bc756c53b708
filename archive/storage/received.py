"""An instance that has come and has no name yet: what its name and its folder are made of."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from archive.dicom import charset
from archive.dicom.header import Header

_PATIENT_NAME, _STUDY_INSTANCE_UID, _SERIES_DATE = 0x00100010, 0x0020000D, 0x00080021


@dataclass(frozen=True)
class Received:
    """What is known of an instance; of attributes with several values the first one, as DCMTK's programs take it."""

    sop_class_uid: str
    sop_instance_uid: str
    scan: Callable[[], Header] = field(repr=False)
    """Gives the header; while the instance is received, and no longer."""

    @cached_property
    def header(self) -> Header:
        """The header of the data set as it came, scanned when it is first asked for; raises UnreadableDataSet."""
        return self.scan()

    @property
    def study_instance_uid(self) -> str:
        """(0020,000D), empty if absent."""
        return self._first(_STUDY_INSTANCE_UID, "UI").strip(" \0")

    @property
    def patient_name(self) -> str:
        """(0010,0010), decoded by the character sets of the data set; empty if absent."""
        return self._first(_PATIENT_NAME, "PN").rstrip(" ")

    @property
    def series_date(self) -> str:
        """(0008,0021), empty if absent."""
        return self._first(_SERIES_DATE, "DA").rstrip(" ")

    def _first(self, tag: int, vr: str) -> str:
        raw = (self.header.raw(tag) or b"").rstrip(b" \0")
        return charset.decode(raw, self.header.character_sets, vr).split("\\")[0]
