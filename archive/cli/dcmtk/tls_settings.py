"""What the options for TLS of a face come to: settings of the service, and seeds of the random generator."""

import getpass
import logging
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from archive.cli.dcmtk import tls_options
from archive.cli.dcmtk.tls_options import TlsOptions
from archive.errors import Misconfigured
from archive.upper_layer import cipher_suites, tls, tls_files

log = logging.getLogger(__name__)

_MAX_SEED_BYTES = 1 << 20
_WRITTEN_SEED_BYTES = 1024  # as OpenSSL's own RAND_write_file


def settings(decided: TlsOptions, ask: Callable[[str], str] | None = None) -> dict[str, Any]:
    """The settings of `archive.settings` that this makes, but for the port; raises Misconfigured.

    `ask` gives the password of a key that needs one, by default whoever sits at standard input.
    """
    if not decided.is_enabled:
        return {}
    _check_form(decided)
    lists = decided.revocation_files or (decided.authority_folders if decided.revocation_check else ())
    return {
        "tls_certificate": decided.certificate,
        "tls_key": decided.key,
        "tls_key_password": _key_password(decided, ask or _ask),
        "tls_ca": _several((*decided.authority_files, *decided.authority_folders)),
        "tls_crl": _several(lists),
        "tls_crl_check": decided.revocation_check or "leaf",
        "tls_profile": decided.profile,
        "tls_ciphers": _ciphers(decided),
        "tls_dh_parameters": decided.dh_parameters,
        "tls_client_certificate": decided.peer_certificate,
        "tls_server_certificate": "ignored" if decided.peer_certificate == "ignored" else "required",
        "tls_expect_name": decided.expected_name,
        "tls_request_name": decided.requested_name or tls.NO_NAME,
    }


def _check_form(decided: TlsOptions) -> None:
    """Refuse a file in the form that was not asked for, as DCMTK does."""
    for name in (decided.key, decided.certificate, *decided.authority_files, *decided.revocation_files):
        if name and tls_files.is_der(tls_files.content("file", Path(name))) != decided.is_der:
            said, other = ("--der-keys", "PEM") if decided.is_der else ("--pem-keys", "DER")
            raise Misconfigured(f"{name} is in {other}, or neither a key nor a certificate; {said} asks for another")


def _key_password(decided: TlsOptions, ask: Callable[[str], str]) -> str:
    if decided.password is not None:
        return decided.password
    if decided.key and tls_files.is_encrypted("--enable-tls", decided.key):
        return ask(f"Enter the password of {decided.key}: ")
    return ""


def _ask(prompt: str) -> str:
    if sys.stdin.isatty():
        return getpass.getpass(prompt)
    return sys.stdin.readline().rstrip("\r\n")


def _several(names: Iterable[str]) -> str:
    named = tuple(names)
    for name in named:
        if os.pathsep in name:
            raise Misconfigured(f"{name}: name this file or folder without {os.pathsep}")
    return os.pathsep.join(named)


def _ciphers(decided: TlsOptions) -> str:
    """The profile's suites and those that were added, as OpenSSL writes them; "" where none were."""
    if not decided.ciphers:
        return ""
    known = tls.cipher_suites_known()
    for name in decided.ciphers:
        if name not in known:
            raise Misconfigured(f"--cipher {name}: not supported; see {tls_options.LIST_CIPHERS}")
        if cipher_suites.is_advised_against(name):
            log.warning("--cipher %s: RFC 9325 advises against it", name)
    return ":".join((tls.PROFILES[decided.profile].ciphers, *(known[name] for name in decided.ciphers)))


def stir(decided: TlsOptions) -> None:
    """Seed OpenSSL's random numbers, and write a seed for the next time, as asked; raises Misconfigured."""
    try:
        if decided.seed:
            with Path(decided.seed).open("rb") as file:
                tls.seed(file.read(_MAX_SEED_BYTES))
        if decided.written_seed:
            Path(decided.written_seed).write_bytes(tls.random_bytes(_WRITTEN_SEED_BYTES))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        name = getattr(error, "filename", None) or decided.seed
        raise Misconfigured(f"seed of the random generator: {name}: {reason}") from error
