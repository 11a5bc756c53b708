"""Rows for other programs: CSV for spreadsheets, JSON, Parquet; files appear whole or not at all."""

import csv
import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from pyarrow import parquet

from archive.cli import export
from archive.errors import DiskFailed

COLUMNS = ("name", "day", "at", "number", "share", "is_pinned")
MOMENT = datetime(2026, 3, 1, 14, 5, 9, 250_000, tzinfo=UTC)
ROW = ("Müller^Anna", date(2026, 3, 1), MOMENT, -3, 1.5, True)
NOTHING = (None,) * 6


def test_csv_on_standard_output_has_a_line_of_names_and_no_byte_order_mark(capsys: pytest.CaptureFixture[str]) -> None:
    export.write_csv(COLUMNS, [ROW, NOTHING], None)

    assert capsys.readouterr().out == (
        "name,day,at,number,share,is_pinned\nMüller^Anna,2026-03-01,2026-03-01 14:05:09,-3,1.5,yes\n,,,,,\n"
    )


def test_csv_in_a_file_is_utf_8_with_a_byte_order_mark(tmp_path: Path) -> None:
    export.write_csv(COLUMNS, [ROW], tmp_path / "out.csv")

    content = (tmp_path / "out.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbfname,day,")
    assert "Müller^Anna".encode() in content
    assert b"\r" not in content


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_text_that_begins_a_formula_becomes_text_in_a_spreadsheet(tmp_path: Path, begin: str) -> None:
    formula = f'{begin}cmd|"/c calc"!A1'

    export.write_csv(("a", "b"), [(formula, f"x{formula}")], tmp_path / "out.csv")

    with (tmp_path / "out.csv").open(encoding="utf-8-sig", newline="") as read:
        assert list(csv.reader(read))[1] == [f"'{formula}", f"x{formula}"]


@pytest.mark.parametrize("end", [";", '; "', "\t", "\r\n", "\n"])
def test_no_formula_begins_where_a_spreadsheet_of_another_country_ends_a_cell(
    end: str, capsys: pytest.CaptureFixture[str]
) -> None:
    export.write_csv(("a", "b"), [("1", f"x{end}=1+1")], None)

    [row] = list(csv.reader(capsys.readouterr().out.splitlines(keepends=True)))[1:]
    assert row == ["1", f"x{end}'=1+1"]


@pytest.mark.parametrize("text", ['a "quoted" word', "a, b", "two\nlines", "a;b", "", " blank "])
def test_text_is_quoted_so_that_it_is_read_as_it_was(tmp_path: Path, text: str) -> None:
    export.write_csv(("a", "b"), [(text, "last")], tmp_path / "out.csv")

    with (tmp_path / "out.csv").open(encoding="utf-8-sig", newline="") as read:
        assert list(csv.reader(read))[1] == [text, "last"]


def test_json_is_an_array_of_objects_also_without_rows(capsys: pytest.CaptureFixture[str]) -> None:
    export.write_json(COLUMNS, [ROW, NOTHING], None)
    some = json.loads(capsys.readouterr().out)
    export.write_json(COLUMNS, [], None)

    assert some == [
        dict(zip(COLUMNS, ("Müller^Anna", "2026-03-01", "2026-03-01T14:05:09Z", -3, 1.5, True), strict=True)),
        dict(zip(COLUMNS, NOTHING, strict=True)),
    ]
    assert json.loads(capsys.readouterr().out) == []


KINDS: dict[str, str] = dict(zip(COLUMNS, ("text", "date", "moment", "integer", "number", "flag"), strict=True))


@pytest.mark.parametrize("rows", [[], [ROW, NOTHING], [NOTHING] * 3])
def test_parquet_keeps_types_and_nulls(tmp_path: Path, rows: list[tuple[object, ...]]) -> None:
    export.write_parquet(KINDS, iter(rows), tmp_path / "out.parquet")

    table = parquet.read_table(tmp_path / "out.parquet")
    types = ["string", "date32[day]", "timestamp[us, tz=UTC]", "int64", "double", "bool"]
    assert [str(field.type) for field in table.schema] == types
    assert [tuple(row.values()) for row in table.to_pylist()] == rows


def test_parquet_takes_more_rows_than_it_holds_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_PARQUET_ROWS", 10)

    export.write_parquet({"n": "integer"}, ((n,) for n in range(25)), tmp_path / "out.parquet")

    assert parquet.read_table(tmp_path / "out.parquet").column("n").to_pylist() == list(range(25))
    assert parquet.ParquetFile(tmp_path / "out.parquet").num_row_groups == 3


def test_a_file_that_cannot_be_finished_is_not_there(tmp_path: Path) -> None:
    def rows():
        yield ("first",)
        raise ZeroDivisionError

    (tmp_path / "out.csv").write_text("of yesterday")
    with pytest.raises(ZeroDivisionError):
        export.write_csv(("a",), rows(), tmp_path / "out.csv")

    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    assert (tmp_path / "out.csv").read_text() == "of yesterday"


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DiskFailed) as failed:
        export.write_csv(("a",), [], tmp_path / "none" / "out.csv")

    assert failed.value.values == {"path": f"{tmp_path}/none/out.csv", "reason": "No such file or directory"}
