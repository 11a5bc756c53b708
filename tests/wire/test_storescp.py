"""`archive storescp` with DCMTK's clients and scripted peers, beside DCMTK's storescp."""

import ctypes
import os
import re
import select
import signal
import socket
import subprocess
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydicom import dcmread

from archive.dicom.transfer_syntax_presets import ACCEPT
from scripts.background import Background, free_port
from tests.fix_dcmtk import Dcmtk
from tests.fix_instances import CT_SAMPLE, data_set_bytes, encoded, instance, write
from tests.fix_tls import Authority, Identity
from tests.wire.raw_messages import (
    BIG_ENDIAN,
    CT_IMAGE,
    DATA,
    EXPLICIT,
    IMPLICIT,
    SECONDARY_CAPTURE,
    STUDY_ROOT_FIND,
    VERIFICATION,
    Ended,
    Proposed,
    Rejected,
    associate_rq,
    pdu,
    pdv,
)
from tests.wire.raw_scu import RawScu
from tests.wire.storage_scps import DCMTK, OURS, WITH_HOSTS_FILES, Command, StorageScp, both, running, words_of
from tests.wire.test_transfer_syntax_presets import OPTIONS as PRESETS

IGNORE = ("--ignore",)
FOREVER = 100_000  # seconds; a test that waited for it would fail
PRIVATE_CLASS = "1.2.826.0.1.3680043.9.9999.1.1"
PROFILES = """\
[[TransferSyntaxes]]
[Implicit]
TransferSyntax1 = LittleEndianImplicit
[[PresentationContexts]]
[Ct]
PresentationContext1 = CTImageStorage\\Implicit
[Twice]
PresentationContext1 = CTImageStorage\\Implicit
PresentationContext2 = CTImageStorage\\Implicit
[[Profiles]]
[Only CT]
PresentationContexts = Ct
[Twice]
PresentationContexts = Twice
"""


@pytest.fixture
def profiles(tmp_path: Path) -> Path:
    file = tmp_path / "profiles.cfg"
    file.write_text(PROFILES)
    return file


def store(scp: StorageScp, number: int = 1, *, max_pdu_bytes: int = 16384) -> int:
    """Store one small instance; the status."""
    made = instance(number=number)
    with scp.associate(Proposed(SECONDARY_CAPTURE), max_pdu_bytes=max_pdu_bytes) as scu:
        status = scu.store(SECONDARY_CAPTURE, made.SOPInstanceUID, encoded(made)).status
        scu.release()
    return status


def name_of(number: int = 1) -> str:
    return f"SC.{instance(number=number).SOPInstanceUID}"


# Files


@both
def test_instances_are_stored_under_the_name_that_storescp_gives_them(
    tmp_path: Path, dcmtk: Dcmtk, command: Command
) -> None:
    made = [instance(number=number) for number in (1, 2)]
    sent = [write(each, tmp_path) for each in made]
    with running(command, tmp_path, "-v", "+B") as scp:
        ran = dcmtk.run("storescu", "-aet", "MODALITY", "127.0.0.1", scp.port, *sent)
        again = dcmtk.run("storescu", "127.0.0.1", scp.port, sent[0])
        files = scp.files()

    assert (ran.is_ok, again.is_ok) == (True, True), (ran, again)
    assert files == sorted(f"SC.{each.SOPInstanceUID}" for each in made)
    for each, path in zip(made, sent, strict=True):
        kept = scp.folder / f"SC.{each.SOPInstanceUID}"
        assert data_set_bytes(kept) == data_set_bytes(path)
    meta = dcmread(scp.folder / files[0]).file_meta
    assert meta.SourceApplicationEntityTitle in ("MODALITY", "STORESCU")
    said = scp.process.output()
    assert f"I: storing DICOM file: {scp.folder}/{name_of()}" in said or command == DCMTK
    assert f"W: DICOM file already exists, overwriting: {scp.folder}/{name_of()}" in said or command == DCMTK


def test_without_an_output_directory_files_go_where_it_was_started(tmp_path: Path) -> None:
    port = free_port()
    words = [*words_of(OURS, "storescp"), "-v", "-fe", ".dcm", str(port)]
    process = Background(words, tmp_path / "log", folder=tmp_path, environment={"PYTHONPATH": str(Path.cwd())})
    try:
        process.wait_listening(port)
        assert store(StorageScp(port, tmp_path, process)) == 0
    finally:
        process.stop()

    assert (tmp_path / f"{name_of()}.dcm").exists()
    assert f"I: storing DICOM file: ./{name_of()}.dcm" in process.output()


@both
@pytest.mark.parametrize(
    "options, pattern",
    [
        ("-uf -fe .dcm", r"SC\.UID\.dcm"),
        ("+uf", r"SC\.X\.1\.2\.276\.0\.7230010\.3\.1\.4\.[0-9.]+"),
        ("-tn -fe _x", r"[0-9]{17}\.SC_x"),
        ("-ss p", r"p_[0-9]{8}_[0-9]{9}/SC\.UID"),
        ("-su p", r"p_STUDY/SC\.UID"),
        ("-sp -tn", r"Mueller_J_A_[0-9]{8}_[0-9]{9}/[0-9]{17}\.SC"),
    ],
)
def test_files_are_named_and_sorted_as_asked(tmp_path: Path, command: Command, options: str, pattern: str) -> None:
    made = instance(SpecificCharacterSet="ISO_IR 100", PatientName="Müller^J A")
    with running(command, tmp_path, *options.split()) as scp:
        with scp.associate(Proposed(SECONDARY_CAPTURE)) as scu:
            assert scu.store(SECONDARY_CAPTURE, made.SOPInstanceUID, encoded(made)).status == 0
            scu.release()
        (file,) = scp.files()
    for word, value in (("UID", made.SOPInstanceUID), ("STUDY", made.StudyInstanceUID)):
        pattern = pattern.replace(word, re.escape(value))

    assert re.fullmatch(pattern, file)


@pytest.mark.parametrize(
    "options, folders", [((), 2), (("--study-order", "global"), 3)], ids=["by study", "as storescp"]
)
def test_studies_that_take_turns_have_a_folder_each(tmp_path: Path, options: tuple[str, ...], folders: int) -> None:
    with running(OURS, tmp_path, "-ss", "", *options) as scp, scp.associate(Proposed(SECONDARY_CAPTURE)) as scu:
        for number, study in enumerate((1, 2, 1)):
            made = instance(study=study, number=number)
            assert scu.store(SECONDARY_CAPTURE, made.SOPInstanceUID, encoded(made)).status == 0
        scu.release()

    assert len(list(scp.folder.iterdir())) == folders


@pytest.mark.parametrize(
    "options", ["-B", "+te", "+tb", "+ti", "+td", "+g", "-g", "-e", "-u", "+uc", "+p 512 16", "-F -B", "-F +ti -e +g"]
)
def test_data_sets_are_written_as_storescp_writes_them(tmp_path: Path, options: str) -> None:
    made = encoded(dcmread(CT_SAMPLE))
    uid, found = str(dcmread(CT_SAMPLE).SOPInstanceUID), []
    for number, command in enumerate((DCMTK, OURS)):
        folder = tmp_path / str(number)
        folder.mkdir()
        with running(command, folder, *options.split()) as scp:
            with scp.associate(Proposed(CT_IMAGE, (EXPLICIT,))) as scu:
                assert scu.store(CT_IMAGE, uid, made).status == 0
                scu.release()
            (name,) = scp.files()
            content = (scp.folder / name).read_bytes()
            found.append(content if "-F" in options else data_set_bytes(content))
            assert "+p" not in options or len(content) % 512 == 0

    if "+p" in options:  # File Meta Information is of another length, and the padding too
        found = [content.rpartition(b"\xfc\xff\xfc\xff")[0] for content in found]
    if "+td" in options:  # DCMTK pads what zlib made
        found = [zlib.decompressobj(-15).decompress(content) for content in found]
    assert found[0] == found[1]


@both
def test_ignored_instances_are_answered_with_success_and_not_kept(tmp_path: Path, command: Command) -> None:
    with running(command, tmp_path, "--ignore") as scp:
        made = instance()
        with scp.associate(Proposed(SECONDARY_CAPTURE)) as scu:
            other = scu.store(SECONDARY_CAPTURE, "1.2.3", encoded(made))
            scu.release()
        status, files = store(scp), scp.files()

    assert (status, other.status, files) == (0, 0, [])


@pytest.mark.parametrize("options", [(), ("+B",)], ids=["by default", "bit preserving"])
def test_an_instance_of_other_uids_than_announced_is_refused_and_leaves_no_file(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    """DCMTK's storescp answers A900 and keeps the file; with +B it does not look."""
    with running(OURS, tmp_path, *options) as scp:
        with scp.associate(Proposed(SECONDARY_CAPTURE)) as scu:
            status = scu.store(SECONDARY_CAPTURE, "1.2.3", encoded(instance())).status
            scu.release()
        files = scp.files()

    assert (status, files) == (0xA900, [])


def test_padded_uids_are_those_without_padding(tmp_path: Path) -> None:
    made = instance(SOPInstanceUID="1.2.3.4.5")
    padded = encoded(made).replace(b"1.2.3.4.5\0", b"1.2.3.4.5 ")
    assert padded != encoded(made)
    with running(OURS, tmp_path, "--uid-padding") as scp, scp.associate(Proposed(SECONDARY_CAPTURE)) as scu:
        status = scu.store(SECONDARY_CAPTURE, "1.2.3.4.5", padded).status
        scu.release()

    assert (status, scp.files()) == (0, ["SC.1.2.3.4.5"])


@pytest.mark.parametrize("uid", ["../../outside", "/etc/outside", "..", "1.2\0/../x", "$(id)`id`;id"])
def test_a_uid_never_leads_out_of_the_folder(tmp_path: Path, uid: str) -> None:
    made = instance(SOPInstanceUID="1.2.3")
    with running(OURS, tmp_path) as scp:
        before = {path for path in tmp_path.rglob("*") if scp.folder not in path.parents}
        with scp.associate(Proposed(SECONDARY_CAPTURE)) as scu:
            scu.store(SECONDARY_CAPTURE, uid, encoded(made).replace(b"1.2.3\0", uid.encode()[:6].ljust(6, b"\0")))
            scu.release()
        after = {path for path in tmp_path.rglob("*") if scp.folder not in path.parents}

    assert after == before
    assert all(path.parent == scp.folder for path in scp.folder.rglob("*"))


@both
def test_a_peer_that_goes_in_the_middle_of_an_instance_leaves_no_file(tmp_path: Path, command: Command) -> None:
    with running(command, tmp_path, "+B") as scp:
        with scp.associate(Proposed(SECONDARY_CAPTURE)) as scu:
            context = scu.announce_store(SECONDARY_CAPTURE, instance().SOPInstanceUID)
            scu.send_data_set(context.context_id, encoded(instance())[:100])
            scu.abort()
        assert store(scp, 2) == 0
        files = scp.files()

    assert name_of(2) in files
    assert files == [name_of(2)] or command == DCMTK


# Negotiation


def accepted_by(scp: StorageScp, *syntaxes: str) -> str | None:
    with scp.associate(Proposed(CT_IMAGE, syntaxes)) as scu:
        found = scu.accepted[0].transfer_syntax if scu.accepted else None
        scu.release()
    return found


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_prefers_what_it_does_in_storescp(tmp_path: Path, preset: str) -> None:
    known = ACCEPT[preset]
    proposals = [tuple(reversed(known)), (IMPLICIT, BIG_ENDIAN), (BIG_ENDIAN, EXPLICIT), known[-1:], known[:1]]
    found = []
    for number, command in enumerate((DCMTK, OURS)):
        folder = tmp_path / str(number)
        folder.mkdir()
        with running(command, folder, f"+{PRESETS[preset]}") as scp:
            found.append([accepted_by(scp, *syntaxes) for syntaxes in proposals])

    assert found[0] == found[1]
    assert found[1][0] == known[0]


@both
def test_all_transfer_syntaxes_are_accepted_in_the_order_of_storescp(tmp_path: Path, command: Command) -> None:
    alone = [syntax for syntax in ACCEPT["all"] if not syntax.endswith(".1.98")]
    with running(command, tmp_path, "+xs", "+xa") as scp:
        best = accepted_by(scp, *reversed(ACCEPT["all"]))
        each = {syntax: accepted_by(scp, syntax) for syntax in alone} if command == OURS else {}

    assert best == "1.2.840.10008.1.2.4.91"
    assert all(syntax == found for syntax, found in each.items())


@both
def test_any_title_may_be_called_and_comes_back_as_it_was(tmp_path: Path, dcmtk: Dcmtk, command: Command) -> None:
    with running(command, tmp_path, "-aet", "MYSELF", "-v", "+v") as scp:
        ran = dcmtk.run("echoscu", "-d", "-aec", "SOMEBODY", "127.0.0.1", scp.port)
        said = scp.process.output()

    assert ran.is_ok, ran
    assert "Called Application Name:     SOMEBODY" in ran.output
    assert "I: Called Application Name:     SOMEBODY" in said
    assert "I: Responding Application Name: SOMEBODY" in said
    assert command == DCMTK or "--aetitle: peers are answered with the title that they call" in said


@both
@pytest.mark.parametrize("options", [(), ("-pm",)], ids=["", "promiscuous"])
def test_only_promiscuously_a_class_that_nobody_knows_is_stored(
    tmp_path: Path, command: Command, options: tuple[str, ...]
) -> None:
    with (
        running(command, tmp_path, *options) as scp,
        scp.associate(Proposed(PRIVATE_CLASS), Proposed(STUDY_ROOT_FIND), Proposed(VERIFICATION)) as scu,
    ):
        results = scu.results
        status = None
        if options:
            made = instance(SOPClassUID=PRIVATE_CLASS)
            status = scu.store(PRIVATE_CLASS, made.SOPInstanceUID, encoded(made)).status
        scu.release()

    assert results == {PRIVATE_CLASS: [0 if options else 3], STUDY_ROOT_FIND: [3], VERIFICATION: [0]}
    assert (status, [name.partition(".")[0] for name in scp.files()]) == ((0, ["UNKNOWN"]) if options else (None, []))


@both
def test_a_profile_replaces_what_is_accepted(tmp_path: Path, profiles: Path, command: Command) -> None:
    with (
        running(command, tmp_path, "-xf", profiles, "only  ct") as scp,
        scp.associate(
            Proposed(CT_IMAGE, (EXPLICIT, IMPLICIT)), Proposed(SECONDARY_CAPTURE), Proposed(VERIFICATION)
        ) as scu,
    ):
        results, accepted = scu.results, scu.accepted
        scu.release()

    assert results == {CT_IMAGE: [0], SECONDARY_CAPTURE: [3], VERIFICATION: [3]}
    assert accepted[0].transfer_syntax == IMPLICIT


EXTENDED = """
[[ExtendedNegotiation]]
[Ct]
ExtendedNegotiation1 = CTImageStorage\\01
[[Profiles]]
[Extended]
PresentationContexts = Ct
ExtendedNegotiation = Ct
"""


@both
def test_only_who_asks_for_extended_negotiation_is_answered_unlike_dcmtk(tmp_path: Path, command: Command) -> None:
    (tmp_path / "profiles").write_text(PROFILES.partition("[[Profiles]]")[0] + EXTENDED)
    answers: list[dict[str, bytes]] = []
    with running(command, tmp_path, "-xf", tmp_path / "profiles", "Extended") as scp:
        for asked in ({CT_IMAGE: b"\0"}, {}):
            with scp.associate(Proposed(CT_IMAGE, (IMPLICIT,)), extended=asked) as scu:
                answers.append(scu.extended)
                scu.release()

    assert answers == [{CT_IMAGE: b"\1"}, {} if command == OURS else {CT_IMAGE: b"\1"}]


@both
def test_an_association_on_which_nothing_can_be_done_is_accepted(tmp_path: Path, command: Command) -> None:
    with running(command, tmp_path, "-v") as scp, scp.associate(Proposed(STUDY_ROOT_FIND)) as scu:
        assert scu.accepted == []
        scu.release()
        scp.process.stop()

    assert "(but no valid presentation contexts)" in scp.process.output()


@both
def test_refuse_and_reject(tmp_path: Path, command: Command) -> None:
    with running(command, tmp_path, "--refuse") as scp, pytest.raises(Rejected) as refused:
        scp.associate(Proposed(VERIFICATION))
    with running(command, tmp_path, "--reject") as scp:
        with pytest.raises(Rejected) as rejected:
            scp.associate(Proposed(VERIFICATION), implementation_class_uid="")
        with scp.associate(Proposed(VERIFICATION)) as scu:
            assert scu.echo() == 0
            scu.release()

    assert refused.value.why == rejected.value.why == (1, 1, 1)


@both
def test_the_longest_pdu_that_it_takes_is_told(tmp_path: Path, command: Command) -> None:
    with running(command, tmp_path, "-pdu", "4096") as scp, scp.associate(Proposed(VERIFICATION)) as scu:
        assert scu.peer_max_pdu_bytes == 4096
        scu.release()


# Time limits


@both
def test_who_says_nothing_is_left_alone_after_the_acse_timeout(tmp_path: Path, command: Command) -> None:
    with running(command, tmp_path, "-ta", "1") as scp, RawScu(scp.port) as scu:
        assert scu.hears_end() is None


@pytest.mark.parametrize("options", [("-td", "1"), ("-ts", "1"), ("-ts", "100", "-td", "1")], ids=" ".join)
def test_who_stops_in_the_middle_of_an_instance_is_left_alone(tmp_path: Path, options: tuple[str, ...]) -> None:
    with running(OURS, tmp_path, *options) as scp, scp.associate(Proposed(SECONDARY_CAPTURE)) as scu:
        scu.announce_store(SECONDARY_CAPTURE, "1.2.3")
        assert scu.hears_end() == (2, 0)
        assert scp.files() == []


# Several at a time


def is_answered(scu: RawScu, seconds: float) -> bool:
    return bool(select.select([scu.socket], [], [], seconds)[0])


@pytest.mark.parametrize("options", [(), ("--fork",), ("--fork", "--max-associations", "2")], ids=" ".join)
def test_associations_are_served_side_by_side(tmp_path: Path, options: tuple[str, ...]) -> None:
    with running(OURS, tmp_path, *options) as scp, scp.associate(Proposed(VERIFICATION)) as first:
        assert store(scp) == 0
        assert first.echo() == 0
        first.release()


@pytest.mark.parametrize(
    "command, options",
    [
        (DCMTK, ("--single-process",)),  # 3.6.7 has no --max-associations
        (OURS, ("--single-process",)),
        (OURS, ("--fork", "--max-associations", "1")),
    ],
)
def test_one_after_the_other_when_asked(tmp_path: Path, command: Command, options: tuple[str, ...]) -> None:
    with (
        running(command, tmp_path, *options) as scp,
        scp.associate(Proposed(VERIFICATION)) as first,
        RawScu(scp.port) as second,
    ):
        second.says(associate_rq([Proposed(VERIFICATION)]))
        assert not is_answered(second, 0.3)
        assert first.echo() == 0
        first.release()
        assert second.hears()[0] == 0x02


# Faults


@both
@pytest.mark.parametrize("option", ["--abort-during", "--abort-after"])
def test_an_association_is_aborted_as_asked_and_nothing_is_kept(tmp_path: Path, command: Command, option: str) -> None:
    with running(command, tmp_path, option) as scp:
        with scp.associate(Proposed(SECONDARY_CAPTURE)) as scu:
            context = scu.announce_store(SECONDARY_CAPTURE, instance().SOPInstanceUID)
            content = encoded(instance())
            if option == "--abort-during":  # what is to follow is not waited for
                content = content[:1000]
                scu.says(pdu(0x04, pdv(context.context_id, DATA, content)))
            else:
                scu.send_data_set(context.context_id, content)
            with pytest.raises(Ended) as ended:
                scu.receive()
        with scp.associate(Proposed(VERIFICATION)) as scu:
            assert scu.echo() == 0
            scu.release()
        files = scp.files()

    assert ended.value.abort == (0, 0)
    assert files == []


def test_it_sleeps_after_a_store_when_the_response_is_sent(tmp_path: Path) -> None:
    with (
        running(OURS, tmp_path, "--sleep-after", FOREVER) as scp,
        scp.associate(Proposed(SECONDARY_CAPTURE), Proposed(VERIFICATION)) as scu,
    ):
        made = instance()
        assert scu.store(SECONDARY_CAPTURE, made.SOPInstanceUID, encoded(made)).status == 0
        scu.send_command(3, {0x0002: VERIFICATION, 0x0100: 0x30, 0x0110: 9, 0x0800: 0x0101})
        assert not is_answered(scu, 0.3)
        assert scp.process.stop() == -signal.SIGTERM
        assert scp.files() == [name_of()]


def test_it_sleeps_in_the_middle_of_a_store_once(tmp_path: Path) -> None:
    """DCMTK's storescp sleeps for each PDV."""
    with running(OURS, tmp_path, "--sleep-during", FOREVER) as scp, scp.associate(Proposed(SECONDARY_CAPTURE)) as scu:
        made = instance()
        context = scu.announce_store(SECONDARY_CAPTURE, made.SOPInstanceUID)
        scu.send_data_set(context.context_id, encoded(made), pdv_bytes=1000)
        assert not is_answered(scu, 0.3)
        assert scp.process.stop() == -signal.SIGTERM
        assert scp.files() == []


def test_a_short_sleep_ends(tmp_path: Path) -> None:
    with running(OURS, tmp_path, "--sleep-during", 1, "--sleep-after", 1) as scp:
        assert store(scp) == 0
        assert store(scp, 2) == 0


# How it ends


@both
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_at_once_and_who_waits_sees_that(
    tmp_path: Path, command: Command, number: signal.Signals
) -> None:
    with running(command, tmp_path, "+B") as scp, scp.associate(Proposed(SECONDARY_CAPTURE)) as scu:
        context = scu.announce_store(SECONDARY_CAPTURE, instance().SOPInstanceUID)
        scu.says(pdu(0x04, pdv(context.context_id, DATA, encoded(instance())[:1000])))
        os.kill(scp.process.pid, number)
        assert scp.process.wait() == -number
        assert scu.hears_end() is None

    assert scp.files() == [] or command == DCMTK


def test_a_signal_that_comes_to_the_thread_of_an_association_ends_it(tmp_path: Path) -> None:
    """The kernel chooses the thread; the one that waits for connections must hear of it."""
    with running(OURS, tmp_path) as scp, scp.associate(Proposed(VERIFICATION)):
        pid = scp.process.pid
        other = next(int(task.name) for task in Path(f"/proc/{pid}/task").iterdir() if int(task.name) != pid)
        assert ctypes.CDLL(None).tgkill(pid, other, int(signal.SIGTERM)) == 0

        assert scp.process.wait() == -signal.SIGTERM


def run(command: Command, tmp_path: Path, *options: object, name: str = "storescp") -> tuple[int, str]:
    """A run that ends by itself: exit code and output."""
    done = subprocess.run(
        [*words_of(command, name), *map(str, options)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout


@both
@pytest.mark.parametrize(
    "options",
    [
        "--no-such-option 11112",
        "",
        "-v",
        "0",
        "65536",
        "+v 11112",
        "-od MISSING 11112",
        "-od FILE 11112",
        "TAKEN",
        "-xf MISSING Default 11112",
        "-xf PROFILES Unknown 11112",
        "-xf PROFILES Twice 11112",
        "-xf PROFILES OnlyCT +xs 11112",
        "-xf PROFILES OnlyCT +xa 11112",
        "-xf PROFILES OnlyCT -pm 11112",
        "+tls MISSING MISSING +cf MISSING 11112",
        "-ta 0 11112",
        "-td 0 11112",
        "-ts -2 11112",
        "-pdu 4095 11112",
        "-pdu 131073 11112",
        "--sleep-after -1 11112",
        "-id --fork 11112",
        "-xcs c 11112",
        "-rns 11112",
        "-tos 5 11112",
        "-su p -xcs c --fork 11112",
        "-su p -rns --fork 11112",
        "+uf -tn 11112",
        "+B -su p 11112",
        "+B +te 11112",
        "+B +g 11112",
        "+B -e 11112",
        "+B -u 11112",
        "+B +p 2 2 11112",
        "-F +p 2 2 11112",
        "+xa +te 11112",
        "+xs +td 11112",
        "+te +cl 9 11112",
        "+cl 10 11112",
        "--help",
        "--version",
    ],
)
def test_exit_codes_are_those_of_storescp(tmp_path: Path, profiles: Path, command: Command, options: str) -> None:
    (tmp_path / "file").write_text("")
    with socket.create_server(("0.0.0.0", 0)) as taken:
        names = {
            "MISSING": str(tmp_path / "missing"),
            "FILE": str(tmp_path / "file"),
            "PROFILES": str(profiles),
            "TAKEN": str(taken.getsockname()[1]),
        }
        code, output = run(command, tmp_path, *(names.get(word, word) for word in options.split()))

    assert code == (0 if options in ("", "--help", "--version") else 1), output


@pytest.mark.parametrize(
    "options, said",
    [
        ("-od MISSING 11112", "F: specified output directory does not exist: MISSING"),
        ("TAKEN", "F: Cannot listen on 0.0.0.0:TAKEN: Address already in use; end what listens there, or take another"),
        ("", "usage: storescp [options] [port]"),
        ("-v", "error: Missing parameter port"),
        ("+v 11112", "error: --verbose-pc only allowed with verbose mode"),
        ("-id --fork", "error: --inetd not allowed with --fork"),
        ("--max-associations 2 11112", "error: --max-associations only allowed with --fork"),
        ("-xf PROFILES OnlyCT -pm 11112", "error: --config-file not allowed with --promiscuous"),
    ],
)
def test_a_mistake_is_told_in_storescps_words(tmp_path: Path, profiles: Path, options: str, said: str) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        names = {"MISSING": str(tmp_path / "x"), "PROFILES": str(profiles), "TAKEN": str(taken.getsockname()[1])}
        _, output = run(OURS, tmp_path, *(names.get(word, word) for word in options.split()))

    for word, value in names.items():
        said = said.replace(word, value)
    assert said in output


@both
def test_a_port_below_1024_needs_the_right_to_it(tmp_path: Path, command: Command) -> None:
    allowed = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    port = allowed - 1 if allowed else 0
    without = ("setpriv", "--bounding-set", "-net_bind_service", "--inh-caps", "-net_bind_service")
    words = [*without, *words_of(command, "storescp"), str(port)]
    if not port:  # anybody may here, and port 0 is a mistake as well
        words = [*words_of(command, "storescp"), "0"]
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=60, cwd=tmp_path, env={"PYTHONPATH": str(Path.cwd())}
    )

    assert done.returncode == 1, done
    if port and command == OURS:
        assert f"F: cannot listen on port {port}, insufficient privileges" in done.stderr


@both
@pytest.mark.parametrize("program, options, code", [("storescp", (), 1), ("dcmrecv", (), 45), ("dcmrecv", IGNORE, 45)])
def test_a_folder_that_cannot_be_written_ends_it(
    tmp_path: Path, command: Command, program: str, options: Sequence[str], code: int
) -> None:
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o555)
    without = ("setpriv", "--bounding-set", "-dac_override", "--inh-caps", "-dac_override")
    words = [*without, *words_of(command, program), *options, "-od", str(folder), str(free_port())]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)

    assert done.returncode == code, done
    assert "specified output directory is not writeable" in done.stderr or command == DCMTK


@both
def test_a_folder_that_nothing_is_written_into_need_not_be_writable(tmp_path: Path, command: Command) -> None:
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o555)
    without = ("setpriv", "--bounding-set", "-dac_override", "--inh-caps", "-dac_override")
    port = free_port()
    words = [*without, *words_of(command, "storescp"), *IGNORE, "-od", str(folder), str(port)]
    process = Background(words, tmp_path / "log")
    try:
        process.wait_listening(port)
    finally:
        process.stop()


# Inherited sockets


_AS_SYSTEMD = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.set_inheritable(3, True); "
    "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); os.execv(sys.argv[2], sys.argv[2:])"
)


def with_descriptor_3(given: socket.socket, *options: object) -> list[str]:
    """A command line that makes a socket what systemd passes."""
    command = [*words_of(OURS, "storescp"), *map(str, options)]
    return [sys.executable, "-c", _AS_SYSTEMD, str(given.fileno()), *command]


def test_a_listening_socket_of_systemd_is_served_until_a_signal(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        process = subprocess.Popen(
            with_descriptor_3(listening, "-od", tmp_path), pass_fds=[listening.fileno()], stderr=subprocess.DEVNULL
        )
        try:
            for number in (1, 2):
                with RawScu(port).associate([Proposed(SECONDARY_CAPTURE)]) as scu:
                    made = instance(number=number)
                    assert scu.store(SECONDARY_CAPTURE, made.SOPInstanceUID, encoded(made)).status == 0
                    scu.release()
        finally:
            process.terminate()
            code = process.wait(30)

    assert code == -signal.SIGTERM
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name_of(1), name_of(2)])


@pytest.fixture
def connected() -> tuple[socket.socket, socket.socket]:
    """Our end, as a RawScu has it, and the end that is passed."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ours = socket.create_connection(listening.getsockname())
        theirs, _ = listening.accept()
    return ours, theirs


class Passed(RawScu):
    """A scripted peer on a socket that is connected already."""

    def __init__(self, ours: socket.socket) -> None:
        with socket.create_server(("127.0.0.1", 0)) as unused:
            super().__init__(unused.getsockname()[1])
        self.socket.close()
        self.socket = ours
        ours.settimeout(60)


def talk(ours: socket.socket, process: subprocess.Popen[str]) -> tuple[int, str]:
    """Store one instance; how the process ends, and what it says."""
    with Passed(ours).associate([Proposed(SECONDARY_CAPTURE)]) as scu:
        made = instance()
        assert scu.store(SECONDARY_CAPTURE, made.SOPInstanceUID, encoded(made)).status == 0
        scu.release()
    said = process.stderr.read() if process.stderr else ""
    return process.wait(30), said


def test_a_connection_of_systemd_is_served_and_no_other(
    tmp_path: Path, connected: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = connected
    words = with_descriptor_3(theirs, "-v", "-od", tmp_path)
    with subprocess.Popen(words, pass_fds=[theirs.fileno()], stderr=subprocess.PIPE, text=True) as process:
        theirs.close()
        code, said = talk(ours, process)

    assert code == 0, said
    assert [path.name for path in tmp_path.iterdir()] == [name_of()]
    assert "I: Association Release" in said


@both
@pytest.mark.parametrize("is_all", [True, False], ids=["error too", "input only"])
def test_a_connection_of_inetd_is_served_and_no_other(
    tmp_path: Path, command: Command, connected: tuple[socket.socket, socket.socket], is_all: bool
) -> None:
    ours, theirs = connected
    words = [*words_of(command, "storescp"), "-id", "-v", "-od", str(tmp_path)]
    output = theirs.fileno() if is_all else None
    error = theirs.fileno() if is_all else subprocess.PIPE
    with subprocess.Popen(words, stdin=theirs.fileno(), stdout=output, stderr=error, text=True) as process:
        theirs.close()
        code, said = talk(ours, process)

    assert code == 0, said
    assert [path.name for path in tmp_path.iterdir()] == [name_of()]
    assert ("I: Association Release" in said) == (not is_all and command == OURS)


def test_a_port_is_of_no_use_to_inetd(tmp_path: Path, connected: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = connected
    words = [*words_of(OURS, "storescp"), "-id", "-od", str(tmp_path), "11112"]
    with subprocess.Popen(words, stdin=theirs.fileno(), stderr=subprocess.PIPE, text=True) as process:
        theirs.close()
        code, said = talk(ours, process)

    assert (code, said) == (0, "W: Parameter port not required in inetd mode\n")


@both
def test_inetd_without_standard_input_ends_with_99(tmp_path: Path, command: Command) -> None:
    words = ["/bin/sh", "-c", 'exec "$@" <&-', "sh", *words_of(command, "storescp"), "-id", "-od", str(tmp_path)]

    assert subprocess.run(words, stderr=subprocess.DEVNULL, timeout=60).returncode == 99


def test_inetd_without_a_connection_ends_with_99(tmp_path: Path) -> None:
    code, said = run(OURS, tmp_path, "-id", "-od", tmp_path)

    assert (code, said) == (99, "F: --inetd: there is no connection at standard input\n")


# Who may connect, and how


@pytest.mark.parametrize(
    "option, allow, deny, gets_in",
    [
        ("+ac", "", "storescp: ALL", False),
        ("+ac", "storescp: 127.", "ALL: ALL", True),
        ("+ac", "dcmqrscp: ALL", "ALL: ALL", False),
        ("+ac", "", "ALL: ALL EXCEPT 127.0.0.1", True),
        ("-ac", "", "ALL: ALL", True),
    ],
)
def test_hosts_allow_and_hosts_deny_decide_who_may_connect(
    tmp_path: Path, dcmtk: Dcmtk, option: str, allow: str, deny: str, gets_in: bool
) -> None:
    files = (tmp_path / "hosts.allow", tmp_path / "hosts.deny")
    for file, text in zip(files, (allow, deny), strict=True):
        file.write_text(f"{text}\n")

    with running((*WITH_HOSTS_FILES, *map(str, files)), tmp_path, option) as scp:
        ran = dcmtk.run("echoscu", "127.0.0.1", scp.port)

    assert ran.is_ok == gets_in, ran
    assert ("TCP wrapper: denied connection from 127.0.0.1" in scp.process.output()) == (not gets_in)


@pytest.mark.parametrize(
    "option, hosts",
    [("-i4", ["127.0.0.1"]), ("-i6", ["::1"]), ("-i0", ["127.0.0.1", "::1"]), ("-i6 -i4", ["127.0.0.1"])],
)
def test_it_listens_by_the_ip_version(tmp_path: Path, option: str, hosts: list[str]) -> None:
    with running(OURS, tmp_path, *option.split(), host=hosts[0]) as scp:
        reached = []
        for host in ("127.0.0.1", "::1"):
            try:
                socket.create_connection((host, scp.port), timeout=30).close()
                reached.append(host)
            except ConnectionRefusedError:
                continue

    assert reached == hosts


@both
def test_with_tls_the_port_speaks_nothing_else(
    tmp_path: Path, dcmtk: Dcmtk, command: Command, authority: Authority, archive_identity: Identity, modality: Identity
) -> None:
    trusted = ("+cf", authority.certificate)
    own = ("+tls", archive_identity.key, archive_identity.certificate, *trusted)
    file = write(instance(), tmp_path)
    with running(command, tmp_path, *own) as scp:
        shown = ("+tls", modality.key, modality.certificate, *trusted)
        ran = dcmtk.run("storescu", *shown, "localhost", scp.port, file)
        anonymous = dcmtk.run("echoscu", "+tla", *trusted, "localhost", scp.port)
        plain = dcmtk.run("echoscu", "-ta", "5", "127.0.0.1", scp.port)
        files = scp.files()

    assert (ran.is_ok, anonymous.is_ok, plain.is_ok) == (True, False, False), ran
    assert files == [name_of()]


def test_tls_may_take_who_shows_no_certificate(
    tmp_path: Path, dcmtk: Dcmtk, authority: Authority, archive_identity: Identity
) -> None:
    with running(OURS, tmp_path, "+tls", archive_identity.key, archive_identity.certificate, "-ic") as scp:
        ran = dcmtk.run("echoscu", "+tla", "+cf", authority.certificate, "localhost", scp.port)

    assert ran.is_ok, ran


# What it says


@both
def test_it_says_what_users_know(tmp_path: Path, dcmtk: Dcmtk, command: Command) -> None:
    file = write(instance(), tmp_path)
    with running(command, tmp_path, "-v") as scp:
        dcmtk.run("storescu", "127.0.0.1", scp.port, file)
        dcmtk.run("echoscu", "--abort", "127.0.0.1", scp.port)
        dcmtk.run("echoscu", "127.0.0.1", scp.port)

        scp.process.wait_for_output(
            "I: Association Received",
            f"I: Received Store Request (MsgID 1, {'SC)' if command == OURS else ''}",
            f"I: storing DICOM file: {scp.folder}/{name_of()}",
            "I: Received Echo Request (MsgID 1)",
            "I: Association Aborted",
            "I: Association Release",
        )


@both
def test_it_shows_presentation_contexts(tmp_path: Path, dcmtk: Dcmtk, command: Command) -> None:
    with running(command, tmp_path, "-v", "+v") as scp:
        dcmtk.run("echoscu", "127.0.0.1", scp.port)
        scp.process.stop()
    said = scp.process.output()

    for line in (
        "====================== BEGIN A-ASSOCIATE-RQ =====================",
        "  Context ID:        1 (Proposed)",
        "    Abstract Syntax: =VerificationSOPClass",
        "    Proposed SCP/SCU Role: Default",
        "      =LittleEndianImplicit",
        "  Context ID:        1 (Accepted)",
        "    Accepted Transfer Syntax: =LittleEndianImplicit",
        "Requested User Identity Negotiation: none",
        "======================= END A-ASSOCIATE-AC ======================",
    ):
        assert f"I: {line}" in said, said


def test_quietly_it_says_nothing_but_what_ends_it(tmp_path: Path) -> None:
    with running(OURS, tmp_path, "-q") as scp:
        assert store(scp) == 0
        assert store(scp) == 0

    assert scp.process.output() == ""


def test_what_is_neither_echo_nor_store_ends_the_association(tmp_path: Path) -> None:
    with running(OURS, tmp_path) as scp, scp.associate(Proposed(VERIFICATION)) as scu:
        scu.send_command(1, {0x0002: STUDY_ROOT_FIND, 0x0100: 0x20, 0x0110: 1, 0x0700: 0, 0x0800: 1})
        assert scu.hears_end() is not None


def test_shutdown_is_nothing_that_it_knows(tmp_path: Path, dcmtk: Dcmtk) -> None:
    with running(OURS, tmp_path) as scp:
        dcmtk.run("termscu", "127.0.0.1", scp.port)
        assert store(scp) == 0
