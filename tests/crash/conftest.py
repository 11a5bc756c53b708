"""The archives of a crash test: as those of the wire tests."""

from tests.wire.conftest import start_own_archive
from tests.wire.two_nodes import start_nodes

__all__ = ["start_nodes", "start_own_archive"]
