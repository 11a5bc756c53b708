"""Put the parts of a service together: the one place where settings become objects."""

from collections.abc import Callable
from dataclasses import dataclass

from archive.database.engine import Database
from archive.index import usage
from archive.lifecycle.activity import Station
from archive.lifecycle.recorder import Recorder
from archive.lifecycle.retrieve import Holdings
from archive.lifecycle.store import Store
from archive.registry.snapshot import RegistryReader
from archive.services.dispatch import Services
from archive.settings import Settings
from archive.upper_layer import tls
from archive.upper_layer.association import Timeouts
from archive.upper_layer.tls import Tls


@dataclass(frozen=True, slots=True)
class Archive:
    """What a worker process works with."""

    settings: Settings
    database: Database
    registry: RegistryReader
    services: Services
    timeouts: Timeouts
    recorder: Recorder
    tls: Tls


def timeouts(settings: Settings) -> Timeouts:
    """The deadlines of associations."""
    return Timeouts(
        acse=settings.acse_timeout,
        dimse=settings.dimse_timeout,
        idle=settings.idle_timeout,
        response=settings.response_timeout,
        connect=settings.connect_timeout,
    )


def tls_policy(settings: Settings) -> tls.Policy:
    """What the settings say about TLS."""
    return tls.Policy(
        certificate=settings.tls_certificate,
        key=settings.tls_key,
        password=settings.tls_key_password,
        password_file=settings.tls_key_password_file,
        authorities=settings.tls_ca,
        revocations=settings.tls_crl,
        revocation_check=settings.tls_crl_check,
        profile=settings.tls_profile,
        ciphers=settings.tls_ciphers,
        dh_parameters=settings.tls_dh_parameters,
        client_certificate=settings.tls_client_certificate,
        server_certificate=settings.tls_server_certificate,
        expected_name=settings.tls_expect_name,
        requested_name=settings.tls_request_name,
        accepts=settings.tls_port != "off",
    )


def assemble(settings: Settings, station: Station, *, wake_housekeeping: Callable[[], None] = lambda: None) -> Archive:
    """Open everything that a worker needs; called after the process has started, never before a fork."""
    database = Database(settings.database_url)
    recorder = Recorder(database, station)
    sessions = Tls(tls_policy(settings))
    services = Services(
        store=Store(
            database,
            settings.data_folder,
            shard=usage.shard_of(station.node, station.worker),
            wake_housekeeping=wake_housekeeping,
            received=recorder.received,
        ),
        holdings=Holdings(database, settings.data_folder),
        tls=sessions,
    )
    return Archive(settings, database, RegistryReader(database), services, timeouts(settings), recorder, sessions)
