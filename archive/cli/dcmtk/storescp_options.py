"""The command line of DCMTK's storescp: its options, and what they decide, as one frozen value.

The options are those of storescp 3.6.7 and of the versions after it up to 3.7.0; the last of the event options are
ours.
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
from archive.cli.dcmtk.output_options import Output
from archive.cli.dcmtk.tls_options import TlsOptions
from archive.cli.dcmtk.transfer_syntax_options import ACCEPT_ALL, PREFER_OPTIONS, accepted, refuse_with_presets
from archive.upper_layer.resolver import IpVersion

DEFAULT_MAX_PDU_BYTES = network_options.MAX_PDU_BYTES
DEFAULT_SOCKET_TIMEOUT = 60  # seconds
DEFAULT_TITLE = "STORESCP"

_SECONDS = "[s]econds: integer"


def _valued(long: str, short: str, value: str, text: str) -> Option:
    return Option(long, short, text, values=1, value_help=value)


_MULTI_PROCESS = Group(
    "multi-process options:",
    (
        Option("--single-process", "", "one association after the other"),
        Option("--fork", "", "several associations at a time (default)"),
        _valued(
            "--max-associations",
            "",
            "[m]ax: integer (default: 512)",
            "limit number of parallel associations to m\n(only with --fork)",
        ),
    ),
    columns=(6, 22),
)
_OTHER_NETWORK = Group(
    "other network options:",
    (
        Option("--inetd", "-id", "run from inetd super server (not with --fork)"),
        _valued(
            "--socket-timeout",
            "-ts",
            f"{_SECONDS} (default: {DEFAULT_SOCKET_TIMEOUT})",
            "timeout for network socket (0 for none)",
        ),
        network_options.ACSE_TIMEOUT,
        network_options.DIMSE_TIMEOUT,
        _valued("--aetitle", "-aet", "[a]etitle: string", f"set my AE title (default: {DEFAULT_TITLE})"),
        network_options.max_pdu(f" (default: {DEFAULT_MAX_PDU_BYTES})"),
        network_options.DISABLE_HOST_LOOKUP,
        Option("--refuse", "", "refuse association"),
        Option("--reject", "", "reject association if no implement. class UID"),
        Option("--ignore", "", "ignore store data, receive but do not store"),
        _valued("--sleep-after", "", _SECONDS, "sleep s seconds after store (default: 0)"),
        _valued("--sleep-during", "", _SECONDS, "sleep s seconds during store (default: 0)"),
        Option("--abort-after", "", "abort association after receipt of C-STORE-RQ\n(but before sending response)"),
        Option("--abort-during", "", "abort association during receipt of C-STORE-RQ"),
        Option("--promiscuous", "-pm", "promiscuous mode, accept unknown SOP classes\n(not with --config-file)"),
        Option("--uid-padding", "-up", "silently correct space-padded UIDs"),
    ),
    is_part=True,
)
_SORTING = Group(
    "sorting into subdirectories (not with --bit-preserving):",
    (
        _valued("--sort-conc-studies", "-ss", "[p]refix: string", "sort studies using prefix p and a timestamp"),
        _valued(
            "--sort-on-study-uid",
            "-su",
            "[p]refix: string",
            "sort studies using prefix p and the Study\nInstance UID",
        ),
        Option("--sort-on-patientname", "-sp", "sort studies using the Patient's Name and\na timestamp"),
    ),
    is_part=True,
)
_FILE_NAMES = Group(
    "filename generation:",
    (
        Option("--default-filenames", "-uf", "generate filename from instance UID (default)"),
        Option("--unique-filenames", "+uf", "generate unique filenames"),
        Option("--timenames", "-tn", "generate filename from creation time"),
        _valued("--filename-extension", "-fe", "[e]xtension: string", "append e to all filenames"),
    ),
    is_part=True,
)
_EVENTS = Group(
    "event options:",
    (
        _valued(
            "--exec-on-reception",
            "-xcr",
            "[c]ommand: string",
            "execute command c after having received and\nprocessed one C-STORE-RQ message",
        ),
        _valued(
            "--exec-on-eostudy",
            "-xcs",
            "[c]ommand: string",
            "execute command c after having received and\nprocessed all C-STORE-RQ messages that belong\nto one study",
        ),
        Option(
            "--rename-on-eostudy",
            "-rns",
            "having received and processed all C-STORE-RQ\n"
            "messages that belong to one study, rename\noutput files according to certain pattern",
        ),
        _valued(
            "--eostudy-timeout",
            "-tos",
            "[t]imeout: integer",
            "specifies a timeout of t seconds for\nend-of-study determination",
        ),
        Option("--exec-sync", "-xs", "execute command synchronously in foreground"),
        Option("--exec-shell", "", "execute commands by /bin/sh, values quoted\n(default: no shell)"),
        _valued(
            "--study-order",
            "",
            "[o]rder: study, global (default: study)",
            "a study ends by itself, or when an instance\nof any other study arrives",
        ),
    ),
    columns=(6, 22),
)
PROGRAM = Program(
    "storescp",
    "DICOM storage (C-STORE) SCP",
    __version__,
    (Parameter("port", "tcp/ip port number to listen on", is_optional=True, low=1, high=65535),),
    (
        general_options(network_options.VERBOSE_PC),
        _MULTI_PROCESS,
        Group("network options:"),
        network_options.IP_VERSIONS,
        network_options.config_file("use profile p from config file f"),
        Group(
            "preferred network transfer syntaxes (not with --config-file):",
            (*PREFER_OPTIONS, ACCEPT_ALL),
            is_part=True,
        ),
        network_options.HOST_ACCESS,
        _OTHER_NETWORK,
        *tls_options.groups("acceptor"),
        output_options.OUTPUT,
        output_options.FOLDER,
        *output_options.RECEIVER_GROUPS,
        _SORTING,
        _FILE_NAMES,
        _EVENTS,
    ),
)

Sorting = Literal["timestamp", "study", "patient"]
_SORTINGS: dict[str, Sorting] = {
    "--sort-conc-studies": "timestamp",
    "--sort-on-study-uid": "study",
    "--sort-on-patientname": "patient",
}
_SORTING_OPTIONS = "--sort-conc-studies, --sort-on-study-uid or --sort-on-patientname"
Naming = Literal["default", "unique", "time"]
StudyOrder = Literal["study", "global"]


@dataclass(frozen=True, slots=True)
class Files:
    """How files are named, and into which folders they are sorted."""

    folder: Path = Path()
    naming: Naming = "default"
    extension: str = ""
    sorting: Sorting | None = None
    sorting_prefix: str = ""


@dataclass(frozen=True, slots=True)
class Events:
    """What is done when an instance has come, and when a study has ended; commands are as given."""

    on_reception: str | None = None
    on_end_of_study: str | None = None
    renames: bool = False
    end_of_study_timeout: int | None = None
    """Seconds of silence after which a study has ended; None: it ends only when another one comes."""
    is_synchronous: bool = False
    uses_shell: bool = False
    study_order: StudyOrder = "study"


@dataclass(frozen=True, slots=True)
class FaultOptions:
    """What is done wrong, for tests of who sends; times are in seconds."""

    sleep_during: int = 0
    sleep_after: int = 0
    aborts_during: bool = False
    aborts_after: bool = False


@dataclass(frozen=True, slots=True)
class Storescp:
    """All that a command line of storescp decides. Times are in seconds."""

    port: int | None = None
    """None: the socket is inherited."""
    shows_contexts: bool = False
    is_single_process: bool = False
    max_associations: int | None = None
    ip_version: IpVersion = "ipv4"
    profile: ProfileName | None = None
    accept: str = "uncompressed"
    """A name in `transfer_syntax_presets.ACCEPT`."""
    uses_host_rules: bool = False
    is_inetd: bool = False
    socket_timeout: int = DEFAULT_SOCKET_TIMEOUT
    """0 and -1 are without limit."""
    acse_timeout: int = network_options.DEFAULT_ACSE_TIMEOUT
    dimse_timeout: int | None = None
    has_title: bool = False
    """Whether one is given. No peer learns of it: each is answered with the title that it called."""
    max_pdu_bytes: int = DEFAULT_MAX_PDU_BYTES
    looks_up_hosts: bool = True
    refuses: bool = False
    requires_implementation_uid: bool = False
    ignores_stores: bool = False
    faults: FaultOptions = field(default_factory=FaultOptions)
    is_promiscuous: bool = False
    tolerates_padded_uids: bool = False
    tls: TlsOptions = field(default_factory=TlsOptions)
    output: Output = field(default_factory=Output)
    files: Files = field(default_factory=Files)
    events: Events = field(default_factory=Events)


def decide(given: CommandLine, *, is_verbose: bool) -> Storescp:
    """What `given`, which asks for no help, decides; raises Misconfigured for what cannot be together.

    `is_verbose` is whether the log has room for what is only said when all goes well.
    """
    is_inetd, forks = given.has("--inetd"), given.last("--single-process", "--fork") == "--fork"
    given.refuse_together("--inetd", "--fork", is_inetd and given.has("--fork"))
    given.require("--max-associations", "--fork", forks or not given.has("--max-associations"))
    socket_timeout = given.signed("--socket-timeout", -1)
    output = output_options.received(given)
    files = _files(given, output)
    return Storescp(
        port=int(given.parameters[0]) if given.parameters else None,
        shows_contexts=network_options.shows_contexts(given, is_verbose),
        is_single_process=given.last("--single-process", "--fork") == "--single-process",
        max_associations=given.unsigned("--max-associations", 1),
        ip_version=network_options.ip_version(given),
        profile=_profile(given),
        accept=accepted(given),
        uses_host_rules=network_options.uses_host_rules(given),
        is_inetd=is_inetd,
        socket_timeout=DEFAULT_SOCKET_TIMEOUT if socket_timeout is None else socket_timeout,
        acse_timeout=given.signed("--acse-timeout", 1) or network_options.DEFAULT_ACSE_TIMEOUT,
        dimse_timeout=given.signed("--dimse-timeout", 1),
        has_title=given.has("--aetitle"),
        max_pdu_bytes=network_options.max_pdu_bytes(given) or DEFAULT_MAX_PDU_BYTES,
        looks_up_hosts=not given.has("--disable-host-lookup"),
        refuses=given.has("--refuse"),
        requires_implementation_uid=given.has("--reject"),
        ignores_stores=given.has("--ignore"),
        faults=FaultOptions(
            sleep_during=given.unsigned("--sleep-during", 0) or 0,
            sleep_after=given.unsigned("--sleep-after", 0) or 0,
            aborts_during=given.has("--abort-during"),
            aborts_after=given.has("--abort-after"),
        ),
        is_promiscuous=given.has("--promiscuous"),
        tolerates_padded_uids=given.has("--uid-padding"),
        tls=tls_options.decide(given, "acceptor"),
        output=output,
        files=files,
        events=_events(given, files, forks, is_inetd),
    )


def _profile(given: CommandLine) -> ProfileName | None:
    profile = ProfileName.of(given)
    if profile is not None:
        refuse_with_presets(given, "--config-file")
        given.refuse_together("--config-file", "--promiscuous", given.has("--promiscuous"))
    return profile


def _files(given: CommandLine, output: Output) -> Files:
    sorting = given.last(*_SORTINGS)
    given.refuse_together(sorting or "", "--bit-preserving", sorting is not None and output.is_bit_preserving is True)
    is_unique = given.last("--default-filenames", "--unique-filenames") == "--unique-filenames"
    given.refuse_together("--timenames", "--unique-filenames", given.has("--timenames") and is_unique)
    return Files(
        folder=output_options.folder(given),
        naming="unique" if is_unique else "time" if given.has("--timenames") else "default",
        extension=given.value("--filename-extension") or "",
        sorting=_SORTINGS[sorting] if sorting else None,
        sorting_prefix=(given.value(sorting) or "") if sorting else "",
    )


def _events(given: CommandLine, files: Files, forks: bool, is_inetd: bool) -> Events:
    for option in ("--exec-on-eostudy", "--rename-on-eostudy"):
        given.refuse_together(option, "--fork", forks and given.has(option))
        given.refuse_together(option, "--inetd", is_inetd and given.has(option))
        given.require(option, _SORTING_OPTIONS, files.sorting is not None or not given.has(option))
    given.require(
        "--eostudy-timeout",
        "--sort-conc-studies, --sort-on-study-uid, --sort-on-patientname, --exec-on-eostudy or --rename-on-eostudy",
        files.sorting is not None or not given.has("--eostudy-timeout"),
    )
    return Events(
        on_reception=given.value("--exec-on-reception"),
        on_end_of_study=given.value("--exec-on-eostudy"),
        renames=given.has("--rename-on-eostudy"),
        end_of_study_timeout=given.signed("--eostudy-timeout", 0),
        is_synchronous=given.has("--exec-sync"),
        uses_shell=given.has("--exec-shell"),
        study_order=given.choice("--study-order", ("study", "global")) or "study",
    )


def _receive(given: CommandLine) -> int:
    from archive.cli.dcmtk import storescp  # loads what help and a mistake can do without

    return storescp.receive(given)


storescp = Face(PROGRAM, _receive, tls_options.ANSWERS, style="brief")
