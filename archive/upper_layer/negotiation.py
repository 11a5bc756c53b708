"""A-ASSOCIATE-RQ, -AC and -RJ bytes <-> Proposal, Agreement and Rejection (PS3.8 9.3.2-4, PS3.7 annex D); pure.

All items are read and written by struct. Unknown items are skipped, as PS3.8 9.3.1 asks. Bodies are without the six
bytes of the PDU header, PDUs are with it. A property test holds every item against pynetdicom's codecs, which are the
plain twin and stay in the tests: they take padding and unknown items less well than peers need, and 0.3 s to import.

Measured (a core that does other work too, 2026-11): a request of 120 contexts is parsed in 0.2 ms and its answer
encoded in 0.05 ms. pynetdicom took 8.1 ms and 1.5 ms in an earlier trial on a quiet machine.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from archive.errors import MalformedPdu
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
from archive.upper_layer.states import Pdu

_FIXED_BYTES = 68  # version (2), reserved (2), called title (16), calling title (16), reserved (32)
_ITEM = struct.Struct(">BxH")  # item type (1), reserved (1), item length (2)
_PDU = struct.Struct(">BxI")
_CONTEXT = struct.Struct(">BxHBxBx")  # item type, item length, context ID, result (reserved in a request)
_CONTEXT_AND_ABSTRACT_SYNTAX = struct.Struct(">BxxxBxH")  # context ID, reserved; sub-item type, reserved, length
_SHORT = struct.Struct(">H")

_RESULTS = {int(result): result for result in ContextResult}

_APPLICATION_CONTEXT = 0x10
_CONTEXT_RQ = 0x20
_CONTEXT_AC = 0x21
_ABSTRACT_SYNTAX = 0x30
_TRANSFER_SYNTAX = 0x40
_USER_INFORMATION = 0x50
_MAX_LENGTH = 0x51
_IMPLEMENTATION_CLASS_UID = 0x52
_ASYNCHRONOUS_OPERATIONS = 0x53
_ROLE = 0x54
_IMPLEMENTATION_VERSION_NAME = 0x55
_EXTENDED = 0x56
_COMMON_EXTENDED = 0x57
_USER_IDENTITY = 0x58
_USER_IDENTITY_RESPONSE = 0x59


@dataclass(slots=True)
class _UserInformation:
    """The sub-items of a user information item as they are read (PS3.7 D.3.3); unknown ones are left out."""

    max_pdu_bytes: int = 0  # without the item there is no limit
    implementation_class_uid: str = ""
    implementation_version_name: str = ""
    asynchronous_operations: tuple[int, int] | None = None
    roles: list[Role] = field(default_factory=list)
    extended: list[ExtendedNegotiation] = field(default_factory=list)
    common_extended: list[CommonExtendedNegotiation] = field(default_factory=list)
    user_identity: UserIdentity | None = None
    user_identity_response: bytes | None = None


def _text(raw: bytes) -> str:
    """A UID, title or name without padding; what is not printable ASCII becomes U+FFFD, which matches nothing."""
    text = raw.strip(b" \0").decode("ascii", "replace")
    return text if text.isprintable() else "".join(char if char.isprintable() else "\ufffd" for char in text)


def _items(body: bytes, position: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(type, start, end) of the value of each item in body[position:end]."""
    unpack = _ITEM.unpack_from
    last = end - 4
    while position <= last:
        kind, length = unpack(body, position)
        start = position + 4
        position = start + length
        if position > end:
            raise MalformedPdu(field=f"item {kind:02X}H length", length_bytes=length, at=start - 4)
        yield kind, start, position
    if position != end:
        raise MalformedPdu(field="item", at=position)


# Reading


def parse_request(body: bytes, *, peer_host: str = "", peer_port: int = 0) -> Proposal:
    """The Proposal in the body of an A-ASSOCIATE-RQ; MalformedPdu where it does not follow the standard."""
    if len(body) < _FIXED_BYTES:
        raise MalformedPdu(field="A-ASSOCIATE-RQ", length_bytes=len(body))
    application_context = ""
    contexts: dict[int, ProposedContext] = {}
    syntaxes: dict[bytes, tuple[str, ...]] = {}  # most contexts propose the same list: read it once
    user = _UserInformation()
    for kind, start, end in _items(body, _FIXED_BYTES, len(body)):
        if kind == _CONTEXT_RQ:
            context = _parse_proposed_context(body, start, end, syntaxes)
            if context.context_id in contexts or not context.context_id & 1:
                raise MalformedPdu(field="presentation context ID", context_id=context.context_id)
            contexts[context.context_id] = context
        elif kind == _APPLICATION_CONTEXT:
            application_context = _text(body[start:end])
        elif kind == _USER_INFORMATION:
            user = _parse_user_information(body, start, end)
    return Proposal(
        calling_ae_title=_text(body[20:36]),
        called_ae_title=_text(body[4:20]),
        contexts=tuple(contexts.values()),
        implementation_class_uid=user.implementation_class_uid,
        implementation_version_name=user.implementation_version_name,
        max_pdu_bytes=user.max_pdu_bytes,
        application_context=application_context,
        protocol_version=_SHORT.unpack_from(body)[0],
        asynchronous_operations=user.asynchronous_operations,
        roles=tuple(user.roles),
        extended=tuple(user.extended),
        common_extended=tuple(user.common_extended),
        user_identity=user.user_identity,
        raw_titles=body[4:36],
        peer_host=peer_host,
        peer_port=peer_port,
    )


def _parse_proposed_context(
    body: bytes, start: int, end: int, syntaxes: dict[bytes, tuple[str, ...]]
) -> ProposedContext:
    """The context in body[start:end], the value of its item; `syntaxes` remembers lists that were read before."""
    if end - start < 8:
        raise MalformedPdu(field="presentation context item", at=start)
    context_id, kind, length = _CONTEXT_AND_ABSTRACT_SYNTAX.unpack_from(body, start)
    position = start + 8 + length
    if kind != _ABSTRACT_SYNTAX or position > end:  # it comes first (PS3.8 table 9-13)
        raise MalformedPdu(field="abstract syntax sub-item", at=start + 4)
    rest = body[position:end]
    transfer_syntaxes = syntaxes.get(rest)
    if transfer_syntaxes is None:
        transfer_syntaxes = syntaxes[rest] = tuple(
            [_text(rest[first:last]) for kind, first, last in _items(rest, 0, len(rest)) if kind == _TRANSFER_SYNTAX]
        )
    return ProposedContext(context_id, _text(body[start + 8 : position]), transfer_syntaxes)


def parse_answer(body: bytes) -> Agreement:
    """The Agreement in the body of an A-ASSOCIATE-AC; MalformedPdu where it does not follow the standard."""
    if len(body) < _FIXED_BYTES:
        raise MalformedPdu(field="A-ASSOCIATE-AC", length_bytes=len(body))
    application_context = ""
    contexts: dict[int, AnsweredContext] = {}
    syntaxes: dict[bytes, str] = {}
    user = _UserInformation()
    for kind, start, end in _items(body, _FIXED_BYTES, len(body)):
        if kind == _CONTEXT_AC:
            if end - start < 4:
                raise MalformedPdu(field="presentation context item", at=start)
            if body[start] in contexts:
                raise MalformedPdu(field="presentation context ID", context_id=body[start])
            contexts[body[start]] = _parse_answered_context(body, start, end, syntaxes)
        elif kind == _APPLICATION_CONTEXT:
            application_context = _text(body[start:end])
        elif kind == _USER_INFORMATION:
            user = _parse_user_information(body, start, end)
    return Agreement(
        contexts=tuple(contexts.values()),
        implementation_class_uid=user.implementation_class_uid,
        implementation_version_name=user.implementation_version_name,
        max_pdu_bytes=user.max_pdu_bytes,
        application_context=application_context,
        protocol_version=_SHORT.unpack_from(body)[0],
        asynchronous_operations=user.asynchronous_operations,
        roles=tuple(user.roles),
        extended=tuple(user.extended),
        user_identity_response=user.user_identity_response,
    )


def _parse_answered_context(body: bytes, start: int, end: int, syntaxes: dict[bytes, str]) -> AnsweredContext:
    items = body[start + 4 : end]
    transfer_syntax = syntaxes.get(items)
    if transfer_syntax is None:
        transfer_syntax = ""
        for kind, first, last in _items(items, 0, len(items)):
            if kind == _TRANSFER_SYNTAX:
                transfer_syntax = _text(items[first:last])
        syntaxes[items] = transfer_syntax
    return AnsweredContext(body[start], _RESULTS.get(body[start + 2], ContextResult.NO_REASON), transfer_syntax)


def parse_rejection(body: bytes) -> Rejection:
    """The Rejection of an A-ASSOCIATE-RJ."""
    if len(body) < 4:
        raise MalformedPdu(field="A-ASSOCIATE-RJ", length_bytes=len(body))
    return Rejection(body[1], body[2], body[3])


def _parse_user_information(body: bytes, start: int, end: int) -> _UserInformation:
    user = _UserInformation()
    for kind, first, last in _items(body, start, end):
        value = body[first:last]
        try:
            _read_sub_item(user, kind, value)
        except (struct.error, ValueError) as error:
            raise MalformedPdu(field=f"item {kind:02X}H", at=first - 4, reason=str(error)) from error
    return user


def _read_sub_item(user: _UserInformation, kind: int, value: bytes) -> None:
    """Put one sub-item of the user information into `user` (PS3.7 D.3.3.1-7)."""
    if kind == _MAX_LENGTH:
        (user.max_pdu_bytes,) = struct.unpack(">I", value)
    elif kind == _IMPLEMENTATION_CLASS_UID:
        user.implementation_class_uid = _text(value)
    elif kind == _IMPLEMENTATION_VERSION_NAME:
        user.implementation_version_name = _text(value)
    elif kind == _ASYNCHRONOUS_OPERATIONS:
        user.asynchronous_operations = struct.unpack(">HH", value)
    elif kind == _ROLE:
        uid, (scu, scp) = _sized_and_rest(value)
        user.roles.append(Role(_text(uid), scu == 1, scp == 1))
    elif kind == _EXTENDED:
        uid, information = _sized_and_rest(value)
        user.extended.append(ExtendedNegotiation(_text(uid), information))
    elif kind == _COMMON_EXTENDED:
        uid, rest = _sized_and_rest(value)
        service_class_uid, rest = _sized_and_rest(rest)
        related, _ = _sized_and_rest(rest) if rest else (b"", b"")
        general: list[str] = []
        while related:
            one, related = _sized_and_rest(related)
            general.append(_text(one))
        user.common_extended.append(CommonExtendedNegotiation(_text(uid), _text(service_class_uid), tuple(general)))
    elif kind == _USER_IDENTITY:
        identity_type, response_requested = struct.unpack_from(">BB", value)
        primary, rest = _sized_and_rest(value[2:])
        secondary, _ = _sized_and_rest(rest) if rest else (b"", b"")
        user.user_identity = UserIdentity(identity_type, primary, secondary, response_requested == 1)
    elif kind == _USER_IDENTITY_RESPONSE:
        user.user_identity_response, _ = _sized_and_rest(value)


def _sized_and_rest(value: bytes) -> tuple[bytes, bytes]:
    """A field behind its two-byte length, and what follows it."""
    (length,) = _SHORT.unpack_from(value)
    if length > len(value) - 2:
        raise ValueError("a field is longer than its item")
    return value[2 : 2 + length], value[2 + length :]


# Writing


def _item(kind: int, value: bytes) -> bytes:
    return _ITEM.pack(kind, len(value)) + value


def _ascii(text: str) -> bytes:
    return text.encode("ascii", "replace")  # what a peer sent may come back, as odd as it was


def _title(text: str) -> bytes:
    return _ascii(text)[:16].ljust(16)


def _syntax_items(uids: Iterable[str]) -> bytes:
    return b"".join([_item(_TRANSFER_SYNTAX, _ascii(uid)) for uid in uids])


def encode_request(proposal: Proposal) -> bytes:
    """The A-ASSOCIATE-RQ of `proposal`."""
    parts = [
        struct.pack(">HH", proposal.protocol_version, 0),
        _title(proposal.called_ae_title),
        _title(proposal.calling_ae_title),
        bytes(32),
        _item(_APPLICATION_CONTEXT, _ascii(proposal.application_context)),
    ]
    syntaxes: dict[tuple[str, ...], bytes] = {}
    for context in proposal.contexts:
        encoded = syntaxes.get(context.transfer_syntaxes)
        if encoded is None:
            encoded = syntaxes[context.transfer_syntaxes] = _syntax_items(context.transfer_syntaxes)
        abstract_syntax = _item(_ABSTRACT_SYNTAX, _ascii(context.abstract_syntax))
        length = 4 + len(abstract_syntax) + len(encoded)
        parts += (_CONTEXT.pack(_CONTEXT_RQ, length, context.context_id, 0), abstract_syntax, encoded)
    own = [_common_extended(item) for item in proposal.common_extended]
    if (identity := proposal.user_identity) is not None:
        kind = bytes((identity.identity_type, identity.response_requested))
        fields = kind + _sized(identity.primary_field) + _sized(identity.secondary_field)
        own.append(_item(_USER_IDENTITY, fields))
    parts.append(_user_information(proposal, own))
    body = b"".join(parts)
    return _PDU.pack(Pdu.ASSOCIATE_RQ, len(body)) + body


def encode_answer(agreement: Agreement, raw_titles: bytes) -> bytes:
    """The A-ASSOCIATE-AC of `agreement`; `raw_titles` are the 32 bytes of the request that are sent back as they came.

    A context that is not accepted carries a transfer syntax nobody may look at (PS3.8 9.3.3.2): Implicit VR Little
    Endian, as peers exist that want to see a UID there.
    """
    parts = [
        struct.pack(">HH", agreement.protocol_version, 0),
        raw_titles.ljust(32),
        bytes(32),
        _item(_APPLICATION_CONTEXT, _ascii(agreement.application_context)),
    ]
    items: dict[str, bytes] = {}
    for answer in agreement.contexts:
        item = items.get(answer.transfer_syntax)
        if item is None:
            uid = answer.transfer_syntax or "1.2.840.10008.1.2"
            item = items[answer.transfer_syntax] = _item(_TRANSFER_SYNTAX, _ascii(uid))
        parts += (_CONTEXT.pack(_CONTEXT_AC, 4 + len(item), answer.context_id, answer.result), item)
    response = agreement.user_identity_response
    own = [] if response is None else [_item(_USER_IDENTITY_RESPONSE, _sized(response))]
    parts.append(_user_information(agreement, own))
    body = b"".join(parts)
    return _PDU.pack(Pdu.ASSOCIATE_AC, len(body)) + body


def encode_rejection(rejection: Rejection) -> bytes:
    """The A-ASSOCIATE-RJ of `rejection`."""
    return _PDU.pack(Pdu.ASSOCIATE_RJ, 4) + bytes((0, rejection.result, rejection.source, rejection.reason))


def _user_information(side: Proposal | Agreement, own: Iterable[bytes]) -> bytes:
    """The user information item of either side, in the order of PS3.7 D.3.3; `own` are what only this side has."""
    parts = [
        _item(_MAX_LENGTH, struct.pack(">I", side.max_pdu_bytes)),
        _item(_IMPLEMENTATION_CLASS_UID, _ascii(side.implementation_class_uid)),
    ]
    if side.asynchronous_operations is not None:
        parts.append(_item(_ASYNCHRONOUS_OPERATIONS, struct.pack(">HH", *side.asynchronous_operations)))
    for role in side.roles:
        parts.append(_item(_ROLE, _sized(_ascii(role.sop_class_uid)) + bytes((role.scu, role.scp))))
    if side.implementation_version_name:
        name = _ascii(side.implementation_version_name)[:16]
        parts.append(_item(_IMPLEMENTATION_VERSION_NAME, name))
    for item in side.extended:
        parts.append(_item(_EXTENDED, _sized(_ascii(item.sop_class_uid)) + item.application_information))
    return _item(_USER_INFORMATION, b"".join((*parts, *own)))


def _common_extended(item: CommonExtendedNegotiation) -> bytes:
    related = b"".join([_sized(_ascii(uid)) for uid in item.related_general_sop_class_uids])
    uids = _sized(_ascii(item.sop_class_uid)) + _sized(_ascii(item.service_class_uid))
    return _item(_COMMON_EXTENDED, uids + _sized(related))


def _sized(field: bytes) -> bytes:
    return _SHORT.pack(len(field)) + field
