"""Two services, as two nodes, on one PostgreSQL and one folder; with pgbouncer in between if they are told so."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from archive.database import transaction
from archive.database.engine import Database
from archive.index import housekeeping
from archive.lifecycle import founding
from scripts.background import free_port
from tests.fix_database import _postgresql_database
from tests.fix_pgbouncer import Pooler
from tests.fix_service import Service
from tests.wire.running import Archive

_WORKERS = 2


@dataclass(frozen=True)
class Nodes:
    """Two services on one database and one folder."""

    one: Archive
    two: Archive

    def keeper(self) -> Archive | None:
        """The node that keeps house now."""
        with transaction.read(self.one.database) as connection:
            state = housekeeping.state(connection)
            if state is None or not housekeeping.is_kept(connection, state):
                return None
        return next((each for each in (self.one, self.two) if state.node.endswith(f":{each.port}")), None)

    def elected(self) -> Archive:
        """The node that keeps house, once one does."""
        assert self.one.becomes_true(lambda: self.keeper() is not None)
        keeper = self.keeper()
        assert keeper is not None
        return keeper

    def other(self, node: Archive) -> Archive:
        """The other one."""
        return self.two if node is self.one else self.one


@pytest.fixture
def start_nodes(
    request: pytest.FixtureRequest, tmp_path: Path, start_pooler: Callable[..., Pooler]
) -> Iterator[Callable[..., Nodes]]:
    """`start_nodes("--housekeeping-lease", "1", is_pooled=True)`; started again, a node has the same port."""
    cluster, template = (request.getfixturevalue(name) for name in ("cluster", "postgresql_template"))
    with ExitStack() as stack:
        url = stack.enter_context(_postgresql_database(cluster, template))
        data = tmp_path / "data"
        started: list[Service] = []

        def start(*options: str, is_pooled: bool = False) -> Nodes:
            address = start_pooler(url).url if is_pooled else url
            database = stack.enter_context(closing(Database(address)))
            founding.found(database, data)
            for number in (1, 2):
                own = ("--port", str(free_port()), "--filing-delay", "0")
                service = Service(data, address, tmp_path / f"node-{number}.log", _WORKERS, (*own, *options))
                stack.callback(lambda service=service: service.stop() if service.is_running() else None)
                service.start()
                started.append(service)
            return Nodes(*(Archive(service, database) for service in started))

        yield start
        for service in started:
            request.node.add_report_section("teardown", f"log of {service.log.name}", service.output()[-5000:])
