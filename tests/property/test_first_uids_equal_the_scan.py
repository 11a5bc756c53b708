"""The fast lane for the UIDs of an instance says what the scan of its header says, or nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.dicom.encode import Element, encode
from archive.dicom.first_uids import first_uids
from archive.dicom.header import scan
from archive.dicom.uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from archive.errors import UnreadableDataSet
from tests.fix_instances import encoded, instance
from tests.unit.dicom.corpus import Sample, samples

FAST = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)


def scanned_uids(data_set: bytes, transfer_syntax: str) -> tuple[str, str]:
    found = scan(data_set, transfer_syntax, is_whole=True)
    return found.sop_class_uid, found.sop_instance_uid


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.name)
def test_of_a_bundled_file(sample: Sample) -> None:
    found = first_uids(sample.data_set, sample.transfer_syntax)

    assert found in (None, scanned_uids(sample.data_set, sample.transfer_syntax))


def test_nearly_every_bundled_file_goes_the_fast_lane() -> None:
    having = [each for each in samples() if all(scanned_uids(each.data_set, each.transfer_syntax))]

    found = [each for each in having if first_uids(each.data_set, each.transfer_syntax)]

    assert len(found) >= 0.9 * len(having)


@pytest.mark.parametrize("syntax", FAST)
def test_of_an_instance_as_modalities_send_it(syntax: str) -> None:
    data_set = instance(transfer_syntax=syntax)

    found = first_uids(encoded(data_set), syntax)

    assert found == (str(data_set.SOPClassUID), str(data_set.SOPInstanceUID))


@pytest.mark.parametrize("syntax", [EXPLICIT_VR_BIG_ENDIAN, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN])
def test_other_encodings_are_left_to_the_scan(syntax: str) -> None:
    assert first_uids(encoded(instance(transfer_syntax=syntax)), syntax) is None


TAGS = st.sampled_from([0x00080000, 0x00080005, 0x00080008, 0x00080014, 0x00080016, 0x00080018, 0x00080020, 0x00100020])
VALUES = st.sampled_from([b"", b"1.2.3\0", b"1.2.3 ", b" 1.2.3.4\0", b"x" * 70, b"1\\2 "])


@pytest.mark.parametrize("syntax", FAST)
@given(elements=st.lists(st.builds(Element, TAGS, st.just("UI"), VALUES), max_size=20, unique_by=lambda each: each.tag))
def test_of_any_elements(syntax: str, elements: list[Element]) -> None:
    data_set = b"".join(encode([each], syntax) for each in elements)

    found = first_uids(data_set, syntax)

    assert found in (None, scanned_uids(data_set, syntax))


@pytest.mark.parametrize("syntax", FAST)
@given(data=st.binary(max_size=300), head=st.integers(0, 200))
def test_of_any_bytes(syntax: str, data: bytes, head: int) -> None:
    data_set = encoded(instance(side_pixels=0, transfer_syntax=syntax))[:head] + data

    found = first_uids(data_set, syntax)

    if found is not None:
        try:
            expected = scanned_uids(data_set, syntax)
        except UnreadableDataSet:
            return  # behind them; whoever needs more of it will see
        assert found == expected
