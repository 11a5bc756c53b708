"""What a file of unknown origin holds: where its data set begins, how that is encoded, and whether its end is there.

A file without File Meta Information is taken for a bare data set if it begins as one does: with an element of group
0008, in implicit or explicit VR little endian. Nothing else is guessed.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from archive.dicom import header, part10, uids
from archive.dicom.elements import ITEM, PIXEL_GROUP, SEQUENCE_DELIMITATION, UNDEFINED_LENGTH
from archive.dicom.header import Header
from archive.dicom.positions import LONG_CODES, VR_BY_CODE
from archive.errors import NotDicom, UnreadableDataSet, UnreadableFile

MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"  # DICOMDIR (PS3.10 8.6)

# A header of which less is enough has all keys in front; what comes behind are the functional groups of many frames.
MOST_HEADER_BYTES = 8 << 20

# The first element of a data set is one of these or lower: up to SOP Instance UID, which no instance lacks.
_LAST_FIRST_ELEMENT = 0x0018
_HEAD = struct.Struct("<HHHHI").unpack_from  # group, element, VR or half a length, 16-bit length, 32-bit length
_IMPLICIT_HEAD = struct.Struct("<HHI").unpack_from
_HEAD_BYTES = 12
_ITEM_HEAD_BYTES = 8
# Above any real object: 50,000 frames have a fragment each. Who has more is not held against its end.
_MOST_FRAGMENTS = 1 << 20

Read = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class Recognized:
    """Where the data set of a file begins, and how it is encoded."""

    transfer_syntax_uid: str
    data_set_offset: int
    has_meta: bool
    source_ae_title: str
    media_storage_sop_class_uid: str


def recognize(head: bytes) -> Recognized:
    """A file by its first bytes, 64 KiB or all of it. Raises UnreadableDataSet; NotDicom where it is something else."""
    try:
        meta = part10.read_meta(head)
    except UnreadableFile as error:
        raise UnreadableDataSet("Its File Meta Information is cut short") from error
    offset = meta.data_set_offset
    syntax = meta.transfer_syntax_uid or _guessed(head, offset)
    if syntax is None:
        if offset == 0:
            raise NotDicom("This is not a DICOM file")
        raise UnreadableDataSet("Its transfer syntax is not said")
    if syntax not in uids.BY_UID:
        raise UnreadableDataSet(f"Its transfer syntax {_shown(syntax)} is not known")
    return Recognized(
        transfer_syntax_uid=syntax,
        data_set_offset=offset,
        has_meta=bool(meta.transfer_syntax_uid),
        source_ae_title=_ae_title(meta.source_ae_title),
        media_storage_sop_class_uid=meta.sop_class_uid,
    )


def _guessed(head: bytes, offset: int) -> str | None:
    if len(head) < offset + _HEAD_BYTES:
        return None
    group, element, code, half, _ = _HEAD(head, offset)
    if group != 0x0008 or element > _LAST_FIRST_ELEMENT:
        return None
    if code in VR_BY_CODE:
        return uids.EXPLICIT_VR_LITTLE_ENDIAN
    return uids.IMPLICIT_VR_LITTLE_ENDIAN if half == 0 else None  # a length below 64 KiB


def _shown(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text[: uids.MAX_UID_CHARACTERS])


def _ae_title(text: str) -> str:
    """The text if it could be an AE title (PS3.5 6.2); else nothing, since rows and headers of ours would name it."""
    return text if text.isascii() and text.isprintable() and "\\" not in text and len(text) <= 16 else ""


def scan(head: bytes, recognized: Recognized, read: Read, size_bytes: int) -> tuple[Header, bytes]:
    """The header of a file, from its first bytes `head` or from as many as it needs; and the first bytes it is in.

    `read(position, most_bytes)` reads the file. Raises UnreadableDataSet.
    """
    while True:
        is_whole = len(head) >= size_bytes
        data_set = head[recognized.data_set_offset :]
        if not data_set:
            raise UnreadableDataSet("There is nothing behind the File Meta Information")
        scanned = header.scan(data_set, recognized.transfer_syntax_uid, is_whole=is_whole)
        if scanned.complete or len(head) >= MOST_HEADER_BYTES:
            return scanned, head
        if is_whole and recognized.has_meta:
            raise UnreadableDataSet("The file ends in the middle of an element")
        if is_whole:
            raise NotDicom("This is not a DICOM file")  # it only begins as a bare data set does
        head = read(0, min(8 * len(head), MOST_HEADER_BYTES))


def is_cut_short(header: Header, recognized: Recognized, read: Read, size_bytes: int) -> bool:
    """Whether the file ends before its pixels do, by their lengths alone (PS3.5 7.1, A.4); False where none are told.

    `read(position, most_bytes)` reads the file, a few bytes for each fragment of encapsulated pixels.
    """
    if header.pixels_at is None or uids.encoding_of(recognized.transfer_syntax_uid).is_deflated:
        return False
    position = recognized.data_set_offset + header.pixels_at
    while position + _ITEM_HEAD_BYTES <= size_bytes:
        head = read(position, _HEAD_BYTES)
        if len(head) < _HEAD_BYTES:
            return True
        group, _, code, length, long_length = _HEAD(head)
        if group < PIXEL_GROUP:  # not in order: not understood, so not judged
            return False
        position += 8
        if header.is_implicit:
            (_, _, length) = _IMPLICIT_HEAD(head)
        elif code in LONG_CODES:
            length, position = long_length, position + 4
        if length == UNDEFINED_LENGTH:
            after = _behind_fragments(read, position, size_bytes)
            if after is None:
                return False
            length = after - position
        position += length
    return position > size_bytes


def _behind_fragments(read: Read, position: int, size_bytes: int) -> int | None:
    """Where a sequence of fragments ends, beyond the end of the file if it is cut; None if it is not understood."""
    for _ in range(_MOST_FRAGMENTS):
        if position + _ITEM_HEAD_BYTES > size_bytes:
            return size_bytes + 1
        head = read(position, _ITEM_HEAD_BYTES)
        if len(head) < _ITEM_HEAD_BYTES:
            return size_bytes + 1
        group, element, length = _IMPLICIT_HEAD(head)
        position += _ITEM_HEAD_BYTES
        tag = group << 16 | element
        if tag == SEQUENCE_DELIMITATION:
            return position
        if tag != ITEM or length == UNDEFINED_LENGTH:
            return None
        position += length
    return None
