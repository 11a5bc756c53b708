"""Options of dcmqrscp with real clients: what DCMTK's dcmqrscp does with them, ours does, but for what is said here."""

import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from scripts.background import Background, descendants, free_port
from tests.fix_dcmtk import Dcmtk, Receiver
from tests.fix_instances import CT_SAMPLE, ct, instance, write
from tests.wire import conversation
from tests.wire.conversation import Peer
from tests.wire.dcmqrscp_site import CONFIGURATION, DCMQRSCP, OURS, serving
from tests.wire.raw_messages import BIG_ENDIAN, IMPLICIT, VERIFICATION, Proposed, Rejected
from tests.wire.raw_scu import RawScu
from tests.wire.running import becomes_true
from tests.wire.storage_scps import WITH_HOSTS_FILES

both = pytest.mark.parametrize("command", [DCMQRSCP, OURS], ids=["DCMTK's", "ours"])


def echo(dcmtk: Dcmtk, peer: Peer, *options: object) -> Any:
    return dcmtk.run("echoscu", "-v", "-aet", "MODALITY", "-aec", "ROOMY", *options, "127.0.0.1", peer.port)


def store(dcmtk: Dcmtk, peer: Peer, file: Path, *options: object) -> Any:
    return dcmtk.run("storescu", "-v", *options, "-aet", "MODALITY", "-aec", "ROOMY", "127.0.0.1", peer.port, file)


def with_receiver(receiver: Receiver) -> str:
    """The small site, and a storescp that it may move to."""
    line = f"receiver    = (RECEIVER, 127.0.0.1, {receiver.port})\n"
    return CONFIGURATION.replace("asleep      =", f"{line}asleep      =")


# Access control (tcp wrapper)


@pytest.mark.parametrize(
    "option, allow, deny, gets_in",
    [
        ("+ac", "", "dcmqrscp: ALL", False),
        ("+ac", "", "ALL: 127.0.0.0/255.0.0.0", False),
        ("+ac", "dcmqrscp: 127.", "ALL: ALL", True),
        ("+ac", "storescp: ALL", "ALL: ALL", False),
        ("+ac", "", "storescp: ALL", True),
        ("+ac", "", "ALL: ALL EXCEPT 127.0.0.1", True),
        ("-ac", "", "ALL: ALL", True),
    ],
)
def test_host_access_control_closes_the_connection_of_who_is_denied(
    tmp_path: Path, dcmtk: Dcmtk, option: str, allow: str, deny: str, gets_in: bool
) -> None:
    files = (tmp_path / "hosts.allow", tmp_path / "hosts.deny")
    for file, text in zip(files, (allow, deny), strict=True):
        file.write_text(f"# rules\n{text}\n")

    with serving((*WITH_HOSTS_FILES, *files, "dcmqrscp"), tmp_path / "site", option) as peer:
        ran = echo(dcmtk, peer)
        with RawScu(peer.port) as scu:  # not an A-ASSOCIATE-RJ: the connection ends
            answered = scu.socket.recv(1) if not gets_in else b"-"

    assert (ran.is_ok, answered) == (gets_in, b"-" if gets_in else b""), ran


def test_rules_that_cannot_be_obeyed_are_not_served(tmp_path: Path) -> None:
    files = (tmp_path / "hosts.allow", tmp_path / "hosts.deny")
    files[0].write_text("ALL: ALL: spawn (/bin/false)\n")
    configuration = tmp_path / "dcmqrscp.cfg"
    configuration.write_text(f"NetworkTCPPort = {free_port()}\n")

    words = [*WITH_HOSTS_FILES, *files, "dcmqrscp", "+ac", "-c", configuration]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)

    assert done.returncode == 10
    assert f"{files[0]}, line 1: " in done.stderr


# Association profiles

PROFILES = r"""[[TransferSyntaxes]]
[Implicit]
TransferSyntax1 = LittleEndianImplicit
[Lossless]
TransferSyntax1 = JPEGLossless:Non-hierarchical-1stOrderPrediction
[Both]
TransferSyntax1 = LittleEndianExplicit
TransferSyntax2 = LittleEndianImplicit
[[PresentationContexts]]
[Incoming]
PresentationContext1 = VerificationSOPClass\Both
PresentationContext2 = CTImageStorage\Implicit
PresentationContext3 = MOVEStudyRootQueryRetrieveInformationModel\Both
PresentationContext4 = FINDStudyRootQueryRetrieveInformationModel\Both
[Outgoing]
PresentationContext1 = CTImageStorage\Implicit
[[Profiles]]
[In]
PresentationContexts = Incoming
[Out]
PresentationContexts = Outgoing
"""


@both
def test_association_profiles_decide_what_is_accepted_and_proposed(
    tmp_path: Path, dcmtk: Dcmtk, start_storescp: Callable[..., Receiver], command: tuple[object, ...]
) -> None:
    profiles = tmp_path / "profiles.cfg"
    profiles.write_text(PROFILES)
    receiver = start_storescp("+xa", title="RECEIVER")
    configuration = with_receiver(receiver)
    other = write(instance(), tmp_path)

    with serving(command, tmp_path / "site", "-xf", profiles, "in", "OUT", configuration=configuration) as peer:
        assert echo(dcmtk, peer).is_ok
        stored = store(dcmtk, peer, CT_SAMPLE)
        refused = store(dcmtk, peer, other)
        keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={dcmread(CT_SAMPLE).StudyInstanceUID}")
        titles = ("-aet", "MODALITY", "-aec", "ROOMY", "-aem", "RECEIVER")
        moved = dcmtk.run("movescu", "-v", "-S", *titles, *keys, "127.0.0.1", peer.port)

    assert stored.is_ok, stored
    assert "No valid Presentation Context ID" in refused.output, refused
    assert moved.is_ok, moved
    (received,) = receiver.files()
    assert dcmread(received).file_meta.TransferSyntaxUID == IMPLICIT


# Processes


@pytest.mark.parametrize(
    "options, workers", [(["-s"], 1), (["-s", "--fork"], 3), ([], 3), (["--fork", "--single-process"], 1)]
)
def test_a_single_process_serves_and_many_do(tmp_path: Path, dcmtk: Dcmtk, options: list[str], workers: int) -> None:
    """Beside the workers there is one process that keeps house."""
    with serving(OURS, tmp_path, *options, environment={"ARCHIVE_WORKERS": "3"}) as peer:
        with RawScu(peer.port) as scu:  # DCMTK's single process would let the next one wait for the end of this one
            scu.associate((Proposed(VERIFICATION),), called="ROOMY", calling="MODALITY")
            ran = echo(dcmtk, peer)
            scu.release()

        assert ran.is_ok, ran
        # The port is open before all of them have started.
        assert becomes_true(lambda: len(descendants(peer.process.pid)) == workers + 1)


# Character sets of answers

LATIN = ("ISO_IR 100", "Müller^Françoise")


@pytest.mark.parametrize(
    "options, asked, character_set, name",
    [
        (["-Cr", "+U8"], "ISO_IR 100", "ISO_IR 192", LATIN[1]),
        (["+U8"], "ISO_IR 100", "ISO_IR 100", LATIN[1]),
        (["-Cr", "+L1"], "ISO_IR 192", "ISO_IR 100", LATIN[1]),
        (["-Cr", "+C", "ISO_IR 148"], "ISO_IR 192", "ISO_IR 148", LATIN[1]),
        (["+L1", "+Cr"], "ISO_IR 192", "ISO_IR 192", LATIN[1]),
    ],
)
def test_an_answer_is_in_the_character_set_that_options_say(
    tmp_path: Path, dcmtk: Dcmtk, options: list[str], asked: str, character_set: str, name: str
) -> None:
    held = write(instance(SpecificCharacterSet=LATIN[0], PatientName=name, side_pixels=0), tmp_path)
    answers = []
    for number, command in enumerate((DCMQRSCP, OURS)):
        with serving(command, tmp_path / str(number), *options) as peer:
            assert store(dcmtk, peer, held).is_ok
            ran, found = dcmtk.find(
                peer.port, "QueryRetrieveLevel=STUDY", "PatientName", f"SpecificCharacterSet={asked}",
                called="ROOMY", options=("-aet", "MODALITY"),
            )  # fmt: skip
            assert ran.is_ok, ran
        answers += [(each.SpecificCharacterSet, str(each.PatientName)) for each in found]

    assert answers == [(character_set, name)] * 2


@pytest.mark.parametrize(
    "options, name", [(["-Cr", "+A7", "-Ct"], "Muller^Francoise"), (["-Cr", "+A7", "-Cd"], "Mller^Franoise")]
)
def test_what_fits_no_set_is_transliterated_or_left_out(
    tmp_path: Path, dcmtk: Dcmtk, options: list[str], name: str
) -> None:
    """Debian's dcmqrscp has the iconv of the C library, which does neither for it."""
    held = write(instance(SpecificCharacterSet=LATIN[0], PatientName=LATIN[1], side_pixels=0), tmp_path)
    with serving(OURS, tmp_path / "site", *options) as peer:
        assert store(dcmtk, peer, held).is_ok
        ran, found = dcmtk.find(
            peer.port, "QueryRetrieveLevel=STUDY", "PatientName", called="ROOMY", options=("-aet", "MODALITY")
        )

    assert ran.is_ok, ran
    assert [str(each.PatientName) for each in found] == [name]


# Other options, with the words of DCMTK's clients


@pytest.mark.parametrize(
    "options, said",
    [
        (["-pdu", "8192"], "Association Accepted (Max Send PDV: 8180)"),
        ([], "Association Accepted (Max Send PDV: 16372)"),
        (["--refuse"], "Rejected Permanent, Source: Service User"),
    ],
)
def test_echoscu_hears_the_same_of_both(tmp_path: Path, dcmtk: Dcmtk, options: list[str], said: str) -> None:
    for number, command in enumerate((DCMQRSCP, OURS)):
        with serving(command, tmp_path / str(number), *options) as peer:
            assert said in echo(dcmtk, peer).output


@both
def test_a_caller_without_implementation_uid_is_rejected_where_asked(
    tmp_path: Path, command: tuple[object, ...]
) -> None:
    def asks(peer: Peer) -> tuple[int, int, int] | None:
        with RawScu(peer.port) as scu:
            try:
                scu.associate(
                    (Proposed(VERIFICATION),), called="ROOMY", calling="MODALITY", implementation_class_uid=""
                )
            except Rejected as rejected:
                return rejected.why
            scu.release()
        return None

    with serving(command, tmp_path / "asked", "--reject") as peer:
        assert asks(peer) == (1, 1, 1)
    with serving(command, tmp_path / "not") as peer:
        assert asks(peer) is None


@both
@pytest.mark.parametrize(
    "option, model, is_served",
    [("-QP", "-P", False), ("-QP", "-S", True), ("-QS", "-S", False), ("-QO", "-O", False), ("-QO", "-P", True)],
)
def test_findscu_finds_in_the_models_that_are_on(
    tmp_path: Path, dcmtk: Dcmtk, command: tuple[object, ...], option: str, model: str, is_served: bool
) -> None:
    with serving(command, tmp_path, option) as peer:
        ran, _ = dcmtk.find(
            peer.port, "QueryRetrieveLevel=STUDY", "StudyInstanceUID", "PatientID=X",
            model=model, called="ROOMY", options=("-aet", "MODALITY"),
        )  # fmt: skip

    assert ("No Acceptable Presentation Contexts" in ran.output) == (not is_served), ran


@both
@pytest.mark.parametrize("option, is_taken", [("+xs", True), ("+xy", False), ("+x=", False)])
def test_storescu_sends_compressed_where_that_is_preferred(
    tmp_path: Path, dcmtk: Dcmtk, command: tuple[object, ...], option: str, is_taken: bool
) -> None:
    image = write(ct(), tmp_path)
    compressed = tmp_path / "lossless.dcm"
    made = dcmtk.run("dcmcjpeg", "+e1", image, compressed)
    assert made.is_ok, made

    with serving(command, tmp_path / "site", option) as peer:
        ran = store(dcmtk, peer, compressed, "-xs")

    assert ran.is_ok == is_taken, ran


@both
@pytest.mark.parametrize("option, syntax", [("-xi", IMPLICIT), ("-xb", BIG_ENDIAN)])
def test_storescp_is_offered_what_options_say(
    tmp_path: Path,
    dcmtk: Dcmtk,
    start_storescp: Callable[..., Receiver],
    command: tuple[object, ...],
    option: str,
    syntax: str,
) -> None:
    receiver = start_storescp("+xb", title="RECEIVER")
    configuration = with_receiver(receiver)
    held = conversation.small()
    with serving(command, tmp_path, option, configuration=configuration) as peer:
        assert peer.store(held) == [0]
        keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={held.StudyInstanceUID}")
        titles = ("-aet", "MODALITY", "-aec", "ROOMY", "-aem", "RECEIVER")
        moved = dcmtk.run("movescu", "-v", "-S", *titles, *keys, "127.0.0.1", peer.port)

    assert moved.is_ok, moved
    (received,) = receiver.files()
    assert dcmread(received).file_meta.TransferSyntaxUID == syntax


@both
def test_one_association_more_than_allowed_is_rejected_for_now(
    tmp_path: Path, dcmtk: Dcmtk, command: tuple[object, ...]
) -> None:
    configuration = CONFIGURATION.replace("MaxAssociations = 16", "MaxAssociations = 1")
    with serving(command, tmp_path, configuration=configuration) as peer, RawScu(peer.port) as scu:
        scu.associate((Proposed(VERIFICATION),), called="ROOMY", calling="MODALITY")
        ran = echo(dcmtk, peer)
        scu.release()

    assert "Rejected Transient" in ran.output, ran
    assert "Local Limit Exceeded" in ran.output, ran


@pytest.mark.parametrize("option, answers", [("-i4", "4"), ("-i6", "6"), ("-i0", "46")])
def test_it_listens_by_the_versions_of_ip_that_are_asked_for(tmp_path: Path, option: str, answers: str) -> None:
    hosts = {"4": "127.0.0.1", "6": "::1"}
    with serving(OURS, tmp_path, option, host=hosts[answers[0]]) as peer:
        heard = {version: _connects(host, peer.port) for version, host in hosts.items()}

    assert heard == {version: version in answers for version in hosts}


def _connects(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=30).close()
    except ConnectionRefusedError:
        return False
    return True


@both
def test_a_port_that_is_taken_ends_with_10(tmp_path: Path, command: tuple[object, ...]) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        configuration = tmp_path / "dcmqrscp.cfg"
        configuration.write_text("MaxPDUSize = 16384\n")
        words = [*command, "-c", configuration, taken.getsockname()[1]]
        done = subprocess.run(list(map(str, words)), capture_output=True, check=False)

    assert done.returncode == 10, done


@both
def test_the_port_of_the_command_line_counts_before_that_of_the_file(
    tmp_path: Path, dcmtk: Dcmtk, command: tuple[object, ...]
) -> None:
    port, other = free_port(), free_port()
    configuration = tmp_path / "dcmqrscp.cfg"
    (tmp_path / "area").mkdir()
    configuration.write_text(
        f"NetworkTCPPort = {other}\nAETable BEGIN\nROOMY {tmp_path}/area RW (9, 9mb) ANY\nAETable END\n"
    )
    process = Background(list(map(str, (*command, "-c", configuration, port))), tmp_path / "log")
    try:
        process.wait_listening(port)
        assert dcmtk.echo(port, called="ROOMY").is_ok
        assert not _connects("127.0.0.1", other)
    finally:
        process.stop()
