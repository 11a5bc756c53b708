"""Open the archive, and make it where there is none: folder, schema, first area, first AE title, first rules.

The embedded database is brought to the schema of this version by whoever opens it; a PostgreSQL is upgraded only by
`archive db upgrade`, because other nodes may be at work on it. Any number of processes may open a new archive at once.
"""

from pathlib import Path

from archive.database import revision, transaction
from archive.database.engine import Database
from archive.errors import DiskFailed, SchemaOutOfDate
from archive.registry import changes, snapshot

FIRST_AREA = "ARCHIVE"  # and the first AE title
FIRST_AREA_PATH = f"areas/{FIRST_AREA}"

_FOLDER_MODE = 0o750  # patient data: the owner writes, the group may read


def open_archive(data: Path, database_url: str) -> tuple[Database, bool]:
    """The database, ready for use, and whether the archive was founded just now; the caller closes it.

    Raises SchemaOutOfDate, DatabaseFailed, DiskFailed or Misconfigured.
    """
    database = open_current(data, database_url)
    try:
        return database, found(database, data)
    except BaseException:
        database.close()
        raise


def open_current(data: Path, database_url: str) -> Database:
    """The database with the schema of this version, founded or not; raises as `open_archive`."""
    database = open_database(data, database_url)
    try:
        if database.is_embedded:
            upgrade(database)
        else:
            revision.require_head(database)
    except BaseException:
        database.close()
        raise
    return database


def open_database(data: Path, database_url: str) -> Database:
    """The database as it is; the data folder is made if it is missing."""
    _make_folder(data)
    return Database(database_url)


def upgrade(database: Database) -> bool:
    """Run the migrations that are missing; False if none was."""
    try:
        revision.require_head(database)
    except SchemaOutOfDate:
        from archive.database import migrate  # slow to import, and seldom needed

        migrate.upgrade(database)
        revision.require_head(database)  # a newer archive's database has nothing to upgrade to
        return True
    return False


def found(database: Database, data: Path) -> bool:
    """Give a new archive its first area, title and rules; False if it has been founded before."""
    with transaction.read(database) as connection:
        if snapshot.is_founded(connection):
            return False
    _make_folder(data / FIRST_AREA_PATH)
    return transaction.write(database, lambda connection: changes.found(connection, FIRST_AREA, FIRST_AREA_PATH))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise DiskFailed("The folder cannot be made", path=str(folder), reason=error.strerror) from error
