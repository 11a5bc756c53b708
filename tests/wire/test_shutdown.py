"""DCMTK's private SOP Class that ends the service: for whom a rule allows it, and for nobody else."""

import os
import signal
from collections.abc import Callable

import pytest
from sqlalchemy import text

from archive.database import transaction
from archive.database.dialects import Connection
from archive.registry import audit, changes
from archive.registry.audit import Change
from tests.fix_dcmtk import Dcmtk
from tests.fix_instances import encoded, instance
from tests.wire.raw_messages import (
    DATA,
    EXPLICIT,
    LAST_DATA,
    SECONDARY_CAPTURE,
    VERIFICATION,
    Proposed,
    Rejected,
    pdu,
    pdv,
)
from tests.wire.running import Archive

SHUTDOWN = "1.2.276.0.7230010.3.4.1915765545.18030.917282194.0"

Start = Callable[..., Archive]


def allow_shutdown(archive: Archive, calling: str) -> None:
    def work(connection: Connection) -> None:
        changes.add_rule(
            connection, archive.title.name, allows=True, calling_ae_title=calling, operations=("shutdown",)
        )

    archive.change(work)


def notes(archive: Archive) -> list[Change]:
    with transaction.read(archive.database) as connection:
        return audit.history(connection, subject="service")


def test_without_a_rule_termscu_ends_nothing(archive: Archive, dcmtk: Dcmtk) -> None:
    ran = dcmtk.run("termscu", "-v", "-aec", archive.title, "127.0.0.1", archive.port)

    assert "No Acceptable Presentation Contexts" in ran.output, ran
    archive.echo()
    with archive.associate(Proposed(SHUTDOWN), Proposed(VERIFICATION)) as scu:
        assert scu.results == {SHUTDOWN: [3], VERIFICATION: [0]}


def test_a_rule_for_somebody_else_is_none(archive: Archive) -> None:
    allow_shutdown(archive, "ADMIN")

    with archive.associate(Proposed(SHUTDOWN), Proposed(VERIFICATION), calling="OTHER") as scu:
        assert scu.results[SHUTDOWN] == [3]
        assert scu.echo() == 0


def test_who_may_end_it_may_still_do_other_things(archive: Archive) -> None:
    allow_shutdown(archive, "ADMIN")

    with archive.associate(Proposed(VERIFICATION), calling="ADMIN") as scu:
        assert scu.echo() == 0


def test_d17_termscu_ends_the_service_in_good_order(start_own_archive: Start, dcmtk: Dcmtk) -> None:
    archive = start_own_archive(workers=2)
    allow_shutdown(archive, "ADMIN")

    ran = dcmtk.run("termscu", "-v", "-aet", "ADMIN", "-aec", archive.title, "127.0.0.1", archive.port)

    assert "Result: Rejected Permanent, Source: Service User" in ran.output, ran
    assert "Reason: No Reason" in ran.output, ran
    assert archive.service.process.wait() == 0
    [note] = notes(archive)
    assert (note.action, note.name) == ("shutdown", archive.title.name)
    assert note.after == {"calling_ae_title": "ADMIN", "address": "127.0.0.1"}
    assert "a peer ends the service" in archive.service.output()
    assert "Traceback" not in archive.service.output()


def test_it_is_rejected_1_1_1_and_running_operations_are_finished(start_own_archive: Start) -> None:
    archive = start_own_archive(workers=2)
    allow_shutdown(archive, "ADMIN")
    large = instance(side_pixels=256)
    content = encoded(large)
    with archive.associate(Proposed(SECONDARY_CAPTURE, (EXPLICIT,))) as busy:
        busy.announce_store(SECONDARY_CAPTURE, large.SOPInstanceUID)
        busy.says(pdu(0x04, pdv(1, DATA, content[:100_000])))
        assert archive.becomes_true(archive.is_receiving)

        with pytest.raises(Rejected) as rejected:
            archive.associate(Proposed(SHUTDOWN), Proposed(VERIFICATION), calling="ADMIN")

        assert rejected.value.why == (1, 1, 1)
        assert archive.becomes_true(lambda: archive.workers() == [])
        busy.says(pdu(0x04, pdv(1, LAST_DATA, content[100_000:])))
        assert busy.receive().status == 0
    assert archive.service.process.wait() == 0
    with transaction.read(archive.database) as connection:
        assert connection.execute(text("SELECT count(*) FROM instances")).scalar_one() == 1


def test_asked_twice_it_still_finishes_what_runs(start_own_archive: Start) -> None:
    """A second signal would end a draining service at once; a second peer who asks is no such signal."""
    archive = start_own_archive()
    allow_shutdown(archive, "ADMIN")
    large = instance(side_pixels=256)
    content = encoded(large)
    with archive.associate(Proposed(SECONDARY_CAPTURE, (EXPLICIT,))) as busy:
        busy.announce_store(SECONDARY_CAPTURE, large.SOPInstanceUID)
        busy.says(pdu(0x04, pdv(1, DATA, content[:100_000])))
        assert archive.becomes_true(archive.is_receiving)
        supervisor = archive.service.process.pid
        with pytest.raises(Rejected):
            archive.associate(Proposed(SHUTDOWN), calling="ADMIN")
        assert archive.becomes_true(lambda: archive.workers() == [])

        os.kill(supervisor, signal.SIGUSR1)  # as the worker of a second peer would

        busy.says(pdu(0x04, pdv(1, LAST_DATA, content[100_000:])))
        assert busy.receive().status == 0
    assert archive.service.process.wait() == 0
