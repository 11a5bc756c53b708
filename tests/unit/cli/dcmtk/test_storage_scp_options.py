"""storescp_options.py, dcmrecv_options.py: what command lines of receivers decide, and what cannot be in one."""

import pytest

from archive.cli.dcmtk import dcmrecv_options, storescp_options
from archive.errors import Misconfigured
from tests.unit.cli.dcmtk.tools import DCMRECV, STORESCP

MISTAKES = {
    "--inetd --fork": "--inetd not allowed with --fork",
    "--max-associations 2": "--max-associations only allowed with --fork",
    "--fork --max-associations 0": "Invalid value for option --max-associations (underflow: 0)",
    "-xf f p +xe": "--config-file not allowed with --prefer-little",
    "-xf f p +xa": "--config-file not allowed with --accept-all",
    "-xf f p -pm": "--config-file not allowed with --promiscuous",
    "-xf f": "Missing value for option --config-file",
    "+xa +te": "--write-xfer-little not allowed with --accept-all",
    "+xs +tb": "--write-xfer-big not allowed with --prefer-lossless",
    "+B +ti": "--write-xfer-implicit not allowed with --bit-preserving",
    "+B +u": "--enable-new-vr not allowed with --bit-preserving",
    "+B -u": "--disable-new-vr not allowed with --bit-preserving",
    "+B +g=": "--group-length-recalc not allowed with --bit-preserving",
    "+B -e": "--length-undefined not allowed with --bit-preserving",
    "+B +p 2 2": "--padding-create not allowed with --bit-preserving",
    "-F +p 2 2": "--padding-create not allowed with --write-dataset",
    "+te +cl 9": "--compression-level only allowed with --write-xfer-deflated or --write-xfer-same",
    "+B -ss p": "--sort-conc-studies not allowed with --bit-preserving",
    "+B -sp": "--sort-on-patientname not allowed with --bit-preserving",
    "+uf -tn": "--timenames not allowed with --unique-filenames",
    "--fork -sp -xcs c": "--exec-on-eostudy not allowed with --fork",
    "-id -sp -rns": "--rename-on-eostudy not allowed with --inetd",
    "-xcs c": "--exec-on-eostudy only allowed with --sort-conc-studies, --sort-on-study-uid or --sort-on-patientname",
    "-tos 5": "--eostudy-timeout only allowed with --sort-conc-studies, --sort-on-study-uid, --sort-on-patientname, "
    "--exec-on-eostudy or --rename-on-eostudy",
    "--study-order first": "Invalid value for option --study-order (first), expected study or global",
    "-ts -2": "Invalid value for option --socket-timeout (underflow: -2)",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_what_cannot_be_together_is_refused_in_storescps_words(words: str) -> None:
    assert STORESCP.decided(words) == MISTAKES[words]


def test_what_shows_contexts_needs_a_log_that_has_room_for_them() -> None:
    for options in (storescp_options, dcmrecv_options):
        with pytest.raises(Misconfigured, match="--verbose-pc only allowed with verbose mode"):
            options.decide(options.PROGRAM.parse(["+v"]), is_verbose=False)


def test_of_what_excludes_each_other_the_last_one_counts() -> None:
    def of_storescp(words: str) -> storescp_options.Storescp:
        return storescp_options.decide(storescp_options.PROGRAM.parse(words.split()), is_verbose=False)

    assert of_storescp("+xs +xa").accept == "all"
    assert of_storescp("+xa +xs").accept == "jpeg-lossless"
    assert of_storescp("--fork --single-process").is_single_process
    assert not of_storescp("--single-process --fork").is_single_process
    assert of_storescp("-ss a -su b").files == storescp_options.Files(sorting="study", sorting_prefix="b")
    assert of_storescp("-su b -ss a").files == storescp_options.Files(sorting="timestamp", sorting_prefix="a")
    assert of_storescp("-su b -sp").files == storescp_options.Files(sorting="patient")
    assert of_storescp("+uf -uf -tn").files.naming == "time"


def test_without_options_all_is_as_in_the_programs() -> None:
    assert STORESCP.decided("")[0] == storescp_options.Storescp()
    assert DCMRECV.decided("")[0] == dcmrecv_options.Dcmrecv()
