"""In which character set the answers to a query are written (PS3.4 C.4.1.1.3.2), and what is done when one will not do.

Two sets may be tried: the one that the query asks for and the one that is configured. What fits neither is written in
ISO_IR 192, where everything fits: no answer is lost for its characters.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import methodcaller

from archive.dicom import charset
from archive.dicom.transliteration import approximated

TextEncoder = Callable[[str], bytes]  # raises UnicodeError where the text does not fit

_UNICODE = (charset.UNICODE,)


@dataclass(frozen=True, slots=True)
class CharacterSetPolicy:
    """What is configured; the default answers as asked, else in ISO_IR 192."""

    configured: tuple[str, ...] = _UNICODE
    """Values of Specific Character Set; none is ASCII."""
    overrides: bool = False
    """The configured set comes before the one that the query asks for."""
    falls_back: bool = True
    """The other of the two is tried when an answer does not fit the first."""
    transliterates: bool = False
    """A character that does not fit is written as one that looks alike, before another set is tried."""
    discards: bool = False
    """A character that does not fit is left out, before another set is tried."""


AS_ASKED = CharacterSetPolicy()


@dataclass(frozen=True, slots=True)
class Way:
    """A Specific Character Set, None for no such element, and how text is written in it."""

    character_sets: tuple[str, ...] | None
    encode: TextEncoder


def ways(asked: tuple[str, ...] | None, policy: CharacterSetPolicy) -> tuple[Way, ...]:
    """What is tried for each answer, in this order; everything fits the last. `asked` is None without the element.

    The first is ASCII by the name of the preferred set: most answers fit it, and it costs least.
    """
    configured = policy.configured if any(policy.configured) else None
    first, other = (configured, asked) if policy.overrides else (asked, configured)
    found = [Way(first, methodcaller("encode", "ascii"))]
    for character_sets in (first, other) if policy.falls_back else (first,):
        found += _ways_in(character_sets, policy)
    whole = next((number for number, way in enumerate(found) if way.character_sets == _UNICODE and number), None)
    return (*found, _whole()) if whole is None else tuple(found[: whole + 1])


def _ways_in(character_sets: tuple[str, ...] | None, policy: CharacterSetPolicy) -> Iterator[Way]:
    if character_sets == _UNICODE:
        yield _whole()
        return
    sets = character_sets or ()
    if any(sets):  # plain ASCII was tried before all
        yield Way(character_sets, _exactly_in(sets))
    if policy.transliterates or policy.discards:
        yield Way(character_sets, _approximately_in(sets, policy))


def _whole() -> Way:
    return Way(_UNICODE, methodcaller("encode", "utf-8", "replace"))


def _exactly_in(character_sets: tuple[str, ...]) -> TextEncoder:
    def encode(text: str) -> bytes:
        raw = charset.encode(text, character_sets)
        if raw is None:
            raise UnicodeError(text)
        return raw

    return encode


def _approximately_in(character_sets: tuple[str, ...], policy: CharacterSetPolicy) -> TextEncoder:
    def fits(character: str) -> bool:
        return charset.encode(character, character_sets) is not None

    def encode(text: str) -> bytes:
        raw = charset.encode(text, character_sets)
        if raw is None:
            near = approximated(text, fits, transliterates=policy.transliterates, discards=policy.discards)
            raw = None if near is None else charset.encode(near, character_sets)
        if raw is None:
            raise UnicodeError(text)
        return raw

    return encode
