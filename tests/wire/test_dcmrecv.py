"""`archive dcmrecv` with DCMTK's clients and scripted peers, beside DCMTK's dcmrecv."""

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.background import Background, free_port
from tests.fix_dcmtk import Dcmtk
from tests.fix_instances import encoded, instance, write
from tests.fix_tls import Authority, Identity
from tests.wire.raw_messages import (
    CT_IMAGE,
    EXPLICIT,
    IMPLICIT,
    SECONDARY_CAPTURE,
    STUDY_ROOT_FIND,
    VERIFICATION,
    Proposed,
    Rejected,
)
from tests.wire.storage_scps import OURS, Command, StorageScp, both, running, words_of
from tests.wire.test_storescp import PROFILES

JPEG_2000 = "1.2.840.10008.1.2.4.90"


@pytest.fixture
def profiles(tmp_path: Path) -> Path:
    file = tmp_path / "profiles.cfg"
    file.write_text(PROFILES.replace("CTImageStorage", "SecondaryCaptureImageStorage"))
    return file


def store(scp: StorageScp, number: int = 1, **fields: object) -> int:
    made = instance(number=number, transfer_syntax=IMPLICIT)
    with scp.associate(Proposed(SECONDARY_CAPTURE, (IMPLICIT,)), **fields) as scu:
        status = scu.store(SECONDARY_CAPTURE, made.SOPInstanceUID, encoded(made)).status
        scu.release()
    return status


@both
def test_instances_are_stored_by_a_profile(tmp_path: Path, dcmtk: Dcmtk, profiles: Path, command: Command) -> None:
    file = write(instance(transfer_syntax=IMPLICIT), tmp_path)
    with running(command, tmp_path, "-v", "-xf", profiles, "Only CT", "-fe", ".dcm", name="dcmrecv") as scp:
        ran = dcmtk.run("storescu", "-xi", "127.0.0.1", scp.port, file)
        files = scp.files()
        scp.process.stop()
    name = f"SC.{instance().SOPInstanceUID}.dcm"

    assert ran.is_ok, ran
    assert files == [name]
    for line in (
        "configuring service class provider ...",
        "starting service class provider and listening ...",
        "Association Received localhost: STORESCU -> ANY-SCP",
        "Received C-STORE Request (MsgID 1)",
        f"Stored received object to file: {scp.folder}/{name}",
        "Sending C-STORE Response (Success)",
        "Received Association Release Request",
    ):
        assert f"I: {line}" in scp.process.output()


@both
def test_the_example_of_the_page_runs_as_it_is_written(tmp_path: Path, dcmtk: Dcmtk, command: Command) -> None:
    """Into folders by the Series Date, with short names and an extension, where it was started."""
    file, port = write(instance(SeriesDate="20260102"), tmp_path), free_port()
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "storescp.cfg").write_bytes(Path("/etc/dcmtk/storescp.cfg").read_bytes())
    there = ("/usr/bin/env", f"--chdir={folder}", f"PYTHONPATH={Path.cwd()}")
    words = f"-v -xf storescp.cfg default {port} --series-date-subdir --short-unique-names --filename-extension .dcm"
    process = Background([*there, *words_of(command, "dcmrecv"), *words.split()], tmp_path / "log")
    try:
        process.wait_listening(port)
        ran = dcmtk.run("storescu", "127.0.0.1", port, file)
    finally:
        process.stop()

    assert ran.is_ok, ran
    (name,) = (path.relative_to(folder).as_posix() for path in folder.rglob("*.dcm"))
    assert re.fullmatch(r"data/2026/01/02/SC_[0-9a-f]{16}\.dcm", name)


def test_without_a_profile_all_that_can_be_stored_is_accepted(tmp_path: Path) -> None:
    """DCMTK's dcmrecv takes nothing but C-ECHO then, and warns of that."""
    with running(OURS, tmp_path, name="dcmrecv") as scp:
        with scp.associate(Proposed(VERIFICATION), Proposed(CT_IMAGE, (EXPLICIT, JPEG_2000))) as scu:
            assert scu.echo() == 0
            assert scu.context(CT_IMAGE).transfer_syntax == JPEG_2000
            scu.release()
        assert store(scp) == 0

    assert scp.files() == [f"SC.{instance().SOPInstanceUID}"]


@both
def test_a_profile_replaces_what_is_accepted(tmp_path: Path, profiles: Path, command: Command) -> None:
    with (
        running(command, tmp_path, "-xf", profiles, "Only CT", name="dcmrecv") as scp,
        scp.associate(Proposed(VERIFICATION), Proposed(CT_IMAGE), Proposed(SECONDARY_CAPTURE)) as scu,
    ):
        assert scu.results == {VERIFICATION: [3], CT_IMAGE: [3], SECONDARY_CAPTURE: [0]}
        assert scu.accepted[0].transfer_syntax == IMPLICIT
        scu.release()


@both
def test_an_association_on_which_nothing_can_be_done_is_rejected(tmp_path: Path, command: Command) -> None:
    with running(command, tmp_path, name="dcmrecv") as scp, pytest.raises(Rejected) as rejected:
        scp.associate(Proposed(STUDY_ROOT_FIND))

    assert rejected.value.why == (1, 1, 1)


@pytest.mark.parametrize(
    "options, is_open",
    [
        ((), True),
        (("-aet", "MYSELF"), False),
        (("-aet", "MYSELF", "-uca"), True),
        (("-uca", "-aet", "MYSELF"), False),
        (("-aet", "SOMEBODY"), True),
    ],
)
def test_a_title_of_ours_is_the_only_one_that_may_be_called(
    tmp_path: Path, options: tuple[str, ...], is_open: bool
) -> None:
    """As dcmrecv since 3.6.8."""
    with running(OURS, tmp_path, *options, name="dcmrecv") as scp:
        if is_open:
            assert store(scp, called="SOMEBODY") == 0
        else:
            with pytest.raises(Rejected) as rejected:
                store(scp, called="SOMEBODY")
            assert rejected.value.why == (1, 1, 7)
            assert store(scp, called="MYSELF") == 0


@both
@pytest.mark.parametrize(
    "options, pattern",
    [
        ("+fd", r"SC\.UID"),
        ("+fu", r"SC\.X\.1\.2\.276\.0\.7230010\.3\.1\.4\.[0-9.]+"),
        ("+fsu", r"SC_[0-9a-f]{16}"),
        ("+fst", r"[0-9]{14}\.[0-9]{6}\.SC"),
        ("+ssd", r"data/2026/04/05/SC\.UID"),
        ("+ssd +fst -fe .img", r"data/2026/04/05/[0-9]{14}\.[0-9]{6}\.SC\.img"),
        ("+ssd -s", r"SC\.UID"),
        ("-B", r"SC\.UID"),
    ],
)
def test_files_are_named_and_sorted_as_asked(
    tmp_path: Path, profiles: Path, command: Command, options: str, pattern: str
) -> None:
    made = instance(SeriesDate="20260405", transfer_syntax=IMPLICIT)
    given = ("-xf", profiles, "Only CT", *options.split())
    with running(command, tmp_path, *given, name="dcmrecv") as scp:
        with scp.associate(Proposed(SECONDARY_CAPTURE, (IMPLICIT,))) as scu:
            assert scu.store(SECONDARY_CAPTURE, made.SOPInstanceUID, encoded(made)).status == 0
            scu.release()
        (file,) = scp.files()

    assert re.fullmatch(pattern.replace("UID", re.escape(made.SOPInstanceUID)), file)


@both
def test_ignored_instances_are_answered_with_success_and_not_kept(
    tmp_path: Path, profiles: Path, command: Command
) -> None:
    with running(command, tmp_path, "--ignore", "-xf", profiles, "Only CT", name="dcmrecv") as scp:
        assert (store(scp), scp.files()) == (0, [])


@both
def test_the_time_for_dimse_messages_is_that_between_them_too(tmp_path: Path, command: Command) -> None:
    with running(command, tmp_path, "-td", "1", name="dcmrecv") as scp, scp.associate(Proposed(VERIFICATION)) as scu:
        assert scu.hears()[0] == 0x07


@both
def test_the_longest_pdu_that_it_takes_is_told(tmp_path: Path, command: Command) -> None:
    with (
        running(command, tmp_path, "-pdu", "131072", name="dcmrecv") as scp,
        scp.associate(Proposed(VERIFICATION)) as scu,
    ):
        assert scu.peer_max_pdu_bytes == 131072
        scu.release()


@both
@pytest.mark.parametrize("option, host", [("-dhl", "127.0.0.1"), ("-v", "localhost")])
def test_hosts_are_looked_up_unless_told_otherwise(tmp_path: Path, command: Command, option: str, host: str) -> None:
    with running(command, tmp_path, "-v", option, name="dcmrecv") as scp:
        with scp.associate(Proposed(VERIFICATION)) as scu:
            scu.release()
        scp.process.stop()

    assert f"I: Association Received {host}: RAWSCU -> ARCHIVE" in scp.process.output()


@both
def test_it_says_what_users_know(tmp_path: Path, profiles: Path, command: Command) -> None:
    made = instance(transfer_syntax=IMPLICIT)
    with running(command, tmp_path, "-v", "-xf", profiles, "Only CT", name="dcmrecv") as scp:
        with scp.associate(Proposed(SECONDARY_CAPTURE, (IMPLICIT,))) as scu:
            assert scu.store(SECONDARY_CAPTURE, made.SOPInstanceUID, encoded(made)).status == 0
            scu.release()
        with scp.associate(Proposed(SECONDARY_CAPTURE, (IMPLICIT,))) as scu:
            scu.abort()

        scp.process.wait_for_output(
            "I: Received C-STORE Request (MsgID 1)\n",
            f"I: Stored received object to file: {scp.folder}/SC.{made.SOPInstanceUID}\n",
            "I: Sending C-STORE Response (Success)\n",
            "I: Received Association Release Request\n",
            "I: Received Association Abort Request\n",
        )


@both
def test_an_echo_and_its_answer_are_said(tmp_path: Path, command: Command) -> None:
    with running(command, tmp_path, "-v", name="dcmrecv") as scp:
        with scp.associate(Proposed(VERIFICATION)) as scu:
            assert scu.echo() == 0
            scu.release()

        scp.process.wait_for_output("I: Received C-ECHO Request (MsgID 1)\nI: Sending C-ECHO Response (Success)\n")


def test_associations_are_served_side_by_side(tmp_path: Path) -> None:
    with running(OURS, tmp_path, name="dcmrecv") as scp, scp.associate(Proposed(VERIFICATION)) as first:
        assert store(scp) == 0
        assert first.echo() == 0
        first.release()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it(tmp_path: Path, number: signal.Signals) -> None:
    with running(OURS, tmp_path, name="dcmrecv") as scp:
        subprocess.run(["kill", f"-{number.value}", str(scp.process.pid)], check=True)
        assert scp.process.wait() == -number


@both
@pytest.mark.parametrize(
    "options, code",
    [
        ("", 0),
        ("--help", 0),
        ("--version", 0),
        ("--no-such-option 11112", 1),
        ("-v", 1),
        ("0", 1),
        ("+v 11112", 1),
        ("-ta 0 11112", 1),
        ("-pdu 4095 11112", 1),
        ("+B +ssd 11112", 1),
        ("-od MISSING 11112", 45),
        ("-od FILE 11112", 45),
        ("TAKEN", 64),
        ("-xf MISSING Default 11112", 66),
        ("-xf PROFILES Unknown 11112", 66),
        ("-xf PROFILES Twice 11112", 66),
        ("-xf PROFILES Unknown -od MISSING TAKEN", 66),
        ("-od MISSING TAKEN", 45),
    ],
)
def test_exit_codes_are_those_of_dcmrecv(
    tmp_path: Path, profiles: Path, command: Command, options: str, code: int
) -> None:
    (tmp_path / "file").write_text("")
    with socket.create_server(("0.0.0.0", 0)) as taken:
        names = {
            "MISSING": str(tmp_path / "missing"),
            "FILE": str(tmp_path / "file"),
            "PROFILES": str(profiles),
            "TAKEN": str(taken.getsockname()[1]),
        }
        words = [*words_of(command, "dcmrecv"), *(names.get(word, word) for word in options.split())]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)

    assert done.returncode == code, done


def test_files_for_tls_that_cannot_be_used_end_it_with_71(tmp_path: Path) -> None:
    """As dcmrecv since 3.6.8."""
    words = [*words_of(OURS, "dcmrecv"), "+tls", "missing", "missing", "-ic", "11112"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)

    assert done.returncode == 71, done
    assert done.stderr.startswith("F: ")


def test_it_speaks_tls(
    tmp_path: Path, dcmtk: Dcmtk, authority: Authority, archive_identity: Identity, modality: Identity
) -> None:
    trusted = ("+cf", authority.certificate)
    own = ("+tls", archive_identity.key, archive_identity.certificate, *trusted)
    with running(OURS, tmp_path, *own, name="dcmrecv") as scp:
        ran = dcmtk.run("echoscu", "+tls", modality.key, modality.certificate, *trusted, "localhost", scp.port)
        plain = dcmtk.run("echoscu", "-ta", "5", "127.0.0.1", scp.port)

    assert (ran.is_ok, plain.is_ok) == (True, False), ran


def test_it_takes_a_socket_of_systemd(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        script = (
            "import os, sys; os.dup2(int(sys.argv[1]), 3); os.set_inheritable(3, True); "
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); os.execv(sys.argv[2], sys.argv[2:])"
        )
        words = [
            sys.executable,
            "-c",
            script,
            str(listening.fileno()),
            *words_of(OURS, "dcmrecv"),
            "-od",
            str(tmp_path),
        ]
        process = subprocess.Popen(words, pass_fds=[listening.fileno()])
        try:
            scp = StorageScp(listening.getsockname()[1], tmp_path, None)  # type: ignore[arg-type]
            assert store(scp) == 0
        finally:
            process.terminate()
            process.wait(30)

    assert scp.files() == [f"SC.{instance().SOPInstanceUID}"]
