"""attributes.py: what is derived from the table."""

import subprocess
import sys

from archive.dicom.attributes import BY_KEYWORD, UNIQUE_KEYS, Level, at_level, level_of


def test_a_date_has_a_typed_and_a_text_column() -> None:
    assert BY_KEYWORD["StudyDate"].columns == ("study_date", "study_date_text")
    assert BY_KEYWORD["StudyDate"].text_column == "study_date_text"


def test_a_person_name_has_three_groups_and_their_folded_forms() -> None:
    assert BY_KEYWORD["PatientName"].columns == (
        "patient_name_alphabetic",
        "patient_name_ideographic",
        "patient_name_phonetic",
        "patient_name_alphabetic_folded",
        "patient_name_ideographic_folded",
        "patient_name_phonetic_folded",
    )


def test_several_integers_and_counters_have_one_column() -> None:
    assert BY_KEYWORD["OtherStudyNumbers"].columns == ("other_study_numbers",)
    assert BY_KEYWORD["NumberOfStudyRelatedSeries"].columns == ("number_of_series",)
    assert BY_KEYWORD["RequestAttributesSequence"].columns == ()


def test_unique_keys_follow_the_levels() -> None:
    assert [key.keyword for key in UNIQUE_KEYS] == [
        "PatientID",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "SOPInstanceUID",
    ]
    assert UNIQUE_KEYS[Level.SERIES] in at_level(Level.SERIES)


def test_unknown_and_private_attributes_belong_to_the_image() -> None:
    assert level_of(0x00091001) is Level.IMAGE
    assert level_of(0x00280100) is Level.IMAGE
    assert level_of(0x00180015) is Level.SERIES
    assert level_of(0x00080005) is Level.PATIENT


def test_importing_the_tables_imports_no_pydicom() -> None:
    program = (
        "import sys, archive.dicom.attributes, archive.dicom.uids, archive.dicom.values, archive.dicom.header;"
        "sys.exit('pydicom' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
