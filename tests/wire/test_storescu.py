"""storescu, ours, with real receivers and odd ones; beside DCMTK's where both must do the same."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import FileDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from tests.fix_dcmtk import Receiver
from tests.fix_instances import BUNDLED_FOLDER, ct, data_set_bytes, encoded, instance, part10_bytes, uid, write
from tests.wire.real_dcmqrscp import TITLE, RealDcmqrscp
from tests.wire.receivers import Destination, pynetdicom_scp
from tests.wire.running import Archive
from tests.wire.same_content import same_content
from tests.wire.sending import several, sop_instance_uids, storescu
from tests.wire.storage_scps import DCMTK, OURS, both, running, words_of

# pynetdicom leaves its socket to be closed by whoever comes when a peer is gone at once. No socket of ours is in this
# process: storescu runs in one of its own.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")

CT, SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.7"
COMPREHENSIVE_3D_SR = "1.2.840.10008.5.1.4.1.1.88.34"  # not among those that are proposed unless files need it
JPEG = BUNDLED_FOLDER / "SC_rgb_jpeg_dcmtk.dcm"


# What goes out


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("make", [instance, ct])
def test_the_bytes_of_a_file_come_out_at_storescp(
    storescp: Receiver, tmp_path: Path, make: Callable[..., FileDataset], syntax: str
) -> None:
    path = write(make(transfer_syntax=syntax), tmp_path)
    options = {str(ImplicitVRLittleEndian): "-xi", str(ExplicitVRBigEndian): "-xb"}.get(syntax, "-xe")

    ran = storescu("-v", options, "localhost", storescp.port, path)

    assert ran.is_ok, ran
    [received] = storescp.files()
    assert data_set_bytes(received) == data_set_bytes(path)
    assert "I: Received Store Response (Success)" in ran.output


def test_a_compressed_data_set_goes_out_as_it_is(storescp: Receiver) -> None:
    ran = storescu("-xy", "localhost", storescp.port, JPEG)

    assert ran.is_ok, ran
    assert data_set_bytes(storescp.files()[0]) == data_set_bytes(JPEG)


@pytest.mark.parametrize("command", [DCMTK, OURS], ids=["DCMTK's", "ours"])
@pytest.mark.parametrize(
    "held, options, taken",
    [
        (ExplicitVRLittleEndian, (), ImplicitVRLittleEndian),
        (ImplicitVRLittleEndian, (), ExplicitVRLittleEndian),
        (ExplicitVRBigEndian, (), ExplicitVRLittleEndian),
        (DeflatedExplicitVRLittleEndian, (), ExplicitVRLittleEndian),
        (ExplicitVRLittleEndian, ("-xb",), ExplicitVRBigEndian),
        (ExplicitVRLittleEndian, ("-xd",), DeflatedExplicitVRLittleEndian),
        (ExplicitVRLittleEndian, ("-xi",), ImplicitVRLittleEndian),
    ],
)
def test_uncompressed_data_sets_are_converted_to_what_the_peer_takes(
    tmp_path: Path, command: tuple[str, ...], held: str, options: tuple[str, ...], taken: str
) -> None:
    path = write(ct(transfer_syntax=held), tmp_path)
    with pynetdicom_scp(transfer_syntaxes=[taken]) as peer:
        ran = storescu(*options, "localhost", peer.port, path, command=command)

    assert ran.is_ok, ran
    [received] = peer.received
    assert received.transfer_syntax == taken
    same_content(data_set_bytes(path), held, received.data_set, taken)


@both
def test_a_compressed_data_set_is_not_sent_to_who_cannot_take_it(tmp_path: Path, command: tuple[str, ...]) -> None:
    with pynetdicom_scp() as peer:
        ran = storescu("localhost", peer.port, JPEG, command=command)

    assert ran.code == 1, ran
    assert peer.received == []


@both
def test_later_vrs_become_ob(tmp_path: Path, command: tuple[str, ...]) -> None:
    data_set = instance()
    data_set.add_new(0x00080119, "UC", "Long code")
    path = write(data_set, tmp_path)
    with pynetdicom_scp() as peer:
        ran = storescu("-u", "localhost", peer.port, path, command=command)

    assert ran.is_ok, ran
    assert b"\x08\x00\x19\x01OB" in peer.received[0].data_set


def test_the_archive_takes_what_is_sent(archive: Archive, tmp_path: Path) -> None:
    paths = several(tmp_path / "in", 20)

    ran = storescu("-aec", archive.title, "--parallel", 4, "localhost", archive.port, *paths)

    assert ran.is_ok, ran
    assert archive.fetch(uid("study", 1, 1)) == {
        name: data_set_bytes(path) for name, path in zip(sop_instance_uids(paths), paths, strict=True)
    }


@pytest.mark.parametrize("program", ["storescp", "dcmrecv"])
@pytest.mark.parametrize("command", [DCMTK, OURS], ids=["DCMTK's receiver", "our receiver"])
def test_receivers_take_all_of_a_folder(tmp_path: Path, command: tuple[str, ...], program: str) -> None:
    paths = several(tmp_path / "in", 10)
    profile = ("-xf", "/etc/dcmtk/storescp.cfg", "Default") if program == "dcmrecv" else ()
    with running(command, tmp_path, *profile, name=program) as receiver:
        ran = storescu("+sd", "localhost", receiver.port, tmp_path / "in")

        assert ran.is_ok, ran
        assert receiver.files() == sorted(f"SC.{name}" for name in sop_instance_uids(paths))


def test_dcmqrscp_takes_what_is_sent(start_dcmqrscp: Callable[..., RealDcmqrscp], tmp_path: Path) -> None:
    peer = start_dcmqrscp()
    paths = several(tmp_path / "in")

    ran = storescu("-aec", TITLE, "localhost", peer.port, *paths)

    assert ran.is_ok, ran


def test_a_large_instance_takes_no_more_memory_than_a_small_one(storescp: Receiver, tmp_path: Path) -> None:
    def peak_kib(side_pixels: int) -> int:
        path = write(ct(side_pixels=side_pixels), tmp_path)
        program = (
            "import resource, subprocess, sys; "
            "code = subprocess.run(sys.argv[1:]).returncode; "
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"
        )
        command = [*words_of(OURS, "storescu"), "localhost", str(storescp.port), str(path)]
        ran = subprocess.run([sys.executable, "-c", program, *command], capture_output=True, text=True, check=True)
        return int(ran.stdout)

    assert peak_kib(8192) < peak_kib(64) + 16_384  # the file has 128 MiB


# What is proposed


def proposed_by(command: tuple[str, ...], *arguments: object) -> list[tuple[str, tuple[str, ...]]]:
    with pynetdicom_scp() as peer:
        storescu(*arguments[:-1], "localhost", peer.port, arguments[-1], command=command)
    return [(each.abstract_syntax, each.transfer_syntaxes) for each in peer.proposed]


_PRESETS = "=ebisyxvwtumhnl23o45rd"


@pytest.mark.parametrize(
    "options", [*((f"-x{each}",) for each in _PRESETS), ("-xs", "+C"), ("-R",), ("-R", "+C", "-xy")]
)
def test_what_is_proposed_is_what_dcmtks_proposes(tmp_path: Path, options: tuple[str, ...]) -> None:
    path = write(instance(), tmp_path)

    assert proposed_by(OURS, *options, path) == proposed_by(DCMTK, *options, path)


def test_a_profile_says_what_is_proposed(tmp_path: Path) -> None:
    path, profile = write(instance(), tmp_path), tmp_path / "profiles.cfg"
    profile.write_text(
        "[[TransferSyntaxes]]\n[Own]\nTransferSyntax1 = LittleEndianImplicit\n"
        f"[[PresentationContexts]]\n[Own]\nPresentationContext1 = {SECONDARY_CAPTURE}\\Own\n"
        f"[[SCPSCURoleSelection]]\n[Own]\nRole1 = {SECONDARY_CAPTURE}\\BOTH\n"
        f"[[ExtendedNegotiation]]\n[Own]\nExtendedNegotiation1 = {SECONDARY_CAPTURE}\\0102\n"
        "[[Profiles]]\n[Own]\nPresentationContexts = Own\nSCPSCURoleSelection = Own\nExtendedNegotiation = Own\n"
    )
    proposals: list[Destination] = []
    for command in (DCMTK, OURS):
        with pynetdicom_scp(roles=(True, True)) as peer:
            ran = storescu("-xf", profile, "own", "localhost", peer.port, path, command=command)
        assert ran.is_ok, ran
        proposals.append(peer)

    theirs, ours = proposals
    assert ours.proposed == theirs.proposed
    assert ours.proposed_roles == theirs.proposed_roles == {SECONDARY_CAPTURE: (True, True)}
    assert ours.proposed_extended == theirs.proposed_extended == {SECONDARY_CAPTURE: b"\x01\x02"}
    assert [each.transfer_syntax for each in ours.received] == [ImplicitVRLittleEndian]


@both
@pytest.mark.parametrize("content", ["", "nonsense = 1\n"])
def test_a_profile_that_is_not_there_or_cannot_be_read_is_a_mistake(
    tmp_path: Path, command: tuple[str, ...], content: str
) -> None:
    profile = tmp_path / "profiles.cfg"
    if content:
        profile.write_text(content)

    ran = storescu("-xf", profile, "own", "localhost", "104", write(instance(), tmp_path), command=command)

    assert ran.code == 1, ran


def test_a_class_that_is_not_among_the_usual_ones_gets_an_association_of_its_own(tmp_path: Path) -> None:
    paths = [
        write(instance(number=1, SOPClassUID=COMPREHENSIVE_3D_SR), tmp_path),
        write(instance(number=2), tmp_path),
    ]
    with pynetdicom_scp() as peer:
        ran = storescu("localhost", peer.port, *paths)

    assert ran.is_ok, ran
    assert [each.sop_instance_uid for each in peer.received] == [uid("instance", 1, 1, 1, n) for n in (2, 1)]
    assert peer.associations == 2


def test_more_classes_than_an_association_has_contexts_for_go_over_several(tmp_path: Path) -> None:
    from archive.dicom.uids import STORAGE_SOP_CLASSES

    known = set()
    with pynetdicom_scp() as peer:
        from pynetdicom.presentation import AllStoragePresentationContexts

        known = {str(each.abstract_syntax) for each in AllStoragePresentationContexts} & set(STORAGE_SOP_CLASSES)
        sop_classes = sorted(known)[:100]
        for number, sop_class in enumerate(sop_classes):
            data_set = instance(number=number, side_pixels=0, SOPClassUID=sop_class)
            (tmp_path / f"{number:03}.dcm").write_bytes(part10_bytes(data_set))
        ran = storescu("-R", "+sd", "+sp", "*.dcm", "localhost", peer.port, tmp_path)

    assert ran.is_ok, ran
    assert len(peer.received) == 100
    assert peer.associations == 2


@both
def test_a_private_class_is_proposed_by_a_profile_only(tmp_path: Path, command: tuple[str, ...]) -> None:
    path = write(instance(SOPClassUID="1.2.3.4.5"), tmp_path)
    with pynetdicom_scp() as peer:
        without = storescu("localhost", peer.port, path, command=command)
        required = storescu("-R", "localhost", peer.port, path, command=command)

    assert (without.code, required.code) == (1, 1)
    assert "No presentation context for: " in without.output
    assert "unknown storage SOP class in file" in required.output


# Which files


@both
def test_folders_are_searched_as_asked_for(tmp_path: Path, command: tuple[str, ...]) -> None:
    top = tmp_path / "in"
    several(top, 2)
    (top / "below").mkdir()
    (top / "below" / "deep.dcm").write_bytes(part10_bytes(instance(number=7)))
    (top / "other.img").write_bytes(part10_bytes(instance(number=8)))

    def numbers(*options: str) -> set[str]:
        with pynetdicom_scp() as peer:
            ran = storescu(*options, "localhost", peer.port, top, command=command)
        assert ran.is_ok, ran
        return {each.sop_instance_uid for each in peer.received}

    def of(*numbers: int) -> set[str]:
        return {uid("instance", 1, 1, 1, number) for number in numbers}

    assert numbers("+sd") == of(0, 1, 8)
    assert numbers("+sd", "+r") == of(0, 1, 7, 8)
    assert numbers("+sd", "+r", "+sp", "*.dcm") == of(0, 1, 7)
    assert numbers("+sd", "+r", "-r") == of(0, 1, 8)


@both
def test_a_folder_without_a_search_and_an_empty_one_are_no_input(tmp_path: Path, command: tuple[str, ...]) -> None:
    for options in ((), ("+sd",)):
        ran = storescu(*options, "localhost", "104", tmp_path, command=command)

        assert ran.code == 1, ran
        assert "F: no input files to be sent" in ran.output


@both
def test_a_file_that_is_not_there_keeps_all_others_from_being_sent(tmp_path: Path, command: tuple[str, ...]) -> None:
    paths = several(tmp_path)
    with pynetdicom_scp() as peer:
        ran = storescu("localhost", peer.port, paths[0], tmp_path / "gone", command=command)

    assert ran.code == 1, ran
    assert "F: cannot access file: " in ran.output
    assert peer.associations == 0


@both
def test_without_a_halt_the_others_are_sent(tmp_path: Path, command: tuple[str, ...]) -> None:
    paths = several(tmp_path / "in")
    text = tmp_path / "text"
    text.write_text("no DICOM file")
    with pynetdicom_scp() as peer:
        ran = storescu("-nh", "localhost", peer.port, paths[0], tmp_path / "gone", text, *paths[1:], command=command)

    assert [each.sop_instance_uid for each in peer.received] == sop_instance_uids(paths)
    assert "W: cannot access file: " in ran.output
    assert "E: Bad DICOM file: " in ran.output
    assert ran.code == (0 if command == DCMTK else 1), ran  # ours does not say that all is well
    assert command == DCMTK or "E: 2 of 5 files were not sent" in ran.output


@both
def test_a_file_that_is_no_instance_ends_it(tmp_path: Path, command: tuple[str, ...]) -> None:
    paths = several(tmp_path / "in")
    text = tmp_path / "text"
    text.write_text("no DICOM file")
    with pynetdicom_scp() as peer:
        ran = storescu("-v", "localhost", peer.port, paths[0], text, paths[1], command=command)

    assert ran.code == 1, ran
    assert [each.sop_instance_uid for each in peer.received] == sop_instance_uids(paths[:1])
    assert "I: Aborting Association" in ran.output


@pytest.mark.parametrize(
    "content",
    [b"", b"text", bytes(128) + b"DICM", part10_bytes(instance())[:-1], part10_bytes(instance())[:400]],
    ids=["empty", "text", "no elements", "cut by a byte", "cut in the header"],
)
@both
def test_what_cannot_be_sent_whole_is_not_sent(tmp_path: Path, command: tuple[str, ...], content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pynetdicom_scp() as peer:
        ran = storescu("localhost", peer.port, path, command=command)

    assert ran.code == 1, ran
    assert peer.received == []


def test_what_a_search_finds_beside_instances_is_passed_over(tmp_path: Path) -> None:
    top = tmp_path / "in"
    paths = several(top)
    (top / "README").write_text("no DICOM file")
    (top / "empty").write_bytes(b"")
    (top / "DICOMDIR").write_bytes((BUNDLED_FOLDER / "dicomdirtests" / "DICOMDIR").read_bytes())
    os.mkfifo(top / "pipe")
    (top / "dangling").symlink_to("nowhere")
    (top / "loop").symlink_to(".")
    for options in ((), ("-R",)):
        with pynetdicom_scp() as peer:
            ran = storescu("+sd", "+r", *options, "localhost", peer.port, top)

        assert ran.is_ok, ran
        assert [each.sop_instance_uid for each in peer.received] == sop_instance_uids(paths)
        assert ran.output.count("W: ignoring") == 5


def test_a_damaged_instance_that_a_search_finds_is_not_passed_over(tmp_path: Path) -> None:
    several(tmp_path)
    (tmp_path / "000.dcm").write_bytes(part10_bytes(instance())[:-1])
    with pynetdicom_scp() as peer:
        ran = storescu("+sd", "localhost", peer.port, tmp_path)

    assert ran.code == 1, ran
    assert "The file ends before its pixels do" in ran.output


def test_names_with_control_characters_are_shown_without_them(tmp_path: Path) -> None:
    path = tmp_path / "evil\n\x1b[2Jname"
    path.write_bytes(part10_bytes(instance()))
    odd = os.fsencode(tmp_path) + b"/\xff\xfe.dcm"
    Path(os.fsdecode(odd)).write_bytes(part10_bytes(instance(number=2)))
    with pynetdicom_scp() as peer:
        ran = storescu("-v", "localhost", peer.port, path, os.fsdecode(odd))

    assert ran.is_ok, ran
    assert len(peer.received) == 2
    assert "evil\\x0a\\x1b[2Jname" in ran.output


@both
def test_a_form_that_is_not_asked_for_is_not_sent(tmp_path: Path, command: tuple[str, ...]) -> None:
    file, bare = write(instance(), tmp_path), tmp_path / "bare"
    bare.write_bytes(encoded(instance(number=2)))

    def code(*arguments: object) -> int:
        return storescu(arguments[0], "localhost", peer.port, arguments[1], command=command).code

    with pynetdicom_scp() as peer:
        assert [code(option, path) for option in ("+f", "+fo", "-f") for path in (file, bare)] == [0, 0, 0, 1, 1, 0]


@both
def test_files_are_renamed_by_how_it_went(tmp_path: Path, command: tuple[str, ...]) -> None:
    paths = several(tmp_path / "in")
    text = tmp_path / "in" / "text"
    text.write_text("no DICOM file")
    with pynetdicom_scp(answer=lambda event, before: 0xA700 if before == 1 else 0) as peer:
        storescu("-nh", "+rn", "localhost", peer.port, *paths, text, command=command)

    names = sorted(path.name for path in (tmp_path / "in").iterdir())
    assert names == ["000.dcm.done", "001.dcm.bad", "002.dcm.done", "text.bad"]


def test_a_file_that_has_the_new_name_is_left_alone(tmp_path: Path) -> None:
    [path] = several(tmp_path / "in", 1)
    taken = tmp_path / "in" / "000.dcm.done"
    taken.write_text("from before")
    with pynetdicom_scp() as peer:
        ran = storescu("+rn", "localhost", peer.port, path)

    assert ran.is_ok, ran
    assert "cannot rename file" in ran.output
    assert (path.exists(), taken.read_text()) == (True, "from before")
