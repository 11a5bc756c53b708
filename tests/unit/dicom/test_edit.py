"""Other values for some elements; every other byte stays."""

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from archive.dicom.edit import Edited, edited
from tests.fix_instances import encoded, instance
from tests.wire.same_content import read

PATIENT_NAME, PATIENT_ID, INSTANCE_UID = 0x00100010, 0x00100020, 0x00080018

both_vrs = pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian], ids=["explicit", "implicit"]
)


@both_vrs
def test_a_value_of_another_length_leaves_all_else_as_it_was(syntax: str) -> None:
    before = encoded(instance(transfer_syntax=syntax, PatientName="A^B"))

    after = edited(
        before, {PATIENT_NAME: "Longer^Name", PATIENT_ID: "P1"}, is_implicit=syntax == ImplicitVRLittleEndian
    )

    expected = encoded(instance(transfer_syntax=syntax, PatientName="Longer^Name", PatientID="P1"))
    assert after == Edited(expected, frozenset(), is_sure=True)


@both_vrs
def test_uids_are_padded_by_nul_and_text_by_a_space(syntax: str) -> None:
    after = edited(
        encoded(instance(transfer_syntax=syntax)),
        {INSTANCE_UID: "1.2", PATIENT_ID: "ABC"},
        is_implicit=syntax == ImplicitVRLittleEndian,
    ).data_set

    assert b"1.2\0" in after
    assert b"ABC " in after


def test_what_is_not_there_is_named_and_not_added() -> None:
    before = encoded(instance(PatientName=None))

    after = edited(before, {PATIENT_NAME: "A^B"}, is_implicit=False)

    assert after == Edited(before, frozenset({PATIENT_NAME}), is_sure=True)


def test_the_length_of_a_group_goes_where_it_would_be_wrong_and_stays_where_it_is_right() -> None:
    length_of_8 = b"\x08\x00\x00\x00UL\x04\x00\x04\x00\x00\x00"
    length_of_10 = b"\x10\x00\x00\x00UL\x04\x00\x08\x00\x00\x00"
    data_set = instance()
    plain = encoded(data_set)
    at_10 = plain.index(b"\x10\x00\x10\x00PN")
    before = length_of_8 + plain[:at_10] + length_of_10 + plain[at_10:]

    after = edited(before, {PATIENT_NAME: "Somebody^Else^Entirely"}, is_implicit=False).data_set

    assert after.startswith(length_of_8)
    assert length_of_10 not in after
    assert read(after, ExplicitVRLittleEndian).PatientName == "Somebody^Else^Entirely"


def test_an_element_inside_a_sequence_is_another_one() -> None:
    item = pydicom.Dataset()
    item.PatientID = "INSIDE"
    before = encoded(instance(ReferencedStudySequence=[item]))

    after = edited(before, {PATIENT_ID: "NEW"}, is_implicit=False).data_set

    changed = read(after, ExplicitVRLittleEndian)
    assert (changed.PatientID, changed.ReferencedStudySequence[0].PatientID) == ("NEW", "INSIDE")


def test_the_beginning_of_a_data_set_is_enough() -> None:
    before = encoded(instance())
    cut = len(before) - 1000

    after = edited(before[:cut], {PATIENT_ID: "Q"}, is_implicit=False).data_set

    assert after + before[cut:] == encoded(instance(PatientID="Q"))


@pytest.mark.parametrize(
    "odd",
    [b"\x09\x00\x10\x00??\x02\x00ab", b"\x10\x00\x20\x00LO\x04\x00ONE " * 2, b"\x09\x00\x10\x00UN\0\0\xff\xff\0\0"],
    ids=["a VR that is none", "an element twice", "an element that goes on behind the beginning"],
)
def test_where_an_element_may_have_been_missed_it_is_not_sure(odd: bytes) -> None:
    plain = encoded(instance(PatientID=None))
    at_10 = plain.index(b"\x10\x00\x10\x00PN")
    after_name = plain.index(b"\x10\x00", at_10 + 8)
    at = after_name if odd.startswith(b"\x10") else at_10

    assert not edited(plain[:at] + odd + plain[at:], {PATIENT_NAME: "A^B"}, is_implicit=False).is_sure
