"""Command set bytes <-> commands (PS3.7 section 6.3 and annex E); pure.

A command set is Implicit VR Little Endian with nothing but group 0000 in it, so it is read and written by struct here
and pydicom is not needed; a property test says that pynetdicom reads and writes the same. Reading asks for no more
than an answer needs: elements of other groups or twice are errors, unknown ones of group 0000 are not.
Measured (a core that does other work too, 2026-11): a C-STORE-RQ is read in 8 us and its response written in 3 us;
pynetdicom takes 140 us and 520 us.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from archive.dimse.commands import (
    ERROR_COMMENT_MAX_CHARS,
    CCancelRequest,
    CEchoRequest,
    CEchoResponse,
    CFindRequest,
    CFindResponse,
    CGetRequest,
    CGetResponse,
    CMoveRequest,
    CMoveResponse,
    Command,
    CommandField,
    CStoreRequest,
    CStoreResponse,
    Response,
    SubOperationsResponse,
    UnrecognizedRequest,
    UnrecognizedResponse,
)
from archive.errors import MalformedCommand

COMMAND_SET_LIMIT_BYTES = 65536  # the longest sensible one has some 500 bytes
NO_DATA_SET = 0x0101  # Command Data Set Type (0000,0800), PS3.7 table E.1-1
_DATA_SET_FOLLOWS = 0x0001  # any other value; this one every peer knows

# Elements of group 0000 by element number (PS3.7 tables E.1-1 and E.2-1).
_GROUP_LENGTH = 0x0000
_AFFECTED_SOP_CLASS_UID = 0x0002
_REQUESTED_SOP_CLASS_UID = 0x0003
_COMMAND_FIELD = 0x0100
_MESSAGE_ID = 0x0110
_MESSAGE_ID_BEING_RESPONDED_TO = 0x0120
_MOVE_DESTINATION = 0x0600
_PRIORITY = 0x0700
_COMMAND_DATA_SET_TYPE = 0x0800
_STATUS = 0x0900
_OFFENDING_ELEMENT = 0x0901
_ERROR_COMMENT = 0x0902
_AFFECTED_SOP_INSTANCE_UID = 0x1000
_REQUESTED_SOP_INSTANCE_UID = 0x1001
_REMAINING = 0x1020
_COMPLETED = 0x1021
_FAILED = 0x1022
_WARNING = 0x1023
_MOVE_ORIGINATOR_AE_TITLE = 0x1030
_MOVE_ORIGINATOR_MESSAGE_ID = 0x1031

_ELEMENT = struct.Struct("<HHL")  # group, element, value length
_US_ELEMENT = struct.Struct("<HHLH")
_UL_ELEMENT = struct.Struct("<HHLL")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A command, and whether a data set follows it."""

    command: Command
    has_data_set: bool


# Reading

_Elements = Mapping[int, bytes]


def decode(encoded: bytes) -> Decoded:
    """The command in a whole command set; MalformedCommand where it has none."""
    elements = _split(encoded)
    field = _number(elements, _COMMAND_FIELD)
    has_data_set = _number(elements, _COMMAND_DATA_SET_TYPE) != NO_DATA_SET
    read = _READERS.get(field) or (_unrecognized_response if field & 0x8000 else _unrecognized_request)
    return Decoded(read(elements), has_data_set)


def _split(encoded: bytes) -> dict[int, bytes]:
    elements: dict[int, bytes] = {}
    position, size = 0, len(encoded)
    while position < size:
        if size - position < 8:
            raise MalformedCommand(at=position)
        group, element, length = _ELEMENT.unpack_from(encoded, position)
        start = position + 8
        position = start + length
        if group or element in elements or position > size:
            raise MalformedCommand(tag=f"({group:04X},{element:04X})", length_bytes=length, at=start - 8)
        elements[element] = encoded[start:position]
    return elements


def _number(elements: _Elements, element: int) -> int:
    number = _optional_number(elements, element)
    if number is None:
        raise MalformedCommand(missing=f"(0000,{element:04X})")
    return number


def _optional_number(elements: _Elements, element: int) -> int | None:
    value = elements.get(element)
    if not value:
        return None
    if len(value) != 2:
        raise MalformedCommand(tag=f"(0000,{element:04X})", length_bytes=len(value))
    return value[0] | value[1] << 8


def _text(elements: _Elements, element: int) -> str:
    """A UID, title or comment without padding; what is not printable ASCII becomes U+FFFD, which matches nothing."""
    value = elements.get(element)
    if not value:
        return ""
    text = value.strip(b" \0").decode("ascii", "replace")
    return text if text.isprintable() else "".join(char if char.isprintable() else "\ufffd" for char in text)


_Kind = TypeVar("_Kind", bound=Command)


def _request(kind: Callable[..., _Kind], elements: _Elements, **more: Any) -> _Kind:
    """A request with what all of them have."""
    return kind(
        message_id=_number(elements, _MESSAGE_ID),
        affected_sop_class_uid=_text(elements, _AFFECTED_SOP_CLASS_UID),
        **more,
    )


def _priority(elements: _Elements) -> int:
    return _optional_number(elements, _PRIORITY) or 0


def _c_store_rq(elements: _Elements) -> CStoreRequest:
    return CStoreRequest(
        message_id=_number(elements, _MESSAGE_ID),
        affected_sop_class_uid=_text(elements, _AFFECTED_SOP_CLASS_UID),
        affected_sop_instance_uid=_text(elements, _AFFECTED_SOP_INSTANCE_UID),
        priority=_priority(elements),
        move_originator_ae_title=_text(elements, _MOVE_ORIGINATOR_AE_TITLE) or None,
        move_originator_message_id=_optional_number(elements, _MOVE_ORIGINATOR_MESSAGE_ID),
    )


def _unrecognized_request(elements: _Elements) -> UnrecognizedRequest:
    return UnrecognizedRequest(
        command_field=_number(elements, _COMMAND_FIELD),
        message_id=_number(elements, _MESSAGE_ID),
        sop_class_uid=_text(elements, _AFFECTED_SOP_CLASS_UID) or _text(elements, _REQUESTED_SOP_CLASS_UID),
        sop_instance_uid=_text(elements, _AFFECTED_SOP_INSTANCE_UID) or _text(elements, _REQUESTED_SOP_INSTANCE_UID),
    )


def _response(kind: Callable[..., _Kind], elements: _Elements, **more: Any) -> _Kind:
    """A response with what all of them have."""
    offending = elements.get(_OFFENDING_ELEMENT, b"")
    if len(offending) % 4:
        raise MalformedCommand(tag="(0000,0901)", length_bytes=len(offending))
    return kind(
        message_id_being_responded_to=_number(elements, _MESSAGE_ID_BEING_RESPONDED_TO),
        status=_number(elements, _STATUS),
        affected_sop_class_uid=_text(elements, _AFFECTED_SOP_CLASS_UID),
        error_comment=_text(elements, _ERROR_COMMENT),
        offending_elements=tuple([group << 16 | number for group, number in struct.iter_unpack("<HH", offending)]),
        **more,
    )


def _counts(elements: _Elements) -> dict[str, int | None]:
    return {name: _optional_number(elements, element) for element, name in _COUNTS}


_COUNTS = ((_REMAINING, "remaining"), (_COMPLETED, "completed"), (_FAILED, "failed"), (_WARNING, "warning"))

_READERS: dict[int, Callable[[_Elements], Command]] = {
    CommandField.C_STORE_RQ: _c_store_rq,
    CommandField.C_STORE_RSP: lambda elements: _response(
        CStoreResponse, elements, affected_sop_instance_uid=_text(elements, _AFFECTED_SOP_INSTANCE_UID)
    ),
    CommandField.C_GET_RQ: lambda elements: _request(CGetRequest, elements, priority=_priority(elements)),
    CommandField.C_GET_RSP: lambda elements: _response(CGetResponse, elements, **_counts(elements)),
    CommandField.C_FIND_RQ: lambda elements: _request(CFindRequest, elements, priority=_priority(elements)),
    CommandField.C_FIND_RSP: lambda elements: _response(CFindResponse, elements),
    CommandField.C_MOVE_RQ: lambda elements: _request(
        CMoveRequest,
        elements,
        priority=_priority(elements),
        move_destination=_text(elements, _MOVE_DESTINATION),
    ),
    CommandField.C_MOVE_RSP: lambda elements: _response(CMoveResponse, elements, **_counts(elements)),
    CommandField.C_ECHO_RQ: lambda elements: _request(CEchoRequest, elements),
    CommandField.C_ECHO_RSP: lambda elements: _response(CEchoResponse, elements),
    CommandField.C_CANCEL_RQ: lambda elements: CCancelRequest(
        message_id_being_responded_to=_number(elements, _MESSAGE_ID_BEING_RESPONDED_TO)
    ),
}


def _unrecognized_response(elements: _Elements) -> UnrecognizedResponse:
    return _response(
        UnrecognizedResponse,
        elements,
        command_field=_number(elements, _COMMAND_FIELD),
        affected_sop_instance_uid=_text(elements, _AFFECTED_SOP_INSTANCE_UID),
    )


# Writing

_FIELDS: dict[type, int] = {
    CStoreRequest: CommandField.C_STORE_RQ,
    CStoreResponse: CommandField.C_STORE_RSP,
    CGetRequest: CommandField.C_GET_RQ,
    CGetResponse: CommandField.C_GET_RSP,
    CFindRequest: CommandField.C_FIND_RQ,
    CFindResponse: CommandField.C_FIND_RSP,
    CMoveRequest: CommandField.C_MOVE_RQ,
    CMoveResponse: CommandField.C_MOVE_RSP,
    CEchoRequest: CommandField.C_ECHO_RQ,
    CEchoResponse: CommandField.C_ECHO_RSP,
    CCancelRequest: CommandField.C_CANCEL_RQ,
}


def encode(command: Command, *, has_data_set: bool) -> bytes:
    """The whole command set of `command`, elements in ascending order."""
    if isinstance(command, UnrecognizedRequest | UnrecognizedResponse):
        field = command.command_field
    else:
        field = _FIELDS[type(command)]
    data_set_type = _us(_COMMAND_DATA_SET_TYPE, _DATA_SET_FOLLOWS if has_data_set else NO_DATA_SET)
    if isinstance(command, Response):
        parts = _response_elements(command, field, data_set_type)
    elif isinstance(command, CCancelRequest):
        parts = [
            _us(_COMMAND_FIELD, field),
            _us(_MESSAGE_ID_BEING_RESPONDED_TO, command.message_id_being_responded_to),
            data_set_type,
        ]
    elif isinstance(command, UnrecognizedRequest):
        parts = [
            _uid(_AFFECTED_SOP_CLASS_UID, command.sop_class_uid),
            _us(_COMMAND_FIELD, field),
            _us(_MESSAGE_ID, command.message_id),
            data_set_type,
            _uid(_AFFECTED_SOP_INSTANCE_UID, command.sop_instance_uid),
        ]
    else:
        parts = [
            _uid(_AFFECTED_SOP_CLASS_UID, command.affected_sop_class_uid),
            _us(_COMMAND_FIELD, field),
            _us(_MESSAGE_ID, command.message_id),
        ]
        if isinstance(command, CMoveRequest):
            parts.append(_spaced(_MOVE_DESTINATION, command.move_destination, 16))
        if not isinstance(command, CEchoRequest):
            parts.append(_us(_PRIORITY, command.priority))
        parts.append(data_set_type)
        if isinstance(command, CStoreRequest):
            parts += _store_elements(command)
    encoded = b"".join(parts)
    return _UL_ELEMENT.pack(0, _GROUP_LENGTH, 4, len(encoded)) + encoded


def _store_elements(command: CStoreRequest) -> list[bytes]:
    parts = [_uid(_AFFECTED_SOP_INSTANCE_UID, command.affected_sop_instance_uid)]
    if command.move_originator_ae_title is not None:
        parts.append(_spaced(_MOVE_ORIGINATOR_AE_TITLE, command.move_originator_ae_title, 16))
    if command.move_originator_message_id is not None:
        parts.append(_us(_MOVE_ORIGINATOR_MESSAGE_ID, command.move_originator_message_id))
    return parts


def _response_elements(command: Response, field: int, data_set_type: bytes) -> list[bytes]:
    parts = [
        _uid(_AFFECTED_SOP_CLASS_UID, command.affected_sop_class_uid),
        _us(_COMMAND_FIELD, field),
        _us(_MESSAGE_ID_BEING_RESPONDED_TO, command.message_id_being_responded_to),
        data_set_type,
        _us(_STATUS, command.status),
    ]
    if command.offending_elements:
        tags = b"".join([struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in command.offending_elements])
        parts.append(_ELEMENT.pack(0, _OFFENDING_ELEMENT, len(tags)) + tags)
    if command.error_comment:
        parts.append(_spaced(_ERROR_COMMENT, command.error_comment, ERROR_COMMENT_MAX_CHARS))
    if isinstance(command, CStoreResponse | UnrecognizedResponse):
        parts.append(_uid(_AFFECTED_SOP_INSTANCE_UID, command.affected_sop_instance_uid))
    elif isinstance(command, SubOperationsResponse):
        for element, name in _COUNTS:
            if (count := getattr(command, name)) is not None:
                parts.append(_us(element, min(count, 0xFFFF)))  # VR US cannot say more
    return parts


def _us(element: int, number: int) -> bytes:
    return _US_ELEMENT.pack(0, element, 2, number)


def _uid(element: int, uid: str) -> bytes:
    """A UID element; none where there is no UID."""
    if not uid:
        return b""
    value = uid.encode("ascii", "replace")
    if len(value) & 1:
        value += b"\0"
    return _ELEMENT.pack(0, element, len(value)) + value


def _spaced(element: int, text: str, limit_chars: int) -> bytes:
    """An AE or LO element in the default character repertoire, without what ends or parts values there."""
    value = text.translate(_NOT_IN_LO).encode("ascii", "replace")[:limit_chars]
    if len(value) & 1:
        value += b" "
    return _ELEMENT.pack(0, element, len(value)) + value


_NOT_IN_LO = {ord("\\"): "/"} | dict.fromkeys((*range(32), 127), " ")  # PS3.5 6.2
