"""`archive import-config` and `export-config`: a dcmqrscp.cfg becomes rows, and rows become one again."""

from pathlib import Path

import pytest

from archive.database import transaction
from archive.registry import access, dcmqrscp_config, dcmqrscp_import, dcmqrscp_reading, dcmqrscp_rows, snapshot
from archive.registry.access import Caller
from archive.registry.dcmqrscp_import import Policies
from archive.registry.model import Registry
from tests.fix_archive import FoundedArchive
from tests.fix_command import Run
from tests.fix_instances import instance

CONFIGURATION = """\
NetworkTCPPort  = 11113
HostTable BEGIN
modality  = (MODALITY, 10.1.2.3, 5001)
viewer    = (VIEWER, 10.1.2.4, 5002)
everybody = modality, viewer
HostTable END
VendorTable BEGIN
"Acme Medical" = modality, viewer
VendorTable END
AETable BEGIN
ROOMY    {folder}/roomy    RW (200, 1024mb) everybody
READABLE {folder}/readable R  (700, 2gb)    ANY
TIGHT    {folder}/tight    RW (2, 20kb)     (PRINTER, 10.1.2.5, 104), viewer
AETable END
"""


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    """A small site's file."""
    file = tmp_path / "dcmqrscp.cfg"
    file.write_text(CONFIGURATION.format(folder=tmp_path))
    return file


def registry(archive: FoundedArchive) -> Registry:
    with transaction.read(archive.database) as connection:
        return snapshot.read(connection)


def may(known: Registry, at: str, calling: str, address: str, operation: str = "store") -> bool:
    return access.decide(known, at, Caller(calling, address), operation, lambda host: frozenset()).allowed


def test_a_file_becomes_areas_titles_peers_groups_vendors_and_rules(
    run: Run, archive: FoundedArchive, configuration: Path, tmp_path: Path
) -> None:
    said = run("import-config", configuration)

    known = registry(archive)
    assert set(known.areas) == {"ARCHIVE", "ROOMY", "READABLE", "TIGHT"}
    tight = known.areas["TIGHT"]
    assert (tight.path, tight.quota.max_studies, tight.quota.max_study_bytes) == (str(tmp_path / "tight"), 2, 20480)
    assert tight.quota.evicts
    assert (tmp_path / "tight").is_dir()
    assert {title.title: title.access for title in known.titles.values()} == {
        "ARCHIVE": "RW",
        "ROOMY": "RW",
        "READABLE": "R",
        "TIGHT": "RW",
    }
    assert {name: group.members for name, group in known.groups.items()} == {
        "everybody": ("modality", "viewer"),
        "Acme Medical": ("modality", "viewer"),
    }
    assert known.groups["Acme Medical"].is_vendor
    assert may(known, "ROOMY", "MODALITY", "10.1.2.3")
    assert not may(known, "ROOMY", "MODALITY", "10.1.2.9")
    assert not may(known, "ROOMY", "PRINTER", "10.1.2.5")
    assert may(known, "TIGHT", "PRINTER", "10.1.2.5")
    assert may(known, "READABLE", "STRANGER", "10.9.9.9", "find")
    assert not may(known, "READABLE", "STRANGER", "10.9.9.9", "store")
    assert "area TIGHT keeps its files in" in said.out
    assert "archive serve --host 0.0.0.0 --port 11113" in said.error


def test_a_dry_run_says_the_same_and_changes_nothing(
    run: Run, archive: FoundedArchive, configuration: Path, tmp_path: Path
) -> None:
    before = registry(archive)

    dry = run("import-config", configuration, "--dry-run").out

    assert registry(archive) == before
    assert not (tmp_path / "tight").exists()
    done = run("import-config", configuration).out
    assert dry == "".join(f"would be: {line}\n" for line in done.splitlines())
    assert run("import-config", configuration, "--json").json["changes"] == []
    assert "All that" in run("import-config", configuration).error


def test_a_changed_file_changes_what_it_says_and_lets_the_rest_be(
    run: Run, archive: FoundedArchive, configuration: Path, tmp_path: Path
) -> None:
    run("import-config", configuration)
    run("peer", "add", "mine", "--title", "MINE", "--host", "10.7.7.7", "--port", 104)
    run("rule", "allow", "--at", "ROOMY", "--peer", "mine")
    text = configuration.read_text().replace("10.1.2.3, 5001", "10.1.2.33, 5001").replace("(2, 20kb)", "(3, 20kb)")
    configuration.write_text(text)

    changed = run("import-config", configuration).out.splitlines()

    known = registry(archive)
    assert changed == ["peer modality becomes MODALITY at 10.1.2.33 port 5001", "area TIGHT: max_studies 3"]
    assert may(known, "ROOMY", "MINE", "10.7.7.7")
    assert known.peers["modality"].host == "10.1.2.33"


def test_a_lowered_quota_acts_at_once(run: Run, archive: FoundedArchive, tmp_path: Path) -> None:
    archive.store(*(instance(study=study) for study in range(4)))
    file = tmp_path / "dcmqrscp.cfg"
    file.write_text(f"AETable BEGIN\nSMALL {archive.folder} RW (2, 1gb) ANY\nAETable END\n")
    transaction.write(archive.database, lambda connection: _move_area(connection, str(archive.folder)))

    said = run("import-config", file)

    assert run("area", "usage", "--json").json[0]["studies"] == 2
    assert "made room" in said.out


def _move_area(connection, path: str) -> None:
    """As if the area had been added by its whole path, as the file has it."""
    connection.exec_driver_sql(f"UPDATE storage_areas SET path = '{path}'")


def test_a_file_that_cannot_be_is_refused_and_changes_nothing(
    run: Run, archive: FoundedArchive, configuration: Path, tmp_path: Path
) -> None:
    run("area", "add", "TIGHT", "elsewhere")
    before = registry(archive)

    taken = run("import-config", configuration, code=2)
    missing = run("import-config", tmp_path / "missing.cfg", code=2)
    configuration.write_text("Nonsense = 5\n")
    broken = run("import-config", configuration, code=2)

    assert "There is an area TIGHT already, in another folder" in taken.error
    assert "The file cannot be read" in missing.error
    assert f"{configuration}" in broken.error
    assert registry(archive) == before


@pytest.mark.parametrize("spelt", ["absolute", "below", "link"])
def test_no_area_of_a_file_shares_its_folder_with_another(
    run: Run, archive: FoundedArchive, tmp_path: Path, spelt: str
) -> None:
    (tmp_path / "link").symlink_to(archive.folder)
    folder = {"absolute": archive.folder, "below": archive.folder / "more", "link": tmp_path / "link"}[spelt]
    file = tmp_path / "dcmqrscp.cfg"
    file.write_text(f"AETable BEGIN\nSECOND {folder} RW (2, 1gb) ANY\nAETable END\n")
    before = registry(archive)

    for options in ([], ["--dry-run"]):
        refused = run("import-config", file, *options, code=2)

        assert "The folder lies in that of area ARCHIVE, or that in it" in refused.error
    assert registry(archive) == before
    assert not (archive.folder / "more").exists()


def test_the_whole_truth_takes_away_what_the_file_does_not_say(archive: FoundedArchive, tmp_path: Path) -> None:
    def bring(text: str) -> list[str]:
        config = dcmqrscp_reading.read(text.encode(), "test.cfg").config
        site = dcmqrscp_rows.site(config, tmp_path)
        policies = Policies(titles={"allows_get": False}, areas={"strict_names": True})
        return transaction.write(
            archive.database,
            lambda connection: dcmqrscp_import.bring(connection, site, policies, is_whole_truth=True),
        )

    text = CONFIGURATION.format(folder=tmp_path)
    bring(text)
    first = registry(archive)
    again = bring(text)
    swapped = text.replace('"Acme Medical"', "?").replace("everybody", '"Acme Medical"').replace("?", "everybody")
    renamed = bring(swapped)
    bring(text)
    bring(text.replace("everybody = modality, viewer", "everybody = viewer").replace(", viewer\nAETable", "\nAETable"))
    second = registry(archive)

    assert "ARCHIVE" not in first.titles
    assert "ARCHIVE" in first.areas, "an area may hold studies"
    assert not first.titles["ROOMY"].policy.allows_get
    assert first.areas["ROOMY"].strict_names
    assert again == []
    assert {"group everybody is removed", "vendor Acme Medical is removed"} <= set(renamed)
    assert second.groups["everybody"].members == ("viewer",)
    assert not may(second, "TIGHT", "VIEWER", "10.1.2.4")
    assert may(second, "TIGHT", "PRINTER", "10.1.2.5")


def test_what_was_imported_is_exported_as_it_was(run: Run, archive: FoundedArchive, configuration: Path) -> None:
    run("import-config", configuration)
    run("ae", "remove", "ARCHIVE")

    exported = run("export-config")

    said = dcmqrscp_reading.read(exported.out.encode(), "exported").config
    wanted = dcmqrscp_reading.read(configuration.read_bytes(), "wanted").config
    assert {each.ae_title: each.quota for each in said.application_entities} == {
        each.ae_title: each.quota for each in wanted.application_entities
    }
    for entity in wanted.application_entities:
        [same] = [each for each in said.application_entities if each.ae_title == entity.ae_title]
        assert (same.storage_area, same.access) == (entity.storage_area, entity.access)
        assert set(said.peers(same.peers)) == set(wanted.peers(entity.peers))
        assert (same.peers is None) == (entity.peers is None)
    assert said.move_destinations() == wanted.move_destinations()
    assert dcmqrscp_config.write(said)


def test_what_the_format_cannot_hold_is_said(run: Run, archive: FoundedArchive, tmp_path: Path) -> None:
    run("area", "set", "ARCHIVE", "--max-size", "1gb", "--duplicates", "keep")
    run("ae", "set", "ARCHIVE", "--no-get", "--moves-to", "same-host", "--require-user")
    run("ae", "set", "ARCHIVE", "--strict-find")
    run("peer", "add", "ward", "--title", "WARD", "--host", "10.1.6.0/24")
    run("peer", "add", "ws", "--title", "WS", "--host", "10.1.6.1", "--port", 104, "--tls", "--proposes", "implicit")
    run("rule", "allow", "--at", "ARCHIVE", "--peer", "ward", "--can", "echo,store")
    run("rule", "deny", "--at", "ARCHIVE", "--title", "BAD")
    run("rule", "allow", "--at", "ARCHIVE", "--title", "OLD", "--from", "10.1.7.7")
    file = tmp_path / "out.cfg"

    said = run("export-config", "--output", file, "--json").json

    losses = "\n".join(said["losses"])
    for part in (
        "max_bytes 1073741824 of area ARCHIVE has no word there",
        "duplicates keep of area ARCHIVE has no word there",
        "area ARCHIVE refuses what does not fit; dcmqrscp evicts",
        "allows_get False is option --disable-get there",
        "moves to same host are option --move-host there",
        "dcmqrscp knows no users",
        "ARCHIVE: what it accepts, checks and answers are options there, for all AE titles",
        "peer ws: what is proposed to it is an option there, for all peers",
        "peer ward: dcmqrscp knows hosts by name or address only, not 10.1.6.0/24",
        "peer ws: its TLS and certificate have no words there",
        "rule 1: allow --any --from 127.0.0.0/8 echo,store,find,move,get: dcmqrscp knows a caller by AE title and host",
        "rule 3: allow --peer ward echo,store: dcmqrscp knows callers that may do everything",
        "max_studies is no limit here; dcmqrscp keeps 500 studies at most",
    ):
        assert part in losses, losses
    config = dcmqrscp_reading.read(file.read_bytes(), "out.cfg").config
    assert [(peer.ae_title, peer.host) for peer in config.peers(config.application_entities[0].peers)] == [
        ("OLD", "10.1.7.7")
    ]
