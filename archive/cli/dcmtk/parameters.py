"""What two AEs say before an association exists, as DCMTK's programs print it (`+v`, `--debug`); pure."""

from collections.abc import Iterator, Sequence

from archive.dicom import uids
from archive.dicom.dcmtk_names import dcmtk_name_of
from archive.upper_layer.proposal import Agreement, AnsweredContext, ContextResult, ExtendedNegotiation, Proposal, Role

_RESULTS = {
    ContextResult.ACCEPTED: "Accepted",
    ContextResult.USER_REJECTION: "User Rejection",
    ContextResult.NO_REASON: "No Reason",
    ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED: "Abstract Syntax Not Supported",
    ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED: "Transfer Syntaxes Not Supported",
}
_ROLES = {(True, False): "SCU", (False, True): "SCP", (True, True): "SCP/SCU", (False, False): "None"}


def longest_pdv_bytes(fragment_bytes: int) -> int:
    """The "Max Send PDV" of an association on which fragments of so many bytes are sent.

    DCMTK takes the length of a PDU for that with its header of six bytes, which PS3.8 D.1 does not count.
    """
    return fragment_bytes - 6


def lines(request: Proposal, answer: Agreement | None = None, *, max_pdu_bytes: int) -> Sequence[str]:
    """The request, or with `answer` the answer to it, as an acceptor says it.

    `max_pdu_bytes` is the longest PDU that we take. An answer has the title that was called (PS3.8 9.3.3).
    """
    return _lines(request, answer, request, max_pdu_bytes, request.called_ae_title if answer else "")


def lines_of_requestor(request: Proposal, answer: Agreement | None = None) -> Sequence[str]:
    """The request, or with `answer` the answer to it, as a requestor says it."""
    theirs = answer or Agreement((), max_pdu_bytes=0)
    return _lines(request, answer, theirs, request.max_pdu_bytes, request.called_ae_title)


def _lines(
    request: Proposal, answer: Agreement | None, theirs: Proposal | Agreement, max_pdu_bytes: int, title: str
) -> Sequence[str]:
    kind = "AC" if answer else "RQ"
    return (
        f"====================== BEGIN A-ASSOCIATE-{kind} =====================",
        f"Our Implementation Class UID:      {uids.IMPLEMENTATION_CLASS_UID}",
        f"Our Implementation Version Name:   {uids.IMPLEMENTATION_VERSION_NAME}",
        f"Their Implementation Class UID:    {theirs.implementation_class_uid}",
        f"Their Implementation Version Name: {theirs.implementation_version_name}",
        f"Application Context Name:    {request.application_context}",
        f"Calling Application Name:    {request.calling_ae_title}",
        f"Called Application Name:     {request.called_ae_title}",
        f"Responding Application Name: {title}",
        f"Our Max PDU Receive Size:    {max_pdu_bytes}",
        f"Their Max PDU Receive Size:  {theirs.max_pdu_bytes}",
        "Presentation Contexts:",
        *(_answered(request, answer) if answer else _proposed(request)),
        *_extended("Requested Extended Negotiation:", request.extended),
        *_extended("Accepted Extended Negotiation: ", answer.extended if answer else ()),
        f"Requested User Identity Negotiation: {_identity(request)}",
        f"User Identity Negotiation Response:  {_identity_response(answer)}",
        f"======================= END A-ASSOCIATE-{kind} ======================",
    )


def _proposed(request: Proposal) -> Iterator[str]:
    roles = {role.sop_class_uid: role for role in request.roles}
    for context in request.contexts:
        yield f"  Context ID:        {context.context_id} (Proposed)"
        yield f"    Abstract Syntax: {_named(context.abstract_syntax)}"
        yield f"    Proposed SCP/SCU Role: {_role(roles.get(context.abstract_syntax))}"
        yield "    Proposed Transfer Syntax(es):"
        yield from (f"      {_named(syntax)}" for syntax in context.transfer_syntaxes)


def _answered(request: Proposal, answer: Agreement) -> Iterator[str]:
    proposed_roles = {role.sop_class_uid: role for role in request.roles}
    roles = {role.sop_class_uid: role for role in answer.roles}
    answers = {context.context_id: context for context in answer.contexts}
    for context in request.contexts:
        given = answers.get(context.context_id) or AnsweredContext(context.context_id, ContextResult.NO_REASON)
        yield f"  Context ID:        {context.context_id} ({_RESULTS[given.result]})"
        yield f"    Abstract Syntax: {_named(context.abstract_syntax)}"
        yield f"    Proposed SCP/SCU Role: {_role(proposed_roles.get(context.abstract_syntax))}"
        yield f"    Accepted SCP/SCU Role: {_role(roles.get(context.abstract_syntax))}"
        if given.result is ContextResult.ACCEPTED:
            yield f"    Accepted Transfer Syntax: {_named(given.transfer_syntax)}"


def _named(uid: str) -> str:
    name = dcmtk_name_of(uid)
    return f"={name}" if name else uid


def _role(role: Role | None) -> str:
    return "Default" if role is None else _ROLES[role.scu, role.scp]


def _extended(heading: str, items: Sequence[ExtendedNegotiation]) -> Iterator[str]:
    if not items:
        yield f"{heading} none"
        return
    yield heading
    for item in items:
        yield f"  Abstract Syntax: {_named(item.sop_class_uid)}"
        yield f"    Application Information, length: {len(item.application_information)}"
        yield f"      {item.application_information.hex(' ')}"


def _identity(request: Proposal) -> str:
    """Which kind, never the secret."""
    return "none" if request.user_identity is None else f"type {request.user_identity.identity_type}"


def _identity_response(answer: Agreement | None) -> str:
    return "none" if answer is None or answer.user_identity_response is None else "positive"
