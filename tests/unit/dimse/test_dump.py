"""DIMSE messages as lines for people; DCMTK's own are beside them in tests/side_by_side/test_dumps.py."""

from typing import get_args

import pytest

from archive.dimse import commands, status
from archive.dimse.commands import (
    CCancelRequest,
    CEchoRequest,
    CFindRequest,
    CFindResponse,
    CGetRequest,
    CMoveRequest,
    Command,
    CStoreRequest,
    CStoreResponse,
    Response,
    UnrecognizedRequest,
)
from archive.dimse.dump import lines

CT = "1.2.840.10008.5.1.4.1.1.2"
REQUESTS = (
    CEchoRequest(message_id=1, affected_sop_class_uid="1.2.840.10008.1.1"),
    CStoreRequest(message_id=2, affected_sop_class_uid=CT, affected_sop_instance_uid="1.2.3"),
    CFindRequest(message_id=3, affected_sop_class_uid="1.2.840.10008.5.1.4.1.2.2.1"),
    CGetRequest(message_id=4, affected_sop_class_uid="1.2.840.10008.5.1.4.1.2.2.3"),
    CMoveRequest(message_id=5, affected_sop_class_uid="1.2.840.10008.5.1.4.1.2.2.2", move_destination="THERE"),
    UnrecognizedRequest(command_field=0x0140, message_id=6, sop_class_uid="1.2.9", sop_instance_uid="1.2.9.1"),
)
ALL: tuple[Command, ...] = (
    *REQUESTS,
    *(request.answer(status.SUCCESS) for request in REQUESTS),
    CCancelRequest(message_id_being_responded_to=3),
)


def fields(command: Command, *, has_data_set: bool = False) -> dict[str, str]:
    """What is between the ruled lines."""
    _, *found, _ = lines(command, context_id=1, has_data_set=has_data_set, is_incoming=True)
    return {name.rstrip(): value for name, _, value in (line.partition(": ") for line in found)}


def test_every_kind_of_message_has_its_lines() -> None:
    responses = {each for each in vars(commands).values() if isinstance(each, type) and issubclass(each, Response)}
    kinds = {*get_args(commands.Request), CCancelRequest, *responses} - {Response, commands.SubOperationsResponse}

    assert {type(each) for each in ALL} == kinds
    assert len({fields(each)["Message Type"] for each in ALL}) == len(ALL)


def test_a_store_says_who_moved_it_and_a_move_where_to() -> None:
    store = CStoreRequest(
        message_id=2,
        affected_sop_class_uid="1.2.3.4",
        affected_sop_instance_uid="1.2.3",
        priority=commands.HIGH,
        move_originator_ae_title="MOVER",
        move_originator_message_id=7,
    )

    assert list(fields(store, has_data_set=True).values()) == [
        *("C-STORE RQ", "1", "2", "1.2.3.4", "1.2.3", "present", "high", "MOVER", "7")
    ]
    assert fields(REQUESTS[4])["Move Destination"] == "THERE"


def test_sub_operations_are_counted_or_none() -> None:
    assert isinstance(REQUESTS[4], CMoveRequest)
    said = fields(REQUESTS[4].answer(status.PENDING, remaining=3, completed=0))

    assert [said[f"{kind} Suboperations"] for kind in ("Remaining", "Completed", "Failed", "Warning")] == [
        *("3", "0", "none", "none")
    ]


@pytest.mark.parametrize(
    "kind, code, said",
    [
        (CStoreResponse, 0x0000, "0x0000: Success"),
        (CStoreResponse, 0xA7FF, "0xa7ff: Refused: Out of resources"),
        (CStoreResponse, 0xC123, "0xc123: Error: Cannot understand"),
        (CStoreResponse, 0x00A7, "0x00a7: Failure"),
        (CStoreResponse, 0x0110, "0x0110: Processing failure"),
        (CStoreResponse, 0xB123, "0xb123: Warning"),
        (CFindResponse, 0xFF00, "0xff00: Pending: Matches are continuing"),
        (CFindResponse, 0x0122, "0x0122: Refused: SOP Class not supported"),
    ],
)
def test_a_status_is_said_in_words(kind: type[Response], code: int, said: str) -> None:
    assert fields(kind(message_id_being_responded_to=1, status=code))["DIMSE Status"] == said


def test_what_is_wrong_follows_the_status() -> None:
    response = CStoreResponse(
        message_id_being_responded_to=1, status=0xA900, error_comment="other UID", offending_elements=(0x00080018,)
    )

    assert list(fields(response).items())[-2:] == [
        ("Error Comment", "other UID"),
        ("Offending Element", "(0008,0018)"),
    ]
