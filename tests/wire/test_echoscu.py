"""`archive echoscu` beside DCMTK's echoscu: what it says to a peer, what of it, and how it ends."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from archive.cli.dcmtk import calling, echoscu_options
from archive.cli.dcmtk.client_options import Client
from archive.dimse.commands import CEchoRequest
from archive.dimse.exchange import Exchange, Message
from archive.upper_layer.association import Timeouts
from archive.upper_layer.connection import Deadline
from archive.upper_layer.proposal import Agreement, Proposal, Rejection, UserIdentity
from scripts.background import free_port
from tests.fix_association import WAIT_SECONDS, agree
from tests.fix_dcmtk import Receiver
from tests.fix_tls import Authority, Identity
from tests.wire.clients import DCMTK, OURS, Command, Ended, both, ran
from tests.wire.scripted_scp import scripted_scp
from tests.wire.storage_scps import running

BROKEN = 70


def echo(command: Command, folder: Path, port: int, *arguments: object, host: str = "127.0.0.1") -> Ended:
    return ran(command, "echoscu", *arguments, host, port, folder=folder)


def one_answer(code: int) -> Callable[[Exchange, Message], None]:
    def serve(exchange: Exchange, message: Message) -> None:
        assert isinstance(message.command, CEchoRequest)
        exchange.respond(message.command.answer(code))

    return serve


def test_it_says_what_echoscu_says(tmp_path: Path) -> None:
    with scripted_scp() as scp:
        theirs, ours = (echo(command, tmp_path, scp.port, "-v", "--repeat", 2) for command in (DCMTK, OURS))

    assert (theirs.code, ours.code) == (0, 0)
    assert ours.log == theirs.log
    assert ours.out == theirs.out == b""
    assert scp.ends == ["released", "released"]
    assert ours.log.count("I: Received Echo Response (Success)") == 2


@both
def test_it_calls_by_the_titles_and_sizes_that_it_is_told(tmp_path: Path, command: Command) -> None:
    with scripted_scp() as scp:
        ended = echo(command, tmp_path, scp.port, "-aet", "ME", "-aec", "YOU", "-pdu", 32768, "-ppc", 3, "-pts", 4)
    [proposal] = scp.proposals

    assert ended.code == 0
    assert (proposal.calling_ae_title, proposal.called_ae_title, proposal.max_pdu_bytes) == ("ME", "YOU", 32768)
    assert [context.context_id for context in proposal.contexts] == [1, 3, 5]
    assert {context.transfer_syntaxes for context in proposal.contexts} == {
        tuple(f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".2", ".1.98" if command else ".4.50"))
    }


def test_it_proposes_all_transfer_syntaxes_and_contexts_that_it_knows(tmp_path: Path) -> None:
    with scripted_scp() as scp:
        ended = echo(OURS, tmp_path, scp.port, "-ppc", 128, "-pts", echoscu_options.MAX_TRANSFER_SYNTAXES)
    [proposal] = scp.proposals

    assert ended.code == 0
    assert len(proposal.contexts) == 128
    assert len(set(proposal.contexts[0].transfer_syntaxes)) == echoscu_options.MAX_TRANSFER_SYNTAXES


@both
def test_it_aborts_where_it_is_told_to(tmp_path: Path, command: Command) -> None:
    with scripted_scp() as scp:
        ended = echo(command, tmp_path, scp.port, "-v", "--abort")

    assert ended.code == 0
    assert "I: Aborting Association" in ended.log
    assert scp.ends == ["PeerAborted"]


@pytest.mark.parametrize(
    "rejection, words",
    [
        (
            Rejection(1, 1, 7),
            "Result: Rejected Permanent, Source: Service User, Reason: Called AE Title Not Recognized",
        ),
        (Rejection(1, 1, 3), "Source: Service User, Reason: Calling AE Title Not Recognized"),
        (Rejection(1, 2, 2), "Source: Service Provider (ACSE Related), Reason: Protocol Version Not Supported"),
        (Rejection(2, 3, 2), "Result: Rejected Transient, Source: Service Provider (Presentation Related)"),
        (Rejection(2, 3, 1), "Reason: Temporary Congestion"),
        (Rejection(1, 1, 9), "Reason: unknown reason 9"),
    ],
    ids=str,
)
def test_a_rejection_is_told_in_words(tmp_path: Path, rejection: Rejection, words: str) -> None:
    with scripted_scp(decide=lambda proposal: rejection) as scp:
        ended = echo(OURS, tmp_path, scp.port)

    assert ended.code == 1
    assert "F: Association Rejected: " in ended.error.decode()
    assert words in ended.error.decode()


def refusing_all(proposal: Proposal) -> Agreement:
    return Agreement((), implementation_class_uid="1.2.3.4")


@both
def test_a_peer_that_takes_no_echo_is_an_error(tmp_path: Path, command: Command) -> None:
    with scripted_scp(decide=refusing_all) as scp:
        ended = echo(command, tmp_path, scp.port)

    assert ended.code == 1
    assert "No Acceptable Presentation Contexts" in ended.error.decode()


def test_a_status_that_is_no_success_is_an_error(tmp_path: Path) -> None:
    """DCMTK's echoscu ends with 0."""
    with scripted_scp(one_answer(0x0122)) as scp:
        ended = echo(OURS, tmp_path, scp.port, "-v", "--repeat", 5)

    assert ended.code == 1
    assert "I: Received Echo Response (Unknown Status: 0x122)" in ended.log
    assert "F: The peer answered with status 0122" in ended.log
    assert len(scp.requests) == 1


def aborting(exchange: Exchange, message: Message) -> None:
    exchange.association.abort()


def closing(exchange: Exchange, message: Message) -> None:
    exchange.association.connection.close()


@pytest.mark.parametrize("serve", [aborting, closing])
def test_an_association_that_breaks_ends_with_its_code(tmp_path: Path, serve: Callable[..., None]) -> None:
    """DCMTK's echoscu 3.6.7 ends with 0."""
    with scripted_scp(serve) as scp:
        ended = echo(OURS, tmp_path, scp.port)

    assert ended.code == BROKEN
    assert ended.log[-1].startswith("F: ")


def test_who_cannot_be_reached_is_an_error(tmp_path: Path) -> None:
    theirs, ours = (echo(command, tmp_path, free_port()) for command in (DCMTK, OURS))
    unknown = echo(OURS, tmp_path, 104, host="no-such-host.invalid")

    assert ours.code == theirs.code == unknown.code == 1
    assert ours.log[-1].startswith("F: Association Request Failed: ")
    assert "no-such-host.invalid" in unknown.log[-1]


@contextmanager
def silent_listener() -> Iterator[int]:
    """Takes connections, and says nothing."""
    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    held.append(listener.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(WAIT_SECONDS)
    for each in held:
        each.close()


def test_a_peer_that_answers_no_request_for_an_association_is_given_up(tmp_path: Path) -> None:
    with silent_listener() as port:
        ended = echo(OURS, tmp_path, port, "-ta", 1)

    assert ended.code == 1
    assert "in time" in ended.log[-1]


def test_a_peer_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    done = threading.Event()

    def serve(exchange: Exchange, message: Message) -> None:
        done.wait(WAIT_SECONDS)

    with scripted_scp(serve) as scp:
        ended = echo(OURS, tmp_path, scp.port, "-td", 1)
        done.set()

    assert ended.code == BROKEN
    assert "in time" in ended.log[-1]


def test_a_peer_that_stops_in_the_middle_of_an_answer_is_given_up(tmp_path: Path) -> None:
    done = threading.Event()

    def serve(exchange: Exchange, message: Message) -> None:
        beginning = bytes.fromhex("04 00 00000064 00000060 01 03")
        exchange.association.connection.send((beginning,), Deadline.after(WAIT_SECONDS))
        done.wait(WAIT_SECONDS)

    with scripted_scp(serve) as scp:
        ended = echo(OURS, tmp_path, scp.port, "-ts", 1)
        done.set()

    assert ended.code == BROKEN
    assert "in time" in ended.log[-1]


def test_each_option_of_time_is_for_its_own_wait() -> None:
    asked = Client("host", 104, "ME", connect_timeout=1, socket_timeout=2, acse_timeout=3, dimse_timeout=4)

    assert calling.timeouts(asked) == Timeouts(connect=1, dimse=2, acse=3, response=4, idle=None)


# User identity


def confirming(answer: bytes | None) -> Callable[[Proposal], Agreement]:
    def decide(proposal: Proposal) -> Agreement:
        agreed = agree(proposal)
        return Agreement(agreed.contexts, max_pdu_bytes=16384, user_identity_response=answer)

    return decide


@pytest.mark.parametrize(
    "options, identity",
    [
        (("-usr", "ada"), UserIdentity(1, b"ada")),
        (("-usr", "Jörg", "-pwd", "söfte"), UserIdentity(2, "Jörg".encode(), "söfte".encode())),
        (("-usr", "ada", "-epw", "-rsp"), UserIdentity(2, b"ada", b"", True)),
        (("-kt", "ticket"), UserIdentity(3, b"ticket\0of ada")),
        (("--saml", "ticket"), UserIdentity(4, b"ticket\0of ada")),
        (("--jwt", "ticket", "-rsp"), UserIdentity(5, b"ticket\0of ada", b"", True)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_who_the_user_is_is_sent(tmp_path: Path, options: tuple[str, ...], identity: UserIdentity) -> None:
    (tmp_path / "ticket").write_bytes(b"ticket\0of ada")
    with scripted_scp(decide=confirming(b"")) as scp:
        ended = echo(OURS, tmp_path, scp.port, *options)

    assert ended.code == 0, ended
    assert [proposal.user_identity for proposal in scp.proposals] == [identity]


def test_an_identity_that_is_not_confirmed_is_an_error_where_that_is_asked_for(tmp_path: Path) -> None:
    with scripted_scp(decide=confirming(None)) as scp:
        asked, unasked = (echo(OURS, tmp_path, scp.port, "-usr", "ada", *more) for more in (["-rsp"], []))

    assert (asked.code, unasked.code) == (1, 0)
    assert asked.log == ["F: The peer did not confirm the user identity"]


def test_a_secret_is_in_no_log(tmp_path: Path) -> None:
    with scripted_scp(decide=confirming(b"")) as scp:
        ended = echo(OURS, tmp_path, scp.port, "-d", "-usr", "ada", "-pwd", "sesame")

    assert ended.code == 0
    assert "Requested User Identity Negotiation: type 2" in ended.error.decode()
    assert b"sesame" not in ended.error


@pytest.mark.parametrize(
    "content, said", [(None, "cannot read user identity from ticket: No such file"), (b"x" * 65536, "is longer")]
)
def test_a_ticket_that_cannot_be_sent_is_an_error(tmp_path: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / "ticket").write_bytes(content)
    with scripted_scp() as scp:
        ended = echo(OURS, tmp_path, scp.port, "--jwt", "ticket")

    assert ended.code == 1
    assert said in ended.error.decode()
    assert scp.proposals == []


# Addresses and TLS


def test_ipv6_is_called_where_it_is_asked_for(tmp_path: Path) -> None:
    with scripted_scp(host="::1") as scp:
        asked, by_default, other = (
            echo(OURS, tmp_path, scp.port, *how, host="::1") for how in (("-i6",), (), ("-i4",))
        )

    assert (asked.code, by_default.code, other.code) == (0, 0, 1)
    assert len(scp.proposals) == 2


@pytest.fixture
def secure_storescp(
    start_storescp: Callable[..., Receiver], authority: Authority, archive_identity: Identity
) -> Receiver:
    """DCMTK's storescp with TLS, for those who show a certificate."""
    own = (str(archive_identity.key), str(archive_identity.certificate))
    return start_storescp("+tls", *own, "+cf", str(authority.certificate))


def test_tls_is_spoken_with_a_certificate(
    tmp_path: Path, authority: Authority, modality: Identity, secure_storescp: Receiver
) -> None:
    port, trust = secure_storescp.port, ("+cf", authority.certificate)
    known = ("+tls", modality.key, modality.certificate, *trust)
    with_certificate, anonymous, plain = (
        echo(OURS, tmp_path, port, "-ta", 10, *options) for options in (known, ("+tla", *trust), ())
    )
    protected = authority.protect(modality, "sesame")
    guarded = ("+tls", protected, modality.certificate, *trust)
    by_password, by_input = (
        ran(OURS, "echoscu", *guarded, *more, "127.0.0.1", port, folder=tmp_path, stdin=typed)
        for more, typed in ((("+pw", "sesame"), b""), ((), b"sesame\n"))
    )
    wrong = echo(OURS, tmp_path, port, *guarded, "+pw", "guess")

    assert (with_certificate.code, by_password.code, by_input.code) == (0, 0, 0), (by_password, by_input)
    assert anonymous.code != 0
    assert plain.code == 1
    assert wrong.code == 1


def test_a_peer_must_show_a_certificate_that_is_trusted(
    tmp_path: Path, modality: Identity, secure_storescp: Receiver
) -> None:
    stranger = Authority(tmp_path / "elsewhere")
    own = ("+tls", modality.key, modality.certificate)
    distrusting, ignoring = (
        echo(OURS, tmp_path, secure_storescp.port, *own, *trust) for trust in (("+cf", stranger.certificate), ("-ic",))
    )

    assert (distrusting.code, ignoring.code) == (1, 0)
    assert "certificate" in distrusting.log[-1]


def test_tls_is_spoken_without_a_certificate_to_who_asks_for_none(
    tmp_path: Path, start_storescp: Callable[..., Receiver], authority: Authority, archive_identity: Identity
) -> None:
    own = (str(archive_identity.key), str(archive_identity.certificate))
    open_to_all = start_storescp("+tls", *own, "-ic")
    ended = echo(OURS, tmp_path, open_to_all.port, "+tla", "+cf", authority.certificate)

    assert ended.code == 0, ended


def test_a_server_name_is_asked_for(tmp_path: Path, authority: Authority, archive_identity: Identity) -> None:
    own = ("+tls", archive_identity.key, archive_identity.certificate, "-ic", "--expect-sni", "hospital.example")
    with running(OURS, tmp_path, *own) as scp:
        trust = ("+tla", "+cf", authority.certificate, "-ta", 10)
        right, wrong, none = (
            echo(OURS, tmp_path, scp.port, *trust, *name)
            for name in (("--request-sni", "hospital.example"), ("--request-sni", "other.example"), ("--no-sni",))
        )

    assert (right.code, wrong.code, none.code) == (0, 1, 0), (right, wrong, none)


def test_files_of_tls_that_cannot_be_used_are_an_error(tmp_path: Path, authority: Authority) -> None:
    with scripted_scp() as scp:
        ended = echo(OURS, tmp_path, scp.port, "+tls", "no.key", "no.pem", "+cf", authority.certificate)

    assert ended.code == 1
    assert "no.pem" in ended.log[-1] or "no.key" in ended.log[-1]
    assert scp.proposals == []


@both
def test_a_mistake_in_the_command_line_ends_with_1(tmp_path: Path, command: Command) -> None:
    unknown = ran(command, "echoscu", "--no-such-option", folder=tmp_path)
    missing = ran(command, "echoscu", "127.0.0.1", folder=tmp_path)

    assert (unknown.code, missing.code) == (1, 1)
    assert "error: Unknown option --no-such-option" in unknown.error.decode()
    assert "error: Missing parameter port" in missing.error.decode()
