"""Serve an association: each command goes to its service, one after the other, until the peer releases."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from archive.dimse import status
from archive.dimse.commands import (
    CEchoRequest,
    CFindRequest,
    CGetRequest,
    CMoveRequest,
    Command,
    CStoreRequest,
    Response,
    UnrecognizedRequest,
)
from archive.dimse.exchange import Exchange
from archive.errors import PeerError, UnexpectedCommand
from archive.lifecycle.activity import Entry, Served
from archive.lifecycle.retrieve import Holdings
from archive.lifecycle.store import Store
from archive.query.model import SOP_CLASSES
from archive.services.admission import Admitted
from archive.services.find import serve_find
from archive.services.get import serve_get
from archive.services.move import serve_move
from archive.services.storage import serve_store
from archive.services.suboperations import Progress
from archive.services.verification import serve_echo
from archive.storage.sink import InstanceSink, Outcome
from archive.upper_layer.association import Association
from archive.upper_layer.tls import Tls

log = logging.getLogger(__name__)

# What comes by the thousand is made once.
_STORED = {outcome: Served("C-STORE", status.SUCCESS, outcome=outcome) for outcome in Outcome}
_ECHOED = Served("C-ECHO", status.SUCCESS)

_NAMES = {
    CStoreRequest: "C-STORE",
    CFindRequest: "C-FIND",
    CMoveRequest: "C-MOVE",
    CGetRequest: "C-GET",
    CEchoRequest: "C-ECHO",
}


@dataclass(frozen=True, slots=True)
class Services:
    """What the services of a process work with."""

    store: Store
    holdings: Holdings
    tls: Tls


def serve(association: Association, admitted: Admitted, services: Services, entry: Entry, *, number: int) -> None:
    """Serve until the peer releases, and note in `entry` what was served.

    Raises PeerError when the association ends otherwise, and the peer has been told.
    """
    fields = {
        "association": number,
        "calling": admitted.caller.ae_title,
        "called": admitted.title.title,
        "peer": admitted.caller.address,
        "user": admitted.user,
        "host": admitted.host_name,
    }
    log.info("association accepted", extra=fields)
    with association:
        visit = _Visit(Exchange(association), admitted, services, entry, fields)
        while (message := visit.exchange.receive()) is not None:
            visit.serve(message.command)
    log.info("association released", extra=fields | {"count": visit.served})


class _Visit:
    """One association being served."""

    def __init__(
        self, exchange: Exchange, admitted: Admitted, services: Services, entry: Entry, fields: dict[str, object]
    ) -> None:
        self.exchange = exchange
        self.served = 0
        self._admitted = admitted
        self._services = services
        self._entry = entry
        self._fields = fields
        self._sink: InstanceSink = services.store.sink(admitted.title.area, admitted.caller.ae_title)
        self._served_by: dict[type[Command], Callable[..., Served]] = {
            CStoreRequest: self._store,
            CFindRequest: self._find,
            CMoveRequest: self._move,
            CGetRequest: self._get,
            CEchoRequest: self._echo,
            UnrecognizedRequest: self._refuse,
        }

    def serve(self, command: Command) -> None:
        """Serve one command and write down how it went."""
        if isinstance(command, Response):
            error = UnexpectedCommand("A response came that nobody waits for")
            self.exchange.association.end_because(error)
            raise error
        started = time.perf_counter()
        self.exchange.data_set_bytes = 0
        try:
            served = self._served_by[type(command)](command)
        except PeerError as error:
            self._entry.served(Served(_name(command), None), error.message, time.perf_counter() - started)
            raise
        seconds = time.perf_counter() - started
        self.served += 1
        self._note(served, seconds)
        is_usual = served.status == status.SUCCESS and served.operation in ("C-STORE", "C-ECHO")
        level = logging.DEBUG if is_usual else logging.INFO
        if log.isEnabledFor(level):
            extra = {"operation": served.operation, "status": f"{served.status:04X}", "count": served.count}
            extra["reason"] = served.because or None
            log.log(level, "served", extra=self._fields | extra | {"seconds": round(seconds, 4)})

    def _note(self, served: Served, seconds: float) -> None:
        """For the access log: how it was served, and what the peer was told of it."""
        answered = self.exchange.answered
        comment = "" if served.status == status.SUCCESS or answered is None else answered.error_comment
        comment = served.because or comment
        size_bytes = self.exchange.data_set_bytes if served.operation == "C-STORE" else served.size_bytes
        self._entry.served(served, comment, seconds, size_bytes)

    def _store(self, request: CStoreRequest) -> Served:
        code, outcome = serve_store(request, self.exchange, self._sink)
        return Served("C-STORE", code) if outcome is None else _STORED[outcome]

    def _find(self, request: CFindRequest) -> Served:
        code, answers, level = serve_find(request, self.exchange, self._admitted, self._services.holdings)
        return Served("C-FIND", code, _model(request), level.name if level else None, matches=answers)

    def _move(self, request: CMoveRequest) -> Served:
        services, waits = self._services, self.exchange.association.timeouts
        code, progress = serve_move(request, self.exchange, self._admitted, services.holdings, waits, services.tls)
        return _retrieved(request, code, progress, request.move_destination)

    def _get(self, request: CGetRequest) -> Served:
        code, progress = serve_get(request, self.exchange, self._admitted, self._services.holdings)
        return _retrieved(request, code, progress, None)

    def _echo(self, request: CEchoRequest) -> Served:
        serve_echo(request, self.exchange)
        return _ECHOED

    def _refuse(self, request: UnrecognizedRequest) -> Served:
        self.exchange.skip_data_set()
        comment = "The archive does not know this operation"
        self.exchange.respond(request.answer(status.UNRECOGNIZED_OPERATION, error_comment=comment))
        return Served(_name(request), status.UNRECOGNIZED_OPERATION)


def _name(command: Command) -> str:
    """What an operation is called; four hexadecimal digits of its command field where it is not known."""
    return f"{command.command_field:04X}" if isinstance(command, UnrecognizedRequest) else _NAMES[type(command)]


def _model(request: CFindRequest | CMoveRequest | CGetRequest) -> str | None:
    known = SOP_CLASSES.get(request.affected_sop_class_uid)
    return known[0].name.lower() if known else None


def _retrieved(
    request: CMoveRequest | CGetRequest, code: int, progress: Progress, move_destination: str | None
) -> Served:
    return Served(
        _name(request),
        code,
        _model(request),
        progress.level.name if progress.level else None,
        move_destination,
        completed=progress.completed,
        failed=progress.failed,
        warning=progress.warning,
        size_bytes=progress.sent_bytes,
        because=progress.refused_because,
    )
