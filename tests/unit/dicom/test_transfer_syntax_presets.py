"""transfer_syntax_presets.py: lists of transfer syntaxes by name, as DCMTK's options mean them."""

import pytest

from archive.dicom.transfer_syntax_presets import ACCEPT, PROPOSE
from archive.dicom.uids import BY_PREFERENCE, is_uid

LITTLE, BIG, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2"
UNCOMPRESSED = (LITTLE, BIG, IMPLICIT)
COMPRESSED = {
    "jpeg-lossless": "1.2.840.10008.1.2.4.70",
    "jpeg-8bit": "1.2.840.10008.1.2.4.50",
    "jpeg-12bit": "1.2.840.10008.1.2.4.51",
    "j2k-lossless": "1.2.840.10008.1.2.4.90",
    "j2k-lossy": "1.2.840.10008.1.2.4.91",
    "jls-lossless": "1.2.840.10008.1.2.4.80",
    "jls-lossy": "1.2.840.10008.1.2.4.81",
    "rle": "1.2.840.10008.1.2.5",
    "deflated": "1.2.840.10008.1.2.1.99",
}
VIDEO = {
    "mpeg2": "1.2.840.10008.1.2.4.100",
    "mpeg2-high": "1.2.840.10008.1.2.4.101",
    "mpeg4": "1.2.840.10008.1.2.4.102",
    "mpeg4-bd": "1.2.840.10008.1.2.4.103",
    "mpeg4-2-2d": "1.2.840.10008.1.2.4.104",
    "mpeg4-2-3d": "1.2.840.10008.1.2.4.105",
    "mpeg4-2-st": "1.2.840.10008.1.2.4.106",
    "hevc": "1.2.840.10008.1.2.4.107",
    "hevc10": "1.2.840.10008.1.2.4.108",
}


@pytest.mark.parametrize("presets", [ACCEPT, PROPOSE])
def test_uncompressed_presets_differ_in_what_comes_first(presets: dict[str, tuple[str, ...]]) -> None:
    assert presets["uncompressed"] == presets["little-endian"] == UNCOMPRESSED
    assert presets["big-endian"] == (BIG, LITTLE, IMPLICIT)
    assert presets["implicit"] == (IMPLICIT,)


@pytest.mark.parametrize("name, uid", COMPRESSED.items())
def test_compressed_preset_is_one_transfer_syntax_before_the_uncompressed_ones(name: str, uid: str) -> None:
    assert ACCEPT[name] == PROPOSE[name] == (uid, *UNCOMPRESSED)


@pytest.mark.parametrize("name, uid", VIDEO.items())
def test_video_is_accepted_beside_uncompressed_and_proposed_alone(name: str, uid: str) -> None:
    assert ACCEPT[name] == (uid, *UNCOMPRESSED)
    assert PROPOSE[name] == (uid,)


def test_all_is_the_36_of_dcmtk_with_compressed_first() -> None:
    assert len(ACCEPT["all"]) == 36
    assert ACCEPT["all"][:3] == ("1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.51")
    assert ACCEPT["all"][-3:] == UNCOMPRESSED


def test_held_is_what_the_archive_prefers_and_holds_more_than_all() -> None:
    assert ACCEPT["held"] == BY_PREFERENCE
    assert set(ACCEPT["all"]) < set(ACCEPT["held"])


def test_there_is_no_preset_that_nobody_tests() -> None:
    tested = {"uncompressed", "little-endian", "big-endian", "implicit", *COMPRESSED, *VIDEO}

    assert set(PROPOSE) == tested
    assert set(ACCEPT) == tested | {"all", "held"}


@pytest.mark.parametrize("presets", [ACCEPT, PROPOSE])
def test_presets_name_known_transfer_syntaxes_once(presets: dict[str, tuple[str, ...]]) -> None:
    for listed in presets.values():
        assert len(set(listed)) == len(listed)
        assert all(is_uid(uid) and uid in BY_PREFERENCE for uid in listed)
