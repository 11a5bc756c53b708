"""PostgreSQL's role for people who read: it sees views and tables, and can change nothing."""

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from archive.database import migrate
from archive.database.engine import Database
from archive.database.metadata import metadata
from archive.index.reports import REPORTS
from scripts.postgresql_cluster import Cluster, ClusterFolder, start
from tests.architecture.test_documents import ROOT, code, read
from tests.fix_database import _postgresql_database

ROLE = "archive_reporting"
# What nobody but the archive itself is to read: bytes of instances, and hashes of passwords.
HIDDEN = {"unfiled_instances", "users"}


@contextmanager
def connected(url: str, role: str = ROLE) -> Iterator[psycopg.Connection]:
    """A connection that has the rights of a role and no others."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"SET ROLE {role}".encode())
        yield connection


@pytest.fixture
def url(cluster: Cluster, postgresql_template: str) -> Iterator[str]:
    """A migrated database of PostgreSQL: there are no roles on SQLite."""
    with _postgresql_database(cluster, postgresql_template) as url:
        yield url


@pytest.mark.parametrize("view", [report.view for report in REPORTS.values()])
def test_the_role_reads_every_view(url: str, view: str) -> None:
    with connected(url) as connection:
        connection.execute(f"SELECT * FROM {view}".encode())


def test_the_role_reads_every_table_but_those_that_are_hidden(url: str) -> None:
    with connected(url) as connection:
        readable = {
            name
            for name in metadata.tables
            if connection.execute("SELECT has_table_privilege(%s, 'SELECT')", [name]).fetchone() == (True,)
        }

    assert set(metadata.tables) - readable == HIDDEN


def test_the_role_reads_no_secret(url: str) -> None:
    with connected(url) as connection:
        columns = connection.execute(
            """SELECT table_name, column_name FROM information_schema.columns
                WHERE table_schema = 'public' AND column_name ~ 'password|passcode|secret|hash|salt|private'"""
        ).fetchall()

    assert columns == [], "the view lists only what the role may read"


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO received_by_day VALUES ('2026-03-01', 'A', 'B', 'C', 1, 1)",
        "UPDATE associations SET reason = 'none'",
        "DELETE FROM operations",
        "TRUNCATE studies CASCADE",
        "DROP VIEW report_studies_v1",
        "SELECT * FROM unfiled_instances",
        "SELECT nextval('studies_pk_seq')",
    ],
)
def test_the_role_changes_nothing(url: str, statement: str) -> None:
    with connected(url) as connection, pytest.raises(errors.InsufficientPrivilege):
        connection.execute(statement.encode())


def test_the_role_reads_what_is_made_later(url: str) -> None:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as owner:
        owner.execute("CREATE VIEW report_of_ours AS SELECT count(*) AS studies FROM studies")

    with connected(url) as connection:
        assert connection.execute("SELECT studies FROM report_of_ours").fetchone() == (0,)


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster without the role: roles belong to all databases of a cluster."""
    with closing(ClusterFolder()) as folder:
        yield start(folder.path)


@pytest.mark.slow
def test_a_migration_that_may_not_make_the_role_says_so_and_the_guide_makes_it(
    own_cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    with psycopg.connect(own_cluster.conninfo(), autocommit=True) as administrator:
        administrator.execute("CREATE ROLE archive_owner LOGIN")
        administrator.execute("CREATE DATABASE ours OWNER archive_owner TEMPLATE template0")
    url = own_cluster.url("ours").replace("archive@", "archive_owner@")
    caplog.set_level(logging.WARNING)

    with closing(Database(url)) as database:
        migrate.upgrade(database)

    assert "The role archive_reporting was not made" in caplog.text
    guide = read(ROOT / "docs/how-to/reporting.md")
    (made,) = [block for block in code(guide, "sql") if "CREATE ROLE archive_reporting" in block]
    with psycopg.connect(own_cluster.conninfo("ours"), autocommit=True) as administrator:
        administrator.execute(made.replace("FOR ROLE archive ", "FOR ROLE archive_owner ").encode())
    with connected(own_cluster.url("ours")) as connection:
        connection.execute("SELECT * FROM report_access_v1")
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM unfiled_instances")
