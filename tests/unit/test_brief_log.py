"""telemetry.py: the log as DCMTK's programs print it, and lines that a record brings with it."""

import json
import logging

import pytest

from archive import telemetry
from archive.telemetry import Sink

pytestmark = pytest.mark.usefixtures("restored_log")


def said(style: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    telemetry.set_up_sinks([Sink("debug", style)])
    log = logging.getLogger("archive")
    log.critical("one\nI: two")
    log.log(logging.ERROR, "%s", "three")
    log.warning("four")
    log.info("five", extra={"below": ("six", "se\x1bven"), "peer": "127.0.0.1"})
    log.debug("eight")
    return capsys.readouterr().err.splitlines()


def test_text_that_runs_the_other_way_is_made_visible(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.set_up_sinks([Sink("debug", "brief")])
    logging.getLogger("archive").warning("Doe\u202ennA^\u2066x\u2028y")

    assert capsys.readouterr().err == "W: Doe\\u202ennA^\\u2066x\\u2028y\n"


def test_a_line_is_a_letter_and_the_message(capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["F: one\\x0aI: two", "E: three", "W: four", "I: five", "I: six", "I: se\\x1bven", "D: eight"]

    assert said("brief", capsys) == lines


def test_lines_below_are_in_every_style(capsys: pytest.CaptureFixture[str]) -> None:
    text, machine = said("text", capsys), said("json", capsys)

    assert text[-3:-1] == ["six", "se\\x1bven"]
    assert text[-4].endswith("five peer=127.0.0.1")
    assert json.loads(machine[-2])["below"] == ["six", "se\x1bven"]
