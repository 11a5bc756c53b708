"""TLS as DICOM wants it (PS3.15 annex B): profiles, certificates and trust.

`Tls` reads the files that the administrator named and makes sessions by them; when a file changes, later sessions go by
the new one.
"""

import logging
import ssl
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from archive.errors import Misconfigured, TlsFailed
from archive.upper_layer import certificate, pem_files
from archive.upper_layer.tls_session import Session

log = logging.getLogger(__name__)

# From so long before it ends our own certificate is named in the log.
WARN_BEFORE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Profile:
    """A Secure Transport Connection Profile: which versions and, up to TLS 1.2, which cipher suites are spoken."""

    section: str
    """Of PS3.15."""
    newest: ssl.TLSVersion
    ciphers: str
    """In OpenSSL's names; those of TLS 1.3 are OpenSSL's own choice."""
    oldest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2


_RFC_9325 = (
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"
)

_WITH_DHE = "DHE-RSA-AES256-GCM-SHA384:DHE-RSA-AES128-GCM-SHA256"

_STRONG = "@SECLEVEL=2"  # RSA and DHE of 2048 bits, ECDHE of 224, no SHA-1 in signatures

# By the names of the settings. Those of PS3.15 B.9 and older allow TLS 1.0, which RFC 8996 forbids.
PROFILES = {
    "bcp195-rfc8996": Profile("B.12", ssl.TLSVersion.TLSv1_3, f"{_RFC_9325}:{_STRONG}"),
    "bcp195-rfc8996-modified": Profile(
        "B.13",
        ssl.TLSVersion.TLSv1_3,
        "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
        "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
        "ECDHE-ECDSA-AES256-CCM:ECDHE-ECDSA-AES256-CCM8:"
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
        f"ECDHE-ECDSA-AES128-CCM:ECDHE-ECDSA-AES128-CCM8:{_STRONG}",
    ),
    "bcp195-non-downgrading": Profile(
        "B.10",
        ssl.TLSVersion.TLSv1_3,
        f"ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256:{_WITH_DHE}:{_STRONG}",
    ),
    "bcp195-extended": Profile("B.11", ssl.TLSVersion.TLSv1_2, f"{_RFC_9325}:{_WITH_DHE}:{_STRONG}"),
}

# Whether a caller must show a certificate.
CLIENT_CERTIFICATE = {
    "required": ssl.CERT_REQUIRED,
    "optional": ssl.CERT_OPTIONAL,
    "ignored": ssl.CERT_NONE,
}

# Which certificates of a chain are looked up in the revocation lists.
REVOCATION_CHECK = {"leaf": ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF, "chain": ssl.VerifyFlags.VERIFY_CRL_CHECK_CHAIN}


@dataclass(frozen=True, slots=True)
class Policy:
    """What the administrator decided about TLS; paths of files and folders, "" where there is none."""

    certificate: str = ""
    """Our own, in PEM, with the certificates between it and its authority behind it."""
    key: str = ""
    """Its private key in PEM; "": in the file of the certificate."""
    password: str = field(default="", repr=False)
    password_file: str = ""
    """File whose first line is the password of the key; counts before `password`."""
    authorities: str = ""
    """File or folder of the certificates that are trusted."""
    revocations: str = ""
    """File or folder of revocation lists."""
    revocation_check: str = "leaf"
    profile: str = "bcp195-rfc8996"
    ciphers: str = ""
    """Instead of those of the profile, up to TLS 1.2, as OpenSSL writes lists of them."""
    client_certificate: str = "required"
    accepts: bool = False
    """Whether somebody may call us, too."""


@dataclass(frozen=True, slots=True)
class _Contexts:
    """What sessions are made of; immutable once made."""

    accepting: ssl.SSLContext | None
    requesting: ssl.SSLContext
    requesting_any_name: ssl.SSLContext


class Tls:
    """Sessions by one policy; safe to use from many threads.

    The files are read when the first session is made. Whatever is wrong with one raises Misconfigured, which names it.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._change = threading.Lock()
        self._stamp: object = None
        self._contexts: _Contexts | None = None

    def check(self) -> None:
        """Read the files now, and warn if the days of our own certificate are numbered."""
        self._current()

    def accept(self) -> Session:
        """A session with somebody who calls us."""
        context = self._current().accepting
        assert context is not None, "the policy was not made for that"
        return Session(context, is_acceptor=True)

    def request(self, host: str, *, checks_host: bool) -> Session:
        """A session with somebody whom we call; `checks_host`: the certificate must have been made for `host`.

        Raises TlsFailed where our own files cannot be used.
        """
        try:
            contexts = self._current()
        except Misconfigured as error:
            raise TlsFailed(str(error)) from error
        return Session(contexts.requesting if checks_host else contexts.requesting_any_name, host=host)

    def _current(self) -> _Contexts:
        """The contexts by the files as they are now; what cannot be used is said once, and the old ones serve on."""
        with self._change:
            held, stamp = self._contexts, _stamp(self._policy)
            if held is not None and stamp == self._stamp:
                return held
            try:
                self._contexts = _read(self._policy)
            except Misconfigured as error:
                if held is None:
                    raise
                log.log(logging.ERROR, "TLS files have changed and cannot be used; the old ones stay: %s", error)
                self._contexts = held
            self._stamp = stamp
            return self._contexts


def _read(policy: Policy) -> _Contexts:
    profile = PROFILES[policy.profile]
    requesting, any_name = (_context(policy, profile, ssl.PROTOCOL_TLS_CLIENT) for _ in range(2))
    any_name.check_hostname = False
    accepting = None
    if policy.accepts:
        accepting = _context(policy, profile, ssl.PROTOCOL_TLS_SERVER)
        accepting.verify_mode = CLIENT_CERTIFICATE[policy.client_certificate]
        if not policy.certificate:
            raise Misconfigured("tls_port is set, and tls_certificate is not: name the certificate of the archive")
        if accepting.verify_mode != ssl.CERT_NONE and not policy.authorities:
            raise Misconfigured(
                f"tls_client_certificate = {policy.client_certificate} needs tls_ca: name the certificates of the "
                "authorities that are trusted, or set it to ignored"
            )
    if warning := own_certificate_warning(policy):
        log.warning("%s", warning)
    return _Contexts(accepting, requesting, any_name)


def _context(policy: Policy, profile: Profile, side: "ssl._SSLMethod") -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.minimum_version, context.maximum_version = profile.oldest, profile.newest
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    try:
        context.set_ciphers(policy.ciphers or profile.ciphers)
    except ssl.SSLError as error:
        raise Misconfigured(f"tls_ciphers = {policy.ciphers}: names no cipher suite that OpenSSL knows") from error
    if policy.certificate:
        _load_own(context, policy)
    if policy.authorities:
        for file, blocks in pem_files.blocks("tls_ca", policy.authorities, pem_files.CERTIFICATE):
            try:
                context.load_verify_locations(cadata="\n".join(blocks))
            except ssl.SSLError as error:
                raise Misconfigured(f"tls_ca: {file} holds a certificate that cannot be read") from error
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)  # what the system trusts, when we call
    if policy.revocations:
        context.verify_flags |= REVOCATION_CHECK[policy.revocation_check]
        _load_revocations(context, policy.revocations)
    return context


def _load_own(context: ssl.SSLContext, policy: Policy) -> None:
    """Our certificate and its key; says what is wrong with which file."""
    key = policy.key or policy.certificate
    pem_files.require_block("tls_certificate", policy.certificate, "CERTIFICATE", "x509")
    pem_files.require_block("tls_key" if policy.key else "tls_certificate", key, "PRIVATE KEY", "pkey")
    asked: list[bool] = []

    given = _password(policy)

    def password() -> str:
        asked.append(True)
        return given

    try:
        context.load_cert_chain(policy.certificate, key, password)
    except (ssl.SSLError, ValueError) as error:
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            raise Misconfigured(f"The key in {key} is not that of the certificate in {policy.certificate}") from error
        if asked and not given:
            raise Misconfigured(
                f"The key in {key} has a password; give it by tls_key_password_file or ARCHIVE_TLS_KEY_PASSWORD"
            ) from error
        if asked:
            raise Misconfigured(f"The password does not open the key in {key}") from error
        what = getattr(error, "reason", None) or str(error)
        raise Misconfigured(
            f"The certificate in {policy.certificate} or the key in {key} cannot be used: "
            f"{what.lower().replace('_', ' ')}"
        ) from error


def _password(policy: Policy) -> str:
    if not policy.password_file:
        return policy.password
    content = pem_files.read("tls_key_password_file", Path(policy.password_file)).decode("utf-8", "replace")
    return content.partition("\n")[0].removesuffix("\r")


def _load_revocations(context: ssl.SSLContext, path: str) -> None:
    """The revocation lists, and nothing else that lies there: OpenSSL would trust certificates in such a file."""
    with tempfile.NamedTemporaryFile("w", encoding="ascii", suffix=".pem") as gathered:
        for _, blocks in pem_files.blocks("tls_crl", path, pem_files.REVOCATION_LIST):
            gathered.write("\n".join((*blocks, "")))
        gathered.flush()
        try:
            context.load_verify_locations(cafile=gathered.name)
        except ssl.SSLError as error:
            raise Misconfigured(f"tls_crl = {path}: holds a revocation list that cannot be read") from error


def _stamp(policy: Policy) -> tuple[object, ...]:
    """What changes when a file does."""
    named = (policy.certificate, policy.key, policy.password_file, policy.authorities, policy.revocations)
    return tuple(mark for path in named if path for mark in _marks(path))


def _marks(path: str) -> Iterator[tuple[object, ...]]:
    place = Path(path)
    try:
        for each in (place, *(sorted(place.iterdir()) if place.is_dir() else ())):
            status = each.stat()
            yield each, status.st_ino, status.st_size, status.st_mtime_ns
    except OSError as error:  # gone: the reading will say so
        yield path, error.errno


def own_certificate_warning(policy: Policy, now: datetime | None = None) -> str | None:
    """What is about to be wrong, or is, with the dates of our own certificate."""
    if not policy.certificate:
        return None
    now = now or datetime.now(UTC)
    try:
        own = certificate.from_pem(Path(policy.certificate).read_text(encoding="latin-1"))
    except (OSError, ValueError) as error:
        return f"the certificate in {policy.certificate} cannot be read: {error}"
    if now > own.not_after:
        return f"the certificate in {policy.certificate} has expired on {own.not_after:%Y-%m-%d}: peers will refuse it"
    if now < own.not_before:
        return f"the certificate in {policy.certificate} is valid from {own.not_before:%Y-%m-%d} only"
    if own.not_after - now < WARN_BEFORE:
        return f"the certificate in {policy.certificate} expires on {own.not_after:%Y-%m-%d}"
    return None
