"""C-ECHO by real clients, and who is turned away before it."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from pynetdicom.ae import ApplicationEntity
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from tests.fix_dcmtk import Dcmtk
from tests.fix_pynetdicom import steady
from tests.wire.raw_messages import VERIFICATION, Proposed, Rejected, associate_rq, pdu
from tests.wire.raw_scu import RawScu
from tests.wire.running import Archive


def test_echoscu_is_answered(archive: Archive, dcmtk: Dcmtk) -> None:
    ran = dcmtk.echo(archive.port, called=archive.title.name)

    assert ran.is_ok, ran
    assert "Received Echo Response (Success)" in ran.output


def test_echoscu_is_answered_many_times_on_one_association(archive: Archive, dcmtk: Dcmtk) -> None:
    ran = dcmtk.run("echoscu", "-v", "--repeat", 50, "-aec", archive.title, "127.0.0.1", archive.port)

    assert ran.is_ok, ran
    assert ran.output.count("Received Echo Response (Success)") == 50


def test_echoscu_with_every_transfer_syntax_and_128_contexts_is_answered(archive: Archive, dcmtk: Dcmtk) -> None:
    options = ("-pts", 38, "-ppc", 128)
    ran = dcmtk.run("echoscu", "-v", *options, "-aec", archive.title, "127.0.0.1", archive.port)

    assert ran.is_ok, ran


def test_pynetdicom_echo_is_answered(archive: Archive) -> None:
    requestor = ApplicationEntity("PYNETDICOM")
    requestor.add_requested_context(Verification)
    association = requestor.associate("127.0.0.1", archive.port, ae_title=archive.title.name)

    answer = steady(association).send_c_echo()
    association.release()

    assert answer.Status == 0x0000


def test_many_associations_at_once_are_all_answered(archive: Archive) -> None:
    def echo(_: int) -> None:
        archive.echo()

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(echo, range(100)))


def test_message_ids_are_answered_as_they_were_sent(archive: Archive) -> None:
    with archive.associate(Proposed(VERIFICATION)) as scu:
        context_id = scu.context(VERIFICATION).context_id
        for message_id in (0, 65535, 7, 7):
            scu.send_command(context_id, {0x0002: VERIFICATION, 0x0100: 0x30, 0x0110: message_id, 0x0800: 0x0101})

            answer = scu.receive()

            assert answer.number(0x0100) == 0x8030
            assert answer.number(0x0120) == message_id
        scu.release()


def test_unknown_called_title_is_rejected(archive: Archive, dcmtk: Dcmtk) -> None:
    ran = dcmtk.echo(archive.port, called="NOBODY")

    assert not ran.is_ok
    assert "Called AE Title Not Recognized" in ran.output


@pytest.mark.parametrize(
    "fields, why",
    [
        pytest.param({"called": "NOBODY"}, (1, 1, 7), id="called title unknown"),
        pytest.param({"called": ""}, (1, 1, 7), id="called title empty"),
        pytest.param({"application_context": "1.2.3"}, (1, 1, 2), id="application context"),
    ],
)
def test_an_association_that_cannot_be_is_rejected(archive: Archive, fields: dict[str, str], why: object) -> None:
    proposed = {"called": archive.title.name} | fields
    called = proposed.pop("called")

    with pytest.raises(Rejected) as rejected:
        archive.associate(Proposed(VERIFICATION), title=called or " ", **proposed)

    assert rejected.value.why == why


def test_unknown_protocol_version_is_rejected(archive: Archive) -> None:
    request = bytearray(associate_rq([Proposed(VERIFICATION)], called=archive.title.name))
    request[6:8] = b"\0\2"
    with RawScu(archive.port) as scu:
        scu.says(bytes(request))

        answer = scu.hears()

    assert answer == (0x03, bytes((0, 1, 2, 2)))


def test_called_title_is_compared_without_padding(archive: Archive) -> None:
    name = archive.title.name
    with archive.associate(Proposed(VERIFICATION), title=f" {name} ") as scu:
        assert scu.echo() == 0
        scu.release()


def test_calling_title_without_a_rule_is_rejected(archive: Archive, dcmtk: Dcmtk) -> None:
    closed = archive.add_title(is_open=False)

    ran = dcmtk.echo(archive.port, called=closed.name)
    with pytest.raises(Rejected) as rejected:
        archive.associate(Proposed(VERIFICATION), title=closed)

    assert "Calling AE Title Not Recognized" in ran.output
    assert rejected.value.why == (1, 1, 3)


def test_associations_over_the_limit_are_rejected_until_one_ends(start_own_archive) -> None:
    archive: Archive = start_own_archive("--max-associations", "3", workers=2)
    with ExitStack() as stack:
        held = [stack.enter_context(archive.associate(Proposed(VERIFICATION))) for _ in range(3)]

        with pytest.raises(Rejected) as rejected:
            archive.associate(Proposed(VERIFICATION))
        assert rejected.value.why == (2, 3, 2)

        held[0].release()
        assert echoed_soon(archive)


def echoed_soon(archive: Archive) -> bool:
    """Whether an echo succeeds now or in the next moments: a place is free when the archive has seen the close."""
    for _ in range(200):
        try:
            archive.echo()
        except Rejected:
            continue
        return True
    return False


def test_a_release_is_answered_and_the_connection_ends(archive: Archive) -> None:
    with archive.associate(Proposed(VERIFICATION)) as scu:
        scu.says(pdu(0x05, bytes(4)))

        assert scu.hears() == (0x06, bytes(4))
        assert scu.hears_end() is None
