"""What two AEs say before an association exists: Proposal, Agreement, Rejection (PS3.8 7.1, PS3.7 annex D).

Frozen values only; those that come 128 at a time are NamedTuples, which are made several times as fast. `negotiation`
makes bytes of them, `association` carries them, and the policy that turns a Proposal into an Agreement or a Rejection
lives above this package.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from archive.upper_layer.certificate import Certificate

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"  # PS3.7 A.2.1, the only one there is
PROTOCOL_VERSION_1 = 0x0001  # bit 0 of the protocol-version field (PS3.8 9.3.2)
DEFAULT_MAX_PDU_BYTES = 131072  # what we announce: DCMTK's upper limit, and past it nothing gets faster


class ContextResult(IntEnum):
    """Result/Reason of a presentation context (PS3.8 table 9-18)."""

    ACCEPTED = 0
    USER_REJECTION = 1
    NO_REASON = 2
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


class ProposedContext(NamedTuple):
    """One presentation context of an A-ASSOCIATE-RQ; `context_id` is odd, 1 to 255."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


class AnsweredContext(NamedTuple):
    """The acceptor's answer to one proposed context; `transfer_syntax` means something only when it is accepted."""

    context_id: int
    result: ContextResult
    transfer_syntax: str = ""


@dataclass(frozen=True, slots=True)
class Role:
    """SCP/SCU Role Selection (PS3.7 D.3.3.4): the roles the *requestor* proposes, or may take, for a SOP Class."""

    sop_class_uid: str
    scu: bool
    scp: bool


@dataclass(frozen=True, slots=True)
class ExtendedNegotiation:
    """SOP Class Extended Negotiation (PS3.7 D.3.3.5); the service class knows what the bytes mean."""

    sop_class_uid: str
    application_information: bytes


@dataclass(frozen=True, slots=True)
class CommonExtendedNegotiation:
    """SOP Class Common Extended Negotiation (PS3.7 D.3.3.6): how a SOP Class may be treated. It gets no answer."""

    sop_class_uid: str
    service_class_uid: str
    related_general_sop_class_uids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """User Identity (PS3.7 D.3.3.7): 1 user name, 2 with passcode, 3 Kerberos, 4 SAML, 5 JSON Web Token."""

    identity_type: int
    primary_field: bytes
    secondary_field: bytes = b""
    response_requested: bool = False

    def __repr__(self) -> str:
        """Say which kind, never the secret: this value is logged."""
        return f"UserIdentity(identity_type={self.identity_type}, {len(self.primary_field)} bytes)"


class Context(NamedTuple):
    """A presentation context both sides agreed on, and the roles the requestor may take in it."""

    context_id: int
    abstract_syntax: str
    transfer_syntax: str
    requestor_is_scu: bool = True
    requestor_is_scp: bool = False


@dataclass(frozen=True, slots=True)
class Proposal:
    """Everything an A-ASSOCIATE-RQ says, and who said it.

    Titles are without padding; `max_pdu_bytes` is what the requestor can receive, 0 = no limit; `raw_titles` are the
    32 bytes that the answer must echo (empty when we are the requestor). `peer_certificate` was verified.
    """

    calling_ae_title: str
    called_ae_title: str
    contexts: tuple[ProposedContext, ...]
    implementation_class_uid: str = ""
    implementation_version_name: str = ""
    max_pdu_bytes: int = DEFAULT_MAX_PDU_BYTES
    application_context: str = APPLICATION_CONTEXT
    protocol_version: int = PROTOCOL_VERSION_1
    asynchronous_operations: tuple[int, int] | None = None
    roles: tuple[Role, ...] = ()
    extended: tuple[ExtendedNegotiation, ...] = ()
    common_extended: tuple[CommonExtendedNegotiation, ...] = ()
    user_identity: UserIdentity | None = None
    raw_titles: bytes = b""
    peer_host: str = ""
    peer_port: int = 0
    peer_certificate: "Certificate | None" = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Everything an A-ASSOCIATE-AC says.

    `max_pdu_bytes` is what the acceptor can receive, 0 = no limit. `user_identity_response` is the server response of
    PS3.7 D.3.3.7.2: None = no such item, b"" = positive without content (types 1, 2 and 5).
    """

    contexts: tuple[AnsweredContext, ...]
    implementation_class_uid: str = ""
    implementation_version_name: str = ""
    max_pdu_bytes: int = DEFAULT_MAX_PDU_BYTES
    application_context: str = APPLICATION_CONTEXT
    protocol_version: int = PROTOCOL_VERSION_1
    asynchronous_operations: tuple[int, int] | None = None
    roles: tuple[Role, ...] = ()
    extended: tuple[ExtendedNegotiation, ...] = ()
    user_identity_response: bytes | None = None

    def fitted_to(self, proposal: Proposal) -> "Agreement":
        """This agreement, held to what may be said in answer to `proposal`.

        Every proposed context is answered once, in the proposed order (one that was left out: no reason); roles are
        never more than was proposed; asynchronous operations are 1/1 where they were proposed; extended negotiation
        only for SOP Classes that asked; an identity response only when one was requested.
        """
        answers = {answer.context_id: answer for answer in self.contexts}
        proposed_roles = {role.sop_class_uid: role for role in proposal.roles}
        asked = {item.sop_class_uid for item in proposal.extended}
        identity = proposal.user_identity
        return replace(
            self,
            contexts=tuple(
                answers.get(context.context_id) or AnsweredContext(context.context_id, ContextResult.NO_REASON)
                for context in proposal.contexts
            ),
            asynchronous_operations=None if proposal.asynchronous_operations is None else (1, 1),
            roles=tuple(
                Role(role.sop_class_uid, role.scu and proposed.scu, role.scp and proposed.scp)
                for role in self.roles
                if (proposed := proposed_roles.get(role.sop_class_uid))
            ),
            extended=tuple(item for item in self.extended if item.sop_class_uid in asked),
            user_identity_response=self.user_identity_response if identity and identity.response_requested else None,
        )

    def accepted(self, proposal: Proposal) -> Mapping[int, Context]:
        """The contexts that can be used, by context ID; without a role item the requestor is the SCU."""
        proposed_roles = {role.sop_class_uid: role for role in proposal.roles}
        roles = {role.sop_class_uid: role for role in self.roles if role.sop_class_uid in proposed_roles}
        proposed = {context.context_id: context for context in proposal.contexts}
        contexts: dict[int, Context] = {}
        is_accepted = ContextResult.ACCEPTED
        for answer in self.contexts:
            context = proposed.get(answer.context_id)
            if answer.result != is_accepted or context is None:
                continue
            if answer.transfer_syntax not in context.transfer_syntaxes:  # an answer to something else
                continue
            scu, scp = True, False
            if role := roles.get(context.abstract_syntax):
                asked = proposed_roles[context.abstract_syntax]
                scu, scp = role.scu and asked.scu, role.scp and asked.scp
            contexts[context.context_id] = Context(
                context.context_id, context.abstract_syntax, answer.transfer_syntax, scu, scp
            )
        return contexts


@dataclass(frozen=True, slots=True)
class Rejection:
    """Everything an A-ASSOCIATE-RJ says: result, source and reason of PS3.8 table 9-21."""

    result: int
    """1: permanent, 2: transient."""
    source: int
    """1: service user, 2: service provider (ACSE), 3: service provider (presentation)."""
    reason: int


# The rejections of PS3.8 table 9-21 that an acceptor has use for, by what they say.
NO_REASON_GIVEN = Rejection(1, 1, 1)
APPLICATION_CONTEXT_NOT_SUPPORTED = Rejection(1, 1, 2)
CALLING_AE_TITLE_NOT_RECOGNIZED = Rejection(1, 1, 3)
CALLED_AE_TITLE_NOT_RECOGNIZED = Rejection(1, 1, 7)
PROTOCOL_VERSION_NOT_SUPPORTED = Rejection(1, 2, 2)
TRY_LATER = Rejection(2, 2, 1)  # we failed, not the peer
TEMPORARY_CONGESTION = Rejection(2, 3, 1)
LOCAL_LIMIT_EXCEEDED = Rejection(2, 3, 2)
