"""What is stored: data sets that differ in UIDs and Patient ID only, made while they are sent; and a large one."""

import zlib
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from pydicom.dataset import FileDataset

from archive.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN
from tests.fix_instances import encoded, instance

SOP_CLASS = "1.2.840.10008.5.1.4.1.1.7"  # Secondary Capture Image Storage
MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.7.3"  # Multi-frame Grayscale Word Secondary Capture Image Storage
TRANSFER_SYNTAX = EXPLICIT_VR_LITTLE_ENDIAN
PIECE_BYTES = 1 << 20


def uid(kind: int, number: int) -> str:
    """A UID; all have the same length, so that one can be put in the place of another."""
    return f"2.25.{kind}{number:018}"


STUDY, SERIES, INSTANCE = 1, 2, 3
INSTANCES_PER_STUDY = 100

SMALL_SIDE_PIXELS, CT_SIDE_PIXELS = 64, 512  # 9 KB, and as much as a CT


def patient_id(study: int) -> str:
    """The Patient ID of a study; all have the same length."""
    return f"LOAD{study:010}"


class Mould:
    """Instances of so many pixels squared: one is cast, the others are copies of it with other identifiers."""

    def __init__(self, per_study: int = INSTANCES_PER_STUDY, side_pixels: int = SMALL_SIDE_PIXELS) -> None:
        self._per_study = per_study
        self._cast = encoded(_instance(side_pixels=side_pixels))

    def study_of(self, number: int) -> int:
        """The number of the study that an instance is in."""
        return number // self._per_study

    def data_set(self, number: int) -> bytes:
        """The instance of this number."""
        study = self.study_of(number)
        made = self._cast.replace(uid(INSTANCE, 0).encode(), uid(INSTANCE, number).encode())
        made = made.replace(uid(STUDY, 0).encode(), uid(STUDY, study).encode())
        made = made.replace(uid(SERIES, 0).encode(), uid(SERIES, study).encode())
        return made.replace(patient_id(0).encode(), patient_id(study).encode())


def _instance(**keywords: Any) -> FileDataset:
    return instance(
        StudyInstanceUID=uid(STUDY, 0),
        SeriesInstanceUID=uid(SERIES, 0),
        SOPInstanceUID=uid(INSTANCE, 0),
        PatientID=patient_id(0),
        **keywords,
    )


_FRAME_SIDE_PIXELS = 1024
_FRAME_BYTES = 2 * _FRAME_SIDE_PIXELS**2


class LargeInstance:
    """A multi-frame object of frames of 2 MiB, which is nowhere whole."""

    def __init__(self, frames: int) -> None:
        self._frames = frames
        data_set = _instance(side_pixels=0, SOPClassUID=MULTI_FRAME, NumberOfFrames=str(frames))
        data_set.SamplesPerPixel, data_set.PhotometricInterpretation = 1, "MONOCHROME2"
        data_set.Rows = data_set.Columns = _FRAME_SIDE_PIXELS
        data_set.BitsAllocated = data_set.BitsStored = 16
        data_set.HighBit, data_set.PixelRepresentation = 15, 0
        pixel_data = b"\xe0\x7f\x10\x00OW\0\0" + (frames * _FRAME_BYTES).to_bytes(4, "little")
        self._head = encoded(data_set) + pixel_data
        self._piece = bytes(range(256)) * (PIECE_BYTES // 256)

    @property
    def size_bytes(self) -> int:
        """Of the encoded data set."""
        return len(self._head) + self._frames * _FRAME_BYTES

    def pieces(self) -> Iterator[bytes]:
        """The encoded data set; no piece is like its neighbours, so that none can be lost unseen."""
        yield self._head
        for number in range(self._frames * (_FRAME_BYTES // PIECE_BYTES)):
            yield number.to_bytes(4, "little") + self._piece[4:]

    @cached_property
    def checksum(self) -> int:
        """CRC-32 of the encoded data set."""
        found = 0
        for piece in self.pieces():
            found = zlib.crc32(piece, found)
        return found
