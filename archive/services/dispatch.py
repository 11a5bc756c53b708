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
from archive.errors import UnexpectedCommand
from archive.lifecycle.retrieve import Holdings
from archive.lifecycle.store import Store
from archive.services.admission import Admitted
from archive.services.find import serve_find
from archive.services.get import serve_get
from archive.services.move import serve_move
from archive.services.storage import serve_store
from archive.services.verification import serve_echo
from archive.storage.sink import InstanceSink
from archive.upper_layer.association import Association, Timeouts

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Services:
    """What the services of a process work with."""

    store: Store
    holdings: Holdings
    timeouts: Timeouts


def serve(association: Association, admitted: Admitted, services: Services, *, number: int) -> None:
    """Serve until the peer releases; raises PeerError when it ends otherwise, and the peer has been told."""
    fields = {
        "association": number,
        "calling": admitted.caller.ae_title,
        "called": admitted.title.title,
        "peer": admitted.caller.address,
    }
    log.info("association accepted", extra=fields)
    with association:
        visit = _Visit(Exchange(association), admitted, services, fields)
        while (message := visit.exchange.receive()) is not None:
            visit.serve(message.command)
    log.info("association released", extra=fields | {"count": visit.served})


class _Visit:
    """One association being served."""

    def __init__(self, exchange: Exchange, admitted: Admitted, services: Services, fields: dict[str, object]) -> None:
        self.exchange = exchange
        self.served = 0
        self._admitted = admitted
        self._services = services
        self._fields = fields
        self._sink: InstanceSink = services.store.sink(admitted.title.area, admitted.caller.ae_title)
        self._served_by: dict[type[Command], Callable[..., tuple[str, int, int | None]]] = {
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
        operation, code, count = self._served_by[type(command)](command)
        self.served += 1
        level = logging.DEBUG if code == status.SUCCESS and operation in ("C-STORE", "C-ECHO") else logging.INFO
        if log.isEnabledFor(level):
            seconds = round(time.perf_counter() - started, 4)
            extra = {"operation": operation, "status": f"{code:04X}", "count": count, "seconds": seconds}
            log.log(level, "served", extra=self._fields | extra)

    def _store(self, request: CStoreRequest) -> tuple[str, int, int | None]:
        return "C-STORE", serve_store(request, self.exchange, self._sink), None

    def _find(self, request: CFindRequest) -> tuple[str, int, int | None]:
        code, answers = serve_find(request, self.exchange, self._admitted, self._services.holdings)
        return "C-FIND", code, answers

    def _move(self, request: CMoveRequest) -> tuple[str, int, int | None]:
        services = self._services
        code, completed = serve_move(request, self.exchange, self._admitted, services.holdings, services.timeouts)
        return "C-MOVE", code, completed

    def _get(self, request: CGetRequest) -> tuple[str, int, int | None]:
        code, completed = serve_get(request, self.exchange, self._admitted, self._services.holdings)
        return "C-GET", code, completed

    def _echo(self, request: CEchoRequest) -> tuple[str, int, int | None]:
        return "C-ECHO", serve_echo(request, self.exchange), None

    def _refuse(self, request: UnrecognizedRequest) -> tuple[str, int, int | None]:
        self.exchange.skip_data_set()
        self.exchange.respond(request.answer(status.UNRECOGNIZED_OPERATION))
        return f"{request.command_field:04X}", status.UNRECOGNIZED_OPERATION, None
