"""`archive storescp`: receive into a folder, with the options of DCMTK's storescp."""

import signal
from dataclasses import dataclass
from pathlib import Path

from archive import __version__
from archive.cli.dcmtk.face import OK, Face
from archive.cli.dcmtk.general_options import general_options
from archive.cli.dcmtk.options import CommandLine, Group, Option, Parameter, Program
from archive.cli.dcmtk.transfer_syntax_options import PREFER_OPTIONS, accepted
from archive.dimse.commands import CStoreRequest
from archive.errors import Misconfigured
from archive.registry.acceptance import RANKS
from archive.server import listener
from archive.server.listener import Port
from archive.server.receiver import Receiver
from archive.services import reception
from archive.services.reception import Terms
from archive.storage.file_names import DefaultNames
from archive.storage.folder import OutputFolder
from archive.storage.output import Output, OutputSink
from archive.upper_layer.association import Association, Timeouts

PROGRAM = Program(
    name="storescp",
    description="DICOM storage (C-STORE) SCP",
    version=__version__,
    parameters=(Parameter("port", "tcp/ip port number to listen on", low=0, high=65535),),
    groups=(
        general_options(),
        Group("network options:", PREFER_OPTIONS),
        Group(
            "output options:",
            (
                Option(
                    "--output-directory",
                    "-od",
                    "write received objects to existing directory d",
                    values=1,
                    value_help='[d]irectory: string (default: ".")',
                ),
            ),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class _Visitor:
    sink: OutputSink

    def answered(self, request: CStoreRequest, code: int) -> None:
        """Nothing follows."""


def receive(given: CommandLine) -> int:
    """Receive until a signal ends it; the exit code."""
    folder = Path(given.value("--output-directory") or ".")
    if not folder.is_dir():
        raise Misconfigured(f"specified output directory does not exist: {folder}")
    terms = Terms(ranks=RANKS[accepted(given)])
    output = Output(OutputFolder(folder), DefaultNames())

    def serve(association: Association) -> None:
        reception.serve(association, _Visitor(output.sink(association.proposal.calling_ae_title)))

    ports = [Port(each, False) for each in listener.bind(["0.0.0.0"], int(given.parameters[0]))]  # noqa: S104
    receiver = Receiver(ports, terms.decide, serve, Timeouts(idle=None, dimse=None))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: receiver.stop())
    receiver.run()
    return OK


storescp = Face(PROGRAM, receive)
