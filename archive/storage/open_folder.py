"""A folder held open, to be synced again and again without being looked up by its name."""

import os

from archive.storage import disk


class OpenFolder:
    """A folder held open, for all who sync it at the same time; closed with its last reference."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def sync(self) -> None:
        """Return when the names in it are on the disk; raises OutOfResources or DiskFailed."""
        try:
            os.fsync(self.descriptor)
        except OSError as error:
            raise disk.error_of(error, self.name) from error

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)
