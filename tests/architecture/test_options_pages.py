"""The reference page of each face's options is its table: every one, in order and spelling."""

import importlib
import re
from types import ModuleType

import pytest

from archive.cli.dcmtk.options import Program
from archive.cli.main import FACES
from archive.dicom.transfer_syntax_presets import ACCEPT
from tests.architecture.test_documents import ROOT, read

# dcmqrscp's page has another form, and a test of its own.
PROGRAMS: list[Program] = [
    importlib.import_module(where.partition(":")[0]).PROGRAM for name, (where, _) in FACES.items() if name != "dcmqrscp"
]
NAME = re.compile(r"`([-+][^` ]+)`")

every_program = pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)


def page(name: str) -> str:
    return read(ROOT / f"docs/reference/{name}-options.md")


def tables(name: str) -> str:
    return page(name).partition("\n## general options\n")[2]


def rows(name: str) -> list[list[str]]:
    lines = tables(name).splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if re.match(r"\| `[-+]", line)]


@every_program
def test_every_option_is_described_in_the_order_of_help(program: Program) -> None:
    described = [tuple(NAME.findall(cells[0])) for cells in rows(program.name)]
    options = [option for group in program.groups for option in group.options]

    assert described == [tuple(name for name in (option.short, option.long) if name) for option in options]


@every_program
def test_every_option_says_what_it_does_here(program: Program) -> None:
    assert all(len(cells) == 3 and cells[1] for cells in rows(program.name))
    with_values = {NAME.findall(cells[0])[-1] for cells in rows(program.name) if re.search(r"`[a-z]", cells[0])}

    assert with_values == {option.long for option in program.options.values() if option.values}


@every_program
def test_headings_are_those_of_help(program: Program) -> None:
    headings = ["general options", *re.findall(r"^###? (.+)$", tables(program.name), re.MULTILINE)]

    assert headings == [group.heading.removesuffix(":") for group in program.groups]


def test_the_presets_are_those_of_negotiation() -> None:
    named = {cells[1].split("`")[1] for cells in rows("storescp") if "--prefer" in cells[0]}

    assert named
    assert named <= set(ACCEPT)


def codes_said(name: str) -> list[int]:
    paragraph = page(name).partition("Exit codes:")[2].partition("\n\n")[0]
    return [int(code) for code in re.findall(r"(?<![\w.])(\d\d?)(?=\s(?:for|when))", paragraph)]


def codes_of(module: ModuleType) -> set[int]:
    """The exit codes that a face has names for."""
    return {value for name, value in vars(module).items() if re.fullmatch("[A-Z][A-Z_]*", name) and type(value) is int}


def test_exit_codes_are_those_of_the_code() -> None:
    from archive.cli.dcmtk import dcmrecv, echoscu, findscu, getscu, movescu, sending
    from archive.cli.dcmtk.face import OK, SYNTAX_ERROR

    assert set(codes_said("dcmrecv")) == {
        OK,
        SYNTAX_ERROR,
        dcmrecv.INVALID_OUTPUT_DIRECTORY,
        dcmrecv.CANNOT_LISTEN,
        dcmrecv.INVALID_ASSOCIATION_CONFIG,
        dcmrecv.CANNOT_CREATE_TRANSPORT_LAYER,
    }
    assert set(codes_said("echoscu")) == {OK, SYNTAX_ERROR, echoscu.ASSOCIATION_ABORTED}
    assert set(codes_said("movescu")) == {OK, SYNTAX_ERROR, *codes_of(movescu)}
    assert set(codes_said("getscu")) == {OK, getscu.FAILED}
    assert set(codes_said("findscu")) == {OK, SYNTAX_ERROR, findscu.NOT_USABLE, findscu.FAILED}
    assert set(codes_said("storescu")) == {OK, SYNTAX_ERROR, sending.PEER_ABORTED}
