"""`archive study send`: a study to DCMTK's storescp, byte for byte, and to peers that will not have it. No service."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from archive.database import transaction
from archive.dicom.transfer_syntax_presets import PROPOSE
from archive.registry import changes
from scripts.background import free_port
from tests.fix_archive import FoundedArchive
from tests.fix_command import Run as Command
from tests.fix_dcmtk import Receiver
from tests.fix_instances import ct, data_set_bytes, encoded, instance, uid
from tests.wire.receivers import pynetdicom_scp, raw_acceptor, rejects

pytestmark = pytest.mark.wire

STUDY = uid("study", 1, 1)

Run = Callable[..., str]


@pytest.fixture
def run(run: Command, archive: FoundedArchive) -> Run:
    """`run("study", "send", ..., code=0)`; what it printed."""

    def both(*arguments: object, code: int = 0) -> str:
        said = run(*arguments, code=code)
        return said.out + said.error

    return both


def add_peer(archive: FoundedArchive, port: int, title: str = "STORESCP", **settings: Any) -> None:
    work = lambda connection: changes.add_peer(connection, "dest", title, "127.0.0.1", port, settings)  # noqa: E731
    transaction.write(archive.database, work)


def test_a_study_arrives_byte_for_byte(founded: FoundedArchive, run: Run, storescp: Receiver) -> None:
    add_peer(founded, storescp.port)
    data_sets = [
        instance(number=1, transfer_syntax=ImplicitVRLittleEndian),
        instance(number=2, transfer_syntax=ExplicitVRLittleEndian),
        ct(series=2, number=3),
    ]
    founded.store(*data_sets, is_filed=False)
    founded.store(instance(study=2, number=9))

    said = run("study", "send", STUDY, "--to", "dest")

    received = sorted(data_set_bytes(path) for path in storescp.files())
    assert received == sorted(encoded(data_set) for data_set in data_sets)
    assert f"Study {STUDY}: 3 instances sent to STORESCP at 127.0.0.1 port {storescp.port} by ARCHIVE" in said
    assert said.rstrip().endswith("0 failed.")
    assert said.count("\n") == 1


def test_a_peer_with_a_preset_is_offered_nothing_else(founded: FoundedArchive, run: Run) -> None:
    founded.store(instance(number=1), instance(number=2, transfer_syntax=ImplicitVRLittleEndian))
    with pynetdicom_scp(transfer_syntaxes=(ImplicitVRLittleEndian,)) as destination:
        add_peer(founded, destination.port, proposes="big-endian")

        sent = json.loads(run("study", "send", STUDY, "--to", "dest", "--json"))

    assert (sent["sent"], sent["failed"]) == (2, 0)
    assert [each.transfer_syntaxes for each in destination.proposed] == [PROPOSE["big-endian"]]
    assert [each.transfer_syntax for each in destination.received] == [ImplicitVRLittleEndian] * 2


def test_only_the_series_that_are_named_are_sent(founded: FoundedArchive, run: Run, storescp: Receiver) -> None:
    add_peer(founded, storescp.port)
    founded.store(*(instance(series=series, number=series) for series in (1, 2, 3)))
    wanted = [word for series in (1, 3) for word in ("--series", uid("series", 1, 1, series))]

    sent = json.loads(run("study", "send", STUDY, "--to", "dest", *wanted, "--json"))

    assert (sent["sent"], sent["failed"], sent["failures"]) == (2, 0, [])
    assert len(storescp.files()) == 2


def test_the_title_that_is_named_calls(founded: FoundedArchive, run: Run) -> None:
    founded.store(instance())
    with pynetdicom_scp() as destination:
        add_peer(founded, destination.port, destination.title)

        run("study", "send", STUDY, "--to", "dest", "--as", "SOMEBODY")

        (received,) = destination.received
    assert (received.calling_title, received.originator_title) == ("SOMEBODY", None)
    assert received.data_set == encoded(instance())


def test_what_the_peer_refuses_is_named_and_the_others_go_on(founded: FoundedArchive, run: Run) -> None:
    founded.store(*(instance(number=number) for number in (1, 2, 3)))
    refused = uid("instance", 1, 1, 1, 2)

    def answer(event: Any, before: int) -> int:
        return 0xA700 if event.request.AffectedSOPInstanceUID == refused else 0xB000 if before else 0

    with pynetdicom_scp(answer=answer) as destination:
        add_peer(founded, destination.port, destination.title)

        said = run("study", "send", STUDY, "--to", "dest", code=1)
        sent = json.loads(run("study", "send", STUDY, "--to", "dest", "--json", code=1))

    assert f"{refused}: The peer answered with status A700" in said
    assert "2 instances sent" in said
    assert "1 of them with a warning, 1 failed." in said
    assert sent["failures"] == [{"sop_instance_uid": refused, "reason": "The peer answered with status A700"}]


def test_a_file_that_is_lost_fails_by_itself(founded: FoundedArchive, run: Run, storescp: Receiver) -> None:
    add_peer(founded, storescp.port)
    founded.store(*(ct(number=number) for number in (1, 2, 3)))
    founded.files()[1].unlink()

    said = run("study", "send", STUDY, "--to", "dest", code=1)

    assert "A stored file cannot be read" in said
    assert "2 instances sent" in said
    assert len(storescp.files()) == 2


def test_a_peer_that_is_not_there_or_rejects_is_said_for_each_instance(founded: FoundedArchive, run: Run) -> None:
    founded.store(*(instance(number=number) for number in (1, 2)))
    add_peer(founded, free_port())
    nobody = json.loads(run("study", "send", STUDY, "--to", "dest", "--json", code=1))
    with raw_acceptor(rejects) as port:
        run("peer", "set", "dest", "--port", port)
        rejected = json.loads(run("study", "send", STUDY, "--to", "dest", "--json", code=1))

    assert [failure["reason"] for failure in nobody["failures"]] == ["The peer cannot be reached."] * 2
    assert [failure["reason"] for failure in rejected["failures"]] == [
        "The peer rejected the association: called AE title not recognized (permanent)"
    ] * 2


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (("1.2.3", "--to", "dest"), "There is no study 1.2.3; run: archive study list"),
        ((STUDY, "--to", "nobody"), "There is no peer nobody; run: archive peer list"),
        ((STUDY, "--to", "dest", "--series", "1.2"), f"There is no such series of study {STUDY}"),
        ((STUDY, "--to", "dest", "--as", "far too long a title"), "An AE title is 1 to 16 characters"),
        (("", "--to", "dest"), "StudyInstanceUID is empty"),
    ],
    ids=["study", "peer", "series", "title", "empty"],
)
def test_a_mistake_sends_nothing(founded: FoundedArchive, run: Run, arguments: tuple[str, ...], sentence: str) -> None:
    add_peer(founded, free_port())
    founded.store(instance())

    assert sentence in run("study", "send", *arguments, code=2)
