"""Write a data set anew by chosen rules: transfer syntax, lengths, group lengths, padding, VRs (PS3.5 7, annex A).

The rules and their defaults are those of DCMTK's writer. A defined length stands before what it counts, so the data set
is read twice: the first time to learn the lengths, four bytes each, the second time to write. Values pass in pieces of
a megabyte at most. What is malformed is refused, and what is well formed keeps its values: they only get an even
length, and another byte order where that changes. Elements stay in the order in which they came.
"""

import struct
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from archive import errors
from archive.dicom.convert import CONVERTIBLE, DEFLATE_LEVEL, Frame, Inflating, Read, Walk, deflated
from archive.dicom.elements import (
    ITEM,
    LATER_VRS,
    MAX_SHORT_LENGTH,
    NUL_PADDED_VRS,
    PIXEL_GROUP,
    SEQUENCE_DELIMITATION,
    SHORT_VRS,
    TEXT_VRS,
    UNDEFINED_LENGTH,
    WORD_BYTES,
    swapped,
    vr_of,
)
from archive.dicom.header import is_implicit_vr
from archive.dicom.uids import BY_UID, Encoding, Kind, encoding_of

MAX_ELEMENTS = 1 << 22  # elements, items and fragments; each takes some ten microseconds
MAX_INFLATED_BYTES = 1 << 32  # of a deflated data set: as long as one value may be
MAX_PADDING_BYTES = 1 << 16
_PADDING_TAG = 0xFFFCFFFC  # Data Set Trailing Padding (PS3.10 7.2)
_PADDING_GROUP = 0xFFFC
_FOREIGN_GROUPS = (0x0000, 0x0002)  # of commands and of File Meta Information: not of a data set (PS3.5 7.1)
_NOTED_BYTES = 2  # longer values need not be seen to learn the lengths
_ITEM_HEAD = struct.Struct("<HHI").unpack  # compressed pixels are in little endian (PS3.5 A.4)
_CAN_BE_NATIVE = (Kind.LOSSLESS, Kind.LOSSY, Kind.VIDEO)


class GroupLengths(StrEnum):
    """What becomes of group length elements (gggg,0000), which are retired (PS3.5 7.2)."""

    RECALCULATE = "recalculate"  # those that are there
    CREATE = "create"  # for every group
    REMOVE = "remove"


class SequenceLengths(StrEnum):
    """Whether sequences and items begin with their length or end with a delimitation item (PS3.5 7.5)."""

    EXPLICIT = "explicit"
    UNDEFINED = "undefined"


@dataclass(frozen=True, slots=True)
class EncodingOptions:
    """How data sets are written anew. Raises Misconfigured for what cannot be."""

    transfer_syntax_uid: str | None = None
    """One of the uncompressed ones or deflated; None is the one in which a data set came."""
    group_lengths: GroupLengths = GroupLengths.RECALCULATE
    sequence_lengths: SequenceLengths = SequenceLengths.EXPLICIT
    file_padding_bytes: int = 0
    """Files become a multiple of this by Data Set Trailing Padding, before they are deflated; 0 is no padding."""
    item_padding_bytes: int = 0
    """The same for each item of a sequence, without its head."""
    old_vrs_only: bool = False
    """Write OB for the VRs that came after 1993: OD, OF, OL, OV, SV, UC, UN, UR, UT, UV."""
    converts_un: bool = False
    """Give elements of VR UN, where their length is defined, the VR of the dictionary."""
    deflate_level: int = DEFLATE_LEVEL
    """0 (fast) to 9 (small)."""

    def __post_init__(self) -> None:
        if self.transfer_syntax_uid not in (None, *CONVERTIBLE):
            raise errors.Misconfigured("Data sets cannot be written in this syntax", uid=self.transfer_syntax_uid)
        for size_bytes in (self.file_padding_bytes, self.item_padding_bytes):
            if not 0 <= size_bytes <= MAX_PADDING_BYTES or size_bytes % 2:
                raise errors.Misconfigured(
                    f"Padding is to an even number of bytes up to {MAX_PADDING_BYTES}; 0 is none", bytes=size_bytes
                )
        if not 0 <= self.deflate_level <= 9:
            raise errors.Misconfigured("A deflate level is 0 to 9", level=self.deflate_level)

    def written_syntax(self, received_syntax: str) -> str:
        """The transfer syntax in which a data set is written."""
        return self.transfer_syntax_uid or received_syntax


AS_DCMTK = EncodingOptions()
AS_DCMTKS_LIBRARY = EncodingOptions(sequence_lengths=SequenceLengths.UNDEFINED)
"""As programs of DCMTK without options about the encoding have it: dcmrecv and getscu."""


def normalised(
    begin: Callable[[], Read], received_syntax: str, options: EncodingOptions, *, offset_bytes: int = 0
) -> Iterator[bytes]:
    """The data set anew, piece by piece; in the transfer syntax `options.written_syntax(received_syntax)`.

    Each call of `begin` gives a read of the data set from its beginning. `offset_bytes` lie before the data set in its
    file. Raises `CannotConvert` where pixels are compressed and the transfer syntax changes, and `UnreadableDataSet`
    where the data set is malformed: both at once, before the first piece.
    """
    written_syntax = options.written_syntax(received_syntax)
    is_same = written_syntax == received_syntax
    if not (is_same or _may_change(received_syntax)):
        raise errors.CannotConvert(
            "It cannot be written in the transfer syntax of the area",
            received=received_syntax,
            written=written_syntax,
        )
    source, target = encoding_of(received_syntax), encoding_of(written_syntax)
    if not source.is_deflated and not source.is_big_endian:
        source = Encoding(is_implicit=is_implicit_vr(begin()(8), source.is_implicit))
    keeps_fragments = is_same and received_syntax not in CONVERTIBLE

    def rewrite(lengths: "array[int] | None") -> _Rewrite:
        read = Inflating(begin()).read if source.is_deflated else begin()
        return _Rewrite(read, source, target, options, lengths, offset_bytes, keeps_fragments=keeps_fragments)

    first = rewrite(None)
    for _ in first.pieces():
        pass
    pieces = rewrite(first.lengths).pieces()
    return deflated(pieces, options.deflate_level) if target.is_deflated else pieces


def _may_change(received_syntax: str) -> bool:
    """Whether data sets in this transfer syntax can be in another one, unless their pixels are encapsulated."""
    known = BY_UID.get(received_syntax)
    return received_syntax in CONVERTIBLE or (known is not None and known.kind in _CAN_BE_NATIVE)


@dataclass(slots=True)
class _Open:
    """What is open in the target: the data set, a sequence or an item."""

    slot: int  # where its length is in `lengths`; -1 if it is undefined
    start: int  # of its content, in bytes written
    group: int = -1
    highest_group: int = -1
    group_slot: int = -1  # of the group length of `group`; -1 if there is none
    group_start: int = 0


class _Rewrite(Walk):
    """One reading of the data set; the first one measures, and what it yields is worth nothing."""

    def __init__(
        self,
        read: Read,
        source: Encoding,
        target: Encoding,
        options: EncodingOptions,
        lengths: "array[int] | None",
        offset_bytes: int,
        *,
        keeps_fragments: bool,
    ) -> None:
        super().__init__(read, source, target, max_elements=MAX_ELEMENTS)
        self._options = options
        self._is_measuring = lengths is None
        self.lengths = array("I") if lengths is None else lengths
        self._slots = 0  # of `lengths` taken
        self._offset_bytes = offset_bytes
        self._keeps_fragments = keeps_fragments
        self._limit_bytes = MAX_INFLATED_BYTES if source.is_deflated else None
        self._open = [_Open(-1, 0)]

    # Lengths

    def _new_slot(self) -> int:
        if self._is_measuring:
            self.lengths.append(0)
        self._slots += 1
        return self._slots - 1

    def _measured(self, slot: int, size_bytes: int) -> None:
        if self._is_measuring and slot >= 0:
            self.lengths[slot] = min(size_bytes, UNDEFINED_LENGTH)  # beyond 32 bits it has to be undefined

    def _begin(self, head: Callable[[int], bytes], *, must_be_undefined: bool = False) -> bytes:
        is_explicit = self._options.sequence_lengths is SequenceLengths.EXPLICIT and not must_be_undefined
        slot = self._new_slot() if is_explicit else -1
        begun = head(self.lengths[slot] if is_explicit else UNDEFINED_LENGTH)
        self._open.append(_Open(slot, self.written_bytes + len(begun)))
        return begun

    def _item_head(self) -> bytes:
        return self._begin(lambda length: self._implicit(ITEM >> 16, ITEM & 0xFFFF, length))

    def _sequence_head(self, tag: int) -> bytes:
        # In implicit VR an undefined length is all that tells a private sequence from a value.
        is_hidden = self._target.is_implicit and vr_of(tag) != "SQ"
        return self._begin(lambda length: self._head(tag, "SQ", length), must_be_undefined=is_hidden)

    def _delimiter(self, *, is_sequence: bool) -> bytes:
        ended = self._open.pop()
        self._end_group(ended)
        size_bytes = self.written_bytes - ended.start
        padding = b"" if is_sequence else self._padding(size_bytes, self._options.item_padding_bytes)
        self._measured(ended.slot, size_bytes + len(padding))
        if ended.slot >= 0 and self.lengths[ended.slot] != UNDEFINED_LENGTH:
            return padding
        return padding + super()._delimiter(is_sequence=is_sequence)

    def _padding(self, size_bytes: int, multiple_bytes: int) -> bytes:
        """Data Set Trailing Padding that makes `size_bytes` a multiple."""
        over_bytes = size_bytes % multiple_bytes if multiple_bytes else 0
        if over_bytes == 0:
            return b""
        head_bytes = len(self._head(_PADDING_TAG, "OB", 0))
        room_bytes = multiple_bytes - over_bytes
        while room_bytes < head_bytes:
            room_bytes += multiple_bytes
        return self._head(_PADDING_TAG, "OB", room_bytes - head_bytes) + bytes(room_bytes - head_bytes)

    # Groups

    def _end_group(self, opened: _Open) -> None:
        self._measured(opened.group_slot, self.written_bytes - opened.group_start)
        opened.group_slot = -1

    def _group_length(self, opened: _Open, group: int) -> Iterator[bytes]:
        slot = self._new_slot()
        length = self.lengths[slot]
        if length == UNDEFINED_LENGTH:
            return  # more than it can say
        value = length.to_bytes(4, "big" if self._target.is_big_endian else "little")
        yield self._head(group << 16, "UL", 4) + value
        opened.group_slot, opened.group_start = slot, self.written_bytes

    # Elements

    def _parts(self) -> Iterator[bytes]:
        yield from super()._parts()
        self._end_group(self._open[0])
        if self.written_bytes:
            yield self._padding(self._offset_bytes + self.written_bytes, self._options.file_padding_bytes)

    def _element(self, tag: int, head: bytes) -> Iterator[bytes]:
        frame, opened = self._frames[-1], self._open[-1]
        if frame.is_sequence:
            raise errors.UnreadableDataSet(reason=f"element {tag:08X} where an item was due", at=self.position)
        vr, length = self._vr_and_length(frame, tag, head)
        group, number = tag >> 16, tag & 0xFFFF
        mode = self._options.group_lengths
        if (
            group == _PADDING_GROUP
            or (number == 0 and mode is not GroupLengths.RECALCULATE)
            or (len(self._frames) == 1 and group in _FOREIGN_GROUPS)
        ):
            self._drop(tag, length)
            return
        is_new_group = group != opened.group
        if is_new_group:
            self._end_group(opened)
            opened.group = group
            is_first = group > opened.highest_group  # else the groups are out of order
            opened.highest_group = max(group, opened.highest_group)
            if mode is GroupLengths.CREATE and is_first:
                yield from self._group_length(opened, group)
        if number == 0:
            self._drop(tag, length)
            if is_new_group:
                yield from self._group_length(opened, group)
            return
        yield from self._kept(frame, tag, vr, length, is_un=head[4:6] == b"UN" and not frame.encoding.is_implicit)

    def _kept(self, frame: Frame, tag: int, vr: str, length: int, *, is_un: bool) -> Iterator[bytes]:
        if vr == "SQ" or length == UNDEFINED_LENGTH:
            if vr in ("OB", "OW") or tag >> 16 == PIXEL_GROUP:
                yield from self._fragments(tag)
            else:
                yield self._open_sequence(frame, tag, vr, length)
            return
        is_big_endian = frame.encoding.is_big_endian
        if is_un:
            is_big_endian = False  # whatever is around it (PS3.5 6.2.2)
            if self._options.converts_un:
                vr = self._known_vr(frame, tag, length)
                if vr == "SQ":
                    yield self._open_sequence(frame, tag, "UN", length)
                    return
        yield from self._value_of(frame, tag, vr, length, is_big_endian=is_big_endian)

    def _known_vr(self, frame: Frame, tag: int, length: int) -> str:
        """The VR of an element that came as UN; UN where nobody knows it, or its value cannot be of that VR."""
        vr = frame.vr_of(tag)
        return "UN" if length % WORD_BYTES.get(vr, 1) else vr

    def _value_of(self, frame: Frame, tag: int, vr: str, length: int, *, is_big_endian: bool) -> Iterator[bytes]:
        """An element that is no sequence; its value lies in the source in the given byte order."""
        even_length = length + (length & 1)
        word_bytes = WORD_BYTES.get(vr, 1)
        is_turned = is_big_endian != self._target.is_big_endian
        written_vr = vr
        if even_length > MAX_SHORT_LENGTH and vr in SHORT_VRS and not self._target.is_implicit:
            written_vr, is_turned = "UN", is_big_endian  # too long for its length field: UN, in little endian
        if self._options.old_vrs_only and written_vr in LATER_VRS:
            written_vr = "OB"
        yield self._head(tag, written_vr, even_length)
        if self._is_measuring and length != _NOTED_BYTES:
            self._pass_over(length)
            self.written_bytes += even_length
            return
        for piece in self._value(length):
            if length == _NOTED_BYTES:
                self._take_note(frame, tag, piece)
            yield swapped(piece, word_bytes) if is_turned else piece
        if length & 1:
            yield b" " if vr in TEXT_VRS and vr not in NUL_PADDED_VRS else b"\0"

    def _fragments(self, tag: int) -> Iterator[bytes]:
        """Encapsulated pixels as they are (PS3.5 A.4)."""
        if not self._keeps_fragments:
            raise errors.CannotConvert("Compressed pixels do not fit the transfer syntax of the area", tag=f"{tag:08X}")
        yield self._head(tag, "OB", UNDEFINED_LENGTH)
        while True:
            self._count()
            head = self._exactly(8)
            group, number, length = _ITEM_HEAD(head)
            found = group << 16 | number
            if found == SEQUENCE_DELIMITATION:
                yield super()._delimiter(is_sequence=True)
                return
            if found != ITEM or length == UNDEFINED_LENGTH:
                raise errors.UnreadableDataSet(reason="no fragment where one was due", at=self.position)
            yield head
            if self._is_measuring:
                self._pass_over(length)
                self.written_bytes += length
            else:
                yield from self._value(length)

    # Reading

    def _drop(self, tag: int, length: int) -> None:
        if length == UNDEFINED_LENGTH:
            raise errors.UnreadableDataSet(reason=f"element {tag:08X} of undefined length", at=self.position)
        self._pass_over(length)

    def _pass_over(self, length: int) -> None:
        for _ in self._value(length):
            pass

    def _exactly(self, size_bytes: int) -> bytes:
        if self._limit_bytes is not None and self.position > self._limit_bytes:
            raise errors.UnreadableDataSet(reason="inflates beyond the limit", limit_bytes=self._limit_bytes)
        return super()._exactly(size_bytes)
