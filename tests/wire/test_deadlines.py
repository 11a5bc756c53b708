"""Peers that are slow, silent or gone: each costs one thread until its deadline, and nothing after it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from pydicom.dataset import FileDataset

from tests.fix_dcmtk import Dcmtk
from tests.fix_instances import encoded, instance
from tests.fix_proxy import proxy_to
from tests.wire.raw_messages import (
    DATA,
    EXPLICIT,
    LAST_COMMAND,
    SECONDARY_CAPTURE,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    VERIFICATION,
    Proposed,
    associate_rq,
    command_set,
    pdu,
    pdv,
)
from tests.wire.raw_scu import RawScu
from tests.wire.running import Archive, identifier, start_archive

DEADLINE_SECONDS = 1.0
OPTIONS = tuple(
    word
    for name in ("--acse-timeout", "--dimse-timeout", "--response-timeout", "--idle-timeout")
    for word in (name, str(DEADLINE_SECONDS))
)
ECHO = {0x0002: VERIFICATION, 0x0100: 0x0030, 0x0110: 1, 0x0800: 0x0101}


@pytest.fixture(scope="module")
def hasty_archive(
    served_on: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Archive]:
    """An archive whose every deadline is a second."""
    with ExitStack() as stack:
        yield start_archive(stack, request, served_on, tmp_path_factory.mktemp(f"hasty-{served_on}"), *OPTIONS)


@pytest.fixture
def hasty(hasty_archive: Archive) -> Iterator[Archive]:
    """The same with a title for this test; afterwards it serves, has no thread left over, and no partial file."""
    hasty_archive.title = hasty_archive.add_title()
    hasty_archive.echo()
    assert hasty_archive.becomes_true(lambda: hasty_archive.associations() == 0)
    threads = hasty_archive.threads()
    yield hasty_archive
    hasty_archive.echo()
    assert hasty_archive.becomes_true(lambda: hasty_archive.associations() == 0)
    assert hasty_archive.becomes_true(lambda: hasty_archive.threads() <= threads)
    assert hasty_archive.files(hasty_archive.title.area) == []
    assert hasty_archive.rows(hasty_archive.title.area) == 0


def ends_in_time(scu: RawScu) -> tuple[int, int] | None:
    """Wait for the end, which must come at a deadline and no sooner; the A-ABORT before it."""
    abort = scu.hears_end()  # waits no longer than half a minute
    assert time.monotonic() - scu.connected_at >= DEADLINE_SECONDS
    return abort


# Before there is an association.


def test_health_checks_that_connect_and_close(hasty: Archive) -> None:
    for _ in range(50):
        RawScu(hasty.port).socket.close()


def test_a_connection_without_a_word_is_closed(hasty: Archive) -> None:
    with RawScu(hasty.port) as scu:
        assert ends_in_time(scu) is None


def test_half_an_association_request_is_ended(hasty: Archive) -> None:
    with RawScu(hasty.port) as scu:
        scu.says(associate_rq([Proposed(VERIFICATION)], called=hasty.title.name)[:60])

        ends_in_time(scu)


def test_a_byte_now_and_then_does_not_put_the_deadline_off(hasty: Archive) -> None:
    request = associate_rq([Proposed(VERIFICATION)], called=hasty.title.name)
    stop = threading.Event()
    with RawScu(hasty.port) as scu:

        def dribble() -> None:
            for at in range(len(request)):
                try:
                    scu.says(request[at : at + 1])
                except OSError:
                    return
                if stop.wait(0.1):
                    return

        thread = threading.Thread(target=dribble)
        thread.start()
        ends_in_time(scu)
        stop.set()
        thread.join()


def test_dribbled_but_in_time_it_is_an_association(archive: Archive, dcmtk: Dcmtk) -> None:
    with proxy_to(archive.port) as proxy:
        proxy.dribble()

        ran = dcmtk.echo(proxy.port, called=archive.title.name)

    assert ran.is_ok, ran


def test_a_length_that_never_comes_takes_no_memory(hasty: Archive) -> None:
    before = hasty.resident_bytes()
    with ExitStack() as stack:
        for _ in range(20):
            scu = stack.enter_context(RawScu(hasty.port))
            scu.says(b"\1\0" + (1_000_000).to_bytes(4, "big") + bytes(10))
        assert hasty.resident_bytes() < before + 40_000_000


# While there is one.


def test_an_idle_association_is_ended(hasty: Archive) -> None:
    with hasty.associate(Proposed(VERIFICATION)) as scu:
        assert scu.echo() == 0

        assert ends_in_time(scu) is not None


def test_an_association_that_is_used_is_not_idle(hasty: Archive) -> None:
    pause, deadline_seconds = threading.Event(), 2 * DEADLINE_SECONDS
    hasty.set_title(hasty.title, idle_timeout_seconds=deadline_seconds)
    with hasty.associate(Proposed(VERIFICATION)) as scu:
        while time.monotonic() < scu.connected_at + 1.1 * deadline_seconds:
            assert scu.echo() == 0
            pause.wait(0.02)
        scu.release()


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(b"\4", id="a byte of a PDU"),
        pytest.param(pdu(0x04, pdv(1, LAST_COMMAND, command_set(ECHO)))[:-20], id="a command set but for its end"),
        pytest.param(pdu(0x04, pdv(1, 1, command_set(ECHO)[:20])), id="a fragment of a command set"),
    ],
)
def test_half_a_command_is_ended(hasty: Archive, part: bytes) -> None:
    with hasty.associate(Proposed(VERIFICATION)) as scu:
        scu.says(part)

        assert ends_in_time(scu) is not None


def begun_store(archive: Archive) -> RawScu:
    scu = archive.associate(Proposed(SECONDARY_CAPTURE, (EXPLICIT,)))
    scu.announce_store(SECONDARY_CAPTURE, instance().SOPInstanceUID)
    return scu


def test_a_data_set_that_never_comes_is_ended(hasty: Archive) -> None:
    with begun_store(hasty) as scu:
        assert ends_in_time(scu) is not None


def test_a_data_set_that_stops_in_the_middle_is_ended(hasty: Archive) -> None:
    with begun_store(hasty) as scu:
        scu.says(pdu(0x04, pdv(1, DATA, encoded(instance())[:4000])))

        assert ends_in_time(scu) is not None


def test_a_data_set_that_dribbles_is_ended(hasty: Archive) -> None:
    content, stop = encoded(instance()), threading.Event()
    with begun_store(hasty) as scu:

        def dribble() -> None:
            for at in range(len(content)):
                try:
                    scu.says(pdu(0x04, pdv(1, DATA, content[at : at + 1])))
                except OSError:
                    return
                if stop.wait(0.1):
                    return

        thread = threading.Thread(target=dribble)
        thread.start()
        ends_in_time(scu)
        stop.set()
        thread.join()


def test_a_network_that_is_cut_in_the_middle_of_a_storescu(hasty: Archive, dcmtk: Dcmtk, files_of) -> None:
    (file,) = files_of(instance(side_pixels=1024))
    with proxy_to(hasty.port) as proxy:
        proxy.cut_after(1_000_000)
        ran = dcmtk.store(proxy.port, file, called=hasty.title.name)

    assert "Received Store Response" not in ran.output, ran  # its exit code is 0 at times


# A peer that does not take what it asked for. The archive holds something here, so not `hasty`.


@pytest.fixture
def holding(hasty_archive: Archive) -> Archive:
    """The same archive; `hold` gives it something without haste."""
    hasty_archive.title = hasty_archive.add_title()
    return hasty_archive


def hold(archive: Archive, data_set: FileDataset) -> None:
    """Store through another title of the area, which leaves the time that a busy machine takes."""
    patient = archive.add_title(area=archive.title.area, dimse_timeout_seconds=60)
    archive.store(data_set, title=patient)


def test_a_peer_that_reads_no_answers_is_ended(holding: Archive) -> None:
    archive = holding
    hold(archive, instance())
    archive.multiply(archive.title.area, 2000)
    series = {"StudyInstanceUID": instance().StudyInstanceUID, "SeriesInstanceUID": instance().SeriesInstanceUID}
    keys = dict.fromkeys(("SOPInstanceUID", "PatientName", "StudyDescription", "InstanceNumber", "SOPClassUID"))
    with ExitStack() as stack:
        for _ in range(3):
            scu = stack.enter_context(archive.associate(Proposed(STUDY_ROOT_FIND), receive_buffer_bytes=4096))
            scu.ask(STUDY_ROOT_FIND, 0x20, identifier(QueryRetrieveLevel="IMAGE", **series, **keys))
        hold(archive, instance(study=2))  # nobody waits for them
    assert archive.becomes_true(lambda: archive.associations() == 0)
    archive.echo()


def test_a_peer_that_reads_no_data_set_of_a_get_is_ended(holding: Archive) -> None:
    archive = holding
    data_set = instance(side_pixels=16)
    data_set.PixelData = bytes(30_000_000)
    hold(archive, data_set)
    with archive.associate(
        Proposed(STUDY_ROOT_GET),
        Proposed(SECONDARY_CAPTURE),
        roles={SECONDARY_CAPTURE: (0, 1)},
        receive_buffer_bytes=4096,
    ) as scu:
        keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=data_set.StudyInstanceUID)
        scu.ask(STUDY_ROOT_GET, 0x10, keys)

        assert archive.becomes_true(lambda: archive.associations() == 0)
    archive.echo()


def test_a_peer_that_answers_no_sub_operation_is_ended(holding: Archive) -> None:
    archive = holding
    hold(archive, instance())
    with archive.associate(
        Proposed(STUDY_ROOT_GET), Proposed(SECONDARY_CAPTURE), roles={SECONDARY_CAPTURE: (0, 1)}
    ) as scu:
        scu.ask(
            STUDY_ROOT_GET, 0x10, identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=instance().StudyInstanceUID)
        )
        assert scu.receive().text(0x1000) == instance().SOPInstanceUID

        assert ends_in_time(scu) is not None
    archive.echo()


def test_many_hostile_peers_at_once_block_nobody(hasty: Archive) -> None:
    def quick(scu: RawScu) -> None:
        scu.says(b"\1")

    acts: list[Callable[[RawScu], object]] = [quick, lambda scu: None, lambda scu: scu.says(b"\1\0\0\0\1\0")]
    with ExitStack() as stack:
        for number in range(60):
            acts[number % 3](stack.enter_context(RawScu(hasty.port)))
        hasty.echo()
        assert hasty.becomes_true(lambda: hasty.associations() == 0)
