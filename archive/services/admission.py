"""Who is let in, and with what: A-ASSOCIATE-RQ -> AC or RJ, by one snapshot of the registry (PS3.8 7.1.1)."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from archive.dicom import uids
from archive.errors import ArchiveError, CannotConnect
from archive.query.model import Operation, Options
from archive.registry import access
from archive.registry.access import Caller
from archive.registry.snapshot import OwnTitle, Registry
from archive.services import contexts
from archive.upper_layer import connection, proposal
from archive.upper_layer.proposal import Agreement, Proposal, Rejection

log = logging.getLogger(__name__)

# For the host names in rules and peers; an association request waits for them.
_RESOLVE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Admitted:
    """An association that was let in: the title it called, what it may do there, what it negotiated."""

    registry: Registry
    title: OwnTitle
    caller: Caller
    operations: frozenset[str]
    extended: dict[str, bytes] = field(default_factory=dict)

    def options(self, sop_class_uid: str, operation: Operation) -> Options:
        """How queries of this SOP Class are to be read."""
        offered = self.extended.get(sop_class_uid, b"")
        return Options.from_extended_negotiation(offered, operation, strict_names=self.title.area.strict_names)


class Admission:
    """Decides about one association request; `admitted` is set when it was let in."""

    def __init__(
        self, current_registry: Callable[[], Registry], has_room: Callable[[], bool], max_pdu_bytes: int
    ) -> None:
        """`has_room` tells, when asked, whether the service may hold this association too."""
        self._current_registry = current_registry
        self._has_room = has_room
        self._max_pdu_bytes = max_pdu_bytes
        self.admitted: Admitted | None = None

    def decide(self, request: Proposal) -> Agreement | Rejection:
        """The answer to `request`."""
        if request.application_context != proposal.APPLICATION_CONTEXT:
            return self._rejected(request, proposal.APPLICATION_CONTEXT_NOT_SUPPORTED, "unknown application context")
        try:
            registry = self._current_registry()
        except ArchiveError as error:
            return self._rejected(request, proposal.TRY_LATER, str(error))
        called, caller = request.called_ae_title, Caller(request.calling_ae_title, request.peer_host)
        title = registry.titles.get(called)
        if title is None:
            reason = f"{called} is not one of our AE titles"
            return self._rejected(request, proposal.CALLED_AE_TITLE_NOT_RECOGNIZED, reason)
        operations = access.allowed_operations(registry, called, caller, addresses_of)
        if not operations:
            reason = access.decide(registry, called, caller, "echo", addresses_of).reason
            return self._rejected(request, proposal.CALLING_AE_TITLE_NOT_RECOGNIZED, reason)
        if not self._has_room():
            return self._rejected(request, proposal.LOCAL_LIMIT_EXCEEDED, "as many associations as are allowed")
        answers = contexts.answer(request, title.area, operations)
        offered = {item.sop_class_uid: item.application_information for item in request.extended}
        self.admitted = Admitted(registry, title, caller, operations, offered)
        return Agreement(
            contexts=answers.contexts,
            implementation_class_uid=uids.IMPLEMENTATION_CLASS_UID,
            implementation_version_name=uids.IMPLEMENTATION_VERSION_NAME,
            max_pdu_bytes=self._max_pdu_bytes,
            roles=answers.roles,
            extended=answers.extended,
        )

    def _rejected(self, request: Proposal, rejection: Rejection, reason: str) -> Rejection:
        log.warning(
            "association rejected: %s",
            reason,
            extra={
                "calling": request.calling_ae_title,
                "called": request.called_ae_title,
                "peer": request.peer_host,
            },
        )
        return rejection


def addresses_of(host: str) -> frozenset[str]:
    """The addresses of a host name in a rule or a peer; none where it cannot be resolved in time."""
    try:
        return frozenset(connection.resolve(host, _RESOLVE_SECONDS))
    except CannotConnect as error:
        log.warning("a rule or peer names a host that cannot be resolved: %s", error)
        return frozenset()
