"""DCMDICTPATH: findscu takes keys by the names of a user's dictionary, and prints them, as DCMTK's does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.side_by_side.site import Site, site
from tests.wire.clients import DCMTK, OURS, Command, both, ran

OWN = """\
# of our own
(0029,1008)\tCS\tMySection\t1\tPrivateTag
(0031,"MY CREATOR",20)\tUS\tMyNumber\t1\tPrivateTag
(0050,0099)\tDA\tMyNewDate\t1\tDICOM
(0052,0090-u-0093)\tFD\tMyFactor\t1\tDICOM
"""
KEYS = (
    *("-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2", "-k", "MySection=AB", "-k", "MyNewDate=20200101"),
    *("-k", "0052,0091=1.5", "-k", "0031,0010=MY CREATOR", "-k", "0031,1020=258"),
)


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("site")) as made:
        yield made


def asked(command: Command, peers: Site, folder: Path, dictionaries: str, *keys: str) -> tuple[int, list[str]]:
    """The exit code, and the lines of the log."""
    words = ("-v", "-S", "-aec", "ARCHIVE", *keys, "localhost", peers.ports["PORT"])
    ended = ran(command, "findscu", *words, folder=folder, environment={"DCMDICTPATH": dictionaries})
    return ended.code, ended.log


def identifiers(log: list[str]) -> list[str]:
    return [line for line in log if line.startswith("I: (")]


def test_keys_of_a_users_dictionary_are_those_of_dcmtks(peers: Site, tmp_path: Path) -> None:
    (tmp_path / "own.dic").write_text(OWN)
    (standard,) = Path("/usr/share").glob("libdcmtk*/dicom.dic")
    dictionaries = f"{standard}:{tmp_path}/own.dic"

    theirs = asked(DCMTK, peers, tmp_path, dictionaries, *KEYS)
    ours = asked(OURS, peers, tmp_path, dictionaries, *KEYS)

    assert identifiers(ours[1]) == identifiers(theirs[1])
    assert len(identifiers(ours[1])) == 7
    assert (ours[0], theirs[0]) == (0, 0)


def test_the_standard_names_its_own_attributes_and_need_not_be_named(peers: Site, tmp_path: Path) -> None:
    (tmp_path / "own.dic").write_text(OWN + "(0010,0010)\tLO\tSomebody\t1\tDICOM\n")

    code, log = asked(OURS, peers, tmp_path, "own.dic", *KEYS, "-k", "Somebody=X")

    assert code == 0
    assert [line.split()[2:3] + line.split()[-1:] for line in identifiers(log) if "(0010,0010)" in line] == [
        ["PN", "PatientName"]
    ]


@both
def test_a_dictionary_that_is_not_there_is_told_and_no_more(peers: Site, tmp_path: Path, command: Command) -> None:
    (standard,) = Path("/usr/share").glob("libdcmtk*/dicom.dic")
    code, log = asked(command, peers, tmp_path, f"{standard}:missing.dic", *KEYS[:4])

    assert code == 0
    assert sum("missing.dic" in line for line in log) == 1
