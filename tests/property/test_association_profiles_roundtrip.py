"""Association profiles that are written read back, and no bytes can make reading fail but with Misconfigured."""

from hypothesis import given
from hypothesis import strategies as st

from archive.dicom.uids import BY_PREFERENCE, KNOWN_OTHER, STORAGE_SOP_CLASSES
from archive.errors import Misconfigured
from archive.registry.association_profiles import (
    AssociationProfile,
    ProfileContext,
    ProfileExtension,
    ProfileRole,
    read,
    write,
)

PRIVATE = st.lists(st.integers(0, 99999), min_size=2, max_size=8).map(lambda parts: "1." + ".".join(map(str, parts)))
SOP_CLASSES = st.sampled_from((*STORAGE_SOP_CLASSES, *KNOWN_OTHER)) | PRIVATE
TRANSFER_SYNTAXES = st.lists(st.sampled_from(BY_PREFERENCE) | PRIVATE, min_size=1, max_size=4).map(tuple)
NAMES = st.text("abcXYZ019-_", min_size=1, max_size=12)
ROLES = st.sampled_from(((True, False), (False, True), (True, True)))


@st.composite
def profiles(draw: st.DrawFn) -> tuple[AssociationProfile, ...]:
    def profile(name: str) -> AssociationProfile:
        contexts = draw(st.lists(st.builds(ProfileContext, SOP_CLASSES, TRANSFER_SYNTAXES), min_size=1, max_size=6))
        some = st.lists(st.sampled_from([each.sop_class for each in contexts]), unique=True, max_size=3)
        roles = (ProfileRole(uid, *draw(ROLES)) for uid in draw(some))
        extensions = (ProfileExtension(uid, draw(st.binary(min_size=1, max_size=20))) for uid in draw(some))
        return AssociationProfile(name, tuple(contexts), tuple(roles), tuple(extensions))

    return tuple(map(profile, draw(st.lists(NAMES, unique_by=str.upper, max_size=3))))


@given(written=profiles())
def test_what_is_written_reads_back(written: tuple[AssociationProfile, ...]) -> None:
    reading = read(write(written), "profiles.cfg")

    assert reading.profiles == written
    assert reading.notices == ()


LINES = st.sampled_from(
    (
        "[[TransferSyntaxes]]", "[U]", "TransferSyntax1 = LittleEndianImplicit", "[[PresentationContexts]]", "[P]",
        "PresentationContext1 = VerificationSOPClass\\U", "[[Profiles]]", "[D]", "PresentationContexts = P", " U", "#",
        "SCPSCURoleSelection = P", "[[SCPSCURoleSelection]]", "Role1 = VerificationSOPClass\\SCU", "= =", "[", "]", "",
    )
)  # fmt: skip


@given(data=st.binary(max_size=200) | st.lists(LINES, max_size=30).map(lambda lines: "\n".join(lines).encode()))
def test_no_bytes_make_reading_fail_otherwise(data: bytes) -> None:
    message = "profiles.cfg"
    try:
        read(data, "profiles.cfg")
    except Misconfigured as refusal:
        message = str(refusal)
    assert message.startswith("profiles.cfg")
