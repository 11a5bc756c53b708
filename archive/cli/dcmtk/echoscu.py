"""`archive echoscu`: ask a peer whether it is there, as a command line of DCMTK's echoscu asks for."""

import logging

from archive.cli.dcmtk import calling, status_words
from archive.cli.dcmtk.calling import ExitCodes
from archive.cli.dcmtk.echoscu_options import decide
from archive.cli.dcmtk.face import OK, Ended
from archive.cli.dcmtk.options import CommandLine
from archive.dimse import status
from archive.dimse.commands import CEchoRequest
from archive.upper_layer.proposal import ProposedContext

log = logging.getLogger(__name__)

ASSOCIATION_ABORTED = 70
_CODES = ExitCodes(broken=ASSOCIATION_ABORTED)
_FAILED = 1

_VERIFICATION = "1.2.840.10008.1.1"  # PS3.4 annex A

# In the order that `--propose-ts` counts; below the root of the standard's transfer syntaxes.
_ROOT = "1.2.840.10008.1.2"
_PROPOSED = (
    "",  # implicit VR little endian
    *(".1", ".2", ".1.98"),  # explicit VR little and big endian, encapsulated uncompressed
    *(f".4.{number}" for number in (*range(50, 67), 70)),  # JPEG
    *(".5", ".1.99", ".8.1"),  # RLE, deflated
    *(f".4.{number}" for number in (80, 81, 90, 91, 92, 93)),  # JPEG-LS, JPEG 2000
    *(f".4.{number}" for number in range(100, 109)),  # MPEG-2, MPEG-4, HEVC
    *(f".4.{number}.1" for number in range(100, 107)),  # the same, fragmentable
    *(f".4.{number}" for number in (201, 202, 203, 110, 111, 112)),  # HTJ2K, JPEG XL
)


def ask(given: CommandLine) -> int:
    """Send C-ECHO requests; the exit code. Raises Ended."""
    asked = decide(given)
    syntaxes = tuple(_ROOT + below for below in _PROPOSED[: asked.transfer_syntaxes])
    contexts = [ProposedContext(1 + 2 * index, _VERIFICATION, syntaxes) for index in range(asked.contexts)]
    with calling.associated(asked.client, contexts, _CODES) as exchange:
        context = next(iter(exchange.association.contexts.values()))
        for _ in range(asked.repeats):
            request = CEchoRequest(message_id=exchange.next_message_id(), affected_sop_class_uid=_VERIFICATION)
            log.info("Sending Echo Request (MsgID %d)", request.message_id)
            response = exchange.ask(context, request)
            log.info("Received Echo Response (%s)", status_words.of_echo(response.status))
            if response.status != status.SUCCESS:
                raise Ended(f"The peer answered with status {response.status:04X}", _FAILED)
    return OK
