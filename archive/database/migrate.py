"""Bring a database to the schema of this version, by the migrations, one process at a time."""

from alembic import command
from alembic.config import Config

from archive.database import dialects, revision, transaction
from archive.database.engine import Database


def config() -> Config:
    """What Alembic needs to find the migrations."""
    found = Config()
    found.set_main_option("script_location", str(revision.scripts()).replace("%", "%%"))
    return found


def upgrade(database: Database) -> None:
    """Run the missing migrations in one transaction, under a lock; waits for locks 10 s at most on PostgreSQL."""
    revision.require_known(revision.current(database))

    def run(connection: dialects.Connection) -> None:
        dialects.lock_for_migration(connection)
        with_connection = config()
        with_connection.attributes["connection"] = connection
        command.upgrade(with_connection, "head")

    transaction.write(database, run)
