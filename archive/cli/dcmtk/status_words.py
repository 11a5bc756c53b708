"""Statuses of DIMSE responses in the words of DCMTK's programs; pure."""

from archive.dimse import status

_STORE = {
    status.SUCCESS: "Success",
    status.SOP_CLASS_NOT_SUPPORTED: "Refused: SOPClassNotSupported",
    status.STORE_COERCION_OF_DATA_ELEMENTS: "Warning: CoercionOfDataElements",
    status.STORE_DATA_SET_DOES_NOT_MATCH_SOP_CLASS_WARNING: "Warning: DataSetDoesNotMatchSOPClass",
    status.STORE_ELEMENTS_DISCARDED: "Warning: ElementsDiscarded",
}
_RETRIEVE = {
    status.SUCCESS: "Success",
    status.PENDING: "Pending",
    status.SOP_CLASS_NOT_SUPPORTED: "Refused: SOPClassNotSupported",
    status.RETRIEVE_OUT_OF_RESOURCES_MATCHES: "Refused: OutOfResourcesNumberOfMatches",
    status.RETRIEVE_OUT_OF_RESOURCES_SUB_OPERATIONS: "Refused: OutOfResourcesSubOperations",
    status.RETRIEVE_MOVE_DESTINATION_UNKNOWN: "Refused: MoveDestinationUnknown",
    status.RETRIEVE_IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS: "Error: DataSetDoesNotMatchSOPClass",
    status.RETRIEVE_SUB_OPERATIONS_FAILED_OR_WARNED: "Warning: SubOperationsCompleteOneOrMoreFailures",
    status.CANCEL: "Cancel: SubOperationsTerminatedDueToCancelIndication",
}
_FIND = {
    status.SUCCESS: "Success",
    status.PENDING: "Pending",
    status.PENDING_WITH_UNSUPPORTED_KEYS: "Pending: WarningUnsupportedOptionalKeys",
    status.FIND_OUT_OF_RESOURCES: "Refused: OutOfResources",
    status.SOP_CLASS_NOT_SUPPORTED: "Refused: SOPClassNotSupported",
    status.FIND_IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS: "Error: DataSetDoesNotMatchSOPClass",
    status.CANCEL: "Cancel: MatchingTerminatedDueToCancelRequest",
}
_STORE_BY_HIGH_BYTE = {0xA7: "Refused: OutOfResources", 0xA9: "Error: DataSetDoesNotMatchSOPClass"}


def of_store(code: int) -> str:
    """What a status of C-STORE is called (PS3.4 table B.2-1)."""
    if code >> 12 == 0xC:
        return "Error: CannotUnderstand"
    return _STORE.get(code) or _STORE_BY_HIGH_BYTE.get(code >> 8) or f"Unknown Status: 0x{code:x}"


def of_find(code: int) -> str:
    """What a status of C-FIND is called (PS3.4 table C.4-1)."""
    if code >> 12 == 0xC:
        return "Failed: UnableToProcess"
    return _FIND.get(code) or f"Unknown Status: 0x{code:x}"


def of_echo(code: int) -> str:
    """What a status of C-ECHO is called (PS3.7 9.1.5.1.4)."""
    return "Success" if code == status.SUCCESS else f"Unknown Status: 0x{code:x}"


def of_retrieve(code: int) -> str:
    """What a status of C-MOVE or C-GET is called (PS3.4 tables C.4-2 and C.4-3)."""
    if code >> 12 == 0xC:
        return "Failed: UnableToProcess"
    return _RETRIEVE.get(code) or f"Unknown Status: 0x{code:x}"
