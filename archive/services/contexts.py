"""Which presentation contexts an association gets: abstract syntax, transfer syntax, role and extended negotiation.

What a caller may not do is a user rejection of the context (result 1), what nobody can do here an abstract syntax not
supported (3), and a class without a common transfer syntax is 4 (PS3.8 table 9-18). Of the transfer syntaxes proposed
the first in our order of preference is taken.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from archive.dicom import convert, uids
from archive.query import model
from archive.query.model import SOP_CLASSES, Operation
from archive.registry.snapshot import Area
from archive.upper_layer.proposal import (
    AnsweredContext,
    ContextResult,
    ExtendedNegotiation,
    Proposal,
    ProposedContext,
    Role,
)

_PREFERENCE = {syntax: rank for rank, syntax in enumerate(uids.BY_PREFERENCE)}

# The rule operation that a Query/Retrieve operation needs.
_NEEDS = {Operation.FIND: "find", Operation.MOVE: "move", Operation.GET: "get"}


@dataclass(frozen=True, slots=True)
class Answers:
    """What is answered to the presentation contexts of a proposal, and to the items that speak of SOP Classes."""

    contexts: tuple[AnsweredContext, ...]
    roles: tuple[Role, ...]
    extended: tuple[ExtendedNegotiation, ...]


def answer(proposal: Proposal, area: Area, operations: frozenset[str]) -> Answers:
    """Answer every proposed context for a caller who may do `operations` in `area`."""
    roles = {
        role.sop_class_uid: _role(role, operations) for role in proposal.roles if _is_stored(role.sop_class_uid, area)
    }
    contexts = tuple(_context(context, roles, area, operations) for context in proposal.contexts)
    return Answers(contexts, tuple(roles.values()), tuple(_extended(proposal.extended)))


def _is_stored(sop_class_uid: str, area: Area) -> bool:
    """Whether instances of this class can lie in the area: storage classes, and unknown ones where it takes them."""
    if sop_class_uid in uids.STORAGE_SOP_CLASSES:
        return True
    return area.accept_unknown_sop_classes and sop_class_uid not in uids.KNOWN_OTHER


def _role(proposed: Role, operations: frozenset[str]) -> Role:
    """The roles a requestor may take for a storage class: SCU to store, SCP to be sent what it got by C-GET."""
    return Role(
        proposed.sop_class_uid,
        scu=proposed.scu and "store" in operations,
        scp=proposed.scp and "get" in operations,
    )


def _context(
    context: ProposedContext, roles: Mapping[str, Role], area: Area, operations: frozenset[str]
) -> AnsweredContext:
    result = _result(context.abstract_syntax, roles, area, operations)
    if result is not ContextResult.ACCEPTED:
        return AnsweredContext(context.context_id, result)
    known = [syntax for syntax in context.transfer_syntaxes if syntax in _PREFERENCE]
    if not _is_stored(context.abstract_syntax, area):
        known = [syntax for syntax in known if syntax in convert.CONVERTIBLE]
    if not known:
        return AnsweredContext(context.context_id, ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED)
    return AnsweredContext(context.context_id, result, min(known, key=_PREFERENCE.__getitem__))


def _result(abstract_syntax: str, roles: Mapping[str, Role], area: Area, operations: frozenset[str]) -> ContextResult:
    if abstract_syntax == uids.VERIFICATION:
        is_allowed = "echo" in operations
    elif abstract_syntax in SOP_CLASSES:
        is_allowed = _NEEDS[SOP_CLASSES[abstract_syntax][1]] in operations
    elif _is_stored(abstract_syntax, area):
        role = roles.get(abstract_syntax)
        is_allowed = "store" in operations if role is None else role.scu or role.scp
    else:
        return ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED
    return ContextResult.ACCEPTED if is_allowed else ContextResult.USER_REJECTION


def _extended(proposed: tuple[ExtendedNegotiation, ...]):
    """The sub-fields that we take up of each Query/Retrieve class (PS3.4 C.5)."""
    for item in proposed:
        if item.sop_class_uid in SOP_CLASSES:
            operation = SOP_CLASSES[item.sop_class_uid][1]
            accepted = model.accepted_negotiation(item.application_information, operation)
            if accepted:
                yield ExtendedNegotiation(item.sop_class_uid, accepted)
