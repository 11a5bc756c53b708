"""values.py: text to values, ranges and folded names."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.dicom import values


@pytest.mark.parametrize(
    "text, expected",
    [
        ("20240229", date(2024, 2, 29)),
        ("2024.02.29", date(2024, 2, 29)),
        (" 19991231 ", date(1999, 12, 31)),
        ("20230229", None),
        ("2024", None),
        ("2024-02-29", None),
        ("00000000", None),
        ("٢٠٢٤٠٢٢٩", None),
        ("", None),
    ],
)
def test_date(text: str, expected: date | None) -> None:
    assert values.parse_da(text) == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        ("10", time(10)),
        ("1011", time(10, 11)),
        ("101112", time(10, 11, 12)),
        ("101112.5", time(10, 11, 12, 500000)),
        ("101112.123456", time(10, 11, 12, 123456)),
        ("10:11:12", time(10, 11, 12)),
        ("10:11:12.25 ", time(10, 11, 12, 250000)),
        ("235960", time(23, 59, 59, 999999)),
        ("24", None),
        ("1", None),
        ("101", None),
        ("", None),
    ],
)
def test_time(text: str, expected: time | None) -> None:
    assert values.parse_tm(text) == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        ("2024", datetime(2024, 1, 1)),
        ("20240229101112.5", datetime(2024, 2, 29, 10, 11, 12, 500000)),
        ("20240229101112+0000", datetime(2024, 2, 29, 10, 11, 12, tzinfo=UTC)),
        ("202402291011-0530", datetime(2024, 2, 29, 10, 11, tzinfo=timezone(-timedelta(hours=5, minutes=30)))),
        ("20240229+1500", None),
        ("20240230", None),
        ("2024022925", None),
        ("", None),
    ],
)
def test_date_time(text: str, expected: datetime | None) -> None:
    assert values.parse_dt(text) == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        ("12", 12),
        (" +007 ", 7),
        ("-5", -5),
        ("2147483648", None),
        ("1.5", None),
        ("", None),
        ("9" * 400, None),
        ("1_0", None),
    ],
)
def test_integer_string(text: str, expected: int | None) -> None:
    assert values.parse_is(text) == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        ("1.50", Decimal("1.5")),
        (" -1e2 ", Decimal(-100)),
        (".5", Decimal("0.5")),
        ("1.", Decimal(1)),
        ("0", Decimal(0)),
        ("1e999", None),
        ("1e-9999", None),
        ("NaN", None),
        ("Infinity", None),
        ("1" * 65, None),
        ("1,5", None),
    ],
)
def test_decimal_string(text: str, expected: Decimal | None) -> None:
    assert values.parse_ds(text) == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        ("20240101", (date(2024, 1, 1), date(2024, 1, 1))),
        ("20240101-20240131", (date(2024, 1, 1), date(2024, 1, 31))),
        ("20240101 - 20240131", (date(2024, 1, 1), date(2024, 1, 31))),
        ("20240101-", (date(2024, 1, 1), None)),
        ("-2024.01.31", (None, date(2024, 1, 31))),
        ("-", (None, None)),
    ],
)
def test_date_range(text: str, expected: tuple[date | None, date | None]) -> None:
    assert values.date_range(text) == expected


@pytest.mark.parametrize("text", ["", "2024*", "20240101-20240199", "1-2-3", "--"])
def test_what_is_no_date_range(text: str) -> None:
    with pytest.raises(ValueError):
        values.date_range(text)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("10", (time(10), time(10, 59, 59, 999999))),
        ("101112", (time(10, 11, 12), time(10, 11, 12, 999999))),
        ("101112.5", (time(10, 11, 12, 500000), time(10, 11, 12, 599999))),
        ("10-11", (time(10), time(11, 59, 59, 999999))),
        ("1030-", (time(10, 30), None)),
        ("-10:30", (None, time(10, 30, 59, 999999))),
    ],
)
def test_time_range_covers_what_a_partial_time_means(text: str, expected: tuple[time | None, time | None]) -> None:
    assert values.time_range(text) == expected


@pytest.mark.parametrize("text", ["", "25", "10-11-12", "a-b", "10*"])
def test_what_is_no_time_range(text: str) -> None:
    with pytest.raises(ValueError):
        values.time_range(text)


def test_date_time_range_tells_an_offset_from_a_range() -> None:
    west = timezone(-timedelta(hours=5))

    assert values.date_time_range("20200101-0500") == (
        datetime(2020, 1, 1, tzinfo=west),
        datetime(2020, 1, 1, 23, 59, 59, 999999, tzinfo=west),
    )
    first, last = values.date_time_range("20200101-0500-202001")
    assert first == datetime(2020, 1, 1, tzinfo=west)
    assert last == datetime(2020, 1, 31, 23, 59, 59, 999999)
    assert values.date_time_range("-20200101")[0] is None
    assert values.date_time_range("-") == (None, None)
    with pytest.raises(ValueError):
        values.date_time_range("yesterday")


@pytest.mark.parametrize(
    "text, expected",
    [
        ("Doe^John", ("Doe^John", "", "")),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", ("Yamada^Tarou", "山田^太郎", "やまだ^たろう")),
        ("A=B=C=D", ("A", "B", "C=D")),
        ("Doe=X\\Roe", ("Doe\\Roe", "X\\", "")),
        ("", ("", "", "")),
    ],
)
def test_name_is_split_into_its_groups(text: str, expected: tuple[str, str, str]) -> None:
    assert values.split_name(text) == expected


@pytest.mark.parametrize(
    "text, folded",
    [
        ("Doe^John^^", "doe^john"),
        (" Müller ^ Jörg ", "muller^jorg"),
        ("DE  LA  CRUZ^ANA", "de la cruz^ana"),
        ("Ångström", "angstrom"),
        ("Straße", "strasse"),
        ("ＤＯＥ", "doe"),
        ("ﾔﾏﾀﾞ", "ヤマダ"),
        ("홍^길동", "홍^길동"),
        ("Sm?th*", "sm?th*"),
        ("A^^\\B^", "a\\b"),
        ("İstanbul", "istanbul"),
        ("Αθηνά", "αθηνα"),
    ],
)
def test_folded_name_has_no_case_accents_or_padding(text: str, folded: str) -> None:
    assert values.fold_name(text) == folded


@given(st.text(max_size=30))
def test_folding_twice_changes_nothing(text: str) -> None:
    once = values.fold_name(text)

    assert values.fold_name(once) == once


@given(st.text(max_size=20))
def test_no_text_makes_a_parser_fail(text: str) -> None:
    for parse in (values.parse_da, values.parse_tm, values.parse_dt, values.parse_is, values.parse_ds):
        parse(text)
    values.split_name(text)
    for range_of in (values.date_range, values.time_range, values.date_time_range):
        try:
            range_of(text)
        except ValueError:
            continue


@given(st.dates(min_value=date(1, 1, 1)), st.times())
def test_formatted_values_are_parsed_again(day: date, moment: time) -> None:
    assert values.parse_da(values.format_da(day)) == day
    assert values.parse_tm(values.format_tm(moment)) == moment
