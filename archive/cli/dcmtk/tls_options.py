"""Options for TLS, as DCMTK 3.6.9 and later have them in all their programs, and what they decide.

`+tls key certificate` makes the port of a face speak TLS and nothing else, and calls the peers in TLS too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from archive.cli.dcmtk.options import CommandLine, Group, Option
from archive.errors import Misconfigured

Role = Literal["acceptor", "requestor", "both"]
"""Of a face: whether it is called, calls, or both; options that say nothing to a role are not in it."""

LIST_PROFILES, LIST_CIPHERS = "--list-profiles", "--list-ciphers"

# Option, its short name, the profile in `tls.PROFILES`, the name that DCMTK prints. "": not spoken any more.
_PROFILES = (
    ("--profile-8996", "+pg", "bcp195-rfc8996", "BCP 195 RFC 8996 TLS Profile"),
    ("--profile-8996-mod", "+pm", "bcp195-rfc8996-modified", "Modified BCP 195 RFC 8996 TLS Profile"),
    ("--profile-bcp195-nd", "+py", "bcp195-non-downgrading", "Non-downgrading BCP 195 TLS Profile"),
    ("--profile-bcp195", "+px", "bcp195-non-downgrading", "BCP 195 TLS Profile"),
    ("--profile-bcp195-ex", "+pz", "bcp195-extended", "Extended BCP 195 TLS Profile"),
    ("--profile-basic", "+pb", "", "Basic TLS Secure Transport Connection Profile"),
    ("--profile-aes", "+pa", "", "AES TLS Secure Transport Connection Profile"),
    ("--profile-null", "+pn", "", "Authenticated unencrypted communication"),
)
_PROFILE_OF = {long: profile for long, _, profile, _ in _PROFILES}
_DEFAULT_PROFILE = "--profile-8996"
# PS3.15 B.9 is B.10 with TLS 1.0 and 1.1 for peers that know no better, which RFC 8996 forbids.
_ELSEWHERE = {"--profile-bcp195": "without TLS 1.0 and 1.1: as --profile-bcp195-nd"}
# With these DCMTK takes no `--cipher`.
_CLOSED_PROFILES = ("--profile-8996-mod", "--profile-bcp195-ex")

_PASSWORDS = ("--std-passwd", "--use-passwd", "--null-passwd")
_FORMS = {"--pem-keys": False, "--der-keys": True}
_REVOCATION_CHECKS = {"--enable-crl-vfy": "leaf", "--enable-crl-all": "chain"}
_PEER_CERTIFICATES = {
    "--require-peer-cert": "required",
    "--verify-peer-cert": "optional",
    "--ignore-peer-cert": "ignored",
}
_WITH_TLS_ONLY = (
    *_FORMS,
    *_REVOCATION_CHECKS,
    "--dhparam",
    "--seed",
    "--write-seed",
    "--write-seed-file",
    *_PEER_CERTIFICATES,
    *_PROFILE_OF,
    "--add-cert-file",
    "--add-cert-dir",
    "--add-crl-file",
    "--cipher",
)


def groups(role: Role) -> tuple[Group, ...]:
    """The options for TLS of a face with this role, in the order of DCMTK's help."""
    is_called, calls = role != "requestor", role != "acceptor"
    return (
        Group("transport layer security (TLS) options:"),
        _group(
            "transport protocol stack:",
            Option("--disable-tls", "-tls", "use normal TCP/IP connection (default)"),
            Option(
                "--enable-tls",
                "+tls",
                "use authenticated secure TLS connection",
                values=2,
                value_help="[p]rivate key file, [c]ertificate file: string",
            ),
            None if is_called else Option("--anonymous-tls", "+tla", "use secure TLS connection without certificate"),
        ),
        _group(
            "private key password (only with --enable-tls):",
            Option("--std-passwd", "+ps", "prompt user to type password on stdin (default)"),
            _valued("--use-passwd", "+pw", "[p]assword: string", "use specified password"),
            Option("--null-passwd", "-pw", "use empty string as password"),
        ),
        _group(
            "key and certificate file format:",
            Option("--pem-keys", "-pem", "read keys and certs as PEM file (default)"),
            Option("--der-keys", "-der", "read keys and certificates as DER file"),
        ),
        _group(
            "certification authority:",
            _valued("--add-cert-file", "+cf", "[f]ilename: string", "add certificate file to list of certificates"),
            _valued("--add-cert-dir", "+cd", "[d]irectory: string", "add certificates in d to list of certificates"),
            _valued(
                "--add-crl-file",
                "+crl",
                "[f]ilename: string",
                "add certificate revocation list file\n(implies --enable-crl-vfy)",
            ),
            Option("--enable-crl-vfy", "+crv", "enable leaf CRL verification"),
            Option("--enable-crl-all", "+cra", "enable full chain CRL verification"),
        ),
        _group(
            "security profile:",
            Option(LIST_PROFILES, "+ph", "list supported TLS profiles and exit", is_exclusive=True),
            *(Option(long, short, _profile_help(long, profile, name)) for long, short, profile, name in _PROFILES),
        ),
        _group(
            "ciphersuite:",
            Option(LIST_CIPHERS, "+cc", "list supported TLS ciphersuites and exit", is_exclusive=True),
            _valued(
                "--cipher",
                "+cs",
                "[c]iphersuite name: string",
                "add ciphersuite to list of negotiated suites\n(not with --profile-bcp195-ex)",
            ),
            _valued("--dhparam", "+dp", "[f]ilename: string", "read DH parameters for DH/DSS ciphersuites")
            if is_called
            else None,
        ),
        _group(
            "server name indication:",
            Option("--no-sni", "", "do not use SNI (default)"),
            _valued("--request-sni", "", "[s]erver name: string", "request server name s") if calls else None,
            _valued("--expect-sni", "", "[s]erver name: string", "expect requests for server name s")
            if is_called
            else None,
        ),
        _group(
            "pseudo random generator:",
            _valued("--seed", "+rs", "[f]ilename: string", "seed random generator with contents of f"),
            Option("--write-seed", "+ws", "write back modified seed (only with --seed)"),
            _valued(
                "--write-seed-file", "+wf", "[f]ilename: string (only with --seed)", "write modified seed to file f"
            ),
        ),
        _group(
            "peer authentication:",
            Option("--require-peer-cert", "-rc", "verify peer cert, fail if absent (default)"),
            Option("--verify-peer-cert", "-vc", "verify peer certificate if present") if is_called else None,
            Option("--ignore-peer-cert", "-ic", "don't verify peer certificate"),
        ),
    )


def _group(heading: str, *options: Option | None) -> Group:
    return Group(heading, tuple(option for option in options if option is not None), is_part=True)


def _valued(long: str, short: str, value: str, text: str) -> Option:
    return Option(long, short, text, values=1, value_help=value)


def _profile_help(long: str, profile: str, name: str) -> str:
    if long == _DEFAULT_PROFILE:
        return f"{name} (default)"
    return name if profile and long not in _ELSEWHERE else f"{name}\n({_ELSEWHERE.get(long, 'not supported')})"


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """What a command line decides about TLS; the defaults are DCMTK's."""

    is_enabled: bool = False
    key: str = ""
    certificate: str = ""
    """"" with TLS: anonymous."""
    password: str | None = None
    """None: asked for where the key needs one."""
    is_der: bool = False
    authority_files: tuple[str, ...] = ()
    authority_folders: tuple[str, ...] = ()
    revocation_files: tuple[str, ...] = ()
    revocation_check: str | None = None
    """`leaf` or `chain`; None is leaf where there are lists."""
    profile: str = _PROFILE_OF[_DEFAULT_PROFILE]
    """A name in `tls.PROFILES`."""
    ciphers: tuple[str, ...] = ()
    """Registered names of suites beside those of the profile."""
    dh_parameters: str = ""
    requested_name: str = ""
    expected_name: str = ""
    seed: str = ""
    written_seed: str = ""
    """File; "": none is written."""
    peer_certificate: str = "required"
    """`required`, `optional` or `ignored`."""


def decide(given: CommandLine, role: Role) -> TlsOptions:
    """What `given` decides about TLS; raises Misconfigured for what cannot be together, or is not spoken."""
    stack = given.last("--disable-tls", "--enable-tls", "--anonymous-tls")
    is_enabled = stack in ("--enable-tls", "--anonymous-tls")
    key, certificate = given.values("--enable-tls") if stack == "--enable-tls" else ("", "")
    for option in _PASSWORDS:
        given.require(option, "--enable-tls", stack == "--enable-tls" or not given.has(option))
    base = "--enable-tls or --anonymous-tls" if role == "requestor" else "--enable-tls"
    for option in _WITH_TLS_ONLY:
        given.require(option, base, is_enabled or not given.has(option))
    for option in ("--request-sni", "--expect-sni"):
        given.refuse_together("--no-sni", option, given.has("--no-sni") and given.has(option))
    for option in ("--write-seed", "--write-seed-file"):
        given.require(option, "--seed", given.has("--seed") or not given.has(option))
    decided = TlsOptions(
        is_enabled=is_enabled,
        key=key,
        certificate=certificate,
        password=_password(given),
        is_der=_FORMS[given.last(*_FORMS) or "--pem-keys"],
        authority_files=given.each("--add-cert-file"),
        authority_folders=given.each("--add-cert-dir"),
        revocation_files=given.each("--add-crl-file"),
        revocation_check=_REVOCATION_CHECKS.get(given.last(*_REVOCATION_CHECKS) or ""),
        profile=_profile(given),
        ciphers=given.each("--cipher"),
        dh_parameters=given.value("--dhparam") or "",
        requested_name=given.value("--request-sni") or "",
        expected_name=given.value("--expect-sni") or "",
        seed=given.value("--seed") or "",
        written_seed=_written_seed(given),
        peer_certificate=_PEER_CERTIFICATES[given.last(*_PEER_CERTIFICATES) or "--require-peer-cert"],
    )
    _check_trust(given, decided)
    return decided


def _password(given: CommandLine) -> str | None:
    match given.last(*_PASSWORDS):
        case "--use-passwd":
            return given.value("--use-passwd")
        case "--null-passwd":
            return ""
        case _:
            return None


def _profile(given: CommandLine) -> str:
    chosen = given.last(*_PROFILE_OF) or _DEFAULT_PROFILE
    if not _PROFILE_OF[chosen]:
        raise Misconfigured(
            f"{chosen} is not supported: it allows TLS 1.0 or no encryption; use --profile-8996 or --profile-bcp195-nd"
        )
    for closed in _CLOSED_PROFILES:
        given.refuse_together("--cipher", closed, given.has("--cipher") and chosen == closed)
    return _PROFILE_OF[chosen]


def _written_seed(given: CommandLine) -> str:
    chosen = given.last("--write-seed", "--write-seed-file")
    return (given.value("--seed" if chosen == "--write-seed" else "--write-seed-file") or "") if chosen else ""


def _check_trust(given: CommandLine, decided: TlsOptions) -> None:
    """Refuse what would start, and then let nobody in."""
    if not decided.is_enabled:
        return
    has_authorities = bool(decided.authority_files or decided.authority_folders)
    given.require(
        given.last("--enable-tls", "--anonymous-tls") or "",
        "--add-cert-file, --add-cert-dir or --ignore-peer-cert",
        has_authorities or decided.peer_certificate == "ignored",
    )
    has_lists = bool(decided.revocation_files or decided.authority_folders)
    for option in _REVOCATION_CHECKS:
        given.require(option, "--add-crl-file or --add-cert-dir", has_lists or not given.has(option))


def _profile_list() -> str:
    spoken = [(long, name) for long, _, profile, name in _PROFILES if profile and long not in _ELSEWHERE]
    lines = [f"- {name}" + " (default)" * (long == _DEFAULT_PROFILE) for long, name in spoken]
    return "\n".join(("Supported TLS Secure Transport Connection Profiles are:", *lines)) + "\n"


def _cipher_list() -> str:
    """From the weakest to the strongest, as DCMTK's."""
    from archive.upper_layer import tls  # loads OpenSSL, which the table of options can do without

    names = (f"  {name}" for name in reversed(tls.cipher_suites_known()))
    return "\n".join(("Supported TLS ciphersuites are:", *names)) + "\n"


ANSWERS: Mapping[str, Callable[[], str]] = {LIST_CIPHERS: _cipher_list, LIST_PROFILES: _profile_list}
"""What the exclusive options of these groups print, below the header."""
