"""`archive storescp`: receive into a folder, as a command line of DCMTK's storescp asks for."""

import logging
import sys
from pathlib import Path

from archive.cli.dcmtk import receiving
from archive.cli.dcmtk.face import OK, Ended, ending_with
from archive.cli.dcmtk.options import CommandLine
from archive.cli.dcmtk.receiving import Speaker, Visit, Words
from archive.cli.dcmtk.storescp_events import EventVisit, StoreEvents
from archive.cli.dcmtk.storescp_options import PROGRAM, Events, FaultOptions, Files, Storescp, decide
from archive.dimse.commands import CEchoRequest, CStoreRequest
from archive.errors import Misconfigured
from archive.lifecycle.discard import DiscardingSink
from archive.registry.acceptance import RANKS
from archive.server import inherited
from archive.server.receiver import MOST_ASSOCIATIONS, Receiver
from archive.services.faults import Faults, FaultySink
from archive.services.reception import Terms
from archive.storage.file_names import DefaultNames, TimeNames, UniqueNames
from archive.storage.folder import OutputFolder
from archive.storage.output import Output, Sorting, Writing
from archive.storage.received import Received
from archive.storage.sink import InstanceSink, Outcome
from archive.storage.subfolders import (
    MOST_STUDIES,
    NoSubfolders,
    StudyFolders,
    StudyUidFolders,
    by_patient,
    by_prefix,
)
from archive.upper_layer.association import Association, Timeouts

log = logging.getLogger(__name__)

_FAILED = 1  # every error of storescp, but for this one
_INETD_FAILED = 99
_WORDS = Words(
    association="Association Received",
    request="Parameters:",
    released="Association Release",
    aborted="Association Aborted",
    echo="Received Echo Request (MsgID {message_id})",
    store="Received Store Request (MsgID {message_id}, {modality})",
    stored="storing DICOM file: {file}",
    replaced="DICOM file already exists, overwriting: {file}",
)


def receive(given: CommandLine) -> int:
    """Receive until a signal ends it; the exit code. Raises Ended."""
    # Before anything is said: standard error may be the connection.
    sockets = receiving.connection_of_inetd() if given.has("--inetd") else inherited.passed()
    if not given.arguments and not sockets:
        sys.stdout.write(PROGRAM.help)
        return OK
    asked = decide(given, is_verbose=receiving.is_verbose())
    if asked.is_inetd and not sockets:
        raise Ended("--inetd: there is no connection at standard input", _INETD_FAILED)
    if asked.port is None and not sockets:
        raise Misconfigured("Missing parameter port")
    if asked.port is not None and sockets:
        log.warning("Parameter port not required in inetd mode")
    if asked.has_title:
        log.info("--aetitle: peers are answered with the title that they call, whichever it is")
    with ending_with(_FAILED):
        terms = _terms(asked)
        receiving.check_folder(asked.files.folder, is_written=not asked.ignores_stores)
        output = None if asked.ignores_stores else _output(asked)
        events = StoreEvents(asked, output)
        sockets = sockets or receiving.listen(asked.port or 0, asked.ip_version)
        connect = receiving.connect_by(asked.tls)
        welcomes = receiving.welcomes(PROGRAM.name, asked.uses_host_rules)
    speaker = Speaker(_WORDS, asked.shows_contexts, asked.max_pdu_bytes, asked.looks_up_hosts)

    def visit(association: Association) -> _Visit:
        return _visit(asked, output, association, receiver, events.visit(association, speaker))

    receiver = Receiver(
        receiving.deciding(speaker, terms),
        receiving.serving(speaker, visit),
        _timeouts(asked),
        connect=connect,
        welcomes=welcomes,
        most=1 if asked.is_single_process else asked.max_associations or MOST_ASSOCIATIONS,
    )
    events.begin()
    return receiving.receive(receiver, sockets, events.close)


def _terms(asked: Storescp) -> Terms:
    return Terms(
        ranks=RANKS[asked.accept],
        profile=receiving.acceptance(asked.profile),
        is_promiscuous=asked.is_promiscuous,
        refuses=asked.refuses,
        requires_implementation_uid=asked.requires_implementation_uid,
        max_pdu_bytes=asked.max_pdu_bytes,
    )


def _timeouts(asked: Storescp) -> Timeouts:
    """A peer may be idle between two operations for ever, as with storescp."""
    silence = asked.socket_timeout if asked.socket_timeout > 0 else None
    return Timeouts(acse=asked.acse_timeout, dimse=asked.dimse_timeout or silence, idle=None)


# What becomes of instances: the names and folders of files, and how they are written


def _output(asked: Storescp) -> Output:
    """What associations store into; raises Misconfigured."""
    written = asked.output
    return Output(
        OutputFolder(asked.files.folder),
        _NAMINGS[asked.files.naming](asked.files.extension),
        _sorting(asked.files, asked.events),
        Writing(written.has_file_meta, written.encoding if written.is_anew else None),
    )


_NAMINGS = {"default": DefaultNames, "unique": UniqueNames, "time": TimeNames}


def _sorting(files: Files, events: Events) -> Sorting:
    most_studies = 1 if events.study_order == "global" else MOST_STUDIES
    match files.sorting:
        case None:
            return NoSubfolders()
        case "timestamp":
            return StudyFolders(by_prefix(files.sorting_prefix), most_studies=most_studies)
        case "study":
            return StudyUidFolders(files.sorting_prefix)
        case "patient":
            return StudyFolders(by_patient, most_studies=most_studies)


# What happens after a store


class _Visit(Visit):
    """An association, and what happens after each store."""

    events: EventVisit | None = None
    faulty: FaultySink | None = None

    def received(self, request: CEchoRequest | CStoreRequest) -> None:
        """A request has come."""
        super().received(request)
        if self.events is not None:
            self.events.received(is_store=isinstance(request, CStoreRequest))

    def kept(self, received: Received, path: Path) -> None:
        """An instance has its file."""
        super().kept(received, path)
        if self.events is not None:
            self.events.kept(received, path)

    def answered(self, request: CStoreRequest, code: int, outcome: Outcome | None) -> None:
        """The response is sent."""
        super().answered(request, code, outcome)
        if self.events is not None:
            self.events.answered(is_taken=outcome is not None)
        if self.faulty is not None:
            self.faulty.after()

    def over(self) -> None:
        """The association has ended."""
        if self.events is not None:
            self.events.over(is_cut=self.association.connection.is_interrupted)


def _visit(
    asked: Storescp, output: Output | None, association: Association, receiver: Receiver, events: EventVisit | None
) -> _Visit:
    visit = _Visit(association, _WORDS, DiscardingSink(), asked.files.folder)
    visit.events = events
    if output is not None:
        visit.sink = output.sink(association.proposal.calling_ae_title, visit.kept)
    if asked.faults != FaultOptions():
        visit.sink = visit.faulty = _faulty(asked.faults, visit.sink, association, receiver)
    return visit


def _faulty(faults: FaultOptions, sink: InstanceSink, association: Association, receiver: Receiver) -> FaultySink:
    which = Faults(
        sleep_during=faults.sleep_during,
        sleep_after=faults.sleep_after,
        aborts_during=faults.aborts_during,
        aborts_after=faults.aborts_after,
    )
    return FaultySink(sink, which, association, receiver.stopping.wait)
