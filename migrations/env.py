"""Run the migrations: on the connection that the archive hands over, or on ARCHIVE_DATABASE for the alembic command."""

import os

from alembic import context

from archive.database.engine import Database, parse
from archive.database.metadata import metadata
from archive.index import indexes, reports  # noqa: F401 - fill the metadata with tables, indexes and views
from archive.registry import tables as registry_tables  # noqa: F401 - fills the metadata


def run(connection) -> None:
    # SQLite too undoes DDL with its transaction, although Alembic does not rely on it by itself.
    context.configure(
        connection=connection, target_metadata=metadata, transaction_per_migration=False, transactional_ddl=True
    )
    with context.begin_transaction():
        context.run_migrations()


def address() -> str:
    try:
        return os.environ["ARCHIVE_DATABASE"]
    except KeyError:
        raise SystemExit("Name the database: ARCHIVE_DATABASE=postgresql://user@host/name alembic ...") from None


if context.is_offline_mode():
    context.configure(url=parse(address()), target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
elif (handed_over := context.config.attributes.get("connection")) is not None:
    run(handed_over)
else:
    with Database(address()).engine.connect().execution_options(is_write=True) as opened:
        run(opened)
        opened.commit()
