"""How an administrator says whose certificate is meant: by fingerprint, subject or alternative name; pure.

    sha256:AB:CD:…                 this one certificate; colons and case do not matter
    subject:CN=CT1,O=Hospital      its subject has these parts, as RFC 4514 writes them, whatever others it has
    san:dns:ct1.example            one of its Subject Alternative Names; also san:ip:, san:email: and san:uri:

What comes of it is a set of identities as `upper_layer.certificate` names them; a certificate that has all of them is
meant.
"""

import ipaddress
import os
import re
from collections.abc import Iterator
from pathlib import Path

from archive.errors import Misconfigured
from archive.upper_layer import certificate
from archive.upper_layer.certificate import ATTRIBUTE_TYPES, NAME_KINDS

FORMS = "sha256:…, subject:CN=… or san:dns:…"

_TYPES = {name.lower(): name for name in ATTRIBUTE_TYPES.values()}
_DOTTED = re.compile(r"\d+(\.\d+)+")
_PART = re.compile(r"\s*([A-Za-z0-9.]+)\s*=((?:\\.|[^\\,+])*)(?:[,+]|\Z)", re.DOTALL)


def parse(text: str) -> str:
    """The same in the one form in which it is kept; raises Misconfigured."""
    kind, _, rest = text.lstrip().partition(":")
    match kind.lower():
        case "sha256":
            digits = rest.strip().replace(":", "").lower()
            if not re.fullmatch(r"[0-9a-f]{64}", digits):
                raise Misconfigured("A SHA-256 fingerprint has 64 hexadecimal digits", certificate=text)
            return f"sha256:{digits}"
        case "subject":
            return "subject:" + ",".join(f"{name}={certificate.escaped(value)}" for name, value in _parts(rest))
        case "san":
            return f"san:{_name(rest)}"
    raise Misconfigured(f"A certificate is named by {FORMS}", certificate=text)


def identities(binding: str) -> frozenset[str]:
    """All that a certificate must have to be the one that is meant by what `parse` gave."""
    kind, _, rest = binding.partition(":")
    if kind == "subject":
        return frozenset(f"subject:{name}={value}" for name, value in _parts(rest))
    return frozenset((binding,))


def shown(text: str) -> frozenset[str]:
    """The identities of a caller who is only supposed: those of a PEM file, or what one of the forms says."""
    if os.path.isfile(text):  # noqa: PTH113 - Path.is_file() raises where a form is longer than a name of a file
        try:
            return certificate.from_pem(Path(text).read_text(encoding="latin-1")).identities
        except (OSError, ValueError) as error:
            raise Misconfigured(f"{text} holds no certificate that can be read", reason=str(error)) from error
    return identities(parse(text))


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """The attribute types and values of a distinguished name."""
    at = 0
    while at < len(text) or at == 0:
        found = _PART.match(text, at)
        name = "" if found is None else found[1] if _DOTTED.fullmatch(found[1]) else _TYPES.get(found[1].lower(), "")
        value = "" if found is None else _unescaped(found[2])
        if found is None or not name or not value:
            raise Misconfigured(
                f"A subject is written as CN=CT1,O=Hospital, with {', '.join(ATTRIBUTE_TYPES.values())}", subject=text
            )
        yield name, value
        at = found.end()


def _unescaped(value: str) -> str:
    r"""A value without the backslashes of RFC 4514 2.4: `\,` is a comma, `\C3\A9` are two bytes of UTF-8."""
    value = re.sub(r"^ +|(?<!\\) +$", "", value)
    as_bytes = re.sub(
        rb"\\([0-9A-Fa-f]{2})|\\(.)",
        lambda found: bytes.fromhex(found[1].decode()) if found[1] else found[2],
        value.encode(),
        flags=re.DOTALL,
    )
    return as_bytes.decode("utf-8", "replace")


def _name(text: str) -> str:
    kind, _, value = text.partition(":")
    kind, value = kind.lower(), value.strip()
    if kind not in NAME_KINDS or not value:
        raise Misconfigured(
            f"An alternative name is written as san:dns:ct1.example; kinds are {', '.join(NAME_KINDS)}", name=text
        )
    if kind == "ip":
        try:
            value = str(ipaddress.ip_address(value))
        except ValueError as error:
            raise Misconfigured("This is no IP address", name=text) from error
    return f"{kind}:{value.lower() if kind == 'dns' else value}"
