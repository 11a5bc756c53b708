"""A header as the values of rows: what is written into patients, studies, series and instances. Pure.

Absent and empty are both NULL. Text is cut where a column could not hold it: an index entry must stay below a third of
a page on both databases, and no value allowed by its VR is that long but LT.
"""

import hashlib
import struct
import zlib
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple, overload

from archive.dicom import values
from archive.dicom.attributes import NAME_GROUPS, Attribute, Level, at_level
from archive.dicom.header import Header
from archive.index.record import Record

MAX_TEXT_BYTES = 1024  # far beyond LO (64 characters) and PN (64 characters in each of three groups)
MAX_KEY_BYTES = 2 * MAX_TEXT_BYTES + 256  # an index entry of PostgreSQL ends at 2704
MAX_LONG_TEXT_BYTES = 40_960  # LT: 10240 characters of at most four bytes; such columns have no index
SEPARATOR = "\\"  # of several values in one text, as in a data set (PS3.5 6.2)

# Raw deflate with a window of 4 KiB: 32 KiB of memory, where the defaults take 256 KiB from the system for each header.
_DEFLATE_WINDOW_BITS = -12
_DEFLATE_MEMORY_LEVEL = 5

# Little gets hardly shorter, so it becomes one stored block (RFC 1951 3.2.4): final and stored (1), length (2) and its
# complement (2); that takes 1 us, where a compressor takes 50 us in a thread, most of it to get its memory.
_WORTH_DEFLATING_BYTES = 256
_STORED_BLOCK = struct.Struct("<BHH")

_REQUEST_ATTRIBUTES_SEQUENCE = 0x00400275
_REQUEST_ITEMS = {
    "requested_procedure_id": 0x00401001,
    "scheduled_procedure_step_id": 0x00400009,
    "requested_procedure_description": 0x00321060,
    "scheduled_procedure_step_description": 0x00400007,
    "accession_number": 0x00080050,
    "study_instance_uid": 0x0020000D,
}

_RECEIVED = {level: tuple(a for a in at_level(level) if a.column is not None and not a.is_computed) for level in Level}
_TAGS_OF_STUDY = tuple(a.tag for level in (Level.PATIENT, Level.STUDY) for a in _RECEIVED[level])
_TAGS_OF_SERIES = tuple(a.tag for a in _RECEIVED[Level.SERIES])


def longest_bytes(attribute: Attribute) -> int:
    """How much text the columns of an attribute hold."""
    return MAX_LONG_TEXT_BYTES if attribute.vr == "LT" else MAX_TEXT_BYTES


def _several(text: str) -> str | None:
    """Several values are kept as they came; nothing but separators is no value."""
    return text if text.strip("\\") else None


_PARSERS: dict[str, Callable[[str], Any]] = {
    "DA": values.parse_da,
    "TM": values.parse_tm,
    "IS": values.parse_is,
    "US": values.parse_is,
    "DS": values.parse_ds,
}


class _Column(NamedTuple):
    """What the attribute table says of a column, looked up once and not for every instance."""

    tag: int
    name: str
    text_name: str | None
    typed: Callable[[str], Any]
    longest_bytes: int
    is_name: bool


def _column(attribute: Attribute) -> _Column:
    assert attribute.column is not None
    text_name = attribute.text_column if attribute.text_column != attribute.column else None
    typed = _several if attribute.multi_valued else _PARSERS.get(attribute.vr, str)
    longest = longest_bytes(attribute)
    return _Column(attribute.tag, attribute.column, text_name, typed, longest, attribute.vr == "PN")


_COLUMNS = {level: tuple(map(_column, _RECEIVED[level])) for level in Level}


def patient_key(header: Header) -> str:
    """What makes a patient one within an area: ID and issuer; without an ID, patients of two studies are two.

    A backslash has no place in an ID, but some senders put one there: doubled, it is none of ours.
    """
    patient_id = _cut(header.text(0x00100020), MAX_TEXT_BYTES)
    if not patient_id:
        return f"\\{header.study_instance_uid}"
    key = patient_id.replace("\\", "\\\\")
    issuer = _cut(header.text(0x00100021), MAX_TEXT_BYTES)
    return _cut(f"{key}\\={issuer}" if issuer else key, MAX_KEY_BYTES)


def patient_values(header: Header) -> dict[str, Any]:
    """The columns of `patients`."""
    return _values(header, Level.PATIENT) | {
        "patient_key": patient_key(header),
        "norm_version": values.NORM_VERSION,
    }


def study_values(record: Record) -> dict[str, Any]:
    """The columns of `studies`."""
    return _values(record.header, Level.STUDY) | {
        "fingerprint": record.study_fingerprint,
        "norm_version": values.NORM_VERSION,
    }


def series_values(record: Record) -> dict[str, Any]:
    """The columns of `series`."""
    return _values(record.header, Level.SERIES) | {
        "sop_classes": record.header.sop_class_uid,
        "fingerprint": record.series_fingerprint,
        "norm_version": values.NORM_VERSION,
    }


def record(
    header: Header,
    *,
    transfer_syntax_uid: str,
    path: str | None,
    content: bytes | None = None,
    size_bytes: int,
    data_set_offset: int,
    source_ae_title: str,
    received_at: datetime,
    checksum: bytes | None = None,
) -> Record:
    """All that a store hands to the index about a received instance: its `path`, or its whole `content`."""
    file = {
        "transfer_syntax_uid": transfer_syntax_uid,
        "path": path,
        "size_bytes": size_bytes,
        "data_set_offset": data_set_offset,
        "checksum": checksum,
        "source_ae_title": source_ae_title,
        "received_at": received_at,
    }
    return Record(
        header=header,
        path=path,
        content=content,
        size_bytes=size_bytes,
        received_at=received_at,
        instance_values=_values(header, Level.IMAGE) | file,
        study_fingerprint=_fingerprint(header, _TAGS_OF_STUDY),
        series_fingerprint=_fingerprint(header, _TAGS_OF_SERIES),
    )


def request_values(header: Header) -> list[dict[str, str | None]]:
    """The rows of `series_requests`: one for each item of Request Attributes Sequence."""
    return [
        {column: _cut(item.text(tag), MAX_TEXT_BYTES) or None for column, tag in _REQUEST_ITEMS.items()}
        for item in header.items(_REQUEST_ATTRIBUTES_SEQUENCE)
    ]


def _fingerprint(header: Header, tags: Iterable[int]) -> bytes:
    return _digest(header.character_sets, tuple(header.raws(tags)))


@lru_cache(maxsize=256)  # the instances of a study say the same again and again
def _digest(*received: object) -> bytes:
    return hashlib.blake2b(repr(received).encode(), digest_size=16).digest()


def displayed(header: Header, level: Level) -> dict[str, str]:
    """What an instance says of its patient, study or series, as it would be returned: keyword -> text."""
    texts = ((a, _cut(header.text(a.tag), longest_bytes(a)) or "") for a in _RECEIVED[level])
    return {a.keyword: join_name(*values.split_name(text)) if a.vr == "PN" else text for a, text in texts}


def join_name(*groups: str | None) -> str:
    """The component groups of a person name, or of several, as one text to be shown."""
    return "=".join(group or "" for group in groups).rstrip("=")


def received_attributes(level: Level) -> tuple[Attribute, ...]:
    """The attributes of a level whose columns come from the header."""
    return _RECEIVED[level]


def join(texts: Iterable[str]) -> str | None:
    """Several values as one text, sorted and separated by backslashes."""
    return SEPARATOR.join(sorted(texts)) or None


def split(text: str | None) -> list[str]:
    """The values of such a text."""
    return text.split(SEPARATOR) if text else []


def _values(header: Header, level: Level) -> dict[str, Any]:
    row: dict[str, Any] = {
        "specific_character_set": _cut("\\".join(header.character_sets), MAX_TEXT_BYTES) or None,
        "rest": _deflated(header.rest(level)),
    }
    for column in _COLUMNS[level]:
        text = _cut(header.text(column.tag), column.longest_bytes)
        if column.is_name:
            _set_name(row, column.name, text)
            continue
        if column.text_name is not None:
            row[column.text_name] = text or None
        row[column.name] = column.typed(text) if text else None
    return row


def _deflated(rest: bytes) -> bytes | None:
    """A data set in Deflated Explicit VR Little Endian (PS3.5 A.5); the fastest level finds nearly all there is."""
    if not rest:
        return None
    if len(rest) <= _WORTH_DEFLATING_BYTES:
        return _STORED_BLOCK.pack(1, len(rest), len(rest) ^ 0xFFFF) + rest
    compressor = zlib.compressobj(level=1, wbits=_DEFLATE_WINDOW_BITS, memLevel=_DEFLATE_MEMORY_LEVEL)
    return compressor.compress(rest) + compressor.flush()


def _set_name(row: dict[str, Any], column: str, text: str | None) -> None:
    groups = (group if group.strip("\\") else "" for group in values.split_name(text or ""))
    for name, group in zip(NAME_GROUPS, groups, strict=True):
        row[f"{column}_{name}"] = group or None
        # Folding may make text longer: a ligature becomes its letters.
        row[f"{column}_{name}_folded"] = _cut(values.fold_name(group), MAX_TEXT_BYTES) or None


@overload
def _cut(text: str, longest_bytes: int) -> str: ...
@overload
def _cut(text: str | None, longest_bytes: int) -> str | None: ...
def _cut(text: str | None, longest_bytes: int) -> str | None:
    """Text without NUL, which PostgreSQL refuses, and not longer than the column holds."""
    if text is None:
        return None
    if "\0" in text:
        text = text.replace("\0", "")
    if len(text) * 4 > longest_bytes and len(encoded := text.encode()) > longest_bytes:
        return encoded[:longest_bytes].decode(errors="ignore")
    return text
