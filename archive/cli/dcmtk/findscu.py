"""`archive findscu`: ask a peer what it holds, as a command line of DCMTK's findscu asks for."""

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from archive import telemetry
from archive.cli.dcmtk import calling, find_answers, general_options, query_files, status_words
from archive.cli.dcmtk.calling import ExitCodes
from archive.cli.dcmtk.face import OK, Ended, ending_with
from archive.cli.dcmtk.find_answers import Match, Taker
from archive.cli.dcmtk.findscu_options import PROGRAM, Findscu, Output, decide
from archive.cli.dcmtk.options import CommandLine
from archive.cli.dcmtk.query_options import SOP_CLASSES
from archive.dicom import dump, nodes
from archive.dimse import status
from archive.dimse.exchange import Exchange
from archive.errors import UnreadableDataSet
from archive.services.find_scu import Answer, find
from archive.upper_layer.proposal import Context, ProposedContext

log = logging.getLogger(__name__)
responses_log = logging.getLogger(f"{__name__}.responses")

NOT_USABLE = 1
FAILED = 2
_CODES = ExitCodes(not_requested=NOT_USABLE, not_established=FAILED, no_context=FAILED, broken=FAILED)


def ask(given: CommandLine) -> int:
    """Send C-FIND requests; the exit code. Raises Misconfigured and Ended."""
    asked = decide(given)
    query_files.check(asked.query)
    _set_up_responses_log(given, asked.output)
    _check_output(asked.output)
    with ending_with(FAILED):
        questions = query_files.asked(asked.query)
    sop_class = SOP_CLASSES[asked.query.model]["find"]
    contexts = [ProposedContext(1, sop_class, asked.query.transfer_syntaxes)]
    with (
        calling.associated(asked.client, contexts, _CODES) as exchange,
        find_answers.takers(asked.output, FAILED) as takers,
    ):
        (context,) = exchange.association.contexts.values()
        found = _Conversation(asked, exchange, context, takers)
        for question in questions:
            found.ask(question)
    return OK if found.is_ok else FAILED


def _set_up_responses_log(given: CommandLine, output: Output) -> None:
    """Answers are shown unless something else takes them, or the user says how much is logged (findscu's rule)."""
    chosen = general_options.log(given, PROGRAM.name, style="brief")
    says_level = any(given.has(f"--{word}") for word in ("quiet", "verbose", "debug", "log-level", "log-config"))
    shows = output.shows
    if shows is None and (output.extracts or output.document) and not given.has("--log-config"):
        shows = False
    elif shows is None and not says_level:
        shows = True
    if shows is False:
        telemetry.set_up_apart(responses_log.name, ())
    elif shows:
        sinks = [replace(sink, level=_at_least_info(sink.level), is_appended=True) for sink in chosen.sinks]
        telemetry.set_up_apart(responses_log.name, sinks)


def _at_least_info(level: str) -> str:
    return level if level == "debug" else "info"


def _check_output(output: Output) -> None:
    if not output.extracts:
        return
    if not output.folder.is_dir():
        raise Ended("specified output directory does not exist", NOT_USABLE)
    if not os.access(output.folder, os.W_OK):
        raise Ended("specified output directory is not writeable", NOT_USABLE)
    if output.extracts == "--extract-xml-single" and not output.single_file.name:
        raise Ended("Cannot create response file with empty filename", FAILED)


@dataclass
class _Conversation:
    """All requests on one association; responses are numbered over all of them, final ones too, as findscu does."""

    asked: Findscu
    exchange: Exchange
    context: Context
    takers: Sequence[Taker]
    responses: int = 0
    is_ok: bool = True

    def ask(self, question: query_files.Asked) -> None:
        """Send one question, as often as it is to be repeated."""
        syntax = self.context.transfer_syntax
        identifier = question.encoded(syntax, self.asked.query.compression_level)
        for _ in range(self.asked.repeats):
            message_id = self.exchange.next_message_id()
            log.info("Sending Find Request (MsgID %d)", message_id)
            if log.isEnabledFor(logging.INFO):
                shown = dump.lines(nodes.of_elements(question.elements), question.transfer_syntax)
                log.info("Request Identifiers:", extra={"below": tuple(shown)})
            answers = find(
                self.exchange,
                self.context,
                message_id,
                identifier,
                priority=self.asked.query.priority,
                cancel_after=self.asked.cancel_after,
            )
            self._hear(answers, message_id)

    def _hear(self, answers: Iterator[Answer], message_id: int) -> None:
        cancels_after = self.asked.cancel_after
        for count, answer in enumerate(answers, 1):
            self.responses += 1
            if answer.is_final:
                self._end(answer, was_cancelled=cancels_after is not None and count > cancels_after)
                return
            match = Match(self.responses, answer.identifier, self.context.transfer_syntax)
            try:
                self._show(match, answer.response.status)
                self._hand_on(match)
            except UnreadableDataSet as error:
                raise Ended(f"Find Failed: response {match.number} cannot be read: {error}", FAILED) from error
            if count == cancels_after:
                log.info("Sending Cancel Request (MsgID %d, PresID %d)", message_id, self.context.context_id)

    def _show(self, match: Match, code: int) -> None:
        is_shown = responses_log.isEnabledFor(logging.INFO) and responses_log.hasHandlers()
        word = status_words.of_find(code)
        if log.isEnabledFor(logging.DEBUG):
            log.info("Received Find Response %d", match.number)
            if is_shown:
                responses_log.debug("Response Identifiers:", extra={"below": self._lines(match)})
        elif is_shown:
            responses_log.info("---------------------------")
            responses_log.info("Find Response: %d (%s)", match.number, word)
            first, *below = self._lines(match)
            responses_log.info("%s", first, extra={"below": below})
        else:
            log.info("Received Find Response %d (%s)", match.number, word)

    def _lines(self, match: Match) -> tuple[str, ...]:
        return tuple(dump.lines(match.nodes, match.transfer_syntax, corrects=self.asked.output.corrects))

    def _hand_on(self, match: Match) -> None:
        for taker in self.takers:
            said = taker.take(match)
            if said:
                log.info("%s", said)

    def _end(self, answer: Answer, *, was_cancelled: bool) -> None:
        response = answer.response
        log.info("Received Final Find Response (%s)", status_words.of_find(response.status))
        if response.status == status.SUCCESS or (response.status == status.CANCEL and was_cancelled):
            return
        self.is_ok = False
        comment = f": {response.error_comment}" if response.error_comment else ""
        log.error("Find Failed: the peer answered with status %04X%s", response.status, comment)
