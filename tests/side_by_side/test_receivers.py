"""DCMTK's storescp and dcmrecv, and ours: the same command line and the same traffic to both, and nobody can tell."""

import shlex
from pathlib import Path

import pytest

from scripts.background import Background, free_port
from tests.side_by_side.outcome import Outcome, files_in
from tests.side_by_side.receiver_cases import CASES, Case
from tests.side_by_side.traffic import TRAFFIC
from tests.wire.storage_scps import DCMTK, OURS, Command, words_of

PROFILES = """\
[[TransferSyntaxes]]
[Implicit]
TransferSyntax1 = LittleEndianImplicit
[Any]
TransferSyntax1 = JPEGLSLossless
TransferSyntax2 = LittleEndianExplicit
[[PresentationContexts]]
[Ct]
PresentationContext1 = CTImageStorage\\Implicit
[CtAny]
PresentationContext1 = CTImageStorage\\Any
PresentationContext2 = VerificationSOPClass\\Any
[[ExtendedNegotiation]]
[Ct]
ExtendedNegotiation1 = CTImageStorage\\01
[[SCPSCURoleSelection]]
[Both]
Role1 = CTImageStorage\\BOTH
[SCP]
Role1 = CTImageStorage\\SCP
[SCU]
Role1 = CTImageStorage\\SCU
[[Profiles]]
[Any]
PresentationContexts = CtAny
[Both]
PresentationContexts = CtAny
SCPSCURoleSelection = Both
[SCP]
PresentationContexts = CtAny
SCPSCURoleSelection = SCP
[SCU]
PresentationContexts = CtAny
SCPSCURoleSelection = SCU
[Only CT]
PresentationContexts = Ct
[Extended]
PresentationContexts = CtAny
ExtendedNegotiation = Ct
"""

DCMTKS_PROFILES = Path("/etc/dcmtk/storescp.cfg")

# What only ours is told, where the same is asked for in another way.
OURS_ONLY = {"--study-order-of-dcmtk": ["--study-order", "global"]}


def run(case: Case, command: Command, folder: Path) -> Outcome:
    """Start it, send, end it by SIGTERM."""
    received, sent = folder / "received", folder / "sent"
    received.mkdir(parents=True)
    sent.mkdir()
    profiles = folder / "profiles.cfg"
    profiles.write_text(PROFILES)
    stands_for = {"PROFILES": [str(profiles)], "DCMTKS": [str(DCMTKS_PROFILES)]}
    for option, ours in OURS_ONLY.items():
        stands_for[option] = ours if command == OURS else []
    options = [each for word in shlex.split(case.options) for each in stands_for.get(word, [word])]
    port = free_port()
    words = [*words_of(command, case.program), "-od", str(received), *options, str(port)]
    process = Background(words, folder / "log", environment={"TCP_NODELAY": "1"})
    try:
        process.wait_listening(port)
        answers = [answer for name in case.traffic for answer in TRAFFIC[name](port, sent)]
    finally:
        code = process.stop()
    return Outcome(answers, code, files_in(received))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_receiver_does_what_dcmtks_does(case: Case, tmp_path: Path) -> None:
    theirs, ours = run(case, DCMTK, tmp_path / "theirs"), run(case, OURS, tmp_path / "ours")

    assert ours.answers == theirs.answers
    assert [each.name for each in ours.files] == [each.name for each in theirs.files]
    assert [each.meta[:3] for each in ours.files] == [each.meta[:3] for each in theirs.files]
    if case.program == "storescp":  # dcmrecv does not write who sent it; ours does
        assert [each.meta[3:] for each in ours.files] == [each.meta[3:] for each in theirs.files]
    assert [each.data_set for each in ours.files] == [each.data_set for each in theirs.files]
    assert ours.exit_code == theirs.exit_code


def test_there_are_enough_cases_and_no_two_are_the_same() -> None:
    assert len({case.id for case in CASES}) == len(CASES) >= 120
