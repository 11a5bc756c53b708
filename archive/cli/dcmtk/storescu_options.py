"""The command line of DCMTK's storescu: its options, and what they decide, as one frozen value.

The options are those of storescu 3.6.7 and of the versions after it up to 3.7.0; `--parallel` is ours.
"""

from dataclasses import dataclass
from typing import Literal

from archive import __version__
from archive.cli.dcmtk import client_options, network_options, output_options, tls_options, transfer_syntax_options
from archive.cli.dcmtk.client_options import Client
from archive.cli.dcmtk.face import Face
from archive.cli.dcmtk.general_options import general_options
from archive.cli.dcmtk.network_options import ProfileName
from archive.cli.dcmtk.options import CommandLine, Group, Option, Parameter, Program
from archive.dicom.invention import Counts

CALLING_TITLE = "STORESCU"
MOST_PARALLEL = 64
_DEFAULT = Counts()

PROGRAM = Program(
    "storescu",
    "DICOM storage (C-STORE) SCU",
    __version__,
    (
        *client_options.PARAMETERS,
        Parameter("dcmfile-in", "DICOM file or directory to be transmitted", is_repeatable=True),
    ),
    (
        general_options(network_options.VERBOSE_PC),
        Group("input options:"),
        Group(
            "input file format:",
            (
                Option("--read-file", "+f", "read file format or data set (default)"),
                Option("--read-file-only", "+fo", "read file format only"),
                Option("--read-dataset", "-f", "read data set without file meta information"),
            ),
            is_part=True,
        ),
        Group(
            "input files:",
            (
                Option("--scan-directories", "+sd", "scan directories for input files (dcmfile-in)"),
                Option(
                    "--scan-pattern",
                    "+sp",
                    "pattern for filename matching (wildcards)",
                    values=1,
                    value_help="[p]attern: string (only with --scan-directories)",
                ),
                Option("--no-recurse", "-r", "do not recurse within directories (default)"),
                Option("--recurse", "+r", "recurse within specified directories"),
                Option("--no-rename", "-rn", "do not rename processed files (default)"),
                Option("--rename", "+rn", "append .done/.bad to processed files"),
            ),
            is_part=True,
        ),
        Group("network options:"),
        client_options.IP_VERSIONS,
        client_options.titles(CALLING_TITLE),
        network_options.config_file("use profile p from config file f"),
        Group(
            "proposed transmission transfer syntaxes (not with --config-file):",
            (
                *transfer_syntax_options.PROPOSE_OPTIONS,
                Option(
                    "--required",
                    "-R",
                    "propose only required presentation contexts\n(default: propose all supported)",
                ),
                Option(
                    "--combine",
                    "+C",
                    "combine proposed transfer syntaxes\n(default: separate pres. context for each TS)",
                ),
            ),
            is_part=True,
        ),
        output_options.NEW_VRS,
        Group(
            "deflate compression level (only with --propose-deflated or --config-file):",
            (output_options.COMPRESSION_LEVEL,),
            is_part=True,
        ),
        client_options.USER_IDENTITY,
        Group(
            "other network options:",
            (
                *client_options.TIMES,
                client_options.MAX_PDU,
                client_options.MAX_SEND_PDU,
                Option(
                    "--parallel",
                    "",
                    "send over n associations at the same time",
                    values=1,
                    value_help=f"[n]umber: integer (1..{MOST_PARALLEL}, default: 1)",
                ),
                client_options.REPEAT,
                client_options.ABORT,
                Option("--no-halt", "-nh", "do not halt if unsuccessful store encountered\n(default: do halt)"),
                Option("--uid-padding", "-up", "silently correct space-padded UIDs"),
                Option("--invent-instance", "+II", "invent a new SOP instance UID for every image\nsent"),
                Option(
                    "--invent-series",
                    "+IR",
                    f"invent a new series UID after n images\nhave been sent (default: {_DEFAULT.images})",
                    values=1,
                    value_help="[n]umber: integer (implies --invent-instance)",
                ),
                Option(
                    "--invent-study",
                    "+IS",
                    f"invent a new study UID after n series\nhave been sent (default: {_DEFAULT.series})",
                    values=1,
                    value_help="[n]umber: integer (implies --invent-instance)",
                ),
                Option(
                    "--invent-patient",
                    "+IP",
                    f"invent a new patient ID and name after n studies\nhave been sent (default: {_DEFAULT.studies})",
                    values=1,
                    value_help="[n]umber: integer (implies --invent-instance)",
                ),
            ),
            is_part=True,
        ),
        *tls_options.groups("requestor"),
    ),
)

FileForm = Literal["any", "file", "data set"]
_FORMS: dict[str, FileForm] = {"--read-file": "any", "--read-file-only": "file", "--read-dataset": "data set"}
_INVENTING = ("--invent-instance", "--invent-series", "--invent-study", "--invent-patient")


@dataclass(frozen=True, slots=True)
class Files:
    """Which files are sent, and what becomes of their names."""

    named: tuple[str, ...]
    form: FileForm = "any"
    scans: bool = False
    pattern: str | None = None
    recurses: bool = False
    renames: bool = False


@dataclass(frozen=True, slots=True)
class Proposed:
    """What is proposed for the files."""

    preset: str = transfer_syntax_options.DEFAULT_PRESET
    """A key of `transfer_syntax_presets.PROPOSE`."""
    only_required: bool = False
    is_combined: bool = False
    profile: ProfileName | None = None
    """Instead of all that."""


@dataclass(frozen=True, slots=True)
class Storescu:
    """All that a command line of storescu decides."""

    client: Client
    files: Files
    shows_contexts: bool = False
    proposed: Proposed = Proposed()
    has_new_vrs: bool = True
    deflate_level: int = output_options.DEFAULT_DEFLATE_LEVEL
    parallel: int = 1
    repeats: int = 1
    halts: bool = True
    """At the first instance that cannot be sent, or that the peer does not take."""
    corrects_uids: bool = False
    invents: Counts | None = None
    """None: the instances stay what they are."""


def decide(given: CommandLine, *, is_verbose: bool) -> Storescu:
    """What `given`, which asks for no help, decides; raises Misconfigured for what cannot be together.

    `is_verbose` is whether the log has room for what is only said when all goes well.
    """
    return Storescu(
        client=client_options.decide(given, CALLING_TITLE),
        shows_contexts=network_options.shows_contexts(given, is_verbose),
        files=_files(given),
        proposed=_proposed(given),
        has_new_vrs=output_options.has_new_vrs(given),
        deflate_level=_deflate_level(given),
        parallel=given.unsigned("--parallel", 1, MOST_PARALLEL) or 1,
        repeats=client_options.repeats(given),
        halts=not given.has("--no-halt"),
        corrects_uids=given.has("--uid-padding"),
        invents=_invents(given),
    )


def _files(given: CommandLine) -> Files:
    scans = given.has("--scan-directories")
    given.require("--scan-pattern", "--scan-directories", scans or not given.has("--scan-pattern"))
    recurses = given.last("--no-recurse", "--recurse") == "--recurse"
    given.require("--recurse", "--scan-directories", scans or not recurses)
    return Files(
        named=given.parameters[2:],
        form=_FORMS[given.last(*_FORMS) or "--read-file"],
        scans=scans,
        pattern=given.value("--scan-pattern"),
        recurses=recurses,
        renames=given.last("--no-rename", "--rename") == "--rename",
    )


def _proposed(given: CommandLine) -> Proposed:
    profile = ProfileName.of(given)
    if profile is not None:
        transfer_syntax_options.refuse_with_presets(given, "--config-file")
        for option in ("--required", "--combine"):
            given.refuse_together("--config-file", option, given.has(option))
    return Proposed(
        preset=transfer_syntax_options.proposed(given),
        only_required=given.has("--required"),
        is_combined=given.has("--combine"),
        profile=profile,
    )


def _deflate_level(given: CommandLine) -> int:
    if given.has("--compression-level"):
        deflates = given.has("--config-file") or transfer_syntax_options.proposed(given) == "deflated"
        given.require("--compression-level", "--propose-deflated or --config-file", deflates)
    return output_options.deflate_level(given)


def _invents(given: CommandLine) -> Counts | None:
    if not any(map(given.has, _INVENTING)):
        return None
    return Counts(
        images=given.unsigned("--invent-series", 1) or _DEFAULT.images,
        series=given.unsigned("--invent-study", 1) or _DEFAULT.series,
        studies=given.unsigned("--invent-patient", 1) or _DEFAULT.studies,
    )


def _send(given: CommandLine) -> int:
    from archive.cli.dcmtk import storescu  # loads what help and a mistake can do without

    return storescu.send(given)


storescu = Face(PROGRAM, _send, tls_options.ANSWERS, style="brief")
