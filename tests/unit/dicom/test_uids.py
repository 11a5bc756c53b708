"""uids.py: syntax of UIDs and the order of transfer syntaxes."""

import pytest

from archive.dicom import uids
from archive.dicom.uids import Kind


@pytest.mark.parametrize("text", ["1.2.840.10008.1.1", "0.0", "2.25.1", "1", "1." * 31 + "12"])
def test_uid_is_one(text: str) -> None:
    assert uids.is_uid(text)


@pytest.mark.parametrize("text", ["", "1.", ".1", "1..2", "1.02", "1.2a", "1.2\n", " 1.2", "1." * 32 + "1", "1.٣"])
def test_uid_is_malformed(text: str) -> None:
    assert not uids.is_uid(text)


def test_preference_is_uncompressed_then_lossless_then_lossy_and_big_endian_last() -> None:
    kinds = [each.kind for each in uids.TRANSFER_SYNTAXES]
    first_seen = list(dict.fromkeys(kinds))

    assert uids.BY_PREFERENCE[:3] == (
        uids.EXPLICIT_VR_LITTLE_ENDIAN,
        uids.IMPLICIT_VR_LITTLE_ENDIAN,
        uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    )
    assert uids.BY_PREFERENCE[-1] == uids.EXPLICIT_VR_BIG_ENDIAN
    assert first_seen == sorted(first_seen, key=kinds.index)
    assert first_seen.index(Kind.LOSSLESS) < first_seen.index(Kind.LOSSY) < first_seen.index(Kind.VIDEO)
    assert all(kinds[index] is kind for kind in first_seen for index in _run(kinds, kind))


def _run(kinds: list[Kind], kind: Kind) -> range:
    start = kinds.index(kind)
    return range(start, start + kinds.count(kind))


def test_unknown_transfer_syntax_is_taken_for_an_encapsulated_one() -> None:
    assert uids.encoding_of("1.2.3") == uids.Encoding()
    assert uids.is_compressed("1.2.3")
    assert not uids.is_compressed(uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)


def test_own_uid_and_version_fit_their_fields() -> None:
    assert uids.is_uid(uids.IMPLEMENTATION_CLASS_UID)
    assert len(uids.IMPLEMENTATION_VERSION_NAME) <= 16


def test_storage_is_told_from_query() -> None:
    assert uids.is_storage("1.2.840.10008.5.1.4.1.1.2")
    assert not uids.is_storage("1.2.840.10008.5.1.4.1.2.1.1")
    assert not uids.is_storage("1.2.3")
