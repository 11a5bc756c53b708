"""Passwords and their hashes."""

import hashlib
from typing import Any

import pytest

from archive.registry import passwords

KNOWN = passwords.hashed(b"open sesame")


def test_a_hash_fits_its_password_and_no_other() -> None:
    assert passwords.fits(b"open sesame", KNOWN)
    for other in (b"", b"open sesam", b"open sesame ", b"Open sesame", bytes(2000)):
        assert not passwords.fits(other, KNOWN)


def test_each_hash_has_a_salt_of_its_own() -> None:
    assert passwords.hashed(b"x") != passwords.hashed(b"x")


def test_a_hash_says_its_parameters() -> None:
    # RFC 7914 section 12: scrypt("password", "NaCl", N=1024, r=8, p=16).
    derived = (
        "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d"
        "8360cbdfa2cc0640"
    )
    known = f"$scrypt$ln=10,r=8,p=16${passwords._text(b'NaCl')}${passwords._text(bytes.fromhex(derived))}"

    assert passwords.fits(b"password", known)
    assert not passwords.fits(b"passwort", known)


@pytest.mark.parametrize(
    "known",
    [
        "",
        "secret",
        "$scrypt$ln=14,r=8,p=1$$",
        "$scrypt$ln=30,r=8,p=1$AAAA$AAAA",
        "$scrypt$ln=17,r=99,p=1$AAAA$AAAA",
        "$scrypt$ln=14,r=0,p=1$AAAA$AAAA",
        "$scrypt$ln=14,r=8,p=1$A$A",
    ],
)
def test_what_is_no_hash_of_ours_fits_nothing(known: str) -> None:
    assert not passwords.fits(b"secret", known)


def test_without_a_hash_it_takes_as_much_work_as_with_one(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[dict[str, Any]] = []

    def scrypt(password: bytes, *, salt: bytes, **costs: int) -> bytes:
        done.append({"salt_bytes": len(salt), **costs})
        return bytes(costs["dklen"])

    monkeypatch.setattr(hashlib, "scrypt", scrypt)

    assert not passwords.fits(b"guess", None)
    assert not passwords.fits(b"guess", KNOWN)

    with_none, with_one = done
    assert with_none == with_one
