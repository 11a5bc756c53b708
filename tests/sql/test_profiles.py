"""Association profiles as rows: imported, changed, exported, used by titles and peers, removed."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from archive.database import transaction
from archive.errors import Misconfigured
from archive.registry import association_profiles, audit, changes, snapshot
from archive.registry.association_profiles import AssociationProfile, ProfileContext, ProfileExtension, ProfileRole
from archive.registry.model import Registry
from tests.fix_archive import FoundedArchive
from tests.fix_command import Run

VERIFICATION, CT, MR = "1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
IMPLICIT, LITTLE = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"

IN = AssociationProfile(
    "In",
    (ProfileContext(VERIFICATION, (IMPLICIT,)), ProfileContext(CT, (LITTLE, IMPLICIT))),
    (ProfileRole(CT, is_scu=True, is_scp=True),),
    (ProfileExtension(CT, b"\2\0\xff"),),
)
OUT = AssociationProfile("Out", (ProfileContext(CT, (LITTLE,)), ProfileContext(CT, (IMPLICIT,))))
MANY = AssociationProfile("Many", tuple(ProfileContext(f"1.2.3.{number}", (IMPLICIT,)) for number in range(129)))


def registry(founded: FoundedArchive) -> Registry:
    with transaction.read(founded.database) as connection:
        return snapshot.read(connection)


def put(founded: FoundedArchive, *profiles: AssociationProfile) -> list[str]:
    return transaction.write(
        founded.database, lambda connection: [changes.put_profile(connection, each) for each in profiles]
    )


Write = Callable[..., Path]


@pytest.fixture
def written(tmp_path: Path) -> Write:
    """`written(IN, OUT)`: the file that has them."""

    def write(*profiles: AssociationProfile) -> Path:
        file = tmp_path / "profiles.cfg"
        file.write_bytes(association_profiles.write(profiles))
        return file

    return write


def test_a_profile_is_read_back_as_it_was_put(founded: FoundedArchive) -> None:
    assert put(founded, IN, OUT, MANY) == ["add", "add", "add"]

    assert registry(founded).profiles == {"In": IN, "Out": OUT, "Many": MANY}


def test_a_profile_that_is_there_gets_other_contents_or_none(founded: FoundedArchive) -> None:
    put(founded, IN)
    before = registry(founded).revision

    assert put(founded, IN) == [""]
    assert registry(founded).revision == before
    assert put(founded, AssociationProfile("IN", OUT.contexts)) == ["set"]

    assert registry(founded).profiles == {"In": AssociationProfile("In", OUT.contexts)}
    with transaction.read(founded.database) as connection:
        assert connection.scalar(text("SELECT count(*) FROM association_profile_syntaxes")) == 2
        assert connection.scalar(text("SELECT count(*) FROM association_profile_roles")) == 0


def test_a_title_and_a_peer_use_a_profile_until_it_is_taken_back(founded: FoundedArchive) -> None:
    put(founded, IN, OUT)

    def use(connection) -> None:
        changes.set_title(connection, "ARCHIVE", {"profile": "in"})
        changes.add_peer(connection, "ct1", "CT1", "10.0.0.1", 104, {"profile": "Out"})

    transaction.write(founded.database, use)

    known = registry(founded)
    acceptance = known.titles["ARCHIVE"].answering.profile
    assert acceptance is not None
    assert acceptance.name == "In"
    assert known.titles["ARCHIVE"].answering.ranks(CT, is_stored=True) == {LITTLE: 0, IMPLICIT: 1}
    assert known.titles["ARCHIVE"].answering.ranks(MR, is_stored=True) is None
    assert known.titles["ARCHIVE"].answering.roles(CT) == (True, True)
    assert known.titles["ARCHIVE"].answering.roles(VERIFICATION) == (True, False)
    assert known.peers["ct1"].profile == OUT
    for name, sentence in (("In", "AE title ARCHIVE accepts by it"), ("Out", "What is sent to peer ct1 goes by it")):
        with pytest.raises(Misconfigured, match=sentence):
            transaction.write(founded.database, lambda connection, name=name: changes.remove_profile(connection, name))

    def leave(connection) -> None:
        changes.set_title(connection, "ARCHIVE", {"profile": None})
        changes.set_peer(connection, "ct1", {"profile": None})
        changes.remove_profile(connection, "IN")
        changes.remove_profile(connection, "Out")

    transaction.write(founded.database, leave)

    known = registry(founded)
    assert (known.profiles, known.titles["ARCHIVE"].answering.profile, known.peers["ct1"].profile) == ({}, None, None)
    with transaction.read(founded.database) as connection:
        for table in ("contexts", "syntaxes", "roles", "extensions"):
            assert connection.scalar(text(f"SELECT count(*) FROM association_profile_{table}")) == 0


def test_what_a_side_cannot_use_is_refused_when_it_is_named_and_when_it_is_changed(founded: FoundedArchive) -> None:
    put(founded, IN, OUT, MANY)
    peer = ("ct1", "CT1", "10.0.0.1", 104)
    for work, sentence in (
        (lambda c: changes.set_title(c, "ARCHIVE", {"profile": "Out"}), "not valid for incoming use"),
        (lambda c: changes.add_title(c, "X", "ARCHIVE", "R", {"profile": "Out"}), "not valid for incoming use"),
        (lambda c: changes.add_peer(c, *peer, {"profile": "Many"}), "not valid for outgoing use"),
        (lambda c: changes.set_title(c, "ARCHIVE", {"profile": "None"}), "no association profile None; run:"),
    ):
        with pytest.raises(Misconfigured, match=sentence):
            transaction.write(founded.database, work)
    transaction.write(founded.database, lambda c: changes.set_title(c, "ARCHIVE", {"profile": "Many"}))

    with pytest.raises(Misconfigured, match="not valid for incoming use"):
        put(founded, AssociationProfile("Many", OUT.contexts))

    assert registry(founded).profiles["Many"] == MANY


def test_profiles_are_imported_exported_shown_and_removed(run: Run, archive: FoundedArchive, written: Write) -> None:
    file = written(IN, OUT)

    planned = run("profile", "import", file, "--dry-run")
    assert planned.out == "Profile In: would be added.\nProfile Out: would be added.\n"
    assert registry(archive).profiles == {}

    assert run("profile", "import", file).out == "Profile In: added.\nProfile Out: added.\n"
    assert run("profile", "import", file).out == "Profile In: the same already.\nProfile Out: the same already.\n"
    exported = run("profile", "export").out
    assert association_profiles.read(exported.encode(), "exported").profiles == (IN, OUT)
    assert association_profiles.read(run("profile", "export", "out").out.encode(), "exported").profiles == (OUT,)

    run("ae", "set", "ARCHIVE", "--profile", "In")
    run("peer", "add", "ct1", "--title", "CT1", "--host", "10.0.0.1", "--port", 104, "--profile", "Out")
    assert run("profile", "list", "--json").json == [
        {"name": "In", "contexts": 2, "roles": 1, "extensions": 1, "ae_titles": ["ARCHIVE"], "peers": []},
        {"name": "Out", "contexts": 2, "roles": 0, "extensions": 0, "ae_titles": [], "peers": ["ct1"]},
    ]
    assert run("ae", "show", "ARCHIVE", "--json").json["profile"] == "In"
    assert run("peer", "list", "--json").json[0]["profile"] == "Out"
    shown = run("profile", "show", "IN", "--json").json
    assert [(each["name"], each["role"], each["transfer_syntaxes"]) for each in shown] == [
        ("Verification", None, [IMPLICIT]),
        ("CTImageStorage", "BOTH", [LITTLE, IMPLICIT]),
    ]
    assert "run: archive ae set ARCHIVE --profile none" in run("profile", "remove", "In", code=2).error

    run("ae", "set", "ARCHIVE", "--profile", "none")
    assert run("profile", "remove", "in").out == "Profile in is removed.\n"
    assert list(registry(archive).profiles) == ["Out"]


def test_an_import_is_noted_as_its_file_has_it(run: Run, archive: FoundedArchive, written: Write) -> None:
    run("profile", "import", written(IN))
    run("profile", "import", written(AssociationProfile("In", OUT.contexts)))

    with transaction.read(archive.database) as connection:
        changed, added = audit.history(connection, subject="profile")
    assert (added.action, added.name, added.before, changed.action) == ("add", "In", None, "set")
    assert changed.before == added.after == {"profile": association_profiles.write((IN,)).decode()}


def test_what_is_odd_in_a_file_is_said_by_line(run: Run, archive: FoundedArchive, written: Write) -> None:
    file = written(IN)
    odd = file.read_text() + "Colour = red\n"
    file.write_text(odd)

    said = run("profile", "import", file, "--dry-run")

    assert said.error == f"{file}, line {odd.count(chr(10))}: COLOUR is not known and not read.\n"


@pytest.mark.parametrize(
    "content, sentence",
    [
        (None, "The file cannot be read"),
        (b"[[Profiles]]\n", "cannot find section [[TransferSyntaxes]]"),
        (bytes((16 << 20) + 1), "The file has more than 16777216 bytes"),
    ],
    ids=["missing", "no profiles", "too large"],
)
def test_a_file_that_cannot_be_used_is_a_sentence(
    run: Run, archive: FoundedArchive, tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    file = tmp_path / "odd.cfg"
    if content is not None:
        file.write_bytes(content)

    assert sentence in run("profile", "import", file, code=2).error

    assert registry(archive).profiles == {}


def test_without_profiles_there_is_nothing_to_export(run: Run, archive: FoundedArchive) -> None:
    assert "There are no profiles" in run("profile", "export", code=2).error
    assert run("profile", "list").error == "No profiles; see: archive profile import --help\n"
