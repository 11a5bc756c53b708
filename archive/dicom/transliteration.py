"""Characters that a character set lacks, by others that look or read alike; pure.

What Unicode itself says comes first: a letter without its accent (à a), a ligature or width as plain letters (ﬁ fi).
A small table has the letters and signs that do not decompose (ß ss, ø o, € EUR); there is none for other scripts.
"""

import unicodedata
from collections.abc import Callable, Iterator

_ALIKE = {
    "Æ": "AE",
    "æ": "ae",
    "Œ": "OE",
    "œ": "oe",
    "ß": "ss",
    "ẞ": "SS",
    "Ø": "O",
    "ø": "o",
    "Đ": "D",
    "đ": "d",
    "Ð": "D",
    "ð": "d",
    "Þ": "TH",
    "þ": "th",
    "Ł": "L",
    "ł": "l",
    "Ħ": "H",
    "ħ": "h",
    "Ŧ": "T",
    "ŧ": "t",
    "Ŋ": "N",
    "ŋ": "n",
    "ı": "i",
    "ĸ": "k",
    "ƒ": "f",
    "‘": "'",
    "’": "'",
    "‚": ",",
    "‛": "'",
    "“": '"',
    "”": '"',
    "„": ",,",
    "‟": '"',
    "‹": "<",
    "›": ">",
    "«": "<<",
    "»": ">>",
    "‐": "-",
    "‑": "-",
    "‒": "-",
    "–": "-",
    "—": "-",
    "―": "-",
    "−": "-",
    "•": "o",
    "·": ".",
    "⁄": "/",
    "×": "x",
    "÷": ":",
    "µ": "u",
    "€": "EUR",
    "£": "GBP",
    "¥": "JPY",
    "¢": "c",
    "©": "(C)",
    "®": "(R)",
    "™": "TM",
    "¡": "!",
    "¿": "?",
}

# What stands between values, components and component groups is never made of anything else (PS3.5 6.2).
_DELIMITERS = frozenset("\\^=\r\n\f\t\x1b")


def approximated(text: str, fits: Callable[[str], bool], *, transliterates: bool, discards: bool) -> str | None:
    """`text` in characters that fit; None where some do not, cannot be approximated, and must not be discarded.

    `fits` tells whether one character can be written. What fits stays as it is.
    """
    out: list[str] = []
    for character in unicodedata.normalize("NFC", text) if transliterates else text:
        found = character if fits(character) else _alike(character, fits) if transliterates else None
        if found is None and not discards:
            return None
        out.append(found or "")
    return "".join(out)


def _alike(character: str, fits: Callable[[str], bool]) -> str | None:
    """What stands for a character that does not fit; an accent without a letter of its own is nothing."""
    if unicodedata.combining(character):
        return ""
    for candidate in _candidates(character):
        if candidate and _DELIMITERS.isdisjoint(candidate) and all(map(fits, candidate)):
            return candidate
    return None


def _candidates(character: str) -> Iterator[str]:
    for form in ("NFD", "NFKD"):
        parts = [part for part in unicodedata.normalize(form, character) if not unicodedata.combining(part)]
        yield "".join(parts)
        yield "".join(_ALIKE.get(part, part) for part in parts)
