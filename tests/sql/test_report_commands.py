"""`archive report` and `archive log access`: tables, pictures and files of what the views tell."""

import csv
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from pyarrow import parquet

from archive.index.activity import Source
from archive.index.reports import REPORTS
from tests.fix_archive import FoundedArchive
from tests.fix_command import Run
from tests.sql.fix_activity import association, find, happened, operation, store

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)


@pytest.fixture
def busy(archive: FoundedArchive) -> FoundedArchive:
    """Three associations of the last days, and what was received on two of them."""
    happened(
        archive.database,
        (
            association(NOW - 50 * HOUR, area="ARCHIVE", number_of_operations=200),
            store(NOW - 50 * HOUR, 200, size_bytes=1_000_000),
        ),
        (
            association(NOW - 2 * HOUR, calling_ae_title="WS1", area="ARCHIVE"),
            find(NOW - 2 * HOUR, 1.5),
            operation("C-MOVE", NOW - HOUR, status="A801", error_comment="WS9 is not a peer of ours"),
        ),
        (
            association(
                NOW - HOUR / 2,
                calling_ae_title="=cmd",
                outcome="rejected",
                reason="no rule",
                rejection="1/1/3",
            ),
        ),
        received={
            Source(date(2026, 2, 27), "ARCHIVE", "CT1", "CT"): (100, 5_000_000),
            Source(date(2026, 3, 1), "ARCHIVE", "CT1", "MR"): (50, 700_000),
        },
    )
    return archive


def test_list_names_every_report_and_its_view(run: Run, busy: FoundedArchive) -> None:
    listed = run("report", "list", "--json").json

    assert [(row["report"], row["view"]) for row in listed] == [(each.name, each.view) for each in REPORTS.values()]
    assert run("report").out == run("report", "list").out
    assert "takes no options but --json" in run("report", "list", "--limit", 3, code=2).error


def test_a_table_has_what_fits_on_a_screen_and_json_has_all(run: Run, busy: FoundedArchive) -> None:
    table = run("report", "received").out.splitlines()
    rows = run("report", "received", "--format", "json").json

    assert table[0].split() == ["DAY", "AREA", "MODALITY", "SOURCE", "AE", "TITLE", "NUMBER", "OF", "INSTANCES", "SIZE"]
    assert table[1].split() == ["2026-03-01", "ARCHIVE", "MR", "CT1", "50", "700", "kB"]
    assert [row["number_of_instances"] for row in rows] == [50, 100]
    assert run("report", "received", "--json").json == rows
    assert set(run("report", "associations", "--json").json[0]) == set(REPORTS["associations"].columns)


def test_rows_are_filtered_ordered_and_limited(run: Run, busy: FoundedArchive) -> None:
    def calling(*options: object) -> list[str]:
        return [row["calling_ae_title"] for row in run("report", "associations", "--json", *options).json]

    assert calling() == ["=cmd", "WS1", "CT1"]
    assert calling("--since", "3h") == ["=cmd", "WS1"]
    assert calling("--since", "3d", "--until", f"{NOW - 3 * HOUR:%Y-%m-%dT%H:%M}") == ["CT1"]
    assert calling("--until", f"{NOW:%Y-%m-%d}") == ["=cmd", "WS1", "CT1"]
    assert calling("--area", "ARCHIVE") == ["WS1", "CT1"]
    assert calling("--where", "outcome=rejected", "--where", "rejection=1/1/3") == ["=cmd"]
    assert calling("--where", "rejection=", "--order", "calling_ae_title") == ["CT1", "WS1"]
    assert calling("--order", "number_of_operations:desc", "--order", "calling_ae_title:desc") == ["CT1", "WS1", "=cmd"]
    assert calling("--limit", 1) == ["=cmd"]


def test_a_table_says_that_there_is_more(run: Run, busy: FoundedArchive) -> None:
    said = run("report", "associations", "--limit", 2)

    assert len(said.out.splitlines()) == 3
    assert said.error == "The first 2 rows; --limit N shows more.\n"
    assert run("report", "associations", "--limit", 3).error == ""


def test_csv_is_safe_in_a_spreadsheet(run: Run, busy: FoundedArchive, tmp_path: Path) -> None:
    run("report", "associations", "--format", "csv", "--output", tmp_path / "out.csv")
    printed = run("report", "associations", "--format", "csv").out

    with (tmp_path / "out.csv").open(encoding="utf-8-sig", newline="") as read:
        rows = list(csv.DictReader(read))
    assert [row["calling_ae_title"] for row in rows] == ["'=cmd", "WS1", "CT1"]
    assert rows[0]["began_at"] == f"{NOW - HOUR / 2:%Y-%m-%d %H:%M:%S}"
    assert (tmp_path / "out.csv").read_text(encoding="utf-8-sig") == printed


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_is_written_in_every_format(
    run: Run,
    busy: FoundedArchive,
    tmp_path: Path,
    name: str,
) -> None:
    run("report", name, "--format", "parquet", "--output", tmp_path / "out.parquet")
    rows = run("report", name, "--format", "json").json
    lines = run("report", name, "--format", "csv").out.splitlines()

    table = parquet.read_table(tmp_path / "out.parquet")
    assert table.column_names == lines[0].split(",") == list(REPORTS[name].columns)
    assert table.num_rows == len(rows) == len(lines) - 1
    run("report", name)


def test_a_plot_draws_columns_by_day(run: Run, busy: FoundedArchive) -> None:
    drawn = run("report", "received", "--plot").out.splitlines()

    assert drawn[0] == "number of instances by day"
    assert drawn[1] == "100 │████"
    assert drawn[10] == "  0 │████    ████"
    assert drawn[12] == "     2026-02-27 to 2026-03-01"


def test_a_plot_draws_bars(run: Run, busy: FoundedArchive) -> None:
    drawn = run("report", "refusals", "--plot").out.splitlines()

    assert drawn[0] == "number by calling ae title"
    assert sorted(line.split()[0] for line in drawn[1:]) == ["=cmd", "WS1"]
    assert all(line.endswith("█ 1") for line in drawn[1:])
    since = f"{NOW - HOUR * 3 / 4:%Y-%m-%dT%H:%M}"  # counted from NOW: it may have been some time ago
    assert run("report", "refusals", "--plot", "--since", since).out.count("█ 1") == 1
    assert run("report", "evictions", "--plot").error == "Nothing to report.\n"


@pytest.mark.parametrize(
    "options, said",
    [
        (("nonsense",), "There is no report nonsense; run: archive report list."),
        (("studies", "--where", "nothing=1"), "The report studies has no column nothing; it has area, "),
        (("studies", "--where", "nothing"), "expected COLUMN=VALUE"),
        (("studies", "--order", "area:up"), "expected COLUMN, COLUMN:asc or COLUMN:desc"),
        (("studies", "--since", "yesterday"), "expected 2026-03-01, 2026-03-01T14:05, 24h or 7d"),
        (("storage", "--since", "1d"), "has no --since and no --until"),
        (("studies", "--output", "x.csv"), "A table is for the terminal; add --format"),
        (("studies", "--plot", "--format", "csv"), "A plot is for the terminal"),
        (("studies", "--plot", "--limit", "3"), "leave out --order and --limit"),
        (("access", "--plot"), "The report access has no picture"),
        (("studies", "--json", "--format", "csv"), "--json is a format of its own"),
        (("studies", "--limit", str(2**63)), "is not in the range"),
        (("studies", "--where", f"size_bytes={2**63}"), "expected a whole number"),
        (("studies", "--where", "last_stored_at=0001-01-01T00:00+10:00"), "expected a moment"),
        (("access", "--until", "0001-01-02"), "expected a year from 1900"),
        (("access", "--since", "9999-12-31T23:00-05:00"), "expected a year from 1900"),
        (("studies", "--where", "area=\udcff"), "An argument is no text in UTF-8"),
    ],
)
def test_a_mistake_is_one_sentence(
    run: Run,
    busy: FoundedArchive,
    options: tuple[str, ...],
    said: str,
) -> None:
    failed = run("report", *options, code=2)

    assert said in failed.error
    assert failed.error.count("\n") == 1


def test_a_file_that_cannot_be_written_is_a_failure(run: Run, busy: FoundedArchive) -> None:
    failed = run("report", "studies", "--format", "csv", "--output", "none/out.csv", code=1)

    assert failed.error == "The file cannot be written (path none/out.csv): No such file or directory.\n"


def test_the_access_log_is_newest_first(run: Run, busy: FoundedArchive) -> None:
    rows = run("log", "access", "--json").json
    table = run("log", "access", "--since", "3d", "--limit", 2)

    assert [(row["calling_ae_title"], row["event"], row["outcome"]) for row in rows] == [
        ("=cmd", "association", "rejected"),
        ("WS1", "C-MOVE", "refused"),
        ("WS1", "C-FIND", "success"),
        ("WS1", "association", "released"),
        ("CT1", "C-STORE", "success"),
        ("CT1", "association", "released"),
    ]
    assert len(table.out.splitlines()) == 3
    assert table.error == "The first 2 rows; --limit N shows more.\n"


def test_the_access_log_is_filtered(run: Run, busy: FoundedArchive) -> None:
    def events(*options: str) -> list[str]:
        return [row["event"] for row in run("log", "access", "--json", *options).json]

    assert events("--refused") == ["association", "C-MOVE"]
    assert events("--refused", "--calling", "WS1") == ["C-MOVE"]
    assert events("--title", "NOBODY") == []
    assert sorted(events("--title", "ARCHIVE", "--calling", "CT1")) == ["C-STORE", "association"]
    assert sorted(events("--until", "3h")) == ["C-STORE", "association"]
    assert events("--limit", "1") == ["association"]
    refused = run("log", "access", "--refused").out
    assert "WS9 is not a peer of ours" in refused
    assert "no rule" in refused


def test_json_of_the_log_has_every_column(run: Run, busy: FoundedArchive) -> None:
    assert list(json.loads(run("log", "access", "--json").out)[0]) == list(REPORTS["access"].columns)
