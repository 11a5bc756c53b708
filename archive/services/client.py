"""Associations that we ask for: the SCU side of every service."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from archive.dicom import uids
from archive.dimse import status
from archive.dimse.commands import CEchoRequest
from archive.dimse.exchange import Exchange
from archive.errors import AssociationRejected, Failed, PeerError
from archive.upper_layer.association import Association, Timeouts
from archive.upper_layer.connection import Connection, Deadline, connect
from archive.upper_layer.proposal import ExtendedNegotiation, Proposal, ProposedContext, Rejection, Role
from archive.upper_layer.resolver import IpVersion

if TYPE_CHECKING:
    from archive.upper_layer.tls_session import Session

_VERIFICATION = "1.2.840.10008.1.1"  # PS3.4 annex A
_IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"  # every AE takes it (PS3.5 10.1)

# Source and reason of an A-ASSOCIATE-RJ in words (PS3.8 table 9-21).
_REJECTIONS = {
    (1, 1): "no reason given",
    (1, 2): "application context name not supported",
    (1, 3): "calling AE title not recognized",
    (1, 7): "called AE title not recognized",
    (2, 1): "no reason given",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}


@contextmanager
def associate(
    host: str,
    port: int,
    *,
    called: str,
    calling: str,
    contexts: Sequence[ProposedContext],
    timeouts: Timeouts,
    roles: Sequence[Role] = (),
    extended: Sequence[ExtendedNegotiation] = (),
    session: "Session | None" = None,
) -> Iterator[Exchange]:
    """An association with a peer, released at the end and aborted on an error; raises PeerError.

    With a `session` it is held through TLS.
    """
    asked = replace(proposal(calling, called, contexts), roles=tuple(roles), extended=tuple(extended))
    with request(host, port, asked, timeouts, session=session) as exchange:
        yield exchange


def proposal(calling: str, called: str, contexts: Sequence[ProposedContext]) -> Proposal:
    """What we propose to a peer, by our implementation."""
    return Proposal(
        calling_ae_title=calling,
        called_ae_title=called,
        contexts=tuple(contexts),
        implementation_class_uid=uids.IMPLEMENTATION_CLASS_UID,
        implementation_version_name=uids.IMPLEMENTATION_VERSION_NAME,
    )


@contextmanager
def request(
    host: str,
    port: int,
    asked: Proposal,
    timeouts: Timeouts,
    *,
    session: "Session | None" = None,
    version: IpVersion = "auto",
) -> Iterator[Exchange]:
    """The association that a proposal makes, released at the end and aborted on an error; raises PeerError.

    Only addresses of an IP `version` are tried; with a `session` it is held through TLS.
    """
    with connect(host, port, timeouts.connect, make=_maker(session), version=version) as connection:
        connection.shake_hands(Deadline.after(timeouts.acse))
        with Association.request(connection, asked, timeouts) as association:
            yield Exchange(association)


def _maker(session: "Session | None") -> Callable[[Any], Connection]:
    if session is None:
        return Connection
    from archive.upper_layer.tls_connection import TlsConnection  # OpenSSL takes its time to load

    return partial(TlsConnection, session=session)


def echo(
    host: str, port: int, *, called: str, calling: str, timeouts: Timeouts, session: "Session | None" = None
) -> float:
    """C-ECHO (PS3.7 9.1.5): the seconds from request to response; raises PeerError or Failed with the reason."""
    context = ProposedContext(1, _VERIFICATION, (_IMPLICIT_LITTLE_ENDIAN,))
    try:
        with associate(
            host, port, called=called, calling=calling, contexts=(context,), timeouts=timeouts, session=session
        ) as exchange:
            accepted = exchange.association.contexts.get(context.context_id)
            if accepted is None:
                raise Failed("The peer takes the association, and no C-ECHO on it")
            asked_at = time.perf_counter()
            response = exchange.ask(
                accepted, CEchoRequest(message_id=exchange.next_message_id(), affected_sop_class_uid=_VERIFICATION)
            )
            seconds = time.perf_counter() - asked_at
    except AssociationRejected as error:
        raise AssociationRejected(explained(error)) from error
    if response.status != status.SUCCESS:
        raise Failed(f"The peer answered with status {response.status:04X}")
    return seconds


def explained(error: PeerError) -> str:
    """What a peer did, in one sentence; why it rejected an association."""
    if isinstance(error, AssociationRejected) and "rejection" in error.values:
        return f"The peer rejected the association: {_in_words(error.rejection)}"
    return error.message


def _in_words(rejection: object) -> str:
    assert isinstance(rejection, Rejection)
    reason = _REJECTIONS.get(
        (rejection.source, rejection.reason), f"source {rejection.source}, reason {rejection.reason}"
    )
    return f"{reason} ({'permanent' if rejection.result == 1 else 'transient'})"
