"""Any data, any PDU size, any fragmentation: what is cut into P-DATA-TF PDUs comes out of them again."""

from hypothesis import given
from hypothesis import strategies as st

from archive.dimse.commands import CStoreRequest
from archive.dimse.exchange import Exchange
from archive.upper_layer import pdata
from archive.upper_layer.connection import PDU_HEADER, Buffer
from tests.fix_association import WAIT_SECONDS, agree, established, in_background, proposal

SIZES = st.sampled_from([2, 4, 10, 16, 250, 4090, 16378])
PIECES = st.lists(st.binary(max_size=600), max_size=12)


def _pdus(buffers: list[Buffer]) -> list[memoryview]:
    """The bodies of the PDUs that `buffers` are when sent one after the other."""
    wire = memoryview(b"".join(bytes(buffer) for buffer in buffers))
    bodies: list[memoryview] = []
    while wire:
        pdu_type, length = PDU_HEADER.unpack_from(wire)
        assert pdu_type == 4
        bodies.append(wire[6 : 6 + length])
        wire = wire[6 + length :]
    return bodies


def _check(bodies: list[memoryview], content: bytes, context_id: int, size: int, *, is_command: bool) -> None:
    found = [fragment for body in bodies for fragment in pdata.fragments(body)]
    assert b"".join(bytes(fragment.content) for fragment in found) == content
    assert [fragment.is_last for fragment in found] == [False] * (len(found) - 1) + [True]
    assert {fragment.context_id for fragment in found} == {context_id}
    assert {fragment.is_command for fragment in found} == {is_command}
    assert all(len(fragment.content) == size for fragment in found[:-1])
    assert all(len(body) <= size + pdata.PDV_HEADER_BYTES for body in bodies)


@given(content=st.binary(max_size=5000), size=SIZES, context_id=st.integers(0, 127), is_command=st.booleans())
def test_whole_message_comes_out_as_it_went_in(content: bytes, size: int, context_id: int, is_command: bool) -> None:
    buffers = pdata.whole(2 * context_id + 1, content, is_command=is_command, fragment_bytes=size)

    _check(_pdus(buffers), content, 2 * context_id + 1, size, is_command=is_command)


@given(pieces=PIECES, size=SIZES)
def test_streamed_message_comes_out_as_it_went_in_and_pieces_may_die_at_once(pieces: list[bytes], size: int) -> None:
    sent: list[Buffer] = []

    def dying() -> "list[bytearray]":
        return [bytearray(piece) for piece in pieces]

    def one_after_the_other():
        for piece in dying():
            yield piece
            piece[:] = bytes(len(piece))  # the reader fills its buffer anew

    for buffers in pdata.stream(1, one_after_the_other(), fragment_bytes=size):
        sent += [bytes(buffer) for buffer in buffers]

    _check(_pdus(sent), b"".join(pieces), 1, size, is_command=False)


@given(
    content=st.binary(max_size=3000),
    pieces=st.lists(st.integers(1, 700), min_size=1, max_size=6),
    max_pdu_bytes=st.sampled_from([0, 8, 64, 1024, 16384]),
)
def test_data_set_arrives_over_an_association(content: bytes, pieces: list[int], max_pdu_bytes: int) -> None:
    request = CStoreRequest(message_id=1, affected_sop_class_uid="1.2", affected_sop_instance_uid="1.2.3")

    def cut():
        position = index = 0
        while position < len(content):
            size = pieces[index % len(pieces)]
            yield content[position : position + size]
            position, index = position + size, index + 1

    with established(
        proposed=proposal("1.2"), decide=lambda proposed: agree(proposed, max_pdu_bytes=max_pdu_bytes)
    ) as (requestor, acceptor):
        sending = in_background(Exchange(requestor).send, requestor.contexts[1], request, cut())
        serving = Exchange(acceptor)
        message = serving.receive()
        assert message is not None
        received = serving.read_data_set(10_000)
        sending.result(WAIT_SECONDS)

    assert message.command == request
    assert received == content
