"""File Meta Information (PS3.10 7.1): written before received bytes, skipped before sent ones."""

import functools
import struct
from dataclasses import dataclass

from archive import errors
from archive.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

PREAMBLE = bytes(128)
PREFIX = b"DICM"
GROUP_LENGTH_BYTES = 12  # of (0002,0000) UL as a whole

_LONG_VRS = frozenset((b"OB", b"OW", b"SQ", b"UN", b"UT", b"UC", b"UR"))
_HEAD = struct.Struct("<HH2sH").unpack_from


@dataclass(frozen=True, slots=True)
class FileMeta:
    """What the File Meta Information of a file says; a missing element is empty."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    implementation_class_uid: str
    implementation_version_name: str
    source_ae_title: str
    receiving_ae_title: str
    data_set_offset: int  # bytes from the start of the file


def file_meta(
    sop_class_uid: str,
    sop_instance_uid: str,
    transfer_syntax: str,
    source_ae_title: str = "",
    receiving_ae_title: str = "",
) -> bytes:
    """Preamble, prefix and group 0002 for a data set received from `source_ae_title` (PS3.10 table 7.1-1)."""
    parts = [
        b"\x02\x00\x01\x00OB\x00\x00\x02\x00\x00\x00\x00\x01",  # File Meta Information Version
        _element(0x0002, b"UI", sop_class_uid),
        _element(0x0003, b"UI", sop_instance_uid),
        _element(0x0010, b"UI", transfer_syntax),
        _element(0x0012, b"UI", IMPLEMENTATION_CLASS_UID),
        _element(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME),
    ]
    if source_ae_title:
        parts.append(_element(0x0016, b"AE", source_ae_title))
    if receiving_ae_title:
        parts.append(_element(0x0018, b"AE", receiving_ae_title))
    group = b"".join(parts)
    return PREAMBLE + PREFIX + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(group)) + group


@functools.lru_cache(maxsize=256)  # all but the SOP Instance UID come again with the next instance
def _element(number: int, vr: bytes, text: str) -> bytes:
    value = text.encode("ascii", "replace")
    if len(value) & 1:
        value += b"\0" if vr == b"UI" else b" "
    return struct.pack("<HH2sH", 2, number, vr, len(value)) + value


def data_set_offset(head: bytes) -> int:
    """Where the data set begins; 0 if there is no preamble and no group 0002 before it.

    Raises `UnreadableFile` when `head` is too short to tell: 64 KiB always do for a sound file.
    """
    return _read_elements(head)[1]


def read_meta(head: bytes) -> FileMeta:
    """The File Meta Information at the start of a file. Raises `UnreadableFile`."""
    values, offset = _read_elements(head)

    def text(number: int) -> str:
        return values.get(number, b"").decode("latin-1").strip(" \0")

    return FileMeta(
        sop_class_uid=text(0x0002),
        sop_instance_uid=text(0x0003),
        transfer_syntax_uid=text(0x0010),
        implementation_class_uid=text(0x0012),
        implementation_version_name=text(0x0013),
        source_ae_title=text(0x0016),
        receiving_ae_title=text(0x0018),
        data_set_offset=offset,
    )


def _read_elements(head: bytes) -> tuple[dict[int, bytes], int]:
    """Elements of group 0002 by number, and the offset behind them. Ends by the group, as its length may be wrong."""
    start = len(PREAMBLE) + len(PREFIX)
    position = start if head[len(PREAMBLE) : start] == PREFIX else 0
    values: dict[int, bytes] = {}
    while head[position : position + 2] == b"\x02\x00":
        if position + 12 > len(head):
            raise errors.UnreadableFile(reason="File Meta Information is cut short")
        _, number, vr, length = _HEAD(head, position)
        value = position + 8
        if vr in _LONG_VRS:
            (length,) = struct.unpack_from("<I", head, value)
            value += 4
        position = value + length
        if position > len(head):
            raise errors.UnreadableFile(reason="File Meta Information is cut short", tag=f"0002{number:04X}")
        values[number] = head[value:position]
    return values, position
