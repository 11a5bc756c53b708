"""`archive movescu`: have instances sent to an AE, or to us, as a command line of DCMTK's movescu asks for."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from archive.cli.dcmtk import calling, query_files, receiving, retrieving, status_words
from archive.cli.dcmtk.calling import ExitCodes
from archive.cli.dcmtk.client_options import Client
from archive.cli.dcmtk.face import OK, Ended, ending_with
from archive.cli.dcmtk.movescu_options import PROGRAM, Incoming, Movescu, decide
from archive.cli.dcmtk.options import CommandLine
from archive.cli.dcmtk.query_files import Asked
from archive.cli.dcmtk.query_options import SOP_CLASSES
from archive.cli.dcmtk.receiving import Sinks, Speaker, Words
from archive.dimse import status
from archive.dimse.commands import CMoveRequest
from archive.dimse.exchange import Exchange
from archive.errors import Misconfigured, NotPrivileged
from archive.registry.acceptance import RANKS
from archive.server.receiver import Receiver
from archive.services import move_scu
from archive.services.reception import Terms
from archive.services.retrieve_answers import Answer
from archive.storage.file_names import DefaultNames
from archive.storage.output import Writing
from archive.upper_layer.association import Timeouts
from archive.upper_layer.proposal import Agreement, Context, Proposal, ProposedContext, Rejection

if TYPE_CHECKING:
    from archive.upper_layer.tls import Tls

log = logging.getLogger(__name__)

# Exit codes, as movescu's page lists them.
INSUFFICIENT_PRIVILEGES = 2
CANNOT_WRITE_OUTPUT_FILE = 40
INVALID_OUTPUT_DIRECTORY = 45
CANNOT_INITIALIZE_NETWORK = 60
CANNOT_NEGOTIATE_ASSOCIATION = 61
CANNOT_CREATE_ASSOC_PARAMETERS = 65
NO_PRESENTATION_CONTEXT = 66
CANNOT_CLOSE_ASSOCIATION = 67
CMOVE_WARNING = 68
CMOVE_ERROR = 69
CANNOT_CREATE_TLS_LAYER = 70

_CODES = ExitCodes(
    not_requested=CANNOT_CREATE_ASSOC_PARAMETERS,
    not_established=CANNOT_NEGOTIATE_ASSOCIATION,
    no_context=NO_PRESENTATION_CONTEXT,
    broken=CANNOT_CLOSE_ASSOCIATION,
)
_WORDS = Words(
    association="Sub-Association Received",
    request="Parameters:",
    agreed="Sub-Association Acknowledged",
    released="Sub-Association Released",
    aborted="Sub-Association Aborted",
    echo="Received Echo Request (MsgID {message_id})",
    store="Received Store Request (MsgID {message_id}, {modality})",
    stored="storing DICOM file: {file}",
    replaced="DICOM file already exists, overwriting: {file}",
)
# Of the proposal. The one for C-FIND is not used; some peers move for those only who may find.
_FIND_CONTEXT_ID, _MOVE_CONTEXT_ID = 1, 3


def ask(given: CommandLine) -> int:
    """Send C-MOVE requests, and receive what they bring to us; the exit code. Raises Ended."""
    asked = decide(given)
    query_files.check(asked.query)
    identifiers = query_files.asked(asked.query)
    retrieving.say_doubts(identifiers, asked.query.model)
    with ending_with(CANNOT_CREATE_TLS_LAYER):
        tls = receiving.tls_by(asked.client.tls)
    if asked.incoming is None:
        return _move(asked, identifiers, tls, None)
    with _receiving(asked.client, asked.incoming, tls) as receiver:
        return _move(asked, identifiers, tls, receiver)


# The association with the peer


def _move(asked: Movescu, identifiers: tuple[Asked, ...], tls: "Tls | None", receiver: Receiver | None) -> int:
    sop_classes, syntaxes = SOP_CLASSES[asked.query.model], asked.query.transfer_syntaxes
    contexts = [
        ProposedContext(_FIND_CONTEXT_ID, sop_classes["find"], syntaxes),
        ProposedContext(_MOVE_CONTEXT_ID, sop_classes["move"], syntaxes),
    ]
    code = OK
    with calling.associated(asked.client, contexts, _CODES, tls=tls) as exchange:
        context = exchange.association.contexts.get(_MOVE_CONTEXT_ID)
        if context is None:
            raise Ended("The peer accepts no C-MOVE in this information model", NO_PRESENTATION_CONTEXT)
        for identifier in identifiers:
            for _ in range(asked.repeats):
                code = max(code, _code_of(_ask_for(identifier, asked, exchange, context, receiver)))
    return code


def _ask_for(
    identifier: Asked, asked: Movescu, exchange: Exchange, context: Context, receiver: Receiver | None
) -> Answer:
    """One C-MOVE; its last answer. Raises Ended when there is none."""
    request = CMoveRequest(
        message_id=exchange.next_message_id(),
        affected_sop_class_uid=context.abstract_syntax,
        move_destination=asked.destination,
        priority=asked.query.priority,
    )
    log.info("Sending Move Request (MsgID %d)", request.message_id)
    retrieving.say_identifier(identifier)
    answers = move_scu.move(
        exchange,
        context,
        request,
        identifier.encoded(context.transfer_syntax, asked.query.compression_level),
        reads_pending=asked.reads_pending,
        received_bytes=(lambda: receiver.received_bytes) if receiver else (lambda: 0),
    )

    def told(answer: Answer) -> None:
        if answer.is_final:
            return
        log.info("Received Move Response %d (%s)", answer.number, status_words.of_retrieve(answer.response.status))
        if answer.number == asked.cancel_after:
            log.info("Sending Cancel Request (MsgID %d, PresID %d)", request.message_id, context.context_id)
            move_scu.cancel(exchange, context, request)

    final = retrieving.followed("Move", CMOVE_ERROR, answers, told)
    log.info("Received Final Move Response (%s)", status_words.of_retrieve(final.response.status))
    return final


def _code_of(answer: Answer) -> int:
    match answer.response.status:
        case status.SUCCESS | status.CANCEL:
            return CMOVE_WARNING if answer.response.failed else OK
        case status.RETRIEVE_SUB_OPERATIONS_FAILED_OR_WARNED:
            return CMOVE_WARNING
        case _:
            return CMOVE_ERROR


# The associations that the peer, or another one, has with us


@contextmanager
def _receiving(client: Client, incoming: Incoming, tls: "Tls | None") -> Iterator[Receiver]:
    """Receive meanwhile, several associations at a time.

    When all goes well, what has not ended by itself then may still do so: a peer that says nothing more has the time
    for ACSE messages to release. Raises Ended.
    """
    with ending_with(INVALID_OUTPUT_DIRECTORY):
        receiving.check_folder(incoming.folder, is_written=False)
    with ending_with(CANNOT_WRITE_OUTPUT_FILE):
        receiving.check_folder(incoming.folder, is_written=not incoming.ignores_stores)
    receiver = _receiver(client, incoming, tls)
    try:
        sockets = receiving.listen(incoming.port, incoming.ip_version)
    except NotPrivileged as error:
        raise Ended(str(error), INSUFFICIENT_PRIVILEGES) from error
    except Misconfigured as error:
        raise Ended(f"cannot create network: {error}", CANNOT_INITIALIZE_NETWORK) from error

    def run() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # it is for the main thread, which may be waiting
        receiver.run(sockets.listening)

    thread = threading.Thread(target=run, name="receiver", daemon=True)
    thread.start()
    try:
        yield receiver
        receiver.stop(quiet_seconds=client.acse_timeout)
    finally:
        if not receiver.is_stopping:
            receiver.stop()
        thread.join()


def _receiver(client: Client, incoming: Incoming, tls: "Tls | None") -> Receiver:
    sinks = _sinks(incoming)
    speaker = Speaker(_WORDS, False, client.max_pdu_bytes, incoming.looks_up_hosts)
    terms = Terms(ranks=RANKS[incoming.accept], max_pdu_bytes=client.max_pdu_bytes)
    with ending_with(CANNOT_INITIALIZE_NETWORK):
        welcomes = receiving.welcomes(PROGRAM.name, incoming.uses_host_rules)
    answer = receiving.deciding(speaker, terms)

    def decide(request: Proposal) -> Agreement | Rejection:
        if log.isEnabledFor(logging.DEBUG):
            titles = f"{request.calling_ae_title} -> {request.called_ae_title}"
            log.debug("Sub-Association from %s: %s", speaker.host(request.peer_host), titles)
        return answer(request)

    return Receiver(
        decide,
        receiving.serving(speaker, lambda each: retrieving.visit(each, _WORDS, sinks, incoming.folder)),
        # A peer may be idle between two instances for as long as it takes to find them.
        Timeouts(acse=client.acse_timeout, dimse=client.dimse_timeout or client.socket_timeout, idle=None),
        connect=receiving.connect_through(tls),
        welcomes=welcomes,
    )


def _sinks(incoming: Incoming) -> Sinks:
    if incoming.ignores_stores:
        return retrieving.discarding()
    written = incoming.output
    writing = Writing(written.has_file_meta, written.encoding if written.is_anew else None)
    return retrieving.into(incoming.folder, DefaultNames(), writing)
