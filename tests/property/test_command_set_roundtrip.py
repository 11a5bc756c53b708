"""Command sets are read and written as pynetdicom reads and writes them."""

from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID
from pynetdicom import dimse_messages, dimse_primitives
from pynetdicom.dsutils import decode, encode

from archive.dimse import command_set
from archive.dimse.commands import (
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
    CStoreRequest,
    CStoreResponse,
)
from archive.errors import MalformedCommand

IDS = st.integers(0, 65535)
UIDS = st.lists(st.integers(0, 10**9), min_size=1, max_size=6).map(lambda parts: "1.2." + ".".join(map(str, parts)))
TITLES = st.text(st.sampled_from("ABCXYZ019_-"), min_size=1, max_size=16)
COMMENTS = st.text(st.sampled_from("abcdef XYZ09(),."), max_size=64).map(str.strip)
COUNTS = st.none() | IDS
PRIORITIES = st.sampled_from([0, 1, 2])
# pynetdicom keeps to the statuses it knows for some messages; failures with comments are known for all.
STATUSES = st.sampled_from([0x0000, 0x0122, 0xFF00, 0xFE00, 0xA700, 0xA900, 0xC000, 0xB000])
TAGS = st.lists(st.integers(0, 0xFFFFFFFF), max_size=4).map(tuple)

ANSWERS: dict[str, Any] = {
    "message_id_being_responded_to": IDS,
    "status": STATUSES,
    "affected_sop_class_uid": UIDS,
    "error_comment": COMMENTS,
    "offending_elements": TAGS,
}
REQUESTS: dict[str, Any] = {"message_id": IDS, "affected_sop_class_uid": UIDS}
SUB_OPERATIONS: dict[str, Any] = {"remaining": COUNTS, "completed": COUNTS, "failed": COUNTS, "warning": COUNTS}

COMMANDS = st.one_of(
    st.builds(CEchoRequest, **REQUESTS),
    st.builds(CEchoResponse, **ANSWERS),
    st.builds(
        CStoreRequest,
        **REQUESTS,
        affected_sop_instance_uid=UIDS,
        priority=PRIORITIES,
        move_originator_ae_title=st.none() | TITLES,
        move_originator_message_id=COUNTS,
    ),
    st.builds(CStoreResponse, **ANSWERS, affected_sop_instance_uid=UIDS),
    st.builds(CFindRequest, **REQUESTS, priority=PRIORITIES),
    st.builds(CFindResponse, **ANSWERS),
    st.builds(CGetRequest, **REQUESTS, priority=PRIORITIES),
    st.builds(CGetResponse, **ANSWERS, **SUB_OPERATIONS),
    st.builds(CMoveRequest, **REQUESTS, priority=PRIORITIES, move_destination=TITLES),
    st.builds(CMoveResponse, **ANSWERS, **SUB_OPERATIONS),
    st.builds(CCancelRequest, message_id_being_responded_to=IDS),
)

KEYWORDS = {
    "message_id": "MessageID",
    "message_id_being_responded_to": "MessageIDBeingRespondedTo",
    "affected_sop_class_uid": "AffectedSOPClassUID",
    "affected_sop_instance_uid": "AffectedSOPInstanceUID",
    "priority": "Priority",
    "status": "Status",
    "error_comment": "ErrorComment",
    "offending_elements": "OffendingElement",
    "move_destination": "MoveDestination",
    "move_originator_ae_title": "MoveOriginatorApplicationEntityTitle",
    "move_originator_message_id": "MoveOriginatorMessageID",
    "remaining": "NumberOfRemainingSuboperations",
    "completed": "NumberOfCompletedSuboperations",
    "failed": "NumberOfFailedSuboperations",
    "warning": "NumberOfWarningSuboperations",
}


def _message_class(command: Command) -> Any:
    """pynetdicom's message: C_STORE_RQ for a CStoreRequest."""
    name = type(command).__name__
    operation = name.removeprefix("C").removesuffix("Request").removesuffix("Response").upper()
    return getattr(dimse_messages, f"C_{operation}_{'RSP' if name.endswith('Response') else 'RQ'}")


def _by_pynetdicom(command: Command, *, has_data_set: bool) -> bytes:
    message = _message_class(command)()
    elements = message.command_set
    for name, keyword in KEYWORDS.items():
        if keyword in elements:
            del elements[keyword]
        value = getattr(command, name, None)
        if value not in (None, "", ()):
            setattr(elements, keyword, list(value) if isinstance(value, tuple) else value)
    elements.CommandField = next(
        field for field, (_, known) in dimse_messages._MESSAGE_TYPES.items() if known is type(message)
    )
    elements.CommandDataSetType = 0x0001 if has_data_set else 0x0101
    elements.CommandGroupLength = 0
    length = len(encode(elements, True, True) or b"") - 12
    elements.CommandGroupLength = length
    encoded = encode(elements, True, True)
    assert encoded is not None
    return encoded


@given(command=COMMANDS, has_data_set=st.booleans())
def test_command_is_written_to_the_byte_as_pynetdicom_writes_it(command: Command, has_data_set: bool) -> None:
    expected = _by_pynetdicom(command, has_data_set=has_data_set)

    assert command_set.encode(command, has_data_set=has_data_set) == expected


@given(command=COMMANDS, has_data_set=st.booleans())
def test_command_is_read_as_it_was_written(command: Command, has_data_set: bool) -> None:
    encoded = command_set.encode(command, has_data_set=has_data_set)

    assert command_set.decode(encoded) == command_set.Decoded(command, has_data_set)


@given(command=COMMANDS)
def test_pynetdicom_reads_what_we_write(command: Command) -> None:
    encoded = command_set.encode(command, has_data_set=False)

    read = decode(BytesIO(encoded), True, True)

    for name, keyword in KEYWORDS.items():
        value = getattr(command, name, None)
        if value in (None, "", ()):
            assert keyword not in read
        elif name == "offending_elements":
            tags = read[keyword].value
            assert tuple(int(tag) for tag in (tags if read[keyword].VM > 1 else [tags])) == value
        else:
            assert read[keyword].value == value


def test_message_that_pynetdicom_makes_of_a_primitive_is_read() -> None:
    primitive = dimse_primitives.C_STORE()
    primitive.MessageID = 7
    primitive.AffectedSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.2")
    primitive.AffectedSOPInstanceUID = UID("1.2.3.4.5")
    primitive.Priority = 2
    primitive.MoveOriginatorApplicationEntityTitle = "MOVER"
    primitive.MoveOriginatorMessageID = 9
    primitive.DataSet = BytesIO(b"\0\0")
    message = dimse_messages.C_STORE_RQ()
    message.primitive_to_message(primitive)
    (command_pdv, *_) = [
        item[1]
        for pdata in message.encode_msg(1, 0)
        for item in pdata.presentation_data_value_list  # control header, content
    ]

    decoded = command_set.decode(command_pdv[1:])

    assert decoded.has_data_set
    assert decoded.command == CStoreRequest(
        message_id=7,
        affected_sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        affected_sop_instance_uid="1.2.3.4.5",
        priority=2,
        move_originator_ae_title="MOVER",
        move_originator_message_id=9,
    )


@given(noise=st.binary(max_size=200))
def test_noise_is_a_malformed_command_and_nothing_else(noise: bytes) -> None:
    with pytest.raises(MalformedCommand):
        command_set.decode(noise)


@given(command=COMMANDS, position=st.integers(0, 10_000), byte=st.integers(0, 255), cut=st.integers(0, 20))
def test_damaged_command_is_read_or_malformed(command: Command, position: int, byte: int, cut: int) -> None:
    encoded = bytearray(command_set.encode(command, has_data_set=True))
    encoded[position % len(encoded)] = byte
    damaged = bytes(encoded[: len(encoded) - cut])

    try:
        decoded = command_set.decode(damaged)
    except MalformedCommand:
        return

    assert isinstance(decoded, command_set.Decoded)
