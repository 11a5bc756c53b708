"""What DCMTK's programs and ours print at debug level: the same blocks for associations and DIMSE messages."""

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from scripts.background import Background, free_port
from tests.fix_instances import encoded, instance
from tests.side_by_side.site import Site, site, write_files
from tests.side_by_side.test_receivers import DCMTKS_PROFILES
from tests.wire.clients import DCMTK as DCMTK_CLIENT
from tests.wire.clients import OURS as OUR_CLIENT
from tests.wire.clients import ran
from tests.wire.raw_messages import BIG_ENDIAN, CT_IMAGE, EXPLICIT, SECONDARY_CAPTURE, VERIFICATION, Proposed
from tests.wire.raw_scu import RawScu
from tests.wire.storage_scps import DCMTK, OURS, Command, words_of

_BLOCK = re.compile(r"D: =+ (?:BEGIN|INCOMING|OUTGOING) .*?\nD: =+ END .*?\n", re.DOTALL)
_OWN = re.compile(r"(?m)^D: (Our|Their) Implementation .*\n")
_CONTEXT_ID = re.compile(r"(?m)^D: Presentation Context ID .*\n")
_DATA_SET = re.compile(r"(?m)^D: -{60,}\n(?:D: [^=].*\n)*")


def blocks(log: str, kind: str) -> list[str]:
    """The blocks of a kind, but for who made the program; DCMTK's show those who connect and say nothing, too."""
    found = [_OWN.sub("", each) for each in _BLOCK.findall(log) if re.match(f"D: =+ {kind} ", each)]
    return [each for each in found if not re.search("(?m)^D: Calling Application Name: +$", each)]


def traffic(port: int) -> None:
    """Contexts that are accepted and not, a store and an echo."""
    contexts = (
        Proposed(SECONDARY_CAPTURE, (BIG_ENDIAN, EXPLICIT)),
        Proposed(VERIFICATION),
        Proposed("1.2.3"),
        Proposed(CT_IMAGE, ("1.2.3.4",)),
    )
    with RawScu(port) as scu:
        scu.associate(contexts, calling="MODALITY", called="SOMEBODY", roles={SECONDARY_CAPTURE: (1, 1)})
        syntax = scu.accepted[0].transfer_syntax
        made = instance(transfer_syntax=syntax)
        assert scu.store(SECONDARY_CAPTURE, str(made.SOPInstanceUID), encoded(made), syntax).status == 0
        assert scu.echo() == 0
        scu.release()


def said_by_receiver(command: Command, program: str, options: Sequence[str], folder: Path) -> str:
    """The log of a receiver."""
    folder.mkdir()
    port = free_port()
    words = [*words_of(command, program), "-d", "-pdu", "16384", "-od", str(folder), *options, str(port)]
    process = Background(words, folder / "log", environment={"TCP_NODELAY": "1"})
    try:
        process.wait_listening(port)
        traffic(port)
    finally:
        process.stop()
    return process.output()


@pytest.mark.parametrize(
    "program, options",
    [("storescp", ("-aet", "MYSELF")), ("dcmrecv", ("-xf", str(DCMTKS_PROFILES), "Default"))],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_receiver_dumps_what_dcmtks_dumps(program: str, options: Sequence[str], tmp_path: Path) -> None:
    theirs = said_by_receiver(DCMTK, program, options, tmp_path / "theirs")
    ours = said_by_receiver(OURS, program, options, tmp_path / "ours")

    assert blocks(ours, "BEGIN") == blocks(theirs, "BEGIN") != []
    assert blocks(ours, "INCOMING") == blocks(theirs, "INCOMING") != []
    assert len(blocks(ours, "OUTGOING")) == 2  # theirs shows no answers


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("site")) as made:
        yield made


CLIENTS = (
    "findscu -d -S -aec ARCHIVE -k QueryRetrieveLevel=STUDY -k StudyInstanceUID localhost PORT",
    "findscu -d -S -aec ARCHIVE -k QueryRetrieveLevel=NOWHERE localhost PORT",
    "findscu -d -S -aec ARCHIVE --cancel 1 -k QueryRetrieveLevel=STUDY -k StudyInstanceUID localhost PORT",
    "movescu -d -S -pdu 4096 -aec ARCHIVE -aem SINK -k 0008,0052=STUDY -k StudyInstanceUID=1.2 localhost PORT",
    "movescu -d -S -pdu 4096 -aec ARCHIVE -aem ELSEWHERE -k 0008,0052=STUDY -k StudyInstanceUID=1.2 localhost PORT",
    "getscu -d -S -pdu 16384 -aec ARCHIVE -k QueryRetrieveLevel=PATIENT -k PatientID=nobody localhost PORT",
    "storescu -d -R localhost SINK in/1.dcm in/2.dcm",
    "echoscu -d -aec ARCHIVE localhost PORT",
)


@pytest.mark.parametrize("line", CLIENTS)
def test_a_client_dumps_all_that_dcmtks_dumps(line: str, peers: Site, tmp_path: Path) -> None:
    write_files(tmp_path)
    program, *words = shlex.split(line)
    arguments = [str(peers.ports.get(word, word)) for word in words]
    logs = ["\n".join(ran(each, program, *arguments, folder=tmp_path).log) for each in (DCMTK_CLIENT, OUR_CLIENT)]
    # getscu proposes more than DCMTK's; and shows the identifier apart from the message, as the others do. What comes
    # before a peer sees that it is to end is a matter of luck.
    kind = "(INCOMING|OUTGOING)" if program == "getscu" else "(BEGIN|OUTGOING)" if "--cancel" in words else "[A-Z]*"
    bare = [_DATA_SET.sub("", log) + "\n" for log in logs]
    theirs, ours = ([_CONTEXT_ID.sub("", each) for each in blocks(log, kind)] for log in bare)

    rest = iter(ours)
    assert all(each in rest for each in theirs), (theirs, ours)  # ours shows each message, in both directions
    assert theirs
