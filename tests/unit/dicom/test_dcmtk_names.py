"""dcmtk_names.py: names that DCMTK's files use for UIDs."""

import pytest
from pydicom._uid_dict import UID_dictionary

from archive.dicom import dcmtk_names
from archive.dicom.uids import KNOWN_OTHER, STORAGE_SOP_CLASSES, TRANSFER_SYNTAXES


@pytest.mark.parametrize(
    "name, uid",
    [
        ("LittleEndianImplicit", "1.2.840.10008.1.2"),
        ("JPEGLossless:Non-hierarchical-1stOrderPrediction", "1.2.840.10008.1.2.4.70"),
        ("MPEG2MainProfile@MainLevel", "1.2.840.10008.1.2.4.100"),
        ("VerificationSOPClass", "1.2.840.10008.1.1"),
        ("CTImageStorage", "1.2.840.10008.5.1.4.1.1.2"),
        ("RETIRED_UltrasoundImageStorage", "1.2.840.10008.5.1.4.1.1.6"),
        ("PETImageStorage", "1.2.840.10008.5.1.4.1.1.128"),  # DCMTK 3.5.4
        ("UnifiedProcedureStepPushSOPClass", "1.2.840.10008.5.1.4.34.6.1"),  # in 3.6.0 the trial one
    ],
)
def test_names_of_dcmtk_and_keywords_are_known(name: str, uid: str) -> None:
    assert dcmtk_names.uid_named(name) == uid


def test_names_are_compared_exactly() -> None:
    assert dcmtk_names.uid_named("ctimagestorage") is None
    assert dcmtk_names.uid_named("") is None


def test_every_uid_that_we_know_has_its_keyword_back() -> None:
    known = {*STORAGE_SOP_CLASSES, *KNOWN_OTHER, *(each.uid for each in TRANSFER_SYNTAXES)}

    for uid in known:
        name = dcmtk_names.name_of(uid)
        assert name is not None
        assert dcmtk_names.uid_named(name) == uid


def test_names_of_dcmtk_belong_to_uids_that_we_know() -> None:
    for name, uid in dcmtk_names._OF_DCMTK.items():
        keyword = dcmtk_names.name_of(uid)
        assert keyword is not None, name
        assert keyword != name, "a keyword needs no line of its own"


def test_no_name_of_dcmtk_is_the_keyword_of_another_uid() -> None:
    keywords = {entry[4]: uid for uid, entry in UID_dictionary.items()}

    assert {name: uid for name, uid in dcmtk_names._OF_DCMTK.items() if keywords.get(name, uid) != uid} == {}
