"""What an X.509 certificate says: whose it is and how long it holds (RFC 5280), read from its DER; pure.

It decides about no trust: OpenSSL has verified a peer's certificate before it is read here. A property test holds the
names against the `cryptography` package, which is the plain twin and stays in the tests.
"""

import base64
import hashlib
import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

# Attribute types of distinguished names by their short names (RFC 4514 section 3, and those OpenSSL prints).
ATTRIBUTE_TYPES = {
    "2.5.4.3": "CN",
    "2.5.4.4": "SN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.12": "title",
    "2.5.4.42": "GN",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "emailAddress",
}

# Kinds of Subject Alternative Name that identify somebody, by their tag in GeneralName (RFC 5280 4.2.1.6).
_NAME_KINDS = {0x81: "email", 0x82: "dns", 0x86: "uri", 0x87: "ip"}
NAME_KINDS = tuple(sorted(_NAME_KINDS.values()))

_SUBJECT_ALTERNATIVE_NAME = "2.5.29.17"

_SEQUENCE, _OID, _OCTET_STRING, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0x06, 0x04, 0x17, 0x18
_VERSION, _EXTENSIONS = 0xA0, 0xA3

# Codecs of the string types of a name: UTF8, Printable, T61 (read as everybody does), IA5, Universal, BMP.
_STRINGS = {0x0C: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1C: "utf-32-be", 0x1E: "utf-16-be"}

_PEM = re.compile(r"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----\s*(.*?)-----END", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Certificate:
    """Whose it is: `subject` are (type, value) pairs in the order of the certificate, `names` (kind, value) pairs."""

    sha256: str
    """SHA-256 of the whole certificate, in small hexadecimal digits."""
    subject: tuple[tuple[str, str], ...]
    names: tuple[tuple[str, str], ...]
    not_before: datetime
    not_after: datetime

    def __str__(self) -> str:
        """The subject as RFC 4514 writes it: the last part first."""
        return ",".join(f"{kind}={escaped(value)}" for kind, value in reversed(self.subject))

    @property
    def identities(self) -> frozenset[str]:
        """Everything that can be said of its owner: `sha256:…`, `subject:CN=…`, `san:dns:…`, one of each name."""
        return frozenset(
            (
                f"sha256:{self.sha256}",
                *(f"subject:{kind}={value}" for kind, value in self.subject),
                *(f"san:{kind}:{value}" for kind, value in self.names),
            )
        )


def escaped(value: str) -> str:
    """A value in a distinguished name as text (RFC 4514 2.4)."""
    text = re.sub(r'([",+;<>\\=])', r"\\\1", value)
    if text.startswith((" ", "#")):
        text = f"\\{text}"
    return f"{text[:-1]}\\ " if text.endswith(" ") and len(value) > 1 else text


def from_pem(text: str) -> Certificate:
    """The first certificate of a PEM file (RFC 7468); raises ValueError where there is none that can be read."""
    found = _PEM.search(text)
    if found is None:
        raise ValueError("no certificate in PEM")
    return read(base64.b64decode("".join(found[1].split()), validate=True))


def read(der: bytes) -> Certificate:
    """A certificate from its DER; raises ValueError where it is none."""
    try:
        return _read(der)
    except (IndexError, StopIteration) as error:  # it ends too early
        raise ValueError("a certificate that is cut") from error


def _read(der: bytes) -> Certificate:
    [(_, whole)] = elements(der, _SEQUENCE)
    to_be_signed = next(elements(whole, _SEQUENCE))[1]
    fields = [(tag, value) for tag, value in elements(to_be_signed) if tag != _VERSION]
    _serial, _algorithm, _issuer, (_, validity), (_, subject), _key, *rest = fields
    not_before, not_after = (_moment(tag, value) for tag, value in elements(validity))
    return Certificate(
        sha256=hashlib.sha256(der).hexdigest(),
        subject=tuple(_subject(subject)),
        names=tuple(name for tag, value in rest if tag == _EXTENSIONS for name in _names(value)),
        not_before=not_before,
        not_after=not_after,
    )


def elements(data: bytes, expected: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each element in `data` (X.690 8.1); `expected` is the only tag there may be at the first."""
    at = 0
    while at < len(data):
        tag, length, start = data[at], data[at + 1], at + 2
        if length & 0x80:
            count = length & 0x7F
            if not 1 <= count <= 4:
                raise ValueError("a length that DER does not have")
            length, start = int.from_bytes(data[start : start + count], "big"), start + count
        if tag & 0x1F == 0x1F or start + length > len(data):
            raise ValueError("an element that is longer than what it lies in")
        if expected is not None and tag != expected:
            raise ValueError(f"a tag {tag:02X}")
        expected = None
        yield tag, data[start : start + length]
        at = start + length


def _subject(name: bytes) -> Iterator[tuple[str, str]]:
    for _, relative in elements(name):  # a set of one, or of more
        for _, pair in elements(relative):
            (_, kind), (tag, value) = elements(pair)
            codec = _STRINGS.get(tag)
            if codec is not None:  # else it is no text, and no one can ask for it
                dotted = _dotted(kind)
                yield ATTRIBUTE_TYPES.get(dotted, dotted), value.decode(codec)


def _names(extensions: bytes) -> Iterator[tuple[str, str]]:
    [(_, sequence)] = elements(extensions, _SEQUENCE)
    for _, extension in elements(sequence):
        (tag, kind), *_, (value_tag, value) = elements(extension)
        if tag != _OID or value_tag != _OCTET_STRING or _dotted(kind) != _SUBJECT_ALTERNATIVE_NAME:
            continue
        [(_, names)] = elements(value, _SEQUENCE)
        for name_tag, name in elements(names):
            if word := _NAME_KINDS.get(name_tag):
                yield word, _name(word, name)


def _name(kind: str, value: bytes) -> str:
    if kind == "ip":
        return str(ipaddress.ip_address(value))
    text = value.decode("ascii")
    return text.lower() if kind == "dns" else text


def _dotted(oid: bytes) -> str:
    """An object identifier as text (X.690 8.19)."""
    numbers, number = [], 0
    for byte in oid:
        number = number << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))


def _moment(tag: int, value: bytes) -> datetime:
    """UTCTime or GeneralizedTime, which RFC 5280 4.1.2.5 wants in UTC and with seconds."""
    text = value.decode("ascii")
    if tag == _UTC_TIME:
        text = ("20" if text[:2] < "50" else "19") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError("a moment of another type")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
