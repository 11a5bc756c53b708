"""Errors as DIMSE statuses: one table for each service, and nothing else here knows a number of a failure.

An error that a table does not name is looked up by its base classes. PS3.4 B.2.3 (store), C.4.1.1.4 (find), C.4.2.1.5
(move), C.4.3.1.4 (get); PS3.7 annex C.
"""

from collections.abc import Mapping

from archive import errors
from archive.dimse import status
from archive.dimse.commands import CGetRequest, CMoveRequest
from archive.dimse.exchange import Exchange

Table = Mapping[type[errors.ArchiveError], int]

STORE: Table = {
    errors.NotAuthorized: status.NOT_AUTHORIZED,
    errors.DuplicateInstance: status.DUPLICATE_SOP_INSTANCE,
    errors.UnsupportedSopClass: status.SOP_CLASS_NOT_SUPPORTED,
    errors.DataSetMismatch: status.STORE_DATA_SET_DOES_NOT_MATCH_SOP_CLASS,
    errors.UnreadableDataSet: status.STORE_CANNOT_UNDERSTAND,
    errors.Refused: status.STORE_OUT_OF_RESOURCES,
    errors.Failed: status.STORE_OUT_OF_RESOURCES,
}

FIND: Table = {
    errors.NotAuthorized: status.NOT_AUTHORIZED,
    errors.UnsupportedSopClass: status.SOP_CLASS_NOT_SUPPORTED,
    errors.UnknownLevel: status.FIND_UNABLE_TO_PROCESS,
    errors.MissingUniqueKey: status.FIND_UNABLE_TO_PROCESS,
    errors.InvalidIdentifier: status.FIND_IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS,
    errors.Refused: status.FIND_OUT_OF_RESOURCES,
    errors.Failed: status.FIND_UNABLE_TO_PROCESS,
}

RETRIEVE: Table = {
    errors.NotAuthorized: status.NOT_AUTHORIZED,
    errors.UnsupportedSopClass: status.SOP_CLASS_NOT_SUPPORTED,
    errors.TooManyMatches: status.RETRIEVE_OUT_OF_RESOURCES_MATCHES,
    errors.UnknownDestination: status.RETRIEVE_MOVE_DESTINATION_UNKNOWN,
    errors.UnknownLevel: status.RETRIEVE_UNABLE_TO_PROCESS,
    errors.InvalidIdentifier: status.RETRIEVE_IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS,
    errors.Refused: status.RETRIEVE_OUT_OF_RESOURCES_MATCHES,
    errors.Failed: status.RETRIEVE_UNABLE_TO_PROCESS,
}


def status_of(table: Table, error: errors.ArchiveError) -> int:
    """The status that `table` gives to the error."""
    return next(table[kind] for kind in type(error).__mro__ if kind in table)


def comment_of(error: errors.ArchiveError) -> str:
    """What the peer is told: the sentence, without values that only the administrator should see."""
    return error.message


def offending_elements_of(error: errors.ArchiveError) -> tuple[int, ...]:
    """The tag that the error is about, where it is about one."""
    tag = error.values.get("offending_element")
    return (tag,) if isinstance(tag, int) else ()


def refuse_retrieve(request: CGetRequest | CMoveRequest, exchange: Exchange, error: errors.ArchiveError) -> int:
    """Answer a retrieve that cannot begin; returns the status."""
    code = status_of(RETRIEVE, error)
    comment, elements = comment_of(error), offending_elements_of(error)
    none = {"completed": 0, "failed": 0, "warning": 0}
    exchange.respond(request.answer(code, **none, error_comment=comment, offending_elements=elements))
    return code
