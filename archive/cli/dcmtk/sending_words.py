"""What is said of instances that were sent, and of those that were not; pure."""

from archive.cli.dcmtk import status_words
from archive.dicom import uids
from archive.dicom.dcmtk_names import name_of
from archive.dicom.modality_prefixes import prefix
from archive.dimse import status
from archive.dimse.commands import CStoreResponse
from archive.errors import ArchiveError, CannotConvert, MissingUid, NoContext
from archive.storage.outgoing import Outgoing

_SYNTAX_NAMES = {
    uids.IMPLICIT_VR_LITTLE_ENDIAN: "Little Endian Implicit",
    uids.EXPLICIT_VR_LITTLE_ENDIAN: "Little Endian Explicit",
    uids.EXPLICIT_VR_BIG_ENDIAN: "Big Endian Explicit",
    uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: "Deflated Explicit VR Little Endian",
}


def is_failure(code: int) -> bool:
    """Whether a peer has not taken an instance; a warning says that it has."""
    return status.category(code) not in (status.Category.SUCCESS, status.Category.WARNING)


def exit_code_of(code: int) -> int:
    """The exit code that tells a status of failure: its first byte, and never that of success."""
    return code >> 8 or 1


def conversion(before: str, after: str) -> str:
    """A data set goes out in another transfer syntax."""
    return f"Converting transfer syntax: {_SYNTAX_NAMES.get(before, before)} -> {_SYNTAX_NAMES.get(after, after)}"


def refusal(path: str, response: CStoreResponse) -> str:
    """The peer did not take an instance."""
    words = status_words.of_store(response.status)
    comment = f": {response.error_comment}" if response.error_comment else ""
    return f"Store Failed, file: {path}: {words} (status {response.status:04X}){comment}"


def problem(path: str, outgoing: Outgoing | None, error: ArchiveError) -> str:
    """Why a file was not sent; `outgoing` is the instance in it, None where there is none."""
    if isinstance(error, MissingUid):
        return f"No SOP Class or Instance UID in file: {path}: {reason(error)}"
    if outgoing is None:
        return f"Bad DICOM file: {path}: {reason(error)}"
    if isinstance(error, NoContext):
        sop_class = outgoing.sop_class_uid
        modality = prefix(sop_class, unknown="") or name_of(sop_class) or "unknown SOP class"
        return f"No presentation context for: ({modality}) {sop_class}, file: {path}"
    if isinstance(error, CannotConvert) and "target" in error.values:
        held, taken = _named(outgoing.transfer_syntax_uid), _named(str(error.values["target"]))
        return f"Store Failed, file: {path}: it is in {held}, and cannot be converted to {taken}, which the peer takes"
    return f"Store Failed, file: {path}: {reason(error)}"


def _named(transfer_syntax: str) -> str:
    return name_of(transfer_syntax) or transfer_syntax


def reason(error: ArchiveError) -> str:
    """What happened, without a full stop."""
    why = error.values.get("reason")
    return error.message.rstrip(".") + (f": {why}" if why else "")
