"""Answers to a C-FIND as bytes, and findscu, DCMTK's or ours, that asks for them."""

import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from archive.upper_layer.proposal import Agreement, AnsweredContext, ContextResult, Proposal
from tests.fix_association import agree
from tests.wire.clients import Command, Ended, ran
from tests.wire.raw_messages import BIG_ENDIAN, EXPLICIT, IMPLICIT

FAILED = 2
WORKLIST_FIND = "1.2.840.10008.5.1.4.31"


def short(tag: int, vr: bytes, value: bytes) -> bytes:
    """An element in explicit VR little endian with a 16-bit length."""
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def long(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """An element in explicit VR little endian with a 32-bit length."""
    return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr, 0, len(value) if length is None else length) + value


def asked(command: Command, folder: Path, port: int, *arguments: object, **fields: Any) -> Ended:
    return ran(command, "findscu", *arguments, "127.0.0.1", port, folder=folder, **fields)


def agreeing_on(*syntaxes: str) -> Callable[[Proposal], Agreement]:
    """Accepts each context with the first of these that is proposed."""

    def decide(proposal: Proposal) -> Agreement:
        agreed = agree(proposal)
        answers = tuple(
            AnsweredContext(
                each.context_id,
                ContextResult.ACCEPTED,
                next(syntax for syntax in syntaxes if syntax in each.transfer_syntaxes),
            )
            for each in proposal.contexts
        )
        return Agreement(answers, max_pdu_bytes=agreed.max_pdu_bytes, implementation_class_uid="1.2.3.4")

    return decide


def sample() -> Dataset:
    """An answer with an attribute of every VR that a dictionary names, and a sequence in a sequence."""
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    made.InstanceCreationDate, made.StudyTime, made.AcquisitionDateTime = "20260102", "101112.5", "20260102101112+0100"
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4"
    made.Modality, made.RetrieveAETitle = "CT", "ARCHIVE"
    made.ModalitiesInStudy = ["CT", "MR", "PT"]
    made.StudyDescription = "Schädel " * 8
    made.ReferencedStudySequence = Items([Dataset(), Dataset()])
    made.ReferencedStudySequence[0].ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.4"
    made.ReferencedStudySequence[0].PurposeOfReferenceCodeSequence = Items([Dataset()])
    made.ReferencedStudySequence[0].PurposeOfReferenceCodeSequence[0].CodeMeaning = "Größe"
    made.PatientName, made.PatientID, made.PatientBirthDate = "Müller^Jörg=山田=やまだ", "P 1", ""
    made.PatientAge, made.PatientWeight, made.EthnicGroup = "045Y", ["70.5", "1"], None
    made.PatientComments = "No\\backslash separates here"
    made.RequestedProcedureDescription, made.AdditionalPatientHistory = "a", "b " * 60
    made.FrameIncrementPointer = [0x00181063, 0x00181065]
    made.Rows, made.SmallestImagePixelValue = 512, 3
    made.RecommendedDisplayFrameRateInFloat = 0.1
    made.ReferencePixelX0 = -7
    made.RealWorldValueSlope = [0.1, -1.5, 3.14159265358979, float("inf")]
    made.TagAngleSecondAxis = -5
    made.SimpleFrameList = [1, 2, 70000]
    made.RetrieveURL, made.URNCodeValue, made.LongCodeValue = "http://x/y", "urn:x", ["a", "b"]
    made.DimensionIndexValues = [4294967295]
    made.EncapsulatedDocument = b"%PDF" * 30
    made.add_new(0x54001010, "OW", bytes(range(20)))
    made.add_new(0x00660016, "OF", struct.pack("<2f", 1.5, 0.25))
    made.add_new(0x0018115E, "DS", "0.15")
    made.add_new(0x00720082, "SV", [-(2**60), 5])
    made.add_new(0x00720083, "UV", [2**60])
    made.add_new(0x00081161, "UL", [1, 2])
    made.add_new(0x00660129, "OL", struct.pack("<2I", 1, 2))
    made.add_new(0x00720081, "OV", struct.pack("<Q", 3))
    made.add_new(0x00720073, "OD", struct.pack("<d", 0.0))
    return made


def bytes_of(data_set: Dataset, syntax: str) -> bytes:
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset

    with DicomBytesIO() as out:
        out.is_implicit_VR, out.is_little_endian = syntax == IMPLICIT, syntax != BIG_ENDIAN
        write_dataset(out, data_set)
        return out.getvalue()


OPEN_ITEMS = (
    long(0x00081110, b"SQ", b"", 0xFFFFFFFF)
    + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    + short(0x00081155, b"UI", b"1.2.3\0")
    + struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
    + struct.pack("<HHI", 0xFFFE, 0xE000, 0)
    + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
)
DATA_SETS = {
    "little-endian": (EXPLICIT, bytes_of(sample(), EXPLICIT)),
    "big-endian": (BIG_ENDIAN, bytes_of(sample(), BIG_ENDIAN)),
    "implicit": (IMPLICIT, bytes_of(sample(), IMPLICIT)),
    "open-items": (EXPLICIT, OPEN_ITEMS + short(0x00100010, b"PN", b"A^B ")),
    "empty": (
        EXPLICIT,
        b"".join(short(tag, vr, b"") for tag, vr in ((0x00080005, b"CS"), (0x00080018, b"UI"), (0x00080020, b"DA")))
        + long(0x00081110, b"SQ", b"")
        + short(0x00100010, b"PN", b"")
        + short(0x001021B0, b"LT", b"")
        + b"".join(short(tag, vr, b"") for tag, vr in ((0x00280009, b"AT"), (0x00280010, b"US"), (0x00189087, b"FD")))
        + long(0x00420011, b"OB", b""),
    ),
    "group-lengths": (EXPLICIT, short(0x00080000, b"UL", struct.pack("<I", 10)) + short(0x00080060, b"CS", b"CT")),
    "unknown": (
        EXPLICIT,
        short(0x00190010, b"LO", b"NOBODY'S")
        + long(0x00191001, b"UN", b"\x01\x02\xff\x00")
        + long(0x00191002, b"OB", b"ab"),
    ),
    "odd lengths": (EXPLICIT, short(0x00080060, b"CS", b"CTX") + short(0x00280010, b"US", b"\x01\x02\x03")),
    "padding": (EXPLICIT, short(0x00080060, b"CS", b"CT      ") + short(0x0020000D, b"UI", b"1.2.3\0\0\0")),
    "half a number": (EXPLICIT, short(0x00280010, b"US", b"\x01") + short(0x00280009, b"AT", b"\x01\x02\x03")),
    "late first": (EXPLICIT, short(0x00100010, b"PN", b"A^B ") + short(0x00080060, b"CS", b"CT")),
    "zeros": (EXPLICIT, short(0x00080060, b"CS", b"CT")),
}


def dumped(log: Sequence[str]) -> list[str]:
    """The lines of the first response, without DCMTK's warnings of what is odd in it, and NULs that nobody sees."""
    start = next(number for number, line in enumerate(log) if "Find Response: 1" in line)
    end = next(number for number, line in enumerate(log) if "Received Final Find Response" in line)
    return [line.replace("\0", "") for line in log[start:end] if not line.startswith("W: ")]
