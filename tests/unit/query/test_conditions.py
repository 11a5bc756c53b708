"""The value of a key becomes the condition that its Value Representation allows."""

from datetime import date, datetime, time
from decimal import Decimal

import pytest

from archive.dicom.attributes import BY_KEYWORD
from archive.query.conditions import combined, condition
from archive.query.model import (
    NEVER,
    AnyOf,
    DateTimeRange,
    EmptyValue,
    Key,
    NameGroup,
    NamePart,
    Options,
    PersonName,
    Range,
    SingleValue,
    UidList,
    WildCard,
)
from archive.query.patterns import NamePattern

PLAIN = Options()
LAST_OF_11 = time(11, 59, 59, 999999)


@pytest.mark.parametrize(
    "vr, text, expected",
    [
        pytest.param("LO", "P1", SingleValue("P1"), id="single value"),
        pytest.param("LO", "  P1 ", SingleValue("P1"), id="trimmed"),
        pytest.param("LO", "", None, id="universal"),
        pytest.param("LO", "   ", None, id="universal blank"),
        pytest.param("LO", "*", None, id="universal star"),
        pytest.param("LO", "**", None, id="universal stars"),
        pytest.param("LO", "P\\*", None, id="one of several is universal"),
        pytest.param("CS", "M?", WildCard("M?"), id="question mark"),
        pytest.param("CS", "CT\\MR", AnyOf((SingleValue("CT"), SingleValue("MR"))), id="several values"),
        pytest.param("CS", "CT\\\\CT", SingleValue("CT"), id="the same value twice"),
        pytest.param("LT", "a\\b", SingleValue("a\\b"), id="backslash is text in LT"),
        pytest.param("UI", "1.2", UidList(("1.2",)), id="uid"),
        pytest.param("UI", "1.2\\1.3\\", UidList(("1.2", "1.3")), id="uid list"),
        pytest.param("UI", "*", UidList(("*",)), id="no wild card in UI"),
        pytest.param("AS", "03?Y", SingleValue("03?Y"), id="no wild card in AS"),
        pytest.param("DA", "20240229", SingleValue(date(2024, 2, 29)), id="date"),
        pytest.param("DA", "2024.02.29", SingleValue(date(2024, 2, 29)), id="old date"),
        pytest.param("DA", "20240101-20240131", Range(date(2024, 1, 1), date(2024, 1, 31)), id="date range"),
        pytest.param("DA", "20240101-", Range(date(2024, 1, 1), None), id="from a date"),
        pytest.param("DA", "-20240131", Range(None, date(2024, 1, 31)), id="until a date"),
        pytest.param("DA", "-", Range(None, None), id="any date"),
        pytest.param("DA", "2024*", NEVER, id="wild card in DA never matches"),
        pytest.param("DA", "*", NEVER, id="star in DA never matches"),
        pytest.param("DA", "20240101\\2024*", SingleValue(date(2024, 1, 1)), id="only one of two can match"),
        pytest.param("TM", "1010", SingleValue(time(10, 10)), id="time"),
        pytest.param("TM", "10-11", Range(time(10), LAST_OF_11), id="time range by the hour"),
        pytest.param("TM", "10:30:00-", Range(time(10, 30), None), id="old time"),
        pytest.param("IS", "02", SingleValue(2), id="integer"),
        pytest.param("DS", "1.50", SingleValue(Decimal("1.5")), id="decimal"),
    ],
)
def test_value_gives_condition_of_its_vr(vr, text, expected):
    assert condition(vr, text, PLAIN) == expected


@pytest.mark.parametrize(
    "vr, text",
    [
        pytest.param("DA", "20240230", id="no such day"),
        pytest.param("DA", "yesterday", id="no date"),
        pytest.param("DA", "20240101-20240102-20240103", id="three dates"),
        pytest.param("TM", "25", id="no such hour"),
        pytest.param("IS", "two", id="no integer"),
        pytest.param("IS", "*", id="wild card is literal"),
        pytest.param("IS", "99999999999", id="integer beyond 32 bits"),
        pytest.param("DS", "1,5", id="comma"),
    ],
)
def test_value_that_its_vr_does_not_allow_is_an_error(vr, text):
    with pytest.raises(ValueError):
        condition(vr, text, PLAIN)


def test_empty_value_matching_only_where_negotiated():
    assert condition("LO", '""', Options(empty_value=True)) == EmptyValue()
    assert condition("UI", '""\\1.2', Options(empty_value=True)) == AnyOf((EmptyValue(), UidList(("1.2",))))
    assert condition("LO", '""', PLAIN) == SingleValue('""')


def test_name_is_folded_and_sought_in_any_group():
    found = condition("PN", "Müller^Jörg^^", PLAIN)

    assert found == PersonName((NamePart(tuple(NameGroup), (NamePattern("muller^jorg"),)),), is_folded=True)


def test_name_with_groups_is_sought_group_by_group():
    found = condition("PN", "Yamada^Tarou==やまだ*", PLAIN)

    assert isinstance(found, PersonName)
    assert [part.groups for part in found.parts] == [(NameGroup.ALPHABETIC,), (NameGroup.PHONETIC,)]


@pytest.mark.parametrize("text", ["*=*", "==", "^^", "*^*=*"])
def test_name_whose_groups_all_match_anything_is_universal(text):
    assert condition("PN", text, PLAIN) is None


def test_strict_name_keeps_case_and_accents():
    found = condition("PN", "Müller^J*", Options(strict_names=True))

    assert isinstance(found, PersonName)
    assert not found.is_folded
    assert found.parts[0].patterns[0].pattern == "Müller^J*"


STUDY_DATE, STUDY_TIME = BY_KEYWORD["StudyDate"], BY_KEYWORD["StudyTime"]


@pytest.mark.parametrize(
    "dates, times, first, last",
    [
        pytest.param("20240101-20240103", "1000-1100", (1, time(10)), (3, time(11, 0, 59, 999999)), id="both ends"),
        pytest.param("20240101-20240103", "1000-", (1, time(10)), (3, time.max), id="no last time"),
        pytest.param("20240101-", "1000-", (1, time(10)), None, id="no last moment"),
        pytest.param("-20240103", "-11", None, (3, LAST_OF_11), id="no first moment"),
    ],
)
def test_date_and_time_ranges_combine(dates, times, first, last):
    keys = [Key(STUDY_DATE, _found("DA", dates)), Key(STUDY_TIME, _found("TM", times))]

    found = combined(*keys)

    assert found == DateTimeRange(
        STUDY_DATE,
        STUDY_TIME,
        *(bound and datetime.combine(date(2024, 1, bound[0]), bound[1]) for bound in (first, last)),
    )


@pytest.mark.parametrize(
    "dates, times",
    [
        pytest.param("20240101", "1000-1100", id="single date"),
        pytest.param("20240101-20240103", "1000", id="single time"),
        pytest.param("20240101-", "-1100", id="a last time without a last date"),
    ],
)
def test_date_and_time_that_make_no_range_stay_apart(dates, times):
    keys = [Key(STUDY_DATE, _found("DA", dates)), Key(STUDY_TIME, _found("TM", times))]

    assert combined(*keys) is None


def _found(vr, text):
    found = condition(vr, text, PLAIN)
    assert found is not None
    return found
