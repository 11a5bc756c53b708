"""What a title has of its own instead of the service's: PDU sizes and deadlines; and the most that a retrieve takes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fix_dcmtk import Dcmtk, ExitCode, Receiver
from tests.fix_instances import instance
from tests.wire.raw_messages import (
    DATA,
    LAST_COMMAND,
    SECONDARY_CAPTURE,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
    Proposed,
    pdu,
    pdv,
)
from tests.wire.running import Archive, identifier

STUDY = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": instance().StudyInstanceUID}
KEYS = [f"{keyword}={value}" for keyword, value in STUDY.items()]


def test_a_title_announces_its_own_maximum_length_and_holds_peers_to_it(archive: Archive, dcmtk: Dcmtk) -> None:
    archive.set_title(archive.title, max_pdu_bytes=8192)

    with archive.associate(Proposed(VERIFICATION), Proposed(SECONDARY_CAPTURE)) as scu:
        assert scu.peer_max_pdu_bytes == 8192
        context = scu.announce_store(SECONDARY_CAPTURE, "1.2.3").context_id
        scu.says(pdu(0x04, pdv(context, DATA, bytes(16384))))
        assert scu.hears_end() == (2, 6)

    assert dcmtk.echo(archive.port, called=archive.title.name).is_ok


def test_storescu_keeps_to_the_maximum_length_of_a_title(
    archive: Archive, dcmtk: Dcmtk, files_of: Callable[..., list[Path]]
) -> None:
    archive.set_title(archive.title, max_pdu_bytes=4096)

    ran = dcmtk.store(archive.port, *files_of(instance(side_pixels=128)), called=archive.title.name)

    assert ran.is_ok, ran
    assert archive.rows(archive.title.area) == 1


def test_a_title_has_its_own_time_between_commands(archive: Archive) -> None:
    """The service waits 60 seconds, the title one."""
    archive.set_title(archive.title, idle_timeout_seconds=1)

    with archive.associate(Proposed(VERIFICATION)) as scu:
        assert scu.echo() == 0
        assert scu.hears_end() == (2, 0)


def test_a_title_has_its_own_time_within_a_message(archive: Archive) -> None:
    archive.set_title(archive.title, dimse_timeout_seconds=1)

    with archive.associate(Proposed(SECONDARY_CAPTURE)) as scu:
        context = scu.announce_store(SECONDARY_CAPTURE, "1.2.3").context_id
        scu.says(pdu(0x04, pdv(context, DATA, b"\x08\0")))
        assert scu.hears_end() == (2, 0)

    with archive.associate(Proposed(VERIFICATION)) as scu:
        scu.says(pdu(0x04, pdv(1, LAST_COMMAND & 1, b"\0\0")))
        assert scu.hears_end() == (2, 0)


@pytest.fixture
def limited(archive: Archive) -> Archive:
    """Three instances in an area that hands out two at a time."""
    archive.store(*(instance(number=number) for number in range(3)))
    archive.set_area(archive.title.area, retrieve_limit=2)
    return archive


def test_a_retrieve_of_more_than_the_limit_is_refused_before_anything_is_sent(
    limited: Archive, dcmtk: Dcmtk, storescp: Receiver
) -> None:
    peer = limited.add_peer(storescp.port)

    ran = dcmtk.move(limited.port, peer, *KEYS, called=limited.title.name)

    assert ran.code == ExitCode.CMOVE_ERROR, ran
    assert storescp.files() == []
    with limited.associate(Proposed(STUDY_ROOT_MOVE), Proposed(STUDY_ROOT_GET)) as scu:
        (moved,) = scu.move(STUDY_ROOT_MOVE, identifier(**STUDY), peer)
        got = scu.get(STUDY_ROOT_GET, identifier(**STUDY))
        scu.release()
    for response in (moved, got.final):
        assert (response.status, response.counters) == (0xA701, (None, 0, 0, 0))
        assert response.comment == "More than 2 instances; ask for less"
    assert got.data_sets == {}


def test_a_retrieve_of_as_many_as_the_limit_is_served(limited: Archive, dcmtk: Dcmtk) -> None:
    limited.set_area(limited.title.area, retrieve_limit=3)

    ran, files = dcmtk.get(limited.port, *KEYS, called=limited.title.name)

    assert len(files) == 3, ran
