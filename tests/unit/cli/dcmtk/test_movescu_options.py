"""movescu_options.py: which of several options counts, where instances go, and when they come to us."""

from archive.cli.dcmtk import movescu_options
from tests.unit.cli.dcmtk.tools import MOVESCU

_LISTENS = "+P 11112"


def test_what_excludes_each_other_is_decided_by_the_last() -> None:
    for words, same in (
        ("+xs +xe", "+xe"),
        ("-xi -xe", "-xe"),
        ("-S -O -P", "-P"),
        ("-pr -pi", ""),
        ("+B -B", "-B"),
        ("-u +u", ""),
    ):
        assert MOVESCU.decided(f"{_LISTENS} {words}") == MOVESCU.decided(f"{_LISTENS} {same}"), words


def test_we_are_the_destination_unless_another_is_named() -> None:
    given = movescu_options.PROGRAM.parse(["-aet", "ME", "-k", "PatientID", "localhost", "104"])
    named = movescu_options.PROGRAM.parse(["-aet", "ME", "-aem", "YOU", "-k", "PatientID", "localhost", "104"])

    assert movescu_options.decide(given).destination == "ME"
    assert movescu_options.decide(named).destination == "YOU"


def test_nothing_comes_in_without_a_port() -> None:
    for words in ("", "+P 11112 --no-port"):
        given = movescu_options.PROGRAM.parse(f"{words} -k PatientID localhost 104".split())
        assert movescu_options.decide(given).incoming is None
