"""The command line of DCMTK's dcmrecv: its options, and what they decide, as one frozen value.

The options are those of dcmrecv 3.6.7 and of the versions after it up to 3.7.0; `--single-process` is ours.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from archive import __version__
from archive.cli.dcmtk import network_options, output_options, tls_options
from archive.cli.dcmtk.face import Face
from archive.cli.dcmtk.general_options import general_options
from archive.cli.dcmtk.network_options import ProfileName
from archive.cli.dcmtk.options import CommandLine, Group, Option, Parameter, Program
from archive.cli.dcmtk.tls_options import TlsOptions
from archive.upper_layer.resolver import IpVersion

DEFAULT_MAX_PDU_BYTES = network_options.MAX_PDU_BYTES

PROGRAM = Program(
    "dcmrecv",
    "Simple DICOM storage SCP (receiver)",
    __version__,
    (Parameter("port", "tcp/ip port number to listen on", is_optional=True, low=1, high=65535),),
    (
        general_options(network_options.VERBOSE_PC),
        Group(
            "multi-process options:",
            (Option("--single-process", "", "one association after the other"),),
            columns=(6, 22),
        ),
        Group("network options:"),
        network_options.IP_VERSIONS,
        network_options.config_file("use profile p from configuration file f"),
        Group(
            "application entity title:",
            (
                Option("--use-called-aetitle", "-uca", "always respond with called AE title (default)"),
                Option(
                    "--aetitle",
                    "-aet",
                    "set my AE title and check called AE title",
                    values=1,
                    value_help="[a]etitle: string",
                ),
            ),
            is_part=True,
        ),
        Group(
            "other network options:",
            (
                network_options.ACSE_TIMEOUT,
                network_options.DIMSE_TIMEOUT,
                network_options.max_pdu(f" (default: {DEFAULT_MAX_PDU_BYTES})"),
                network_options.DISABLE_HOST_LOOKUP,
            ),
            is_part=True,
        ),
        *tls_options.groups("acceptor"),
        output_options.OUTPUT,
        output_options.FOLDER,
        Group(
            "subdirectory generation:",
            (
                Option("--no-subdir", "-s", "do not generate any subdirectories (default)"),
                Option("--series-date-subdir", "+ssd", "generate subdirectories from series date"),
            ),
            is_part=True,
        ),
        Group(
            "filename generation:",
            (
                Option("--default-filenames", "+fd", "generate filename from instance UID (default)"),
                Option("--unique-filenames", "+fu", "generate unique filename based on new UID"),
                Option("--short-unique-names", "+fsu", "generate short pseudo-random unique filename"),
                Option("--system-time-names", "+fst", "generate filename from current system time"),
                Option(
                    "--filename-extension",
                    "-fe",
                    "append e to all generated filenames",
                    values=1,
                    value_help="[e]xtension: string (default: none)",
                ),
            ),
            is_part=True,
        ),
        Group(
            "storage mode:",
            (
                Option("--normal", "-B", "allow implicit format conversions (default)"),
                Option("--bit-preserving", "+B", "write dataset exactly as received"),
                Option("--ignore", "", "ignore dataset, receive but do not store it"),
            ),
            is_part=True,
        ),
    ),
)

Naming = Literal["default", "unique", "short", "time"]
_NAMINGS: dict[str, Naming] = {
    "--default-filenames": "default",
    "--unique-filenames": "unique",
    "--short-unique-names": "short",
    "--system-time-names": "time",
}
Storage = Literal["normal", "preserving", "ignore"]
_STORAGE: dict[str, Storage] = {"--normal": "normal", "--bit-preserving": "preserving", "--ignore": "ignore"}


@dataclass(frozen=True, slots=True)
class Files:
    """How files are named, and into which folders they are sorted."""

    folder: Path = Path()
    naming: Naming = "default"
    extension: str = ""
    has_series_date_folders: bool = False


@dataclass(frozen=True, slots=True)
class Dcmrecv:
    """All that a command line of dcmrecv decides. Times are in seconds."""

    port: int | None = None
    """None: the socket is inherited."""
    shows_contexts: bool = False
    is_single_process: bool = False
    ip_version: IpVersion = "ipv4"
    profile: ProfileName | None = None
    title: str | None = None
    """The only title that may be called; None: any."""
    acse_timeout: int = network_options.DEFAULT_ACSE_TIMEOUT
    dimse_timeout: int | None = None
    max_pdu_bytes: int = DEFAULT_MAX_PDU_BYTES
    looks_up_hosts: bool = True
    tls: TlsOptions = field(default_factory=TlsOptions)
    files: Files = field(default_factory=Files)
    storage: Storage | None = None
    """None if it was not asked for; DCMTK then writes anew."""


def decide(given: CommandLine, *, is_verbose: bool) -> Dcmrecv:
    """What `given`, which asks for no help, decides; raises Misconfigured for what cannot be together.

    `is_verbose` is whether the log has room for what is only said when all goes well.
    """
    storage = given.last(*_STORAGE)
    has_folders = given.last("--no-subdir", "--series-date-subdir") == "--series-date-subdir"
    given.refuse_together("--bit-preserving", "--series-date-subdir", storage == "--bit-preserving" and has_folders)
    is_titled = given.last("--use-called-aetitle", "--aetitle") == "--aetitle"
    return Dcmrecv(
        port=int(given.parameters[0]) if given.parameters else None,
        shows_contexts=network_options.shows_contexts(given, is_verbose),
        is_single_process=given.has("--single-process"),
        ip_version=network_options.ip_version(given),
        profile=ProfileName.of(given),
        title=given.value("--aetitle") if is_titled else None,
        acse_timeout=given.unsigned("--acse-timeout", 1) or network_options.DEFAULT_ACSE_TIMEOUT,
        dimse_timeout=given.unsigned("--dimse-timeout", 1),
        max_pdu_bytes=network_options.max_pdu_bytes(given) or DEFAULT_MAX_PDU_BYTES,
        looks_up_hosts=not given.has("--disable-host-lookup"),
        tls=tls_options.decide(given, "acceptor"),
        files=Files(
            folder=output_options.folder(given),
            naming=_NAMINGS[given.last(*_NAMINGS) or "--default-filenames"],
            extension=given.value("--filename-extension") or "",
            has_series_date_folders=has_folders,
        ),
        storage=_STORAGE[storage] if storage else None,
    )


def _receive(given: CommandLine) -> int:
    from archive.cli.dcmtk import dcmrecv  # loads what help and a mistake can do without

    return dcmrecv.receive(given)


dcmrecv = Face(PROGRAM, _receive, tls_options.ANSWERS, style="brief")
