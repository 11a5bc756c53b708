"""The event options of storescp: what is run and renamed when an instance has come, and when a study has ended."""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from archive.cli.dcmtk import receiving
from archive.cli.dcmtk.receiving import Speaker
from archive.cli.dcmtk.storescp_options import Events, Storescp
from archive.dicom.modality_prefixes import prefix
from archive.errors import Misconfigured
from archive.lifecycle.events import commands, renaming
from archive.lifecycle.events.commands import EventCommand, Values, of_peer
from archive.lifecycle.events.open_studies import OpenStudies, OpenStudy, Study
from archive.lifecycle.events.runs import MOST_AT_ONCE, CommandRuns, Run
from archive.lifecycle.events.study_watch import StudyWatch
from archive.storage.output import Output
from archive.storage.received import Received
from archive.upper_layer.association import Association
from archive.upper_layer.proposal import Proposal

log = logging.getLogger(__name__)


class StoreEvents:
    """What happens after stores, for all associations."""

    def __init__(self, asked: Storescp, output: Output | None) -> None:
        """`output` is what is stored into; None where nothing is kept. Raises Misconfigured."""
        self._asked = asked.events
        self._folder = asked.files.folder
        self._output = output
        self._on_reception = _command("--exec-on-reception", self._asked.on_reception, self._asked)
        self._on_end = _command("--exec-on-eostudy", self._asked.on_end_of_study, self._asked)
        # One association at a time, and each waits: then there is one command at a time, as with DCMTK's storescp.
        is_serial = asked.is_single_process and self._asked.is_synchronous
        self._runs = CommandRuns(1 if is_serial else MOST_AT_ONCE)
        self.watch = self._watch() if output is not None else None
        """None where no end of a study matters."""

    def _watch(self) -> StudyWatch | None:
        asked = self._asked
        if self._on_end is None and not asked.renames and asked.end_of_study_timeout is None:
            return None
        studies = OpenStudies(asked.study_order, asked.end_of_study_timeout, remembers_files=asked.renames)
        return StudyWatch(studies, lambda study: self.end(study, is_awaited=False))

    def begin(self) -> None:
        """Watch for studies of which nothing comes."""
        if self.watch is not None and self._asked.end_of_study_timeout is not None:
            self.watch.start()

    def visit(self, association: Association, speaker: Speaker) -> "EventVisit | None":
        """The events of one association; None where there can be none."""
        if self._on_reception is None and self.watch is None:
            return None
        return EventVisit(self, self._sender(association.proposal, speaker))

    def _sender(self, proposal: Proposal, speaker: Speaker) -> Values:
        """What commands are told of who sends, and no more."""
        found: dict[str, Callable[[], str]] = {
            "#a": lambda: proposal.calling_ae_title,
            "#c": lambda: proposal.called_ae_title,
            "#r": lambda: speaker.host(proposal.peer_host),
        }
        both = (self._on_reception, self._on_end)
        named = frozenset().union(*(command.placeholders for command in both if command is not None))
        return {placeholder: _of_peer(find()) for placeholder, find in found.items() if placeholder in named}

    def stored(self, sender: Values, path: Path | None, expected: Run | None) -> None:
        """An instance has come; into this file, if it was kept, and with the run that an end of its study awaits."""
        if self._on_reception is None:
            return
        values = dict(sender)
        if path is not None:
            values |= {"#p": receiving.shown(path.parent, self._folder), "#f": path.name}
        self._await(
            self._runs.begin(self._on_reception.arguments(values), expected=expected), self._asked.is_synchronous
        )

    def expect(self, study: Study) -> Run | None:
        """A command for an instance of the study is to begin; None: there is no such command."""
        return self._runs.expect(study) if self._on_reception is not None else None

    def let_go(self, expected: Run) -> None:
        """It will not begin."""
        self._runs.let_go(expected)

    def study_of(self, path: Path, study_instance_uid: str) -> Study:
        """The study that a file belongs to."""
        subfolder = path.parent.relative_to(self._folder)
        return Study(study_instance_uid, "" if subfolder == Path() else subfolder.as_posix())

    def end(self, ended: OpenStudy, *, is_awaited: bool) -> None:
        """A study has ended: its files are renamed, and then the command is run.

        Neither comes before the commands are over that have its files, or that an end of the study before has run.
        """
        if self._output is None:
            return
        study = ended.study
        self._output.sorting.ended(study.study_instance_uid)
        rename = partial(renaming.rename_in_order, self._output.folder, study.subfolder, ended.modalities)
        if self._on_end is not None:
            arguments = self._on_end.arguments({**ended.sender, "#p": self._shown(study)})
            run = self._runs.end(study, arguments, first=rename if self._asked.renames else None)
            self._await(run, is_awaited)
        elif self._asked.renames and self._on_reception is not None:
            self._await(self._runs.end(study, first=rename), is_awaited)
        elif self._asked.renames:
            rename()

    def end_all(self, ended: list[OpenStudy]) -> None:
        """Studies that ended because an instance of another one has come."""
        for each in ended:
            self.end(each, is_awaited=self._asked.is_synchronous)

    def _await(self, run: Run, is_awaited: bool) -> None:
        if is_awaited:
            run.over.wait()  # as long as it takes: that is what was asked for

    def close(self, by_signal: bool) -> None:
        """The last association has ended. What runs goes on; after a signal nothing else begins."""
        _say_what_is_open(self.watch.stop() if self.watch is not None else [], self._shown)
        if not by_signal:
            self._runs.wait_until_all_have_begun()
        _say_what_is_not_run(self._runs.close())

    def _shown(self, study: Study) -> str:
        return receiving.shown(self._folder / study.subfolder, self._folder)


class EventVisit:
    """The events of one association."""

    def __init__(self, events: StoreEvents, sender: Values) -> None:
        self._events = events
        self._watch = events.watch
        self._sender = sender
        self._path: Path | None = None
        self._expected: Run | None = None
        self._ended: list[OpenStudy] = []  # by the instance that is being stored
        if self._watch is not None:
            self._watch.heard()

    def received(self, *, is_store: bool) -> None:
        """A request has come."""
        self._path = None
        if self._watch is not None:
            if is_store:
                self._watch.began(self)
            else:
                self._watch.heard()

    def kept(self, received: Received, path: Path) -> None:
        """An instance has its file."""
        self._path = path
        if self._watch is not None:
            study = self._events.study_of(path, received.study_instance_uid)
            self._expected = self._events.expect(study)  # before anybody else can end the study
            modality = prefix(received.sop_class_uid, unknown="UNKNOWN")
            self._ended += self._watch.kept(self, study, path.name, modality, self._sender)

    def answered(self, *, is_taken: bool) -> None:
        """The response is sent."""
        if is_taken:
            expected, self._expected = self._expected, None
            self._events.stored(self._sender, self._path, expected)
        self._end()
        if self._watch is not None:
            self._watch.over(self)

    def over(self, *, is_cut: bool) -> None:
        """The association has ended, maybe before the response to its last store; `is_cut` by us, who end, too."""
        if self._watch is not None and not is_cut:  # then its study may be half there
            self._ended += self._watch.left(self)
        self._end()

    def _end(self) -> None:
        if self._expected is not None:
            self._events.let_go(self._expected)
            self._expected = None
        ended, self._ended = self._ended, []
        self._events.end_all(ended)


def _command(option: str, line: str | None, asked: Events) -> EventCommand | None:
    if line is None:
        return None
    try:
        command = commands.parse(line, uses_shell=asked.uses_shell)
    except Misconfigured as error:
        raise Misconfigured(f"{option}: {error}") from error
    if option == "--exec-on-eostudy" and "#f" in command.placeholders:
        log.warning("%s: a study has no #f, so it stays as it is", option)
    return command


def _of_peer(text: str) -> str:
    given = of_peer(text)
    if given != text:
        log.warning("Sanitized unusual characters of the peer for commands, converted from %r to '%s'", text, given)
    return given


def _say_what_is_open(studies: list[OpenStudy], shown: Callable[[Study], str]) -> None:
    """Nobody knows whether they have ended; the administrator has the last word."""
    if studies:
        log.warning("%d studies were open and have not been ended", len(studies))
    for each in studies:
        log.info("open: %s", shown(each.study))


def _say_what_is_not_run(runs: list[Run]) -> None:
    if runs:
        log.warning("%d commands were in line and are not run", len(runs))
    for run in runs:
        log.info("not run: %s", run)
