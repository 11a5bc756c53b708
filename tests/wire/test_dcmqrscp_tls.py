"""dcmqrscp's options for TLS, with DCMTK's clients and openssl's on the other side."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.background import free_port
from tests.fix_dcmtk import Dcmtk, Ran, Receiver
from tests.fix_instances import write
from tests.fix_tls import Authority, Identity
from tests.wire import conversation
from tests.wire.conversation import Peer
from tests.wire.dcmqrscp_site import CONFIGURATION, OURS, serving
from tests.wire.raw_messages import EXPLICIT, STUDY_ROOT_MOVE, Proposed
from tests.wire.raw_scu import RawScu
from tests.wire.running import identifier
from tests.wire.test_tls import context_of


@pytest.fixture
def own(authority: Authority, archive_identity: Identity) -> tuple[object, ...]:
    """The options that every test begins with."""
    return ("+tls", archive_identity.key, archive_identity.certificate, "+cf", authority.certificate)


def echo(dcmtk: Dcmtk, peer: Peer, identity: Identity | None, authority: Authority, *more: object) -> Ran:
    """echoscu in TLS, with a certificate or without one."""
    shown = ("+tla",) if identity is None else ("+tls", identity.key, identity.certificate)
    titles = ("-aet", "MODALITY", "-aec", "ROOMY")
    return dcmtk.run("echoscu", *shown, "+cf", authority.certificate, *more, *titles, "localhost", peer.port)


def handshake(peer: Peer, identity: Identity, *options: object) -> tuple[bool, str]:
    """Whether openssl's client can shake hands, and what it says."""
    shown = ("-cert", identity.certificate, "-key", identity.key)
    words = ("openssl", "s_client", "-connect", f"127.0.0.1:{peer.port}", *shown, *options)
    done = subprocess.run(
        list(map(str, words)), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode == 0, done.stdout


def test_the_port_speaks_tls_with_who_has_a_certificate_and_with_nobody_else(
    tmp_path: Path, dcmtk: Dcmtk, authority: Authority, modality: Identity, own: tuple[object, ...]
) -> None:
    stranger = Authority(tmp_path / "elsewhere").issue("stranger")
    with serving(OURS, tmp_path / "site", *own) as peer:
        known = echo(dcmtk, peer, modality, authority)
        unknown = echo(dcmtk, peer, stranger, authority)
        anonymous = echo(dcmtk, peer, None, authority)
        plain = dcmtk.run("echoscu", "-aet", "MODALITY", "-aec", "ROOMY", "-ta", "10", "localhost", peer.port)
        stored = dcmtk.run(
            "storescu", "+tls", modality.key, modality.certificate, "+cf", authority.certificate,
            "-aet", "MODALITY", "-aec", "ROOMY", "localhost", peer.port, _file(tmp_path),
        )  # fmt: skip

    assert known.is_ok, known
    assert stored.is_ok, stored
    assert not unknown.is_ok, unknown
    assert not anonymous.is_ok, anonymous
    assert not plain.is_ok, plain
    assert "listening on 0.0.0.0:" in peer.process.output()
    assert "(TLS)" in peer.process.output()


def _file(folder: Path) -> Path:
    """A small instance."""
    return write(conversation.small(), folder)


@pytest.mark.parametrize("option, known, anonymous, unknown", [("-rc", 1, 0, 0), ("-vc", 1, 1, 0), ("-ic", 1, 1, 1)])
def test_who_must_show_a_certificate(
    tmp_path: Path,
    dcmtk: Dcmtk,
    authority: Authority,
    modality: Identity,
    own: tuple[object, ...],
    option: str,
    known: int,
    anonymous: int,
    unknown: int,
) -> None:
    stranger = Authority(tmp_path / "elsewhere").issue("stranger")
    with serving(OURS, tmp_path / "site", *own, option) as peer:
        heard = [echo(dcmtk, peer, identity, authority).is_ok for identity in (modality, None, stranger)]

    assert heard == [bool(known), bool(anonymous), bool(unknown)]


@pytest.mark.parametrize("check", [(), ("+crv",), ("+cra",)], ids=["+crl", "+crl +crv", "+crl +cra"])
def test_a_revoked_certificate_is_refused(
    tmp_path: Path, dcmtk: Dcmtk, authority: Authority, modality: Identity, own: tuple[object, ...], check: tuple[str]
) -> None:
    revoked = authority.issue("revoked-for-dcmqrscp")
    lists = authority.revoke(revoked, name=f"dcmqrscp{len(check)}.crl")
    with serving(OURS, tmp_path, *own, "+crl", lists, *check) as peer:
        heard = [echo(dcmtk, peer, identity, authority).is_ok for identity in (modality, revoked)]

    assert heard == [True, False]
    assert "certificate revoked" in peer.process.output()


def test_authorities_and_lists_may_lie_in_a_folder(
    tmp_path: Path, dcmtk: Dcmtk, authority: Authority, archive_identity: Identity, modality: Identity
) -> None:
    revoked = authority.issue("revoked-in-folder")
    folder = tmp_path / "trusted"
    folder.mkdir()
    (folder / "ca.pem").write_bytes(authority.certificate.read_bytes())
    (folder / "list.pem").write_bytes(authority.revoke(revoked, name="folder.crl").read_bytes())
    own = ("+tls", archive_identity.key, archive_identity.certificate, "+cd", folder, "+crv")
    with serving(OURS, tmp_path / "site", *own) as peer:
        heard = [echo(dcmtk, peer, identity, authority).is_ok for identity in (modality, revoked)]

    assert heard == [True, False]


def test_files_may_be_in_der(
    tmp_path: Path, dcmtk: Dcmtk, authority: Authority, archive_identity: Identity, modality: Identity
) -> None:
    names = {"key": archive_identity.key, "certificate": archive_identity.certificate, "ca": authority.certificate}
    commands = {"key": ("pkey",), "certificate": ("x509",), "ca": ("x509",)}
    files = {name: tmp_path / f"{name}.der" for name in names}
    for name, source in names.items():
        subprocess.run(["openssl", *commands[name], "-in", source, "-outform", "DER", "-out", files[name]], check=True)

    with serving(
        OURS, tmp_path / "site", "+tls", files["key"], files["certificate"], "-der", "+cf", files["ca"]
    ) as peer:
        ran = echo(dcmtk, peer, modality, authority)

    assert ran.is_ok, ran


@pytest.mark.parametrize("option", ["+pg", "+pm", "+py", "+pz"])
def test_a_profile_says_which_versions_are_spoken(
    tmp_path: Path, dcmtk: Dcmtk, authority: Authority, modality: Identity, option: str
) -> None:
    own = authority.issue("with-rsa-for-dcmqrscp", is_rsa=True)
    with serving(OURS, tmp_path, "+tls", own.key, own.certificate, "+cf", authority.certificate, option) as peer:
        ran = echo(dcmtk, peer, modality, authority)
        spoken = [handshake(peer, modality, f"-tls1_{minor}")[0] for minor in (1, 2, 3)]

    assert ran.is_ok, ran
    assert spoken == [False, True, option != "+pz"]


def test_a_suite_may_be_added_and_dhe_needs_parameters(
    tmp_path: Path, authority: Authority, modality: Identity
) -> None:
    own = authority.issue("with-rsa-for-suites", is_rsa=True)
    keys = ("+tls", own.key, own.certificate, "+cf", authority.certificate)
    parameters = tmp_path / "dh.pem"
    words = ("openssl", "genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048", "-out", parameters)
    subprocess.run(list(map(str, words)), check=True)
    chacha, dhe = "ECDHE-RSA-CHACHA20-POLY1305", "DHE-RSA-AES128-GCM-SHA256"
    options = ("+cs", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "+cs", "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256")

    spoken = {}
    for name, given in (("none", ()), ("added", options), ("parameters", (*options, "+dp", parameters))):
        with serving(OURS, tmp_path / name, *keys, *given) as peer:
            spoken[name] = [handshake(peer, modality, "-tls1_2", "-cipher", suite)[0] for suite in (chacha, dhe)]

    assert spoken == {"none": [False, False], "added": [True, False], "parameters": [True, True]}


def test_only_the_expected_server_name_may_be_asked_for(
    tmp_path: Path, modality: Identity, own: tuple[object, ...]
) -> None:
    with serving(OURS, tmp_path, *own, "--expect-sni", "archive.example") as peer:
        asked = [
            handshake(peer, modality, *words)[0]
            for words in (("-servername", "archive.example"), ("-noservername",), ("-servername", "other.example"))
        ]

    assert asked == [True, True, False]


def test_the_password_of_the_key_is_given_or_asked_for(
    tmp_path: Path, dcmtk: Dcmtk, authority: Authority, archive_identity: Identity, modality: Identity
) -> None:
    key = authority.protect(archive_identity, "sesame")
    keys = ("+tls", key, archive_identity.certificate, "+cf", authority.certificate)
    with serving(OURS, tmp_path / "given", *keys, "+pw", "sesame") as peer:
        assert echo(dcmtk, peer, modality, authority).is_ok
    typing = ("sh", "-c", 'echo sesame | exec "$@"', "sh", *OURS)
    with serving(typing, tmp_path / "typed", *keys) as peer:
        assert echo(dcmtk, peer, modality, authority).is_ok


def test_a_seed_is_read_and_written(tmp_path: Path, own: tuple[object, ...]) -> None:
    seed, written = tmp_path / "seed", tmp_path / "written"
    seed.write_bytes(b"something")
    with serving(OURS, tmp_path / "site", *own, "+rs", seed, "+wf", written):
        assert len(written.read_bytes()) == 1024
    assert seed.read_bytes() == b"something"


# Peers that are called


def secured(receiver_port: int) -> str:
    line = f"receiver    = (RECEIVER, localhost, {receiver_port})\n"
    return CONFIGURATION.replace("asleep      =", f"{line}asleep      =")


@pytest.mark.parametrize("option, reaches_strangers", [("-rc", False), ("-ic", True)])
def test_a_move_goes_out_in_tls_to_who_can_be_verified(
    tmp_path: Path,
    dcmtk: Dcmtk,
    authority: Authority,
    modality: Identity,
    own: tuple[object, ...],
    start_storescp: Callable[..., Receiver],
    option: str,
    reaches_strangers: bool,
) -> None:
    elsewhere = Authority(tmp_path / "elsewhere")
    stranger = elsewhere.issue("receiver")
    known = authority.issue("receiver-of-another-host", "elsewhere.example")  # DCMTK looks at no host name

    arrived = []
    for number, identity in enumerate((known, stranger)):
        keys = ("+tls", str(identity.key), str(identity.certificate), "+cf", str(authority.certificate))
        receiver = start_storescp(*keys, title="RECEIVER")
        site = tmp_path / f"site-{number}"
        with serving(OURS, site, *own, option, configuration=secured(receiver.port)) as peer:
            _store(dcmtk, peer, tmp_path, modality, authority)
            _move(peer, modality, authority)
        arrived.append(len(receiver.files()))

    assert arrived == [1, int(reaches_strangers)]


def test_without_the_option_all_is_plain_again(
    tmp_path: Path,
    dcmtk: Dcmtk,
    authority: Authority,
    modality: Identity,
    own: tuple[object, ...],
    start_storescp: Callable[..., Receiver],
) -> None:
    receiver = start_storescp("+xa", title="RECEIVER")
    configuration = secured(receiver.port)
    with serving(OURS, tmp_path / "site", *own, configuration=configuration) as peer:
        _store(dcmtk, peer, tmp_path, modality, authority)
        failed = _move(peer, modality, authority)
    arrived = len(receiver.files())

    with serving(OURS, tmp_path / "site", configuration=configuration) as peer:
        moved = _move(peer, None, authority)

    assert (failed, arrived) == (0xA702, 0)
    assert (moved, len(receiver.files())) == (0, 1)


def _store(dcmtk: Dcmtk, peer: Peer, folder: Path, identity: Identity, authority: Authority) -> None:
    keys = ("+tls", identity.key, identity.certificate, "+cf", authority.certificate)
    titles = ("-aet", "MODALITY", "-aec", "ROOMY")
    ran = dcmtk.run("storescu", *keys, *titles, "localhost", peer.port, _file(folder))
    assert ran.is_ok, ran


def _move(peer: Peer, identity: Identity | None, authority: Authority) -> int:
    """The status of a C-MOVE to RECEIVER, in TLS where there is an identity; DCMTK 3.6.7's movescu has no TLS."""
    with RawScu(peer.port) as scu:
        if identity is not None:
            scu.socket = context_of(identity, authority).wrap_socket(scu.socket, server_hostname="localhost")
        scu.associate((Proposed(STUDY_ROOT_MOVE, (EXPLICIT,)),), called="ROOMY", calling="MODALITY")
        *_, final = scu.move(STUDY_ROOT_MOVE, identifier(**conversation.study_of(conversation.small())), "RECEIVER")
        scu.release()
    return final.status


# What cannot be served


@pytest.mark.parametrize(
    "words, said",
    [
        (("KEY", "OTHER"), "is not that of the certificate"),
        (("nowhere.key", "CERTIFICATE"), "nowhere.key: cannot be read"),
        (("PROTECTED", "CERTIFICATE", "+pw", "guess"), "The password does not open the key"),
        (("PROTECTED", "CERTIFICATE", "-pw"), "has a password"),
        (("KEY", "CERTIFICATE", "-der"), "is in PEM"),
        (("KEY", "CERTIFICATE", "+cs", "TLS_RSA_WITH_NULL_SHA"), "not supported"),
        (("KEY", "CERTIFICATE", "+dp", "nowhere"), "nowhere: cannot be read"),
    ],
)
def test_files_that_cannot_be_used_end_with_10(
    tmp_path: Path,
    authority: Authority,
    archive_identity: Identity,
    modality: Identity,
    words: tuple[str, ...],
    said: str,
) -> None:
    files = {
        "KEY": archive_identity.key,
        "PROTECTED": authority.protect(archive_identity, "sesame"),
        "CERTIFICATE": archive_identity.certificate,
        "OTHER": modality.certificate,
    }
    configuration = tmp_path / "dcmqrscp.cfg"
    configuration.write_text("MaxPDUSize = 16384\n")
    given = [str(files.get(word, word)) for word in ("+tls", *words, "+cf", str(authority.certificate))]

    done = subprocess.run(
        [*OURS, "-c", configuration, *given, str(free_port())],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, said in done.stderr) == (10, True), done.stderr
