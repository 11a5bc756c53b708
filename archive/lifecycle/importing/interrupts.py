"""Ctrl-C, which raises wherever Python is: it waits where half of what is done would be worse than a moment more."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self


class Interrupts:
    """A context in which Ctrl-C is only noted. Whoever is in it asks, where nothing can be lost, for it to be raised.

    Python raises it in the main thread alone, so elsewhere there is nothing to note; nor is there where somebody else
    handles it, or nobody.
    """

    def __init__(self) -> None:
        self.has_come = False
        self._is_noting = False

    def __enter__(self) -> Self:
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._note)
            self._is_noting = True
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Raises it at the latest, unless an error goes on, which tells more."""
        if self._is_noting:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if kind is None or kind is GeneratorExit:
            self.raise_if_come()

    def raise_if_come(self) -> None:
        """Raises KeyboardInterrupt for all that came until now."""
        if self.has_come:
            self.has_come = False
            raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.has_come = True


@contextmanager
def unseen_by_children() -> Iterator[None]:
    """Processes that are forked meanwhile never see an interrupt; here it comes when this is over."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
