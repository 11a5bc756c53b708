"""Much at once, slow peers and large things: nothing is lost, nobody waits for another, and memory stays small."""

import socket
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import text

from archive.database import transaction
from tests.fix_instances import encoded, instance
from tests.wire.raw_messages import (
    EXPLICIT,
    FIND_RQ,
    SECONDARY_CAPTURE,
    STUDY_ROOT_FIND,
    STUDY_ROOT_MOVE,
    Proposed,
)
from tests.wire.running import Archive, identifier, peak_bytes

Start = Callable[..., Archive]

MOST_ASSOCIATIONS = 200  # as installed
LARGE_BYTES = 200_000_000
LITTLE_BYTES = 48 << 20  # less than a fourth of it, and enough for whatever Python does once
ANSWER_BYTES = 200  # or more: a command set, and a UID and more in the identifier


def test_two_hundred_associations_that_store_at_once_lose_nothing(start_own_archive: Start) -> None:
    archive = start_own_archive(workers=2)
    senders = [archive.associate(Proposed(SECONDARY_CAPTURE, (EXPLICIT,))) for _ in range(MOST_ASSOCIATIONS)]

    for number, scu in enumerate(senders):  # all of them, before the first answer is read
        data_set = instance(patient=number, side_pixels=0)
        context = scu.announce_store(SECONDARY_CAPTURE, data_set.SOPInstanceUID)
        scu.send_data_set(context.context_id, encoded(data_set))
    answered = [scu.receive().status for scu in senders]
    for scu in senders:
        scu.release()

    assert answered == [0] * MOST_ASSOCIATIONS
    assert archive.counters(archive.title.area)[:3] == (MOST_ASSOCIATIONS,) * 3
    assert len(archive.files(archive.title.area)) == MOST_ASSOCIATIONS


def test_a_slow_reader_holds_no_transaction_and_its_answers_are_read_as_it_takes_them(archive: Archive) -> None:
    number = 2 * _kernel_buffer_bytes() // ANSWER_BYTES
    archive.store(instance(side_pixels=0))
    archive.multiply(archive.title.area, number)
    series = {"StudyInstanceUID": instance().StudyInstanceUID, "SeriesInstanceUID": instance().SeriesInstanceUID}
    all_of_them = identifier(QueryRetrieveLevel="IMAGE", **series, SOPInstanceUID=None, InstanceNumber=None)
    with archive.associate(receive_buffer_bytes=4096) as slow:
        slow.ask(STUDY_ROOT_FIND, FIND_RQ, all_of_them)
        assert slow.receive().status == 0xFF00  # under way, and now it reads nothing for a while

        assert archive.becomes_true(lambda: _is_without_transaction(archive))
        archive.store(instance(study=2, side_pixels=0))
        last = {"uid": f"1.2.{number - 1}"}
        archive.change(lambda connection: connection.execute(text(_REMOVAL), last))
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _kernel_buffer_bytes())
        statuses = [each.status for each in slow.responses()]
        slow.release()

    assert statuses == [0xFF00] * (number - 1) + [0x0000]  # the first was taken before, and the last is not there


_REMOVAL = "DELETE FROM instances WHERE sop_instance_uid = :uid"


def _kernel_buffer_bytes() -> int:
    """The most that the kernel keeps of what a peer does not take (Linux: tcp(7), tcp_wmem)."""
    return int(Path("/proc/sys/net/ipv4/tcp_wmem").read_text().split()[2])


def _is_without_transaction(archive: Archive) -> bool:
    """Whether nobody but us is in a transaction on the database of an archive."""
    if archive.database.is_embedded:
        with archive.database.engine.connect() as connection:
            driver = connection.connection.dbapi_connection
            assert driver is not None
            cursor = driver.cursor()
            is_blocked, *_ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            cursor.close()
        return not is_blocked
    with transaction.read(archive.database) as connection:
        others = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL "
            "AND pid <> pg_backend_pid()"
        )
        return connection.execute(text(others)).scalar_one() == 0


def test_a_large_instance_comes_and_goes_and_never_is_in_memory(start_own_archive: Start) -> None:
    archive = start_own_archive()
    elsewhere = archive.add_title()
    peer = archive.add_peer(archive.port, str(elsewhere))
    small, large = instance(study=1), instance(study=2, side_pixels=16)
    large.PixelData = bytes(LARGE_BYTES)
    content = encoded(large)
    _comes_and_goes(archive, small.StudyInstanceUID, encoded(small), small.SOPInstanceUID, peer)  # loads what is needed
    before = archive.resident_bytes()

    _comes_and_goes(archive, large.StudyInstanceUID, content, large.SOPInstanceUID, peer)

    assert sum(peak_bytes(pid) for pid in archive.workers()) < before + LITTLE_BYTES
    assert [path.stat().st_size > LARGE_BYTES for path in archive.files(elsewhere.area)] in (
        [True, False],
        [False, True],
    )


def _comes_and_goes(archive: Archive, study: str, content: bytes, uid: str, peer: str) -> None:
    """Store an instance, fetch it, and move it to another title."""
    with archive.associate(Proposed(SECONDARY_CAPTURE, (EXPLICIT,)), Proposed(STUDY_ROOT_MOVE)) as scu:
        assert scu.store(SECONDARY_CAPTURE, uid, content, pdv_bytes=100_000).status == 0
        asked = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=study)
        assert scu.move(STUDY_ROOT_MOVE, asked, peer)[-1].status == 0
        scu.release()
    assert archive.fetch(study) == {uid: content}
