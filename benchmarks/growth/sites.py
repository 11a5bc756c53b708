"""The same archive twice: one that holds the probes alone, and one that has grown. Each is a service that runs."""

import tempfile
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from archive.database import migrate, transaction
from archive.database.engine import Database
from archive.lifecycle import founding
from archive.registry import snapshot
from benchmarks import clients
from benchmarks.clients import NO_DELAY
from benchmarks.growth.load import load
from benchmarks.growth.made_rows import MadeRows
from benchmarks.peers import OURS, PrivatePostgresql, Running
from benchmarks.peers import serve as serve_ours

ARCHIVES: Mapping[str, Callable[[PrivatePostgresql, Path], str]] = {
    "ours-sqlite": lambda _, folder: f"sqlite:///{folder / 'archive.db'}",
    "ours-postgresql": lambda postgresql, _: postgresql.cluster.url(postgresql.create()),
}
"""By name: the address of a new, empty database."""


@dataclass(frozen=True, slots=True)
class Site:
    """An archive of one size that runs, and its database opened beside it."""

    database: Database
    data: Path
    area_pk: int
    running: Running
    is_grown: bool
    """Whether it holds more than the probes."""

    def run(self, *arguments: str) -> float:
        """Run the command `archive` for this archive; the seconds it took."""
        url = self.database.url.render_as_string(hide_password=False)
        known = {"ARCHIVE_DATA": str(self.data), "ARCHIVE_DATABASE": url}
        return clients.run([[*OURS, *arguments]], known)[0]

    def close(self) -> None:
        """Stop the service."""
        self.database.close()
        self.running.process.stop()


def made(name: str, postgresql: PrivatePostgresql, parent: Path, other_studies: int) -> tuple[str, Path]:
    """Make an archive in a new folder below `parent` and fill it; its database's address and its data folder."""
    data = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent))
    url = ARCHIVES[name](postgresql, data)
    with closing(Database(url)) as database:
        migrate.upgrade(database)
        founding.found(database, data)
        with transaction.read(database) as connection:
            area = snapshot.read(connection).areas[founding.FIRST_AREA]
    load(url, MadeRows(area.pk, area.name, other_studies=other_studies).batches())
    return url, data


def serve(url: str, data: Path, *, is_grown: bool) -> Site:
    """Start the service of a founded archive."""
    known = {**NO_DELAY, "ARCHIVE_DATA": str(data), "ARCHIVE_DATABASE": url}
    started = serve_ours(data, known)
    database = Database(url)
    with transaction.read(database) as connection:
        area = snapshot.read(connection).areas[founding.FIRST_AREA]
    return Site(database, data, area.pk, started.running(area.name), is_grown)
