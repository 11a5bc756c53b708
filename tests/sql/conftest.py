"""Empty areas for tests of the index: one database for all of them, since what an area holds is nobody else's."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import cache
from uuid import uuid4

import pytest

from archive.database.engine import Database
from tests.fix_database import _postgresql_database, sqlite_url
from tests.sql.fix_holdings import Shelf, new_shelf


@pytest.fixture(scope="session")
def new_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Database]]:
    """`new_database("sqlite")` makes a migrated database that lasts as long as the run."""
    with ExitStack() as stack:

        def make(dialect: str) -> Database:
            if dialect == "sqlite":
                path = tmp_path_factory.mktemp("database") / "index.sqlite"
                path.write_bytes(request.getfixturevalue("sqlite_template").read_bytes())
                url = sqlite_url(path)
            else:
                cluster, template = map(request.getfixturevalue, ("cluster", "postgresql_template"))
                url = stack.enter_context(_postgresql_database(cluster, template))
            return stack.enter_context(closing(Database(url)))

        yield make


@pytest.fixture(scope="session")
def shared_database(new_database: Callable[[str], Database]) -> Callable[[str], Database]:
    """The one database of a dialect."""
    return cache(new_database)


@pytest.fixture
def shelf(dialect: str, shared_database: Callable[[str], Database]) -> Shelf:
    """An empty area."""
    return new_shelf(shared_database(dialect), f"SHELF-{uuid4().hex}")
