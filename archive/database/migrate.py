"""Bring a database to the schema of this version, by the migrations, one process at a time."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

import archive
from archive.database import dialects, transaction
from archive.database.engine import Database
from archive.errors import SchemaOutOfDate


def _scripts() -> Path:
    """The migrations: inside the package when installed, beside it in a checkout."""
    package = Path(archive.__file__).parent
    installed = package / "_migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_scripts()).replace("%", "%%"))
    return config


def head() -> str:
    """The revision that this version of the archive needs."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None
    return revision


def current(database: Database) -> str | None:
    """The revision of the database; None where there is no schema yet."""
    with transaction.read(database) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def upgrade(database: Database, revision: str = "head") -> None:
    """Run the missing migrations in one transaction, under a lock; waits for locks 10 s at most on PostgreSQL."""
    _require_known(current(database))

    def run(connection: dialects.Connection) -> None:
        dialects.lock_for_migration(connection)
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    transaction.write(database, run)


def require_head(database: Database) -> None:
    """Raise SchemaOutOfDate unless the schema is the one of this version."""
    found, needed = current(database), head()
    if found == needed:
        return
    _require_known(found)
    raise SchemaOutOfDate(
        "The database schema is not the one this version needs; run: archive db upgrade", found=found, needed=needed
    )


def _require_known(found: str | None) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if found is not None and found not in known:
        raise SchemaOutOfDate(
            "The database was made by a newer version of the archive; upgrade the archive", found=found
        )
