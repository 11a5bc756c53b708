"""A file that somebody wants taken in: is it an instance, and whole?

Everything here only reads. What cannot be taken in is told by an error of ours, with the reason.
"""

from dataclasses import dataclass, field

from archive.dicom import part10, recognize, uids
from archive.dicom.header import Header
from archive.dicom.recognize import Recognized
from archive.errors import MissingUid, NotDicom, UnreadableDataSet, UnsupportedSopClass
from archive.lifecycle.head import HEAD_BYTES, require_uids
from archive.registry.model import Area
from archive.storage.sources import Found, Source

# dcmqrscp's own index, which lies among its images.
DCMQRSCP_INDEX = "index.dat"


class NotAnInstance(Exception):
    """A file that need not be an instance, and is passed over; the message says what it is."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that is an instance, open for reading."""

    found: Found
    source: Source
    head: bytes = field(repr=False)
    """Its first bytes; all of it, if it is no longer than that."""
    recognized: Recognized
    header: Header

    @property
    def sop_instance_uid(self) -> str:
        return self.header.sop_instance_uid

    @property
    def is_in_head(self) -> bool:
        """Whether the whole file is in memory."""
        return len(self.head) == self.source.size_bytes

    @property
    def data_set_bytes(self) -> int:
        return self.source.size_bytes - self.recognized.data_set_offset

    @property
    def missing_meta(self) -> bytes:
        """The File Meta Information that a bare data set needs in front of it; nothing for all others."""
        if self.recognized.has_meta:
            return b""
        return part10.file_meta(self.header.sop_class_uid, self.sop_instance_uid, self.recognized.transfer_syntax_uid)

    def read(self, position: int, most_bytes: int) -> bytes:
        """The bytes of the file from `position` on; raises UnreadableFile."""
        if self.is_in_head:
            return self.head[position : position + most_bytes]
        return self.source.read(position, most_bytes)


def look(found: Found, area: Area) -> Candidate:
    """Read the header of a file, and hold it open. Raises NotAnInstance, or Refused or Failed with what is wrong."""
    if found.path.rpartition("/")[2] == DCMQRSCP_INDEX:
        raise NotAnInstance("this is the index of dcmqrscp")
    source = Source(found.path)
    try:
        if source.size_bytes == 0:
            raise UnreadableDataSet("The file is empty")
        head = source.read(0, HEAD_BYTES)
        recognized = recognize.recognize(head)
        if recognized.media_storage_sop_class_uid == recognize.MEDIA_STORAGE_DIRECTORY:
            raise NotAnInstance("a DICOMDIR lists instances and is none")
        scanned, _ = recognize.scan(head, recognized, source.read, source.size_bytes)
        _require_instance(scanned, recognized)
        if not area.takes(scanned.sop_class_uid):
            raise UnsupportedSopClass("The area takes no instances of this SOP Class", uid=scanned.sop_class_uid)
        candidate = Candidate(found, source, head, recognized, scanned)
        if recognize.is_cut_short(scanned, recognized, candidate.read, source.size_bytes):
            raise UnreadableDataSet("The file ends before its pixels do")
    except BaseException:
        source.close()
        raise
    return candidate


def _require_instance(scanned: Header, recognized: Recognized) -> None:
    if not recognized.has_meta and not scanned.sop_class_uid:
        raise NotDicom("This is not a DICOM file")
    if not uids.is_uid(scanned.sop_class_uid):
        what = "malformed" if scanned.sop_class_uid else "missing"
        raise MissingUid(f"The SOP Class UID is {what}", offending_element=0x00080016)
    require_uids(scanned)
