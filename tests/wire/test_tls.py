"""DICOM over TLS: who is let through to the association, what is said of who is not, and that nothing else changes."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from archive.registry import changes
from tests.fix_association import in_background
from tests.fix_dcmtk import Dcmtk, Ran, Receiver
from tests.fix_instances import ct, data_set_bytes, encoded, instance
from tests.fix_service import Service
from tests.fix_tls import Authority, Identity
from tests.wire.raw_messages import (
    DATA,
    LAST_DATA,
    SECONDARY_CAPTURE,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
    Ended,
    Message,
    Proposed,
    associate_rq,
    pdu,
    pdv,
)
from tests.wire.raw_scu import RawScu
from tests.wire.running import Archive, identifier, start_archive

HALF_BYTES = 100_000  # of a data set of 180 KB


def options(authority: Authority, identity: Identity, *more: object) -> tuple[str, ...]:
    """What `archive serve` is told."""
    given = (
        *("--tls-port", "0", "--tls-certificate", identity.certificate, "--tls-key", identity.key),
        *("--tls-ca", authority.certificate, *more),
    )
    return tuple(map(str, given))


@pytest.fixture(scope="module")
def shared_tls_archive(
    served_on: str,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    authority: Authority,
    archive_identity: Identity,
) -> Iterator[Archive]:
    """An archive with a port for TLS beside the other, where callers must show a certificate."""
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp(f"tls-{served_on}")
        yield start_archive(stack, request, served_on, folder, *options(authority, archive_identity))


@pytest.fixture
def tls_archive(shared_tls_archive: Archive, request: pytest.FixtureRequest) -> Iterator[Archive]:
    """The same with a title of this test's own."""
    shared_tls_archive.title = shared_tls_archive.add_title()
    already = len(shared_tls_archive.service.output())
    yield shared_tls_archive
    log = shared_tls_archive.service.output()[already:]
    request.node.add_report_section("teardown", "log of the archive", log)
    assert "defect" not in log


class Said:
    """What the archive writes to its log from now on."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._already = len(archive.service.output())

    def line(self, *words: str) -> str:
        """The first line with all of these words, for which we wait."""

        def found() -> str:
            lines = self._archive.service.output()[self._already :].splitlines()
            return next((line for line in lines if all(word in line for word in words)), "")

        assert self._archive.becomes_true(lambda: bool(found())), f"no line says {words}"
        return found()


def secure(identity: Identity | None, authority: Authority, *more: object) -> tuple[object, ...]:
    """DCMTK's options for TLS: with a certificate, or with none."""
    own = ("+tla",) if identity is None else ("+tls", identity.key, identity.certificate)
    return (*own, "+cf", authority.certificate, *more)


def echo(dcmtk: Dcmtk, archive: Archive, *secured: object, calling: str = "ECHOSCU") -> Ran:
    port = archive.service.tls_port
    return dcmtk.run("echoscu", *secured, "-aet", calling, "-aec", archive.title, "localhost", port)


def context_of(identity: Identity | None, authority: Authority) -> ssl.SSLContext:
    """For clients of Python."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority.certificate)
    if identity is not None:
        context.load_cert_chain(identity.certificate, identity.key)
    return context


def secure_scu(archive: Archive, identity: Identity, authority: Authority) -> RawScu:
    """A raw requestor that has shaken hands."""
    scu = RawScu(archive.service.tls_port)
    scu.socket = context_of(identity, authority).wrap_socket(scu.socket, server_hostname="localhost")
    return scu


# Who is let through


def test_tls_and_plain_ports_are_open_side_by_side(
    tls_archive: Archive, dcmtk: Dcmtk, authority: Authority, modality: Identity
) -> None:
    secured = echo(dcmtk, tls_archive, *secure(modality, authority))
    plain = dcmtk.echo(tls_archive.port, called=tls_archive.title.name)

    assert secured.is_ok, secured
    assert plain.is_ok, plain


def test_a_caller_without_certificate_is_refused_and_named(
    tls_archive: Archive, dcmtk: Dcmtk, authority: Authority
) -> None:
    said = Said(tls_archive)

    ran = echo(dcmtk, tls_archive, *secure(None, authority))

    assert not ran.is_ok, ran
    assert "WARNING" in said.line("The peer shows no certificate, and one is required", "peer=127.0.0.1")


def test_a_certificate_that_has_expired_is_refused_and_named(
    tls_archive: Archive, dcmtk: Dcmtk, authority: Authority
) -> None:
    said = Said(tls_archive)

    ran = echo(dcmtk, tls_archive, *secure(authority.issue("old", days=-1), authority))

    assert not ran.is_ok, ran
    said.line("certificate of the peer is not accepted", "certificate has expired", "peer=127.0.0.1")


def test_a_certificate_of_an_unknown_authority_is_refused_and_named(
    tls_archive: Archive, dcmtk: Dcmtk, authority: Authority, tmp_path: Path
) -> None:
    said = Said(tls_archive)
    stranger = Authority(tmp_path / "strangers").issue("stranger")

    ran = echo(dcmtk, tls_archive, *secure(stranger, authority))

    assert not ran.is_ok, ran
    said.line("certificate of the peer is not accepted", "unable to get local issuer certificate")


def test_a_client_that_does_not_trust_us_is_named(
    tls_archive: Archive, dcmtk: Dcmtk, modality: Identity, tmp_path: Path
) -> None:
    said = Said(tls_archive)

    ran = echo(dcmtk, tls_archive, *secure(modality, Authority(tmp_path / "strangers")))

    assert not ran.is_ok, ran
    said.line("does not accept the certificate of the archive", "peer=127.0.0.1")


def test_plain_dicom_on_the_tls_port_is_named(tls_archive: Archive, dcmtk: Dcmtk) -> None:
    said = Said(tls_archive)

    ran = dcmtk.echo(tls_archive.service.tls_port, called=tls_archive.title.name)

    assert not ran.is_ok, ran
    assert "WARNING" in said.line("speaks plain DICOM on the TLS port", "peer=127.0.0.1")


def test_tls_on_the_plain_port_is_named(
    tls_archive: Archive, dcmtk: Dcmtk, authority: Authority, modality: Identity
) -> None:
    said = Said(tls_archive)

    ran = dcmtk.run("echoscu", *secure(modality, authority), "localhost", tls_archive.port)

    assert not ran.is_ok, ran
    assert "WARNING" in said.line("speaks TLS on the port without TLS", "peer=127.0.0.1")


@pytest.mark.parametrize("mode, anonymous, stranger", [("optional", True, False), ("ignored", True, True)])
def test_a_certificate_may_be_optional_or_ignored(
    start_own_archive: Callable[..., Archive],
    dcmtk: Dcmtk,
    authority: Authority,
    archive_identity: Identity,
    modality: Identity,
    tmp_path: Path,
    mode: str,
    anonymous: bool,
    stranger: bool,
) -> None:
    archive = start_own_archive(*options(authority, archive_identity, "--tls-client-certificate", mode))
    unknown = Authority(tmp_path / "strangers").issue("stranger")

    assert echo(dcmtk, archive, *secure(modality, authority)).is_ok
    assert echo(dcmtk, archive, *secure(None, authority)).is_ok == anonymous
    assert echo(dcmtk, archive, *secure(unknown, authority)).is_ok == stranger


def test_a_certificate_that_was_revoked_is_refused_from_the_next_connection_on(
    start_own_archive: Callable[..., Archive],
    dcmtk: Dcmtk,
    authority: Authority,
    archive_identity: Identity,
    modality: Identity,
) -> None:
    lost = authority.issue("lost")
    lists = authority.revoke(name="of-this-test.pem")
    archive = start_own_archive(*options(authority, archive_identity, "--tls-crl", lists))
    said = Said(archive)
    before = echo(dcmtk, archive, *secure(lost, authority))

    authority.revoke(lost, name="of-this-test.pem")
    after = echo(dcmtk, archive, *secure(lost, authority))
    other = echo(dcmtk, archive, *secure(modality, authority))

    assert before.is_ok, before
    assert not after.is_ok, after
    assert other.is_ok, other
    said.line("certificate of the peer is not accepted", "certificate revoked")


def test_no_cipher_suite_in_common_is_named(
    start_own_archive: Callable[..., Archive],
    dcmtk: Dcmtk,
    authority: Authority,
    archive_identity: Identity,
    modality: Identity,
) -> None:
    only = ("--tls-profile", "bcp195-extended", "--tls-ciphers", "ECDHE-ECDSA-CHACHA20-POLY1305")
    archive = start_own_archive(*options(authority, archive_identity, *only))
    said = Said(archive)

    refused = echo(dcmtk, archive, *secure(modality, authority))
    with_it = ("+cs", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256")
    welcome = echo(dcmtk, archive, *secure(modality, authority, *with_it))

    assert not refused.is_ok, refused
    assert welcome.is_ok, welcome
    said.line("no cipher suite in common", "peer=127.0.0.1")


@pytest.mark.parametrize("theirs", ["+py", "+pz"])
@pytest.mark.parametrize(
    "profile", ["bcp195-rfc8996", "bcp195-rfc8996-modified", "bcp195-non-downgrading", "bcp195-extended"]
)
def test_dcmtks_profiles_meet_ours(
    start_own_archive: Callable[..., Archive],
    dcmtk: Dcmtk,
    authority: Authority,
    modality: Identity,
    profile: str,
    theirs: str,
) -> None:
    rsa = authority.issue("archive-rsa", is_rsa=True)
    archive = start_own_archive(*options(authority, rsa, "--tls-profile", profile))

    ran = echo(dcmtk, archive, *secure(modality, authority, theirs))

    assert ran.is_ok, ran


def test_the_plain_port_may_be_switched_off_and_the_key_have_a_password(
    start_service: Callable[..., Service],
    dcmtk: Dcmtk,
    authority: Authority,
    archive_identity: Identity,
    modality: Identity,
    tmp_path: Path,
) -> None:
    protected = authority.protect(archive_identity, "sesame")
    (tmp_path / "password").write_text("sesame\n")
    password = ("--tls-key", str(protected), "--tls-key-password-file", str(tmp_path / "password"))
    service = start_service("--port", "off", *options(authority, archive_identity), *password)

    assert not (service.data / "archive.port").exists()
    ran = dcmtk.run("echoscu", *secure(modality, authority), "-aec", "ARCHIVE", "localhost", service.tls_port)
    assert ran.is_ok, ran
    assert "listening on 127.0.0.1" in service.output()


# Nothing else changes


def test_what_is_stored_over_tls_comes_back_over_tls_to_the_byte(
    tls_archive: Archive, dcmtk: Dcmtk, files_of: Callable[..., list[Path]], authority: Authority, modality: Identity
) -> None:
    [large] = files_of(instance(side_pixels=4000))  # 32 MB
    port, title = tls_archive.service.tls_port, tls_archive.title
    called = (*secure(modality, authority), "-aec", title)

    stored = dcmtk.run("storescu", *called, "localhost", port, large)
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={instance().StudyInstanceUID}")
    found = dcmtk.run("findscu", "-v", "-S", *called, *keys, "localhost", port)
    with secure_scu(tls_archive, modality, authority) as scu:  # getscu of 3.6.7 knows no TLS
        contexts = [Proposed(STUDY_ROOT_GET), Proposed(SECONDARY_CAPTURE)]
        scu.associate(contexts, called=title.name, roles={SECONDARY_CAPTURE: (0, 1)})
        study = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=instance().StudyInstanceUID)
        got = scu.get(STUDY_ROOT_GET, study)
        scu.release()

    assert stored.is_ok, stored
    assert found.is_ok, found
    assert "Pending" in found.output
    [file] = tls_archive.files(title.area)
    assert data_set_bytes(file) == data_set_bytes(large) == got.data_sets[instance().SOPInstanceUID]


def test_many_small_instances_over_one_association_are_all_kept(
    tls_archive: Archive, authority: Authority, modality: Identity
) -> None:
    instances = [ct(number=number, side_pixels=64) for number in range(1, 101)]
    with secure_scu(tls_archive, modality, authority) as scu:
        scu.associate([Proposed(instances[0].SOPClassUID)], called=tls_archive.title.name)
        for each in instances:
            assert scu.store(each.SOPClassUID, each.SOPInstanceUID, encoded(each)).status == 0
        scu.release()

    assert tls_archive.rows(tls_archive.title.area) == 100


def test_pdus_that_come_with_the_end_of_the_handshake_are_read(
    tls_archive: Archive, authority: Authority, modality: Identity
) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context_of(modality, authority).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with RawScu(tls_archive.service.tls_port) as scu:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                scu.socket.sendall(outgoing.read())
                incoming.write(scu.socket.recv(65536))
        tls.write(associate_rq([Proposed(VERIFICATION)], called=tls_archive.title.name))
        scu.socket.sendall(outgoing.read())  # our Finished and the request in one segment

        answered = b""
        while not answered:
            incoming.write(scu.socket.recv(65536))
            try:
                answered = tls.read(65536)
            except ssl.SSLWantReadError:
                continue

    assert answered[0] == 2


def test_a_client_that_never_finishes_its_handshake_is_closed_and_holds_up_nobody(
    start_own_archive: Callable[..., Archive],
    dcmtk: Dcmtk,
    authority: Authority,
    archive_identity: Identity,
    modality: Identity,
) -> None:
    archive = start_own_archive(*options(authority, archive_identity), "--acse-timeout", "5")
    silent = [RawScu(archive.service.tls_port) for _ in range(10)]

    others = echo(dcmtk, archive, *secure(modality, authority))

    assert others.is_ok, others
    for scu in silent:
        assert scu.hears_end() is None
        scu.socket.close()


def test_a_drain_ends_idle_tls_associations_at_once_and_lets_a_store_finish(
    start_own_archive: Callable[..., Archive], authority: Authority, archive_identity: Identity, modality: Identity
) -> None:
    archive = start_own_archive(*options(authority, archive_identity))
    title = archive.title.name
    sent = instance(side_pixels=300)
    with (
        secure_scu(archive, modality, authority) as idle,
        secure_scu(archive, modality, authority) as busy,
        secure_scu(archive, modality, authority) as undecided,
    ):
        idle.associate([Proposed(VERIFICATION)], called=title)
        assert idle.echo() == 0
        busy.associate([Proposed(SECONDARY_CAPTURE)], called=title)
        busy.announce_store(SECONDARY_CAPTURE, sent.SOPInstanceUID)
        busy.says(pdu(0x04, pdv(1, DATA, encoded(sent)[:HALF_BYTES])))
        assert archive.becomes_true(archive.is_receiving)

        stopping = in_background(archive.service.stop)
        assert idle.hears_end() == (0, 0)
        with pytest.raises(Ended):
            undecided.hears()
        busy.says(pdu(0x04, pdv(1, LAST_DATA, encoded(sent)[HALF_BYTES:])))
        status = busy.receive().status
        assert busy.hears_end() == (0, 0)
        code = stopping.result(20)

    assert status == 0
    assert code == 0


# Peers that we call


def move(archive: Archive, destination: str) -> list[Message]:
    with archive.associate(Proposed(STUDY_ROOT_MOVE)) as scu:
        study = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=instance().StudyInstanceUID)
        responses = scu.move(STUDY_ROOT_MOVE, study, destination)
        scu.release()
    return responses


def listens_in_tls(identity: Identity, authority: Authority, *more: object) -> tuple[str, ...]:
    """Options of storescp."""
    return tuple(map(str, ("+tls", identity.key, identity.certificate, "+cf", authority.certificate, "+xa", *more)))


def test_a_move_goes_to_a_peer_in_tls_which_sees_our_certificate(
    tls_archive: Archive, start_storescp: Callable[..., Receiver], authority: Authority, modality: Identity
) -> None:
    receiver = start_storescp(*listens_in_tls(modality, authority, "-rc"))
    sent = [ct(number=number, side_pixels=512) for number in range(4)]
    tls_archive.store(*sent)

    final = move(tls_archive, tls_archive.add_peer(receiver.port, host="localhost", uses_tls=True))[-1]

    assert (final.status, final.counters) == (0, (None, 4, 0, 0))
    assert sorted(data_set_bytes(file) for file in receiver.files()) == sorted(map(encoded, sent))


@pytest.mark.parametrize(
    "host, security, trouble",
    [
        ("localhost", {}, None),  # the plain one, at a port that is not
        ("localhost", {"uses_tls": True}, "certificate of the peer is not accepted"),
        ("localhost", {"uses_tls": True, "checks_host": False}, ""),
    ],
    ids=["without TLS", "another name", "name not checked"],
)
def test_a_move_to_a_peer_whose_certificate_names_another_host(
    tls_archive: Archive,
    start_storescp: Callable[..., Receiver],
    authority: Authority,
    host: str,
    security: dict[str, Any],
    trouble: str | None,
) -> None:
    elsewhere = authority.issue("elsewhere", "elsewhere.example")
    receiver = start_storescp(*listens_in_tls(elsewhere, authority))
    tls_archive.store(instance())

    final = move(tls_archive, tls_archive.add_peer(receiver.port, host=host, **security))[-1]

    if trouble == "":
        assert final.status == 0
        assert len(receiver.files()) == 1
    else:
        assert final.status == 0xA702
        assert trouble is None or trouble in final.comment
        assert receiver.files() == []


def test_a_move_in_tls_to_a_peer_that_speaks_none_says_so(
    tls_archive: Archive, start_storescp: Callable[..., Receiver]
) -> None:
    receiver = start_storescp("+xa")
    said = Said(tls_archive)
    tls_archive.store(instance())

    final = move(tls_archive, tls_archive.add_peer(receiver.port, uses_tls=True))[-1]

    assert final.status == 0xA702
    said.line("the destination failed")


def test_a_move_into_the_archive_itself_goes_through_tls_too(tls_archive: Archive) -> None:
    tls_archive.store(instance())
    other = tls_archive.add_title()
    itself = tls_archive.add_peer(tls_archive.service.tls_port, other.name, host="localhost", uses_tls=True)

    final = move(tls_archive, itself)[-1]

    assert final.status == 0
    assert tls_archive.rows(other.area) == 1


def test_peer_echo_in_tls_tells_what_was_agreed_or_the_reason(
    tls_archive: Archive, authority: Authority, modality: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = tls_archive.service
    name = tls_archive.add_peer(service.tls_port, tls_archive.title.name, host="localhost", uses_tls=True)
    monkeypatch.setenv("ARCHIVE_TLS_CA", str(authority.certificate))

    anonymous = service.run("peer", "echo", name, code=1)
    monkeypatch.setenv("ARCHIVE_TLS_CERTIFICATE", str(modality.certificate))
    monkeypatch.setenv("ARCHIVE_TLS_KEY", str(modality.key))
    answered = service.run("peer", "echo", name)
    monkeypatch.setenv("ARCHIVE_TLS_CA", str(Authority(tmp_path / "strangers").certificate))
    untrusted = service.run("peer", "echo", name, code=1)
    monkeypatch.setenv("ARCHIVE_TLS_CA", "nowhere")
    misconfigured = service.run("peer", "echo", name, code=1)

    assert anonymous.startswith("The peer wants a certificate that the archive does not show; see tls_certificate")
    assert "ms over TLSv1.3 TLS_AES_256_GCM_SHA384." in answered
    assert untrusted.startswith("The certificate of the peer is not accepted: self-signed certificate in certificate")
    assert misconfigured == "tls_ca = nowhere: cannot be read: No such file or directory.\n"


# A certificate bound to a title


@pytest.mark.parametrize("form", ["sha256", "subject", "san"])
def test_the_owner_of_a_certificate_alone_may_use_its_title(
    tls_archive: Archive, dcmtk: Dcmtk, authority: Authority, modality: Identity, form: str
) -> None:
    owner = authority.issue(f"owner-{form}", "owner.example")
    names = {"sha256": f"sha256:{owner.sha256}", "subject": f"subject:CN={owner.name}", "san": "san:dns:owner.example"}
    title = tls_archive.add_peer(104, f"OWNER_{form.upper()}", host="localhost", certificate=names[form])
    said = Said(tls_archive)

    own = echo(dcmtk, tls_archive, *secure(owner, authority), calling=title)
    stranger = echo(dcmtk, tls_archive, *secure(modality, authority), calling=title)
    plain = dcmtk.echo(tls_archive.port, called=tls_archive.title.name, calling=title)
    other_title = echo(dcmtk, tls_archive, *secure(owner, authority), calling="OTHER")

    assert own.is_ok, own
    assert other_title.is_ok, other_title
    for refused in (stranger, plain):
        assert not refused.is_ok, refused
        assert "Calling AE Title Not Recognized" in refused.output
    said.line("association rejected", f"{title} may only be used with the certificate of peer {title}")


def test_a_certificate_that_nobody_verified_binds_nothing(
    start_own_archive: Callable[..., Archive],
    dcmtk: Dcmtk,
    authority: Authority,
    archive_identity: Identity,
    modality: Identity,
) -> None:
    archive = start_own_archive(*options(authority, archive_identity, "--tls-client-certificate", "ignored"))
    title = archive.add_peer(104, "OWNER", certificate=f"sha256:{modality.sha256}")

    assert not echo(dcmtk, archive, *secure(modality, authority), calling=title).is_ok
    assert echo(dcmtk, archive, *secure(modality, authority), calling="OTHER").is_ok


def test_a_rule_for_a_peer_speaks_of_the_owner_of_its_certificate_only(
    tls_archive: Archive, dcmtk: Dcmtk, authority: Authority, modality: Identity
) -> None:
    owner = authority.issue("owner")
    tls_archive.title = tls_archive.add_title(is_open=False)
    peer = tls_archive.add_peer(104, "SCANNER1", host="localhost", certificate="subject:CN=owner")
    tls_archive.change(lambda connection: changes.add_rule(connection, tls_archive.title.name, allows=True, peer=peer))

    assert echo(dcmtk, tls_archive, *secure(owner, authority), calling=peer).is_ok
    assert not echo(dcmtk, tls_archive, *secure(modality, authority), calling=peer).is_ok


# What is wrong at the start is said


@pytest.mark.parametrize("wrong", ["password", "key", "missing", "both off"])
def test_files_that_cannot_be_used_end_the_start_with_a_sentence(
    start_own_archive: Callable[..., Archive],
    authority: Authority,
    archive_identity: Identity,
    modality: Identity,
    wrong: str,
) -> None:
    archive = start_own_archive()
    protected = authority.protect(archive_identity, "sesame")
    given = {
        "--tls-port": "0",
        "--port": "0",
        "--tls-certificate": archive_identity.certificate,
        "--tls-key": archive_identity.key,
        "--tls-ca": authority.certificate,
    }
    change, sentence = {
        "password": ({"--tls-key": protected}, f"The key in {protected} has a password; give it by"),
        "key": ({"--tls-key": modality.key}, f"The key in {modality.key} is not that of the certificate"),
        "missing": ({"--tls-ca": "nowhere"}, "tls_ca = nowhere: cannot be read: No such file or directory."),
        "both off": ({"--port": "off", "--tls-port": "off"}, "port and tls_port are both off"),
    }[wrong]

    said = archive.service.run_program("serve", *(word for pair in (given | change).items() for word in pair), code=2)

    assert sentence in said
    assert "Traceback" not in said
