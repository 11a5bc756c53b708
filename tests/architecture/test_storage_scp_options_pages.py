"""The reference pages of storescp's and dcmrecv's options are their tables: every one, in order and spelling."""

import re

import pytest

from archive.cli.dcmtk import dcmrecv_options, storescp_options
from archive.cli.dcmtk.options import Program
from archive.dicom.transfer_syntax_presets import ACCEPT
from tests.architecture.test_documents import ROOT, read

PROGRAMS = [storescp_options.PROGRAM, dcmrecv_options.PROGRAM]
NAME = re.compile(r"`([-+][^` ]+)`")

every_program = pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)


def page(program: Program) -> str:
    return read(ROOT / f"docs/reference/{program.name}-options.md")


def rows(program: Program) -> list[list[str]]:
    lines = page(program).split("## general options")[1].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if re.match(r"\| `[-+]", line)]


@every_program
def test_every_option_is_described_in_the_order_of_help(program: Program) -> None:
    described = [tuple(NAME.findall(cells[0])) for cells in rows(program)]
    options = [option for group in program.groups for option in group.options]

    assert described == [tuple(name for name in (option.short, option.long) if name) for option in options]


@every_program
def test_every_option_says_what_it_does_here(program: Program) -> None:
    assert all(len(cells) == 3 and cells[1] for cells in rows(program))
    with_values = {NAME.findall(cells[0])[-1] for cells in rows(program) if re.search(r"`[a-z]", cells[0])}

    assert with_values == {option.long for option in program.options.values() if option.values}


@every_program
def test_headings_are_those_of_help(program: Program) -> None:
    headings = re.findall(r"^###? (.+)$", page(program).split("## port")[1].split("\n", 1)[1], re.MULTILINE)

    assert headings == [group.heading.removesuffix(":") for group in program.groups]


def test_the_presets_are_those_of_negotiation() -> None:
    named = {cells[1].split("`")[1] for cells in rows(storescp_options.PROGRAM) if "--prefer" in cells[0]}

    assert named <= set(ACCEPT)


def test_exit_codes_are_those_of_the_code() -> None:
    from archive.cli.dcmtk import dcmrecv

    said = page(dcmrecv_options.PROGRAM).split("Exit codes:")[1].split("## port")[0]
    codes = [
        dcmrecv.INVALID_OUTPUT_DIRECTORY,
        dcmrecv.CANNOT_LISTEN,
        dcmrecv.INVALID_ASSOCIATION_CONFIG,
        dcmrecv.CANNOT_CREATE_TRANSPORT_LAYER,
    ]

    assert re.findall(r"\b(\d\d)\b", said) == [str(code) for code in codes]
