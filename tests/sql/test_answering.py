"""How our AE titles answer: settings are changed by commands, checked, read back, noted, and shown."""

import pytest
from sqlalchemy import text

from archive.database import transaction
from archive.dicom.transfer_syntax_presets import ACCEPT, PROPOSE
from archive.errors import DatabaseFailed, Misconfigured
from archive.query.character_sets import CharacterSetPolicy
from archive.registry import audit, changes, snapshot
from archive.registry.answering import AS_THE_SERVICE, Answering
from archive.registry.model import Registry
from tests.fix_archive import FoundedArchive
from tests.fix_command import Run

# Columns of ae_titles that `archive ae show` shows under another name.
_POLICIES = {
    "allows_get": "get",
    "allows_patient_root": "patient_root",
    "allows_study_root": "study_root",
    "allows_patient_study_only": "patient_study_only",
    "allows_parallel_store": "parallel_store",
    "requires_find": "require_find",
    "requires_implementation_uid": "require_implementation_uid",
    "requires_user": "require_user",
    "refuses": "refuse",
}
_MOVES_TO = ("moves_to_same_title", "moves_to_same_host", "moves_to_same_vendor", "moves_to_listed")


def registry(founded: FoundedArchive) -> Registry:
    with transaction.read(founded.database) as connection:
        return snapshot.read(connection)


def test_a_new_title_answers_as_the_service_does(founded: FoundedArchive) -> None:
    assert registry(founded).titles["ARCHIVE"].answering == AS_THE_SERVICE
    assert tuple(AS_THE_SERVICE.ranks("1.2.3", is_stored=True) or ()) == tuple(reversed(ACCEPT["held"]))


def test_every_setting_is_given_by_a_command_and_read_back(run: Run, archive: FoundedArchive) -> None:
    run(
        *("ae", "set", "ARCHIVE", "--accepts", "j2k-lossless", "--max-pdu", 16384, "--dimse-timeout", 5),
        *("--idle-timeout", 0, "--strict-find", "--strict-move", "--character-set", "ISO_IR 100"),
        *("--override-character-set", "--no-fall-back", "--transliterate", "--discard-characters"),
    )

    assert registry(archive).titles["ARCHIVE"].answering == Answering(
        accepts="j2k-lossless",
        max_pdu_bytes=16384,
        dimse_timeout_seconds=5,
        idle_timeout_seconds=0,
        strict_find=True,
        strict_move=True,
        character_sets=CharacterSetPolicy(("ISO_IR 100",), True, False, True, True),
    )

    run(
        *("ae", "set", "ARCHIVE", "--accepts", "held", "--max-pdu", "none", "--dimse-timeout", "none"),
        *("--idle-timeout", "none", "--no-strict-find", "--no-strict-move", "--character-set", "ISO_IR 192"),
        *("--no-override-character-set", "--fall-back", "--no-transliterate", "--no-discard-characters"),
    )

    assert registry(archive).titles["ARCHIVE"].answering == AS_THE_SERVICE


def test_a_title_may_be_added_with_its_settings(run: Run, archive: FoundedArchive) -> None:
    added = ("ae", "add", "CT", "--area", "ARCHIVE", "--access", "W")
    run(*added, "--accepts", "jpeg-lossless", "--character-set", "ASCII")

    answering = registry(archive).titles["CT"].answering
    assert (answering.ranks("1.2.3", is_stored=True) or {})["1.2.840.10008.1.2.4.70"] == 0
    assert answering.character_sets.configured == ()


def test_several_character_sets_are_code_extensions(run: Run, archive: FoundedArchive) -> None:
    run("ae", "set", "ARCHIVE", "--character-set", r"\ISO 2022 IR 87")

    assert registry(archive).titles["ARCHIVE"].answering.character_sets.configured == ("", "ISO 2022 IR 87")


def test_a_title_is_shown_with_all_its_settings_and_rules(run: Run, archive: FoundedArchive) -> None:
    run("ae", "set", "ARCHIVE", "--max-pdu", 16384)

    assert "profile" in run("ae", "show", "ARCHIVE", "--json").json
    shown = run("ae", "show", "ARCHIVE", "--json").json

    assert list(shown)[:2] == ["title", "area"]
    assert (shown["title"], shown["area"], shown["max_pdu_bytes"], shown["idle_timeout_seconds"]) == (
        "ARCHIVE",
        "ARCHIVE",
        16384,
        None,
    )
    assert len(shown["rules"]) == 2
    with transaction.read(archive.database) as connection:
        columns = connection.execute(text("SELECT * FROM ae_titles")).keys()
    by_the_words_of_options = {"access", "moves_to", *_POLICIES.values()}
    assert by_the_words_of_options <= set(shown)
    hidden = set(columns) - set(shown) - set(_POLICIES)
    assert hidden == {"pk", "area_pk", "profile_pk", "created_at", "can_read", "can_write", *_MOVES_TO}
    assert "max pdu " in run("ae", "show", "ARCHIVE").out
    assert "There is no AE title of ours NONE; run: archive ae list" in run("ae", "show", "NONE", code=2).error


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (("ae", "set", "ARCHIVE", "--accepts", "jpeg"), "is not one of 'held', 'all'"),
        (("ae", "set", "ARCHIVE", "--max-pdu", 4095), "neither a number from 4096 to 1048576 nor none"),
        (("ae", "set", "ARCHIVE", "--idle-timeout", -1), "neither a number from 0 to"),
        (("ae", "set", "ARCHIVE", "--character-set", "KLINGON"), "This is not a Specific Character Set"),
        (("ae", "set", "ARCHIVE", "--character-set", "none"), "This is not a Specific Character Set"),
        (("ae", "set", "ARCHIVE"), "Nothing to change"),
        (("area", "set", "ARCHIVE", "--retrieve-limit", 0), "neither a number from 1 to"),
        (("peer", "set", "NONE", "--proposes", "all"), "is not one of 'uncompressed'"),
    ],
)
def test_a_mistake_is_a_sentence(run: Run, archive: FoundedArchive, arguments: tuple, sentence: str) -> None:
    before = registry(archive)

    assert sentence in run(*arguments, code=2).error

    assert registry(archive) == before


def test_a_preset_that_there_is_not_is_refused_by_the_change_and_by_the_database(founded: FoundedArchive) -> None:
    for work in (
        lambda connection: changes.set_title(connection, "ARCHIVE", {"accepts": "jpeg"}),
        lambda connection: changes.add_peer(connection, "p", "P", "h", 1, {"proposes": "all"}),
    ):
        with pytest.raises(Misconfigured, match="no such preset"):
            transaction.write(founded.database, work)
    with pytest.raises(DatabaseFailed) as refusal:
        transaction.write(founded.database, lambda c: c.execute(text("UPDATE ae_titles SET accepts = 'jpeg'")))
    assert "ck_ae_titles_accepts" in str(refusal.value)


def test_every_preset_can_be_chosen(founded: FoundedArchive) -> None:
    def work(connection) -> None:
        changes.add_peer(connection, "p", "P", "h", 1)
        for preset in ACCEPT:
            changes.set_title(connection, "ARCHIVE", {"accepts": preset})
        for preset in PROPOSE:
            changes.set_peer(connection, "p", {"proposes": preset})

    transaction.write(founded.database, work)

    assert registry(founded).peers["p"].proposes == list(PROPOSE)[-1]


def test_a_peer_and_an_area_have_settings_of_their_own(run: Run, archive: FoundedArchive) -> None:
    run("peer", "add", "pacs", "--title", "PACS", "--host", "10.0.0.1", "--port", 104, "--proposes", "big-endian")
    run("area", "set", "ARCHIVE", "--retrieve-limit", 1000)

    assert run("peer", "list", "--json").json[0]["proposes"] == "big-endian"
    assert run("area", "show", "ARCHIVE", "--json").json["retrieve_limit"] == 1000

    run("peer", "set", "pacs", "--proposes", "none")
    run("area", "set", "ARCHIVE", "--retrieve-limit", "none")

    assert registry(archive).peers["pacs"].proposes is None
    assert registry(archive).areas["ARCHIVE"].retrieve_limit is None


def test_a_change_is_noted_by_its_columns(run: Run, archive: FoundedArchive) -> None:
    run("ae", "set", "ARCHIVE", "--strict-find")

    with transaction.read(archive.database) as connection:
        (note,) = audit.history(connection, limit=1)
    assert (note.before, note.after) == ({"strict_find": False}, {"strict_find": True})


def test_the_settings_of_an_area_are_its_columns(run: Run, archive: FoundedArchive) -> None:
    run("area", "set", "ARCHIVE", "--retrieve-limit", 7, "--transfer-syntax", "implicit", "--writing", "normalised")
    run("area", "set", "ARCHIVE", "--transfer-syntax", "same", "--max-studies", "none")

    with transaction.read(archive.database) as connection:
        settings = snapshot.settings_of_area(connection, "ARCHIVE")
        columns = connection.execute(text("SELECT * FROM storage_areas")).keys()
        with pytest.raises(Misconfigured, match="There is no area NONE; run: archive area list"):
            snapshot.settings_of_area(connection, "NONE")

    assert set(columns) - set(settings) == {"pk", "created_at"}
    assert (settings["name"], settings["retrieve_limit"], settings["writing"]) == ("ARCHIVE", 7, "normalised")
    assert (settings["written_transfer_syntax"], settings["max_studies"]) == (None, None)
