"""Take in files: copied into an area, or indexed where they lie in its folder. What is held already is passed over.

Files go in batches. A worker looks at each, copies what is to be copied and syncs it (`preparation`); several workers,
processes where there are cores for them, are at it side by side (`workers`). The process that runs the import has the
database: it tells workers what the area holds (`claims`), and one transaction for a batch makes it visible, by the same
steps as a store (`transactions`): quotas, duplicates and disagreements are as for a C-STORE. A crash leaves, of the
batches under way, copies without rows, which `archive check reconcile` comes for; the next run goes on where this one
ended. What cannot be taken in is told, and stays where it is.

A file that is indexed in place is the area's from then on: it is unlinked when its instance is removed, replaced or
evicted.
"""

import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from archive.database.engine import Database
from archive.errors import DiskFailed, Misconfigured
from archive.index.record import Duplicates
from archive.lifecycle.importing.outcome import Fate, Outcome
from archive.lifecycle.importing.run import Import
from archive.lifecycle.importing.task import Task
from archive.registry.model import Area
from archive.storage import sources
from archive.storage.sources import Found

__all__ = ["Fate", "Outcome", "adopt", "find", "import_files"]


def import_files(
    database: Database,
    area: Area,
    data: Path,
    named: Sequence[Path],
    *,
    is_in_place: bool = False,
    is_dry_run: bool = False,
) -> Generator[Outcome, None, None]:
    """Take in files, and all below folders; what became of each, as it is decided. A dry run changes nothing.

    In place they must lie in the area's folder, and nothing named means all of it. Raises Misconfigured where they do
    not; DiskFailed, OutOfResources or DatabaseFailed when it cannot go on, Failed when a worker was killed, and what
    was told until then is done.
    """
    found = find(area, data, named, is_in_place=is_in_place)
    return Import(Task(database, area, data, is_in_place=is_in_place, is_dry_run=is_dry_run)).run(found)


def find(area: Area, data: Path, named: Sequence[Path], *, is_in_place: bool = False) -> Iterator[Found]:
    """What `import_files` looks at: files, and what else lies there. Raises Misconfigured or DiskFailed."""
    root = os.path.realpath(area.folder(data))
    if not is_in_place:
        for path in named:
            if _is_within(os.path.realpath(path), root):
                raise Misconfigured(f"{path} lies in the folder of area {area.name}; to index it there, say --in-place")
        return sources.find(map(str, named), leave_out=root)
    if not Path(root).is_dir():
        raise DiskFailed(f"The folder of area {area.name} is not there; is its disk mounted?", path=root)
    for path in named:
        if not _is_within(os.path.realpath(path), root):
            raise Misconfigured(f"{path} does not lie in the folder of area {area.name}, {root}")
    return sources.find([os.path.realpath(path) for path in named] or [root])


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def adopt(
    database: Database,
    area: Area,
    data: Path,
    relative_paths: Iterable[str],
    *,
    older_than_seconds: float,
    is_dry_run: bool = False,
) -> Generator[Outcome, None, None]:
    """Index files of the area's folder that have no row, and never in the place of an instance that is held.

    Paths are relative to that folder, in what comes out too.
    """
    root = os.path.realpath(area.folder(data))
    task = Task(
        database,
        area,
        data,
        is_in_place=True,
        is_dry_run=is_dry_run,
        duplicates=Duplicates.KEEP,
        older_than_seconds=older_than_seconds,
    )
    with closing(Import(task).run(Found(f"{root}/{path}") for path in relative_paths)) as outcomes:
        for outcome in outcomes:
            yield replace(outcome, path=outcome.path[len(root) + 1 :])
