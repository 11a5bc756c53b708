"""Text comes back from every character set it fits in, and no bytes can make decoding fail."""

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.charset import convert_encodings
from pydicom.valuerep import PersonName

from archive.dicom.charset import decode, decode_exactly, encode

CHARACTER_SETS = [
    (),
    ("ISO_IR 6",),
    ("ISO_IR 100",),
    ("ISO_IR 101",),
    ("ISO_IR 109",),
    ("ISO_IR 110",),
    ("ISO_IR 144",),
    ("ISO_IR 127",),
    ("ISO_IR 126",),
    ("ISO_IR 138",),
    ("ISO_IR 148",),
    ("ISO_IR 203",),
    ("ISO_IR 13",),
    ("ISO_IR 166",),
    ("ISO_IR 192",),
    ("GB18030",),
    ("GBK",),
    ("", "ISO 2022 IR 87"),
    ("ISO 2022 IR 13", "ISO 2022 IR 87"),
    ("ISO 2022 IR 6", "ISO 2022 IR 87", "ISO 2022 IR 159"),
    ("", "ISO 2022 IR 149"),
    ("", "ISO 2022 IR 58"),
    ("ISO 2022 IR 100", "ISO 2022 IR 144", "ISO 2022 IR 126"),
]
ANY_TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\x1b"), max_size=30)
SCRIPTS = st.text("abcZ19 ^=\\äöüßñéŁőЖдабΩψאבקثجﾔﾏﾀ山田太郎やまだ洪吉洞홍길동王小东นามสกุล丂丄€", max_size=20)


@pytest.mark.parametrize("character_sets", CHARACTER_SETS, ids="+".join)
@given(text=ANY_TEXT | SCRIPTS)
def test_text_that_fits_comes_back(character_sets: tuple[str, ...], text: str) -> None:
    raw = encode(text, character_sets)

    if raw is not None:
        assert decode_exactly(raw, character_sets, "LO") == (text, True)


@given(SCRIPTS)
def test_unicode_holds_every_text(text: str) -> None:
    assert encode(text, ("ISO_IR 192",)) == text.encode()
    assert encode(text, ("GB18030",)) is not None


@pytest.mark.parametrize("character_sets", CHARACTER_SETS, ids="+".join)
@given(raw=st.binary(max_size=60) | st.lists(st.sampled_from([b"\x1b$B", b"\x1b$(D", b"\x1b$)C", b"\x1b(J", b"\x1b", b"^", b"=", b"\\", b"\xb0\xb1", b"A!", b"\0"])).map(b"".join))  # fmt: skip  # noqa: E501
def test_any_bytes_become_text_that_a_database_takes(character_sets: tuple[str, ...], raw: bytes) -> None:
    text = decode(raw, character_sets, "PN")

    assert "\0" not in text
    assert text.encode().decode() == text


# Examples of PS3.5 annexes H to K, and of single-byte sets. (ISO 2022 IR 58 is none of pydicom's.)
NAMES = [
    ("Yamada^Tarou=山田^太郎=やまだ^たろう", ("", "ISO 2022 IR 87")),
    ("ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう", ("ISO 2022 IR 13", "ISO 2022 IR 87")),
    ("Hong^Gildong=洪^吉洞=홍^길동", ("", "ISO 2022 IR 149")),
    ("Wang^XiaoDong=王^小东", ("GB18030",)),
    ("Wang^XiaoDong=王^小東", ("ISO_IR 192",)),
    ("Äneas^Rüdiger", ("ISO_IR 100",)),
    ("Люкceмбypг", ("ISO_IR 144",)),
    ("Διονυσιος", ("ISO_IR 126",)),
    ("Dionysios=Διονυσιος", ("ISO 2022 IR 100", "ISO 2022 IR 126")),
    ("นามสกุล", ("ISO_IR 166",)),
]


@pytest.mark.parametrize("name, character_sets", NAMES, ids=[name for name, _ in NAMES])
def test_names_of_the_standard_are_read_by_pydicom(name: str, character_sets: tuple[str, ...]) -> None:
    raw = encode(name, character_sets)

    assert raw is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert str(PersonName(raw, convert_encodings(list(character_sets)))) == name
    assert decode(raw, character_sets, "PN") == name
