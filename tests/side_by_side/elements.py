"""Data sets with all that a writer decides about, byte by byte (PS3.5 7): lengths, group lengths, VRs, padding.

pydicom would write some of it otherwise, or not at all.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from tests.wire.raw_messages import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, SECONDARY_CAPTURE

_LONG_VRS = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF


@dataclass(frozen=True)
class Written:
    """How a data set is encoded."""

    transfer_syntax: str = EXPLICIT
    has_delimiters: bool = False
    """Of sequences and items, in place of their lengths."""
    has_group_lengths: bool = False
    """One of which is wrong."""
    has_unknown: bool = False
    """Elements of the dictionary have the VR UN."""

    @property
    def order(self) -> str:
        return ">" if self.transfer_syntax == BIG_ENDIAN else "<"

    def element(self, tag: int, vr: str, value: bytes, length: int | None = None) -> bytes:
        """One element; its length is that of the value unless told otherwise."""
        head = struct.pack(self.order + "HH", tag >> 16, tag & 0xFFFF)
        length = len(value) if length is None else length
        if self.transfer_syntax == IMPLICIT:
            return head + struct.pack("<I", length) + value
        if vr in _LONG_VRS:
            return head + vr.encode() + bytes(2) + struct.pack(self.order + "I", length) + value
        return head + vr.encode() + struct.pack(self.order + "H", length) + value

    def text(self, tag: int, vr: str, text: str) -> bytes:
        """One element of text, as long as it must be."""
        padding = "\0" if vr == "UI" else " "
        return self.element(tag, vr, (text + padding * (len(text) % 2)).encode("latin-1"))

    def numbers(self, tag: int, vr: str, form: str, *values: float) -> bytes:
        """One element of binary numbers."""
        return self.element(tag, vr, struct.pack(f"{self.order}{len(values)}{form}", *values))

    def sequence(self, tag: int, *items: bytes) -> bytes:
        """A sequence of encoded items."""
        if not self.has_delimiters:
            return self.element(tag, "SQ", b"".join(self._mark(_ITEM, len(item)) + item for item in items))
        ended = (self._mark(_ITEM, _UNDEFINED) + item + self._mark(_ITEM_END, 0) for item in items)
        return self.element(tag, "SQ", b"".join(ended) + self._mark(_SEQUENCE_END, 0), _UNDEFINED)

    def _mark(self, tag: int, length: int) -> bytes:
        return struct.pack(self.order + "HHI", tag >> 16, tag & 0xFFFF, length)

    def data_set(self, uid: str) -> bytes:
        """A Secondary Capture image with an element of many kinds."""
        groups = dict(self._groups(uid))
        content = b""
        for group, elements in groups.items():
            if self.has_group_lengths:
                length = len(elements) + (group == 0x0010)
                content += self.numbers(group << 16, "UL", "I", length)
            content += elements
        content += self.element(0xFFFCFFFC, "OB", bytes(6))  # Data Set Trailing Padding
        if self.transfer_syntax != DEFLATED:
            return content
        deflating = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        deflated = deflating.compress(content) + deflating.flush()
        return deflated + bytes(len(deflated) % 2)

    def _groups(self, uid: str) -> Iterator[tuple[int, bytes]]:
        text, numbers, element = self.text, self.numbers, self.element
        reference = text(0x00081150, "UI", SECONDARY_CAPTURE) + text(0x00081155, "UI", "1.2.3.4")
        nested = reference + self.sequence(0x0040A730, text(0x0040A160, "UT", "deep"))
        yield (
            0x0008,
            (
                text(0x00080005, "CS", "ISO_IR 100")
                + text(0x00080016, "UI", SECONDARY_CAPTURE)
                + text(0x00080018, "UI", uid)
                + text(0x00080050, "SH", "")
                + self.sequence(0x00081111, nested, b"")
                + self.sequence(0x00081115)
            ),
        )
        yield (
            0x0009,
            (
                text(0x00090010, "LO", "ACME 1")
                + text(0x00091001, "UT", "odd")
                + element(0x00091002, "UN", bytes(range(4)))
                + element(0x00091003, "OB", bytes(range(6)))
            ),
        )
        comments = element(0x00104000, "UN", b"comments") if self._says_unknown else b""
        yield 0x0010, text(0x00100010, "PN", "Müller^J A") + text(0x00100020, "LO", "PID") + comments
        frame_time = struct.pack("<d", 2.5)
        yield (
            0x0018,
            (
                text(0x00180050, "DS", "1.5")
                + (element(0x00189073, "UN", frame_time) if self._says_unknown else numbers(0x00189073, "FD", "d", 2.5))
            ),
        )
        yield 0x0020, text(0x0020000D, "UI", "1.2.3") + text(0x0020000E, "UI", "1.2.3.4") + text(0x00200013, "IS", "7")
        yield (
            0x0028,
            (
                b"".join(
                    numbers(0x00280000 + number, "US", "H", value)
                    for number, value in (
                        (0x2, 1),
                        (0x10, 4),
                        (0x11, 4),
                        (0x100, 16),
                        (0x101, 12),
                        (0x102, 11),
                        (0x103, 0),
                    )
                )
                + numbers(0x00280106, "US", "H", 3)
                + numbers(0x00283002, "US", "H", 256, 0, 16)
            ),
        )
        yield 0x6000, numbers(0x60000010, "US", "H", 4) + numbers(0x60003000, "OW", "H", 1, 2)
        yield 0x7FE0, numbers(0x7FE00010, "OW", "H", *range(16))

    @property
    def _says_unknown(self) -> bool:
        return self.has_unknown and self.transfer_syntax == EXPLICIT


ENCODINGS = (
    Written(),
    Written(has_delimiters=True, has_group_lengths=True),
    Written(has_unknown=True),
    Written(IMPLICIT),
    Written(IMPLICIT, has_delimiters=True, has_group_lengths=True),
    Written(BIG_ENDIAN),
    Written(BIG_ENDIAN, has_delimiters=True, has_group_lengths=True),
    Written(DEFLATED),
    Written(DEFLATED, has_delimiters=True, has_group_lengths=True),
)
