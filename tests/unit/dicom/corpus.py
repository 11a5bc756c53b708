"""pydicom's bundled files as a corpus, and what pydicom itself reads in them: the reference for our own readers."""

import functools
import io
import warnings
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

import pydicom.data
from pydicom import dcmread
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from archive.dicom import part10
from archive.dicom.elements import WORD_BYTES, swapped, vr_of
from archive.dicom.uids import EXPLICIT_VR_BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

# Text, and a data set behind a stray byte that nobody can read.
_NO_DATA_SETS = ("README", "no_meta.dcm")
FOLDER = Path(pydicom.data.__file__).parent / "test_files"


SEQUENCE = b"(sequence)"  # stands for a value that is compared elsewhere


@dataclass(frozen=True)
class Sample:
    """One file of the corpus: its data set as it would come over the network."""

    name: str
    transfer_syntax: str
    data_set: bytes

    @property
    def file_bytes(self) -> bytes:
        return part10.file_meta("1.2.3", "1.2.3.4", self.transfer_syntax, "TEST") + self.data_set


@functools.cache
def samples() -> tuple[Sample, ...]:
    """Every file that says its transfer syntax, or whose syntax pydicom can tell."""
    found = []
    for path in sorted(FOLDER.rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        if path.suffix not in (".dcm", "") or not content or path.name in _NO_DATA_SETS:
            continue
        meta = part10.read_meta(content)
        syntax = meta.transfer_syntax_uid or _guess(content)
        found.append(Sample(str(path.relative_to(FOLDER)), syntax, content[meta.data_set_offset :]))
    return tuple(found)


def _guess(content: bytes) -> str:
    data_set = read(content)
    if data_set.original_encoding[0]:
        return IMPLICIT_VR_LITTLE_ENDIAN
    return EXPLICIT_VR_LITTLE_ENDIAN if data_set.original_encoding[1] else EXPLICIT_VR_BIG_ENDIAN


def read(file_bytes: bytes, *, stop_before_pixels: bool = False) -> Dataset:
    """By pydicom; its warnings about odd files are not our subject."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dcmread(io.BytesIO(file_bytes), force=True, stop_before_pixels=stop_before_pixels)


def raw_values(data_set: Dataset) -> dict[int, bytes]:
    """Top-level values before Pixel Data as bytes in little endian; a sequence is only named.

    Without Specific Character Set, of which pydicom does not keep the bytes.
    """
    values: dict[int, bytes] = {}
    for tag in data_set.keys():  # noqa: SIM118 - a Dataset iterates over elements
        if tag.group == 2 or tag.group >= 0x7FE0 or tag.element == 0 or tag == 0x00080005:
            continue
        element = data_set.get_item(tag)
        if not isinstance(element, RawDataElement):  # pydicom has turned it into a value already
            values[int(tag)] = b"" if element.is_empty and element.VR != "SQ" else SEQUENCE
            continue
        if (element.VR or vr_of(int(tag))) == "SQ" or element.length == 0xFFFFFFFF:
            values[int(tag)] = SEQUENCE
            continue
        value = bytes(element.value or b"")
        values[int(tag)] = value if element.is_little_endian else swapped(value, WORD_BYTES.get(element.VR or "", 1))
    return values


def written(data_set: Dataset, syntax: str) -> bytes:
    """By pydicom, in one of the three uncompressed syntaxes."""
    stream = DicomBytesIO()
    stream.is_implicit_VR = syntax == IMPLICIT_VR_LITTLE_ENDIAN
    stream.is_little_endian = syntax != EXPLICIT_VR_BIG_ENDIAN
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_dataset(stream, data_set)
    return stream.getvalue()


def parsed(data: bytes, syntax: str) -> Dataset:
    """A data set without File Meta Information, by pydicom."""
    return read(part10.file_meta("1.2.3", "1.2.3.4", syntax) + data)


def differences(one: Dataset, other: Dataset, *, ignored: Container[int] = ()) -> list[str]:
    """The elements that differ in value, nested ones as a whole; an empty value is empty however it is written."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _differences(one, other, (_is_big_endian(one), _is_big_endian(other)), ignored)


def _is_big_endian(data_set: Dataset) -> bool:
    return data_set.original_encoding[1] is False


def _differences(one: Dataset, other: Dataset, big: tuple[bool, bool], ignored: Container[int] = ()) -> list[str]:
    found = []
    for tag in sorted(set(one.keys()) | set(other.keys())):
        if tag in ignored or tag.element == 0 or tag.group == 2:
            continue
        if tag not in one or tag not in other:
            found.append(f"{tag} is in one only")
        elif not _are_same(one[tag], other[tag], big, ignored):
            found.append(f"{one[tag]} is not {other[tag]}"[:300])
    return found


def _are_same(one: DataElement, other: DataElement, big: tuple[bool, bool], ignored: Container[int]) -> bool:
    if one.is_empty and other.is_empty:
        return True
    if isinstance(one.value, Sequence) and isinstance(other.value, Sequence):
        pairs = zip(one.value, other.value, strict=False)
        return len(one.value) == len(other.value) and not any(_differences(*pair, big, ignored) for pair in pairs)
    if one.VR != other.VR and "UN" in (one.VR, other.VR):
        return True  # a private VR that was lost in implicit VR
    values = _in_little_endian(one, big[0]), _in_little_endian(other, big[1])
    return values[0] == values[1] or str(values[0]) == str(values[1]) == "nan"


def _in_little_endian(element: DataElement, is_big_endian: bool) -> object:
    """pydicom leaves the words of a binary value in the byte order of the file."""
    if is_big_endian and isinstance(element.value, bytes):
        return swapped(element.value, WORD_BYTES.get(element.VR, 1))
    return element.value
