"""The archive of a crash test: as that of the wire tests."""

from tests.wire.conftest import start_own_archive

__all__ = ["start_own_archive"]
