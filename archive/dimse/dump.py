"""A DIMSE message as lines for people, in the layout of DCMTK's programs at debug level; pure.

Fields stand in DCMTK's order, one to a line. What it leaves out and who looks for a fault needs follows the status:
Error Comment and Offending Element (PS3.7 annex C). Data sets are not shown: they may be of any size.
"""

from collections.abc import Iterator, Mapping

from archive.dicom.dcmtk_names import dcmtk_name_of
from archive.dimse import status
from archive.dimse.commands import (
    HIGH,
    LOW,
    MEDIUM,
    CCancelRequest,
    CEchoRequest,
    CEchoResponse,
    CFindRequest,
    CFindResponse,
    CGetRequest,
    CGetResponse,
    CMoveRequest,
    CMoveResponse,
    Command,
    CStoreRequest,
    CStoreResponse,
    Response,
    SubOperationsResponse,
    UnrecognizedRequest,
    UnrecognizedResponse,
)

_NAME_COLUMNS = 30
_TYPES: Mapping[type[Command], str] = {
    CEchoRequest: "C-ECHO RQ",
    CEchoResponse: "C-ECHO RSP",
    CStoreRequest: "C-STORE RQ",
    CStoreResponse: "C-STORE RSP",
    CFindRequest: "C-FIND RQ",
    CFindResponse: "C-FIND RSP",
    CGetRequest: "C-GET RQ",
    CGetResponse: "C-GET RSP",
    CMoveRequest: "C-MOVE RQ",
    CMoveResponse: "C-MOVE RSP",
    CCancelRequest: "C-CANCEL RQ",
}
_PRIORITIES = {LOW: "low", MEDIUM: "medium", HIGH: "high"}

# What a status says beyond its category: first those of a service, then those of a service that begin with the same
# byte or digit, then those of all services.
_GENERAL = {
    status.SUCCESS: "Success",
    status.SOP_CLASS_NOT_SUPPORTED: "Refused: SOP Class not supported",
    status.NOT_AUTHORIZED: "Refused: Not authorized",
    status.CLASS_INSTANCE_CONFLICT: "Class-Instance conflict",
    status.DUPLICATE_SOP_INSTANCE: "Duplicate SOP Instance",
    status.DUPLICATE_INVOCATION: "Duplicate invocation",
    status.INVALID_ARGUMENT_VALUE: "Invalid argument value",
    status.INVALID_SOP_INSTANCE: "Invalid SOP Instance",
    status.MISTYPED_ARGUMENT: "Mistyped argument",
    status.NO_SUCH_SOP_CLASS: "No such SOP Class",
    status.PROCESSING_FAILURE: "Processing failure",
    status.RESOURCE_LIMITATION: "Resource limitation",
    status.UNRECOGNIZED_OPERATION: "Unrecognized operation",
}
_MISMATCH = "Error: Data Set does not match SOP Class"
_STORE = {
    status.STORE_COERCION_OF_DATA_ELEMENTS: "Warning: Coercion of Data Elements",
    status.STORE_DATA_SET_DOES_NOT_MATCH_SOP_CLASS_WARNING: "Warning: Data Set does not match SOP Class",
    status.STORE_ELEMENTS_DISCARDED: "Warning: Elements discarded",
}
_FIND = {
    status.SUCCESS: "Success: Matching is complete",
    status.PENDING: "Pending: Matches are continuing",
    status.PENDING_WITH_UNSUPPORTED_KEYS: "Pending: Matches are continuing - Warning: Unsupported optional keys",
    status.CANCEL: "Cancel: Matching terminated due to Cancel Request",
    status.FIND_OUT_OF_RESOURCES: "Refused: Out of resources",
}
_RETRIEVE = {
    status.SUCCESS: "Success: Sub-operations complete - No failures or warnings",
    status.PENDING: "Pending: Sub-operations are continuing",
    status.CANCEL: "Cancel: Sub-operations terminated due to Cancel Indication",
    status.RETRIEVE_OUT_OF_RESOURCES_MATCHES: "Refused: Out of resources - Unable to calculate number of matches",
    status.RETRIEVE_OUT_OF_RESOURCES_SUB_OPERATIONS: "Refused: Out of resources - Unable to perform sub-operations",
    status.RETRIEVE_MOVE_DESTINATION_UNKNOWN: "Refused: Move Destination unknown",
    status.RETRIEVE_IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS: _MISMATCH,
    status.RETRIEVE_SUB_OPERATIONS_FAILED_OR_WARNED: (
        "Warning: Sub-operations complete - One or more failures or warnings"
    ),
}
_MEANINGS: Mapping[type[Response], tuple[Mapping[int, str], Mapping[str, str]]] = {
    CStoreResponse: (_STORE, {"a7": "Refused: Out of resources", "a9": _MISMATCH, "c": "Error: Cannot understand"}),
    CFindResponse: (_FIND, {"a9": _MISMATCH, "c": "Failed: Unable to process"}),
    CGetResponse: (_RETRIEVE, {"c": "Failed: Unable to process"}),
    CMoveResponse: (_RETRIEVE, {"c": "Failed: Unable to process"}),
}


def lines(command: Command, *, context_id: int, has_data_set: bool, is_incoming: bool) -> tuple[str, ...]:
    """The lines of one message, the ruled ones above and below it too."""
    way = "INCOMING" if is_incoming else "OUTGOING"
    fields = _fields(command, context_id, "present" if has_data_set else "none")
    return (
        f"===================== {way} DIMSE MESSAGE ====================",
        *(f"{name:{_NAME_COLUMNS}}: {value}" for name, value in fields),
        "======================= END DIMSE MESSAGE =======================",
    )


def _fields(command: Command, context_id: int, data_set: str) -> Iterator[tuple[str, object]]:
    yield "Message Type", _type(command)
    yield "Presentation Context ID", context_id
    if isinstance(command, Response):
        yield from _of_response(command, data_set)
    elif isinstance(command, CCancelRequest):
        yield "Message ID Being Responded To", command.message_id_being_responded_to
        yield "Data Set", data_set
    else:
        yield from _of_request(command, data_set)


def _type(command: Command) -> str:
    if isinstance(command, UnrecognizedRequest | UnrecognizedResponse):
        return f"unknown, command field {command.command_field:04X}H"
    return _TYPES[type(command)]


def _of_request(
    command: CEchoRequest | CStoreRequest | CFindRequest | CGetRequest | CMoveRequest | UnrecognizedRequest,
    data_set: str,
) -> Iterator[tuple[str, object]]:
    yield "Message ID", command.message_id
    if isinstance(command, UnrecognizedRequest):
        yield "SOP Class UID", _named(command.sop_class_uid)
        yield "SOP Instance UID", command.sop_instance_uid or "none"
    elif not isinstance(command, CEchoRequest):
        yield "Affected SOP Class UID", _named(command.affected_sop_class_uid)
    if isinstance(command, CStoreRequest):
        yield "Affected SOP Instance UID", command.affected_sop_instance_uid
    yield "Data Set", data_set
    if not isinstance(command, UnrecognizedRequest | CEchoRequest):
        yield "Priority", _PRIORITIES.get(command.priority, command.priority)
    if isinstance(command, CMoveRequest):
        yield "Move Destination", command.move_destination
    if isinstance(command, CStoreRequest):
        if command.move_originator_ae_title is not None:
            yield "Move Originator AE Title", command.move_originator_ae_title
        if command.move_originator_message_id is not None:
            yield "Move Originator ID", command.move_originator_message_id


def _of_response(command: Response, data_set: str) -> Iterator[tuple[str, object]]:
    yield "Message ID Being Responded To", command.message_id_being_responded_to
    yield "Affected SOP Class UID", _named(command.affected_sop_class_uid)
    if isinstance(command, CStoreResponse | UnrecognizedResponse):
        yield "Affected SOP Instance UID", command.affected_sop_instance_uid or "none"
    if isinstance(command, SubOperationsResponse):
        yield "Remaining Suboperations", _counted(command.remaining)
        yield "Completed Suboperations", _counted(command.completed)
        yield "Failed Suboperations", _counted(command.failed)
        yield "Warning Suboperations", _counted(command.warning)
    yield "Data Set", data_set
    yield "DIMSE Status", f"0x{command.status:04x}: {_meaning(command)}"
    if command.error_comment:
        yield "Error Comment", command.error_comment
    for tag in command.offending_elements:
        yield "Offending Element", f"({tag >> 16:04x},{tag & 0xFFFF:04x})"


def _meaning(response: Response) -> str:
    code = response.status
    exactly, by_beginning = _MEANINGS.get(type(response), ({}, {}))
    digits = f"{code:04x}"
    return (
        exactly.get(code)
        or by_beginning.get(digits[:2])
        or by_beginning.get(digits[:1])
        or _GENERAL.get(code)
        or status.category(code).value
    )


def _named(uid: str) -> str:
    return dcmtk_name_of(uid) or uid or "none"


def _counted(count: int | None) -> object:
    return "none" if count is None else count
