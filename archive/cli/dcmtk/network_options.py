"""Options about the network that several faces have: addresses, time limits, PDU sizes, profiles, host access."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from archive.cli.dcmtk.options import CommandLine, Group, Option
from archive.errors import Misconfigured
from archive.upper_layer.resolver import IpVersion

if TYPE_CHECKING:
    from archive.registry.association_profiles import ProfileReading

MIN_PDU_BYTES, MAX_PDU_BYTES = 4096, 131_072
DEFAULT_ACSE_TIMEOUT = 30  # seconds

_IP_VERSIONS: dict[str, IpVersion] = {"--ipv4": "ipv4", "--ipv6": "ipv6", "--ip-auto": "auto"}
LISTEN_HOSTS: Mapping[IpVersion, str] = {"ipv4": "0.0.0.0", "ipv6": "ipv6", "auto": "::"}  # noqa: S104 - as DCMTK's
"""What `server.listener` calls the addresses of a version."""

IP_VERSIONS = Group(
    "IP protocol version:",
    (
        Option("--ipv4", "-i4", "use IPv4 only (default)"),
        Option("--ipv6", "-i6", "use IPv6 only"),
        Option("--ip-auto", "-i0", "use IPv6/IPv4 dual stack"),
    ),
    is_part=True,
)
HOST_ACCESS = Group(
    "network host access control (tcp wrapper):",
    (
        Option("--access-full", "-ac", "accept connections from any host (default)"),
        Option("--access-control", "+ac", "enforce host access control rules"),
    ),
    is_part=True,
)
ACSE_TIMEOUT = Option(
    "--acse-timeout",
    "-ta",
    "timeout for ACSE messages",
    values=1,
    value_help=f"[s]econds: integer (default: {DEFAULT_ACSE_TIMEOUT})",
)
DIMSE_TIMEOUT = Option(
    "--dimse-timeout",
    "-td",
    "timeout for DIMSE messages",
    values=1,
    value_help="[s]econds: integer (default: unlimited)",
)
DISABLE_HOST_LOOKUP = Option("--disable-host-lookup", "-dhl", "disable hostname lookup")
VERBOSE_PC = Option("--verbose-pc", "+v", "show presentation contexts in verbose mode")


def max_pdu(default: str) -> Option:
    """`--max-pdu`, whose default a face says in its own words."""
    return Option(
        "--max-pdu",
        "-pdu",
        f"set max receive pdu to n bytes{default}",
        values=1,
        value_help=f"[n]umber of bytes: integer ({MIN_PDU_BYTES}..{MAX_PDU_BYTES})",
    )


def config_file(text: str) -> Group:
    """`--config-file` of a face that uses one profile."""
    return Group(
        "association negotiation profile from configuration file:",
        (Option("--config-file", "-xf", text, values=2, value_help="[f]ilename, [p]rofile: string"),),
        is_part=True,
    )


def ip_version(given: CommandLine) -> IpVersion:
    """Which addresses to listen on."""
    return _IP_VERSIONS[given.last(*_IP_VERSIONS) or "--ipv4"]


def max_pdu_bytes(given: CommandLine) -> int | None:
    """The longest PDU to be sent to us; None if it is not given. Raises Misconfigured."""
    return given.unsigned("--max-pdu", MIN_PDU_BYTES, MAX_PDU_BYTES)


def uses_host_rules(given: CommandLine) -> bool:
    """Whether hosts.allow and hosts.deny decide who may connect."""
    return given.last("--access-full", "--access-control") == "--access-control"


def shows_contexts(given: CommandLine, is_verbose: bool) -> bool:
    """Whether `--verbose-pc` is given; raises Misconfigured where nobody would see what it shows."""
    if given.has("--verbose-pc"):
        given.require("--verbose-pc", "verbose mode", is_verbose)
    return given.has("--verbose-pc")


@dataclass(frozen=True, slots=True)
class ProfileName:
    """`--config-file`: a file of association profiles, and the name of one of them."""

    file: Path
    name: str

    @classmethod
    def of(cls, given: CommandLine) -> "ProfileName | None":
        """What is given; None if nothing is."""
        values = given.values("--config-file")
        return cls(Path(values[0]), values[1]) if values else None


def read_profiles(file: Path) -> "ProfileReading":
    """The association profiles of a file; raises Misconfigured."""
    from archive.registry import association_profiles  # few command lines name one

    try:
        data = file.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise Misconfigured(f"cannot read association config file: {file}: {reason}") from None
    return association_profiles.read(data, str(file))
