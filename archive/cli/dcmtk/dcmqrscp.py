"""The command line of DCMTK's dcmqrscp: what its options decide, as one frozen value."""

from dataclasses import dataclass, field
from pathlib import Path

from archive.cli.dcmtk import network_options, tls_options
from archive.cli.dcmtk.dcmqrscp_options import DEFAULT_CONFIG, PROGRAM
from archive.cli.dcmtk.face import Face
from archive.cli.dcmtk.network_options import (
    DEFAULT_ACSE_TIMEOUT,
    ip_version,
    uses_host_rules,
)
from archive.cli.dcmtk.options import CommandLine
from archive.cli.dcmtk.output_options import Output, output
from archive.cli.dcmtk.tls_options import TlsOptions
from archive.cli.dcmtk.transfer_syntax_options import accepted, proposed, refuse_with_presets
from archive.errors import Misconfigured
from archive.registry.association_profiles import AssociationProfile
from archive.registry.dcmqrscp_config import ResponseCharacterSet
from archive.upper_layer.resolver import IpVersion

CONFIGURATION_FAILED = 10  # the exit code for a configuration that cannot be read or served

_CHARACTER_SETS = {"--convert-to-ascii": "", "--convert-to-utf8": "ISO_IR 192", "--convert-to-latin1": "ISO_IR 100"}
_MOVE_RESTRICTIONS = {"--move-aetitle": "aetitle", "--move-host": "host", "--move-vendor": "vendor"}


@dataclass(frozen=True, slots=True)
class Profiles:
    """`--assoc-config-file`: a file of association profiles, and the names of two of them."""

    file: Path
    incoming: str
    outgoing: str


@dataclass(frozen=True, slots=True)
class CharacterSetOptions:
    """What the command line says about the character set of answers; None leaves it to the configuration file."""

    is_overriding: bool | None = None
    character_set: str | None = None
    transliterates: bool = False
    discards: bool = False

    def over(self, configured: ResponseCharacterSet | None) -> ResponseCharacterSet:
        """The policy in force. Without one in the file dcmqrscp falls back to ASCII."""
        base = configured or ResponseCharacterSet(fallback=True)
        return ResponseCharacterSet(
            character_set=base.character_set if self.character_set is None else self.character_set,
            override=base.override if self.is_overriding is None else self.is_overriding,
            fallback=base.fallback,
            abort=base.abort,
            discard=base.discard or self.discards,
            transliterate=base.transliterate or self.transliterates,
        )


@dataclass(frozen=True, slots=True)
class Dcmqrscp:
    """All that a command line of dcmqrscp decides; the defaults are those of dcmqrscp. Times are in seconds."""

    port: int | None = None
    """None: as the configuration file says."""
    config: Path = Path(DEFAULT_CONFIG)
    is_single_process: bool = False
    requires_find: bool = False
    allows_parallel_stores: bool = True
    allows_get: bool = True
    allows_shutdown: bool = False
    checks_find: bool = False
    checks_move: bool = False
    move_restrictions: frozenset[str] = frozenset()
    """Of `aetitle`, `host` and `vendor`; all of them must hold."""
    has_patient_root: bool = True
    has_study_root: bool = True
    has_patient_study_only: bool = True
    ip_version: IpVersion = "ipv4"
    """What to listen on; auto is both."""
    profiles: Profiles | None = None
    accept: str = "uncompressed"
    """A name in `transfer_syntax_presets.ACCEPT`."""
    propose: str = "uncompressed"
    """A name in `transfer_syntax_presets.PROPOSE`."""
    uses_host_rules: bool = False
    """Whether /etc/hosts.allow and /etc/hosts.deny decide who may connect."""
    connect_timeout: int | None = None
    """None is without limit."""
    acse_timeout: int = DEFAULT_ACSE_TIMEOUT
    dimse_timeout: int | None = None
    max_pdu_bytes: int | None = None
    """None: as the configuration file says."""
    looks_up_hosts: bool = True
    refuses: bool = False
    requires_implementation_uid: bool = False
    ignores_stores: bool = False
    tolerates_padded_uids: bool = False
    character_set: CharacterSetOptions = field(default_factory=CharacterSetOptions)
    tls: TlsOptions = field(default_factory=TlsOptions)
    output: Output = field(default_factory=Output)


def decide(given: CommandLine) -> Dcmqrscp:
    """What `given`, which asks for no help, decides; raises Misconfigured for what cannot be together."""
    has_patient_root = not given.has("--no-patient-root")
    has_study_root = not given.has("--no-study-root")
    has_patient_study_only = not given.has("--no-patient-study")
    if not (has_patient_root or has_study_root or has_patient_study_only):
        raise Misconfigured("cannot disable all Q/R models")
    config = given.value("--config")
    propose = proposed(given)
    return Dcmqrscp(
        port=int(given.parameters[0]) if given.parameters else None,
        config=Path(DEFAULT_CONFIG if config is None else config),
        is_single_process=given.last("--single-process", "--fork") == "--single-process",
        requires_find=given.has("--require-find"),
        allows_parallel_stores=not given.has("--no-parallel-store"),
        allows_get=not given.has("--disable-get"),
        allows_shutdown=given.has("--allow-shutdown"),
        checks_find=given.last("--check-find", "--no-check-find") == "--check-find",
        checks_move=given.last("--check-move", "--no-check-move") == "--check-move",
        move_restrictions=_move_restrictions(given),
        has_patient_root=has_patient_root,
        has_study_root=has_study_root,
        has_patient_study_only=has_patient_study_only,
        connect_timeout=given.signed("--timeout", 1),
        acse_timeout=given.signed("--acse-timeout", 1) or DEFAULT_ACSE_TIMEOUT,
        dimse_timeout=given.signed("--dimse-timeout", 1),
        max_pdu_bytes=network_options.max_pdu_bytes(given),
        looks_up_hosts=not given.has("--disable-host-lookup"),
        refuses=given.has("--refuse"),
        requires_implementation_uid=given.has("--reject"),
        ignores_stores=given.has("--ignore"),
        tolerates_padded_uids=given.has("--uid-padding"),
        ip_version=ip_version(given),
        profiles=_profiles(given),
        accept=accepted(given),
        propose=propose,
        uses_host_rules=uses_host_rules(given),
        character_set=_character_set(given),
        output=output(given, propose),
        tls=tls_options.decide(given, "both"),
    )


def _move_restrictions(given: CommandLine) -> frozenset[str]:
    """Those after the last `--move-unrestricted`. dcmqrscp loses some of them, depending on their order."""
    names = [name for name, _ in given.options]
    since = len(names) - names[::-1].index("--move-unrestricted") if "--move-unrestricted" in names else 0
    return frozenset(_MOVE_RESTRICTIONS[name] for name in names[since:] if name in _MOVE_RESTRICTIONS)


def _profiles(given: CommandLine) -> Profiles | None:
    values = given.values("--assoc-config-file")
    if not values:
        return None
    refuse_with_presets(given, "--assoc-config-file")
    file, incoming, outgoing = values
    return Profiles(Path(file), incoming, outgoing)


def _character_set(given: CommandLine) -> CharacterSetOptions:
    mode = given.last("--use-request-charset", "--override-charset")
    chosen = given.last(*_CHARACTER_SETS, "--convert-to-charset")
    named = given.value("--convert-to-charset")
    return CharacterSetOptions(
        is_overriding=None if mode is None else mode == "--override-charset",
        character_set=named if chosen == "--convert-to-charset" else _CHARACTER_SETS.get(chosen or ""),
        transliterates=given.has("--transliterate"),
        discards=given.has("--discard-illegal"),
    )


def read_profiles(profiles: Profiles) -> tuple[AssociationProfile, AssociationProfile]:
    """The profile for incoming and that for outgoing associations; raises Misconfigured (exit code 1)."""
    reading = network_options.read_profiles(profiles.file)
    incoming, outgoing = reading.profile(profiles.incoming), reading.profile(profiles.outgoing)
    incoming.check_acceptor()
    outgoing.check_requestor()
    return incoming, outgoing


def _serve(given: CommandLine) -> int:
    from archive.cli.dcmtk import dcmqrscp_service  # loads the archive, which help and a mistake can do without

    return dcmqrscp_service.serve(given)


dcmqrscp = Face(PROGRAM, _serve, tls_options.ANSWERS)
