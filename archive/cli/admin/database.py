"""`archive db`: the database and its schema."""

from contextlib import closing
from pathlib import Path

import click

from archive.cli import output
from archive.cli.main import FAILED
from archive.cli.options import example, json_option, with_settings
from archive.database import dialects, pooler, revision, transaction
from archive.database.engine import Database
from archive.errors import SchemaOutOfDate
from archive.lifecycle import founding
from archive.settings import Settings

__all__ = ["check", "current", "upgrade"]


@click.command("upgrade", epilog=example("archive db upgrade --database postgresql://archive@db.example/archive"))
@json_option
@with_settings
def upgrade(loaded: Settings, as_json: bool) -> None:
    """Bring the schema of the database to this version, and found the archive if it is new.

    Stop the nodes that run another version first. Waits at most 10 seconds for whoever else uses the tables.
    """
    with closing(founding.open_database(loaded.data_folder, loaded.database_url)) as database:
        before = revision.current(database)
        was_upgraded = founding.upgrade(database)
        was_founded = founding.found(database, loaded.data_folder)
        now = revision.current(database)
    if as_json:
        facts = {"database": str(database), "schema": now, "before": before, "was_founded": was_founded}
        output.facts(facts, as_json=True)
        return
    if was_upgraded:
        click.echo(f"The schema is now {now}; it was {before or 'not there'}.")
    else:
        click.echo(f"The schema is {now} already.")
    if was_founded:
        click.echo(f"Made area {founding.FIRST_AREA} and AE title {founding.FIRST_AREA}, open to this machine only.")


@click.command("current", epilog=example("archive db current"))
@json_option
@with_settings
def current(loaded: Settings, as_json: bool) -> None:
    """Show the revision of the schema; exit code 1 if there is none."""
    found = _current(loaded)
    if as_json:
        output.facts({"schema": found, "of_this_version": revision.head()}, as_json=True)
    else:
        click.echo(found or "none")
    if found is None:
        click.get_current_context().exit(FAILED)


def _current(loaded: Settings) -> str | None:
    with closing(Database(loaded.database_url)) as database:
        return None if _is_missing(database) else revision.current(database)


def _is_missing(database: Database) -> bool:
    """Whether the embedded database has yet to be made; looking at it would make an empty one."""
    return database.is_embedded and not Path(database.url.database or "").exists()


@click.command("check", epilog=example("archive db check --json"))
@json_option
@with_settings
def check(loaded: Settings, as_json: bool) -> None:
    """Check that the database answers and has the schema of this version; exit code 1 and what to do if not."""
    with closing(Database(loaded.database_url)) as database:
        if _is_missing(database):
            raise SchemaOutOfDate("There is no database yet; run: archive db upgrade", path=database.url.database)
        with transaction.read(database) as connection:
            version = dialects.version(connection)
            missing = pooler.missing_limits(connection)
        revision.require_head(database)
        facts = {"database": str(database), "version": version, "schema": revision.head(), "is_usable": True}
        output.facts(facts, as_json=as_json)
    for name, limit in missing.items():
        click.echo(
            f"Each write sets {name}, which takes a trip to the database. To save it, run in SQL: "
            f"ALTER ROLE CURRENT_USER SET {name} = '{limit}'",
            err=True,
        )
