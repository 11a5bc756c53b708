"""A hospital's certification authority, what it issued and revoked, and pairs of connections that speak TLS."""

import datetime
import select
import socket
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from archive.upper_layer.connection import Connection, Deadline
from archive.upper_layer.tls import Policy, Tls
from archive.upper_layer.tls_connection import TlsConnection
from tests.fix_association import WAIT_SECONDS, in_background

_DAY = datetime.timedelta(days=1)
_RECORD_BYTES = 16384  # RFC 8446 5.1
_T = TypeVar("_T")


@dataclass(frozen=True)
class Identity:
    """A certificate and its private key, as files."""

    name: str
    certificate: Path
    key: Path

    @property
    def pem(self) -> str:
        return self.certificate.read_text()

    @property
    def parsed(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.certificate.read_bytes())

    @property
    def sha256(self) -> str:
        return self.parsed.fingerprint(hashes.SHA256()).hex()


class Authority:
    """A certification authority with a folder of files."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._ca = trustme.CA()
        self.certificate = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.certificate))

    def issue(self, name: str, *hosts: str, days: int = 365, is_rsa: bool = False) -> Identity:
        """A certificate with this common name for these hosts, by default for loopback; `days` < 0: expired."""
        kind = trustme.KeyType.RSA if is_rsa else trustme.KeyType.ECDSA
        until = datetime.datetime.now(datetime.UTC) + days * _DAY
        known_as = hosts or ("localhost", "127.0.0.1")
        leaf = self._ca.issue_cert(*known_as, common_name=name, not_after=until, key_type=kind)
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        leaf.private_key_pem.write_to_path(str(key))
        return Identity(name, certificate, key)

    def protect(self, identity: Identity, password: str) -> Path:
        """Its key again, encrypted."""
        key = serialization.load_pem_private_key(identity.key.read_bytes(), None)
        protected = self.folder / f"{identity.name}.protected.key"
        protected.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(password.encode()),
            )
        )
        return protected

    def revoke(self, *identities: Identity, name: str = "crl.pem", is_der: bool = False, days: int = 30) -> Path:
        """A revocation list of these and no others."""
        now = datetime.datetime.now(datetime.UTC)
        key = serialization.load_pem_private_key(self._ca.private_key_pem.bytes(), None)
        authority = x509.load_pem_x509_certificate(self._ca.cert_pem.bytes())
        builder = x509.CertificateRevocationListBuilder(
            issuer_name=authority.subject, last_update=now - 60 * _DAY, next_update=now + days * _DAY
        )
        for identity in identities:
            revoked = x509.RevokedCertificateBuilder(serial_number=identity.parsed.serial_number, revocation_date=now)
            builder = builder.add_revoked_certificate(revoked.build())
        identifier = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
        )
        signed = builder.sign(key, hashes.SHA256())  # type: ignore[arg-type]
        encoding = serialization.Encoding.DER if is_der else serialization.Encoding.PEM
        path = self.folder / name
        path.write_bytes(signed.public_bytes(encoding))
        return path

    def policy(self, identity: Identity, **fields: object) -> Policy:
        """A policy that presents `identity`, trusts this authority and lets others call."""
        given = {
            "certificate": str(identity.certificate),
            "key": str(identity.key),
            "authorities": str(self.certificate),
            "accepts": True,
        }
        return Policy(**(given | fields))  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that everybody trusts, with certificates for `archive` and `modality`."""
    made = Authority(tmp_path_factory.mktemp("authority"))
    made.issue("archive")
    made.issue("modality")
    return made


@pytest.fixture(scope="session")
def archive_identity(authority: Authority) -> Identity:
    return Identity("archive", authority.folder / "archive.pem", authority.folder / "archive.key")


@pytest.fixture(scope="session")
def modality(authority: Authority) -> Identity:
    return Identity("modality", authority.folder / "modality.pem", authority.folder / "modality.key")


class TlsTransport:
    """Pairs of ends that have shaken hands; the requestor is the client."""

    def __init__(self, authority: Authority, acceptor: Identity, requestor: Identity) -> None:
        self._acceptor = Tls(authority.policy(acceptor))
        self._requestor = Tls(authority.policy(requestor, accepts=False))
        self._server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._server.load_cert_chain(acceptor.certificate, acceptor.key)
        self._client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._client.load_cert_chain(requestor.certificate, requestor.key)
        self._client.load_verify_locations(authority.certificate)
        self._server.sslsocket_class = self._client.sslsocket_class = SharedSslSocket

    def ours(self, near: socket.socket, far: socket.socket, **options: int) -> tuple[Connection, Connection]:
        """Both ends as Connections."""
        one = TlsConnection(near, self._requestor.request("localhost", checks_host=True), **options)
        other = TlsConnection(far, self._acceptor.accept(), **options)
        shaking = in_background(other.shake_hands, Deadline.after(WAIT_SECONDS))
        one.shake_hands(Deadline.after(WAIT_SECONDS))
        shaking.result(WAIT_SECONDS)
        return one, other

    def accepting(self, near: socket.socket, far: socket.socket, **options: int) -> tuple[socket.socket, Connection]:
        """A raw requestor, and an acceptor of ours."""
        other = TlsConnection(far, self._acceptor.accept(), **options)
        return _shaken(lambda: self._client.wrap_socket(near, server_hostname="localhost"), near, other), other

    def requesting(self, near: socket.socket, far: socket.socket, **options: int) -> tuple[Connection, socket.socket]:
        """A requestor of ours, and a raw acceptor."""
        one = TlsConnection(near, self._requestor.request("localhost", checks_host=True), **options)
        return one, _shaken(lambda: self._server.wrap_socket(far, server_side=True), far, one)


class SharedSslSocket(ssl.SSLSocket):
    """An SSLSocket that one thread may read from while another writes to it.

    Before Python 3.13 nothing keeps the two apart inside OpenSSL, and what one waits for overwrites what the other
    waits for: a read that only had to wait then looks like an end of the connection.
    """

    def share(self) -> "SharedSslSocket":
        """Wait outside of the session from now on."""
        self._turn = threading.Lock()
        super().settimeout(0)
        return self

    def settimeout(self, value: float | None) -> None:
        if not hasattr(self, "_turn"):  # after that, WAIT_SECONDS holds
            super().settimeout(value)

    def sendall(self, data: bytes, flags: int = 0) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """All of `data`, a record at a time."""
        unsent = memoryview(data)
        while unsent:
            unsent = unsent[self._in_turn(partial(super().send, unsent[:_RECORD_BYTES], flags), select.POLLOUT) :]

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Up to `buflen` bytes, none at the end."""
        return self._in_turn(partial(super().recv, buflen, flags), select.POLLIN)

    def _in_turn(self, act: Callable[[], _T], event: int) -> _T:
        ready = select.poll()
        ready.register(self, event)
        while True:
            with self._turn, suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return act()
            if not ready.poll(WAIT_SECONDS * 1000):
                raise TimeoutError


def _shaken(wrap: Callable[[], ssl.SSLSocket], raw: socket.socket, ours: TlsConnection) -> ssl.SSLSocket:
    raw.settimeout(WAIT_SECONDS)
    shaking: Future[None] = in_background(ours.shake_hands, Deadline.after(WAIT_SECONDS))
    wrapped = wrap()
    shaking.result(WAIT_SECONDS)
    assert isinstance(wrapped, SharedSslSocket)
    return wrapped.share()


@pytest.fixture(scope="session")
def tls_transport(authority: Authority, archive_identity: Identity, modality: Identity) -> TlsTransport:
    """Connections through TLS between the archive and the modality."""
    return TlsTransport(authority, archive_identity, modality)
