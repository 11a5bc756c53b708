"""Messages as dialogues: data sets over many PDUs, answers, cancels, sub-operations, and broken rules."""

import logging
import threading
import time
from collections.abc import Iterator

import pytest

from archive.dimse import command_set, status
from archive.dimse.commands import (
    CCancelRequest,
    CEchoRequest,
    CFindRequest,
    CFindResponse,
    CGetRequest,
    CGetResponse,
    Command,
    CStoreRequest,
    Response,
    UnrecognizedRequest,
)
from archive.dimse.exchange import Exchange, Message
from archive.errors import (
    ConnectionLost,
    DeadlineExpired,
    DiskFailed,
    IdentifierTooLarge,
    MalformedCommand,
    PeerAborted,
    UnexpectedCommand,
)
from archive.upper_layer.connection import Deadline
from archive.upper_layer.states import Pdu, State
from tests.fix_association import (
    ABORT,
    COMMAND,
    CT_IMAGE_STORAGE,
    DATA,
    LAST_COMMAND,
    LAST_DATA,
    PATIENT,
    RELEASE_RP,
    RELEASE_RQ,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    VERIFICATION,
    WAIT_SECONDS,
    ScriptedPeer,
    agree,
    established,
    hasty,
    in_background,
    p_data,
    scripted_acceptor,
    scripted_requestor,
)

ECHO = CEchoRequest(message_id=1, affected_sop_class_uid=VERIFICATION)
STORE = CStoreRequest(message_id=2, affected_sop_class_uid=CT_IMAGE_STORAGE, affected_sop_instance_uid="1.2.3")
FIND = CFindRequest(message_id=3, affected_sop_class_uid=STUDY_ROOT_FIND)
GET = CGetRequest(message_id=4, affected_sop_class_uid=STUDY_ROOT_GET)
ON_ECHO, ON_STORE, ON_FIND, ON_GET = 1, 3, 5, 7  # context IDs


def says(command: Command, *, has_data_set: bool = False) -> bytes:
    return command_set.encode(command, has_data_set=has_data_set)


def hears(peer: ScriptedPeer) -> Command:
    """The command that must come now, in one PDU."""
    pdu_type, body = peer.hears()
    assert pdu_type == Pdu.P_DATA_TF
    return command_set.decode(body[6 : 4 + int.from_bytes(body[:4], "big")]).command


@pytest.fixture
def dialogue() -> Iterator[tuple[ScriptedPeer, Exchange]]:
    """A scripted requestor and our exchange with it, as its SCP."""
    with scripted_requestor() as (peer, accepting):
        peer.associates()
        yield peer, Exchange(accepting.result(WAIT_SECONDS))


def received(exchange: Exchange) -> Message:
    message = exchange.receive()
    assert message is not None
    return message


def test_request_and_response(dialogue: tuple[ScriptedPeer, Exchange]) -> None:
    peer, exchange = dialogue
    peer.says(p_data((ON_ECHO, LAST_COMMAND, says(ECHO))))

    message = received(exchange)
    exchange.respond(ECHO.answer(status.SUCCESS))

    assert (message.command, message.has_data_set) == (ECHO, False)
    assert exchange.context.abstract_syntax == VERIFICATION
    assert hears(peer) == ECHO.answer(status.SUCCESS)


@pytest.mark.parametrize("level, shown", [(logging.DEBUG, ["INCOMING", "OUTGOING"]), (logging.INFO, [])])
def test_messages_are_shown_at_debug_level_only(level: int, shown: list[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(level)
    with scripted_requestor() as (peer, accepting):
        peer.associates()
        exchange = Exchange(accepting.result(WAIT_SECONDS))
        peer.says(p_data((ON_ECHO, LAST_COMMAND, says(ECHO))))
        received(exchange)
        exchange.respond(ECHO.answer(status.SUCCESS))

    assert [record.message.strip("=").split()[0] for record in caplog.records] == shown


def test_command_and_data_set_in_one_pdu(dialogue: tuple[ScriptedPeer, Exchange]) -> None:
    peer, exchange = dialogue
    peer.says(p_data((ON_STORE, LAST_COMMAND, says(STORE, has_data_set=True)), (ON_STORE, LAST_DATA, b"pixels")))

    message = received(exchange)

    assert message.has_data_set
    assert exchange.read_data_set(100) == b"pixels"


def test_command_and_data_set_over_many_pdus_and_the_next_command_behind(
    dialogue: tuple[ScriptedPeer, Exchange],
) -> None:
    peer, exchange = dialogue
    command = says(STORE, has_data_set=True)
    pieces = [p_data((ON_STORE, COMMAND, bytes((byte,)))) for byte in command[:-1]]
    data = [p_data((ON_STORE, DATA, bytes((byte,)))) for byte in b"pixels"]
    peer.says(*pieces, p_data((ON_STORE, LAST_COMMAND, command[-1:])), *data)
    peer.says(p_data((ON_STORE, LAST_DATA, b""), (ON_ECHO, LAST_COMMAND, says(ECHO))))

    assert received(exchange).command == STORE
    assert b"".join(bytes(fragment) for fragment in exchange.data_set()) == b"pixels"
    assert received(exchange).command == ECHO


def test_data_set_that_nobody_reads_is_skipped(dialogue: tuple[ScriptedPeer, Exchange]) -> None:
    peer, exchange = dialogue
    for number in (2, 3):
        store = CStoreRequest(message_id=number, affected_sop_class_uid="1.2", affected_sop_instance_uid="1.3")
        peer.says(p_data((ON_STORE, LAST_COMMAND, says(store, has_data_set=True))))
        peer.says(p_data((ON_STORE, DATA, bytes(5000))), p_data((ON_STORE, LAST_DATA, bytes(5000))))

    first = received(exchange)
    next(exchange.data_set())
    second = received(exchange)

    assert [message.command.message_id for message in (first, second)] == [2, 3]  # type: ignore[union-attr]


def test_response_waits_for_the_end_of_the_request(dialogue: tuple[ScriptedPeer, Exchange]) -> None:
    peer, exchange = dialogue
    peer.says(p_data((ON_STORE, LAST_COMMAND, says(STORE, has_data_set=True))))
    received(exchange)
    responding = in_background(exchange.respond, STORE.answer(status.STORE_OUT_OF_RESOURCES))

    peer.says(p_data((ON_STORE, DATA, bytes(5000))), p_data((ON_STORE, LAST_DATA, b"")))

    assert hears(peer) == STORE.answer(status.STORE_OUT_OF_RESOURCES)
    responding.result(WAIT_SECONDS)


def test_identifier_over_its_limit_is_read_past_but_not_kept(dialogue: tuple[ScriptedPeer, Exchange]) -> None:
    peer, exchange = dialogue
    peer.says(p_data((ON_FIND, LAST_COMMAND, says(FIND, has_data_set=True))))
    peer.says(p_data((ON_FIND, DATA, bytes(5000))), p_data((ON_FIND, LAST_DATA, bytes(5000))))
    peer.says(p_data((ON_ECHO, LAST_COMMAND, says(ECHO))))
    received(exchange)

    with pytest.raises(IdentifierTooLarge):
        exchange.read_data_set(4999)

    assert received(exchange).command == ECHO


def test_release_between_messages_is_none(dialogue: tuple[ScriptedPeer, Exchange]) -> None:
    peer, exchange = dialogue
    peer.says(RELEASE_RQ)
    receiving = in_background(exchange.receive)

    assert peer.hears() == (Pdu.RELEASE_RP, bytes(4))
    peer.leaves()
    assert receiving.result(WAIT_SECONDS) is None


@pytest.mark.parametrize(
    "farewell, error",
    [(RELEASE_RQ, ConnectionLost), (ABORT, PeerAborted), (b"", ConnectionLost)],
    ids=["release", "abort", "end"],
)
def test_end_inside_a_message_is_an_error(
    dialogue: tuple[ScriptedPeer, Exchange], farewell: bytes, error: type[Exception]
) -> None:
    peer, exchange = dialogue
    peer.says(p_data((ON_STORE, LAST_COMMAND, says(STORE, has_data_set=True))), p_data((ON_STORE, DATA, b"half")))
    received(exchange)
    peer.says(farewell)
    peer.leaves()

    with pytest.raises(error):
        exchange.read_data_set(100)


@pytest.mark.parametrize(
    "speech, error",
    [
        pytest.param(p_data((ON_ECHO, LAST_DATA, b"data")), UnexpectedCommand, id="data set without a command"),
        pytest.param(p_data((ON_ECHO, LAST_COMMAND, b"noise")), MalformedCommand, id="noise"),
        pytest.param(
            p_data((ON_ECHO, COMMAND, says(ECHO)[:9]), (ON_FIND, LAST_COMMAND, b"")),
            UnexpectedCommand,
            id="two contexts",
        ),
        pytest.param(
            p_data((ON_ECHO, COMMAND, says(ECHO)[:9]), (ON_ECHO, LAST_DATA, b"")),
            UnexpectedCommand,
            id="data in a command",
        ),
        pytest.param(
            p_data((ON_ECHO, COMMAND, bytes(60_000))) + p_data((ON_ECHO, COMMAND, bytes(6_000))),
            MalformedCommand,
            id="endless command set",
        ),
    ],
)
def test_broken_rule_is_answered_by_an_abort(
    dialogue: tuple[ScriptedPeer, Exchange], speech: bytes, error: type[Exception]
) -> None:
    peer, exchange = dialogue
    peer.says(speech)
    receiving = in_background(exchange.receive)

    assert peer.hears_abort()[0] == 2
    peer.leaves()
    with pytest.raises(error):
        receiving.result(WAIT_SECONDS)


def test_message_id_that_is_still_open_cannot_be_used_again(dialogue: tuple[ScriptedPeer, Exchange]) -> None:
    peer, exchange = dialogue
    peer.says(p_data((ON_ECHO, LAST_COMMAND, says(ECHO))) * 2)
    received(exchange)
    receiving = in_background(exchange.receive)

    assert peer.hears_abort()[0] == 2
    peer.leaves()
    with pytest.raises(UnexpectedCommand):
        receiving.result(WAIT_SECONDS)


def test_unknown_request_is_a_message_and_not_an_error(dialogue: tuple[ScriptedPeer, Exchange]) -> None:
    peer, exchange = dialogue
    unknown = UnrecognizedRequest(command_field=0x0130, message_id=8, sop_class_uid="1.2", sop_instance_uid="1.3")
    peer.says(p_data((ON_STORE, LAST_COMMAND, says(unknown))))

    command = received(exchange).command
    assert isinstance(command, UnrecognizedRequest)
    exchange.respond(command.answer(status.UNRECOGNIZED_OPERATION))

    assert hears(peer) == unknown.answer(status.UNRECOGNIZED_OPERATION)


def test_responses_with_and_without_data_sets_go_out_together(dialogue: tuple[ScriptedPeer, Exchange]) -> None:
    peer, exchange = dialogue
    peer.says(p_data((ON_FIND, LAST_COMMAND, says(FIND))))
    received(exchange)

    exchange.respond_many([(FIND.answer(status.PENDING), b"one"), (FIND.answer(status.PENDING), b"two")])
    exchange.respond(FIND.answer(status.SUCCESS))

    heard = [peer.hears()[1] for _ in range(5)]
    assert [body[4] for body in heard] == [ON_FIND] * 5
    assert [body[6:] for body in heard[1:4:2]] == [b"one", b"two"]


def test_answer_to_nothing_is_a_mistake_of_ours(dialogue: tuple[ScriptedPeer, Exchange]) -> None:
    _, exchange = dialogue

    with pytest.raises(LookupError):
        exchange.respond(ECHO.answer(status.SUCCESS))


def test_cancel_is_seen_between_answers_without_a_wait(dialogue: tuple[ScriptedPeer, Exchange]) -> None:
    peer, exchange = dialogue
    peer.says(p_data((ON_FIND, LAST_COMMAND, says(FIND))))
    received(exchange)

    assert not exchange.cancelled(3)
    peer.says(p_data((ON_FIND, LAST_COMMAND, says(CCancelRequest(message_id_being_responded_to=99)))))
    peer.says(p_data((ON_FIND, LAST_COMMAND, says(CCancelRequest(message_id_being_responded_to=3)))))
    exchange.association.connection.wait_for_input(_soon())
    while not exchange.cancelled(3):
        exchange.association.connection.wait_for_input(_soon())
    assert not exchange.cancelled(99)


def _soon() -> Deadline:
    return Deadline.after(WAIT_SECONDS)


def test_half_a_cancel_is_not_waited_for(dialogue: tuple[ScriptedPeer, Exchange]) -> None:
    peer, exchange = dialogue
    peer.says(p_data((ON_FIND, LAST_COMMAND, says(FIND))))
    received(exchange)
    cancel = p_data((ON_FIND, LAST_COMMAND, says(CCancelRequest(message_id_being_responded_to=3))))
    peer.says(cancel[:20])
    exchange.association.connection.wait_for_input(_soon())

    assert not exchange.cancelled(3)


def test_cancel_that_comes_too_late_is_skipped(dialogue: tuple[ScriptedPeer, Exchange]) -> None:
    peer, exchange = dialogue
    peer.says(p_data((ON_FIND, LAST_COMMAND, says(CCancelRequest(message_id_being_responded_to=3)))))
    peer.says(p_data((ON_FIND, LAST_COMMAND, says(FIND))))

    assert received(exchange).command == FIND
    assert not exchange.cancelled(3)


def test_other_request_while_one_is_open_is_not_allowed(dialogue: tuple[ScriptedPeer, Exchange]) -> None:
    peer, exchange = dialogue
    peer.says(p_data((ON_FIND, LAST_COMMAND, says(FIND))))
    received(exchange)
    peer.says(p_data((ON_ECHO, LAST_COMMAND, says(ECHO))))
    exchange.association.connection.wait_for_input(_soon())
    looking = in_background(exchange.cancelled, 3)

    assert peer.hears_abort()[0] == 2
    peer.leaves()
    with pytest.raises(UnexpectedCommand):
        looking.result(WAIT_SECONDS)


def test_release_while_a_request_is_open_ends_it(dialogue: tuple[ScriptedPeer, Exchange]) -> None:
    peer, exchange = dialogue
    peer.says(p_data((ON_FIND, LAST_COMMAND, says(FIND))))
    received(exchange)
    peer.says(RELEASE_RQ)
    exchange.association.connection.wait_for_input(_soon())
    looking = in_background(exchange.cancelled, 3)

    assert peer.hears()[0] == Pdu.RELEASE_RP
    peer.leaves()
    with pytest.raises(ConnectionLost):
        looking.result(WAIT_SECONDS)


def test_get_makes_sub_operations_on_the_same_association_and_hears_a_cancel_meanwhile(
    dialogue: tuple[ScriptedPeer, Exchange],
) -> None:
    peer, exchange = dialogue
    peer.says(p_data((ON_GET, LAST_COMMAND, says(GET))))
    request = received(exchange).command
    assert isinstance(request, CGetRequest)
    storing = in_background(exchange.ask, exchange.association.contexts[ON_STORE], STORE, b"pixels")

    assert hears(peer) == STORE
    assert peer.hears()[1][6:] == b"pixels"
    peer.says(p_data((ON_GET, LAST_COMMAND, says(CCancelRequest(message_id_being_responded_to=4)))))
    peer.says(p_data((ON_STORE, LAST_COMMAND, says(STORE.answer(status.SUCCESS)))))
    assert storing.result(WAIT_SECONDS) == STORE.answer(status.SUCCESS)
    assert exchange.cancelled(4)

    exchange.respond(request.answer(status.CANCEL, remaining=5, completed=1))
    pdu_type, body = peer.hears()
    assert (pdu_type, body[4]) == (Pdu.P_DATA_TF, ON_GET)
    assert not exchange.cancelled(4)


def test_get_as_scu_answers_the_peers_stores_until_the_final_response() -> None:
    with established() as (requestor, acceptor):

        def serve() -> list[Response]:
            exchange = Exchange(acceptor)
            request = received(exchange).command
            assert isinstance(request, CGetRequest)
            answers = []
            for number in range(3):
                store = CStoreRequest(
                    message_id=exchange.next_message_id(),
                    affected_sop_class_uid=CT_IMAGE_STORAGE,
                    affected_sop_instance_uid=f"1.2.{number}",
                )
                answers.append(exchange.ask(acceptor.contexts[ON_STORE], store, [b"pixels", bytes(200_000)]))
                exchange.respond(request.answer(status.PENDING, completed=number + 1))
            exchange.respond(request.answer(status.SUCCESS, completed=3))
            return answers

        serving = in_background(serve)
        exchange = Exchange(requestor)
        sizes, counts = [], []
        for message in exchange.request(requestor.contexts[ON_GET], GET, b"identifier"):
            if isinstance(message.command, CStoreRequest):
                sizes.append(sum(len(fragment) for fragment in exchange.data_set()))
                exchange.respond(message.command.answer(status.SUCCESS))
            elif isinstance(message.command, CGetResponse):
                counts.append(message.command.completed)

    assert sizes == [200_006] * 3
    assert counts == [1, 2, 3, 3]
    assert [answer.status for answer in serving.result(WAIT_SECONDS)] == [status.SUCCESS] * 3


def test_find_as_scu_reads_each_identifier_or_leaves_it() -> None:
    with established() as (requestor, acceptor):

        def serve() -> None:
            exchange = Exchange(acceptor)
            received(exchange)
            exchange.respond_many([(FIND.answer(status.PENDING), b"%d" % number) for number in range(4)])
            exchange.respond(FIND.answer(status.SUCCESS))

        serving = in_background(serve)
        exchange = Exchange(requestor)
        found = []
        for number, message in enumerate(exchange.request(requestor.contexts[ON_FIND], FIND, b"query")):
            assert isinstance(message.command, CFindResponse)
            if message.has_data_set and number % 2:
                found.append(exchange.read_data_set(100))
        serving.result(WAIT_SECONDS)

    assert found == [b"1", b"3"]


def test_response_to_another_request_is_not_allowed() -> None:
    with scripted_acceptor() as (peer, requesting):
        peer.agrees()
        association = requesting.result(WAIT_SECONDS)
        asking = in_background(Exchange(association).ask, association.contexts[ON_ECHO], ECHO)
        hears(peer)
        peer.says(p_data((ON_FIND, LAST_COMMAND, says(FIND.answer(status.SUCCESS)))))

        assert peer.hears_abort()[0] == 2
        peer.leaves()
        with pytest.raises(UnexpectedCommand):
            asking.result(WAIT_SECONDS)


def test_response_that_does_not_come_meets_its_own_deadline() -> None:
    with scripted_acceptor(timeouts=hasty("response")) as (peer, requesting):
        peer.agrees()
        association = requesting.result(WAIT_SECONDS)
        asking = in_background(Exchange(association).ask, association.contexts[ON_ECHO], ECHO)
        hears(peer)

        assert peer.hears_abort()[0] == 2
        peer.leaves()
        with pytest.raises(DeadlineExpired):
            asking.result(WAIT_SECONDS)


def test_data_set_that_fails_to_come_aborts_and_passes_on() -> None:
    def broken() -> Iterator[bytes]:
        yield bytes(300_000)
        raise DiskFailed

    with scripted_acceptor() as (peer, requesting):
        peer.agrees()
        association = requesting.result(WAIT_SECONDS)
        sending = in_background(Exchange(association).send, association.contexts[ON_STORE], STORE, broken())

        while (heard := peer.hears())[0] == Pdu.P_DATA_TF:
            assert heard[1][5] != LAST_DATA
        assert heard[0] == Pdu.ABORT
        peer.leaves()
        with pytest.raises(DiskFailed):
            sending.result(WAIT_SECONDS)
        assert association.state is State.ENDED


def test_pdus_are_no_longer_than_the_peer_takes() -> None:
    with scripted_acceptor() as (peer, requesting):
        peer.agrees(lambda proposed: agree(proposed, max_pdu_bytes=1024))
        association = requesting.result(WAIT_SECONDS)
        sending = in_background(Exchange(association).send, association.contexts[ON_STORE], STORE, bytes(10_000))

        sizes = [len(peer.hears()[1]) for _ in range(11)]

        sending.result(WAIT_SECONDS)
        assert max(sizes) == 1024


def test_data_set_that_dribbles_meets_the_deadline_although_every_pdu_is_whole() -> None:
    with scripted_requestor(timeouts=hasty("dimse")) as (peer, accepting):
        peer.associates()
        peer.says(p_data((ON_STORE, LAST_COMMAND, says(STORE, has_data_set=True))))
        exchange = Exchange(accepting.result(WAIT_SECONDS))
        received(exchange)

        def dribble() -> None:
            try:
                while True:
                    peer.says(p_data((ON_STORE, DATA, b"x")))
                    _pause(0.02)
            except OSError:
                return

        dribbling = in_background(dribble)
        with pytest.raises(DeadlineExpired):
            exchange.skip_data_set()
        peer.leaves()
        dribbling.result(WAIT_SECONDS)


def test_time_that_the_sink_takes_is_not_the_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    taken, clock = [0.0], time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: clock() + taken[0])
    with scripted_requestor(timeouts=PATIENT) as (peer, accepting):
        peer.associates()
        peer.says(p_data((ON_STORE, LAST_COMMAND, says(STORE, has_data_set=True))), p_data((ON_STORE, DATA, b"a")))
        exchange = Exchange(accepting.result(WAIT_SECONDS))
        received(exchange)
        fragments = exchange.data_set()

        first = bytes(next(fragments))
        taken[0] = 2 * WAIT_SECONDS
        rest = p_data((ON_STORE, LAST_DATA, bytes(1000)))
        speaking = in_background(lambda: (peer.says(rest[:500]), _pause(0.05), peer.says(rest[500:])))

        assert (first, len(next(fragments))) == (b"a", 1000)
        speaking.result(WAIT_SECONDS)


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def test_message_ids_begin_anew_after_the_last() -> None:
    with established() as (requestor, _):
        exchange = Exchange(requestor)

        ids = [exchange.next_message_id() for _ in range(65536)]

    assert (ids[0], ids[-2], ids[-1]) == (1, 65535, 1)


def test_release_works_after_messages() -> None:
    with scripted_acceptor(timeouts=PATIENT) as (peer, requesting):
        peer.agrees()
        association = requesting.result(WAIT_SECONDS)
        asking = in_background(Exchange(association).ask, association.contexts[ON_ECHO], ECHO)
        hears(peer)
        peer.says(p_data((ON_ECHO, LAST_COMMAND, says(ECHO.answer(status.SUCCESS)))))
        asking.result(WAIT_SECONDS)
        releasing = in_background(association.release)

        assert peer.hears() == (Pdu.RELEASE_RQ, bytes(4))
        peer.says(RELEASE_RP)
        releasing.result(WAIT_SECONDS)


def test_a_data_set_that_is_forgone_may_come_or_not() -> None:
    pending, final = (GET.answer(code) for code in (status.PENDING, status.SUCCESS))
    with scripted_acceptor() as (peer, requesting):
        peer.agrees()
        exchange = Exchange(requesting.result(WAIT_SECONDS))
        said = says(pending, has_data_set=True)
        stray = ((ON_GET, DATA, b"12"), (ON_GET, LAST_DATA, b"34"))
        peer.says(
            p_data((ON_GET, LAST_COMMAND, said)),
            p_data((ON_GET, LAST_COMMAND, said), *stray),
            p_data((ON_GET, LAST_COMMAND, says(final))),
        )
        heard = []
        for _ in range(3):
            heard.append(exchange.receive_response(GET.message_id))
            exchange.forgo_data_set()

    assert [message.command for message in heard] == [pending, pending, final]


def test_a_stray_data_set_that_was_not_announced_ends_the_association() -> None:
    with scripted_acceptor() as (peer, requesting):
        peer.agrees()
        exchange = Exchange(requesting.result(WAIT_SECONDS))
        pending = p_data((ON_GET, LAST_COMMAND, says(GET.answer(status.PENDING))))
        peer.says(pending, p_data((ON_GET, LAST_DATA, b"34")))
        exchange.receive_response(GET.message_id)
        exchange.forgo_data_set()

        with pytest.raises(UnexpectedCommand):
            exchange.receive_response(GET.message_id)
