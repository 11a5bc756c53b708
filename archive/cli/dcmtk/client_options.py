"""Options that every client has: whom it calls, as whom, how long it waits, and how it ends."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from archive.cli.dcmtk import network_options, tls_options
from archive.cli.dcmtk.options import CommandLine, Group, Option, Parameter
from archive.cli.dcmtk.tls_options import Role, TlsOptions
from archive.errors import Misconfigured
from archive.upper_layer.resolver import IpVersion

DEFAULT_CALLED_TITLE = "ANY-SCP"
DEFAULT_MAX_PDU_BYTES = 16_384
DEFAULT_SOCKET_TIMEOUT = 60  # seconds
_MAX_TITLE_CHARACTERS = 16  # VR AE (PS3.5 6.2)

_IP_VERSIONS: Mapping[str, IpVersion] = {"--ipv4": "ipv4", "--ipv6": "ipv6", "--ip-auto": "auto"}

PARAMETERS = (
    Parameter("peer", "hostname of DICOM peer"),
    Parameter("port", "tcp/ip port number of peer", low=1, high=65535),
)
IP_VERSIONS = Group(
    "IP protocol version:",
    (
        Option("--ipv4", "-i4", "use IPv4 only"),
        Option("--ipv6", "-i6", "use IPv6 only"),
        Option("--ip-auto", "-i0", "use DNS lookup to determine IP protocol (default)"),
    ),
    is_part=True,
)
TIMEOUT = Option(
    "--timeout",
    "-to",
    "timeout for connection requests",
    values=1,
    value_help="[s]econds: integer (default: unlimited)",
)
SOCKET_TIMEOUT = Option(
    "--socket-timeout",
    "-ts",
    "timeout for network socket (0 for none)",
    values=1,
    value_help=f"[s]econds: integer (default: {DEFAULT_SOCKET_TIMEOUT})",
)
MAX_PDU = network_options.max_pdu(f" (default: {DEFAULT_MAX_PDU_BYTES})")
MAX_PDU_OF_RECEIVERS = network_options.max_pdu(f" (default: {network_options.MAX_PDU_BYTES})")
"""Of clients that instances come to: the longer, the faster."""
MAX_SEND_PDU = Option(
    "--max-send-pdu",
    "",
    "restrict max send pdu to n bytes",
    values=1,
    value_help=f"[n]umber of bytes: integer ({network_options.MIN_PDU_BYTES}..{network_options.MAX_PDU_BYTES})",
)
REPEAT = Option("--repeat", "", "repeat n times", values=1, value_help="[n]umber: integer")
ABORT = Option("--abort", "", "abort association instead of releasing it")
TIMES = (TIMEOUT, SOCKET_TIMEOUT, network_options.ACSE_TIMEOUT, network_options.DIMSE_TIMEOUT)

_IDENTITY_FILES = {"--kerberos": 3, "--saml": 4, "--jwt": 5}
USER_IDENTITY = Group(
    "user identity negotiation:",
    (
        Option("--user", "-usr", "authenticate using user name u", values=1, value_help="[u]ser name: string"),
        Option(
            "--password",
            "-pwd",
            "authenticate using password p",
            values=1,
            value_help="[p]assword: string (only with --user)",
        ),
        Option("--empty-password", "-epw", "send empty password (only with --user)"),
        Option("--kerberos", "-kt", "read kerberos ticket from file f", values=1, value_help="[f]ilename: string"),
        Option("--saml", "", "read SAML request from file f", values=1, value_help="[f]ilename: string"),
        Option("--jwt", "", "read JWT data from file f", values=1, value_help="[f]ilename: string"),
        Option("--pos-response", "-rsp", "expect positive response"),
    ),
    is_part=True,
)


def titles(calling: str, *more: Option) -> Group:
    """Whom a client calls, and as whom; `calling` is its own title unless told otherwise."""
    return Group(
        "application entity titles:",
        (
            _title("--aetitle", "-aet", f"set my calling AE title (default: {calling})"),
            _title("--call", "-aec", f"set called AE title of peer (default: {DEFAULT_CALLED_TITLE})"),
            *more,
        ),
        is_part=True,
    )


def _title(long: str, short: str, text: str) -> Option:
    return Option(long, short, text, values=1, value_help="[a]etitle: string")


@dataclass(frozen=True, slots=True)
class IdentityOptions:
    """Who the user is (PS3.7 D.3.3.7); files are read when they are sent."""

    identity_type: int
    user: str = ""
    password: str = ""
    file: Path | None = None
    """Of a ticket or token, of types 3 to 5."""
    wants_response: bool = False


@dataclass(frozen=True, slots=True)
class Client:
    """Whom to call, and how. Times are in seconds; None = as long as it takes."""

    host: str
    port: int
    calling_title: str
    called_title: str = DEFAULT_CALLED_TITLE
    ip_version: IpVersion = "auto"
    connect_timeout: int | None = None
    socket_timeout: int | None = DEFAULT_SOCKET_TIMEOUT
    """For each piece of a message that was begun."""
    acse_timeout: int = network_options.DEFAULT_ACSE_TIMEOUT
    dimse_timeout: int | None = None
    """For a response."""
    max_pdu_bytes: int = DEFAULT_MAX_PDU_BYTES
    max_send_pdu_bytes: int | None = None
    """The longest PDU to send, where the peer would take longer ones."""
    identity: IdentityOptions | None = None
    tls: TlsOptions = field(default_factory=TlsOptions)
    aborts: bool = False
    """At the end, instead of a release."""


def decide(
    given: CommandLine,
    calling_title: str,
    *,
    role: Role = "requestor",
    default_max_pdu_bytes: int = DEFAULT_MAX_PDU_BYTES,
) -> Client:
    """What `given`, which asks for no help, decides; raises Misconfigured for what cannot be together.

    `role` is that of the face in TLS.
    """
    socket_timeout = given.signed("--socket-timeout", -1)
    return Client(
        host=given.parameters[0],
        port=int(given.parameters[1]),
        calling_title=title(given, "--aetitle", calling_title),
        called_title=title(given, "--call", DEFAULT_CALLED_TITLE),
        ip_version=_IP_VERSIONS[given.last(*_IP_VERSIONS) or "--ip-auto"],
        connect_timeout=given.signed("--timeout", 1),
        socket_timeout=DEFAULT_SOCKET_TIMEOUT if socket_timeout is None else max(socket_timeout, 0) or None,
        acse_timeout=given.signed("--acse-timeout", 1) or network_options.DEFAULT_ACSE_TIMEOUT,
        dimse_timeout=given.signed("--dimse-timeout", 1),
        max_pdu_bytes=network_options.max_pdu_bytes(given) or default_max_pdu_bytes,
        max_send_pdu_bytes=given.unsigned(
            "--max-send-pdu", network_options.MIN_PDU_BYTES, network_options.MAX_PDU_BYTES
        ),
        identity=_identity(given),
        tls=tls_options.decide(given, role),
        aborts=given.has("--abort"),
    )


def repeats(given: CommandLine) -> int:
    """How often a request is made; raises Misconfigured."""
    return given.unsigned("--repeat", 1) or 1


def title(given: CommandLine, option: str, default: str) -> str:
    """An AE title; raises Misconfigured for one that cannot be (PS3.5 6.2): DCMTK cuts it, and calls another AE."""
    text = given.value(option)
    if text is None:
        return default
    if not text.strip() or len(text) > _MAX_TITLE_CHARACTERS or not text.isprintable() or not text.isascii():
        raise Misconfigured(
            f"Invalid value for option {option}: an AE title has 1 to {_MAX_TITLE_CHARACTERS} characters of ASCII"
        )
    return text


def _identity(given: CommandLine) -> IdentityOptions | None:
    kind = given.last("--user", *_IDENTITY_FILES)
    for option in ("--password", "--empty-password"):
        given.require(option, "--user", kind == "--user" or not given.has(option))
    wants_response = given.has("--pos-response")
    if kind is None:
        given.require("--pos-response", "--user, --kerberos, --saml or --jwt", not wants_response)
        return None
    if kind != "--user":
        return IdentityOptions(_IDENTITY_FILES[kind], file=Path(given.value(kind) or ""), wants_response=wants_response)
    proof = given.last("--password", "--empty-password")
    password = (given.value("--password") or "") if proof == "--password" else ""
    return IdentityOptions(2 if proof else 1, given.value("--user") or "", password, wants_response=wants_response)
