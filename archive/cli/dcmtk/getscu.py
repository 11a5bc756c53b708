"""`archive getscu`: fetch instances over one association, as a command line of DCMTK's getscu asks for."""

import logging

from archive.cli.dcmtk import calling, query_files, receiving, retrieving, status_words
from archive.cli.dcmtk.calling import ExitCodes
from archive.cli.dcmtk.face import OK, Ended, ending_with
from archive.cli.dcmtk.getscu_options import Getscu, decide
from archive.cli.dcmtk.options import CommandLine
from archive.cli.dcmtk.query_files import Asked
from archive.cli.dcmtk.query_options import SOP_CLASSES
from archive.cli.dcmtk.receiving import Sinks, Visit, Words
from archive.dicom.normal import AS_DCMTKS_LIBRARY
from archive.dicom.transfer_syntax_presets import ACCEPT
from archive.dimse import status
from archive.dimse.commands import CGetRequest
from archive.dimse.exchange import Exchange
from archive.services import get_scu
from archive.services.retrieve_answers import Answer
from archive.storage.file_names import DefaultNames, InstanceUidNames
from archive.storage.output import Writing
from archive.upper_layer.proposal import Context

log = logging.getLogger(__name__)

FAILED = 1  # every error of getscu
_CODES = ExitCodes(broken=FAILED)
_WORDS = Words(
    association="",
    request="",
    released="",
    aborted="",
    echo="",
    store="Received C-STORE Request (MsgID {message_id})",
    stored="Stored received object to file: {file}",
    replaced="DICOM file already exists, overwriting: {file}",
    answer="Sending C-STORE Response ({status})",
)


def ask(given: CommandLine) -> int:
    """Send C-GET requests, and keep what they bring; the exit code. Raises Ended."""
    asked = decide(given, is_verbose=receiving.is_verbose())
    query_files.check(asked.query)
    identifiers = query_files.asked(asked.query)
    retrieving.say_doubts(identifiers, asked.query.model)
    with ending_with(FAILED):
        receiving.check_folder(asked.folder, is_written=asked.storage != "ignore")
    sop_class = SOP_CLASSES[asked.query.model]["get"]
    contexts = get_scu.contexts(sop_class, asked.query.transfer_syntaxes, ACCEPT[asked.accept])
    code = OK
    with calling.associated(
        asked.client, contexts, _CODES, roles=get_scu.ROLES, shows_contexts=asked.shows_contexts
    ) as exchange:
        context = exchange.association.contexts.get(get_scu.GET_CONTEXT_ID)
        if context is None:
            raise Ended("No adequate Presentation Contexts for sending C-GET", FAILED)
        visit = retrieving.visit(exchange.association, _WORDS, _sinks(asked), asked.folder)
        for _ in range(asked.repeats):
            answers = [_ask_for(identifier, asked, exchange, context, visit) for identifier in identifiers]
            _report(answers[-1])
            if visit.refusals or any(map(_has_failed, answers)):
                code = FAILED
    return code


def _has_failed(answer: Answer) -> bool:
    """Whether the peer says that something was not sent, by the status or by the count."""
    return answer.response.status != status.SUCCESS or bool(answer.response.failed)


def _ask_for(identifier: Asked, asked: Getscu, exchange: Exchange, context: Context, visit: Visit) -> Answer:
    """One C-GET; its last answer. Raises Ended when there is none."""
    request = CGetRequest(
        message_id=exchange.next_message_id(),
        affected_sop_class_uid=context.abstract_syntax,
        priority=asked.query.priority,
    )
    encoded = identifier.encoded(context.transfer_syntax, asked.query.compression_level)
    log.info("Sending C-GET Request (MsgID %d)", request.message_id)
    retrieving.say_identifier(identifier, logging.DEBUG)

    def told(answer: Answer) -> None:
        log.info("Received C-GET Response (%s)", status_words.of_retrieve(answer.response.status))

    return retrieving.followed("Get", FAILED, get_scu.get(exchange, context, request, encoded, visit), told)


def _report(answer: Answer) -> None:
    response = answer.response
    log.info("Final status report from last C-GET message:")
    for kind, count in (
        ("Remaining Suboperations ", response.remaining),
        ("Completed Suboperations ", response.completed),
        ("Failed Suboperations    ", response.failed),
        ("Warning Suboperations   ", response.warning),
    ):
        log.info("  Number of %s: %d", kind, count or 0)


def _sinks(asked: Getscu) -> Sinks:
    """With `+B` files are called by the UID alone, as by getscu."""
    match asked.storage:
        case "ignore":
            return retrieving.discarding()
        case "bit-preserving":
            return retrieving.into(asked.folder, InstanceUidNames(), Writing())
        case "normal":
            return retrieving.into(asked.folder, DefaultNames(), Writing(anew=AS_DCMTKS_LIBRARY))
        case "default":
            return retrieving.into(asked.folder, DefaultNames(), Writing())
