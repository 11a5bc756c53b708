"""What commands print: aligned text, JSON, sizes and numbers for people."""

import json
from datetime import UTC, date, datetime

import pytest

from archive.cli import output

ROWS = [
    {"name": "ONE", "size_bytes": 1_500_000, "is_open": True, "note": None},
    {"name": "LONGER", "size_bytes": 20, "is_open": False, "note": "a"},
]
COLUMNS = ("name", "size_bytes", "is_open", "note")


def test_a_table_is_aligned_and_numbers_stand_at_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(COLUMNS, ROWS, as_json=False)

    assert capsys.readouterr().out.splitlines() == [
        "NAME      SIZE  IS OPEN  NOTE",
        "ONE     1.5 MB  yes      -",
        "LONGER    20 B  no       a",
    ]


def test_json_has_values_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "day": date(2026, 1, 2), "many": ("a", "b"), "no": None}

    output.table(("at", "day", "many", "no"), [row], as_json=True)

    expected = {"at": "2026-01-02T03:04:05Z", "day": "2026-01-02", "many": ["a", "b"], "no": None}
    assert json.loads(capsys.readouterr().out) == [expected]


def test_an_empty_table_says_so_on_standard_error_only(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(COLUMNS, [], as_json=False, if_empty="Nothing here.")

    assert capsys.readouterr() == ("", "Nothing here.\n")


def test_an_empty_table_is_an_empty_array_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(COLUMNS, [], as_json=True, if_empty="Nothing here.")

    assert capsys.readouterr() == ("[]\n", "")


def test_control_characters_of_a_name_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("name",), [{"name": "a\x1b[31m\nb"}], as_json=False)

    assert capsys.readouterr().out.splitlines() == ["NAME", "a\N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER}b"]


@pytest.mark.parametrize(
    "size_bytes,text",
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (39_098, "39.1 kB"), (999_900, "1 MB"), (2 * 10**15, "2 PB")],
)
def test_sizes_have_three_digits_and_a_unit(size_bytes: int, text: str) -> None:
    assert output.size(size_bytes) == text


@pytest.mark.parametrize(
    "number,noun,text",
    [(1, "study", "1 study"), (2, "study", "2 studies"), (3, "series", "3 series"), (1200, "file", "1,200 files")],
)
def test_a_number_goes_with_its_noun(number: int, noun: str, text: str) -> None:
    assert output.counted(number, noun) == text
