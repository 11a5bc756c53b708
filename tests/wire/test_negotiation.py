"""What is answered to an A-ASSOCIATE-RQ: transfer syntaxes, results, roles, extended negotiation, odd items."""

import struct

import pytest

from tests.fix_instances import encoded, instance
from tests.wire.raw_messages import (
    BIG_ENDIAN,
    CT_IMAGE,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    SECONDARY_CAPTURE,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
    Ended,
    Proposed,
    associate_rq,
)
from tests.wire.raw_scu import RawScu
from tests.wire.running import Archive, identifier

JPEG_BASELINE, JPEG_LOSSLESS, JPEG_2000_LOSSLESS, RLE = (
    f"1.2.840.10008.1.2.{name}" for name in ("4.50", "4.70", "4.90", "5")
)


@pytest.mark.parametrize(
    "proposed, taken",
    [
        pytest.param((IMPLICIT, BIG_ENDIAN, EXPLICIT), EXPLICIT, id="explicit before all"),
        pytest.param((BIG_ENDIAN, IMPLICIT), IMPLICIT, id="implicit before big endian"),
        pytest.param((JPEG_BASELINE, BIG_ENDIAN), JPEG_BASELINE, id="big endian last"),
        pytest.param((JPEG_BASELINE, JPEG_LOSSLESS), JPEG_LOSSLESS, id="lossless before lossy"),
        pytest.param((RLE, DEFLATED), DEFLATED, id="deflated before compressed"),
        pytest.param((BIG_ENDIAN,), BIG_ENDIAN, id="big endian alone"),
    ],
)
def test_the_first_in_our_order_is_taken(archive: Archive, proposed: tuple[str, ...], taken: str) -> None:
    with archive.associate(Proposed(CT_IMAGE, proposed)) as scu:
        assert scu.context(CT_IMAGE).transfer_syntax == taken
        scu.release()


def test_every_context_is_answered_for_itself(archive: Archive) -> None:
    syntaxes = (EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED, JPEG_BASELINE, JPEG_LOSSLESS, JPEG_2000_LOSSLESS, RLE)

    with archive.associate(*(Proposed(CT_IMAGE, (syntax,)) for syntax in syntaxes)) as scu:
        assert [each.transfer_syntax for each in scu.accepted] == list(syntaxes)
        scu.release()


def test_results_say_why_a_context_is_refused(archive: Archive) -> None:
    worklist = "1.2.840.10008.5.1.4.31"
    contexts = (
        Proposed(VERIFICATION, ("1.2.3.4",)),
        Proposed(CT_IMAGE, ("1.2.3.4",)),
        Proposed(worklist),
        Proposed(STUDY_ROOT_FIND, (RLE,)),
        Proposed(SECONDARY_CAPTURE),
    )

    with archive.associate(*contexts) as scu:
        assert scu.results == {
            VERIFICATION: [4],
            CT_IMAGE: [4],
            worklist: [3],
            STUDY_ROOT_FIND: [4],
            SECONDARY_CAPTURE: [0],
        }
        scu.release()


def test_an_association_without_any_accepted_context_can_be_released(archive: Archive) -> None:
    with archive.associate(Proposed("1.2.840.10008.5.1.4.31")) as scu:
        assert scu.accepted == []
        scu.release()


def test_128_contexts_are_all_answered_and_used(archive: Archive) -> None:
    with archive.associate(*(Proposed(SECONDARY_CAPTURE, (EXPLICIT,)) for _ in range(128))) as scu:
        assert [each.context_id for each in scu.accepted] == list(range(1, 257, 2))
        last = scu.accepted[-1].context_id
        command = {0x0002: SECONDARY_CAPTURE, 0x0100: 1, 0x0110: 1, 0x0700: 0, 0x0800: 1}
        scu.send_command(last, command | {0x1000: str(instance().SOPInstanceUID)})
        scu.send_data_set(last, encoded(instance()))

        answer = scu.receive()

        assert (answer.context_id, answer.status) == (last, 0)
        scu.release()


def test_our_maximum_length_is_announced(archive: Archive) -> None:
    with archive.associate(Proposed(VERIFICATION)) as scu:
        assert scu.peer_max_pdu_bytes == 131072
        scu.release()


@pytest.mark.parametrize(
    "sop_class, offered, answered",
    [
        pytest.param(STUDY_ROOT_FIND, b"\1\1\1\1\1\1\1", b"\1\1\0\0\0\1\1", id="find"),
        pytest.param(STUDY_ROOT_FIND, b"\0\1", b"\0\1", id="find, two bytes"),
        pytest.param(STUDY_ROOT_MOVE, b"\1\1", b"\1\0", id="move"),
        pytest.param(STUDY_ROOT_GET, b"\1", b"\1", id="get"),
    ],
)
def test_extended_negotiation_says_what_we_do(
    archive: Archive, sop_class: str, offered: bytes, answered: bytes
) -> None:
    with archive.associate(Proposed(sop_class), extended={sop_class: offered}) as scu:
        assert scu.extended == {sop_class: answered}
        scu.release()


@pytest.mark.parametrize(
    "item",
    [
        pytest.param(b"\x53\0\0\4\0\5\0\5", id="asynchronous operations"),
        pytest.param(b"\x58\0\0\x0c\1\0\0\4user\0\0\0\0"[:16], id="user identity"),
        pytest.param(
            b"\x57\0\0\x1e\0\x11" + VERIFICATION.encode() + b"\0\x05" + b"1.2.3" + b"\0\0", id="common extended"
        ),
        pytest.param(b"\x55\0\0\4TEST", id="version name"),
        pytest.param(b"\x5f\0\0\4abcd", id="an item that nobody knows"),
    ],
)
def test_every_user_item_is_understood_or_passed_over(archive: Archive, item: bytes) -> None:
    length = struct.unpack(">H", item[2:4])[0]
    padded = item[:2] + struct.pack(">H", len(item) - 4) + item[4:] if length != len(item) - 4 else item

    with archive.associate(Proposed(VERIFICATION), more_user_items=padded) as scu:
        assert scu.echo() == 0
        scu.release()


def test_a_peer_that_sends_one_byte_pdvs_may_ask_for_4_kib_pdus(archive: Archive) -> None:
    with archive.associate(Proposed(STUDY_ROOT_FIND), max_pdu_bytes=4096) as scu:
        message_id = scu.next_id()
        scu.send_command(1, {0x0002: STUDY_ROOT_FIND, 0x0100: 0x20, 0x0110: message_id, 0x0700: 0, 0x0800: 1})
        scu.send_data_set(1, identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=None), pdv_bytes=1)

        assert [each.status for each in scu.responses()] == [0]
        scu.release()


def test_calling_title_may_be_empty_of_sense(archive: Archive) -> None:
    with archive.associate(Proposed(VERIFICATION), calling="~!@ #$%^&*()_+|") as scu:
        assert scu.echo() == 0
        scu.release()


def test_nothing_proposed_at_all_is_no_association_or_an_empty_one(archive: Archive) -> None:
    with RawScu(archive.port) as scu:
        scu.says(associate_rq([], called=archive.title.name))
        try:
            pdu_type, _ = scu.hears()
        except Ended:
            pdu_type = 0
    assert pdu_type in (0, 2, 3, 7)
    archive.echo()
