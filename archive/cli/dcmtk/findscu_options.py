"""The command line of DCMTK's findscu: its options, and what they decide, as one frozen value.

The options are those of findscu 3.6.7 and of the versions after it up to 3.7.0; user identity is that of storescu, and
the documents on standard output are ours.
"""

from dataclasses import dataclass
from pathlib import Path

from archive import __version__
from archive.cli.dcmtk import client_options, output_options, query_options, tls_options
from archive.cli.dcmtk.client_options import Client
from archive.cli.dcmtk.face import Face
from archive.cli.dcmtk.general_options import general_options
from archive.cli.dcmtk.options import CommandLine, Group, Option, Program
from archive.cli.dcmtk.query_options import QueryOptions

CALLING_TITLE = "FINDSCU"
DEFAULT_MODEL = "--worklist"
_EXTRACTING = ("--extract", "--extract-xml", "--extract-xml-single")
_DOCUMENTS = ("--json", "--xml")

PROGRAM = Program(
    "findscu",
    "DICOM query (C-FIND) SCU",
    __version__,
    (*client_options.PARAMETERS, query_options.QUERY_FILES),
    (
        general_options(),
        Group("network options:"),
        query_options.KEYS,
        query_options.models(DEFAULT_MODEL, "--worklist", "--patient", "--study", "--psonly"),
        client_options.IP_VERSIONS,
        client_options.titles(CALLING_TITLE),
        output_options.NEW_VRS,
        query_options.TRANSFER_SYNTAXES,
        query_options.COMPRESSION,
        client_options.USER_IDENTITY,
        Group(
            "other network options:",
            (
                *client_options.TIMES,
                client_options.MAX_PDU,
                client_options.REPEAT,
                query_options.PRIORITY,
                client_options.ABORT,
                Option(
                    "--cancel",
                    "",
                    "cancel after n responses (default: never)",
                    values=1,
                    value_help="[n]umber: integer",
                ),
            ),
            is_part=True,
        ),
        *tls_options.groups("requestor"),
        Group("output options:"),
        Group(
            "general:",
            (
                Option(
                    "--output-directory",
                    "-od",
                    "write output files to existing directory d",
                    values=1,
                    value_help='[d]irectory: string (default: ".")',
                ),
            ),
            is_part=True,
        ),
        Group(
            "automatic data correction:",
            (
                Option("--enable-correction", "+dc", "enable automatic data correction"),
                Option("--disable-correction", "-dc", "disable automatic data correction (default)"),
            ),
            is_part=True,
        ),
        Group(
            "C-FIND responses:",
            (
                Option("--show-responses", "+sr", "always output responses to the logger"),
                Option("--hide-responses", "-sr", "do not output responses to the logger"),
                Option("--extract", "-X", "extract responses to DICOM file (rsp0001.dcm...)"),
                Option("--extract-xml", "-Xx", "extract responses to XML file (rsp0001.xml...)"),
                Option(
                    "--extract-xml-single",
                    "-Xs",
                    "extract all responses to given XML file f",
                    values=1,
                    value_help="[f]ilename: string",
                ),
                Option(
                    "--limit-output",
                    "-Xlo",
                    "limit number of responses extracted to file to n\n(default: unlimited)",
                    values=1,
                    value_help="[n]umber: integer",
                ),
                Option("--json", "", "print all responses as one DICOM JSON document"),
                Option("--xml", "", "print all responses as one Native DICOM Model document"),
            ),
            is_part=True,
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Output:
    """What becomes of the answers."""

    shows: bool | None = None
    """In the log: always, never, or, None, as its level says."""
    extracts: str = ""
    """To files: the long option that says in which form; "": to none."""
    folder: Path = Path()
    single_file: Path = Path()
    """Of `--extract-xml-single`, below the folder."""
    limit: int | None = None
    """How many are extracted."""
    document: str = ""
    """On standard output: `--json` or `--xml`; "": none."""
    corrects: bool = False


@dataclass(frozen=True, slots=True)
class Findscu:
    """All that a command line of findscu decides."""

    client: Client
    query: QueryOptions
    output: Output
    repeats: int = 1
    cancel_after: int | None = None
    """Matches of one request."""


def decide(given: CommandLine) -> Findscu:
    """What `given`, which asks for no help, decides; raises Misconfigured for what cannot be together."""
    return Findscu(
        client=client_options.decide(given, CALLING_TITLE),
        query=query_options.decide(given, DEFAULT_MODEL),
        output=_output(given),
        repeats=client_options.repeats(given),
        cancel_after=given.signed("--cancel", 0) or None,
    )


def _output(given: CommandLine) -> Output:
    extracts = given.last(*_EXTRACTING) or ""
    words = "--extract, --extract-xml or --extract-xml-single"
    for option in ("--limit-output", "--output-directory"):
        given.require(option, words, bool(extracts) or not given.has(option))
    folder = Path(given.value("--output-directory") or ".")
    shown = given.last("--show-responses", "--hide-responses")
    return Output(
        shows=None if shown is None else shown == "--show-responses",
        extracts=extracts,
        folder=folder,
        single_file=folder / (given.value("--extract-xml-single") or ""),
        limit=given.unsigned("--limit-output", 1),
        document=given.last(*_DOCUMENTS) or "",
        corrects=given.last("--enable-correction", "--disable-correction") == "--enable-correction",
    )


def _ask(given: CommandLine) -> int:
    from archive.cli.dcmtk import findscu  # loads what help and a mistake can do without

    return findscu.ask(given)


findscu = Face(PROGRAM, _ask, tls_options.ANSWERS, style="brief")
