"""Move destinations: a pynetdicom SCP that remembers what came, and acceptors that misbehave."""

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.presentation import AllStoragePresentationContexts

from tests.wire.raw_messages import EXPLICIT, IMPLICIT, SECONDS

ALL_SYNTAXES = (EXPLICIT, IMPLICIT)


@dataclass(frozen=True)
class Received:
    """One C-STORE that came to a destination."""

    sop_instance_uid: str
    transfer_syntax: str
    data_set: bytes
    priority: int
    originator_title: str | None
    originator_message_id: int | None
    calling_title: str
    message_id: int


@dataclass(frozen=True)
class Offered:
    """A presentation context that was proposed to a destination."""

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass
class Destination:
    """A running pynetdicom SCP."""

    title: str
    port: int = 0
    received: list[Received] = field(default_factory=list)
    proposed: list[Offered] = field(default_factory=list)
    proposed_roles: dict[str, tuple[bool, bool]] = field(default_factory=dict)
    proposed_extended: dict[str, bytes] = field(default_factory=dict)
    associations: int = 0
    rejections: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def wait_for_rejections(self, number: int) -> int:
        """The first time until so many associations were rejected; the status of success."""
        if not self.received:
            for _ in range(number):
                assert self.rejections.acquire(timeout=SECONDS)
        return 0

    @property
    def data_sets(self) -> dict[str, bytes]:
        return {each.sop_instance_uid: each.data_set for each in self.received}


Answer = Callable[[evt.Event, int], int]  # the event and how many came before -> status


@contextmanager
def pynetdicom_scp(
    title: str = "DESTINATION",
    *,
    transfer_syntaxes: Sequence[str] = ALL_SYNTAXES,
    answer: Answer = lambda event, before: 0,
    roles: tuple[bool, bool] | tuple[()] = (),
    most: int | None = None,
) -> Iterator[Destination]:
    """A Storage SCP that answers each store with what `answer` says; `roles` it lets a requestor have, SCU and SCP.

    It takes `most` associations at a time.
    """
    destination = Destination(title)
    entity = ApplicationEntity(title)
    if most is not None:
        entity.maximum_associations = most
    for context in AllStoragePresentationContexts:
        entity.add_supported_context(str(context.abstract_syntax), list(transfer_syntaxes), *roles)

    def store(event: evt.Event) -> int:
        request: Any = event.request
        status = answer(event, len(destination.received))
        destination.received.append(
            Received(
                str(request.AffectedSOPInstanceUID),
                str(event.context.transfer_syntax),
                request.DataSet.getvalue(),
                request.Priority,
                request.MoveOriginatorApplicationEntityTitle,
                request.MoveOriginatorMessageID,
                event.assoc.requestor.ae_title,
                request.MessageID,
            )
        )
        return status

    def accepted(event: evt.Event) -> None:
        destination.associations += 1
        for context in event.assoc.requestor.requested_contexts:
            syntaxes = tuple(map(str, context.transfer_syntax))
            destination.proposed.append(Offered(str(context.abstract_syntax), syntaxes))
        for uid, role in event.assoc.requestor.role_selection.items():
            destination.proposed_roles[str(uid)] = (bool(role.scu_role), bool(role.scp_role))
        for uid, information in event.assoc.requestor.sop_class_extended.items():
            destination.proposed_extended[str(uid)] = information

    server = entity.start_server(
        ("127.0.0.1", 0),
        block=False,
        evt_handlers=[
            (evt.EVT_C_STORE, store),
            (evt.EVT_ACCEPTED, accepted),
            (evt.EVT_REJECTED, lambda _: destination.rejections.release()),
        ],
    )
    assert server is not None
    destination.port = server.server_address[1]
    try:
        yield destination
    finally:
        server.shutdown()


@contextmanager
def raw_acceptor(serve: Callable[[socket.socket], None], *, host: str = "127.0.0.1") -> Iterator[int]:
    """A port on which every connection is served by `serve` in a thread, and closed after it."""
    listener = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    held: list[socket.socket] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                held.append(connection)
                threading.Thread(target=run, args=(connection,), daemon=True).start()

    def run(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            serve(connection)

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in held:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def says_nothing(connection: socket.socket) -> None:
    """Take whatever comes and never answer."""
    while connection.recv(65536):
        pass


def closes_at_once(connection: socket.socket) -> None:
    """A port behind which nobody speaks DICOM."""


def rejects(connection: socket.socket) -> None:
    """A-ASSOCIATE-RJ, called title not recognized."""
    connection.recv(65536)
    connection.sendall(bytes((3, 0, 0, 0, 0, 4, 0, 1, 1, 7)))
    while connection.recv(65536):
        pass
