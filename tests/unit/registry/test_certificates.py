"""How a certificate is named by an administrator, and which certificates are meant by it."""

from pathlib import Path

import pytest

from archive.errors import Misconfigured
from archive.registry import certificates
from archive.upper_layer import certificate
from tests.fix_tls import Authority, Identity

DIGITS = "ab" * 32


@pytest.mark.parametrize(
    "text, kept",
    [
        (f"sha256:{DIGITS}", f"sha256:{DIGITS}"),
        ("SHA256:" + ":".join(["AB"] * 32), f"sha256:{DIGITS}"),
        ("subject:CN=CT1", "subject:CN=CT1"),
        (" Subject: cn = CT1 , o=Klinik Nord", "subject:CN=CT1,O=Klinik Nord"),
        (r"subject:CN=a\,b\=c+OU=\C3\A9\ ", "subject:CN=a\\,b\\=c,OU=é\\ "),
        ("subject:2.5.4.65=x", "subject:2.5.4.65=x"),
        ("san:DNS:CT1.Example", "san:dns:ct1.example"),
        ("san:ip:2001:DB8::1", "san:ip:2001:db8::1"),
        ("san:uri:urn:oid:1.2.3", "san:uri:urn:oid:1.2.3"),
    ],
)
def test_a_certificate_is_kept_in_one_form_which_means_the_same(text: str, kept: str) -> None:
    assert certificates.parse(text) == kept
    assert certificates.parse(kept) == kept
    assert certificates.identities(kept) == certificates.identities(certificates.parse(text))


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("", "A certificate is named by sha256:…, subject:CN=… or san:dns:…"),
        ("CT1", "A certificate is named by"),
        ("sha256:abcd", "64 hexadecimal digits"),
        ("sha256:" + "g" * 64, "64 hexadecimal digits"),
        ("subject:", "A subject is written as CN=CT1,O=Hospital"),
        ("subject:CN=", "A subject is written as"),
        ("subject:CN=a,b", "A subject is written as"),
        ("subject:NAME=a", "A subject is written as"),
        ("san:ct1.example", "written as san:dns:ct1.example; kinds are dns, email, ip, uri"),
        ("san:dns:", "written as san:dns:"),
        ("san:ip:10.1.2", "This is no IP address"),
    ],
)
def test_what_names_no_certificate_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        certificates.parse(text)

    assert sentence in str(caught.value)


def test_every_form_means_the_certificate_it_was_taken_from_and_no_other(
    authority: Authority, archive_identity: Identity
) -> None:
    meant = authority.issue("CT, 1", "ct1.example", "10.1.2.3")
    read, other = (certificate.from_pem(each.pem) for each in (meant, archive_identity))

    for text in (
        f"sha256:{meant.sha256}",
        f"subject:{read}",
        r"subject:CN=CT\, 1",
        "san:dns:ct1.example",
        "san:ip:10.1.2.3",
    ):
        wanted = certificates.identities(certificates.parse(text))
        assert wanted <= read.identities, text
        assert not wanted <= other.identities, text


def test_every_part_of_a_subject_must_be_there() -> None:
    wanted = certificates.identities("subject:CN=CT1,O=Hospital")

    assert wanted <= {"subject:O=Hospital", "subject:CN=CT1", "subject:C=DE"}
    assert not wanted <= {"subject:CN=CT1", "subject:O=Other"}


def test_a_supposed_certificate_is_a_file_or_a_form(modality: Identity, tmp_path: Path) -> None:
    assert f"sha256:{modality.sha256}" in certificates.shown(str(modality.certificate))
    assert certificates.shown("subject:CN=CT1") == {"subject:CN=CT1"}
    assert certificates.shown(f"subject:CN={'a' * 300}") == {f"subject:CN={'a' * 300}"}  # no file is called so
    (tmp_path / "notes").write_text("no certificate")
    with pytest.raises(Misconfigured, match="holds no certificate that can be read"):
        certificates.shown(str(tmp_path / "notes"))
