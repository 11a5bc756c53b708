"""storescu_options.py: what a command line decides, and what cannot be in one."""

import pytest

from archive.cli.dcmtk.storescu_options import PROGRAM, decide
from archive.errors import Misconfigured
from tests.unit.cli.dcmtk.tools import STORESCU

MISTAKES = {
    "+sp *.dcm": "--scan-pattern only allowed with --scan-directories",
    "+r": "--recurse only allowed with --scan-directories",
    "-xf f p -xs": "--config-file not allowed with --propose-lossless",
    "-xf f p -R": "--config-file not allowed with --required",
    "-xf f p +C": "--config-file not allowed with --combine",
    "+cl 5": "--compression-level only allowed with --propose-deflated or --config-file",
    "+cl 10 -xd": "Invalid value for option --compression-level (overflow: 10)",
    "--repeat 0": "Invalid value for option --repeat (underflow: 0)",
    "--parallel 0": "Invalid value for option --parallel (underflow: 0)",
    "--parallel 65": "Invalid value for option --parallel (overflow: 65)",
    "+IR 0": "Invalid value for option --invent-series (underflow: 0)",
    "--max-send-pdu 4095": "Invalid value for option --max-send-pdu (underflow: 4095)",
    "-pwd p": "--password only allowed with --user",
    "-rsp": "--pos-response only allowed with --user, --kerberos, --saml or --jwt",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_what_cannot_be_together_is_told_in_dcmtks_words(words: str) -> None:
    assert STORESCU.decided(words) == MISTAKES[words]


def test_contexts_are_shown_where_somebody_sees_them() -> None:
    given = PROGRAM.parse(["+v", "localhost", "104", "file.dcm"])

    with pytest.raises(Misconfigured, match="--verbose-pc only allowed with verbose mode"):
        decide(given, is_verbose=False)


def test_a_file_must_be_named() -> None:
    with pytest.raises(Misconfigured, match="Missing parameter dcmfile-in"):
        PROGRAM.parse(["localhost", "104"])


def test_all_files_that_are_named_are_sent() -> None:
    given = PROGRAM.parse(["localhost", "104", "a", "b", "c"])

    assert decide(given, is_verbose=False).files.named == ("a", "b", "c")
