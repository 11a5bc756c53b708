"""A-ASSOCIATE PDUs are read and written as pynetdicom reads and writes them, every item of them."""

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID
from pynetdicom import pdu
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.presentation import build_context

from archive.errors import MalformedPdu
from archive.upper_layer import negotiation
from archive.upper_layer.proposal import (
    Agreement,
    AnsweredContext,
    CommonExtendedNegotiation,
    ContextResult,
    ExtendedNegotiation,
    Proposal,
    ProposedContext,
    Rejection,
    Role,
    UserIdentity,
)

UIDS = st.lists(st.integers(0, 10**8), min_size=1, max_size=5).map(lambda parts: "1.2." + ".".join(map(str, parts)))
TITLES = st.text(st.sampled_from("ABCXYZ019_-"), min_size=1, max_size=16)
NAMES = st.text(st.sampled_from("ABCXYZ019_."), min_size=1, max_size=16)
CONTEXT_IDS = st.integers(0, 127).map(lambda number: 2 * number + 1)
SYNTAXES = st.lists(UIDS, min_size=1, max_size=4).map(tuple)
ROLES = st.lists(
    st.sampled_from([(True, True), (True, False), (False, True)]).flatmap(
        lambda roles: st.builds(Role, UIDS, *map(st.just, roles))
    ),
    max_size=3,
    unique_by=lambda role: role.sop_class_uid,
).map(tuple)
EXTENDED = st.lists(st.builds(ExtendedNegotiation, UIDS, st.binary(min_size=1, max_size=9)), max_size=3).map(tuple)
IDENTITIES = st.builds(
    UserIdentity,
    st.sampled_from([1, 3, 4, 5]),
    st.binary(min_size=1, max_size=30),
    st.just(b""),
    st.booleans(),
) | st.builds(
    UserIdentity, st.just(2), st.binary(min_size=1, max_size=9), st.binary(min_size=1, max_size=9), st.booleans()
)
CONTEXTS = st.lists(st.builds(ProposedContext, CONTEXT_IDS, UIDS, SYNTAXES), max_size=12, unique_by=lambda c: c[0])
WINDOWS = st.tuples(st.integers(0, 65535), st.integers(0, 65535))

PROPOSALS = st.builds(
    Proposal,
    TITLES,
    TITLES,
    CONTEXTS.map(tuple),
    implementation_class_uid=UIDS,
    implementation_version_name=st.just("") | NAMES,
    max_pdu_bytes=st.integers(0, 2**32 - 1),
    asynchronous_operations=st.none() | WINDOWS,
    roles=ROLES,
    extended=EXTENDED,
    common_extended=st.lists(
        st.builds(CommonExtendedNegotiation, UIDS, UIDS, st.lists(UIDS, max_size=3).map(tuple)), max_size=2
    ).map(tuple),
    user_identity=st.none() | IDENTITIES,
)

AGREEMENTS = st.builds(
    Agreement,
    st.lists(
        st.builds(AnsweredContext, CONTEXT_IDS, st.sampled_from(ContextResult), UIDS),
        max_size=12,
        unique_by=lambda c: c[0],
    ).map(tuple),
    implementation_class_uid=UIDS,
    implementation_version_name=st.just("") | NAMES,
    max_pdu_bytes=st.integers(0, 2**32 - 1),
    asynchronous_operations=st.none() | WINDOWS,
    roles=ROLES,
    extended=EXTENDED,
    user_identity_response=st.none() | st.binary(min_size=1, max_size=20),
)


@pytest.fixture(autouse=True)
def quiet_pynetdicom() -> None:
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)


def _common_items(side: Proposal | Agreement) -> list[Any]:
    """The user information primitives that both sides may have."""
    items: list[Any] = []
    maximum = MaximumLengthNotification()
    maximum.maximum_length_received = side.max_pdu_bytes
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = side.implementation_class_uid
    items += [maximum, implementation]
    if side.asynchronous_operations is not None:
        window = AsynchronousOperationsWindowNegotiation()
        window.maximum_number_operations_invoked, window.maximum_number_operations_performed = (
            side.asynchronous_operations
        )
        items.append(window)
    for role in side.roles:
        selection = SCP_SCU_RoleSelectionNegotiation()
        selection.sop_class_uid, selection.scu_role, selection.scp_role = role.sop_class_uid, role.scu, role.scp
        items.append(selection)
    if side.implementation_version_name:
        version = ImplementationVersionNameNotification()
        version.implementation_version_name = side.implementation_version_name
        items.append(version)
    for item in side.extended:
        extended = SOPClassExtendedNegotiation()
        extended.sop_class_uid = item.sop_class_uid
        extended.service_class_application_information = item.application_information
        items.append(extended)
    return items


def _request_by_pynetdicom(proposal: Proposal) -> bytes:
    primitive = A_ASSOCIATE()
    primitive.application_context_name = proposal.application_context
    primitive.calling_ae_title = proposal.calling_ae_title
    primitive.called_ae_title = proposal.called_ae_title
    contexts = []
    for proposed in proposal.contexts:
        context = build_context(proposed.abstract_syntax)
        context._transfer_syntax = [*map(UID, proposed.transfer_syntaxes)]  # as it is: add would drop a second one
        context.context_id = proposed.context_id
        contexts.append(context)
    primitive.presentation_context_definition_list = contexts
    items = _common_items(proposal)
    for common in proposal.common_extended:
        item = SOPClassCommonExtendedNegotiation()
        item.sop_class_uid, item.service_class_uid = common.sop_class_uid, common.service_class_uid
        item.related_general_sop_class_identification = list(common.related_general_sop_class_uids)
        items.append(item)
    if proposal.user_identity is not None:
        identity = UserIdentityNegotiation()
        identity.user_identity_type = proposal.user_identity.identity_type
        identity.positive_response_requested = proposal.user_identity.response_requested
        identity.primary_field = proposal.user_identity.primary_field
        identity.secondary_field = proposal.user_identity.secondary_field
        items.append(identity)
    primitive.user_information = items
    request = pdu.A_ASSOCIATE_RQ()
    request.from_primitive(primitive)
    return request.encode()


@given(proposal=PROPOSALS)
def test_request_is_written_to_the_byte_as_pynetdicom_writes_it(proposal: Proposal) -> None:
    assert negotiation.encode_request(proposal) == _request_by_pynetdicom(proposal)


@given(proposal=PROPOSALS)
def test_request_of_pynetdicom_is_read_as_it_was_meant(proposal: Proposal) -> None:
    encoded = _request_by_pynetdicom(proposal)

    read = negotiation.parse_request(encoded[6:])

    assert read.raw_titles == encoded[10:42]
    assert negotiation.encode_request(read) == encoded
    for name in Proposal.__slots__:
        if name != "raw_titles":
            assert getattr(read, name) == getattr(proposal, name), name


@given(agreement=AGREEMENTS)
def test_pynetdicom_reads_the_answer_we_write(agreement: Agreement) -> None:
    titles = b"CALLED          CALLING         "
    encoded = negotiation.encode_answer(agreement, titles)

    answer = pdu.A_ASSOCIATE_AC()
    answer.decode(encoded)

    assert answer.encode() == encoded
    assert [(item.context_id, item.result) for item in answer.presentation_context] == [
        (context.context_id, context.result) for context in agreement.contexts
    ]
    accepted = [context for context in agreement.contexts if context.result == ContextResult.ACCEPTED]
    assert [item.transfer_syntax for item in answer.presentation_context if item.result == 0] == [
        context.transfer_syntax for context in accepted
    ]
    assert answer.user_information is not None
    assert answer.user_information.maximum_length == agreement.max_pdu_bytes
    assert answer.user_information.implementation_class_uid == agreement.implementation_class_uid
    assert {uid: (item.scu, item.scp) for uid, item in answer.user_information.role_selection.items()} == {
        role.sop_class_uid: (role.scu, role.scp) for role in agreement.roles
    }


@given(agreement=AGREEMENTS)
def test_answer_is_read_as_it_was_written(agreement: Agreement) -> None:
    encoded = negotiation.encode_answer(agreement, bytes(32))

    assert negotiation.parse_answer(encoded[6:]) == agreement


@given(result=st.sampled_from([1, 2]), source=st.integers(1, 3), reason=st.integers(1, 2))
def test_rejection_is_the_one_of_pynetdicom(result: int, source: int, reason: int) -> None:
    encoded = negotiation.encode_rejection(Rejection(result, source, reason))

    rejection = pdu.A_ASSOCIATE_RJ()
    rejection.decode(encoded)

    assert (rejection.result, rejection.source, rejection.reason_diagnostic) == (result, source, reason)
    assert rejection.encode() == encoded
    assert negotiation.parse_rejection(encoded[6:]) == Rejection(result, source, reason)


@given(proposal=PROPOSALS, position=st.integers(0, 10_000), byte=st.integers(0, 255), cut=st.integers(0, 40))
def test_damaged_request_is_read_or_malformed(proposal: Proposal, position: int, byte: int, cut: int) -> None:
    body = bytearray(negotiation.encode_request(proposal)[6:])
    body[position % len(body)] = byte
    damaged = bytes(body[: len(body) - cut])

    try:
        read = negotiation.parse_request(damaged)
    except MalformedPdu:
        return

    assert len(read.contexts) <= 128
    assert all(context.context_id % 2 == 1 for context in read.contexts)


@given(agreement=AGREEMENTS, position=st.integers(0, 10_000), byte=st.integers(0, 255), cut=st.integers(0, 40))
def test_damaged_answer_is_read_or_malformed(agreement: Agreement, position: int, byte: int, cut: int) -> None:
    body = bytearray(negotiation.encode_answer(agreement, bytes(32))[6:])
    body[position % len(body)] = byte
    damaged = bytes(body[: len(body) - cut])

    try:
        read = negotiation.parse_answer(damaged)
    except MalformedPdu:
        return

    assert isinstance(read, Agreement)
