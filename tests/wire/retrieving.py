"""movescu and getscu, DCMTK's and ours, and a Query/Retrieve SCP that answers them as a test says."""

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import Queue

from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileDataset
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity

from archive.dimse.commands import CGetRequest, CMoveRequest, CStoreRequest
from archive.dimse.exchange import Exchange
from archive.errors import PeerAborted, PeerError
from archive.upper_layer.association import Association
from archive.upper_layer.connection import Connection, Deadline
from archive.upper_layer.proposal import Agreement, Context, Proposal, Rejection
from archive.upper_layer.tls import Tls
from archive.upper_layer.tls_connection import TlsConnection
from tests.fix_association import PATIENT, WAIT_SECONDS, agree
from tests.fix_instances import encoded, instance
from tests.wire.clients import DCMTK, OURS, Command, both, ran
from tests.wire.raw_messages import EXPLICIT, PATIENT_ROOT_GET, PATIENT_ROOT_MOVE, SECONDARY_CAPTURE, Proposed
from tests.wire.raw_scu import RawScu
from tests.wire.receivers import raw_acceptor

__all__ = [
    "Asked",
    "Command",
    "DCMTK",
    "OURS",
    "QUERY",
    "Ran",
    "RetrieveScp",
    "answering",
    "both",
    "files_in",
    "move",
    "of_uid",
    "pynetdicom_archive",
    "query_file",
    "retrieve_scp",
    "run",
    "storing",
]

QUERY = ("-k", "QueryRetrieveLevel=PATIENT", "-k", "PatientID=P000001")


@dataclass(frozen=True)
class Ran:
    """A program that ended."""

    code: int
    out: str
    error: str

    @property
    def informed(self) -> list[str]:
        """What it said at level info."""
        return [line.removeprefix("I: ") for line in self.error.splitlines() if line.startswith("I: ")]


def run(command: Command, name: str, folder: Path, *arguments: object) -> Ran:
    """Run a program to its end, with its working directory in `folder`, which is made."""
    folder.mkdir(exist_ok=True, parents=True)
    ended = ran(command, name, *arguments, folder=folder)
    return Ran(ended.code, ended.out.decode(), ended.error.decode(errors="replace"))


def move(command: Command, tmp_path: Path, port: int, *arguments: object) -> Ran:
    """Run movescu, in an empty folder below the test's."""
    return run(command, "movescu", tmp_path / "work", *arguments, "127.0.0.1", port)


def files_in(folder: Path) -> list[str]:
    """Every file below a folder, by name."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def of_uid(uid: str) -> bytes:
    """A data set with what is no SOP Instance UID in its place."""
    digits = "1" * len(uid)
    return encoded(instance(SOPInstanceUID=digits)).replace(digits.encode(), uid.encode())


def query_file(path: Path, **keys: object) -> Path:
    """A data set without File Meta Information, which is returned."""
    data_set = Dataset()
    for keyword, value in keys.items():
        setattr(data_set, keyword, value)
    dcmwrite(path, data_set, implicit_vr=False, little_endian=True)
    return path


@dataclass(frozen=True)
class Asked:
    """One C-MOVE or C-GET that a client asks for."""

    exchange: Exchange
    context: Context
    request: CMoveRequest | CGetRequest
    identifier: bytes

    def answer(self, status: int, data_set: bytes | None = None, **counts: int) -> None:
        """A response; `counts` are of sub-operations."""
        self.exchange.respond(replace(self.request.answer(status), **counts), data_set)

    def store(self, sop_class_uid: str, sop_instance_uid: str, data_set: bytes) -> int:
        """A C-STORE over the same association, as in a C-GET; its status."""
        contexts = self.exchange.association.contexts.values()
        context = next(each for each in contexts if each.abstract_syntax == sop_class_uid)
        request = CStoreRequest(
            message_id=self.exchange.next_message_id(),
            affected_sop_class_uid=sop_class_uid,
            affected_sop_instance_uid=sop_instance_uid,
        )
        return self.exchange.ask(context, request, data_set).status


def answering(*statuses: int) -> Callable[[Asked], None]:
    """Answers the first request with the first status, and so on."""
    left = list(statuses)
    return lambda asked: asked.answer(left.pop(0))


def storing(port: Callable[[], int], *data_sets: FileDataset, status: int = 0) -> Callable[[Asked], None]:
    """Stores all of them over one association with whoever asks, and answers."""

    def serve(asked: Asked) -> None:
        with RawScu(port()) as scu:
            contexts = dict.fromkeys(
                (str(each.SOPClassUID), str(each.file_meta.TransferSyntaxUID)) for each in data_sets
            )
            scu.associate([Proposed(sop_class, (syntax,)) for sop_class, syntax in contexts])
            for number, each in enumerate(data_sets):
                scu.store(str(each.SOPClassUID), str(each.SOPInstanceUID), encoded(each))
                asked.answer(0xFF00, remaining=len(data_sets) - number - 1, completed=number + 1, failed=0, warning=0)
            scu.release()
        asked.answer(status)

    return serve


@dataclass
class RetrieveScp:
    """A running one."""

    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    proposals: list[Proposal] = field(default_factory=list)
    _ended: "Queue[str]" = field(default_factory=Queue)

    @property
    def ended(self) -> list[str]:
        """How each association ended; waits for that, as a client may know of it before us."""
        return [self._ended.get(timeout=WAIT_SECONDS) for _ in self.proposals]

    def note_end(self, how: str) -> None:
        """One has ended."""
        self._ended.put(how)


Serve = Callable[[Asked], None]


@contextmanager
def retrieve_scp(
    serve: Serve,
    *,
    decide: Callable[[Proposal], Agreement | Rejection] = agree,
    tls: Tls | None = None,
    host: str = "127.0.0.1",
) -> Iterator[RetrieveScp]:
    """A port where each request is served as the test says; a request that is not answered hangs its client."""
    scp = RetrieveScp()

    def noted(proposal: Proposal) -> Agreement | Rejection:
        scp.proposals.append(proposal)
        return decide(proposal)

    def accept(accepted: socket.socket) -> None:
        connection = Connection(accepted) if tls is None else TlsConnection(accepted, tls.accept())
        try:
            connection.shake_hands(Deadline.after(WAIT_SECONDS))
            association = Association.accept(connection, noted, PATIENT)
            scp.note_end("rejected" if isinstance(association, Rejection) else _carry(association, serve, scp))
        except PeerError as error:
            scp.note_end(type(error).__name__)
        finally:
            connection.close()

    with raw_acceptor(accept, host=host) as scp.port:
        yield scp


def _carry(association: Association, serve: Serve, scp: RetrieveScp) -> str:
    exchange = Exchange(association)
    try:
        with association:
            while (message := exchange.receive()) is not None:
                assert isinstance(message.command, CMoveRequest | CGetRequest)
                asked = Asked(exchange, message.context, message.command, exchange.read_data_set(1 << 20))
                scp.asked.append(asked)
                serve(asked)
    except PeerAborted:
        return "aborted"
    return "released"


@contextmanager
def pynetdicom_archive(data_sets: Sequence[FileDataset], destination: int) -> Iterator[int]:
    """The port of pynetdicom's Query/Retrieve SCP, which sends all of them: by C-GET, or by C-MOVE to a port."""

    def moved(event: evt.Event) -> Iterator[object]:
        yield "127.0.0.1", destination
        yield from got(event)

    def got(event: evt.Event) -> Iterator[object]:
        yield len(data_sets)
        for each in data_sets:
            yield 0xFF00, each

    entity = ApplicationEntity("PYNETDICOM")
    for uid in (PATIENT_ROOT_MOVE, PATIENT_ROOT_GET):
        entity.add_supported_context(uid, [EXPLICIT])
    entity.add_supported_context(SECONDARY_CAPTURE, [EXPLICIT], scu_role=True, scp_role=True)
    entity.add_requested_context(SECONDARY_CAPTURE, [EXPLICIT])
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_MOVE, moved), (evt.EVT_C_GET, got)]
    )
    assert server is not None
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
