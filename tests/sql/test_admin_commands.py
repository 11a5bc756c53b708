"""The administrator's commands, run in this process: what they print, their exit codes, what they change."""

import io
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from archive.database import transaction
from archive.errors import DiskFailed
from archive.index import evictable, remove
from archive.lifecycle import founding
from archive.registry import passwords, snapshot
from archive.registry.model import User
from archive.server.election import Lease
from archive.server.housekeeping import Housekeeping
from archive.storage.local import LocalArea
from tests.fix_archive import FoundedArchive
from tests.fix_command import Run
from tests.fix_instances import instance, uid
from tests.fix_tls import Identity

STUDY = uid("study", 1, 1)


def test_a_first_command_makes_an_embedded_archive_and_upgrade_a_postgresql(
    run: Run, database_url: str, dialect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARCHIVE_DATABASE", database_url)
    if dialect == "postgresql":
        refused = run("area", "list", code=1)
        assert refused.error.startswith(
            "The database schema is not the one this version needs; run: archive db upgrade"
        )
        assert run("db", "current", code=1).out == "none\n"
        assert run("db", "check", code=1).error == refused.error
        run("db", "upgrade")

    listed = run("area", "list", "--json")

    assert [(area["name"], area["folder"]) for area in listed.json] == [("ARCHIVE", f"{tmp_path}/data/areas/ARCHIVE")]
    assert run("db", "check", "--json").json["is_usable"] is True
    assert run("db", "upgrade").out == f"The schema is {run('db', 'current').out.strip()} already.\n"


def test_looking_at_a_database_that_is_not_there_does_not_make_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARCHIVE_DATABASE", f"sqlite:///{tmp_path}/none.db")

    assert run("db", "current", code=1).out == "none\n"
    assert "There is no database yet; run: archive db upgrade" in run("db", "check", code=1).error
    assert not (tmp_path / "none.db").exists()


def test_a_database_that_cannot_be_reached_is_a_failure(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARCHIVE_DATABASE", f"postgresql://nobody@/none?host={tmp_path}")

    said = run("area", "list", code=1)

    assert said.error.startswith("The database cannot be used: ")
    assert said.error.endswith("Look at --database, then run: archive db check\n")
    assert said.error.count("\n") == 1


def test_an_area_is_added_changed_shown_and_removed(run: Run, archive: FoundedArchive, tmp_path: Path) -> None:
    run("area", "add", "RESEARCH", "below/research", "--durability", "relaxed", "--no-unknown-sop-classes")
    run("area", "set", "RESEARCH", "--duplicates", "keep", "--strict-names", "--answer-limit", 50)

    shown = run("area", "show", "RESEARCH", "--json").json
    assert shown["folder"] == f"{tmp_path}/work/below/research"
    assert Path(shown["folder"]).is_dir()
    assert {name: shown[name] for name in ("durability", "duplicates", "unknown_sop_classes", "strict_names")} == {
        "durability": "relaxed",
        "duplicates": "keep",
        "unknown_sop_classes": False,
        "strict_names": True,
    }
    assert (shown["answer_limit"], shown["ae_titles"], shown["studies"]) == (50, [], 0)
    run("area", "set", "RESEARCH", "--answer-limit", "none")
    assert run("area", "show", "RESEARCH", "--json").json["answer_limit"] is None
    run("area", "remove", "RESEARCH")
    assert [area["name"] for area in run("area", "list", "--json").json] == ["ARCHIVE"]


def test_an_area_that_cannot_be_leaves_no_folder_behind(run: Run, archive: FoundedArchive, tmp_path: Path) -> None:
    for name, path in (("ARCHIVE", "a/b/c"), ("NO/NAME", "a/b"), ("NEW", archive.folder / "below")):
        said = run("area", "add", name, path, code=2)
        assert said.error.count("\n") == 1
    (tmp_path / "link").symlink_to(archive.folder)
    assert "lies in that of area ARCHIVE" in run("area", "add", "NEW", tmp_path / "link", code=2).error
    assert "lies in that of area ARCHIVE" in run("area", "add", "NEW", archive.folder, code=2).error
    (tmp_path / "file").write_text("")
    assert "The folder cannot be used" in run("area", "add", "NEW", tmp_path / "file" / "below", code=2).error

    assert not (tmp_path / "work" / "a").exists()
    assert not (archive.folder / "below").exists()
    assert len(run("area", "list", "--json").json) == 1


def test_an_area_is_removed_only_when_nothing_is_left_of_it(run: Run, archive: FoundedArchive) -> None:
    archive.store(instance(), instance(number=2, PatientName="Somebody^Else"))

    assert "Area ARCHIVE holds 1 study; remove them first" in run("area", "remove", "ARCHIVE", code=2).error
    run("study", "remove", STUDY, "--yes")
    assert "2 files of area ARCHIVE still to be unlinked" in run("area", "remove", "ARCHIVE", code=2).error
    _unlink_all(archive)
    assert "run: archive ae remove ARCHIVE" in run("area", "remove", "ARCHIVE", code=2).error
    run("ae", "remove", "ARCHIVE")
    run("area", "remove", "ARCHIVE")

    assert run("area", "list").error == "No areas; add one: archive area add NAME PATH\n"


def _unlink_all(archive: FoundedArchive) -> None:
    """What housekeeping does in a running archive."""
    with transaction.read(archive.database) as connection:
        queued = [row.pk for row in remove.queued_deletions(connection, 100)]
    transaction.write(archive.database, lambda connection: remove.settle_deletions(connection, queued, []))


def test_the_security_of_a_peer_is_set_shown_and_explained(
    run: Run, archive: FoundedArchive, modality: Identity, archive_identity: Identity
) -> None:
    binding = f"sha256:{modality.sha256.upper()}"
    run("peer", "add", "ct1", "--title", "CT1", "--host", "::1", "--port", 104, "--tls", "--certificate", binding)
    run("peer", "set", "ct1", "--no-check-host")
    question = ("rule", "explain", "--at", "ARCHIVE", "--title", "CT1", "--from", "::1", "--can", "store", "--json")

    [peer] = run("peer", "list", "--json").json
    asked = {
        str(shown): run(*question, *shown, code=code).json[1]["reason"]
        for shown, code in (
            ((), 1),
            (("--certificate", archive_identity.certificate), 1),
            (("--certificate", modality.certificate), 0),
            (("--certificate", binding), 0),
        )
    }
    run("peer", "set", "ct1", "--certificate", "none", "--no-tls", "--check-host")
    [unbound] = run("peer", "list", "--json").json

    assert (peer["tls"], peer["check_host"], peer["certificate"]) == (True, False, f"sha256:{modality.sha256}")
    refused, other, from_file, from_form = asked.values()
    assert refused == other == "CT1 may only be used with the certificate of peer ct1"
    assert from_file == from_form
    assert "allows it" in from_file
    assert (unbound["tls"], unbound["check_host"], unbound["certificate"]) == (False, True, None)
    assert run(*question).json[0]["allowed"]


def test_a_password_that_is_no_text_is_refused(
    run: Run, archive: FoundedArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    for errors in ("strict", "surrogateescape"):  # as standard input is decoded in one locale and another
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"ses\xffame\n"), "utf-8", errors))

        assert "no text in UTF-8" in run("user", "add", "ward3", code=2).error

    assert run("user", "list", "--json").json == []


def test_users_are_added_changed_and_removed_and_their_passwords_never_shown(
    run: Run, archive: FoundedArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def says(line: str) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO(line))

    def held() -> dict[str, User]:
        with transaction.read(archive.database) as connection:
            return dict(snapshot.read(connection).users)

    says("sesame\n")
    hint = run("user", "add", "ward 3").error
    run("user", "add", "door", "--no-password")
    listed = run("user", "list")
    first = held()
    says("another")
    run("user", "set", "ward 3", "--password", "--disable")
    run("user", "set", "door", "--enable")
    second = held()
    run("user", "remove", "ward 3")

    assert "archive ae set TITLE --require-user" in hint
    assert run("user", "list", "--json").json == [{"name": "door", "password": False, "disabled": False}]
    assert "scrypt" not in listed.out
    assert passwords.fits(b"sesame", first["ward 3"].password_hash)
    assert passwords.fits(b"another", second["ward 3"].password_hash)
    assert not passwords.fits(b"sesame", second["ward 3"].password_hash)
    assert (first["ward 3"].disabled, second["ward 3"].disabled) == (False, True)
    assert first["door"].password_hash is None
    assert "scrypt" not in repr(first)


def test_a_user_without_a_password_is_not_made_by_mistake(
    run: Run, archive: FoundedArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))

    said = run("user", "add", "ward3", code=2).error

    assert "for a user without one: --no-password" in said
    assert run("user", "list", "--json").json == []


def test_a_title_may_require_a_user(run: Run, archive: FoundedArchive) -> None:
    run("ae", "set", "ARCHIVE", "--require-user")
    [required] = run("ae", "list", "--json").json
    explained = run("rule", "explain", "--at", "ARCHIVE", "--title", "A", "--from", "127.0.0.1")
    run("ae", "set", "ARCHIVE", "--no-require-user")
    [free] = run("ae", "list", "--json").json

    assert (required["restrictions"], free["restrictions"]) == (["require-user"], [])
    assert "and the caller must prove to be a user" in explained.out


def test_a_site_is_set_up_by_titles_peers_and_rules(run: Run, archive: FoundedArchive) -> None:
    hint = run("ae", "add", "MY TITLE", "--area", "ARCHIVE", "--access", "r").error
    run("peer", "add", "ct1", "--title", "CT1", "--host", "10.1.2.3", "--port", 104)
    run("rule", "allow", "--at", "MY TITLE", "--peer", "ct1", "--can", "find,get")
    run("rule", "deny", "--at", "MY TITLE", "--title", "BAD", "--from", "10.0.0.0/8")
    run("ae", "set", "MY TITLE", "--access", "RW")
    run("peer", "set", "ct1", "--port", 105)

    assert "archive rule allow --at 'MY TITLE' --peer NAME" in hint
    title, peer = run("ae", "list", "--json").json[1], run("peer", "list", "--json").json[0]
    assert (title["title"], title["area"], title["access"], title["rules"]) == ("MY TITLE", "ARCHIVE", "RW", 2)
    assert (peer["name"], peer["title"], peer["host"], peer["port"]) == ("ct1", "CT1", "10.1.2.3", 105)
    first, second = run("rule", "list", "--at", "MY TITLE", "--json").json
    assert (first["who"], first["action"], first["can"]) == ("--peer ct1", "allow", ["find", "get"])
    assert (second["who"], second["action"]) == ("--title BAD --from 10.0.0.0/8", "deny")
    run("rule", "remove", second["number"])
    run("peer", "remove", "ct1")
    assert run("rule", "list", "--at", "MY TITLE", "--json").json == []


_MISTAKES = (
    (("rule", "allow", "--at", "ARCHIVE"), "by one of --peer NAME, --group NAME, --vendor NAME"),
    (("rule", "allow", "--at", "ARCHIVE", "--any", "--title", "A"), "by one of --peer NAME"),
    (("rule", "allow", "--at", "ARCHIVE", "--peer", "p", "--from", "h"), "--from does not go with peers"),
    (("rule", "allow", "--at", "NONE", "--any"), "There is no AE title of ours NONE; run: archive ae list"),
    (("rule", "list", "--at", "NONE"), "There is no AE title of ours NONE; run: archive ae list"),
    (("ae", "add", "X", "--area", "NONE", "--access", "RW"), "There is no area NONE; run: archive area list"),
    (("area", "show", "NONE"), "There is no area NONE; run: archive area list"),
    (("area", "set", "ARCHIVE"), "Nothing to change"),
    (("area", "set", "ARCHIVE", "--answer-limit", "0"), "neither a number from 1 to 2147483647 nor none"),
    (("peer", "set", "NONE", "--port", "1"), "There is no peer NONE; run: archive peer list"),
    (("peer", "set", "NONE", "--certificate", "CT1"), "There is no peer NONE; run: archive peer list"),
    (
        ("peer", "add", "p", "--title", "P", "--host", "h", "--port", "1", "--certificate", "CT1"),
        "A certificate is named by sha256",
    ),
    (
        ("rule", "explain", "--at", "A", "--title", "B", "--from", "::1", "--certificate", "C"),
        "A certificate is named by",
    ),
    (("user", "add", " x", "--no-password"), "A user's name is 1 to 64 visible characters"),
    (("user", "set", "NONE", "--disable"), "There is no user NONE; run: archive user list"),
    (("user", "remove", "NONE"), "There is no user NONE; run: archive user list"),
    (("peer", "echo", "NONE"), "There is no peer NONE; run: archive peer list"),
    (("study", "show", "1.2.3"), "There is no study 1.2.3; run: archive study list"),
    (("study", "remove", "1.2.3", "--area", "ARCHIVE"), "There is no study 1.2.3 in area ARCHIVE"),
    (("study", "list", "--date", "yesterday"), "'yesterday' is no value for StudyDate"),
    (("area", "list", "--config", "none.toml"), "none.toml: cannot be read"),
    (("area", "list", "--database", "nonsense"), "This is not the address of a database"),
)


def test_a_mistake_is_one_sentence_on_standard_error_and_exit_code_2(run: Run, archive: FoundedArchive) -> None:
    for arguments, sentence in _MISTAKES:
        said = run(*arguments, code=2)

        assert said.out == ""
        assert sentence in said.error
        assert said.error.count("\n") == 1


def test_explain_tells_the_rule_that_decides(run: Run, archive: FoundedArchive) -> None:
    run("rule", "deny", "--at", "ARCHIVE", "--title", "BAD", "--can", "store")

    ask = ("rule", "explain", "--at", "ARCHIVE", "--json")
    allowed = run(*ask, "--title", "GOOD", "--from", "127.0.0.1", "--can", "store").json
    denied = run(*ask, "--title", "BAD", "--from", "127.0.0.1", "--can", "store", code=1).json
    partly = run(*ask, "--title", "BAD", "--from", "127.0.0.1").json
    stranger = run("rule", "explain", "--at", "ARCHIVE", "--title", "WS", "--from", "10.1.2.3", code=1)
    unknown = run("rule", "explain", "--at", "NONE", "--title", "WS", "--from", "10.1.2.3", "--can", "echo", code=1)

    assert [row["operation"] for row in allowed] == ["connect", "store"]
    assert allowed[1]["reason"] == "rule 1: allow --any --from 127.0.0.0/8 echo,store,find,move,get allows it"
    assert denied[1]["reason"] == "rule 3: deny --title BAD store denies it"
    assert [row["operation"] for row in partly if row["allowed"]] == ["connect", "echo", "find", "move", "get"]
    assert "no rule at ARCHIVE lets WS from 10.1.2.3 store" in stranger.out
    assert "archive rule allow --at ARCHIVE --title WS --from 10.1.2.3" in stranger.error
    assert "NONE is not one of our AE titles" in unknown.out


@pytest.mark.parametrize("named", ["", " ", f"{STUDY}\\{uid('study', 2, 1)}"], ids=["nothing", "blank", "two"])
def test_a_study_that_is_not_named_is_never_taken_for_another(run: Run, archive: FoundedArchive, named: str) -> None:
    archive.store(instance(), instance(patient=2))

    for words in (("remove", named, "--yes"), ("pin", named), ("unpin", named), ("show", named)):
        assert "does not name one study; run: archive study list" in run("study", *words, code=2).error

    assert [row["study_instance_uid"] for row in run("report", "studies", "--json").json if not row["is_pinned"]] == [
        uid("study", 2, 1),
        STUDY,
    ]


def test_studies_are_listed_shown_and_removed(run: Run, archive: FoundedArchive) -> None:
    archive.store(instance(number=1), instance(number=2), instance(patient=2, PatientName="Müller^Änne"))

    assert [row["number_of_instances"] for row in run("study", "list", "--json").json] == [1, 2]
    assert [row["patient_name"] for row in run("study", "list", "--patient-name", "muller*", "--json").json] == [
        "Müller^Änne"
    ]
    assert run("study", "list", "--limit", 1).error == "There are more than 1; see --limit.\n"
    [shown] = run("study", "show", STUDY, "--json").json
    assert (shown["area"], shown["number_of_instances"], len(shown["series"])) == ("ARCHIVE", 2, 1)
    assert "say --yes" in run("study", "remove", STUDY, code=2).error
    run("study", "remove", STUDY, "--yes")
    assert [row["study_instance_uid"] for row in run("study", "list", "--json").json] == [uid("study", 2, 1)]
    usage = run("area", "usage", "--json").json[0]
    assert (usage["studies"], usage["instances"], usage["files_to_unlink"]) == (1, 1, 2)


def test_checks_say_what_is_wrong_and_end_with_1_until_it_is_mended(run: Run, archive: FoundedArchive) -> None:
    archive.store(instance(number=1), instance(number=2))
    rubbish = archive.files()[0].with_name("0" * 32 + ".dcm")
    rubbish.write_bytes(b"rubbish")

    assert "0 files and 0 counters wrong" in run("check", "verify").out
    assert "1 file without a row (7 B)" in run("check", "reconcile", "--older-than", 0, code=1).out
    assert "too young to judge" in run("check", "reconcile", "--delete").out
    assert rubbish.exists()
    assert f"{rubbish.name}" in run("check", "reconcile", "--older-than", 0, "--delete").out
    assert not rubbish.exists()
    archive.files()[0].unlink()
    assert "1 file" in run("check", "verify", "--area", "ARCHIVE", code=1).out
    assert "1 row without a file" in run("check", "reconcile", "--delete", "--repair", code=1).out


def test_a_check_repairs_counters_when_told_to(run: Run, archive: FoundedArchive) -> None:
    archive.store(instance())
    spoil = text("UPDATE area_usage SET number_of_studies = 9")
    transaction.write(archive.database, lambda connection: connection.execute(spoil))

    assert "counters of area: 9 studies, not 1" in run("check", "verify", code=1).out
    run("check", "reconcile", code=1)
    run("check", "reconcile", "--repair")
    run("check", "verify")


def test_an_area_without_rows_is_not_emptied_by_mistake(
    run: Run, archive: FoundedArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archive.cli.admin.checks._DOUBTFUL_FILES", 1)
    folder = archive.folder / "2026" / "01" / "01" / "0000"
    folder.mkdir(parents=True)
    for number in range(2):
        (folder / f"{number:032x}.dcm").write_bytes(b"precious")

    refused = run("check", "reconcile", "--older-than", 0, "--delete", code=2)

    assert "looks like the wrong database: nothing is deleted" in refused.error
    assert len(archive.files()) == 2
    run("check", "reconcile", "--older-than", 0, "--delete", "--yes")
    assert archive.files() == []


def test_founding_is_said_once(run: Run, migrated_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHIVE_DATABASE", migrated_url)

    assert run("ae", "list").error == f"Made a new archive in {tmp_path / 'data'}.\n"
    assert run("ae", "list").error == ""
    assert (tmp_path / "data" / founding.FIRST_AREA_PATH).is_dir()


def test_limits_are_set_shown_and_taken_back(run: Run, archive: FoundedArchive) -> None:
    run("area", "set", "ARCHIVE", "--max-studies", "10", "--max-size", "2gb", "--min-free", "500MB", "--max-age", "90")

    shown = run("area", "show", "ARCHIVE", "--json").json
    (used,) = run("area", "usage", "--json").json

    assert (shown["max_studies"], shown["max_age_days"], shown["on_full"]) == (10, 90, "reject")
    assert (used["max_bytes"], used["min_free_bytes"]) == (2 * 2**30, 500 * 2**20)
    run("area", "set", "ARCHIVE", "--max-size", "none")
    assert run("area", "show", "ARCHIVE", "--json").json["max_bytes"] is None


@pytest.mark.parametrize("size", ["5", "0mb", "-1gb", "1 gb", "many"])
def test_a_size_without_its_unit_or_below_one_is_refused(run: Run, archive: FoundedArchive, size: str) -> None:
    said = run("area", "set", "ARCHIVE", f"--max-size={size}", code=2)

    assert "500mb" in said.error
    assert run("area", "show", "ARCHIVE", "--json").json["max_bytes"] is None


def test_a_lower_limit_takes_the_oldest_studies_but_no_pinned_one(run: Run, archive: FoundedArchive) -> None:
    archive.store(*(instance(study=number) for number in range(1, 5)))
    run("study", "pin", STUDY)

    said = run("area", "set", "ARCHIVE", "--max-studies", "2", "--on-full", "evict")

    assert "2 studies made room for the new limits" in said.out
    held = {row["study_instance_uid"]: row["is_pinned"] for row in _shown(run, 1, 4)}
    assert held == {STUDY: True, uid("study", 1, 4): False}


def _shown(run: Run, *numbers: int) -> list[dict[str, Any]]:
    return [run("study", "show", uid("study", 1, number), "--json").json[0] for number in numbers]


def test_a_dry_run_says_what_would_go_and_what_that_frees(run: Run, archive: FoundedArchive) -> None:
    archive.store(instance(study=1), instance(study=2))
    run("study", "pin", STUDY)
    run("area", "set", "ARCHIVE", "--max-studies", "2", "--on-full", "evict")
    archive.store(instance(study=3), instance(study=4))
    transaction.write(
        archive.database, lambda connection: connection.execute(text("UPDATE storage_areas SET max_studies = 1"))
    )

    would = run("area", "evict", "ARCHIVE", "--dry-run", "--json").json["evictions"]
    did = run("area", "evict", "ARCHIVE")
    after = run("area", "evict", "ARCHIVE")

    assert [row["study_instance_uid"] for row in would] == [uid("study", 1, 4)]
    assert would[0]["reason"] == "max_studies"
    assert "1 study went" in did.out
    assert "within its quota" in after.error


def test_an_unpinned_study_may_go_again(run: Run, archive: FoundedArchive) -> None:
    archive.store(instance(study=1))
    run("study", "pin", STUDY)
    run("study", "unpin", STUDY)

    assert run("study", "show", STUDY, "--json").json[0]["is_pinned"] is False
    assert "There is no study 1.2.3" in run("study", "pin", "1.2.3", code=2).error


def test_an_area_that_has_evicted_can_be_removed_once_it_is_empty(run: Run, archive: FoundedArchive) -> None:
    run("area", "set", "ARCHIVE", "--max-studies", "1", "--on-full", "evict")
    archive.store(instance(study=1), instance(study=2), is_filed=False)
    run("study", "remove", uid("study", 1, 2), "--yes")
    run("ae", "remove", "ARCHIVE")

    assert "is removed" in run("area", "remove", "ARCHIVE").out


def test_how_an_area_writes_is_set_shown_and_taken_back(run: Run, archive: FoundedArchive, tmp_path: Path) -> None:
    words = ("--transfer-syntax", "deflated", "--deflate-level", 9, "--group-lengths", "create", "--old-vrs")
    added = run("area", "add", "NORMAL", "normal", *words)
    run("area", "set", "NORMAL", "--writing", "normalised", "--sequence-lengths", "undefined", "--convert-un")
    run("area", "set", "NORMAL", "--file-padding", 512, "--item-padding", 32, "--no-old-vrs", "--discard")

    shown = run("area", "show", "NORMAL", "--json").json
    first = run("area", "show", "ARCHIVE", "--json").json

    assert "kept as they come until you run: archive area set NORMAL --writing normalised" in added.error
    assert _writing(shown) == {
        "writing": "normalised",
        "transfer_syntax": "deflated",
        "group_lengths": "create",
        "sequence_lengths": "undefined",
        "file_padding_bytes": 512,
        "item_padding_bytes": 32,
        "old_vrs_only": False,
        "converts_un": True,
        "deflate_level": 9,
        "discards": True,
    }
    assert _writing(first) == {
        "writing": "received",
        "transfer_syntax": "same",
        "group_lengths": "recalculate",
        "sequence_lengths": "explicit",
        "file_padding_bytes": 0,
        "item_padding_bytes": 0,
        "old_vrs_only": False,
        "converts_un": False,
        "deflate_level": 6,
        "discards": False,
    }
    assert "discards" in run("area", "show", "NORMAL").out
    run("area", "set", "NORMAL", "--transfer-syntax", "same", "--writing", "received", "--no-discard")
    again = _writing(run("area", "show", "NORMAL", "--json").json)
    assert (again["writing"], again["transfer_syntax"], again["discards"]) == ("received", "same", False)


def _writing(shown: dict[str, Any]) -> dict[str, Any]:
    keys = list(shown)
    return {key: shown[key] for key in keys[keys.index("writing") : keys.index("discards") + 1]}


@pytest.mark.parametrize(
    "words, sentence",
    [
        (("--file-padding", 7), "Padding is to an even number of bytes up to 65536; 0 is none"),
        (("--item-padding", 100_000), "100000 is not in the range 0<=x<=65536"),
        (("--deflate-level", 10), "10 is not in the range 0<=x<=9"),
        (("--transfer-syntax", "jpeg"), "'jpeg' is not one of"),
    ],
)
def test_an_area_cannot_write_as_nobody_can(
    run: Run, archive: FoundedArchive, words: tuple[object, ...], sentence: str
) -> None:
    assert sentence in run("area", "set", "ARCHIVE", *words, code=2).error
    assert sentence in run("area", "add", "NEW", "new", *words, code=2).error


def test_what_is_done_to_a_study_leaves_a_note(run: Run, archive: FoundedArchive) -> None:
    archive.store(instance())
    run("study", "pin", STUDY)
    run("study", "unpin", STUDY)
    run("study", "remove", STUDY, "--yes")

    removed, unpinned, pinned = run("log", "changes", "--subject", "study", "--json").json
    listed = run("log", "changes", "--name", STUDY, "--limit", 1)

    assert [each["action"] for each in (pinned, unpinned, removed)] == ["pin", "unpin", "remove"]
    assert (pinned["name"], pinned["before"], pinned["after"]) == (
        STUDY,
        {"area": "ARCHIVE", "is_pinned": False},
        {"area": "ARCHIVE", "is_pinned": True},
    )
    assert (removed["before"]["number_of_instances"], removed["after"]) == (1, None)
    assert "patient_id=P000001" in listed.out
    assert "There are more than 1; see --limit." in listed.error
    assert run("log", "changes", "--until", "2020-01-01").error == "No changes.\n"


def test_evictions_are_listed_with_what_caused_them(run: Run, archive: FoundedArchive) -> None:
    run("area", "set", "ARCHIVE", "--max-studies", "1", "--on-full", "evict")
    archive.store(*(instance(study=number) for number in (1, 2, 3)))

    listed = run("log", "evictions", "--json").json
    limited = run("log", "evictions", "--limit", 1)

    assert [row["study_instance_uid"] for row in listed] == [uid("study", 1, 2), STUDY]
    first = listed[1]
    assert (first["area"], first["what"], first["number_of_instances"]) == ("ARCHIVE", "study", 1)
    assert (first["reason"], first["patient_id"], first["caused_by_ae_title"]) == ("max_studies", "P000001", "STORESCU")
    assert first["caused_by_sop_instance_uid"] == instance(study=2).SOPInstanceUID
    assert first["size_bytes"] > 1000
    assert "There are more than 1; see --limit." in limited.error
    assert STUDY not in limited.out


def test_evictions_are_listed_of_an_area_and_a_time(run: Run, archive: FoundedArchive) -> None:
    run("area", "add", "OTHER", "other")
    run("area", "set", "ARCHIVE", "--max-studies", "1", "--on-full", "evict")
    archive.store(*(instance(study=number) for number in (1, 2)))

    assert len(run("log", "evictions", "--area", "ARCHIVE", "--since", "2020-01-01", "--json").json) == 1
    assert run("log", "evictions", "--area", "OTHER", "--json").json == []
    assert run("log", "evictions", "--since", "2999-01-01").error == "No evictions.\n"
    assert run("log", "evictions", "--until", "2020-01-01T10:00", "--json").json == []
    assert "expected 2026-03-01" in run("log", "evictions", "--since", "yesterday", code=2).error


def test_usage_tells_what_waits_and_who_keeps_house(
    run: Run, archive: FoundedArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.store(instance(), is_filed=False)
    nobody, (unfiled,) = run("area", "usage"), run("area", "usage", "--json").json
    lease = Lease(archive.database, "node1/127.0.0.1:104", 60)
    lease.take()
    keeper = Housekeeping(archive.database, archive.data, "node1/127.0.0.1:104", lease.keep)
    with monkeypatch.context() as patched:
        patched.setattr(LocalArea, "write_durably", _burn)
        keeper.round()
    failing, (said,) = run("area", "usage"), run("area", "usage", "--json").json
    keeper.round()
    mended = run("area", "usage", "ARCHIVE")
    lease.give_up()

    assert "No node keeps house. Files wait until one does: archive serve" in nobody.error
    assert (unfiled["instances_to_file"], unfiled["files_to_unlink"]) == (1, 0)
    assert (unfiled["housekeeping_node"], unfiled["housekeeping_is_alive"], unfiled["errors"]) == (None, False, [])
    assert "Housekeeping: node1/127.0.0.1:104, since " in failing.out
    assert "ARCHIVE: could not file at " in failing.out
    assert (said["housekeeping_node"], said["housekeeping_is_alive"]) == ("node1/127.0.0.1:104", True)
    assert said["last_round_seconds"] > 0
    assert said["errors"][0]["work"] == "file"
    assert "on fire" in said["errors"][0]["error"]
    assert ", which is mended since: " in mended.out
    assert "the last was node1/127.0.0.1:104, until " in run("area", "usage").error


def _burn(area: LocalArea, contents: object) -> list[str]:
    raise DiskFailed(reason="the disk is on fire")


def test_headroom_is_set_and_kept_below_the_size(run: Run, archive: FoundedArchive) -> None:
    run("area", "set", "ARCHIVE", "--max-size", "2gb", "--headroom", "100mb")

    assert run("area", "show", "ARCHIVE", "--json").json["headroom_bytes"] == 100 * 2**20
    assert "headroom" in run("area", "set", "ARCHIVE", "--max-size", "50mb", code=2).error
    assert run("area", "show", "ARCHIVE", "--json").json["max_bytes"] == 2 * 2**30


def test_a_dry_run_of_a_study_that_is_too_large_says_how_many_instances_go(run: Run, archive: FoundedArchive) -> None:
    archive.store(*(instance(number=number) for number in range(4)))
    transaction.write(
        archive.database,
        lambda connection: connection.execute(
            text("UPDATE storage_areas SET max_study_bytes = 20000, on_full = 'evict'")
        ),
    )
    transaction.write(archive.database, lambda connection: evictable.follow_policy(connection, archive.area.pk))

    would = run("area", "evict", "ARCHIVE", "--dry-run")
    (row,) = run("area", "evict", "ARCHIVE", "--dry-run", "--json").json["evictions"]
    did = run("area", "evict", "ARCHIVE", "--json").json["evictions"]

    assert "2 instances of studies that are too large would go: " in would.out
    assert (row["what"], row["instances"], row["reason"]) == ("oldest instances", 2, "max_study_bytes")
    assert did == [row]


def test_a_pin_marks_its_study_and_no_other(run: Run, archive: FoundedArchive) -> None:
    run("area", "set", "ARCHIVE", "--max-studies", "5", "--on-full", "evict")
    archive.store(instance(study=1), instance(study=2))

    said = run("study", "pin", STUDY)

    assert said.out == f"Study {STUDY} is pinned in area ARCHIVE.\n"
    with transaction.read(archive.database) as connection:
        marks = connection.execute(text("SELECT is_pinned, is_evictable FROM study_usage ORDER BY study_pk")).all()
    assert [tuple(map(bool, row)) for row in marks] == [(True, False), (False, True)]


def test_more_room_than_the_disk_has_cannot_be_kept_free(run: Run, archive: FoundedArchive) -> None:
    archive.store(instance())

    said = run("area", "set", "ARCHIVE", "--min-free", "9000tb", "--on-full", "evict", code=2)

    assert "The disk of the area has " in said.error
    assert run("area", "show", "ARCHIVE", "--json").json["min_free_bytes"] is None
    assert run("area", "usage", "--json").json[0]["studies"] == 1
    assert "The disk of the area has " in run("area", "add", "NEW", "new", "--min-free", "9000tb", code=2).error
