"""The migrations make exactly the schema that the code describes, on both databases."""

import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from archive.database import migrate, revision, transaction
from archive.database.engine import Database
from archive.database.metadata import metadata
from archive.errors import SchemaOutOfDate
from archive.index import indexes, reports  # noqa: F401 - fill the metadata with tables, indexes and views
from archive.registry import tables as registry_tables  # noqa: F401 - fills the metadata

_POSTGRESQL = (
    """SELECT table_name, column_name, data_type, collation_name, is_nullable, column_default, is_identity
         FROM information_schema.columns WHERE table_schema = 'public'""",
    """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
         FROM pg_constraint WHERE connamespace = 'public'::regnamespace""",
    "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    """SELECT relname, reloptions::text FROM pg_class
         WHERE relnamespace = 'public'::regnamespace AND reloptions IS NOT NULL""",
    "SELECT viewname, definition FROM pg_views WHERE schemaname = 'public'",
)
_SQLITE = "SELECT tbl_name, type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"


def _schema(connection: Connection) -> set[tuple[object, ...]]:
    """Everything the database knows of our tables, but for the order of columns and constraints."""
    if connection.dialect.name == "postgresql":
        rows = {tuple(row) for query in _POSTGRESQL for row in connection.execute(text(query))}
    else:
        rows = {row for found in connection.execute(text(_SQLITE)) for row in _sqlite_parts(*found)}
    return {row for row in rows if row[0] != "alembic_version"}


def _sqlite_parts(table: str, kind: str, name: str, statement: str) -> Iterator[tuple[str, str, str]]:
    """A CREATE TABLE as its columns and constraints, wherever they are written; an index as it is."""
    one_line = " ".join(statement.split())
    if kind in ("index", "view", "trigger"):
        yield table, name, one_line
        return
    body = one_line[one_line.index("(") + 1 : one_line.rindex(")")]
    for part in _split(body):
        for piece in filter(str.strip, re.split(r" (?=CONSTRAINT )", part)):
            yield table, kind, piece.strip()


def _split(body: str) -> Iterator[str]:
    """At the commas that are in no bracket."""
    depth, start = 0, 0
    for position, character in enumerate(body):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            yield body[start:position]
            start = position + 1
    yield body[start:]


@pytest.fixture
def empty(database_url: str) -> Iterator[Database]:
    with closing(Database(database_url)) as database:
        yield database


def test_migrations_make_the_tables_of_the_code(empty: Database) -> None:
    migrate.upgrade(empty)
    with transaction.read(empty) as connection:
        migrated = _schema(connection)
    transaction.write(empty, metadata.drop_all)
    transaction.write(empty, metadata.create_all)

    with transaction.read(empty) as connection:
        described = _schema(connection)

    assert migrated - described == set(), "made by the migrations only"
    assert described - migrated == set(), "described by the code only"


def test_the_names_of_the_files_are_the_revisions_as_alembic_reads_them() -> None:
    scripts = ScriptDirectory.from_config(migrate.config())

    assert [script.revision for script in scripts.walk_revisions()] == revision.known()[::-1]
    assert scripts.get_heads() == [revision.head()]


def test_an_upgraded_database_is_at_the_newest_revision(empty: Database) -> None:
    before = revision.current(empty)

    migrate.upgrade(empty)

    assert before is None
    assert revision.current(empty) == revision.head()
    revision.require_head(empty)


def test_an_upgrade_of_an_upgraded_database_changes_nothing(database: Database) -> None:
    with transaction.read(database) as connection:
        before = _schema(connection)

    migrate.upgrade(database)

    with transaction.read(database) as connection:
        assert _schema(connection) == before


def test_an_upgrade_that_fails_leaves_nothing_behind(
    empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = tmp_path / "migrations"
    shutil.copytree(revision.scripts(), scripts, ignore=shutil.ignore_patterns("__pycache__"))
    failing = (
        f'revision, down_revision = "broken", "{revision.head()}"\ndef upgrade():\n    raise RuntimeError("half-way")\n'
    )
    (scripts / "versions" / "broken.py").write_text(failing)
    monkeypatch.setattr(revision, "scripts", lambda: scripts)

    with pytest.raises(RuntimeError, match="half-way"):
        migrate.upgrade(empty)

    with transaction.read(empty) as connection:
        assert _schema(connection) == set()
    assert revision.current(empty) is None


def test_a_database_without_schema_is_refused_with_the_command_to_run(empty: Database) -> None:
    with pytest.raises(SchemaOutOfDate, match="archive db upgrade"):
        revision.require_head(empty)


def test_the_database_of_a_newer_version_is_left_alone(database: Database) -> None:
    transaction.write(
        database, lambda connection: connection.execute(text("UPDATE alembic_version SET version_num='9'"))
    )

    with pytest.raises(SchemaOutOfDate, match="newer version"):
        revision.require_head(database)
    with pytest.raises(SchemaOutOfDate, match="newer version"):
        migrate.upgrade(database)
