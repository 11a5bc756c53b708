"""Receive as a command line asks: sockets, TLS, who may call, what is said, and how it ends."""

import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from archive.cli import hosts_files
from archive.cli.dcmtk import network_options, parameters, status_words
from archive.cli.dcmtk.face import OK, end_by
from archive.cli.dcmtk.network_options import ProfileName
from archive.cli.dcmtk.tls_options import TlsOptions
from archive.dicom.modality_prefixes import prefix
from archive.dimse import status
from archive.dimse.commands import CEchoRequest, CStoreRequest
from archive.dimse.status import Category
from archive.errors import ArchiveError, ConnectionLost, Misconfigured, NotPrivileged, PeerAborted, PeerError
from archive.registry.acceptance import Acceptance
from archive.server import inherited, listener
from archive.server.inherited import Inherited
from archive.server.receiver import Connect, Receiver, Welcome
from archive.services import reception
from archive.services.lookups import Lookups
from archive.services.reception import Terms
from archive.storage.received import Received
from archive.storage.sink import InstanceSink, Outcome
from archive.upper_layer.association import Association
from archive.upper_layer.connection import Connection
from archive.upper_layer.proposal import Agreement, Proposal, Rejection
from archive.upper_layer.resolver import IpVersion

if TYPE_CHECKING:
    from archive.upper_layer.tls import Tls

log = logging.getLogger(__name__)


Sinks = Callable[[str, Callable[[Received, Path], None]], InstanceSink]
"""What an association stores into: by the calling AE title, and who is told of each file that has its name."""


# What the command line names


def is_verbose() -> bool:
    """Whether what goes well is logged."""
    return logging.getLogger().isEnabledFor(logging.INFO)


def acceptance(profile: ProfileName | None) -> Acceptance | None:
    """What a profile lets us take; raises Misconfigured."""
    if profile is None:
        return None
    reading = network_options.read_profiles(profile.file)
    for notice in reading.notices:
        log.warning("%s, line %d: %s", profile.file, notice.line, notice.text)
    found = reading.profile(profile.name)
    found.check_acceptor()
    return Acceptance.of(found)


def check_folder(folder: Path, *, is_written: bool) -> None:
    """Raise Misconfigured for an output folder that is not there, or that cannot be written."""
    if not folder.is_dir():
        raise Misconfigured(f"specified output directory does not exist: {folder}")
    if is_written and not os.access(folder, os.W_OK):
        raise Misconfigured(f"specified output directory is not writeable: {folder}")


def tls_by(options: TlsOptions) -> "Tls | None":
    """What makes TLS sessions with who calls, and whom we call; raises Misconfigured."""
    if not options.is_enabled:
        return None
    from archive.cli.dcmtk import tls_settings  # OpenSSL is for those who use it
    from archive.upper_layer.tls import Tls

    tls_settings.stir(options)
    tls = Tls(tls_settings.policy(options))
    tls.check()
    return tls


def connect_through(tls: "Tls | None") -> Connect:
    """How a connection becomes one that can be read."""
    if tls is None:
        return Connection
    from archive.upper_layer.tls_connection import TlsConnection

    return lambda accepted: TlsConnection(accepted, tls.accept())


def connect_by(options: TlsOptions) -> Connect:
    """How a connection becomes one that can be read; raises Misconfigured."""
    return connect_through(tls_by(options))


def welcomes(daemon: str, uses_host_rules: bool) -> Welcome:
    """Who may connect; raises Misconfigured for rules that cannot be obeyed."""
    return hosts_files.welcomes(hosts_files.rules(daemon) if uses_host_rules else [])


# Sockets


def connection_of_inetd() -> Inherited:
    """The connection at standard input; nothing where there is none."""
    try:
        return Inherited(connection=inherited.standard_input())
    except OSError:
        return Inherited()


def listen(port: int, version: IpVersion) -> Inherited:
    """Listening sockets of our own; raises Misconfigured, and NotPrivileged."""
    try:
        return Inherited(listener.bind([network_options.LISTEN_HOSTS[version]], port))
    except Misconfigured as error:
        if isinstance(error.__cause__, PermissionError):
            raise NotPrivileged(f"cannot listen on port {port}, insufficient privileges") from error
        raise


# What is said


@dataclass(frozen=True, slots=True)
class Words:
    """What a program says when all goes well."""

    association: str
    """With the host, and both titles."""
    request: str
    released: str
    aborted: str
    echo: str
    """With a message ID; `store` with the prefix of a modality, too."""
    store: str
    stored: str
    """With the file."""
    replaced: str
    answer: str = ""
    """With the words of a status."""
    echo_answer: str = ""
    agreed: str = "Association Acknowledged"


@dataclass(frozen=True, slots=True)
class Speaker:
    """Says what happens to associations, in the words of a program."""

    words: Words
    shows_contexts: bool
    max_pdu_bytes: int
    looks_up_hosts: bool

    def host(self, address: str) -> str:
        """What the host at an address is called, where it leads back to it; else the address."""
        return (Lookups().name_of(address).believed if self.looks_up_hosts else None) or address

    def proposed(self, request: Proposal) -> None:
        """A request for an association has come."""
        if log.isEnabledFor(logging.INFO):
            host = self.host(request.peer_host) if "{host}" in self.words.association else ""
            titles = {"calling": request.calling_ae_title, "called": request.called_ae_title}
            log.info("%s", self.words.association.format(host=host, **titles))
        self._dump(self.words.request, request, None)

    def agreed(self, association: Association) -> None:
        """An association is made."""
        log.info("%s (Max Send PDV: %d)", self.words.agreed, parameters.longest_pdv_bytes(association.fragment_bytes))
        if not association.contexts:
            log.info("    (but no valid presentation contexts)")
        self._dump("", association.proposal, association.agreement)

    def _dump(self, heading: str, request: Proposal, answer: Agreement | None) -> None:
        level = logging.INFO if self.shows_contexts else logging.DEBUG
        if log.isEnabledFor(level):
            lines = parameters.lines(request, answer, max_pdu_bytes=self.max_pdu_bytes)
            first, below = (heading, lines) if heading else (lines[0], lines[1:])
            log.log(level, "%s", first, extra={"below": below})


@dataclass(slots=True)
class Visit:
    """One association: what it stores into, and what is said of it."""

    association: Association
    words: Words
    sink: InstanceSink
    folder: Path
    path: Path | None = None
    """Of the instance stored last; None where none has a file."""
    refusals: int = 0
    """Instances that were not kept."""

    def kept(self, received: Received, path: Path) -> None:
        """An instance has its file."""
        self.path = path
        log.info("%s", self.words.stored.format(file=self._shown(path)))

    def received(self, request: CEchoRequest | CStoreRequest) -> None:
        """A request has come."""
        self.path = None
        if isinstance(request, CEchoRequest):
            log.info("%s", self.words.echo.format(message_id=request.message_id))
            if self.words.echo_answer:  # nothing comes between
                log.info("%s", self.words.echo_answer)
        else:
            modality = prefix(request.affected_sop_class_uid, unknown="OT")
            log.info("%s", self.words.store.format(message_id=request.message_id, modality=modality))

    def failed(self, request: CStoreRequest, error: ArchiveError) -> None:
        """An instance cannot be kept."""
        log.error("cannot store %s: %s", request.affected_sop_instance_uid, error)

    def answered(self, request: CStoreRequest, code: int, outcome: Outcome | None) -> None:
        """The response is sent."""
        if status.category(code) is Category.FAILURE:
            self.refusals += 1
        if outcome is Outcome.REPLACED and self.path is not None:
            log.warning("%s", self.words.replaced.format(file=self._shown(self.path)))
        if self.words.answer:
            log.info("%s", self.words.answer.format(status=status_words.of_store(code)))

    def over(self) -> None:
        """The association has ended."""

    def _shown(self, path: Path) -> str:
        return shown(path, self.folder)


def shown(path: Path, folder: Path) -> str:
    """A path below an output folder as DCMTK shows it: as that was named. It cannot be taken for an option."""
    is_bare = not path.is_absolute() and folder == Path() and path != folder
    return f"./{path}" if is_bare or str(path).startswith("-") else str(path)


def deciding(speaker: Speaker, terms: Terms) -> Callable[[Proposal], Agreement | Rejection]:
    """The answer to a request, by the terms, and said."""

    def decide(request: Proposal) -> Agreement | Rejection:
        speaker.proposed(request)
        return terms.decide(request)

    return decide


def serving(speaker: Speaker, visit: Callable[[Association], Visit]) -> Callable[[Association], None]:
    """Serve an association to its end, and say how that came."""

    def serve(association: Association) -> None:
        speaker.agreed(association)
        visitor = visit(association)
        try:
            reception.serve(association, visitor)
            log.info("%s", speaker.words.released)
        except PeerAborted:
            log.info("%s", speaker.words.aborted)
        except PeerError as error:
            if not association.connection.is_interrupted:  # by us: there is nothing to say about it
                kind = "the peer is gone" if isinstance(error, ConnectionLost) else "aborting association"
                log.error("DIMSE failure (%s): %s", kind, error)
        finally:
            visitor.over()

    return serve


# Running

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def receive(receiver: Receiver, sockets: Inherited, closed: Callable[[bool], None] | None = None) -> int:
    """Receive until a signal ends it, or the one connection that was passed is over; the exit code.

    `closed` is called when the last association has ended, and told whether that was by a signal.

    A signal ends the process as if nobody had caught it, so that who waits for it sees the same as with DCMTK's
    programs; only that no file is left half-named.
    """
    ended_by: list[int] = []

    def end(number: int, _frame: object) -> None:
        ended_by.append(number)
        receiver.stop()

    # One that is ignored stays so: by nohup, or a shell in the background.
    heeded = [number for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    signal.set_wakeup_fd(receiver.wake_descriptor, warn_on_full_buffer=False)
    for number in heeded:
        signal.signal(number, end)
    if sockets.connection is not None:
        receiver.run_one(sockets.connection)
    else:
        receiver.run(sockets.listening)
    signal.set_wakeup_fd(-1)
    if not ended_by:  # nothing is left that a signal would have to spare
        for number in heeded:
            signal.signal(number, signal.SIG_DFL)
    if closed is not None:
        closed(bool(ended_by))
    if ended_by:
        end_by(ended_by[0])
    return OK
