"""SOP Class and Instance UID from the first elements of a data set: for who wants to know no more of it.

A fast lane of `header.scan`, which is what remains where this finds nothing; a property test says that they agree. For
explicit and implicit VR little endian in the order of PS3.5 7.1, where few elements come before these two. Measured
2026-11, on a busy core: 3 µs, and 15 µs for a scan of the first 256 bytes.
"""

import struct

from archive.dicom.header import is_implicit_vr
from archive.dicom.positions import LONG_CODES, SHORT_CODES, key_of
from archive.dicom.uids import encoding_of

_MOST_ELEMENTS = 16  # of group 0008, and before it
_CLASS, _INSTANCE = key_of(0x00080016), key_of(0x00080018)
_LAST_GROUP = 0x0008

_HEAD = struct.Struct("<IHH").unpack_from  # key, VR, 16-bit length
_IMPLICIT_HEAD = struct.Struct("<II").unpack_from
_HEAD_BYTES = 8


def first_uids(buffer: bytes | bytearray, transfer_syntax: str) -> tuple[str, str] | None:
    """Both without padding, which some senders make of spaces; None where a scan has to find them, or finds none."""
    encoding = encoding_of(transfer_syntax)
    if encoding.is_deflated or encoding.is_big_endian:
        return None
    is_implicit = is_implicit_vr(buffer, encoding.is_implicit)
    sop_class, position, size = "", 0, len(buffer)
    for _ in range(_MOST_ELEMENTS):
        if position + _HEAD_BYTES > size:
            return None
        if is_implicit:
            key, length = _IMPLICIT_HEAD(buffer, position)
        else:
            key, code, length = _HEAD(buffer, position)
            if code in LONG_CODES or code not in SHORT_CODES:
                return None
        start = position + _HEAD_BYTES
        position = start + length
        if position > size or key & 0xFFFF > _LAST_GROUP:
            return None
        if key == _CLASS:
            sop_class = _text(buffer[start:position])
        elif key == _INSTANCE:
            return (sop_class, _text(buffer[start:position])) if sop_class else None
    return None


def _text(value: bytes | bytearray) -> str:
    return value.decode("latin-1").strip(" \0")
