"""PDUs and command sets by struct (PS3.7, PS3.8), for tests that decide about every byte; nothing of the archive's."""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

VERIFICATION = "1.2.840.10008.1.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
_QUERY_RETRIEVE = "1.2.840.10008.5.1.4.1.2"
PATIENT_ROOT_FIND, PATIENT_ROOT_MOVE, PATIENT_ROOT_GET = (f"{_QUERY_RETRIEVE}.1.{number}" for number in (1, 2, 3))
STUDY_ROOT_FIND, STUDY_ROOT_MOVE, STUDY_ROOT_GET = (f"{_QUERY_RETRIEVE}.2.{number}" for number in (1, 2, 3))

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"

SECONDS = 30.0  # more than any answer takes on a busy machine

# Command fields (PS3.7 table E.1-1).
STORE_RQ, GET_RQ, FIND_RQ, MOVE_RQ, ECHO_RQ, CANCEL_RQ = 0x0001, 0x0010, 0x0020, 0x0021, 0x0030, 0x0FFF
NO_DATA_SET = 0x0101

# Message control headers (PS3.8 annex E.2).
DATA, COMMAND, LAST_DATA, LAST_COMMAND = 0, 1, 2, 3


class Ended(AssertionError):
    """The archive ended the association: by an A-ABORT (then `abort` has source and reason), or without a word."""

    def __init__(self, abort: tuple[int, int] | None = None) -> None:
        super().__init__(f"the association ended by {'an abort' if abort else 'the end of the connection'}: {abort}")
        self.abort = abort


class Rejected(AssertionError):
    """The archive answered with A-ASSOCIATE-RJ; `why` is result, source, reason."""

    def __init__(self, why: tuple[int, int, int]) -> None:
        super().__init__(f"rejected: {why}")
        self.why = why


def pdu(pdu_type: int, body: bytes) -> bytes:
    """A PDU of any type (PS3.8 9.3.1)."""
    return struct.pack(">BxI", pdu_type, len(body)) + body


def pdv(context_id: int, control: int, content: bytes) -> bytes:
    """A presentation data value item (PS3.8 9.3.5.1)."""
    return struct.pack(">IBB", len(content) + 2, context_id, control) + content


def _item(item_type: int, body: bytes) -> bytes:
    return struct.pack(">BxH", item_type, len(body)) + body


@dataclass(frozen=True)
class Proposed:
    """A presentation context to propose."""

    abstract_syntax: str
    transfer_syntaxes: Sequence[str] = (EXPLICIT, IMPLICIT)


def associate_rq(
    contexts: Sequence[Proposed],
    *,
    called: str = "ARCHIVE",
    calling: str = "RAWSCU",
    max_pdu_bytes: int = 16384,
    roles: Mapping[str, tuple[int, int]] | None = None,
    extended: Mapping[str, bytes] | None = None,
    more_user_items: bytes = b"",
    application_context: str = "1.2.840.10008.3.1.1.1",
    implementation_class_uid: str = "1.2.826.0.1.3680043.9.9999",
) -> bytes:
    """An A-ASSOCIATE-RQ (PS3.8 9.3.2), context IDs 1, 3, 5 and so on."""
    items = _item(0x10, application_context.encode())
    for number, context in enumerate(contexts):
        syntaxes = _item(0x30, context.abstract_syntax.encode())
        syntaxes += b"".join(_item(0x40, syntax.encode()) for syntax in context.transfer_syntaxes)
        items += _item(0x20, bytes((2 * number + 1, 0, 0, 0)) + syntaxes)
    user = _item(0x51, struct.pack(">I", max_pdu_bytes))
    if implementation_class_uid:
        user += _item(0x52, implementation_class_uid.encode())
    for uid, (scu, scp) in (roles or {}).items():
        user += _item(0x54, struct.pack(">H", len(uid)) + uid.encode() + bytes((scu, scp)))
    for uid, information in (extended or {}).items():
        user += _item(0x56, struct.pack(">H", len(uid)) + uid.encode() + information)
    items += _item(0x50, user + more_user_items)
    titles = called.ljust(16).encode() + calling.ljust(16).encode()
    return pdu(0x01, struct.pack(">HH", 1, 0) + titles + bytes(32) + items)


def command_set(elements: Mapping[int, int | str | bytes]) -> bytes:
    """A command set by element number of group 0000: int is US, text is padded to even length (PS3.7 6.3)."""
    encoded = b""
    for element in sorted(elements):
        value = elements[element]
        if isinstance(value, int):
            content = struct.pack("<H", value)
        else:
            raw = value.encode() if isinstance(value, str) else value
            content = raw + b"\0" * (len(raw) % 2)
        encoded += struct.pack("<HHI", 0, element, len(content)) + content
    return struct.pack("<HHII", 0, 0, 4, len(encoded)) + encoded


@dataclass(frozen=True)
class Message:
    """A command set that came in, with its data set if it has one."""

    context_id: int
    elements: Mapping[int, bytes]
    data_set: bytes | None = None

    def number(self, element: int) -> int | None:
        value = self.elements.get(element)
        return None if value is None else int.from_bytes(value, "little")

    def text(self, element: int) -> str:
        return self.elements.get(element, b"").rstrip(b"\0 ").decode()

    @property
    def status(self) -> int:
        """(0000,0900)."""
        status = self.number(0x0900)
        assert status is not None
        return status

    @property
    def comment(self) -> str:
        """Error Comment (0000,0902)."""
        return self.text(0x0902)

    @property
    def offending_element(self) -> tuple[int, int] | None:
        """Offending Element (0000,0901): group and element."""
        value = self.elements.get(0x0901)
        return struct.unpack_from("<HH", value) if value else None

    @property
    def counters(self) -> tuple[int | None, ...]:
        """Remaining, completed, failed and warning sub-operations."""
        return tuple(self.number(element) for element in (0x1020, 0x1021, 0x1022, 0x1023))


def split_items(content: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(content):
        item_type, length = struct.unpack_from(">BxH", content, at)
        yield item_type, content[at + 4 : at + 4 + length]
        at += 4 + length


def split_pdvs(body: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    while at < len(body):
        length, context_id, control = struct.unpack_from(">IBB", body, at)
        yield context_id, control, body[at + 6 : at + 4 + length]
        at += 4 + length


def split_elements(encoded: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(encoded):
        group, element, length = struct.unpack_from("<HHI", encoded, at)
        assert group == 0
        yield element, encoded[at + 8 : at + 8 + length]
        at += 8 + length
