"""UIDs: their syntax, our own, and the transfer syntaxes we hold, in the order we prefer them.

Transfer syntaxes: PS3.5 annex A, PS3.6 table A-1; all that pydicom and pynetdicom know (a test says so), and GE's
private one. The order answers a peer that proposes several: what needs no conversion by anybody first, what loses
nothing before what does, big endian last. The SOP Classes are a table of their own and are only passed on here.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto

from archive.dicom.sop_classes import KNOWN_OTHER, NON_PATIENT_SOP_CLASSES, STORAGE_SOP_CLASSES

__all__ = [
    "BY_PREFERENCE",
    "DCMTK_SHUTDOWN",
    "DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN",
    "EXPLICIT_VR_BIG_ENDIAN",
    "EXPLICIT_VR_LITTLE_ENDIAN",
    "IMPLEMENTATION_CLASS_UID",
    "IMPLEMENTATION_VERSION_NAME",
    "IMPLICIT_VR_LITTLE_ENDIAN",
    "KNOWN_OTHER",
    "MAX_UID_CHARACTERS",
    "NON_PATIENT_SOP_CLASSES",
    "STORAGE_SOP_CLASSES",
    "TRANSFER_SYNTAXES",
    "VERIFICATION",
    "Encoding",
    "Kind",
    "TransferSyntax",
    "encoding_of",
    "is_compressed",
    "is_storage",
    "is_uid",
]

IMPLEMENTATION_CLASS_UID = "2.25.22601048889807950044663764281489764873"  # a UUID, made once (PS3.5 B.2)
IMPLEMENTATION_VERSION_NAME = "PACS-ARCHIVE-1"  # at most 16 characters (PS3.7 D.3.3.2)

VERIFICATION = "1.2.840.10008.1.1"
DCMTK_SHUTDOWN = "1.2.276.0.7230010.3.4.1915765545.18030.917282194.0"  # private: ends the service (DCMTK's termscu)
IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"


class Kind(Enum):
    """What a transfer syntax does to the pixels."""

    UNCOMPRESSED = auto()
    DEFLATED = auto()  # the data set as a whole
    LOSSLESS = auto()
    LOSSY = auto()  # or may be
    VIDEO = auto()
    REFERENCED = auto()  # the pixels are elsewhere (JPIP)
    BIG_ENDIAN = auto()
    OTHER = auto()  # retired forms that hardly anybody sends


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the elements of a data set are written (PS3.5 7.1)."""

    is_implicit: bool = False
    is_big_endian: bool = False
    is_deflated: bool = False


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    """One transfer syntax; the keyword is pydicom's."""

    uid: str
    keyword: str
    kind: Kind
    encoding: Encoding


UNCOMPRESSED, DEFLATED, LOSSLESS, LOSSY, VIDEO, REFERENCED, BIG_ENDIAN, OTHER = Kind
_EXPLICIT = Encoding()  # all encapsulated syntaxes as well (PS3.5 A.4)
_IMPLICIT = Encoding(is_implicit=True)
_EXPLICIT_BE = Encoding(is_big_endian=True)
_DEFLATED = Encoding(is_deflated=True)

# In the order of preference.
TRANSFER_SYNTAXES: tuple[TransferSyntax, ...] = (
    TransferSyntax("1.2.840.10008.1.2.1", "ExplicitVRLittleEndian", UNCOMPRESSED, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2", "ImplicitVRLittleEndian", UNCOMPRESSED, _IMPLICIT),
    TransferSyntax("1.2.840.10008.1.2.1.99", "DeflatedExplicitVRLittleEndian", DEFLATED, _DEFLATED),
    TransferSyntax("1.2.840.10008.1.2.4.90", "JPEG2000Lossless", LOSSLESS, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.201", "HTJ2KLossless", LOSSLESS, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.202", "HTJ2KLosslessRPCL", LOSSLESS, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.80", "JPEGLSLossless", LOSSLESS, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.70", "JPEGLosslessSV1", LOSSLESS, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.57", "JPEGLossless", LOSSLESS, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.5", "RLELossless", LOSSLESS, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.110", "JPEGXLLossless", LOSSLESS, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.8.1", "DeflatedImageFrameCompression", LOSSLESS, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.1.98", "EncapsulatedUncompressedExplicitVRLittleEndian", LOSSLESS, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.92", "JPEG2000MCLossless", LOSSLESS, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.58", "JPEGLosslessNonHierarchical15", LOSSLESS, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.65", "JPEGLosslessHierarchical28", LOSSLESS, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.66", "JPEGLosslessHierarchical29", LOSSLESS, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.50", "JPEGBaseline8Bit", LOSSY, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.51", "JPEGExtended12Bit", LOSSY, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.91", "JPEG2000", LOSSY, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.203", "HTJ2K", LOSSY, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.81", "JPEGLSNearLossless", LOSSY, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.111", "JPEGXLJPEGRecompression", LOSSY, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.112", "JPEGXL", LOSSY, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.93", "JPEG2000MC", LOSSY, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.52", "JPEGExtended35", LOSSY, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.53", "JPEGSpectralSelectionNonHierarchical68", LOSSY, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.54", "JPEGSpectralSelectionNonHierarchical79", LOSSY, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.55", "JPEGFullProgressionNonHierarchical1012", LOSSY, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.56", "JPEGFullProgressionNonHierarchical1113", LOSSY, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.59", "JPEGExtendedHierarchical1618", LOSSY, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.60", "JPEGExtendedHierarchical1719", LOSSY, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.61", "JPEGSpectralSelectionHierarchical2022", LOSSY, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.62", "JPEGSpectralSelectionHierarchical2123", LOSSY, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.63", "JPEGFullProgressionHierarchical2426", LOSSY, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.64", "JPEGFullProgressionHierarchical2527", LOSSY, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.100", "MPEG2MPML", VIDEO, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.100.1", "MPEG2MPMLF", VIDEO, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.101", "MPEG2MPHL", VIDEO, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.101.1", "MPEG2MPHLF", VIDEO, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.102", "MPEG4HP41", VIDEO, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.102.1", "MPEG4HP41F", VIDEO, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.103", "MPEG4HP41BD", VIDEO, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.103.1", "MPEG4HP41BDF", VIDEO, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.104", "MPEG4HP422D", VIDEO, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.104.1", "MPEG4HP422DF", VIDEO, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.105", "MPEG4HP423D", VIDEO, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.105.1", "MPEG4HP423DF", VIDEO, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.106", "MPEG4HP42STEREO", VIDEO, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.106.1", "MPEG4HP42STEREOF", VIDEO, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.107", "HEVCMP51", VIDEO, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.108", "HEVCM10P51", VIDEO, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.7.1", "SMPTEST211020UncompressedProgressiveActiveVideo", VIDEO, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.7.2", "SMPTEST211020UncompressedInterlacedActiveVideo", VIDEO, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.7.3", "SMPTEST211030PCMDigitalAudio", VIDEO, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.94", "JPIPReferenced", REFERENCED, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.95", "JPIPReferencedDeflate", REFERENCED, _DEFLATED),
    TransferSyntax("1.2.840.10008.1.2.4.204", "JPIPHTJ2KReferenced", REFERENCED, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.4.205", "JPIPHTJ2KReferencedDeflate", REFERENCED, _DEFLATED),
    TransferSyntax("1.2.840.10008.1.20", "Papyrus3ImplicitVRLittleEndian", OTHER, _IMPLICIT),
    TransferSyntax("1.2.840.10008.1.2.6.1", "RFC2557MIMEEncapsulation", OTHER, _EXPLICIT),
    TransferSyntax("1.2.840.10008.1.2.6.2", "XMLEncoding", OTHER, _EXPLICIT),
    TransferSyntax("1.2.840.113619.5.2", "GEPrivateImplicitVRBigEndian", BIG_ENDIAN, _IMPLICIT),  # the pixels only
    TransferSyntax("1.2.840.10008.1.2.2", "ExplicitVRBigEndian", BIG_ENDIAN, _EXPLICIT_BE),
)

BY_PREFERENCE: tuple[str, ...] = tuple(each.uid for each in TRANSFER_SYNTAXES)
BY_UID: dict[str, TransferSyntax] = {each.uid: each for each in TRANSFER_SYNTAXES}
_ENCODINGS = {each.uid: each.encoding for each in TRANSFER_SYNTAXES}
_COMPRESSED = {each.uid for each in TRANSFER_SYNTAXES if each.kind in (LOSSLESS, LOSSY, VIDEO, REFERENCED)}
_UID = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))*")
MAX_UID_CHARACTERS = 64  # PS3.5 9.1


def is_uid(text: str) -> bool:
    """Whether `text` is a UID by PS3.5 9.1: components of digits without leading zeros, 64 characters at most."""
    return len(text) <= MAX_UID_CHARACTERS and _UID.fullmatch(text) is not None


def is_storage(uid: str) -> bool:
    """Whether `uid` names a SOP Class whose instances are stored by C-STORE."""
    return uid in STORAGE_SOP_CLASSES


def is_compressed(uid: str) -> bool:
    """Whether pixels lie encapsulated or elsewhere; an unknown transfer syntax is taken for such a one (PS3.5 A.4)."""
    return uid in _COMPRESSED or uid not in BY_UID


def encoding_of(transfer_syntax: str) -> Encoding:
    """How elements are written; explicit VR little endian for an unknown transfer syntax (PS3.5 A.4)."""
    return _ENCODINGS.get(transfer_syntax, _EXPLICIT)
