"""A progress bar for long work, on standard error; nothing where that is no terminal.

Lines that the work prints meanwhile appear above the bar. Rich draws it, and is imported only then.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int], None]

_BETWEEN_UPDATES_SECONDS = 0.1


@contextmanager
def bar(doing: str, total: int | Callable[[], int | None] | None, *, unit: str = "files") -> Iterator[Advance]:
    """A bar that `doing` names, advanced by calling what is given: `advance(3)`.

    `total` may be a function, for a number that takes time to find and that only a bar needs; None is not known.
    """
    if sys.stderr is None or not sys.stderr.isatty():  # None: closed by who started us
        yield _nothing
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    # A line for a pipe stays one: only what would land on the same terminal is drawn above the bar.
    shown = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=sys.stdout.isatty())
    with shown:
        task = shown.add_task(doing, total=None)
        shown.update(task, total=total() if callable(total) else total)
        waiting, due = 0, 0.0

        def advance(steps: int) -> None:  # drawing, and even counting, takes longer than many a step
            nonlocal waiting, due
            waiting += steps
            if time.monotonic() >= due:
                shown.update(task, advance=waiting)
                waiting, due = 0, time.monotonic() + _BETWEEN_UPDATES_SECONDS

        yield advance
        shown.update(task, advance=waiting)


def _nothing(steps: int) -> None:
    """Advance no bar."""
