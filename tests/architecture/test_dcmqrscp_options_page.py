"""docs/reference/dcmqrscp-options.md is the table of dcmqrscp's options: every one, in its order and its spelling."""

import re

from archive.cli.dcmtk.dcmqrscp_options import PROGRAM
from archive.registry.dcmqrscp_config import DcmqrscpConfig
from archive.registry.tables import ae_titles, peers, storage_areas
from archive.settings import Settings
from tests.architecture.test_documents import ROOT, read, section
from tests.unit.cli.dcmtk.test_dcmqrscp_mapping import ALWAYS_ON, OPTIONS

PAGE = read(ROOT / "docs/reference/dcmqrscp-options.md")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.split("## general options")[1].splitlines()
    if re.match(r"\| `[-+]", line)
]
NAME = re.compile(r"`([-+][^` ]+)`")


def test_every_option_is_described_in_the_order_of_help() -> None:
    described = [tuple(NAME.findall(cells[0])) for cells in ROWS]
    options = [option for group in PROGRAM.groups for option in group.options]

    assert described == [tuple(name for name in (option.short, option.long) if name) for option in options]
    assert set(described) == set(OPTIONS)


def test_every_option_says_what_it_does_here() -> None:
    assert all(len(cells) == 3 and cells[1] for cells in ROWS)
    with_values = {NAME.findall(cells[0])[-1] for cells in ROWS if re.search(r"`[a-z]", cells[0])}

    assert with_values == {option.long for option in PROGRAM.options.values() if option.values}


def test_headings_are_those_of_help() -> None:
    headings = re.findall(r"^###? (.+)$", PAGE.split("## Configuration file")[1].split("\n", 1)[1], re.MULTILINE)

    assert headings == [group.heading.removesuffix(":") for group in PROGRAM.groups]


def test_an_option_that_changes_nothing_says_so() -> None:
    by_name = {NAME.findall(cells[0])[-1]: cells for cells in ROWS}

    assert all(by_name[name][1].startswith("always on") and by_name[name][2] for name in ALWAYS_ON)


def test_what_is_named_is_a_setting_or_a_column() -> None:
    known = {*Settings.__struct_fields__, *ae_titles.c.keys(), *peers.c.keys(), *storage_areas.c.keys()}
    named = {word for cells in ROWS for word in re.findall(r"`([a-z]+_[a-z_]+)`", " ".join(cells))} - {"c_rehash"}

    assert len(named) >= 20
    assert named <= known


def test_the_default_port_is_that_of_the_code() -> None:
    assert f"whose default is {DcmqrscpConfig().network_tcp_port}." in section(PAGE, "## port")
