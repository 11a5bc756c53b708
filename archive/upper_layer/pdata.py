"""Cut messages into P-DATA-TF PDUs and P-DATA-TF bodies into fragments (PS3.8 9.3.5 and annex E); pure.

Knows lengths and the message control header; what the fragments mean is dimse's business. Data is never joined:
a fragment is a memoryview of the buffer it arrived in, and what is sent is a list of buffers for one gathered write.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from archive.errors import MalformedPdu
from archive.upper_layer.connection import Buffer

# PDU type (1), reserved (1), PDU length (4); PDV item length (4), context ID (1), message control header (1)
_PDU_AND_PDV_HEADER = struct.Struct(">BxIIBB")
_PDV_HEADER = struct.Struct(">IBB")
PDV_HEADER_BYTES = 6
_P_DATA_TF = 4
_COMMAND = 0x01  # message control header, bit 0 (PS3.8 annex E.2)
_LAST = 0x02  # bit 1

LARGEST_SENT_PDU_BYTES = 131072  # our own cap where the peer sets none: larger PDUs gain nothing
SMALLEST_SENT_PDU_BYTES = PDV_HEADER_BYTES + 2  # a peer that allows less than an even fragment is taken to mean this
GATHERED_BYTES = 1024 * 1024  # aim of one sendmsg: a system call each 1 MiB is lost in the noise


class Fragment(NamedTuple):
    """A presentation data value: a piece of a command set or of a data set."""

    context_id: int
    is_command: bool
    is_last: bool
    content: memoryview


def fragments(body: memoryview) -> list[Fragment]:
    """The fragments in the body of a P-DATA-TF; their content is as long alive as `body`."""
    found: list[Fragment] = []
    position, size = 0, len(body)
    while position < size:
        if size - position < PDV_HEADER_BYTES:
            raise MalformedPdu(field="presentation data value item", at=position)
        length, context_id, control = _PDV_HEADER.unpack_from(body, position)
        end = position + 4 + length
        if length < 2 or end > size:
            raise MalformedPdu(field="presentation data value item length", length_bytes=length, at=position)
        content = body[position + PDV_HEADER_BYTES : end]
        found.append(Fragment(context_id, bool(control & _COMMAND), bool(control & _LAST), content))
        position = end
    if not found:
        raise MalformedPdu(field="presentation data value items")
    return found


def fragment_bytes(peer_max_pdu_bytes: int, cap_bytes: int = LARGEST_SENT_PDU_BYTES) -> int:
    """How much of a message goes into one PDU for a peer that announced so much (0 = no limit); always even."""
    largest = min(peer_max_pdu_bytes, cap_bytes) if peer_max_pdu_bytes else cap_bytes
    return (max(largest, SMALLEST_SENT_PDU_BYTES) - PDV_HEADER_BYTES) & ~1


def _header(context_id: int, control: int, size: int) -> bytes:
    return _PDU_AND_PDV_HEADER.pack(_P_DATA_TF, size + PDV_HEADER_BYTES, size + 2, context_id, control)


def whole(context_id: int, content: Buffer, *, is_command: bool, fragment_bytes: int) -> list[Buffer]:
    """The PDUs of a whole command set or data set, as buffers to send in this order."""
    control = _COMMAND if is_command else 0
    size = len(content)
    if size <= fragment_bytes:
        return [_header(context_id, control | _LAST, size), content]
    view = memoryview(content)
    full = _header(context_id, control, fragment_bytes)
    buffers: list[Buffer] = []
    last = (size - 1) // fragment_bytes * fragment_bytes
    for position in range(0, last, fragment_bytes):
        buffers += (full, view[position : position + fragment_bytes])
    buffers += (_header(context_id, control | _LAST, size - last), view[last:])
    return buffers


def stream(context_id: int, contents: Iterable[Buffer], *, fragment_bytes: int) -> Iterator[list[Buffer]]:
    """The PDUs of a data set that comes in pieces of any size, as lists of buffers to send one after the other.

    What is yielded must be sent before the next turn; a piece of `contents` need not live longer than that either.
    All but the last PDU are full. Only what does not fill a PDU is copied: at most one fragment per piece.
    """
    full = _header(context_id, 0, fragment_bytes)
    kept = bytearray()  # 0 to fragment_bytes: the last fragment is only known at the end
    for content in contents:
        view = memoryview(content)
        if len(kept) + len(view) <= fragment_bytes:
            kept += view
            continue
        taken = fragment_bytes - len(kept)
        buffers: list[Buffer] = [full, kept, view[:taken]]
        size = len(view)
        last = taken + (size - taken - 1) // fragment_bytes * fragment_bytes  # at least one byte stays
        for position in range(taken, last, fragment_bytes):
            buffers += (full, view[position : position + fragment_bytes])
        yield buffers
        kept = bytearray(view[last:])
    yield [_header(context_id, _LAST, len(kept)), kept]
