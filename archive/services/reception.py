"""A Storage SCP whose rules are options and not rows: what it agrees to, and how it serves (PS3.4 annexes A and B).

For the commands that receive into a folder. Whoever calls, the same is agreed to; only C-ECHO and C-STORE are served.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from archive.dicom import uids
from archive.dimse import status
from archive.dimse.commands import CEchoRequest, CStoreRequest, UnrecognizedRequest
from archive.dimse.exchange import Exchange
from archive.errors import ArchiveError, UnexpectedCommand
from archive.registry.acceptance import RANKS, Acceptance
from archive.services.storage import serve_store
from archive.services.verification import serve_echo
from archive.storage.sink import InstanceSink, Outcome
from archive.upper_layer import proposal
from archive.upper_layer.association import Association
from archive.upper_layer.proposal import (
    DEFAULT_MAX_PDU_BYTES,
    Agreement,
    AnsweredContext,
    ContextResult,
    ExtendedNegotiation,
    Proposal,
    ProposedContext,
    Rejection,
    Role,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Terms:
    """What is agreed to with everybody; the defaults are those of DCMTK's storescp."""

    ranks: Mapping[str, int] = field(default_factory=lambda: RANKS["uncompressed"])
    """Transfer syntaxes with their place in the order of preference."""
    profile: Acceptance | None = None
    """Replaces `ranks`: what it does not name is not accepted."""
    only_title: str | None = None
    """The called AE title that is asked for; None takes every one."""
    is_promiscuous: bool = False
    """Whether classes that nobody has heard of are taken for storage classes."""
    refuses: bool = False
    requires_implementation_uid: bool = False
    requires_context: bool = False
    """Whether an association on which nothing could be done is rejected."""
    max_pdu_bytes: int = DEFAULT_MAX_PDU_BYTES

    def decide(self, request: Proposal) -> Agreement | Rejection:
        """The answer to `request`."""
        if self.refuses:
            return _rejected(request, proposal.NO_REASON_GIVEN, "forced via command line")
        if self.requires_implementation_uid and not request.implementation_class_uid:
            return _rejected(request, proposal.NO_REASON_GIVEN, "no implementation class UID provided")
        if self.only_title is not None and request.called_ae_title != self.only_title:
            return _rejected(request, proposal.CALLED_AE_TITLE_NOT_RECOGNIZED, "called AE title not recognized")
        contexts = tuple(self._answer(context) for context in request.contexts)
        if self.requires_context and all(each.result is not ContextResult.ACCEPTED for each in contexts):
            return _rejected(request, proposal.NO_REASON_GIVEN, "no acceptable presentation contexts")
        return Agreement(
            contexts=contexts,
            implementation_class_uid=uids.IMPLEMENTATION_CLASS_UID,
            implementation_version_name=uids.IMPLEMENTATION_VERSION_NAME,
            max_pdu_bytes=self.max_pdu_bytes,
            roles=tuple(self._roles(request)),
            extended=tuple(self._extended(request)),
        )

    def _answer(self, context: ProposedContext) -> AnsweredContext:
        ranks = self._ranks(context.abstract_syntax)
        if ranks is None:
            return AnsweredContext(context.context_id, ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED)
        known = [syntax for syntax in context.transfer_syntaxes if syntax in ranks]
        if not known:
            return AnsweredContext(context.context_id, ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED)
        return AnsweredContext(context.context_id, ContextResult.ACCEPTED, min(known, key=ranks.__getitem__))

    def _ranks(self, abstract_syntax: str) -> Mapping[str, int] | None:
        """The transfer syntaxes that are accepted for it; None: it is not accepted."""
        is_unheard_of = abstract_syntax not in uids.STORAGE_SOP_CLASSES and abstract_syntax not in uids.KNOWN_OTHER
        if self.profile is not None:
            return self.profile.ranks.get(abstract_syntax)
        if abstract_syntax == uids.VERIFICATION:
            return self.ranks
        is_stored = abstract_syntax in uids.STORAGE_SOP_CLASSES or (self.is_promiscuous and is_unheard_of)
        return self.ranks if is_stored else None

    def _roles(self, request: Proposal) -> Iterator[Role]:
        """Those of which the profile speaks; who gets no answer is the SCU (PS3.7 D.3.3.4)."""
        if self.profile is not None:
            for each in request.roles:
                if each.sop_class_uid in self.profile.roles:
                    scu, scp = self.profile.roles[each.sop_class_uid]
                    yield Role(each.sop_class_uid, each.scu and scu, each.scp and scp)

    def _extended(self, request: Proposal) -> Iterator[ExtendedNegotiation]:
        if self.profile is not None:
            for each in request.extended:
                if each.sop_class_uid in self.profile.extensions:
                    yield ExtendedNegotiation(each.sop_class_uid, self.profile.extensions[each.sop_class_uid])


def _rejected(request: Proposal, rejection: Rejection, reason: str) -> Rejection:
    fields = {"calling": request.calling_ae_title, "called": request.called_ae_title, "peer": request.peer_host}
    log.info("Refusing Association (%s)", reason, extra=fields)
    return rejection


class Visitor(Protocol):
    """What one association stores into, and is told how each request went."""

    @property
    def sink(self) -> InstanceSink: ...

    def received(self, request: CEchoRequest | CStoreRequest) -> None:
        """A request has come; its data set may still be on its way."""
        ...

    def failed(self, request: CStoreRequest, error: ArchiveError) -> None:
        """An instance cannot be kept."""
        ...

    def answered(self, request: CStoreRequest, code: int, outcome: Outcome | None) -> None:
        """The response with this status is sent; `outcome` is what became of an instance that was taken in."""
        ...


def serve(association: Association, visitor: Visitor) -> None:
    """Serve until the peer releases; raises PeerError when the association ends otherwise."""
    exchange = Exchange(association)
    with association:
        while (message := exchange.receive()) is not None:
            _serve(message.command, exchange, visitor)


def take_in(request: CStoreRequest, exchange: Exchange, visitor: Visitor) -> None:
    """Store one instance, and tell the visitor."""
    visitor.received(request)
    code, outcome = serve_store(request, exchange, visitor.sink, partial(visitor.failed, request))
    visitor.answered(request, code, outcome)


def _serve(command: object, exchange: Exchange, visitor: Visitor) -> None:
    match command:
        case CStoreRequest():
            take_in(command, exchange, visitor)
        case CEchoRequest():
            visitor.received(command)
            serve_echo(command, exchange)
        case UnrecognizedRequest():
            exchange.skip_data_set()
            exchange.respond(command.answer(status.UNRECOGNIZED_OPERATION))
        case _:
            error = UnexpectedCommand("Nothing but C-ECHO and C-STORE is served here")
            exchange.association.end_because(error)
            raise error
