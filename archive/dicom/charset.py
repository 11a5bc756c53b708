"""Specific Character Set to and from Unicode (PS3.3 C.12.1.1.2, PS3.5 6.1 and annexes H to K).

One set without code extensions is one codec. Several are ISO 2022: text starts in the first, escape sequences switch,
and every delimiter returns to the first (PS3.5 6.1.2.5.3). Names of sets are taken as devices write them, with
underscores, hyphens and old aliases. Decoding never fails: what cannot be decoded becomes U+FFFD, and text without a
declared set is read as UTF-8 or else Latin-1, as that is what it mostly is; `decode_exactly` says when that happened.
"""

import re
from dataclasses import dataclass

from archive.dicom.elements import CHARACTER_SET_VRS

ASCII = "ascii"
UNICODE = "ISO_IR 192"
_ESCAPE = 0x1B
_REPLACEMENT = "\ufffd"


@dataclass(frozen=True, slots=True)
class _CharacterSet:
    """A defined term: its codec, and the escape sequences that designate it (PS3.3 tables C.12-2 to C.12-5)."""

    codec: str
    escapes: tuple[bytes, ...] = ()
    is_two_byte_g0: bool = False  # its bytes look like ASCII, delimiters too


_DEFAULT = _CharacterSet(ASCII, (b"\x1b(B",))
_KANJI = _CharacterSet("iso2022_jp", (b"\x1b$B",), is_two_byte_g0=True)
_SUPPLEMENTARY_KANJI = _CharacterSet("iso2022_jp_2", (b"\x1b$(D",), is_two_byte_g0=True)
_KATAKANA = _CharacterSet("shift_jis", (b"\x1b)I", b"\x1b(J"))

# By the number of the ISO registration; a term without extensions ("ISO_IR n") has the same codec.
_BY_NUMBER = {
    "6": _DEFAULT,
    "100": _CharacterSet("iso8859_1", (b"\x1b-A",)),
    "101": _CharacterSet("iso8859_2", (b"\x1b-B",)),
    "109": _CharacterSet("iso8859_3", (b"\x1b-C",)),
    "110": _CharacterSet("iso8859_4", (b"\x1b-D",)),
    "144": _CharacterSet("iso8859_5", (b"\x1b-L",)),
    "127": _CharacterSet("iso8859_6", (b"\x1b-G",)),
    "126": _CharacterSet("iso8859_7", (b"\x1b-F",)),
    "138": _CharacterSet("iso8859_8", (b"\x1b-H",)),
    "148": _CharacterSet("iso8859_9", (b"\x1b-M",)),
    "203": _CharacterSet("iso8859_15", (b"\x1b-b",)),
    "13": _KATAKANA,
    "166": _CharacterSet("iso8859_11", (b"\x1b-T",)),
    "87": _KANJI,
    "159": _SUPPLEMENTARY_KANJI,
    "149": _CharacterSet("euc_kr", (b"\x1b$)C",)),
    "58": _CharacterSet("gb2312", (b"\x1b$)A",)),
    "192": _CharacterSet("utf_8"),
}
_BY_NAME = {
    "": _DEFAULT,
    "GB18030": _CharacterSet("gb18030"),
    "GBK": _CharacterSet("gbk"),
    "UTF8": _BY_NUMBER["192"],
    "LATIN1": _BY_NUMBER["100"],
    "ASCII": _DEFAULT,
}
_BY_ESCAPE = {escape: each for each in _BY_NUMBER.values() for escape in each.escapes}
# Bytes that start no defined escape sequence are no reason to lose the text around them.
_ESCAPES = re.compile(b"|".join(re.escape(escape) for escape in sorted(_BY_ESCAPE, key=len, reverse=True)))
_TERM = re.compile(r"ISO(?:2022)?IR(\d+)")
_DELIMITERS = re.compile(rb"[\r\n\f\t\\^=]")  # after each the first set is in force again
_TEXT_DELIMITERS = frozenset("\r\n\f\t\\^=")


def _character_set(term: str) -> _CharacterSet | None:
    name = re.sub(r"[\s_\-.]", "", term.upper())
    found = _TERM.fullmatch(name)
    return _BY_NUMBER.get(found[1]) if found else _BY_NAME.get(name)


def is_known(term: str) -> bool:
    """Whether `term` names a character set; empty is the default one, ASCII."""
    return _character_set(term) is not None


def decode(raw: bytes, character_sets: tuple[str, ...], vr: str) -> str:
    """`raw` as text; see `decode_exactly`."""
    if raw.isascii() and _ESCAPE not in raw and 0 not in raw:
        return raw.decode(ASCII)
    return decode_exactly(raw, character_sets, vr)[0]


def decode_exactly(raw: bytes, character_sets: tuple[str, ...], vr: str) -> tuple[str, bool]:
    """`raw` as text, and whether it followed `character_sets` in every byte.

    The text holds no U+0000, which PostgreSQL cannot store.
    """
    text, is_exact = _decode(raw, character_sets if vr in CHARACTER_SET_VRS else ())
    if "\0" in text:
        return text.replace("\0", _REPLACEMENT), False
    return text, is_exact


def _decode(raw: bytes, character_sets: tuple[str, ...]) -> tuple[str, bool]:
    term = character_sets[0] if character_sets else ""
    first = _character_set(term)
    if len(character_sets) > 1 or (_ESCAPE in raw and "2022" in term):
        return _decode_extended(raw, first or _DEFAULT, first is not None)
    if first is None or first is _DEFAULT:
        return _guess(raw)
    if first.is_two_byte_g0 or _ESCAPE in raw:
        return _decode_extended(raw, _DEFAULT if first.is_two_byte_g0 else first, True)
    return _by_codec(raw, first.codec)


def _by_codec(raw: bytes, codec: str) -> tuple[str, bool]:
    try:
        return raw.decode(codec), True
    except UnicodeDecodeError:
        return raw.decode(codec, "replace"), False


def _guess(raw: bytes) -> tuple[str, bool]:
    """Text beyond ASCII although no character set was declared."""
    for codec in (ASCII, "utf_8"):
        try:
            return raw.decode(codec), codec == ASCII
        except UnicodeDecodeError:
            continue
    return raw.decode("iso8859_1"), False


def _decode_extended(raw: bytes, first: _CharacterSet, is_exact: bool) -> tuple[str, bool]:
    """ISO 2022: fragments, each behind its escape sequence."""
    parts: list[str] = []
    current, position = first, 0
    for escape in [*_ESCAPES.finditer(raw), None]:
        end = escape.start() if escape else len(raw)
        text, is_clean = _decode_fragment(raw[position:end], current, first)
        parts.append(text)
        is_exact = is_exact and is_clean
        if escape:
            current, position = _BY_ESCAPE[escape[0]], escape.end()
    return "".join(parts), is_exact


def _decode_fragment(fragment: bytes, current: _CharacterSet, first: _CharacterSet) -> tuple[str, bool]:
    if not fragment:
        return "", True
    if current.is_two_byte_g0:
        return _by_codec(current.escapes[0] + fragment, current.codec)
    # Single byte or above 0x7F: a delimiter is a delimiter, and behind it the first set is in force.
    delimiter = _DELIMITERS.search(fragment) if current is not first else None
    codec = "iso8859_1" if current is _DEFAULT and not fragment.isascii() else current.codec
    if delimiter is None:
        text, is_clean = _by_codec(fragment, codec)
        return text, is_clean and (codec == current.codec)
    if first is _DEFAULT and not fragment[delimiter.end() :].isascii():
        return _by_codec(fragment, codec)[0], False  # a sender that forgot to designate its set again
    before, is_clean = _by_codec(fragment[: delimiter.end()], codec)
    after, is_rest_clean = _decode_fragment(fragment[delimiter.end() :], first, first)
    return before + after, is_clean and is_rest_clean and codec == current.codec


def encode(text: str, character_sets: tuple[str, ...]) -> bytes | None:
    """`text` in the character sets, or None when it does not fit.

    What is given decodes to `text` again; no character is replaced.
    """
    if text.isascii() and "\x1b" not in text:
        return text.encode(ASCII)
    sets = [_character_set(term) for term in character_sets or ("",)]
    known = [each for each in sets if each is not None]
    if len(known) < len(sets):
        return None
    if len(known) == 1 and not known[0].is_two_byte_g0:
        raw = _encoded(text, known[0])
    else:
        raw = _encode_extended(text, [_DEFAULT, *known] if known[0].is_two_byte_g0 else known)
    if raw is None or decode_exactly(raw, character_sets, "LO") != (text, True):
        return None
    return raw


def _encoded(text: str, each: _CharacterSet) -> bytes | None:
    try:
        raw = text.encode(each.codec)
    except UnicodeEncodeError:
        return None
    # JIS X 0201 is the single bytes of Shift JIS only.
    return None if each is _KATAKANA and len(raw) > len(text) else raw


def _encode_extended(text: str, sets: list[_CharacterSet]) -> bytes | None:
    """ISO 2022: each character in the set in force if it has it, else behind the escape sequence of one that has it."""
    out = bytearray()
    current = first = sets[0]
    for character in text:
        if character in _TEXT_DELIMITERS or (character.isascii() and current.is_two_byte_g0):
            if current.is_two_byte_g0:
                out += b"\x1b(J" if first is _KATAKANA else b"\x1b(B"  # G0 again before what is read as ASCII
            current = first
        candidates = [current, *(each for each in sets if each is not current)]
        for each in candidates:
            raw = _in_set(character, each)
            if raw is not None:
                break
        else:
            return None
        if each is not current:
            out += each.escapes[0] if each.escapes else b""
            current = each
        out += raw
    if current.is_two_byte_g0:
        out += b"\x1b(J" if first is _KATAKANA else b"\x1b(B"
    return bytes(out)


def _in_set(character: str, each: _CharacterSet) -> bytes | None:
    """One character in one set, without the escape sequences that Python's codec adds."""
    raw = _encoded(character, each)
    if raw is None or not each.is_two_byte_g0:
        return raw
    escape = each.escapes[0]
    return raw[len(escape) : len(escape) + 2] if raw.startswith(escape) else None
