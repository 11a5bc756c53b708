"""DCMTK's movescu and getscu, and ours: the same command line and the same peer to both, and nobody can tell."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import dcmwrite
from pydicom.dataset import Dataset

from archive.dimse.commands import CMoveRequest
from scripts.background import free_port
from tests.fix_instances import encoded
from tests.side_by_side.outcome import Outcome, files_in
from tests.side_by_side.retriever_cases import CASES, SENT, Case
from tests.side_by_side.traffic import TRAFFIC
from tests.wire.retrieving import DCMTK, OURS, Asked, Command, retrieve_scp, run


@dataclass
class Peer:
    """Does what a case says, and notes what it sees."""

    case: Case
    port: int
    folder: Path

    def __post_init__(self) -> None:
        self.seen: list[str] = []
        self.left = list(self.case.statuses)

    def serve(self, asked: Asked) -> None:
        self.seen.append(f"{asked.request} on {asked.context}: {asked.identifier!r}")
        if isinstance(asked.request, CMoveRequest):
            for name in self.case.sends:
                self.seen += TRAFFIC[name](self.port, self.folder)
        else:
            self.seen += [answer for name in self.case.sends for answer in _stored(asked, name)]
        asked.answer(self.left.pop(0))


def _stored(asked: Asked, name: str) -> Sequence[str]:
    """The statuses of C-STORE for what fits the contexts."""
    contexts = {each.abstract_syntax: each.transfer_syntax for each in asked.exchange.association.contexts.values()}
    return [
        f"{each.SOPInstanceUID}: {asked.store(str(each.SOPClassUID), str(each.SOPInstanceUID), encoded(each)):04X}"
        for each in SENT[name]
        if contexts.get(str(each.SOPClassUID)) == each.file_meta.TransferSyntaxUID
    ]


def retrieved(case: Case, command: Command, folder: Path) -> Outcome:
    """Run the program in an empty folder, where files go by default."""
    received, sent = folder / "received", folder / "sent"
    sent.mkdir(parents=True)
    files = [_query_file(sent / f"{number}.dcm", keys) for number, keys in enumerate(case.files)]
    peer = Peer(case, free_port(), sent)
    options = [str(peer.port) if word == "PORT" else word for word in shlex.split(case.options.replace("\\", "\\\\"))]
    with retrieve_scp(peer.serve) as scp:
        ran = run(command, case.program, received, *options, "127.0.0.1", scp.port, *files)
    proposals = [(each.calling_ae_title, each.called_ae_title) for each in scp.proposals]
    return Outcome([*peer.seen, str(proposals), str(scp.ended)], ran.code, files_in(received), ran.out)


def _query_file(path: Path, keys: Mapping[str, str]) -> Path:
    data_set = Dataset()
    for keyword, value in keys.items():
        setattr(data_set, keyword, value)
    dcmwrite(path, data_set, implicit_vr=False, little_endian=True)
    return path


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_retriever_does_what_dcmtks_does(case: Case, tmp_path: Path) -> None:
    theirs, ours = retrieved(case, DCMTK, tmp_path / "theirs"), retrieved(case, OURS, tmp_path / "ours")

    assert ours.answers == theirs.answers
    assert [each.name for each in ours.files] == [each.name for each in theirs.files]
    assert [each.meta[:3] for each in ours.files] == [each.meta[:3] for each in theirs.files]  # without who sent it
    assert [each.data_set for each in ours.files] == [each.data_set for each in theirs.files]
    assert (ours.exit_code, ours.output) == (theirs.exit_code, theirs.output)


def test_there_are_enough_cases_and_no_two_are_the_same() -> None:
    assert len({case.id for case in CASES}) == len(CASES) >= 120
