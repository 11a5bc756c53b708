"""The administrator's commands as programs, beside a running archive: changes hold without a restart, peers answer."""

import json
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.background import free_port
from tests.fix_dcmtk import Dcmtk
from tests.fix_instances import instance, uid
from tests.fix_service import Service

pytestmark = pytest.mark.wire


def test_help_answers_quickly() -> None:
    seconds: list[float] = []

    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "archive", "--help"], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    assert min(seconds) < 0.3  # of a processor, so that a busy machine is no defect


def test_the_first_start_says_in_three_lines_what_it_made(service: Service) -> None:
    made, inside, outside = service.output().splitlines()[:3]

    assert f"Made a new archive in {service.data}: area ARCHIVE, AE title ARCHIVE" in made
    assert "anybody on this machine" in inside
    assert "archive serve --host 0.0.0.0" in outside


def test_changes_hold_for_the_next_association_without_a_restart(
    service: Service, dcmtk: Dcmtk, tmp_path: Path
) -> None:
    unknown = dcmtk.echo(service.port, called="RESEARCH")
    service.run("area", "add", "RESEARCH", tmp_path / "research")
    service.run("ae", "add", "RESEARCH", "--area", "RESEARCH", "--access", "RW")
    no_rule = dcmtk.echo(service.port, called="RESEARCH")
    service.run("rule", "allow", "--at", "RESEARCH", "--title", "ECHOSCU", "--from", "127.0.0.1", "--can", "echo")
    allowed = dcmtk.echo(service.port, called="RESEARCH")
    service.run("rule", "deny", "--at", "RESEARCH", "--any")
    denied = dcmtk.echo(service.port, called="RESEARCH")

    assert "Called AE Title Not Recognized" in unknown.output
    assert "Calling AE Title Not Recognized" in no_rule.output
    assert allowed.is_ok, str(allowed)
    assert "Calling AE Title Not Recognized" in denied.output


def test_a_study_that_is_removed_is_gone_for_finds_at_once(service: Service, dcmtk: Dcmtk, files_of) -> None:
    stored = dcmtk.store(service.port, *files_of(instance()))
    assert stored.is_ok, str(stored)
    assert uid("study", 1, 1) in service.run("study", "list")

    service.run("study", "remove", uid("study", 1, 1), "--yes")

    _, found = dcmtk.find(service.port, "QueryRetrieveLevel=STUDY", "StudyInstanceUID")
    assert found == []
    assert service.run("check", "verify").strip().endswith("0 files and 0 counters wrong.")


def test_peer_echo_tells_the_time_or_the_reason(service: Service) -> None:
    for name, title, port in (
        ("self", "ARCHIVE", service.port),
        ("wrong", "NOBODY", service.port),
        ("closed", "ARCHIVE", free_port()),
    ):
        service.run("peer", "add", name, "--title", title, "--host", "localhost", "--port", port)

    answered = service.run("peer", "echo", "self", "--as", "TESTER")
    as_json = json.loads(service.run("peer", "echo", "self", "--as", "TESTER", "--json"))
    rejected = service.run("peer", "echo", "wrong", code=1)
    refused = service.run("peer", "echo", "closed", code=1)

    assert f"ARCHIVE at localhost port {service.port} answered TESTER in " in answered
    assert as_json.pop("seconds") > 0
    assert as_json == {
        "peer": "self",
        "title": "ARCHIVE",
        "host": "localhost",
        "port": service.port,
        "called_by": "TESTER",
        "tls": None,
    }
    assert rejected == "The peer rejected the association: called AE title not recognized (permanent).\n"
    assert "The peer cannot be reached" in refused
    assert "Connection refused" in refused


def test_peer_echo_of_a_port_that_speaks_no_dicom_ends_at_its_deadline(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARCHIVE_ACSE_TIMEOUT", "0.2")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        service.run("peer", "add", "silent", "--title", "A", "--host", "127.0.0.1", "--port", silent.getsockname()[1])

        said = service.run("peer", "echo", "silent", code=1)

    assert said == "The peer did not answer in time.\n"
