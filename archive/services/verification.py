"""C-ECHO SCP (PS3.4 annex A)."""

from archive.dimse import status
from archive.dimse.commands import CEchoRequest
from archive.dimse.exchange import Exchange


def serve_echo(request: CEchoRequest, exchange: Exchange) -> int:
    """We are here. Returns the status that was answered."""
    exchange.respond(request.answer(status.SUCCESS))
    return status.SUCCESS
