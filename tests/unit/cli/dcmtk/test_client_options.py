"""client_options.py, echoscu_options.py, findscu_options.py, query_options.py: what command lines of clients decide."""

from pathlib import Path
from typing import Any

import pytest

from archive.cli.dcmtk import echoscu_options, findscu_options
from archive.cli.dcmtk.client_options import Client, IdentityOptions
from archive.cli.dcmtk.echoscu_options import Echoscu
from archive.cli.dcmtk.findscu_options import Findscu, Output
from archive.cli.dcmtk.query_options import SOP_CLASSES, QueryOptions
from archive.dimse.commands import LOW, MEDIUM
from archive.errors import Misconfigured
from archive.query import model as query_model
from archive.query.model import Model, Operation

CLIENT = Client("host", 104, "ECHOSCU")
LITTLE_FIRST = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2")


def echoscu(line: str) -> Echoscu:
    return echoscu_options.decide(echoscu_options.PROGRAM.parse([*line.split(), "host", "104"]))


def client(line: str) -> Client:
    return echoscu(line).client


def findscu(line: str) -> Findscu:
    return findscu_options.decide(findscu_options.PROGRAM.parse(["host", "104", *line.split()]))


def test_without_options_a_client_is_that_of_dcmtk() -> None:
    assert echoscu("") == Echoscu(CLIENT)
    assert CLIENT.called_title == "ANY-SCP"
    assert (CLIENT.socket_timeout, CLIENT.acse_timeout, CLIENT.dimse_timeout) == (60, 30, None)
    assert CLIENT.max_pdu_bytes == 16384


@pytest.mark.parametrize(
    "line, field, value",
    [
        ("-aet ME", "calling_title", "ME"),
        ("-aec YOU", "called_title", "YOU"),
        ("-i4", "ip_version", "ipv4"),
        ("-i4 -i6", "ip_version", "ipv6"),
        ("-i6 -i0", "ip_version", "auto"),
        ("-to 5", "connect_timeout", 5),
        ("-ts 0", "socket_timeout", None),
        ("-ts -1", "socket_timeout", None),
        ("-ts 7", "socket_timeout", 7),
        ("-ta 8", "acse_timeout", 8),
        ("-td 9", "dimse_timeout", 9),
        ("-pdu 4096", "max_pdu_bytes", 4096),
        ("--abort", "aborts", True),
        ("-usr ada", "identity", IdentityOptions(1, "ada")),
        ("-usr ada -pwd x", "identity", IdentityOptions(2, "ada", "x")),
        ("-usr ada -pwd x -epw", "identity", IdentityOptions(2, "ada", "")),
        ("-usr ada -rsp", "identity", IdentityOptions(1, "ada", wants_response=True)),
        ("-kt f", "identity", IdentityOptions(3, file=Path("f"))),
        ("--saml f -rsp", "identity", IdentityOptions(4, file=Path("f"), wants_response=True)),
        ("-usr ada --jwt f", "identity", IdentityOptions(5, file=Path("f"))),
    ],
)
def test_an_option_decides(line: str, field: str, value: Any) -> None:
    assert getattr(client(line), field) == value


@pytest.mark.parametrize(
    "line, said",
    [
        ("-aet SEVENTEEN-LETTERS", "an AE title has 1 to 16 characters"),
        ("-aec Ö", "an AE title has 1 to 16 characters"),
        ("-to 0", "underflow"),
        ("-ta 0", "underflow"),
        ("-td -1", "underflow"),
        ("-ts -2", "underflow"),
        ("-pdu 4095", "underflow"),
        ("-pdu 131073", "overflow"),
        ("--repeat 0", "underflow"),
        ("-pwd x", "--password only allowed with --user"),
        ("-epw", "--empty-password only allowed with --user"),
        ("--jwt f -pwd x", "--password only allowed with --user"),
        ("-rsp", "--pos-response only allowed with --user, --kerberos, --saml or --jwt"),
        ("-ppc 129", "overflow"),
        ("-pts 54", "overflow"),
        ("+tla", "--anonymous-tls only allowed with --add-cert-file"),
        ("+tls k c", "--enable-tls only allowed with --add-cert-file"),
        ("-cf x", "Unknown option -cf"),
    ],
)
def test_a_mistake_is_said(line: str, said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        client(line)


def test_echoscu_counts() -> None:
    decided = echoscu("-pts 53 -ppc 128 --repeat 3")

    assert (decided.transfer_syntaxes, decided.contexts, decided.repeats) == (53, 128, 3)


def test_findscu_asks_a_worklist_unless_told_otherwise() -> None:
    decided = findscu("-k PatientID")

    assert decided.query == QueryOptions("--worklist", ("PatientID",), (), LITTLE_FIRST)
    assert decided.output == Output()
    assert (decided.repeats, decided.cancel_after, decided.client.calling_title) == (1, None, "FINDSCU")


@pytest.mark.parametrize(
    "line, field, value",
    [
        ("-W -P", "model", "--patient"),
        ("-S", "model", "--study"),
        ("-P -O", "model", "--psonly"),
        ("-k a -k b", "keys", ("PatientID", "a", "b")),
        ("one two", "files", (Path("one"), Path("two"))),
        ("-xe", "transfer_syntaxes", LITTLE_FIRST),
        ("-xb", "transfer_syntaxes", (LITTLE_FIRST[1], LITTLE_FIRST[0], LITTLE_FIRST[2])),
        ("-xi", "transfer_syntaxes", (LITTLE_FIRST[2],)),
        ("-xd", "transfer_syntaxes", ("1.2.840.10008.1.2.1.99", *LITTLE_FIRST)),
        ("-xd +cl 0", "compression_level", 0),
        ("-xd", "compression_level", 6),
        ("-u", "old_vrs_only", True),
        ("-u +u", "old_vrs_only", False),
        ("--priority low", "priority", LOW),
        ("--priority high --priority medium", "priority", MEDIUM),
    ],
)
def test_an_option_decides_what_is_asked(line: str, field: str, value: Any) -> None:
    assert getattr(findscu(f"-k PatientID {line}").query, field) == value


@pytest.mark.parametrize(
    "line, output",
    [
        ("-sr", Output(shows=False)),
        ("-sr +sr", Output(shows=True)),
        ("-X", Output(extracts="--extract")),
        ("-X -Xx -od d", Output(extracts="--extract-xml", folder=Path("d"), single_file=Path("d"))),
        ("-Xs f -od d", Output(extracts="--extract-xml-single", folder=Path("d"), single_file=Path("d/f"))),
        ("-Xs /f -od d", Output(extracts="--extract-xml-single", folder=Path("d"), single_file=Path("/f"))),
        ("-X -Xlo 3", Output(extracts="--extract", limit=3)),
        ("+dc", Output(corrects=True)),
        ("+dc -dc", Output()),
        ("--json", Output(document="--json")),
        ("--json --xml", Output(document="--xml")),
    ],
)
def test_an_option_decides_what_becomes_of_the_answers(line: str, output: Output) -> None:
    assert findscu(f"-k PatientID {line}").output == output


@pytest.mark.parametrize(
    "line, said",
    [
        ("", "either query file or override keys"),
        ("-k PatientID -od x", "--output-directory only allowed with --extract, --extract-xml or --extract-xml-single"),
        ("-k PatientID -Xlo 1", "--limit-output only allowed with --extract"),
        ("-k PatientID --priority 1", "--priority \\(1\\), expected low or medium or high"),
        ("-k PatientID -X -Xlo 0", "underflow"),
        ("-k PatientID +cl 3", "--compression-level only allowed with --propose-deflated"),
        ("-k PatientID -xd +cl 10", "overflow"),
        ("-k PatientID --cancel -1", "underflow"),
    ],
)
def test_a_mistake_in_what_is_asked_is_said(line: str, said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        findscu(line)


def test_the_sop_classes_are_those_that_an_archive_serves_and_the_worklist() -> None:
    models = {"--patient": Model.PATIENT_ROOT, "--study": Model.STUDY_ROOT, "--psonly": Model.PATIENT_STUDY_ONLY}
    of_archives = {
        uid: (models[model], Operation[name.upper()])
        for model, operations in SOP_CLASSES.items()
        for name, uid in operations.items()
        if model != "--worklist"
    }

    assert of_archives == query_model.SOP_CLASSES
    assert SOP_CLASSES["--worklist"] == {"find": "1.2.840.10008.5.1.4.31"}


def test_cancel_decides_after_how_many() -> None:
    assert findscu("-k PatientID --cancel 3 --repeat 2").cancel_after == 3
    assert findscu("-k PatientID --cancel 0").cancel_after is None
