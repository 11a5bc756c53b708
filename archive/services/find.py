"""C-FIND SCP (PS3.4 C.4.1): an identifier becomes a query, its matches stream back in chunks.

No transaction is open while the peer reads: the primary keys of all matches come first, then a chunk of rows at a time.
Between writes we look whether the peer has cancelled.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from archive.dicom.attributes import Level
from archive.dimse import status
from archive.dimse.commands import CFindRequest, Response
from archive.dimse.exchange import Exchange
from archive.errors import Failed, Refused, UnsupportedSopClass
from archive.lifecycle.retrieve import Holdings
from archive.query import response
from archive.query.identifier import parse_find
from archive.query.model import Model, Operation, Query
from archive.query.response import ResponsePlan
from archive.services import failures
from archive.services.admission import Admitted

# Identifiers are a few hundred bytes; UID lists of large studies some ten thousand.
MAX_IDENTIFIER_BYTES = 1 << 20

ROWS_AT_A_TIME = 500
# Sent by one system call, and lost to the peer's patience at most, when it cancels.
RESPONSES_AT_A_TIME = 50


def serve_find(
    request: CFindRequest, exchange: Exchange, admitted: Admitted, holdings: Holdings
) -> tuple[int, int, Level | None]:
    """Answer one query. Returns the final status, the number of answers, and the level if the query could be read."""
    area = admitted.title.area
    sent, level = 0, None
    try:
        query = _query(request, exchange, admitted)
        level = query.level
        title = admitted.title
        plan = response.plan(query, exchange.context.transfer_syntax, title.title, title.answering.character_sets)
        limit = area.answer_limit
        most, first = (None, ROWS_AT_A_TIME) if limit is None else (limit + 1, min(limit, ROWS_AT_A_TIME))
        pks, rows = holdings.find(query, area, plan.columns, limit=most, first=first)
        pending = status.PENDING_WITH_UNSUPPORTED_KEYS if query.unsupported else status.PENDING
        answer = request.answer(pending)
        waiting: list[tuple[Response, bytes | None]] = []  # the last of them go with the final response
        for identifiers in _batches(query, plan, pks[:limit], rows, holdings):
            if exchange.cancelled(request.message_id):
                exchange.respond(request.answer(status.CANCEL))
                return status.CANCEL, sent, level
            if waiting:
                exchange.respond_many(waiting)
                sent += len(waiting)
            waiting = [(answer, identifier) for identifier in identifiers]
        code, comment = status.SUCCESS, ""
        if limit is not None and len(pks) > limit:
            code, comment = status.FIND_OUT_OF_RESOURCES, f"More than {limit} answers; ask for less"
        exchange.respond_many([*waiting, (request.answer(code, error_comment=comment), None)])
        return code, sent + len(waiting), level
    except (Refused, Failed) as error:
        code = failures.status_of(failures.FIND, error)
        comment, elements = failures.comment_of(error), failures.offending_elements_of(error)
        exchange.respond(request.answer(code, error_comment=comment, offending_elements=elements))
        return code, sent, level


def _query(request: CFindRequest, exchange: Exchange, admitted: Admitted) -> Query:
    identifier = exchange.read_data_set(MAX_IDENTIFIER_BYTES)
    context = exchange.context
    sop_class = request.affected_sop_class_uid
    if sop_class != context.abstract_syntax or Operation.of_sop_class(sop_class) is not Operation.FIND:
        raise UnsupportedSopClass(sop_class_uid=sop_class)
    options = admitted.options(sop_class, Operation.FIND)
    return parse_find(identifier, context.transfer_syntax, Model.of_sop_class(sop_class), options)


def _batches(
    query: Query, plan: ResponsePlan, pks: Sequence[int], first: list[tuple[Any, ...]], holdings: Holdings
) -> Iterator[list[bytes]]:
    """The encoded answers, as many at a time as are sent together; `first` are the rows that are there already."""
    rows = iter(first)
    for at in range(ROWS_AT_A_TIME, len(pks) + ROWS_AT_A_TIME, ROWS_AT_A_TIME):
        while batch := [plan.encode(row) for row in islice(rows, RESPONSES_AT_A_TIME)]:
            yield batch
        following = pks[at : at + ROWS_AT_A_TIME]
        rows = iter(holdings.answers(query.level, plan.columns, following) if following else ())
