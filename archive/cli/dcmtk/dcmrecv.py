"""`archive dcmrecv`: receive into a folder, as a command line of DCMTK's dcmrecv asks for."""

import logging
import sys

from archive.cli.dcmtk import receiving
from archive.cli.dcmtk.dcmrecv_options import PROGRAM, Dcmrecv, decide
from archive.cli.dcmtk.face import OK, ending_with
from archive.cli.dcmtk.options import CommandLine
from archive.cli.dcmtk.receiving import Sinks, Speaker, Visit, Words
from archive.dicom.normal import AS_DCMTKS_LIBRARY
from archive.errors import Misconfigured
from archive.lifecycle.discard import DiscardingSink
from archive.registry.acceptance import RANKS
from archive.server import inherited
from archive.server.receiver import MOST_ASSOCIATIONS, Receiver
from archive.services.reception import Terms
from archive.storage.file_names import DefaultNames, ShortUniqueNames, SystemTimeNames, UniqueNames
from archive.storage.folder import OutputFolder
from archive.storage.output import Output, Writing
from archive.storage.subfolders import NoSubfolders, SeriesDateFolders
from archive.upper_layer.association import Association, Timeouts

log = logging.getLogger(__name__)

# Exit codes, as dcmrecv's page lists them.
INVALID_OUTPUT_DIRECTORY = 45
CANNOT_LISTEN = 64
INVALID_ASSOCIATION_CONFIG = 66
CANNOT_CREATE_TRANSPORT_LAYER = 71

DEFAULT_SOCKET_TIMEOUT = 60  # seconds; that of DCMTK's library
_WORDS = Words(
    association="Association Received {host}: {calling} -> {called}",
    request="Incoming Association Request:",
    released="Received Association Release Request",
    aborted="Received Association Abort Request",
    echo="Received C-ECHO Request (MsgID {message_id})",
    store="Received C-STORE Request (MsgID {message_id})",
    stored="Stored received object to file: {file}",
    replaced="file already exists, overwriting: {file}",
    answer="Sending C-STORE Response ({status})",
    echo_answer="Sending C-ECHO Response (Success)",
)


def receive(given: CommandLine) -> int:
    """Receive until a signal ends it; the exit code. Raises Ended."""
    sockets = inherited.passed()
    if not given.arguments and not sockets:
        sys.stdout.write(PROGRAM.help)
        return OK
    asked = decide(given, is_verbose=receiving.is_verbose())
    if asked.port is None and not sockets:
        raise Misconfigured("Missing parameter port")
    if asked.port is not None and sockets:
        log.warning("Parameter port not required with a socket of systemd")
    log.info("configuring service class provider ...")
    with ending_with(INVALID_ASSOCIATION_CONFIG, "cannot load association configuration: "):
        terms = _terms(asked)
    with ending_with(INVALID_OUTPUT_DIRECTORY, "cannot specify output directory: "):
        receiving.check_folder(asked.files.folder, is_written=True)
    sinks = _sinks(asked)
    log.info("starting service class provider and listening ...")
    with ending_with(CANNOT_CREATE_TRANSPORT_LAYER):
        connect = receiving.connect_by(asked.tls)
    with ending_with(CANNOT_LISTEN, f"cannot start SCP and listen on port {asked.port}: "):
        sockets = sockets or receiving.listen(asked.port or 0, asked.ip_version)
    speaker = Speaker(_WORDS, asked.shows_contexts, asked.max_pdu_bytes, asked.looks_up_hosts)
    receiver = Receiver(
        receiving.deciding(speaker, terms),
        receiving.serving(speaker, lambda association: _visit(asked, sinks, association)),
        # The time for DIMSE messages is that for the next command, too, as with dcmrecv.
        Timeouts(asked.acse_timeout, asked.dimse_timeout or DEFAULT_SOCKET_TIMEOUT, idle=asked.dimse_timeout),
        connect=connect,
        most=1 if asked.is_single_process else MOST_ASSOCIATIONS,
    )
    return receiving.receive(receiver, sockets)


def _terms(asked: Dcmrecv) -> Terms:
    """Without a profile all that can be stored is accepted; dcmrecv accepts nothing but C-ECHO then."""
    return Terms(
        ranks=RANKS["all"],
        profile=receiving.acceptance(asked.profile),
        only_title=asked.title,
        requires_context=True,
        max_pdu_bytes=asked.max_pdu_bytes,
    )


# What becomes of instances: the names and folders of files, and how they are written


def _sinks(asked: Dcmrecv) -> Sinks:
    """What associations store into; raises Misconfigured."""
    if asked.storage == "ignore":
        return lambda _title, _kept: DiscardingSink()
    return Output(
        OutputFolder(asked.files.folder),
        _NAMINGS[asked.files.naming](asked.files.extension),
        SeriesDateFolders() if asked.files.has_series_date_folders else NoSubfolders(),
        Writing(anew=AS_DCMTKS_LIBRARY if asked.storage == "normal" else None),
    ).sink


_NAMINGS = {"default": DefaultNames, "unique": UniqueNames, "short": ShortUniqueNames, "time": SystemTimeNames}


def _visit(asked: Dcmrecv, sinks: Sinks, association: Association) -> Visit:
    visit = Visit(association, _WORDS, DiscardingSink(), asked.files.folder)
    visit.sink = sinks(association.proposal.calling_ae_title, visit.kept)
    return visit
