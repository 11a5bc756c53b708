"""What the administrator changes: whole or refused, it moves the revision and is read back as it was meant."""

import os
import pwd
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from archive.database import transaction
from archive.database.engine import Database
from archive.dicom.normal import EncodingOptions, GroupLengths
from archive.errors import DatabaseFailed, Misconfigured
from archive.registry import audit, changes, destinations, snapshot
from archive.registry.access import Caller
from archive.registry.audit import Change
from archive.registry.model import Registry
from archive.registry.snapshot import RegistryReader
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
    (changes.add_area, ("A/B", "/x", {}), "The name of an area is"),
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
    (
        changes.set_title,
        (
            "ARCHIVE",
            {"allows_patient_root": False, "allows_study_root": False, "allows_patient_study_only": False},
        ),
        "at least one of Patient Root, Study Root",
    ),
    (changes.set_title, ("ARCHIVE", {}), "Nothing to change"),
    (changes.set_title, ("NONE", {"access": "R"}), "no AE title of ours NONE"),
    (changes.add_peer, ("p", "P", "a b", 1), "neither an address nor a host name"),
    (changes.add_peer, ("p", "P", "1.2.3.256", 1), "neither an address nor"),
    (changes.add_peer, ("p", "P", "h", 0), "A port is a number"),
    (changes.add_peer, ("p", "P", "10.1.0.0/16", 104), "whose host is a network only calls"),
    (changes.add_peer, ("p p", "P", "h", 1), "The name of a peer is"),
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
        change(founded.database, changes.set_peer, "two", {"host": "10.1.2.3"})


def test_a_move_to_a_title_of_several_peers_goes_to_the_first(founded: FoundedArchive) -> None:
    change(founded.database, changes.add_peer, "one", "CT1", "10.1.2.3", 104)
    change(founded.database, changes.add_peer, "two", "CT1", "10.1.2.4", 104)

    known = registry(founded.database)
    destination = destinations.decide(
        known, known.titles["ARCHIVE"], Caller("WS", "10.9.9.9"), "CT1", lambda host: frozenset({host})
    )

    assert destination.peer is not None
    assert destination.peer.name == "one"


def history(database: Database, **conditions) -> list[Change]:
    with transaction.read(database) as connection:
        return audit.history(connection, **conditions)


def test_a_change_leaves_a_note_of_who_made_it_and_how_it_was_before(founded: FoundedArchive) -> None:
    change(founded.database, changes.set_area, "ARCHIVE", {"duplicates": "keep", "durability": "full"})

    [note] = history(founded.database, limit=1)

    assert (note.action, note.subject, note.name) == ("set", "area", "ARCHIVE")
    assert note.before == {"duplicates": "replace", "durability": "full"}
    assert note.after == {"duplicates": "keep", "durability": "full"}
    assert note.os_user == pwd.getpwuid(os.getuid()).pw_name
    assert note.os_host == os.uname().nodename
    assert abs(note.changed_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_what_goes_with_a_title_is_noted_too(founded: FoundedArchive) -> None:
    change(founded.database, changes.remove_title, "ARCHIVE")

    notes = history(founded.database)[:3]

    assert [(note.action, note.subject) for note in notes] == [
        ("remove", "ae_title"),
        ("remove", "rule"),
        ("remove", "rule"),
    ]
    assert notes[0].before is not None
    assert notes[0].before["area"] == "ARCHIVE"
    assert notes[1].before is not None
    assert (notes[1].before["at"], notes[1].before["network"]) == ("ARCHIVE", "::1/128")
    assert notes[0].after is None


def test_a_refused_change_leaves_no_note(founded: FoundedArchive) -> None:
    before = history(founded.database)

    with pytest.raises(Misconfigured):
        change(founded.database, changes.set_title, "ARCHIVE", {"area": "NOWHERE"})

    assert history(founded.database) == before


def test_notes_are_asked_for_by_time_and_subject(founded: FoundedArchive) -> None:
    change(founded.database, changes.add_peer, "ct1", "CT1", "10.1.2.3", 104)
    [last] = history(founded.database, subject="peer", name="ct1")

    assert history(founded.database, since=last.changed_at + timedelta(seconds=1)) == []
    assert last not in history(founded.database, until=last.changed_at)
    assert history(founded.database, subject="peer", name="ct2") == []


@pytest.mark.parametrize(
    "assignment",
    [
        "writing = 'anyhow'",
        "written_transfer_syntax = '1.2.840.10008.1.2.4.50'",
        "group_lengths = 'yes'",
        "sequence_lengths = ''",
        "file_padding_bytes = 7",
        "item_padding_bytes = 65538",
        "item_padding_bytes = -2",
        "deflate_level = 10",
        "discards = NULL",
    ],
)
def test_the_database_itself_refuses_a_way_of_writing_that_cannot_be(founded: FoundedArchive, assignment: str) -> None:
    statement = text(f"UPDATE storage_areas SET {assignment}")

    with pytest.raises(DatabaseFailed, match="constraint"):
        transaction.write(founded.database, lambda connection: connection.execute(statement))


def test_an_area_keeps_what_comes_as_it_comes_unless_told(founded: FoundedArchive) -> None:
    assert not founded.area.normalises
    assert not founded.area.discards
    change(founded.database, changes.set_area, "ARCHIVE", {"writing": "normalised", "group_lengths": "create"})

    assert founded.area.normalises
    assert founded.area.encoding == EncodingOptions(group_lengths=GroupLengths.CREATE)
