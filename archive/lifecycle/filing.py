"""Give small instances their file: their bytes leave the database for the area's folder, many with few syncs.

The file is durable before the row names it, and has a name of its own in each attempt; what a crash leaves behind is a
file without a row. Any number of nodes may be at it: the first to name a file has filed the instance.
"""

from dataclasses import dataclass

from archive.database import transaction
from archive.database.engine import Database
from archive.index import unfiled
from archive.registry.model import Area
from archive.storage.local import LocalArea

# Some MiB at most in memory; the transaction that names the files keeps SQLite's writers waiting for milliseconds.
BATCH = 256


@dataclass(frozen=True, slots=True)
class Filed:
    """What became of a batch."""

    number: int
    is_last: bool
    """Nothing more waited when the batch was taken."""


def file_some(database: Database, area: Area, files: LocalArea) -> Filed:
    """File a batch of an area's instances; raises OutOfResources, DiskFailed or DatabaseFailed, and nothing is lost."""
    with transaction.read(database) as connection:
        waiting = unfiled.some(connection, area.pk, BATCH)
    if not waiting:
        return Filed(0, is_last=True)
    made = files.write_durably(instance.content for instance in waiting)
    paths = {instance.instance_pk: path for instance, path in zip(waiting, made, strict=True)}
    # If this is lost, the bytes are where they were, and they will be filed once more.
    named = transaction.write(database, lambda connection: unfiled.settle(connection, paths), durable=False)
    for pk in paths.keys() - named:
        files.unlink(paths[pk])  # its instance was removed, or filed by somebody else, meanwhile
    return Filed(len(named), is_last=len(waiting) < BATCH)
