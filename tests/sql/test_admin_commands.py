"""The administrator's commands, run in this process: what they print, their exit codes, what they change."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from archive.cli.main import main
from archive.database import transaction
from archive.index import remove
from archive.lifecycle import founding
from tests.fix_archive import FoundedArchive
from tests.fix_instances import instance, uid


@dataclass(frozen=True, slots=True)
class Said:
    """What a command printed."""

    out: str
    error: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Said]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`run("area", "list", code=0)` against the database of this test, from the folder `work`."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("ARCHIVE_DATA", str(tmp_path / "data"))

    def command(*arguments: object, code: int = 0) -> Said:
        with pytest.raises(SystemExit) as ended:
            main(list(map(str, arguments)))
        captured = capsys.readouterr()
        said = Said(captured.out, captured.err)
        assert ended.value.code == code, f"{said.out}\n{said.error}"
        return said

    return command


@pytest.fixture
def archive(founded: FoundedArchive, migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> FoundedArchive:
    """The archive that `run` works on."""
    monkeypatch.setenv("ARCHIVE_DATABASE", migrated_url)
    return founded


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


def test_a_site_is_set_up_by_titles_peers_and_rules(run: Run, archive: FoundedArchive) -> None:
    hint = run("ae", "add", "MY TITLE", "--area", "ARCHIVE", "--access", "r").error
    run("peer", "add", "ct1", "--title", "CT1", "--host", "10.1.2.3", "--port", 104)
    run("rule", "allow", "--at", "MY TITLE", "--peer", "ct1", "--can", "find,get")
    run("rule", "deny", "--at", "MY TITLE", "--title", "BAD", "--from", "10.0.0.0/8")
    run("ae", "set", "MY TITLE", "--access", "RW")
    run("peer", "set", "ct1", "--port", 105)

    assert "archive rule allow --at 'MY TITLE' --peer NAME" in hint
    assert run("ae", "list", "--json").json[1] == {"title": "MY TITLE", "area": "ARCHIVE", "access": "RW", "rules": 2}
    assert run("peer", "list", "--json").json == [{"name": "ct1", "title": "CT1", "host": "10.1.2.3", "port": 105}]
    first, second = run("rule", "list", "--at", "MY TITLE", "--json").json
    assert (first["who"], first["action"], first["can"]) == ("--peer ct1", "allow", ["find", "get"])
    assert (second["who"], second["action"]) == ("--title BAD --from 10.0.0.0/8", "deny")
    run("rule", "remove", second["number"])
    run("peer", "remove", "ct1")
    assert run("rule", "list", "--at", "MY TITLE", "--json").json == []


_MISTAKES = (
    (("rule", "allow", "--at", "ARCHIVE"), "by one of --peer NAME, --title AET and --any"),
    (("rule", "allow", "--at", "ARCHIVE", "--any", "--title", "A"), "by one of --peer NAME"),
    (("rule", "allow", "--at", "ARCHIVE", "--peer", "p", "--from", "h"), "--from does not go with --peer"),
    (("rule", "allow", "--at", "NONE", "--any"), "There is no AE title of ours NONE; run: archive ae list"),
    (("rule", "list", "--at", "NONE"), "There is no AE title of ours NONE; run: archive ae list"),
    (("ae", "add", "X", "--area", "NONE", "--access", "RW"), "There is no area NONE; run: archive area list"),
    (("area", "show", "NONE"), "There is no area NONE; run: archive area list"),
    (("area", "set", "ARCHIVE"), "Nothing to change"),
    (("area", "set", "ARCHIVE", "--answer-limit", "0"), "neither a number above 0 nor none"),
    (("peer", "set", "NONE", "--port", "1"), "There is no peer NONE; run: archive peer list"),
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

    assert allowed[0]["reason"] == "rule 1: allow --any --from 127.0.0.0/8 echo,store,find,move,get allows it"
    assert denied[0]["reason"] == "rule 3: deny --title BAD store denies it"
    assert [row["operation"] for row in partly if row["allowed"]] == ["echo", "find", "move", "get"]
    assert "no rule at ARCHIVE lets WS from 10.1.2.3 store" in stranger.out
    assert "archive rule allow --at ARCHIVE --title WS --from 10.1.2.3" in stranger.error
    assert "NONE is not one of our AE titles" in unknown.out


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

    would = run("area", "evict", "ARCHIVE", "--dry-run", "--json").json
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
