"""The command line of DCMTK's movescu: its options, and what they decide, as one frozen value.

The options are those of movescu 3.6.7 and of the versions after it up to 3.7.0; user identity is that of storescu.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

from archive import __version__
from archive.cli.dcmtk import client_options, network_options, output_options, query_options, tls_options
from archive.cli.dcmtk.client_options import Client
from archive.cli.dcmtk.face import Face
from archive.cli.dcmtk.general_options import general_options
from archive.cli.dcmtk.options import CommandLine, Group, Option, Program
from archive.cli.dcmtk.output_options import Output
from archive.cli.dcmtk.query_options import QueryOptions
from archive.cli.dcmtk.transfer_syntax_options import ACCEPT_ALL, PREFER_OPTIONS, accepted, proposed
from archive.upper_layer.connection import IpVersion

CALLING_TITLE = "MOVESCU"
DEFAULT_MODEL = "--patient"

_PORT = Group(
    "port for incoming network associations:",
    (
        Option("--no-port", "", "no port for incoming associations (default)"),
        Option("--port", "+P", "port number for incoming associations", values=1, value_help="[n]umber: integer"),
    ),
    is_part=True,
)
_PENDING = Group(
    "handling of illegal datasets following 'pending' move responses:",
    (
        Option("--pending-ignore", "-pi", "assume no dataset present (default)"),
        Option("--pending-read", "-pr", "read and ignore dataset"),
    ),
    is_part=True,
)
_OTHER_NETWORK = Group(
    "other network options:",
    (
        *client_options.TIMES,
        client_options.MAX_PDU_OF_RECEIVERS,
        network_options.DISABLE_HOST_LOOKUP,
        client_options.REPEAT,
        query_options.PRIORITY,
        client_options.ABORT,
        Option("--ignore", "", "ignore store data, receive but do not store"),
        Option(
            "--cancel",
            "",
            "cancel after n responses (default: never)",
            values=1,
            value_help="[n]umber: integer",
        ),
        Option("--uid-padding", "-up", "silently correct space-padded UIDs"),
    ),
    is_part=True,
)
_TRANSFER_SYNTAXES = replace(
    query_options.TRANSFER_SYNTAXES, heading="proposed transmission transfer syntaxes (outgoing associations):"
)
_MOVE_DESTINATION = Option(
    "--move",
    "-aem",
    f"set move destinat. AE title (default: {CALLING_TITLE})",
    values=1,
    value_help="[a]etitle: string",
)
_IP_VERSIONS = Group(
    "IP protocol version:",
    (
        Option("--ipv4", "-i4", "use IPv4 only (default for incoming associations)"),
        Option("--ipv6", "-i6", "use IPv6 only"),
        Option("--ip-auto", "-i0", "use IPv6/IPv4 dual stack (default for outgoing)"),
    ),
    is_part=True,
)
PROGRAM = Program(
    "movescu",
    "DICOM retrieve (C-MOVE) SCU",
    __version__,
    (*client_options.PARAMETERS, query_options.QUERY_FILES),
    (
        general_options(),
        Group("network options:"),
        _IP_VERSIONS,
        query_options.KEYS,
        query_options.models(DEFAULT_MODEL, "--patient", "--study", "--psonly"),
        client_options.titles(CALLING_TITLE, _MOVE_DESTINATION),
        Group(
            "preferred network transfer syntaxes (incoming associations):",
            (*PREFER_OPTIONS, ACCEPT_ALL),
            is_part=True,
        ),
        _TRANSFER_SYNTAXES,
        network_options.HOST_ACCESS,
        _PORT,
        _PENDING,
        client_options.USER_IDENTITY,
        _OTHER_NETWORK,
        *tls_options.groups("both"),
        output_options.OUTPUT,
        output_options.FOLDER,
        *output_options.MOVE_GROUPS,
    ),
)


@dataclass(frozen=True, slots=True)
class Incoming:
    """How the instances are received that come to us."""

    port: int
    ip_version: IpVersion = "ipv4"
    accept: str = "uncompressed"
    """A name in `transfer_syntax_presets.ACCEPT`."""
    uses_host_rules: bool = False
    looks_up_hosts: bool = True
    ignores_stores: bool = False
    tolerates_padded_uids: bool = False
    folder: Path = Path()
    output: Output = field(default_factory=Output)


@dataclass(frozen=True, slots=True)
class Movescu:
    """All that a command line of movescu decides."""

    client: Client
    query: QueryOptions
    destination: str
    """AE title that the peer is to send to."""
    incoming: Incoming | None = None
    """None: we are not the destination, or another program listens for us."""
    reads_pending: bool = False
    """Whether data sets behind pending responses are read where they are announced."""
    cancel_after: int | None = None
    """The response, counted from 1, that is answered with a cancel."""
    repeats: int = 1


def decide(given: CommandLine) -> Movescu:
    """What `given`, which asks for no help, decides; raises Misconfigured for what cannot be together."""
    client = client_options.decide(
        given, CALLING_TITLE, role="both", default_max_pdu_bytes=network_options.MAX_PDU_BYTES
    )
    query = query_options.decide(given, DEFAULT_MODEL, writes=True)
    return Movescu(
        client=client,
        query=replace(
            query, keys=query.keys[::-1]
        ),  # of two keys for one element movescu takes the first, not the last
        destination=client_options.title(given, "--move", client.calling_title),
        incoming=_incoming(given),
        reads_pending=given.last("--pending-ignore", "--pending-read") == "--pending-read",
        cancel_after=given.signed("--cancel", 0),
        repeats=client_options.repeats(given),
    )


def _incoming(given: CommandLine) -> Incoming | None:
    port = given.unsigned("--port", 1, 65535)
    is_used = given.last("--no-port", "--port") == "--port"
    given.require("--output-directory", "--port", is_used or not given.has("--output-directory"))
    output = output_options.received(given, proposed(given))
    if not is_used or port is None:
        return None
    return Incoming(
        port=port,
        ip_version=network_options.ip_version(given),
        accept=accepted(given),
        uses_host_rules=network_options.uses_host_rules(given),
        looks_up_hosts=not given.has("--disable-host-lookup"),
        ignores_stores=given.has("--ignore"),
        tolerates_padded_uids=given.has("--uid-padding"),
        folder=output_options.folder(given),
        output=output,
    )


def _ask(given: CommandLine) -> int:
    from archive.cli.dcmtk import movescu  # loads what help and a mistake can do without

    return movescu.ask(given)


movescu = Face(PROGRAM, _ask, tls_options.ANSWERS, style="brief")
