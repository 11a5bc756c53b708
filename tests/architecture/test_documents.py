"""The documents say what the code does: commands, tables, SQL and its answers, links, the tour as it is written."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from itertools import product
from pathlib import Path
from typing import Any

import click
import pytest
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage
from sqlalchemy import Boolean, Column, Date, Integer, LargeBinary, Numeric, Text, Time, text

import archive as package
from archive.cli import main as cli
from archive.database import transaction
from archive.database.engine import Database
from archive.database.metadata import Json, Timestamp
from archive.index import report_rows, reports
from archive.index import tables as index_tables
from archive.index.activity import Source
from archive.index.reports import Report
from archive.lifecycle import founding
from archive.registry import tables as registry_tables
from scripts.background import Background, free_port
from tests.fix_archive import FoundedArchive
from tests.fix_dcmtk import Dcmtk
from tests.fix_instances import ct, instance
from tests.sql.fix_activity import association, find, happened, operation, store

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
DECISIONS = sorted(ROOT.glob("docs/decisions/*.md"))
COMMANDS_PAGE = ROOT / "docs/reference/commands.md"
DATABASE_PAGE = ROOT / "docs/reference/database.md"

# Written by a benchmark run, which may not have happened in this checkout.
GENERATED = {"docs/performance.md", "docs/performance-of-load.md", "docs/performance-of-growth.md"}

TABLES = {
    table.name: table
    for table in (*index_tables.patients.metadata.sorted_tables, *registry_tables.peers.metadata.sorted_tables)
}

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_BRACES = re.compile(r"\{([^}]*)\}")


def read(path: Path) -> str:
    """A document."""
    return path.read_text(encoding="utf-8")


def section(page: str, heading: str) -> str:
    """What lies between a heading and the next one of its depth or above."""
    depth = len(heading) - len(heading.lstrip("#"))
    after = f"\n{page}".split(f"\n{heading}\n", 1)
    assert len(after) == 2, f"there is no heading {heading!r}"
    return re.split(rf"^#{{1,{depth}}} ", after[1], maxsplit=1, flags=re.MULTILINE)[0]


def rows(markdown: str) -> list[list[str]]:
    """The cells of the first table, without its heading."""
    lines: list[str] = []
    for line in markdown.splitlines():
        if line.startswith("|"):
            lines.append(line)
        elif lines:
            break
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return cells[2:]


def code(page: str, *languages: str) -> list[str]:
    """The blocks of code in these languages."""
    return [body for language, body in _FENCE.findall(page) if language in languages]


def anchors(page: str) -> set[str]:
    """What the headings of a page are called in links, as GitHub makes it."""
    headings = _HEADING.findall(_FENCE.sub("", page))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def name(path: Path) -> str:
    """A document as it is called from the top of the tree."""
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", DOCUMENTS, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in _LINK.findall(_FENCE.sub("", read(page))):
        if target.startswith(("https://", "http://")):
            continue
        file, _, anchor = target.partition("#")
        found = (page.parent / file).resolve() if file else page
        if found.is_relative_to(ROOT) and name(found) in GENERATED:
            continue
        if not found.exists() or (anchor and anchor not in anchors(read(found))):
            broken.append(target)

    assert broken == []


@pytest.mark.parametrize("page", DOCUMENTS, ids=name)
def test_every_archive_command_in_a_document_is_one_the_archive_takes(page: Path) -> None:
    refused = []
    for block in code(read(page), "sh", "console", "ini"):
        for words in archive_commands(block):
            try:
                parse_command(words)
            except click.ClickException as error:
                refused.append(f"{shlex.join(words)}: {error.format_message()}")

    assert refused == []


def parts_of(line: str) -> list[str]:
    """The commands of a line of a shell; what is between quotes is no end of one."""
    parts = [""]
    for piece in re.split(r"""('[^']*'|"(?:\\.|[^"\\])*"|[;|&]+|\$\()""", line):
        if piece == "$(" or re.fullmatch(r"[;|&]+", piece):
            parts.append("")
        else:
            parts[-1] += piece
    return parts


def archive_commands(block: str) -> Iterator[list[str]]:
    """The words behind `archive` of every command line in a block, wherever in the line it stands."""
    for line in block.replace("\\\n", " ").splitlines():
        for part in parts_of(line):
            if not re.search(rf"(?:^|[\s/]){cli.PROGRAM}(?:\s|$)", part):
                continue
            words = shlex.split(part.lstrip("$ "), comments=True)
            yield from (words[number + 1 :] for number, word in enumerate(words) if _is_command(words, number, word))


def _is_command(words: list[str], position: int, word: str) -> bool:
    """Whether a word is the command `archive`, and not the name of something."""
    before = [each for each in words[:position] if "=" not in each]
    if word not in (cli.PROGRAM, f".venv/bin/{cli.PROGRAM}"):
        return False
    return before in ([], ["exec"], ["sudo", "-u", "archive"], ["docker", "compose", "exec", "archive"])


def parse_command(words: list[str]) -> None:
    """Let click read the words, without running anything; raises ClickException."""
    group: click.Command = cli.archive
    context = click.Context(group, info_name=cli.PROGRAM)
    while isinstance(group, click.Group):
        if not words or words[0] == "--help":
            return
        found = group.get_command(context, words[0])
        if found is None:
            raise click.UsageError(f"no command {words[0]}")
        group, words = found, words[1:]
    if "--help" not in words:
        group.make_context(group.name, list(words))


def documented_command(words: str) -> tuple[click.Command, str]:
    """A command, and what the reference says of it."""
    module, _, attribute = cli.COMMANDS[words][0].partition(":")
    __import__(module)
    return getattr(sys.modules[module], attribute), section(read(COMMANDS_PAGE), f"### archive {words}")


@pytest.mark.parametrize("words", cli.COMMANDS)
def test_the_reference_names_every_option_of_a_command_and_no_other(words: str) -> None:
    command, described = documented_command(words)
    shared = {"--data", "--database", "--config", "--json"}
    options = {
        name
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for name in (*parameter.opts, *parameter.secondary_opts)
    }
    named = {word for cell in rows(described) for word in re.findall(r"--[a-z-]+", cell[0])}

    assert named - shared == options - shared
    assert ("`--json`" in described) == ("--json" in options)


@pytest.mark.parametrize("words", cli.COMMANDS)
def test_the_reference_shows_the_arguments_of_a_command_and_an_example(words: str) -> None:
    command, described = documented_command(words)
    arguments = [
        parameter.make_metavar(click.Context(command))
        for parameter in command.params
        if isinstance(parameter, click.Argument)
    ]
    usage, *examples = code(described, "sh", "text")

    assert all(argument.strip("[]") in usage for argument in arguments)
    assert any(example.startswith(f"archive {words}") for example in examples)


def test_the_reference_describes_no_command_that_there_is_not() -> None:
    described = set(re.findall(r"^### archive (.+)$", read(COMMANDS_PAGE), re.MULTILINE))

    assert described == set(cli.COMMANDS)


def kind(column: Column[Any]) -> str:
    """The type of a column in the words of the reference."""
    kinds = {
        Timestamp: "moment",
        Boolean: "flag",
        Date: "date",
        Time: "time",
        Integer: "integer",
        Numeric: "number",
        LargeBinary: "bytes",
        Json: "JSON",
        Text: "text",
    }
    return next(word for each, word in kinds.items() if isinstance(column.type, each))


def expanded(pattern: str) -> list[str]:
    """`a_{b,c}_d` as the names it stands for."""
    choices = [found.split(",") for found in _BRACES.findall(pattern)]
    return [_BRACES.sub("{}", pattern).format(*chosen) for chosen in product(*choices)]


@pytest.mark.parametrize("report", reports.REPORTS.values(), ids=lambda report: report.name)
def test_the_reference_describes_every_column_of_a_view_with_its_type(report: Report) -> None:
    described = section(read(DATABASE_PAGE), f"### {report.view}")
    columns = [(names.strip("`"), type_name) for names, type_name, meaning in rows(described) if meaning]

    assert columns == [(name, report_rows.kind(column.type)) for name, column in report.columns.items()]


@pytest.mark.parametrize("table", TABLES)
def test_the_reference_describes_every_column_of_a_table_with_its_type(table: str) -> None:
    described = section(read(DATABASE_PAGE), f"### {table}")
    columns = {
        column: type_name
        for names, type_name, meaning in rows(described)
        for column in expanded(names.strip("`"))
        if meaning
    }

    assert columns == {column.name: kind(column) for column in TABLES[table].columns}


QUESTIONS = re.findall(r"^### \d+\. .+$", read(DATABASE_PAGE), re.MULTILINE)


def test_the_reference_answers_ten_questions() -> None:
    assert len(QUESTIONS) == 10


def small_archive(database: Database, data: Path) -> None:
    """Three patients with a study each, and one with two; an instance sent twice, and one that contradicts another.

    A scanner stored, a workstation asked, a stranger was not let in.
    """
    founding.found(database, data)
    archive = FoundedArchive(database, data)
    archive.set_area(max_studies=100)
    anna: dict[str, Any] = {"patient": 1, "PatientName": "Müller^Anna", "PatientID": "P000001"}
    john: dict[str, Any] = {"patient": 2, "PatientName": "Smith^John", "PatientID": "P000002"}
    taro: dict[str, Any] = {
        "patient": 3,
        "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう",
        "PatientID": "P000003",
    }
    archive.store(
        *(ct(study=1, series=1, number=number, **anna) for number in (1, 2, 3)),
        ct(study=1, series=2, number=4, **anna),
        instance(study=2, SOPClassUID=MRImageStorage, Modality="MR", side_pixels=256, **anna),
        ct(study=3, number=1, AccessionNumber="A000002", **john),
        ct(study=3, number=2, AccessionNumber="A000002", PatientSex="M", **john),
        instance(study=4, transfer_syntax=ExplicitVRLittleEndian, side_pixels=256, **taro),
        ct(study=1, series=1, number=3, **anna),
    )
    small_access_log(database)


def small_access_log(database: Database) -> None:
    """What a scanner, a workstation and a stranger did in March, and what came in two months."""
    at = datetime(2026, 3, 1, 14, 5, tzinfo=UTC)
    stranger = {
        "calling_ae_title": "STRANGER",
        "peer_host": "10.9.9.9",
        "outcome": "rejected",
        "rejection": "1/1/3",
        "reason": "no rule at ARCHIVE lets STRANGER from 10.9.9.9 echo",
        "number_of_requests": 12,
    }
    move = {"level": "STUDY", "move_destination": "WS2", "sub_operations_completed": 200, "size_bytes": 100_000_000}
    happened(
        database,
        (association(at), store(at, 90)),
        (
            association(at, calling_ae_title="WS1", peer_host="10.1.2.4"),
            *(find(at, seconds) for seconds in (0.25, 1.5, 2.5)),
            operation("C-MOVE", at, 12.5, **move),
            operation("C-MOVE", at, 0.25, status="A801", error_comment="WS9 is not a peer of ours"),
        ),
        (association(at, **stranger),),
        received={
            Source(date(2026, 2, 27), "ARCHIVE", "CT1", "CT"): (100, 50_000_000),
            Source(date(2026, 2, 28), "ARCHIVE", "CT1", "CT"): (50, 25_000_000),
            Source(date(2026, 3, 1), "ARCHIVE", "CT1", "CT"): (90, 45_000_000),
            Source(date(2026, 3, 1), "ARCHIVE", "MR1", "MR"): (40, 5_000_000),
        },
    )


@pytest.mark.parametrize("question", QUESTIONS)
def test_sql_in_the_reference_gives_the_answer_that_is_shown(question: str, migrated_url: str, tmp_path: Path) -> None:
    described = section(read(DATABASE_PAGE), question)
    [statement] = code(described, "sql")
    shown = rows(described.rpartition("```")[2])

    with closing(Database(migrated_url)) as database:
        small_archive(database, tmp_path)
        with transaction.read(database) as connection:
            answered = [
                ["" if value is None else str(value) for value in row] for row in connection.execute(text(statement))
            ]

    assert answered == shown


def test_decisions_are_numbered_without_gaps_and_have_the_same_parts() -> None:
    numbers = [int(page.name[:4]) for page in DECISIONS]
    parts = ["Context", "Choice", "Rejected", "What would change our mind"]

    assert numbers == list(range(1, len(numbers) + 1))
    assert {name(page): re.findall(r"^## (.+)$", read(page), re.MULTILINE) for page in DECISIONS} == {
        name(page): parts for page in DECISIONS
    }


def test_the_design_says_what_every_package_is_for() -> None:
    design = read(ROOT / "docs/design/README.md")
    folder = Path(package.__file__).parent
    packages = sorted(path.parent.name for path in folder.glob("*/__init__.py"))

    assert [each for each in packages if f"`{each}/`" not in design] == []


@pytest.mark.parametrize("page", DOCUMENTS, ids=name)
def test_documents_name_no_place_on_the_machine_they_were_written_on(page: Path) -> None:
    places = re.findall(r"/(?:tmp|root|work)/[a-z]\S*", read(page))

    assert places == []


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder that looks like a checkout after `make serve`: `.venv/bin` with the archive in it."""
    programs = tmp_path / ".venv/bin"
    programs.mkdir(parents=True)
    for name, command in (
        ("archive", f'PYTHONPATH={ROOT} exec {sys.executable} -m archive "$@"'),
        ("python", f'exec {sys.executable} "$@"'),
    ):
        program = programs / name
        program.write_text(f"#!/bin/sh\n{command}\n", encoding="utf-8")
        program.chmod(0o755)
    return tmp_path


@pytest.mark.wire
@pytest.mark.slow
def test_the_tour_of_the_readme_works_as_it_is_written(checkout: Path) -> None:
    port, other = str(free_port()), str(free_port())
    steps = tour()
    script = "\n".join(command for command, _ in steps).replace("11112", port).replace("11113", other)
    for program in set(re.findall(r"/usr/bin/(\w+)", script)):
        Dcmtk.program(program)
    command = [checkout / ".venv/bin/archive", "serve", "--port", port, "--workers", "1"]
    service = Background(command, checkout / "log", folder=checkout)
    try:
        service.wait_listening(int(port))
        said = run_script(script, checkout)
    finally:
        service.stop()

    shown = [line for _, output in steps for line in output.splitlines()]
    lines = {lasting(line) for line in said.splitlines()}
    assert [line for line in shown if lasting(line) not in lines] == [], said


def tour() -> list[tuple[str, str]]:
    """The commands of the README's tour, each with what is shown of their output."""
    page = section(read(ROOT / "README.md"), "## Five minutes")
    steps = re.findall(r"^```sh\n(.*?)^```\n```text\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    has_sqlite = shutil.which("sqlite3") is not None  # not needed for anything else
    return [step for step in steps if has_sqlite or not step[0].startswith("sqlite3")]


def run_script(script: str, folder: Path) -> str:
    """What a shell says that runs a script to its end; fails if a command of it does."""
    done = subprocess.run(
        ["/bin/bash", "-eu", "-c", script],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def lasting(line: str) -> str:
    """A line without what differs from run to run: durations and ports."""
    return re.sub(r"\d+\.\d ms|port \d+", "*", line).rstrip()
