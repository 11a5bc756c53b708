"""The character sets that an answer is tried in, by what was asked for and what is configured."""

import pytest

from archive.query.character_sets import AS_ASKED, CharacterSetPolicy, ways

LATIN, GREEK, UNICODE = ("ISO_IR 100",), ("ISO_IR 126",), ("ISO_IR 192",)
JAPANESE = ("", "ISO 2022 IR 87")


def sets(asked: tuple[str, ...] | None, policy: CharacterSetPolicy) -> list[tuple[str, ...] | None]:
    return [way.character_sets for way in ways(asked, policy)]


def written(text: str, asked: tuple[str, ...] | None, policy: CharacterSetPolicy) -> tuple[str, ...] | None:
    """The set of the first way that takes the text."""
    for way in ways(asked, policy):
        try:
            way.encode(text)
        except UnicodeError:
            continue
        return way.character_sets
    raise AssertionError("nothing takes it")


@pytest.mark.parametrize(
    "asked, policy, expected",
    [
        pytest.param(None, AS_ASKED, [None, UNICODE], id="nothing asked"),
        pytest.param((), AS_ASKED, [(), UNICODE], id="asked for nothing"),
        pytest.param(LATIN, AS_ASKED, [LATIN, LATIN, UNICODE], id="asked"),
        pytest.param(UNICODE, AS_ASKED, [UNICODE, UNICODE], id="asked for unicode"),
        pytest.param(LATIN, CharacterSetPolicy(GREEK), [LATIN, LATIN, GREEK, UNICODE], id="other"),
        pytest.param(LATIN, CharacterSetPolicy(GREEK, falls_back=False), [LATIN, LATIN, UNICODE], id="no other"),
        pytest.param(LATIN, CharacterSetPolicy(GREEK, overrides=True), [GREEK, GREEK, LATIN, UNICODE], id="override"),
        pytest.param(LATIN, CharacterSetPolicy((), overrides=True), [None, LATIN, UNICODE], id="override by ascii"),
        pytest.param(LATIN, CharacterSetPolicy(overrides=True), [UNICODE, UNICODE], id="override by unicode"),
        pytest.param(
            None, CharacterSetPolicy(LATIN, transliterates=True), [None, None, LATIN, LATIN, UNICODE], id="near"
        ),
    ],
)
def test_the_ways_and_their_order(asked, policy, expected) -> None:
    assert sets(asked, policy) == expected


@pytest.mark.parametrize("character_set", [LATIN, GREEK, JAPANESE, ("no such set",), ()])
@pytest.mark.parametrize("overrides", [True, False])
@pytest.mark.parametrize("falls_back", [True, False])
def test_there_is_always_a_way(character_set, overrides, falls_back) -> None:
    policy = CharacterSetPolicy(character_set, overrides, falls_back)

    assert written("Ελένη 山田 ß", LATIN, policy) == UNICODE


def test_a_name_that_looks_alike_is_preferred_to_another_set() -> None:
    near = CharacterSetPolicy(transliterates=True)

    assert written("Müller", None, near) is None
    assert written("Müller", GREEK, near) == GREEK
    assert written("Müller", LATIN, near) == LATIN
    assert written("山田", LATIN, near) == UNICODE


def test_what_was_left_out_leaves_the_rest() -> None:
    *_, last = ways(LATIN, CharacterSetPolicy(LATIN, discards=True))[:-1]

    assert last.encode("Yamada=山田") == b"Yamada="


def test_several_sets_are_written_with_code_extensions() -> None:
    assert written("山田", JAPANESE, AS_ASKED) == JAPANESE
    assert written("山田é", JAPANESE, CharacterSetPolicy(transliterates=True)) == JAPANESE
