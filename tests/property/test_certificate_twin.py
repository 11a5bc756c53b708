"""What is read from a certificate is what the `cryptography` package reads from it."""

import datetime
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from archive.upper_layer import certificate

KEY = ec.generate_private_key(ec.SECP256R1())
TYPES = {
    NameOID.COMMON_NAME: "CN",
    NameOID.ORGANIZATION_NAME: "O",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "OU",
    NameOID.LOCALITY_NAME: "L",
    NameOID.DOMAIN_COMPONENT: "DC",
    NameOID.EMAIL_ADDRESS: "emailAddress",
    NameOID.USER_ID: "UID",
    NameOID.SERIAL_NUMBER: "serialNumber",
    NameOID.PSEUDONYM: "2.5.4.65",
}
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)
ASCII = st.text("abcXYZ019 -+,=:/", min_size=1, max_size=30)  # what a PrintableString may hold
ATTRIBUTES = st.one_of(
    *(
        st.builds(
            x509.NameAttribute,
            st.just(oid),
            ASCII if oid in (NameOID.DOMAIN_COMPONENT, NameOID.EMAIL_ADDRESS, NameOID.SERIAL_NUMBER) else TEXT,
        )
        for oid in TYPES
    )
)
SUBJECTS = st.lists(st.lists(ATTRIBUTES, min_size=1, max_size=2, unique_by=lambda each: each.oid), max_size=5)
HOSTS = st.text("abcXYZ019-.", min_size=1, max_size=40)
NAMES = st.lists(
    st.one_of(
        HOSTS.map(x509.DNSName),
        HOSTS.map(x509.RFC822Name),
        HOSTS.map(x509.UniformResourceIdentifier),
        st.ip_addresses().map(x509.IPAddress),
        st.just(x509.RegisteredID(NameOID.COMMON_NAME)),
        st.just(x509.DirectoryName(x509.Name([]))),
    ),
    max_size=5,
)
MOMENTS = st.datetimes(datetime.datetime(1950, 1, 1), datetime.datetime(2149, 1, 1)).map(
    lambda moment: moment.replace(microsecond=0, tzinfo=datetime.UTC)
)


def made(subject: list[list[x509.NameAttribute]], names: list[x509.GeneralName], start: datetime.datetime) -> bytes:
    """The DER of a certificate."""
    name = x509.Name([x509.RelativeDistinguishedName(part) for part in subject])
    builder = (
        x509.CertificateBuilder(name, name, KEY.public_key(), 1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def name_text(name: x509.GeneralName) -> tuple[str, str] | None:
    match name:
        case x509.DNSName():
            return "dns", name.value.lower()
        case x509.RFC822Name():
            return "email", name.value
        case x509.UniformResourceIdentifier():
            return "uri", name.value
        case x509.IPAddress():
            assert isinstance(name.value, ipaddress.IPv4Address | ipaddress.IPv6Address)
            return "ip", str(name.value)
    return None


@given(subject=SUBJECTS, names=NAMES, start=MOMENTS)
def test_a_certificate_is_read_as_it_was_made(
    subject: list[list[x509.NameAttribute]], names: list[x509.GeneralName], start: datetime.datetime
) -> None:
    der = made(subject, names, start)
    twin = x509.load_der_x509_certificate(der)

    read = certificate.read(der)

    assert read.sha256 == twin.fingerprint(hashes.SHA256()).hex()
    assert list(read.subject) == [(TYPES[each.oid], each.value) for part in twin.subject.rdns for each in part]
    assert list(read.names) == [text for name in names if (text := name_text(name))]
    assert (read.not_before, read.not_after) == (twin.not_valid_before_utc, twin.not_valid_after_utc)
    pem = twin.public_bytes(serialization.Encoding.PEM).decode()
    assert certificate.from_pem(f"a comment\n{pem}") == read


@given(position=st.integers(0, 10_000), byte=st.integers(0, 255), cut=st.integers(0, 50))
def test_a_damaged_certificate_is_read_or_refused(position: int, byte: int, cut: int) -> None:
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    der = bytearray(made([[x509.NameAttribute(NameOID.COMMON_NAME, "CT")]], [x509.DNSName("ct.example")], start))
    der[position % len(der)] = byte

    try:
        certificate.read(bytes(der[: len(der) - cut]))
    except ValueError:
        return


def test_a_subject_is_written_as_openssl_prints_it_by_rfc_2253() -> None:
    subject = [
        [x509.NameAttribute(NameOID.COUNTRY_NAME, "DE")],
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Klinik, Nord")],
        [x509.NameAttribute(NameOID.COMMON_NAME, "#CT+1 ")],
    ]

    read = certificate.read(made(subject, [], datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)))

    assert str(read) == "CN=\\#CT\\+1\\ ,O=Klinik\\, Nord,C=DE"


def test_identities_name_each_part_of_the_certificate() -> None:
    subject = [[x509.NameAttribute(NameOID.COMMON_NAME, "CT1")], [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "H")]]
    names = [x509.DNSName("CT1.example"), x509.IPAddress(ipaddress.ip_address("10.1.2.3"))]

    read = certificate.read(made(subject, list(names), datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)))

    assert read.identities == {
        f"sha256:{read.sha256}",
        "subject:CN=CT1",
        "subject:O=H",
        "san:dns:ct1.example",
        "san:ip:10.1.2.3",
    }


@pytest.mark.parametrize("text", ["", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----", "MIIB"])
def test_what_is_no_certificate_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        certificate.from_pem(text)
