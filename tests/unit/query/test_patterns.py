"""Wild cards as regular expressions, and names taken apart into patterns."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.query.patterns import NamePattern, expression, expression_of_integer, expression_of_text, name_patterns
from tests.property.matching_reference import name_group_matches, wild_card_matches

PATTERNS = st.text("ab*?.[^$", max_size=6)
VALUES = st.text("ab.[^$", max_size=6)
ASKED_NAMES = st.text("ab^*?", max_size=7)
HELD_NAMES = st.text("ab^", min_size=1, max_size=8).map(lambda name: name.rstrip("^")).filter(bool)


@given(PATTERNS, VALUES)
def test_expression_matches_what_the_wild_cards_match(pattern, value):
    found = re.fullmatch(expression(pattern), value)

    assert bool(found) == wild_card_matches(pattern, value)


def test_wild_card_stays_inside_one_of_several_values():
    assert not re.fullmatch(expression("a*b"), "ax\\yb")


@given(st.text(max_size=10))
def test_expression_of_text_matches_that_text_only(text):
    assert re.fullmatch(expression_of_text(text), text)
    assert not re.fullmatch(expression_of_text(text), text + "x")


@pytest.mark.parametrize(
    "number, text, is_matched",
    [
        pytest.param(2, "02", True, id="leading zero"),
        pytest.param(2, "+2", True, id="plus"),
        pytest.param(2, "-2", False, id="other sign"),
        pytest.param(2, "20", False, id="longer"),
        pytest.param(0, "000", True, id="zeros"),
        pytest.param(-7, "-07", True, id="negative"),
    ],
)
def test_expression_of_integer_compares_as_a_number(number, text, is_matched):
    assert bool(re.fullmatch(expression_of_integer(number), text)) == is_matched


@given(ASKED_NAMES, HELD_NAMES)
def test_name_patterns_match_component_by_component(asked, held):
    patterns = name_patterns(asked, is_folded=True)

    found = not patterns or any(_is_met(pattern, held) for pattern in patterns)

    if asked.rstrip("^"):
        assert found == name_group_matches(asked, held)


@given(ASKED_NAMES, HELD_NAMES, st.sampled_from(["", "^", "^^"]))
def test_raw_name_matches_as_the_folded_one_whatever_its_trailing_delimiters(asked, held, trailing):
    folded, raw = (name_patterns(asked, is_folded=is_folded) for is_folded in (True, False))

    assert bool(folded) == bool(raw)
    assert any(_is_met(each, held) for each in folded) == any(_is_met(each, held + trailing) for each in raw)


@pytest.mark.parametrize("asked", ["", "*", "**", "*^*", "^^"])
def test_name_that_says_nothing_has_no_pattern(asked):
    assert name_patterns(asked, is_folded=True) == ()


@pytest.mark.parametrize(
    "asked, patterns",
    [
        ("doe^john", (NamePattern("doe^john"),)),
        ("doe*", (NamePattern("doe*"),)),
        ("doe^j*", (NamePattern("doe^j*"),)),
        ("doe^*", (NamePattern("doe"), NamePattern("doe^*"))),
    ],
)
def test_usual_names_need_no_expression(asked, patterns):
    assert name_patterns(asked, is_folded=True) == patterns


def _is_met(pattern: NamePattern, held: str) -> bool:
    plain = wild_card_matches(pattern.pattern, held) if pattern.is_wild else pattern.pattern == held
    return plain and (pattern.expression is None or bool(re.fullmatch(pattern.expression, held)))
