"""The literal tables of `archive.dicom` say what pydicom's and pynetdicom's dictionaries say."""

import pynetdicom.sop_class as pynetdicom_classes
import pytest
from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import dictionary_is_retired, dictionary_keyword, dictionary_VM, dictionary_VR, tag_for_keyword

from archive.dicom import levels
from archive.dicom.attributes import ATTRIBUTES, BY_KEYWORD, BY_TAG, Attribute, KeyType, Level, at_level, level_of
from archive.dicom.elements import LONG_VRS, SHORT_VRS, vr_of
from archive.dicom.sop_classes import KNOWN_OTHER, NON_PATIENT_SOP_CLASSES, STORAGE_SOP_CLASSES
from archive.dicom.uids import TRANSFER_SYNTAXES, is_uid

# Of the form X or X-Y in PS3.6: one value unless the right side says more.
ONE_VALUE = ("1",)


@pytest.mark.parametrize("attribute", ATTRIBUTES, ids=lambda attribute: attribute.keyword)
def test_attribute_is_as_the_dictionary_has_it(attribute: Attribute) -> None:
    assert tag_for_keyword(attribute.keyword) == attribute.tag
    assert dictionary_VR(attribute.tag) == attribute.vr
    assert (dictionary_VM(attribute.tag) not in ONE_VALUE) == attribute.multi_valued


def test_attributes_are_named_once() -> None:
    assert len(BY_TAG) == len(BY_KEYWORD) == len(ATTRIBUTES)
    columns = [(each.level, column) for each in ATTRIBUTES for column in each.columns]
    assert len(set(columns)) == len(columns)


def test_columns_are_keywords_in_snake_case() -> None:
    for attribute in ATTRIBUTES:
        if attribute.column and not attribute.column.startswith("number_of_"):
            assert attribute.column.replace("_", "") == attribute.keyword.lower()


@pytest.mark.parametrize("level", Level, ids=lambda level: level.name)
def test_every_level_has_one_unique_key(level: Level) -> None:
    assert [each.key_type for each in at_level(level)].count(KeyType.UNIQUE) == 1


def test_keys_lie_at_the_level_of_their_module() -> None:
    for attribute in ATTRIBUTES:
        if attribute.key_type is not KeyType.RETURN:
            assert level_of(attribute.tag) is attribute.level, attribute.keyword


def test_module_attributes_are_at_one_level_and_in_the_dictionary() -> None:
    groups = (levels._PATIENT_TAGS, levels._STUDY_TAGS, levels._SERIES_TAGS)

    assert sum(map(len, groups)) == len(frozenset().union(*groups))
    for tag in frozenset().union(*groups):
        assert dictionary_keyword(tag)


def test_own_vrs_are_those_of_the_dictionary() -> None:
    for tag in levels.LEVELS:
        assert vr_of(tag) == dictionary_VR(tag)
    assert not SHORT_VRS & LONG_VRS


def test_retired_keys_are_those_that_peers_still_ask_for() -> None:
    retired = {each.keyword for each in ATTRIBUTES if dictionary_is_retired(each.tag)}

    assert retired == {"OtherPatientIDs", "OtherStudyNumbers"}


def test_every_transfer_syntax_of_pydicom_is_known_with_its_keyword() -> None:
    known = {each.uid: each.keyword for each in TRANSFER_SYNTAXES}
    expected = {uid: entry[4] for uid, entry in UID_dictionary.items() if entry[1] == "Transfer Syntax"}

    assert known == expected | {"1.2.840.113619.5.2": "GEPrivateImplicitVRBigEndian"}
    assert len(known) == len(TRANSFER_SYNTAXES)


def test_every_storage_class_of_pynetdicom_is_one() -> None:
    storage = {str(uid) for uid in pynetdicom_classes._STORAGE_CLASSES.values()}
    non_patient = {str(uid) for uid in pynetdicom_classes._NON_PATIENT_OBJECT_CLASSES.values()}

    assert storage <= STORAGE_SOP_CLASSES.keys()
    assert non_patient == NON_PATIENT_SOP_CLASSES <= STORAGE_SOP_CLASSES.keys()


def test_every_sop_class_of_pydicom_is_storage_or_known_other() -> None:
    named = {uid for uid, entry in UID_dictionary.items() if entry[1] in ("SOP Class", "Meta SOP Class") and entry[4]}

    assert named <= STORAGE_SOP_CLASSES.keys() | KNOWN_OTHER.keys()
    assert not STORAGE_SOP_CLASSES.keys() & KNOWN_OTHER.keys()
    for uid in named & STORAGE_SOP_CLASSES.keys():
        assert "Storage" in UID_dictionary[uid][0]
        assert "Commitment" not in UID_dictionary[uid][0]


def test_dicos_and_diconde_classes_are_storage() -> None:
    last_parts = ("501.1", "501.2.1", "501.2.2", "501.3", "501.4", "501.5", "501.6", "601.1", "601.2", "601.3", "601.5")

    for last_part in last_parts:
        assert f"1.2.840.10008.5.1.4.1.1.{last_part}" in STORAGE_SOP_CLASSES


def test_every_uid_in_the_tables_is_one() -> None:
    for uid in (*STORAGE_SOP_CLASSES, *KNOWN_OTHER, *(each.uid for each in TRANSFER_SYNTAXES)):
        assert is_uid(uid)
