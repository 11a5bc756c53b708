"""pynetdicom as a requestor whose own thread does not take the answers away.

Its thread says that it pauses whenever it passes the gate, also while the gate is open. Whoever closes the gate at that
moment takes it for paused; it goes on, and where the answer comes quickly it takes it, as an unexpected message.
"""

import threading
from typing import Any

from pynetdicom.association import Association


class _Gate(threading.Event):
    """Closes either before the thread has passed, and then it waits, or after it has said that it does not pause."""

    def __init__(self, association: Association) -> None:
        super().__init__()
        self._association: Any = association
        self._passing = threading.Lock()
        self.set()

    def wait(self, timeout: float | None = None) -> bool:
        with self._passing:
            if self.is_set():
                self._association._is_paused = False
                return True
        return super().wait(timeout)

    def clear(self) -> None:
        with self._passing:
            super().clear()


def steady(association: Association) -> Association:
    """The same association, whose answers go to who asked."""
    association._reactor_checkpoint = _Gate(association)
    return association
