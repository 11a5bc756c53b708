"""Put the parts of a service together: the one place where settings become objects."""

from collections.abc import Callable
from dataclasses import dataclass

from archive.database.engine import Database
from archive.lifecycle.retrieve import Holdings
from archive.lifecycle.store import Store
from archive.registry.snapshot import RegistryReader
from archive.services.dispatch import Services
from archive.settings import Settings
from archive.upper_layer.association import Timeouts


@dataclass(frozen=True, slots=True)
class Archive:
    """What a worker process works with."""

    settings: Settings
    database: Database
    registry: RegistryReader
    services: Services
    timeouts: Timeouts


def timeouts(settings: Settings) -> Timeouts:
    """The deadlines of associations."""
    return Timeouts(
        acse=settings.acse_timeout,
        dimse=settings.dimse_timeout,
        idle=settings.idle_timeout,
        response=settings.response_timeout,
        connect=settings.connect_timeout,
    )


def assemble(settings: Settings, *, worker: int = 0, wake_housekeeping: Callable[[], None] = lambda: None) -> Archive:
    """Open everything that a worker needs; called after the process has started, never before a fork."""
    database = Database(settings.database_url)
    waits = timeouts(settings)
    services = Services(
        store=Store(database, settings.data_folder, shard=worker, wake_housekeeping=wake_housekeeping),
        holdings=Holdings(database, settings.data_folder),
        timeouts=waits,
    )
    return Archive(settings, database, RegistryReader(database), services, waits)
