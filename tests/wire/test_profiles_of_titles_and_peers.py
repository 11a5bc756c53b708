"""Titles that accept and C-MOVEs that propose by an association profile; beside dcmqrscp with the same file."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmread

from archive.registry import association_profiles, changes
from archive.registry.association_profiles import AssociationProfile, ProfileRole
from tests.fix_dcmtk import Dcmtk, ExitCode, Receiver
from tests.fix_instances import BUNDLED_FOLDER, instance
from tests.wire.raw_messages import (
    BIG_ENDIAN,
    CT_IMAGE,
    EXPLICIT,
    IMPLICIT,
    PATIENT_ROOT_FIND,
    SECONDARY_CAPTURE,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
    Proposed,
)
from tests.wire.raw_scu import RawScu
from tests.wire.real_dcmqrscp import RealDcmqrscp
from tests.wire.receivers import pynetdicom_scp
from tests.wire.running import Archive, identifier

JPEG_BASELINE, RLE = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.5"
MR_IMAGE, WORKLIST = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.31"
DICOS_CT = "1.2.840.10008.5.1.4.1.1.501.1"  # a storage class that is in no profile of DCMTK's

FILE = r"""[[TransferSyntaxes]]
[Baseline]
TransferSyntax1 = JPEGBaseline
TransferSyntax2 = LittleEndianExplicit
[Big]
TransferSyntax1 = BigEndianExplicit
TransferSyntax2 = LittleEndianImplicit
[Implicit]
TransferSyntax1 = LittleEndianImplicit

[[PresentationContexts]]
[In]
PresentationContext1 = VerificationSOPClass\Implicit
PresentationContext2 = CTImageStorage\Baseline
PresentationContext3 = MRImageStorage\Big
PresentationContext4 = SecondaryCaptureImageStorage\Big
PresentationContext5 = FINDStudyRootQueryRetrieveInformationModel\Big
PresentationContext6 = GETStudyRootQueryRetrieveInformationModel\Implicit
[Whole]
PresentationContext1 = SecondaryCaptureImageStorage\Baseline
PresentationContext2 = MRImageStorage\Baseline
PresentationContext3 = MOVEStudyRootQueryRetrieveInformationModel\Implicit
[Out]
PresentationContext1 = SecondaryCaptureImageStorage\Big
PresentationContext2 = SecondaryCaptureImageStorage\Baseline
PresentationContext3 = CTImageStorage\Implicit

[[SCPSCURoleSelection]]
[In]
Role1 = MRImageStorage\BOTH
Role2 = CTImageStorage\SCP
[Out]
Role1 = CTImageStorage\BOTH

[[ExtendedNegotiation]]
[In]
ExtendedNegotiation1 = CTImageStorage\0200
ExtendedNegotiation2 = FINDStudyRootQueryRetrieveInformationModel\0001
[Out]
ExtendedNegotiation1 = CTImageStorage\0300

[[Profiles]]
[In]
PresentationContexts = In
SCPSCURoleSelection = In
ExtendedNegotiation = In
[Plain]
PresentationContexts = In
[Whole]
PresentationContexts = Whole
[Out]
PresentationContexts = Out
SCPSCURoleSelection = Out
ExtendedNegotiation = Out
"""

CONTEXTS = (
    Proposed(VERIFICATION, (EXPLICIT, IMPLICIT)),
    Proposed(VERIFICATION, (EXPLICIT,)),
    Proposed(CT_IMAGE, (IMPLICIT, EXPLICIT, JPEG_BASELINE)),
    Proposed(MR_IMAGE, (IMPLICIT, BIG_ENDIAN)),
    Proposed(SECONDARY_CAPTURE, (IMPLICIT, EXPLICIT)),
    Proposed(SECONDARY_CAPTURE, (RLE,)),
    Proposed(STUDY_ROOT_FIND, (IMPLICIT, BIG_ENDIAN)),
    Proposed(STUDY_ROOT_MOVE),
    Proposed(STUDY_ROOT_GET),
    Proposed(WORKLIST),
)


def profiles() -> tuple[AssociationProfile, ...]:
    return association_profiles.read(FILE.encode(), "profiles.cfg").profiles


@pytest.fixture
def profiled(archive: Archive) -> Archive:
    """The archive with the profiles of the file."""

    def work(connection) -> None:
        for profile in profiles():
            changes.put_profile(connection, profile)

    archive.change(work)
    return archive


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "profiles.cfg"
    path.write_text(FILE)
    return path


def agreed(scu: RawScu) -> tuple[dict[int, str], Mapping[str, list[int]]]:
    """The transfer syntaxes by context ID, and every result."""
    with scu:
        accepted = {each.context_id: each.transfer_syntax for each in scu.accepted}
        scu.release()
    return accepted, scu.results


def test_a_title_with_a_profile_stores_what_that_says_and_nothing_else(
    profiled: Archive, start_dcmqrscp: Callable[..., RealDcmqrscp], file: Path
) -> None:
    profiled.set_title(profiled.title, profile="Plain")
    contexts = [each for each in CONTEXTS if each.abstract_syntax not in (VERIFICATION, STUDY_ROOT_GET)]

    accepted, results = agreed(profiled.associate(*contexts, Proposed(PATIENT_ROOT_FIND)))

    assert accepted == {
        1: JPEG_BASELINE,
        3: BIG_ENDIAN,
        5: IMPLICIT,
        9: BIG_ENDIAN,
        11: EXPLICIT,  # services that the profile does not name are there as without it
        15: EXPLICIT,
    }
    assert results == {
        CT_IMAGE: [0],
        MR_IMAGE: [0],
        SECONDARY_CAPTURE: [0, 4],
        STUDY_ROOT_FIND: [0],
        STUDY_ROOT_MOVE: [0],
        WORKLIST: [3],
        PATIENT_ROOT_FIND: [0],
    }
    real = start_dcmqrscp("-xf", file, "Plain", "Out")
    assert agreed(real.associate(*contexts, Proposed(PATIENT_ROOT_FIND))) == (accepted, results)


def test_services_that_the_profile_names_go_by_it(profiled: Archive) -> None:
    profiled.set_title(profiled.title, profile="Plain")

    accepted, results = agreed(profiled.associate(*CONTEXTS))

    assert (accepted[1], accepted[17]) == (IMPLICIT, IMPLICIT)
    assert results[VERIFICATION] == [0, 4]


def test_roles_are_those_of_the_profile(profiled: Archive) -> None:
    profiled.set_title(profiled.title, profile="In")
    roles = dict.fromkeys((CT_IMAGE, MR_IMAGE, SECONDARY_CAPTURE), (1, 1))

    with profiled.associate(*CONTEXTS, roles=roles) as scu:
        assert scu.roles == {CT_IMAGE: (0, 1), MR_IMAGE: (1, 1), SECONDARY_CAPTURE: (1, 0)}
        scu.release()
    with profiled.associate(*CONTEXTS) as scu:  # without an item the requestor is SCU, which CT does not allow
        assert scu.results[CT_IMAGE] == [1]
        assert scu.results[MR_IMAGE] == [0]
        scu.release()


def test_access_still_decides_what_a_caller_may_do(profiled: Archive) -> None:
    reader = profiled.add_title("R", area=profiled.title.area)
    profiled.set_title(reader, profile="Plain")

    _, results = agreed(profiled.associate(*CONTEXTS, title=reader))

    assert (results[SECONDARY_CAPTURE], results[STUDY_ROOT_FIND], results[WORKLIST]) == ([1, 1], [0], [3])


def test_extended_negotiation_is_that_of_the_profile_as_far_as_we_do_it(profiled: Archive) -> None:
    extended = {CT_IMAGE: b"\3\1\1", STUDY_ROOT_FIND: b"\1\1\1", STUDY_ROOT_GET: b"\1"}
    roles = {CT_IMAGE: (1, 1)}
    for profile, answered in (
        ("In", {CT_IMAGE: b"\2\0", STUDY_ROOT_FIND: b"\0\1", STUDY_ROOT_GET: b"\1"}),
        ("Plain", {STUDY_ROOT_FIND: b"\1\1\0", STUDY_ROOT_GET: b"\1"}),
        (None, {STUDY_ROOT_FIND: b"\1\1\0", STUDY_ROOT_GET: b"\1"}),
    ):
        profiled.set_title(profiled.title, profile=profile)

        with profiled.associate(*CONTEXTS, extended=extended, roles=roles) as scu:
            assert scu.extended == answered, profile
            scu.release()


def test_relational_queries_are_not_made_where_the_profile_declines_them(profiled: Archive) -> None:
    for profile, status in (("In", 0xC000), (None, 0x0000)):
        profiled.set_title(profiled.title, profile=profile)
        with profiled.associate(Proposed(STUDY_ROOT_FIND, (IMPLICIT,)), extended={STUDY_ROOT_FIND: b"\1\1"}) as scu:
            asked = identifier(IMPLICIT, QueryRetrieveLevel="SERIES", Modality="OT")
            assert scu.find(STUDY_ROOT_FIND, asked)[-1].status == status
            scu.release()


def test_storescu_stores_by_the_profiles_that_come_with_dcmtk(
    archive: Archive, dcmtk: Dcmtk, files_of: Callable[..., list[Path]]
) -> None:
    file = Path("/etc/dcmtk/storescp.cfg")
    reading = association_profiles.read(file.read_bytes(), str(file))
    archive.change(lambda connection: [changes.put_profile(connection, each) for each in reading.profiles])
    compressed = BUNDLED_FOLDER / "MR_small_jp2klossless.dcm"
    for profile in ("Default", "AllDICOM"):
        archive.set_title(archive.title, profile=profile)

        plain = dcmtk.store(archive.port, *files_of(instance()), called=archive.title.name)
        ran = dcmtk.run("storescu", "-xv", "+C", "-aec", archive.title, "127.0.0.1", archive.port, compressed)

        assert plain.is_ok, plain
        assert ran.is_ok, ran
        assert dcmtk.echo(archive.port, called=archive.title.name).is_ok
        _, results = agreed(archive.associate(Proposed(DICOS_CT)))
        assert results == {DICOS_CT: [3]}


STUDY = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": instance().StudyInstanceUID}
KEYS = [f"{keyword}={value}" for keyword, value in STUDY.items()]


def test_a_move_proposes_the_profile_of_the_peer_whole(profiled: Archive) -> None:
    profiled.store(instance())
    with pynetdicom_scp(transfer_syntaxes=(BIG_ENDIAN, EXPLICIT, IMPLICIT)) as destination:
        peer = profiled.add_peer(destination.port, profile="Out")
        with profiled.associate(Proposed(STUDY_ROOT_MOVE)) as scu:
            responses = scu.move(STUDY_ROOT_MOVE, identifier(**STUDY), peer)
            scu.release()

    assert [each.status for each in responses] == [0xFF00, 0]
    (received,) = destination.received
    assert received.transfer_syntax == EXPLICIT  # as it is stored, of the two contexts that were accepted
    (out,) = (each for each in profiles() if each.name == "Out")
    proposed = [(each.abstract_syntax, each.transfer_syntaxes) for each in destination.proposed]
    assert proposed == [(each.sop_class, each.transfer_syntaxes) for each in out.contexts]
    assert destination.proposed_roles == {CT_IMAGE: (True, True)}
    assert destination.proposed_extended == {CT_IMAGE: b"\3\0"}


def test_movescu_with_a_profile_of_the_destination_as_with_dcmqrscp(
    profiled: Archive,
    dcmtk: Dcmtk,
    start_storescp: Callable[..., Receiver],
    start_dcmqrscp: Callable[..., RealDcmqrscp],
    file: Path,
) -> None:
    """The destination takes big endian where it can choose; MR is in no context of the profile, and fails."""
    destination = start_storescp("+xb", title="DESTINATION")
    profiled.add_peer(destination.port, title := f"D{destination.port}", profile="Out")
    data_sets = (instance(), instance(number=2, SOPClassUID=MR_IMAGE))
    profiled.store(*data_sets)
    real = start_dcmqrscp("-xf", file, "Whole", "Out", peers={"DESTINATION": destination.port})
    real.store(*data_sets)

    for port, called, moves_to in (
        (profiled.port, profiled.title.name, title),
        (real.port, "DCMQRSCP", "DESTINATION"),
    ):
        ran = dcmtk.move(port, moves_to, *KEYS, called=called)

        assert ran.code == ExitCode.CMOVE_WARNING, ran
        (received,) = destination.files()
        assert dcmread(received).SOPClassUID == SECONDARY_CAPTURE
        received.unlink()


def test_what_a_profile_gives_up_as_scu_is_not_sent(profiled: Archive) -> None:
    (out,) = (each for each in profiles() if each.name == "Out")
    mute = replace(out, name="Mute", roles=(ProfileRole(CT_IMAGE, is_scu=False, is_scp=True),))
    profiled.change(lambda connection: changes.put_profile(connection, mute))
    profiled.store(instance(SOPClassUID=CT_IMAGE))
    with pynetdicom_scp(transfer_syntaxes=(IMPLICIT,), roles=(False, True)) as destination:
        peer = profiled.add_peer(destination.port, profile="Mute")
        with profiled.associate(Proposed(STUDY_ROOT_MOVE)) as scu:
            responses = scu.move(STUDY_ROOT_MOVE, identifier(**STUDY), peer)
            scu.release()

    assert [each.status for each in responses] == [0xFF00, 0xA702]
    assert destination.received == []
