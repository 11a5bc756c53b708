"""What C-MOVE and C-GET have in common: read the identifier, find the instances, try each, say how it ended."""

import logging

from archive.dicom.attributes import Level
from archive.dimse.commands import CGetRequest, CMoveRequest
from archive.dimse.exchange import Exchange
from archive.errors import Failed, Refused, TooManyMatches, UnsupportedSopClass
from archive.index.locate import Location
from archive.lifecycle.retrieve import Holdings
from archive.query.identifier import parse_retrieve
from archive.query.model import Model, Operation
from archive.services.admission import Admitted
from archive.services.find import MAX_IDENTIFIER_BYTES
from archive.services.suboperations import Progress, Sender

log = logging.getLogger(__name__)


def locate(
    sop_class: str, operation: Operation, exchange: Exchange, admitted: Admitted, holdings: Holdings
) -> tuple[Level, list[Location]]:
    """The level and the instances that the identifier asks for; raises Refused or Failed."""
    identifier = exchange.read_data_set(MAX_IDENTIFIER_BYTES)
    context = exchange.context
    if sop_class != context.abstract_syntax or Operation.of_sop_class(sop_class) is not operation:
        raise UnsupportedSopClass(sop_class_uid=sop_class)
    options = admitted.options(sop_class, operation)
    query = parse_retrieve(identifier, context.transfer_syntax, Model.of_sop_class(sop_class), options)
    area = admitted.title.area
    limit = area.retrieve_limit
    locations = holdings.locate(query, area, None if limit is None else limit + 1)
    if limit is not None and len(locations) > limit:
        raise TooManyMatches(f"More than {limit} instances; ask for less")
    return query.level, locations


def attempt(sender: Sender, location: Location, progress: Progress) -> None:
    """One sub-operation; that an instance cannot be sent is counted. Raises PeerError when the association is over."""
    try:
        progress.count(location, sender.send(location))
    except (Refused, Failed) as error:
        log.warning("an instance could not be sent: %s", error, extra={"sop_instance_uid": location.sop_instance_uid})
        progress.trouble = error.message
        progress.count(location, None)


def conclude(
    request: CGetRequest | CMoveRequest, exchange: Exchange, transfer_syntax: str, progress: Progress, code: int
) -> int:
    """The last response, with the list of failures if there were any; returns its status."""
    exchange.respond(progress.response(request, code), progress.identifier(transfer_syntax))
    return code
