"""What commands that change something tell with --json: one document, whose changes are those of the log."""

import io
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from archive import settings
from archive.cli.options import Archive
from archive.database import transaction
from archive.errors import DiskFailed
from archive.index.tables import instances
from archive.lifecycle.importing import batch
from archive.lifecycle.importing.transactions import Transactions
from archive.registry import changes
from archive.storage.local import LocalArea
from tests.fix_archive import FoundedArchive
from tests.fix_command import Run
from tests.fix_instances import ct, instance, part10_bytes, uid
from tests.sql.fix_holdings import Shelf

STUDY = uid("study", 1, 1)
_NOTED = ("action", "subject", "name", "before", "after")

PROFILE = """
[[TransferSyntaxes]]
[Plain]
TransferSyntax1 = LittleEndianImplicit
[[PresentationContexts]]
[CT]
PresentationContext1 = CTImageStorage\\Plain
[[Profiles]]
[CT]
PresentationContexts = CT
"""

# A site that is made and taken down again, in this order.
SITE: list[tuple[object, ...]] = [
    ("area", "add", "OTHER", "other"),
    ("area", "set", "OTHER", "--max-studies", 5),
    ("ae", "add", "TITLE", "--area", "OTHER", "--access", "RW"),
    ("ae", "set", "TITLE", "--no-get", "--access", "R"),
    ("peer", "add", "WS1", "--title", "WS1", "--host", "10.1.2.3", "--port", 104),
    ("peer", "set", "WS1", "--host", "10.1.2.4"),
    ("ae", "set", "TITLE", "--add-destination", "WS1"),
    ("group", "add", "ALL", "--member", "WS1"),
    ("group", "set", "ALL", "--remove-member", "WS1"),
    ("peer", "set", "WS1", "--group", "ALL", "--port", "none"),
    ("user", "add", "door", "--no-password"),
    ("user", "set", "door", "--disable"),
    ("rule", "allow", "--at", "TITLE", "--peer", "WS1"),
    ("rule", "deny", "--at", "TITLE", "--title", "BAD"),
    ("network", "allow", "10.0.0.0/8"),
    ("network", "deny", "ALL"),
    ("network", "import", "hosts.allow"),
    ("profile", "import", "profiles.cfg"),
    ("import-config", "dcmqrscp.cfg"),
    ("study", "pin", STUDY),
    ("study", "unpin", STUDY),
    ("profile", "remove", "CT"),
    ("network", "remove", 1),
    ("rule", "remove", 3),
    ("user", "remove", "door"),
    ("group", "remove", "ALL"),
    ("peer", "remove", "WS1"),
    ("ae", "remove", "TITLE"),
    ("area", "remove", "OTHER"),
    ("study", "remove", STUDY, "--yes"),
]


def log(run: Run) -> list[dict[str, Any]]:
    """All that is in the log of changes, the last first."""
    return run("log", "changes", "--json").json


def noted(change: dict[str, Any]) -> dict[str, Any]:
    return {name: change[name] for name in _NOTED}


@pytest.fixture
def work(run: Run, tmp_path: Path) -> Path:
    """The folder of `run`, with files for it."""
    folder = tmp_path / "work"
    (folder / "hosts.allow").write_text("dcmqrscp: 192.0.2.7\n")
    (folder / "profiles.cfg").write_text(PROFILE)
    (folder / "dcmqrscp.cfg").write_text(
        "NetworkTCPPort = 104\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
        "HostTable BEGIN\nws2 = (WS2, ws2.example, 104)\nHostTable END\n"
        "VendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nSTORE {folder}/store RW (10, 100mb) ws2\nAETable END\n"
    )
    return folder


def test_every_change_is_told_in_one_document_as_the_log_has_it(run: Run, archive: FoundedArchive, work: Path) -> None:
    archive.store(instance())

    for command in SITE:
        before = log(run)
        said = run(*command, "--json")
        made = log(run)[: -len(before)]

        assert said.error == "", command
        assert said.json["changes"] == [noted(each) for each in reversed(made)] != [], command


def test_a_password_is_in_no_document(run: Run, archive: FoundedArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("secret\nsecret\n"))

    added = run("user", "add", "ward3", "--json")
    changed = run("user", "set", "ward3", "--password", "--json")
    removed = run("user", "remove", "ward3", "--json")

    assert added.json["changes"][0]["after"] == {"name": "ward3", "has_password": True}
    assert not any(word in said.out for said in (added, changed, removed) for word in ("secret", "scrypt"))


@pytest.mark.parametrize(
    "command",
    [
        ("network", "import", "hosts.allow"),
        ("profile", "import", "profiles.cfg"),
        ("import-config", "dcmqrscp.cfg"),
    ],
    ids=lambda command: " ".join(command[:-1]),
)
def test_a_dry_run_tells_what_would_change(
    run: Run, archive: FoundedArchive, work: Path, command: tuple[str, ...]
) -> None:
    before = log(run)

    would = run(*command, "--dry-run", "--json").json
    assert log(run) == before
    did = run(*command, "--json").json

    assert (would["is_dry_run"], did["is_dry_run"]) == (True, False)
    assert [_but_number(each) for each in would["changes"]] == [_but_number(each) for each in did["changes"]] != []


def _but_number(change: dict[str, Any]) -> dict[str, Any]:
    """PostgreSQL gives the number of a rule that was rolled back to no other."""
    return change | {"name": None} if change["subject"].endswith("rule") else change


@pytest.mark.parametrize(
    "command, sentence",
    [
        (("area", "remove", "NONE"), "There is no area NONE"),
        (("peer", "add", "X", "--title", "X", "--host", "10.0.0.0/8", "--port", 104), "only calls"),
        (("rule", "remove", 99), "There is no rule 99"),
        (("study", "pin", "1.2.3"), "There is no study 1.2.3"),
        (("import", "missing.dcm"), "There is no file or folder missing.dcm"),
        (("study", "remove", STUDY), "say --yes"),
        (("ae", "add", "X"), "Missing option '--area'"),
    ],
    ids=lambda each: each if isinstance(each, str) else " ".join(map(str, each)),
)
def test_a_mistake_is_a_sentence_on_standard_error_and_no_document(
    run: Run, archive: FoundedArchive, command: tuple[object, ...], sentence: str
) -> None:
    archive.store(instance())

    said = run(*command, "--json", code=2)

    assert said.out == ""
    assert sentence in said.error
    assert said.error == run(*command, code=2).error


class _Collision(Exception):
    """What a driver raises where two transactions were in each other's way."""

    sqlstate = "40001"


def test_what_is_noted_in_a_transaction_that_runs_again_is_told_once(archive: FoundedArchive) -> None:
    opened = Archive(settings.load({"data": str(archive.data)}), archive.database)
    attempts: list[int] = []

    def work(connection: Connection) -> None:
        attempts.append(1)
        changes.set_area(connection, "ARCHIVE", {"answer_limit": 7})
        if len(attempts) == 1:
            raise DBAPIError("COMMIT", None, _Collision())

    opened.write(work)

    assert len(attempts) == 2
    assert [(each.action, each.name, each.after) for each in opened.changes] == [
        ("set", "ARCHIVE", {"answer_limit": 7})
    ]


def test_what_is_rolled_back_is_not_told(archive: FoundedArchive) -> None:
    opened = Archive(settings.load({"data": str(archive.data)}), archive.database)

    def work(connection: Connection) -> None:
        changes.set_area(connection, "ARCHIVE", {"answer_limit": 7})
        raise DiskFailed(path="/nowhere")

    with pytest.raises(DiskFailed):
        opened.write(work)

    assert opened.changes == []


def test_an_import_leaves_a_note_of_what_was_named_and_how_much_came(
    run: Run, archive: FoundedArchive, work: Path
) -> None:
    (work / "1.dcm").write_bytes(part10_bytes(instance(number=1)))
    (work / "2.dcm").write_bytes(part10_bytes(instance(number=2)))

    would = run("import", "1.dcm", "2.dcm", "--dry-run", "--json").json
    did = run("import", "1.dcm", "2.dcm", "hosts.allow", "--json", code=1).json
    again = run("import", "1.dcm", "--json").json
    noted_now = run("log", "changes", "--limit", 1, "--json").json[0]

    assert (would["stored"], would["changes"], again["changes"]) == (2, [], [])
    assert did["changes"] == [noted(noted_now)]
    assert (noted_now["action"], noted_now["subject"], noted_now["name"]) == ("import", "area", "ARCHIVE")
    assert noted_now["after"] == {
        "named": [f"{work}/1.dcm", f"{work}/2.dcm", f"{work}/hosts.allow"],
        "number_named": 3,
        "is_in_place": False,
        "stored": 2,
        "held": 0,
        "skipped": 0,
        "bad": 1,
        "stored_bytes": did["stored_bytes"],
    }


@pytest.mark.parametrize("as_json", [False, True])
def test_an_import_that_fails_tells_and_notes_what_came_before(
    run: Run, archive: FoundedArchive, work: Path, monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    for number in (1, 2, 3):
        (work / f"{number}.dcm").write_bytes(part10_bytes(instance(number=number)))
    monkeypatch.setattr(batch, "BATCH", 1)
    commit, committed = Transactions.commit, list[int]()

    def failing(this: Transactions, items: Any) -> Any:
        if len(committed) == 2:
            raise DiskFailed(path="/full")
        committed.append(1)
        return commit(this, items)

    monkeypatch.setattr(Transactions, "commit", failing)

    said = run("import", "1.dcm", "2.dcm", "3.dcm", *(["--json"] if as_json else []), code=1)

    assert "/full" in said.error
    if as_json:
        assert (said.json["stored"], said.json["changes"]) == (2, [noted(log(run)[0])])
    else:
        assert said.out.startswith("ARCHIVE: 2 files taken in (18 kB), 0 held already")
    assert log(run)[0]["after"]["stored"] == len(Shelf(archive.database, archive.area.pk).rows(instances)) == 2


def test_an_eviction_by_hand_leaves_a_note_of_how_much_went(run: Run, archive: FoundedArchive) -> None:
    archive.store(instance(study=1), instance(study=2), instance(study=3))
    run("area", "set", "ARCHIVE", "--max-studies", 3, "--on-full", "evict")
    lower = text("UPDATE storage_areas SET max_studies = 1")
    transaction.write(archive.database, lambda connection: connection.execute(lower))

    would = run("area", "evict", "ARCHIVE", "--dry-run", "--json").json
    did = run("area", "evict", "ARCHIVE", "--json").json
    last, before_last, *_ = log(run)
    nothing = run("area", "evict", "ARCHIVE", "--json").json

    assert (would["changes"], nothing["changes"], nothing["evictions"]) == ([], [], [])
    assert would["evictions"] == did["evictions"]
    assert did["changes"] == [noted(last)]
    assert (last["action"], last["name"], last["after"]) == ("evict", "ARCHIVE", None)
    assert (last["before"]["studies"], last["before"]["instances_of_other_studies"]) == (2, 0)
    assert last["before"]["size_bytes"] == sum(each["size_bytes"] for each in did["evictions"])
    assert before_last["action"] == "set"


def test_a_lower_limit_tells_what_it_evicted(run: Run, archive: FoundedArchive) -> None:
    archive.store(instance(study=1), instance(study=2))

    said = run("area", "set", "ARCHIVE", "--max-studies", 1, "--on-full", "evict", "--json").json

    assert [each["study_instance_uid"] for each in said["evictions"]] == [STUDY]
    assert [each["action"] for each in said["changes"]] == ["set", "evict"]


def test_a_reconciliation_leaves_a_note_of_each_thing_it_did(run: Run, archive: FoundedArchive) -> None:
    archive.store(instance(number=1), instance(number=2))
    shelf = Shelf(archive.database, archive.area.pk)
    adoptable = archive.folder / shelf.rows(instances)[0].path
    content = adoptable.read_bytes()
    run("study", "remove", STUDY, "--yes")
    adoptable.write_bytes(content)
    transaction.write(archive.database, lambda connection: connection.execute(text("DELETE FROM deletions")))
    ask = ("check", "reconcile", "--older-than", 0, "--json")

    would = run(*ask, "--adopt", "--dry-run", code=1).json
    adopted = run(*ask, "--adopt").json
    deleted = run(*ask, "--delete").json
    wrong = text("UPDATE area_usage SET number_of_instances = number_of_instances + 1")
    transaction.write(archive.database, lambda connection: connection.execute(wrong))
    repaired = run(*ask, "--repair").json
    nothing = run(*ask, "--repair", "--delete").json

    notes = [said["changes"] for said in (would, adopted, deleted, repaired, nothing)]
    assert [[(each["action"], each["before"], each["after"]) for each in made] for made in notes] == [
        [],
        [("adopt", None, {"files": 2})],
        [],
        [("repair", {"wrong_counters": 1}, None)],
        [],
    ]
    assert [noted(each) for each in log(run)[:2]] == [*repaired["changes"], *adopted["changes"]]


def test_a_deletion_that_fails_notes_what_is_gone(
    run: Run, archive: FoundedArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.store(instance(number=1), instance(number=2), instance(number=3))
    run("study", "remove", STUDY, "--yes")
    transaction.write(archive.database, lambda connection: connection.execute(text("DELETE FROM deletions")))
    unlink, unlinked = LocalArea.unlink, list[str]()

    def failing(area: LocalArea, path: str) -> None:
        if len(unlinked) == 2:
            raise DiskFailed(path=path)
        unlink(area, path)
        unlinked.append(path)

    monkeypatch.setattr(LocalArea, "unlink", failing)

    run("check", "reconcile", "--older-than", 0, "--delete", code=1)

    assert noted(log(run)[0]) == {
        "action": "delete",
        "subject": "area",
        "name": "ARCHIVE",
        "before": {"files": 2},
        "after": None,
    }
    assert len(archive.files()) == 1


def test_checksums_that_are_written_down_leave_a_note(run: Run, archive: FoundedArchive) -> None:
    (archive.folder / "large.dcm").write_bytes(part10_bytes(ct()))
    run("import", "--in-place")

    said = run("check", "verify", "--checksums", "--record", "--json").json

    assert said["areas"][0]["checksums_recorded"] == 1
    assert [(each["action"], each["after"]) for each in said["changes"]] == [("record", {"checksums": 1})]


def test_commands_that_show_something_print_json_too(
    run: Run, archive: FoundedArchive, work: Path, dialect: str
) -> None:
    run("profile", "import", "profiles.cfg")

    upgraded = run("db", "upgrade", "--json").json
    current = run("db", "current", "--json").json
    exported = run("profile", "export", "--json").json

    assert upgraded["schema"] == upgraded["before"] == current["schema"] == current["of_this_version"]
    assert upgraded["was_founded"] is False
    assert exported["profiles"] == ["CT"]
    assert exported["configuration"] == run("profile", "export").out
