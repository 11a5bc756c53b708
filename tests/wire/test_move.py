"""C-MOVE by movescu, pynetdicom and raw requests, to real and to broken destinations."""

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.presentation import AllStoragePresentationContexts

from scripts.background import free_port
from tests.fix_dcmtk import Dcmtk, ExitCode, Receiver
from tests.fix_instances import BUNDLED_FOLDER, ct, data_set_bytes, encoded, instance
from tests.wire import receivers
from tests.wire.raw_messages import EXPLICIT, IMPLICIT, MOVE_RQ, PATIENT_ROOT_MOVE, STUDY_ROOT_MOVE, Message, Proposed
from tests.wire.receivers import pynetdicom_scp, raw_acceptor
from tests.wire.running import Archive, identifier
from tests.wire.same_content import same_content

STUDY = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": instance().StudyInstanceUID}


def move(
    archive: Archive, destination: str, *, model: str = STUDY_ROOT_MOVE, priority: int = 0, **keys: Any
) -> list[Message]:
    """One C-MOVE; all its responses."""
    with archive.associate(Proposed(model)) as scu:
        responses = scu.move(model, identifier(**(keys or STUDY)), destination, priority=priority)
        scu.release()
    return responses


def test_movescu_sends_a_study_to_storescp_byte_for_byte(archive: Archive, dcmtk: Dcmtk, storescp: Receiver) -> None:
    data_sets = [ct(number=number, side_pixels=64) for number in range(5)]
    archive.store(*data_sets)
    peer = archive.add_peer(storescp.port)

    keys = [f"{keyword}={value}" for keyword, value in STUDY.items()]
    ran = dcmtk.move(archive.port, peer, *keys, called=archive.title.name)

    assert ran.is_ok, ran
    assert {data_set_bytes(path) for path in storescp.files()} == set(map(encoded, data_sets))


def test_movescu_tells_that_a_destination_is_unknown(archive: Archive, dcmtk: Dcmtk) -> None:
    archive.store(instance())

    keys = [f"{keyword}={value}" for keyword, value in STUDY.items()]
    ran = dcmtk.move(archive.port, "NOBODY", *keys, called=archive.title.name)

    assert ran.code == ExitCode.CMOVE_ERROR
    assert "MoveDestinationUnknown" in ran.output, ran


def test_unknown_destination_has_no_counts_and_no_list(archive: Archive) -> None:
    archive.store(instance())

    (response,) = move(archive, "NOBODY")

    assert response.status == 0xA801
    assert response.counters == (None, 0, 0, 0)
    assert response.data_set is None


def test_counters_of_every_response_and_what_the_destination_is_told(archive: Archive) -> None:
    archive.store(*(instance(number=number) for number in range(3)))
    with pynetdicom_scp() as destination:
        peer = archive.add_peer(destination.port)

        responses = move(archive, peer, priority=1)

    assert [each.status for each in responses] == [0xFF00, 0xFF00, 0xFF00, 0x0000]
    assert [each.counters for each in responses] == [(2, 1, 0, 0), (1, 2, 0, 0), (0, 3, 0, 0), (None, 3, 0, 0)]
    assert destination.data_sets == {
        instance(number=number).SOPInstanceUID: encoded(instance(number=number)) for number in range(3)
    }
    for received in destination.received:
        assert received.priority == 1
        assert received.originator_title == "RAWSCU"
        assert received.originator_message_id == 1
        assert received.calling_title == archive.title.name
    assert destination.associations == 1


def test_nothing_that_matches_is_success_whatever_the_destination(archive: Archive) -> None:
    (response,) = move(archive, "NOBODY", QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.3")

    assert response.status == 0
    assert response.counters == (None, 0, 0, 0)


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param({"QueryRetrieveLevel": "STUDY"}, id="no key at all"),
        pytest.param({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": None}, id="empty key"),
        pytest.param({"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": "1.2"}, id="no keys above"),
    ],
)
def test_a_missing_unique_key_moves_nothing(archive: Archive, keys: dict[str, Any]) -> None:
    archive.store(instance())
    with pynetdicom_scp() as destination:
        peer = archive.add_peer(destination.port)

        (response,) = move(archive, peer, **keys)

    assert response.status == 0xA900
    assert response.comment
    assert destination.received == []


@pytest.mark.parametrize("level", ["PATIENT", "STUDY", "SERIES", "IMAGE"])
def test_every_level_moves_what_lies_below(archive: Archive, level: str) -> None:
    first = instance(study=1)
    archive.store(first, instance(number=2), instance(series=2), instance(study=2), instance(patient=2))
    keys = {
        "PatientID": first.PatientID,
        "StudyInstanceUID": first.StudyInstanceUID,
        "SeriesInstanceUID": first.SeriesInstanceUID,
        "SOPInstanceUID": first.SOPInstanceUID,
    }
    depth = ["PATIENT", "STUDY", "SERIES", "IMAGE"].index(level) + 1
    with pynetdicom_scp() as destination:
        peer = archive.add_peer(destination.port)

        responses = move(
            archive, peer, model=PATIENT_ROOT_MOVE, QueryRetrieveLevel=level, **dict(list(keys.items())[:depth])
        )

    assert responses[-1].status == 0
    assert len(destination.received) == {"PATIENT": 4, "STUDY": 3, "SERIES": 2, "IMAGE": 1}[level]


def test_several_studies_by_a_list_of_uids(archive: Archive) -> None:
    archive.store(*(instance(study=study) for study in (1, 2, 3)))
    wanted = [instance(study=study).StudyInstanceUID for study in (1, 3)]
    with pynetdicom_scp() as destination:
        peer = archive.add_peer(destination.port)

        responses = move(archive, peer, QueryRetrieveLevel="STUDY", StudyInstanceUID=wanted)

    assert responses[-1].counters == (None, 2, 0, 0)
    assert set(destination.data_sets) == {instance(study=study).SOPInstanceUID for study in (1, 3)}


def test_a_move_into_the_area_it_comes_from_works(archive: Archive) -> None:
    data_sets = [instance(number=number) for number in range(5)]
    archive.store(*data_sets)
    ourselves = archive.add_peer(archive.port, title=archive.title.name)

    responses = move(archive, ourselves)

    assert responses[-1].status == 0
    assert responses[-1].counters == (None, 5, 0, 0)
    assert archive.fetch(data_sets[0].StudyInstanceUID) == {each.SOPInstanceUID: encoded(each) for each in data_sets}
    assert archive.counters(archive.title.area)[:3] == (1, 1, 5)


def test_a_move_from_one_area_to_another_works(archive: Archive) -> None:
    archive.store(instance())
    other = archive.add_title()
    archive.add_peer(archive.port, title=other.name)

    responses = move(archive, other.name)

    assert responses[-1].status == 0
    assert archive.fetch(instance().StudyInstanceUID, title=other) == {instance().SOPInstanceUID: encoded(instance())}


# More kinds than an association has contexts.


def test_more_kinds_than_an_association_has_contexts_are_split(archive: Archive) -> None:
    sop_classes = [str(context.abstract_syntax) for context in AllStoragePresentationContexts[:90]]
    data_sets = [
        instance(number=number, side_pixels=0, SOPClassUID=sop_class) for number, sop_class in enumerate(sop_classes)
    ]
    archive.set_area(archive.title.area, durability="relaxed")
    for first in range(0, 90, 45):
        archive.store(*data_sets[first : first + 45])
    with pynetdicom_scp() as destination:
        peer = archive.add_peer(destination.port)

        responses = move(archive, peer)

    assert responses[-1].status == 0
    assert responses[-1].counters == (None, 90, 0, 0)
    assert destination.data_sets == {each.SOPInstanceUID: encoded(each) for each in data_sets}
    assert destination.associations == 2


# Transfer syntaxes.


@pytest.mark.parametrize("wanted", [IMPLICIT, EXPLICIT], ids=["implicit", "explicit"])
def test_what_the_destination_cannot_take_is_converted(archive: Archive, wanted: str) -> None:
    held = {IMPLICIT: ExplicitVRBigEndian, EXPLICIT: ImplicitVRLittleEndian}[wanted]
    data_set = instance(transfer_syntax=held)
    archive.store(data_set)
    with pynetdicom_scp(transfer_syntaxes=(wanted,)) as destination:
        peer = archive.add_peer(destination.port)

        responses = move(archive, peer)

    assert responses[-1].status == 0
    (received,) = destination.received
    assert received.transfer_syntax == wanted
    same_content(received.data_set, wanted, encoded(data_set), str(held))


def test_compressed_fails_alone_at_an_uncompressed_destination(archive: Archive, dcmtk: Dcmtk) -> None:
    compressed = BUNDLED_FOLDER / "MR_small_RLE.dcm"
    held = dcmread(compressed, stop_before_pixels=True)
    plain = instance(StudyInstanceUID=held.StudyInstanceUID, PatientID=held.PatientID)
    archive.store_file(compressed)
    archive.store(plain)
    with pynetdicom_scp() as destination:
        peer = archive.add_peer(destination.port)

        responses = move(archive, peer, QueryRetrieveLevel="STUDY", StudyInstanceUID=held.StudyInstanceUID)

    assert responses[-1].status == 0xB000
    assert responses[-1].counters == (None, 1, 1, 0)
    assert held.SOPInstanceUID.encode() in (responses[-1].data_set or b"")
    assert destination.data_sets == {plain.SOPInstanceUID: encoded(plain)}


def test_compressed_goes_to_storescp_as_it_was_received(archive: Archive, storescp: Receiver) -> None:
    path = BUNDLED_FOLDER / "MR_small_RLE.dcm"
    archive.store_file(path)
    peer = archive.add_peer(storescp.port)
    study = dcmread(path, stop_before_pixels=True).StudyInstanceUID

    responses = move(archive, peer, QueryRetrieveLevel="STUDY", StudyInstanceUID=study)

    assert responses[-1].status == 0
    assert [data_set_bytes(each) for each in storescp.files()] == [data_set_bytes(path)]


# Destinations that fail.


@pytest.mark.parametrize(
    "status, final, counters",
    [
        pytest.param(0xB007, 0xB000, (None, 0, 0, 3), id="warning"),
        pytest.param(0xA700, 0xA702, (None, 0, 3, 0), id="failure"),
    ],
)
def test_what_the_destination_answers_is_counted(
    archive: Archive, status: int, final: int, counters: tuple[int | None, ...]
) -> None:
    archive.store(*(instance(number=number) for number in range(3)))
    with pynetdicom_scp(answer=lambda event, before: status) as destination:
        peer = archive.add_peer(destination.port)

        responses = move(archive, peer)

    assert responses[-1].status == final
    assert responses[-1].counters == counters


def test_one_failure_among_successes_is_listed(archive: Archive) -> None:
    archive.store(*(instance(number=number) for number in range(3)))
    with pynetdicom_scp(answer=lambda event, before: 0xC000 if before == 1 else 0) as destination:
        peer = archive.add_peer(destination.port)

        responses = move(archive, peer)

    assert responses[-1].status == 0xB000
    assert responses[-1].counters == (None, 2, 1, 0)
    assert (responses[-1].data_set or b"").count(b"2.25.") == 1


def _all_fail(archive: Archive, peer: str, count: int) -> None:
    responses = move(archive, peer)

    assert responses[-1].status == 0xA702
    assert responses[-1].counters == (None, 0, count, 0)
    assert (responses[-1].data_set or b"").count(b"2.25.") == count


def test_closed_port_fails_all(archive: Archive) -> None:
    archive.store(*(instance(number=number) for number in range(3)))

    _all_fail(archive, archive.add_peer(free_port()), 3)


@pytest.mark.parametrize("serve", [receivers.rejects, receivers.closes_at_once], ids=["rejects", "closes"])
def test_destination_that_refuses_fails_all(archive: Archive, serve: Callable[[socket.socket], None]) -> None:
    archive.store(*(instance(number=number) for number in range(3)))

    with raw_acceptor(serve) as port:
        _all_fail(archive, archive.add_peer(port), 3)


def test_destination_without_a_common_context_fails_all(archive: Archive) -> None:
    archive.store(instance())

    with pynetdicom_scp(transfer_syntaxes=("1.2.840.10008.1.2.5",)) as destination:
        _all_fail(archive, archive.add_peer(destination.port), 1)


def test_a_destination_that_aborts_at_one_instance_gets_the_others(archive: Archive) -> None:
    def answer(event: evt.Event, before: int) -> int:
        if before == 2:
            event.assoc.abort()
        return 0

    archive.store(*(instance(number=number) for number in range(6)))
    with pynetdicom_scp(answer=answer) as destination:
        peer = archive.add_peer(destination.port)

        responses = move(archive, peer)

    assert responses[-1].status == 0xB000
    assert responses[-1].counters == (None, 5, 1, 0)
    assert (responses[-1].data_set or b"").count(b"2.25.") == 1


def test_destination_that_dies_in_the_middle_fails_the_rest(archive: Archive) -> None:
    def answer(event: evt.Event, before: int) -> int:
        if before >= 2:
            event.assoc.abort()
        return 0

    archive.store(*(instance(number=number) for number in range(6)))
    with pynetdicom_scp(answer=answer) as destination:
        peer = archive.add_peer(destination.port)

        responses = move(archive, peer)

    assert responses[-1].status == 0xB000
    assert responses[-1].counters == (None, 2, 4, 0)
    assert (responses[-1].data_set or b"").count(b"2.25.") == 4


def test_destination_that_stalls_fails_within_its_deadline(start_own_archive: Callable[..., Archive]) -> None:
    """One that never answers the association request, then one that never answers a store."""
    archive = start_own_archive("--acse-timeout", "1", "--response-timeout", "1")
    archive.store(*(instance(number=number) for number in range(3)))
    never = threading.Event()

    def stall(event: evt.Event, before: int) -> int:
        if before == 1:
            never.wait(60)
        return 0

    with raw_acceptor(receivers.says_nothing) as port:
        _all_fail(archive, archive.add_peer(port), 3)

    with pynetdicom_scp(answer=stall) as destination:
        responses = move(archive, archive.add_peer(destination.port))
        never.set()
    assert responses[-1].status == 0xB000
    assert responses[-1].counters == (None, 1, 2, 0)
    archive.echo()


def test_a_file_that_is_gone_fails_alone(archive: Archive) -> None:
    archive.store(instance(number=1))
    (gone,) = archive.files(archive.title.area)
    archive.store(instance(number=2))
    gone.unlink()
    with pynetdicom_scp() as destination:
        peer = archive.add_peer(destination.port)

        responses = move(archive, peer)

    assert responses[-1].status == 0xB000
    assert responses[-1].counters == (None, 1, 1, 0)
    assert set(destination.data_sets) == {instance(number=2).SOPInstanceUID}


# Cancel, and requestors that go.


def test_a_cancel_ends_it_with_what_remains(archive: Archive) -> None:
    archive.store(*(instance(number=number) for number in range(10)))
    is_cancelled = threading.Event()

    def answer(event: evt.Event, before: int) -> int:
        if before == 1:
            is_cancelled.wait(60)
        return 0

    with pynetdicom_scp(answer=answer) as destination:
        peer = archive.add_peer(destination.port)
        with archive.associate(Proposed(STUDY_ROOT_MOVE)) as asking:
            message_id = asking.ask(STUDY_ROOT_MOVE, MOVE_RQ, identifier(**STUDY), destination=peer)
            assert asking.receive().status == 0xFF00
            asking.cancel(STUDY_ROOT_MOVE, message_id)
            is_cancelled.set()
            final = list(asking.responses())[-1]
            asking.release()

    assert final.status == 0xFE00
    remaining, completed, failed, warning = final.counters
    assert (remaining, failed, warning) == (10 - len(destination.received), 0, 0)
    assert completed == len(destination.received)
    assert len(destination.received) in (1, 2)  # the cancel may be seen before the second is on its way


def test_a_cancel_tells_what_has_failed_and_what_remains(archive: Archive) -> None:
    archive.store(*(instance(number=number) for number in range(10)))
    goes_on = threading.Event()

    def answer(event: evt.Event, before: int) -> int:
        if before == 2:
            goes_on.wait(60)
        return 0xA700 if before == 0 else 0xB000 if before == 1 else 0

    with pynetdicom_scp(answer=answer) as destination:
        peer = archive.add_peer(destination.port)
        with archive.associate(Proposed(STUDY_ROOT_MOVE)) as scu:
            message_id = scu.ask(STUDY_ROOT_MOVE, MOVE_RQ, identifier(**STUDY), destination=peer)
            assert [scu.receive().status for _ in range(2)] == [0xFF00, 0xFF00]
            scu.cancel(STUDY_ROOT_MOVE, message_id)  # while the third is being stored
            goes_on.set()
            final = list(scu.responses())[-1]
            scu.release()

    assert final.status == 0xFE00
    remaining, completed, failed, warning = final.counters
    assert (remaining, completed) == (10 - len(destination.received), len(destination.received) - 2)
    assert (failed, warning) == (1, 1)
    assert destination.received[0].sop_instance_uid.encode() in (final.data_set or b"")


def test_a_requestor_that_vanishes_ends_the_move(archive: Archive) -> None:
    archive.store(*(instance(number=number) for number in range(10)))
    waiting, gone = threading.Event(), threading.Event()

    def answer(event: evt.Event, before: int) -> int:
        if before == 1:
            waiting.set()
            gone.wait(60)
        return 0

    with pynetdicom_scp(answer=answer) as destination:
        peer = archive.add_peer(destination.port)
        with archive.associate(Proposed(STUDY_ROOT_MOVE)) as scu:
            scu.ask(STUDY_ROOT_MOVE, MOVE_RQ, identifier(**STUDY), destination=peer)
            assert waiting.wait(60)
            scu.abort()
            gone.set()
        archive.echo()

    assert len(destination.received) < 10
