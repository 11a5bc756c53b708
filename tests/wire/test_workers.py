"""The processes of the service: who is restarted when it dies, and how the service ends."""

import os
import signal
import socket
import threading
from collections.abc import Callable

import pytest

from scripts.background import descendants, is_running
from tests.fix_instances import encoded, instance
from tests.wire.raw_messages import (
    DATA,
    EXPLICIT,
    LAST_DATA,
    SECONDARY_CAPTURE,
    VERIFICATION,
    Ended,
    Proposed,
    pdu,
    pdv,
)
from tests.wire.raw_scu import RawScu
from tests.wire.running import Archive

Start = Callable[..., Archive]

LARGE = instance(side_pixels=256)  # 128 KiB: a file from the beginning
HALF_BYTES = 100_000


def echoes(archive: Archive) -> bool:
    try:
        archive.echo()
    except (Ended, OSError):
        return False
    return True


def on_each_worker(archive: Archive) -> dict[int, RawScu]:
    """An association on each worker process, told apart by the sockets they hold."""
    found: dict[int, RawScu] = {}
    for _ in range(100):
        if len(found) == len(archive.workers()):
            return found
        scu = archive.associate(Proposed(VERIFICATION), Proposed(SECONDARY_CAPTURE, (EXPLICIT,)))
        assert scu.echo() == 0
        owner = archive.owner_of(scu)
        if owner in found:
            scu.release()
        else:
            found[owner] = scu
    raise AssertionError("the workers do not share the work")


def test_a_killed_worker_is_replaced_and_the_others_live_on(start_own_archive: Start) -> None:
    archive = start_own_archive(workers=2)
    associations = on_each_worker(archive)
    victim, survivor = associations

    os.kill(victim, signal.SIGKILL)

    assert archive.becomes_true(lambda: len(archive.workers()) == 2 and victim not in archive.workers())
    assert associations[victim].hears_end() is None
    assert associations[survivor].echo() == 0
    for _ in range(10):
        archive.echo()
    associations[survivor].release()


def test_places_of_a_killed_worker_are_free_again(start_own_archive: Start) -> None:
    archive = start_own_archive("--max-associations", "2")
    held = [archive.associate(Proposed(VERIFICATION)) for _ in range(2)]
    old = archive.workers()

    archive.service.kill_worker()

    assert archive.becomes_true(lambda: archive.workers() not in ([], old))
    assert all(scu.hears_end() is None for scu in held)
    archive.echo()


def test_a_killed_housekeeping_process_is_replaced(start_own_archive: Start) -> None:
    archive = start_own_archive()
    (keeper,) = set(descendants(archive.service.process.pid)) - set(archive.workers())

    os.kill(keeper, signal.SIGKILL)

    assert archive.becomes_true(
        lambda: len(set(descendants(archive.service.process.pid)) - set(archive.workers()) - {keeper}) == 1
    )
    archive.store(instance())
    archive.store(instance(ImageComments="again"))  # what was replaced is unlinked by the new one
    assert archive.becomes_true(lambda: len(archive.files(archive.title.area)) == 1)


def test_sigterm_lets_a_running_store_finish_and_ends_what_is_idle(start_own_archive: Start) -> None:
    archive = start_own_archive(workers=2)
    content = encoded(LARGE)
    with (
        archive.associate(Proposed(VERIFICATION)) as idle,
        archive.associate(Proposed(SECONDARY_CAPTURE, (EXPLICIT,))) as busy,
    ):
        assert idle.echo() == 0
        busy.announce_store(SECONDARY_CAPTURE, LARGE.SOPInstanceUID)
        busy.says(pdu(0x04, pdv(1, DATA, content[:HALF_BYTES])))
        assert archive.becomes_true(archive.is_receiving)

        archive.service.process.terminate()

        assert idle.hears_end() is not None
        assert archive.becomes_true(lambda: archive.workers() == [])
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", archive.port))
        busy.says(pdu(0x04, pdv(1, LAST_DATA, content[HALF_BYTES:])))
        assert busy.receive().status == 0
        assert busy.hears_end() is not None  # it would be idle now

    assert archive.service.process.wait() == 0
    archive.service.start()
    assert archive.fetch(LARGE.StudyInstanceUID) == {LARGE.SOPInstanceUID: content}


def test_a_drain_has_a_limit(start_own_archive: Start) -> None:
    archive = start_own_archive("--drain-timeout", "1")
    with archive.associate(Proposed(SECONDARY_CAPTURE, (EXPLICIT,))) as busy:
        busy.announce_store(SECONDARY_CAPTURE, LARGE.SOPInstanceUID)
        busy.says(pdu(0x04, pdv(1, DATA, encoded(LARGE)[:HALF_BYTES])))
        assert archive.becomes_true(archive.is_receiving)

        assert (
            archive.service.process.stop(25) == 0
        )  # without the limit of its own it would have been killed after 25 s
    assert archive.files(archive.title.area) == []


def test_a_second_sigterm_ends_at_once(start_own_archive: Start) -> None:
    archive = start_own_archive("--drain-timeout", "3600", "--dimse-timeout", "3600", workers=2)
    with archive.associate(Proposed(SECONDARY_CAPTURE, (EXPLICIT,))) as busy:
        busy.announce_store(SECONDARY_CAPTURE, LARGE.SOPInstanceUID)
        busy.says(pdu(0x04, pdv(1, DATA, encoded(LARGE)[:HALF_BYTES])))
        assert archive.becomes_true(archive.is_receiving)
        archive.service.process.terminate()
        # Nobody listens: every process has had the first signal, and waits for the store.
        assert archive.becomes_true(lambda: archive.workers() == [])

        archive.service.process.terminate()

        assert archive.service.process.wait() == 0
    assert archive.files(archive.title.area) == []


def test_small_instances_get_their_files_when_the_service_stops(start_own_archive: Start) -> None:
    archive = start_own_archive("--filing-delay", "3600")
    archive.store(instance(), instance(number=2))
    before = archive.paths(archive.title.area)

    assert archive.service.stop() == 0

    assert before == []
    assert len(archive.files(archive.title.area)) == 2


def test_small_instances_that_had_no_file_when_the_service_was_killed_get_one_when_it_starts(
    start_own_archive: Start,
) -> None:
    archive = start_own_archive("--filing-delay", "3600")
    archive.store(instance())
    archive.service.kill()

    archive.service.restart()

    assert archive.fetch(instance().StudyInstanceUID) == {instance().SOPInstanceUID: encoded(instance())}
    assert len(archive.files(archive.title.area)) == 1


def test_workers_end_when_the_supervisor_is_killed(start_own_archive: Start) -> None:
    archive = start_own_archive("--drain-timeout", "1", workers=2)
    children = descendants(archive.service.process.pid)
    assert len(children) == 3

    os.kill(archive.service.process.pid, signal.SIGKILL)

    assert archive.becomes_true(lambda: not any(map(is_running, children)))
    assert not echoes(archive)


def test_sigint_ends_it_as_sigterm_does(start_own_archive: Start) -> None:
    archive = start_own_archive()

    os.kill(archive.service.process.pid, signal.SIGINT)

    assert archive.service.process.wait() == 0


def test_forty_associations_at_once_are_shared_by_the_workers(start_own_archive: Start) -> None:
    archive = start_own_archive(workers=2)
    for held in on_each_worker(archive).values():  # both have begun to accept
        held.release()
    barrier = threading.Barrier(40)
    owners: set[int] = set()

    def visit() -> None:
        with archive.associate(Proposed(VERIFICATION)) as scu:
            barrier.wait(30)
            assert scu.echo() == 0
            owners.add(archive.owner_of(scu))
            scu.release()

    threads = [threading.Thread(target=visit) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert owners == set(archive.workers())
    assert archive.becomes_true(lambda: archive.associations() == 0)


def test_hundreds_of_short_associations_leave_nothing_open(start_own_archive: Start) -> None:
    archive = start_own_archive()
    archive.echo()
    assert archive.becomes_true(lambda: archive.associations() == 0)
    threads, descriptors = archive.threads(), archive.descriptors()

    for _ in range(300):
        archive.echo()

    assert archive.becomes_true(lambda: archive.associations() == 0)
    assert archive.becomes_true(lambda: archive.threads() <= threads)
    assert archive.becomes_true(lambda: archive.descriptors() <= descriptors + 2)
