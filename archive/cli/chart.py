"""A picture of some numbers in the terminal: bars for things beside each other, columns for days in a row. Pure.

Drawn with block elements (Unicode 2580 to 259F), an eighth of a character at a time.
"""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from math import ceil

_ACROSS = " ▏▎▍▌▋▊▉█"
_UP = " ▁▂▃▄▅▆▇█"
_EIGHTHS = 8

MOST_BARS = 20
HEIGHT = 10
_LONGEST_LABEL = 32

Shown = Callable[[float], str]


def bars(values: Sequence[tuple[str, float]], shown: Shown, width: int) -> list[str]:
    """A line for each, the largest first; those beyond `MOST_BARS` are added up in the last."""
    ordered = sorted(values, key=lambda each: -each[1])
    if len(ordered) > MOST_BARS:
        rest = ordered[MOST_BARS - 1 :]
        ordered = [*ordered[: MOST_BARS - 1], (f"{len(rest)} others", sum(value for _, value in rest))]
    labels = [_cut(label) for label, _ in ordered]
    numbers = [shown(value) for _, value in ordered]
    label_width, number_width = max(map(len, labels)), max(map(len, numbers))
    most = max(value for _, value in ordered)
    room = max(10, width - label_width - number_width - 2)
    return [
        f"{label:<{label_width}} {_bar(value, most, room):<{room}} {number:>{number_width}}".rstrip()
        for label, number, (_, value) in zip(labels, numbers, ordered, strict=True)
    ]


def _cut(label: str) -> str:
    return label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1]}…"


def _bar(value: float, most: float, room: int) -> str:
    eighths = _share(value, most, room * _EIGHTHS)
    whole, rest = divmod(eighths, _EIGHTHS)
    return _ACROSS[-1] * whole + (_ACROSS[rest] if rest else "")


def _share(value: float, most: float, of: int) -> int:
    """How much of `of` a value takes; what is more than nothing is seen."""
    if most <= 0 or value <= 0:
        return 0
    return max(1, round(value / most * of))


def columns(values: Sequence[tuple[date, float]], shown: Shown, width: int) -> list[str]:
    """A column for each day from the first to the last, or for several days together where there is no room."""
    days = dict(values)
    first, last = min(days), max(days)
    number = (last - first).days + 1
    room = max(10, width - len(shown(sum(days.values()))) - 4)
    together = ceil(number / room)
    sums = [
        sum(days.get(first + timedelta(days=start + day), 0) for day in range(together))
        for start in range(0, number, together)
    ]
    top, bottom = shown(max(sums)), shown(0)
    scale_width = max(len(top), len(bottom))
    each_width = max(1, min(4, room // len(sums)))
    lines = []
    for row in reversed(range(HEIGHT)):
        scale = top if row == HEIGHT - 1 else bottom if row == 0 else ""
        drawn = "".join(_cell(value, max(sums), row) * each_width for value in sums)
        lines.append(f"{scale:>{scale_width}} │{drawn}".rstrip())
    lines.append(f"{'':>{scale_width}} └{'─' * (len(sums) * each_width)}")
    gap = len(sums) * each_width - 2 * 10
    between = " " * gap + last.isoformat() if gap > 0 else f" to {last.isoformat()}" if last != first else ""
    lines.append(f"{'':>{scale_width}}  {first.isoformat()}{between}")
    if together > 1:
        lines.append(f"{'':>{scale_width}}  {together} days a column")
    return lines


def _cell(value: float, most: float, row: int) -> str:
    eighths = _share(value, most, HEIGHT * _EIGHTHS)
    return _UP[min(_EIGHTHS, max(0, eighths - row * _EIGHTHS))]
