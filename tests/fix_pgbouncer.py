"""A private pgbouncer in front of the private cluster: `start_pooler(url)` pools the connections to one database.

It runs the file of docs/how-to/several-nodes.md; only the database, the address and the paths are those of the test.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import make_url

from scripts.background import Background, free_port
from scripts.postgresql_cluster import Cluster, owner

PAGE = Path(__file__).parents[1] / "docs/how-to/several-nodes.md"
PROGRAM = Path("/usr/sbin/pgbouncer")
# Fewer than one service opens by itself.
SERVER_CONNECTIONS = 2
_PASSWORD = "letters1and2digits"


@dataclass(frozen=True, slots=True)
class Pooler:
    """A running pgbouncer."""

    address: str
    """The database's address through it, as an administrator writes it who has read nothing."""

    @property
    def url(self) -> str:
        """The address that the archive is to be given."""
        return f"{self.address}?prepared_statements=off"


def documented() -> ConfigParser:
    """pgbouncer.ini as the documents show it."""
    (text,) = re.findall(r"^```cfg\n(\[databases\]\n.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    parser = ConfigParser(delimiters=("=",), interpolation=None)
    parser.read_string(text)
    return parser


def _configuration(folder: Path, cluster: Cluster, database: str, port: int, server_connections: int) -> ConfigParser:
    found = documented()
    found["databases"] = {database: f"host={cluster.folder} port={cluster.port} dbname={database}"}
    found["pgbouncer"].update(
        {
            "listen_port": str(port),
            "auth_file": str(folder / "userlist.txt"),
            "logfile": str(folder / "pgbouncer.log"),
            "pidfile": str(folder / "pgbouncer.pid"),
            "unix_socket_dir": str(folder),
            "default_pool_size": str(server_connections),
        }
    )
    return found


@pytest.fixture
def start_pooler(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Callable[..., Pooler]]:
    """`start_pooler(url, server_connections=1)` starts pgbouncer in front of the database at `url`."""
    if not PROGRAM.exists():
        pytest.fail(f"{PROGRAM} is missing; on Debian and Ubuntu: apt-get install pgbouncer", pytrace=False)
    programs: list[Background] = []
    with ExitStack() as stack:

        def start(url: str, *, server_connections: int = SERVER_CONNECTIONS) -> Pooler:
            folder, port, account = cluster.folder / f"pooler-{uuid4().hex}", free_port(), owner()
            folder.mkdir()
            stack.callback(shutil.rmtree, folder)
            database = make_url(url).database or ""
            with (folder / "pgbouncer.ini").open("w") as file:
                _configuration(folder, cluster, database, port, server_connections).write(file)
            (folder / "userlist.txt").write_text(f'"{cluster.user}" "{_PASSWORD}"\n')
            if account is not None:
                for path in (folder, *folder.iterdir()):
                    shutil.chown(path, account)
            as_owner = () if account is None else ("-u", account)
            program = Background([PROGRAM, "-q", *as_owner, folder / "pgbouncer.ini"], folder / "output")
            stack.callback(program.stop)
            programs.append(program)
            program.wait_listening(port)
            return Pooler(f"postgresql://{cluster.user}:{_PASSWORD}@127.0.0.1:{port}/{database}")

        yield start
        for program in programs:
            request.node.add_report_section("teardown", "log of pgbouncer", program.output()[-5000:])
