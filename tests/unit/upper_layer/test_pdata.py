"""P-DATA-TF bodies and the fragments in them (PS3.8 9.3.5, annex E)."""

import pytest

from archive.errors import MalformedPdu
from archive.upper_layer import pdata
from tests.fix_association import COMMAND, DATA, LAST_COMMAND, LAST_DATA, p_data


def test_command_and_data_in_one_pdu_are_two_fragments() -> None:
    body = memoryview(p_data((1, LAST_COMMAND, b"command"), (1, DATA, b"data"))[6:])

    command, data = pdata.fragments(body)

    assert (command.is_command, command.is_last, bytes(command.content)) == (True, True, b"command")
    assert (data.is_command, data.is_last, bytes(data.content)) == (False, False, b"data")


def test_fragments_are_views_of_the_body_and_not_copies() -> None:
    body = memoryview(bytearray(p_data((1, LAST_DATA, b"data"))[6:]))

    (fragment,) = pdata.fragments(body)
    body[-1:] = b"!"

    assert bytes(fragment.content) == b"dat!"


def test_empty_fragment_is_allowed() -> None:
    (fragment,) = pdata.fragments(memoryview(p_data((3, COMMAND, b""))[6:]))

    assert fragment == pdata.Fragment(3, True, False, memoryview(b""))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="no item at all"),
        pytest.param(b"\0\0\0", id="half an item length"),
        pytest.param(b"\0\0\0\1\1", id="item without message control header"),
        pytest.param(b"\0\0\0\1\1\3", id="item length below two"),
        pytest.param(b"\0\0\0\5\1\3ab", id="item longer than the PDU"),
        pytest.param(b"\xff\xff\xff\xff\1\3ab", id="item of 4 GiB"),
        pytest.param(b"\0\0\0\3\1\3a\0", id="rest behind the last item"),
    ],
)
def test_wrong_lengths_are_malformed(body: bytes) -> None:
    with pytest.raises(MalformedPdu):
        pdata.fragments(memoryview(body))


@pytest.mark.parametrize(
    "peer_max_pdu_bytes, expected",
    [
        pytest.param(0, 131066, id="no limit is our cap"),
        pytest.param(16384, 16378, id="the usual"),
        pytest.param(16383, 16376, id="odd becomes even"),
        pytest.param(4096, 4090, id="small"),
        pytest.param(10_000_000, 131066, id="more than our cap"),
        pytest.param(7, 2, id="less than a fragment"),
    ],
)
def test_fragments_fit_what_the_peer_takes(peer_max_pdu_bytes: int, expected: int) -> None:
    assert pdata.fragment_bytes(peer_max_pdu_bytes) == expected


def test_full_fragments_share_their_header_and_point_into_the_message() -> None:
    content = bytes(range(256)) * 4

    buffers = pdata.whole(1, content, is_command=False, fragment_bytes=256)

    assert buffers[0] is buffers[2]
    assert all(isinstance(part, memoryview) and part.obj is content for part in buffers[1::2])


def test_stream_sends_what_it_has_as_soon_as_it_fills_a_pdu() -> None:
    turns = []

    def pieces():
        for number in range(4):
            turns.append(number)
            yield bytes(100)

    stream = pdata.stream(1, pieces(), fragment_bytes=150)
    next(stream)

    assert turns == [0, 1]


def test_empty_stream_is_one_empty_last_fragment() -> None:
    (buffers,) = pdata.stream(1, [], fragment_bytes=150)

    assert b"".join(bytes(buffer) for buffer in buffers) == p_data((1, LAST_DATA, b""))
