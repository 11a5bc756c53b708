"""TLS as DICOM wants it (PS3.15 annex B): profiles, certificates and trust.

`Tls` reads the files that the administrator named and makes sessions by them; when a file changes, later sessions go by
the new one.
"""

import logging
import ssl
import tempfile
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from archive.errors import Misconfigured, TlsFailed
from archive.upper_layer import cipher_suites, tls_files
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

# Whether who is called must show one that can be verified.
SERVER_CERTIFICATE = ("required", "ignored")

# What server name is asked for.
HOST, NO_NAME = "host", "off"

# Which certificates of a chain are looked up in the revocation lists.
REVOCATION_CHECK = {"leaf": ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF, "chain": ssl.VerifyFlags.VERIFY_CRL_CHECK_CHAIN}


@dataclass(frozen=True, slots=True)
class Names:
    """What whoever made a policy calls what is in it: settings, unless a command line has other words."""

    certificate: str = "tls_certificate"
    key: str = "tls_key"
    password: str = "tls_key_password_file or ARCHIVE_TLS_KEY_PASSWORD"  # noqa: S105 - what one is called
    authorities: str = "tls_ca"
    revocations: str = "tls_crl"
    dh_parameters: str = "tls_dh_parameters"


@dataclass(frozen=True, slots=True)
class Policy:
    """What the administrator decided about TLS; paths of files and folders, "" where there is none."""

    certificate: str = ""
    """Our own, in PEM, with the certificates between it and its authority behind it; or in DER, alone."""
    key: str = ""
    """Its private key in PEM or DER; "": in the file of the certificate."""
    password: str = field(default="", repr=False)
    password_file: str = ""
    """File whose first line is the password of the key; counts before `password`."""
    authorities: str = ""
    """Files and folders of the certificates that are trusted, with colons between them."""
    revocations: str = ""
    """Files and folders of revocation lists, with colons between them."""
    revocation_check: str = "leaf"
    profile: str = "bcp195-rfc8996"
    ciphers: str = ""
    """Instead of those of the profile, up to TLS 1.2, as OpenSSL writes lists of them."""
    dh_parameters: str = ""
    """File of Diffie-Hellman parameters in PEM; without it no suite with DHE is spoken with who calls us."""
    client_certificate: str = "required"
    server_certificate: str = "required"
    expected_name: str = ""
    """The only server name (SNI, RFC 6066 3) that who calls us may ask for; "": any."""
    requested_name: str = HOST
    """The server name that is asked for where the host is not checked; HOST: its host, NO_NAME: none."""
    accepts: bool = False
    """Whether somebody may call us, too."""
    names: Names = field(default_factory=Names)
    """For what is said of files that cannot be used."""


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

    def accept(self) -> "Session":
        """A session with somebody who calls us."""
        context = self._current().accepting
        assert context is not None, "the policy was not made for that"
        return Session(context, is_acceptor=True)

    def request(self, host: str, *, checks_host: bool) -> "Session":
        """A session with somebody whom we call; `checks_host`: the certificate must have been made for `host`.

        Raises TlsFailed where our own files cannot be used.
        """
        try:
            contexts = self._current()
        except Misconfigured as error:
            raise TlsFailed(str(error)) from error
        if checks_host:
            return Session(contexts.requesting, host=host)
        names = {HOST: host, NO_NAME: ""}
        name = names.get(self._policy.requested_name, self._policy.requested_name)
        return Session(contexts.requesting_any_name, host=name)

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


# Reading the files


def _read(policy: Policy) -> _Contexts:
    profile = PROFILES[policy.profile]
    requesting, any_name = (_context(policy, profile, ssl.PROTOCOL_TLS_CLIENT) for _ in range(2))
    any_name.check_hostname = False
    if policy.server_certificate == "ignored":
        requesting.check_hostname = False
        requesting.verify_mode = any_name.verify_mode = ssl.CERT_NONE
    accepting = _accepting(policy, profile) if policy.accepts else None
    if warning := own_certificate_warning(policy):
        log.warning("%s", warning)
    return _Contexts(accepting, requesting, any_name)


def _accepting(policy: Policy, profile: Profile) -> ssl.SSLContext:
    if not policy.certificate:
        raise Misconfigured("tls_port is set, and tls_certificate is not: name the certificate of the archive")
    context = _context(policy, profile, ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = CLIENT_CERTIFICATE[policy.client_certificate]
    if context.verify_mode != ssl.CERT_NONE and not policy.authorities:
        raise Misconfigured(
            f"tls_client_certificate = {policy.client_certificate} needs tls_ca: name the certificates of the "
            "authorities that are trusted, or set it to ignored"
        )
    if policy.dh_parameters:
        _load_dh_parameters(context, policy)
    if policy.expected_name:
        context.sni_callback = partial(_alert, policy.expected_name)
    return context


def _alert(expected: str, _session: object, asked: str | None, _context: ssl.SSLContext) -> int | None:
    """That for a caller who asks for another server name than `expected`; None for one who asks for it, or for none."""
    return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME if asked not in (None, expected) else None


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
    _load_authorities(context, policy)
    if policy.revocations:
        context.verify_flags |= REVOCATION_CHECK[policy.revocation_check]
        _load_revocations(context, policy)
    return context


def _load_own(context: ssl.SSLContext, policy: Policy) -> None:
    """Our certificate and its key; says what is wrong with which file."""
    key, names = policy.key or policy.certificate, policy.names
    asked: list[bool] = []
    given = _password(policy)

    def password() -> str:
        asked.append(True)
        return given

    with (
        tls_files.in_pem(names.certificate, policy.certificate, tls_files.CERTIFICATE) as certificate_file,
        tls_files.in_pem(names.key if policy.key else names.certificate, key, tls_files.PRIVATE_KEY) as key_file,
    ):
        try:
            context.load_cert_chain(certificate_file, key_file, password)
        except (ssl.SSLError, ValueError) as error:
            raise _own_files_problem(error, policy, is_secret=bool(asked), given=given) from error


def _own_files_problem(error: Exception, policy: Policy, *, is_secret: bool, given: str) -> Misconfigured:
    file, key = policy.certificate, policy.key or policy.certificate
    reason = getattr(error, "reason", None) or str(error)
    if reason == "KEY_VALUES_MISMATCH":
        return Misconfigured(f"The key in {key} is not that of the certificate in {file}")
    if is_secret and not given:
        return Misconfigured(f"The key in {key} has a password; give it by {policy.names.password}")
    if is_secret:
        return Misconfigured(f"The password does not open the key in {key}")
    return Misconfigured(
        f"The certificate in {file} or the key in {key} cannot be used: {reason.lower().replace('_', ' ')}"
    )


def _password(policy: Policy) -> str:
    if not policy.password_file:
        return policy.password
    content = tls_files.content("tls_key_password_file", Path(policy.password_file)).decode("utf-8", "replace")
    return content.partition("\n")[0].removesuffix("\r")


def _load_authorities(context: ssl.SSLContext, policy: Policy) -> None:
    if not policy.authorities:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)  # what the system trusts, when we call
    for file, held in tls_files.blocks(policy.names.authorities, policy.authorities, tls_files.CERTIFICATE):
        try:
            context.load_verify_locations(cadata="\n".join(held))
        except ssl.SSLError as error:
            raise Misconfigured(
                f"{policy.names.authorities}: {file} holds a certificate that cannot be read"
            ) from error


def _load_revocations(context: ssl.SSLContext, policy: Policy) -> None:
    """The revocation lists, and nothing else that lies there: OpenSSL would trust certificates in such a file."""
    name, path = policy.names.revocations, policy.revocations
    with tempfile.NamedTemporaryFile("w", encoding="ascii", suffix=".pem") as gathered:
        for _, held in tls_files.blocks(name, path, tls_files.REVOCATION_LIST):
            gathered.write("\n".join((*held, "")))
        gathered.flush()
        try:
            context.load_verify_locations(cafile=gathered.name)
        except ssl.SSLError as error:
            raise Misconfigured(f"{name} = {path}: holds a revocation list that cannot be read") from error


def _load_dh_parameters(context: ssl.SSLContext, policy: Policy) -> None:
    name, path = policy.names.dh_parameters, policy.dh_parameters
    tls_files.content(name, Path(path))
    try:
        context.load_dh_params(path)
    except (ssl.SSLError, ValueError) as error:
        raise Misconfigured(f"{name} = {path}: holds no parameters in PEM; see openssl dhparam") from error


def _stamp(policy: Policy) -> tuple[object, ...]:
    """What changes when a file does."""
    single = (policy.certificate, policy.key, policy.password_file, policy.dh_parameters)
    named = (*single, policy.authorities, policy.revocations)
    return tuple(mark for path in named for mark in tls_files.marks(path))


def own_certificate_warning(policy: Policy, now: datetime | None = None) -> str | None:
    """What is about to be wrong, or is, with the dates of our own certificate."""
    if not policy.certificate:
        return None
    now = now or datetime.now(UTC)
    try:
        own = tls_files.own_certificate(policy.certificate)
    except (OSError, ValueError) as error:
        return f"the certificate in {policy.certificate} cannot be read: {error}"
    if now > own.not_after:
        return f"the certificate in {policy.certificate} has expired on {own.not_after:%Y-%m-%d}: peers will refuse it"
    if now < own.not_before:
        return f"the certificate in {policy.certificate} is valid from {own.not_before:%Y-%m-%d} only"
    if own.not_after - now < WARN_BEFORE:
        return f"the certificate in {policy.certificate} expires on {own.not_after:%Y-%m-%d}"
    return None


# For command lines in DCMTK's words


def cipher_suites_known() -> dict[str, str]:
    """The suites up to TLS 1.2 that this OpenSSL has and that may be added to a profile, strongest first.

    By their registered names: OpenSSL's names.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    names = {suite["id"] & 0xFFFF: suite["name"] for suite in context.get_ciphers()}
    return {name: names[number] for number, name in cipher_suites.REGISTERED.items() if number in names}


def seed(content: bytes) -> None:
    """Stir `content` into OpenSSL's random numbers, of which it is taken to make none less predictable."""
    ssl.RAND_add(content, 0.0)


def random_bytes(count: int) -> bytes:
    """So many of OpenSSL's random bytes."""
    return ssl.RAND_bytes(count)
