"""A file that is to be sent: is it an instance, and its data set in the transfer syntax that a peer takes.

Nothing of a file is in memory but its first bytes and one piece at a time. What is sent are the bytes of the file
wherever the peer takes its transfer syntax.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from archive.dicom import convert, part10, recognize, uids
from archive.dicom.header import is_implicit_vr
from archive.dicom.recognize import Recognized
from archive.errors import MissingUid, NotDicom, UnreadableDataSet, UnreadableFile
from archive.storage.sources import Source

if TYPE_CHECKING:
    from archive.dicom.edit import Edited

Form = Literal["any", "file", "data set"]
"""What is read: DICOM files and bare data sets, DICOM files only (PS3.10 7), or bare data sets only."""

# The header of all but a few objects, and all of a small one.
HEAD_BYTES = 65_536

# Read from the disk and written to the network by one system call each.
PIECE_BYTES = 1 << 20

# Of a data set that has to be written in another form before its elements can be given other values.
MOST_REWRITTEN_BYTES = 256 << 20

_SOP_CLASS_UID, _SOP_INSTANCE_UID = 0x00080016, 0x00080018
_PREFIX_END = len(part10.PREAMBLE) + len(part10.PREFIX)

# Looser than PS3.5 9.1: what a peer makes of a component with leading zeros is its business.
_SENDABLE_UID = re.compile(r"[0-9.]{1,64}")


@dataclass(frozen=True, slots=True)
class Encoding:
    """How data sets are sent that cannot, or must not, go as they are."""

    deflate_level: int = convert.DEFLATE_LEVEL
    old_vrs_only: bool = False
    """As `normal.EncodingOptions` says; every data set is then written anew."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An instance in a file that is open; a data set as it will be sent."""

    source: Source
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    head: bytes
    """The data set, or its beginning."""
    rest_at: int
    """Where in the file it goes on; the end of the file if `head` is all of it."""
    is_padded: bool = False
    """Whether a UID of the instance ends with spaces."""

    @property
    def size_bytes(self) -> int:
        """Of the data set."""
        return len(self.head) + max(0, self.source.size_bytes - self.rest_at)

    def close(self) -> None:
        """Give the file back; may be called twice."""
        self.source.close()

    def edited(self, values: Mapping[int, str]) -> "tuple[Outgoing, frozenset[int]]":
        """With other values, in ASCII, of these elements; and the tags that it has not. Raises UnreadableDataSet."""
        encoding = uids.encoding_of(self.transfer_syntax_uid)
        from archive.dicom import edit  # few are sent otherwise than they are

        if not (encoding.is_deflated or encoding.is_big_endian):
            is_implicit = is_implicit_vr(self.head, encoding.is_implicit)
            done = edit.edited(self.head, values, is_implicit=is_implicit)
            if done.is_sure:
                return self._with(done, values)
        # What is odd, or has its elements far behind, is written in a form in which all of them are found.
        rewritten = self._rewritten()
        done = edit.edited(rewritten.head, values, is_implicit=False)
        if not done.is_sure or _SOP_INSTANCE_UID in done.missing:
            raise UnreadableDataSet("Its elements cannot be given other values")
        return rewritten._with(done, values)

    def _with(self, done: "Edited", values: Mapping[int, str]) -> "tuple[Outgoing, frozenset[int]]":
        sop_instance_uid = values.get(_SOP_INSTANCE_UID, self.sop_instance_uid)
        return replace(self, head=done.data_set, sop_instance_uid=sop_instance_uid), done.missing

    def with_clean_uids(self) -> "Outgoing":
        """With NUL for the spaces that pad its UIDs, as PS3.5 9.1 has it."""
        values = {_SOP_CLASS_UID: self.sop_class_uid, _SOP_INSTANCE_UID: self.sop_instance_uid}
        return replace(self.edited(values)[0], is_padded=False) if self.is_padded else self

    def _rewritten(self) -> "Outgoing":
        """The whole data set in explicit VR little endian, in memory. Raises UnreadableDataSet or CannotConvert."""
        written = bytearray()
        for piece in convert.convert(_Reader(self), self.transfer_syntax_uid, uids.EXPLICIT_VR_LITTLE_ENDIAN):
            written += piece
            if len(written) > MOST_REWRITTEN_BYTES:
                raise UnreadableDataSet("It is too long for another transfer syntax and other values at once")
        syntax, end = uids.EXPLICIT_VR_LITTLE_ENDIAN, self.source.size_bytes
        return replace(self, transfer_syntax_uid=syntax, head=bytes(written), rest_at=end)

    def data_set(
        self, target_syntax: str, encoding: Encoding, buffer: memoryview
    ) -> bytes | Iterator[bytes | memoryview]:
        """The data set in a transfer syntax, whole or piece by piece; `buffer` is used for them.

        Raises CannotConvert and UnreadableDataSet, and UnreadableFile; late only where it is long.
        """
        is_same = target_syntax == self.transfer_syntax_uid
        if is_same and not encoding.old_vrs_only:
            return self.head if self.rest_at >= self.source.size_bytes else self._raw(buffer)
        if encoding.old_vrs_only:
            pieces = self._with_old_vrs(None if is_same else target_syntax, encoding.deflate_level)
        else:
            pieces = convert.convert(
                _Reader(self), self.transfer_syntax_uid, target_syntax, deflate_level=encoding.deflate_level
            )
        return convert.gathered(pieces)

    def _with_old_vrs(self, target_syntax: str | None, deflate_level: int) -> Iterator[bytes]:
        from archive.dicom import normal  # few are sent so

        options = normal.EncodingOptions(target_syntax, old_vrs_only=True, deflate_level=deflate_level)
        return normal.normalised(lambda: _Reader(self).read, self.transfer_syntax_uid, options)

    def _raw(self, buffer: memoryview) -> Iterator[bytes | memoryview]:
        """The data set as it is; each piece is dead when the next is asked for."""
        yield self.head
        position, end = self.rest_at, self.source.size_bytes
        while position < end:
            count = self.source.read_into(buffer[: end - position], position)
            if not count:
                raise UnreadableFile("The file has become shorter while it was sent")
            yield buffer[:count]
            position += count


class _Reader:
    """Reads the data set of an instance front to back."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._head = convert.BufferReader(outgoing.head)
        self._source = outgoing.source
        self._position = outgoing.rest_at

    def read(self, size_bytes: int) -> bytes:
        """Up to `size_bytes`, fewer only at the end."""
        data = self._head.read(size_bytes)
        wanted = size_bytes - len(data)
        if not wanted or self._position >= self._source.size_bytes:
            return data
        more = self._source.read(self._position, wanted)
        self._position += len(more)
        return data + more if data else more


def open_outgoing(path: str, form: Form = "any") -> Outgoing:
    """The instance in a file, to be closed. Raises UnreadableFile, UnreadableDataSet and MissingUid.

    NotDicom where the file need not be an instance. A symbolic link is followed.
    """
    source = Source(path, follows_links=True)
    try:
        return _examined(source, form)
    except BaseException:
        source.close()
        raise


def _examined(source: Source, form: Form) -> Outgoing:
    if source.size_bytes == 0:
        raise NotDicom("The file is empty")
    head = source.read(0, min(HEAD_BYTES, source.size_bytes))
    recognized = recognize.recognize(head)
    if recognized.media_storage_sop_class_uid == recognize.MEDIA_STORAGE_DIRECTORY:
        raise NotDicom("A DICOMDIR lists instances, and is none")
    _require_form(head, recognized, form)
    header, head = recognize.scan(head, recognized, source.read, source.size_bytes)

    def read(position: int, most_bytes: int) -> bytes:
        if position + most_bytes <= len(head) or len(head) >= source.size_bytes:
            return head[position : position + most_bytes]
        return source.read(position, most_bytes)

    if recognize.is_cut_short(header, recognized, read, source.size_bytes):
        raise UnreadableDataSet("The file ends before its pixels do")
    raw_uids = [value or b"" for value in header.raws((_SOP_CLASS_UID, _SOP_INSTANCE_UID))]
    sop_class_uid, sop_instance_uid = (value.decode("latin-1").strip(" \0") for value in raw_uids)
    if not recognized.has_meta and not sop_class_uid:
        raise NotDicom("This is not a DICOM file")
    for name, uid in (("SOP Class", sop_class_uid), ("SOP Instance", sop_instance_uid)):
        if not _SENDABLE_UID.fullmatch(uid):
            raise MissingUid(f"The {name} UID is {'malformed' if uid else 'missing'}")
    return Outgoing(
        source,
        sop_class_uid,
        sop_instance_uid,
        recognized.transfer_syntax_uid,
        head[recognized.data_set_offset :] if recognized.data_set_offset else head,
        rest_at=len(head),
        is_padded=any(value.rstrip(b"\0").endswith(b" ") for value in raw_uids),
    )


def _require_form(head: bytes, recognized: Recognized, form: Form) -> None:
    if form == "file" and not recognized.has_meta:
        raise UnreadableDataSet("It has no File Meta Information")
    if form == "data set" and (recognized.data_set_offset or head[:_PREFIX_END].endswith(part10.PREFIX)):
        raise UnreadableDataSet("It has File Meta Information, and is no bare data set")
