"""Person names match by component and by group, folded or strictly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.dicom.attributes import BY_KEYWORD, Level
from archive.query.model import Key, Model, Query
from archive.query.names import person_name
from tests.property.matching_reference import matches

LETTERS = "aÄäöEe ^"


def is_found(asked, held, *, is_folded=True):
    condition = person_name(asked, is_folded=is_folded)
    keys = (Key(BY_KEYWORD["PatientName"], condition),) if condition else ()
    return matches(Query(Model.STUDY_ROOT, Level.STUDY, keys), {"PatientName": held})


@pytest.mark.parametrize(
    "asked, held, is_matched",
    [
        pytest.param("Doe^John", "Doe^John^^", True, id="trailing delimiters"),
        pytest.param("DOE^john", "Doe^John", True, id="case"),
        pytest.param("Muller", "Müller", True, id="accent in the archive"),
        pytest.param("Müller", "MULLER", True, id="accent in the query"),
        pytest.param("Doe", "Doe^John", False, id="one component of two"),
        pytest.param("DOE*", "Doe^John", True, id="star runs over the components behind"),
        pytest.param("D*^John", "Doe^John", True, id="star inside a component"),
        pytest.param("D*^John", "Doe^X^John", False, id="star stays inside its component"),
        pytest.param("*^John", "Doe^John", True, id="any family name"),
        pytest.param("^Harris", "Harris", False, id="given name for family name"),
        pytest.param("Harris^*", "Harris", True, id="any given name, none too"),
        pytest.param("Doe?John", "Doe^John", False, id="question mark is no delimiter"),
        pytest.param("山田*", "Yamada^Tarou=山田^太郎=やまだ^たろう", True, id="ideographic group"),
        pytest.param("やまだ^たろう", "Yamada^Tarou=山田^太郎=やまだ^たろう", True, id="phonetic group"),
        pytest.param("Yamada*=山田*", "Yamada^Tarou=山田^太郎", True, id="two groups"),
        pytest.param("Yamada*=鈴木*", "Yamada^Tarou=山田^太郎", False, id="one of two groups"),
        pytest.param("=Yamada*", "Yamada^Tarou=山田^太郎", False, id="group that was named"),
        pytest.param("ﾔﾏﾀﾞ", "ヤマダ", True, id="half width"),
    ],
)
def test_folded_name_matching(asked, held, is_matched):
    assert is_found(asked, held) == is_matched


@pytest.mark.parametrize(
    "asked, held, is_matched",
    [
        pytest.param("Doe^John", "Doe^John^^", True, id="trailing delimiters"),
        pytest.param("DOE^John", "Doe^John", False, id="case"),
        pytest.param("Muller", "Müller", False, id="accent"),
        pytest.param("D?e*", "Doe^John", True, id="wild cards"),
    ],
)
def test_strict_name_matching(asked, held, is_matched):
    assert is_found(asked, held, is_folded=False) == is_matched


@given(st.text(LETTERS + "*=", max_size=8), st.text(LETTERS + "=", min_size=1, max_size=8))
def test_folded_matching_finds_all_that_strict_matching_finds(asked, held):
    if is_found(asked, held, is_folded=False):
        assert is_found(asked, held, is_folded=True)
