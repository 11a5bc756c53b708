"""storescp_events.py: what associations that store side by side make of each other's studies."""

from pathlib import Path

from archive.cli.dcmtk import storescp_options
from archive.cli.dcmtk.storescp_events import EventVisit, StoreEvents
from archive.storage.file_names import DefaultNames
from archive.storage.folder import OutputFolder
from archive.storage.output import Output
from tests.unit.storage.fix_received import received
from tests.wire.running import becomes_true


def test_an_end_waits_for_a_command_that_another_association_is_about_to_begin(tmp_path: Path) -> None:
    """In the order `global` whoever stores ends the study of everybody else, at any moment."""
    log = tmp_path / "log"
    words = ["-od", str(tmp_path), "-su", "x", "--study-order", "global", "--exec-shell",
             "-xcr", f"sleep 0.2; echo #f >> {log}",
             "-xcs", f"echo end >> {log}"]  # fmt: skip
    asked = storescp_options.decide(storescp_options.PROGRAM.parse(words), is_verbose=False)
    events = StoreEvents(asked, Output(OutputFolder(tmp_path), DefaultNames()))
    one, two = EventVisit(events, {}), EventVisit(events, {})
    for number, visit in enumerate((one, two)):
        visit.received(is_store=True)
        visit.kept(received(study=number), tmp_path / str(number) / f"name{number}")

    two.answered(is_taken=True)  # which ends the study of the other one
    assert becomes_true(lambda: log.exists() and log.read_text().split() == ["name1"])
    one.answered(is_taken=True)

    assert becomes_true(lambda: len(log.read_text().split()) == 3)
    assert log.read_text().split() == ["name1", "name0", "end"]
