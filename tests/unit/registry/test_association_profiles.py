"""association_profiles.py: DCMTK's association profiles, what is refused in them and what is said aloud."""

import pytest

from archive.errors import Misconfigured
from archive.registry.association_profiles import (
    AssociationProfile,
    ProfileContext,
    ProfileExtension,
    ProfileReading,
    ProfileRole,
    read,
    write,
)

VERIFICATION, CT, MR = "1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
IMPLICIT, LITTLE, BIG, BASELINE = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.4.50",
)

EXAMPLE = r"""# as in asconfig.txt
[[TransferSyntaxes]]
[Uncompressed]
TransferSyntax1 = LocalEndianExplicit
TransferSyntax2 = OppositeEndianExplicit
TransferSyntax3 = LittleEndianImplicit

[JPEG Baseline]
TransferSyntax1 = 1.2.840.10008.1.2.4.50

[[PresentationContexts]]
[StorageSCP]
PresentationContext1 = VerificationSOPClass\Uncompressed
PresentationContext2 = CTImageStorage\jpegbaseline

[StorageSCU]
PresentationContext1 = MRImageStorage\Uncompressed
PresentationContext2 = MRImageStorage\JPEG Baseline

[[SCPSCURoleSelection]]
[Roles]
Role1 = CTImageStorage\BOTH
Role2 = VerificationSOPClass\scp

[[ExtendedNegotiation]]
[Signatures]
ExtendedNegotiation1 = CTImageStorage\02000300fF00

[[Profiles]]
[Ultra Sound]
PresentationContexts = storage scp
SCPSCURoleSelection  = Roles
ExtendedNegotiation  = Signatures

[plain]
presentationcontexts = StorageSCU
"""
SCP = AssociationProfile(
    "UltraSound",
    (ProfileContext(VERIFICATION, (LITTLE, BIG, IMPLICIT)), ProfileContext(CT, (BASELINE,))),
    (ProfileRole(CT, is_scu=True, is_scp=True), ProfileRole(VERIFICATION, is_scu=False, is_scp=True)),
    (ProfileExtension(CT, bytes.fromhex("02000300ff00")),),
)
SCU = AssociationProfile("plain", (ProfileContext(MR, (LITTLE, BIG, IMPLICIT)), ProfileContext(MR, (BASELINE,))))

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
DEFAULT = AssociationProfile("Default", (ProfileContext(VERIFICATION, (IMPLICIT,)),))
ROLES = SHORT + "SCPSCURoleSelection = R\n[[SCPSCURoleSelection]]\n[R]\n"
EXTENDED = SHORT + "ExtendedNegotiation = R\n[[ExtendedNegotiation]]\n[R]\n"


def reading(text: str) -> ProfileReading:
    return read(text.encode("latin-1"), "profiles.cfg")


def changed(old: str, new: str, text: str = SHORT) -> str:
    assert old in text
    return text.replace(old, new)


def test_a_profile_joins_the_lists_it_names() -> None:
    assert reading(EXAMPLE) == ProfileReading((SCP, SCU), ())


@pytest.mark.parametrize("name", ["plain", "PLAIN", " p lain"])
def test_a_profile_is_found_whatever_its_case_and_spaces(name: str) -> None:
    assert reading(EXAMPLE).profile(name) == SCU


def test_an_unknown_profile_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(Misconfigured, match="unknown configuration profile name: x; expected one of UltraSound, plain"):
        reading(EXAMPLE).profile("x")


def test_an_acceptor_has_each_sop_class_once() -> None:
    SCP.check_acceptor()

    with pytest.raises(Misconfigured, match=r"'plain' is not valid for incoming use, .*MRImageStorage"):
        SCU.check_acceptor()


def test_a_requestor_has_128_contexts_at_most() -> None:
    contexts = tuple(ProfileContext(f"1.2.3.{number}", (IMPLICIT,)) for number in range(129))

    AssociationProfile("x", contexts[:128]).check_requestor()
    with pytest.raises(Misconfigured, match="'x' is not valid for outgoing use, too many presentation contexts: 129"):
        AssociationProfile("x", contexts).check_requestor()


@pytest.mark.parametrize(
    "text",
    [
        SHORT.replace("\n", "\r\n"),
        SHORT.replace("\n", "\r"),
        changed("\\U", "\\ u "),
        changed("\\U", "\\\n   U"),
        changed("[U]\n", "[ u ]"),
        changed("[U]\n", "[U]\n\n \n# \xe4\n  "),
        changed("Transfer", "trans fer "),
        changed("VerificationSOPClass", "=VerificationSOPClass"),
        changed("VerificationSOPClass", "Verification"),
        changed("VerificationSOPClass", "1.2.840.10008.1.1 "),
        changed("Implicit\n", "Implicit  \n"),
        changed("[[Profiles]]\n", "[ [Profiles] ]"),
    ],
)
def test_spelling_that_means_the_same(text: str) -> None:
    assert reading(text) == ProfileReading((DEFAULT,), ())


REFUSED = [
    (changed("[[Profiles]]", "[[Profile]]"), ": cannot find section [[Profiles]]"),
    (changed("[[TransferSyntaxes]]", "[[Transfer]]"), ": cannot find section [[TransferSyntaxes]]"),
    (changed("[[PresentationContexts]]", "# "), ": cannot find section [[PresentationContexts]]"),
    (changed("LittleEndianImplicit", "littleendianimplicit"), ", line 3: not a valid transfer syntax UID or name"),
    (changed("LittleEndianImplicit", "1.2.03"), ", line 3: not a valid transfer syntax UID or name: '1.2.03'"),
    (changed("Implicit\n", "Implicit\n TransferSyntax2 = x\n"), ", line 3: not a valid transfer syntax UID or name"),
    (changed("TransferSyntax1", "TransferSyntax01"), ", line 6: transfer syntax key undefined: U"),
    (changed("VerificationSOPClass", "Foo"), ", line 6: not a valid abstract syntax UID or name: 'Foo'"),
    (changed("\\U", ""), ", line 6: missing '\\', expected SOPClass\\TransferSyntaxes"),
    (changed("[U]\n", "[U\n"), ", line 2: expected [Section] or Key = Value, found [U"),
    (changed("[U]\n", "[U]]\n"), ", line 2: expected as many ] as [, found [U]]"),
    (changed("[U]\n", "[U]\nfoo\n"), ", line 3: expected [Section] or Key = Value, found foo"),
    (changed("[Default]", "[\xe4]"), ", line 8: expected a name of letters"),
    (changed("= P", "= Q"), ", line 9: PresentationContexts key undefined: Q"),
    (changed("PresentationContexts = P", "Contexts = P"), ", line 8: no PresentationContexts entry in section Default"),
    (SHORT + "[DEFAULT]\nPresentationContexts = P\n", ", line 10: two profiles are named DEFAULT"),
    (SHORT + "SCPSCURoleSelection = R\n", ", line 10: SCPSCURoleSelection key undefined: R"),
    (ROLES + "Role1 = VerificationSOPClass\\none\n", ", line 13: unknown role 'NONE', expected SCU, SCP or BOTH"),
    (ROLES + "Role1 = CTImageStorage\\SCU\n", ", line 8: SCPSCURoleSelection names CTImageStorage ("),
    (ROLES + "Role1 = VerificationSOPClass\\SCU\nRole2 = 1.2.840.10008.1.1\\SCP\n", " twice"),
    *(
        (EXTENDED + f"ExtendedNegotiation1 = VerificationSOPClass\\{text}\n", ", line 13: expected 1 to 1024 bytes")
        for text in ("", "0", "0g", "00" * 1025)
    ),
]


@pytest.mark.parametrize("text, expected", REFUSED)
def test_an_error_names_file_line_and_what_was_expected(text: str, expected: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        reading(text)

    assert str(caught.value).startswith("profiles.cfg")
    assert expected in str(caught.value)


SAID_ALOUD = [
    (
        changed("Implicit\n", "Implicit\nTransferSyntax3 = x\n"),
        (4, "TRANSFERSYNTAX3 is not read: expected TransferSyn"),
    ),
    (changed("Implicit\n", "Implicit\nTransferSyntax1 = x\n"), (4, "TRANSFERSYNTAX1 is there already, on line 3")),
    (SHORT + "Comment = x\n", (10, "COMMENT is not known and not read")),
    (SHORT + "[[Profiles]]\n[x]\n", (10, "[[Profiles]] is there already, on line 7; this one is not read")),
    (SHORT + "[[Other]]\n[x]\n", (10, "[[Other]] is not known and not read")),
    ("[x]\ny = z\n" + SHORT, (1, "[x] stands before any [[Supersection]] and is not read")),
    ("y = z\n z\n" + SHORT, (1, "Y stands before any [Section] and is not read")),
]


@pytest.mark.parametrize("text, notice", SAID_ALOUD)
def test_what_dcmtk_leaves_out_silently_is_said_aloud(text: str, notice: tuple[int, str]) -> None:
    found = reading(text)

    assert found.profiles == (DEFAULT,)
    assert len(found.notices) == 1
    assert found.notices[0].line == notice[0]
    assert notice[1] in found.notices[0].text


def test_what_is_written_is_for_people_to_read() -> None:
    assert write((SCP, DEFAULT)).decode() == (
        r"""[[TransferSyntaxes]]

[List1]
# ExplicitVRLittleEndian
TransferSyntax1 = 1.2.840.10008.1.2.1
# ExplicitVRBigEndian
TransferSyntax2 = 1.2.840.10008.1.2.2
# ImplicitVRLittleEndian
TransferSyntax3 = 1.2.840.10008.1.2

[List2]
# JPEGBaseline8Bit
TransferSyntax1 = 1.2.840.10008.1.2.4.50

[List3]
# ImplicitVRLittleEndian
TransferSyntax1 = 1.2.840.10008.1.2

[[PresentationContexts]]

[UltraSound]
# Verification
PresentationContext1 = 1.2.840.10008.1.1\List1
# CTImageStorage
PresentationContext2 = 1.2.840.10008.5.1.4.1.1.2\List2

[Default]
# Verification
PresentationContext1 = 1.2.840.10008.1.1\List3

[[SCPSCURoleSelection]]

[UltraSound]
# CTImageStorage
Role1 = 1.2.840.10008.5.1.4.1.1.2\BOTH
# Verification
Role2 = 1.2.840.10008.1.1\SCP

[[ExtendedNegotiation]]

[UltraSound]
# CTImageStorage
ExtendedNegotiation1 = 1.2.840.10008.5.1.4.1.1.2\02000300ff00

[[Profiles]]

[UltraSound]
PresentationContexts = UltraSound
SCPSCURoleSelection = UltraSound
ExtendedNegotiation = UltraSound

[Default]
PresentationContexts = Default
"""
    )


@pytest.mark.parametrize(
    "profiles, message",
    [
        ([AssociationProfile("a b", DEFAULT.contexts)], "a name of its own of letters"),
        ([DEFAULT, AssociationProfile("DEFAULT", DEFAULT.contexts)], "a name of its own"),
        ([AssociationProfile("x", ())], "has no presentation context"),
        ([AssociationProfile("x", (ProfileContext(CT, ()),))], "needs a transfer syntax"),
        (
            [AssociationProfile("x", DEFAULT.contexts, (ProfileRole(VERIFICATION, is_scu=False, is_scp=False),))],
            "no word for neither role",
        ),
        ([AssociationProfile("x", DEFAULT.contexts, (), (ProfileExtension(VERIFICATION, b""),))], "1 to 1024 bytes"),
    ],
)
def test_what_the_format_cannot_say_is_refused(profiles: list[AssociationProfile], message: str) -> None:
    with pytest.raises(Misconfigured, match=message):
        write(profiles)
