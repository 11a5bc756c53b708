"""charset.py: names of character sets, tolerance, and what fits."""

import pytest

from archive.dicom.charset import decode, decode_exactly, encode


@pytest.mark.parametrize("term", ["ISO_IR 100", "ISO-IR 100", "ISO_IR_100", "iso ir 100", "ISO 2022 IR 100", "latin-1"])
def test_character_set_is_known_however_it_is_spelt(term: str) -> None:
    assert decode_exactly(b"M\xfcller", (term,), "PN") == ("Müller", True)


def test_undeclared_text_is_read_as_utf_8_or_latin_1_and_said_to_be_inexact() -> None:
    assert decode_exactly("Müller".encode(), (), "PN") == ("Müller", False)
    assert decode_exactly(b"M\xfcller", (), "PN") == ("Müller", False)
    assert decode_exactly(b"M\xfcller", ("NO SUCH SET",), "PN") == ("Müller", False)


def test_what_is_not_of_the_set_is_replaced() -> None:
    assert decode_exactly(b"M\xfc", ("ISO_IR 192",), "PN") == ("M\ufffd", False)
    assert decode_exactly(b"a\0b", ("ISO_IR 100",), "LO") == ("a\ufffdb", False)


def test_a_vr_of_the_default_repertoire_ignores_the_character_set() -> None:
    assert decode(b"1.2.3", ("ISO 2022 IR 87",), "UI") == "1.2.3"


def test_backslash_inside_a_two_byte_character_is_no_delimiter() -> None:
    raw = "佩\\b".encode("gb18030")
    assert decode(raw, ("GB18030",), "LO") == "佩\\b"
    kanji = encode("ソ\\ソ", ("", "ISO 2022 IR 87"))
    assert kanji is not None
    assert decode(kanji, ("", "ISO 2022 IR 87"), "LO") == "ソ\\ソ"


def test_delimiter_returns_to_the_first_set() -> None:
    sets = ("ISO 2022 IR 100", "ISO 2022 IR 144")

    assert decode(b"\x1b-L\xb4\\M\xfcller", sets, "LO") == "Д\\Müller"


def test_a_sender_that_forgets_to_designate_again_is_understood() -> None:
    raw = b"\x1b$)C\xfb\xf3^\xd1\xce\xd4\xd7"

    assert decode_exactly(raw, ("", "ISO 2022 IR 149"), "PN") == ("洪^吉洞", False)


@pytest.mark.parametrize(
    "text, character_sets",
    [
        ("Müller", ()),
        ("山田", ("ISO_IR 100",)),
        ("山田", ("ISO_IR 13",)),
        ("ü", ("NO SUCH SET",)),
        ("¥", ("ISO_IR 13",)),
    ],
)
def test_text_does_not_fit(text: str, character_sets: tuple[str, ...]) -> None:
    assert encode(text, character_sets) is None


def test_ascii_fits_everywhere() -> None:
    assert encode("Doe^John", ()) == b"Doe^John"
    assert encode("Doe^John", ("ISO 2022 IR 13", "ISO 2022 IR 87")) == b"Doe^John"
