"""What a client of Query/Retrieve asks: its query files, if there are any, with the keys of the command line put in."""

import os
import struct
from dataclasses import dataclass, replace
from pathlib import Path

from archive.cli.dcmtk.query_options import QueryOptions
from archive.dicom import keys, part10, uids
from archive.dicom.convert import deflated
from archive.dicom.elements import LONG_VRS, SHORT_VRS
from archive.dicom.encode import ENCODERS, MAX_IDENTIFIER_BYTES, Element, parse
from archive.errors import Misconfigured, UnreadableDataSet, UnreadableFile

_MAX_FILE_BYTES = MAX_IDENTIFIER_BYTES + (1 << 16)  # with its File Meta Information
_VRS = SHORT_VRS | LONG_VRS


@dataclass(frozen=True, slots=True)
class Asked:
    """One identifier."""

    elements: tuple[Element, ...]
    transfer_syntax: str = uids.EXPLICIT_VR_LITTLE_ENDIAN
    """Of the file that they came from."""

    def encoded(self, transfer_syntax: str, compression_level: int) -> bytes:
        """The identifier as it is sent."""
        encoder = ENCODERS[transfer_syntax]
        plain = encoder.nested(self.elements)
        return b"".join(deflated([plain], compression_level)) if encoder.encoding.is_deflated else plain


def check(options: QueryOptions) -> None:
    """Raise Misconfigured for a query file that cannot be read, as a mistake in the command line."""
    for file in options.files:
        if b"\0" in os.fsencode(file) or not os.access(file, os.R_OK):
            raise Misconfigured(f"cannot access file: {file}")


def asked(options: QueryOptions) -> tuple[Asked, ...]:
    """Every identifier that a command line asks with; raises Misconfigured for a key or a file that is none."""
    overriding = [keys.read(typed) for typed in options.keys]
    found = [_read(file) for file in options.files] or [Asked(())]
    applied = (replace(each, elements=keys.applied(each.elements, overriding)) for each in found)
    if not options.old_vrs_only:
        return tuple(applied)
    return tuple(replace(each, elements=keys.with_old_vrs(each.elements)) for each in applied)


def _read(file: Path) -> Asked:
    try:
        with file.open("rb") as opened:
            data = opened.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise Misconfigured(f"Bad DICOM file: {file}: {error.strerror}") from error
    try:
        if len(data) > _MAX_FILE_BYTES:
            raise UnreadableDataSet("It is larger than an identifier may be")
        meta = part10.read_meta(data)
        syntax = meta.transfer_syntax_uid or _guessed(data[meta.data_set_offset :])
        if syntax not in uids.BY_UID:
            raise UnreadableDataSet("Its transfer syntax is not known")
        found = parse(data[meta.data_set_offset :], syntax)
    except (UnreadableDataSet, UnreadableFile) as error:
        raise Misconfigured(f"Bad DICOM file: {file}: {error}") from error
    return Asked(tuple(found), syntax)


def _guessed(data: bytes) -> str:
    """How a bare data set is encoded, by its first element, as DCMTK's tools take any: it need not be an instance."""
    if len(data) < 8:
        raise UnreadableDataSet("This is not a DICOM file")
    little, big = struct.unpack_from("<H", data)[0], struct.unpack_from(">H", data)[0]
    if data[4:6].decode("latin-1") in _VRS:
        return uids.EXPLICIT_VR_LITTLE_ENDIAN if little <= big else uids.EXPLICIT_VR_BIG_ENDIAN
    return uids.IMPLICIT_VR_LITTLE_ENDIAN
