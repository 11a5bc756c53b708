"""What is written anew is byte for byte what DCMTK writes for the same options, and for pydicom what came."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archive import errors
from archive.dicom import part10
from archive.dicom.convert import CONVERTIBLE, BufferReader
from archive.dicom.encode import Element, encode, parse
from archive.dicom.normal import EncodingOptions, GroupLengths, SequenceLengths, normalised
from archive.dicom.uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from tests.property.test_convert_roundtrip import ITEMS, SOUND, TARGETS
from tests.unit.dicom.corpus import differences, parsed, samples

CREATE, UNDEFINED = GroupLengths.CREATE, SequenceLengths.UNDEFINED
PADDING = 0xFFFCFFFC
ODD = 0x00010002  # in two files, of an odd length; it gets an even one
DCMCONV = "/usr/bin/dcmconv"
OPTIONS = {
    "": EncodingOptions(),
    "+te": EncodingOptions(transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN),
    "+tb": EncodingOptions(transfer_syntax_uid=EXPLICIT_VR_BIG_ENDIAN),
    "+ti": EncodingOptions(transfer_syntax_uid=IMPLICIT_VR_LITTLE_ENDIAN),
    "+g": EncodingOptions(group_lengths=CREATE),
    "-g": EncodingOptions(group_lengths=GroupLengths.REMOVE),
    "-e": EncodingOptions(sequence_lengths=UNDEFINED),
    "-e +g": EncodingOptions(sequence_lengths=UNDEFINED, group_lengths=CREATE),
    "+p 512 32": EncodingOptions(file_padding_bytes=512, item_padding_bytes=32),
    "-e +g +p 30 14": EncodingOptions(
        sequence_lengths=UNDEFINED, group_lengths=CREATE, file_padding_bytes=30, item_padding_bytes=14
    ),
    "-u": EncodingOptions(old_vrs_only=True),
    "+uc": EncodingOptions(converts_un=True),
    "+uc -u +tb": EncodingOptions(converts_un=True, old_vrs_only=True, transfer_syntax_uid=EXPLICIT_VR_BIG_ENDIAN),
}

# DCMTK takes more than one space away from the end of a value, and leaves a deflated data set at an odd length; the
# last one it reads to the end of its fragments only with a warning.
TRIMMED = ("SC_rgb_gdcm_KY.dcm", "examples_ybr_color.dcm")
NOT_READ = ("SC_rgb_jpeg.dcm",)
# DCMTK writes pixels that came in implicit VR as OW whatever their depth, we write OB up to 8 bits (PS3.5 8.2).
OB_PIXELS = ("SC_rgb_jpeg_dcmd.dcm",)
# DCMTK writes private sequences with their length in implicit VR too, where nobody can tell that they are sequences.
PRIVATE_SEQUENCES = (
    "meta_missing_tsyntax.dcm",
    "nested_priv_SQ.dcm",
    "priv_SQ.dcm",
    "UN_sequence.dcm",
    "dicomdirtests/98892001/CT2N/6293",
    "dicomdirtests/98892001/CT5N/2062",
)
COMPARED = [
    each
    for each in samples()
    if each.name not in (*TRIMMED, *NOT_READ, *OB_PIXELS, *PRIVATE_SEQUENCES)
    and each.transfer_syntax != DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
    and "DICOMDIR" not in each.name
    and ("/" not in each.name or each in SOUND)
]


def rewritten(data: bytes, syntax: str, options: EncodingOptions, offset_bytes: int = 0) -> bytes:
    return b"".join(normalised(lambda: BufferReader(data).read, syntax, options, offset_bytes=offset_bytes))


def by_dcmtk(file_bytes: bytes, words: str, folder: Path) -> tuple[bytes, int] | None:
    """The data set as dcmconv writes it, and where it lies in its file; None if dcmconv does not."""
    source, target = folder / "source.dcm", folder / "target.dcm"
    source.write_bytes(file_bytes)
    target.unlink(missing_ok=True)
    padding = [] if "+p" in words else ["-p"]
    ran = subprocess.run([DCMCONV, *padding, *words.split(), source, target], capture_output=True, check=False)
    if ran.returncode:
        return None
    written = target.read_bytes()
    offset = part10.data_set_offset(written)
    return written[offset:], offset


@pytest.mark.parametrize("words", OPTIONS)
def test_bundled_files_are_written_as_dcmtk_writes_them(words: str, tmp_path: Path) -> None:
    unequal = []
    for sample in COMPARED:
        theirs = by_dcmtk(sample.file_bytes, words, tmp_path)
        try:
            offset = 0 if theirs is None else theirs[1]
            ours = rewritten(sample.data_set, sample.transfer_syntax, OPTIONS[words], offset)
        except (errors.CannotConvert, errors.UnreadableDataSet):
            ours = None
        if ours != (None if theirs is None else theirs[0]):
            unequal.append(sample.name)

    assert len(COMPARED) > 60
    assert unequal == []


@pytest.mark.parametrize("words", [each for each in OPTIONS if "-u" not in each])  # OB has no value to compare
def test_bundled_files_written_anew_are_equal_for_pydicom(words: str) -> None:
    options = OPTIONS[words]
    unequal = {}
    for sample in SOUND:
        written = rewritten(sample.data_set, sample.transfer_syntax, options)

        found = parsed(written, options.written_syntax(sample.transfer_syntax))
        expected = parsed(sample.data_set, sample.transfer_syntax)
        if said := differences(found, expected, ignored={PADDING, ODD}):
            unequal[sample.name] = said

    assert unequal == {}


CHOICES = st.sampled_from(list(OPTIONS))


def trimmed(elements: tuple[Element, ...]) -> tuple[Element, ...]:
    """Without spaces at the end, which DCMTK takes away."""
    return tuple(
        replace(
            each,
            value=(each.value.rstrip() if each.vr in ("LO", "UT") else each.value)
            if isinstance(each.value, bytes)
            else tuple(map(trimmed, each.value)),
        )
        for each in elements
    )


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ITEMS.map(trimmed).filter(bool), st.sampled_from(sorted(set(TARGETS))), CHOICES, CHOICES)
def test_any_elements_are_written_as_dcmtk_writes_them(
    tmp_path: Path, elements: tuple[Element, ...], syntax: str, first: str, words: str
) -> None:
    # The first way of writing brings in group lengths, padding and undefined lengths for the second to deal with.
    before = OPTIONS[first]
    data, syntax = rewritten(encode(elements, syntax), syntax, before), before.written_syntax(syntax)
    theirs = by_dcmtk(part10.file_meta("1.2.3", "1.2.3.4", syntax) + data, words, tmp_path)
    assert theirs is not None

    ours = rewritten(data, syntax, OPTIONS[words], theirs[1])

    if OPTIONS[words].written_syntax(syntax) == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
        assert ours in (theirs[0], theirs[0] + b"\0")
    else:
        assert ours == theirs[0]


@settings(max_examples=150)
@given(
    ITEMS,
    st.sampled_from(TARGETS),
    st.builds(
        EncodingOptions,
        transfer_syntax_uid=st.sampled_from([None, *TARGETS]),
        group_lengths=st.sampled_from(GroupLengths),
        sequence_lengths=st.sampled_from(SequenceLengths),
        file_padding_bytes=st.sampled_from([0, 2, 14, 512]),
        item_padding_bytes=st.sampled_from([0, 2, 14, 512]),
        converts_un=st.booleans(),
        deflate_level=st.integers(0, 9),
    ),
)
def test_any_elements_keep_their_values(elements: tuple[Element, ...], syntax: str, options: EncodingOptions) -> None:
    data = encode(elements, syntax)

    once = rewritten(data, syntax, options)

    written = options.written_syntax(syntax)
    assert unpadded(parse(once, written)) == parse(data, syntax)
    assert rewritten(once, written, replace(options, transfer_syntax_uid=None)) == once


def unpadded(elements: list[Element] | tuple[Element, ...]) -> list[Element]:
    """Without Data Set Trailing Padding."""
    return [
        each
        if isinstance(each.value, bytes)
        else replace(each, value=tuple(tuple(unpadded(item)) for item in each.value))
        for each in elements
        if each.tag != PADDING
    ]


@settings(max_examples=200)
@given(st.binary(max_size=300), st.sampled_from([*TARGETS, "1.2.840.10008.1.2.4.50"]), CHOICES)
def test_any_bytes_are_written_anew_or_refused(data: bytes, syntax: str, words: str) -> None:
    try:
        rewritten(data, syntax, OPTIONS[words])
    except (errors.UnreadableDataSet, errors.CannotConvert):
        return


@settings(max_examples=200)
@given(
    ITEMS,
    st.sampled_from(sorted(CONVERTIBLE)),
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255)), min_size=1, max_size=4),
    CHOICES,
)
def test_damaged_elements_are_written_well_formed_or_refused(
    elements: tuple[Element, ...], syntax: str, damage: list[tuple[int, int]], words: str
) -> None:
    data = bytearray(encode(elements, syntax) or b"\0")
    for position, byte in damage:
        data[position % len(data)] = byte

    try:
        written = rewritten(bytes(data), syntax, OPTIONS[words])
    except (errors.UnreadableDataSet, errors.CannotConvert):
        return

    parse(written, OPTIONS[words].written_syntax(syntax))
