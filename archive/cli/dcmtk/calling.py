"""Call a peer as a command line asks: the association, what is said of it, and the exit code when it fails."""

import functools
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from archive.cli.dcmtk import parameters
from archive.cli.dcmtk.client_options import Client, IdentityOptions
from archive.cli.dcmtk.face import Ended
from archive.cli.dcmtk.tls_options import TlsOptions
from archive.dimse.exchange import Exchange
from archive.errors import AssociationRejected, Misconfigured, PeerAborted, PeerError
from archive.services import client
from archive.upper_layer import pdata
from archive.upper_layer.association import Timeouts
from archive.upper_layer.proposal import (
    ExtendedNegotiation,
    Proposal,
    ProposedContext,
    Rejection,
    Role,
    UserIdentity,
)

if TYPE_CHECKING:
    from archive.upper_layer.tls import Tls
    from archive.upper_layer.tls_session import Session

log = logging.getLogger(__name__)

_MAX_IDENTITY_BYTES = 65_535  # its length has two bytes on the wire (PS3.7 table D.3-14)

_RELEASE_FAILED = "Association Release Failed: "

# A-ASSOCIATE-RJ in DCMTK's words (PS3.8 table 9-21).
_RESULTS = {1: "Rejected Permanent", 2: "Rejected Transient"}
_SOURCES = {1: "Service User", 2: "Service Provider (ACSE Related)", 3: "Service Provider (Presentation Related)"}
_REASONS = {
    (1, 1): "No Reason",
    (1, 2): "Application Context Name Not Supported",
    (1, 3): "Calling AE Title Not Recognized",
    (1, 7): "Called AE Title Not Recognized",
    (2, 1): "No Reason",
    (2, 2): "Protocol Version Not Supported",
    (3, 1): "Temporary Congestion",
    (3, 2): "Local Limit Exceeded",
}


@dataclass(frozen=True, slots=True)
class ExitCodes:
    """How a program ends when there is no association, or when it breaks."""

    not_requested: int = 1
    """What is needed to ask for one cannot be used: keys, certificates, tickets."""
    not_established: int = 1
    no_context: int = 1
    broken: int = 70
    aborted: int | None = None
    """By the peer; None: as broken."""


@contextmanager
def associated(
    asked: Client,
    contexts: Sequence[ProposedContext],
    codes: ExitCodes,
    *,
    roles: Sequence[Role] = (),
    tls: "Tls | None" = None,
    extended: Sequence[ExtendedNegotiation] = (),
    shows_contexts: bool = False,
) -> Iterator[Exchange]:
    """An association with the peer that a command line names, released or aborted at the end as it says.

    `tls` makes its session where a face has made that already. With `shows_contexts` it is said what is proposed and
    agreed to. Raises Ended when there is none, when no context is accepted, and when it breaks.
    """
    proposal = replace(_proposal(asked, contexts, roles, codes), extended=tuple(extended))
    session = tls.request(asked.host, checks_host=False) if tls else _session(asked, codes)
    level = logging.INFO if shows_contexts else logging.DEBUG
    if log.isEnabledFor(level):
        log.log(level, "Request Parameters:", extra={"below": parameters.lines_of_requestor(proposal)})
    log.info("Requesting Association")
    is_established = is_ending = False
    try:
        with client.request(
            asked.host, asked.port, proposal, timeouts(asked), session=session, version=asked.ip_version
        ) as exchange:
            is_established = True
            if log.isEnabledFor(level):
                lines = parameters.lines_of_requestor(proposal, exchange.association.agreement)
                log.log(level, "Association Parameters Negotiated:", extra={"below": lines})
            _check(exchange, asked, codes)
            if asked.max_send_pdu_bytes is not None:
                longest = exchange.association.agreement.max_pdu_bytes
                exchange.association.fragment_bytes = pdata.fragment_bytes(longest, asked.max_send_pdu_bytes)
            log.info(
                "Association Accepted (Max Send PDV: %d)",
                parameters.longest_pdv_bytes(exchange.association.fragment_bytes),
            )
            yield exchange
            log.info("Aborting Association" if asked.aborts else "Releasing Association")
            is_ending = True
            if asked.aborts:
                exchange.association.abort()
    except AssociationRejected as error:
        raise Ended(f"Association Rejected: {_in_words(error.rejection)}", codes.not_established) from error
    except PeerAborted as error:
        aborted = codes.broken if codes.aborted is None else codes.aborted
        before = _RELEASE_FAILED if is_ending else ""
        raise Ended(
            f"{before}Peer Aborted Association", aborted if is_established else codes.not_established
        ) from error
    except PeerError as error:
        if is_established:
            raise Ended(f"{_RELEASE_FAILED if is_ending else 'Aborting Association: '}{error}", codes.broken) from error
        raise Ended(f"Association Request Failed: {error}", codes.not_established) from error


def timeouts(asked: Client) -> Timeouts:
    """How long a client waits."""
    return Timeouts(
        connect=asked.connect_timeout,
        acse=asked.acse_timeout,
        dimse=asked.socket_timeout,
        response=asked.dimse_timeout,
        idle=None,
    )


def _proposal(asked: Client, contexts: Sequence[ProposedContext], roles: Sequence[Role], codes: ExitCodes) -> Proposal:
    return replace(
        client.proposal(asked.calling_title, asked.called_title, contexts),
        max_pdu_bytes=asked.max_pdu_bytes,
        roles=tuple(roles),
        user_identity=None if asked.identity is None else _identity(asked.identity, codes),
    )


def _identity(asked: IdentityOptions, codes: ExitCodes) -> UserIdentity:
    primary, secondary = asked.user.encode(), asked.password.encode()
    if asked.file is not None:
        try:
            with asked.file.open("rb") as file:
                primary = file.read(_MAX_IDENTITY_BYTES + 1)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise Ended(f"cannot read user identity from {asked.file}: {reason}", codes.not_requested) from error
    if max(len(primary), len(secondary)) > _MAX_IDENTITY_BYTES:
        raise Ended(f"user identity is longer than {_MAX_IDENTITY_BYTES} bytes", codes.not_requested)
    return UserIdentity(asked.identity_type, primary, secondary, asked.wants_response)


def _session(asked: Client, codes: ExitCodes) -> "Session | None":
    if not asked.tls.is_enabled:
        return None
    try:
        return _sessions(asked.tls).request(asked.host, checks_host=False)
    except Misconfigured as error:
        raise Ended(str(error), codes.not_requested) from error


@functools.cache  # who makes several associations is asked for a password once
def _sessions(asked: TlsOptions) -> "Tls":
    from archive.cli.dcmtk import tls_settings  # OpenSSL is for those who use it
    from archive.upper_layer.tls import Tls

    tls_settings.stir(asked)
    sessions = Tls(tls_settings.policy(asked, accepts=False))
    sessions.check()
    return sessions


def _check(exchange: Exchange, asked: Client, codes: ExitCodes) -> None:
    if not exchange.association.contexts:
        raise Ended("No Acceptable Presentation Contexts", codes.no_context)
    identity = asked.identity
    if identity and identity.wants_response and exchange.association.agreement.user_identity_response is None:
        raise Ended("The peer did not confirm the user identity", codes.not_established)


def _in_words(rejection: object) -> str:
    assert isinstance(rejection, Rejection)
    result = _RESULTS.get(rejection.result, f"unknown result {rejection.result}")
    source = _SOURCES.get(rejection.source, f"unknown source {rejection.source}")
    reason = _REASONS.get((rejection.source, rejection.reason), f"unknown reason {rejection.reason}")
    return f"Result: {result}, Source: {source}, Reason: {reason}"
