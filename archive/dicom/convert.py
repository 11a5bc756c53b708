"""Rewrite a data set from one uncompressed transfer syntax to another, as a stream.

Implicit and explicit VR, little and big endian, deflated or not (PS3.5 annex A). A value of any size passes in pieces:
memory is a few megabytes whatever the object. Sequences and items come out with undefined length, as their new length
is known only at their end; group lengths are dropped, as they would be wrong; all else keeps its value. Encapsulated
pixels are not ours to change: `CannotConvert`.

`Walk` is also the plain lane of the header scan, which sends through it whatever its fast lane does not understand.
"""

import itertools
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from mmap import mmap
from typing import Protocol

from archive import errors
from archive.dicom.elements import (
    ITEM,
    ITEM_DELIMITATION,
    LONG_VRS,
    MAX_DEPTH,
    MAX_SHORT_LENGTH,
    PIXEL_GROUP,
    SEQUENCE_DELIMITATION,
    SHORT_VRS,
    UNDEFINED_LENGTH,
    WORD_BYTES,
    chosen_vr,
    swapped,
    vr_of,
)
from archive.dicom.uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Encoding,
    encoding_of,
)

# What is written is gathered up to this size before its first byte is sent; what is longer is sent as it comes.
WHOLE_BYTES = 16 << 20

CONVERTIBLE = frozenset(
    (
        EXPLICIT_VR_LITTLE_ENDIAN,
        IMPLICIT_VR_LITTLE_ENDIAN,
        DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_BIG_ENDIAN,
    )
)
DEFLATE_LEVEL = 6
CHUNK_BYTES = 1 << 20  # of a long value; a multiple of every word size
_GATHER_BYTES = 1 << 16  # small elements leave together
_BITS_ALLOCATED = 0x00280100
_PIXEL_REPRESENTATION = 0x00280103
_WAVEFORM_BITS_ALLOCATED = 0x54001004
_PADDING = bytes(8)
_NESTED_IMPLICIT = Encoding(is_implicit=True)

Read = Callable[[int], bytes]  # gives fewer bytes than asked for only at the end


def can_convert(source_syntax: str, target_syntax: str) -> bool:
    """Whether `convert` knows both transfer syntaxes."""
    return source_syntax in CONVERTIBLE and target_syntax in CONVERTIBLE


class Readable(Protocol):
    """What a data set is read from: it gives fewer bytes than asked for only at the end."""

    def read(self, size_bytes: int, /) -> bytes:
        """The next bytes."""
        ...


def convert(
    source: Readable, source_syntax: str, target_syntax: str, *, deflate_level: int = DEFLATE_LEVEL
) -> Iterator[bytes]:
    """The data set that `source` is positioned at, in `target_syntax`, piece by piece.

    Raises `CannotConvert`, at once for an unsuitable transfer syntax, later for encapsulated pixels, and
    `UnreadableDataSet` when the data set is damaged; the pieces already given are then worthless.
    """
    if not can_convert(source_syntax, target_syntax):
        raise errors.CannotConvert(source=source_syntax, target=target_syntax)
    old, new = encoding_of(source_syntax), encoding_of(target_syntax)
    read = Inflating(source.read).read if old.is_deflated else source.read
    if replace(old, is_deflated=False) == replace(new, is_deflated=False):
        pieces = iter(lambda: read(CHUNK_BYTES), b"")
    else:
        pieces = Walk(read, old, new).pieces()
    return deflated(pieces, deflate_level) if new.is_deflated else pieces


def gathered(pieces: Iterable[bytes]) -> bytes | Iterator[bytes]:
    """What is written, as a whole if it is short, so that what cannot be converted fails before anything is sent.

    How much comes out is not told by what goes in: deflated data may be a thousand times as long as they were.
    """
    coming = iter(pieces)
    whole = bytearray()
    for piece in coming:
        whole += piece
        if len(whole) > WHOLE_BYTES:
            return itertools.chain((bytes(whole),), coming)
    return bytes(whole)


def deflated(pieces: Iterable[bytes], level: int = DEFLATE_LEVEL) -> Iterator[bytes]:
    """Deflate without a zlib header, padded to an even length (PS3.5 A.5); `level` 0 (fast) to 9 (small)."""
    deflate = zlib.compressobj(level, wbits=-zlib.MAX_WBITS)
    length_bytes = 0
    for piece in pieces:
        packed = deflate.compress(piece)
        length_bytes += len(packed)
        if packed:
            yield packed
    last = deflate.flush()
    yield last + bytes((length_bytes + len(last)) & 1)


class Inflating:
    """Read from a deflated stream (PS3.5 A.5); never inflates more than was asked for."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._inflate = zlib.decompressobj(wbits=-zlib.MAX_WBITS)

    @property
    def is_at_end(self) -> bool:
        """Whether the stream ended by itself, and not because no more was given."""
        return self._inflate.eof

    def read(self, size_bytes: int) -> bytes:
        """Up to `size_bytes`; fewer only at the end."""
        parts: list[bytes] = []
        wanted = size_bytes
        while wanted > 0 and not self._inflate.eof:
            packed = self._inflate.unconsumed_tail or self._read(_GATHER_BYTES)
            try:
                part = self._inflate.decompress(packed, wanted)
            except zlib.error as error:
                raise errors.UnreadableDataSet(reason=f"deflated: {error}") from None
            if not part and not packed:
                break
            parts.append(part)
            wanted -= len(part)
        return b"".join(parts)


class BufferReader:
    """Reads a buffer front to back, as a file is read, without copying it as a whole."""

    def __init__(self, buffer: bytes | bytearray | memoryview | mmap) -> None:
        self._buffer = buffer
        self._position = 0

    def read(self, size_bytes: int) -> bytes:
        """Up to `size_bytes`, fewer at the end."""
        start = self._position
        self._position = min(start + size_bytes, len(self._buffer))
        return bytes(self._buffer[start : self._position])


class CutShort(Exception):
    """The data ended inside an element."""


@dataclass(slots=True)
class Frame:
    """An open data set, item or sequence; `end` is its last position, None if a delimitation item ends it."""

    encoding: Encoding
    end: int | None = None
    is_sequence: bool = False
    pixel_representation: int = 0
    bits_allocated: int = 0
    waveform_bits: int = 0

    def vr_of(self, tag: int) -> str:
        """The VR of an element that does not say it, by the dictionary and the elements before it."""
        return chosen_vr(
            vr_of(tag),
            tag,
            pixel_representation=self.pixel_representation,
            bits_allocated=self.bits_allocated,
            waveform_bits=self.waveform_bits,
        )


class Walk:
    """One pass over a data set, element by element, from one encoding into another."""

    def __init__(
        self,
        read: Read,
        source: Encoding,
        target: Encoding,
        *,
        stops_before_pixels: bool = False,
        max_elements: int | None = None,
    ) -> None:
        self._read = read
        self._left = max_elements
        self._target = target
        self._stops_before_pixels = stops_before_pixels
        self._frames = [Frame(source)]
        order = ">" if target.is_big_endian else "<"
        self._short = struct.Struct(order + "HH2sH").pack
        self._long = struct.Struct(order + "HH2sHI").pack
        self._implicit = struct.Struct(order + "HHI").pack
        self.position = 0  # in the source
        self.reached_pixels = False
        self.written_bytes = 0
        self.whole_bytes = 0  # written when the last top-level element was complete

    def pieces(self) -> Iterator[bytes]:
        """The converted data set. Raises `UnreadableDataSet`, also when it is cut short, and `CannotConvert`."""
        try:
            yield from self.steps()
        except CutShort:
            raise errors.UnreadableDataSet(reason="cut short", at=self.position) from None

    def steps(self) -> Iterator[bytes]:
        """As `pieces`, but lets `CutShort` pass, so that what was whole can be used."""
        gathered: list[bytes] = []
        gathered_bytes = 0
        try:
            for part in self._elements():
                gathered.append(part)
                gathered_bytes += len(part)
                if gathered_bytes >= _GATHER_BYTES:
                    yield b"".join(gathered)
                    gathered.clear()
                    gathered_bytes = 0
        except CutShort:
            yield b"".join(gathered)
            raise
        if gathered:
            yield b"".join(gathered)

    def _elements(self) -> Iterator[bytes]:
        for part in self._parts():
            self.written_bytes += len(part)
            yield part

    def _parts(self) -> Iterator[bytes]:
        frames = self._frames
        while True:
            frame = frames[-1]
            if frame.end is not None and self.position >= frame.end:
                if self.position > frame.end:
                    raise errors.UnreadableDataSet(reason="an element is longer than its item", at=self.position)
                yield self._close()
                continue
            if len(frames) == 1:
                self.whole_bytes = self.written_bytes
            self._count()
            head = self._read(8)
            if len(head) < 8 or (len(frames) == 1 and head == _PADDING):
                if len(frames) == 1:
                    return  # what is shorter than an element, or all zero, is padding
                raise CutShort
            self.position += 8
            group, element = struct.unpack_from(">HH" if frame.encoding.is_big_endian else "<HH", head)
            tag = group << 16 | element
            if group == 0xFFFE:
                yield self._item(tag, head)
            elif self._stops_before_pixels and group == PIXEL_GROUP and len(frames) == 1:
                self.reached_pixels = True
                return
            else:
                yield from self._element(tag, head)

    def _count(self) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise errors.UnreadableDataSet(reason="too many elements", at=self.position)

    def _item(self, tag: int, head: bytes) -> bytes:
        """An item begins, or a delimitation item ends what is open (PS3.5 7.5)."""
        frame = self._frames[-1]
        (length,) = struct.unpack_from(">I" if frame.encoding.is_big_endian else "<I", head, 4)
        if tag == ITEM and frame.is_sequence:
            self._frames.append(replace(frame, is_sequence=False, end=self._end(length)))
            return self._item_head()
        closes = SEQUENCE_DELIMITATION if frame.is_sequence else ITEM_DELIMITATION
        if tag == closes and len(self._frames) > 1:
            return self._close()
        raise errors.UnreadableDataSet(reason=f"misplaced item tag {tag:08X}", at=self.position)

    def _close(self) -> bytes:
        return self._delimiter(is_sequence=self._frames.pop().is_sequence)

    def _item_head(self) -> bytes:
        """What is written where an item begins."""
        return self._implicit(ITEM >> 16, ITEM & 0xFFFF, UNDEFINED_LENGTH)

    def _sequence_head(self, tag: int) -> bytes:
        """What is written where a sequence begins."""
        return self._head(tag, "SQ", UNDEFINED_LENGTH)

    def _delimiter(self, *, is_sequence: bool) -> bytes:
        """What is written where a sequence or an item ends."""
        tag = SEQUENCE_DELIMITATION if is_sequence else ITEM_DELIMITATION
        return self._implicit(tag >> 16, tag & 0xFFFF, 0)

    def _head(self, tag: int, vr: str, length: int) -> bytes:
        """Tag, VR and length as the target has them; the length fits the VR."""
        if self._target.is_implicit:
            return self._implicit(tag >> 16, tag & 0xFFFF, length)
        if vr in SHORT_VRS:
            return self._short(tag >> 16, tag & 0xFFFF, vr.encode(), length)
        return self._long(tag >> 16, tag & 0xFFFF, vr.encode(), 0, length)

    def _end(self, length: int) -> int | None:
        if length == UNDEFINED_LENGTH:
            return None
        # An item may claim to be longer than what it is in; that ends first.
        within = self._frames[-1].end
        end = self.position + length
        return end if within is None else min(end, within)

    def _element(self, tag: int, head: bytes) -> Iterator[bytes]:
        frame = self._frames[-1]
        if frame.is_sequence:
            raise errors.UnreadableDataSet(reason=f"element {tag:08X} where an item was due", at=self.position)
        vr, length = self._vr_and_length(frame, tag, head)
        if vr == "SQ" or length == UNDEFINED_LENGTH:
            if vr in ("OB", "OW") or tag >> 16 == PIXEL_GROUP:
                raise errors.CannotConvert(reason="encapsulated pixel data", tag=f"{tag:08X}")
            yield self._open_sequence(frame, tag, vr, length)
        elif tag & 0xFFFF == 0:
            for _ in self._value(length):
                pass  # a group length
        else:
            yield from self._plain(frame, tag, vr, length)

    def _vr_and_length(self, frame: Frame, tag: int, head: bytes) -> tuple[str, int]:
        order = ">" if frame.encoding.is_big_endian else "<"
        if frame.encoding.is_implicit:
            return frame.vr_of(tag), struct.unpack_from(order + "I", head, 4)[0]
        vr = head[4:6].decode("latin-1")
        (length,) = struct.unpack_from(order + "H", head, 6)
        is_known = vr in SHORT_VRS or vr in LONG_VRS
        # A VR nobody knows: a new one has 32 bits behind two zero bytes; what is no VR at all is written with 16 bits.
        if vr in LONG_VRS or (not is_known and length == 0 and vr.isascii() and vr.isalpha() and vr.isupper()):
            (length,) = struct.unpack(order + "I", self._exactly(4))
        return (vr if is_known else "UN"), length

    def _open_sequence(self, frame: Frame, tag: int, vr: str, length: int) -> bytes:
        if len(self._frames) >= 2 * MAX_DEPTH:
            raise errors.UnreadableDataSet(reason="sequences nested too deeply", at=self.position)
        # A sequence of VR UN is implicit VR little endian inside, whatever is around it (PS3.5 6.2.2).
        encoding = _NESTED_IMPLICIT if vr == "UN" else frame.encoding
        self._frames.append(replace(frame, encoding=encoding, is_sequence=True, end=self._end(length)))
        return self._sequence_head(tag)

    def _plain(self, frame: Frame, tag: int, vr: str, length: int) -> Iterator[bytes]:
        word_bytes = WORD_BYTES.get(vr, 1)
        if length > MAX_SHORT_LENGTH and vr in SHORT_VRS and not self._target.is_implicit:
            # too long for its length field: UN, in little endian (PS3.5 6.2.2)
            vr, word_bytes = "UN", word_bytes if frame.encoding.is_big_endian else 1
        yield self._head(tag, vr, length)
        if frame.encoding.is_big_endian == self._target.is_big_endian:
            word_bytes = 1
        for piece in self._value(length):
            if length == 2:
                self._take_note(frame, tag, piece)
            yield swapped(piece, word_bytes)

    def _take_note(self, frame: Frame, tag: int, value: bytes) -> None:
        """Remember what later VRs depend on."""
        number = int.from_bytes(value, "big" if frame.encoding.is_big_endian else "little")
        if tag == _BITS_ALLOCATED:
            frame.bits_allocated = number
        elif tag == _PIXEL_REPRESENTATION:
            frame.pixel_representation = number
        elif tag == _WAVEFORM_BITS_ALLOCATED:
            frame.waveform_bits = number

    def _value(self, length: int) -> Iterator[bytes]:
        while length > 0:
            piece = self._exactly(min(length, CHUNK_BYTES))
            yield piece
            length -= len(piece)

    def _exactly(self, size_bytes: int) -> bytes:
        data = self._read(size_bytes)
        if len(data) < size_bytes:
            raise CutShort
        self.position += size_bytes
        return data
