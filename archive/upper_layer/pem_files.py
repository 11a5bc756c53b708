"""PEM blocks in the files that settings name (RFC 7468).

Whatever is wrong with a file raises Misconfigured, which names the setting and the file.
"""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from archive.errors import Misconfigured

_PEM_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Kind:
    """What is looked for in a file."""

    noun: str
    command: str
    """Of openssl, that shows and converts it."""
    labels: tuple[str, ...]
    """Of its blocks; the first is the one that DER gets."""


CERTIFICATE = Kind("certificate", "x509", ("CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"))
REVOCATION_LIST = Kind("revocation list", "crl", ("X509 CRL",))


def require_block(setting: str, file: str, label: str, command: str) -> None:
    """The file holds a block whose label ends so."""
    content = read(setting, Path(file))
    if f"{label}-----" not in content.decode("latin-1"):
        hint = f"; it looks like DER, make PEM of it: openssl {command} -inform der -in {file}"
        raise Misconfigured(
            f"{setting} = {file}: holds no {label.lower()} in PEM{hint if _looks_like_der(content) else ''}"
        )


def blocks(setting: str, path: str, kind: Kind) -> Iterator[tuple[Path, list[str]]]:
    """The files at `path` that hold such PEM blocks, or one of DER; a folder may hold other files too."""
    place = Path(path)
    is_folder = place.is_dir()
    found = False
    for file in _files(setting, place):
        content = read(setting, file)
        text = content.decode("latin-1")
        held = [match[0] for match in _PEM_BLOCK.finditer(text) if match[1] in kind.labels]
        if not held and not is_folder and _looks_like_der(content):
            held = [_pem(kind.labels[0], content)]
        if held:
            found = True
            yield file, held
    if not found:
        raise Misconfigured(f"{setting} = {path}: there is no {kind.noun} in it; see openssl {kind.command} -in {path}")


def read(setting: str, file: Path) -> bytes:
    """All of a file."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise Misconfigured(f"{setting} = {file}: cannot be read: {error.strerror}") from error


def _files(setting: str, place: Path) -> list[Path]:
    try:
        if not place.is_dir():
            return [place]
        return sorted(file for file in place.iterdir() if file.is_file() and not file.name.startswith("."))
    except OSError as error:
        raise Misconfigured(f"{setting} = {place}: cannot be read: {error.strerror}") from error


def _looks_like_der(content: bytes) -> bool:
    return content[:1] == b"\x30" and b"-----BEGIN" not in content


def _pem(label: str, der: bytes) -> str:
    return f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode('ascii')}-----END {label}-----"
