"""Quotas under real senders, at one service and at two nodes on one PostgreSQL; who keeps house when a node dies."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom.dataset import FileDataset
from sqlalchemy import select, text

from archive.database import transaction
from archive.database.engine import Database
from archive.index import housekeeping
from archive.index.tables import evictions, studies
from archive.lifecycle import founding
from scripts.background import descendants
from tests.fix_database import _postgresql_database
from tests.fix_dcmtk import Dcmtk
from tests.fix_instances import instance
from tests.fix_service import Service
from tests.sql.fix_holdings import Shelf
from tests.wire.running import Archive, Title

SENDERS = 4
MAX_STUDIES = 10


def written(folder: Path, *data_sets: FileDataset) -> list[Path]:
    """Files of these instances, to be sent."""
    folder.mkdir(parents=True)
    paths = [folder / f"{number:03}.dcm" for number in range(len(data_sets))]
    for path, data_set in zip(paths, data_sets, strict=True):
        data_set.save_as(path, enforce_file_format=True)
    return paths


def send_at_once(dcmtk: Dcmtk, title: str, ports: Sequence[int], batches: Sequence[list[Path]]) -> None:
    """A storescu for each batch, all of them at the same time; every one of them succeeds."""
    start = threading.Barrier(len(batches))

    def send(number: int) -> None:
        start.wait(60)
        ran = dcmtk.store(ports[number % len(ports)], *batches[number], called=title)
        assert ran.is_ok, ran
        assert ran.output.count("Received Store Response (Success)") == len(batches[number]), ran

    with ThreadPoolExecutor(len(batches)) as pool:
        for sent in [pool.submit(send, number) for number in range(len(batches))]:
            sent.result(300)


def shelf_of(archive: Archive, title: Title) -> Shelf:
    with transaction.read(archive.database) as connection:
        statement = text("SELECT pk FROM storage_areas WHERE name = :name")
        return Shelf(archive.database, connection.execute(statement, {"name": title.area}).scalar_one())


def held(archive: Archive, title: Title) -> set[str]:
    """The studies of a title's area."""
    return {row.study_instance_uid for row in shelf_of(archive, title).rows(studies)}


def uid(study: int) -> str:
    return str(instance(study=study).StudyInstanceUID)


@pytest.mark.parametrize("side_pixels", [0, 256], ids=["small", "large"])
def test_four_senders_at_once_push_out_what_was_stored_to_least_recently(
    archive: Archive, dcmtk: Dcmtk, tmp_path: Path, side_pixels: int
) -> None:
    title = archive.add_title(max_studies=6, on_full="evict")
    for study in range(1, 7):
        archive.store(instance(study=study), title=title)
    for study in (1, 3):  # touched: 2, 4, 5 and 6 are the older ones now
        archive.store(instance(study=study, number=2), title=title)
    batches = [
        written(
            tmp_path / f"sender-{sender}",
            *(instance(study=100 + sender, number=n, side_pixels=side_pixels) for n in range(5)),
        )
        for sender in range(SENDERS)
    ]

    send_at_once(dcmtk, title.name, [archive.port], batches)

    assert held(archive, title) == {uid(study) for study in (1, 3, 100, 101, 102, 103)}
    shelf = shelf_of(archive, title)
    assert {row.study_instance_uid for row in shelf.rows(evictions)} == {uid(study) for study in (2, 4, 5, 6)}
    assert {row.caused_by_ae_title for row in shelf.rows(evictions)} == {"STORESCU"}
    assert archive.counters(title.area)[:3] == (6, 6, 2 + 2 + SENDERS * 5)
    shelf.assert_sound()
    assert archive.becomes_true(lambda: len(archive.files(title.area)) == 2 + 2 + SENDERS * 5)


def test_a_sender_is_told_that_the_area_is_full_and_goes_on_with_what_fits(
    archive: Archive, dcmtk: Dcmtk, tmp_path: Path
) -> None:
    title = archive.add_title(max_studies=1)
    archive.store(instance(study=1), title=title)
    first, second = written(tmp_path / "sent", instance(study=2), instance(study=1, number=2))

    refused = dcmtk.store(archive.port, first, called=title.name)
    taken = dcmtk.store(archive.port, second, called=title.name)

    assert "Refused: OutOfResources" in refused.output
    assert taken.is_ok
    assert archive.counters(title.area)[:3] == (1, 1, 2)


@dataclass(frozen=True)
class Nodes:
    """Two services on one database and one folder."""

    one: Archive
    two: Archive

    def keeper(self) -> Archive | None:
        """The node that keeps house now."""
        with transaction.read(self.one.database) as connection:
            state = housekeeping.state(connection)
            if state is None or not housekeeping.is_kept(connection, state):
                return None
        return next((each for each in (self.one, self.two) if state.node.endswith(f":{each.port}")), None)


@pytest.fixture
def start_nodes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Nodes]]:
    """`start_nodes("--housekeeping-lease", "1")`: two services on one PostgreSQL, which see the same folder."""
    cluster, template = (request.getfixturevalue(name) for name in ("cluster", "postgresql_template"))
    with ExitStack() as stack:
        url = stack.enter_context(_postgresql_database(cluster, template))
        database = stack.enter_context(closing(Database(url)))
        data = tmp_path / "data"
        founding.found(database, data)
        started: list[Service] = []

        def start(*options: str) -> Nodes:
            for number in (1, 2):
                service = Service(data, url, tmp_path / f"node-{number}.log", 2, ("--filing-delay", "0", *options))
                stack.callback(lambda service=service: service.stop() if service.is_running() else None)
                service.start()
                started.append(service)
            return Nodes(*(Archive(service, database) for service in started))

        yield start
        for service in started:
            request.node.add_report_section("teardown", f"log of {service.log.name}", service.output()[-5000:])


@pytest.mark.slow
def test_two_nodes_never_pass_the_quota_of_their_area(
    start_nodes: Callable[..., Nodes], dcmtk: Dcmtk, tmp_path: Path
) -> None:
    nodes = start_nodes()
    title = nodes.one.add_title(max_studies=MAX_STUDIES, on_full="evict")
    batches = [
        written(
            tmp_path / f"sender-{sender}",
            *(instance(study=100 * sender + n // 2, number=n, side_pixels=0) for n in range(16)),
        )
        for sender in range(2 * SENDERS)
    ]
    most, is_over = [0], threading.Event()

    def watch() -> None:
        while not is_over.is_set():
            with transaction.read(nodes.one.database) as connection:
                most.append(len(connection.scalars(select(studies.c.pk)).all()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        send_at_once(dcmtk, title.name, [nodes.one.port, nodes.two.port], batches)
    finally:
        is_over.set()
        watcher.join()

    assert max(most) <= MAX_STUDIES
    assert len(held(nodes.one, title)) == nodes.one.counters(title.area)[0] == MAX_STUDIES
    shelf_of(nodes.one, title).assert_sound()
    stored = nodes.one.counters(title.area)[2]
    assert nodes.one.becomes_true(lambda: len(nodes.one.paths(title.area)) == stored, seconds=60)


def test_another_node_keeps_house_when_the_one_that_did_is_killed(start_nodes: Callable[..., Nodes]) -> None:
    nodes = start_nodes("--housekeeping-lease", "1")
    assert nodes.one.becomes_true(lambda: nodes.keeper() is not None)
    first = nodes.keeper()
    assert first is not None
    survivor = nodes.two if first is nodes.one else nodes.one

    first.service.kill()
    survivor.store(instance())

    assert survivor.becomes_true(lambda: nodes.keeper() is survivor)
    assert len(survivor.files(survivor.title.area)) == 1


@pytest.mark.slow
def test_what_is_stored_at_one_node_is_filed_by_the_one_that_keeps_house(start_nodes: Callable[..., Nodes]) -> None:
    nodes = start_nodes("--housekeeping-lease", "3600")
    assert nodes.one.becomes_true(lambda: nodes.keeper() is not None)
    idle = nodes.two if nodes.keeper() is nodes.one else nodes.one

    idle.store(instance())

    assert len(idle.files(idle.title.area)) == 1
    assert nodes.keeper() is not idle


def test_a_node_that_stops_leaves_the_housekeeping_to_the_other_at_once(start_nodes: Callable[..., Nodes]) -> None:
    nodes = start_nodes("--housekeeping-lease", "15")  # every five seconds the other looks if it is free
    assert nodes.one.becomes_true(lambda: nodes.keeper() is not None)
    first = nodes.keeper()
    assert first is not None

    assert first.service.stop() == 0

    survivor = nodes.two if first is nodes.one else nodes.one
    assert nodes.keeper() in (None, survivor)  # although the term of the first has not ended
    assert survivor.becomes_true(lambda: nodes.keeper() is survivor)


def test_a_housekeeping_process_that_died_is_followed_by_one_of_the_same_node(
    start_own_archive: Callable[..., Archive],
) -> None:
    archive = start_own_archive("--housekeeping-lease", "3600")
    archive.store(instance())
    assert len(archive.files(archive.title.area)) == 1
    (keeper,) = set(descendants(archive.service.process.pid)) - set(archive.workers())

    os.kill(keeper, signal.SIGKILL)
    archive.store(instance(number=2))

    assert len(archive.files(archive.title.area)) == 2
