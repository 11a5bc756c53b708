"""Characters that do not fit become others that look alike, are left out, or are told not to fit."""

import pytest

from archive.dicom.transliteration import approximated


def is_ascii(character: str) -> bool:
    return character.isascii()


@pytest.mark.parametrize(
    "text, expected",
    [
        ("à la carte", "a la carte"),
        ("Ærøskøbing", "AEroskobing"),
        ("Straße", "Strasse"),
        ("Łódź", "Lodz"),
        ("e\u0301", "e"),
        ("\u0301", ""),
        ("ﬁlm", "film"),
        ("Ａ１", "A1"),
        ("½", "1/2"),
        ("„Zitat“ – 5 €", ',,Zitat" - 5 EUR'),
        ("a\u00a0b", "a b"),
        ("Đặng", "Dang"),
    ],
)
def test_what_looks_alike_stands_for_it(text: str, expected: str) -> None:
    assert approximated(text, is_ascii, transliterates=True, discards=False) == expected


def test_what_fits_stays_as_it_is() -> None:
    assert approximated("Müller ß", lambda _: True, transliterates=True, discards=True) == "Müller ß"


@pytest.mark.parametrize("text", ["山田", "Ελένη", "Пётр", "☃"])
def test_another_script_has_nothing_that_looks_alike(text: str) -> None:
    assert approximated(text, is_ascii, transliterates=True, discards=False) is None


@pytest.mark.parametrize("text", ["a＾b", "a＝b", "a＼b"])
def test_nothing_becomes_a_delimiter(text: str) -> None:
    assert approximated(text, is_ascii, transliterates=True, discards=False) is None
    assert approximated(text, is_ascii, transliterates=True, discards=True) == "ab"


def test_what_has_nothing_alike_is_left_out_where_that_is_allowed() -> None:
    assert approximated("Müller=山田", is_ascii, transliterates=True, discards=True) == "Muller="
    assert approximated("Müller=山田", is_ascii, transliterates=False, discards=True) == "Mller="


def test_without_leave_nothing_is_changed() -> None:
    assert approximated("Müller", is_ascii, transliterates=False, discards=False) is None


def test_a_letter_that_the_set_has_without_its_accent_keeps_its_script() -> None:
    def is_greek(character: str) -> bool:
        try:
            return bool(character.encode("iso8859_7"))
        except UnicodeEncodeError:
            return False

    assert approximated("ἀρχή", is_greek, transliterates=True, discards=False) == "αρχή"
