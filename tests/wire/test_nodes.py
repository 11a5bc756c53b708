"""Two nodes on one PostgreSQL and one folder: either answers for all of it, and nothing is there twice."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from archive.database import transaction
from tests.fix_dcmtk import Dcmtk, Receiver
from tests.fix_instances import encoded, instance
from tests.wire.clients import DCMTK, OURS, ran
from tests.wire.raw_messages import EXPLICIT, SECONDARY_CAPTURE, STUDY_ROOT_MOVE, VERIFICATION, Proposed, Rejected
from tests.wire.running import Archive, identifier
from tests.wire.test_quota import SENDERS, held, send_at_once, shelf_of, written
from tests.wire.two_nodes import Nodes

Start = Callable[..., Nodes]

INSTANCES = 24
# Every fourth is of 128 KiB and has a file from the beginning.
SIDES_PIXELS = (256, 64, 64, 64)
MAX_STUDIES = 10
MAX_BYTES = 12_000


def test_a_study_that_comes_to_both_nodes_at_once_is_held_once(start_nodes: Start, tmp_path: Path) -> None:
    """All of it to either: each instance meets itself somewhere."""
    nodes = start_nodes()
    area = nodes.one.title.area
    data_sets = [instance(number=number, side_pixels=SIDES_PIXELS[number % 4]) for number in range(INSTANCES)]
    files = written(tmp_path / "sent", *data_sets)
    start = threading.Barrier(2)

    def send(command: tuple[str, ...], node: Archive, order: list[Path]) -> None:
        start.wait(60)
        ended = ran(command, "storescu", "-aec", nodes.one.title, "127.0.0.1", node.port, *order, folder=tmp_path)
        assert (ended.code, ended.error) == (0, b""), ended

    with ThreadPoolExecutor(2) as pool:
        sent = [pool.submit(send, DCMTK, nodes.one, files), pool.submit(send, OURS, nodes.two, files[::-1])]
        for each in sent:
            each.result(300)

    assert nodes.one.counters(area)[:3] == (1, 1, INSTANCES)
    fetched = nodes.two.fetch(data_sets[0].StudyInstanceUID, title=nodes.one.title)
    assert fetched.keys() == {str(each.SOPInstanceUID) for each in data_sets}
    _nothing_is_wrong(nodes, area, INSTANCES)


def _nothing_is_wrong(nodes: Nodes, area: str, number: int) -> None:
    """So many instances with a file each, and no file that is nobody's."""
    archive = nodes.one
    assert archive.rows(area) == number
    assert archive.becomes_true(lambda: len(archive.files(area)) == number)
    nodes.one.service.run("check", "verify", "--checksums")
    nodes.two.service.run("check", "reconcile", "--older-than", "0")


@pytest.mark.slow
@pytest.mark.parametrize(
    "limit, is_pooled",
    [({"max_studies": MAX_STUDIES}, False), ({"max_bytes": MAX_BYTES}, False), ({"max_bytes": MAX_BYTES}, True)],
    ids=["studies", "bytes", "bytes, through pgbouncer"],
)
def test_two_nodes_never_pass_the_quota_of_their_area(
    start_nodes: Start, dcmtk: Dcmtk, tmp_path: Path, limit: dict[str, Any], is_pooled: bool
) -> None:
    nodes = start_nodes(is_pooled=is_pooled)
    title = nodes.one.add_title(**limit, on_full="evict")
    batches = [
        written(
            tmp_path / f"sender-{sender}",
            *(instance(study=100 * sender + n // 2, number=n, side_pixels=0) for n in range(16)),
        )
        for sender in range(2 * SENDERS)
    ]

    with _watched(nodes.one, title.area) as most:
        send_at_once(dcmtk, title.name, [nodes.one.port, nodes.two.port], batches)

    assert 0 < max(most["studies"]) <= limit.get("max_studies", 64)
    assert 0 < max(most["bytes"]) <= limit.get("max_bytes", 10**9)
    assert len(held(nodes.one, title)) == nodes.one.counters(title.area)[0]
    if "max_studies" in limit:
        assert nodes.one.counters(title.area)[0] == MAX_STUDIES
    shelf_of(nodes.one, title).assert_sound()
    _nothing_is_wrong(nodes, title.area, nodes.one.counters(title.area)[2])


@contextmanager
def _watched(archive: Archive, area: str) -> Iterator[dict[str, list[int]]]:
    """Studies and bytes of an area, looked at again and again."""
    seen: dict[str, list[int]] = {"studies": [], "bytes": []}
    is_over = threading.Event()
    statement = text(
        "SELECT count(DISTINCT i.study_pk), coalesce(sum(i.size_bytes), 0) "
        "FROM instances i JOIN storage_areas a ON a.pk = i.area_pk WHERE a.name = :area"
    )

    def look() -> None:
        while not is_over.is_set():
            with transaction.read(archive.database) as connection:
                studies, size_bytes = connection.execute(statement, {"area": area}).one()
            seen["studies"].append(studies)
            seen["bytes"].append(int(size_bytes))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        is_over.set()
        watcher.join()


def test_a_command_holds_for_the_next_association_at_either_node(start_nodes: Start, storescp: Receiver) -> None:
    nodes = start_nodes()
    both, command = (nodes.one, nodes.two), nodes.one.service.run
    title = nodes.one.add_title(is_open=False)
    command("peer", "add", "WS1", "--title", "STORESCP", "--host", "127.0.0.1", "--port", storescp.port)

    assert [_echo(node, title.name) for node in both] == [False, False]
    command("rule", "allow", "--at", title, "--any")
    assert [_echo(node, title.name) for node in both] == [True, True]

    assert [_store(node, title.name, study=1) for node in both] == [0, 0]
    command("area", "set", title.area, "--max-studies", 1)
    assert [_store(node, title.name, study=2) for node in both] == [0xA700, 0xA700]

    assert [_move(node, title.name) for node in both] == [0, 0]
    command("peer", "remove", "WS1")
    assert [_move(node, title.name) for node in both] == [0xA801, 0xA801]


def _echo(node: Archive, title: str) -> bool:
    """Whether the caller is let in."""
    try:
        with node.associate(Proposed(VERIFICATION), title=title) as scu:
            assert scu.echo() == 0
            scu.release()
    except Rejected:
        return False
    return True


def _store(node: Archive, title: str, study: int) -> int:
    data_set = instance(study=study, number=node.port)
    with node.associate(Proposed(SECONDARY_CAPTURE, (EXPLICIT,)), title=title) as scu:
        status = scu.store(SECONDARY_CAPTURE, data_set.SOPInstanceUID, encoded(data_set)).status
        scu.release()
    return status


def _move(node: Archive, title: str) -> int:
    study = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=instance(study=1).StudyInstanceUID)
    with node.associate(Proposed(STUDY_ROOT_MOVE), title=title) as scu:
        status = scu.move(STUDY_ROOT_MOVE, study, "STORESCP")[-1].status
        scu.release()
    return status


def test_another_node_keeps_house_when_the_one_that_did_is_killed(start_nodes: Start) -> None:
    nodes = start_nodes("--housekeeping-lease", "1")
    first = nodes.elected()
    survivor = nodes.other(first)

    first.service.kill()
    survivor.store(instance())

    assert survivor.becomes_true(lambda: nodes.keeper() is survivor)
    assert len(survivor.files(survivor.title.area)) == 1


@pytest.mark.slow
def test_what_is_stored_at_one_node_is_filed_by_the_one_that_keeps_house(start_nodes: Start) -> None:
    nodes = start_nodes("--housekeeping-lease", "3600")
    idle = nodes.other(nodes.elected())

    idle.store(instance())

    assert len(idle.files(idle.title.area)) == 1
    assert nodes.keeper() is not idle


def test_a_node_that_stops_leaves_the_housekeeping_to_the_other_at_once(start_nodes: Start) -> None:
    nodes = start_nodes("--housekeeping-lease", "15")  # every five seconds the other looks if it is free
    first = nodes.elected()

    assert first.service.stop() == 0

    survivor = nodes.other(first)
    assert nodes.keeper() in (None, survivor)  # although the term of the first has not ended
    assert survivor.becomes_true(lambda: nodes.keeper() is survivor)
