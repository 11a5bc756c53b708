"""TLS policies: what is wrong with which file, which profiles speak what, when files are read again."""

import logging
import ssl
from pathlib import Path

import pytest

from archive.errors import ConnectionLost, Misconfigured, TlsFailed
from archive.upper_layer.tls import PROFILES, Policy, Tls, own_certificate_warning
from archive.upper_layer.tls_session import Session
from tests.fix_tls import Authority, Identity


def shake(client: Session, server: Session) -> None:
    """Carry a handshake between two sessions, to its end or the first failure of either side."""
    done = [False, False]
    for _ in range(10):
        for number, (one, other) in enumerate(((client, server), (server, client))):
            done[number] = done[number] or one.shake_hands()
            if ciphertext := one.take():
                other.feed(memoryview(ciphertext))
        if all(done):
            return
    raise AssertionError("the handshake does not end")


def says(one: Session, other: Session, content: bytes) -> bytes:
    """What the other side reads of what this side says."""
    one.write(content)
    other.feed(memoryview(one.take()))
    room = memoryview(bytearray(100_000))
    return bytes(room[: other.read_into(room)])


def both(
    policy: Policy, calling: Policy, *, host: str = "localhost", checks_host: bool = True
) -> tuple[Session, Session]:
    """A session that calls and one that is called."""
    return Tls(calling).request(host, checks_host=checks_host), Tls(policy).accept()


def test_what_one_side_says_the_other_reads(
    authority: Authority, archive_identity: Identity, modality: Identity
) -> None:
    client, server = both(authority.policy(archive_identity), authority.policy(modality))

    shake(client, server)

    assert says(client, server, b"to the archive") == b"to the archive"
    assert says(server, client, bytes(50_000)) == bytes(50_000)
    assert server.agreed == client.agreed == "TLSv1.3 TLS_AES_256_GCM_SHA384"


def test_each_side_knows_the_verified_certificate_of_the_other(
    authority: Authority, archive_identity: Identity, modality: Identity
) -> None:
    client, server = both(authority.policy(archive_identity), authority.policy(modality))

    shake(client, server)

    assert server.certificate is not None
    assert client.certificate is not None
    assert server.certificate.sha256 == modality.sha256
    assert client.certificate.sha256 == archive_identity.sha256


def test_a_certificate_that_was_not_verified_is_none(
    authority: Authority, archive_identity: Identity, modality: Identity
) -> None:
    client, server = both(authority.policy(archive_identity, client_certificate="ignored"), authority.policy(modality))

    shake(client, server)

    assert server.certificate is None


@pytest.mark.parametrize("mode, is_welcome", [("required", False), ("optional", True), ("ignored", True)])
def test_a_caller_without_certificate_is_welcome_where_none_is_required(
    authority: Authority, archive_identity: Identity, mode: str, is_welcome: bool
) -> None:
    anonymous = Policy(authorities=str(authority.certificate))
    client, server = both(authority.policy(archive_identity, client_certificate=mode), anonymous)

    if is_welcome:
        shake(client, server)
        assert says(client, server, b"hello") == b"hello"
    else:
        with pytest.raises(TlsFailed, match="shows no certificate"):
            shake(client, server)


def test_the_client_hears_of_a_refused_certificate_when_it_reads(
    authority: Authority, archive_identity: Identity
) -> None:
    anonymous = Policy(authorities=str(authority.certificate))
    client, server = both(authority.policy(archive_identity), anonymous)
    with pytest.raises(TlsFailed):
        shake(client, server)
    assert client.is_agreed  # TLS 1.3: for the client the handshake is over by then

    client.feed(memoryview(server.take()))

    with pytest.raises(TlsFailed, match="wants a certificate"):
        client.read_into(memoryview(bytearray(100)))


@pytest.mark.parametrize(
    "host, checks, is_welcome",
    [
        ("localhost", True, True),
        ("127.0.0.1", True, True),
        ("other.example", True, False),
        ("other.example", False, True),
    ],
)
def test_the_name_of_a_called_host_is_checked_where_that_is_asked_for(
    authority: Authority, archive_identity: Identity, modality: Identity, host: str, checks: bool, is_welcome: bool
) -> None:
    client, server = both(authority.policy(archive_identity), authority.policy(modality), host=host, checks_host=checks)

    if is_welcome:
        shake(client, server)
    else:
        with pytest.raises(TlsFailed, match="not accepted") as caught:
            shake(client, server)
        assert "other.example" in str(caught.value)


@pytest.mark.parametrize("side", ["client", "server"])
def test_a_certificate_of_another_authority_is_refused(
    authority: Authority, archive_identity: Identity, modality: Identity, tmp_path: Path, side: str
) -> None:
    strangers = Authority(tmp_path)
    stranger = strangers.issue("stranger")
    called, calling = (archive_identity, stranger) if side == "client" else (stranger, modality)
    client, server = both(authority.policy(called), authority.policy(calling))

    with pytest.raises(TlsFailed) as caught:
        shake(client, server)

    assert "unable to get local issuer certificate" in str(caught.value)


def test_an_expired_certificate_is_refused(authority: Authority, archive_identity: Identity) -> None:
    expired = authority.issue("expired", days=-1)
    client, server = both(authority.policy(archive_identity), authority.policy(expired))

    with pytest.raises(TlsFailed, match="not accepted") as caught:
        shake(client, server)

    assert caught.value.reason == "certificate has expired"


@pytest.mark.parametrize("is_der", [False, True], ids=["PEM", "DER"])
@pytest.mark.parametrize("check", ["leaf", "chain"])
def test_a_revoked_certificate_is_refused_and_no_other(
    authority: Authority, archive_identity: Identity, modality: Identity, check: str, is_der: bool
) -> None:
    revoked = authority.issue("revoked")
    lists = authority.revoke(revoked, name=f"{check}-{is_der}.crl", is_der=is_der)
    policy = authority.policy(archive_identity, revocations=str(lists), revocation_check=check)

    shake(*both(policy, authority.policy(modality)))
    with pytest.raises(TlsFailed) as caught:
        shake(*both(policy, authority.policy(revoked)))

    assert caught.value.reason == "certificate revoked"


def test_authorities_and_revocation_lists_may_lie_in_folders(
    authority: Authority, archive_identity: Identity, modality: Identity, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "other")
    trusted = tmp_path / "trusted"
    trusted.mkdir()
    (trusted / "one.crt").write_bytes(authority.certificate.read_bytes())
    (trusted / "two.crt").write_bytes(other.certificate.read_bytes())
    (trusted / "README").write_text("who is who")
    (trusted / "one.r0").write_bytes(authority.revoke(name="none.pem").read_bytes())
    revoked, welcome = other.issue("revoked"), other.issue("welcome")
    (trusted / "two.r0").write_bytes(other.revoke(revoked).read_bytes())
    policy = authority.policy(archive_identity, authorities=str(trusted), revocations=str(trusted))

    for caller in (authority.policy(modality), other.policy(welcome, authorities=str(trusted))):
        shake(*both(policy, caller))
    with pytest.raises(TlsFailed, match="not accepted"):
        shake(*both(policy, other.policy(revoked, authorities=str(trusted))))


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_speaks_its_versions_and_nothing_older(
    authority: Authority, archive_identity: Identity, name: str
) -> None:
    profile = PROFILES[name]
    policy = authority.policy(archive_identity, profile=name, client_certificate="ignored")
    for version, works in (
        (ssl.TLSVersion.TLSv1_3, profile.newest is ssl.TLSVersion.TLSv1_3),
        (ssl.TLSVersion.TLSv1_2, "ECDSA" in profile.ciphers),  # the certificate has a key on an elliptic curve
    ):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(authority.certificate)
        context.minimum_version = context.maximum_version = version
        client, server = Session(context, host="localhost"), Tls(policy).accept()
        if works:
            shake(client, server)
            assert client.agreed.startswith(version.name.replace("_", ".", 1))
        else:
            with pytest.raises(TlsFailed):
                shake(client, server)


def test_cipher_suites_may_be_named(authority: Authority, archive_identity: Identity, modality: Identity) -> None:
    chosen = "ECDHE-ECDSA-CHACHA20-POLY1305"
    limited = {"profile": "bcp195-extended", "ciphers": chosen}
    client, server = both(authority.policy(archive_identity, **limited), authority.policy(modality, ciphers=chosen))

    shake(client, server)

    assert server.agreed == f"TLSv1.2 {chosen}"
    with pytest.raises(TlsFailed, match="no cipher suite in common"):
        shake(*both(authority.policy(archive_identity, **limited), authority.policy(modality)))


def test_what_is_not_tls_is_named(authority: Authority, archive_identity: Identity) -> None:
    tls = Tls(authority.policy(archive_identity))

    for said, sentence in ((b"\1\0\0\0\0\xcd", "plain DICOM on the TLS port"), (b"GET / HTTP/1.1", "neither TLS nor")):
        with pytest.raises(TlsFailed, match=sentence):
            tls.accept().feed(memoryview(said))
    with pytest.raises(TlsFailed, match="speaks plain DICOM on this port"):
        tls.request("localhost", checks_host=True).feed(memoryview(b"\7\0\0\0\0\4\0\0\2\1"))


def test_the_end_of_what_a_peer_says_is_a_lost_connection(
    authority: Authority, archive_identity: Identity, modality: Identity
) -> None:
    client, server = both(authority.policy(archive_identity), authority.policy(modality))
    shake(client, server)
    client.write(b"last words")
    client.close()
    server.feed(memoryview(client.take()))
    room = memoryview(bytearray(100))

    assert server.read_into(room) == 10
    with pytest.raises(ConnectionLost):
        server.read_into(room)


def test_damaged_ciphertext_is_a_failure(authority: Authority, archive_identity: Identity, modality: Identity) -> None:
    client, server = both(authority.policy(archive_identity), authority.policy(modality))
    shake(client, server)
    client.write(b"content")
    ciphertext = bytearray(client.take())
    ciphertext[-1] ^= 1
    server.feed(memoryview(ciphertext))

    with pytest.raises(TlsFailed):
        server.read_into(memoryview(bytearray(100)))


# Files


def complaint(policy: Policy) -> str:
    with pytest.raises(Misconfigured) as caught:
        Tls(policy).check()
    return str(caught.value)


@pytest.mark.parametrize(
    "field, setting",
    [
        ("certificate", "tls_certificate"),
        ("key", "tls_key"),
        ("authorities", "tls_ca"),
        ("revocations", "tls_crl"),
        ("password_file", "tls_key_password_file"),
    ],
)
def test_a_file_that_is_missing_is_named(
    authority: Authority, archive_identity: Identity, field: str, setting: str
) -> None:
    policy = authority.policy(archive_identity, **{field: "/nowhere/file.pem"})

    assert complaint(policy) == f"{setting} = /nowhere/file.pem: cannot be read: No such file or directory"


@pytest.mark.parametrize(
    "field, setting, noun",
    [
        ("certificate", "tls_certificate", "certificate"),
        ("key", "tls_key", "private key"),
        ("authorities", "tls_ca", "certificate"),
        ("revocations", "tls_crl", "revocation list"),
    ],
)
def test_a_file_of_something_else_is_named(
    authority: Authority, archive_identity: Identity, tmp_path: Path, field: str, setting: str, noun: str
) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("nothing of that kind")

    said = complaint(authority.policy(archive_identity, **{field: str(file)}))

    assert said.startswith(f"{setting} = {file}: ")
    assert f"no {noun} in" in said


@pytest.mark.parametrize(
    "field, label",
    [
        ("certificate", "CERTIFICATE"),
        ("key", "PRIVATE KEY"),
        ("authorities", "CERTIFICATE"),
        ("revocations", "X509 CRL"),
    ],
)
def test_a_damaged_file_is_named(
    authority: Authority, archive_identity: Identity, tmp_path: Path, field: str, label: str
) -> None:
    file = tmp_path / "damaged.pem"
    file.write_text(f"-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n")

    assert str(file) in complaint(authority.policy(archive_identity, **{field: str(file)}))


def test_a_key_of_another_certificate_is_named(
    authority: Authority, archive_identity: Identity, modality: Identity
) -> None:
    said = complaint(authority.policy(archive_identity, key=str(modality.key)))

    assert said == f"The key in {modality.key} is not that of the certificate in {archive_identity.certificate}"


def test_the_password_of_a_key_is_needed_and_must_fit(
    authority: Authority, archive_identity: Identity, tmp_path: Path
) -> None:
    key = str(authority.protect(archive_identity, "open sesame"))
    file = tmp_path / "password"
    file.write_text("open sesame\n")

    Tls(authority.policy(archive_identity, key=key, password="open sesame")).check()
    Tls(authority.policy(archive_identity, key=key, password_file=str(file))).check()

    assert complaint(authority.policy(archive_identity, key=key)).startswith(
        f"The key in {key} has a password; give it"
    )
    said = complaint(authority.policy(archive_identity, key=key, password="guess"))
    assert said == f"The password does not open the key in {key}"


def test_certificate_and_key_may_lie_in_one_file(
    authority: Authority, archive_identity: Identity, tmp_path: Path
) -> None:
    file = tmp_path / "both.pem"
    file.write_text(archive_identity.key.read_text() + archive_identity.pem)

    Tls(authority.policy(archive_identity, certificate=str(file), key="")).check()


def test_who_lets_others_call_needs_a_certificate_and_somebody_to_trust(
    authority: Authority, archive_identity: Identity
) -> None:
    assert "tls_certificate is not" in complaint(authority.policy(archive_identity, certificate="", key=""))
    assert "needs tls_ca" in complaint(authority.policy(archive_identity, authorities=""))
    assert "needs tls_ca" in complaint(
        authority.policy(archive_identity, authorities="", client_certificate="optional")
    )
    Tls(authority.policy(archive_identity, authorities="", client_certificate="ignored")).check()


def test_cipher_suites_that_nobody_knows_are_named(authority: Authority, archive_identity: Identity) -> None:
    said = complaint(authority.policy(archive_identity, ciphers="ROT13"))

    assert said == "tls_ciphers = ROT13: names no cipher suite that OpenSSL knows"


def test_files_are_read_again_when_they_change_and_bad_ones_change_nothing(
    authority: Authority, modality: Identity, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = Authority(tmp_path)
    identity = own.issue("renewed")
    policy = own.policy(identity, authorities=str(authority.certificate))
    tls = Tls(policy)
    calling = authority.policy(modality, authorities=str(own.certificate))

    def shown() -> str:
        client, server = Tls(calling).request("localhost", checks_host=True), tls.accept()
        shake(client, server)
        assert client.certificate is not None
        return client.certificate.sha256

    first = identity.sha256
    assert shown() == first
    own.issue("renewed")
    assert shown() == identity.sha256 != first
    identity.key.write_text("damaged")
    with caplog.at_level(logging.ERROR):
        renewed = shown()
        shown()

    assert renewed == identity.sha256
    assert len(caplog.records) == 1
    assert str(identity.key) in caplog.text


@pytest.mark.parametrize("days, said", [(-1, "has expired on"), (10, "expires on"), (100, None)])
def test_our_own_certificate_is_named_before_its_end(
    authority: Authority, days: int, said: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    identity = authority.issue(f"ends-in-{days}", days=days)

    with caplog.at_level(logging.WARNING):
        Tls(authority.policy(identity)).check()

    warning = own_certificate_warning(authority.policy(identity))
    assert (warning is None) == (said is None)
    assert [record.getMessage() for record in caplog.records] == ([warning] if warning else [])
    assert said is None or (said in caplog.text and str(identity.certificate) in caplog.text)
