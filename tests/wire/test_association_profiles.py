"""DCMTK negotiates by the association profiles that are written for it, and refuses what the reader refuses."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity

from archive.dicom.uids import STORAGE_SOP_CLASSES
from archive.errors import Misconfigured
from archive.registry.association_profiles import (
    AssociationProfile,
    ProfileContext,
    ProfileExtension,
    ProfileRole,
    read,
    write,
)
from scripts.background import ProgramFailed
from tests.fix_dcmtk import Dcmtk, Receiver
from tests.fix_instances import CT_SAMPLE

VERIFICATION, CT, MR = "1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
IMPLICIT, LITTLE, BASELINE = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50"
Start = Callable[..., Receiver]

SHORT = r"""[[TransferSyntaxes]]
[U]
TransferSyntax1 = LittleEndianImplicit
[[PresentationContexts]]
[P]
PresentationContext1 = VerificationSOPClass\U
[[Profiles]]
[Default]
PresentationContexts = P
"""
ROLES = SHORT + "SCPSCURoleSelection = R\n[[SCPSCURoleSelection]]\n[R]\n"


@pytest.mark.parametrize("name", ["storescp.cfg", "storescu.cfg"])
def test_the_profiles_that_come_with_dcmtk_are_read_whole(name: str) -> None:
    file = Path("/etc/dcmtk", name)
    data = file.read_bytes()

    reading = read(data, str(file))

    assert reading.notices == ()
    for profile in reading.profiles:
        assert len(profile.contexts) == 128
        assert {each.sop_class for each in profile.contexts} <= {VERIFICATION, *STORAGE_SOP_CLASSES}
        profile.check_requestor()
    assert read(write(reading.profiles), name).profiles == reading.profiles


def profile_file(folder: Path, *profiles: AssociationProfile) -> Path:
    file = folder / "profiles.cfg"
    file.write_bytes(write(profiles))
    return file


def test_storescp_accepts_what_the_written_profile_says(tmp_path: Path, start_storescp: Start) -> None:
    profile = AssociationProfile(
        "Two-Classes",
        (ProfileContext(CT, (IMPLICIT, LITTLE)), ProfileContext(MR, (IMPLICIT,))),
        (ProfileRole(CT, is_scu=True, is_scp=True),),
        (ProfileExtension(CT, b"\x02\x00\x03\x00\x00\x00"),),
    )
    receiver = start_storescp("-xf", str(profile_file(tmp_path, profile)), "two-classes")
    entity = ApplicationEntity()
    for sop_class, syntaxes in ((CT, [LITTLE, IMPLICIT]), (MR, [LITTLE]), (VERIFICATION, [IMPLICIT])):
        entity.add_requested_context(sop_class, syntaxes)

    association = entity.associate("127.0.0.1", receiver.port)

    assert association.is_established
    accepted = {(each.abstract_syntax, *each.transfer_syntax) for each in association.accepted_contexts}
    assert accepted == {(CT, IMPLICIT)}
    association.release()


def test_storescu_proposes_what_the_written_profile_says(tmp_path: Path, dcmtk: Dcmtk) -> None:
    contexts = (ProfileContext(CT, (LITTLE,)), ProfileContext(CT, (BASELINE,)), ProfileContext(MR, (IMPLICIT,)))
    file = profile_file(tmp_path, AssociationProfile("Out", contexts))
    proposed: list[tuple[str, ...]] = []

    def remember(event: evt.Event) -> None:
        for each in event.assoc.requestor.requested_contexts:
            proposed.append((str(each.abstract_syntax), *map(str, each.transfer_syntax)))

    entity = ApplicationEntity()
    entity.add_supported_context(CT, [LITTLE])
    handlers = [(evt.EVT_REQUESTED, remember), (evt.EVT_C_STORE, lambda event: 0)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert server is not None
    try:
        ran = dcmtk.run("storescu", "-xf", file, "out", "127.0.0.1", server.server_address[1], CT_SAMPLE)
    finally:
        server.shutdown()

    assert ran.is_ok, ran
    assert proposed == [(CT, LITTLE), (CT, BASELINE), (MR, IMPLICIT)]


TAKEN = [
    SHORT.replace("\n", "\r"),
    SHORT.replace("\\U", "\\ u "),
    SHORT.replace("\\U", "\\\n   U"),
    SHORT.replace("[U]\n", "[ u ]"),
    SHORT.replace("Transfer", "trans fer "),
    SHORT.replace("VerificationSOPClass", "=VerificationSOPClass"),
    SHORT.replace("[[Profiles]]\n", "[ [Profiles] ]"),
    SHORT.replace("Implicit\n", "Implicit\nTransferSyntax3 = x\n"),
    SHORT.replace("Implicit\n", "Implicit\nTransferSyntax1 = x\n"),
    SHORT + "Comment = x\n[[Profiles]]\n[x]\n",
    "[x]\ny = z\n" + SHORT,
    ROLES + "Role1 = VerificationSOPClass\\both\n",
]
REFUSED = [
    SHORT.replace("[[Profiles]]", "[[Profile]]"),
    SHORT.replace("LittleEndianImplicit", "littleendianimplicit"),
    SHORT.replace("Implicit\n", "Implicit\n TransferSyntax2 = LittleEndianExplicit\n"),
    SHORT.replace("TransferSyntax1", "TransferSyntax01"),
    SHORT.replace("VerificationSOPClass", "Foo"),
    SHORT.replace("\\U", ""),
    SHORT.replace("[U]\n", "[U\n"),
    SHORT.replace("= P", "= Q"),
    SHORT.replace("PresentationContexts = P", "Contexts = P"),
    SHORT + "[DEFAULT]\nPresentationContexts = P\n",
    SHORT + "SCPSCURoleSelection = R\n",
    ROLES + "Role1 = VerificationSOPClass\\none\n",
    ROLES + "Role1 = CTImageStorage\\SCU\n",
    ROLES + "Role1 = VerificationSOPClass\\SCU\nRole2 = VerificationSOPClass\\SCP\n",
    SHORT.replace("\\U\n", "\\U\nPresentationContext2 = VerificationSOPClass\\U\n"),  # no profile of an acceptor
]


@pytest.mark.parametrize("text", TAKEN)
def test_what_storescp_takes_is_read(text: str, tmp_path: Path, start_storescp: Start) -> None:
    read(text.encode(), "profiles.cfg").profile("default").check_acceptor()

    file = tmp_path / "profiles.cfg"
    file.write_text(text)
    start_storescp("-xf", str(file), "Default")


@pytest.mark.parametrize("text", REFUSED)
def test_what_storescp_refuses_is_refused(text: str, tmp_path: Path, start_storescp: Start) -> None:
    with pytest.raises(Misconfigured):
        read(text.encode(), "profiles.cfg").profile("default").check_acceptor()

    file = tmp_path / "profiles.cfg"
    file.write_text(text)
    with pytest.raises(ProgramFailed, match=r"ended with 1\b[\s\S]*F: "):
        start_storescp("-xf", str(file), "Default")
