"""Small synthetic instances by keyword, to be stored: builders, no patient data, the same bytes each time.

UIDs are made of numbers, so a test says which patient, study, series and instance it means: `instance(study=2,
number=5)` is always the same SOP Instance, and so is `ct(study=2, number=5)`. pydicom's own bundled files serve where
real encodings matter.
"""

import hashlib
import warnings
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pydicom.data
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import dcmwrite, write_dataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)

BUNDLED_FOLDER = Path(pydicom.data.__file__).parent / "test_files"
CHARSET_FOLDER = Path(pydicom.data.__file__).parent / "charset_files"
CT_SAMPLE = BUNDLED_FOLDER / "CT_small.dcm"
MR_SAMPLE = BUNDLED_FOLDER / "MR_small.dcm"

_SMALL_SIDE_PIXELS = 64  # 64 x 64 x 16 bit: a file of about 9 KB
_CT_SIDE_PIXELS = 512  # 512 x 512 x 16 bit: a file of about 525 KB


def uid(*parts: object) -> str:
    """The UID that stands for `parts`; UUID-derived form (PS3.5 B.2)."""
    return f"2.25.{int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:16])}"


def instance(
    *,
    patient: int = 1,
    study: int = 1,
    series: int = 1,
    number: int = 1,
    side_pixels: int = _SMALL_SIDE_PIXELS,
    transfer_syntax: str = ExplicitVRLittleEndian,
    **keywords: Any,
) -> FileDataset:
    """One instance of `side_pixels` squared 16-bit pixels, 0 for none; `keywords` are attributes, None deletes one."""
    data_set = Dataset()
    data_set.SpecificCharacterSet = "ISO_IR 192"
    data_set.SOPClassUID = SecondaryCaptureImageStorage
    data_set.SOPInstanceUID = uid("instance", patient, study, series, number)
    data_set.StudyDate, data_set.StudyTime = f"2026{study % 12 + 1:02}{study % 28 + 1:02}", f"{study % 24:02}1500"
    data_set.AccessionNumber = f"A{study:06}"
    data_set.Modality = "OT"
    data_set.ReferringPhysicianName = "Referrer^Ada"
    data_set.StudyDescription = f"Study {study}"
    data_set.PatientName = f"Synthetic^Patient {patient}"
    data_set.PatientID = f"P{patient:06}"
    data_set.PatientBirthDate, data_set.PatientSex = "19700101", "O"
    data_set.StudyInstanceUID = uid("study", patient, study)
    data_set.SeriesInstanceUID = uid("series", patient, study, series)
    data_set.StudyID, data_set.SeriesNumber, data_set.InstanceNumber = str(study), str(series), str(number)
    if side_pixels:
        _add_pixels(data_set, side_pixels, number)
    for keyword, value in keywords.items():
        if value is None:
            delattr(data_set, keyword)
        else:
            setattr(data_set, keyword, value)
    return _with_meta(data_set, transfer_syntax)


def ct(*, side_pixels: int = _CT_SIDE_PIXELS, **keywords: Any) -> FileDataset:
    """One CT slice of about 525 KB."""
    return instance(side_pixels=side_pixels, **{"SOPClassUID": CTImageStorage, "Modality": "CT"} | keywords)


def _add_pixels(data_set: Dataset, side_pixels: int, number: int) -> None:
    data_set.SamplesPerPixel, data_set.PhotometricInterpretation = 1, "MONOCHROME2"
    data_set.Rows = data_set.Columns = side_pixels
    data_set.BitsAllocated = data_set.BitsStored = 16
    data_set.HighBit, data_set.PixelRepresentation = 15, 0
    row = bytes((number + column) % 256 for column in range(2 * side_pixels))
    data_set.add_new("PixelData", "OW", row * side_pixels)


def _with_meta(data_set: Dataset, transfer_syntax: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(transfer_syntax)
    meta.MediaStorageSOPClassUID = data_set.get("SOPClassUID", SecondaryCaptureImageStorage)
    meta.MediaStorageSOPInstanceUID = data_set.get("SOPInstanceUID", uid("none"))
    return FileDataset("", data_set, preamble=bytes(128), file_meta=meta)


def part10_bytes(data_set: FileDataset) -> bytes:
    """`data_set` as a file has it: preamble, File Meta Information, encoded data set (PS3.10 section 7.1)."""
    buffer = BytesIO()
    dcmwrite(buffer, data_set, enforce_file_format=True)
    return buffer.getvalue()


def encoded(data_set: FileDataset) -> bytes:
    """`data_set` as it goes over the wire: no File Meta Information (PS3.5 section 7)."""
    syntax = data_set.file_meta.TransferSyntaxUID
    if syntax == DeflatedExplicitVRLittleEndian:
        return data_set_bytes(part10_bytes(data_set))
    buffer = DicomBytesIO()
    buffer.is_little_endian = syntax != ExplicitVRBigEndian
    buffer.is_implicit_VR = syntax.is_implicit_VR
    write_dataset(buffer, data_set)
    return buffer.getvalue()


def data_set_bytes(part10: bytes | Path) -> bytes:
    """The encoded data set inside a DICOM file: what has to come back byte for byte."""
    raw = part10.read_bytes() if isinstance(part10, Path) else part10
    if raw[128:132] != b"DICM":
        raise InvalidDicomError("no File Meta Information")
    group_length_bytes = int.from_bytes(raw[140:144], "little")  # (0002,0000) is the first element, 12 bytes long
    return raw[144 + group_length_bytes :]


def write(data_set: FileDataset, folder: Path) -> Path:
    """Write `data_set` into `folder`, named by its SOP Instance UID."""
    path = folder / f"{data_set.SOPInstanceUID}.dcm"
    path.write_bytes(part10_bytes(data_set))
    return path


def bundled_files() -> Iterator[Path]:
    """Every DICOM file that comes with pydicom, in order, readable or not."""
    for folder in (BUNDLED_FOLDER, CHARSET_FOLDER):
        yield from sorted(path for path in folder.rglob("*.dcm") if path.is_file())


def is_storable(path: Path) -> bool:
    """Whether the file has File Meta Information and the four UIDs that an archive needs."""
    with warnings.catch_warnings(action="ignore"):  # some files are odd on purpose
        try:
            found = pydicom.dcmread(path, stop_before_pixels=True)
        except (InvalidDicomError, OSError, ValueError, KeyError, NotImplementedError):
            return False
    needed = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
    return "TransferSyntaxUID" in found.file_meta and all(found.get(keyword) for keyword in needed)


@pytest.fixture
def files_of(tmp_path: Path) -> Callable[..., list[Path]]:
    """`files_of(instance(number=1), ct(number=2))` writes them to files and returns the paths."""
    folder = tmp_path / "instances"

    def write_all(*data_sets: FileDataset) -> list[Path]:
        folder.mkdir(exist_ok=True)
        return [write(data_set, folder) for data_set in data_sets]

    return write_all
