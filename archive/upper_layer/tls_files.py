"""The files that TLS is made of: certificates, private keys, revocation lists, in PEM (RFC 7468) or DER; no OpenSSL.

What is wrong with a file is said with the name of the setting that names it.
"""

import base64
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from archive.errors import Misconfigured
from archive.upper_layer import certificate
from archive.upper_layer.certificate import Certificate

_PEM_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_SEQUENCE, _INTEGER, _OCTET_STRING = 0x30, 0x02, 0x04  # X.690 8

# With what a private key in DER begins, by the label that PEM has for it (RFC 5958 2 and 3, 5915 3, 8017 A.1.2).
_KEYS = {
    "ENCRYPTED PRIVATE KEY": [_SEQUENCE, _OCTET_STRING],
    "PRIVATE KEY": [_INTEGER, _SEQUENCE, _OCTET_STRING],
    "EC PRIVATE KEY": [_INTEGER, _OCTET_STRING],
    "RSA PRIVATE KEY": [_INTEGER] * 9,
}


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file may hold: its name, the labels that PEM has for it, and the command of openssl that shows it."""

    noun: str
    labels: tuple[str, ...]
    """The first is that of what came in DER."""
    command: str


CERTIFICATE = Kind("certificate", ("CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"), "x509")
REVOCATION_LIST = Kind("revocation list", ("X509 CRL",), "crl")
PRIVATE_KEY = Kind("private key", tuple(_KEYS), "pkey")


def paths(text: str) -> list[Path]:
    """The files and folders of a setting that may name several."""
    return [Path(each) for each in text.split(os.pathsep) if each]


def content(setting: str, file: Path) -> bytes:
    """The bytes of a file; raises Misconfigured."""
    try:
        return file.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else error
        raise Misconfigured(f"{setting} = {file}: cannot be read: {reason}") from error


def is_der(data: bytes) -> bool:
    """Whether this looks like DER, and not like PEM."""
    return data[:1] == bytes((_SEQUENCE,)) and b"-----BEGIN" not in data


@contextmanager
def in_pem(setting: str, name: str, kind: Kind) -> Iterator[str]:
    """A path where OpenSSL finds what the file `name` holds in PEM: there, or, if that is DER, in memory."""
    data = content(setting, Path(name))
    if not is_der(data):
        if not any(f"BEGIN {label}-----".encode() in data for label in kind.labels):
            raise Misconfigured(f"{setting} = {name}: holds no {kind.noun} in PEM or DER; see openssl {kind.command}")
        yield name
        return
    label = _label_of_key(data) if kind is PRIVATE_KEY else kind.labels[0]
    if label is None:
        raise Misconfigured(f"{setting} = {name}: holds no {kind.noun}; see openssl {kind.command} -inform der")
    memory = os.memfd_create("tls")  # a private key must not come to lie on a disk once more
    with os.fdopen(memory, "wb") as file:
        file.write(_pem(label, data).encode("ascii"))
        file.flush()
        yield f"/proc/self/fd/{memory}"


def is_encrypted(setting: str, name: str) -> bool:
    """Whether the private key in the file `name` can only be read with a password."""
    data = content(setting, Path(name))
    if is_der(data):
        return _label_of_key(data) == "ENCRYPTED PRIVATE KEY"
    return b"ENCRYPTED" in data  # PKCS #8's label, or the header that OpenSSL's older form has


def own_certificate(name: str) -> Certificate:
    """The first certificate in the file `name`; raises ValueError and OSError."""
    data = Path(name).read_bytes()
    return certificate.read(data) if is_der(data) else certificate.from_pem(data.decode("latin-1"))


def blocks(setting: str, text: str, kind: Kind) -> Iterator[tuple[Path, list[str]]]:
    """What the files and folders named by `text` hold, in PEM; a folder may hold other files too."""
    for place in paths(text):
        found = False
        for file in _files(setting, place):
            data = content(setting, file)
            held = [match[0] for match in _PEM_BLOCK.finditer(data.decode("latin-1")) if match[1] in kind.labels]
            if not held and is_der(data) and (file == place or _is_certificate(data, kind)):
                held = [_pem(kind.labels[0], data)]
            if held:
                found = True
                yield file, held
        if not found:
            raise Misconfigured(
                f"{setting} = {place}: there is no {kind.noun} in it; see openssl {kind.command} -in {place}"
            )


def marks(text: str) -> Iterator[tuple[object, ...]]:
    """What changes when one of the files does, or one in the folders."""
    for place in paths(text):
        try:
            for each in (place, *(sorted(place.iterdir()) if place.is_dir() else ())):
                status = each.stat()
                yield each, status.st_ino, status.st_size, status.st_mtime_ns
        except OSError as error:  # gone: the reading will say so
            yield place, error.errno


def _files(setting: str, place: Path) -> list[Path]:
    try:
        if not place.is_dir():
            return [place]
        return sorted(file for file in place.iterdir() if file.is_file() and not file.name.startswith("."))
    except OSError as error:
        raise Misconfigured(f"{setting} = {place}: cannot be read: {error.strerror}") from error


def _is_certificate(data: bytes, kind: Kind) -> bool:
    """Whether a file in DER that nobody named, in a folder, is what is looked for there."""
    if kind is not CERTIFICATE:
        return False
    try:
        certificate.read(data)
    except ValueError:
        return False
    return True


def _label_of_key(data: bytes) -> str | None:
    """The label that PEM has for a private key in DER; None where it is none."""
    try:
        [(_, key)] = certificate.elements(data, _SEQUENCE)
        tags = [tag for tag, _ in certificate.elements(key)]
    except (ValueError, IndexError, StopIteration):
        return None
    return next((label for label, first in _KEYS.items() if tags[: len(first)] == first), None)


def _pem(label: str, der: bytes) -> str:
    return f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode('ascii')}-----END {label}-----\n"
