"""An association that ends in the middle of something leaves nothing behind, and the archive goes on."""

import socket
import threading
from collections.abc import Callable

import pytest

from tests.fix_dcmtk import Dcmtk
from tests.fix_instances import encoded, instance
from tests.fix_proxy import proxy_to
from tests.wire.raw_messages import (
    COMMAND,
    DATA,
    EXPLICIT,
    FIND_RQ,
    LAST_COMMAND,
    LAST_DATA,
    MOVE_RQ,
    SECONDARY_CAPTURE,
    STUDY_ROOT_FIND,
    STUDY_ROOT_MOVE,
    VERIFICATION,
    Ended,
    Proposed,
    associate_rq,
    command_set,
    pdu,
    pdv,
)
from tests.wire.raw_scu import RawScu
from tests.wire.receivers import pynetdicom_scp, raw_acceptor
from tests.wire.running import Archive, identifier

RELEASE_RQ, RELEASE_RP = pdu(0x05, bytes(4)), pdu(0x06, bytes(4))
USER, PROVIDER = 0, 2  # source of an A-ABORT
ECHO = {0x0002: VERIFICATION, 0x0100: 0x0030, 0x0110: 1, 0x0800: 0x0101}


def nothing_is_left(archive: Archive) -> None:
    """Neither a file nor a row, once the archive has seen the end; and it serves others."""
    archive.echo()
    assert archive.becomes_true(lambda: archive.files(archive.title.area) == [])
    assert archive.rows(archive.title.area) == 0
    assert archive.counters(archive.title.area) == (0, 0, 0, 0)


def begun_store(archive: Archive) -> RawScu:
    """An association in the middle of a data set."""
    scu = archive.associate(Proposed(SECONDARY_CAPTURE, (EXPLICIT,)))
    context = scu.announce_store(SECONDARY_CAPTURE, instance().SOPInstanceUID)
    for _ in range(5):
        scu.says(pdu(0x04, pdv(context.context_id, DATA, encoded(instance())[:4000])))
    return scu


def aborts(scu: RawScu) -> None:
    scu.abort()


def vanishes(scu: RawScu) -> None:
    scu.socket.close()


def resets(scu: RawScu) -> None:
    scu.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    scu.socket.close()


def releases(scu: RawScu) -> None:
    scu.says(RELEASE_RQ)
    scu.hears_end()


def sends_garbage(scu: RawScu) -> None:
    scu.says(b"\xff" * 20)
    assert scu.hears_end() is not None


def sends_another_command(scu: RawScu) -> None:
    scu.says(pdu(0x04, pdv(1, LAST_COMMAND, command_set(ECHO))))
    assert scu.hears_end() is not None


@pytest.mark.parametrize("end", [aborts, vanishes, resets, releases, sends_garbage, sends_another_command])
def test_an_end_in_the_middle_of_a_data_set_leaves_nothing(archive: Archive, end: Callable[[RawScu], None]) -> None:
    with begun_store(archive) as scu:
        end(scu)

    nothing_is_left(archive)


def test_a_cut_connection_in_the_middle_of_a_storescu_leaves_nothing(
    archive: Archive, dcmtk: Dcmtk, files_of: Callable[..., list]
) -> None:
    (file,) = files_of(instance(side_pixels=512))
    with proxy_to(archive.port) as proxy:
        proxy.cut_after(200_000)

        ran = dcmtk.store(proxy.port, file, called=archive.title.name)

    assert "Received Store Response" not in ran.output, ran  # its exit code is 0 at times
    nothing_is_left(archive)


def test_what_was_answered_before_an_abort_is_kept(archive: Archive) -> None:
    with archive.associate(Proposed(SECONDARY_CAPTURE, (EXPLICIT,))) as scu:
        assert scu.store(SECONDARY_CAPTURE, instance().SOPInstanceUID, encoded(instance())).status == 0
        scu.announce_store(SECONDARY_CAPTURE, instance(number=2).SOPInstanceUID)
        scu.says(pdu(0x04, pdv(1, DATA, b"something")))
        scu.abort()

    assert archive.fetch(instance().StudyInstanceUID) == {instance().SOPInstanceUID: encoded(instance())}
    assert archive.becomes_true(lambda: len(archive.files(archive.title.area)) == 1)


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(pdu(0x04, pdv(1, LAST_COMMAND, command_set(ECHO))), id="P-DATA"),
        pytest.param(RELEASE_RQ, id="A-RELEASE-RQ"),
        pytest.param(RELEASE_RP, id="A-RELEASE-RP"),
        pytest.param(pdu(0x02, bytes(70)), id="A-ASSOCIATE-AC"),
        pytest.param(pdu(0x42, bytes(4)), id="an unknown type"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: archive\r\n\r\n", id="HTTP"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), id="TLS"),
        pytest.param(b"\xff" * 100, id="garbage"),
        pytest.param(b"\1\0\xff\xff\xff\xff" + bytes(100), id="a length of 4 GiB"),
        pytest.param(pdu(0x01, b""), id="an empty A-ASSOCIATE-RQ"),
        pytest.param(pdu(0x01, b"\0\1\0\0" + b"A" * 64), id="an A-ASSOCIATE-RQ without items"),
        pytest.param(pdu(0x01, associate_rq([Proposed(VERIFICATION)])[6:-9]), id="an item longer than the PDU"),
    ],
)
def test_a_wrong_beginning_is_told_and_ended(archive: Archive, first: bytes) -> None:
    with RawScu(archive.port) as scu:
        scu.says(first)

        try:
            pdu_type, _ = scu.hears()
        except Ended:
            pdu_type = 0

    assert pdu_type in (0, 0x03, 0x07)
    archive.echo()


def test_an_abort_as_first_word_ends_it(archive: Archive) -> None:
    with RawScu(archive.port) as scu:
        scu.says(pdu(0x07, bytes(4)))

        assert scu.hears_end() is None
    archive.echo()


@pytest.mark.parametrize(
    "content, reason",
    [
        pytest.param(associate_rq([Proposed(VERIFICATION)]), 2, id="a second A-ASSOCIATE-RQ"),
        pytest.param(RELEASE_RP, 2, id="A-RELEASE-RP without a request"),
        pytest.param(pdu(0x42, bytes(4)), 1, id="an unknown PDU type"),
        pytest.param(b"\4\0\x7f\xff\xff\xff", 6, id="a P-DATA-TF of 2 GiB"),
        pytest.param(pdu(0x04, b"\0\0\0\1\1"), 6, id="a PDV too short"),
        pytest.param(pdu(0x04, b"\0\0\xff\xff\1\3abc"), 6, id="a PDV longer than its PDU"),
        pytest.param(pdu(0x04, pdv(99, LAST_COMMAND, command_set(ECHO))), 6, id="an unknown context"),
        pytest.param(pdu(0x04, pdv(1, LAST_DATA, b"data")), None, id="a data set without a command"),
        pytest.param(pdu(0x04, pdv(1, LAST_COMMAND, b"\xff" * 64)), None, id="a command set of garbage"),
        pytest.param(pdu(0x04, pdv(1, COMMAND, bytes(60_000))) * 3, None, id="a command set without an end"),
        pytest.param(
            pdu(0x04, pdv(1, LAST_COMMAND, command_set({0x0100: 0x8030, 0x0120: 1, 0x0800: 0x0101, 0x0900: 0}))),
            None,
            id="a response that nobody waits for",
        ),
        pytest.param(
            pdu(0x04, pdv(1, LAST_COMMAND, command_set({0x0100: 0x30, 0x0800: 0x101}))), None, id="no message ID"
        ),
    ],
)
def test_a_breach_of_protocol_is_told_by_an_abort(archive: Archive, content: bytes, reason: int | None) -> None:
    with archive.associate(Proposed(VERIFICATION)) as scu:
        scu.says(content)

        abort = scu.hears_end()

    assert abort is not None
    assert abort[0] == PROVIDER
    assert reason in (None, abort[1])
    archive.echo()


def test_another_request_while_a_find_is_open_ends_the_association(archive: Archive) -> None:
    archive.store(instance())
    archive.multiply(archive.title.area, 300)
    series = {"StudyInstanceUID": instance().StudyInstanceUID, "SeriesInstanceUID": instance().SeriesInstanceUID}
    question = identifier(QueryRetrieveLevel="IMAGE", **series, SOPInstanceUID=None)
    with archive.associate(Proposed(STUDY_ROOT_FIND)) as scu:
        with scu.said_at_once():
            scu.ask(STUDY_ROOT_FIND, FIND_RQ, question)
            scu.ask(STUDY_ROOT_FIND, FIND_RQ, question)

        abort = scu.hears_end()

    assert abort == (PROVIDER, 0)
    archive.echo()


def test_another_request_while_a_move_is_open_ends_the_association(archive: Archive) -> None:
    archive.store(*(instance(number=number) for number in range(10)))
    study = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=instance().StudyInstanceUID)
    with pynetdicom_scp() as destination:
        peer = archive.add_peer(destination.port)
        with archive.associate(Proposed(STUDY_ROOT_MOVE), Proposed(VERIFICATION)) as scu:
            with scu.said_at_once():
                scu.ask(STUDY_ROOT_MOVE, MOVE_RQ, study, destination=peer)
                scu.send_command(scu.context(VERIFICATION).context_id, ECHO | {0x0110: 9})

            abort = scu.hears_end()

    assert abort == (PROVIDER, 0)
    assert len(destination.received) < 10
    archive.echo()


def test_a_cancel_of_nothing_is_passed_over(archive: Archive) -> None:
    with archive.associate(Proposed(STUDY_ROOT_FIND), Proposed(VERIFICATION)) as scu:
        scu.cancel(STUDY_ROOT_FIND, 77)

        assert scu.echo() == 0
        scu.release()


def test_a_find_whose_requestor_vanishes_ends(archive: Archive) -> None:
    archive.store(instance())
    archive.multiply(archive.title.area, 300)
    series = {"StudyInstanceUID": instance().StudyInstanceUID, "SeriesInstanceUID": instance().SeriesInstanceUID}
    threads = archive.threads()
    for _ in range(5):
        with archive.associate(Proposed(STUDY_ROOT_FIND), receive_buffer_bytes=4096) as scu:
            scu.ask(STUDY_ROOT_FIND, FIND_RQ, identifier(QueryRetrieveLevel="IMAGE", **series, SOPInstanceUID=None))
            scu.receive()

    assert archive.becomes_true(lambda: archive.threads() <= threads)
    archive.echo()


def test_a_release_beside_our_own_words_is_answered(archive: Archive) -> None:
    """The peer releases without waiting for the answer to its echo."""
    with archive.associate(Proposed(VERIFICATION)) as scu:
        scu.says(pdu(0x04, pdv(1, LAST_COMMAND, command_set(ECHO))), RELEASE_RQ)

        assert scu.receive().status == 0
        assert scu.hears() == (0x06, bytes(4))


def test_release_collision_with_a_move_destination_is_survived(archive: Archive) -> None:
    """A destination that asks for release at the moment we do (PS3.8 9.2, AR-8 to AR-10)."""
    collided = threading.Event()

    def serve(connection: socket.socket) -> None:
        peer = _Acceptor(connection)
        peer.agree()
        peer.answer_store()
        connection.sendall(RELEASE_RQ)
        assert peer.hears() == (0x05, bytes(4))
        assert peer.hears() == (0x06, bytes(4))  # the association's requestor answers first
        connection.sendall(RELEASE_RP)
        if connection.recv(1) == b"":
            collided.set()

    archive.store(instance())
    with raw_acceptor(serve) as port, archive.associate(Proposed(STUDY_ROOT_MOVE)) as scu:
        scu.release()
        peer = archive.add_peer(port)
        with archive.associate(Proposed(STUDY_ROOT_MOVE)) as asking:
            keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=instance().StudyInstanceUID)
            final = asking.move(STUDY_ROOT_MOVE, keys, peer)[-1]
            asking.release()

    assert final.status == 0
    assert collided.wait(60)


class _Acceptor(RawScu):
    """The accepting side of a connection, as far as one store needs it."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.largest_pdu_bytes = 0
        self._pdvs = []

    def agree(self) -> None:
        pdu_type, body = self.hears()
        assert pdu_type == 0x01
        contexts = []
        at = 68
        while at < len(body):
            length = int.from_bytes(body[at + 2 : at + 4], "big")
            if body[at] == 0x20:
                contexts.append(body[at + 4])
            at += 4 + length
        syntax = b"\x40\0\0\x13" + EXPLICIT.encode()
        items = b"\x10\0\0\x15" + b"1.2.840.10008.3.1.1.1"
        items += b"".join(b"\x21\0\0\x1b" + bytes((each, 0, 0, 0)) + syntax for each in contexts)
        items += b"\x50\0\0\x0d\x51\0\0\4\0\0\x40\0\x52\0\0\x011"
        self.says(pdu(0x02, body[:68] + items))

    def answer_store(self) -> None:
        request = self.receive()
        answer = {0x0100: 0x8001, 0x0120: request.number(0x0110) or 0, 0x0800: 0x0101, 0x0900: 0}
        self.send_command(request.context_id, answer)
