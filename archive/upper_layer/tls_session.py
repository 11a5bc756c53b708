"""One TLS session (RFC 8446, RFC 5246) that knows no socket: bytes in, bytes out. `tls_connection` carries them."""

import contextlib
import ssl

from archive.errors import ConnectionLost, TlsFailed
from archive.upper_layer import certificate
from archive.upper_layer.certificate import Certificate

_HANDSHAKE, _SSL2_HELLO = 0x16, 0x80  # first byte of what a TLS client says (RFC 8446 5.1, RFC 5246 E.2)


class Session:
    """One TLS session: what came from the peer goes in by `feed`, what goes to it comes out by `take`.

    Not safe for two threads at a time.
    """

    def __init__(self, context: ssl.SSLContext, *, is_acceptor: bool = False, host: str = "") -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._is_acceptor = is_acceptor
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=is_acceptor, server_hostname=host or None
        )
        self._has_begun = False
        self.is_agreed = False
        self.has_ended = False
        self.certificate: Certificate | None = None
        """The peer's, verified; None where it showed none or none was asked for."""

    @property
    def agreed(self) -> str:
        """Version and cipher suite, to be logged."""
        suite = self._tls.cipher()
        return f"{self._tls.version()} {suite[0] if suite else ''}".strip()

    def feed(self, ciphertext: memoryview) -> None:
        """Take in what the peer sent; raises TlsFailed when that cannot be TLS."""
        if not self._has_begun:
            self._has_begun = True
            self._require_tls(ciphertext)
        self._incoming.write(ciphertext)

    def take(self) -> bytes:
        """What must be sent to the peer now."""
        return self._outgoing.read() if self._outgoing.pending else b""

    def shake_hands(self) -> bool:
        """Go on with the handshake; whether it is done. Raises TlsFailed."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            raise self._failure(error) from error
        try:
            shown = self._tls.getpeercert(binary_form=True)
            if shown and self._tls.getpeercert():  # the second is empty where nothing was verified
                self.certificate = certificate.read(shown)
        except ValueError as error:
            raise TlsFailed("The certificate of the peer cannot be read", reason=str(error)) from error
        self.is_agreed = True
        return True

    def read_into(self, room: memoryview) -> int:
        """Fill `room` with what the peer said, as far as it has come; the number of bytes.

        Raises ConnectionLost at the end of what it said, and TlsFailed.
        """
        count = 0
        try:
            while count < len(room):
                # One record at a time, of 16 KiB at most; 0 bytes are its close_notify.
                read: int = self._tls.read(len(room) - count, room[count:])  # type: ignore[assignment,arg-type]
                if not read:
                    self.has_ended = True
                    break
                count += read
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            raise self._failure(error) from error
        if self.has_ended and not count:
            raise ConnectionLost
        return count

    def write(self, content: bytes | bytearray | memoryview) -> None:
        """Encrypt; `take` gives it."""
        try:
            self._tls.write(content)  # a memory BIO takes all there is
        except ssl.SSLError as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Tell the peer that nothing will follow (close_notify); `take` gives it."""
        with contextlib.suppress(ssl.SSLError):  # it need not answer, and may have broken it off
            self._tls.unwrap()

    def _require_tls(self, ciphertext: memoryview) -> None:
        first = ciphertext[0]
        if not self._is_acceptor and first in (0x02, 0x03, 0x07):
            raise TlsFailed("The peer speaks plain DICOM on this port; add it without TLS, or name its port for TLS")
        if not self._is_acceptor or first == _HANDSHAKE or first & _SSL2_HELLO:
            return
        if first == 0x01:
            raise TlsFailed("A peer speaks plain DICOM on the TLS port; let it use TLS, or the port without")
        raise TlsFailed("Somebody called the TLS port and speaks neither TLS nor DICOM")

    def _failure(self, error: ssl.SSLError) -> TlsFailed:
        """The error of OpenSSL as a sentence."""
        if isinstance(error, ssl.SSLCertVerificationError):
            return TlsFailed("The certificate of the peer is not accepted", reason=error.verify_message)
        reason = error.reason or str(error)
        words = reason.lower().replace("_", " ")
        match reason:
            case "PEER_DID_NOT_RETURN_A_CERTIFICATE":
                return TlsFailed("The peer shows no certificate, and one is required")
            case "CALLBACK_FAILED":  # ours: there is one for the server name only
                return TlsFailed("The peer asked for another server name (SNI) than the archive's")
            case "NO_SHARED_CIPHER":
                return TlsFailed("The peer has no cipher suite in common with the archive")
            case "UNSUPPORTED_PROTOCOL" | "WRONG_SSL_VERSION" | "TLSV1_ALERT_PROTOCOL_VERSION":
                return TlsFailed("The peer has no version of TLS in common with the archive")
            case "TLSV13_ALERT_CERTIFICATE_REQUIRED":
                return TlsFailed("The peer wants a certificate that the archive does not show; see tls_certificate")
            case "WRONG_VERSION_NUMBER" | "HTTP_REQUEST" | "HTTPS_PROXY_REQUEST":
                return TlsFailed("The peer does not speak TLS on this port")
        if "ALERT" in reason:
            if "CERTIFICATE" in reason or "UNKNOWN_CA" in reason:
                return TlsFailed("The peer does not accept the certificate of the archive", reason=words)
            return TlsFailed("The peer broke TLS off", reason=words)
        return TlsFailed(reason=words)
