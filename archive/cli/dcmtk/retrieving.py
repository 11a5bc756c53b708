"""What movescu and getscu share: what becomes of instances that come, and what is said of the answers to a retrieve."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from archive.cli import progress
from archive.cli.dcmtk import key_checks, receiving, status_words
from archive.cli.dcmtk.face import Ended
from archive.cli.dcmtk.query_files import Asked
from archive.cli.dcmtk.receiving import Sinks, Visit, Words
from archive.dimse.status import Category
from archive.errors import PeerAborted, PeerError
from archive.lifecycle.discard import DiscardingSink
from archive.services.retrieve_answers import Answer
from archive.storage.folder import OutputFolder
from archive.storage.output import Naming, Output, Writing
from archive.upper_layer.association import Association

log = logging.getLogger(__name__)


# What becomes of instances


def discarding() -> Sinks:
    """What associations store into where nothing is kept."""
    return lambda _title, _kept: DiscardingSink()


def into(folder: Path, naming: Naming, writing: Writing) -> Sinks:
    """What associations store into."""
    return Output(OutputFolder(folder), naming, writing=writing).sink


def visit(association: Association, words: Words, sinks: Sinks, folder: Path) -> Visit:
    """An association over which instances come, whoever asked for it."""
    made = Visit(association, words, DiscardingSink(), folder)
    proposal = association.proposal
    source = proposal.called_ae_title if association.is_requestor else proposal.calling_ae_title
    made.sink = sinks(source, made.kept)
    return made


# How it goes


def followed(operation: str, code: int, answers: Iterable[Answer], told: Callable[[Answer], None]) -> Answer:
    """The final answer, when `told` has heard of all; `operation` is `Move` or `Get`.

    Raises Ended, with this code, where there is none.
    """
    try:
        with _shown_progress() as show:
            for answer in answers:
                show(answer)
                told(answer)
                if answer.is_final:
                    _say_final(operation, answer)
                    return answer
    except PeerAborted as error:
        raise Ended(f"{operation} Request Failed: Peer Aborted Association", code) from error
    except PeerError as error:
        raise Ended(f"{operation} Request Failed: {error}", code) from error
    raise AssertionError("the last answer is a final one")


def say_doubts(identifiers: Iterable[Asked], model: str) -> None:
    """What peers may take otherwise than it is meant, or refuse; they are asked all the same."""
    for each in identifiers:
        if doubt := key_checks.doubt(each.elements, model):
            log.warning("a peer may refuse the identifier, or send more than is meant: %s", doubt)


def say_identifier(asked: Asked, level: int = logging.INFO) -> None:
    """What is sent with the request, at a level of the log."""
    if log.isEnabledFor(level):
        from archive.dicom import dump, nodes  # for those who look on

        lines = dump.lines(nodes.of_elements(asked.elements), asked.transfer_syntax, corrects=True)
        log.log(level, "Request Identifiers:", extra={"below": tuple(lines)})


def _say_final(operation: str, answer: Answer) -> None:
    """How it ended, where that was not well."""
    response = answer.response
    if answer.category in (Category.SUCCESS, Category.CANCEL):
        return
    kind = "warning" if answer.category is Category.WARNING else "error"
    log.warning("%s response with %s status (%s)", operation, kind, status_words.of_retrieve(response.status))
    if response.error_comment:
        log.warning("The peer comments: %s", response.error_comment)
    if answer.failed_instances:
        log.info("Failed SOP Instances:", extra={"below": tuple(f"  {uid}" for uid in answer.failed_instances)})


@contextmanager
def _shown_progress() -> Iterator[Callable[[Answer], None]]:
    """To be told of each answer: a bar of the sub-operations, on a terminal that is told of nothing else."""
    if receiving.is_verbose() or not log.isEnabledFor(logging.WARNING):
        yield lambda _answer: None
        return
    advance: Callable[[int], None] | None = None
    done = 0
    with ExitStack() as stack:

        def tell(answer: Answer) -> None:
            nonlocal advance, done
            if advance is None:
                if answer.total is None:
                    return
                advance = stack.enter_context(progress.bar("Retrieving", answer.total, unit="instances"))
            if answer.done > done:  # some peers leave the counts out of the last response
                advance(answer.done - done)
                done = answer.done

        yield tell
