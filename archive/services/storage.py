"""C-STORE SCP (PS3.4 annex B): stream the data set into the sink, answer with what became of it."""

from collections.abc import Callable

from archive.dicom import uids
from archive.dimse import status
from archive.dimse.commands import CStoreRequest
from archive.dimse.exchange import Exchange
from archive.errors import ArchiveError, Failed, NotAuthorized, Refused, UnsupportedSopClass
from archive.services import failures
from archive.storage.sink import InstanceSink, Outcome


def serve_store(
    request: CStoreRequest,
    exchange: Exchange,
    sink: InstanceSink,
    failed: Callable[[ArchiveError], None] | None = None,
) -> tuple[int, Outcome | None]:
    """Store one instance; a bad one never ends the association.

    Returns the status that was answered, and what became of the instance if it was taken in. `failed` is told why one
    was not, which is more than the peer is.
    """
    context = exchange.context
    sop_class, sop_instance = request.affected_sop_class_uid, request.affected_sop_instance_uid
    try:
        # Accepted for C-GET only. Where that is ours the peer sends what we asked for, whichever roles it confirmed.
        if not context.requestor_is_scu and not exchange.association.is_requestor:
            raise NotAuthorized("Nothing can be stored on this presentation context")
        if sop_class != context.abstract_syntax or sop_class in uids.KNOWN_OTHER:  # what was not negotiated
            raise UnsupportedSopClass(sop_class_uid=sop_class)
        with sink.begin(sop_class, sop_instance, context.transfer_syntax) as incoming:
            for fragment in exchange.data_set():
                incoming.write(fragment)
            outcome = incoming.finish()
    except (Refused, Failed) as error:
        if failed is not None:
            failed(error)
        exchange.skip_data_set()  # the peer is still sending; stay in step
        code = failures.status_of(failures.STORE, error)
        comment, elements = failures.comment_of(error), failures.offending_elements_of(error)
        exchange.respond(request.answer(code, error_comment=comment, offending_elements=elements))
        return code, None
    exchange.respond(request.answer(status.SUCCESS))
    return status.SUCCESS, outcome
