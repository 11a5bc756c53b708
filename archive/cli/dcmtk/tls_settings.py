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


# What is said of files that cannot be used.
_NAMES = tls.Names(
    certificate="certificate of --enable-tls",
    key="private key of --enable-tls",
    password="--use-passwd",  # noqa: S106 - what one is called
    authorities="certification authority",
    revocations="revocation list",
    dh_parameters="--dhparam",
)

# The settings of `archive.settings` that say what a policy does.
_SETTINGS = {
    "tls_certificate": "certificate",
    "tls_key": "key",
    "tls_key_password": "password",
    "tls_ca": "authorities",
    "tls_crl": "revocations",
    "tls_crl_check": "revocation_check",
    "tls_profile": "profile",
    "tls_ciphers": "ciphers",
    "tls_dh_parameters": "dh_parameters",
    "tls_client_certificate": "client_certificate",
    "tls_server_certificate": "server_certificate",
    "tls_expect_name": "expected_name",
    "tls_request_name": "requested_name",
}


def settings(decided: TlsOptions, ask: Callable[[str], str] | None = None) -> dict[str, Any]:
    """The settings of `archive.settings` that this makes, but for the port; raises Misconfigured.

    `ask` gives the password of a key that needs one, by default whoever sits at standard input.
    """
    if not decided.is_enabled:
        return {}
    made = policy(decided, ask)
    return {setting: getattr(made, name) for setting, name in _SETTINGS.items()}


def policy(decided: TlsOptions, ask: Callable[[str], str] | None = None, *, accepts: bool = True) -> tls.Policy:
    """What is decided, with TLS enabled, as `archive.upper_layer.tls` goes by it; raises Misconfigured."""
    _check_form(decided)
    lists = decided.revocation_files or (decided.authority_folders if decided.revocation_check else ())
    return tls.Policy(
        certificate=decided.certificate,
        key=decided.key,
        password=_key_password(decided, ask or _ask),
        authorities=_several((*decided.authority_files, *decided.authority_folders)),
        revocations=_several(lists),
        revocation_check=decided.revocation_check or "leaf",
        profile=decided.profile,
        ciphers=_ciphers(decided),
        dh_parameters=decided.dh_parameters,
        client_certificate=decided.peer_certificate,
        server_certificate="ignored" if decided.peer_certificate == "ignored" else "required",
        expected_name=decided.expected_name,
        requested_name=decided.requested_name or tls.NO_NAME,
        accepts=accepts,
        names=_NAMES,
    )


def _check_form(decided: TlsOptions) -> None:
    """Refuse a file in the form that was not asked for, as DCMTK does."""
    own = ((_NAMES.key, decided.key), (_NAMES.certificate, decided.certificate))
    authorities = ((_NAMES.authorities, name) for name in decided.authority_files)
    lists = ((_NAMES.revocations, name) for name in decided.revocation_files)
    for kind, name in (*own, *authorities, *lists):
        if name and tls_files.is_der(tls_files.content(kind, Path(name))) != decided.is_der:
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
    """Seed OpenSSL's random numbers, and write a seed for the next time, as asked.

    They need no seed: what cannot be read or written is a warning, as with DCMTK. It may not be there yet.
    """
    if decided.seed:
        _try_seed("--seed", decided.seed, _read_seed)
    if decided.written_seed:
        _try_seed("--write-seed", decided.written_seed, _write_seed)


def _read_seed(path: Path) -> None:
    with path.open("rb") as file:
        tls.seed(file.read(_MAX_SEED_BYTES))


def _write_seed(path: Path) -> None:
    path.write_bytes(tls.random_bytes(_WRITTEN_SEED_BYTES))


def _try_seed(option: str, name: str, act: Callable[[Path], None]) -> None:
    try:
        act(Path(name))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else error
        log.warning("%s %s: %s", option, name, reason)
