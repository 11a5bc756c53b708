"""Which revision the schema of a database has, and which one this version of the archive needs.

A migration is a file `NNNN_what_it_does.py`, whose revision is its number. So both are known without Alembic, which
takes longer to import than most commands take to run; `database/migrate` imports it, for a schema that is not there.
"""

from pathlib import Path

from sqlalchemy import inspect, text

import archive
from archive.database import transaction
from archive.database.engine import Database
from archive.errors import SchemaOutOfDate

VERSION_TABLE = "alembic_version"  # Alembic's own name for it


def scripts() -> Path:
    """The folder of the migrations: inside the package when installed, beside it in a checkout."""
    package = Path(archive.__file__).parent
    installed = package / "_migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def known() -> list[str]:
    """The revisions that this version knows, oldest first."""
    return sorted(file.name.partition("_")[0] for file in (scripts() / "versions").glob("[0-9]*_*.py"))


def head() -> str:
    """The revision that this version of the archive needs."""
    return known()[-1]


def current(database: Database) -> str | None:
    """The revision of the database; None where there is no schema yet."""
    with transaction.read(database) as connection:
        if not inspect(connection).has_table(VERSION_TABLE):
            return None
        return connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608 - a constant


def require_head(database: Database) -> None:
    """Raise SchemaOutOfDate unless the schema is the one of this version."""
    found, needed = current(database), head()
    if found == needed:
        return
    require_known(found)
    raise SchemaOutOfDate(
        "The database schema is not the one this version needs; run: archive db upgrade", found=found, needed=needed
    )


def require_known(found: str | None) -> None:
    """Raise SchemaOutOfDate for a revision that only a newer version can have made."""
    if found is not None and found not in known():
        raise SchemaOutOfDate(
            "The database was made by a newer version of the archive; upgrade the archive", found=found
        )
