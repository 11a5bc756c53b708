"""Programs that receive into a folder, to be sent the same: DCMTK's, and the output of ours behind a real port."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import FileDataset

from archive.errors import PeerError
from archive.registry.acceptance import RANKS
from archive.services import reception
from archive.services.reception import Terms
from archive.storage.output import Output, OutputSink
from archive.upper_layer.association import Association
from archive.upper_layer.connection import Connection
from archive.upper_layer.proposal import Rejection
from scripts.background import Background, free_port
from tests.fix_association import PATIENT, WAIT_SECONDS, in_background
from tests.fix_dcmtk import Dcmtk
from tests.fix_instances import encoded
from tests.wire.raw_messages import Proposed
from tests.wire.raw_scu import RawScu


@dataclass(frozen=True)
class _Visitor:
    """Looks on."""

    sink: OutputSink

    def received(self, *_: Any, **__: Any) -> None: ...
    def failed(self, *_: Any, **__: Any) -> None: ...
    def answered(self, *_: Any, **__: Any) -> None: ...


@contextmanager
def our_receiver(output: Output) -> Iterator[int]:
    """The port of a receiver that stores into `output`, each association in a thread of its own."""
    terms = Terms(ranks=RANKS["all"])

    def serve(accepted: socket.socket) -> None:
        connection = Connection(accepted)
        try:
            association = Association.accept(connection, terms.decide, PATIENT)
            if not isinstance(association, Rejection):
                reception.serve(association, _Visitor(output.sink(association.proposal.calling_ae_title)))
        except PeerError:
            pass  # a test may break off; what it left is what matters
        finally:
            connection.close()

    served: list[threading.Thread] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                accepted, _ = listener.accept()
                served.append(threading.Thread(target=serve, args=(accepted,), daemon=True))
                served[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = in_background(accept)
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        accepting.result(WAIT_SECONDS)
    for thread in served:
        thread.join(WAIT_SECONDS)
        assert not thread.is_alive()


@contextmanager
def dcmtks_receiver(program: str, folder: Path, *options: str) -> Iterator[int]:
    """The port of DCMTK's storescp or dcmrecv."""
    port = free_port()
    words = [*options, "-xf", "/etc/dcmtk/storescp.cfg", "Default"] if program == "dcmrecv" else list(options)
    process = Background([Dcmtk.program(program), "-od", folder, *words, str(port)], folder.with_suffix(".log"))
    try:
        process.wait_listening(port)
        yield port
    finally:
        process.stop()


def send(port: int, data_sets: Sequence[FileDataset], *, announced: str | None = None) -> list[int]:
    """Store all of them over one association, in this order; the statuses. `announced` is the UID of every request."""
    contexts = dict.fromkeys((str(each.SOPClassUID), str(each.file_meta.TransferSyntaxUID)) for each in data_sets)
    statuses: list[int] = []
    with RawScu(port) as scu:
        scu.associate([Proposed(sop_class, (syntax,)) for sop_class, syntax in contexts])
        for each in data_sets:
            uid = announced or str(each.SOPInstanceUID)
            syntax = str(each.file_meta.TransferSyntaxUID)
            statuses.append(scu.store(str(each.SOPClassUID), uid, encoded(each), syntax).status)
        scu.release()
    return statuses
