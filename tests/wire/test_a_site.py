"""One site from its first area to its reports: only the command `archive`, and DCMTK's programs as its devices."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fix_dcmtk import Dcmtk, Ran, Receiver
from tests.fix_instances import ct, instance, uid, write
from tests.fix_tls import Authority, Identity
from tests.wire.running import Archive

pytestmark = pytest.mark.slow

NOT_RECOGNIZED = "Calling AE Title Not Recognized"
LEVEL = "QueryRetrieveLevel=STUDY"


@dataclass(frozen=True)
class Site:
    """The archive and its devices: CT1 may send to INBOX, WS1 reads at READING, what comes to TIGHT is limited."""

    archive: Archive
    dcmtk: Dcmtk
    authority: Authority
    workstation: Receiver
    folder: Path

    def command(self, *words: object, code: int = 0) -> str:
        """What `archive` prints."""
        return self.archive.service.run(*words, code=code)

    def rows(self, *words: object, code: int = 0) -> Any:
        return json.loads(self.command(*words, "--json", code=code))

    def asks(self, program: str, calling: str, called: str, *words: object, secured: tuple[object, ...] = ()) -> Ran:
        """A program calls a title of the archive; `secured` has the options for TLS."""
        port = self.archive.service.tls_port if secured else self.archive.port
        titles = ("-aet", calling, "-aec", called)
        # Files come behind the port, everything else before the host.
        files = [word for word in words if isinstance(word, Path)]
        options = [word for word in words if not isinstance(word, Path)]
        return self.dcmtk.run(program, "-v", *secured, *titles, *options, "localhost", port, *files)

    def files(self, *data_sets: Any) -> list[Path]:
        return [write(each, self.folder) for each in data_sets]

    def fetched(self, *words: object, calling: str = "WS1", called: str = "READING") -> tuple[Ran, list[Path]]:
        """What getscu brings."""
        folder = self.folder / f"fetched-{len(list(self.folder.iterdir()))}"
        folder.mkdir()
        ran = self.asks("getscu", calling, called, "-S", "+B", "-od", folder.as_posix(), "-k", LEVEL, *words)
        return ran, sorted(folder.iterdir())


@pytest.fixture
def site(
    start_own_archive: Callable[..., Archive],
    dcmtk: Dcmtk,
    start_storescp: Callable[..., Receiver],
    authority: Authority,
    archive_identity: Identity,
    tmp_path: Path,
) -> Site:
    """A service with a port for TLS, and the rows of the site, all made by commands."""
    tls = ("--tls-port", "0", "--tls-certificate", archive_identity.certificate, "--tls-key", archive_identity.key)
    archive = start_own_archive(*map(str, (*tls, "--tls-ca", authority.certificate)), workers=2)
    workstation = start_storescp("+xa", title="WS1")
    folder = tmp_path / "files"
    folder.mkdir()
    made = Site(archive, dcmtk, authority, workstation, folder)
    for line in f"""
        area add MAIN {tmp_path}/main
        area add LIMITED {tmp_path}/limited --max-studies 5 --on-full evict
        ae add INBOX --area MAIN --access w
        ae add READING --area MAIN --access r --moves-to same-title
        ae add TIGHT --area LIMITED --access rw
        peer add CT1 --title CT1 --host 127.0.0.1
        peer add WS1 --title WS1 --host 127.0.0.1 --port {workstation.port}
        rule allow --at INBOX --peer CT1
        rule allow --at READING --peer WS1
        rule allow --at TIGHT --any --from 127.0.0.0/8
    """.strip().splitlines():
        made.command(*line.split())
    return made


def test_a_site_is_run_by_commands_and_its_reports_tell_all_of_it(site: Site) -> None:
    a_stranger_is_refused(site)
    a_writer_cannot_read(site)
    a_reader_cannot_store(site)
    a_rule_that_is_added_counts_for_the_next_association(site)
    the_owner_of_a_certificate_alone_uses_its_title(site)
    four_senders_push_out_what_was_stored_to_least_recently(site)
    what_happened_is_in_the_reports(site)


def a_stranger_is_refused(site: Site) -> None:
    for program, words in {
        "echoscu": (),
        "storescu": tuple(site.files(ct())),
        "findscu": ("-S", "-k", LEVEL),
        "getscu": ("-S", "-k", LEVEL),
        "movescu": ("-S", "-k", LEVEL, "-aem", "STRANGER"),
    }.items():
        ran = site.asks(program, "STRANGER", "INBOX", *words)
        assert not ran.is_ok, ran
        assert NOT_RECOGNIZED in ran.output or program == "getscu", ran  # which says "rejected" and no more
        assert "Association Rejected" in ran.output, ran
    explained = site.command("rule", "explain", "--at", "INBOX", "--title", "STRANGER", "--from", "127.0.0.1", code=1)
    assert "no rule at INBOX lets STRANGER from 127.0.0.1 store" in explained
    assert "To let it in: archive rule allow --at INBOX --title STRANGER --from 127.0.0.1" in explained


def a_writer_cannot_read(site: Site) -> None:
    stored = site.asks("storescu", "CT1", "INBOX", *site.files(ct(number=1), ct(number=2), ct(study=2)))
    assert stored.is_ok, stored
    for program, words in {"findscu": (), "movescu": ("-aem", "WS1"), "getscu": ()}.items():
        ran = site.asks(program, "CT1", "INBOX", "-S", "-k", LEVEL, *words, "-k", "StudyInstanceUID")
        assert not ran.is_ok, ran
        assert "No Acceptable Presentation Contexts" in ran.output, ran
    (connects, finds) = site.rows(
        *("rule", "explain", "--at", "INBOX", "--title", "CT1", "--from", "127.0.0.1", "--can", "find"), code=1
    )
    assert connects["allowed"]
    assert finds["reason"] == "INBOX is open for W only: nothing can be read"


def a_reader_cannot_store(site: Site) -> None:
    wanted = ("-k", f"StudyInstanceUID={uid('study', 1, 1)}")
    found = site.asks("findscu", "WS1", "READING", "-S", "-k", LEVEL, "-k", "StudyInstanceUID")
    assert found.output.count("Find Response:") == 2, found
    got, files = site.fetched(*wanted)
    assert len(files) == 2, got
    moved = site.asks("movescu", "WS1", "READING", "-S", "-aem", "WS1", "-k", LEVEL, *wanted)
    assert moved.is_ok, moved
    assert len(site.workstation.files()) == 2
    stored = site.asks("storescu", "WS1", "READING", *site.files(ct(study=3)))
    assert not stored.is_ok, stored
    assert "No Acceptable Presentation Contexts" in stored.output, stored
    explained = site.command(
        *("rule", "explain", "--at", "READING", "--title", "WS1", "--from", "127.0.0.1", "--to", "CT1")
    )
    assert "READING is open for R only: nothing can be stored" in explained
    assert "CT1 is a peer that only calls" in explained


def a_rule_that_is_added_counts_for_the_next_association(site: Site) -> None:
    assert NOT_RECOGNIZED in site.asks("echoscu", "WS2", "READING").output
    site.command("peer", "add", "WS2", "--title", "WS2", "--host", "127.0.0.1")
    site.command("rule", "allow", "--at", "READING", "--peer", "WS2", "--can", "echo,find")

    assert site.asks("echoscu", "WS2", "READING").is_ok
    got, files = site.fetched("-k", f"StudyInstanceUID={uid('study', 1, 1)}", calling="WS2")
    assert "No Acceptable Presentation Contexts" in got.output, got
    assert files == []

    site.command("rule", "deny", "--at", "READING", "--peer", "WS2")
    assert NOT_RECOGNIZED in site.asks("echoscu", "WS2", "READING").output


def the_owner_of_a_certificate_alone_uses_its_title(site: Site) -> None:
    owner, other = site.authority.issue("scanner"), site.authority.issue("another")
    site.command(
        *("peer", "add", "SCANNER", "--title", "SCANNER", "--host", "127.0.0.1"),
        *("--certificate", f"sha256:{owner.sha256}"),
    )
    site.command("rule", "allow", "--at", "INBOX", "--any", "--can", "echo,store")
    image = site.files(ct(patient=4, study=4))[0]

    def sends(calling: str, identity: Identity | None) -> Ran:
        own = ("+tls", identity.key, identity.certificate, "+cf", site.authority.certificate) if identity else ()
        return site.asks("storescu", calling, "INBOX", image, secured=tuple(map(str, own)))

    for stranger in (other, None):
        refused = sends("SCANNER", stranger)
        assert not refused.is_ok, refused
        assert NOT_RECOGNIZED in refused.output, refused
    assert sends("OTHER", other).is_ok
    assert sends("SCANNER", owner).is_ok
    asked = ("rule", "explain", "--at", "INBOX", "--title", "SCANNER", "--from", "127.0.0.1", "--can", "store")
    assert "SCANNER may only be used with the certificate of peer SCANNER" in site.command(*asked, code=1)
    assert "allows it" in site.command(*asked, "--certificate", owner.certificate)


def four_senders_push_out_what_was_stored_to_least_recently(site: Site) -> None:
    def send(number: int, *data_sets: Any) -> None:
        ran = site.asks("storescu", f"SENDER{number}", "TIGHT", *site.files(*data_sets))
        assert ran.is_ok, ran

    for study in (11, 12, 13):
        send(0, instance(study=study))
    send(0, instance(study=11, number=2))  # from now on 12 is the one that was stored to least recently

    with ThreadPoolExecutor(4) as pool:
        batches = {sender: [instance(study=20 + sender, number=number) for number in range(8)] for sender in range(4)}
        for sent in [pool.submit(send, sender, *batch) for sender, batch in batches.items()]:
            sent.result(300)

    held = {row["study_instance_uid"] for row in site.rows("study", "list", "--area", "LIMITED")}
    assert held == {uid("study", 1, study) for study in (11, 20, 21, 22, 23)}


def what_happened_is_in_the_reports(site: Site) -> None:
    refused_because = {
        ("STRANGER", "INBOX"): "no rule at INBOX lets STRANGER from 127.0.0.1 echo",
        ("CT1", "INBOX"): "find: INBOX is open for W only: nothing can be read",
        ("WS1", "READING"): "store: READING is open for R only: nothing can be stored",
        ("SCANNER", "INBOX"): "SCANNER may only be used with the certificate of peer SCANNER",
    }
    refusals: list[dict[str, Any]] = []

    def are_written() -> bool:
        refusals[:] = site.rows("report", "refusals", "--since", "1d")
        return set(refused_because.items()) <= {(_ends(row), row["reason"]) for row in refusals}

    assert site.archive.becomes_true(are_written, 60), refusals
    evicted = {row["study_instance_uid"]: row["reason"] for row in site.rows("report", "evictions")}
    assert evicted == dict.fromkeys((uid("study", 1, 12), uid("study", 1, 13)), "max_studies")
    (storage,) = site.rows("report", "storage", "--area", "LIMITED")
    assert (storage["number_of_studies"], storage["number_of_instances"], storage["headroom_studies"]) == (5, 34, 0)
    expected = {"CT1": 3, "OTHER": 1, "SCANNER": 1, "SENDER0": 12} | {f"SENDER{n}": 8 for n in (1, 2, 3)}
    received: dict[str, int] = {}
    ends: dict[tuple[str, str], str] = {}

    def are_counted() -> bool:  # the access log is written behind what it tells of
        rows = site.rows("report", "received")
        received.update((row["source_ae_title"], row["number_of_instances"]) for row in rows)
        ends.update((_ends(row), row["outcome"]) for row in site.rows("report", "associations"))
        return received == expected and ends.get(("SENDER3", "TIGHT")) == "released"

    assert site.archive.becomes_true(are_counted, 60), (received, ends)
    peers = {row["ae_title"]: row for row in site.rows("report", "peers")}
    assert (peers["STRANGER"]["number_of_refusals"], peers["STRANGER"]["last_accepted_at"]) == (5, None)
    assert ends["STRANGER", "INBOX"] == "rejected"
    made = [(row["subject"], row["name"]) for row in site.rows("log", "changes") if row["action"] == "add"]
    assert {("area", "LIMITED"), ("ae_title", "INBOX"), ("peer", "SCANNER")} <= set(made)


def _ends(row: dict[str, Any]) -> tuple[str, str]:
    return row["calling_ae_title"], row["called_ae_title"]
