"""Files of TLS in PEM and DER, several of a kind; server names, ignored certificates, and DHE."""

import re
import ssl
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from archive.errors import Misconfigured, TlsFailed
from archive.upper_layer import cipher_suites, tls_files
from archive.upper_layer.tls import Policy, Tls, cipher_suites_known, own_certificate_warning, random_bytes, seed
from tests.fix_tls import Authority, Identity
from tests.unit.upper_layer.test_tls import both, complaint, shake

DER = serialization.Encoding.DER
FORMATS = {
    "PKCS 8": serialization.PrivateFormat.PKCS8,
    "of its own type": serialization.PrivateFormat.TraditionalOpenSSL,
}


def key_in_der(identity: Identity, form: serialization.PrivateFormat, folder: Path, password: str = "") -> Path:
    """The private key of `identity` again, in DER."""
    key = serialization.load_pem_private_key(identity.key.read_bytes(), None)
    secret = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    file = folder / "key.der"
    file.write_bytes(key.private_bytes(DER, form, secret))
    return file


def certificate_in_der(identity: Identity, folder: Path) -> Path:
    file = folder / f"{identity.name}.der"
    file.write_bytes(identity.parsed.public_bytes(DER))
    return file


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("is_rsa", [True, False], ids=["RSA", "ECDSA"])
def test_certificate_and_key_may_be_in_der(
    authority: Authority, modality: Identity, tmp_path: Path, form: str, is_rsa: bool
) -> None:
    own = authority.issue(f"in-der-{is_rsa}-{form.split()[0]}", is_rsa=is_rsa)
    files = {
        "certificate": str(certificate_in_der(own, tmp_path)),
        "key": str(key_in_der(own, FORMATS[form], tmp_path)),
    }
    policy = authority.policy(own, **files)
    client, server = both(policy, authority.policy(modality))

    shake(client, server)

    assert client.certificate is not None
    assert client.certificate.sha256 == own.sha256
    assert own_certificate_warning(policy) is None
    assert not tls_files.is_encrypted("tls_key", files["key"])


def test_a_key_in_der_may_have_a_password(authority: Authority, archive_identity: Identity, tmp_path: Path) -> None:
    key = str(key_in_der(archive_identity, FORMATS["PKCS 8"], tmp_path, "open sesame"))

    Tls(authority.policy(archive_identity, key=key, password="open sesame")).check()

    assert tls_files.is_encrypted("tls_key", key)
    assert "has a password" in complaint(authority.policy(archive_identity, key=key))
    assert "does not open the key" in complaint(authority.policy(archive_identity, key=key, password="guess"))


def test_a_key_in_pem_says_whether_it_has_a_password(authority: Authority, archive_identity: Identity) -> None:
    assert tls_files.is_encrypted("tls_key", str(authority.protect(archive_identity, "x")))
    assert not tls_files.is_encrypted("tls_key", str(archive_identity.key))


@pytest.mark.parametrize("data", [b"\x30\x03\x02\x01\x00", b"\x30\x00", b"\x30\x82\xff", b"\x30"])
def test_der_that_is_no_key_is_named(
    authority: Authority, archive_identity: Identity, tmp_path: Path, data: bytes
) -> None:
    file = tmp_path / "key.der"
    file.write_bytes(data)

    said = complaint(authority.policy(archive_identity, key=str(file)))

    assert said == f"tls_key = {file}: holds no private key; see openssl pkey -inform der"


def test_authorities_may_be_several_files_and_folders_in_both_formats(
    authority: Authority, archive_identity: Identity, modality: Identity, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "other")
    stranger = other.issue("stranger")
    folder = tmp_path / "trusted"
    folder.mkdir()
    (folder / "ca.der").write_bytes(ssl.PEM_cert_to_DER_cert(other.certificate.read_text()))
    (folder / "key.der").write_bytes(key_in_der(stranger, FORMATS["PKCS 8"], tmp_path).read_bytes())
    policy = authority.policy(archive_identity, authorities=f"{authority.certificate}:{folder}")

    for caller in (authority.policy(modality), other.policy(stranger, authorities=str(authority.certificate))):
        shake(*both(policy, caller))

    missing = authority.policy(archive_identity, authorities=f"{authority.certificate}:{tmp_path / 'nowhere'}")
    assert complaint(missing) == f"tls_ca = {tmp_path / 'nowhere'}: cannot be read: No such file or directory"


def test_revocation_lists_may_be_several_files(
    authority: Authority, archive_identity: Identity, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "other")
    good, revoked = other.issue("good"), other.issue("gone")
    lists = f"{authority.revoke(name='none.crl')}:{other.revoke(revoked, name='other.crl', is_der=True)}"
    trusted = f"{authority.certificate}:{other.certificate}"
    policy = authority.policy(archive_identity, authorities=trusted, revocations=lists)

    shake(*both(policy, other.policy(good, authorities=trusted)))

    with pytest.raises(TlsFailed, match="revoked"):
        shake(*both(policy, other.policy(revoked, authorities=trusted)))


def test_only_the_expected_server_name_may_be_asked_for(
    authority: Authority, archive_identity: Identity, modality: Identity
) -> None:
    policy = authority.policy(archive_identity, expected_name="archive.example")

    def asking(name: str) -> Policy:
        return authority.policy(modality, requested_name=name)

    for name in ("archive.example", "off"):
        shake(*both(policy, asking(name), checks_host=False))
    for name in ("another.example", "host"):
        with pytest.raises(TlsFailed, match="another server name"):
            shake(*both(policy, asking(name), checks_host=False))
    with pytest.raises(TlsFailed, match="another server name"):  # the host that is checked is asked for
        shake(*both(policy, asking("archive.example")))


def test_the_certificate_of_who_is_called_may_be_ignored(
    authority: Authority, archive_identity: Identity, modality: Identity, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path / "other").issue("stranger", "elsewhere.example")
    calling = authority.policy(modality)
    called = authority.policy(stranger)

    with pytest.raises(TlsFailed, match="not accepted"):
        shake(*both(called, calling, checks_host=False))

    for checks_host in (True, False):
        client, server = both(called, authority.policy(modality, server_certificate="ignored"), checks_host=checks_host)
        shake(client, server)
        assert client.certificate is None
        assert server.certificate is not None


def test_dhe_needs_parameters(authority: Authority, modality: Identity, tmp_path: Path) -> None:
    own = authority.issue("with-rsa", is_rsa=True)
    suite = "DHE-RSA-AES256-GCM-SHA384"
    calling = authority.policy(modality, profile="bcp195-extended", ciphers=suite)
    parameters = tmp_path / "dh.pem"
    subprocess.run(
        ["openssl", "genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048", "-out", parameters],
        check=True,
    )

    with pytest.raises(TlsFailed, match="no cipher suite in common"):
        shake(*both(authority.policy(own, profile="bcp195-extended"), calling))

    client, server = both(authority.policy(own, profile="bcp195-extended", dh_parameters=str(parameters)), calling)
    shake(client, server)
    assert server.agreed == f"TLSv1.2 {suite}"


@pytest.mark.parametrize("text", ["", "-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----\n"])
def test_parameters_that_are_none_are_named(
    authority: Authority, archive_identity: Identity, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "dh.pem"
    file.write_text(text)

    said = complaint(authority.policy(archive_identity, dh_parameters=str(file)))

    assert said == f"tls_dh_parameters = {file}: holds no parameters in PEM; see openssl dhparam"


def test_registered_names_stand_for_the_suites_of_openssl() -> None:
    known = cipher_suites_known()

    assert list(known) == list(cipher_suites.REGISTERED.values())
    for registered, name in known.items():
        text = registered.removeprefix("TLS_").replace("_WITH_", "_").replace("_CBC", "").removeprefix("RSA_")
        text = re.sub(r"AES_(\d+)", r"AES\1", text).replace("CCM_8", "CCM8").replace("POLY1305_SHA256", "POLY1305")
        assert text.replace("_", "-") == name


def test_seeding_makes_no_random_number_foreseeable() -> None:
    seed(b"the same")
    first = random_bytes(32)
    seed(b"the same")

    assert random_bytes(32) != first
    assert len(first) == 32


def test_a_file_that_cannot_be_named_is_a_mistake() -> None:
    with pytest.raises(Misconfigured, match="cannot be read"):
        tls_files.content("tls_ca", Path("a\0b"))
