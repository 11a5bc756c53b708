"""What must be known before the database can be read: one frozen value, from file, environment and flags.

`archive.toml` < `ARCHIVE_*` in the environment < flags. Everything else is a row. A mistake names where it was made,
the key, and what was expected.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from archive.errors import Misconfigured

Seconds = Annotated[float, msgspec.Meta(ge=0)]
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)] | Literal["off"]
PREFIX = "ARCHIVE_"

# Not for the command line, which everybody on the machine can read.
SECRETS = frozenset({"tls_key_password"})


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of a service; times in seconds, where 0 means without limit (of `filing_delay`: at once)."""

    data: str = "./archive-data"
    """Folder of the embedded database and of areas with a relative path."""
    database: str = ""
    """Address of the database; empty is SQLite in the data folder."""
    host: str = "127.0.0.1"
    """Address to listen on, or several with commas; 0.0.0.0 is every IPv4 address, ipv6 every IPv6 one, :: both."""
    port: Port = 11112
    """Port to listen on; 0 lets the system choose, off is none."""
    tls_port: Port = "off"
    """Port to listen on for TLS; 0 lets the system choose, off is none."""
    tls_certificate: str = ""
    """File of our own certificate, and of those between it and its authority, in PEM; or of it alone in DER."""
    tls_key: str = ""
    """File of its private key in PEM or DER; empty: the file of the certificate."""
    tls_key_password: str = ""
    tls_key_password_file: str = ""
    """File whose first line is the password of the private key."""
    tls_ca: str = ""
    """File or folder of the certificates of trusted authorities, or several with colons."""
    tls_crl: str = ""
    """File or folder of revocation lists, or several with colons."""
    tls_crl_check: str = "leaf"
    """Which certificates are looked up in them: that of the peer (leaf), or its authorities' too (chain)."""
    tls_client_certificate: str = "required"
    """Whether a caller must show a certificate: required, optional (verified where there is one), ignored."""
    tls_profile: str = "bcp195-rfc8996"
    """Secure Transport Connection Profile of PS3.15 annex B."""
    tls_ciphers: str = ""
    """Cipher suites up to TLS 1.2 in OpenSSL's form, instead of the profile's."""
    tls_dh_parameters: str = ""
    """File of Diffie-Hellman parameters in PEM; without it DHE suites are not spoken with callers."""
    tls_server_certificate: str = "required"
    """Whether a peer that is called must show a certificate that can be verified: required, ignored."""
    tls_expect_name: str = ""
    """The only server name (SNI) that callers may ask for; empty: any."""
    tls_request_name: str = "host"
    """The server name (SNI) asked for of peers whose host is not checked: host is the peer's, off none."""
    workers: Annotated[int, msgspec.Meta(ge=0, le=256)] = 0
    """Worker processes; 0 is one for each core."""
    max_associations: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 200
    """Associations at a time, over all workers; one more is rejected (local limit exceeded)."""
    max_pdu: Annotated[int, msgspec.Meta(ge=4096, le=1_048_576)] = 131_072
    """Largest P-DATA-TF that peers may send us, in bytes."""
    acse_timeout: Seconds = 30
    """For an association request, an acceptance, a release, and for the peer to close the connection (ARTIM)."""
    dimse_timeout: Seconds = 60
    """For a message that has begun to arrive, and for a peer to take what we send."""
    response_timeout: Seconds = 120
    """For a peer's response to what we sent, in a C-GET or C-MOVE."""
    idle_timeout: Seconds = 60
    """Between two commands of a peer."""
    connect_timeout: Seconds = 10
    """For a connection to a peer."""
    drain_timeout: Seconds = 30
    """For running operations to end, once the service was told to stop."""
    filing_delay: Seconds = 2
    """How long small instances are gathered in the database before they get their files."""
    activity_days: Annotated[int, msgspec.Meta(ge=0, le=36_500)] = 90
    """Days that associations and operations stay in the access log; 0 is for ever."""
    evictions_days: Annotated[int, msgspec.Meta(ge=0, le=36_500)] = 365
    """Days that the log tells what quotas took; 0 is for ever."""
    changes_days: Annotated[int, msgspec.Meta(ge=0, le=36_500)] = 0
    """Days that the log tells who changed what by a command; 0 is for ever."""
    housekeeping_lease: Annotated[float, msgspec.Meta(ge=1, le=86_400)] = 30
    """How long after its last sign of life a node keeps the housekeeping from the other nodes."""
    host_lookup: str = "off"
    """Whether the log names the hosts of callers, by reverse DNS: off or on."""
    log_level: str = "info"
    log_format: str = "text"
    log_file: str = ""
    """File of the log; empty is standard error."""

    def __repr__(self) -> str:
        """All but secrets: this value may be logged."""
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name not in SECRETS)
        return f"Settings({', '.join(shown)})"

    @property
    def data_folder(self) -> Path:
        return Path(self.data).absolute()

    @property
    def hosts(self) -> tuple[str, ...]:
        """The addresses to listen on, each once."""
        return tuple(dict.fromkeys(host.strip() for host in self.host.split(",") if host.strip()))

    @property
    def looks_up_hosts(self) -> bool:
        return self.host_lookup == "on"

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.data_folder / 'archive.db'}"

    @property
    def uses_tls(self) -> bool:
        """Whether any file for TLS is named, or a port."""
        return self.tls_port != "off" or bool(self.tls_certificate or self.tls_ca or self.tls_crl)

    @property
    def worker_count(self) -> int:
        return self.workers or len(os.sched_getaffinity(0))


def load(flags: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings in force; flags whose value is None were not given. Raises Misconfigured."""
    known = {field.name: field for field in msgspec.structs.fields(Settings)}
    origin: dict[str, str] = {}
    merged: dict[str, Any] = {}
    sources = (
        *_file(flags, environment),
        ("environment", _from_environment(environment, known)),
        ("command line", flags),
    )
    for source, values in sources:
        for key, value in values.items():
            if key != "config" and value is not None:
                merged[key], origin[key] = value, source
    for key, value in merged.items():
        if key not in known:
            raise Misconfigured(f"{origin[key]}: {key} is no setting; known are {', '.join(sorted(known))}")
        _check(origin[key], key, value, known[key].type)
    return msgspec.convert(merged, Settings, strict=False)


def _check(source: str, key: str, value: object, expected: Any) -> None:
    try:
        msgspec.convert(value, expected, strict=source.endswith(".toml"))
    except msgspec.ValidationError as error:
        shown = "..." if key in SECRETS else repr(value)
        reason = "Expected a port from 0 to 65535, or off" if expected is Port else error
        raise Misconfigured(f"{source}: {key} = {shown}: {reason}") from error
    words = _words(key)
    if words and value not in words:
        raise Misconfigured(f"{source}: {key} = {value!r}: expected one of {', '.join(words)}")


def _words(key: str) -> tuple[str, ...]:
    """What a setting may be, where that is a list of words."""
    match key:
        case "host_lookup":
            return ("off", "on")
        case "log_level":
            return ("debug", "info", "warning", "error", "critical")
        case "log_format":
            return ("text", "json")
        case "tls_profile" | "tls_client_certificate" | "tls_server_certificate" | "tls_crl_check":
            from archive.upper_layer import tls  # OpenSSL is for those who use it

            return {
                "tls_profile": tuple(tls.PROFILES),
                "tls_client_certificate": tuple(tls.CLIENT_CERTIFICATE),
                "tls_server_certificate": tls.SERVER_CERTIFICATE,
                "tls_crl_check": tuple(tls.REVOCATION_CHECK),
            }[key]
        case _:
            return ()


def _from_environment(environment: Mapping[str, str], known: Mapping[str, Any]) -> dict[str, str]:
    return {key: environment[PREFIX + key.upper()] for key in known if environment.get(PREFIX + key.upper())}


def _file(flags: Mapping[str, Any], environment: Mapping[str, str]) -> list[tuple[str, dict[str, Any]]]:
    """The settings file: named by flag or environment, else archive.toml here if there is one."""
    named = flags.get("config") or environment.get(PREFIX + "CONFIG")
    path = Path(named or "archive.toml")
    if not named and not path.exists():
        return []
    try:
        return [(str(path), tomllib.loads(path.read_text(encoding="utf-8")))]
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path}: {error}") from error
