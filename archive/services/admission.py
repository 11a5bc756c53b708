"""Who is let in, and with what: A-ASSOCIATE-RQ -> AC or RJ, by one snapshot of the registry (PS3.8 7.1.1)."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from archive.dicom import uids
from archive.errors import ArchiveError
from archive.query.model import Operation, Options
from archive.registry import access
from archive.registry.access import Caller, Decision
from archive.registry.model import OwnTitle, Registry
from archive.services import contexts
from archive.services.identification import Verdict, identify
from archive.services.lookups import Lookups
from archive.services.places import Place, Wanted
from archive.upper_layer import proposal
from archive.upper_layer.association import Timeouts
from archive.upper_layer.proposal import Agreement, Proposal, Rejection

log = logging.getLogger(__name__)

# Why there is no place for an association, to the log.
_FULL = {
    Place.SERVICE_FULL: "as many associations as are allowed",
    Place.TITLE_FULL: "as many associations as are allowed at {called}",
    Place.CALLER_FULL: "as many associations of {calling} as are allowed at {called}",
}


@dataclass(frozen=True, slots=True)
class Admitted:
    """An association that was let in: the title it called, what it may do there, what it negotiated."""

    registry: Registry
    title: OwnTitle
    caller: Caller
    operations: frozenset[str]
    extended: dict[str, bytes] = field(default_factory=dict)
    user: str | None = None
    """The user that the caller proved to be, where that was asked."""
    host_name: str | None = None
    """What the caller's address is called, where names are looked up: for the log, as DNS has it."""

    def options(self, sop_class_uid: str, operation: Operation) -> Options:
        """How queries of this SOP Class are to be read."""
        agreed = self.extended.get(sop_class_uid, b"")
        return Options.from_extended_negotiation(
            agreed,
            operation,
            strict_names=self.title.area.strict_names,
            strict_keys=self.title.answering.is_strict(operation),
        )

    def timeouts(self, service: Timeouts) -> Timeouts:
        """Those of the title where it has its own, else those of the service."""
        answering = self.title.answering
        own = {"dimse": answering.dimse_timeout_seconds, "idle": answering.idle_timeout_seconds}
        return replace(service, **{name: seconds for name, seconds in own.items() if seconds is not None})


def welcome(current_registry: Callable[[], Registry], address: str) -> Decision:
    """Whether a connection from this address is taken, before anything is read of it."""
    try:
        registry = current_registry()
    except ArchiveError as error:
        # Nobody knows the rules now. Its request will be answered with "try later" and nothing else.
        return Decision(True, f"the network rules cannot be read: {error}")
    lookups = Lookups()
    decision = access.connection(registry, address, lookups.addresses_of, lookups.name_of)
    if not decision.allowed:
        log.warning("connection closed: %s", decision.reason, extra={"peer": address})
    return decision


class Admission:
    """Decides about one association request; `admitted` is set when it was let in, `rejected_because` when not.

    `refused` are the operations that it asked for in presentation contexts and may not do, each with the reason.
    """

    def __init__(
        self,
        current_registry: Callable[[], Registry],
        take_place: Callable[[Wanted], Place],
        max_pdu_bytes: int,
        host_name: str | None = None,
    ) -> None:
        """`take_place` counts the association, or says what limit of the service it would exceed."""
        self._current_registry = current_registry
        self._take_place = take_place
        self._max_pdu_bytes = max_pdu_bytes
        self._host_name = host_name
        self.admitted: Admitted | None = None
        self.request: Proposal | None = None
        self.rejected_because = ""
        self.refused: dict[str, str] = {}
        self.ends_service: Proposal | None = None
        """The request, where it was rejected because it ends the service, as the caller may."""

    def decide(self, request: Proposal) -> Agreement | Rejection:
        """The answer to `request`."""
        self.request = request
        if request.application_context != proposal.APPLICATION_CONTEXT:
            return self._rejected(request, proposal.APPLICATION_CONTEXT_NOT_SUPPORTED, "unknown application context")
        try:
            registry = self._current_registry()
        except ArchiveError as error:
            return self._rejected(request, proposal.TRY_LATER, str(error))
        shown = request.peer_certificate
        identities = frozenset() if shown is None else shown.identities
        called, caller = request.called_ae_title, Caller(request.calling_ae_title, request.peer_host, identities)
        title = registry.titles.get(called)
        if title is None:
            reason = f"{called} is not one of our AE titles"
            return self._rejected(request, proposal.CALLED_AE_TITLE_NOT_RECOGNIZED, reason)
        if title.policy.refuses:
            return self._rejected(request, proposal.NO_REASON_GIVEN, f"{called} refuses every association")
        if title.policy.requires_implementation_uid and not request.implementation_class_uid:
            return self._rejected(request, proposal.NO_REASON_GIVEN, "no Implementation Class UID")
        lookups = Lookups()
        operations = access.allowed_operations(registry, called, caller, lookups.addresses_of)
        if not operations:
            reason = access.decide(registry, called, caller, "echo", lookups.addresses_of).reason
            return self._rejected(request, proposal.CALLING_AE_TITLE_NOT_RECOGNIZED, reason)
        verdict = _verdict(request, title, registry)
        if title.requires_user and verdict.user is None:
            rejection = proposal.TEMPORARY_CONGESTION if verdict.is_busy else proposal.NO_REASON_GIVEN
            return self._rejected(request, rejection, f"{called} requires a user, and the peer {verdict.reason}")
        answers = contexts.answer(request, title, operations)
        place = self._take_place(_wanted(title, caller, answers))
        if not place.is_taken:
            reason = _FULL[place].format(called=called, calling=caller.ae_title)
            return self._rejected(request, proposal.LOCAL_LIMIT_EXCEEDED, reason)
        if answers.ends_the_service:
            self.ends_service = request
            return self._rejected(request, proposal.NO_REASON_GIVEN, "it asks for the end of the service")
        if place is Place.TAKEN_WITHOUT_STORE:
            operations -= {"store"}
            answers = contexts.answer(request, title, operations)
        agreed = {item.sop_class_uid: item.application_information for item in answers.extended}
        for operation in sorted(contexts.refused_operations(request, answers)):
            decision = access.decide(registry, called, caller, operation, lookups.addresses_of)
            self.refused[operation] = _withheld(operation, title, place) if decision.allowed else decision.reason
        self.admitted = Admitted(registry, title, caller, operations, agreed, verdict.user, self._host_name)
        return self._agreement(title, answers, verdict)

    def _agreement(self, title: OwnTitle, answers: contexts.Answers, verdict: Verdict) -> Agreement:
        return Agreement(
            contexts=answers.contexts,
            implementation_class_uid=uids.IMPLEMENTATION_CLASS_UID,
            implementation_version_name=uids.IMPLEMENTATION_VERSION_NAME,
            max_pdu_bytes=title.answering.max_pdu_bytes or self._max_pdu_bytes,
            roles=answers.roles,
            extended=answers.extended,
            user_identity_response=None if verdict.user is None else b"",
        )

    def _rejected(self, request: Proposal, rejection: Rejection, reason: str) -> Rejection:
        self.rejected_because = reason
        log.warning(
            "association rejected: %s",
            reason,
            extra={
                "calling": request.calling_ae_title,
                "called": request.called_ae_title,
                "peer": request.peer_host,
                "host": self._host_name,
            },
        )
        return rejection


def _wanted(title: OwnTitle, caller: Caller, answers: contexts.Answers) -> Wanted:
    return Wanted(
        called_ae_title=title.title,
        calling_ae_title=caller.ae_title,
        stores=answers.stores,
        stores_alone=not title.policy.allows_parallel_store,
        most_at_title=title.policy.max_associations,
        most_of_caller=title.policy.max_associations_per_caller,
    )


def _withheld(operation: str, title: OwnTitle, place: Place) -> str:
    """Why an operation that the rules allow was not given all the same, to the log."""
    if operation == "store" and place is Place.TAKEN_WITHOUT_STORE:
        return f"another association at {title.title} stores"
    if operation in ("move", "get") and title.policy.requires_find:
        return f"{title.title} retrieves only where a C-FIND of the same model was accepted"
    return f"the association profile of {title.title} does not give it that role"


def _verdict(request: Proposal, title: OwnTitle, registry: Registry) -> Verdict:
    """Which user calls; it is looked into where the title or the peer asks for that."""
    offered = request.user_identity
    if title.requires_user or (offered is not None and offered.response_requested):
        return identify(registry.users, offered)
    return Verdict(None)
