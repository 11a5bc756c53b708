"""Passwords as scrypt hashes (RFC 7914): made, and held against what a peer sent; pure.

A hash says its own parameters, in the form `$scrypt$ln=14,r=8,p=1$salt$hash` that other software knows, so that later
ones may be stronger. With these it takes 16 MiB and about 50 ms; Python's interpreter lock is free meanwhile.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets

_LOG2_N, _R, _P = 14, 8, 1
_SALT_BYTES, _HASH_BYTES = 16, 32
_MOST_LOG2_N = 17  # 128 MiB: a hash that asks for more is none of ours
_MEMORY_BYTES = 160 << 20

MOST_BYTES = 1024
"""Of a password."""

_FORM = re.compile(r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)")

# What a password is held against where there is no user, so that it takes as long.
_NOBODY = bytes(_SALT_BYTES)


def hashed(password: bytes) -> str:
    """A hash of `password` with a salt of its own."""
    salt = secrets.token_bytes(_SALT_BYTES)
    derived = _scrypt(password, salt, _LOG2_N, _R, _P, _HASH_BYTES)
    return f"$scrypt$ln={_LOG2_N},r={_R},p={_P}${_text(salt)}${_text(derived)}"


def fits(password: bytes, known: str | None) -> bool:
    """Whether `known` is a hash of `password`; takes as long without one (None) as with one, and is False then."""
    found = None if known is None or len(password) > MOST_BYTES else _FORM.fullmatch(known)
    if found is None:
        _scrypt(password[:MOST_BYTES], _NOBODY, _LOG2_N, _R, _P, _HASH_BYTES)
        return False
    log2_n, r, p = (int(number) for number in found.groups()[:3])
    try:
        salt, derived = (base64.b64decode(text + "=" * (-len(text) % 4)) for text in found.groups()[3:])
        if log2_n > _MOST_LOG2_N:
            return False
        return hmac.compare_digest(_scrypt(password, salt, log2_n, r, p, len(derived)), derived)
    except (ValueError, binascii.Error):  # somebody wrote the row by hand
        return False


def _scrypt(password: bytes, salt: bytes, log2_n: int, r: int, p: int, length: int) -> bytes:
    return hashlib.scrypt(password, salt=salt, n=1 << log2_n, r=r, p=p, maxmem=_MEMORY_BYTES, dklen=length)


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii").rstrip("=")
