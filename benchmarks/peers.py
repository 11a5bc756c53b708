"""The archives that are compared: how each is configured, started fresh and stopped.

Every one listens on a free port of loopback, keeps its data in a folder of the run, knows one move destination and lets
everybody in. Beyond that each has the settings it is installed with; what differs is written in `settings`.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg import sql

from benchmarks import processes
from scripts.background import Background, free_port
from scripts.postgresql_cluster import Cluster, ClusterFolder, start

DESTINATION = "DEST"  # the AE title that movescu names
CALLERS = ("STORESCU", "FINDSCU", "GETSCU", "MOVESCU")  # the calling AE titles of DCMTK's clients


@dataclass(frozen=True, slots=True)
class Running:
    """An archive that listens."""

    port: int
    title: str
    process: Background
    start_seconds: float
    """From the start of its process until it listened."""
    importer: tuple[str, ...] = ()
    """Its command that takes in files and folders named behind it, if it has one."""
    database: str = ""
    """The address of its database, where that is ours."""
    server: int | None = None
    """The process of the database server that works for it, if there is one."""

    def cpu_seconds(self) -> float:
        """Processor time that it, and the database server for it, have taken."""
        owners = [self.process.pid] if self.server is None else [self.process.pid, self.server]
        return processes.cpu_seconds(pid for owner in owners for pid in processes.family(owner))


class Started:
    """A program that was started, and how long it took until it listened."""

    def __init__(
        self,
        command: Sequence[str | os.PathLike[str]],
        folder: Path,
        environment: Mapping[str, str],
        port: Callable[[Background], int],
        *,
        works_in: Path | None = None,
    ) -> None:
        began = time.perf_counter()
        self._process = Background(command, folder / "log", environment=environment, folder=works_in)
        self.port = port(self._process)
        self._process.wait_listening(self.port, seconds=60)
        self._seconds = time.perf_counter() - began

    def running(
        self, title: str, *, importer: tuple[str, ...] = (), database: str = "", server: int | None = None
    ) -> Running:
        """The archive that it is, of this AE title."""
        return Running(self.port, title, self._process, self._seconds, importer, database, server)


class PrivatePostgresql:
    """One PostgreSQL cluster for the run, which syncs its writes; started when the first archive wants it."""

    def __init__(self, folder: Path) -> None:
        self._folder = ClusterFolder(folder)
        self._cluster: Cluster | None = None

    @property
    def cluster(self) -> Cluster:
        """The running cluster."""
        if self._cluster is None:
            self._cluster = start(self._folder.path, is_durable=True)
        return self._cluster

    @property
    def pid(self) -> int:
        """The server's first process."""
        return int((self.cluster.folder / "data" / "postmaster.pid").read_text().splitlines()[0])

    def create(self) -> str:
        """The name of a new database."""
        name = f"benchmark_{uuid4().hex}"
        with psycopg.connect(self.cluster.conninfo(), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        return name

    def drop(self, name: str) -> None:
        """Drop a database, whoever is connected."""
        with psycopg.connect(self.cluster.conninfo(), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def close(self) -> None:
        """Stop the cluster and remove it."""
        self._folder.close()


class Archive(ABC):
    """One archive with one configuration; `start` and `stop` may follow each other any number of times."""

    name: str
    settings: str
    is_ours = False

    def __init__(self, postgresql: PrivatePostgresql) -> None:
        self._postgresql = postgresql
        self._folder = Path()
        self._databases: list[str] = []
        self._running: Running | None = None

    @abstractmethod
    def is_installed(self) -> bool:
        """Whether it can be started on this machine."""

    @abstractmethod
    def version(self) -> str:
        """Its name and version."""

    @abstractmethod
    def _begin(self, folder: Path, environment: Mapping[str, str], destination_port: int) -> Running:
        """Configure it in the empty `folder`, start it and wait until it listens."""

    def _server(self) -> int | None:
        """The process of the database server that works for it."""
        return None

    def start(self, parent: Path, environment: Mapping[str, str], destination_port: int) -> Running:
        """Start it empty, in a new folder below `parent`."""
        self._folder = Path(tempfile.mkdtemp(prefix=f"{self.name}-", dir=parent))
        self._running = self._begin(self._folder, environment, destination_port)
        return self._running

    def stop(self) -> None:
        """Stop it; what it kept goes with the run.

        Where many files were removed, ext4 is slow to make new ones for minutes, which is not the next one's burden.
        """
        if self._running is not None:
            self._running.process.stop()
            self._running = None
        while self._databases:
            self._postgresql.drop(self._databases.pop())

    def _new_database(self) -> str:
        self._databases.append(self._postgresql.create())
        return self._databases[-1]


OURS = (sys.executable, "-m", "archive")


def serve(folder: Path, environment: Mapping[str, str], program: Sequence[str] = OURS) -> Started:
    """Start our service, which writes its log into `folder`, on a free port; `environment` names data and database."""
    port_file = Path(environment["ARCHIVE_DATA"]) / "archive.port"

    def port(process: Background) -> int:
        return int(process.wait_for_file(port_file).rpartition(":")[2])

    return Started([*program, "serve", "--port", "0"], folder, environment, port)


class Ours(Archive):
    """This project's archive."""

    is_ours = True
    durability = "full"
    program = OURS

    def is_installed(self) -> bool:
        return True

    def version(self) -> str:
        from archive import __version__

        return f"pacs-archive {__version__}"

    def _url(self, folder: Path) -> str:
        return f"sqlite:///{folder / 'archive.db'}"

    def _begin(self, folder: Path, environment: Mapping[str, str], destination_port: int) -> Running:
        data = folder / "data"
        data.mkdir()
        known = {**environment, "ARCHIVE_DATA": str(data), "ARCHIVE_DATABASE": self._url(folder)}
        if known["ARCHIVE_DATABASE"].startswith("postgresql"):
            _run([*OURS, "db", "upgrade"], known)
        started = serve(folder, known, self.program)
        where = ["--title", DESTINATION, "--host", "127.0.0.1", "--port", str(destination_port)]
        _run([*OURS, "peer", "add", "destination", *where], known)
        if self.durability != "full":
            _run([*OURS, "area", "set", "ARCHIVE", "--durability", self.durability], known)
        importer = (*OURS, "import", "--data", str(data), "--database", known["ARCHIVE_DATABASE"])
        address = known["ARCHIVE_DATABASE"]
        return started.running("ARCHIVE", importer=importer, database=address, server=self._server())


class OursSqliteFull(Ours):
    """The embedded default."""

    name = "ours-sqlite"
    settings = "SQLite (WAL), durability full: file and transaction synced before the answer"


class OursSqliteRelaxed(Ours):
    """The embedded default, for those who trust their battery."""

    name = "ours-sqlite-relaxed"
    settings = "SQLite (WAL), durability relaxed: the operating system writes when it likes"
    durability = "relaxed"


class OursPostgresqlFull(Ours):
    """The production database."""

    name = "ours-postgresql"
    settings = "PostgreSQL (fsync on), durability full"

    def _url(self, folder: Path) -> str:
        return self._postgresql.cluster.url(self._new_database())

    def _server(self) -> int | None:
        return self._postgresql.pid


class Dcmqrscp(Archive):
    """DCMTK's archive: an index file per area, a process per association."""

    name = "dcmqrscp"
    settings = "MaxPDUSize 16384 as installed, one area, 500 studies; it syncs nothing"

    def is_installed(self) -> bool:
        return Path("/usr/bin/dcmqrscp").exists()

    def version(self) -> str:
        return f"DCMTK {_debian_version('dcmtk')}"

    def _begin(self, folder: Path, environment: Mapping[str, str], destination_port: int) -> Running:
        port, area, configuration = free_port(), folder / "area", folder / "dcmqrscp.cfg"
        area.mkdir()
        configuration.write_text(
            f"NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
            f"HostTable BEGIN\ndestination = ({DESTINATION}, 127.0.0.1, {destination_port})\nHostTable END\n"
            "VendorTable BEGIN\nVendorTable END\n"
            f"AETable BEGIN\nDCMQRSCP {area} RW (500, 1024mb) ANY\nAETable END\n"
        )
        command = ["/usr/bin/dcmqrscp", "-q", "-c", configuration]
        return Started(command, folder, environment, lambda _: port).running("DCMQRSCP")


class Orthanc(Archive):
    """Orthanc on its embedded SQLite."""

    name = "orthanc-sqlite"
    settings = "SQLite, SyncStorageArea on (default: files synced, SQLite in WAL with NORMAL), HTTP off"
    _plugins = Path("/usr/share/orthanc/plugins")

    def is_installed(self) -> bool:
        return Path("/usr/sbin/Orthanc").exists()

    def version(self) -> str:
        return f"Orthanc {_debian_version('orthanc')}"

    def _more(self) -> dict[str, object]:
        return {}

    def _begin(self, folder: Path, environment: Mapping[str, str], destination_port: int) -> Running:
        port, configuration = free_port(), folder / "orthanc.json"
        modalities = {title: [title, "127.0.0.1", 104] for title in CALLERS}
        configuration.write_text(
            json.dumps(
                {
                    "Name": "benchmark",
                    "StorageDirectory": str(folder / "storage"),
                    "IndexDirectory": str(folder / "index"),
                    "TemporaryDirectory": str(folder),
                    "HttpServerEnabled": False,
                    "DicomServerEnabled": True,
                    "DicomAet": "ORTHANC",
                    "DicomPort": port,
                    "DicomAlwaysAllowEcho": True,
                    "DicomAlwaysAllowStore": True,
                    "DicomAlwaysAllowFind": True,
                    "DicomAlwaysAllowGet": True,
                    "DicomAlwaysAllowMove": True,
                    "DicomCheckModalityHost": False,
                    "DicomModalities": modalities | {"destination": [DESTINATION, "127.0.0.1", destination_port]},
                    **self._more(),
                }
            )
        )
        started = Started(["/usr/sbin/Orthanc", configuration], folder, environment, lambda _: port)
        return started.running("ORTHANC", server=self._server())


class OrthancPostgresql(Orthanc):
    """Orthanc with its index in PostgreSQL."""

    name = "orthanc-postgresql"
    settings = "index in PostgreSQL (fsync on), files in a folder, SyncStorageArea on, HTTP off"

    def is_installed(self) -> bool:
        return super().is_installed() and self._plugin.exists()

    def _server(self) -> int | None:
        return self._postgresql.pid

    @property
    def _plugin(self) -> Path:
        return self._plugins / "libOrthancPostgreSQLIndex.so"

    def version(self) -> str:
        return f"{super().version()} with orthanc-postgresql {_debian_version('orthanc-postgresql')}"

    def _more(self) -> dict[str, object]:
        cluster = self._postgresql.cluster
        return {
            "Plugins": [str(self._plugin)],
            "PostgreSQL": {
                "EnableIndex": True,
                "EnableStorage": False,
                "Host": str(cluster.folder),
                "Port": cluster.port,
                "Database": self._new_database(),
                "Username": cluster.user,
                "Password": "",
            },
        }


class Qrscp(Archive):
    """pynetdicom's example archive, on SQLite by SQLAlchemy's ORM."""

    name = "pynetdicom-qrscp"
    settings = "SQLite, as it comes; it syncs the index, not the files"

    def is_installed(self) -> bool:
        return True

    def version(self) -> str:
        from pynetdicom import __version__

        return f"pynetdicom {__version__}"

    def _begin(self, folder: Path, environment: Mapping[str, str], destination_port: int) -> Running:
        port, configuration = free_port(), folder / "qrscp.ini"
        configuration.write_text(
            f"[DEFAULT]\nae_title: QRSCP\nport: {port}\nmax_pdu: 16382\nacse_timeout: 30\ndimse_timeout: 30\n"
            f"network_timeout: 30\nbind_address: 127.0.0.1\ninstance_location: {folder / 'instances'}\n"
            f"database_location: {folder / 'instances.sqlite'}\n"
            f"[{DESTINATION}]\naddress: 127.0.0.1\nport: {destination_port}\n"
        )
        command = [sys.executable, "-W", "ignore", "-m", "pynetdicom", "qrscp", "-q", "-c", str(configuration)]
        return Started(command, folder, environment, lambda _: port, works_in=folder).running("QRSCP")


ARCHIVES: dict[str, type[Archive]] = {
    kind.name: kind
    for kind in (
        OursSqliteFull,
        OursSqliteRelaxed,
        OursPostgresqlFull,
        Dcmqrscp,
        Orthanc,
        OrthancPostgresql,
        Qrscp,
    )
}
BY_DEFAULT = tuple(name for name in ARCHIVES if name != Qrscp.name)  # qrscp would take most of the time
# To start an archive takes most of a quick figure.
BY_DEFAULT_QUICKLY = (OursSqliteFull.name, OursPostgresqlFull.name, Dcmqrscp.name, Orthanc.name)


def _debian_version(package: str) -> str:
    asked = ["dpkg-query", "--show", "--showformat=${Version}", package]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout


def _run(command: list[str], environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
