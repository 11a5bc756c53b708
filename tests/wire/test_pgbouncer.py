"""The archive behind pgbouncer in transaction mode, with one connection to the server for everybody."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, Engine, make_url, text

from archive.database import transaction
from archive.database.engine import Database
from scripts.postgresql_cluster import Cluster
from tests.fix_database import Recorded, _postgresql_database
from tests.fix_dcmtk import Dcmtk, Receiver
from tests.fix_instances import encoded, instance
from tests.fix_pgbouncer import PAGE, Pooler
from tests.fix_service import Service
from tests.wire.raw_messages import EXPLICIT, SECONDARY_CAPTURE, Proposed
from tests.wire.raw_scu import RawScu
from tests.wire.running import Archive
from tests.wire.test_quota import send_at_once, written

QueryRecorder = Callable[[Engine], AbstractContextManager[Recorded]]

SENDERS = 6
STUDY = f"StudyInstanceUID={instance().StudyInstanceUID}"


@pytest.fixture
def pooler(cluster: Cluster, start_pooler: Callable[..., Pooler]) -> Iterator[Pooler]:
    """In front of an empty database."""
    with _postgresql_database(cluster, "template0") as url:
        yield start_pooler(url, server_connections=1)


@pytest.fixture
def service(pooler: Pooler, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Service]:
    """An archive that knows no other way to its database; its schema is made, and it is not started."""
    data = tmp_path / "data"
    made = Service(data, pooler.url, tmp_path / "service.log", 2, ("--filing-delay", "0"))
    said = made.run("db", "upgrade")
    assert said.startswith("The schema is now"), said
    assert made.run("db", "upgrade").startswith("The schema is ")
    yield made
    if made.log.exists():
        made.stop()
        request.node.add_report_section("teardown", "log of the archive", made.output()[-5000:])


@pytest.mark.slow
def test_many_clients_store_find_move_and_get(
    service: Service, pooler: Pooler, cluster: Cluster, dcmtk: Dcmtk, storescp: Receiver, tmp_path: Path
) -> None:
    service.start()
    port, number = service.port, SENDERS * 4
    batches = [
        written(tmp_path / f"sender-{n}", *(instance(number=4 * n + m, side_pixels=256 * (m % 2)) for m in range(4)))
        for n in range(SENDERS)
    ]

    send_at_once(dcmtk, "ARCHIVE", [port], batches)
    service.run("peer", "add", "STORESCP", "--title", "STORESCP", "--host", "127.0.0.1", "--port", storescp.port)
    asked, answers = dcmtk.find(
        port, "QueryRetrieveLevel=IMAGE", STUDY, f"SeriesInstanceUID={instance().SeriesInstanceUID}"
    )
    moved = dcmtk.move(port, "STORESCP", "QueryRetrieveLevel=STUDY", STUDY)
    got, files = dcmtk.get(port, "QueryRetrieveLevel=STUDY", STUDY)

    assert (len(answers), len(files), len(storescp.files())) == (number, number, number), f"{asked}\n{moved}\n{got}"
    with closing(Database(pooler.url)) as database:
        archive = Archive(service, database)
        assert archive.counters("ARCHIVE")[:3] == (1, 1, number)
        assert len(archive.files("ARCHIVE")) == number
    assert _server_connections(cluster, pooler) == 1
    service.run("check", "verify", "--checksums")
    service.run("check", "reconcile", "--older-than", "0")


def _server_connections(cluster: Cluster, pooler: Pooler) -> int:
    with psycopg.connect(cluster.conninfo()) as connection:
        statement = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'"
        row = connection.execute(statement, [make_url(pooler.url).database]).fetchone()
    assert row is not None
    return row[0]


def test_commands_of_every_kind_work(service: Service, tmp_path: Path) -> None:
    files = written(tmp_path / "files", instance(study=1), instance(study=2), instance(study=3))
    service.run("area", "add", "EXTRA", tmp_path / "extra", "--max-studies", 2, "--on-full", "evict")
    service.run("ae", "add", "EXTRA", "--area", "EXTRA", "--access", "rw")
    service.run("group", "add", "SCANNERS")
    service.run("peer", "add", "CT1", "--title", "CT", "--host", "10.1.2.3", "--port", 104, "--group", "SCANNERS")
    service.run("rule", "allow", "--at", "EXTRA", "--group", "SCANNERS")
    service.run("import", "--area", "EXTRA", *files)
    assert service.run("study", "list", "--area", "EXTRA", "--json").count("study_instance_uid") == 2
    service.run("area", "set", "EXTRA", "--max-studies", 1)
    service.run("area", "usage")
    service.run("log", "changes")
    service.run("log", "evictions")
    service.run("report", "studies")
    service.run("check", "verify")
    service.run("db", "current")


def test_a_write_waits_within_limits_and_leaves_none_to_others(pooler: Pooler) -> None:
    with closing(Database(pooler.url)) as database:
        assert transaction.write(database, _limits) == ("1min", "30s")
        with transaction.read(database) as connection:
            assert _limits(connection) == ("0", "0")


def test_limits_that_the_administrator_has_set_need_no_statement(
    service: Service, pooler: Pooler, cluster: Cluster, query_recorder: QueryRecorder
) -> None:
    before = service.run("db", "check")
    name = make_url(pooler.url).database
    (documented,) = re.findall(r"^```sql\n(ALTER ROLE .*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)

    with psycopg.connect(cluster.conninfo(), autocommit=True) as connection:
        connection.execute(documented.replace("IN DATABASE archive", f"IN DATABASE {name}").encode())
        connection.execute("SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = %s", [name])

    assert "Each write sets lock_timeout" in before
    assert "Each write sets idle_in_transaction_session_timeout" in before
    assert "Each write sets" not in service.run("db", "check")
    with closing(Database(pooler.url)) as database, query_recorder(database.engine) as recorded:
        assert transaction.write(database, _limits) == ("1min", "30s")
    assert len(recorded.statements) == 1


def _limits(connection: Connection) -> tuple[str, str]:
    idle, lock = (f"current_setting('{name}')" for name in ("idle_in_transaction_session_timeout", "lock_timeout"))
    return tuple(connection.execute(text(f"SELECT {idle}, {lock}")).one())


def test_an_address_that_asks_too_much_of_a_pooler_is_answered_with_what_to_add(pooler: Pooler, tmp_path: Path) -> None:
    careless = Service(tmp_path / "data", pooler.address, tmp_path / "service.log", 1, ())

    assert "add to its address: ?prepared_statements=off" in careless.run("db", "upgrade", code=1)


def test_a_pooler_that_was_killed_is_used_again_when_it_is_back(service: Service, pooler: Pooler) -> None:
    service.start()
    with RawScu(service.port) as scu:
        scu.associate([Proposed(SECONDARY_CAPTURE, (EXPLICIT,))], called="ARCHIVE")

        def store(number: int) -> int:
            data_set = instance(number=number)
            return scu.store(SECONDARY_CAPTURE, data_set.SOPInstanceUID, encoded(data_set)).status

        before = store(1)
        pooler.kill()
        meanwhile = store(2)
        pooler.start()
        after = [store(2), store(3)]
        scu.release()

    assert (before, meanwhile, after) == (0, 0xA700, [0, 0])
    with closing(Database(pooler.url)) as database:
        assert Archive(service, database).counters("ARCHIVE")[:3] == (1, 1, 3)
    service.run("check", "verify")
