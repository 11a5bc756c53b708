"""DCMTK's clients and ours at a site: the same command line and the same peers, and nobody can tell."""

import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.side_by_side.client_cases import CASES, UIDS, Case
from tests.side_by_side.outcome import Kept, files_in
from tests.side_by_side.site import Site, site, write_files
from tests.wire.clients import DCMTK, OURS, Command, ran


@dataclass(frozen=True)
class Done:
    """What a client has done."""

    exit_code: int
    output: str
    said: list[str]
    made: list[Kept]
    arrived: list[Kept]


@pytest.fixture(scope="session")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The same for all cases."""
    with site(tmp_path_factory.mktemp("site")) as made:
        yield made


def run(case: Case, command: Command, folder: Path, peers: Site) -> Done:
    """Run it in a folder of its own; what arrived meanwhile is taken away."""
    folder.mkdir()
    write_files(folder)
    stands_for = {word: str(port) for word, port in peers.ports.items()} | UIDS
    program, *words = shlex.split(case.words)
    arguments = [_filled(word, stands_for) for word in words]
    ended = ran(command, program, *arguments, folder=folder)
    arrived = files_in(peers.sink())
    for each in peers.sink().iterdir():
        shutil.rmtree(each) if each.is_dir() else each.unlink()
    lines = [line.replace("\0", "") for line in ended.log]  # DCMTK prints how UIDs are padded
    said = [line for line in lines if line.startswith(("I:", "W:"))]
    return Done(ended.code, ended.out.decode(errors="replace"), said, files_in(folder), arrived)


def _filled(word: str, stands_for: dict[str, str]) -> str:
    """An argument; `key=WORD` too."""
    key, equals, value = word.rpartition("=")
    return f"{key}{equals}{stands_for.get(value, value)}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.words)
def test_a_client_does_what_dcmtks_does(case: Case, peers: Site, tmp_path: Path) -> None:
    theirs = run(case, DCMTK, tmp_path / "theirs", peers)
    ours = run(case, OURS, tmp_path / "ours", peers)

    assert (theirs.exit_code, ours.exit_code) == (case.exit_codes or (theirs.exit_code, theirs.exit_code))
    assert ours.arrived == theirs.arrived
    assert [replace(each, meta=each.meta[:3]) for each in ours.made] == [
        replace(each, meta=each.meta[:3]) for each in theirs.made
    ]  # DCMTK's clients do not write who sent a file, or name themselves
    if case.is_told:
        assert ours.output == theirs.output
        assert ours.said == theirs.said
