"""Every request makes its own answers."""

import pytest

from archive.dimse.commands import (
    CEchoRequest,
    CEchoResponse,
    CFindRequest,
    CFindResponse,
    CGetRequest,
    CGetResponse,
    CMoveRequest,
    CMoveResponse,
    CStoreRequest,
    CStoreResponse,
    Request,
    Response,
    UnrecognizedRequest,
    UnrecognizedResponse,
)


@pytest.mark.parametrize(
    "request_, kind",
    [
        (CEchoRequest(message_id=7, affected_sop_class_uid="1.2"), CEchoResponse),
        (CStoreRequest(message_id=7, affected_sop_class_uid="1.2", affected_sop_instance_uid="1.3"), CStoreResponse),
        (CFindRequest(message_id=7, affected_sop_class_uid="1.2"), CFindResponse),
        (CGetRequest(message_id=7, affected_sop_class_uid="1.2"), CGetResponse),
        (CMoveRequest(message_id=7, affected_sop_class_uid="1.2", move_destination="A"), CMoveResponse),
        (UnrecognizedRequest(command_field=0x150, message_id=7, sop_class_uid="1.2"), UnrecognizedResponse),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_answer_names_the_request_and_its_sop_class(request_: Request, kind: type[Response]) -> None:
    answer = request_.answer(0xC000, error_comment="why", offending_elements=[0x00100020])

    assert type(answer) is kind
    assert answer.message_id_being_responded_to == 7
    assert answer.affected_sop_class_uid == "1.2"
    assert (answer.status, answer.error_comment, answer.offending_elements) == (0xC000, "why", (0x00100020,))


def test_answer_to_a_store_names_the_instance() -> None:
    request = CStoreRequest(message_id=7, affected_sop_class_uid="1.2", affected_sop_instance_uid="1.3")

    assert request.answer(0).affected_sop_instance_uid == "1.3"


def test_answers_to_a_retrieve_count_sub_operations() -> None:
    answer = CGetRequest(message_id=7, affected_sop_class_uid="1.2").answer(0xFF00, remaining=3, completed=1)

    assert (answer.remaining, answer.completed, answer.failed, answer.warning) == (3, 1, None, None)
