"""Bars and columns in the terminal: as wide as they may be, as long as the numbers say."""

from datetime import date, timedelta

from archive.cli import chart


def shown(value: float) -> str:
    return f"{value:g}"


def test_bars_are_as_long_as_their_share_the_largest_first() -> None:
    lines = chart.bars([("small", 1), ("none", 0), ("large", 4), ("half", 2)], shown, 20)

    assert lines == ["large ████████████ 4", "half  ██████       2", "small ███          1", "none               0"]


def test_a_bar_may_end_within_a_character() -> None:
    lines = chart.bars([("a", 8), ("b", 3)], shown, 21)

    assert [line.count("█") for line in lines] == [17, 6]
    assert "█▍" in lines[1]


def test_what_is_more_than_nothing_is_seen() -> None:
    assert "▏" in chart.bars([("a", 1e9), ("b", 1)], shown, 40)[1]
    assert "▁" in "".join(chart.columns([(date(2026, 3, 1), 1e9), (date(2026, 3, 2), 1)], shown, 40))


def test_bars_beyond_twenty_are_added_up() -> None:
    lines = chart.bars([(f"label {n}", 1) for n in range(30)], shown, 60)

    assert len(lines) == chart.MOST_BARS
    assert any(line.startswith("11 others") and line.endswith(" 11") for line in lines)


def test_long_labels_are_cut() -> None:
    (line,) = chart.bars([("x" * 100, 1)], shown, 60)

    assert line.startswith("x" * 31 + "… █")
    assert len(line) == 60


def test_columns_are_as_high_as_their_share() -> None:
    first = date(2026, 3, 1)
    lines = chart.columns([(first + timedelta(days=n), value) for n, value in enumerate((1, 2, 4))], shown, 17)

    assert lines[0] == "4 │        ████"
    assert lines[5] == "  │    ████████"
    assert lines[9] == "0 │████████████"
    assert lines[10] == "  └────────────"
    assert lines[11] == "   2026-03-01 to 2026-03-03"


def test_days_without_anything_have_their_place() -> None:
    lines = chart.columns([(date(2026, 3, 1), 1), (date(2026, 3, 3), 1)], shown, 17)

    assert lines[9] == "0 │████    ████"


def test_days_share_a_column_where_there_is_no_room() -> None:
    first = date(2026, 1, 1)
    lines = chart.columns([(first + timedelta(days=n), 1) for n in range(100)], shown, 40)

    assert max(map(len, lines)) <= 40
    assert lines[0].startswith(" 4 │") or lines[0].startswith("4 │")
    assert lines[-1].strip() == "4 days a column"
    assert lines[-2].split() == ["2026-01-01", "2026-04-10"] or "to" in lines[-2]


def test_zeros_are_no_picture_but_no_fault() -> None:
    assert chart.bars([("a", 0)], shown, 40)[0].startswith("a ")
    assert chart.columns([(date(2026, 3, 1), 0)], shown, 40)[0].startswith("0 │")
