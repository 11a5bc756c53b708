"""Command sets that no ordinary peer writes, and what of ours must be kept within VR limits."""

import struct

import pytest

from archive.dimse import command_set
from archive.dimse.commands import CEchoRequest, CGetResponse, CMoveRequest, CStoreRequest, UnrecognizedRequest
from archive.errors import MalformedCommand

ECHO = CEchoRequest(message_id=5, affected_sop_class_uid="1.2.840.10008.1.1")
STORE = CStoreRequest(message_id=1, affected_sop_class_uid="1.2", affected_sop_instance_uid="1.2.3")


def element(number: int, value: bytes, group: int = 0) -> bytes:
    return struct.pack("<HHL", group, number, len(value)) + value


def us(number: int, value: int) -> bytes:
    return element(number, struct.pack("<H", value))


ECHO_ELEMENTS = [element(2, b"1.2.840.10008.1.1\0"), us(0x0100, 0x0030), us(0x0110, 5), us(0x0800, 0x0101)]


def test_group_length_is_not_needed() -> None:
    assert command_set.decode(b"".join(ECHO_ELEMENTS)).command == ECHO


def test_order_of_elements_does_not_matter_and_unknown_ones_are_skipped() -> None:
    encoded = element(0x5010, b"retired!") + b"".join(reversed(ECHO_ELEMENTS))

    assert command_set.decode(encoded).command == ECHO


@pytest.mark.parametrize("data_set_type", [0, 1, 0x0102, 0xFEFE])
def test_every_data_set_type_but_0101_means_a_data_set(data_set_type: int) -> None:
    encoded = b"".join(ECHO_ELEMENTS[:3]) + us(0x0800, data_set_type)

    assert command_set.decode(encoded).has_data_set


@pytest.mark.parametrize(
    "encoded",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"".join(ECHO_ELEMENTS)[:-1], id="cut inside a value"),
        pytest.param(b"".join(ECHO_ELEMENTS) + b"\0\0\0", id="cut inside an element header"),
        pytest.param(b"".join(ECHO_ELEMENTS[1:3]), id="no data set type"),
        pytest.param(b"".join([ECHO_ELEMENTS[1], ECHO_ELEMENTS[3]]), id="no message ID"),
        pytest.param(b"".join([ECHO_ELEMENTS[0], *ECHO_ELEMENTS[2:]]), id="no command field"),
        pytest.param(b"".join([*ECHO_ELEMENTS, ECHO_ELEMENTS[2]]), id="an element twice"),
        pytest.param(b"".join([*ECHO_ELEMENTS, element(0x10, b"Doe^John", group=0x10)]), id="an element of group 0010"),
        pytest.param(
            b"".join([*ECHO_ELEMENTS[:2], element(0x0110, b"\0\0\0\0"), ECHO_ELEMENTS[3]]), id="message ID of 4 bytes"
        ),
        pytest.param(us(0x0100, 0x8030) + us(0x0120, 1) + us(0x0800, 0x0101), id="response without status"),
        pytest.param(
            us(0x0100, 0x8030) + us(0x0120, 1) + us(0x0800, 0x0101) + us(0x0900, 0) + element(0x0901, b"\x10\0"),
            id="half an offending element",
        ),
    ],
)
def test_what_does_not_follow_the_standard_is_malformed(encoded: bytes) -> None:
    with pytest.raises(MalformedCommand):
        command_set.decode(encoded)


def test_unknown_request_can_be_answered() -> None:
    encoded = element(3, b"1.2.3\0") + us(0x0100, 0x0130) + us(0x0110, 9) + us(0x0800, 1) + element(0x1001, b"1.2.4\0")

    decoded = command_set.decode(encoded)

    assert decoded == command_set.Decoded(
        UnrecognizedRequest(command_field=0x0130, message_id=9, sop_class_uid="1.2.3", sop_instance_uid="1.2.4"), True
    )
    assert isinstance(decoded.command, UnrecognizedRequest)
    answer = decoded.command.answer(0x0211)
    assert command_set.decode(command_set.encode(answer, has_data_set=False)).command == answer
    assert answer.command_field == 0x8130


def test_text_that_is_not_printable_ascii_matches_nothing() -> None:
    encoded = element(2, b"1.2\x003\xff") + b"".join(ECHO_ELEMENTS[1:])

    command = command_set.decode(encoded).command

    assert isinstance(command, CEchoRequest)
    assert command.affected_sop_class_uid == "1.2\ufffd3\ufffd"


def test_error_comment_is_cut_to_64_characters_of_its_repertoire() -> None:
    answer = STORE.answer(0xA700, error_comment="no\nroom \\ für " + "x" * 100)

    read = command_set.decode(command_set.encode(answer, has_data_set=False)).command

    assert read.error_comment == "no room / f?r " + "x" * 50  # type: ignore[union-attr]


def test_counts_beyond_two_bytes_stay_at_the_most_that_can_be_said() -> None:
    answer = CGetResponse(message_id_being_responded_to=1, status=0xFF00, remaining=100_000, completed=65535)

    read = command_set.decode(command_set.encode(answer, has_data_set=False)).command

    assert isinstance(read, CGetResponse)
    assert (read.remaining, read.completed, read.failed) == (65535, 65535, None)


def test_offending_elements_are_tags() -> None:
    answer = STORE.answer(0xA900, offending_elements=(0x00080018, 0x0020000D))

    encoded = command_set.encode(answer, has_data_set=False)

    assert element(0x0901, bytes.fromhex("08001800 20000d00")) in encoded
    assert command_set.decode(encoded).command == answer


def test_every_value_has_an_even_length() -> None:
    command = CMoveRequest(message_id=1, affected_sop_class_uid="1.2", move_destination="ODD")

    encoded = command_set.encode(command, has_data_set=True)

    assert element(2, b"1.2\0") in encoded
    assert element(0x0600, b"ODD ") in encoded
    assert struct.unpack_from("<HHLL", encoded) == (0, 0, 4, len(encoded) - 12)
