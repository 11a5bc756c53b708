"""Which presentation contexts an association gets: abstract syntax, transfer syntax, role and extended negotiation.

What a caller may not do is a user rejection of the context (result 1), what nobody can do at this title an abstract
syntax not supported (3), and a class without a common transfer syntax is 4 (PS3.8 table 9-18). Of the transfer syntaxes
proposed the one that the title prefers is taken.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass

from archive.dicom import convert, uids
from archive.query import model
from archive.query.model import SOP_CLASSES, Model, Operation
from archive.registry.answering import Answering
from archive.registry.model import Area, OwnTitle, TitlePolicy
from archive.registry.tables import SHUTDOWN
from archive.upper_layer.proposal import (
    AnsweredContext,
    ContextResult,
    ExtendedNegotiation,
    Proposal,
    ProposedContext,
    Role,
)

# The rule operation that a Query/Retrieve operation needs.
_NEEDS = {Operation.FIND: "find", Operation.MOVE: "move", Operation.GET: "get"}


@dataclass(frozen=True, slots=True)
class Answers:
    """What is answered to the presentation contexts of a proposal, and to the items that speak of SOP Classes."""

    contexts: tuple[AnsweredContext, ...]
    roles: tuple[Role, ...]
    extended: tuple[ExtendedNegotiation, ...]
    stores: bool
    """Whether one of the contexts is for storing."""
    ends_the_service: bool
    """Whether one of them is for that, which is then never answered."""


def answer(proposal: Proposal, title: OwnTitle, operations: frozenset[str]) -> Answers:
    """Answer every proposed context for a caller who may do `operations` at `title`."""
    area = title.area
    roles: dict[str, Role] = {}
    if title.policy.allows_get:  # else roles are not answered, which leaves every context in the default role
        roles = {
            each.sop_class_uid: _role(each, title, operations)
            for each in proposal.roles
            if _is_stored(each.sop_class_uid, area)
        }
    contexts = tuple(_context(context, roles, title, operations) for context in proposal.contexts)
    if title.policy.requires_find:
        contexts = _with_find_only(proposal.contexts, contexts)
    accepted = (
        proposed.abstract_syntax
        for proposed, context in zip(proposal.contexts, contexts, strict=True)
        if context.result is ContextResult.ACCEPTED
    )
    may_end = SHUTDOWN in operations
    wanted = tuple(accepted) if may_end else accepted  # else the first that stores says all
    return Answers(
        contexts,
        tuple(roles.values()),
        tuple(_extended(proposal, contexts, title.answering)),
        stores=any(_is_stored(syntax, area) and (syntax not in roles or roles[syntax].scu) for syntax in wanted),
        ends_the_service=may_end and uids.DCMTK_SHUTDOWN in wanted,
    )


def refused_operations(proposal: Proposal, answers: Answers) -> frozenset[str]:
    """What the caller asked for and may not do: the rule operations of the contexts that were refused for that."""
    proposed = {context.context_id: context.abstract_syntax for context in proposal.contexts}
    refused = {
        proposed[answer.context_id]
        for answer in answers.contexts
        if answer.result is ContextResult.USER_REJECTION and answer.context_id in proposed
    }
    gets = {role.sop_class_uid for role in proposal.roles if role.scp and not role.scu}
    return frozenset(_needed(abstract_syntax, gets) for abstract_syntax in refused)


def _needed(abstract_syntax: str, gets: Set[str]) -> str:
    """The rule operation that a context of this class needs."""
    if abstract_syntax == uids.VERIFICATION:
        return "echo"
    if abstract_syntax in SOP_CLASSES:
        return _NEEDS[SOP_CLASSES[abstract_syntax][1]]
    return "get" if abstract_syntax in gets else "store"


def _is_stored(sop_class_uid: str, area: Area) -> bool:
    """Whether instances of this class can lie in the area: storage classes, and unknown ones where it takes them."""
    return area.takes(sop_class_uid)


def _role(proposed: Role, title: OwnTitle, operations: frozenset[str]) -> Role:
    """The roles a requestor may take for a storage class: SCU to store, SCP to be sent what it got by C-GET."""
    may_be_scu, may_be_scp = title.answering.roles(proposed.sop_class_uid)
    return Role(
        proposed.sop_class_uid,
        scu=proposed.scu and may_be_scu and "store" in operations,
        scp=proposed.scp and may_be_scp and "get" in operations,
    )


def _context(
    context: ProposedContext, roles: Mapping[str, Role], title: OwnTitle, operations: frozenset[str]
) -> AnsweredContext:
    is_stored = _is_stored(context.abstract_syntax, title.area)
    ranks = title.answering.ranks(context.abstract_syntax, is_stored=is_stored)
    if ranks is None:
        return AnsweredContext(context.context_id, ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED)
    if is_stored:
        result = _stored_result(context.abstract_syntax, roles, title, operations)
    else:
        result = _other_result(context.abstract_syntax, title, operations)
    if result is not ContextResult.ACCEPTED:
        return AnsweredContext(context.context_id, result)
    known = [syntax for syntax in context.transfer_syntaxes if syntax in ranks]
    if not is_stored:
        known = [syntax for syntax in known if syntax in convert.CONVERTIBLE]
    if not known:
        return AnsweredContext(context.context_id, ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED)
    return AnsweredContext(context.context_id, result, min(known, key=ranks.__getitem__))


def _stored_result(
    abstract_syntax: str, roles: Mapping[str, Role], title: OwnTitle, operations: frozenset[str]
) -> ContextResult:
    role = roles.get(abstract_syntax)
    may_be_scu, _ = title.answering.roles(abstract_syntax)
    is_allowed = may_be_scu and "store" in operations if role is None else role.scu or role.scp
    return ContextResult.ACCEPTED if is_allowed else ContextResult.USER_REJECTION


def _other_result(abstract_syntax: str, title: OwnTitle, operations: frozenset[str]) -> ContextResult:
    """What the title does not offer is not supported; ending the service is offered to those only who may."""
    if abstract_syntax == uids.VERIFICATION:
        is_offered, needs = True, "echo"
    elif abstract_syntax in SOP_CLASSES:
        model, operation = SOP_CLASSES[abstract_syntax]
        is_offered = _allows_model(title.policy, model) and (title.policy.allows_get or operation is not Operation.GET)
        needs = _NEEDS[operation]
    else:
        is_offered, needs = abstract_syntax == uids.DCMTK_SHUTDOWN and SHUTDOWN in operations, SHUTDOWN
    if not is_offered:
        return ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED
    return ContextResult.ACCEPTED if needs in operations else ContextResult.USER_REJECTION


def _allows_model(policy: TitlePolicy, model: Model) -> bool:
    match model:
        case Model.PATIENT_ROOT:
            return policy.allows_patient_root
        case Model.STUDY_ROOT:
            return policy.allows_study_root
        case Model.PATIENT_STUDY_ONLY:
            return policy.allows_patient_study_only


def _with_find_only(
    proposed: tuple[ProposedContext, ...], answered: tuple[AnsweredContext, ...]
) -> tuple[AnsweredContext, ...]:
    """What retrieves in a model on which no context to find was accepted is rejected after all."""
    services = {context.context_id: SOP_CLASSES.get(context.abstract_syntax) for context in proposed}
    accepted = {services[each.context_id] for each in answered if each.result is ContextResult.ACCEPTED}

    def is_kept(context_id: int) -> bool:
        service = services[context_id]
        return service is None or (service[0], Operation.FIND) in accepted

    return tuple(
        each
        if each.result is not ContextResult.ACCEPTED or is_kept(each.context_id)
        else AnsweredContext(each.context_id, ContextResult.USER_REJECTION)
        for each in answered
    )


def _extended(proposal: Proposal, contexts: tuple[AnsweredContext, ...], answering: Answering):
    """What we answer of each class that asks: for Query/Retrieve the sub-fields that we take up (PS3.4 C.5).

    Where a profile names the class its bytes are the answer, for Query/Retrieve the most of it.
    """
    if not proposal.extended:  # as most have it
        return
    accepted = {context.context_id for context in contexts if context.result is ContextResult.ACCEPTED}
    usable = {context.abstract_syntax for context in proposal.contexts if context.context_id in accepted}
    configured = answering.profile.extensions if answering.profile else {}
    for item in proposal.extended:
        uid = item.sop_class_uid
        information = b""
        if uid in SOP_CLASSES:
            operation = SOP_CLASSES[uid][1]
            offered = _least(item.application_information, configured.get(uid))
            information = model.accepted_negotiation(offered, operation, strict_keys=answering.is_strict(operation))
        elif uid in configured:
            information = configured[uid]
        if information and uid in usable:
            yield ExtendedNegotiation(uid, information)


def _least(offered: bytes, most: bytes | None) -> bytes:
    """Byte by byte what both allow."""
    return offered if most is None else bytes(map(min, offered, most))
