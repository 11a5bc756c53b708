"""TLS of DCMTK's programs and of ours: the same options to both, and the same peers get in.

What each program does with a session is held elsewhere; here is who gets one. DCMTK 3.6.7 has no TLS in movescu and
getscu: they get in where echoscu does.
"""

import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fix_dcmtk import Dcmtk
from tests.fix_instances import instance, write
from tests.fix_tls import Authority, Identity
from tests.wire import clients, dcmqrscp_site, storage_scps
from tests.wire.clients import DCMTK, OURS
from tests.wire.conversation import Peer

Files = Callable[[str], list[str]]
"""Words of a command line, with files in place of names in capitals."""

KNOWN, UNKNOWN, REVOKED = "+tls KEY CERTIFICATE", "+tls OTHER_KEY OTHER_CERTIFICATE", "+tls LOST_KEY LOST_CERTIFICATE"
EXPIRED = "+tls OLD_KEY OLD_CERTIFICATE"
DER = "-der +tls KEY.der CERTIFICATE.der +cf CA.der"

# What a receiver is told, and who calls it.
CALLED: Sequence[tuple[str, str]] = (
    (f"{KNOWN} +cf CA", f"{KNOWN} +cf CA"),
    (f"{KNOWN} +cf CA", ""),
    (f"{KNOWN} +cf CA", f"{UNKNOWN} +cf CA"),
    (f"{KNOWN} +cf CA", f"{EXPIRED} +cf CA"),
    (f"{KNOWN} +cf CA", "+tla +cf CA"),
    (f"{KNOWN} +cf CA -rc", "+tla +cf CA"),
    (f"{KNOWN} +cf CA -vc", "+tla +cf CA"),
    (f"{KNOWN} +cf CA -vc", f"{UNKNOWN} +cf CA"),
    (f"{KNOWN} +cf CA -ic", f"{UNKNOWN} +cf CA"),
    (f"{KNOWN} -ic", "+tla +cf CA"),
    (f"{KNOWN} +cf CA -ic -rc", "+tla +cf CA"),
    (f"{KNOWN} +cf CA +cf OTHER_CA", f"{UNKNOWN} +cf CA"),
    (f"{KNOWN} +cd FOLDER", f"{KNOWN} +cd FOLDER"),
    ("+tls PROTECTED CERTIFICATE +pw sesame +cf CA", f"{KNOWN} +cf CA"),
    (f"{KNOWN} -pw +cf CA", f"{KNOWN} +cf CA"),
    (f"{KNOWN} +ps +cf CA", f"{KNOWN} +cf CA"),
    (DER, DER),
    (f"{KNOWN} +cf CA -der -pem", f"{KNOWN} +cf CA"),
    (f"{KNOWN} +cf CA", f"{REVOKED} +cf CA"),
    (f"{KNOWN} +cf CA +crl LIST", f"{KNOWN} +cf CA"),
    (f"{KNOWN} +cf CA +crl LIST", f"{REVOKED} +cf CA"),
    (f"{KNOWN} +cf CA +crl LIST +crv", f"{REVOKED} +cf CA"),
    (f"{KNOWN} +cf CA +crl LIST +cra", f"{REVOKED} +cf CA"),
    (f"{KNOWN} +cf CA +crl LIST +cra", f"{KNOWN} +cf CA"),
    (f"{KNOWN} +cf CA +py", f"{KNOWN} +cf CA +py"),
    (f"{KNOWN} +cf CA +px", f"{KNOWN} +cf CA +px"),
    (f"{KNOWN} +cf CA +pz", f"{KNOWN} +cf CA +pz"),
    (f"{KNOWN} +cf CA +pz", f"{KNOWN} +cf CA +py"),
    (f"{KNOWN} +cf CA +cs TLS_RSA_WITH_AES_128_GCM_SHA256", f"{KNOWN} +cf CA"),
    (f"{KNOWN} +cf CA +dp PARAMETERS", f"{KNOWN} +cf CA"),
    (f"{KNOWN} +cf CA +rs SEED", f"{KNOWN} +cf CA"),
    (f"{KNOWN} +cf CA +rs SEED +wf WRITTEN", f"{KNOWN} +cf CA"),
    (f"{KNOWN} +cf CA +rs NOWHERE", f"{KNOWN} +cf CA"),
)

# What a client is told, and whom it calls.
CALLING: Sequence[tuple[str, str]] = (
    (f"{KNOWN} +cf CA", KNOWN),
    ("+tla +cf CA", f"{KNOWN} -vc"),
    ("+tla +cf CA", KNOWN),
    ("", KNOWN),
    (f"{KNOWN} +cf CA", UNKNOWN),
    (f"{KNOWN} -ic", UNKNOWN),
    (f"{KNOWN} +cf CA", EXPIRED),
    (f"{KNOWN} +cf CA", REVOKED),
    (f"{KNOWN} +cf CA +crl LIST", REVOKED),
    (f"{KNOWN} +cf CA +crl LIST +cra", KNOWN),
    ("+tls PROTECTED CERTIFICATE +pw sesame +cf CA", KNOWN),
    ("+tls PROTECTED CERTIFICATE +pw guess +cf CA", KNOWN),
    (DER, KNOWN),
    (f"{KNOWN} +cd FOLDER", KNOWN),
    (f"{KNOWN} +cf CA +px", KNOWN),
    (f"{KNOWN} +cf CA +pz", KNOWN),
    (f"{KNOWN} +cf CA +cs TLS_RSA_WITH_AES_128_GCM_SHA256", KNOWN),
    (f"{KNOWN} +cf CA +rs NOWHERE", KNOWN),
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """All that options name. RSA, as DCMTK's older profiles have no suites for other keys."""
    folder = tmp_path_factory.mktemp("tls")
    ours, theirs = Authority(folder / "ours"), Authority(folder / "theirs")
    known, lost, old = (ours.issue(name, is_rsa=True, days=days) for name, days in _OURS)
    other = theirs.issue("other", is_rsa=True)
    hashed, parameters = folder / "hashed", folder / "parameters"
    hashed.mkdir()
    (hashed / "ca.pem").write_bytes(ours.certificate.read_bytes())
    subprocess.run(["openssl", "rehash", hashed], check=True)
    generate = ["openssl", "dhparam", "-dsaparam", "-out", parameters, "2048"]
    subprocess.run(generate, check=True, capture_output=True)
    seed = folder / "seed"
    seed.write_bytes(b"of yesterday")
    named: Mapping[str, Path] = {
        "CA": ours.certificate, "OTHER_CA": theirs.certificate, "FOLDER": hashed, "PARAMETERS": parameters,
        "PROTECTED": ours.protect(known, "sesame"), "LIST": ours.revoke(lost),
        "SEED": seed, "WRITTEN": folder / "written", "NOWHERE": folder / "nowhere",
        "KEY.der": _in_der("pkey", known.key), "CERTIFICATE.der": _in_der("x509", known.certificate),
        "CA.der": _in_der("x509", ours.certificate),
        **_pair("", known), **_pair("LOST_", lost), **_pair("OLD_", old), **_pair("OTHER_", other),
    }  # fmt: skip
    return lambda words: [str(named.get(word, word)) for word in words.split()]


_OURS = (("known", 365), ("lost", 365), ("old", -1))


def _pair(prefix: str, identity: Identity) -> dict[str, Path]:
    return {f"{prefix}KEY": identity.key, f"{prefix}CERTIFICATE": identity.certificate}


def _in_der(kind: str, pem: Path) -> Path:
    der = pem.with_suffix(f"{pem.suffix}.der")
    subprocess.run(["openssl", kind, "-in", pem, "-outform", "DER", "-out", der], check=True, capture_output=True)
    return der


@pytest.mark.parametrize("name", ["storescp", "dcmrecv"])
@pytest.mark.parametrize("options, caller", CALLED)
def test_a_receiver_lets_in_whom_dcmtks_does(
    tmp_path: Path, dcmtk: Dcmtk, files: Files, name: str, options: str, caller: str
) -> None:
    codes: list[int] = []
    for number, command in enumerate((storage_scps.DCMTK, storage_scps.OURS)):
        folder = tmp_path / str(number)
        folder.mkdir()
        with storage_scps.running(command, folder, *files(options), name=name) as scp:
            codes.append(dcmtk.run("echoscu", *files(caller), "localhost", scp.port).code)

    assert codes[1] == codes[0]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, files: Files) -> Iterator[Callable[[str], Peer]]:
    """An archive that answers every kind of client, with an identity and options of its own."""
    started: dict[str, Peer] = {}
    with ExitStack() as stack:

        def start(own: str) -> Peer:
            if own not in started:
                folder = tmp_path_factory.mktemp("site")
                words = files(f"{own} +cf CA")
                started[own] = stack.enter_context(dcmqrscp_site.serving(dcmqrscp_site.OURS, folder, *words))
            return started[own]

        yield start


KEYS = ("-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2.3")
TITLES = ("-aet", "MODALITY", "-aec", "ROOMY")


@pytest.mark.parametrize("options, called", CALLING)
def test_a_client_gets_in_where_dcmtks_does(
    tmp_path: Path, files: Files, site: Callable[[str], Peer], options: str, called: str
) -> None:
    peer, sent = site(called), write(instance(side_pixels=0), tmp_path)

    def code(command: clients.Command, name: str, *more: object, last: Sequence[object] = ()) -> int:
        words = (*TITLES, *files(options), *more, "127.0.0.1", peer.port, *last)
        return clients.ran(command, name, *words, folder=tmp_path).code

    for name, more, last in (("echoscu", (), ()), ("storescu", (), (sent,)), ("findscu", KEYS, ())):
        theirs, ours = (code(command, name, *more, last=last) for command in (DCMTK, OURS))
        assert (name, ours == 0) == (name, theirs == 0)
    gets_in = code(DCMTK, "echoscu") == 0
    assert (code(OURS, "getscu", *KEYS) == 0) == gets_in
    if "+tla" not in options:  # movescu is called, too, and needs a certificate
        assert (code(OURS, "movescu", "-aem", "DESTINATION", *KEYS) == 0) == gets_in
