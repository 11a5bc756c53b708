"""The command line of DCMTK's getscu: its options, and what they decide, as one frozen value.

The options are those of getscu 3.6.7 and of the versions after it up to 3.7.0; user identity is that of storescu.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from archive import __version__
from archive.cli.dcmtk import client_options, network_options, output_options, query_options, tls_options
from archive.cli.dcmtk.client_options import Client
from archive.cli.dcmtk.face import Face
from archive.cli.dcmtk.general_options import general_options
from archive.cli.dcmtk.options import CommandLine, Group, Option, Program
from archive.cli.dcmtk.query_options import QueryOptions
from archive.cli.dcmtk.transfer_syntax_options import PREFER_OPTIONS, accepted

CALLING_TITLE = "GETSCU"
DEFAULT_MODEL = "--patient"

Storage = Literal["default", "normal", "bit-preserving", "ignore"]

_MODELS = replace(
    query_options.models(DEFAULT_MODEL, "--patient", "--study", "--psonly"), heading="retrieve information model:"
)
_TRANSFER_SYNTAXES = replace(
    query_options.TRANSFER_SYNTAXES, heading="proposed retrieve transfer syntaxes (outgoing associations):"
)
_STORAGE = Group(
    "storage mode:",
    (
        Option("--normal", "-B", "allow implicit format conversions (default)"),
        Option("--bit-preserving", "+B", "write data exactly as read"),
        Option("--ignore", "", "ignore store data, receive but do not store"),
    ),
    is_part=True,
)
PROGRAM = Program(
    "getscu",
    "DICOM retrieve (C-GET) SCU",
    __version__,
    (*client_options.PARAMETERS, query_options.QUERY_FILES),
    (
        general_options(network_options.VERBOSE_PC),
        Group("network options:"),
        query_options.KEYS,
        _MODELS,
        client_options.IP_VERSIONS,
        client_options.titles(CALLING_TITLE),
        Group("preferred storage transfer syntaxes (incoming associations):", PREFER_OPTIONS, is_part=True),
        _TRANSFER_SYNTAXES,
        client_options.USER_IDENTITY,
        Group(
            "other network options:",
            (
                *client_options.TIMES,
                client_options.MAX_PDU_OF_RECEIVERS,
                client_options.REPEAT,
                query_options.PRIORITY,
                client_options.ABORT,
            ),
            is_part=True,
        ),
        *tls_options.groups("requestor"),
        output_options.OUTPUT,
        output_options.FOLDER,
        _STORAGE,
    ),
)


@dataclass(frozen=True, slots=True)
class Getscu:
    """All that a command line of getscu decides."""

    client: Client
    query: QueryOptions
    shows_contexts: bool = False
    accept: str = "uncompressed"
    """What is proposed for instances: a name in `transfer_syntax_presets.ACCEPT`."""
    folder: Path = Path()
    storage: Storage = "default"
    repeats: int = 1


def decide(given: CommandLine, *, is_verbose: bool) -> Getscu:
    """What `given`, which asks for no help, decides; raises Misconfigured for what cannot be together.

    `is_verbose` is whether the log has room for what is only said when all goes well.
    """
    ignores = given.has("--ignore")
    mode = given.last("--normal", "--bit-preserving")
    for option in ("--output-directory", "--bit-preserving", "--normal"):
        given.refuse_together(option, "--ignore", ignores and given.has(option))
    return Getscu(
        client=client_options.decide(given, CALLING_TITLE, default_max_pdu_bytes=network_options.MAX_PDU_BYTES),
        query=query_options.decide(given, DEFAULT_MODEL),
        shows_contexts=network_options.shows_contexts(given, is_verbose),
        accept=accepted(given),
        folder=output_options.folder(given),
        storage="ignore" if ignores else _MODES.get(mode or "", "default"),
        repeats=client_options.repeats(given),
    )


_MODES: dict[str, Storage] = {"--normal": "normal", "--bit-preserving": "bit-preserving"}


def _ask(given: CommandLine) -> int:
    from archive.cli.dcmtk import getscu  # loads what help and a mistake can do without

    return getscu.ask(given)


getscu = Face(PROGRAM, _ask, tls_options.ANSWERS, style="brief")
