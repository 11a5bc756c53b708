"""dcmqrscp.py: what each option of dcmqrscp decides; none is taken and forgotten."""

from pathlib import Path
from typing import Any

import pytest

from archive.cli.dcmtk import tls_options
from archive.cli.dcmtk.dcmqrscp import (
    CharacterSetOptions,
    Dcmqrscp,
    Profiles,
    decide,
    read_profiles,
)
from archive.cli.dcmtk.dcmqrscp_options import PROGRAM
from archive.cli.dcmtk.general_options import Log, log
from archive.cli.dcmtk.output_options import Output
from archive.dicom.transfer_syntax_presets import ACCEPT, PROPOSE
from archive.errors import Misconfigured
from archive.registry.association_profiles import AssociationProfile, ProfileContext, write
from archive.registry.dcmqrscp_config import ResponseCharacterSet
from archive.telemetry import Sink


def decided(arguments: str) -> Dcmqrscp:
    return decide(PROGRAM.parse(arguments.split()))


def test_without_arguments_all_is_as_in_dcmqrscp() -> None:
    assert decided("") == Dcmqrscp()


CHANGES: dict[str, dict[str, Any]] = {
    "11112": {"port": 11112},
    "-c my.cfg": {"config": Path("my.cfg")},
    "-s": {"is_single_process": True},
    "--require-find": {"requires_find": True},
    "--no-parallel-store": {"allows_parallel_stores": False},
    "--disable-get": {"allows_get": False},
    "--allow-shutdown": {"allows_shutdown": True},
    "-XF": {"checks_find": True},
    "-XM": {"checks_move": True},
    "-ZA": {"move_restrictions": frozenset({"aetitle"})},
    "-ZH": {"move_restrictions": frozenset({"host"})},
    "-ZV": {"move_restrictions": frozenset({"vendor"})},
    "-QP": {"has_patient_root": False},
    "-QS": {"has_study_root": False},
    "-QO": {"has_patient_study_only": False},
    "-i6": {"ip_version": "ipv6"},
    "-i0": {"ip_version": "auto"},
    "-xf p.cfg in out": {"profiles": Profiles(Path("p.cfg"), "in", "out")},
    "+ac": {"uses_host_rules": True},
    "-to 5": {"connect_timeout": 5},
    "-ta 6": {"acse_timeout": 6},
    "-td 7": {"dimse_timeout": 7},
    "-pdu 4096": {"max_pdu_bytes": 4096},
    "-dhl": {"looks_up_hosts": False},
    "--refuse": {"refuses": True},
    "--reject": {"requires_implementation_uid": True},
    "--ignore": {"ignores_stores": True},
    "-up": {"tolerates_padded_uids": True},
    "+Cr": {"character_set": CharacterSetOptions(is_overriding=False)},
    "-Cr": {"character_set": CharacterSetOptions(is_overriding=True)},
    "+A7": {"character_set": CharacterSetOptions(character_set="")},
    "+U8": {"character_set": CharacterSetOptions(character_set="ISO_IR 192")},
    "+L1": {"character_set": CharacterSetOptions(character_set="ISO_IR 100")},
    "+C GB18030": {"character_set": CharacterSetOptions(character_set="GB18030")},
    "-Ct": {"character_set": CharacterSetOptions(transliterates=True)},
    "-Cd": {"character_set": CharacterSetOptions(discards=True)},
    "-B": {"output": Output(is_bit_preserving=False)},
    "+B": {"output": Output(is_bit_preserving=True)},
    "-F": {"output": Output(has_file_meta=False)},
    "+te": {"output": Output(transfer_syntax="1.2.840.10008.1.2.1")},
    "+tb": {"output": Output(transfer_syntax="1.2.840.10008.1.2.2")},
    "+ti": {"output": Output(transfer_syntax="1.2.840.10008.1.2")},
    "+td": {"output": Output(transfer_syntax="1.2.840.10008.1.2.1.99")},
    "-u": {"output": Output(has_new_vrs=False)},
    "+g": {"output": Output(group_lengths="create")},
    "-g": {"output": Output(group_lengths="remove")},
    "-e": {"output": Output(has_explicit_lengths=False)},
    "+p 512 0": {"output": Output(padding_bytes=(512, 0))},
    "+cl 9": {"output": Output(deflate_level=9)},
    **{
        f"+x{letter}": {"accept": preset}
        for letter, preset in {
            "e": "little-endian", "b": "big-endian", "s": "jpeg-lossless", "y": "jpeg-8bit", "x": "jpeg-12bit",
            "v": "j2k-lossless", "w": "j2k-lossy", "t": "jls-lossless", "u": "jls-lossy", "m": "mpeg2",
            "h": "mpeg2-high", "n": "mpeg4", "l": "mpeg4-bd", "2": "mpeg4-2-2d", "3": "mpeg4-2-3d", "o": "mpeg4-2-st",
            "4": "hevc", "5": "hevc10", "r": "rle", "d": "deflated", "i": "implicit",
        }.items()
    },
}  # fmt: skip
CHANGES |= {f"-{each[1:]}": {"propose": change["accept"]} for each, change in CHANGES.items() if "accept" in change}

# An option that asks for the default undoes what was asked for before it.
UNDOES = {
    "--fork": "-s", "--no-check-find": "-XF", "--no-check-move": "-XM", "--move-unrestricted": "-ZA", "-i4": "-i6",
    "+x=": "+xs", "-x=": "-xs", "-ac": "+ac", "+F": "-F", "+t=": "+te", "+u": "-u", "+g=": "-g", "+e": "-e",
    "-p": "+p 1 1",
}  # fmt: skip
# Defaults that have data sets written anew, as they are asked for by name.
BY_NAME: dict[str, dict[str, Any]] = {option: {"output": Output(names_defaults=True)} for option in ("+g=", "+e", "-p")}
OF_THE_LOG = {"--arguments", "--quiet", "--verbose", "--very-verbose", "--debug", "--log-level", "--log-config"}


@pytest.mark.parametrize("arguments, change", CHANGES.items())
def test_an_option_decides_what_it_says(arguments: str, change: dict[str, Any]) -> None:
    assert decided(arguments) == Dcmqrscp(**change)


@pytest.mark.parametrize("option, undone", UNDOES.items())
def test_the_right_most_option_counts(option: str, undone: str) -> None:
    assert decided(f"{undone} {option}") == decided(option) == Dcmqrscp(**BY_NAME.get(option, {}))
    assert decided(f"{option} {undone}") == decided(undone) != Dcmqrscp()


def test_every_option_is_in_one_of_these_tests() -> None:
    tested = {argument.split()[0] for argument in (*CHANGES, *UNDOES)} | OF_THE_LOG | {"--help", "--version"}
    of_tls = {option.long for group in tls_options.groups("both") for option in group.options}  # test_tls_options.py

    assert {option.long for name, option in PROGRAM.options.items() if name in tested} | of_tls == {
        option.long for option in PROGRAM.options.values()
    }


def test_presets_are_names_of_lists() -> None:
    for change in CHANGES.values():
        assert change.get("accept", "all") in ACCEPT
        assert change.get("propose", "rle") in PROPOSE


@pytest.mark.parametrize("arguments", ["-ZA -ZV", "-ZV -ZA", "-ZH --move-unrestricted -ZV -ZA"])
def test_restrictions_of_moves_add_up_in_any_order(arguments: str) -> None:
    assert decided(arguments).move_restrictions == {"aetitle", "vendor"}


CONFLICTS = {
    "-QP -QS -QO": "cannot disable all Q/R models",
    "-xf f i o +xs": "--assoc-config-file not allowed with --prefer-lossless",
    "-xf f i o -xi": "--assoc-config-file not allowed with --propose-implicit",
    "+B +te": "--write-xfer-little not allowed with --bit-preserving",
    "+xv +td": "--write-xfer-deflated not allowed with --prefer-j2k-lossless",
    "+B -g": "--group-length-remove not allowed with --bit-preserving",
    "+B +g=": "--group-length-recalc not allowed with --bit-preserving",
    "+B -e": "--length-undefined not allowed with --bit-preserving",
    "+B +p 1 1": "--padding-create not allowed with --bit-preserving",
    "-F +p 1 1": "--padding-create not allowed with --write-dataset",
    "+te +cl 1": "--compression-level only allowed with --propose-deflated, --write-xfer-deflated or --write-xfer-same",
    "+cl 10": "Invalid value for option --compression-level (overflow: 10)",
    "+p -1 1": "Invalid value for option --padding-create (-1)",
    "-ta 0": "Invalid value for option --acse-timeout (underflow: 0)",
    "-pdu 4095": "Invalid value for option --max-pdu (underflow: 4095)",
}


@pytest.mark.parametrize("arguments, message", CONFLICTS.items())
def test_what_cannot_be_together_is_refused(arguments: str, message: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        decided(arguments)

    assert str(caught.value) == message


@pytest.mark.parametrize("arguments", ["-xf f i o +x= -x=", "+xd +te", "+B +t=", "+B -p", "+te -xd +cl 1", "+td +cl 0"])
def test_what_can_be_together_is_taken(arguments: str) -> None:
    assert decided(arguments) != Dcmqrscp()


@pytest.mark.parametrize(
    "arguments, configured, policy",
    [
        ("", None, ResponseCharacterSet(fallback=True)),
        ("-Cr +U8", None, ResponseCharacterSet("ISO_IR 192", override=True, fallback=True)),
        ("", ResponseCharacterSet("ISO_IR 100", override=True), ResponseCharacterSet("ISO_IR 100", override=True)),
        ("+Cr +A7", ResponseCharacterSet("ISO_IR 100", override=True), ResponseCharacterSet()),
        ("-Ct -Cd", ResponseCharacterSet("GBK"), ResponseCharacterSet("GBK", transliterate=True, discard=True)),
    ],
)
def test_character_set_options_go_before_the_file(
    arguments: str, configured: ResponseCharacterSet | None, policy: ResponseCharacterSet
) -> None:
    assert decided(arguments).character_set.over(configured) == policy


@pytest.mark.parametrize(
    "arguments, level",
    [
        ("", "warning"), ("-q", "critical"), ("-v", "info"), ("-d", "debug"), ("-vv", "debug"), ("-d -v", "info"),
        ("-ll fatal", "critical"), ("-ll ERROR", "error"), ("-ll warn", "warning"), ("-ll trace", "debug"),
    ],
)  # fmt: skip
def test_log_options_choose_the_level(arguments: str, level: str) -> None:
    assert log(PROGRAM.parse(arguments.split()), "dcmqrscp") == Log((Sink(level),))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("-v -ll info", "--log-level not allowed with --verbose, --debug or --quiet"),
        ("-ll loud", "Invalid log level for --log-level option"),
        ("-lc /x -ll info", "--log-config not allowed with --log-level"),
        ("-lc /x -d", "--log-config not allowed with --verbose, --debug or --quiet"),
        ("-lc /does/not/exist", "Specified --log-config file does not exist"),
        ("-lc /", "Specified --log-config file cannot be read"),
    ],
)
def test_log_options_that_cannot_be_are_refused(arguments: str, message: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        log(PROGRAM.parse(arguments.split()), "dcmqrscp")

    assert str(caught.value) == message


ONE, TWO = (ProfileContext(f"1.2.840.10008.5.1.4.1.1.{number}", ("1.2.840.10008.1.2",)) for number in (2, 4))


@pytest.fixture
def profile_file(tmp_path: Path) -> Path:
    file = tmp_path / "profiles.cfg"
    file.write_bytes(write((AssociationProfile("Once", (ONE, TWO)), AssociationProfile("Twice", (ONE, ONE)))))
    return file


def test_profiles_are_read_by_name(profile_file: Path) -> None:
    incoming, outgoing = read_profiles(Profiles(profile_file, "o n c e", "TWICE"))

    assert (incoming.name, outgoing.name) == ("Once", "Twice")


@pytest.mark.parametrize(
    "names, message",
    [
        (("a", "Once"), "unknown configuration profile name: a"),
        (("Once", "b"), "unknown configuration profile name: b"),
        (("Twice", "Once"), "is not valid for incoming use"),
    ],
)
def test_profiles_that_cannot_be_used_are_refused(names: tuple[str, str], message: str, profile_file: Path) -> None:
    with pytest.raises(Misconfigured, match=message):
        read_profiles(Profiles(profile_file, *names))


@pytest.mark.parametrize("file", ["/does/not/exist", "/", "a\0b"])
def test_a_profile_file_that_cannot_be_read_is_refused(file: str) -> None:
    with pytest.raises(Misconfigured, match="cannot read association config file: "):
        read_profiles(Profiles(Path(file), "a", "b"))
