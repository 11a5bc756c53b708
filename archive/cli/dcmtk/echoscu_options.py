"""The command line of DCMTK's echoscu: its options, and what they decide, as one frozen value.

The options are those of echoscu 3.6.7 and of the versions after it up to 3.7.0; user identity is that of storescu.
"""

from dataclasses import dataclass

from archive import __version__
from archive.cli.dcmtk import client_options, tls_options
from archive.cli.dcmtk.client_options import Client
from archive.cli.dcmtk.face import Face
from archive.cli.dcmtk.general_options import general_options
from archive.cli.dcmtk.options import CommandLine, Group, Option, Program

CALLING_TITLE = "ECHOSCU"
MAX_TRANSFER_SYNTAXES = 53
MAX_CONTEXTS = 128

PROGRAM = Program(
    "echoscu",
    "DICOM verification (C-ECHO) SCU",
    __version__,
    client_options.PARAMETERS,
    (
        general_options(),
        Group("network options:"),
        client_options.IP_VERSIONS,
        client_options.titles(CALLING_TITLE),
        Group(
            "association negotiation debugging:",
            (
                Option(
                    "--propose-ts",
                    "-pts",
                    "propose n transfer syntaxes",
                    values=1,
                    value_help=f"[n]umber: integer (1..{MAX_TRANSFER_SYNTAXES})",
                ),
                Option(
                    "--propose-pc",
                    "-ppc",
                    "propose n presentation contexts",
                    values=1,
                    value_help=f"[n]umber: integer (1..{MAX_CONTEXTS})",
                ),
            ),
            is_part=True,
        ),
        client_options.USER_IDENTITY,
        Group(
            "other network options:",
            (*client_options.TIMES, client_options.MAX_PDU, client_options.REPEAT, client_options.ABORT),
            is_part=True,
        ),
        *tls_options.groups("requestor"),
    ),
)


@dataclass(frozen=True, slots=True)
class Echoscu:
    """All that a command line of echoscu decides."""

    client: Client
    transfer_syntaxes: int = 1
    """How many are proposed in each presentation context."""
    contexts: int = 1
    repeats: int = 1


def decide(given: CommandLine) -> Echoscu:
    """What `given`, which asks for no help, decides; raises Misconfigured for what cannot be together."""
    return Echoscu(
        client=client_options.decide(given, CALLING_TITLE),
        transfer_syntaxes=given.unsigned("--propose-ts", 1, MAX_TRANSFER_SYNTAXES) or 1,
        contexts=given.unsigned("--propose-pc", 1, MAX_CONTEXTS) or 1,
        repeats=client_options.repeats(given),
    )


def _ask(given: CommandLine) -> int:
    from archive.cli.dcmtk import echoscu  # loads what help and a mistake can do without

    return echoscu.ask(given)


echoscu = Face(PROGRAM, _ask, tls_options.ANSWERS, style="brief")
