"""The log of the process, put back as it was when a test is done with it."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture
def restored_log() -> Iterator[None]:
    """For tests that set up the log, as commands do."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers[:]:
        if handler not in handlers:
            root.removeHandler(handler)
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
