"""A-ASSOCIATE bytes that no pynetdicom writes: padding, unknown items, and what is malformed."""

import struct

import pytest

from archive.errors import MalformedPdu
from archive.upper_layer import negotiation
from archive.upper_layer.proposal import (
    APPLICATION_CONTEXT,
    Agreement,
    AnsweredContext,
    CommonExtendedNegotiation,
    ContextResult,
    Proposal,
    ProposedContext,
    UserIdentity,
)

HEAD = struct.pack(">HH", 1, 0) + b"CALLED".ljust(16) + b"CALLING".ljust(16) + bytes(32)


def item(kind: int, *values: bytes) -> bytes:
    value = b"".join(values)
    return struct.pack(">BxH", kind, len(value)) + value


def context(context_id: int, abstract_syntax: bytes = b"1.2", *transfer_syntaxes: bytes) -> bytes:
    syntaxes = [item(0x40, syntax) for syntax in transfer_syntaxes or (b"1.2.840.10008.1.2",)]
    return item(0x20, bytes((context_id, 0, 0, 0)), item(0x30, abstract_syntax), *syntaxes)


def test_padding_of_titles_and_uids_is_not_part_of_them() -> None:
    head = struct.pack(">HH", 1, 0) + b" CALLED\0\0".ljust(16) + b"CALLING".ljust(16, b"\0") + bytes(32)
    body = head + item(0x10, APPLICATION_CONTEXT.encode() + b"\0") + context(1, b"1.2.3\0", b"1.2.4 ")

    read = negotiation.parse_request(body)

    assert (read.called_ae_title, read.calling_ae_title) == ("CALLED", "CALLING")
    assert read.application_context == APPLICATION_CONTEXT
    assert read.contexts == (ProposedContext(1, "1.2.3", ("1.2.4",)),)
    assert read.raw_titles == head[4:36]


def test_unknown_items_are_skipped_on_both_levels() -> None:
    unknown = item(0x5F, b"what")
    body = HEAD + item(0x99, b"odd") + context(1) + item(0x50, unknown, item(0x51, struct.pack(">I", 16384)), unknown)

    read = negotiation.parse_request(body)

    assert len(read.contexts) == 1
    assert read.max_pdu_bytes == 16384


def test_missing_user_information_means_no_limit() -> None:
    read = negotiation.parse_request(HEAD + context(1))

    assert read.max_pdu_bytes == 0
    assert read.implementation_class_uid == ""


def test_title_that_is_not_ascii_matches_nothing() -> None:
    body = struct.pack(">HH", 1, 0) + "MÜNCHEN".encode("latin-1").ljust(16) + b"A\nB".ljust(16) + bytes(32)

    read = negotiation.parse_request(body)

    assert read.called_ae_title == "M\ufffdNCHEN"
    assert read.calling_ae_title == "A\ufffdB"


def test_user_identity_and_common_extended_negotiation_are_understood() -> None:
    identity = item(0x58, bytes((2, 1)), struct.pack(">H", 4), b"user", struct.pack(">H", 6), b"secret")
    common = item(0x57, b"\0\3" + b"1.2" + b"\0\3" + b"1.3" + b"\0\5" + b"\0\3" + b"1.4")

    read = negotiation.parse_request(HEAD + context(1) + item(0x50, identity, common))

    assert read.user_identity == UserIdentity(2, b"user", b"secret", response_requested=True)
    assert read.common_extended == (CommonExtendedNegotiation("1.2", "1.3", ("1.4",)),)


def test_secrets_are_not_in_what_is_logged() -> None:
    identity = UserIdentity(2, b"user", b"secret")

    assert "secret" not in repr(identity)
    assert "user'" not in repr(identity)


def test_user_identity_without_secondary_field_is_understood() -> None:
    identity = item(0x58, bytes((1, 0)), struct.pack(">H", 4), b"user")

    read = negotiation.parse_request(HEAD + context(1) + item(0x50, identity))

    assert read.user_identity == UserIdentity(1, b"user")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(HEAD[:-1], id="too short for its fixed part"),
        pytest.param(HEAD + b"\x20\0", id="half an item header"),
        pytest.param(HEAD + b"\x20\0\xff\xff", id="item longer than the PDU"),
        pytest.param(HEAD + context(2), id="even context ID"),
        pytest.param(HEAD + context(0), id="context ID 0"),
        pytest.param(HEAD + context(1) + context(1), id="context ID twice"),
        pytest.param(HEAD + item(0x20, b"\1\0"), id="context without abstract syntax"),
        pytest.param(HEAD + item(0x20, b"\1\0\0\0", b"\x30\0\0\xff1.2"), id="abstract syntax longer than its context"),
        pytest.param(
            HEAD + item(0x20, b"\1\0\0\0", item(0x30, b"1.2"), b"\x40\0\0\xff"), id="transfer syntax too long"
        ),
        pytest.param(HEAD + item(0x50, item(0x51, b"\0\0")), id="maximum length of two bytes"),
        pytest.param(HEAD + item(0x50, item(0x53, b"\0")), id="half a window"),
        pytest.param(HEAD + item(0x50, item(0x54, b"\0\3" + b"1.2" + b"\1")), id="half a role"),
        pytest.param(HEAD + item(0x50, item(0x54, b"\0\xff" + b"1.2")), id="role UID longer than its item"),
        pytest.param(HEAD + item(0x50, item(0x56, b"\0")), id="extended negotiation without UID length"),
        pytest.param(HEAD + item(0x50, item(0x57, b"\0\3" + b"1.2")), id="common extended without service class"),
        pytest.param(HEAD + item(0x50, item(0x58, b"\1")), id="user identity of one byte"),
        pytest.param(HEAD + item(0x50, item(0x58, b"\1\0\0\x09" + b"user")), id="user name longer than its item"),
    ],
)
def test_what_does_not_follow_the_standard_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedPdu):
        negotiation.parse_request(body)


def test_answer_echoes_the_titles_as_they_came() -> None:
    titles = b" CALLED\0".ljust(16) + b"CALLING".ljust(16, b"\0")

    encoded = negotiation.encode_answer(Agreement(()), titles)

    assert encoded[10:42] == titles


def test_rejected_context_carries_a_transfer_syntax_that_means_nothing() -> None:
    answer = AnsweredContext(1, ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED)

    read = negotiation.parse_answer(negotiation.encode_answer(Agreement((answer,)), bytes(32))[6:])

    assert read.contexts == (AnsweredContext(1, answer.result, "1.2.840.10008.1.2"),)


def test_unknown_context_result_of_a_peer_is_no_reason() -> None:
    body = HEAD + item(0x21, bytes((1, 0, 77, 0)), item(0x40, b"1.2"))

    assert negotiation.parse_answer(body).contexts == (AnsweredContext(1, ContextResult.NO_REASON, "1.2"),)


def test_user_identity_response_is_read_and_written() -> None:
    agreement = Agreement((), user_identity_response=b"ticket")

    assert negotiation.parse_answer(negotiation.encode_answer(agreement, bytes(32))[6:]) == agreement


def test_128_contexts_are_the_most_there_can_be() -> None:
    contexts = tuple(ProposedContext(2 * number + 1, "1.2", ("1.2.3",)) for number in range(128))
    proposal = Proposal("A", "B", contexts)

    assert negotiation.parse_request(negotiation.encode_request(proposal)[6:]).contexts == contexts


@pytest.mark.parametrize("body", [b"", b"\0\1\1"])
def test_short_rejection_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedPdu):
        negotiation.parse_rejection(body)
