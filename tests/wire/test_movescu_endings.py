"""How `archive movescu` ends: exit codes, mistakes, signals, and operations that are cancelled or broken off."""

import os
import re
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from archive.errors import ConnectionLost
from archive.upper_layer.connection import Deadline
from archive.upper_layer.proposal import (
    Agreement,
    AnsweredContext,
    ContextResult,
    Proposal,
    Rejection,
)
from scripts.background import Background, free_port
from tests.fix_association import WAIT_SECONDS
from tests.fix_instances import instance
from tests.wire.raw_messages import (
    PATIENT_ROOT_MOVE,
    pdu,
    pdv,
)
from tests.wire.retrieving import (
    DCMTK,
    OURS,
    QUERY,
    Asked,
    Command,
    answering,
    both,
    move,
    retrieve_scp,
    run,
    storing,
)
from tests.wire.running import becomes_true
from tests.wire.storage_scps import words_of


@both
@pytest.mark.parametrize(
    "statuses, code",
    [
        ((0x0000,), 0),
        ((0xFE00,), 0),
        ((0xB000,), 68),
        ((0xA701,), 69),
        ((0xA702,), 69),
        ((0xA801,), 69),
        ((0xA900,), 69),
        ((0xC001,), 69),
        ((0x0122,), 69),
        ((0x0211,), 69),
        ((0xB000, 0x0000), 68),
        ((0xA702, 0xB000), 69),
        ((0xB000, 0xA702), 69),
        ((0x0000, 0x0000), 0),
    ],
    ids=lambda value: "+".join(f"{each:04X}" for each in value) if isinstance(value, tuple) else None,
)
def test_the_final_status_is_the_exit_code(
    tmp_path: Path, command: Command, statuses: tuple[int, ...], code: int
) -> None:
    with retrieve_scp(answering(*statuses)) as scp:
        ran = move(command, tmp_path, scp.port, "--repeat", len(statuses), *QUERY)

    assert (ran.code, ran.out) == (code, "")
    assert ("W: Move response with" in ran.error) == (code != 0)
    assert len(scp.asked) == len(statuses)


@pytest.mark.parametrize("status", [0x0000, 0xB000, 0xA701, 0xA702, 0xA801, 0xA900, 0xC123, 0xFE00, 0x0122, 0x1234])
def test_statuses_are_said_in_movescus_words(tmp_path: Path, status: int) -> None:
    said: list[list[str]] = []
    for command in (OURS, DCMTK):
        with retrieve_scp(answering(status)) as scp:
            ran = move(command, tmp_path, scp.port, "-v", *QUERY)
        said.append([line for line in ran.error.splitlines() if "esponse" in line])

    assert said[0] == said[1]


def test_what_goes_well_is_said_in_movescus_words(tmp_path: Path) -> None:
    said: list[list[str]] = []
    for command in (OURS, DCMTK):
        port = free_port()
        with retrieve_scp(storing(lambda port=port: port, instance(), instance(number=2))) as scp:
            ran = move(command, tmp_path / str(port), scp.port, "-v", "+P", port, *QUERY)
        assert ran.code == 0
        # Lines of the two associations come in any order.
        said.append(sorted(re.sub("PDV: .*", "", line) for line in ran.error.splitlines()))
    files = (f"I: storing DICOM file: ./SC.{instance(number=number).SOPInstanceUID}" for number in (1, 2))

    assert said[0] == sorted([*said[1], *files, "I: Sub-Association Released"])


def test_an_operation_without_a_final_response_is_an_error_unlike_movescu(tmp_path: Path) -> None:
    def serve(asked: Asked) -> None:
        asked.answer(0xFF00, remaining=1, completed=0, failed=0, warning=0)
        asked.exchange.association.abort()

    codes: list[int] = []
    for command in (OURS, DCMTK):
        with retrieve_scp(serve) as scp:
            ran = move(command, tmp_path, scp.port, "--repeat", "2", *QUERY)
        codes.append(ran.code)
        assert len(scp.asked) == 1

    assert codes == [69, 0]


def test_a_peer_that_releases_instead_of_a_response_is_an_error(tmp_path: Path) -> None:
    with retrieve_scp(lambda asked: asked.exchange.association.connection.send((pdu(0x05, bytes(4)),), None)) as scp:  # type: ignore[arg-type]
        ran = move(OURS, tmp_path, scp.port, *QUERY)

    assert ran.code == 69
    assert "F: Move Request Failed: The peer released the association" in ran.error


@both
def test_a_peer_that_answers_nothing_is_waited_for_as_long_as_asked(tmp_path: Path, command: Command) -> None:
    with retrieve_scp(lambda _asked: None) as scp:
        ran = move(command, tmp_path, scp.port, "-td", "1", *QUERY)

    assert ran.code == (69 if command == OURS else 0)  # movescu says so, and ends well


def accepting(*abstract_syntaxes: str) -> Callable[[Proposal], Agreement]:
    """Accepts no others."""

    def decide(proposal: Proposal) -> Agreement:
        accepted, refused = ContextResult.ACCEPTED, ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED
        return Agreement(
            tuple(
                AnsweredContext(
                    each.context_id,
                    accepted if each.abstract_syntax in abstract_syntaxes else refused,
                    each.transfer_syntaxes[0],
                )
                for each in proposal.contexts
            )
        )

    return decide


def rejecting(_proposal: Proposal) -> Rejection:
    return Rejection(1, 1, 7)


@both
def test_without_an_association_exit_codes_are_those_of_movescu(tmp_path: Path, command: Command) -> None:
    refused = move(command, tmp_path, free_port(), *QUERY)
    with retrieve_scp(answering(0), decide=rejecting) as scp:
        rejected = move(command, tmp_path, scp.port, *QUERY)
    with retrieve_scp(answering(0), decide=accepting()) as scp:
        none = move(command, tmp_path, scp.port, *QUERY)

    assert (refused.code, rejected.code, none.code) == (61, 61, 66)


def test_a_peer_that_finds_and_does_not_move_is_an_error_unlike_movescu(tmp_path: Path) -> None:
    find = PATIENT_ROOT_MOVE.removesuffix("2") + "1"
    codes: list[int] = []
    for command in (OURS, DCMTK):
        with retrieve_scp(answering(0), decide=accepting(find)) as scp:
            codes.append(move(command, tmp_path, scp.port, *QUERY).code)

    assert codes == [66, 0]


@both
def test_exit_codes_before_an_association_are_those_of_movescu(tmp_path: Path, command: Command) -> None:
    port = free_port()
    no_query = tmp_path / "empty"
    no_query.write_bytes(b"")
    with retrieve_scp(answering(0)) as scp:
        codes = [
            move(command, tmp_path, scp.port, *words).code
            for words in (
                (),  # nothing to ask for
                ("-k", "NoSuchName=1"),
                ("+P", "0", *QUERY),
                ("+P", "65536", *QUERY),
                ("-od", tmp_path, *QUERY),
                ("+P", port, "-od", tmp_path / "missing", *QUERY),
                ("+P", scp.port, *QUERY),  # taken
                ("--repeat", "0", *QUERY),
            )
        ]
        missing = run(command, "movescu", tmp_path, "127.0.0.1", scp.port, tmp_path / "missing.dcm")

    assert codes == [1, 1, 1, 1, 1, 45, 60, 1]
    assert missing.code == 1
    assert scp.asked == []


def silent(asked: Asked) -> None:
    """Says nothing until the client is gone."""
    with suppress(ConnectionLost):
        while True:
            asked.exchange.association.connection.receive_pdu({5: 4, 7: 4}, Deadline.after(WAIT_SECONDS))


def aborts(asked: Asked) -> None:
    asked.exchange.association.abort()


def hangs_up(asked: Asked) -> None:
    asked.exchange.association.connection.close()


def speaks_something_else(asked: Asked) -> None:
    asked.exchange.association.connection.send((b"HTTP/1.1 200 OK\r\n\r\n",), Deadline.after(WAIT_SECONDS))


@both
@pytest.mark.parametrize("end", [silent, aborts, hangs_up, speaks_something_else])
@pytest.mark.parametrize("status", [0x0000, 0xB000])
def test_an_association_that_is_not_released_ends_it_with_67(
    tmp_path: Path, command: Command, end: Callable[[Asked], None], status: int
) -> None:
    def serve(asked: Asked) -> None:
        asked.answer(status)
        asked.exchange.association.connection.wait_for_input(Deadline.after(WAIT_SECONDS))  # the release
        end(asked)

    with retrieve_scp(serve) as scp:
        ran = move(command, tmp_path, scp.port, "-ta", "1", *QUERY)

    assert ran.code == 67
    assert "F: Association Release Failed:" in ran.error


def test_a_token_that_is_not_there_ends_it_with_65(tmp_path: Path) -> None:
    with retrieve_scp(answering(0)) as scp:
        ran = move(OURS, tmp_path, scp.port, "--jwt", tmp_path / "missing", *QUERY)

    assert ran.code == 65
    assert "F: cannot read user identity from " in ran.error
    assert scp.proposals == []


def test_mistakes_are_said_in_movescus_words(tmp_path: Path) -> None:
    for words in (
        "",
        "-od . -k PatientID",
        "+B +te +P 11113 -k PatientID",
        "+xs +te +P 11113 -k PatientID",
        "+xa +tb +P 11113 -k PatientID",
        "-F +p 512 16 +P 11113 -k PatientID",
        "+cl 3 +te +P 11113 -k PatientID",
        "+B -g +P 11113 -k PatientID",
        "+P x -k PatientID",
        "--cancel -1 -k PatientID",
        "-pdu 1 -k PatientID",
    ):
        ours, theirs = (move(command, tmp_path, 11112, *words.split()) for command in (OURS, DCMTK))
        mistakes = [re.findall("error: .*", each.error) for each in (ours, theirs)]

        assert (ours.code, theirs.code, mistakes[0]) == (1, 1, mistakes[1]), words


def test_a_query_file_that_is_none_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("this is no data set, and no part of one")
    with retrieve_scp(answering(0)) as scp:
        ran = run(OURS, "movescu", tmp_path, "127.0.0.1", scp.port, tmp_path / "text")

    assert ran.code == 1
    assert "Bad DICOM file" in ran.error
    assert scp.proposals == []


def test_a_folder_that_cannot_be_written_ends_it_with_40(tmp_path: Path) -> None:
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o555)
    words = ["setpriv", "--bounding-set", "-dac_override", "--inh-caps", "-dac_override"]
    codes: list[int] = []
    for command in (OURS, DCMTK):
        program = [*command, "movescu"] if command else ["/usr/bin/movescu"]
        line = [*words, *program, "+P", str(free_port()), "-od", str(folder), *QUERY, "127.0.0.1", str(free_port())]
        codes.append(subprocess.run(line, capture_output=True).returncode)

    assert codes == [40, 40]


def test_a_port_below_1024_needs_the_right_to_it(tmp_path: Path) -> None:
    allowed = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    without = ("setpriv", "--bounding-set", "-net_bind_service", "--inh-caps", "-net_bind_service")
    # Where anybody may listen anywhere, port 0 is left, which is a mistake.
    port, code = (allowed - 1, 2) if allowed > 1 else (0, 1)
    line = [*without, *OURS, "movescu", "+P", str(port), *QUERY, "127.0.0.1", str(free_port())]

    assert subprocess.run(line, capture_output=True).returncode == code


@both
@pytest.mark.parametrize("option, ended", [("--abort", "aborted"), ("--repeat 1", "released")])
def test_the_association_ends_as_asked(tmp_path: Path, command: Command, option: str, ended: str) -> None:
    with retrieve_scp(answering(0)) as scp:
        ran = move(command, tmp_path, scp.port, *option.split(), *QUERY)

    assert ran.code == 0
    assert scp.ended == [ended]


@both
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_at_once_and_who_waits_sees_that(
    tmp_path: Path, command: Command, number: signal.Signals
) -> None:
    with retrieve_scp(lambda _asked: None) as scp:
        words = [*words_of(command, "movescu"), *QUERY, "127.0.0.1", str(scp.port)]
        process = Background(words, tmp_path / "log")
        assert becomes_true(lambda: len(scp.asked) == 1)
        os.kill(process.pid, number)
        code = process.wait()

    assert (code, process.output()) == (-number, "")


# Cancel, and data sets that should not be


@both
@pytest.mark.parametrize("after", [1, 3])
def test_an_operation_is_cancelled_after_so_many_responses(tmp_path: Path, command: Command, after: int) -> None:
    cancelled: list[int] = []

    def serve(asked: Asked) -> None:
        for number in range(1, after + 1):
            asked.answer(0xFF00, remaining=10 - number, completed=number, failed=0, warning=0)
        while not asked.exchange.cancelled(asked.request.message_id):
            asked.exchange.association.connection.wait_for_input(Deadline.after(WAIT_SECONDS))
        cancelled.append(asked.request.message_id)
        asked.answer(0xFE00, remaining=10 - after, completed=after, failed=0, warning=0)

    with retrieve_scp(serve) as scp:
        ran = move(command, tmp_path, scp.port, "-v", "--cancel", after, *QUERY)

    assert (ran.code, cancelled) == (0, [1])
    assert "Sending Cancel Request (MsgID 1, PresID 3)" in ran.informed
    assert "Received Final Move Response (Cancel: SubOperationsTerminatedDueToCancelIndication)" in ran.informed


def pending(asked: Asked, *, is_announced: bool, is_sent: bool) -> None:
    """A pending response with, or without, a data set."""
    data_set = b"\x08\x00\x05\x00CS\x00\x00" if is_announced else None
    response = asked.request.answer(0xFF00, remaining=1, completed=0, failed=0, warning=0)
    context_id = asked.context.context_id
    buffers = asked.exchange._pdus(context_id, response, None, has_data_set=is_announced)
    if is_sent:
        buffers.append(pdu(0x04, pdv(context_id, 0x02, data_set or b"")))
    asked.exchange.association.send(buffers)


@pytest.mark.parametrize(
    "option, is_sent, ours, theirs",
    [
        ("-pi", False, 0, 0),
        ("-pi", True, 0, None),  # movescu breaks off, and ends with 0 or 69 as it likes
        ("-pr", True, 0, 0),
        ("-pr", False, 69, None),
        ("-pr -pi", False, 0, 0),
    ],
)
def test_a_data_set_behind_a_pending_response_is_read_or_not(
    tmp_path: Path, option: str, is_sent: bool, ours: int, theirs: int | None
) -> None:
    def serve(asked: Asked) -> None:
        pending(asked, is_announced=True, is_sent=is_sent)
        pending(asked, is_announced=False, is_sent=False)
        asked.answer(0)

    for command, code in ((OURS, ours), (DCMTK, theirs)):
        if code is not None:
            with retrieve_scp(serve) as scp:
                assert move(command, tmp_path, scp.port, *option.split(), *QUERY).code == code
