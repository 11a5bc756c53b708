"""What the administrator changes: whole or refused, it moves the revision and is read back as it was meant."""

import pytest

from archive.database import transaction
from archive.database.engine import Database
from archive.errors import Misconfigured
from archive.registry import changes, snapshot
from archive.registry.snapshot import Registry, RegistryReader
from tests.fix_archive import FoundedArchive


def change(database: Database, work, *arguments, **named):
    return transaction.write(database, lambda connection: work(connection, *arguments, **named))


def registry(database: Database) -> Registry:
    with transaction.read(database) as connection:
        return snapshot.read(connection)


def test_the_first_start_makes_one_area_one_title_and_rules_for_this_machine(founded: FoundedArchive) -> None:
    known = registry(founded.database)

    assert list(known.areas) == ["ARCHIVE"]
    assert known.areas["ARCHIVE"].path == "areas/ARCHIVE"
    assert known.areas["ARCHIVE"].durable
    assert known.areas["ARCHIVE"].duplicates == "replace"
    assert known.titles["ARCHIVE"].access == "RW"
    assert [rule.network for rule in known.titles["ARCHIVE"].rules] == ["127.0.0.0/8", "::1/128"]


def test_an_archive_is_founded_once(founded: FoundedArchive) -> None:
    change(founded.database, changes.remove_title, "ARCHIVE")

    again = change(founded.database, changes.found, "ARCHIVE", "areas/ARCHIVE")

    assert again is False
    assert registry(founded.database).titles == {}


def test_every_change_moves_the_revision_and_the_reader_sees_it(founded: FoundedArchive) -> None:
    reader = RegistryReader(founded.database)
    before = reader.current()

    change(founded.database, changes.add_peer, "ct1", "CT1", "10.1.2.3", 104)
    after = reader.current()

    assert after.revision > before.revision
    assert after.peers["ct1"].port == 104
    assert reader.current() is after


def test_a_refused_change_changes_nothing(founded: FoundedArchive) -> None:
    before = registry(founded.database)

    with pytest.raises(Misconfigured):
        change(founded.database, changes.add_title, "OTHER", "NOWHERE", "RW")

    assert registry(founded.database) == before


def test_settings_of_an_area_are_changed_one_by_one(founded: FoundedArchive) -> None:
    change(founded.database, changes.set_area, "ARCHIVE", {"duplicates": "keep", "answer_limit": 10})
    change(founded.database, changes.set_area, "ARCHIVE", {"durability": "relaxed", "answer_limit": None})

    area = registry(founded.database).areas["ARCHIVE"]
    assert (area.duplicates, area.durable, area.answer_limit) == ("keep", False, None)


_MISTAKES = (
    (changes.add_area, ("ARCHIVE", "/x", {}), "There is an area ARCHIVE already"),
    (changes.add_area, ("A/B", "/x", {}), "An area's name is"),
    (changes.add_area, ("NEW", "areas", {}), "lies in that of area ARCHIVE"),
    (changes.add_area, ("NEW", "areas/ARCHIVE/x", {}), "lies in that of area"),
    (changes.set_area, ("NOWHERE", {"durability": "full"}), "no area NOWHERE"),
    (changes.set_area, ("ARCHIVE", {"path": "/x"}), "Move the folder"),
    (changes.remove_area, ("ARCHIVE",), "archive ae remove ARCHIVE"),
    (changes.add_title, ("ARCHIVE", "ARCHIVE", "R"), "There is an AE title ARCHIVE"),
    (changes.add_title, ("SEVENTEEN_LETTERS", "ARCHIVE", "R"), "1 to 16 characters"),
    (changes.add_title, ("A\\B", "ARCHIVE", "R"), "1 to 16 characters"),
    (changes.add_title, (" A", "ARCHIVE", "R"), "1 to 16 characters"),
    (changes.add_title, ("", "ARCHIVE", "R"), "1 to 16 characters"),
    (changes.add_title, ("NEW", "ARCHIVE", "X"), "Access is R, W or RW"),
    (changes.set_title, ("ARCHIVE", None, None), "Nothing to change"),
    (changes.set_title, ("NONE", None, "R"), "no AE title of ours NONE"),
    (changes.add_peer, ("p", "P", "a b", 1), "neither an address nor a host name"),
    (changes.add_peer, ("p", "P", "1.2.3.256", 1), "neither an address nor"),
    (changes.add_peer, ("p", "P", "h", 0), "A port is a number"),
    (changes.add_peer, ("p p", "P", "h", 1), "A peer's name is"),
    (changes.remove_peer, ("nobody",), "no peer nobody; run: archive peer list"),
    (changes.remove_rule, (99,), "no rule 99; run: archive rule list"),
)

_RULES_THAT_CANNOT_BE = (
    ({"network": "10.1.0.0/99"}, "This is not a network"),
    ({"network": "a b"}, "neither an address nor"),
    ({"operations": ["fetch"]}, "--can takes a list"),
    ({"operations": []}, "--can takes a list"),
    ({"peer": "nobody"}, "no peer nobody"),
    ({"calling_ae_title": "A\\B"}, "1 to 16 characters"),
)


def test_a_mistake_is_a_sentence_that_says_what_to_do(founded: FoundedArchive) -> None:
    before = registry(founded.database)

    for work, arguments, sentence in _MISTAKES:
        with pytest.raises(Misconfigured, match=sentence):
            change(founded.database, work, *arguments)

    assert registry(founded.database) == before


def test_a_rule_that_cannot_be_is_refused(founded: FoundedArchive) -> None:
    before = registry(founded.database)

    for named, sentence in _RULES_THAT_CANNOT_BE:
        with pytest.raises(Misconfigured, match=sentence):
            change(founded.database, changes.add_rule, "ARCHIVE", allows=True, **named)

    assert registry(founded.database) == before


def test_a_peer_takes_its_rules_with_it(founded: FoundedArchive) -> None:
    change(founded.database, changes.add_peer, "ct1", "CT1", "10.1.2.3", 104)
    number = change(founded.database, changes.add_rule, "ARCHIVE", allows=True, peer="ct1", operations=["store"])

    change(founded.database, changes.remove_peer, "ct1")

    assert number not in [rule.pk for rule in registry(founded.database).titles["ARCHIVE"].rules]


def test_a_rule_is_read_back_as_it_was_given(founded: FoundedArchive) -> None:
    change(founded.database, changes.add_peer, "ct1", "CT1", "10.1.2.3", 104)

    number = change(
        founded.database, changes.add_rule, "ARCHIVE", allows=False, peer="ct1", operations=("store", "echo")
    )

    rule = registry(founded.database).titles["ARCHIVE"].rules[-1]
    assert str(rule) == f"rule {number}: deny --peer ct1 echo,store"


def test_two_peers_may_not_be_one_and_the_same(founded: FoundedArchive) -> None:
    change(founded.database, changes.add_peer, "one", "CT1", "10.1.2.3", 104)
    change(founded.database, changes.add_peer, "two", "CT1", "10.1.2.4", 104)

    with pytest.raises(Misconfigured, match="already"):
        change(founded.database, changes.add_peer, "three", "CT1", "10.1.2.3", 104)
    with pytest.raises(Misconfigured, match="already"):
        change(founded.database, changes.set_peer, "two", None, "10.1.2.3", None)


def test_a_move_to_a_title_of_several_peers_goes_to_the_first(founded: FoundedArchive) -> None:
    change(founded.database, changes.add_peer, "one", "CT1", "10.1.2.3", 104)
    change(founded.database, changes.add_peer, "two", "CT1", "10.1.2.4", 104)

    destination = registry(founded.database).destination("CT1")

    assert destination is not None
    assert destination.name == "one"
