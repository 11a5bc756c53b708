"""The fast header scan, its plain twin, and pydicom agree; and hostile bytes give one kind of error at most."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from archive import errors
from archive.dicom.attributes import ATTRIBUTES, Level
from archive.dicom.elements import vr_of
from archive.dicom.header import Header, scan, scan_plainly
from archive.dicom.uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    encoding_of,
)
from tests.unit.dicom.corpus import SEQUENCE, Sample, differences, parsed, raw_values, read, samples, written

SYNTAXES = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN)
CUT_SHORT = ("rtplan_truncated.dcm",)  # inside a sequence, of which pydicom still reads the beginning
# Compressed syntax, implicit data set: only the scan with its own look at the first element understands it.
WRONGLY_DECLARED = ("SC_rgb_jpeg.dcm",)


def values(header: Header) -> dict[int, bytes]:
    """What `raw_values` is for pydicom."""
    found: dict[int, bytes] = {}
    for tag in header.tags:
        if tag >> 16 == 2 or tag >> 16 >= 0x7FE0 or tag & 0xFFFF == 0 or tag == 0x00080005:
            continue
        raw = header.raw(tag)
        is_sequence = raw is None or vr_of(tag) == "SQ" or raw.startswith(b"\xfe\xff\x00\xe0")
        found[tag] = SEQUENCE if is_sequence or raw is None else raw
    return found


def reference(sample_bytes: bytes) -> dict[int, bytes]:
    found = raw_values(read(sample_bytes, stop_before_pixels=True))
    return {tag: SEQUENCE if raw.startswith(b"\xfe\xff\x00\xe0") else raw for tag, raw in found.items()}


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.name)
def test_scan_of_a_bundled_file_equals_pydicom(sample: Sample) -> None:
    expected = reference(sample.file_bytes)

    header = scan(sample.data_set, sample.transfer_syntax, is_whole=True)

    found = values(header)
    if sample.name in CUT_SHORT:
        assert not header.complete
        assert found == {tag: raw for tag, raw in expected.items() if tag in found}
    else:
        assert header.complete
        assert found == expected


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.name)
def test_plain_lane_equals_the_fast_one_on_a_bundled_file(sample: Sample) -> None:
    encoding = encoding_of(sample.transfer_syntax)
    if encoding.is_deflated or sample.name in WRONGLY_DECLARED:
        pytest.skip("the plain lane is not asked")
    fast = scan(sample.data_set, sample.transfer_syntax, is_whole=True)

    plain = scan_plainly(sample.data_set, encoding, is_whole=True)

    assert values(plain) == values(fast)
    assert plain.complete == fast.complete
    assert plain.character_sets == fast.character_sets
    for attribute in ATTRIBUTES:
        assert plain.text(attribute.tag) == fast.text(attribute.tag), attribute
    for level in Level:
        assert_same_elements(plain.rest(level), fast.rest(level))


def assert_same_elements(one: bytes, other: bytes) -> None:
    assert not differences(parsed(one, EXPLICIT_VR_LITTLE_ENDIAN), parsed(other, EXPLICIT_VR_LITTLE_ENDIAN))


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm", "image_dfl.dcm"])
def test_a_cut_anywhere_gives_the_elements_before_it(name: str) -> None:
    sample = next(each for each in samples() if each.name == name)
    whole = values(scan(sample.data_set, sample.transfer_syntax, is_whole=True))
    length = min(len(sample.data_set), 6000)

    for end in range(0, length, 13):
        header = scan(sample.data_set[:end], sample.transfer_syntax)

        found = values(header)
        assert found.items() <= whole.items()
        assert not header.complete or found == whole


TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="\\"), max_size=40)


@st.composite
def data_sets(draw: st.DrawFn, depth: int = 2) -> Dataset:
    """Data sets with text, numbers, bulk, private elements and sequences of both kinds of length."""
    data_set = Dataset()
    data_set.PatientID = draw(TEXT)
    data_set.StudyDescription = draw(TEXT)
    data_set.ImageComments = draw(TEXT)
    data_set.Rows = draw(st.integers(0, 0xFFFF))
    data_set.ImageOrientationPatient = draw(st.lists(st.integers(-9, 9), max_size=6))
    data_set.RedPaletteColorLookupTableData = draw(st.binary(max_size=3000).map(lambda raw: raw + raw))
    data_set.ReferencePixelX0 = draw(st.integers(-(2**31), 2**31 - 1))
    private = data_set.private_block(0x0011, "ARCHIVE TEST", create=True)
    private.add_new(0x01, "UN", draw(st.binary(max_size=30).map(lambda raw: raw + raw)))
    if depth:
        items = Sequence(draw(st.lists(data_sets(depth - 1), max_size=2)))
        items.is_undefined_length = draw(st.booleans())
        for item in items:
            item.is_undefined_length_sequence_item = draw(st.booleans())
        data_set.RequestAttributesSequence = items
    return data_set


@settings(max_examples=40)
@given(data_sets(), st.sampled_from(SYNTAXES))
def test_scan_of_what_pydicom_wrote_equals_it(data_set: Dataset, syntax: str) -> None:
    data = written(data_set, syntax)
    expected = raw_values(parsed(data, syntax))

    header = scan(data, syntax, is_whole=True)

    assert header.complete
    assert values(header) == {tag: SEQUENCE if vr_of(tag) == "SQ" else raw for tag, raw in expected.items()}
    assert header.text(0x00100020) == data_set.PatientID.strip(" ")
    assert header.text(0x00280010) == str(data_set.Rows)
    items = header.items(0x00400275)
    assert [item.text(0x00081030) for item in items] == [
        item.StudyDescription.strip(" ") for item in data_set.RequestAttributesSequence
    ]
    assert all(item.complete for item in items)


@settings(max_examples=40)
@given(data_sets())
def test_rest_has_all_that_no_column_holds(data_set: Dataset) -> None:
    held = {attribute.tag for attribute in ATTRIBUTES if attribute.column}

    if len(data_set.RedPaletteColorLookupTableData) > 1024:
        held.add(0x00281201)  # bulk

    for syntax in SYNTAXES:
        data = written(data_set, syntax)
        header = scan(data, syntax, is_whole=True)
        rest = Dataset()
        for level in Level:
            rest.update(parsed(header.rest(level), EXPLICIT_VR_LITTLE_ENDIAN))

        assert {int(tag) for tag in rest.keys()} & held == set()  # noqa: SIM118
        if len(data) < 1 << 14:  # beyond, a sequence may be left out
            assert not differences(rest, parsed(data, syntax), ignored=held), syntax


@settings(max_examples=150)
@given(st.binary(max_size=400), st.sampled_from((*SYNTAXES, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)), st.booleans())
def test_any_bytes_give_a_header_or_unreadable_data_set(data: bytes, syntax: str, is_whole: bool) -> None:
    look_at_everything(data, syntax, is_whole=is_whole)


@settings(max_examples=150)
@given(
    data_sets(), st.sampled_from(SYNTAXES), st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=5)
)
def test_damaged_data_sets_give_a_header_or_unreadable_data_set(
    data_set: Dataset, syntax: str, damage: list[tuple[int, int]]
) -> None:
    data = bytearray(written(data_set, syntax))
    for position, byte in damage:
        data[position % len(data)] = byte

    look_at_everything(bytes(data), syntax, is_whole=True)


def look_at_everything(data: bytes, syntax: str, *, is_whole: bool) -> None:
    try:
        header = scan(data, syntax, is_whole=is_whole)
    except errors.UnreadableDataSet:
        return
    for tag in header.tags:
        header.raw(tag)
        text = header.text(tag)
        assert text is None or "\0" not in text
        for item in header.items(tag):
            item.text(0x00100010)
    for level in Level:
        header.rest(level)
    assert isinstance(header.sop_instance_uid, str)
