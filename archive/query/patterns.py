r"""Wild cards (PS3.4 C.2.2.2.4) as regular expressions that PostgreSQL, SQLite's `re` and Python read alike.

Expressions are not anchored, because an attribute may hold several values in one text with backslashes between: who
uses one puts `\A(?:` and `)\Z`, or a backslash, at its ends. None of them matches a backslash.
"""

import re
from dataclasses import dataclass

_PIECE = re.compile(r"\*+|\?|[^*?]+")
_NOT_PLAIN = re.compile(r"[^0-9A-Za-z_\u0080-\U0010ffff]")  # escaped, so that no syntax takes it for an operator

_ANY = r"[^\\]"
_WITHIN_COMPONENT = r"[^\\^]"


def expression(pattern: str, star: str = _ANY, question_mark: str = _ANY) -> str:
    """The regular expression of a wild card pattern; the last two say which characters a wild card may stand for."""
    pieces = []
    for piece in _PIECE.findall(pattern):
        if piece[0] == "*":
            pieces.append(f"{star}*")
        elif piece == "?":
            pieces.append(question_mark)
        else:
            pieces.append(expression_of_text(piece))
    return "".join(pieces)


def expression_of_text(text: str) -> str:
    """The regular expression of plain text."""
    return _NOT_PLAIN.sub(r"\\\g<0>", text)


def expression_of_integer(number: int) -> str:
    """The regular expression of every IS that stands for `number` (PS3.5 6.2): with sign and zeros, or without."""
    sign = "-" if number < 0 else "[+-]?" if number == 0 else r"\+?"
    return f" *{sign}0*{abs(number)} *"


def has_wild_card(text: str) -> bool:
    """Whether `text` holds one of the two wild card characters."""
    return "*" in text or "?" in text


def is_universal(pattern: str) -> bool:
    """Whether every value matches: nothing but `*`, or nothing at all."""
    return not pattern.strip("*")


@dataclass(frozen=True, slots=True)
class NamePattern:
    """One way in which a component group of a person name may match.

    The group must match `pattern` as a wild card pattern, or equal it where it has no wild card; an index can serve
    that. Where `expression` is given, the group must match it too: in `pattern` alone a wild card could cross a `^`.
    """

    pattern: str
    expression: str | None = None

    @property
    def is_wild(self) -> bool:
        """Whether `pattern` is more than plain text."""
        return has_wild_card(self.pattern)


def name_patterns(group: str, *, is_folded: bool) -> tuple[NamePattern, ...]:
    """How a component group must look, component by component; one of the patterns is enough, none means any way.

    A missing component is an empty one, in the query and in what is stored. A `*` in the last component of the query
    may run over the components behind it; elsewhere a wild card stays inside its component. A `?` is never a `^`.
    Folded groups are stored without `^` at their end, raw ones as they came.
    """
    components = group.rstrip("^").split("^")
    *leading, last = components
    if is_universal(last) and all(component and is_universal(component) for component in leading):
        return ()
    if not is_folded:
        searched = _searched(components)
        return (NamePattern(f"{searched.pattern.rstrip('*')}*", rf"{searched.expression}\^*"),)
    if any(map(has_wild_card, leading)) or "?" in last:
        return (_searched(components),)
    if is_universal(last):
        known = "^".join(leading)
        whole, longer = NamePattern(known.rstrip("^")), NamePattern(f"{known}^*")
        return (whole, longer) if whole.pattern else (longer,)
    return (NamePattern("^".join(components)),)


def _searched(components: list[str]) -> NamePattern:
    """The pattern of components for which a wild card comparison alone would be too generous."""
    required = len(components)
    while required > 1 and is_universal(components[required - 1]):
        required -= 1
    pieces = [expression(component, _WITHIN_COMPONENT, _WITHIN_COMPONENT) for component in components]
    pieces[-1] = expression(components[-1], _ANY, _WITHIN_COMPONENT)
    optional = "".join(rf"(?:\^{piece}" for piece in pieces[required:]) + ")?" * (len(pieces) - required)
    pattern = "^".join(components[:required])
    return NamePattern(pattern + "*" if optional else pattern, r"\^".join(pieces[:required]) + optional)
