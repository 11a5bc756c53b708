"""A running archive as wire tests see it, and the identifiers they ask with."""

import itertools
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from sqlalchemy import text

from archive.database import transaction
from archive.database.dialects import Connection
from archive.database.engine import Database
from archive.lifecycle import founding
from archive.registry import changes
from scripts.background import descendants
from tests.fix_database import _postgresql_database, sqlite_url
from tests.fix_instances import data_set_bytes, encoded
from tests.fix_service import Service
from tests.wire.raw_messages import (
    EXPLICIT,
    IMPLICIT,
    SECONDARY_CAPTURE,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
    Proposed,
)
from tests.wire.raw_scu import RawScu

QUERY_CONTEXTS = tuple(Proposed(uid) for uid in (VERIFICATION, STUDY_ROOT_FIND, STUDY_ROOT_MOVE, STUDY_ROOT_GET))

_numbers = itertools.count(1)

# Primary keys of made rows, out of the way of others.
_free_keys = itertools.count(10**12, 10**6)


@dataclass(frozen=True)
class Title:
    """An AE title of the archive, with an area of its own."""

    name: str
    area: str
    folder: Path  # of the area's files

    def __str__(self) -> str:
        return self.name


class Archive:
    """A running archive as tests see it: its port, its database, and AE titles made to order."""

    def __init__(self, service: Service, database: Database) -> None:
        self.service = service
        self.database = database
        self._titles: list[str] = []
        self._peers: list[str] = []
        self.title = self.add_title()

    @property
    def port(self) -> int:
        return self.service.port

    def change(self, work: Callable[[Connection], object]) -> None:
        """What the administrator does, without the half second that a command takes."""
        transaction.write(self.database, work)

    def add_title(self, access: str = "RW", *, area: str | None = None, is_open: bool = True, **policy: Any) -> Title:
        """An AE title of ours; with an area of its own, unless one is named, and a rule that lets in loopback."""
        name = f"T{next(_numbers)}"
        path = policy.pop("folder", f"areas/{name}")
        folder = self.service.data / path
        if area is None and not folder.exists():  # as `archive area add` makes it
            folder.mkdir(parents=True)

        def work(connection: Connection) -> None:
            if area is None:
                changes.add_area(connection, name, path, policy)
            changes.add_title(connection, name, area or name, access)
            if is_open:
                changes.add_rule(connection, name, allows=True, network="127.0.0.0/8")

        self.change(work)
        self._titles.append(name)
        return Title(name, area or name, self.service.data / "areas" / (area or name))

    def add_peer(self, port: int, title: str | None = None, host: str = "127.0.0.1", **settings: Any) -> str:
        """A move destination; its AE title."""
        name = title or f"PEER{next(_numbers)}"
        self.change(lambda connection: changes.add_peer(connection, name, name, host, port, settings))
        self._peers.append(name)
        return name

    def forget_titles_and_peers(self) -> None:
        """Remove those that were made here: the service reads them all again whenever a later test changes one."""

        def work(connection: Connection) -> None:
            for title in self._titles:
                changes.remove_title(connection, title)
            for peer in self._peers:
                changes.remove_peer(connection, peer)

        self.change(work)
        self._titles, self._peers = [], []

    def set_title(self, title: Title | str, **settings: Any) -> None:
        self.change(lambda connection: changes.set_title(connection, str(title), settings))

    def set_area(self, area: str, **policy: Any) -> None:
        self.change(lambda connection: changes.set_area(connection, area, policy))

    # Associations

    def associate(self, *contexts: Proposed, title: Title | str | None = None, **fields: Any) -> RawScu:
        """A raw association with these contexts; by default echo, find, move and get of Study Root."""
        buffer_bytes, source = fields.pop("receive_buffer_bytes", None), fields.pop("source", "")
        scu = RawScu(self.port, receive_buffer_bytes=buffer_bytes, source=source)
        try:
            return scu.associate(contexts or QUERY_CONTEXTS, called=str(title or self.title), **fields)
        except BaseException:
            scu.socket.close()
            raise

    def echo(self) -> None:
        """The service lives: a C-ECHO on a new association."""
        with self.associate(Proposed(VERIFICATION)) as scu:
            assert scu.echo() == 0
            scu.release()

    def store(self, *data_sets: FileDataset, title: Title | str | None = None) -> None:
        """Store instances, as quickly as can be."""
        wanted = {(each.SOPClassUID, each.file_meta.TransferSyntaxUID) for each in data_sets}
        contexts = [Proposed(sop_class, (syntax,)) for sop_class, syntax in sorted(wanted)]
        with self.associate(*contexts, title=title) as scu:
            for each in data_sets:
                syntax = each.file_meta.TransferSyntaxUID
                response = scu.store(each.SOPClassUID, each.SOPInstanceUID, encoded(each), syntax)
                assert response.status == 0, response.comment
            scu.release()

    def store_file(self, path: Path, title: Title | str | None = None) -> None:
        """Store the data set of a file byte for byte, which storescu and dcmsend do not promise."""
        held = dcmread(path, stop_before_pixels=True)
        sop_class, syntax = str(held.SOPClassUID), str(held.file_meta.TransferSyntaxUID)
        with self.associate(Proposed(sop_class, (syntax,)), title=title) as scu:
            response = scu.store(sop_class, str(held.SOPInstanceUID), data_set_bytes(path))
            assert response.status == 0, response.comment
            scu.release()

    def fetch(self, study: str, *stored: Proposed, title: Title | str | None = None) -> dict[str, bytes]:
        """The data sets of a study by C-GET, by SOP Instance UID; `stored` are the contexts to take them on."""
        contexts = stored or (Proposed(SECONDARY_CAPTURE),)
        roles = {each.abstract_syntax: (0, 1) for each in contexts}
        with self.associate(Proposed(STUDY_ROOT_GET), *contexts, title=title, roles=roles) as scu:
            got = scu.get(STUDY_ROOT_GET, identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=study))
            assert got.final.status == 0, got.final.comment
            scu.release()
        return got.data_sets

    def multiply(self, area: str, copies: int) -> None:
        """Make the only instance of an area the last of so many more; theirs are rows without a file."""
        columns = "area_pk, study_pk, series_pk, sop_class_uid, transfer_syntax_uid, data_set_offset, source_ae_title"
        columns += ", size_bytes, received_at"

        def work(connection: Connection) -> None:
            [held] = connection.execute(
                text("SELECT i.* FROM instances i JOIN storage_areas a ON a.pk = i.area_pk WHERE a.name = :area"),
                {"area": area},
            ).mappings()
            first = next(_free_keys)
            rows = [
                {
                    "pk": first + number,
                    "sop_instance_uid": f"1.2.{number}",
                    "path": f"gone/{number}",
                    "copied": held["pk"],
                }
                for number in range(copies)
            ]
            connection.execute(
                text(
                    f"INSERT INTO instances (pk, sop_instance_uid, path, {columns}) "
                    f"SELECT :pk, :sop_instance_uid, :path, {columns} FROM instances WHERE pk = :copied"
                ),
                rows,
            )
            for table in ("study_usage", "series", "area_usage"):
                connection.execute(
                    text(
                        f"UPDATE {table} SET number_of_instances = number_of_instances + {copies}, "
                        f"size_bytes = size_bytes * {copies + 1} WHERE area_pk = :area_pk AND number_of_instances > 0"
                    ),
                    {"area_pk": held["area_pk"]},
                )

        self.change(work)

    # What is held

    def rows(self, area: str, table: str = "instances") -> int:
        """How many rows of an area a table has."""
        return self.scalar(f"SELECT count(*) FROM {table} t JOIN storage_areas a ON a.pk = t.area_pk", area)

    def counters(self, area: str) -> tuple[int, int, int, int]:
        """Studies, series, instances and bytes of an area, as its counters say."""
        names = ("number_of_studies", "number_of_series", "number_of_instances", "size_bytes")
        return tuple(  # type: ignore[return-value]
            self.scalar(
                f"SELECT coalesce(sum(t.{name}), 0) FROM area_usage t JOIN storage_areas a ON a.pk = t.area_pk", area
            )
            for name in names
        )

    def scalar(self, statement: str, area: str) -> int:
        with transaction.read(self.database) as connection:
            return int(connection.execute(text(f"{statement} WHERE a.name = :area"), {"area": area}).scalar_one())

    def files(self, area: str) -> list[Path]:
        """The files that lie in an area's folder, once every instance has its file."""
        unfiled = "SELECT count(*) FROM instances i JOIN storage_areas a ON a.pk = i.area_pk AND i.path IS NULL"
        assert self.becomes_true(lambda: self.scalar(unfiled, area) == 0), "instances stay in the database"
        return self.paths(area)

    def paths(self, area: str) -> list[Path]:
        """The files that lie in an area's folder at this moment."""
        return sorted(path for path in (self.service.data / "areas" / area).rglob("*") if path.is_file())

    def becomes_true(self, condition: Callable[[], bool], seconds: float = 60.0) -> bool:
        """Whether `condition` holds now or within some seconds: what follows the end of a connection takes a moment."""
        return becomes_true(condition, seconds)

    def is_receiving(self) -> bool:
        """Whether a worker writes to a file that has no name yet, or not all of its content."""
        return any(_writes_nameless_file(pid) for pid in self.workers())

    # Processes

    def workers(self) -> list[int]:
        return self.service.workers()

    def threads(self) -> int:
        """Threads of all processes of the service."""
        return sum(int(_status(pid, "Threads")) for pid in descendants(self.service.process.pid))

    def associations(self) -> int:
        """Connections that the workers hold, by their sockets: the listening one is shared by all."""
        return sum(len(_connections(pid, self.port)) for pid in self.workers())

    def owner_of(self, scu: RawScu) -> int:
        """The worker that holds the other end of a connection."""
        port = scu.socket.getsockname()[1]
        return next(pid for pid in self.workers() if port in _connections(pid, self.port))

    def resident_bytes(self) -> int:
        """Memory of the workers."""
        return sum(int(_status(pid, "VmRSS").split()[0]) * 1024 for pid in self.workers())

    def descriptors(self) -> int:
        """Open files and sockets of the workers."""
        return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in self.workers())


def peak_bytes(pid: int) -> int:
    """The most memory that a process has had."""
    return int(_status(pid, "VmHWM").split()[0]) * 1024


def _status(pid: int, field: str) -> str:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return line.partition(":")[2].strip()
    raise AssertionError(f"no {field} of {pid}")


def _connections(pid: int, port: int) -> set[int]:
    """The peers' ports of the connections to `port` that a process holds (Linux: /proc)."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue  # closed meanwhile
        if target.startswith("socket:["):
            inodes.add(target[len("socket:[") : -1])
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[9] in inodes and fields[3] != "0A" and int(fields[1].rpartition(":")[2], 16) == port:
            found.add(int(fields[2].rpartition(":")[2], 16))
    return found


def becomes_true(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Whether `condition` holds now or within some seconds."""
    deadline, pause_seconds = time.monotonic() + seconds, 0.01
    while not condition():
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(pause_seconds)
        pause_seconds = min(1.5 * pause_seconds, 0.1)  # looking takes time from what is looked for
    return True


def identifier(syntax: str = EXPLICIT, **keys: Any) -> bytes:
    """An identifier by keyword; a value of None is an empty key."""
    data_set = Dataset()
    for keyword, value in keys.items():
        setattr(data_set, keyword, value)
    return encoded_identifier(data_set, syntax)


def encoded_identifier(data_set: Dataset, syntax: str = EXPLICIT) -> bytes:
    """A data set without File Meta Information."""
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, syntax == IMPLICIT
    write_dataset(buffer, data_set)
    return buffer.getvalue()


@contextmanager
def migrated_database(dialect: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a database that holds the schema and no rows, for longer than one test."""
    if dialect == "sqlite":
        path = folder / "index.sqlite"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        yield sqlite_url(path)
        return
    cluster, template = (request.getfixturevalue(name) for name in ("cluster", "postgresql_template"))
    with _postgresql_database(cluster, template) as url:
        yield url


def start_archive(
    stack: ExitStack, request: pytest.FixtureRequest, dialect: str, folder: Path, *options: str, workers: int = 1
) -> Archive:
    """Start a service on a database of its own, both gone when `stack` ends."""
    url = stack.enter_context(migrated_database(dialect, folder, request))
    data = folder / "data"
    data.mkdir()
    # Started again a service has another port here, and waits for the lease of the node that it was.
    quickly = ("--filing-delay", "0", "--housekeeping-lease", "2")
    service = Service(data, url, folder / "service.log", workers, (*quickly, *options))
    database = stack.enter_context(closing(Database(url)))
    founding.found(database, data)
    stack.callback(lambda: service.stop() if service.is_running() else None)
    service.start()
    archive = Archive(service, database)
    # The port is open before the processes behind it have started.
    assert archive.becomes_true(lambda: len(descendants(service.process.pid)) == workers + 1)
    assert archive.becomes_true(lambda: len(archive.workers()) == workers)
    return archive


def _writes_nameless_file(pid: int) -> bool:
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if link.readlink().name.endswith("(deleted)") and "/areas/" in str(link.readlink()) and link.stat().st_size:
                return True
        except FileNotFoundError:
            continue  # closed while we looked
    return False
