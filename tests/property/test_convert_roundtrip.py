"""Whatever is converted between uncompressed transfer syntaxes stays equal for pydicom, element by element."""

import io
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive import errors
from archive.dicom import part10
from archive.dicom.convert import CONVERTIBLE, convert
from archive.dicom.encode import Element, encode, parse
from archive.dicom.uids import EXPLICIT_VR_BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from tests.unit.dicom.corpus import Sample, differences, parsed, samples

TARGETS = sorted(CONVERTIBLE)
# A sequence without its end, and items that are longer than their sequence: no sound data set can be made of them.
DAMAGED = ("rtplan_truncated.dcm", "MR_truncated.dcm", "dicomdirtests/DICOMDIR-nooffset")
# One of each series of the file sets: the others are written by the same device.
FIRST_OF_SERIES = {str(Path(each.name).parent): each for each in reversed(samples()) if "/" in each.name}.values()
SOUND = [
    each
    for each in samples()
    if each.transfer_syntax in CONVERTIBLE
    and each.name not in DAMAGED
    and ("/" not in each.name or "DICOMDIR" in each.name or each in FIRST_OF_SERIES)
]


def converted(data: bytes, source: str, target: str) -> bytes:
    return b"".join(convert(io.BytesIO(data), source, target))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("sample", SOUND, ids=lambda sample: sample.name)
def test_bundled_file_converted_is_equal_for_pydicom(sample: Sample, target: str) -> None:
    data = converted(sample.data_set, sample.transfer_syntax, target)

    assert not differences(parsed(data, target), parsed(sample.data_set, sample.transfer_syntax))


@pytest.mark.parametrize("sample", SOUND, ids=lambda sample: sample.name)
def test_bundled_file_comes_back_through_all_syntaxes(sample: Sample) -> None:
    data, syntax = sample.data_set, sample.transfer_syntax

    for target in (*TARGETS, EXPLICIT_VR_LITTLE_ENDIAN):
        data, syntax = converted(data, syntax, target), target

    original = parsed(sample.data_set, sample.transfer_syntax)
    assert not differences(parsed(data, syntax), original)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "rtplan.dcm", "nested_priv_SQ.dcm", "SC_rgb_small_odd_big_endian.dcm"]
)
def test_converted_file_is_dumped_alike_by_dcmtk(name: str, target: str, tmp_path: Path) -> None:
    sample = next(each for each in samples() if each.name == name)
    original = tmp_path / "original.dcm"
    original.write_bytes(sample.file_bytes)
    result = tmp_path / "converted.dcm"
    data = converted(sample.data_set, sample.transfer_syntax, target)
    result.write_bytes(part10.file_meta("1.2.3", "1.2.3.4", target, "TEST") + data)

    assert dump(result) == dump(original)


def dump(path: Path) -> list[tuple[str, str]]:
    """Tags and values, without what a conversion changes: meta information, lengths, delimiters and the VR UN."""
    command = ["/usr/bin/dcmdump", "+L", "-q", str(path)]
    output = subprocess.run(command, check=True, capture_output=True).stdout.decode("latin-1")
    found = []
    for line in output.splitlines():
        text = line.strip()
        is_left_out = text[:6] in ("(fffe,", "(0002,") or text[5:10] == ",0000"
        if text.startswith("(") and not is_left_out:
            value = text.partition("#")[0][15:].strip() if text[12:14] not in ("SQ", "UN", "??", "OB", "OW") else ""
            found.append((text[:11], value))
    return found


TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30).map(str.encode)
PLAIN = st.one_of(
    st.builds(Element, st.just(0x00100020), st.just("LO"), TEXT),
    st.builds(Element, st.just(0x00280010), st.just("US"), st.binary(min_size=2, max_size=2)),
    st.builds(Element, st.just(0x00186020), st.just("SL"), st.binary(min_size=4, max_size=4)),
    st.builds(Element, st.just(0x00089459), st.just("FL"), st.binary(min_size=4, max_size=4)),
    st.builds(Element, st.just(0x00189087), st.just("FD"), st.binary(min_size=8, max_size=8)),
    st.builds(Element, st.just(0x00280009), st.just("AT"), st.binary(min_size=4, max_size=4)),
    st.builds(Element, st.just(0x00281201), st.just("OW"), st.binary(max_size=40).map(lambda raw: raw + raw)),
    st.builds(Element, st.just(0x00420011), st.just("OB"), st.binary(max_size=40).map(lambda raw: raw + raw)),
    st.builds(Element, st.just(0x0040A160), st.just("UT"), TEXT),
    st.builds(Element, st.just(0x00111001), st.just("UN"), st.binary(max_size=20).map(lambda raw: raw + raw)),
)


def in_order(elements: list[Element]) -> tuple[Element, ...]:
    return tuple(sorted({each.tag: each for each in elements}.values(), key=lambda each: each.tag))


ITEMS = st.recursive(
    st.lists(PLAIN, max_size=4).map(in_order),
    lambda inner: st.builds(
        lambda plain, items: in_order([*plain, Element(0x00081140, "SQ", tuple(items))]),
        st.lists(PLAIN, max_size=3),
        st.lists(inner, max_size=3),
    ),
    max_leaves=8,
)


@settings(max_examples=100)
@given(ITEMS, st.sampled_from(TARGETS), st.sampled_from(TARGETS))
def test_any_elements_keep_their_values(elements: tuple[Element, ...], source: str, target: str) -> None:
    expected = parse(encode(elements, source), source)

    data = converted(encode(elements, source), source, target)

    assert parse(data, target) == expected


@settings(max_examples=100)
@given(ITEMS, st.sampled_from(TARGETS))
def test_what_is_encoded_is_parsed_and_read_by_pydicom(elements: tuple[Element, ...], syntax: str) -> None:
    data = encode(elements, syntax)

    found = parse(data, syntax)

    plain = encode(elements, EXPLICIT_VR_LITTLE_ENDIAN)
    assert [each.tag for each in found] == [each.tag for each in elements]
    assert not differences(parsed(data, syntax), parsed(plain, EXPLICIT_VR_LITTLE_ENDIAN))


@settings(max_examples=150)
@given(st.binary(max_size=300), st.sampled_from(TARGETS), st.sampled_from(TARGETS))
def test_any_bytes_are_converted_or_refused(data: bytes, source: str, target: str) -> None:
    try:
        converted(data, source, target)
        parse(data, source)
    except (errors.UnreadableDataSet, errors.CannotConvert):
        return


@settings(max_examples=100)
@given(
    ITEMS,
    st.sampled_from((EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN)),
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_damaged_elements_are_parsed_or_refused(
    elements: tuple[Element, ...], syntax: str, damage: list[tuple[int, int]]
) -> None:
    data = bytearray(encode(elements, syntax) or b"\0")
    for position, byte in damage:
        data[position % len(data)] = byte

    try:
        parse(bytes(data), syntax)
    except errors.UnreadableDataSet:
        return
