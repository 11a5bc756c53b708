"""What movescu and getscu share: what becomes of instances that come, and what is said of the answers to a retrieve."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from archive.cli import progress
from archive.cli.dcmtk import receiving, status_words
from archive.cli.dcmtk.query_files import Asked
from archive.cli.dcmtk.receiving import Sinks, Visit, Words
from archive.dimse.status import Category
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


# What is said


def say_identifier(asked: Asked, transfer_syntax: str) -> None:
    """What is sent with the request."""
    if log.isEnabledFor(logging.INFO):
        from archive.dicom import dump, nodes  # for those who look on

        lines = dump.lines(nodes.of_elements(asked.elements), transfer_syntax, corrects=True)
        log.info("Request Identifiers:", extra={"below": (*lines, "")})


def say_final(operation: str, answer: Answer) -> None:
    """How a retrieve ended, where that was not well: `operation` is `Move` or `Get`."""
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
def shown_progress() -> Iterator[Callable[[Answer], None]]:
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
